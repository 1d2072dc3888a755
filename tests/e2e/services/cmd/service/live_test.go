package main

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

// keepRuntime puts GOGC and GOMEMLIMIT back after a test that changes them.
func keepRuntime(t *testing.T) {
	t.Helper()
	percent, limit := debug.SetGCPercent(120), debug.SetMemoryLimit(3<<30)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
}

func expectMetrics(t *testing.T, s *service, when string, wants ...string) {
	t.Helper()
	text := "\n" + get(s, "/metrics").Body.String()
	for _, want := range wants {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("%s: no %s", when, want)
		}
	}
}

func TestLiveSettingsAreSeenInTheDefaultMetrics(t *testing.T) {
	keepRuntime(t)
	directory := t.TempDir()
	s := newService(configure(t, map[string]string{
		"LIVE_CONFIG_DIR": directory, "BARRIER_THRESHOLD": "7",
	}))
	put := func(key, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(directory, key), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	atStart := []string{"go_gc_gogc_percent 120", "go_gc_gomemlimit_bytes 3.221225472e+09",
		"barrier_threshold 7", "live_config_refused_total 0"}
	s.live.Poll()
	expectMetrics(t, s, "no files", atStart...)

	put("GOGC", "250")
	put("GOMEMLIMIT", "2GiB")
	put("BARRIER", "3")
	s.live.Poll()
	inForce := []string{"go_gc_gogc_percent 250", "go_gc_gomemlimit_bytes 2.147483648e+09",
		"barrier_threshold 3"}
	expectMetrics(t, s, "files", inForce...)

	put("GOGC", "much")
	put("GOMEMLIMIT", "2Gi")
	put("BARRIER", "0")
	s.live.Poll()
	s.live.Poll()
	expectMetrics(t, s, "malformed files", append(inForce, "live_config_refused_total 3")...)

	put("GOGC", "off")
	put("GOMEMLIMIT", "off")
	put("BARRIER", "off")
	s.live.Poll()
	expectMetrics(t, s, "off", "go_gc_gogc_percent 1.8446744073709552e+19",
		"go_gc_gomemlimit_bytes 9.223372036854776e+18")
	if text := get(s, "/metrics").Body.String(); strings.Contains(text, "\nbarrier_threshold ") {
		t.Error("off: a barrier")
	}

	for _, key := range []string{"GOGC", "GOMEMLIMIT", "BARRIER"} {
		if err := os.Remove(filepath.Join(directory, key)); err != nil {
			t.Fatal(err)
		}
	}
	s.live.Poll()
	expectMetrics(t, s, "files gone", atStart[:3]...)
}

func TestATunerInTheProgramIsSeenInTheDefaultMetrics(t *testing.T) {
	keepRuntime(t)
	c := configure(t, map[string]string{"SET_GC_PERCENT": "300", "SET_MEMORY_LIMIT": "1GiB"})
	s := newService(c)
	expectMetrics(t, s, "before", "go_gc_gogc_percent 120")
	if err := tuneInProcess(c); err != nil {
		t.Fatal(err)
	}
	expectMetrics(t, s, "after", "go_gc_gogc_percent 300", "go_gc_gomemlimit_bytes 1.073741824e+09")
}

func TestWithoutATunerInTheProgramNothingIsSet(t *testing.T) {
	keepRuntime(t)
	c := configure(t, nil)
	if err := tuneInProcess(c); err != nil {
		t.Fatal(err)
	}
	expectMetrics(t, newService(c), "unset", "go_gc_gogc_percent 120",
		"go_gc_gomemlimit_bytes 3.221225472e+09")
}
