"""Thousands of workloads in a real API server: Deployments that are at rest, and their pods.

kwok plays the kubelets and fills in the pods' statuses. Nothing plays the controllers: what these
would have written stands in the objects from the beginning.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import urllib3

from tests.benchmark.controller.names import (
    CONTAINER,
    REPLICAS,
    TEMPLATE_HASH,
    WORKLOADS_PER_NAMESPACE,
    namespace,
    workload,
)
from tests.benchmark.controller.prometheus import MEMORY_LIMIT_BYTES, SERVICE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

NODES = 20
WRITERS = 16


def node_name(index: int) -> str:
    """Name of a node that kwok plays."""
    return f"node-{index:02d}"


class Api:
    """So much of a client as filling an API server needs; many threads may use it."""

    def __init__(self, url: str, token: str, authority: Path) -> None:
        """Nothing is asked yet.

        Args:
            url: Of the API server.
            token: Of an administrator.
            authority: Certificate by which it is known.
        """
        self._url = url
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._pool = urllib3.PoolManager(maxsize=WRITERS, ca_certs=str(authority), headers=headers)

    def create(self, path: str, content: Mapping[str, Any]) -> None:
        """POST an object.

        Raises:
            RuntimeError: it was refused.
        """
        self._send("POST", path, content)

    def merge(self, path: str, content: Mapping[str, Any]) -> None:
        """PATCH an object by merging.

        Raises:
            RuntimeError: it was refused.
        """
        kind = {"Content-Type": "application/merge-patch+json"}
        self._send("PATCH", path, content, headers={**self._pool.headers, **kind})

    def count(self, path: str, field_selector: str) -> int:
        """Return how many objects of a list match.

        Raises:
            RuntimeError: it was refused.
        """
        # All of them, without what is in them: with a selector no server says how many are left.
        kind = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
        url = f"{self._url}{path}?resourceVersion=0&fieldSelector={field_selector}"
        answer = self._pool.request("GET", url, headers={**self._pool.headers, **kind})
        if answer.status >= 300:
            raise RuntimeError(f"GET {path}: {answer.status} {answer.data[:500]!r}")
        return len(json.loads(answer.data)["items"])

    def _send(
        self,
        method: str,
        path: str,
        content: Mapping[str, Any],
        **options: Any,  # noqa: ANN401
    ) -> None:
        answer = self._pool.request(
            method, f"{self._url}{path}", body=json.dumps(content), **options
        )
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.data[:500]!r}")


def populate(api: Api, workloads: range, progress: Callable[[int], None]) -> None:
    """Make workloads with their namespaces and pods.

    Args:
        api: Where to.
        workloads: Numbers of those to make; whole namespaces.
        progress: Told how many are there, now and then.

    Raises:
        RuntimeError: An object was refused.
    """
    for index in workloads[::WORKLOADS_PER_NAMESPACE]:
        metadata = {"name": namespace(index)}
        api.create("/api/v1/namespaces", {"metadata": metadata})
        # What the controller manager would make, and pods are refused without.
        path = f"/api/v1/namespaces/{namespace(index)}/serviceaccounts"
        api.create(path, {"metadata": {"name": "default"}})
    with ThreadPoolExecutor(WRITERS) as writers:
        for made, _ in enumerate(writers.map(partial(_make, api), workloads), start=1):
            if made % 100 == 0:
                progress(made)


def nodes() -> Sequence[Mapping[str, Any]]:
    """The nodes that kwok plays."""
    annotation = {"kwok.x-k8s.io/node": "fake"}
    return [
        {"metadata": {"name": node_name(index), "annotations": annotation}}
        for index in range(NODES)
    ]


def _make(api: Api, index: int) -> None:
    space, name = namespace(index), workload(index)
    deployments = f"/apis/apps/v1/namespaces/{space}/deployments"
    api.create(deployments, _deployment(name))
    counts = dict.fromkeys(
        ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), REPLICAS
    )
    api.merge(f"{deployments}/{name}/status", {"status": {"observedGeneration": 1, **counts}})
    for pod in _pods(index, name):
        api.create(f"/api/v1/namespaces/{space}/pods", pod)


def _deployment(name: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": name}
    return {
        "metadata": {"name": name, "labels": {**labels, "gc-tuner.io/mode": "auto"}},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": _pod_spec()},
        },
    }


def _pod_spec() -> dict[str, Any]:
    memory = str(MEMORY_LIMIT_BYTES)
    container = {
        "name": CONTAINER,
        "image": "registry.example/service:1.0",
        "env": [
            {"name": "GOMEMLIMIT", "value": SERVICE.gomemlimit},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            *({"name": f"SETTING_{number}", "value": "a value"} for number in range(10)),
        ],
        "resources": {"requests": {"cpu": "1", "memory": memory}, "limits": {"memory": memory}},
    }
    return {"containers": [container]}


def _pods(index: int, name: str) -> Iterable[dict[str, Any]]:
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": f"{name}-{TEMPLATE_HASH}",
        "uid": f"00000000-0000-0000-0000-{index:012d}",
        "controller": True,
    }
    labels = {"app.kubernetes.io/name": name, "pod-template-hash": TEMPLATE_HASH}
    for replica in range(REPLICAS):
        yield {
            "metadata": {
                "name": f"{name}-{TEMPLATE_HASH}-{_suffix(replica)}",
                "labels": labels,
                "ownerReferences": [owner],
            },
            "spec": {**_pod_spec(), "nodeName": node_name((index + replica) % NODES)},
        }


def _suffix(replica: int) -> str:
    return f"bcdf{'ghjk'[replica]}"
