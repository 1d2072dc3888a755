"""The page of figures, in Markdown: docs/benchmarks.md."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from tests.benchmark.quality.contenders import CRITICAL, DEFAULT, LIVE, NORMAL
from tests.benchmark.quality.goals import goals
from tests.benchmark.quality.run import FULL
from tests.benchmark.quality.scenarios import MIB, SCENARIOS
from tests.benchmark.quality.score import NEAR, Score, at_rest, best, scores

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.benchmark.controller.measure import Cost
    from tests.benchmark.quality.lane import Lane, Window
    from tests.benchmark.quality.run import Result
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
is killed in is the *oracle*: the best that a setting can do that stays. At the end all pods are
replaced twice; *at rest* is the median of these repeats, with the least and the greatest in
brackets. The container's memory request is its limit, so that the whole container is the budget for
everybody. Where the load never comes to rest, two thirds of the run are compared instead.

gc-tuner's durations are a sixth of its defaults (rate window 10 s, interval 2 s), its cooldown a
thirtieth (30 s; critical 1 min): in production the same steps take that much longer. *Near the
oracle* is the time until the CPU per request is within {near:.0%} of the oracle's; *regret* is the
CPU used beyond the oracle's for the same work, from the first second on.
"""


def page(
    origin: Origin, results: Sequence[Result], costs: Sequence[Cost], *, quick: bool = False
) -> str:
    """Return the page.

    Args:
        origin: machine and commit of all the figures.
        results: of scenarios; those that are missing were not measured.
        costs: of the controller, by size.
        quick: whether these are of the short run.
    """
    scenarios = {each.name: each for each in SCENARIOS}
    told = [(scenarios[each.scenario], each, _scored(each)) for each in results]
    settings = len(FULL.gogc) * len(FULL.limits)
    parts = [_INTRODUCTION.format(origin=origin, settings=settings, near=NEAR - 1)]
    if quick:
        parts.append("This is the short run (`make bench-quick`): a look, not a measurement.\n")
    parts.append(_summary(told))
    parts.extend(_scenario(*each) for each in told)
    parts.append(_predictions(told))
    parts.append(_controller(costs))
    return "\n".join(part for part in parts if part)


def _scored(result: Result) -> list[Score]:
    static = [lane for lane in result.race if lane.name.startswith("static-")]
    oracle = next(iter(best(static, 1)), None)
    if oracle is None:
        raise RuntimeError(f"{result.scenario}: no static setting lived through the race")
    return scores(result.race, oracle, result.window_seconds)


def _summary(told: Sequence[tuple[Scenario, Result, list[Score]]]) -> str:
    rows = []
    for scenario, _, all_scores in told:
        found = {each.lane.name: each for each in all_scores}
        names = (DEFAULT, "automemlimit", "limit-only", "gctuner", CRITICAL, NORMAL, LIVE)
        missed = [each.text for each in goals(scenario, all_scores) if not each.met]
        rows.append(
            [
                f"[{scenario.name}](#{scenario.name})",
                *(_ratio(found[name].ratio if name in found else None) for name in names),
                "; ".join(missed) or "all met",
            ]
        )
    header = [
        "scenario",
        "default",
        "automemlimit",
        "GOGC=off",
        "gctuner",
        "critical",
        "normal",
        "live",
        "goals missed",
    ]
    text = "CPU per request at rest, by the oracle's; less is better.\n\n"
    return f"## At a glance\n\n{text}{_table(header, rows)}"


def _scenario(scenario: Scenario, result: Result, all_scores: Sequence[Score]) -> str:
    oracle = next(each for each in all_scores if each.ratio == 1.0)
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
    rows = [_row(each, is_oracle=each is oracle) for each in all_scores]
    busy = median(each.machine_busy for each in result.race[0].windows)
    facts = (
        f"{scenario.service.capitalize()}; {scenario.load}. Container {scenario.memory_mib} MiB. "
        f"The machine was {busy:.0%} busy.\n"
    )
    parts = [f"## {scenario.name}\n", facts, _table(header, rows), _chart(result, oracle.lane)]
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
        cost = f"{1000 * score.cost:.3f} ({least:.3f}-{most:.3f})"
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


def _chart(result: Result, oracle: Lane) -> str:
    """CPU per request over time of the default, the oracle, and gc-tuner's two channels."""
    lanes = {lane.name: lane for lane in result.race}
    shown = [lanes[DEFAULT], oracle, lanes[NORMAL], lanes[LIVE]]
    lines = [
        "    line ["
        + ", ".join(f"{1000 * (each.cost or 0.0):.3f}" for each in _together(lane, shown))
        + "]"
        for lane in shown
    ]
    ticks = [
        f"{(index + 1) * result.window_seconds / 60:g}"
        for index, kept in enumerate(_measured(shown))
        if kept
    ]
    return "\n".join(
        [
            "```mermaid",
            "xychart-beta",
            f'    title "{result.scenario}: CPU a request, ms"',
            f'    x-axis "minutes" [{", ".join(ticks)}]',
            *lines,
            "```",
            "In this order: Go's default, the oracle, gc-tuner normal, gc-tuner live.\n",
        ]
    )


def _measured(lanes: Sequence[Lane]) -> list[bool]:
    """Whether each window was measured in all lanes: a chart has no gaps."""
    windows = zip(*(lane.windows for lane in lanes), strict=True)
    return [all(each.cost is not None for each in window) for window in windows]


def _together(lane: Lane, lanes: Sequence[Lane]) -> Iterator[Window]:
    return (each for each, kept in zip(lane.windows, _measured(lanes), strict=True) if kept)


def _grid(result: Result) -> str:
    rows = [
        [
            lane.title,
            _number(None if (cost := at_rest(lane)) is None else 1000 * cost, 3),
            str(lane.oom_kills),
        ]
        for lane in result.grid
    ]
    table = _table(["setting", "CPU a request, ms", "OOM kills"], rows)
    return f"<details><summary>The grid</summary>\n\n{table}\n</details>\n"


def _predictions(told: Sequence[tuple[Scenario, Result, list[Score]]]) -> str:
    rows, errors = [], []
    for scenario, result, _ in told:
        for lane in result.race:
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
        f"and what was measured. {said}; 10 are allowed.\n\n{_table(header, rows)}"
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
        f"Prometheus stands in for it.\n\n{_table(header, rows)}"
    )


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
