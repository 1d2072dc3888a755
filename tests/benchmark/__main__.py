"""The benchmarks by hand: `python -m tests.benchmark controller [--workloads 100,1000]`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict

from tests.benchmark.controller.measure import measure
from tests.e2e.testbed.binaries import BuildError
from tests.e2e.testbed.processes import ProcessError, terminated_as_interrupt

SIZES = (100, 1_000, 10_000)


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def _sizes(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def main() -> int:
    """Run a benchmark; figures go to standard output as JSON lines, progress to standard error.

    Returns:
        0; 1 where it could not be run, 130 where it was interrupted.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    controller = commands.add_parser("controller", help="what gc-tuner itself costs")
    controller.add_argument(
        "--workloads",
        type=_sizes,
        default=list(SIZES),
        metavar="N,N",
        help=f"sizes of the fleet (default: {','.join(map(str, SIZES))})",
    )
    arguments = parser.parse_args()
    try:
        with terminated_as_interrupt():
            for workloads in arguments.workloads:
                cost = measure(workloads, _say)
                sys.stdout.write(f"{json.dumps(asdict(cost))}\n")
                sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except (BuildError, ProcessError, RuntimeError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
