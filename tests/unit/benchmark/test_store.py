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


def store_of(path: Path, origin: Origin = HERE) -> Store:
    return Store(path / "figures", path / "published", origin)


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    assert store.read("steady", Lane) is None
    store.write("steady", FIGURES, HERE)
    assert store.read("steady", Lane) == FIGURES


@pytest.mark.parametrize(
    "changes", [{"commit": "ba9876543210"}, {"processors": 4}, {"go": "go1.27.0"}]
)
def test_figures_of_another_machine_or_commit_are_refused(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    other = msgspec.structs.replace(HERE, **changes)
    store_of(tmp_path, other).write("steady", FIGURES, other)
    with pytest.raises(MixedError, match=str(next(iter(changes.values())))):
        store_of(tmp_path).read("steady", Lane)


def test_what_was_measured_while_the_code_changed_is_not_kept(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    with pytest.raises(MixedError, match=r"(?s)steady.*before: .*0123.*after: .*ba98"):
        store.write("steady", FIGURES, msgspec.structs.replace(HERE, commit="ba9876543210"))
    assert store.read("steady", Lane) is None


def test_what_was_published_counts_as_measured_on_a_like_machine(tmp_path: Path) -> None:
    there = store_of(tmp_path / "there")
    there.write("steady", FIGURES, HERE)
    there.publish("steady")
    here = Store(tmp_path / "here", there.published, HERE)
    assert here.read("steady", Lane) == FIGURES


def test_what_an_earlier_version_published_is_measured_anew_and_replaced(tmp_path: Path) -> None:
    before = msgspec.structs.replace(HERE, commit="ba9876543210")
    earlier = store_of(tmp_path, before)
    earlier.write("steady", FIGURES, before)
    earlier.publish("steady")
    now = Store(tmp_path / "now", earlier.published, HERE)
    assert now.read("steady", Lane) is None
    now.publish("steady")
    assert earlier.read("steady", Lane) == FIGURES, "nothing was measured to replace it"
    now.write("steady", lane("static", [3.0]), HERE)
    now.publish("steady")
    assert now.read("steady", Lane) == lane("static", [3.0])
    assert Store(tmp_path / "next", now.published, HERE).read("steady", Lane) is not None


def test_another_commit_has_another_folder() -> None:
    assert HERE.folder != msgspec.structs.replace(HERE, commit="ba9876543210").folder


def test_this_checkout_has_an_origin() -> None:
    assert Origin.here().commit
