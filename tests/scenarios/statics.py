"""Settings that never change, tried on the plant: what a tuned service is measured against."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tests.scenarios.worlds import MIB, POLICY
from tuner.simulation import Service, SimulatedCluster

STEP_SECONDS = 5.0
SET_POINT = POLICY.profiles[POLICY.default_profile].memory_set_point
TOLERANCE = 1.02
"""Of a bound on memory: the heap may pass its goal for a moment."""
GRID = (50, 71, 100, 141, 200, 283, 400, 566, 800, 1131, 1600)
"""GOGC in steps of the square root of two, over what a tier allows."""


@dataclass(frozen=True, slots=True)
class Static:
    """A setting, as env has it; None: not set."""

    gogc: str | None = None
    gomemlimit: str | None = None


@dataclass(frozen=True, slots=True)
class Lived:
    """What a service came to under one setting."""

    cpu_seconds_per_request: float
    """Infinite where there were no requests."""
    highest_bytes: float
    """Memory of the worst pod."""
    oom_kills: int


def live(service: Service, static: Static, start: float, end: float, *, seed: int = 1) -> Lived:
    """A service under one setting, from one moment of simulated time to another."""
    settled = replace(service, gogc=static.gogc, gomemlimit=static.gomemlimit)
    cluster = SimulatedCluster([settled], start, seed)
    (key,) = cluster.services()
    highest = 0.0
    while cluster.now < end:
        cluster.advance(STEP_SECONDS)
        highest = max(highest, *(pod.resident_bytes() for pod in cluster.pods(key)))
    counters = [pod.counters for pod in cluster.pods(key)]
    requests = sum(each.requests for each in counters)
    spent = sum(each.cpu_seconds for each in counters)
    return Lived(spent / requests if requests else math.inf, highest, cluster.oom_kills)


def best(service: Service, start: float, end: float) -> float:
    """Least CPU per request, seconds, of all settings on the grid that memory allows.

    Behind each stands the GOMEMLIMIT that the container allows, as that only ever helps.
    """
    outcomes = (live(service, each, start, end) for each in _grid(service))
    return min(each.cpu_seconds_per_request for each in outcomes if _allowed(service, each))


def _grid(service: Service) -> Iterable[Static]:
    backstop = None
    if service.memory_limit_bytes is not None:
        usable = SET_POINT * service.memory_limit_bytes - service.unknown_bytes
        backstop = f"{int(usable) // MIB}MiB"
    return (Static(str(gogc), backstop) for gogc in GRID)


def _allowed(service: Service, lived: Lived) -> bool:
    """Whether it was never killed, and kept within the memory that the service asked for."""
    budget = service.memory_request_bytes or service.memory_limit_bytes or math.inf
    return lived.oom_kills == 0 and lived.highest_bytes <= TOLERANCE * SET_POINT * budget
