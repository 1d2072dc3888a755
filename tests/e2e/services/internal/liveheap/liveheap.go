// Package liveheap holds a live heap of a given size and kind.
//
// The heap is made of segments of 1 MiB, so that it can grow and shrink while the service runs.
package liveheap

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"gctuner.test/services/internal/settings"
)

// SegmentBytes is the granularity of the live heap.
const SegmentBytes = 1 << 20

// Kind says what the live heap is made of.
type Kind string

const (
	// Pointers is many small objects that refer to each other: dear to mark.
	Pointers Kind = "pointers"
	// Flat is byte slices: the collector does not look inside.
	Flat Kind = "flat"
)

// node and its label fill the size classes of 96 and 32 bytes exactly, so the heap has the size
// that was asked for.
type node struct {
	left, right, peer *node
	label             *[32]byte
	payload           [64]byte
}

const nodeBytes = 96 + 32

func buildNodes(bytes int, random *rand.Rand) *node {
	nodes := make([]*node, max(1, bytes/nodeBytes))
	for i := range nodes {
		nodes[i] = &node{label: new([32]byte)}
	}
	// Neighbours in the tree are far apart in memory, as in a heap that has lived for a while.
	random.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	for i, n := range nodes {
		if left := 2*i + 1; left < len(nodes) {
			n.left = nodes[left]
		}
		if right := 2*i + 2; right < len(nodes) {
			n.right = nodes[right]
		}
		n.peer = nodes[random.IntN(len(nodes))]
		n.payload[0], n.label[0] = byte(i), byte(i)
	}
	return nodes[0]
}

func buildFlat(bytes int) []byte {
	flat := make([]byte, bytes)
	for i := range flat {
		flat[i] = byte(i) // a page counts as resident once it has been written
	}
	return flat
}

// Heap is a live heap; safe for concurrent use.
type Heap struct {
	kind Kind

	mutex    sync.Mutex
	random   *rand.Rand
	segments []any
}

// New returns an empty Heap.
func New(kind Kind) *Heap {
	return &Heap{kind: kind, random: rand.New(rand.NewPCG(1, 2))}
}

// Resize makes the live heap bytes large, rounded to whole segments.
func (h *Heap) Resize(bytes int64) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	wanted := int((bytes + SegmentBytes/2) / SegmentBytes)
	for len(h.segments) < wanted {
		if h.kind == Flat {
			h.segments = append(h.segments, buildFlat(SegmentBytes))
		} else {
			h.segments = append(h.segments, buildNodes(SegmentBytes, h.random))
		}
	}
	if len(h.segments) > wanted {
		clear(h.segments[wanted:])
		h.segments = h.segments[:wanted]
	}
}

// Bytes returns the present size.
func (h *Heap) Bytes() int64 {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return int64(len(h.segments)) * SegmentBytes
}

// Leak keeps small linked objects for ever.
type Leak struct {
	bytesPerCall int64

	mutex sync.Mutex
	owed  int64
	kept  []*node
}

// NewLeak returns a Leak of bytesPerCall.
func NewLeak(bytesPerCall int64) *Leak { return &Leak{bytesPerCall: bytesPerCall} }

// Keep leaks once. What is less than one object is carried over to the next call.
func (l *Leak) Keep() {
	if l.bytesPerCall == 0 {
		return
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for l.owed += l.bytesPerCall; l.owed >= nodeBytes; l.owed -= nodeBytes {
		l.kept = append(l.kept, &node{label: new([32]byte)})
	}
}

// Bytes returns what has been leaked so far, without the slice that holds it.
func (l *Leak) Bytes() int64 {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return int64(len(l.kept)) * nodeBytes
}

// Swing says how the live heap moves over time, as a factor on its base.
type Swing struct {
	Ratio  float64
	Period time.Duration
	Square bool
}

// ParseSwing parses RATIO:PERIOD[:SHAPE], for example 5:10m or 3:1m:square.
func ParseSwing(text string) (Swing, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 2 && len(parts) != 3 {
		return Swing{}, errors.New("want RATIO:PERIOD or RATIO:PERIOD:SHAPE, such as 5:10m")
	}
	ratio, err := settings.ParseNumber(parts[0])
	if err != nil || ratio <= 0 {
		return Swing{}, fmt.Errorf("ratio %q is not a number above 0", parts[0])
	}
	period, err := time.ParseDuration(parts[1])
	if err != nil || period <= 0 {
		return Swing{}, fmt.Errorf("period %q is not a duration above 0", parts[1])
	}
	swing := Swing{Ratio: ratio, Period: period}
	if len(parts) == 3 {
		switch parts[2] {
		case "triangle":
		case "square":
			swing.Square = true
		default:
			return Swing{}, fmt.Errorf("shape %q is neither triangle nor square", parts[2])
		}
	}
	return swing, nil
}

// Factor returns the factor on the base after elapsed: 1 at the start of each period, Ratio in its
// middle (triangle) or through its second half (square). The zero Swing stays at 1.
func (s Swing) Factor(elapsed time.Duration) float64 {
	if s.Period == 0 {
		return 1
	}
	phase := float64(elapsed%s.Period) / float64(s.Period)
	rise := 2 * phase
	switch {
	case s.Square && phase < .5:
		rise = 0
	case s.Square:
		rise = 1
	case phase > .5:
		rise = 2 - rise
	}
	return 1 + (s.Ratio-1)*rise
}
