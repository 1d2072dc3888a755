package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func configure(t *testing.T, values map[string]string) config {
	t.Helper()
	small := map[string]string{
		"LIVE_HEAP_BYTES": "1Mi", "GARBAGE_BYTES_PER_REQUEST": "10Ki", "ITERATIONS_PER_REQUEST": "100",
	}
	c, err := readConfig(func(name string) string {
		if value, found := values[name]; found {
			return value
		}
		return small[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(s *service, path string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	s.handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder
}

func TestTheDefaultsAreValid(t *testing.T) {
	if _, err := readConfig(func(string) string { return "" }); err != nil {
		t.Error(err)
	}
}

func TestEveryMalformedSettingIsNamed(t *testing.T) {
	malformed := map[string]string{
		"LIVE_HEAP_BYTES": "64MB", "LIVE_HEAP_KIND": "round", "LIVE_HEAP_SWING": "5",
		"LEAK_BYTES_PER_REQUEST": "-1", "GARBAGE_BYTES_PER_REQUEST": "much",
		"ITERATIONS_PER_REQUEST": "1ms", "ERROR_RATIO": "2", "DOWNSTREAM": "40ms",
		"LATENCY_WHEN_GOGC_ABOVE":    "300",
		"ITERATIONS_WHEN_GOGC_ABOVE": "300:0", "LIVE_HEAP_WHEN_GOGC_ABOVE": "high:2",
		"BARRIER_THRESHOLD": "0", "RUNTIME_METRICS": "some", "DRAIN_DELAY": "2",
		"LIVE_CONFIG_POLL": "0s", "SET_GC_PERCENT": "-5", "SET_MEMORY_LIMIT": "512Mi",
		"SHUTDOWN_GRACE": "-1s", "PORT": "http", "POD_IP": "localhost", "LISTEN": "8080",
	}
	_, err := readConfig(func(name string) string { return malformed[name] })
	if err == nil {
		t.Fatal("taken")
	}
	for name := range malformed {
		if !strings.Contains(err.Error(), name+"=") {
			t.Errorf("%s is not named", name)
		}
	}
}

func TestReadyOnlyWithTheLiveHeapAndUntilDraining(t *testing.T) {
	s := newService(configure(t, nil))
	if code := get(s, "/readyz").Code; code != http.StatusServiceUnavailable {
		t.Errorf("before the live heap: %d", code)
	}
	s.build()
	if code := get(s, "/readyz").Code; code != http.StatusOK {
		t.Errorf("with the live heap: %d", code)
	}
	s.drain()
	if code := get(s, "/readyz").Code; code != http.StatusServiceUnavailable {
		t.Errorf("draining: %d", code)
	}
	answer := get(s, "/work")
	if answer.Code != http.StatusOK || answer.Header().Get("Connection") != "close" {
		t.Errorf("work while draining: %d, %v", answer.Code, answer.Header())
	}
	if code := get(s, "/healthz").Code; code != http.StatusOK {
		t.Errorf("health while draining: %d", code)
	}
}

func TestErrorsAreSpreadEvenly(t *testing.T) {
	s := newService(configure(t, map[string]string{"ERROR_RATIO": "0.1"}))
	codes := map[int]int{}
	for range 100 {
		codes[get(s, "/work").Code]++
	}
	if codes[http.StatusInternalServerError] != 10 || codes[http.StatusOK] != 90 {
		t.Errorf("%v", codes)
	}
	text := get(s, "/metrics").Body.String()
	for _, want := range []string{
		`http_requests_total{code="500",method="GET",path="/work"} 10`,
		`http_requests_total{code="200",method="GET",path="/work"} 90`,
		`http_requests_total{code="503",method="GET",path="/work"} 0`,
		`http_request_duration_seconds_count{code="200",method="GET",path="/work"} 90`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestTheBarrierAnswers503AndSaysSo(t *testing.T) {
	s := newService(configure(t, map[string]string{"BARRIER_THRESHOLD": "1"}))
	s.barrier.Enter()
	if code := get(s, "/work").Code; code != http.StatusServiceUnavailable {
		t.Errorf("%d", code)
	}
	text := get(s, "/metrics").Body.String()
	for _, want := range []string{
		"barrier_refused_total 1", "barrier_threshold 1", "barrier_in_flight 1",
		`http_requests_total{code="503",method="GET",path="/work"} 1`,
		`http_request_duration_seconds_count{code="503",method="GET",path="/work"} 1`,
		`http_request_duration_seconds_count{code="200",method="GET",path="/work"} 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestPenaltiesComeOnlyAboveTheirGOGC(t *testing.T) {
	s := newService(configure(t, map[string]string{
		"LIVE_HEAP_BYTES": "1Mi", "LATENCY_WHEN_GOGC_ABOVE": "150:1ms",
		"ITERATIONS_WHEN_GOGC_ABOVE": "150:7", "LIVE_HEAP_WHEN_GOGC_ABOVE": "150:3",
	}))
	s.build()
	for _, c := range []struct {
		gogcPercent float64
		latency     time.Duration
		iterations  int64
		heapBytes   int64
	}{{151, time.Millisecond, 7, 3 << 20}, {150, 0, 0, 1 << 20}} {
		s.penalise(c.gogcPercent)
		latency := time.Duration(s.penaltyLatency.Load())
		if iterations := s.penaltyIterations.Load(); latency != c.latency ||
			iterations != c.iterations || s.heap.Bytes() != c.heapBytes {
			t.Errorf("at %g: %s, %d iterations, %d bytes",
				c.gogcPercent, latency, iterations, s.heap.Bytes())
		}
	}
}

func TestPenaltiesFollowTheGOGCInForce(t *testing.T) {
	s := newService(configure(t, map[string]string{"LATENCY_WHEN_GOGC_ABOVE": "0:1ms"}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.watchGOGC(ctx)
	if s.penaltyLatency.Load() == 0 {
		t.Error("none at the default GOGC")
	}
}

func TestALiveHeapEitherSwingsOrFollowsGOGC(t *testing.T) {
	both := map[string]string{"LIVE_HEAP_SWING": "2:1m", "LIVE_HEAP_WHEN_GOGC_ABOVE": "150:3"}
	if _, err := readConfig(func(name string) string { return both[name] }); err == nil {
		t.Error("taken")
	}
}

func TestRuntimeMetricsAreOptIn(t *testing.T) {
	optIn := []string{"go_gc_heap_live_bytes", "go_cpu_classes_gc_total_cpu_seconds_total",
		"go_cpu_classes_gc_mark_assist_cpu_seconds_total", "go_cpu_classes_total_cpu_seconds_total",
		"go_cpu_classes_idle_cpu_seconds_total"}
	always := []string{"go_memstats_alloc_bytes_total", "go_memstats_next_gc_bytes",
		"go_gc_duration_seconds_count", "go_gc_gogc_percent", "go_gc_gomemlimit_bytes",
		"go_sched_gomaxprocs_threads", "process_cpu_seconds_total", "process_resident_memory_bytes",
		"process_start_time_seconds", "go_info"}
	for setting, all := range map[string]bool{"default": false, "all": true} {
		s := newService(configure(t, map[string]string{"RUNTIME_METRICS": setting}))
		text := "\n" + get(s, "/metrics").Body.String()
		has := func(name string) bool {
			return strings.Contains(text, "\n"+name+" ") || strings.Contains(text, "\n"+name+"{")
		}
		for _, name := range optIn {
			if has(name) != all {
				t.Errorf("%s: %s exported: %t", setting, name, has(name))
			}
		}
		for _, name := range always {
			if !has(name) {
				t.Errorf("%s: no %s", setting, name)
			}
		}
	}
}

func TestShutdownLetsRequestsInFlightEnd(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	c := configure(t, map[string]string{
		"LISTEN": address, "DRAIN_DELAY": "50ms", "LATENCY_WHEN_GOGC_ABOVE": "0:300ms",
	})
	signals := make(chan os.Signal, 1)
	ended := make(chan error, 1)
	go func() { ended <- run(c, signals) }()

	client := &http.Client{}
	waitUntil(t, func() bool {
		answer, err := client.Get("http://" + address + "/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	inFlight := make(chan error, 1)
	go func() {
		answer, err := client.Get("http://" + address + "/work")
		if err == nil {
			_, err = io.ReadAll(answer.Body)
			answer.Body.Close()
		}
		inFlight <- err
	}()
	waitUntil(t, func() bool {
		answer, err := client.Get("http://" + address + "/metrics")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		return strings.Contains(string(text), "barrier_in_flight 1")
	})
	signals <- syscall.SIGTERM
	if err := <-inFlight; err != nil {
		t.Errorf("the request in flight: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
	if _, err := client.Get("http://" + address + "/healthz"); err == nil {
		t.Error("still answers")
	}
}

// waitUntil polls a real server; its bound only limits how long a failing test takes.
func waitUntil(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); {
		if time.Now().After(deadline) {
			t.Fatal("never came true")
		}
		time.Sleep(5 * time.Millisecond)
	}
}
