package schedule

import (
	"math"
	"slices"
	"testing"
	"time"
)

func mustParse(t *testing.T, text string) Schedule {
	t.Helper()
	parsed, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestRates(t *testing.T) {
	type point struct {
		at   time.Duration
		rate float64
	}
	for text, points := range map[string][]point{
		"constant:300":            {{0, 300}, {time.Hour, 300}},
		"step:100@0s,300@60s":     {{0, 100}, {59 * time.Second, 100}, {60 * time.Second, 300}},
		"step:5@0s,0@1s,7@2s":     {{0, 5}, {1500 * time.Millisecond, 0}, {time.Hour, 7}},
		"ramp:100-500/120s":       {{0, 100}, {60 * time.Second, 300}, {time.Hour, 500}},
		"ramp:500-100/100s":       {{25 * time.Second, 400}, {time.Hour, 100}},
		"wave:100-500/10m":        {{0, 100}, {150 * time.Second, 300}, {5 * time.Minute, 500}},
		"constant:1; ramp:0-2/2s": {{0, 1}, {time.Second, 2}, {time.Minute, 3}},
		"burst:100,+400/10s every 60s": {
			{0, 100},
			{59 * time.Second, 100},
			{60 * time.Second, 500},
			{69 * time.Second, 500},
			{70 * time.Second, 100},
			{125 * time.Second, 500},
		},
	} {
		schedule := mustParse(t, text)
		for _, p := range points {
			if got := schedule(p.at); math.Abs(got-p.rate) > 1e-6 {
				t.Errorf("%s at %s: %g; want %g", text, p.at, got, p.rate)
			}
		}
	}
}

func TestMalformedSchedulesAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "300", "constant:", "constant:-1", "constant:NaN", "constant:1;", "spike:3",
		"step:100", "step:100@5s", "step:100@0s,200@0s", "step:100@0s,200@60",
		"ramp:100/10s", "ramp:1-2/0s", "ramp:1-2", "wave:1-2/-1s",
		"burst:100,400/10s every 60s", "burst:100,+400/60s every 60s", "burst:100,+400/10s",
		"burst:100,+400/0s every 60s",
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func until(arrivals *Arrivals, end, stride time.Duration) []time.Duration {
	var moments []time.Duration
	for horizon := stride; horizon <= end; horizon += stride {
		for {
			moment, found := arrivals.Next(horizon)
			if !found {
				break
			}
			moments = append(moments, moment)
		}
	}
	return moments
}

func TestUniformArrivalsFollowTheRate(t *testing.T) {
	moments := until(Uniform(mustParse(t, "step:100@0s,400@10s")), 20*time.Second, time.Second)
	if got := len(moments); got < 4998 || got > 5000 {
		t.Fatalf("%d arrivals; want 5000", got)
	}
	if gap := moments[100] - moments[99]; (gap - 10*time.Millisecond).Abs() > time.Microsecond {
		t.Errorf("gap at 100/s: %s", gap)
	}
	last := len(moments) - 1
	if gap := moments[last] - moments[last-1]; (gap - 2500*time.Microsecond).Abs() > time.Microsecond {
		t.Errorf("gap at 400/s: %s", gap)
	}
	if !slices.IsSorted(moments) {
		t.Error("arrivals are out of order")
	}
}

func TestPoissonArrivalsHaveTheirMeanAndSpread(t *testing.T) {
	moments := until(Poisson(mustParse(t, "constant:200"), 1), 100*time.Second, time.Second)
	// 20,000 expected, standard deviation 141: five of them is a bound that a fixed seed keeps.
	if got := float64(len(moments)); math.Abs(got-20_000) > 5*141 {
		t.Errorf("%g arrivals; want about 20000", got)
	}
	sum, squares := 0.0, 0.0
	for i := 1; i < len(moments); i++ {
		gap := (moments[i] - moments[i-1]).Seconds()
		sum += gap
		squares += gap * gap
	}
	n := float64(len(moments) - 1)
	mean := sum / n
	if variation := math.Sqrt(squares/n-mean*mean) / mean; math.Abs(variation-1) > .05 {
		t.Errorf("coefficient of variation %.3f; want 1, an exponential's", variation)
	}
}

func TestTheSameSeedGivesTheSameArrivals(t *testing.T) {
	rate := mustParse(t, "ramp:10-200/5s")
	first := until(Poisson(rate, 7), 5*time.Second, time.Second)
	if again := until(Poisson(rate, 7), 5*time.Second, time.Second); !slices.Equal(first, again) {
		t.Error("same seed, other arrivals")
	}
	if other := until(Poisson(rate, 8), 5*time.Second, time.Second); slices.Equal(first, other) {
		t.Error("other seed, same arrivals")
	}
}

func TestTheStrideOfTheHorizonDoesNotMoveArrivals(t *testing.T) {
	rate := mustParse(t, "constant:150")
	coarse := until(Poisson(rate, 3), 6*time.Second, 2*time.Second)
	fine := until(Poisson(rate, 3), 6*time.Second, 30*time.Millisecond)
	if len(coarse) != len(fine) {
		t.Fatalf("%d and %d arrivals", len(coarse), len(fine))
	}
	for i := range coarse {
		if (coarse[i] - fine[i]).Abs() > time.Microsecond {
			t.Fatalf("arrival %d at %s and %s", i, coarse[i], fine[i])
		}
	}
}

func TestARateOfZeroHasNoArrivals(t *testing.T) {
	moments := until(Poisson(mustParse(t, "step:0@0s,100@5s"), 1), 10*time.Second, time.Second)
	if len(moments) == 0 || moments[0] < 5*time.Second {
		t.Errorf("%d arrivals, the first at %v", len(moments), moments[:min(1, len(moments))])
	}
}
