"""What gc-tuner writes while it may not change workloads: next to nothing, or nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.stage import SERVICE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.stage import Tenant


def test_a_dry_run_prints_recommendations_and_writes_nothing_at_all(
    stage: Mapping[str, Tenant],
) -> None:
    recommended = stage["recommended"]
    with recommended.operated(arguments=("--dry-run",)) as operator:
        recommended.cluster.wait_for(
            lambda: "dry_run" in operator.process.log.read_text(),
            "a recommendation in the table",
        )
        printed = operator.process.log.read_text()
        assert SERVICE in printed
        assert "200" in printed
        assert operator.writes() == []
    assert operator.writes() == []


def test_mode_recommend_writes_records_and_events_only(stage: Mapping[str, Tenant]) -> None:
    recommended = stage["recommended"]
    cluster = recommended.cluster
    before = recommended.revision()
    with recommended.operated() as operator:
        cluster.wait_for(
            lambda: operator.reason(SERVICE) == "mode_recommend",
            "the recommendation in the record",
        )
        record = operator.record(SERVICE)
    assert record["mode"] == "recommend"
    assert record["decision"] == "Hold"
    assert record["recommended"]["gogc"] > 100
    assert record["recommended"]["cpuSavingRatio"] > 0.05
    assert recommended.revision() == before
    written = {event.resource for event in operator.writes()}
    assert "gctunings" in written
    assert written <= {"gctunings", "events"}
