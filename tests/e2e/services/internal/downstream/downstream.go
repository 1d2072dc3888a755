// Package downstream is a dependency that serves a few calls at a time: a database behind a
// connection pool, say. Callers wait in the order in which they came, so latency under overload is
// the number of callers times a constant, however busy the machine is.
package downstream

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Pool serves calls; the zero value serves each at once.
type Pool struct {
	slots chan struct{}
	hold  time.Duration
}

// Parse reads SLOTS:DURATION, how many calls are served at a time and how long each takes.
func Parse(text string) (Pool, error) {
	slots, hold, _ := strings.Cut(text, ":")
	count, wrongCount := strconv.Atoi(slots)
	duration, wrongDuration := time.ParseDuration(hold)
	if wrongCount != nil || wrongDuration != nil || count < 1 || duration <= 0 {
		return Pool{}, errors.New("want SLOTS:DURATION, such as 1:40ms")
	}
	return Pool{slots: make(chan struct{}, count), hold: duration}, nil
}

// Call waits for a slot and holds it for as long as a call takes.
func (p Pool) Call() {
	if p.hold == 0 {
		return
	}
	p.slots <- struct{}{}
	time.Sleep(p.hold)
	<-p.slots
}
