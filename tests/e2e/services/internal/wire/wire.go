// Package wire is a small HTTP/1.1 client that tells apart the ways in which a request can fail.
//
// net/http's transport quietly repeats a GET whose connection broke, which would hide a server that
// was killed in the middle of it; and it spends two goroutines on each connection.
package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

var (
	// ErrRefused means that no connection could be made: the request was not sent.
	ErrRefused = errors.New("connection refused")
	// ErrLost means that the connection broke after the request was (perhaps partly) sent.
	ErrLost = errors.New("connection lost")
	// ErrTimeout means that the deadline passed.
	ErrTimeout = errors.New("timeout")
	// ErrProtocol means that the answer was not HTTP.
	ErrProtocol = errors.New("not an HTTP answer")
)

type connection struct {
	net.Conn
	reader *bufio.Reader
}

// stale says whether the server has closed an idle connection, or sent what nobody asked for.
func (c connection) stale() bool {
	if c.reader.Buffered() > 0 {
		return true
	}
	raw, err := c.Conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return true
	}
	open := false
	var one [1]byte
	err = raw.Read(func(descriptor uintptr) bool {
		_, _, err := syscall.Recvfrom(
			int(descriptor), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		open = errors.Is(err, syscall.EAGAIN)
		return true // never wait for data
	})
	return err != nil || !open
}

// Target is one server with its idle connections; safe for concurrent use.
type Target struct {
	address string
	request []byte

	mutex   sync.Mutex
	idle    []connection
	retired bool
}

// NewTarget returns a Target that asks address for path with GET.
func NewTarget(address, path string) *Target {
	return &Target{
		address: address,
		request: fmt.Appendf(nil,
			"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: loadgen\r\n\r\n", path, address),
	}
}

// Address returns host:port.
func (t *Target) Address() string { return t.address }

// Retire closes the idle connections; those in use close when their request ends.
func (t *Target) Retire() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.retired = true
	for _, c := range t.idle {
		c.Close()
	}
	t.idle = nil
}

// Retired says whether Retire was called.
func (t *Target) Retired() bool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.retired
}

// take returns the idle connection used last that is still open, if any.
func (t *Target) take() (connection, bool) {
	for {
		t.mutex.Lock()
		last := len(t.idle) - 1
		if last < 0 {
			t.mutex.Unlock()
			return connection{}, false
		}
		c := t.idle[last]
		t.idle = t.idle[:last]
		t.mutex.Unlock()
		if !c.stale() {
			return c, true
		}
		c.Close()
	}
}

func (t *Target) give(c connection) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.retired {
		c.Close()
		return
	}
	t.idle = append(t.idle, c)
}

// Get sends one request and returns the status code of the answer, whose body is read and dropped.
// Its error is one of this package's, with details.
func (t *Target) Get(deadline time.Time) (int, error) {
	c, found := t.take()
	if !found {
		dialer := net.Dialer{Deadline: deadline}
		dialled, err := dialer.Dial("tcp", t.address)
		if err != nil {
			return 0, classify(err, ErrRefused)
		}
		c = connection{Conn: dialled, reader: bufio.NewReader(dialled)}
	}
	code, reusable, err := c.exchange(t.request, deadline)
	if err != nil || !reusable {
		c.Close()
	} else {
		t.give(c)
	}
	return code, err
}

func (c connection) exchange(request []byte, deadline time.Time) (code int, reusable bool, err error) {
	if err := c.SetDeadline(deadline); err != nil {
		return 0, false, classify(err, ErrLost)
	}
	if _, err := c.Write(request); err != nil {
		return 0, false, classify(err, ErrLost)
	}
	if _, err := c.reader.Peek(1); err != nil {
		return 0, false, classify(err, ErrLost)
	}
	answer, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		if c.reader.Buffered() == 0 {
			// All that came was read: a header cut short, which textproto calls malformed.
			return 0, false, classify(err, ErrLost)
		}
		return 0, false, classify(err, ErrProtocol)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return 0, false, classify(err, ErrLost)
	}
	return answer.StatusCode, !answer.Close, nil
}

func classify(err, otherwise error) error {
	if network := net.Error(nil); errors.As(err, &network) && network.Timeout() {
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	return fmt.Errorf("%w: %w", otherwise, err)
}
