"""Objects as the API server gives them."""

from __future__ import annotations

from typing import Any


def gctuning(
    name: str = "web",
    *,
    kind: str = "Deployment",
    version: int = 10,
    owner_uid: str = "uid-web",
    uid: str = "uid-record",
    status: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A GCTuning of the workload ``shop/<name>``."""
    target = {"apiVersion": "apps/v1", "kind": kind, "name": name}
    return {
        "apiVersion": "gc-tuner.io/v1alpha1",
        "kind": "GCTuning",
        "metadata": {
            "name": f"{kind.lower()}-{name}",
            "namespace": "shop",
            "uid": uid,
            "resourceVersion": str(version),
            "ownerReferences": [{**target, "uid": owner_uid, "controller": False}],
        },
        "spec": {"targetRef": target},
        **({"status": status} if status is not None else {}),
    }
