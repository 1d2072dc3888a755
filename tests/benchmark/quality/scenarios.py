"""The scenarios: a service under a load.

Every service asks for as much memory as it may have, so that the budget is the container for all
who tune it. Sizes are such that ten of a kind run beside each other on two cores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A service under a load.

    Attributes:
        name: short, for the command line.
        service: what kind of service it is, in words.
        load: what is asked of it, in words.
        environment: settings of the sample service.
        memory_mib: limit and request of its container.
        schedule: of the load generator; None: nothing is requested, the service works by itself.
        rest: the schedule once it has come to rest, where that is another; the grid is tried on it.
        whole: whether the load never comes to rest, so that a whole run is compared and not its
            end.
        gc_matters: whether there is CPU to be won by tuning; where there is none, no restart is
            to be spent.
    """

    name: str
    service: str
    load: str
    environment: Mapping[str, str]
    memory_mib: int
    schedule: str | None
    rest: str | None = None
    whole: bool = False
    gc_matters: bool = True

    @property
    def memory_bytes(self) -> int:
        """The container's limit."""
        return self.memory_mib * MIB


def _heap(
    live: str, garbage: str, kind: Literal["pointers", "flat"] = "pointers", **further: str
) -> Mapping[str, str]:
    return {
        "LIVE_HEAP_BYTES": live,
        "LIVE_HEAP_KIND": kind,
        "GARBAGE_BYTES_PER_REQUEST": garbage,
        "ITERATIONS_PER_REQUEST": "100000",
        "RUNTIME_METRICS": "all",
        **further,
    }


_STEADY = Scenario(
    name="steady",
    service="large pointer-rich heap",
    load="steady",
    environment=_heap("32Mi", "1Mi"),
    memory_mib=320,
    schedule="constant:40",
)

SCENARIOS = (
    _STEADY,
    replace(
        _STEADY,
        name="step",
        load="step to twice the rate",
        schedule="step:22@0s,44@150s",
        rest="constant:44",
    ),
    Scenario(
        name="burst",
        service="small live heap, heavy garbage",
        load="bursts of 10 s every minute",
        environment=_heap("2Mi", "2Mi"),
        memory_mib=96,
        schedule="burst:20,+30/10s every 60s",
    ),
    Scenario(
        name="ramp",
        service="large pointer-free cache",
        load="ramp to three times the rate",
        environment=_heap("128Mi", "512Ki", "flat"),
        memory_mib=512,
        schedule="ramp:25-75/240s",
        rest="constant:75",
        gc_matters=False,
    ),
    replace(
        _STEADY,
        name="tight",
        service="memory tight to the limit",
        environment=_heap("96Mi", "1Mi"),
        memory_mib=224,
        schedule="constant:30",
    ),
    replace(
        _STEADY,
        name="quiet",
        service="low traffic",
        environment=_heap("32Mi", "256Ki"),
        schedule="constant:2",
        gc_matters=False,
    ),
    replace(
        _STEADY,
        name="batch",
        service="batch without requests",
        environment={**_STEADY.environment, "BATCH_RATE": "40"},
        schedule=None,
    ),
    replace(
        _STEADY,
        name="swing",
        load="live heap that varies by a factor of 5",
        environment=_heap("16Mi", "1Mi", LIVE_HEAP_SWING="5:3m"),
        whole=True,
    ),
    replace(
        _STEADY,
        name="leak",
        load="slow leak",
        environment=_heap("16Mi", "1Mi", LEAK_BYTES_PER_REQUEST="8Ki"),
        whole=True,
    ),
)
