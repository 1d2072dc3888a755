"""Objects as the API server gives them."""

from __future__ import annotations

from typing import Any


def gctuning(
    name: str = "web",
    *,
    version: int = 10,
    owner_uid: str = "uid-web",
    uid: str = "uid-record",
    status: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A GCTuning of the Deployment ``shop/<name>``."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return {
        "apiVersion": "gc-tuner.io/v1alpha1",
        "kind": "GCTuning",
        "metadata": {
            "name": f"deployment-{name}",
            "namespace": "shop",
            "uid": uid,
            "resourceVersion": str(version),
            "ownerReferences": [{**target, "uid": owner_uid, "controller": False}],
        },
        "spec": {"targetRef": target},
        **({"status": status} if status is not None else {}),
    }
