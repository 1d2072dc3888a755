package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"runtime/metrics"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gctuner.test/services/internal/barrier"
	"gctuner.test/services/internal/liveconfig"
	"gctuner.test/services/internal/liveheap"
	"gctuner.test/services/internal/toil"
)

const workPath = "/work"

var durationBuckets = []float64{
	.0005, .001, .0015, .002, .003, .004, .005, .0075, .01, .015, .02, .03, .05, .075,
	.1, .15, .2, .3, .5, .75, 1, 2.5, 5, 10,
}

// answer holds the metrics of one status code, looked up once instead of on each request.
type answer struct {
	count    prometheus.Counter
	duration prometheus.Observer
}

// service is the sample service without its listener and signals.
type service struct {
	config   config
	heap     *liveheap.Heap
	leak     *liveheap.Leak
	barrier  *barrier.Barrier
	live     *liveconfig.Folder
	registry *prometheus.Registry
	answers  map[int]answer
	units    prometheus.Counter

	ready             atomic.Bool
	draining          atomic.Bool
	penaltyLatency    atomic.Int64
	penaltyIterations atomic.Int64
	served            atomic.Int64
	sink              atomic.Uint64
}

func newService(c config) *service {
	s := &service{
		config:   c,
		heap:     liveheap.New(c.liveHeapKind),
		leak:     liveheap.NewLeak(c.leakBytes),
		barrier:  barrier.New(c.barrierThreshold),
		registry: prometheus.NewRegistry(),
		answers:  make(map[int]answer),
	}
	s.live = liveFolder(c.liveConfigDir, s.barrier, c.barrierThreshold)
	goCollector := collectors.NewGoCollector()
	if c.allRuntimeMetrics {
		goCollector = collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(
			collectors.GoRuntimeMetricsRule{
				Matcher: regexp.MustCompile(`^/gc/heap/live:bytes$|^/cpu/classes/.*`),
			}))
	}
	labels := []string{"code", "method", "path"}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "Answers by status code.",
	}, labels)
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "http_request_duration_seconds",
		Help:    "Time from the request's arrival in the handler to its answer.",
		Buckets: durationBuckets,
	}, labels)
	s.registry.MustRegister(
		goCollector,
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		s.live.Refused(),
	)
	if c.batchRate > 0 {
		s.units = prometheus.NewCounter(prometheus.CounterOpts{
			Name: "batch_units_total", Help: "Units of work done without a request.",
		})
		s.registry.MustRegister(s.units)
	} else {
		s.registry.MustRegister(requests, durations, s.barrier)
	}
	codes := []int{http.StatusOK, http.StatusInternalServerError, http.StatusServiceUnavailable}
	for _, code := range codes {
		values := []string{strconv.Itoa(code), http.MethodGet, workPath}
		s.answers[code] = answer{
			count:    requests.WithLabelValues(values...),
			duration: durations.WithLabelValues(values...),
		}
	}
	return s
}

// build makes the live heap, after which the service is ready.
func (s *service) build() {
	s.heap.Resize(s.config.liveHeapBytes)
	s.ready.Store(true)
}

// swing moves the live heap until ctx ends.
func (s *service) swing(ctx context.Context) {
	if s.config.swing.Period == 0 {
		return
	}
	started := s.config.swingStart
	if started.IsZero() {
		started = time.Now()
	}
	everyTick(ctx, 500*time.Millisecond, func() {
		factor := s.config.swing.Factor(time.Since(started))
		s.heap.Resize(int64(factor * float64(s.config.liveHeapBytes)))
	})
}

// batch does units of work at its rate until ctx ends, as a program does that nobody calls. A unit
// that is not done when the next one is due delays it; none is done twice.
func (s *service) batch(ctx context.Context) {
	if s.config.batchRate == 0 {
		return
	}
	everyTick(ctx, time.Duration(float64(time.Second)/s.config.batchRate), func() {
		s.toil()
		s.units.Inc()
	})
}

// toil does the work of one request.
func (s *service) toil() {
	time.Sleep(time.Duration(s.penaltyLatency.Load()))
	s.config.downstream.Call()
	iterations := s.config.iterations + s.penaltyIterations.Load()
	s.sink.Store(toil.Do(iterations, s.config.garbageBytes))
	s.leak.Keep()
}

// watchGOGC keeps the penalties in step with the GOGC in force until ctx ends.
func (s *service) watchGOGC(ctx context.Context) {
	if s.config.penalties == (penalties{}) {
		return
	}
	watch := func() { s.penalise(observedGOGC()) }
	watch()
	everyTick(ctx, time.Second, watch)
}

func (s *service) penalise(gogcPercent float64) {
	p := s.config.penalties
	s.penaltyLatency.Store(int64(p.latency.at(gogcPercent)))
	s.penaltyIterations.Store(p.iterations.at(gogcPercent))
	if p.heapRatio.price > 0 && s.ready.Load() {
		ratio := max(p.heapRatio.at(gogcPercent), 1)
		s.heap.Resize(int64(ratio * float64(s.config.liveHeapBytes)))
	}
}

// followLiveConfig keeps GOGC, GOMEMLIMIT and the barrier in step with their files until ctx ends.
func (s *service) followLiveConfig(ctx context.Context) {
	if s.config.liveConfigDir == "" {
		return
	}
	s.live.Poll()
	everyTick(ctx, s.config.liveConfigPoll, s.live.Poll)
}

func everyTick(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// observedGOGC is the GOGC in force, in percent; about 1.8e19 when it is off.
func observedGOGC() float64 {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64())
}

// observedMemoryLimit is the memory limit in force, in bytes; MaxInt64 when there is none.
func observedMemoryLimit() uint64 {
	sample := []metrics.Sample{{Name: "/gc/gomemlimit:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// drain makes the service unready and asks callers to let go of their connections.
func (s *service) drain() { s.draining.Store(true) }

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+workPath, s.work)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case s.draining.Load():
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
		case !s.ready.Load():
			http.Error(w, "building the live heap", http.StatusServiceUnavailable)
		default:
			fmt.Fprintln(w, "ready")
		}
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}))
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		mux.ServeHTTP(w, request)
	})
}

func (s *service) work(w http.ResponseWriter, _ *http.Request) {
	started := time.Now()
	if !s.barrier.Enter() {
		s.reply(w, http.StatusServiceUnavailable, "refused by the barrier", started)
		return
	}
	defer s.barrier.Leave()
	s.toil()
	if isError(s.served.Add(1), s.config.errorRatio) {
		s.reply(w, http.StatusInternalServerError, "failed on purpose", started)
		return
	}
	s.reply(w, http.StatusOK, "ok", started)
}

// isError spreads errors evenly: of the first n requests, the whole part of n*ratio are errors.
func isError(n int64, ratio float64) bool {
	return int64(float64(n)*ratio) > int64(float64(n-1)*ratio)
}

func (s *service) reply(w http.ResponseWriter, code int, text string, started time.Time) {
	answer := s.answers[code]
	answer.count.Inc()
	answer.duration.Observe(time.Since(started).Seconds())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	fmt.Fprintln(w, text)
}
