"""What runs inside a container of the test bed shares its mounts, however soon it is started."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.e2e.testbed.node.process import LaunchPlan, Mount, run_inside, start_process

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONTAINERS = 30
"""So many at once that the machine is slow to start them."""


async def _finds_its_volume(plan: LaunchPlan, directory: Path) -> bool:
    log = directory / "log"
    container = start_process(plan, directory, log)
    try:
        code = await run_inside(container, plan, ["test", "-e", "/volume/here"], directory, log)
    finally:
        container.kill()
        await container.exited
    return code == 0


async def _all(plan: LaunchPlan, directories: Sequence[Path]) -> list[bool]:
    return await asyncio.gather(*(_finds_its_volume(plan, each) for each in directories))


def test_a_command_that_is_run_at_once_sees_the_volumes(tmp_path: Path) -> None:
    volume, *directories = (tmp_path / str(number) for number in range(1 + CONTAINERS))
    for each in (volume, *directories):
        each.mkdir()
    (volume / "here").touch()
    plan = LaunchPlan(
        ["sleep", "600"], {"PATH": "/usr/bin:/bin"}, "/", [Mount(volume, "/volume", read_only=True)]
    )
    assert all(asyncio.run(_all(plan, directories)))
