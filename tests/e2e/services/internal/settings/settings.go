// Package settings reads a program's settings from flags and the environment.
//
// A Reader collects every malformed setting instead of stopping at the first, so that one failed
// start names all that is wrong.
package settings

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

// Reader reads typed settings by name. An unset or empty setting has its default.
type Reader struct {
	lookup func(name string) string
	errs   []error
}

// NewReader returns a Reader on lookup, for example os.Getenv.
func NewReader(lookup func(name string) string) *Reader {
	return &Reader{lookup: lookup}
}

// Err returns all malformed settings so far, or nil.
func (r *Reader) Err() error { return errors.Join(r.errs...) }

// Refuse records that the setting name is malformed.
func (r *Reader) Refuse(name string, err error) {
	r.errs = append(r.errs, fmt.Errorf("%s=%q: %w", name, r.lookup(name), err))
}

func read[T any](r *Reader, name string, otherwise T, parse func(string) (T, error)) T {
	text := strings.TrimSpace(r.lookup(name))
	if text == "" {
		return otherwise
	}
	value, err := parse(text)
	if err != nil {
		r.Refuse(name, err)
		return otherwise
	}
	return value
}

// Text reads a setting as it stands.
func (r *Reader) Text(name, otherwise string) string {
	return read(r, name, otherwise, func(text string) (string, error) { return text, nil })
}

// OneOf reads a setting that must be one of choices.
func (r *Reader) OneOf(name, otherwise string, choices ...string) string {
	return read(r, name, otherwise, func(text string) (string, error) {
		for _, choice := range choices {
			if text == choice {
				return text, nil
			}
		}
		return "", fmt.Errorf("want one of %s", strings.Join(choices, ", "))
	})
}

// Bytes reads a Kubernetes quantity of bytes.
func (r *Reader) Bytes(name string, otherwise int64) int64 {
	return read(r, name, otherwise, ParseBytes)
}

// Count reads a whole number of at least least.
func (r *Reader) Count(name string, otherwise, least int64) int64 {
	return read(r, name, otherwise, func(text string) (int64, error) {
		value, err := strconv.ParseInt(text, 10, 64)
		if err != nil || value < least {
			return 0, fmt.Errorf("want a whole number of at least %d", least)
		}
		return value, nil
	})
}

// Number reads a finite number between low and high.
func (r *Reader) Number(name string, otherwise, low, high float64) float64 {
	return read(r, name, otherwise, func(text string) (float64, error) {
		value, err := ParseNumber(text)
		if err != nil || value < low || value > high {
			return 0, fmt.Errorf("want a number from %g to %g", low, high)
		}
		return value, nil
	})
}

// Duration reads a duration of at least least.
func (r *Reader) Duration(name string, otherwise, least time.Duration) time.Duration {
	return read(r, name, otherwise, func(text string) (time.Duration, error) {
		value, err := time.ParseDuration(text)
		if err != nil || value < least {
			return 0, fmt.Errorf("want a duration of at least %s, such as 500ms or 2m", least)
		}
		return value, nil
	})
}

// ListenAddress reads LISTEN; without it, POD_IP and PORT.
func (r *Reader) ListenAddress(otherwisePort int64) string {
	port := strconv.FormatInt(r.Count("PORT", otherwisePort, 0), 10)
	host := read(r, "POD_IP", "", func(text string) (string, error) {
		if net.ParseIP(text) == nil {
			return "", errors.New("want an IP address")
		}
		return text, nil
	})
	return read(r, "LISTEN", net.JoinHostPort(host, port), func(text string) (string, error) {
		if _, _, err := net.SplitHostPort(text); err != nil {
			return "", errors.New("want host:port or :port")
		}
		return text, nil
	})
}

// ParseNumber parses a finite number.
func ParseNumber(text string) (float64, error) {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, fmt.Errorf("%q is not a finite number", text)
	}
	return value, nil
}

var suffixes = []struct {
	text  string
	bytes float64
}{
	{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40},
	{"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12},
}

// ParseBytes parses a Kubernetes quantity of bytes, such as 64Mi, 1.5G or 1048576.
func ParseBytes(text string) (int64, error) {
	malformed := fmt.Errorf("want a quantity of bytes such as 64Mi, 1G or 1048576")
	number, unit := text, 1.0
	for _, suffix := range suffixes {
		if before, found := strings.CutSuffix(text, suffix.text); found {
			number, unit = before, suffix.bytes
			break
		}
	}
	// Digits and a point only: ParseFloat alone would also take "0x1p4", "inf" and "1_0".
	if number == "" || strings.Trim(number, "0123456789.") != "" {
		return 0, malformed
	}
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || value*unit >= math.MaxInt64 {
		return 0, malformed
	}
	return int64(math.Ceil(value * unit)), nil
}
