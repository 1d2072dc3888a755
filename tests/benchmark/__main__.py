"""The benchmarks: how well gc-tuner tunes, and what it costs. Nothing else should be busy.

python -m tests.benchmark [all | quality | controller | report]
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from tests.benchmark.controller.measure import Cost, measure
from tests.benchmark.quality.run import FULL, QUICK, Extent, Result, run
from tests.benchmark.quality.scenarios import SCENARIOS, Scenario
from tests.benchmark.report import GLANCE, PAGE, glance, page
from tests.benchmark.store import MixedError, Origin, Store, default_folder
from tests.e2e.testbed.cache import BuildError
from tests.e2e.testbed.cluster import REPOSITORY, Cluster
from tests.e2e.testbed.processes import ProcessError, terminated_as_interrupt
from tests.output import say

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZES = (100, 1_000, 10_000)
README = REPOSITORY / "README.md"
DOCS = REPOSITORY / "docs"
PUBLISHED = DOCS / "benchmarks"
"""What the page is made of."""


def _sizes(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _scenarios(text: str) -> list[Scenario]:
    known = {each.name: each for each in SCENARIOS}
    names = text.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no scenario {', '.join(unknown)}; there are {', '.join(known)}"
        )
    return [known[name] for name in names]


def _quality_name(scenario: Scenario, suffix: str = "") -> str:
    return f"quality-{scenario.name}{suffix}"


def _cost_name(workloads: int) -> str:
    return f"controller-{workloads}"


def _quality(store: Store, scenarios: Sequence[Scenario], extent: Extent, suffix: str) -> None:
    for scenario in scenarios:
        name = _quality_name(scenario, suffix)
        if store.read(name, Result) is not None:
            say(f"{scenario.name}: measured already, {store.folder}")
            continue
        with Cluster.start() as cluster:
            result = run(cluster, scenario, extent, say, time.monotonic)
        store.write(name, result, Origin.here())
        say(f"{scenario.name}: measured in {result.seconds / 60:.0f} min")


def _controller(store: Store, sizes: Sequence[int]) -> None:
    for workloads in sizes:
        name = _cost_name(workloads)
        if store.read(name, Cost) is not None:
            say(f"{workloads} workloads: measured already, {store.folder}")
            continue
        store.write(name, measure(workloads, say), Origin.here())


def _results(store: Store, suffix: str) -> list[Result]:
    found = (store.read(_quality_name(each, suffix), Result) for each in SCENARIOS)
    return [each for each in found if each is not None]


def _costs(store: Store, sizes: Sequence[int]) -> list[Cost]:
    found = (store.read(_cost_name(size), Cost) for size in sorted({*SIZES, *sizes}))
    return [each for each in found if each is not None]


def _missing(results: Sequence[Result], costs: Sequence[Cost]) -> list[str]:
    """What the page lacks: it is whole or it is not written."""
    scenarios = {each.scenario for each in results}
    sizes = {each.workloads for each in costs}
    return [
        *(_quality_name(each) for each in SCENARIOS if each.name not in scenarios),
        *(_cost_name(each) for each in SIZES if each not in sizes),
    ]


def _write_page(store: Store, text: str, results: Sequence[Result]) -> None:
    """Write what readers see."""
    readme = GLANCE.put(README.read_text(), glance(results))
    (DOCS / PAGE).write_text(text)
    README.write_text(readme)
    for name in (*map(_quality_name, SCENARIOS), *map(_cost_name, SIZES)):
        store.publish(name)
    say(f"written: {DOCS.name}/{PAGE}, and the table in {README.name}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=("all", "quality", "controller", "report"),
        default="all",
        help="what to measure; report measures nothing. docs/benchmarks.md is written once all "
        "was measured, until then the page goes to standard output",
    )
    parser.add_argument(
        "--scenario",
        type=_scenarios,
        default=list(SCENARIOS),
        metavar="NAME,NAME",
        help=f"some only: {', '.join(each.name for each in SCENARIOS)}",
    )
    parser.add_argument(
        "--workloads",
        type=_sizes,
        default=list(SIZES),
        metavar="N,N",
        help=f"sizes of the fleet (default: {','.join(map(str, SIZES))}); others are printed and "
        "not written",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a smaller grid and a shorter race, printed and not written: no more than a look",
    )
    return parser.parse_args()


def main() -> int:
    """Measure what is asked for and not measured yet; progress goes to standard error.

    Returns:
        0; 1 where it could not be done, or a report lacks figures; 130 where it was interrupted.
    """
    arguments = _arguments()
    suffix, extent = ("-quick", QUICK) if arguments.quick else ("", FULL)
    try:
        origin = Origin.here()
        store = Store(default_folder(origin), PUBLISHED, origin)
        with terminated_as_interrupt():
            if arguments.what in {"all", "quality"}:
                _quality(store, arguments.scenario, extent, suffix)
            if arguments.what in {"all", "controller"}:
                _controller(store, arguments.workloads)
            results, costs = _results(store, suffix), _costs(store, arguments.workloads)
            text = page(origin, extent, results, costs)
    except KeyboardInterrupt:
        return 130
    except (BuildError, MixedError, ProcessError, RuntimeError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    look = arguments.quick or not {*arguments.workloads} <= {*SIZES}
    missing = [] if look else _missing(results, costs)
    if look or missing:
        sys.stdout.write(text)
    else:
        _write_page(store, text, results)
    if missing:
        say(f"{PAGE} is left as it is: {', '.join(missing)} not measured here on this commit")
    return 1 if missing and arguments.what == "report" else 0


if __name__ == "__main__":
    sys.exit(main())
