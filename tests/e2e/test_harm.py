"""A change that does harm: taken back to the letter, and not tried again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.stage import CLEAR, LIGHT, SERVICE, SLOWER, deployed, taken_back, tenant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.stage import Tenant
    from tests.e2e.testbed.cluster import Cluster
    from tests.e2e.testbed.operator import Operator

TUNED = {"GOGC", "GOMEMLIMIT"}
QUIET_SECONDS = 20
THERE_AND_BACK = 3
"""Revision of a Deployment that was changed once, and back."""
MIB = 2**20

# From the first rise of GOGC on.
DEARER = {"ITERATIONS_WHEN_GOGC_ABOVE": "150:2000000"}

LIMIT_MIB = 160
HEAVY: Mapping[str, str] = {**LIGHT, "LIVE_HEAP_BYTES": "24Mi"}
# 72 MiB and GOGC=200 need 216 MiB; the owner wants no GOMEMLIMIT.
UNGUARDED = {"GOMEMLIMIT": "off", "LIVE_HEAP_WHEN_GOGC_ABOVE": "150:3"}
# 192 MiB are more than the container has, with or without a GOMEMLIMIT.
HOPELESS = {"LIVE_HEAP_WHEN_GOGC_ABOVE": "150:8"}

# Three times the live heap within four minutes of the start; again without a GOMEMLIMIT.
GROWING = {"GOMEMLIMIT": "off", "LIVE_HEAP_SWING": "3:480s"}
DOWN = {"memory_ceiling", "danger"}


def _template(tenant: Tenant) -> dict[str, Any]:
    template: dict[str, Any] = tenant.deployment()["spec"]["template"]
    return template


def _replica_set(tenant: Tenant) -> str:
    """Name of the one ReplicaSet that has pods."""
    items = tenant.cluster.get("replicasets", "--namespace", tenant.namespace)["items"]
    owned = [each for each in items if each["metadata"]["name"].startswith(f"{SERVICE}-")]
    (name,) = {each["metadata"]["name"] for each in owned if each["status"]["replicas"] > 0}
    return str(name)


def _rest(tenant: Tenant, seconds: float) -> datetime:
    """Let the operator have some more intervals; returns when they began."""
    since = datetime.now(tz=UTC)
    tenant.cluster.wait_for(
        lambda: (datetime.now(tz=UTC) - since).total_seconds() > seconds, "a rest"
    )
    return since


@pytest.mark.parametrize(
    ("harm", "yardstick"), [(SLOWER, "latency"), (DEARER, "CPU per request")], ids=["slow", "dear"]
)
def test_a_change_that_does_harm_is_taken_back_to_the_letter_and_quarantined(
    cluster: Cluster, harm: Mapping[str, str], yardstick: str
) -> None:
    with deployed({"harmed": tenant(cluster, "harmed", {**LIGHT, **harm})}) as tenants:
        harmed = tenants["harmed"]
        template, replica_set = _template(harmed), _replica_set(harmed)
        with harmed.operated(settings=CLEAR) as operator:
            harmed.cluster.wait_for(lambda: "GOGC" in harmed.env(), "the change")
            harmed.cluster.wait_for(lambda: taken_back(operator), "a rollback that is through")
            harmed.wait()

            assert _template(harmed) == template
            assert _replica_set(harmed) == replica_set
            harmed.cluster.wait_for(lambda: harmed.gogc_in_force() == {100.0}, "GOGC 100 in force")
            assert harmed.fields("gc-tuner") == set()
            record = operator.record(SERVICE)
            outcome = record["history"][0]
            print(outcome["detail"])
            assert yardstick in outcome["detail"]
            assert {each["name"] for each in outcome["change"]["settings"]} == TUNED
            assert "applied" not in record
            assert len(harmed.events("TrialRegressed")) == 1

            harmed.cluster.wait_for(
                lambda: operator.reason(SERVICE) == "quarantined", "Hold(quarantined)"
            )
            assert "did harm" in operator.record(SERVICE)["message"]
            since = _rest(harmed, QUIET_SECONDS)
            assert operator.writes("deployments", since=since) == []
            assert harmed.revision() == THERE_AND_BACK


def _predicted_peaks(operator: Operator) -> list[int]:
    """Peaks that were predicted of the writes that followed a kill, bytes, newest first."""
    record = operator.record(SERVICE)
    trial = [record["trial"]["prediction"]] if "trial" in record else []
    outcomes = record["history"]
    killed = next(i for i, each in enumerate(outcomes) if "killed" in each["detail"])
    return [
        *(each["memoryPeakBytes"] for each in trial),
        *(each["predictedPeakBytes"] for each in outcomes[:killed]),
    ]


@pytest.mark.parametrize("cause", [UNGUARDED, HOPELESS], ids=["unguarded", "hopeless"])
def test_a_kill_for_memory_after_a_change_is_taken_back_and_never_risked_again(
    cluster: Cluster, cause: Mapping[str, str]
) -> None:
    size = f"{LIMIT_MIB}Mi"
    killed = tenant(
        cluster,
        "killed",
        {**HEAVY, **cause},
        rate=120,
        memory_request=size,
        memory_limit=size,
    )
    with deployed({"killed": killed}):
        template, replica_set = _template(killed), _replica_set(killed)
        with killed.operated(settings=CLEAR) as operator:
            killed.cluster.wait_for(lambda: "GOGC" in killed.env(), "the change")
            killed.cluster.wait_for(lambda: "GOGC" not in killed.env(), "the way back")
            killed.cluster.wait_for(lambda: taken_back(operator), "a rollback that is through")
            if cause is UNGUARDED:
                assert _template(killed) == template
                assert _replica_set(killed) == replica_set
            else:  # a backstop that came with the change stays: without it the heap has more room
                assert killed.env()["GOMEMLIMIT"].endswith("MiB")
            killed.cluster.wait_for(lambda: killed.gogc_in_force() == {100.0}, "GOGC 100 in force")
            record = operator.record(SERVICE)
            outcome = record["history"][0]
            assert "the kernel killed it for its memory" in outcome["detail"]
            peak = record["learned"]["killedPeakBytes"]
            assert peak == outcome["predictedPeakBytes"]
            assert record["learned"]["killedLimitBytes"] == LIMIT_MIB * MIB

            killed.cluster.wait_for(
                lambda: operator.reason(SERVICE) == "quarantined", "Hold(quarantined)"
            )
            message = operator.record(SERVICE)["message"]
            print(message)
            # By its peak, or where today's prediction is a little lower, by its value.
            assert "the kernel killed" in message
            _rest(killed, QUIET_SECONDS)
            assert all(each < peak for each in _predicted_peaks(operator))
            assert "GOGC" not in killed.env()
            assert set(killed.starts().values()) == {0}


@pytest.mark.full
def test_a_heap_that_grows_into_the_limit_takes_gogc_down_before_the_kernel_kills(
    cluster: Cluster,
) -> None:
    size = f"{LIMIT_MIB}Mi"
    growing = tenant(
        cluster,
        "growing",
        {**HEAVY, **GROWING},
        rate=120,
        memory_request=size,
        memory_limit=size,
    )
    one_step = {**CLEAR, "profiles": {"normal": {"gogcBounds": {"highest": 200}}}}
    with deployed({"growing": growing}), growing.operated(settings=one_step) as operator:
        growing.cluster.wait_for(lambda: growing.env().get("GOGC") == "200", "the rise")
        growing.cluster.wait_for(lambda: growing.gogc_in_force() == {200.0}, "GOGC 200 in force")

        def lowered() -> bool:
            # A pod that was killed is started again, and says so.
            assert set(growing.starts().values()) == {0}
            return int(growing.env()["GOGC"]) < 200

        growing.cluster.wait_for(lowered, "the fall")
        growing.wait()
        assert set(growing.starts().values()) == {0}
        record = operator.record(SERVICE)
        reasons = [each["reason"] for each in record["history"]]
        assert DOWN & {record.get("trial", {}).get("reason"), *reasons}
        assert growing.env()["GOMEMLIMIT"] == "off"
