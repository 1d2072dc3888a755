package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"gctuner.test/services/internal/schedule"
	"gctuner.test/services/internal/wire"
)

// generator sends each request at its time, whatever became of the ones before it.
type generator struct {
	targets     *targets
	tally       *tally
	timeout     time.Duration
	maxInFlight int64

	inFlight atomic.Int64
	running  sync.WaitGroup
}

// lookahead bounds how long the dispatcher may be deaf to the end of its context.
const lookahead = 50 * time.Millisecond

// run sends the requests that arrivals yields, counted from started, until ctx ends or duration has
// passed (0: no end). It returns without waiting for the requests in flight.
func (g *generator) run(
	ctx context.Context, arrivals *schedule.Arrivals, started time.Time, duration time.Duration,
) error {
	alarm, err := newAlarm()
	if err != nil {
		return err
	}
	defer alarm.close()
	for ctx.Err() == nil {
		horizon := time.Since(started) + lookahead
		if duration > 0 {
			horizon = min(horizon, duration)
		}
		due, found := arrivals.Next(horizon)
		if !found {
			due = horizon
		}
		if err := alarm.sleepUntil(started.Add(due)); err != nil {
			return err
		}
		if found {
			g.dispatch(started.Add(due))
		} else if duration > 0 && horizon == duration {
			return nil
		}
	}
	return nil
}

func (g *generator) dispatch(intended time.Time) {
	if g.inFlight.Add(1) > g.maxInFlight {
		g.inFlight.Add(-1)
		g.tally.add(outcome{failure: dropped})
		return
	}
	g.running.Go(func() {
		defer g.inFlight.Add(-1)
		g.tally.add(g.request(intended))
	})
}

// request sends one request, on a second target where the first refused the connection.
func (g *generator) request(intended time.Time) outcome {
	deadline := intended.Add(g.timeout)
	target := g.targets.next()
	if target == nil {
		return outcome{failure: noTarget}
	}
	code, err := target.Get(deadline)
	if errors.Is(err, wire.ErrRefused) {
		if other := g.targets.other(target); other != nil {
			g.tally.retries.Inc()
			target = other
			code, err = target.Get(deadline)
		}
	}
	return outcome{code: code, failure: failureOf(target, err), latency: time.Since(intended)}
}

func failureOf(target *wire.Target, err error) reason {
	switch {
	case err == nil:
		return noFailure
	case errors.Is(err, wire.ErrTimeout):
		return timedOut
	case errors.Is(err, wire.ErrProtocol):
		return protocol
	case target.Retired():
		return gone
	case errors.Is(err, wire.ErrRefused):
		return refused
	default:
		return lost
	}
}
