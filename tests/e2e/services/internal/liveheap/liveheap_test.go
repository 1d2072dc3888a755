package liveheap

import (
	"math"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

func markedBytes() float64 {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64())
}

func TestTheCollectorFindsTheLiveHeapThatWasAskedFor(t *testing.T) {
	for _, kind := range []Kind{Pointers, Flat} {
		before := markedBytes()
		heap := New(kind)
		for _, mebibytes := range []int64{24, 60, 8} {
			heap.Resize(mebibytes * SegmentBytes)
			grown := (markedBytes() - before) / SegmentBytes
			if math.Abs(grown-float64(mebibytes)) > .03*float64(mebibytes)+.5 {
				t.Errorf("%s: %.1f MiB live; want %d", kind, grown, mebibytes)
			}
		}
		if heap.Bytes() != 8*SegmentBytes {
			t.Errorf("Bytes = %d", heap.Bytes())
		}
		runtime.KeepAlive(heap)
	}
}

func TestLeakKeepsWhatItSays(t *testing.T) {
	leak := NewLeak(100)
	for range 1280 {
		leak.Keep()
	}
	if got := leak.Bytes(); got != 128_000 {
		t.Errorf("%d bytes leaked; want 128000", got)
	}
	none := NewLeak(0)
	none.Keep()
	if none.Bytes() != 0 {
		t.Error("leaks without being asked")
	}
}

func TestSwing(t *testing.T) {
	triangle, err := ParseSwing("5:10m")
	if err != nil {
		t.Fatal(err)
	}
	square, err := ParseSwing("3:1m:square")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		swing Swing
		at    time.Duration
		want  float64
	}{
		{Swing{}, time.Hour, 1},
		{triangle, 0, 1},
		{triangle, 150 * time.Second, 3},
		{triangle, 5 * time.Minute, 5},
		{triangle, 450 * time.Second, 3},
		{triangle, 10 * time.Minute, 1},
		{square, 29 * time.Second, 1},
		{square, 30 * time.Second, 3},
		{square, 60 * time.Second, 1},
	} {
		if got := c.swing.Factor(c.at); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v at %s: %g; want %g", c.swing, c.at, got, c.want)
		}
	}
	for _, text := range []string{"5", "0:1m", "5:0s", "x:1m", "5:1m:saw", "5:1m:square:x", "5:10"} {
		if _, err := ParseSwing(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
