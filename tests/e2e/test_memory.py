"""Memory: GOMEMLIMIT from the container's limit, its resizes, too little of it, and the request."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from tests.e2e.stage import LIGHT, ONE_STEP, SERVICE, deployed, tenant
from tests.e2e.testbed.manifests import APP_CONTAINER
from tests.e2e.testbed.processes import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.stage import Tenant
    from tests.e2e.testbed.cluster import Cluster

MIB = 2**20
SET_POINT = 0.90
UNKNOWN_MARGIN = 1.1
GOAL_RATIO = 0.97
"""Share of what GOMEMLIMIT leaves to the heap that Go makes its goal."""
RESTED = {"at_bound", "at_target", "memory_bound", "memory_short", "not_worth"}

LIMIT_MIB, TEMPLATE_MIB, LARGER_MIB, SMALLER_MIB = 512, 384, 640, 288
QUIET_SECONDS = 15

# 24 MiB for 140 s from the process's start, then 72 MiB: at GOGC=100 that is over the limit.
SURGING: Mapping[str, str] = {
    **LIGHT,
    "LIVE_HEAP_BYTES": "24Mi",
    "LIVE_HEAP_SWING": "3:280s:square",
}
SURGING_LIVE_BYTES = 72 * MIB
SHORT_LIMIT_MIB = 144

REQUEST_MIB = 120
FRUGAL: Mapping[str, str] = {
    **LIGHT,
    "LIVE_HEAP_BYTES": "32Mi",
    "GARBAGE_BYTES_PER_REQUEST": "1Mi",
}


@pytest.fixture(scope="module")
def tenants(cluster: Cluster) -> Iterator[Mapping[str, Tenant]]:
    roomy = tenant(cluster, "roomy", memory_limit=f"{LIMIT_MIB}Mi")
    with deployed({"roomy": roomy}) as running:
        yield running


def _mebibytes(limit: str) -> int:
    return int(limit.removesuffix("MiB"))


def _limit(tenant: Tenant) -> int:
    """GOMEMLIMIT in the Deployment, MiB; 0 where it is not set."""
    return _mebibytes(tenant.env().get("GOMEMLIMIT", "0MiB"))


def _in_force(tenant: Tenant) -> set[tuple[float, float]]:
    """GOGC and GOMEMLIMIT, MiB, as each of the present pods has them."""
    limits = tenant.by_pod("go_gc_gomemlimit_bytes{$pods}")
    gogc = tenant.by_pod("go_gc_gogc_percent{$pods}")
    return {(gogc[pod], limit / MIB) for pod, limit in limits.items() if pod in gogc}


def _expected_limit(tenant: Tenant, at: datetime, container_mib: float) -> tuple[float, float]:
    """Least and greatest GOMEMLIMIT, MiB, that the 10 s before a write ask for.

    The set point's share of the limit less 1.1 times what the process has beside Go.
    """
    pods = f'namespace="{tenant.namespace}",container="{APP_CONTAINER}",pod=~"{SERVICE}-.*"'
    known = f"go_memstats_sys_bytes{{{pods}}}-go_memstats_heap_released_bytes{{{pods}}}"
    resident = f"max by(namespace,pod,container)(container_memory_rss{{{pods}}})"
    unknown = f"max(clamp_min({resident}-on(namespace,pod,container)({known}),0))"
    spans = (
        f"{f}({unknown}[10s:1s] @ {at.timestamp():.3f})" for f in ("max_over_time", "min_over_time")
    )
    most, least = (sum(tenant.cluster.prometheus.query(each).values()) / MIB for each in spans)
    usable = SET_POINT * container_mib
    return usable - UNKNOWN_MARGIN * most - 1, usable - UNKNOWN_MARGIN * least


def _resize_in_place(tenant: Tenant, limit_mib: int) -> None:
    """Ask for another memory limit of the running containers."""
    resources = {"limits": {"memory": f"{limit_mib}Mi"}}
    patch = {"spec": {"containers": [{"name": APP_CONTAINER, "resources": resources}]}}
    for pod in tenant.pods():
        tenant.cluster.kubectl(
            *("patch", "pod", pod, "--namespace", tenant.namespace),
            *("--subresource", "resize", "--patch", json.dumps(patch)),
        )


def _limits_in_place(tenant: Tenant) -> set[str]:
    """Memory limits in force, as the pods' statuses have them."""
    statuses = (each["status"]["containerStatuses"][0] for each in tenant.pods().values())
    return {each["resources"]["limits"]["memory"] for each in statuses}


def test_gomemlimit_is_set_from_the_limit_in_one_patch_with_gogc(
    tenants: Mapping[str, Tenant],
) -> None:
    roomy = tenants["roomy"]
    with roomy.operated(settings=ONE_STEP) as operator:
        roomy.cluster.wait_for(lambda: "GOGC" in roomy.env(), "the first change")
        # Once the rollout is done, one more takes the change-cause away; revision 2 is below.
        written = [each for each in operator.writes("deployments") if each.code == HTTPStatus.OK]
        patch, *cleared = written
        assert len(cleared) <= 1
        env = roomy.env()
        assert env["GOGC"] == "200"
        least, greatest = _expected_limit(roomy, patch.at, LIMIT_MIB)
        print(f"GOMEMLIMIT {env['GOMEMLIMIT']}, expected {least:.1f}-{greatest:.1f} MiB")
        assert least <= _limit(roomy) <= greatest

        entries = f'/f:template/f:spec/f:containers/k:{{"name":"{APP_CONTAINER}"}}/f:env'
        assert roomy.fields("gc-tuner") == {
            f'{entries}/k:{{"name":"{name}"}}/{leaf}'
            for name in ("GOGC", "GOMEMLIMIT")
            for leaf in ("f:name", "f:value")
        }
        in_force = {(200.0, float(_limit(roomy)))}
        roomy.cluster.wait_for(lambda: _in_force(roomy) == in_force, "both in force")
        assert roomy.revision() == 2
        settings = operator.record(SERVICE)["applied"]["settings"]
        assert {each["name"]: each["value"] for each in settings} == {
            name: env[name] for name in ("GOGC", "GOMEMLIMIT")
        }


@pytest.mark.full
def test_gomemlimit_follows_the_templates_limit_and_one_that_is_resized_in_place(
    tenants: Mapping[str, Tenant],
) -> None:
    roomy = tenants["roomy"]

    def rested() -> bool:
        record = operator.record(SERVICE)
        return "trial" not in record and record.get("reason") in RESTED

    def followed(container_mib: int) -> bool:
        """Whether GOMEMLIMIT is that of a container limit, up to what is beside Go."""
        usable = SET_POINT * container_mib
        return usable - 16 <= _limit(roomy) <= usable

    with roomy.operated(settings=ONE_STEP) as operator:
        roomy.cluster.wait_for(lambda: followed(LIMIT_MIB), "the first GOMEMLIMIT")

        resources = {"limits": {"memory": f"{TEMPLATE_MIB}Mi"}}
        containers = [{"name": APP_CONTAINER, "resources": resources}]
        roomy.patch({"spec": {"template": {"spec": {"containers": containers}}}})
        roomy.cluster.wait_for(lambda: followed(TEMPLATE_MIB), "GOMEMLIMIT of the template's limit")
        roomy.cluster.wait_for(rested, "a verdict")

        # The pods that a write would bring have the template's limit: nothing to gain from more.
        _resize_in_place(roomy, LARGER_MIB)
        larger = {f"{LARGER_MIB}Mi"}
        roomy.cluster.wait_for(
            lambda: _limits_in_place(roomy) == larger, "the larger limit in force"
        )
        since = datetime.now(tz=UTC)
        roomy.cluster.wait_for(
            lambda: (datetime.now(tz=UTC) - since).total_seconds() > QUIET_SECONDS, "some intervals"
        )
        assert operator.writes("deployments", since=since) == []

        _resize_in_place(roomy, SMALLER_MIB)
        roomy.cluster.wait_for(
            lambda: followed(SMALLER_MIB), "GOMEMLIMIT of the smaller limit in force"
        )
        roomy.cluster.wait_for(lambda: followed(TEMPLATE_MIB), "that of the pods that came since")
        reasons = [each["reason"] for each in operator.record(SERVICE)["history"]]
        assert "memory_limit" in reasons


def _killed(tenant: Tenant) -> int:
    """Pods whose container was ended for its memory."""
    statuses = (each["status"]["containerStatuses"][0] for each in tenant.pods().values())
    ends = (each.get("lastState", {}).get("terminated", {}) for each in statuses)
    return sum(each.get("reason") == "OOMKilled" for each in ends)


@pytest.mark.full
def test_a_live_heap_too_near_the_limit_is_told_and_survives_where_an_untuned_one_is_killed(
    cluster: Cluster,
) -> None:
    def surging(name: str) -> Tenant:
        size = f"{SHORT_LIMIT_MIB}Mi"
        return tenant(cluster, name, SURGING, rate=120, memory_request=size, memory_limit=size)

    with deployed({"tuned": surging("tuned"), "twin": surging("twin")}) as tenants:
        tuned, twin = tenants["tuned"], tenants["twin"]
        with tuned.operated(settings=ONE_STEP) as operator:
            tuned.cluster.wait_for(lambda: "GOMEMLIMIT" in tuned.env(), "GOMEMLIMIT")
            tuned.wait()
            starts = tuned.starts()

            def short() -> bool:
                return operator.reason(SERVICE) == "memory_short"

            tuned.cluster.wait_for(short, "Hold(memory_short)")
            record = operator.record(SERVICE)
            print(record["message"], record["observed"])
            tuned.cluster.wait_for(lambda: _killed(twin) > 0, "the twin's end")
            assert record["observed"]["liveBytes"] > 0.9 * SURGING_LIVE_BYTES
            assert "a limit of" in record["message"]
            assert tuned.starts() == starts
            assert set(starts.values()) == {0}
            assert _killed(tuned) == 0


def test_a_request_far_below_the_limit_is_where_gogc_stops(cluster: Cluster) -> None:
    # Three GC cycles at least in the two windows that are looked at, at twice the GOGC, too.
    frugal = tenant(cluster, "frugal", FRUGAL, rate=60, memory_request=f"{REQUEST_MIB}Mi")
    eager = {**ONE_STEP, "profiles": {}, "law": {"worth": 0.001}}
    with deployed({"frugal": frugal}), frugal.operated(settings=eager) as operator:

        def bound() -> bool:
            record = operator.record(SERVICE)
            return bool(record.get("history")) and record.get("reason") == "memory_bound"

        frugal.cluster.wait_for(bound, "Hold(memory_bound)", patience_seconds=2 * PATIENCE_SECONDS)
        record = operator.record(SERVICE)
        print(record["message"], record["observed"], frugal.env())
        message, observed = record["message"], record["observed"]
        assert f"the memory request of {REQUEST_MIB} MiB allows no more" in message
        gogc = int(frugal.env()["GOGC"])
        assert gogc > 100
        foretold = record["history"][0]["predictedPeakBytes"]
        assert foretold <= SET_POINT * REQUEST_MIB * MIB
        # What lives more by now, such as answers under way on a slow machine, takes more: it is a
        # rise that the request bounds, and GOGC is not lowered for it.
        grown = max(1.0, observed["liveBytes"] * (1 + gogc / 100) / foretold)
        assert observed["residentBytes"] <= grown * REQUEST_MIB * MIB
        # With the limit for a budget there would be room for far more.
        room = GOAL_RATIO * SET_POINT * LIMIT_MIB * MIB / observed["liveBytes"] - 1
        assert gogc < 100 * room / 2
