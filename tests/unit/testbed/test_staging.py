from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.testbed.node.environment import ConfigError
from tests.e2e.testbed.node.staging import (
    MOUNT_REFRESH,
    RESIZE,
    RESIZE_TIME,
    mount_refresh_seconds,
    resize_seconds,
    staged_refusal,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def _pod(**annotations: str) -> dict[str, Any]:
    return {"metadata": {"annotations": annotations}}


@pytest.mark.parametrize(
    ("annotation", "read"),
    [(MOUNT_REFRESH, mount_refresh_seconds), (RESIZE_TIME, resize_seconds)],
)
def test_a_pod_may_ask_for_times_of_its_own(
    annotation: str, read: Callable[[dict[str, Any], float], float]
) -> None:
    assert read({"metadata": {}}, 1.5) == 1.5
    assert read(_pod(**{annotation: "60s"}), 1.5) == 60.0
    assert read(_pod(**{annotation: "0"}), 1.5) == 0.0
    for malformed in ("", "soon", "1m", "-1s", "nan", "inf"):
        with pytest.raises(ConfigError, match=rf"{annotation}: want seconds such as 60s"):
            read(_pod(**{annotation: malformed}), 1.5)


@pytest.mark.parametrize(
    ("text", "reason"), [("deferred", "Deferred"), ("infeasible", "Infeasible")]
)
def test_a_pod_may_ask_for_its_resize_to_be_refused(text: str, reason: str) -> None:
    refused = staged_refusal(_pod(**{RESIZE: text}))
    assert refused == {"reason": reason, "message": f"as annotation {RESIZE} asks"}


def test_a_pod_that_asks_for_nothing_is_not_refused() -> None:
    assert staged_refusal({"metadata": {}}) is None


def test_an_unknown_kind_of_refusal_is_named() -> None:
    with pytest.raises(ConfigError, match="want deferred or infeasible, got 'later'"):
        staged_refusal(_pod(**{RESIZE: "later"}))
