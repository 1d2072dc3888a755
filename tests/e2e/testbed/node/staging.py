"""What a pod's annotations ask of the node: to stage what a kubelet does rarely, or slowly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tests.e2e.testbed.node.environment import ConfigError

if TYPE_CHECKING:
    from tests.e2e.testbed.node.objects import JsonObject

MOUNT_REFRESH = "testbed.gc-tuner.io/mount-refresh"
RESIZE = "testbed.gc-tuner.io/resize"
RESIZE_TIME = "testbed.gc-tuner.io/resize-time"

_REFUSALS = {"deferred": "Deferred", "infeasible": "Infeasible"}


def mount_refresh_seconds(pod: JsonObject, otherwise: float) -> float:
    """Return how long a changed ConfigMap or Secret takes to reach the pod's files.

    Raises:
        ConfigError: the annotation is no duration.
    """
    return _seconds(pod, MOUNT_REFRESH, otherwise)


def resize_seconds(pod: JsonObject, otherwise: float) -> float:
    """Return how long a granted resize of the pod is in progress.

    Raises:
        ConfigError: the annotation is no duration.
    """
    return _seconds(pod, RESIZE_TIME, otherwise)


def staged_refusal(pod: JsonObject) -> JsonObject | None:
    """Return the `PodResizePending` condition that the annotation asks for, None without one.

    Raises:
        ConfigError: the annotation names no kind of refusal.
    """
    text = _annotation(pod, RESIZE)
    if text is None:
        return None
    reason = _REFUSALS.get(text)
    if reason is None:
        message = f"annotation {RESIZE}: want {' or '.join(_REFUSALS)}, got {text!r}"
        raise ConfigError(message)
    return {"reason": reason, "message": f"as annotation {RESIZE} asks"}


def _annotation(pod: JsonObject, name: str) -> str | None:
    annotations: JsonObject = pod["metadata"].get("annotations") or {}
    text = annotations.get(name)
    return None if text is None else str(text)


def _seconds(pod: JsonObject, name: str, otherwise: float) -> float:
    text = _annotation(pod, name)
    if text is None:
        return otherwise
    message = f"annotation {name}: want seconds such as 60s, got {text!r}"
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        raise ConfigError(message) from None
    if not math.isfinite(seconds) or seconds < 0:
        raise ConfigError(message)
    return seconds
