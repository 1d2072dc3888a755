"""What people on call lay down by hand: in force from the next tick on, and over to the second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.stage import SERVICE, deployed, tenant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.stage import Tenant
    from tests.e2e.testbed.cluster import Cluster
    from tests.e2e.testbed.operator import Operator

BRISK: Mapping[str, Any] = {
    "trial": {"windows": 2, "requests": 50, "patience": 6},
    "guards": {"rolloutsInNamespace": 3},
}
ALPHA, BETA, GAMMA = "alpha", "beta", "gamma"
TICKS_OF_QUIET = 20
"""Longer than it takes an operator with these settings to its first write."""


@pytest.fixture(scope="module")
def tenants(cluster: Cluster) -> Iterator[Mapping[str, Tenant]]:
    names = ("frozen", "pinned", "leaped", "bounded", "expiring", "paused")
    stage = {name: tenant(cluster, name, rate=20) for name in names}
    stage["mixed"] = tenant(cluster, "mixed", rate=20, neighbours=(ALPHA, BETA, GAMMA))
    with deployed(stage) as running:
        yield running


def entry(does: str, *, name: str = "incident", target: str = SERVICE, expires: str = "") -> str:
    """One entry of the overrides, as people write it."""
    lines = [
        f"  - name: {name}",
        f'    match: {{namespace: "*", name: {target}}}',
        f"    {does}",
        "    reason: known good while we look",
        *([f"    expires: {expires}"] if expires else []),
    ]
    return "\n".join(lines) + "\n"


def written(operator: Operator, name: str = SERVICE) -> list[str]:
    """What was written to a workload, as the record tells it: values of GOGC, oldest first."""
    record = operator.record(name)
    trials = [
        *reversed(record.get("history", [])),
        *([record["trial"]] if "trial" in record else []),
    ]
    settings = [each for trial in trials for each in trial["change"]["settings"]]
    return [each["after"] for each in settings if each["name"] == "GOGC"]


def ticks(operator: Operator) -> float:
    """Ticks so far, as the operator's own metrics count them."""
    lines = operator.get("/metrics").splitlines()
    (count,) = (line for line in lines if line.startswith("gc_tuner_tick_duration_seconds_count"))
    return float(count.split()[-1])


def logged(operator: Operator, event: str, *naming: str) -> list[dict[str, Any]]:
    """Its log's lines of one event that name something under each of those keys."""
    lines = (line for line in operator.log() if line["event"] == event)
    return [line for line in lines if all(line[key] for key in naming)]


def wait_for_ticks(operator: Operator, number: int) -> None:
    until = ticks(operator) + number
    operator.cluster.wait_for(lambda: ticks(operator) >= until, f"{number} further ticks")


def test_a_frozen_workload_is_not_written_to_until_the_entry_is_taken_out(
    tenants: Mapping[str, Tenant],
) -> None:
    frozen = tenants["frozen"]
    cluster = frozen.cluster
    frozen.order("overrides:\n" + entry("freeze: true", name="black-friday"))
    with frozen.operated(settings=BRISK) as operator:
        cluster.wait_for(lambda: operator.reason(SERVICE) == "frozen", "Hold(frozen)")
        assert "black-friday" in operator.record(SERVICE)["message"]
        cluster.wait_for(lambda: bool(frozen.events("OverrideTaken")), "an Event of the freeze")
        (taken,) = frozen.events("OverrideTaken")
        assert "black-friday" in taken["note"]
        assert "known good while we look" in taken["note"]
        assert taken["regarding"]["kind"] == "Deployment"

        wait_for_ticks(operator, TICKS_OF_QUIET)
        assert operator.reason(SERVICE) == "frozen"
        assert operator.record(SERVICE)["recommended"]["gogc"] > 100, "recommendations go on"
        assert operator.writes("deployments") == []

        frozen.order("overrides: []\n")
        released = frozen.ordered_at()
        cluster.wait_for(lambda: "GOGC" in frozen.env(), "the change, once it is allowed")
        assert operator.writes("deployments")[0].at >= released
        cluster.wait_for(lambda: bool(frozen.events("OverrideReleased")), "an Event of the release")
        (event,) = frozen.events("OverrideReleased")
        assert "black-friday" in event["note"]


def test_a_pinned_value_is_reached_in_clamped_steps_and_kept(
    tenants: Mapping[str, Tenant],
) -> None:
    pinned = tenants["pinned"]
    pinned.order("overrides:\n" + entry("pin: {gogc: 350}"))
    with pinned.operated(settings=BRISK) as operator:
        pinned.cluster.wait_for(lambda: operator.reason(SERVICE) == "at_pin", "Hold(at_pin)")
        steps = [100, *map(int, written(operator))]
        assert steps[-1] == 350
        assert len(steps) > 2
        assert all(after <= 2 * before for before, after in pairwise(steps))
        assert pinned.env()["GOGC"] == "350"
        pinned.cluster.wait_for(lambda: pinned.gogc_in_force() == {350.0}, "GOGC 350 in force")
        assert "incident" in operator.record(SERVICE)["message"]
        assert {each["reason"] for each in operator.record(SERVICE)["history"]} == {"pinned"}


def test_an_immediate_pin_is_reached_in_one_write(tenants: Mapping[str, Tenant]) -> None:
    leaped = tenants["leaped"]
    before = leaped.revision()
    leaped.order("overrides:\n" + entry("pin: {gogc: 700, memoryLimit: 400MiB, immediate: true}"))
    with leaped.operated(settings=BRISK) as operator:
        leaped.cluster.wait_for(lambda: operator.reason(SERVICE) == "at_pin", "Hold(at_pin)")
        assert written(operator) == ["700"]
    assert leaped.revision() == before + 1
    env = leaped.env()
    assert (env["GOGC"], env["GOMEMLIMIT"]) == ("700", "400MiB")
    leaped.cluster.wait_for(lambda: leaped.gogc_in_force() == {700.0}, "GOGC 700 in force")
    assert set(leaped.by_pod("go_gc_gomemlimit_bytes{$pods}").values()) == {400.0 * 2**20}


def test_a_value_outside_of_an_sres_bounds_is_brought_inside(
    tenants: Mapping[str, Tenant],
) -> None:
    bounded = tenants["bounded"]
    bounded.order("overrides:\n" + entry("bounds: {gogc: {lowest: 50, highest: 80}}"))
    with bounded.operated(settings=BRISK) as operator:
        bounded.cluster.wait_for(lambda: bounded.gogc_in_force() == {80.0}, "GOGC 80 in force")
        assert written(operator) == ["80"]
        assert bounded.env()["GOGC"] == "80"


def test_an_entry_is_over_at_the_second_that_it_names(tenants: Mapping[str, Tenant]) -> None:
    expiring = tenants["expiring"]
    cluster = expiring.cluster
    ends = (datetime.now(tz=UTC) + timedelta(seconds=45)).replace(microsecond=0)
    expiring.order("overrides:\n" + entry("freeze: true", expires=ends.isoformat()))
    with expiring.operated(settings={**BRISK, "log": {"level": "debug"}}) as operator:
        cluster.wait_for(lambda: operator.reason(SERVICE) == "frozen", "Hold(frozen)")
        cluster.wait_for(lambda: bool(logged(operator, "overrides moved", "released")), "its end")
        (moved,) = logged(operator, "overrides moved", "released")
        before = [tick for tick in logged(operator, "tick ended") if tick["tick"] < moved["tick"]]
        assert before[-1]["tick"] == moved["tick"] - 1, "all its ticks are in the log"
        later = [
            tick["tick"] for tick in before if datetime.fromisoformat(tick["timestamp"]) >= ends
        ]
        assert len(later) <= 1, "the tick that was under way at that second may end after it"
        expiring.cluster.wait_for(
            lambda: expiring.events("OverrideReleased") != [], "an Event of the end"
        )
        (event,) = expiring.events("OverrideReleased")
        assert datetime.fromisoformat(event["eventTime"]) >= ends
        cluster.wait_for(lambda: "GOGC" in expiring.env(), "the change, once it is allowed")
        assert operator.writes("deployments")[0].at >= ends


def test_paused_stops_every_write_and_nothing_else(tenants: Mapping[str, Tenant]) -> None:
    paused = tenants["paused"]
    cluster = paused.cluster
    paused.order("paused: true\n")
    with paused.operated(settings=BRISK) as operator:
        cluster.wait_for(lambda: operator.reason(SERVICE) == "paused", "Hold(paused)")
        wait_for_ticks(operator, TICKS_OF_QUIET)
        assert operator.writes("deployments") == []
        assert operator.record(SERVICE)["recommended"]["gogc"] > 100, "recommendations go on"

        paused.order("paused: false\n")
        resumed = paused.ordered_at()
        cluster.wait_for(lambda: "GOGC" in paused.env(), "the change, once it is allowed")
        assert operator.writes("deployments")[0].at >= resumed


def test_a_bad_entry_is_refused_by_name_and_leaves_the_good_ones_in_force(
    tenants: Mapping[str, Tenant],
) -> None:
    mixed = tenants["mixed"]
    cluster = mixed.cluster
    mixed.order(
        "overrides:\n"
        + entry("freeze: true", name="good-freeze", target=ALPHA)
        + entry("pin: {memoryLimit: 700MB}", name="bad-pin", target=BETA)
        + entry("pin: {gogc: 150}", name="good-pin", target=GAMMA)
    )
    with mixed.operated(settings=BRISK) as operator:
        cluster.wait_for(lambda: mixed.gogc_in_force(GAMMA) == {150.0}, "the good pin in force")
        cluster.wait_for(lambda: "GOGC" in mixed.env(), "a change where nothing was ordered")
        assert operator.reason(ALPHA) == "frozen"
        assert operator.reason(BETA) == "override_invalid"
        message = operator.record(BETA)["message"]
        assert "bad-pin" in message
        assert "write one such as 700MiB" in message
        assert any("bad-pin" in str(line) for line in operator.log())
        touched = {event.name for event in operator.writes("deployments")}
        assert touched == {GAMMA, SERVICE}
