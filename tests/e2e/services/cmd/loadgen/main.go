// Command loadgen is an open-loop load generator. README.md lists its settings.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gctuner.test/services/internal/schedule"
)

const exitMalformedSetting = 2

func main() {
	c, err := readConfig(os.Args[1:], os.Getenv)
	if errors.Is(err, flag.ErrHelp) {
		for _, setting := range environment {
			fmt.Printf("  -%-17s %-17s %s\n", setting.flag, setting.variable, setting.usage)
		}
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitMalformedSetting)
	}
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, c, os.Stdout); err != nil {
		slog.Error("load generator ended", "error", err)
		os.Exit(1)
	}
}

// run generates load until ctx ends or the configured duration has passed.
func run(ctx context.Context, c config, out io.Writer) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	g := &generator{
		targets:     newTargets(c.path),
		tally:       newTally(registry),
		timeout:     c.timeout,
		maxInFlight: c.maxInFlight,
	}
	listener, err := net.Listen("tcp", c.listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: routes(registry), ReadHeaderTimeout: 10 * time.Second}
	defer server.Close()
	go server.Serve(listener) //nolint:errcheck // always ErrServerClosed, by the Close above

	if c.targetsURL == "" {
		g.targets.set(c.targets)
	} else {
		pollCtx, stopPoll := context.WithCancel(context.Background())
		defer stopPoll() // the list is kept fresh while the last requests end
		go g.targets.poll(pollCtx, c.targetsURL)
	}
	if err := g.targets.wait(ctx, c.waitForTargets); err != nil {
		return err
	}

	started := time.Now()
	registerGauges(registry, g, c.schedule, started)
	reported := make(chan struct{})
	reportCtx, stopReport := context.WithCancel(context.Background())
	go func() {
		defer close(reported)
		g.report(reportCtx, out, started, c.interval)
	}()
	err = g.run(ctx, arrivals(c), started, c.duration)
	offered := time.Since(started)
	g.running.Wait()
	stopReport()
	<-reported
	if err != nil {
		return err
	}
	return g.summary("final", g.tally.final(), offered, started).print(out)
}

func arrivals(c config) *schedule.Arrivals {
	if c.uniform {
		return schedule.Uniform(c.schedule)
	}
	return schedule.Poisson(c.schedule, c.seed)
}

func routes(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	ok := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }
	mux.HandleFunc("GET /healthz", ok)
	mux.HandleFunc("GET /readyz", ok)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

func registerGauges(
	registry prometheus.Registerer, g *generator, rate schedule.Schedule, started time.Time,
) {
	gauge := func(name, help string, read func() float64) {
		registry.MustRegister(
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
	}
	gauge("loadgen_in_flight", "Requests sent and not yet ended.",
		func() float64 { return float64(g.inFlight.Load()) })
	gauge("loadgen_targets", "Targets in the list.",
		func() float64 { return float64(g.targets.count()) })
	gauge("loadgen_target_rate", "Requests per second that the schedule asks for now.",
		func() float64 { return rate(time.Since(started)) })
}

// report prints a summary each interval until ctx ends.
func (g *generator) report(
	ctx context.Context, out io.Writer, started time.Time, interval time.Duration,
) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for last := started; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		line := g.summary("interval", g.tally.cut(), now.Sub(last), started)
		if err := line.print(out); err != nil {
			slog.Warn("a summary could not be printed", "error", err)
		}
		last = now
	}
}

func (g *generator) summary(
	kind string, c counts, window time.Duration, started time.Time,
) summary {
	s := summarise(kind, c, window)
	s.Time = time.Now().UTC()
	s.ElapsedSeconds = time.Since(started).Seconds()
	s.InFlight = g.inFlight.Load()
	s.Targets = g.targets.count()
	return s
}
