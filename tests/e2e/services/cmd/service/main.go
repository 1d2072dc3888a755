// Command service is a sample Go service: a live heap held for ever, and garbage and CPU for each
// request. README.md lists its settings.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

const exitMalformedSetting = 2

func main() {
	c, err := readConfig(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitMalformedSetting)
	}
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	if err := run(c, signals); err != nil {
		slog.Error("service ended", "error", err)
		os.Exit(1)
	}
}

// run serves until a signal, and returns nil after an orderly shutdown.
func run(c config, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	listener, err := net.Listen("tcp", c.listen)
	if err != nil {
		return err
	}
	s := newService(c)
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	if err := tuneInProcess(c); err != nil {
		return err
	}
	go s.followLiveConfig(ctx)
	go s.watchGOGC(ctx)
	go func() {
		started := time.Now()
		s.build()
		slog.Info("ready", "listen", listener.Addr().String(), "live_heap_bytes", s.heap.Bytes(),
			"build_seconds", time.Since(started).Seconds(), "gogc_percent", observedGOGC(),
			"gomemlimit_bytes", observedMemoryLimit(), "gomaxprocs", runtime.GOMAXPROCS(0),
			"go", runtime.Version())
		go s.batch(ctx)
		s.swing(ctx)
	}()

	select {
	case err := <-failed:
		return err
	case received := <-signals:
		slog.Info("shutting down", "signal", received.String())
	}
	s.drain()
	select {
	case <-time.After(c.drainDelay):
	case <-signals:
		return errors.New("second signal")
	}
	graceful, stop := context.WithTimeout(ctx, c.shutdownGrace)
	defer stop()
	go func() {
		<-signals
		stop()
	}()
	if err := server.Shutdown(graceful); err != nil {
		return fmt.Errorf("requests still in flight: %w", err)
	}
	slog.Info("shut down", "served", s.served.Load())
	return nil
}
