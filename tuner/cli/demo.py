"""``gc-tuner demo``: the loop on three simulated services; needs nothing but Python."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tuner.assessment import describe
from tuner.instrumentation.table import fleet_table, print_fleet
from tuner.model.decision import Hold
from tuner.model.happening import (
    Assessment,
    ChangeWritten,
    Happening,
    HoldBegan,
    PhaseReached,
    TickEnded,
    TrialEnded,
)
from tuner.model.reason import Reason
from tuner.model.trial import Outcome, Phase
from tuner.model.workload import GOGC, GOMEMLIMIT, Workload, WorkloadKey
from tuner.settings import Settings
from tuner.simulation import Service, World
from tuner.simulation.streams import constant, noise, total
from tuner.simulation.world import BEGINNING

MIB = 1024 * 1024
LONGEST_SECONDS = 3 * 3600.0
"""Simulated time after which the demo ends in any case."""
REST_SECONDS = 900.0
"""Simulated time without news after which the fleet is at rest: a cooldown of the profile."""
WALL_SECONDS_PER_TICK = 0.06
"""Pause between two ticks on a terminal, so that eyes can follow."""
NEWS_LINES = 14
PIPED_WIDTH = 160
"""Off a terminal lines are not folded to a screen."""

SERVICES = (
    Service(
        name="catalogue",
        namespace="shop",
        requests_per_second=total(constant(600), noise(30, hold=60, seed=1)),
        garbage_bytes_per_request=300e3,
        work_seconds_per_request=0.26e-3,
        live_bytes=constant(231e6),
    ),
    Service(
        name="gateway",
        namespace="edge",
        requests_per_second=total(constant(200), noise(10, hold=60, seed=2)),
        garbage_bytes_per_request=40e3,
        work_seconds_per_request=1e-3,
        live_bytes=constant(30e6),
        cost_seconds_per_byte=0.05e-9,
    ),
    Service(
        name="sessions",
        namespace="users",
        requests_per_second=total(constant(300), noise(15, hold=60, seed=3)),
        garbage_bytes_per_request=300e3,
        work_seconds_per_request=0.3e-3,
        live_bytes=constant(445e6),
        memory_request_bytes=900 * MIB,
        memory_limit_bytes=900 * MIB,
    ),
)
"""One that gains much, one that has nothing to gain, one whose memory is short."""

PURPOSES = {
    Reason.GC_COST: "CPU",
    Reason.MEMORY_CEILING: "memory",
    Reason.DANGER: "memory",
    Reason.MEMORY_LIMIT: "backstop",
    Reason.ROLLBACK: "undo",
}
"""What a change is for, in a word: one for the memory's sake costs CPU, and is right to."""


@dataclass(slots=True)
class _News:
    """What happened, in lines for people."""

    began: float
    lines: list[str] = field(default_factory=list)
    newest: float = 0.0
    first: dict[WorkloadKey, Assessment] = field(default_factory=dict)
    last: Mapping[WorkloadKey, Assessment] = field(default_factory=dict)

    def notify(self, happening: Happening) -> None:
        """Take note."""
        match happening:
            case ChangeWritten(at=at, workload=workload, trial=trial):
                self._tell(at, workload, f"change written: {describe(trial)}")
            case PhaseReached(at=at, workload=workload, trial=trial) if (
                trial.phase is not Phase.PLANNED
            ):
                self._tell(at, workload, f"trial: {trial.phase.value}")
            case TrialEnded(at=at, workload=workload, outcome=outcome):
                self._tell(at, workload, f"{outcome.verdict.value}: {outcome.detail}")
            case HoldBegan(at=at, workload=workload, decision=Hold(reason=reason, detail=detail)):
                self._tell(at, workload, f"hold, {reason.value}: {detail}")
            case TickEnded(assessments=assessments):
                self.last = assessments
                for key, each in assessments.items():
                    if each.signals is not None:
                        self.first.setdefault(key, each)
            case _:
                pass

    def _tell(self, at: float, workload: Workload, words: str) -> None:
        minutes, seconds = divmod(round(at - self.began), 60)
        name = f"{workload.key.namespace}/{workload.key.name}"
        self.lines.append(f"{minutes:3d}:{seconds:02d}  {name:16}  {words}")
        self.newest = at


def demo() -> None:
    """Watch, decide and verify three simulated services, until all are at rest."""
    console = Console()
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    policy = Settings().policy(dry_run=False)
    news = _News(began=BEGINNING)
    world = World(SERVICES, policy, observers=(news,))
    console.print(
        "This is a simulation: the real loop, with its default settings, on a model of three Go "
        "services and an in-memory cluster.\nTime runs faster: each tick is "
        f"{policy.timing.interval_seconds:g} s.\n"
    )
    began = time.monotonic()
    if console.is_terminal:
        _watch(console, world, news)
    else:
        _print_news(console, world, news)
    wall = time.monotonic() - began
    console.print(
        f"\n{world.seconds / 60:.0f} simulated minutes in {wall:.1f} s, "
        f"{world.seconds / max(wall, 1e-3):,.0f} times as fast as real time.\n",
        highlight=False,
    )
    console.print(_summary(news))
    console.print(
        "\nThis was a simulation: the figures come from a model, not from your services.\n"
        "The real thing, on Go services under load with a real API server and Prometheus: "
        "make cluster"
    )


def _ended(world: World, news: _News) -> bool:
    at_rest = all(each.record.trial is None for each in news.last.values())
    quiet = world.cluster.now - news.newest > REST_SECONDS
    return (bool(news.lines) and at_rest and quiet) or world.seconds > LONGEST_SECONDS


def _watch(console: Console, world: World, news: _News) -> None:
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not _ended(world, news):
            world.tick()
            table = fleet_table(news.last, bordered=True, why=False)
            lines = Text("\n".join(news.lines[-NEWS_LINES:]), no_wrap=True, overflow="ellipsis")
            live.update(Group(table, lines), refresh=True)
            time.sleep(WALL_SECONDS_PER_TICK)
    print_fleet(console, news.last)
    for line in news.lines:
        console.print(Text(line))


def _print_news(console: Console, world: World, news: _News) -> None:
    printed = 0
    while not _ended(world, news):
        world.tick()
        for line in news.lines[printed:]:
            console.print(Text(line), soft_wrap=True)
        printed = len(news.lines)
    console.print()
    print_fleet(console, news.last)


def _summary(news: _News) -> Table:
    """One row for each change, and one for each service that was left as it is."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in (
        "SERVICE",
        "CPU/REQUEST",
        "GOGC",
        "GOMEMLIMIT",
        "FOR",
        "PREDICTED",
        "MEASURED",
        "VERDICT",
    ):
        table.add_column(column, overflow="fold")
    for key in sorted(news.last):
        before, after = news.first.get(key), news.last[key]
        if before is None or before.signals is None or after.signals is None:
            continue
        old, new = before.signals.cpu_seconds_per_request, after.signals.cpu_seconds_per_request
        cost = "-" if old is None or new is None else f"{old * 1e6:.0f} → {new * 1e6:.0f} µs"
        title, gogc = (key.name, cost), f"{before.signals.gogc:g}"
        for outcome in reversed(after.record.history):
            move, limit = outcome.change.of(GOGC), outcome.change.of(GOMEMLIMIT)
            value = gogc if move is None else move.after or "unset"
            steps = gogc if move is None else f"{gogc} → {value}"
            backstop = "" if limit is None else limit.after or "unset"
            table.add_row(*title, steps, backstop, *_scored(outcome))
            title, gogc = ("", ""), value
        if not after.record.history:
            table.add_row(*title, gogc, "-", "-", "-", "-", "left alone")
    return table


def _scored(outcome: Outcome) -> tuple[str, str, str, str]:
    measured = outcome.measured_saving_ratio
    return (
        PURPOSES.get(outcome.reason, outcome.reason.value),
        f"{0 - outcome.predicted_saving_ratio:+.1%}",
        "-" if measured is None else f"{0 - measured:+.1%}",
        outcome.verdict.value,
    )
