import math
from collections.abc import Mapping

import pytest

from tests.examples import MIB, NOW, policy, reading, signals
from tuner.model.decision import Hold
from tuner.model.reading import Quantity
from tuner.model.reason import Reason
from tuner.model.signals import Signals, Source
from tuner.signals import derive

Reading = Mapping[Quantity, float]

POLICY = policy()


def derived(figures: Mapping[Quantity, float], learned: float | None = None) -> Signals:
    answer = answered(figures, learned)
    assert isinstance(answer, Signals)
    return answer


def answered(figures: Mapping[Quantity, float], learned: float | None = None) -> Signals | Hold:
    return derive(
        NOW,
        "app",
        figures,
        timing=POLICY.timing,
        law=POLICY.law,
        learned_cost_seconds_per_byte=learned,
    )


def test_a_complete_reading_becomes_signals() -> None:
    assert answered(reading()) == signals()


@pytest.mark.parametrize(
    ("figures", "reason", "words"),
    [
        ({}, Reason.NO_DATA, "pods"),
        (reading(without=[Quantity.STACK_BYTES]), Reason.NO_DATA, "stack_bytes"),
        (reading(pods=0.0), Reason.NO_DATA, "no pod"),
        (reading(cpu_cores=0.0), Reason.NO_DATA, "no pod"),
        (reading(without=[Quantity.PODS]), Reason.WARMING_UP, "60 s"),
        (reading(cpu_cores=math.nan), Reason.NOT_FINITE, "cpu_cores"),
        (reading(cpu_cores=math.inf), Reason.NOT_FINITE, "cpu_cores"),
        (reading(heap_goal_bytes=-1.0), Reason.NOT_FINITE, "heap_goal_bytes"),
        (reading(latency_p95_seconds=math.inf), Reason.NOT_FINITE, "latency_p95_seconds"),
        (reading(live_exported_bytes=1.7e308), Reason.NOT_FINITE, "live_exported_bytes"),
        (reading(gogc_highest=math.nan), Reason.NOT_FINITE, "gogc_highest"),
        (reading(sample_age_seconds=61.0), Reason.STALE, "61 s"),
        (reading(samples_in_window=3.0), Reason.WINDOW_TOO_SHORT, "rateWindow"),
    ],
)
def test_figures_that_may_not_be_believed_are_held_with_their_reason(
    figures: Mapping[Quantity, float], reason: Reason, words: str
) -> None:
    answer = answered(figures)
    assert isinstance(answer, Hold)
    assert answer.reason is reason
    assert words in answer.detail


def test_a_source_without_any_live_heap_is_no_data() -> None:
    answer = answered(
        reading(
            without=[
                Quantity.LIVE_EXPORTED_BYTES,
                Quantity.LIVE_DERIVED_BYTES,
                Quantity.LIVE_FLOOR_BYTES,
            ]
        )
    )
    assert answer == Hold(Reason.NO_DATA, "not in the metrics: live heap")


@pytest.mark.parametrize("age", [0.0, 60.0])
def test_a_sample_as_old_as_allowed_is_fresh(age: float) -> None:
    assert isinstance(answered(reading(sample_age_seconds=age)), Signals)


def test_as_many_samples_as_are_needed_are_enough() -> None:
    assert isinstance(answered(reading(samples_in_window=4.0)), Signals)


def test_without_requests_latency_is_unknown_and_nothing_else() -> None:
    seen = derived(
        reading(
            latency_p95_seconds=math.nan,
            latency_p99_seconds=math.nan,
            requests_per_second=0.0,
            errors_per_second=0.0,
        )
    )
    assert (seen.latency_p95_seconds, seen.latency_p99_seconds) == (None, None)
    assert seen.errors_ratio is None
    assert seen.cpu_seconds_per_request is None


OPTIONAL = (
    Quantity.BUSY_CPU_CORES,
    Quantity.PAUSE_LONGEST_SECONDS,
    Quantity.GOROUTINES,
    Quantity.PROCESSORS,
    Quantity.THROTTLED_RATIO,
    Quantity.GO_VERSION,
    Quantity.BARRIER_THRESHOLD_LOWEST,
    Quantity.BARRIER_THRESHOLD_HIGHEST,
    Quantity.BARRIER_IN_FLIGHT,
    Quantity.BARRIER_REFUSED_PER_SECOND,
)


def test_optional_figures_that_are_absent_stay_unknown() -> None:
    seen = derived(reading(without=OPTIONAL))
    assert (
        seen.pause_longest_seconds,
        seen.goroutines,
        seen.utilisation,
        seen.throttled_ratio,
        seen.go_version,
        seen.barrier_threshold,
        seen.barrier_in_flight,
        seen.barrier_refused_per_second,
    ) == (None,) * 8


def test_optional_figures_are_handed_on() -> None:
    seen = derived(
        reading(
            cpu_cores=1.0,
            pause_longest_seconds=0.002,
            goroutines=120.0,
            processors=4.0,
            throttled_ratio=0.0,
            go_version=1026008.0,
            barrier_threshold_lowest=64.0,
            barrier_threshold_highest=64.0,
            barrier_in_flight=12.5,
            barrier_refused_per_second=0.0,
        )
    )
    assert seen.pause_longest_seconds == 0.002
    assert seen.goroutines == 120
    assert seen.utilisation == 0.25
    assert seen.throttled_ratio == 0
    assert seen.go_version == 1026008
    assert (seen.barrier_threshold, seen.barrier_in_flight) == (64, 12.5)
    assert seen.barrier_refused_per_second == 0


@pytest.mark.parametrize("quantity", OPTIONAL)
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_an_optional_figure_that_cannot_be_is_held(quantity: Quantity, value: float) -> None:
    answer = answered({**reading(), quantity: value})
    assert answer == Hold(Reason.NOT_FINITE, f"{quantity.value} reads {value}")


def test_pods_with_different_thresholds_have_none_in_common() -> None:
    seen = derived(reading(barrier_threshold_lowest=64.0, barrier_threshold_highest=80.0))
    assert seen.barrier_threshold is None


def test_processors_of_zero_make_no_utilisation() -> None:
    assert derived(reading(processors=0.0)).utilisation is None


def test_young_pods_are_counted_apart() -> None:
    assert derived(reading(pods_all=3.0)).pods_young == 1


def test_a_pod_that_went_between_two_queries_makes_no_negative_number_of_young_ones() -> None:
    assert derived(reading(pods=3.0, pods_all=2.0)).pods_young == 0


def test_the_share_is_measured_where_the_runtime_exports_it() -> None:
    seen = derived(reading(gc_cpu_cores=0.3, cpu_cores=1.5), learned=1.0)
    assert seen.gc_share == pytest.approx(0.2)
    assert seen.gc_share_source is Source.MEASURED


def test_without_gc_cpu_the_share_is_estimated_with_the_prior_and_marked_so() -> None:
    seen = derived(reading(without=[Quantity.GC_CPU_CORES]))
    assert seen.gc_share == pytest.approx(7e-10 * 400 * MIB)
    assert seen.gc_share_source is Source.ESTIMATED


@pytest.mark.parametrize(
    ("figures", "share"),
    [
        pytest.param({Quantity.BUSY_CPU_CORES: 2.0}, 0.1, id="threads wait for a core"),
        pytest.param({Quantity.BUSY_CPU_CORES: 0.8}, 0.2, id="the kernel counts cgo too"),
        pytest.param({Quantity.BUSY_CPU_CORES: 0.0}, 0.2, id="not counted in the window"),
        pytest.param({}, 0.2, id="not exported"),
        pytest.param(
            {Quantity.BUSY_CPU_CORES: 2.0, Quantity.GC_CPU_CORES: 1.2}, 0.6, id="more GC than CPU"
        ),
        pytest.param(
            {Quantity.BUSY_CPU_CORES: 2.0, Quantity.GC_CPU_CORES: 3.0}, 0.95, id="bounded"
        ),
    ],
)
def test_gc_is_set_against_all_that_the_runtime_counts_where_that_is_more(
    figures: Reading, share: float
) -> None:
    seen = derived({**reading(), **figures})
    assert seen.gc_share == pytest.approx(share)
    assert seen.gc_share_source is Source.MEASURED


def test_an_estimated_gc_cost_is_never_set_against_the_runtimes_count() -> None:
    seen = derived(
        reading(without=[Quantity.GC_CPU_CORES], busy_cpu_cores=2.0, throttled_ratio=0.5)
    )
    assert seen.gc_share == pytest.approx(7e-10 * 400 * MIB)
    assert seen.gc_share_source is Source.ESTIMATED


def test_a_learned_cost_takes_the_place_of_the_prior() -> None:
    seen = derived(reading(without=[Quantity.GC_CPU_CORES]), learned=1e-9)
    assert seen.gc_share == pytest.approx(1e-9 * 400 * MIB)
    assert seen.gc_share_source is Source.ESTIMATED


@pytest.mark.parametrize(("gc_cores", "share"), [(0.0, 0.002), (2.0, 0.95)])
def test_the_share_stays_where_its_logit_is_finite(gc_cores: float, share: float) -> None:
    assert derived(reading(gc_cpu_cores=gc_cores)).gc_share == share


def test_an_exported_live_heap_is_measured() -> None:
    seen = derived(reading())
    assert (seen.live_bytes, seen.live_source) == (100 * MIB, Source.MEASURED)


def test_while_gogc_binds_the_live_heap_is_derived_from_the_goal() -> None:
    seen = derived(reading(without=[Quantity.LIVE_EXPORTED_BYTES]))
    assert (seen.live_bytes, seen.live_source) == (101 * MIB, Source.DERIVED)


def test_while_the_limit_binds_the_live_heap_is_estimated_by_its_floor() -> None:
    # The limit allows a goal of .97 * (226.2 - 20) = 200 MiB: the goal is the limit's.
    seen = derived(
        reading(
            without=[Quantity.LIVE_EXPORTED_BYTES],
            gomemlimit_bytes=226.2 * MIB,
            gogc_lowest=400.0,
            gogc_highest=400.0,
        )
    )
    assert (seen.live_bytes, seen.live_source) == (103 * MIB, Source.ESTIMATED)
    assert seen.gogc_effective == pytest.approx(100 * (200 - 103) / 103)


def test_the_live_heap_is_at_least_what_gogc_makes_of_the_goal() -> None:
    seen = derived(
        reading(
            without=[Quantity.LIVE_EXPORTED_BYTES, Quantity.LIVE_FLOOR_BYTES],
            gomemlimit_bytes=226.2 * MIB,
        )
    )
    assert (seen.live_bytes, seen.live_source) == (100 * MIB, Source.ESTIMATED)


def test_a_limit_far_above_the_goal_does_not_bind() -> None:
    seen = derived(reading(gomemlimit_bytes=900.0 * MIB))
    assert (seen.gogc_effective, seen.gomemlimit_bytes) == (100.0, 900 * MIB)


@pytest.mark.parametrize("unset", [2.0**63 - 1, math.inf])
def test_a_limit_that_is_not_set_is_none(unset: float) -> None:
    assert derived(reading(gomemlimit_bytes=unset)).gomemlimit_bytes is None


@pytest.mark.parametrize("off", [1.8e19, math.inf])
def test_gogc_off_is_infinite_and_the_goal_tells_what_is_in_effect(off: float) -> None:
    seen = derived(reading(gogc_lowest=off, gogc_highest=off))
    assert seen.gogc == math.inf
    assert seen.gogc_uniform
    assert seen.gogc_effective == pytest.approx(100.0)


def test_pods_with_different_gogc_are_not_uniform() -> None:
    assert not derived(reading(gogc_lowest=100.0, gogc_highest=200.0)).gogc_uniform


def test_gogc_zero_has_a_finite_logarithm() -> None:
    assert derived(reading(gogc_lowest=0.0, gogc_highest=0.0)).gogc_effective > 0
