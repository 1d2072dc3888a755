"""What was measured stays, and is not mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.benchmark.quality.lane import Lane
from tests.benchmark.store import MixedError, Origin, Store
from tests.unit.benchmark.lanes import lane

if TYPE_CHECKING:
    from pathlib import Path

HERE = Origin(
    commit="0123456789ab",
    processor="a processor",
    processors=2,
    memory_gib=24,
    system="Linux 6",
    python="3.11.2",
    go="go1.26.8",
)
FIGURES = lane("static", [1.0, None, 2.0])


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "figures", HERE)
    assert store.read("steady", Lane) is None
    store.write("steady", FIGURES)
    assert store.read("steady", Lane) == FIGURES


@pytest.mark.parametrize(
    "changes", [{"commit": "ba9876543210"}, {"processors": 4}, {"go": "go1.27.0"}]
)
def test_figures_of_another_machine_or_commit_are_refused(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    other = msgspec.structs.replace(HERE, **changes)
    Store(tmp_path, other).write("steady", FIGURES)
    with pytest.raises(MixedError, match=str(next(iter(changes.values())))):
        Store(tmp_path, HERE).read("steady", Lane)


def test_another_commit_has_another_folder() -> None:
    assert HERE.folder != msgspec.structs.replace(HERE, commit="ba9876543210").folder


def test_this_checkout_has_an_origin() -> None:
    assert Origin.here().commit
