package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"gctuner.test/services/internal/wire"
)

const (
	pollInterval = 500 * time.Millisecond
	pollTimeout  = 2 * time.Second
)

// targets is the list of servers, taken round robin. It is replaced as a whole by one writer and
// read by many.
type targets struct {
	path    string
	list    atomic.Pointer[[]*wire.Target]
	counter atomic.Uint64
}

func newTargets(path string) *targets {
	t := &targets{path: path}
	t.list.Store(new([]*wire.Target))
	return t
}

// set replaces the list; targets in both keep their connections.
func (t *targets) set(addresses []string) {
	old := make(map[string]*wire.Target)
	for _, target := range *t.list.Load() {
		old[target.Address()] = target
	}
	list := make([]*wire.Target, 0, len(addresses))
	seen := make(map[string]bool)
	for _, address := range addresses {
		if seen[address] {
			continue
		}
		seen[address] = true
		target, found := old[address]
		if !found {
			target = wire.NewTarget(address, t.path)
		}
		list = append(list, target)
	}
	t.list.Store(&list)
	for address, target := range old {
		if !seen[address] {
			target.Retire()
		}
	}
}

func (t *targets) count() int { return len(*t.list.Load()) }

// next returns the next target, or nil when there is none.
func (t *targets) next() *wire.Target {
	list := *t.list.Load()
	if len(list) == 0 {
		return nil
	}
	return list[t.counter.Add(1)%uint64(len(list))]
}

// other returns a target that is not the given one, or nil when there is none.
func (t *targets) other(than *wire.Target) *wire.Target {
	for range t.count() {
		if target := t.next(); target != than && target != nil {
			return target
		}
	}
	return nil
}

// poll keeps the list in step with the JSON list at url until ctx ends. A failed poll keeps the last
// list, as kube-proxy keeps its last endpoints.
func (t *targets) poll(ctx context.Context, url string) {
	client := &http.Client{Timeout: pollTimeout}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	failing := false
	for {
		addresses, err := fetch(ctx, client, url)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			t.set(addresses)
		case !failing:
			slog.Warn("the list of targets cannot be had; keeping the last", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func fetch(ctx context.Context, client *http.Client, url string) ([]string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", url, answer.Status)
	}
	var addresses []string
	if err := json.NewDecoder(answer.Body).Decode(&addresses); err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	for _, address := range addresses {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("%s: %w", url, err)
		}
	}
	return addresses, nil
}

// wait returns once there is a target; it fails when there is none after patience. Patience 0 does
// not wait.
func (t *targets) wait(ctx context.Context, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for patience > 0 && t.count() == 0 && ctx.Err() == nil {
		if time.Now().After(deadline) {
			return fmt.Errorf("no target after %s", patience)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}
