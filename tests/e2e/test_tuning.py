"""The main job: a busy service is tuned step by step, each step a rollout, and spends less CPU."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.e2e.stage import SERVICE, STAYED
from tests.e2e.testbed.manifests import APP_CONTAINER
from tests.e2e.testbed.processes import PATIENCE_SECONDS

if TYPE_CHECKING:
    from tests.e2e.stage import Tenant, Tuning
    from tests.e2e.testbed.operator import Operator

AT_REST = {"at_target", "memory_bound", "not_worth", "at_bound", "direction_closed"}
INTERVALS_AT_REST = 10
INTERVAL_SECONDS = 1
LEAST_SAVING = 0.15
AVERAGED_SECONDS = 40
"""Less than the windows on either side of a trial."""
FIELD_MANAGER = "gc-tuner"


def _at_rest(operator: Operator) -> bool:
    record = operator.record(SERVICE)
    return bool(record.get("history")) and "trial" not in record and record.get("reason") in AT_REST


def _cpu_seconds_per_request(tenant: Tenant, at: float) -> float:
    """CPU per request over a while before a time, as Prometheus has it."""
    where = f'namespace="{tenant.namespace}",container="{APP_CONTAINER}"'
    service = f'{where},pod=~"{SERVICE}-.*"'
    answer = tenant.cluster.prometheus.query(
        f"sum(rate(process_cpu_seconds_total{{{service}}}[{AVERAGED_SECONDS}s] @ {at:.3f}))"
        f" / sum(rate(http_requests_total{{{service}}}[{AVERAGED_SECONDS}s] @ {at:.3f}))"
    )
    (value,) = answer.values()
    return value


def _leaves(fields: dict[str, Any], path: str = "") -> set[str]:
    """Paths of the leaves of a fieldsV1 tree."""
    found: set[str] = set()
    for key, below in fields.items():
        if key == ".":
            continue
        if below and set(below) != {"."}:
            found |= _leaves(below, f"{path}/{key}")
        else:
            found.add(f"{path}/{key}")
    return found


def test_a_busy_service_is_tuned_to_rest_and_spends_at_least_15_percent_less(
    tuning: Tuning,
) -> None:
    tenant, operator = tuning.tenant, tuning.operator
    cluster = tenant.cluster
    cluster.wait_for(
        lambda: _at_rest(operator), "the loop at rest", patience_seconds=4 * PATIENCE_SECONDS
    )
    rested_at = datetime.now(tz=UTC)
    record = operator.record(SERVICE)

    # A step that looked like harm, as one may on a machine that is slow just then, was taken back.
    stayed = [each for each in reversed(record["history"]) if each["verdict"] in STAYED]
    changes = [each["change"]["settings"] for each in stayed]
    steps = [move for moves in changes for move in moves if move["name"] == "GOGC"]
    (limit,) = (move for moves in changes for move in moves if move["name"] == "GOMEMLIMIT")
    assert limit in changes[0], "the backstop comes with the first step"
    values = [100, *(int(step["after"]) for step in steps)]
    assert len(steps) >= 1
    assert steps[0]["before"] is None, "GOGC was not set in the manifest"
    assert all(after <= 2 * before for before, after in pairwise(values))
    assert tenant.env()["GOGC"] == steps[-1]["after"]
    assert tenant.env()["GOMEMLIMIT"] == limit["after"]

    history = cluster.kubectl(
        "rollout", "history", f"deployment/{SERVICE}", "--namespace", tenant.namespace
    )
    for step in steps:
        # The way back to a value takes its revision over, and tells of itself.
        assert re.search(rf"gc-tuner: GOGC \S+ -> {step['after']}\b", history), history
    annotations = tenant.deployment()["metadata"].get("annotations", {})
    assert "kubernetes.io/change-cause" not in annotations, "the next revision is the user's"

    entries = [
        each
        for each in tenant.deployment()["metadata"]["managedFields"]
        if each["manager"] == FIELD_MANAGER
    ]
    spec = {leaf for each in entries for leaf in _leaves(each["fieldsV1"].get("f:spec", {}))}
    env = f'/f:template/f:spec/f:containers/k:{{"name":"{APP_CONTAINER}"}}/f:env'
    owned = {f'{env}/k:{{"name":"{name}"}}' for name in ("GOGC", "GOMEMLIMIT")}
    assert spec == {f"{entry}/{leaf}" for entry in owned for leaf in ("f:name", "f:value")}

    before = _cpu_seconds_per_request(tenant, tuning.changed_at())
    after = _cpu_seconds_per_request(tenant, rested_at.timestamp())
    saved = 1 - after / before
    report = (
        f"GOGC {' -> '.join(map(str, values))}: CPU per request "
        f"{before * 1e3:.3f} -> {after * 1e3:.3f} ms ({-saved:+.1%}); "
        f"then {record['reason']}: {record['message']}; {json.dumps(record['history'])}; "
        f"learned {json.dumps(record.get('learned'))}"
    )
    print(report)
    assert saved >= LEAST_SAVING, report

    table = cluster.kubectl("get", "gct", "--namespace", tenant.namespace, "--output", "wide")
    print(table)
    assert SERVICE in table
    assert steps[-1]["after"] in table
    assert "Confirmed" in {each["verdict"] for each in stayed}
    outcome = record["history"][0]
    for figure in ("predictedSavingRatio", "measuredSavingRatio"):
        assert figure not in outcome or f"{outcome[figure]:.6g}"[:4] in table

    ends = datetime.now(tz=UTC).timestamp() + INTERVALS_AT_REST * INTERVAL_SECONDS
    cluster.wait_for(lambda: datetime.now(tz=UTC).timestamp() > ends, "ten intervals at rest")
    assert operator.writes("deployments", since=rested_at) == []
