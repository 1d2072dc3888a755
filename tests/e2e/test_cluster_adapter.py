"""The adapters of `tuner.cluster` against the real API server."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest

from tests.e2e.testbed.manifests import SampleService, live_config_map
from tests.e2e.testbed.processes import wait_for
from tests.examples import applied_gogc, moved
from tuner.cluster import (
    Api,
    ClusterAccess,
    ClusterActuator,
    ClusterInventory,
    ClusterRecords,
    EventObserver,
    Upkeep,
    connect,
    operator_pod,
)
from tuner.cluster.live import LiveConfigMaps, with_live
from tuner.errors import ConflictError, GoneError, RefusedError, UnavailableError
from tuner.model.decision import Hold
from tuner.model.happening import ChangeWritten, HoldBegan, SourceFound, SourceLost, TrialEnded
from tuner.model.reason import Reason
from tuner.model.record import (
    Applied,
    AppliedSetting,
    Barrier,
    Learned,
    Observed,
    Recommended,
    Record,
    Sighting,
    Verb,
)
from tuner.model.trial import Change, Level, Outcome, Phase, Setting, Spread, Trial, Verdict
from tuner.model.tuning import Prediction
from tuner.model.workload import EnvEntry, Kind, Mode, Rollout, Workload, WorkloadKey

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from tests.e2e.testbed.cluster import Cluster

T = TypeVar("T")

RAISE = moved(None, "200")
LOWER = moved("200", None)


def full_record(at: float) -> Record:
    """A record with every field set, and a None wherever one can stand."""
    spread = Spread(median=0.000452, deviation=1.5e-7, windows=5)
    level = Level(
        at=at,
        cpu_seconds_per_request=spread,
        cpu_seconds_per_allocated_byte=spread,
        gc_share=0.262,
        cpu_cores=0.9,
        requests_per_second=2000.0,
        allocated_bytes_per_second=5e8,
        marked_bytes_per_second=1e9,
        resident_bytes=612 << 20,
        errors_ratio=0.0,
        latency_seconds=spread,
        pods=2,
        marked_known=False,
    )
    bare = msgspec.structs.replace(
        level,
        cpu_seconds_per_request=None,
        requests_per_second=None,
        errors_ratio=None,
        latency_seconds=None,
    )
    trial = Trial(
        change=RAISE,
        reason=Reason.GC_COST,
        prediction=Prediction(cpu_saving_ratio=0.127, memory_peak_bytes=1 << 40),
        baseline=level,
        template_digest="d" * 64,
        phase=Phase.MEASURING,
        started_at=at + 1,
        phase_at=at + 2,
        suspected=True,
        pods=2,
        restarts=1,
        fresh_starts=2,
    )
    outcomes = (
        Outcome(
            at,
            RAISE,
            Reason.GC_COST,
            Verdict.CONFIRMED,
            "CPU fell",
            0.127,
            0.131,
            2000.0,
            1,
            2,
            3,
            0.1,
        ),
        Outcome(at, LOWER, Reason.ROLLBACK, Verdict.VOID, "the image changed", -0.1),
    )
    observed = Observed(
        at=at,
        gogc="off",
        gomemlimit="921MiB",
        gc_share=0.262,
        gc_share_source="measured",
        live_bytes=231 << 20,
        resident_bytes=612 << 20,
        cpu_cores=0.9,
        requests_per_second=1.5,
        cpu_seconds_per_request=0.1,
        latency_p95_seconds=0.2,
        latency_p99_seconds=0.3,
        pause_ratio=1e-4,
        pause_longest_seconds=2e-3,
        barrier_threshold=64,
    )
    record = Record(
        mode=Mode.AUTO,
        decision=Verb.APPLY,
        reason=Reason.GC_COST,
        message='ümlauts, "quotes" and\nlines',
        observed=observed,
        recommended=Recommended(
            gogc=330, cpu_saving_ratio=0.183, memory_peak_bytes=1 << 30, memory_limit="921MiB"
        ),
        applied=Applied("app", (AppliedSetting("GOGC", None, None),), at),
        trial=trial,
        learned=Learned(3.1e-10, 0.2e-10, 0.4, 1.1, 0.7, 1 << 30, 1 << 31, at),
        history=outcomes * 5,
        reverted_at=at + 3,
        reverts=2,
        unwritten=1,
        restored_at=at + 4,
        barrier=Barrier(threshold=64, prior=None, written_at=at),
        sightings=(Sighting("calm/0123456789ab", at),),
    )
    defaults = _defaults(record).items()
    assert not [name for name, default in defaults if getattr(record, name) == default]
    return msgspec.structs.replace(
        record, trial=msgspec.structs.replace(trial, baseline=bare, suspected=False)
    )


def _defaults(record: Record) -> dict[str, Any]:
    return {each.name: each.default for each in msgspec.structs.fields(record)}


@dataclass(frozen=True)
class Adapters:
    """The adapters for one namespace, and the namespace as its users see it."""

    cluster: Cluster
    namespace: str
    api: Api
    inventory: ClusterInventory
    records: ClusterRecords
    actuator: ClusterActuator
    channel: LiveConfigMaps
    reports: list[str]

    def key(self, name: str = "web", kind: Kind = Kind.DEPLOYMENT) -> WorkloadKey:
        return WorkloadKey(self.namespace, kind, name)

    def deploy(self, name: str = "web", **options: Any) -> Workload:  # noqa: ANN401 - passed on
        """Apply a Deployment without pods, and wait until it is rolled out."""
        self.cluster.apply([manifest(name, **options)], namespace=self.namespace)
        return self.rolled_out(name)

    def deploy_set(self, name: str = "db", **spec: Any) -> Workload:  # noqa: ANN401 - JSON
        """Apply a StatefulSet without pods, and wait until its controller has looked at it."""
        found = manifest(name)
        found["kind"] = "StatefulSet"
        found["spec"] |= {"serviceName": name, **spec}
        self.cluster.apply([found], namespace=self.namespace)
        key = self.key(name, Kind.STATEFUL_SET)
        return self.until(lambda: self._settled(key, {Rollout.COMPLETE, Rollout.PAUSED}))

    def rolled_out(self, name: str = "web", kind: Kind = Kind.DEPLOYMENT) -> Workload:
        """Wait until the controller of its kind is done with a workload."""
        key = self.key(name, kind)
        return self.until(lambda: self._settled(key, {Rollout.COMPLETE}))

    def _settled(self, key: WorkloadKey, rollouts: Collection[Rollout]) -> Workload | None:
        workload = self.inventory.fetch(key)
        return workload if workload.rollout in rollouts else None

    def joined(self, name: str = "web") -> Workload:
        """A Deployment with its live ConfigMap, both as they are now."""
        workload = self.inventory.fetch(self.key(name))
        return with_live(workload, self.channel.fetch(self.namespace, "web-gc"), found=True)

    def until(self, found: Callable[[], T | None]) -> T:
        """Poll until something true is found, for so long that only what never comes is missed."""
        result: list[T] = []

        def holds() -> bool:
            result[:] = [each for each in [found()] if each]
            return bool(result)

        wait_for(holds, "what was to be found", interval_seconds=0.05)
        return result[0]

    def live(self, name: str = "web") -> dict[str, Any]:
        return self.cluster.get("deployment", name, "--namespace", self.namespace)

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl("--namespace", self.namespace, *arguments)


def manifest(
    name: str,
    *,
    env: tuple[tuple[str, str], ...] = (("ZETA", "1"), ("ALPHA", "2")),
    cause: str | None = None,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    annotations = dict(annotations or {})
    if cause is not None:
        annotations["kubernetes.io/change-cause"] = cause
    entries = [{"name": each, "value": value} for each, value in env]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "containers": [
                        {"name": "zulu", "image": "testbed/service", "env": entries},
                        {"name": "app", "image": "testbed/service", "env": entries},
                        {"name": "bare", "image": "testbed/service"},
                    ]
                },
            },
        },
    }


@contextlib.contextmanager
def adapted(cluster: Cluster, namespace: str, kubeconfig: Path) -> Iterator[Adapters]:
    reports: list[str] = []
    # The API server may stall: how long it takes is not judged here.
    api = connect(ClusterAccess(kubeconfig=kubeconfig, timeout_seconds=60.0))
    upkeep = Upkeep(stale_after_seconds=120.0, report=reports.append)
    inventory = ClusterInventory(api, upkeep, [namespace])
    records = ClusterRecords(api, upkeep, inventory, [namespace])
    channel = LiveConfigMaps(api, upkeep, [namespace])
    mirrors = (inventory, records, channel)
    for each in mirrors:
        each.start()
    try:
        assert all(each.wait_synced(60.0) for each in mirrors)
        actuator = ClusterActuator(api, channel)
        yield Adapters(cluster, namespace, api, inventory, records, actuator, channel, reports)
    finally:
        for each in mirrors:
            each.stop()
        api.close()


@pytest.fixture
def adapters(cluster: Cluster, namespace: str) -> Iterator[Adapters]:
    """The adapters with the rights that they need, and no others."""
    rbac = "rbac.authorization.k8s.io"
    metadata = {"name": "adapters", "namespace": namespace}
    read = ["get", "list", "watch"]
    rules = [
        {
            "apiGroups": ["apps"],
            "resources": ["deployments", "statefulsets"],
            "verbs": [*read, "patch"],
        },
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": [*read, "patch"]},
        {
            "apiGroups": ["gc-tuner.io"],
            "resources": ["gctunings"],
            "verbs": [*read, "create", "delete"],
        },
        {"apiGroups": ["gc-tuner.io"], "resources": ["gctunings/status"], "verbs": ["update"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
    ]
    account = {"kind": "ServiceAccount", "name": "adapters", "namespace": namespace}
    cluster.apply(
        [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
            {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
            {
                "apiVersion": f"{rbac}/v1",
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "adapters"},
                "subjects": [account],
            },
        ]
    )
    kubeconfig = cluster.service_account_kubeconfig(namespace, "adapters")
    with adapted(cluster, namespace, kubeconfig) as opened:
        yield opened


def test_a_full_record_comes_back_without_loss(adapters: Adapters) -> None:
    workload = adapters.deploy()
    at = 1700000000.123457
    record = full_record(at)
    adapters.records.save(workload, record)
    assert adapters.records.all() == {workload.key: record}
    with adapted(adapters.cluster, adapters.namespace, adapters.cluster.kubeconfig) as another:
        assert another.records.all() == {workload.key: record}
    assert adapters.reports == []


def test_every_field_of_the_record_can_be_set(adapters: Adapters) -> None:
    workload = adapters.deploy()
    record = full_record(1700000000.0)
    assert record.trial is not None
    assert record.trial.baseline is not None
    level = msgspec.structs.replace(
        record.trial.baseline,
        cpu_seconds_per_request=Spread(1.0, 2.0, 3),
        requests_per_second=1.0,
        errors_ratio=0.5,
        latency_seconds=Spread(0.1, 0.01, 5),
    )
    record = msgspec.structs.replace(
        record,
        applied=applied_gogc("200", "100", 1.0),
        trial=msgspec.structs.replace(record.trial, baseline=level, suspected=True),
    )
    adapters.records.save(workload, record)
    assert adapters.records.all() == {workload.key: record}


def test_a_record_is_owned_by_its_workload_and_written_by_gc_tuner(adapters: Adapters) -> None:
    workload = adapters.deploy()
    adapters.records.save(workload, full_record(1.0))
    found = adapters.cluster.get(
        *("gct", "deployment-web", "--namespace", adapters.namespace, "--show-managed-fields")
    )
    assert found["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "web",
            "uid": workload.uid,
            "controller": False,
        }
    ]
    assert {each["manager"] for each in found["metadata"]["managedFields"]} == {"gc-tuner"}
    header, row = adapters.kubectl("get", "gct", "--output", "wide").splitlines()
    shown = dict(zip(header.split(), row.split(), strict=False))
    shown.pop("AGE")
    assert shown == {
        "NAME": "deployment-web",
        "TARGET": "web",
        "MODE": "auto",
        "GOGC": "off",
        "GOMEMLIMIT": "921MiB",
        "RECOMMENDED": "330",
        "SAVING": "0.183",
        "DECISION": "Apply",
        "REASON": "gc_cost",
        "VERDICT": "Confirmed",
        "LIMIT": "921MiB",
        "PREDICTED": "0.127",
        "MEASURED": "0.131",
        "PHASE": "Measuring",
        "MESSAGE": "ümlauts,",
    }


def test_a_record_goes_with_its_workload_and_does_not_come_back(adapters: Adapters) -> None:
    workload = adapters.deploy()
    adapters.records.save(workload, full_record(1.0))
    adapters.kubectl("delete", "deployment", "web")
    # The garbage collector looks for new kinds of objects every 30 s.
    adapters.until(lambda: not adapters.records.all())
    adapters.until(lambda: not adapters.inventory.workloads())
    with pytest.raises(GoneError):
        adapters.inventory.fetch(workload.key)


def test_a_record_deleted_by_hand_is_made_anew(adapters: Adapters) -> None:
    workload = adapters.deploy()
    adapters.records.save(workload, full_record(1.0))
    adapters.kubectl("delete", "gct", "deployment-web")
    adapters.records.save(workload, full_record(2.0))
    assert adapters.records.all() == {workload.key: full_record(2.0)}


def test_no_record_is_made_anew_for_a_workload_that_was_just_deleted(adapters: Adapters) -> None:
    workload = adapters.deploy()
    adapters.records.save(workload, full_record(1.0))
    adapters.kubectl("delete", "gct,deployment", "--all", "--wait")
    with pytest.raises(GoneError):
        # Whether or not the mirror has heard of it by now.
        adapters.records.save(workload, full_record(2.0))
    assert adapters.cluster.get("gct", "--namespace", adapters.namespace)["items"] == []


def test_a_workload_made_anew_gets_a_record_of_its_own(adapters: Adapters) -> None:
    old = adapters.deploy()
    adapters.records.save(old, full_record(1.0))
    adapters.kubectl("delete", "deployment", "web", "--cascade=orphan")
    new = adapters.deploy()
    assert new.uid != old.uid
    adapters.until(lambda: adapters.inventory.workloads()[new.key].uid == new.uid)
    assert adapters.records.all() == {}
    adapters.records.save(new, full_record(2.0))
    assert adapters.records.all() == {new.key: full_record(2.0)}
    time.sleep(1.0)  # Time for the garbage collector to take it, if it would.
    assert adapters.records.all() == {new.key: full_record(2.0)}


def test_a_conflict_with_another_writer_is_won(adapters: Adapters) -> None:
    workload = adapters.deploy()
    adapters.records.save(workload, full_record(1.0))
    adapters.kubectl("annotate", "gct", "deployment-web", "seen=yes")
    adapters.records.save(workload, full_record(2.0))
    assert adapters.records.all() == {workload.key: full_record(2.0)}


def test_the_definition_refuses_what_is_no_record(adapters: Adapters) -> None:
    workload = adapters.deploy()
    adapters.records.save(workload, full_record(1.0))
    patch = '{"status": {"reason": "because"}}'
    said = adapters.cluster.kubectl(
        *("--namespace", adapters.namespace, "patch", "gct", "deployment-web", "--type=merge"),
        *("--subresource=status", "--patch", patch, "--output=json"),
        check=False,
    )
    assert said == ""
    assert adapters.records.all() == {workload.key: full_record(1.0)}


def deployed_again(adapters: Adapters, *arguments: str, env: tuple[tuple[str, str], ...]) -> None:
    """An owner's deploy of another version, from a manifest that never names GOGC."""
    deploy = manifest("web", env=env, annotations={"version": "2"})
    for each in deploy["spec"]["template"]["spec"]["containers"]:
        if not each.get("env"):
            each.pop("env", None)
    adapters.cluster.kubectl(
        *arguments, "--namespace", adapters.namespace, "--filename=-", input=json.dumps(deploy)
    )


DEPLOYS: Mapping[str, tuple[Callable[[Adapters], object], bool]] = {
    "kubectl apply": (
        lambda adapters: deployed_again(adapters, "apply", env=(("ZETA", "2"),)),
        True,
    ),
    "kubectl apply --server-side": (
        lambda adapters: deployed_again(
            adapters, "apply", "--server-side", "--force-conflicts", env=(("ZETA", "2"),)
        ),
        True,
    ),
    "kubectl set image": (
        lambda adapters: adapters.kubectl("set", "image", "deployment/web", "app=testbed/other"),
        True,
    ),
    "kubectl rollout restart": (
        lambda adapters: adapters.kubectl("rollout", "restart", "deployment/web"),
        True,
    ),
    "kubectl apply, the last entry of its env gone": (
        lambda adapters: deployed_again(adapters, "apply", env=()),
        False,
    ),
    "kubectl replace": (
        lambda adapters: deployed_again(adapters, "replace", env=(("ZETA", "2"),)),
        False,
    ),
    "kubectl rollout undo": (
        lambda adapters: adapters.kubectl("rollout", "undo", "deployment/web"),
        False,
    ),
}
"""What owners do, and whether a value that they never name outlives it, as deploys.md has it."""


@pytest.mark.parametrize(("deploy", "stays"), DEPLOYS.values(), ids=DEPLOYS)
def test_what_a_deploy_that_never_names_gogc_does_to_it(
    adapters: Adapters, deploy: Callable[[Adapters], object], *, stays: bool
) -> None:
    adapters.actuator.write(adapters.deploy(), RAISE, "GOGC unset -> 200")
    before = adapters.rolled_out().generation
    deploy(adapters)
    after = adapters.inventory.fetch(adapters.key())
    assert after.generation > before
    container = after.container("app")
    assert container is not None
    assert container.literal("GOGC") == ("200" if stays else None)


def told(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What people can see of an object, without its version."""
    names = ("resourceVersion", "managedFields")
    metadata = {name: each for name, each in found["metadata"].items() if name not in names}
    return {**found, "metadata": metadata, "status": None}


@pytest.mark.parametrize("left_behind", [False, True], ids=["first", "after one cut short"])
def test_what_was_sent_before_a_withdrawal_is_refused_and_nobody_else_notices(
    adapters: Adapters, *, left_behind: bool
) -> None:
    adapters.deploy(cause="release 7")
    before = told(adapters.live())
    if left_behind:
        adapters.kubectl("label", "deployment", "web", "gc-tuner.io/withdrawn=true")
    sent = adapters.rolled_out()
    adapters.actuator.withdraw(sent)
    with pytest.raises(ConflictError):
        adapters.actuator.write(sent, RAISE, "x")
    adapters.rolled_out()
    assert told(adapters.live()) == before
    sets = adapters.cluster.get("replicaset", "--namespace", adapters.namespace)["items"]
    assert [each["metadata"]["annotations"].get("gc-tuner.io/withdrawn") for each in sets] == [None]


def test_a_live_config_map_is_withdrawn_itself(adapters: Adapters) -> None:
    adapters.cluster.apply([live_config_map("web-gc", adapters.namespace, {"GOGC": "100"})])
    adapters.deploy(annotations={"gc-tuner.io/live": "web-gc"})
    find = ("configmap", "web-gc", "--namespace", adapters.namespace)
    before, sent = told(adapters.cluster.get(*find)), adapters.joined()
    adapters.actuator.withdraw(sent)
    with pytest.raises(ConflictError):
        adapters.actuator.write(sent, RAISE, "x")
    assert told(adapters.cluster.get(*find)) == before
    assert adapters.joined().resource_version == sent.resource_version


def test_a_change_touches_one_entry_and_taking_it_back_leaves_no_trace(adapters: Adapters) -> None:
    workload = adapters.deploy()
    before = adapters.live()["spec"]
    written = adapters.actuator.write(workload, RAISE, "GOGC unset -> 200")
    container = written.container("app")
    assert container is not None
    assert container.env == {"GOGC": EnvEntry("200", owners=("gc-tuner",))}
    assert written.template_digest == workload.template_digest
    assert written.generation == workload.generation + 1
    changed = adapters.live()["spec"]
    containers = changed["template"]["spec"]["containers"]
    assert [each["name"] for each in containers] == ["zulu", "app", "bare"]
    rest = [each for each in containers[1]["env"] if each["name"] != "GOGC"]
    assert [each["name"] for each in rest] == ["ZETA", "ALPHA"]
    containers[1]["env"] = rest
    assert changed == before
    back = adapters.actuator.write(adapters.rolled_out(), LOWER, "GOGC 200 -> unset")
    assert adapters.live()["spec"] == before
    assert back.template_digest == workload.template_digest
    adapters.rolled_out()
    sets = adapters.cluster.get("replicasets", "--namespace", adapters.namespace)["items"]
    assert len(sets) == 2  # The first one serves again.


def test_a_value_is_changed_where_it_stands(adapters: Adapters) -> None:
    order = (("ZETA", "1"), ("GOGC", "100"), ("ALPHA", "2"))
    workload = adapters.deploy(env=order)
    adapters.actuator.write(workload, moved("100", "200"), "x")
    zulu, app, _ = adapters.live()["spec"]["template"]["spec"]["containers"]
    assert [each["name"] for each in app["env"]] == ["ZETA", "GOGC", "ALPHA"]
    assert [each["value"] for each in zulu["env"]] == ["1", "100", "2"]
    adapters.actuator.write(adapters.rolled_out(), moved("200", "100"), "x")
    _, app, _ = adapters.live()["spec"]["template"]["spec"]["containers"]
    assert [(each["name"], each["value"]) for each in app["env"]] == list(order)


def test_a_container_without_env_gets_and_loses_it(adapters: Adapters) -> None:
    workload = adapters.deploy()
    before = adapters.live()["spec"]
    written = adapters.actuator.write(workload, on_bare(RAISE), "x")
    assert written.template_digest == workload.template_digest
    back = adapters.actuator.write(adapters.rolled_out(), on_bare(LOWER), "x")
    assert back.template_digest == workload.template_digest
    after = adapters.live()["spec"]
    env = after["template"]["spec"]["containers"][2].pop("env", [])
    assert env == []
    assert after == before


def on_bare(change: Change) -> Change:
    return msgspec.structs.replace(change, container="bare")


def test_our_entry_outlives_the_owners_next_apply(adapters: Adapters) -> None:
    adapters.actuator.write(adapters.deploy(), RAISE, "x")
    again = adapters.deploy()
    container = again.container("app")
    assert container is not None
    assert container.env == {"GOGC": EnvEntry("200", owners=("gc-tuner",))}


def test_owners_are_known_by_their_field_managers(adapters: Adapters) -> None:
    adapters.deploy(env=(("GOGC", "100"), ("A", "b")))
    adapters.kubectl("set", "env", "deployment/web", "--containers=app", "GOGC=150")
    adapters.kubectl("set", "env", "deployment/web", "--containers=bare", "GOGC=80")
    found = adapters.inventory.fetch(adapters.key())
    owners = {each.name: each.env["GOGC"].owners for each in found.containers}
    assert owners == {
        "zulu": ("kubectl-client-side-apply",),
        "app": ("kubectl-client-side-apply", "kubectl-set"),
        "bare": ("kubectl-set",),
    }


def test_a_write_at_a_stale_version_changes_nothing(adapters: Adapters) -> None:
    workload = adapters.deploy()
    adapters.kubectl("annotate", "deployment", "web", "touched=yes")
    with pytest.raises(ConflictError, match=r"patch deployment .*: 409"):
        adapters.actuator.write(workload, RAISE, "x")
    assert adapters.inventory.fetch(workload.key).containers == workload.containers


def test_a_write_to_a_workload_that_is_gone(adapters: Adapters) -> None:
    workload = adapters.deploy()
    adapters.kubectl("delete", "deployment", "web")
    with pytest.raises(GoneError):
        adapters.actuator.write(workload, RAISE, "x")


def test_a_write_to_a_workload_made_anew_changes_nothing(adapters: Adapters) -> None:
    workload = adapters.deploy()
    adapters.kubectl("delete", "deployment", "web")
    adapters.deploy()
    with pytest.raises(ConflictError):
        adapters.actuator.write(workload, RAISE, "x")


def test_a_reference_is_not_overwritten(adapters: Adapters) -> None:
    adapters.deploy()
    adapters.kubectl("create", "configmap", "values", "--from-literal=GOGC=100")
    adapters.kubectl("set", "env", "deployment/web", "--containers=app", "--from=configmap/values")
    workload = adapters.rolled_out()
    container = workload.container("app")
    assert container is not None
    assert container.env["GOGC"].value is None
    with pytest.raises(RefusedError, match="422"):
        adapters.actuator.write(workload, RAISE, "x")


def test_the_cause_stays_in_the_history_and_not_on_the_workload(adapters: Adapters) -> None:
    written = adapters.actuator.write(adapters.deploy(), RAISE, "GOGC unset -> 200")
    assert written.change_cause == "gc-tuner: GOGC unset -> 200"
    adapters.actuator.clear_cause(adapters.rolled_out())
    # It counts as a generation, though nothing is rolled out.
    cleared = adapters.rolled_out()
    assert cleared.change_cause is None
    sets = adapters.cluster.get("replicasets", "--namespace", adapters.namespace)["items"]
    assert len(sets) == 2
    history = adapters.kubectl("rollout", "history", "deployment/web")
    assert "gc-tuner: GOGC unset -> 200" in history


def test_the_users_cause_is_left_alone(adapters: Adapters) -> None:
    written = adapters.actuator.write(adapters.deploy(cause="release 7"), RAISE, "x")
    assert written.change_cause == "release 7"
    adapters.actuator.clear_cause(written)
    assert adapters.inventory.fetch(adapters.key()).change_cause == "release 7"


def test_a_stateful_set_is_changed_and_taken_back_without_a_trace(adapters: Adapters) -> None:
    workload = adapters.deploy_set()
    before = adapters.cluster.get("statefulset", "db", "--namespace", adapters.namespace)
    written = adapters.actuator.write(workload, RAISE, "GOGC unset -> 200")
    container = written.container("app")
    assert container is not None
    assert container.env == {"GOGC": EnvEntry("200", owners=("gc-tuner",))}
    assert written.template_digest == workload.template_digest
    assert written.change_cause == "gc-tuner: GOGC unset -> 200"
    adapters.actuator.clear_cause(adapters.rolled_out("db", Kind.STATEFUL_SET))
    cleared = adapters.rolled_out("db", Kind.STATEFUL_SET)
    assert cleared.change_cause is None
    adapters.actuator.write(cleared, LOWER, "GOGC 200 -> unset")
    after = adapters.cluster.get("statefulset", "db", "--namespace", adapters.namespace)
    assert after["spec"] == before["spec"]


def test_a_stateful_set_at_a_stale_version_is_not_written(adapters: Adapters) -> None:
    workload = adapters.deploy_set()
    adapters.kubectl("annotate", "statefulset", "db", "touched=yes")
    with pytest.raises(ConflictError, match=r"patch statefulset .*: 409"):
        adapters.actuator.write(workload, RAISE, "x")
    assert adapters.inventory.fetch(workload.key).containers == workload.containers


def test_the_pods_of_a_stateful_set_get_the_value_one_after_another(adapters: Adapters) -> None:
    service = SampleService(name="db", namespace=adapters.namespace, kind="StatefulSet")
    adapters.cluster.apply(service.manifests())
    workload = adapters.rolled_out("db", Kind.STATEFUL_SET)
    assert (workload.replicas, workload.ready_replicas, workload.surges) == (2, 2, False)
    written = adapters.actuator.write(workload, RAISE, "GOGC unset -> 200")
    assert written.rollout is Rollout.IN_PROGRESS
    assert adapters.rolled_out("db", Kind.STATEFUL_SET).ready_replicas == 2
    assert pods_gogc(adapters) == ["200", "200"]
    adapters.kubectl("rollout", "undo", "statefulset/db")
    undone = adapters.rolled_out("db", Kind.STATEFUL_SET)
    container = undone.container("app")
    assert container is not None
    assert container.env == {}
    assert undone.template_digest == workload.template_digest
    # Other than of a Deployment, only the template is taken back.
    assert undone.change_cause == "gc-tuner: GOGC unset -> 200"


def pods_gogc(adapters: Adapters) -> list[str | None]:
    pods = adapters.cluster.get("pods", "--namespace", adapters.namespace)["items"]
    return [
        {each["name"]: each.get("value") for each in pod["spec"]["containers"][0]["env"]}.get(
            "GOGC"
        )
        for pod in pods
    ]


@pytest.mark.parametrize(
    "strategy",
    [{"type": "OnDelete"}, {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}],
)
def test_a_stateful_set_that_does_not_roll_out_by_itself_is_paused(
    adapters: Adapters, strategy: dict[str, Any]
) -> None:
    assert adapters.deploy_set(updateStrategy=strategy).rollout is Rollout.PAUSED


def test_the_record_of_a_stateful_set_is_owned_by_it(adapters: Adapters) -> None:
    workload = adapters.deploy_set()
    adapters.records.save(workload, full_record(1.0))
    assert adapters.records.all() == {workload.key: full_record(1.0)}
    found = adapters.cluster.get("gct", "statefulset-db", "--namespace", adapters.namespace)
    (owner,) = found["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("StatefulSet", workload.uid)


def test_both_kinds_may_have_the_same_name(adapters: Adapters) -> None:
    one, two = adapters.deploy("same"), adapters.deploy_set("same")
    for each in (one, two):
        adapters.records.save(each, full_record(1.0))
    assert adapters.records.all().keys() == {one.key, two.key}
    adapters.until(lambda: adapters.inventory.workloads().keys() == {one.key, two.key})


def test_a_deployment_surges_by_default_and_not_where_it_is_recreated(adapters: Adapters) -> None:
    adapters.deploy()
    patch = '{"spec": {"replicas": 1, "paused": true}}'
    adapters.kubectl("patch", "deployment", "web", "--patch", patch)
    assert adapters.inventory.fetch(adapters.key()).surges
    patch = '{"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}}'
    adapters.kubectl("patch", "deployment", "web", "--patch", patch)
    assert not adapters.inventory.fetch(adapters.key()).surges


def test_the_barrier_stands_under_the_name_that_the_workload_has_for_it(
    adapters: Adapters,
) -> None:
    workload = adapters.deploy(annotations={"gc-tuner.io/barrier-env": "ALPHA"})
    written = adapters.actuator.write(workload, moved("2", "64", "BARRIER"), "x")
    container = written.container("app")
    assert container is not None
    assert container.literal("BARRIER") == "64"
    assert written.template_digest == workload.template_digest
    app = adapters.live()["spec"]["template"]["spec"]["containers"][1]
    assert app["env"] == [{"name": "ZETA", "value": "1"}, {"name": "ALPHA", "value": "64"}]


def test_the_live_channel_changes_its_keys_and_nothing_else(adapters: Adapters) -> None:
    found = live_config_map("web-gc", adapters.namespace, {"GOGC": "100", "colour": "red"})
    adapters.cluster.apply([found])
    adapters.deploy(annotations={"gc-tuner.io/live": "web-gc"})
    before = adapters.joined()
    step = Change("app", (Setting("GOGC", "100", "200"), Setting("BARRIER", None, "64")))
    written = adapters.actuator.write(before, step, "x")
    assert written.live is not None
    assert adapters.channel.of(adapters.namespace, "web-gc") is not None
    container = written.container("app")
    assert container is not None
    assert container.env == {
        "GOGC": EnvEntry("200", owners=("gc-tuner",)),
        "BARRIER": EnvEntry("64", owners=("gc-tuner",)),
    }
    assert adapters.joined() == written
    data = adapters.cluster.get("configmap", "web-gc", "--namespace", adapters.namespace)["data"]
    assert data == {"GOGC": "200", "BARRIER": "64", "colour": "red"}
    assert (written.generation, written.change_cause) == (before.generation, None)
    adapters.actuator.write(written, step.back, "x")
    assert adapters.cluster.get("configmap", "web-gc", "--namespace", adapters.namespace)[
        "data"
    ] == {"GOGC": "100", "colour": "red"}


def test_a_live_config_map_without_any_key_is_filled(adapters: Adapters) -> None:
    adapters.cluster.apply([live_config_map("web-gc", adapters.namespace, {})])
    adapters.deploy(annotations={"gc-tuner.io/live": "web-gc"})
    written = adapters.actuator.write(adapters.joined(), RAISE, "x")
    assert adapters.joined() == written
    adapters.actuator.write(written, LOWER, "x")
    assert [each.env for each in adapters.joined().containers] == [{}] * 3


def test_a_live_config_map_at_a_stale_version_is_not_written(adapters: Adapters) -> None:
    adapters.cluster.apply([live_config_map("web-gc", adapters.namespace, {"GOGC": "100"})])
    adapters.deploy(annotations={"gc-tuner.io/live": "web-gc"})
    stale = adapters.joined()
    adapters.kubectl("label", "configmap", "web-gc", "gc-tuner.io/live-")
    with pytest.raises(ConflictError, match=r"patch configmap .*: 409"):
        adapters.actuator.write(stale, RAISE, "x")
    adapters.kubectl("delete", "configmap", "web-gc")
    with pytest.raises(GoneError):
        adapters.actuator.write(stale, RAISE, "x")


def test_an_immutable_config_map_is_a_refusal(adapters: Adapters) -> None:
    adapters.cluster.apply([live_config_map("web-gc", adapters.namespace, {"GOGC": "100"})])
    adapters.kubectl("patch", "configmap", "web-gc", "--patch", '{"immutable": true}')
    adapters.deploy(annotations={"gc-tuner.io/live": "web-gc"})
    with pytest.raises(RefusedError, match="immutable"):
        adapters.actuator.write(adapters.joined(), RAISE, "x")


def test_the_view_of_live_config_maps_follows_their_label(adapters: Adapters) -> None:
    def seen() -> str | None:
        settings = adapters.channel.of(adapters.namespace, "web-gc")
        return None if settings is None else settings.entries["GOGC"].value

    found = live_config_map("web-gc", adapters.namespace, {"GOGC": "100"})
    label = found["metadata"].pop("labels")
    adapters.cluster.apply([found])
    with pytest.raises(GoneError, match="without the label"):
        adapters.channel.fetch(adapters.namespace, "web-gc")
    found["metadata"]["labels"] = label
    adapters.cluster.apply([found])
    adapters.until(lambda: seen() == "100")
    adapters.kubectl("patch", "configmap", "web-gc", "--patch", '{"data": {"GOGC": "150"}}')
    adapters.until(lambda: seen() == "150")
    adapters.kubectl("label", "configmap", "web-gc", "gc-tuner.io/live-")
    adapters.until(lambda: seen() is None)
    assert adapters.reports == []


def test_the_view_follows_the_cluster(adapters: Adapters) -> None:
    adapters.deploy("one")
    adapters.deploy("two")
    keys = {adapters.key("one"), adapters.key("two")}
    adapters.until(lambda: adapters.inventory.workloads().keys() == keys)
    adapters.kubectl("label", "deployment", "one", "gc-tuner.io/mode=auto")
    one = adapters.key("one")
    adapters.until(lambda: adapters.inventory.workloads()[one].label_mode == "auto")
    adapters.kubectl("delete", "deployment", "two")
    adapters.until(lambda: adapters.inventory.workloads().keys() == {one})
    view = adapters.inventory.workloads()[one]
    assert view == replace(adapters.inventory.fetch(one), resource_version=view.resource_version)


def test_a_workload_on_its_way_out_is_not_seen(adapters: Adapters) -> None:
    adapters.deploy()
    finalizer = '{"metadata": {"finalizers": ["test.gc-tuner.io/hold"]}}'
    adapters.kubectl("patch", "deployment", "web", "--patch", finalizer)
    adapters.kubectl("delete", "deployment", "web", "--wait=false")
    adapters.until(lambda: not adapters.inventory.workloads())
    with pytest.raises(GoneError, match="being deleted"):
        adapters.inventory.fetch(adapters.key())
    adapters.kubectl("patch", "deployment", "web", "--patch", '{"metadata": {"finalizers": null}}')


def test_events_stand_beside_what_they_are_about(adapters: Adapters) -> None:
    workload = replace(adapters.deploy(), label_mode="auto")
    record = full_record(1.0)
    assert record.trial is not None
    lost: list[str] = []
    observer = EventObserver(
        adapters.api,
        operator=operator_pod(adapters.namespace, None),
        instance="test",
        report=lost.append,
    )
    observer.start()
    now = time.time()
    observer.notify(ChangeWritten(now, workload, record.trial))
    observer.notify(TrialEnded(now, workload, record.history[0]))
    observer.notify(HoldBegan(now, workload, Hold(Reason.OWNED_BY_OTHER, "belongs to helm")))
    observer.notify(SourceLost(now, "timeout", "no answer " * 200))
    observer.notify(SourceFound(now + 1, 1.0))
    observer.notify(SourceLost(now + 2, "timeout", "no answer"))
    assert observer.flush(10.0)
    assert lost == []
    described = adapters.kubectl("describe", "deployment", "web")
    for reason in ("ChangeWritten", "TrialConfirmed", "OwnedByOther"):
        assert reason in described
    (source_lost,) = (
        each
        for each in adapters.cluster.get("events.events.k8s.io", "-n", adapters.namespace)["items"]
        if each["reason"] == "SourceLost"
    )
    assert source_lost["series"]["count"] == 2
    assert source_lost["regarding"]["kind"] == "Namespace"


def test_the_view_comes_back_with_the_api_server(cluster: Cluster, namespace: str) -> None:
    reports: list[str] = []
    api = connect(ClusterAccess(kubeconfig=cluster.kubeconfig, timeout_seconds=2.0))
    upkeep = Upkeep(stale_after_seconds=4.0, report=reports.append)
    inventory = ClusterInventory(api, upkeep, [namespace])
    inventory.start()
    assert inventory.wait_synced(60.0)
    server = cluster.control_plane.apiserver
    server.stop()
    try:
        assert wait_for(lambda: _refusal(inventory) is not None, "the view is refused") < 20
        # It can get too old before its reflector has tried again: its last trouble is another.
        wait_for(lambda: "refused" in str(_refusal(inventory)), "connections are refused")
        with pytest.raises(UnavailableError):
            inventory.fetch(WorkloadKey(namespace, Kind.DEPLOYMENT, "web"))
    finally:
        server.start()
    cluster.apply([manifest("web")], namespace=namespace)
    took = wait_for(
        lambda: _refusal(inventory) is None and bool(inventory.workloads()),
        "the view is whole again",
    )
    print(f"the view was whole again {took:.1f} s after the API server")
    assert took < 30
    inventory.stop()
    api.close()
    assert reports == []


def _refusal(inventory: ClusterInventory) -> UnavailableError | None:
    try:
        inventory.workloads()
    except UnavailableError as error:
        return error
    return None
