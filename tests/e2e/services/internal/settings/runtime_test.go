package settings

import (
	"math"
	"testing"
)

func TestGCPercentsAreGosOwn(t *testing.T) {
	for text, want := range map[string]int{"100": 100, "0": 0, "off": -1, "2147483647": math.MaxInt32} {
		if got, err := ParseGCPercent(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-1", "+5", "OFF", "1.5", "100%", "2147483648", "1_0", "0x10"} {
		if got, err := ParseGCPercent(text); err == nil {
			t.Errorf("%q is taken as %d", text, got)
		}
	}
}

func TestMemoryLimitsAreGosOwn(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1048576": 1 << 20, "7B": 7, "1KiB": 1 << 10, "512MiB": 512 << 20, "2GiB": 2 << 30,
		"1TiB": 1 << 40, "off": math.MaxInt64, "9223372036854775807": math.MaxInt64,
	} {
		if got, err := ParseMemoryLimit(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "-1", "512Mi", "512MB", "1.5GiB", "GiB", "1 GiB", "8388608TiB", "9223372036854775808", "none",
	} {
		if got, err := ParseMemoryLimit(text); err == nil {
			t.Errorf("%q is taken as %d", text, got)
		}
	}
}

func TestThresholdsAreCountsOrOff(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "64": 64, "off": 0} {
		if got, err := ParseThreshold(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "1.5", "many"} {
		if got, err := ParseThreshold(text); err == nil {
			t.Errorf("%q is taken as %d", text, got)
		}
	}
}
