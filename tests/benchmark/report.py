"""The page of figures, in Markdown: docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from tests.benchmark.controller.goals import fleet_goals
from tests.benchmark.quality.contenders import (
    AUTOMEMLIMIT,
    CRITICAL,
    DEFAULT,
    GCTUNER,
    LIMIT_ONLY,
    LIVE,
    NORMAL,
    STATIC,
)
from tests.benchmark.quality.goals import PREDICTION_ERROR, goals
from tests.benchmark.quality.race import OPERATOR_SETTINGS, WINDOW_SECONDS
from tests.benchmark.quality.scenarios import MIB, SCENARIOS
from tests.benchmark.quality.score import NEAR, Score, at_rest, best, repeats, scores
from tests.output import Section, table
from tuner.settings import Settings

if TYPE_CHECKING:
    from tests.benchmark.controller.measure import Cost
    from tests.benchmark.quality.lane import Lane
    from tests.benchmark.quality.run import Extent, Result
    from tests.benchmark.quality.scenarios import Scenario
    from tests.benchmark.store import Origin

_INTRODUCTION = """\
# Benchmarks

Made by `make bench`; not edited by hand. Every figure is of real Go services on a real API server
and a real Prometheus (`tests/e2e/README.md` says what stands in for the rest).

**Machine**: {origin}.

**How**: all contenders of a scenario run at the same time, one pod each, on the same machine under
the same load, so that each of them has the same neighbours. Before, a grid of {settings} static
settings is tried once; its best three race with the others, and the best of those that no container
is killed in is the *oracle*: the best that a setting can do that stays. {rest}
The container's memory request is its limit, so that the whole container is the budget for
everybody. Where the load never comes to rest, the last {compared:.0%} of the run are compared.

gc-tuner's settings are the bench's own: {settings_of_operator}. With the default durations the
same steps take that much longer. *Near the oracle* is the time until the CPU per request is
within {near:.0%} of the oracle's; *regret* is the CPU used beyond the oracle's for the same work,
from the first second on.
"""
GLANCE = Section("make bench")
"""Where the README has the figures at a glance."""
_COLUMNS = {
    DEFAULT: "default",
    AUTOMEMLIMIT: "automemlimit",
    LIMIT_ONLY: "GOGC=off",
    GCTUNER: "gctuner",
    CRITICAL: "critical",
    NORMAL: "normal",
    LIVE: "live",
}
"""Of the first table, by contender."""
_LEGEND = """\
CPU per request at rest, by the oracle's; less is better. *default* is Go's own; *automemlimit* is
GOGC=100 with GOMEMLIMIT at 90 % of the container's limit by `KimMachineGun/automemlimit`;
*GOGC=off* has the same limit without GOGC; *gctuner* is `bytedance/gopkg/util/gctuner` at 70 % of
the container; *critical*, *normal* and *live* are gc-tuner with that profile, *live* with `normal`
and without restarts. A contender whose containers were killed for their memory is no rival. Why a
goal was missed: [control-law.md](control-law.md#goals-of-the-benchmark-that-were-missed).
"""
_NOTES = {
    "quiet": "A pod takes less than a hundredth of a core here. What there is to be won is not "
    "worth a restart; the goal is that none is spent.\n",
    "ramp": "GC takes so little here that nothing is to be won; the goal is that no restart is "
    "spent.\n",
    "leak": "A restart empties the leak: who is cheaper than the oracle here owes it to that, or "
    "to being killed. *Live* restarts nothing; it is the one to compare.\n",
    "tight": "Go's default fills the container until it is killed. What it uses beyond 90 % of the "
    "limit is what makes it cheaper.\n",
}
"""What a reader of a scenario's figures has to know of them."""


@dataclass(frozen=True)
class _Told:
    """A scenario with what its race says."""

    scenario: Scenario
    result: Result
    scores: Sequence[Score]
    oracle: Lane


def page(origin: Origin, extent: Extent, results: Sequence[Result], costs: Sequence[Cost]) -> str:
    """Return the page.

    Args:
        origin: machine and commit of all the figures.
        extent: how thoroughly the scenarios were measured.
        results: of scenarios; those that are missing were not measured.
        costs: of the controller, by size.
    """
    told = [_told(each) for each in results]
    introduction = _INTRODUCTION.format(
        origin=origin,
        settings=len(extent.gogc) * len(extent.limits),
        rest=_rest(extent),
        compared=1 - extent.whole.rest_from / extent.whole.windows,
        settings_of_operator=", ".join(
            _settings(OPERATOR_SETTINGS, Settings().model_dump(mode="json", by_alias=True))
        ),
        near=NEAR - 1,
    )
    parts = [introduction]
    if not extent.race.rounds:
        parts.append("This is the short run (`make bench-quick`): a look, not a measurement.\n")
    parts.append(_summary(told))
    parts.extend(_scenario(each) for each in told)
    parts.append(_predictions(told))
    parts.append(_controller(costs))
    return "\n".join(part for part in parts if part)


def glance(results: Sequence[Result]) -> str:
    """Return CPU per request by the oracle's, a row a scenario in which GC matters.

    Args:
        results: of scenarios.
    """
    told = [_told(each) for each in results]
    header = ["service", "load", *_COLUMNS.values()]
    rows = [
        [each.scenario.service, each.scenario.load, *_ratios(each)]
        for each in told
        if each.scenario.gc_matters
    ]
    return table(header, rows)


def _told(result: Result) -> _Told:
    scenario = next(each for each in SCENARIOS if each.name == result.scenario)
    static = [lane for lane in result.race if lane.name.startswith(STATIC)]
    oracle = next(iter(best(static, 1)), None)
    if oracle is None:
        raise RuntimeError(f"{result.scenario}: no static setting lived through the race")
    return _Told(scenario, result, scores(result.race, oracle, result.window_seconds), oracle)


def _rest(extent: Extent) -> str:
    minutes = extent.race.rest_from * WINDOW_SECONDS / 60
    if not extent.race.rounds:
        return f"*At rest* is what follows after {minutes:g} minutes."
    return (
        f"After {minutes:g} minutes all should be *at rest*. Later all pods are replaced, "
        f"{extent.race.rounds} times; the figures at rest\nare the median of these "
        f"{extent.race.rounds + 1} repeats, with the least and the greatest in brackets."
    )


def _settings(own: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[str]:
    """The bench's settings beside the defaults, as they are written in a configuration."""
    for name, value in own.items():
        if isinstance(value, Mapping):
            yield from (f"{name}.{each}" for each in _settings(value, defaults[name]))
        else:
            yield f"{name} {value} (default {defaults[name]})"


def _summary(told: Sequence[_Told]) -> str:
    rows = []
    for each in told:
        missed = [goal.text for goal in goals(each.scenario, each.scores) if not goal.met]
        rows.append(
            [
                f"[{each.scenario.name}](#{each.scenario.name})",
                *_ratios(each),
                "; ".join(missed) or "all met",
            ]
        )
    header = ["scenario", *_COLUMNS.values(), "goals missed"]
    return f"## At a glance\n\n{_LEGEND}\n{table(header, rows)}"


def _ratios(told: _Told) -> list[str]:
    """By contender, in the order of the columns; with its OOM kills, if there were any."""
    found = {score.lane.name: score for score in told.scores}
    return [_at_a_glance(found.get(name)) for name in _COLUMNS]


def _at_a_glance(score: Score | None) -> str:
    if score is None:
        return "-"
    kills = score.lane.oom_kills
    return f"{_ratio(score.ratio)}{f', {kills} OOM' if kills else ''}"


def _scenario(told: _Told) -> str:
    scenario, result = told.scenario, told.result
    header = [
        "contender",
        "CPU a request, ms",
        "by the oracle's",
        "p95, ms",
        "p99, ms",
        "peak memory, MiB",
        "OOM kills",
        "restarts",
        "near the oracle",
        "regret",
    ]
    rows = [_row(each, is_oracle=each.lane is told.oracle) for each in told.scores]
    busy = median(each.machine_busy for each in result.race[0].windows)
    facts = (
        f"{scenario.service.capitalize()}; {scenario.load}. Container {scenario.memory_mib} MiB. "
        f"The machine was {busy:.0%} busy.\n"
    )
    note = _NOTES.get(scenario.name)
    notes = [] if note is None else [note]
    parts = [f"## {scenario.name}\n", facts, *notes, table(header, rows), _chart(told)]
    decisions = [
        f"- {lane.title}: {lane.decision}" for lane in result.race if lane.decision is not None
    ]
    parts.append("gc-tuner's last word:\n\n" + "\n".join(decisions) + "\n")
    parts.append(_grid(result))
    return "\n".join(parts)


def _row(score: Score, *, is_oracle: bool) -> list[str]:
    lane = score.lane
    cost = "-"
    if score.cost is not None and score.spread is not None:
        least, most = (1000 * each for each in score.spread)
        cost = f"{1000 * score.cost:.3f}"
        if len(repeats(lane)) > 1:
            cost += f" ({least:.3f}-{most:.3f})"
    return [
        f"{lane.title} (oracle)" if is_oracle else lane.title,
        cost,
        _ratio(score.ratio),
        _number(score.p95_ms, 1),
        _number(score.p99_ms, 1),
        _number(None if score.peak_bytes is None else score.peak_bytes / MIB, 0),
        str(lane.oom_kills),
        str(lane.restarts),
        "never" if score.near_seconds is None else f"{score.near_seconds:.0f} s",
        "-" if score.regret is None else f"{score.regret:+.1%}",
    ]


def _chart(told: _Told) -> str:
    """CPU per request over time of the default, the oracle, and gc-tuner's two channels.

    A chart has no gaps: a window that one of them has no figure for is left out.
    """
    result = told.result
    lanes = {lane.name: lane for lane in result.race}
    shown = [lanes[DEFAULT], told.oracle, lanes[NORMAL], lanes[LIVE]]
    windows = zip(*([each.cost for each in lane.windows] for lane in shown), strict=True)
    whole = [(index, costs) for index, costs in enumerate(windows, start=1) if None not in costs]
    minutes = ", ".join(f"{index * result.window_seconds / 60:g}" for index, _ in whole)
    lines = [
        f"    line [{', '.join(_number(1000 * cost, 3) for cost in line if cost is not None)}]"
        for line in zip(*(costs for _, costs in whole), strict=True)
    ]
    return "\n".join(
        [
            "```mermaid",
            "xychart-beta",
            f'    title "{result.scenario}: CPU a request, ms"',
            f'    x-axis "minutes" [{minutes}]',
            *lines,
            "```",
            "In this order: Go's default, the oracle, gc-tuner normal, gc-tuner live.\n",
        ]
    )


def _grid(result: Result) -> str:
    rows = [
        [
            lane.title,
            _number(None if (cost := at_rest(lane)) is None else 1000 * cost, 3),
            str(lane.oom_kills),
        ]
        for lane in result.grid
    ]
    settings = table(["setting", "CPU a request, ms", "OOM kills"], rows)
    return f"<details><summary>The grid</summary>\n\n{settings}\n</details>\n"


def _predictions(told: Sequence[_Told]) -> str:
    rows, errors = [], []
    for scenario, race in ((each.scenario, each.result.race) for each in told):
        for lane in race:
            for each in lane.predictions:
                error = None if each.measured is None else each.predicted - each.measured
                if error is not None:
                    errors.append(abs(error))
                rows.append(
                    [
                        scenario.name,
                        lane.title,
                        each.change,
                        each.reason,
                        f"{each.predicted:+.1%}",
                        "-" if each.measured is None else f"{each.measured:+.1%}",
                        each.verdict,
                    ]
                )
    header = ["scenario", "profile", "change", "why", "foretold", "measured", "verdict"]
    if not rows:
        return ""
    said = f"Median error {100 * median(errors):.1f} percentage points of CPU" if errors else ""
    return (
        "## Predictions\n\nThe saving of CPU that was foretold of every change that was judged, "
        f"and what was measured. {said}; {100 * PREDICTION_ERROR:g} are allowed.\n\n"
        f"{table(header, rows)}"
    )


def _controller(costs: Sequence[Cost]) -> str:
    if not costs:
        return ""
    header = [
        "workloads",
        "tick, s",
        "CPU a tick, s",
        "memory, MB",
        "peak, MB",
        "queries a tick",
        "reads a tick",
        "writes a tick",
        "first decisions, s",
    ]
    rows = [
        [
            f"{each.workloads:,}",
            f"{each.tick_seconds:.2f}",
            f"{each.tick_cpu_seconds:.2f}",
            f"{each.resident_bytes / 1e6:.0f}",
            f"{each.resident_peak_bytes / 1e6:.0f}",
            f"{each.queries_per_tick:.1f}",
            f"{each.reads_per_tick:.1f}",
            f"{each.writes_per_tick:.1f}",
            f"{each.start_seconds:.1f}",
        ]
        for each in costs
    ]
    return (
        "## What gc-tuner itself costs\n\nA fleet at rest, two pods a workload, at the production "
        "interval of 15 s, on a real API server; the pods are kwok's, and a server that answers as "
        f"Prometheus stands in for it.\n\n{table(header, rows)}\n"
        + "".join(
            f"- {each.text}: {'met' if each.met else '**missed**'}\n" for each in fleet_goals(costs)
        )
    )


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
