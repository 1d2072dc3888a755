from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.unit.instrumentation.fleet import (
    APPLY,
    HOLD,
    PROPOSAL,
    TRIAL,
    assessment,
    ended,
    outcome,
    workload,
)
from tuner.election import Standing
from tuner.instrumentation.metrics import MetricsObserver
from tuner.model.happening import (
    ChangeWritten,
    ConfigRefused,
    ConfigReloaded,
    SourceFound,
    SourceLost,
    TickFailed,
    TrialEnded,
    WriteFailed,
)
from tuner.model.trial import Verdict
from tuner.model.workload import Mode

CART = {"namespace": "shop", "workload": "cart"}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def observer(registry: CollectorRegistry) -> MetricsObserver:
    return MetricsObserver(registry, "1.2.3", lambda: 42)


def test_who_leads_is_read_when_it_is_asked_for(registry: CollectorRegistry) -> None:
    standings = [Standing("gc-tuner", True, 2, 1)]
    MetricsObserver(registry, "1.2.3", lambda: 42, lambda: standings)
    lease = {"lease": "gc-tuner"}
    assert registry.get_sample_value("gc_tuner_leader", lease) == 1
    standings[0] = Standing("gc-tuner", False, 2, 2)
    assert registry.get_sample_value("gc_tuner_leader", lease) == 0
    assert registry.get_sample_value("gc_tuner_leader_gained_total", lease) == 2
    assert registry.get_sample_value("gc_tuner_leader_lost_total", lease) == 2


def test_each_workload_counts_one_decision_a_tick(
    registry: CollectorRegistry, observer: MetricsObserver
) -> None:
    tick = ended(assessment("cart"), assessment("pay"), assessment("web", decision=APPLY))
    observer.notify(tick)
    observer.notify(tick)
    name = "gc_tuner_decisions_total"
    assert registry.get_sample_value(name, {"decision": "hold", "reason": "at_target"}) == 4
    assert registry.get_sample_value(name, {"decision": "apply", "reason": "gc_cost"}) == 2


def test_series_of_a_workload_go_with_it(
    registry: CollectorRegistry, observer: MetricsObserver
) -> None:
    observer.notify(ended(assessment("cart"), assessment("pay")))
    assert registry.get_sample_value("gc_tuner_recommended_gogc", CART) == 330
    assert registry.get_sample_value("gc_tuner_gc_share_ratio", CART) == 0.262
    observer.notify(ended(assessment("pay")))
    assert registry.get_sample_value("gc_tuner_recommended_gogc", CART) is None
    assert registry.get_sample_value("gc_tuner_gc_share_ratio", CART) is None


def test_what_is_not_known_of_a_workload_is_absent_not_zero(
    registry: CollectorRegistry, observer: MetricsObserver
) -> None:
    observer.notify(ended(assessment("cart", signals=None, proposal=None)))
    assert registry.get_sample_value("gc_tuner_recommended_gogc", CART) is None
    assert registry.get_sample_value("gc_tuner_gc_share_ratio", CART) is None


def test_no_gogc_is_recommended_where_the_loops_hold_it(
    registry: CollectorRegistry, observer: MetricsObserver
) -> None:
    held = replace(PROPOSAL, gogc=HOLD)
    observer.notify(ended(assessment("cart", proposal=held)))
    assert registry.get_sample_value("gc_tuner_recommended_gogc", CART) is None
    assert registry.get_sample_value("gc_tuner_gc_share_ratio", CART) == 0.262


def test_workloads_are_counted_by_mode(
    registry: CollectorRegistry, observer: MetricsObserver
) -> None:
    observer.notify(ended(assessment("cart"), assessment("pay", mode=Mode.RECOMMEND)))
    counts = {
        mode: registry.get_sample_value("gc_tuner_workloads", {"mode": mode.value}) for mode in Mode
    }
    assert counts == {Mode.AUTO: 1, Mode.RECOMMEND: 1, Mode.OFF: 0}


def test_the_source_is_down_from_loss_until_a_tick_after_its_return(
    registry: CollectorRegistry, observer: MetricsObserver
) -> None:
    seen = []
    for happening in (
        ended(),
        SourceLost(1_000.0, "timeout", "no answer"),
        ended(),
        SourceFound(1_060.0, 60.0),
        ended(),
    ):
        observer.notify(happening)
        seen.append(registry.get_sample_value("gc_tuner_source_up"))
    assert seen == [1, 0, 0, 0, 1]
    assert registry.get_sample_value("gc_tuner_source_failures_total", {"cause": "timeout"}) == 1


def test_writes_are_counted_by_what_and_result(
    registry: CollectorRegistry, observer: MetricsObserver
) -> None:
    observer.notify(ChangeWritten(1_000.0, workload(), TRIAL))
    observer.notify(WriteFailed(1_000.0, workload().key, "workload", "409"))
    observer.notify(WriteFailed(1_000.0, workload().key, "record", "409"))
    counts = {
        (what, result): registry.get_sample_value(
            "gc_tuner_writes_total", {"what": what, "result": result}
        )
        for what, result in (("workload", "written"), ("workload", "failed"), ("record", "failed"))
    }
    assert set(counts.values()) == {1}


def test_trials_are_counted_by_verdict_and_scored_where_measured(
    registry: CollectorRegistry, observer: MetricsObserver
) -> None:
    observer.notify(TrialEnded(1_500.0, workload(), outcome(Verdict.CONFIRMED, 0.117)))
    observer.notify(TrialEnded(1_500.0, workload(), outcome(Verdict.VOID)))
    assert registry.get_sample_value("gc_tuner_trials_total", {"verdict": "Confirmed"}) == 1
    assert registry.get_sample_value("gc_tuner_trials_total", {"verdict": "Void"}) == 1
    assert registry.get_sample_value("gc_tuner_trials_total", {"verdict": "Regressed"}) == 0
    assert registry.get_sample_value("gc_tuner_prediction_error_ratio_count") == 1
    error = registry.get_sample_value("gc_tuner_prediction_error_ratio_sum")
    assert error == pytest.approx(0.01)


def test_a_failed_tick_moves_neither_the_last_tick_nor_the_fleet(
    registry: CollectorRegistry, observer: MetricsObserver
) -> None:
    observer.notify(ended(assessment(), at=1_000.0))
    observer.notify(TickFailed(1_015.0, "refused"))
    assert registry.get_sample_value("gc_tuner_last_tick_timestamp_seconds") == 1_000
    assert registry.get_sample_value("gc_tuner_ticks_failed_total") == 1
    assert registry.get_sample_value("gc_tuner_tick_duration_seconds_count") == 1
    assert registry.get_sample_value("gc_tuner_gc_share_ratio", CART) == 0.262


@pytest.mark.usefixtures("observer")
def test_queries_are_counted_by_the_source(registry: CollectorRegistry) -> None:
    assert registry.get_sample_value("gc_tuner_queries_total") == 42


@pytest.mark.usefixtures("observer")
def test_every_metric_has_the_prefix_and_an_explanation(registry: CollectorRegistry) -> None:
    families = list(registry.collect())
    assert len(families) > 10
    assert all(each.name.startswith("gc_tuner_") and each.documentation for each in families)
    assert b'gc_tuner_build_info{python="' in generate_latest(registry)
    assert b'version="1.2.3"' in generate_latest(registry)


def test_reloads_are_counted_by_result_and_the_last_one_is_known(
    registry: CollectorRegistry, observer: MetricsObserver
) -> None:
    def told() -> tuple[list[float | None], float | None]:
        counts = [
            registry.get_sample_value("gc_tuner_config_reloads_total", {"result": result})
            for result in ("applied", "invalid", "restart_required")
        ]
        return counts, registry.get_sample_value("gc_tuner_config_last_reload_successful")

    assert told() == ([0, 0, 0], 1)
    observer.notify(ConfigRefused(1_000.0, "interval: no unit"))
    assert told() == ([0, 1, 0], 0)
    observer.notify(ConfigRefused(1_015.0, "http.port cannot change", ("http.port",)))
    assert told() == ([0, 1, 1], 0)
    observer.notify(ConfigReloaded(1_030.0, ("mode",)))
    assert told() == ([1, 1, 1], 1)
