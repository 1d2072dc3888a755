package settings

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

const off = "off"

// ParseGCPercent parses what GOGC may hold, into what debug.SetGCPercent takes. It refuses what the
// Go runtime would silently read as something else: negative percents and text.
func ParseGCPercent(text string) (int, error) {
	if text == off {
		return -1, nil
	}
	percent, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, errors.New("want a whole percentage of at least 0, or off")
	}
	return int(percent), nil
}

// ParseMemoryLimit parses what GOMEMLIMIT may hold, into what debug.SetMemoryLimit takes.
func ParseMemoryLimit(text string) (int64, error) {
	if text == off {
		return math.MaxInt64, nil
	}
	digits, unit := text, uint64(1)
	for _, suffix := range []struct {
		text  string
		bytes uint64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"B", 1}} {
		if before, found := strings.CutSuffix(text, suffix.text); found {
			digits, unit = before, suffix.bytes
			break
		}
	}
	number, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || number > math.MaxInt64/unit {
		return 0, errors.New("want bytes such as 1048576, 512MiB or 2GiB, or off")
	}
	return int64(number * unit), nil
}

// ParseThreshold parses a barrier's threshold; off is 0, which means none.
func ParseThreshold(text string) (int64, error) {
	if text == off {
		return 0, nil
	}
	threshold, err := strconv.ParseInt(text, 10, 64)
	if err != nil || threshold < 1 {
		return 0, errors.New("want a whole number of at least 1, or off")
	}
	return threshold, nil
}

// GCPercent reads a GOGC; nil when it is not set.
func (r *Reader) GCPercent(name string) *int {
	return read(r, name, nil, func(text string) (*int, error) {
		percent, err := ParseGCPercent(text)
		return &percent, err
	})
}

// MemoryLimit reads a GOMEMLIMIT; nil when it is not set.
func (r *Reader) MemoryLimit(name string) *int64 {
	return read(r, name, nil, func(text string) (*int64, error) {
		limit, err := ParseMemoryLimit(text)
		return &limit, err
	})
}
