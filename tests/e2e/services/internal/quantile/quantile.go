// Package quantile keeps durations in a histogram fine enough to read quantiles from.
package quantile

import (
	"math"
	"math/bits"
	"time"
)

// precisionBits fixes the relative width of a bucket: 2^-8, under 0.4 %.
const precisionBits = 8

const perOctave = 1 << precisionBits

// Histogram counts durations in buckets of constant relative width. The zero value is empty and
// ready. Not safe for concurrent use.
type Histogram struct {
	counts [(64 - precisionBits) * perOctave]uint64
	total  uint64
	max    time.Duration
}

func bucket(duration time.Duration) int {
	nanoseconds := uint64(max(0, duration))
	octave := bits.Len64(nanoseconds >> precisionBits)
	if octave == 0 {
		return int(nanoseconds)
	}
	// The leading bit of the mantissa is implied by the octave.
	return octave*perOctave + int(nanoseconds>>(octave-1)) - perOctave
}

// upperEdge is the largest duration that falls into the bucket.
func upperEdge(index int) time.Duration {
	octave := index / perOctave
	if octave == 0 {
		return time.Duration(index)
	}
	mantissa := uint64(index%perOctave + perOctave + 1)
	return time.Duration(mantissa<<(octave-1) - 1)
}

// Add counts one duration; a negative one counts as 0.
func (h *Histogram) Add(duration time.Duration) {
	h.counts[bucket(duration)]++
	h.total++
	h.max = max(h.max, duration)
}

// Merge adds all that other counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, count := range other.counts {
		h.counts[i] += count
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// Count returns how many durations were counted.
func (h *Histogram) Count() uint64 { return h.total }

// Max returns the largest duration, exactly; 0 when empty.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns the duration that a share q of all does not exceed, at most 0.4 % too large;
// 0 when empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.total)))
	seen := uint64(0)
	for i, count := range h.counts {
		if seen += count; seen >= rank && seen > 0 {
			return min(upperEdge(i), h.max)
		}
	}
	return 0
}
