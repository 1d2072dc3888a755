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
from tests.benchmark.quality.goals import ASKED, goals, prediction_goal
from tests.benchmark.quality.race import OPERATOR_SETTINGS, WINDOW_SECONDS
from tests.benchmark.quality.scenarios import MIB, SCENARIOS
from tests.benchmark.quality.score import NEAR, Score, at_rest, best, repeats, scores
from tests.output import Section, table
from tuner.settings import Settings

if TYPE_CHECKING:
    from tests.benchmark.controller.measure import Cost
    from tests.benchmark.goal import Goal
    from tests.benchmark.quality.lane import Lane
    from tests.benchmark.quality.run import Extent, Result
    from tests.benchmark.quality.scenarios import Scenario
    from tests.benchmark.store import Origin

_INTRODUCTION = """\
# Benchmarks

Made by `make bench`; not edited by hand. Every figure is of real Go services on a real API server
and a real Prometheus; [what stands in for the rest](../tests/e2e/README.md), for the kernel's
out-of-memory killer a check of resident memory, several times a second.

**Machine**: {origin}.

**How**: all contenders of a scenario run at the same time, one pod each, on the same machine under
the same load, so that each of them has the same neighbours. Before, a grid of {settings} static
settings is tried once; its best three race with the others, and the best of those that no container
is killed in is the *oracle*: the best that a setting can do that stays. {rest}
The container's memory request is its limit, so that the whole container is the budget for
everybody. Where the load never comes to rest, the last {compared:.0%} of the run are compared.

gc-tuner's settings are the bench's own: {settings_of_operator}. With the default durations the
same steps take that much longer. The services export the runtime's own figures of GC
(`WithGoCollectorRuntimeMetrics`); where they do not, gc-tuner
[estimates](control-law.md#measured-derived-estimated).

*By the oracle's* is CPU per request by that of the oracle in the same repeat, the median of the
repeats; it is not the one median by the other. *Near the oracle* is the time from which on CPU per
request stayed within {near:.0%} of the oracle's, by medians of three windows of {window} s, and
*regret* the CPU used beyond the oracle's for the same work; both look at the race until pods are
first replaced, from the first second on. *Answered* and *peak memory* (the largest working set) are
of the whole race; *p95* and *p99* are as the load generator sees them, medians of the windows at
rest. *Restarts* are rollouts that a change of settings took; a container that is killed comes back
without one.

{asked}
"""
_CHART_SETTINGS = (
    '%%{init: {"themeVariables": {"xyChart": '
    '{"plotColorPalette": "#999999, #2ca02c, #1f77b4, #ff7f0e"}}}}%%'
)
"""Colours of a chart's lines, in their order."""
PAGE = "benchmarks.md"
"""In docs/."""
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
CPU per request at rest, or where the load never rests of all that is compared, by the oracle's;
less is better. *default* is Go's own; *automemlimit* is
GOGC=100 with GOMEMLIMIT at 90 % of the container's limit by `KimMachineGun/automemlimit`;
*GOGC=off* has the same limit without GOGC; *gctuner* is `bytedance/gopkg/util/gctuner` at 70 % of
the container; *critical*, *normal* and *live* are gc-tuner with that profile, *live* with `normal`
and without restarts. *OOM*: how often a container was killed for its memory; a contender to which
that happened is no rival. Why a goal was missed:
[control-law.md](control-law.md#goals-of-the-benchmark-that-were-missed).
"""
_NOTES = {
    "quiet": "A pod takes less than a hundredth of a core here, and collects too seldom to judge a "
    "change by; the goal is that no restart is spent.\n",
    "ramp": "GC takes so little here that nothing is to be won; the goal is that no restart is "
    "spent.\n",
    "leak": "A restart empties the leak: who is cheaper than the oracle here owes it to that, or "
    "to being killed. *Live* restarts nothing; it is the one to compare. gc-tuner's guard against "
    "leaks does not act in a container this small (`guards.leak.leastBytes`).\n",
    "tight": "Go's default fills the container until it is killed, and answers half the requests: "
    "its figures are of what it did while it lived.\n",
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
        window=WINDOW_SECONDS,
        asked=ASKED,
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
    """Return CPU per request by the oracle's, a row a scenario.

    Args:
        results: of scenarios.
    """
    told = [_told(each) for each in results]
    header = ["service", "load", *_COLUMNS.values()]
    rows = [
        [
            f"[{each.scenario.service}](docs/{PAGE}#{each.scenario.name}), {_room(each.scenario)}",
            each.scenario.load,
            *_ratios(each),
        ]
        for each in told
    ]
    return table(header, rows)


def _room(scenario: Scenario) -> str:
    """How much of the container lives, to begin with."""
    return f"{_live(scenario)} of {scenario.memory_mib}Mi"


def _live(scenario: Scenario) -> str:
    return scenario.environment["LIVE_HEAP_BYTES"]


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
        "answered",
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
        f"{scenario.service.capitalize()}; {scenario.load}. {_live(scenario)}B live to begin with, "
        f"in a container of {scenario.memory_mib} MiB; "
        f"{scenario.environment['GARBAGE_BYTES_PER_REQUEST']}B of garbage a request, "
        f"{_asked(scenario)}. "
        f"The machine was {busy:.0%} busy. {_moved(told)}\n"
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


def _asked(scenario: Scenario) -> str:
    """The load as it is set, requests a second."""
    if scenario.schedule is None:
        return f"{scenario.environment['BATCH_RATE']} units of work a second"
    return f"requests a second `{scenario.schedule}`"


def _moved(told: _Told) -> str:
    """How far machine, load and heap moved the cost of one setting that stays."""
    costs = [1000 * each.cost for each in told.oracle.windows if each.cost is not None]
    return f"The oracle's own request took {min(costs):.2f} to {max(costs):.2f} ms, by window."


def _row(score: Score, *, is_oracle: bool) -> list[str]:
    lane = score.lane
    return [
        f"{lane.title} (oracle)" if is_oracle else lane.title,
        _cost(score),
        _ratio(score.ratio),
        f"{sum(each.done or 0.0 for each in lane.windows):,.0f}",
        _number(score.p95_ms, 1),
        _number(score.p99_ms, 1),
        _number(None if score.peak_bytes is None else score.peak_bytes / MIB, 0),
        str(lane.oom_kills),
        _restarts(score),
        "never" if score.near_seconds is None else f"{score.near_seconds:.0f} s",
        "-" if score.regret is None else f"{score.regret:+.1%}",
    ]


def _restarts(score: Score) -> str:
    """All of them; with those until it was near, where there were more after that."""
    every, until = score.lane.restarts, score.restarts_until_near
    return str(every) if until == every else f"{every} ({until} until near)"


def _cost(score: Score) -> str:
    """At rest, with its spread; with the number of repeats where one has no figures."""
    if score.cost is None or score.spread is None:
        return "-"
    found = len(repeats(score.lane))
    asked = len({each.repeat for each in score.lane.windows} - {None})
    least, most = (1000 * each for each in score.spread)
    spread = [f"{least:.3f}-{most:.3f}"] if found > 1 else []
    lost = [f"{found} of {asked} repeats"] if found < asked else []
    told = ", ".join([*spread, *lost])
    return f"{1000 * score.cost:.3f}{f' ({told})' if told else ''}"


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
    left_out = len(told.oracle.windows) - len(whole)
    gaps = f" {left_out} windows without figures of one of them are left out." if left_out else ""
    legend = (
        "Grey: Go's default; green: the oracle; blue: gc-tuner, normal; orange: gc-tuner, live."
    )
    lines = [
        f"    line [{', '.join(_number(1000 * cost, 3) for cost in line if cost is not None)}]"
        for line in zip(*(costs for _, costs in whole), strict=True)
    ]
    return "\n".join(
        [
            "```mermaid",
            _CHART_SETTINGS,
            "xychart-beta",
            f'    title "{result.scenario}: CPU a request, ms"',
            f'    x-axis "minutes" [{minutes}]',
            *lines,
            "```",
            f"{legend}{gaps}\n",
        ]
    )


def _grid(result: Result) -> str:
    costs = [at_rest(lane) for lane in result.grid]
    rows = [
        [
            lane.title,
            _number(None if cost is None else 1000 * cost, 3),
            str(lane.oom_kills),
        ]
        for lane, cost in zip(result.grid, costs, strict=True)
    ]
    settings = table(["setting", "CPU a request, ms", "OOM kills"], rows)
    told = "-: in some window it answered nothing, or no scrape.\n\n" if None in costs else ""
    return f"<details><summary>The grid</summary>\n\n{settings}\n{told}</details>\n"


def _predictions(told: Sequence[_Told]) -> str:
    rows, errors = [], []
    for scenario, race in ((each.scenario, each.result.race) for each in told):
        for lane in race:
            for each in lane.predictions:
                error = None if each.measured is None else each.predicted - each.measured
                if error is not None:
                    errors.append(error)
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
    said = f"- {_judged(prediction_goal(errors))}\n\n" if errors else ""
    return (
        "## Predictions\n\nThe saving of CPU that was foretold of every change, and what was "
        f"measured: of {len(errors)} of {len(rows)}. The trials of the others could not tell; "
        "[why that can be](control-law.md#trials), and what a verdict means. A saving is positive; "
        "what was done for *danger* costs CPU, and is judged by memory.\n\n"
        f"{said}{table(header, rows)}"
    )


def _controller(costs: Sequence[Cost]) -> str:
    if not costs:
        return ""
    header = [
        "workloads",
        "tick, s",
        "CPU an interval, s",
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
        "Prometheus stands in for it. *CPU an interval* is of the whole process: its watches, and "
        "the bench's looks at its metrics, besides the tick. *Memory* is resident at "
        f"the end, *peak* the most there ever was.\n\n{table(header, rows)}\n"
        + "".join(f"- {_judged(each)}\n" for each in fleet_goals(costs))
    )


def _judged(goal: Goal) -> str:
    return f"{goal.text}: {'met' if goal.met else '**missed**'}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
