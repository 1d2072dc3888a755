"""kwok: the kubelets of nodes that are not there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.e2e.testbed.binaries import KWOK, build
from tests.e2e.testbed.cache import default_cache
from tests.e2e.testbed.processes import Process

if TYPE_CHECKING:
    from pathlib import Path

# Both without any delay: a node is ready and a pod runs as soon as it is seen.
_NODE_STATUS = """
conditions:
{{ range NodeConditions }}
- lastHeartbeatTime: {{ Now | Quote }}
  lastTransitionTime: {{ Now | Quote }}
  message: {{ .message | Quote }}
  reason: {{ .reason | Quote }}
  status: {{ .status | Quote }}
  type: {{ .type | Quote }}
{{ end }}
allocatable: {cpu: 1k, memory: 10Ti, pods: 1M}
capacity: {cpu: 1k, memory: 10Ti, pods: 1M}
"""
_POD_STATUS = """
phase: Running
startTime: {{ Now | Quote }}
podIP: {{ PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace | Quote }}
conditions:
- {type: Ready, status: "True", lastTransitionTime: {{ Now | Quote }}}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: true
  restartCount: 0
  state: {running: {startedAt: {{ Now | Quote }}}}
  resources: {limits: {memory: {{ .resources.limits.memory | Quote }}}}
{{ end }}
"""


def prepare_kubelets(kubeconfig: Path, directory: Path) -> Process:
    """Write kwok's configuration and describe the process, without starting it.

    Builds kwok first where the cache of the test bed lacks it.

    Raises:
        BuildError: Go is missing or the build failed.
    """
    path = directory / "kwok.yaml"
    stages = [
        _stage("Node", ".status.capacity.pods", _NODE_STATUS),
        _stage("Pod", ".status.podIP", _POD_STATUS),
    ]
    path.write_text("\n---\n".join(json.dumps(each) for each in stages))
    return Process(
        name="kwok",
        command=[
            build(KWOK, default_cache()) / "kwok",
            f"--config={path}",
            f"--kubeconfig={kubeconfig}",
            "--manage-all-nodes=true",
            "--cidr=10.0.0.0/8",
        ],
        log=directory / "logs" / "kwok.log",
    )


def _stage(kind: str, missing: str, status: str) -> dict[str, Any]:
    """What is done once to each object of a kind that lacks a field."""
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": f"{kind.lower()}-ready"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": [{"key": missing, "operator": "DoesNotExist"}]},
            "next": {"statusTemplate": status},
        },
    }
