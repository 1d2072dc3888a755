package main

import (
	"errors"
	"strings"
	"time"

	"gctuner.test/services/internal/liveheap"
	"gctuner.test/services/internal/settings"
)

// penalty is a change made bad on purpose: latency while GOGC is above a value.
type penalty struct {
	gogcPercent float64
	latency     time.Duration
}

type config struct {
	listen            string
	liveHeapBytes     int64
	liveHeapKind      liveheap.Kind
	swing             liveheap.Swing
	leakBytes         int64
	garbageBytes      int64
	iterations        int64
	errorRatio        float64
	penalty           penalty
	barrierThreshold  int64
	liveConfigDir     string
	liveConfigPoll    time.Duration
	setGCPercent      *int
	setMemoryLimit    *int64
	allRuntimeMetrics bool
	drainDelay        time.Duration
	shutdownGrace     time.Duration
}

func readConfig(lookup func(string) string) (config, error) {
	r := settings.NewReader(lookup)
	c := config{
		listen:        r.ListenAddress(8080),
		liveHeapBytes: r.Bytes("LIVE_HEAP_BYTES", 64<<20),
		liveHeapKind: liveheap.Kind(r.OneOf("LIVE_HEAP_KIND", string(liveheap.Pointers),
			string(liveheap.Pointers), string(liveheap.Flat))),
		leakBytes:         r.Bytes("LEAK_BYTES_PER_REQUEST", 0),
		garbageBytes:      r.Bytes("GARBAGE_BYTES_PER_REQUEST", 768<<10),
		iterations:        r.Count("ITERATIONS_PER_REQUEST", 400_000, 0),
		errorRatio:        r.Number("ERROR_RATIO", 0, 0, 1),
		barrierThreshold:  r.Count("BARRIER_THRESHOLD", 0, 1),
		liveConfigDir:     r.Text("LIVE_CONFIG_DIR", ""),
		liveConfigPoll:    r.Duration("LIVE_CONFIG_POLL", 250*time.Millisecond, 10*time.Millisecond),
		setGCPercent:      r.GCPercent("SET_GC_PERCENT"),
		setMemoryLimit:    r.MemoryLimit("SET_MEMORY_LIMIT"),
		allRuntimeMetrics: r.OneOf("RUNTIME_METRICS", "default", "default", "all") == "all",
		drainDelay:        r.Duration("DRAIN_DELAY", 2*time.Second, 0),
		shutdownGrace:     r.Duration("SHUTDOWN_GRACE", 10*time.Second, 0),
	}
	if text := r.Text("LIVE_HEAP_SWING", ""); text != "" {
		swing, err := liveheap.ParseSwing(text)
		if err != nil {
			r.Refuse("LIVE_HEAP_SWING", err)
		}
		c.swing = swing
	}
	if text := r.Text("LATENCY_WHEN_GOGC_ABOVE", ""); text != "" {
		parsed, err := parsePenalty(text)
		if err != nil {
			r.Refuse("LATENCY_WHEN_GOGC_ABOVE", err)
		}
		c.penalty = parsed
	}
	return c, r.Err()
}

func parsePenalty(text string) (penalty, error) {
	malformed := errors.New("want PERCENT:DURATION, such as 300:20ms")
	percent, duration, found := strings.Cut(text, ":")
	if !found {
		return penalty{}, malformed
	}
	gogc, err := settings.ParseNumber(percent)
	if err != nil || gogc < 0 {
		return penalty{}, malformed
	}
	latency, err := time.ParseDuration(duration)
	if err != nil || latency <= 0 {
		return penalty{}, malformed
	}
	return penalty{gogcPercent: gogc, latency: latency}, nil
}
