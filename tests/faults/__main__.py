"""Faults on the real parts, and the table in docs/reliability.md. Nothing else should be busy.

python -m tests.faults [FAULT ...] [--kills N]
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from tests.e2e.testbed.cache import BuildError
from tests.e2e.testbed.cluster import REPOSITORY, Cluster
from tests.e2e.testbed.processes import ProcessError, terminated_as_interrupt
from tests.faults.catalogue import FAULTS, Place
from tests.faults.report import SECTION, section
from tests.faults.run import Kills, Result, kill_leaders, run
from tests.faults.scene import Scene, set_scene
from tests.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from tests.faults.catalogue import Fault
    from tests.faults.lane import Lane

PAGE = REPOSITORY / "docs" / "reliability.md"
_KILLS = 50
_KILL_LANES = 3


def _told(fault: Fault, lanes: Sequence[Lane]) -> Result:
    say(f"{fault.name} ...")
    result = run(fault, lanes)
    say(f"{fault.name}: {'MISSED' if result.lines else 'as it has to be'}: {result}")
    return result


def _one_by_one(faults: Sequence[Fault], lane: Lane, results: list[Result]) -> None:
    results.extend(_told(each, [lane]) for each in faults)


def _kill(lane: Lane, number: int, killed: list[Kills]) -> None:
    killed.append(kill_leaders(lane, number, say))


def inflict(scene: Scene, faults: Sequence[Fault]) -> list[Result]:
    """What all share first, by itself; then every lane at its own pace.

    Returns:
        What came of each fault; of one that broke off, that it did.
    """
    lanes = list(scene.lanes.values())
    results = [_told(each, lanes) for each in faults if each.place is Place.ALL]
    _side_by_side(
        partial(_one_by_one, [each for each in faults if each.place is place], lane, results)
        for place, lane in scene.lanes.items()
    )
    run_to_end = {each.name for each in results}
    results += [
        Result(name=each.name, missed=["it was not run to its end"])
        for each in faults
        if each.name not in run_to_end
    ]
    order = [each.name for each in FAULTS]
    return sorted(results, key=lambda each: order.index(each.name))


def kill_all(scene: Scene, kills: int) -> list[Kills]:
    """So many leaders, on all lanes for it side by side.

    Returns:
        What came of each lane; of one that broke off, that it did.
    """
    per_lane = [
        kills // _KILL_LANES + (number < kills % _KILL_LANES)
        for number in range(len(scene.kill_lanes))
    ]
    killed: list[Kills] = []
    _side_by_side(
        partial(_kill, lane, number, killed)
        for lane, number in zip(scene.kill_lanes, per_lane, strict=True)
    )
    broken = len(scene.kill_lanes) - len(killed)
    missed = ["they were not killed to the end"]
    return killed + [Kills(name="leaders killed", missed=missed) for _ in range(broken)]


def _side_by_side(tasks: Iterable[Callable[[], None]]) -> None:
    # Not a pool: an interrupt would wait for it.
    threads = [threading.Thread(target=each, daemon=True) for each in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextlib.contextmanager
def _ordered(
    cluster: Cluster, places: Collection[Place] = (), *, kill_lanes: int = 0
) -> Iterator[Scene]:
    """A scene with something to write."""
    say("services and replicas ...")
    with set_scene(cluster, places, kill_lanes=kill_lanes) as scene:
        for lane in (*scene.lanes.values(), *scene.kill_lanes):
            lane.order_all()
        yield scene


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "faults",
        nargs="*",
        metavar="FAULT",
        help=f"some only, printed and not written: {'; '.join(each.name for each in FAULTS)}",
    )
    parser.add_argument(
        "--kills", type=int, help=f"so many leaders killed, with all faults {_KILLS}"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.faults) - {each.name for each in FAULTS}
    if unknown:
        parser.error(f"no fault {', '.join(sorted(unknown))}: see --help")
    return arguments


def main() -> int:
    """Inflict what is asked for; progress goes to standard error.

    Returns:
        0 where all was as it has to be; 1 where it was not, or could not be done; 130 where it was
        interrupted.
    """
    arguments = _arguments()
    everything = not arguments.faults and arguments.kills is None
    faults = [each for each in FAULTS if everything or each.name in arguments.faults]
    kills = _KILLS if everything else arguments.kills or 0
    places = {each.place for each in faults}
    if places == {Place.ALL}:
        places.add(Place.PROMETHEUS)
    results: list[Result] = []
    killed: list[Kills] = []
    try:
        with terminated_as_interrupt(), Cluster.start() as cluster:
            cluster.stay_awake()
            # One scene after the other: two cores are busy with either.
            if faults:
                with _ordered(cluster, places) as scene:
                    results = inflict(scene, faults)
            if kills:
                with _ordered(cluster, kill_lanes=_KILL_LANES) as scene:
                    killed = kill_all(scene, kills)
    except KeyboardInterrupt:
        return 130
    except (BuildError, ProcessError, RuntimeError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    made = section(results, killed, time.strftime("on %Y-%m-%d", time.gmtime()))
    sys.stdout.write(f"{made}\n")
    if everything:
        PAGE.write_text(SECTION.put(PAGE.read_text(), made))
        say(f"written: {PAGE.relative_to(REPOSITORY)}")
    return 1 if any(each.lines for each in (*results, *killed)) else 0


if __name__ == "__main__":
    sys.exit(main())
