package downstream

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestCallsBeyondTheSlotsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, err := Parse("2:40ms")
		if err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		var callers sync.WaitGroup
		for range 6 {
			callers.Go(pool.Call)
		}
		callers.Wait()
		if took := time.Since(started); took != 120*time.Millisecond {
			t.Errorf("six calls through two slots of 40 ms took %v, want 120 ms", took)
		}
	})
}

func TestWithoutAPoolNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		Pool{}.Call()
		if took := time.Since(started); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

func TestMalformedPoolsAreRefused(t *testing.T) {
	for _, text := range []string{"1", "1:", ":40ms", "0:40ms", "1:0s", "1:-1s", "x:40ms", "1:40"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}
