"""Who is compared: ways to set a Go service's garbage collector."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tuner.model.workload import GOGC, GOMEMLIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.benchmark.quality.scenarios import Scenario

DEFAULT = "default"
AUTOMEMLIMIT = "automemlimit"
LIMIT_ONLY = "limit-only"
GCTUNER = "gctuner"
GC_TUNER = "gc-tuner-"
CRITICAL = f"{GC_TUNER}critical"
NORMAL = f"{GC_TUNER}normal"
LIVE = f"{GC_TUNER}live"
STATIC = "static-"


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A way to set the collector.

    Attributes:
        name: of its service in a race.
        title: in a table.
        environment: what it adds to the service's.
        profile: of gc-tuner, where that is what tunes it.
        live: whether gc-tuner's live channel is used.
    """

    name: str
    title: str
    environment: Mapping[str, str] = field(default_factory=dict)
    profile: str | None = None
    live: bool = False

    @property
    def tuned(self) -> bool:
        """Whether gc-tuner tunes it."""
        return self.profile is not None


def alternatives(scenario: Scenario) -> tuple[Contender, ...]:
    """What people use today."""
    limit = {"MEMORY_LIMIT_BYTES": str(scenario.memory_bytes)}
    automemlimit = {**limit, "IN_PROCESS_TUNER": AUTOMEMLIMIT}
    return (
        Contender(name=DEFAULT, title="Go's default"),
        Contender(
            name=AUTOMEMLIMIT,
            title="GOGC=100, automemlimit 90 %",
            environment=automemlimit,
        ),
        Contender(
            name=LIMIT_ONLY,
            title="GOGC=off, automemlimit 90 %",
            environment={**automemlimit, GOGC: "off"},
        ),
        Contender(
            name=GCTUNER,
            title="gctuner 70 %",
            environment={**limit, "IN_PROCESS_TUNER": GCTUNER},
        ),
    )


def gc_tuners() -> tuple[Contender, ...]:
    """gc-tuner itself."""
    return (
        Contender(name=CRITICAL, title="**gc-tuner, critical**", profile="critical"),
        Contender(name=NORMAL, title="**gc-tuner, normal**", profile="normal"),
        Contender(name=LIVE, title="**gc-tuner, normal, live**", profile="normal", live=True),
    )


def static(scenario: Scenario, gogc: int, limit_percent: int) -> Contender:
    """A setting that stays, its GOMEMLIMIT as a percentage of the container's limit."""
    mebibytes = scenario.memory_mib * limit_percent // 100
    return Contender(
        name=f"{STATIC}{gogc}-{limit_percent}",
        title=f"GOGC={gogc}, GOMEMLIMIT={mebibytes}MiB",
        environment={GOGC: str(gogc), GOMEMLIMIT: f"{mebibytes}MiB"},
    )


def grid(
    scenario: Scenario, gogc: tuple[int, ...], limit_percent: tuple[int, ...]
) -> tuple[Contender, ...]:
    """Settings that stay, each with each: the best of them is the oracle."""
    return tuple(static(scenario, percent, limit) for limit in limit_percent for percent in gogc)
