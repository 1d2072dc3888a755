package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"gctuner.test/services/internal/downstream"
	"gctuner.test/services/internal/inprocess"
	"gctuner.test/services/internal/liveheap"
	"gctuner.test/services/internal/settings"
)

// penalty is a price to pay while GOGC is above a value.
type penalty[T time.Duration | int64 | float64] struct {
	gogcPercent float64
	price       T
}

// at returns the price at a GOGC; without a penalty, and up to its value, that is 0.
func (p penalty[T]) at(gogcPercent float64) T {
	if gogcPercent > p.gogcPercent {
		return p.price
	}
	return 0
}

// penalties make a change of GOGC bad on purpose.
type penalties struct {
	latency    penalty[time.Duration]
	iterations penalty[int64]
	heapRatio  penalty[float64]
}

type config struct {
	listen            string
	liveHeapBytes     int64
	liveHeapKind      liveheap.Kind
	swing             liveheap.Swing
	swingStart        time.Time
	leakBytes         int64
	garbageBytes      int64
	iterations        int64
	errorRatio        float64
	downstream        downstream.Pool
	penalties         penalties
	batchRate         float64
	barrierThreshold  int64
	liveConfigDir     string
	liveConfigPoll    time.Duration
	setGCPercent      *int
	setMemoryLimit    *int64
	tuner             inprocess.Tuner
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
		batchRate:         r.Number("BATCH_RATE", 0, 0, 1e4),
		barrierThreshold:  r.Count("BARRIER_THRESHOLD", 0, 1),
		liveConfigDir:     r.Text("LIVE_CONFIG_DIR", ""),
		liveConfigPoll:    r.Duration("LIVE_CONFIG_POLL", 250*time.Millisecond, 10*time.Millisecond),
		setGCPercent:      r.GCPercent("SET_GC_PERCENT"),
		setMemoryLimit:    r.MemoryLimit("SET_MEMORY_LIMIT"),
		tuner: inprocess.Tuner{
			Kind: inprocess.Kind(r.OneOf("IN_PROCESS_TUNER", string(inprocess.None),
				string(inprocess.Automemlimit), string(inprocess.GCTuner))),
			ContainerBytes: uint64(r.Bytes("MEMORY_LIMIT_BYTES", 0)),
		},
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
	if seconds := r.Count("LIVE_HEAP_SWING_START", 0, 0); seconds > 0 {
		c.swingStart = time.Unix(seconds, 0)
	}
	if text := r.Text("DOWNSTREAM", ""); text != "" {
		pool, err := downstream.Parse(text)
		if err != nil {
			r.Refuse("DOWNSTREAM", err)
		}
		c.downstream = pool
	}
	c.penalties = penalties{
		latency: readPenalty(r, "LATENCY_WHEN_GOGC_ABOVE", "DURATION, such as 300:20ms",
			time.ParseDuration),
		iterations: readPenalty(r, "ITERATIONS_WHEN_GOGC_ABOVE", "COUNT, such as 300:100000",
			func(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) }),
		heapRatio: readPenalty(r, "LIVE_HEAP_WHEN_GOGC_ABOVE", "RATIO, such as 300:3",
			settings.ParseNumber),
	}
	if c.swing.Period > 0 && c.penalties.heapRatio.price > 0 {
		r.Refuse("LIVE_HEAP_WHEN_GOGC_ABOVE", errors.New("not together with LIVE_HEAP_SWING"))
	}
	if c.tuner.Kind != inprocess.None && c.tuner.ContainerBytes == 0 {
		r.Refuse("MEMORY_LIMIT_BYTES", errors.New("want the container's memory limit for IN_PROCESS_TUNER"))
	}
	return c, r.Err()
}

func readPenalty[T time.Duration | int64 | float64](
	r *settings.Reader, name, syntax string, parse func(string) (T, error),
) penalty[T] {
	text := r.Text(name, "")
	if text == "" {
		return penalty[T]{}
	}
	percent, amount, _ := strings.Cut(text, ":")
	gogc, wrongGOGC := settings.ParseNumber(percent)
	price, wrongPrice := parse(amount)
	if wrongGOGC != nil || wrongPrice != nil || gogc < 0 || price <= 0 {
		r.Refuse(name, errors.New("want PERCENT:"+syntax))
		return penalty[T]{}
	}
	return penalty[T]{gogcPercent: gogc, price: price}
}
