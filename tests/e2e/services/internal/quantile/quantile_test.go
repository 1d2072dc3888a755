package quantile

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantilesAreWithinTheStatedPrecision(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	histogram := new(Histogram)
	var all []time.Duration
	for range 20_000 {
		duration := time.Duration(random.ExpFloat64() * float64(5*time.Millisecond))
		all = append(all, duration)
		histogram.Add(duration)
	}
	slices.Sort(all)
	for _, q := range []float64{.01, .5, .95, .99, .999, 1} {
		exact := all[int(math.Ceil(q*float64(len(all))))-1]
		got := histogram.Quantile(q)
		if got < exact || float64(got) > float64(exact)*1.004 {
			t.Errorf("quantile %g: %s; want %s to 0.4 %% more", q, got, exact)
		}
	}
}

func TestEveryDurationFallsUnderTheEdgeOfItsBucket(t *testing.T) {
	durations := []time.Duration{0, 1, 255, 256, 257, 511, 512, 513, 1023, time.Second, math.MaxInt64}
	for _, duration := range durations {
		index := bucket(duration)
		if edge := upperEdge(index); duration > edge {
			t.Errorf("%d lies above the edge %d of its bucket %d", duration, edge, index)
		}
		if index > 0 && duration <= upperEdge(index-1) {
			t.Errorf("%d also lies under the edge of bucket %d", duration, index-1)
		}
	}
}

func TestMergeAddsUp(t *testing.T) {
	left, right := new(Histogram), new(Histogram)
	for i := range 100 {
		left.Add(time.Duration(i) * time.Millisecond)
		right.Add(time.Duration(100+i) * time.Millisecond)
	}
	left.Merge(right)
	if left.Count() != 200 || left.Max() != 199*time.Millisecond {
		t.Errorf("count %d, max %s", left.Count(), left.Max())
	}
	want := 99 * time.Millisecond
	if got := left.Quantile(.5); got < want || got > want+want/250 {
		t.Errorf("median %s; want %s", got, want)
	}
}

func TestAnEmptyHistogramHasNoQuantile(t *testing.T) {
	if got := new(Histogram).Quantile(.99); got != 0 {
		t.Errorf("%s", got)
	}
}
