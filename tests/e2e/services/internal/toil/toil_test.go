package toil

import (
	"runtime"
	"testing"
)

func TestGarbageIsReallyAllocated(t *testing.T) {
	const requests, bytes = 50, 1 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range requests {
		Do(0, bytes)
	}
	runtime.ReadMemStats(&after)
	perRequest := float64(after.TotalAlloc-before.TotalAlloc) / requests
	if perRequest < .98*bytes || perRequest > 1.05*bytes {
		t.Errorf("%.0f bytes per request; want %d", perRequest, bytes)
	}
	if objects := float64(after.Mallocs-before.Mallocs) / requests; objects < bytes/200 {
		t.Errorf("%.0f objects per request; want many small ones", objects)
	}
}

func TestSharesAddUp(t *testing.T) {
	for _, total := range []int64{0, 1, 15, 16, 17, 1_000_003} {
		sum := int64(0)
		for i := range int64(slices) {
			sum += share(total, i)
		}
		if sum != total {
			t.Errorf("the shares of %d add up to %d", total, sum)
		}
	}
}

func TestTheWorkIsTheSameEachTime(t *testing.T) {
	if Do(1000, 10_000) != Do(1000, 10_000) {
		t.Error("two requests differ")
	}
	if Spin(1, 10) == Spin(1, 11) {
		t.Error("an iteration changes nothing")
	}
}

func BenchmarkIteration(b *testing.B) {
	Spin(1, int64(b.N))
}

func BenchmarkGarbageOfOneMebibyte(b *testing.B) {
	for b.Loop() {
		Do(0, 1<<20)
	}
}
