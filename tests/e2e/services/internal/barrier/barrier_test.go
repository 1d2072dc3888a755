package barrier

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestBeyondTheThresholdRequestsAreRefused(t *testing.T) {
	b := New(2)
	if !b.Enter() || !b.Enter() {
		t.Fatal("refused under the threshold")
	}
	if b.Enter() {
		t.Fatal("admitted beyond the threshold")
	}
	b.Leave()
	if !b.Enter() {
		t.Fatal("refused after another had left")
	}
	want := `
# HELP barrier_in_flight Requests admitted and not yet answered.
# TYPE barrier_in_flight gauge
barrier_in_flight 2
# HELP barrier_refused_total Requests refused by the barrier.
# TYPE barrier_refused_total counter
barrier_refused_total 1
# HELP barrier_threshold Requests in flight beyond which requests are refused; absent without a barrier.
# TYPE barrier_threshold gauge
barrier_threshold 2
`
	if err := testutil.CollectAndCompare(b, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestWithoutAThresholdNothingIsRefused(t *testing.T) {
	b := New(0)
	for range 1000 {
		if !b.Enter() {
			t.Fatal("refused")
		}
	}
	if got := testutil.CollectAndCount(b, "barrier_threshold"); got != 0 {
		t.Errorf("%d thresholds exported", got)
	}
}

func TestAThresholdChangesAtOnce(t *testing.T) {
	b := New(1)
	b.Enter()
	b.SetThreshold(2)
	if !b.Enter() {
		t.Error("the higher threshold does not admit")
	}
	b.SetThreshold(1)
	if b.Enter() {
		t.Error("the lower threshold does not refuse")
	}
}
