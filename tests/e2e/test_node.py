"""The kubelet stand-in against the real API server: what tests of gc-tuner rely on it for.

A node of its own, with short back-off, so that the usual one is left alone; pods are bound to it
by name and it is cordoned for the scheduler.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import textwrap
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests.e2e.testbed.cluster import REPOSITORY
from tests.e2e.testbed.node.staging import MOUNT_REFRESH, RESIZE, RESIZE_TIME
from tests.e2e.testbed.processes import PATIENCE_SECONDS, Process, free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.e2e.testbed.cluster import Cluster

_NODE_NAME = "node-under-test"
# For what must come, however slow the machine; when it came is no test's promise.
_WEB_PORT = 8080

# Answers 200 for each path that exists as a file in /flags, else 503.
_WEB_SERVER = """
    import http.server, os
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if os.path.exists("/flags" + self.path) else 503)
            self.end_headers()
        def log_message(self, *_):
            pass
    http.server.HTTPServer((os.environ["POD_IP"], 8080), Handler).serve_forever()
"""


@dataclass(frozen=True)
class NodeUnderTest:
    """The second node of the cluster."""

    cluster: Cluster
    process: Process
    state: Path
    url: str

    def metric(self, path: str, name: str, **labels: str) -> float | None:
        """Return the value of the one series with these labels, None if there is none."""
        for line in self._read(path).splitlines():
            if line.startswith(f"{name}{{") and all(
                f'{k}="{v}"' in line for k, v in labels.items()
            ):
                return float(line.rpartition("}")[2].split()[0])
        return None

    def endpoints(self, namespace: str, service: str) -> list[str] | None:
        """Return `ip:port` of a Service's ready pods, None while the node knows no such Service."""
        try:
            content: list[str] = json.loads(self._read(f"/endpoints/{namespace}/{service}"))
        except urllib.error.HTTPError:
            return None
        return content

    def _read(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=PATIENCE_SECONDS) as answer:  # noqa: S310
            text: str = answer.read().decode()
        return text


@dataclass(frozen=True)
class Pod:
    """A pod on the node under test; `version` is the one that it was created with."""

    node: NodeUnderTest
    namespace: str
    name: str
    version: str

    def get(self) -> dict[str, Any]:
        return self.node.cluster.get("pod", self.name, "--namespace", self.namespace)

    def container(self) -> dict[str, Any]:
        statuses = self.get().get("status", {}).get("containerStatuses") or [{}]
        first: dict[str, Any] = statuses[0]
        return first

    def condition(self, kind: str) -> dict[str, Any] | None:
        conditions = self.get().get("status", {}).get("conditions") or []
        return next((item for item in conditions if item["type"] == kind), None)

    def log(self, container: str = "main") -> str:
        path = self.node.state / "logs" / f"{self.namespace}_{self.name}_{container}.log"
        return path.read_text() if path.exists() else ""

    def directory(self) -> Path:
        return self.node.state / "pods" / str(self.get()["metadata"]["uid"])

    def until(self, predicate: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Wait until the pod is as wished and return it."""
        return self._look_for(predicate, what, lambda: [self.get()])[-1]

    def passed_until(
        self, predicate: Callable[[dict[str, Any]], bool], what: str
    ) -> list[dict[str, Any]]:
        """Wait until the pod is or was as wished; return each state from its creation to that one.

        Where `until` sees what holds when it looks, this misses nothing, however soon it was over.
        """
        return self._look_for(predicate, what, self._history)

    def _look_for(
        self,
        predicate: Callable[[dict[str, Any]], bool],
        what: str,
        states: Callable[[], Iterable[dict[str, Any]]],
    ) -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []

        def holds() -> bool:
            seen.clear()
            for state in states():
                seen.append(state)
                if predicate(state):
                    return True
            return False

        try:
            wait_for(holds, what)
        except TimeoutError as error:
            error.add_note(json.dumps([state.get("status") for state in seen[-1:]], indent=1))
            error.add_note(self.log()[-2000:])
            raise
        return seen

    def _history(self) -> Iterator[dict[str, Any]]:
        """Yield each state that the API server has stored since the pod was created."""
        query = {
            "watch": "true",
            "resourceVersion": self.version,
            "fieldSelector": f"metadata.name={self.name}",
            # It tells at once what was; whoever needs more asks again.
            "timeoutSeconds": "1",
        }
        path = f"/api/v1/namespaces/{self.namespace}/pods?{urlencode(query)}"
        for line in self.node.cluster.kubectl("get", "--raw", path).splitlines():
            event = json.loads(line)
            assert event["type"] != "ERROR", event
            yield event["object"]

    def until_phase(self, phase: str) -> dict[str, Any]:
        return self.until(lambda pod: pod["status"].get("phase") == phase, f"phase {phase}")

    def until_logged(self, text: str) -> None:
        wait_for(lambda: text in self.log(), f"{text!r} in the log")

    def until_gone(self) -> None:
        wait_for(lambda: not self.exists(), f"{self.name} gone")

    def exists(self) -> bool:
        return bool(
            self.node.cluster.kubectl(
                *("get", "pod", self.name, "--namespace", self.namespace),
                *("--ignore-not-found", "--output", "name"),
            ).strip()
        )

    def delete(self, *arguments: str) -> None:
        self.node.cluster.kubectl(
            *("delete", "pod", self.name, "--namespace", self.namespace, "--wait=false"), *arguments
        )


@pytest.fixture(scope="module")
def node(cluster: Cluster) -> Iterator[NodeUnderTest]:
    state = cluster.directory / _NODE_NAME
    state.mkdir()
    images = state / "images.json"
    images.write_text(
        json.dumps({"test/sh": {"command": ["sh"]}, "test/python": {"command": [sys.executable]}})
    )
    address = f"127.0.0.1:{free_port()}"

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://{address}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    process = Process(
        name=_NODE_NAME,
        command=[
            *(sys.executable, "-m", "tests.e2e.testbed.node"),
            f"--kubeconfig={cluster.kubeconfig}",
            f"--name={_NODE_NAME}",
            f"--images={images}",
            f"--state-dir={state}",
            f"--listen={address}",
            "--cpu=4",
            "--memory=4Gi",
            "--mount-refresh=0.3s",
            "--resize-time=1s",
            "--backoff-base=1s",
        ],
        log=cluster.directory / "logs" / f"{_NODE_NAME}.log",
        directory=REPOSITORY,
        ready=ready,
        death_signal=signal.SIGTERM,
    )
    process.start()
    try:
        cluster.kubectl("cordon", _NODE_NAME)
        yield NodeUnderTest(cluster, process, state, f"http://{address}")
    finally:
        process.stop()
        cluster.kubectl("delete", "node", _NODE_NAME, "--ignore-not-found")


def _start(  # noqa: PLR0913 - what a test may vary
    node: NodeUnderTest,
    namespace: str,
    script: str,
    *,
    image: str = "test/sh",
    name: str = "pod",
    annotations: dict[str, str] | None = None,
    container: dict[str, Any] | None = None,
    **spec: Any,  # noqa: ANN401 - fields of a pod spec
) -> Pod:
    main = {
        "name": "main",
        "image": image,
        "args": ["-c", textwrap.dedent(script)],
        **(container or {}),
    }
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app": name},
            "annotations": annotations or {},
        },
        "spec": {
            "nodeName": _NODE_NAME,
            # Longer than any wait: what is awaited does not come of a kill.
            "terminationGracePeriodSeconds": 600,
            "containers": [main],
            **spec,
        },
    }
    created = json.loads(
        node.cluster.kubectl(
            *("create", "--filename", "-", "--output", "json"), input=json.dumps(manifest)
        )
    )
    return Pod(node, namespace, name, created["metadata"]["resourceVersion"])


def _config_map(name: str, namespace: str, **entries: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": entries,
    }


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _logged_pid(pod: Pod) -> int:
    pod.until_logged("pid ")
    found = re.findall(r"pid (\d+)", pod.log())
    return int(found[-1])


def test_a_container_sees_the_environment_that_its_spec_describes(
    cluster: Cluster, node: NodeUnderTest, namespace: str
) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "keys", "namespace": namespace},
        "stringData": {"password": "hunter2"},
    }
    cluster.apply([_config_map("settings", namespace, colour="blue", size="9"), secret])
    key = {"name": "settings", "key": "colour"}
    env = [
        {"name": "LITERAL", "value": "a $(colour) $$(colour) $(unknown)"},
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": key}},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}},
        {
            "name": "ABSENT",
            "valueFrom": {"secretKeyRef": {"name": "none", "key": "x", "optional": True}},
        },
        {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {
            "name": "LIMIT_MIB",
            "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
        },
        {"name": "CORES", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    ]
    pod = _start(
        node,
        namespace,
        "env; echo arg $(LABEL) $0",
        container={
            "env": env,
            "envFrom": [{"configMapRef": {"name": "settings"}}],
            "resources": {"limits": {"memory": "64Mi", "cpu": "1500m"}},
        },
        restartPolicy="Never",
    )
    done = pod.until_phase("Succeeded")
    lines = set(pod.log().splitlines())
    address = done["status"]["podIP"]
    server = cluster.api_url.removeprefix("https://")
    assert {
        "LITERAL=a blue $(colour) $(unknown)",
        "COLOUR=blue",
        "PASSWORD=hunter2",
        "LABEL=pod",
        f"ADDRESS={address}",
        f"POD_IP={address}",
        "LIMIT_MIB=64",
        "CORES=2",
        "size=9",
        f"KUBERNETES_SERVICE_HOST={server.partition(':')[0]}",
        f"KUBERNETES_SERVICE_PORT={server.partition(':')[2]}",
        "arg pod sh",
    } <= lines
    assert not [line for line in lines if line.startswith("ABSENT=")]
    assert address.startswith("127.")
    assert done["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] == "Completed"


def test_a_missing_config_map_delays_a_container_until_it_is_there(
    cluster: Cluster, node: NodeUnderTest, namespace: str
) -> None:
    reference = {"configMapKeyRef": {"name": "late", "key": "word"}}
    pod = _start(
        node,
        namespace,
        "echo got $WORD",
        container={"env": [{"name": "WORD", "valueFrom": reference}]},
        restartPolicy="Never",
    )
    waiting = pod.until(
        lambda item: (
            "waiting" in _state(item) and _state(item)["waiting"]["reason"].startswith("Create")
        ),
        "CreateContainerConfigError",
    )
    assert _state(waiting)["waiting"] == {
        "reason": "CreateContainerConfigError",
        "message": 'configmap "late" not found',
    }
    cluster.apply([_config_map("late", namespace, word="hello")])
    pod.until_phase("Succeeded")
    assert pod.log() == "got hello\n"


def test_a_crashing_container_restarts_with_growing_delays(
    node: NodeUnderTest, namespace: str
) -> None:
    pod = _start(node, namespace, "date +%s.%N; exit 3")
    passed = pod.passed_until(
        lambda item: _status(item).get("restartCount", 0) >= 3 and "waiting" in _state(item),
        "three restarts and waiting",
    )
    crashed = passed[-1]
    status = _status(crashed)
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert status["lastState"]["terminated"]["reason"] == "Error"
    assert crashed["status"]["phase"] == "Running"
    starts = [float(line) for line in pod.log().splitlines()]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert gaps[1] >= 1
    assert gaps[2] >= 2
    # How long the node meant to wait, where the gaps have what the machine took, too: not at all
    # before the first restart.
    told = {
        (_status(item)["restartCount"], _state(item)["waiting"]["message"])
        for item in passed
        if _state(item).get("waiting", {}).get("reason") == "CrashLoopBackOff"
    }
    assert told <= {
        (restarts, f"back-off {2 ** (restarts - 1)}s restarting failed container=main")
        for restarts in range(1, status["restartCount"] + 1)
    }


def test_a_container_above_its_memory_limit_is_killed_as_out_of_memory(
    node: NodeUnderTest, namespace: str
) -> None:
    pod = _start(
        node,
        namespace,
        "import time; held = b'x' * (200 << 20); time.sleep(60)",
        image="test/python",
        container={"resources": {"limits": {"memory": "64Mi"}}},
        restartPolicy="Always",
    )
    killed = pod.until(lambda item: bool(_status(item).get("lastState")), "a last state")
    ended = _status(killed)["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
    assert ended["finishedAt"] >= ended["startedAt"]
    looping = pod.until(
        lambda item: (
            _status(item)["restartCount"] > max(1, _status(killed)["restartCount"])
            and "waiting" in _state(item)
        ),
        "two restarts, one of them since, and waiting",
    )
    assert _state(looping)["waiting"]["reason"] == "CrashLoopBackOff"
    again = _status(looping)["lastState"]["terminated"]
    assert again["reason"] == "OOMKilled"
    assert again["finishedAt"] >= ended["finishedAt"]
    assert again["containerID"] != ended["containerID"]
    labels = {"namespace": namespace, "pod": "pod", "container": "main"}
    wait_for(
        lambda: (
            node.metric(
                "/metrics/kube-state",
                "kube_pod_container_status_last_terminated_reason",
                reason="OOMKilled",
                **labels,
            )
            == 1
        ),
        "last terminated reason",
    )


def test_mounted_config_follows_the_config_map_without_a_half_written_state(
    cluster: Cluster, node: NodeUnderTest, namespace: str
) -> None:
    cluster.apply([_config_map("live", namespace, GOGC="100", LIMIT="1")])
    items = [{"key": "GOGC", "path": "gogc"}, {"key": "LIMIT", "path": "sub/limit"}]
    pod = _start(
        node,
        namespace,
        "cd /etc/testbed/live; while true; do cat gogc sub/limit; echo; sleep 0.05; done",
        container={"volumeMounts": [{"name": "live", "mountPath": "/etc/testbed/live"}]},
        volumes=[{"name": "live", "configMap": {"name": "live", "items": items}}],
    )
    pod.until_logged("1001\n")
    cluster.apply([_config_map("live", namespace, GOGC="200", LIMIT="2")])
    pod.until_logged("2002\n")
    whole_lines = pod.log().rpartition("\n")[0]
    assert set(whole_lines.split()) <= {"1001", "2002", "1002"}
    assert not os.path.lexists("/etc/testbed")


def test_a_pod_may_ask_for_a_slower_refresh_of_its_files(
    cluster: Cluster, node: NodeUnderTest, namespace: str
) -> None:
    cluster.apply([_config_map("live", namespace, GOGC="before")])

    def reader(name: str, **asked: str) -> Pod:
        return _start(
            node,
            namespace,
            # The time comes after the look: it is never earlier than what was seen.
            "while true; do echo $(cat /etc/testbed/live/GOGC) $(date +%s.%N); sleep 0.05; done",
            name=name,
            annotations=asked,
            container={"volumeMounts": [{"name": "live", "mountPath": "/etc/testbed/live"}]},
            volumes=[{"name": "live", "configMap": {"name": "live"}}],
        )

    quick = reader("quick")
    slowest = reader("slowest", **{MOUNT_REFRESH: "3600s"})
    # Not from the change on: the refresh that the pod's own start set off may bring it, too.
    began = time.time()
    slow = reader("slow", **{MOUNT_REFRESH: "3s"})
    for pod in (quick, slow, slowest):
        pod.until_logged("before ")
    cluster.apply([_config_map("live", namespace, GOGC="after")])
    quick.until_logged("after ")
    slow.until_logged("after ")
    first = next(line for line in slow.log().splitlines() if line.startswith("after "))
    assert float(first.split()[1]) - began >= 3
    looks = slowest.log().count("before ")
    wait_for(
        lambda: slowest.log().count("before ") >= looks + 2,
        "the slowest still sees what was before",
    )
    assert "after" not in slowest.log()


def test_the_projected_token_lets_a_pod_use_the_api_as_its_service_account(
    node: NodeUnderTest, namespace: str
) -> None:
    script = """
        import json, os, ssl, urllib.request
        place = "/var/run/secrets/kubernetes.io/serviceaccount/"
        host = os.environ["KUBERNETES_SERVICE_HOST"] + ":" + os.environ["KUBERNETES_SERVICE_PORT"]
        kind = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        request = urllib.request.Request(
            f"https://{host}/apis/authentication.k8s.io/v1/selfsubjectreviews",
            json.dumps(kind).encode(),
            {"Authorization": "Bearer " + open(place + "token").read(),
             "Content-Type": "application/json"},
        )
        context = ssl.create_default_context(cafile=place + "ca.crt")
        answer = json.load(urllib.request.urlopen(request, context=context))
        print(answer["status"]["userInfo"]["username"], open(place + "namespace").read())
        print(answer["status"]["userInfo"]["extra"]["authentication.kubernetes.io/pod-name"][0])
    """
    pod = _start(node, namespace, script, image="test/python", restartPolicy="Never")
    pod.until_phase("Succeeded")
    assert pod.log() == f"system:serviceaccount:{namespace}:default {namespace}\npod\n"


def test_probes_decide_on_readiness_and_restarts(node: NodeUnderTest, namespace: str) -> None:
    def probe(path: str, failures: int) -> dict[str, Any]:
        get = {"path": path, "port": "web"}
        # The answers are to decide, not how long they take.
        times = {"periodSeconds": 1, "timeoutSeconds": 60}
        return {"httpGet": get, **times, "failureThreshold": failures}

    pod = _start(
        node,
        namespace,
        _WEB_SERVER,
        image="test/python",
        container={
            "ports": [{"name": "web", "containerPort": _WEB_PORT}],
            "volumeMounts": [{"name": "flags", "mountPath": "/flags"}],
            "startupProbe": probe("/started", 600),
            "readinessProbe": probe("/ready", 1),
            "livenessProbe": probe("/live", 1),
        },
        volumes=[{"name": "flags", "emptyDir": {}}],
    )
    node.cluster.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "web", "namespace": namespace},
                "spec": {"selector": {"app": "pod"}, "ports": [{"port": 80, "targetPort": "web"}]},
            }
        ]
    )
    running = pod.until(lambda item: "running" in _state(item), "running")
    assert not _status(running)["started"]
    flags = pod.directory() / "volumes" / "flags"
    for flag in ("live", "ready", "started"):
        (flags / flag).touch()
    ready = pod.until(lambda item: bool(_status(item)["ready"]), "ready")
    assert _status(ready)["started"]
    assert _condition(ready, "Ready")["status"] == "True"
    endpoint = f"{ready['status']['podIP']}:{_WEB_PORT}"
    wait_for(
        lambda: node.endpoints(namespace, "web") == [endpoint], "the ready pod behind its Service"
    )

    (flags / "ready").unlink()
    unready = pod.until(lambda item: not _status(item)["ready"], "not ready")
    assert _condition(unready, "ContainersReady")["status"] == "False"
    assert _status(unready)["restartCount"] == 0
    wait_for(lambda: node.endpoints(namespace, "web") == [], "no ready pod behind its Service")

    (flags / "live").unlink()
    restarted = pod.until(lambda item: _status(item)["restartCount"] > 0, "restarted")
    assert _status(restarted)["lastState"]["terminated"]["exitCode"] == 143


def test_commands_of_probes_and_hooks_run_inside_the_container(
    node: NodeUnderTest, namespace: str
) -> None:
    mounts = [{"name": "flags", "mountPath": "/flags"}]
    start = "until test -e /flags/go; do sleep 0.05; done; touch $FLAG"
    pod = _start(
        node,
        namespace,
        "trap 'cat /flags/stopping; exit 0' TERM; while true; do sleep 0.05; done",
        container={
            "volumeMounts": mounts,
            "env": [{"name": "FLAG", "value": "/flags/started"}],
            "readinessProbe": {
                "exec": {"command": ["sh", "-c", "test -e $FLAG || { echo not yet; exit 1; }"]},
                "periodSeconds": 1,
            },
            "lifecycle": {
                "postStart": {"exec": {"command": ["sh", "-c", start]}},
                "preStop": {"exec": {"command": ["sh", "-c", "echo hook > /flags/stopping"]}},
            },
        },
        volumes=[{"name": "flags", "emptyDir": {}}],
    )
    # After the second refusal the first one has had its effect.
    wait_for(lambda: pod.log().count("not yet") >= 2, "two refusals")
    running = pod.until(lambda item: "running" in _state(item), "running")
    assert not _status(running)["ready"]
    (pod.directory() / "volumes" / "flags" / "go").touch()
    pod.until(lambda item: bool(_status(item)["ready"]), "ready")
    pod.delete()
    assert _exit_code(pod) == 0
    pod.until_gone()
    assert pod.log().replace("not yet\n", "") == "hook\n"


def test_a_pod_that_a_finalizer_holds_does_not_start_again(
    node: NodeUnderTest, namespace: str
) -> None:
    pod = _start(node, namespace, "echo started; exec sleep 600")
    pod.until(lambda item: "running" in _state(item), "running")
    kubectl = node.cluster.kubectl
    patch = ("patch", "pod", pod.name, "--namespace", namespace, "--type=merge", "--patch")
    kubectl(*patch, json.dumps({"metadata": {"finalizers": ["example.com/hold"]}}))
    pod.delete()
    pod.until(lambda item: item["status"]["phase"] == "Failed", "ended")
    kubectl("label", "pod", pod.name, "--namespace", namespace, "seen=true")
    kubectl(*patch, json.dumps({"metadata": {"finalizers": None}}))
    pod.until_gone()
    assert pod.log() == "started\n"


def test_a_resize_is_enacted_in_place(node: NodeUnderTest, namespace: str) -> None:
    pod = _start(
        node,
        namespace,
        "exec sleep 600",
        container={
            "resources": {
                "requests": {"cpu": "100m", "memory": "64Mi"},
                "limits": {"memory": "64Mi"},
            }
        },
    )
    before = pod.until(lambda item: "running" in _state(item), "running")
    assert _status(before)["resources"]["limits"] == {"memory": "64Mi"}
    _resize(pod, "128Mi")
    after = pod.until(
        lambda item: _status(item)["resources"]["limits"] == {"memory": "128Mi"}, "enacted"
    )
    assert _status(after)["allocatedResources"]["memory"] == "128Mi"
    assert _status(after)["containerID"] == _status(before)["containerID"]
    assert _resizes_until(pod, "128Mi") == [
        ("64Mi", []),
        ("64Mi", ["PodResizeInProgress"]),
        ("128Mi", []),
    ]
    limit = node.metric(
        "/metrics/cadvisor",
        "container_spec_memory_limit_bytes",
        namespace=namespace,
        container="main",
    )
    assert limit == 128 * 2**20

    request = {"resources": {"requests": {"memory": "3Gi"}}}
    neighbour = _start(node, namespace, "exec sleep 600", name="neighbour", container=request)
    neighbour.until(lambda item: "running" in _state(item), "neighbour running")
    _resize(pod, "2Gi")
    waiting = pod.until(lambda item: bool(_find(item, "PodResizePending")), "pending")
    assert _condition(waiting, "PodResizePending")["reason"] == "Deferred"
    assert _status(waiting)["resources"]["limits"] == {"memory": "128Mi"}
    neighbour.delete()
    granted = pod.until(
        lambda item: _status(item)["resources"]["limits"] == {"memory": "2Gi"}, "room was made"
    )
    assert not _find(granted, "PodResizePending")


def test_a_resize_is_deferred_as_long_as_the_pod_asks_for_that(
    node: NodeUnderTest, namespace: str
) -> None:
    pod = _start(
        node,
        namespace,
        "exec sleep 600",
        annotations={RESIZE: "deferred", RESIZE_TIME: "2s"},
        container={"resources": {"requests": {"memory": "64Mi"}, "limits": {"memory": "64Mi"}}},
    )
    pod.until(lambda item: "running" in _state(item), "running")
    _resize(pod, "128Mi")
    pending = pod.until(lambda item: bool(_find(item, "PodResizePending")), "pending")
    assert _condition(pending, "PodResizePending")["reason"] == "Deferred"
    assert pending["spec"]["containers"][0]["resources"]["limits"] == {"memory": "128Mi"}
    assert _status(pending)["resources"]["limits"] == {"memory": "64Mi"}

    annotate = ("annotate", "pod", pod.name, "--namespace", namespace, "--overwrite")
    node.cluster.kubectl(*annotate, f"{RESIZE}=infeasible")
    pod.until(
        lambda item: (_find(item, "PodResizePending") or {}).get("reason") == "Infeasible",
        "infeasible",
    )
    allowed = time.monotonic()
    node.cluster.kubectl(*annotate, f"{RESIZE}-")
    enacted = pod.until(
        lambda item: _status(item)["resources"]["limits"] == {"memory": "128Mi"}, "enacted"
    )
    assert time.monotonic() - allowed >= 2
    assert _status(enacted)["restartCount"] == 0
    assert _resizes_until(pod, "128Mi") == [
        ("64Mi", []),
        ("64Mi", ["Deferred"]),
        ("64Mi", ["Infeasible"]),
        ("64Mi", ["PodResizeInProgress"]),
        ("128Mi", []),
    ]


def test_init_containers_run_in_order_before_the_main_one(
    node: NodeUnderTest, namespace: str
) -> None:
    mounts = [{"name": "shared", "mountPath": "/shared"}]

    def step(name: str, script: str, **more: str) -> dict[str, Any]:
        base = {"name": name, "image": "test/sh", "args": ["-c", script]}
        return {**base, "volumeMounts": mounts, **more}

    pod = _start(
        node,
        namespace,
        "cat /shared/steps; until test -e /shared/sidecar; do sleep 0.05; done; echo beside",
        container={"volumeMounts": mounts},
        initContainers=[
            step("first", "sleep 0.2; echo first >> /shared/steps"),
            step(
                "sidecar",
                "touch /shared/sidecar; trap 'exit 0' TERM; while true; do sleep 0.1; done",
                restartPolicy="Always",
            ),
            step("second", "echo second >> /shared/steps"),
        ],
        volumes=[{"name": "shared", "emptyDir": {}}],
        restartPolicy="Never",
    )
    done = pod.until_phase("Succeeded")
    assert pod.log() == "first\nsecond\nbeside\n"
    ended = [item["state"]["terminated"] for item in done["status"]["initContainerStatuses"]]
    assert [item["exitCode"] for item in ended] == [0, 0, 0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_container_is_who_its_spec_says_and_writes_only_where_it_may(
    node: NodeUnderTest, namespace: str
) -> None:
    pod = _start(
        node,
        namespace,
        """
        echo $(id -u):$(id -g)
        for each in / /tmp /var/run /shared; do touch $each/it 2>/dev/null && echo $each; done
        echo done; exec sleep 600
        """,
        container={
            "securityContext": {"readOnlyRootFilesystem": True, "runAsUser": 23456},
            "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
            "readinessProbe": {
                "exec": {"command": ["sh", "-c", "test $(id -u) = 23456 -a -e /shared/it"]},
                "periodSeconds": 1,
            },
        },
        securityContext={"runAsUser": 1, "runAsGroup": 34567},
        volumes=[{"name": "shared", "emptyDir": {}}],
    )
    pod.until_logged("done")
    assert pod.log() == "23456:34567\n/shared\ndone\n"
    pod.until(lambda item: bool(_status(item)["ready"]), "ready")
    pod.delete()
    pod.until_gone()


def test_a_job_completes_after_a_failed_attempt_is_repeated(
    cluster: Cluster, node: NodeUnderTest, namespace: str
) -> None:
    volume = {"name": "shared", "emptyDir": {}}
    container = {
        "name": "main",
        "image": "test/sh",
        "args": ["-c", "test -e /shared/once || { touch /shared/once; exit 1; }"],
        "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
    }
    pod_spec = {
        "nodeName": _NODE_NAME,
        "restartPolicy": "OnFailure",
        "containers": [container],
        "volumes": [volume],
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "job", "namespace": namespace},
        "spec": {"template": {"spec": pod_spec}},
    }
    cluster.apply([job])
    cluster.kubectl(
        *("wait", "job/job", "--for=condition=Complete", "--namespace", namespace),
        f"--timeout={PATIENCE_SECONDS:g}s",
    )
    failing = _start(node, namespace, "exit 7", name="failing", restartPolicy="Never")
    failed = failing.until_phase("Failed")
    assert _state(failed)["terminated"]["exitCode"] == 7


def test_deletion_asks_first_and_kills_when_the_grace_period_is_over(
    node: NodeUnderTest, namespace: str
) -> None:
    loop = "echo pid $$$$; while true; do echo tick; sleep 0.05; done"
    polite = _start(node, namespace, f"trap 'echo bye; exit 0' TERM; {loop}", name="polite")
    stubborn = _start(node, namespace, f"trap 'echo no' TERM; {loop}", name="stubborn")
    forced = _start(node, namespace, f"trap 'echo no' TERM; {loop}", name="forced")
    stubborn_pid, forced_pid = _logged_pid(stubborn), _logged_pid(forced)
    _logged_pid(polite)

    polite.delete()
    assert _exit_code(polite) == 0
    polite.until_gone()
    assert polite.log().endswith("bye\n")

    stubborn.delete()
    stubborn.until_logged("no\n")
    wait_for(lambda: "tick" in stubborn.log().partition("no\n")[2], "stubborn pod goes on")
    # Its grace period is to end now, and with it the process.
    stubborn.delete("--grace-period=1")
    assert _exit_code(stubborn) == 137
    stubborn.until_gone()
    assert not _is_alive(stubborn_pid)

    forced.delete("--force", "--grace-period=0")
    assert not forced.exists()
    wait_for(lambda: not _is_alive(forced_pid), "forced pod's process gone")


def test_cpu_and_memory_of_a_container_and_its_children_are_measured(
    node: NodeUnderTest, namespace: str
) -> None:
    script = """
        import os, time
        held = b"x" * (50 << 20)
        if os.fork() == 0:
            more = b"y" * (50 << 20)
            while time.process_time() < 0.5: pass
        print("ready", flush=True)
        time.sleep(600)
    """
    pod = _start(node, namespace, script, image="test/python")
    wait_for(lambda: pod.log().count("ready") == 2, "both processes")
    labels = {"namespace": namespace, "pod": "pod", "container": "main"}
    read = "/metrics/cadvisor"
    wait_for(
        lambda: (node.metric(read, "container_memory_rss", **labels) or 0) > 140 * 2**20,
        "memory of both",
    )
    assert (node.metric(read, "container_memory_working_set_bytes", **labels) or 0) < 200 * 2**20
    assert (node.metric(read, "container_cpu_usage_seconds_total", **labels) or 0) > 0.5
    whole = {**labels, "container": ""}
    assert node.metric(read, "container_memory_rss", **whole) is not None


def test_pods_outlive_an_api_server_that_is_away(
    cluster: Cluster, node: NodeUnderTest, namespace: str
) -> None:
    loop = "echo pid $$$$; while [ ! -e /flags/crash ]; do sleep 0.05; done; rm /flags/crash"
    pod = _start(
        node,
        namespace,
        loop,
        container={"volumeMounts": [{"name": "flags", "mountPath": "/flags"}]},
        volumes=[{"name": "flags", "emptyDir": {}}],
    )
    pid = _logged_pid(pod)
    flags = pod.directory() / "volumes" / "flags"
    cluster.control_plane.apiserver.stop()
    try:
        assert _is_alive(pid)
        (flags / "crash").touch()
        wait_for(lambda: pod.log().count("pid ") == 2, "restart without an API server")
    finally:
        cluster.control_plane.apiserver.start()
    restarted = pod.until(lambda item: _status(item)["restartCount"] == 1, "restart reported")
    assert restarted["status"]["phase"] == "Running"
    pod.delete()
    pod.until_gone()


def test_containers_die_with_their_node_and_start_again_with_the_next_one(
    node: NodeUnderTest, namespace: str
) -> None:
    pod = _start(node, namespace, "echo pid $$$$; exec sleep 600")
    pid = _logged_pid(pod)
    pod.until(lambda item: "running" in _state(item), "running")
    node_pid = node.process.pid
    assert node_pid is not None
    os.kill(node_pid, signal.SIGKILL)
    wait_for(lambda: not _is_alive(pid), "container dead")
    node.process.kill()
    node.process.start()
    again = pod.until(lambda item: _status(item)["restartCount"] == 1, "started again")
    assert _status(again)["lastState"]["terminated"]["exitCode"] == 137


def _resize(pod: Pod, memory: str) -> None:
    resources = {"requests": {"memory": memory}, "limits": {"memory": memory}}
    patch = {"spec": {"containers": [{"name": "main", "resources": resources}]}}
    pod.node.cluster.kubectl(
        *("patch", "pod", pod.name, "--namespace", pod.namespace),
        *("--subresource", "resize", "--patch", json.dumps(patch)),
    )


def _resizes_until(pod: Pod, wished: str) -> list[tuple[str, list[str]]]:
    """Return which memory limits were in force, and what was said of a resize meanwhile.

    One after another, to the moment when the limit was as wished.
    """

    def limit(item: dict[str, Any]) -> str:
        return str(_status(item).get("resources", {}).get("limits", {}).get("memory", ""))

    def said(item: dict[str, Any]) -> list[str]:
        found = (_find(item, kind) for kind in ("PodResizePending", "PodResizeInProgress"))
        return [each.get("reason") or each["type"] for each in found if each]

    passed = pod.passed_until(lambda item: limit(item) == wished, f"limit {wished}")
    return [
        each for each, _ in groupby((limit(item), said(item)) for item in passed if limit(item))
    ]


def _exit_code(pod: Pod) -> int:
    """Wait for the end of the container's first run, even if nothing of the pod is left by now."""
    ended = pod.passed_until(lambda item: "terminated" in _state(item), f"{pod.name} ended")[-1]
    return int(_state(ended)["terminated"]["exitCode"])


def _status(pod: dict[str, Any]) -> dict[str, Any]:
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    first: dict[str, Any] = statuses[0]
    return first


def _state(pod: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = _status(pod).get("state") or {}
    return state


def _find(pod: dict[str, Any], kind: str) -> dict[str, Any] | None:
    conditions = pod["status"].get("conditions") or []
    return next((item for item in conditions if item["type"] == kind), None)


def _condition(pod: dict[str, Any], kind: str) -> dict[str, Any]:
    found = _find(pod, kind)
    assert found is not None
    return found
