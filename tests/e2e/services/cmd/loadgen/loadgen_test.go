package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gctuner.test/services/internal/schedule"
)

func TestEveryMalformedSettingIsNamed(t *testing.T) {
	malformed := map[string]string{
		"LISTEN": "x", "TARGETS": "no-port", "REQUEST_PATH": "work", "RATE": "-1",
		"ARRIVALS": "bursty", "SEED": "-1", "DURATION": "8", "INTERVAL": "0s",
		"REQUEST_TIMEOUT": "0s", "MAX_IN_FLIGHT": "0", "WAIT_FOR_TARGETS": "x",
	}
	_, err := readConfig(nil, func(name string) string { return malformed[name] })
	if err == nil {
		t.Fatal("taken")
	}
	for name := range malformed {
		if !strings.Contains(err.Error(), name+"=") {
			t.Errorf("%s is not named", name)
		}
	}
}

func TestAFlagWinsOverItsVariable(t *testing.T) {
	values := map[string]string{"TARGETS": "a:1", "RATE": "50"}
	c, err := readConfig([]string{"-rate", "70", "-targets=b:2,c:3"},
		func(name string) string { return values[name] })
	if err != nil {
		t.Fatal(err)
	}
	if c.schedule(0) != 70 || len(c.targets) != 2 || c.targets[0] != "b:2" {
		t.Errorf("rate %g, targets %v", c.schedule(0), c.targets)
	}
}

func TestContradictionsAreRefused(t *testing.T) {
	for name, arguments := range map[string][]string{
		"no target":           {},
		"both kinds":          {"-targets", "a:1", "-targets-url", "http://b/"},
		"rate and schedule":   {"-targets", "a:1", "-rate", "5", "-schedule", "constant:5"},
		"unknown flag":        {"-targets", "a:1", "-speed", "5"},
		"stray argument":      {"-targets", "a:1", "5"},
		"malformed schedule":  {"-targets", "a:1", "-schedule", "constant"},
		"targets URL no host": {"-targets-url", "endpoints"},
	} {
		if _, err := readConfig(arguments, func(string) string { return "" }); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func newGenerator(addresses ...string) *generator {
	g := &generator{
		targets:     newTargets("/work"),
		tally:       newTally(prometheus.NewRegistry()),
		timeout:     time.Second,
		maxInFlight: 2000,
	}
	g.targets.set(addresses)
	return g
}

func refusingAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	return listener.Addr().String()
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestTargetsAreTakenRoundRobin(t *testing.T) {
	targets := newTargets("/")
	targets.set([]string{"a:1", "b:1", "a:1"})
	seen := map[string]int{}
	for range 10 {
		seen[targets.next().Address()]++
	}
	if seen["a:1"] != 5 || seen["b:1"] != 5 {
		t.Errorf("%v", seen)
	}
}

func TestAChangedListKeepsTheTargetsThatStay(t *testing.T) {
	targets := newTargets("/")
	targets.set([]string{"a:1", "b:1"})
	before := *targets.list.Load()
	targets.set([]string{"b:1", "c:1"})
	after := *targets.list.Load()
	if after[0] != before[1] || after[0].Retired() {
		t.Error("the target that stays was replaced")
	}
	if !before[0].Retired() {
		t.Error("the target that went is not retired")
	}
}

func TestAnEmptyListFailsWithItsReason(t *testing.T) {
	if got := newGenerator().request(time.Now()); got.failure != noTarget {
		t.Errorf("%+v", got)
	}
}

func TestARefusedConnectionIsTriedOnceElsewhere(t *testing.T) {
	good := serve(t, func(http.ResponseWriter, *http.Request) {})
	g := newGenerator(refusingAddress(t), good)
	for range 4 {
		if got := g.request(time.Now()); got.failure != noFailure || got.code != http.StatusOK {
			t.Errorf("%+v", got)
		}
	}
	if got := newGenerator(refusingAddress(t)).request(time.Now()); got.failure != refused {
		t.Errorf("one target: %+v", got)
	}
	both := newGenerator(refusingAddress(t), refusingAddress(t))
	if got := both.request(time.Now()); got.failure != refused {
		t.Errorf("both refuse: %+v", got)
	}
}

func TestAConnectionLostWithARemovedTargetIsToldApart(t *testing.T) {
	arrived, finish := make(chan struct{}), make(chan struct{})
	address := serve(t, func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-finish
		panic(http.ErrAbortHandler) // breaks the connection
	})
	for _, c := range []struct {
		remove bool
		want   reason
	}{{false, lost}, {true, gone}} {
		g := newGenerator(address)
		ended := make(chan outcome, 1)
		go func() { ended <- g.request(time.Now()) }()
		<-arrived
		if c.remove {
			g.targets.set(nil)
		}
		finish <- struct{}{}
		if got := <-ended; got.failure != c.want {
			t.Errorf("removed %t: %q; want %q", c.remove, got.failure, c.want)
		}
	}
}

func TestLatencyCountsFromTheIntendedStart(t *testing.T) {
	g := newGenerator(serve(t, func(http.ResponseWriter, *http.Request) {}))
	late := 400 * time.Millisecond
	if got := g.request(time.Now().Add(-late)); got.failure != noFailure || got.latency < late {
		t.Errorf("%+v; want at least %s", got, late)
	}
}

func TestBeyondTheBoundRequestsAreDroppedNotQueued(t *testing.T) {
	release := make(chan struct{})
	g := newGenerator(serve(t, func(http.ResponseWriter, *http.Request) { <-release }))
	g.maxInFlight = 3
	for range 5 {
		g.dispatch(time.Now())
	}
	close(release)
	g.running.Wait()
	total := g.tally.final()
	if total.failures[dropped] != 2 || total.codes["200"] != 3 || total.codes[codeNoAnswer] != 2 {
		t.Errorf("%+v, %+v", total.codes, total.failures)
	}
}

func TestASlowServerDoesNotThinOutTheLoad(t *testing.T) {
	served := new(atomic.Int64)
	address := serve(t, func(http.ResponseWriter, *http.Request) {
		served.Add(1)
		time.Sleep(100 * time.Millisecond)
	})
	g := newGenerator(address)
	rate, err := schedule.Parse("constant:200")
	if err != nil {
		t.Fatal(err)
	}
	err = g.run(t.Context(), schedule.Uniform(rate), time.Now(), 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	g.running.Wait()
	if got := served.Load(); got != 99 && got != 100 {
		t.Errorf("%d requests; want 100", got)
	}
	if median := g.tally.final().latency.Quantile(.5); median < 100*time.Millisecond {
		t.Errorf("median %s", median)
	}
}

func TestTimeoutsCountAsLatencyAndRefusalsDoNot(t *testing.T) {
	g := newGenerator()
	g.tally.add(outcome{failure: timedOut, latency: time.Second})
	g.tally.add(outcome{code: 200, latency: time.Millisecond})
	g.tally.add(outcome{code: 503, latency: time.Microsecond})
	total := g.tally.final()
	if total.latency.Count() != 2 || total.latency.Max() != time.Second {
		t.Errorf("%d latencies, max %s", total.latency.Count(), total.latency.Max())
	}
	if got := summarise("final", total, time.Second); got.Errors != 2 || got.OKRate != 1 {
		t.Errorf("%+v", got)
	}
}

func TestTheListIsPolledAndAFailedPollKeepsIt(t *testing.T) {
	body := new(atomic.Value)
	body.Store(`["127.0.0.1:1","127.0.0.1:2"]`)
	list := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(body.Load().(string)))
	})
	client := &http.Client{}
	addresses, err := fetch(t.Context(), client, "http://"+list)
	if err != nil || len(addresses) != 2 {
		t.Errorf("%v, %v", addresses, err)
	}
	for _, malformed := range []string{"<html>", `["no-port"]`, `{"a":1}`} {
		body.Store(malformed)
		if _, err := fetch(t.Context(), client, "http://"+list); err == nil {
			t.Errorf("%s is taken", malformed)
		}
	}
	targets := newTargets("/")
	targets.set([]string{"127.0.0.1:1"})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	targets.poll(ctx, "http://"+list)
	if targets.count() != 1 {
		t.Errorf("%d targets after a failed poll", targets.count())
	}
}

func TestARunPrintsItsSummaries(t *testing.T) {
	address := serve(t, func(http.ResponseWriter, *http.Request) {})
	c, err := readConfig(
		[]string{
			"-targets", address, "-rate", "100", "-duration", "450ms", "-interval", "200ms",
			"-listen", "127.0.0.1:0", "-arrivals", "uniform",
		},
		func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), c, &out); err != nil {
		t.Fatal(err)
	}
	var lines []summary
	for decoder := json.NewDecoder(&out); decoder.More(); {
		var line summary
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if len(lines) < 2 || lines[0].Type != "interval" {
		t.Fatalf("%+v", lines)
	}
	final := lines[len(lines)-1]
	if final.Type != "final" || final.Codes["200"] < 43 || final.Codes["200"] > 45 ||
		final.Errors != 0 || final.P99 < final.P50 || final.P50 <= 0 || final.Targets != 1 {
		t.Errorf("%+v", final)
	}
}
