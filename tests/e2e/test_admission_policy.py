"""What gc-tuner's own account may do, on the real API server with the chart installed.

Every request is a dry run of the API server's: it passes authorization and admission, and stores
nothing. That an administrator may make it shows that nothing else is wrong with it.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.testbed.cluster import REPOSITORY
from tests.e2e.testbed.helm import RELEASE
from tests.e2e.testbed.manifests import live_config_map
from tests.e2e.testbed.processes import PATIENCE_SECONDS
from tests.examples import moved, record
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
from tuner.cluster.client import MERGE, STRATEGIC_MERGE, Request
from tuner.cluster.live import LiveConfigMaps, with_live
from tuner.errors import ConflictError, GoneError, RefusedError
from tuner.model.happening import SourceFound, SourceLost
from tuner.model.reason import Reason
from tuner.model.workload import Kind, WorkloadKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.e2e.testbed.cluster import Cluster
    from tests.e2e.testbed.helm import Helm
    from tuner.model.trial import Change
    from tuner.model.workload import Workload

Json = dict[str, Any]

SHOP, OPERATOR, ELSEWHERE = "policy-shop", "policy-operator", "policy-elsewhere"
WORKLOADS, LIVE, LEASES = (f"{RELEASE}-{name}" for name in ("workloads", "live", "leases"))
KINDS = {Kind.DEPLOYMENT: "deployments", Kind.STATEFUL_SET: "statefulsets"}
DRY = {"dryRun": "All", "fieldManager": "gc-tuner"}


def workload(kind: Kind, name: str, *, mode: str | None, annotations: Mapping[str, str]) -> Json:
    """A workload without pods, with something in most places that must not be touched."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": kind.value,
        "metadata": {
            "name": name,
            "labels": {**labels, **({} if mode is None else {"gc-tuner.io/mode": mode})},
            "annotations": dict(annotations),
        },
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "initContainers": [{"name": "first", "image": "first"}],
                    "containers": [
                        {
                            "name": "app",
                            "image": "app",
                            "env": [
                                {"name": "COLOUR", "value": "red"},
                                {"name": "GOGC", "value": "150"},
                                {"name": "LIMIT", "value": "300"},
                            ],
                        },
                        {
                            "name": "proxy",
                            "image": "proxy",
                            "env": [
                                {
                                    "name": "GOMEMLIMIT",
                                    "valueFrom": {
                                        "configMapKeyRef": {"name": "proxy", "key": "limit"}
                                    },
                                }
                            ],
                        },
                    ],
                },
            },
        },
    }


def config_map(name: str, *, live: bool) -> Json:
    found = live_config_map(name, SHOP, {"GOGC": "100", "colour": "red"})
    if not live:
        del found["metadata"]["labels"]
    return found


def lease(name: str) -> Json:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name},
        "spec": {"holderIdentity": "somebody"},
    }


def objects() -> list[Json]:
    """What stands in the namespace that is looked at."""
    steered = {"gc-tuner.io/barrier-env": "LIMIT", "team": "checkout"}
    cause = {**steered, "kubernetes.io/change-cause": "release 7"}
    ours = {"kubernetes.io/change-cause": "gc-tuner: GOGC 100 → 150"}
    return [
        *(
            each
            for kind in KINDS
            for each in (
                workload(kind, "web", mode="auto", annotations=steered),
                workload(kind, "deployed", mode="auto", annotations=cause),
                workload(kind, "shy", mode=None, annotations=steered),
                workload(kind, "caused", mode="auto", annotations=ours),
                workload(kind, "steered-wrong", mode="auto", annotations={
                    "gc-tuner.io/barrier-env": "GOGC",
                }),
            )
        ),
        config_map("web-gc", live=True),
        config_map("plain", live=False),
        config_map("gc-tuner-overrides", live=True),
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret"}},
    ]  # fmt: skip


@dataclass(frozen=True)
class Ask:
    """One request, and who refuses it where it is refused.

    Attributes:
        name: what it tries.
        path: of the API.
        body: what is sent.
        by: the binding that refuses it; `rbac` where the account has no such right.
        verb: as RBAC calls it.
        content_type: of the body.
    """

    name: str
    path: str
    body: Json | None
    by: str
    verb: str = "patch"
    content_type: str = STRATEGIC_MERGE

    def request(self) -> Request:
        kind = self.content_type if self.verb == "patch" else "application/json"
        query = {} if self.verb == "get" else DRY
        return Request(
            verb=self.verb,
            what=self.path,
            path=self.path,
            query=query,
            body=self.body,
            content_type=kind,
        )


def apps(kind: Kind, name: str = "web", subresource: str = "") -> str:
    return f"/apis/apps/v1/namespaces/{SHOP}/{KINDS[kind]}/{name}{subresource}"


def core(resource: str, name: str = "", namespace: str = SHOP) -> str:
    return f"/api/v1/namespaces/{namespace}/{resource}" + (f"/{name}" if name else "")


def lease_path(name: str = "", namespace: str = OPERATOR) -> str:
    group = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    return f"{group}/{name}" if name else group


def template(spec: Json) -> Json:
    return {"spec": {"template": {"spec": spec}}}


def container(fields: Json, name: str = "app") -> Json:
    return template({"containers": [{"name": name, **fields}]})


def env(*entries: Json, name: str = "app") -> Json:
    return container({"env": list(entries)}, name)


def value(name: str, text: str) -> Json:
    return {"name": name, "value": text}


def absent(name: str) -> Json:
    return {"name": name, "$patch": "delete"}


def annotated(**texts: str | None) -> Json:
    return {"metadata": {"annotations": texts}}


def cause(text: str | None) -> Json:
    return {"metadata": {"annotations": {"kubernetes.io/change-cause": text}}}


FROM_KEY = {"configMapKeyRef": {"name": "proxy", "key": "limit"}}

GOOD_PATCHES: dict[str, Json] = {
    "GOGC": env(value("GOGC", "200")),
    "GOGC off": env(value("GOGC", "off")),
    "both at once": env(value("GOGC", "200"), value("GOMEMLIMIT", "919MiB")),
    "GOGC taken away": env(absent("GOGC")),
    "an earlier value put back": env(value("GOMEMLIMIT", "1GiB")),
    "barrier": env(value("LIMIT", "210")),
    "all three with the cause": {
        **env(value("GOGC", "200"), value("GOMEMLIMIT", "919MiB"), value("LIMIT", "210")),
        **cause("gc-tuner: GOGC 150 → 200"),
    },
    "in the other container": env(value("GOGC", "200"), name="proxy"),
    "the cause alone": cause("gc-tuner: GOGC 150 → 200"),
    "a withdrawal": {"metadata": {"labels": {"gc-tuner.io/withdrawn": "true"}}},
    "no change": env(value("GOGC", "150")),
}

BAD_PATCHES: dict[str, Json] = {
    "replicas": {"spec": {"replicas": 1}},
    "min ready seconds": {"spec": {"minReadySeconds": 5}},
    "revision history": {"spec": {"revisionHistoryLimit": 1}},
    "image": container({"image": "other"}),
    "command": container({"command": ["sh"]}),
    "arguments": container({"args": ["-c", "true"]}),
    "resources": container({"resources": {"limits": {"memory": "1Gi"}}}),
    "security context of a container": container({"securityContext": {"privileged": True}}),
    "probe": container({"livenessProbe": {"httpGet": {"path": "/", "port": 80}}}),
    "volume mount": template(
        {
            "volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{"name": "app", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
        }
    ),
    "envFrom": container({"envFrom": [{"configMapRef": {"name": "plain"}}]}),
    "lifecycle": container({"lifecycle": {"preStop": {"exec": {"command": ["true"]}}}}),
    "port": container({"ports": [{"containerPort": 80}]}),
    "another env name": env(value("GODEBUG", "gctrace=1")),
    "another env name with a good value": env(value("GOMAXPROCS", "200")),
    "another env value": env(value("COLOUR", "blue")),
    "another env name beside a good one": env(value("GOGC", "200"), value("COLOUR", "blue")),
    "another env name taken away": env(absent("COLOUR")),
    "GOGC not a whole number": env(value("GOGC", "330.0")),
    "GOGC zero": env(value("GOGC", "0")),
    "GOGC in words": env(value("GOGC", "high")),
    "GOGC by expansion": env(value("GOGC", "$(COLOUR)")),
    "GOGC with a second line": env(value("GOGC", "200\nx")),
    "GOGC empty": env(value("GOGC", "")),
    "GOGC from elsewhere": env({"name": "GOGC", "value": None, "valueFrom": FROM_KEY}),
    "GOMEMLIMIT as Kubernetes has it": env(value("GOMEMLIMIT", "715Mi")),
    "GOMEMLIMIT negative": env(value("GOMEMLIMIT", "-1MiB")),
    "barrier in words": env(value("LIMIT", "many")),
    "barrier off": env(value("LIMIT", "off")),
    "valueFrom taken away": env(absent("GOMEMLIMIT"), name="proxy"),
    "valueFrom replaced": env(
        {"name": "GOMEMLIMIT", "value": "64MiB", "valueFrom": None}, name="proxy"
    ),
    "env of an init container": template(
        {"initContainers": [{"name": "first", "env": [value("GOGC", "200")]}]}
    ),
    "one more container": template({"containers": [{"name": "more", "image": "more"}]}),
    "one more init container": template({"initContainers": [{"name": "more", "image": "more"}]}),
    "one container less": template({"containers": [absent("proxy")]}),
    "containers in another order": template(
        {"$setElementOrder/containers": [{"name": "proxy"}, {"name": "app"}]}
    ),
    "volume": template({"volumes": [{"name": "v", "emptyDir": {}}]}),
    "service account": template({"serviceAccountName": "other"}),
    "host network": template({"hostNetwork": True}),
    "node selector": template({"nodeSelector": {"zone": "a"}}),
    "priority": template({"priorityClassName": "system-node-critical"}),
    "security context": template({"securityContext": {"runAsUser": 0}}),
    "label of the pod template": {
        "spec": {"template": {"metadata": {"labels": {"track": "canary"}}}}
    },
    "annotation of the pod template": {
        "spec": {"template": {"metadata": {"annotations": {"restartedAt": "now"}}}}
    },
    "label": {"metadata": {"labels": {"team": "other"}}},
    "its own mode": {"metadata": {"labels": {"gc-tuner.io/mode": "off"}}},
    "finalizer": {"metadata": {"finalizers": ["example.com/hold"]}},
    "owner": {
        "metadata": {
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "x"}]
        }
    },
    "another annotation": annotated(note="x"),
    "the user's annotation": annotated(team="other"),
    "the user's annotation taken away": annotated(team=None),
    **{
        f"steering annotation {name}": {"metadata": {"annotations": {f"gc-tuner.io/{name}": text}}}
        for name, text in {
            "profile": "best-effort",
            "container": "proxy",
            "latency-target": "10s",
            "live": "plain",
            "barrier-base": "9000",
            "barrier-env": "COLOUR",
        }.items()
    },
    "a withdrawal that says something": {"metadata": {"labels": {"gc-tuner.io/withdrawn": "x"}}},
    "steering taken away": {"metadata": {"annotations": {"gc-tuner.io/barrier-env": None}}},
    "steered and written at once": {
        **annotated(**{"gc-tuner.io/barrier-env": "COLOUR"}),
        **env(value("COLOUR", "300")),
    },
    "a cause that is nobody's": cause("because"),
}


def bad_workloads(kind: Kind) -> Iterator[Ask]:
    """What must not happen to a workload."""
    for name, body in BAD_PATCHES.items():
        yield Ask(name, apps(kind), body, WORKLOADS)
    yield Ask("the user's cause", apps(kind, "deployed"), cause("gc-tuner: x"), WORKLOADS)
    yield Ask("the user's cause taken away", apps(kind, "deployed"), cause(None), WORKLOADS)
    yield Ask("no opt-in", apps(kind, "shy"), env(value("GOGC", "200")), WORKLOADS)
    opting = {"metadata": {"labels": {"gc-tuner.io/mode": "auto"}}}
    yield Ask("opted in by itself", apps(kind, "shy"), opting, WORKLOADS)
    both = {**opting, **env(value("GOGC", "200"))}
    yield Ask("opted in and written at once", apps(kind, "shy"), both, WORKLOADS)
    wrong = apps(kind, "steered-wrong")
    yield Ask("a threshold for GOGC's name", wrong, env(value("LIMIT", "210")), WORKLOADS)
    shape = {"spec": {"replicas": 1}}
    yield Ask("scale", apps(kind, "web", "/scale"), shape, "rbac", content_type=MERGE)
    seen = {"status": {"observedGeneration": 9}}
    yield Ask("status", apps(kind, "web", "/status"), seen, "rbac", content_type=MERGE)
    yield Ask("delete", apps(kind), None, "rbac", "delete")
    made = workload(kind, "made", mode="auto", annotations={})
    yield Ask("create", apps(kind, "").rstrip("/"), made, "rbac", "create")


def bad_config_maps() -> Iterator[Ask]:
    """What must not happen to a ConfigMap."""

    def live(name: str, body: Json, config_map: str = "web-gc") -> Ask:
        return Ask(name, core("configmaps", config_map), body, LIVE, content_type=MERGE)

    good = {"data": {"GOGC": "200"}}
    labelled = {"metadata": {"labels": {"gc-tuner.io/live": "true"}}}
    yield live("no label", good, "plain")
    yield live("label", labelled, "plain")
    yield live("labelled and written at once", {**labelled, **good}, "plain")
    yield live("overrides, even if labelled", good, "gc-tuner-overrides")
    yield live("text of the overrides", {"data": {"overrides.yaml": "{}"}}, "gc-tuner-overrides")
    yield live("another key", {"data": {"GODEBUG": "gctrace=1"}})
    yield live("another value", {"data": {"colour": "blue"}})
    yield live("another key taken away", {"data": {"colour": None}})
    yield live("all keys taken away", {"data": None})
    yield live("another key beside a good one", {"data": {"GOGC": "200", "colour": "blue"}})
    yield live("malformed GOGC", {"data": {"GOGC": "200%"}})
    yield live("malformed GOMEMLIMIT", {"data": {"GOMEMLIMIT": "1Gi"}})
    yield live("malformed BARRIER", {"data": {"BARRIER": "0"}})
    yield live("binary data", {"binaryData": {"GOGC": "MjAw"}, "data": {"GOGC": None}})
    yield live("immutable", {"immutable": True})
    yield live("label taken away", {"metadata": {"labels": {"gc-tuner.io/live": None}}})
    yield live("another label", {"metadata": {"labels": {"team": "other"}}})
    yield live("annotation", annotated(note="x"))
    yield live("a withdrawal that says something", BAD_PATCHES["a withdrawal that says something"])
    yield live("finalizer", {"metadata": {"finalizers": ["example.com/hold"]}})
    made = config_map("made", live=True)
    yield Ask("create", core("configmaps"), made, "rbac", "create")
    yield Ask("delete", core("configmaps", "web-gc"), None, "rbac", "delete")


def bad_leases() -> Iterator[Ask]:
    """What must not happen to a Lease."""
    held = {"spec": {"holderIdentity": "gc-tuner"}}
    yield Ask("a Lease not ours", lease_path(), lease("other"), LEASES, "create")
    nameless = {**lease(""), "metadata": {"generateName": "gc-tuner-"}}
    yield Ask("a Lease of any name", lease_path(), nameless, LEASES, "create")
    yield Ask("an existing one", lease_path("taken"), held, "rbac", content_type=MERGE)
    yield Ask("the own one deleted", lease_path("gc-tuner"), None, "rbac", "delete")


def bad_elsewhere() -> Iterator[Ask]:
    """What RBAC alone stands against: kinds that gc-tuner has nothing to do with."""
    there = lease_path(namespace=ELSEWHERE)
    yield Ask("a Lease in another namespace", there, lease("gc-tuner"), "rbac", "create")
    yield Ask("read a Secret", core("secrets", "secret"), None, "rbac", "get")
    yield Ask("list Secrets", core("secrets"), None, "rbac", "get")
    secret = {"stringData": {"x": "x"}}
    yield Ask("write a Secret", core("secrets", "secret"), secret, "rbac", content_type=MERGE)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "made"},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    }
    yield Ask("make a pod", core("pods"), pod, "rbac", "create")
    token: Json = {"spec": {}}
    account = core("serviceaccounts", f"{RELEASE}/token", OPERATOR)
    yield Ask("make a token", account, token, "rbac", "create")
    policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    yield Ask("delete its own policy", f"{policies}/{WORKLOADS}", None, "rbac", "delete")
    roles = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{RELEASE}"
    yield Ask("widen its own rights", roles, {"rules": []}, "rbac", content_type=MERGE)
    record = f"/apis/gc-tuner.io/v1alpha1/namespaces/{SHOP}/gctunings/deployment-web"
    yield Ask("delete all records", record.rpartition("/")[0], None, "rbac", "delete")


BAD = {
    **{f"{kind.value}: {ask.name}": ask for kind in KINDS for ask in bad_workloads(kind)},
    **{f"ConfigMap: {ask.name}": ask for ask in bad_config_maps()},
    **{f"Lease: {ask.name}": ask for ask in bad_leases()},
    **{f"elsewhere: {ask.name}": ask for ask in bad_elsewhere()},
}


@dataclass(frozen=True)
class Ground:
    """The cluster with the chart installed.

    Attributes:
        cluster: where.
        own: asks with the operator's own token.
        admin: asks as the administrator.
    """

    cluster: Cluster
    own: Api
    admin: Api

    def until(self, predicate: Callable[[], bool], what: str) -> None:
        self.cluster.wait_for(predicate, what)


def client(kubeconfig: Path) -> Api:
    return connect(ClusterAccess(kubeconfig=kubeconfig))


def refusal(api: Api, request: Request) -> str:
    """What the API server says to it; empty where it is accepted."""
    try:
        api.ask(request)
    except (RefusedError, GoneError) as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def ground(cluster: Cluster, helm: Helm) -> Iterator[Ground]:
    installed = replace(helm, kubeconfig=cluster.kubeconfig)
    for name in (SHOP, OPERATOR, ELSEWHERE):
        cluster.create_namespace(name)
    cluster.apply(objects(), namespace=SHOP)
    cluster.apply([lease("taken"), lease("gc-tuner")], namespace=OPERATOR)
    installed.install(OPERATOR)
    own = client(cluster.service_account_kubeconfig(OPERATOR, RELEASE))
    ground = Ground(cluster, own, client(cluster.kubeconfig))
    # The API server takes a moment to see a new policy. The last one installed is judged last.
    for each in (
        BAD["Deployment: replicas"],
        BAD["ConfigMap: annotation"],
        BAD["Lease: a Lease not ours"],
    ):
        ground.until(lambda ask=each: ask.by in refusal(own, ask.request()), each.by)  # type: ignore[misc]
    yield ground
    own.close()
    ground.admin.close()
    installed.run("uninstall", RELEASE, "--namespace", OPERATOR, "--wait")
    for name in (SHOP, OPERATOR, ELSEWHERE):
        cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", GOOD_PATCHES)
def test_what_gc_tuner_writes_to_a_workload_is_accepted(
    ground: Ground, kind: Kind, name: str
) -> None:
    ask = Ask(name, apps(kind), GOOD_PATCHES[name], "nobody")
    assert refusal(ground.own, ask.request()) == ""


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"GOGC": "200"}},
        {"data": {"GOGC": "off", "GOMEMLIMIT": "off"}},
        {"data": {"GOGC": "200", "GOMEMLIMIT": "919MiB", "BARRIER": "210"}},
        {"data": {"GOGC": None}},
        GOOD_PATCHES["a withdrawal"],
    ],
    ids=str,
)
def test_what_gc_tuner_writes_to_a_live_config_map_is_accepted(ground: Ground, body: Json) -> None:
    path = core("configmaps", "web-gc")
    ask = Ask("", path, body, "nobody", content_type=MERGE)
    assert refusal(ground.own, ask.request()) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_cause_may_be_replaced_and_taken_away(ground: Ground, kind: Kind) -> None:
    for text in ("gc-tuner: GOGC 150 → 200", None):
        ask = Ask("", apps(kind, "caused"), cause(text), "nobody")
        assert refusal(ground.own, ask.request()) == ""


def test_an_annotation_that_names_gogc_for_the_barrier_stops_nothing_else(ground: Ground) -> None:
    path = apps(Kind.DEPLOYMENT, "steered-wrong")
    assert refusal(ground.own, Ask("", path, env(value("GOGC", "off")), "nobody").request()) == ""


def test_taking_away_needs_no_opt_in(ground: Ground) -> None:
    """So that what was written can be released once a workload is labelled off."""
    body = {**env(absent("GOGC"), absent("LIMIT"))}
    for kind in KINDS:
        assert refusal(ground.own, Ask("", apps(kind, "shy"), body, "nobody").request()) == ""


@pytest.mark.parametrize("name", BAD)
def test_whatever_else_is_refused(ground: Ground, name: str) -> None:
    ask = BAD[name]
    assert refusal(ground.admin, ask.request()) == "", "the request itself is wrong"
    said = refusal(ground.own, ask.request())
    account = f"system:serviceaccount:{OPERATOR}:{RELEASE}"
    if ask.by == "rbac":
        assert f'User "{account}" cannot' in said
    else:
        assert f"with binding '{ask.by}' denied request: gc-tuner may" in said


def test_the_policy_stands_whatever_rights_the_account_is_given(ground: Ground) -> None:
    cluster, account = ground.cluster, f"--serviceaccount={OPERATOR}:{RELEASE}"
    wide = ("clusterrolebinding", "policy-too-wide")
    cluster.kubectl("create", *wide, "--clusterrole=cluster-admin", account)
    try:
        secret = BAD["elsewhere: read a Secret"].request()
        ground.until(lambda: refusal(ground.own, secret) == "", "wide rights")
        passed = {
            name: said
            for name, ask in BAD.items()
            if not name.startswith("elsewhere")
            for said in [refusal(ground.own, ask.request())]
            if "denied request: gc-tuner may" not in said
        }
    finally:
        cluster.kubectl("delete", *wide)
    ground.until(lambda: refusal(ground.own, secret) != "", "wide rights taken back")
    assert passed == {}


def test_the_own_lease_can_be_made_and_renewed(ground: Ground) -> None:
    ground.cluster.kubectl("delete", "lease", "gc-tuner", "-n", OPERATOR)
    made = Request(verb="create", what="lease", path=lease_path(), body=lease("gc-tuner"))
    ground.own.ask(made)
    found = ground.cluster.get("lease", "gc-tuner", "-n", OPERATOR)
    found["spec"]["holderIdentity"] = "another"
    renewed = Request(verb="update", what="lease", path=lease_path("gc-tuner"), body=found)
    ground.own.ask(renewed)
    foreign = ground.cluster.get("lease", "taken", "-n", OPERATOR)
    path = lease_path("taken")
    said = refusal(ground.own, Request(verb="update", what="lease", path=path, body=foreign))
    assert "cannot update" in said


@pytest.mark.parametrize("kind", KINDS)
def test_the_actuator_passes_there_and_back(ground: Ground, kind: Kind) -> None:
    cluster, key = ground.cluster, WorkloadKey(SHOP, kind, "tuned")
    made = workload(kind, "tuned", mode="auto", annotations={})
    made["spec"]["template"]["spec"]["containers"][0]["env"].pop(1)  # no GOGC yet
    cluster.apply([made], namespace=SHOP)
    inventory = ClusterInventory(ground.own, Upkeep(stale_after_seconds=60.0, report=print))
    actuator = ClusterActuator(ground.own)
    before = inventory.fetch(key)

    def write(change: Change, words: str) -> Workload:
        """As the loop does it: the controller may have written its status in between."""
        while True:
            with contextlib.suppress(ConflictError):
                return actuator.write(inventory.fetch(key), change, words)

    written = write(moved(None, "200"), "GOGC unset → 200")
    assert written.change_cause == "gc-tuner: GOGC unset → 200"
    after = write(moved("200", None), "back")
    assert after.template_digest == before.template_digest
    assert [each.env for each in after.containers] == [each.env for each in before.containers]


def test_the_live_channel_passes_there_and_back(ground: Ground) -> None:
    annotations = {"gc-tuner.io/live": "live-gc"}
    made = workload(Kind.DEPLOYMENT, "live", mode="auto", annotations=annotations)
    found = live_config_map("live-gc", SHOP, {"colour": "red"})
    ground.cluster.apply([made, found], namespace=SHOP)
    upkeep = Upkeep(stale_after_seconds=60.0, report=print)
    live = LiveConfigMaps(ground.own, upkeep)
    inventory = ClusterInventory(ground.own, upkeep)
    actuator = ClusterActuator(ground.own, live)
    fetched = inventory.fetch(WorkloadKey(SHOP, Kind.DEPLOYMENT, "live"))
    before = with_live(fetched, live.fetch(SHOP, "live-gc"), found=True)
    written = actuator.write(before, moved(None, "200"), "x")
    actuator.write(written, moved("200", None), "back")
    data = ground.cluster.get("configmap", "live-gc", "-n", SHOP)["data"]
    assert data == {"colour": "red"}


def test_records_and_events_are_written_with_these_rights(ground: Ground) -> None:
    reports: list[str] = []
    upkeep = Upkeep(stale_after_seconds=60.0, report=reports.append)
    inventory = ClusterInventory(ground.own, upkeep)
    records = ClusterRecords(ground.own, upkeep, inventory)
    events = EventObserver(
        ground.own, operator=operator_pod(OPERATOR, None), instance="x", report=reports.append
    )
    events.start()
    for mirror in (inventory, records):
        mirror.start()
        assert mirror.wait_synced(PATIENCE_SECONDS)
    web = inventory.fetch(WorkloadKey(SHOP, Kind.DEPLOYMENT, "web"))
    records.save(web, record(reason=Reason.NO_DATA))
    records.save(web, record(reason=Reason.AT_TARGET))
    remade = replace(web, uid="another")  # as after a deletion: the record goes with its owner
    with pytest.raises(GoneError, match="made anew"):
        records.save(remade, record(reason=Reason.NO_DATA))
    for cause in ("timeout", "timeout"):
        events.notify(SourceLost(time.time(), cause, "no answer"))
        events.notify(SourceFound(time.time(), 1.0))
    assert events.flush(PATIENCE_SECONDS)
    for mirror in (inventory, records):
        mirror.stop()
    assert reports == []


def test_nobody_else_is_judged(ground: Ground) -> None:
    """Another account with the same rights goes its own way."""
    cluster = ground.cluster
    cluster.kubectl("create", "serviceaccount", RELEASE, "-n", ELSEWHERE)
    binding = ("rolebinding", "another", "-n", SHOP)
    account = f"--serviceaccount={ELSEWHERE}:{RELEASE}"
    cluster.kubectl("create", *binding, "--clusterrole=admin", account)
    other = client(cluster.service_account_kubeconfig(ELSEWHERE, RELEASE))
    replicas = BAD["Deployment: replicas"].request()
    ground.until(lambda: refusal(other, replicas) == "", "rights of the other account")
    assert refusal(other, BAD["ConfigMap: another value"].request()) == ""
    other.close()


def test_the_expressions_fit_what_they_are_about(ground: Ground) -> None:
    """The API server checks their types against each kind that they may meet."""

    def checked() -> list[Json]:
        found = ground.cluster.get("validatingadmissionpolicies")["items"]
        ours = [each for each in found if each["metadata"]["name"] in {WORKLOADS, LIVE, LEASES}]
        return [each["status"] for each in ours if each.get("status", {}).get("observedGeneration")]

    ground.until(lambda: len(checked()) == 3, "expressions checked")
    assert [each.get("typeChecking", {}) for each in checked()] == [{}, {}, {}]


def test_rights_in_one_namespace_end_there(cluster: Cluster, helm: Helm) -> None:
    installed = replace(helm, kubeconfig=cluster.kubeconfig)
    home, watched, other = "scoped-operator", "scoped-watched", "scoped-other"
    names = (home, watched, other)
    for name in names:
        cluster.create_namespace(name)
    for name in names[1:]:
        web = workload(Kind.DEPLOYMENT, "web", mode="auto", annotations={})
        cluster.apply([web], namespace=name)
    installed.install(home, {"watchNamespaces": [watched]})
    own = client(cluster.service_account_kubeconfig(home, RELEASE))

    def tuned(namespace: str) -> Request:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"
        return Ask("", path, env(value("GOGC", "200")), "rbac").request()

    def reading(path: str, **query: str) -> Request:
        return Request(verb="list", what=path, path=path, query=query)

    assert refusal(own, tuned(watched)) == ""
    assert "cannot patch" in refusal(own, tuned(other))
    for namespace in (other, home):
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        assert "cannot list" in refusal(own, reading(path))
    assert "at the cluster scope" in refusal(own, reading("/apis/apps/v1/deployments"))
    config_maps = core("configmaps", namespace=home)
    only = "metadata.name=gc-tuner-overrides"
    assert refusal(own, reading(config_maps, fieldSelector=only)) == ""
    assert "cannot list" in refusal(own, reading(config_maps))
    own.close()
    installed.run("uninstall", RELEASE, "--namespace", home, "--wait")
    for name in names:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


Rights = dict[tuple[str, frozenset[str]], frozenset[str]]
"""Verbs by resource and, where only some objects are meant, their names."""


def documented(*, own_namespace: bool) -> Rights:
    """The table of docs/security.md: what holds everywhere, or in gc-tuner's own namespace."""
    text = (REPOSITORY / "docs" / "security.md").read_text()
    table = text.partition("| resource | names | verbs | for |")[2].partition("\n\n")[0]
    found: Rights = {}
    for line in table.splitlines()[2:]:
        resources, names, verbs, _ = (cell.strip() for cell in line.strip("|").split("|"))
        resources, own, _ = resources.partition(", in its own namespace")
        if own and not own_namespace:
            continue
        for resource in resources.split(", "):
            found[resource, frozenset(re.findall("`(.*?)`", names))] = frozenset(verbs.split())
    return found


def listed(cluster: Cluster, namespace: str) -> Rights:
    """What kubectl lists for gc-tuner's token, without what every account may do."""
    kubeconfig = cluster.service_account_kubeconfig(OPERATOR, RELEASE)
    where = ("--no-headers", "--namespace", namespace)
    lines = cluster.kubectl("auth", "can-i", "--list", *where, kubeconfig=kubeconfig).splitlines()
    rows = (re.fullmatch(r"(\S+) +\[\] +\[(.*?)\] +\[(.*?)\]", line.strip()) for line in lines)
    return {
        (row[1], frozenset(row[2].split())): frozenset(row[3].split())
        for row in rows
        if row is not None and not row[1].startswith("self")
    }


@pytest.mark.parametrize("namespace", [OPERATOR, SHOP])
def test_the_documents_list_what_the_account_may_do(ground: Ground, namespace: str) -> None:
    assert listed(ground.cluster, namespace) == documented(own_namespace=namespace == OPERATOR)


def test_a_large_workload_is_judged_in_time(ground: Ground) -> None:
    """Near the size that etcd takes: no limit on what an expression may cost is met."""
    made = workload(Kind.DEPLOYMENT, "large", mode="auto", annotations={})
    entries = [value(f"NAME_{number}", "x" * 1000) for number in range(1_000)]
    made["spec"]["template"]["spec"]["containers"][0]["env"] += entries
    ground.cluster.kubectl("create", "-n", SHOP, "-f", "-", input=json.dumps(made))
    path = apps(Kind.DEPLOYMENT, "large")
    good = Ask("", path, env(value("GOGC", "200")), "nobody").request()
    for api, who in ((ground.admin, "not judged"), (ground.own, "judged")):
        began = time.monotonic()
        assert refusal(api, good) == ""
        print(f"{who}: {time.monotonic() - began:.3f} s")
    bad = Ask("", path, env(value("NAME_999", "y")), WORKLOADS).request()
    assert f"with binding '{WORKLOADS}' denied" in refusal(ground.own, bad)
