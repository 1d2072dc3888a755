package main

import (
	"encoding/json"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gctuner.test/services/internal/quantile"
)

// reason says why a request had no answer.
type reason string

const (
	noTarget     reason = "no_target"
	refused      reason = "refused"
	lost         reason = "lost"
	gone         reason = "gone"
	timedOut     reason = "timeout"
	protocol     reason = "protocol"
	dropped      reason = "dropped"
	noFailure    reason = ""
	codeNoAnswer        = "error"
)

var failureReasons = []reason{noTarget, refused, lost, gone, timedOut, protocol, dropped}

// outcome is how one request ended.
type outcome struct {
	code    int
	failure reason
	latency time.Duration
}

// counts is what happened over some time.
type counts struct {
	codes    map[string]uint64
	failures map[reason]uint64
	latency  *quantile.Histogram
}

func newCounts() counts {
	return counts{
		codes:    make(map[string]uint64),
		failures: make(map[reason]uint64),
		latency:  new(quantile.Histogram),
	}
}

func (c counts) merge(other counts) {
	for code, count := range other.codes {
		c.codes[code] += count
	}
	for failure, count := range other.failures {
		c.failures[failure] += count
	}
	c.latency.Merge(other.latency)
}

// tally counts outcomes for Prometheus and for the summaries; safe for concurrent use.
type tally struct {
	requests  *prometheus.CounterVec
	failures  *prometheus.CounterVec
	latencies *prometheus.HistogramVec
	retries   prometheus.Counter

	mutex   sync.Mutex
	current counts
	total   counts
}

func newTally(registry prometheus.Registerer) *tally {
	t := &tally{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "loadgen_requests_total", Help: "Requests due, by status code or \"error\".",
		}, []string{"code"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "loadgen_failures_total", Help: "Requests without an answer, by reason.",
		}, []string{"reason"}),
		latencies: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "loadgen_latency_seconds",
			Help:    "Time from the intended start to the end of the answer.",
			Buckets: prometheus.ExponentialBucketsRange(.00025, 10, 62),
		}, []string{"code"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "loadgen_retries_total",
			Help: "Requests tried on a second target because the first refused the connection.",
		}),
		current: newCounts(),
		total:   newCounts(),
	}
	registry.MustRegister(t.requests, t.failures, t.latencies, t.retries)
	for _, failure := range failureReasons {
		t.failures.WithLabelValues(string(failure))
	}
	t.requests.WithLabelValues("200")
	t.requests.WithLabelValues(codeNoAnswer)
	return t
}

func (t *tally) add(o outcome) {
	code := codeNoAnswer
	if o.failure == noFailure {
		code = strconv.Itoa(o.code)
		t.latencies.WithLabelValues(code).Observe(o.latency.Seconds())
	} else {
		t.failures.WithLabelValues(string(o.failure)).Inc()
	}
	t.requests.WithLabelValues(code).Inc()

	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.current.codes[code]++
	if o.failure != noFailure {
		t.current.failures[o.failure]++
	}
	// A timeout is a latency too: leaving it out would flatter a slow service.
	if o.failure == timedOut || (o.failure == noFailure && o.code/100 == 2) {
		t.current.latency.Add(o.latency)
	}
}

// summary is one line on stdout.
type summary struct {
	Type           string            `json:"type"`
	Time           time.Time         `json:"time"`
	ElapsedSeconds float64           `json:"elapsed_seconds"`
	WindowSeconds  float64           `json:"window_seconds"`
	OfferedRate    float64           `json:"offered_rate"`
	AnsweredRate   float64           `json:"answered_rate"`
	OKRate         float64           `json:"ok_rate"`
	P50            float64           `json:"p50_ms"`
	P95            float64           `json:"p95_ms"`
	P99            float64           `json:"p99_ms"`
	Max            float64           `json:"max_ms"`
	Errors         uint64            `json:"errors"`
	Codes          map[string]uint64 `json:"codes"`
	Failures       map[reason]uint64 `json:"failures"`
	InFlight       int64             `json:"in_flight"`
	Targets        int               `json:"targets"`
}

// cut ends the current interval and returns its counts; final returns those of the whole run.
func (t *tally) cut() counts {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	ended := t.current
	t.total.merge(ended)
	t.current = newCounts()
	return ended
}

func (t *tally) final() counts {
	t.cut()
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.total
}

// summarise makes a summary of counts over window. Errors are 5xx answers and requests without one.
func summarise(kind string, c counts, window time.Duration) summary {
	s := summary{
		Type:          kind,
		WindowSeconds: window.Seconds(),
		P50:           milliseconds(c.latency.Quantile(.50)),
		P95:           milliseconds(c.latency.Quantile(.95)),
		P99:           milliseconds(c.latency.Quantile(.99)),
		Max:           milliseconds(c.latency.Max()),
		Codes:         c.codes,
		Failures:      c.failures,
	}
	var offered, answered, ok uint64
	for code, count := range c.codes {
		offered += count
		if code != codeNoAnswer {
			answered += count
		}
		if code[0] == '2' {
			ok += count
		}
		if code == codeNoAnswer || code[0] == '5' {
			s.Errors += count
		}
	}
	if window > 0 {
		s.OfferedRate = float64(offered) / window.Seconds()
		s.AnsweredRate = float64(answered) / window.Seconds()
		s.OKRate = float64(ok) / window.Seconds()
	}
	return s
}

func milliseconds(duration time.Duration) float64 {
	return float64(duration.Microseconds()) / 1000
}

func (s summary) print(out io.Writer) error {
	return json.NewEncoder(out).Encode(s)
}
