"""What people run beside the loop: ``gc-tuner doctor``, and ``gc-tuner release`` at the end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.stage import (
    LIVE_CONFIG_MAP,
    ONE_STEP,
    SERVICE,
    STAYED,
    deployed,
    live_tenant,
    tenant,
)
from tests.e2e.testbed.manifests import live_config_map
from tests.e2e.testbed.operator import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.stage import Tenant
    from tests.e2e.testbed.cluster import Cluster
    from tests.e2e.testbed.operator import Operator

LIVE_BEFORE = {"GOGC": "100", "GOMEMLIMIT": "1GiB", "colour": "red"}
"""The limit is over the container's, and so moved."""


@pytest.fixture(scope="module")
def tenants(cluster: Cluster) -> Iterator[Mapping[str, Tenant]]:
    live = live_tenant(cluster, "release-live")
    given = live_config_map(LIVE_CONFIG_MAP, live.namespace, LIVE_BEFORE)
    both = {"env": tenant(cluster, "release"), "live": replace(live, objects=[given])}
    with deployed(both) as running:
        yield running


def _judged(subject: Tenant, operator: Operator) -> None:
    """Wait until a change was tried and has come to stay."""
    subject.cluster.wait_for(
        lambda: (
            bool(operator.record(SERVICE).get("history"))
            and "trial" not in operator.record(SERVICE)
        ),
        "the verdict",
    )
    verdict = operator.record(SERVICE)["history"][0]
    assert verdict["verdict"] in STAYED, verdict
    assert "applied" in operator.record(SERVICE), verdict


def _label(subject: Tenant, mode: str) -> None:
    subject.patch({"metadata": {"labels": {"gc-tuner.io/mode": mode}}})


def _replica_sets(subject: Tenant) -> dict[str, int]:
    """Replicas asked for, by name."""
    selector = f"app.kubernetes.io/name={SERVICE}"
    found = subject.cluster.get(
        "replicasets", "--namespace", subject.namespace, "--selector", selector
    )
    return {each["metadata"]["name"]: each["spec"]["replicas"] for each in found["items"]}


def _without_versions(workload: dict[str, Any]) -> dict[str, Any]:
    """What people have said of it: neither versions nor what controllers write."""
    metadata = workload["metadata"]
    annotations = {
        name: text
        for name, text in metadata.get("annotations", {}).items()
        if name != "deployment.kubernetes.io/revision"
    }
    return {"annotations": annotations, "spec": workload["spec"]}


def _findings(operator: Operator) -> dict[str, str]:
    """Status of each of the doctor's checks; of several of one name the worst."""
    ended = operator.run("doctor", "--output", "json")
    assert ended.returncode in {0, 1}, ended
    found: dict[str, str] = {}
    for each in json.loads(ended.stdout)["findings"]:
        if each["status"] != "ok" or each["check"] not in found:
            found[each["check"]] = each["status"]
    assert (ended.returncode == 0) is ("failed" not in found.values()), ended
    return found


def test_the_doctor_finds_what_gc_tuner_needs_and_what_it_lacks(
    tenants: Mapping[str, Tenant],
) -> None:
    subject = tenants["env"]
    operator = subject.operator()
    # The first rate window takes a while.
    subject.cluster.wait_for(
        lambda: _findings(operator)["metrics"] == "ok", "figures of the service"
    )
    assert set(_findings(operator).values()) == {"ok"}
    assert all(each.resource == "selfsubjectaccessreviews" for each in operator.writes())

    subject.cluster.kubectl("delete", "rolebinding", ACCOUNT, "--namespace", subject.namespace)
    lacking = _findings(operator)
    assert lacking["may patch deployments.apps"] == "failed"
    assert lacking["may list, watch horizontalpodautoscalers.autoscaling"] == "warning"
    assert lacking["records"] == "ok"
    assert lacking["workloads"] == "failed"


def test_a_tuned_deployment_is_again_what_it_was_and_uses_its_first_replica_set(
    tenants: Mapping[str, Tenant],
) -> None:
    subject = tenants["env"]
    cluster, name = subject.cluster, f"{subject.namespace}/{SERVICE}"
    before, (first,) = subject.deployment(), _replica_sets(subject)
    with subject.operated(settings=ONE_STEP) as operator:
        _judged(subject, operator)
        assert subject.env()["GOGC"] == "200"

        refused = operator.run("release", name, "--yes")
        assert refused.returncode == 1, refused
        assert "it is in mode auto" in refused.stdout
        assert subject.env()["GOGC"] == "200"

        _label(subject, "off")
        planned = operator.run("release", name, "--dry-run")
        assert planned.returncode == 0, planned
        assert "replaces its pods, once" in planned.stdout
        done = operator.run("release", name, "--yes")
        print(done.stdout)
        assert done.returncode == 0, done
        cluster.wait_for_rollout(subject.namespace, subject.service.reference)

        after = subject.deployment()
        assert after["spec"]["template"] == before["spec"]["template"]
        assert _without_versions(after) == _without_versions(before)
        replicas = _replica_sets(subject)
        assert {each for each, wanted in replicas.items() if wanted} == {first}
        assert "applied" not in operator.record(SERVICE)
        assert operator.record(SERVICE)["history"]
        subject.cluster.wait_for(
            lambda: subject.gogc_in_force() == {100.0}, "GOGC as before in force"
        )

        again = operator.run("release", "--all", "--yes")
        assert (again.returncode, again.stdout.strip()) == (
            0,
            "nothing to release: no workload has values of gc-tuner",
        )
    assert subject.env() == {
        each["name"]: each.get("value", "")
        for each in before["spec"]["template"]["spec"]["containers"][0].get("env", [])
    }


def test_a_live_config_map_says_again_what_it_said_and_nothing_restarts(
    tenants: Mapping[str, Tenant],
) -> None:
    subject = tenants["live"]
    starts = subject.starts()
    with subject.operated(settings=ONE_STEP) as operator:
        _judged(subject, operator)
        assert subject.live()["GOGC"] == "200"
        assert subject.live()["GOMEMLIMIT"] != LIVE_BEFORE["GOMEMLIMIT"]

        _label(subject, "recommend")
        done = operator.run("release", "--all", "--namespace", subject.namespace, "--yes")
        print(done.stdout)
        assert done.returncode == 0, done
        assert subject.live() == LIVE_BEFORE
        subject.cluster.wait_for(
            lambda: subject.gogc_in_force() == {100.0}, "GOGC as before in force"
        )
        subject.cluster.wait_for(
            lambda: operator.reason(SERVICE) != "rollback",
            "a decision of the loop in the place of the release",
        )
    assert subject.live() == LIVE_BEFORE
    assert subject.starts() == starts
