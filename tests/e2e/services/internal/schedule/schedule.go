// Package schedule says how many requests per second are wanted at each moment, and when each
// request is due.
//
// A schedule is a sum of streams:
//
//	constant:300                  300/s
//	step:100@0s,300@60s           each rate from its time on
//	ramp:100-500/120s             from 100/s to 500/s in 120 s, then stays
//	wave:100-500/10m              a sine from the low end, period 10 min
//	burst:100,+400/10s every 60s  100/s, and 400/s more for 10 s at 60 s, 120 s, …
//
// Streams are joined by ";".
package schedule

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"gctuner.test/services/internal/settings"
)

// Schedule is a rate in requests per second over the time since the start.
type Schedule func(elapsed time.Duration) float64

// Parse reads a schedule in the grammar above.
func Parse(text string) (Schedule, error) {
	var streams []Schedule
	for part := range strings.SplitSeq(text, ";") {
		stream, err := parseStream(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("%q: %w", part, err)
		}
		streams = append(streams, stream)
	}
	return func(elapsed time.Duration) float64 {
		sum := 0.0
		for _, stream := range streams {
			sum += stream(elapsed)
		}
		return sum
	}, nil
}

func parseStream(text string) (Schedule, error) {
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "constant":
		return parseConstant(rest)
	case "step":
		return parseSteps(rest)
	case "ramp":
		low, high, length, err := parseRange(rest)
		if err != nil {
			return nil, errors.New("want ramp:FROM-TO/DURATION, such as ramp:100-500/120s")
		}
		return func(elapsed time.Duration) float64 {
			return low + (high-low)*math.Min(1, elapsed.Seconds()/length.Seconds())
		}, nil
	case "wave":
		low, high, period, err := parseRange(rest)
		if err != nil {
			return nil, errors.New("want wave:LOW-HIGH/PERIOD, such as wave:100-500/10m")
		}
		return func(elapsed time.Duration) float64 {
			turn := 2 * math.Pi * elapsed.Seconds() / period.Seconds()
			return low + (high-low)*(1-math.Cos(turn))/2
		}, nil
	case "burst":
		return parseBurst(rest)
	default:
		return nil, errors.New("want constant:, step:, ramp:, wave: or burst:")
	}
}

func parseConstant(text string) (Schedule, error) {
	rate, err := parseRate(text)
	if err != nil {
		return nil, errors.New("want constant:RATE, such as constant:300")
	}
	return func(time.Duration) float64 { return rate }, nil
}

func parseSteps(text string) (Schedule, error) {
	type step struct {
		from time.Duration
		rate float64
	}
	malformed := errors.New("want step:RATE@TIME,RATE@TIME with rising times from 0s, " +
		"such as step:100@0s,300@60s")
	var steps []step
	for part := range strings.SplitSeq(text, ",") {
		rateText, fromText, _ := strings.Cut(part, "@")
		rate, rateErr := parseRate(rateText)
		from, fromErr := time.ParseDuration(fromText)
		if rateErr != nil || fromErr != nil {
			return nil, malformed
		}
		first := len(steps) == 0
		if (first && from != 0) || (!first && from <= steps[len(steps)-1].from) {
			return nil, malformed
		}
		steps = append(steps, step{from: from, rate: rate})
	}
	return func(elapsed time.Duration) float64 {
		rate := steps[0].rate
		for _, s := range steps {
			if s.from > elapsed {
				break
			}
			rate = s.rate
		}
		return rate
	}, nil
}

func parseBurst(text string) (Schedule, error) {
	malformed := errors.New("want burst:BASE,+EXTRA/LENGTH every PERIOD with LENGTH below PERIOD, " +
		"such as burst:100,+400/10s every 60s")
	baseText, rest, _ := strings.Cut(text, ",")
	extraText, rest, _ := strings.Cut(rest, "/")
	lengthText, periodText, _ := strings.Cut(rest, " every ")
	extraText, plus := strings.CutPrefix(extraText, "+")
	base, baseErr := parseRate(baseText)
	extra, extraErr := parseRate(extraText)
	length, lengthErr := time.ParseDuration(lengthText)
	period, periodErr := time.ParseDuration(periodText)
	if errors.Join(baseErr, extraErr, lengthErr, periodErr) != nil ||
		!plus || length <= 0 || period <= length {
		return nil, malformed
	}
	return func(elapsed time.Duration) float64 {
		if elapsed >= period && elapsed%period < length {
			return base + extra
		}
		return base
	}, nil
}

// parseRange reads LOW-HIGH/DURATION.
func parseRange(text string) (low, high float64, length time.Duration, err error) {
	rates, lengthText, _ := strings.Cut(text, "/")
	lowText, highText, _ := strings.Cut(rates, "-")
	low, lowErr := parseRate(lowText)
	high, highErr := parseRate(highText)
	length, err = time.ParseDuration(lengthText)
	if err == nil && length <= 0 {
		err = errors.New("want a duration above 0")
	}
	return low, high, length, errors.Join(err, lowErr, highErr)
}

func parseRate(text string) (float64, error) {
	rate, err := settings.ParseNumber(text)
	if err != nil || rate < 0 {
		return 0, errors.New("want a rate of at least 0")
	}
	return rate, nil
}

// resolution is how long a rate is taken for constant when arrivals are computed.
const resolution = 10 * time.Millisecond

// Arrivals yields the moments at which requests are due. Not safe for concurrent use.
type Arrivals struct {
	schedule Schedule
	// gap draws the area under the rate until the next arrival: always 1 when uniform, and
	// exponential with mean 1 for a Poisson process.
	gap  func() float64
	at   time.Duration
	need float64
}

// Uniform returns evenly spaced arrivals.
func Uniform(schedule Schedule) *Arrivals {
	return newArrivals(schedule, func() float64 { return 1 })
}

// Poisson returns the arrivals of a Poisson process; the same seed gives the same arrivals.
func Poisson(schedule Schedule, seed uint64) *Arrivals {
	return newArrivals(schedule, rand.New(rand.NewPCG(seed, 0)).ExpFloat64)
}

func newArrivals(schedule Schedule, gap func() float64) *Arrivals {
	return &Arrivals{schedule: schedule, gap: gap, need: gap()}
}

// Next returns the next arrival before horizon, as time since the start. When there is none it
// returns false, and goes on from horizon at the next call.
func (a *Arrivals) Next(horizon time.Duration) (time.Duration, bool) {
	for a.at < horizon {
		rate := a.schedule(a.at)
		end := min(a.at.Truncate(resolution)+resolution, horizon)
		area := rate * (end - a.at).Seconds()
		if rate == 0 || area < a.need {
			a.need -= area
			a.at = end
			continue
		}
		a.at += time.Duration(a.need / rate * float64(time.Second))
		a.need = a.gap()
		if a.at < horizon {
			return a.at, true
		}
		// Rounding put an arrival at the very end on the horizon: it is still one before it.
		return horizon - 1, true
	}
	return 0, false
}
