"""The fleet as a table: what each workload pays, what gc-tuner would do, and why."""

import math
from collections.abc import Mapping

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from tuner.control.memory_limit import in_words
from tuner.model.decision import Apply, Hold
from tuner.model.happening import Assessment, Happening, TickEnded
from tuner.model.proposal import GogcMove
from tuner.model.signals import Signals, Source
from tuner.model.workload import Mode, WorkloadKey

_WHY_WIDTH = 30
"""Columns below which a reason in words is hard to read."""
_NOTHING = "-"
_MODE_STYLES = {Mode.AUTO: "green", Mode.RECOMMEND: "cyan", Mode.OFF: "dim"}


class TableObserver:
    """Prints the fleet after every tick."""

    def __init__(self, console: Console) -> None:
        """Print to a console; colours and borders only where it is a terminal."""
        self._console = console

    def notify(self, happening: Happening) -> None:
        """Take note."""
        if isinstance(happening, TickEnded):
            print_fleet(self._console, happening.assessments)


def print_fleet(console: Console, assessments: Mapping[WorkloadKey, Assessment]) -> None:
    """Print the fleet.

    Off a terminal the table is as wide as it needs to be, without borders and colours: one line
    per workload, for grep and diff.
    """
    if not assessments:
        console.print("no Go workloads: none is scraped by Prometheus, labelled or on record")
        return
    if console.is_terminal:
        _print_within(console, assessments)
        return
    print_piped(console, fleet_table(assessments, bordered=False, why=True))


def print_piped(console: Console, table: Table) -> None:
    """Print a table off a terminal: as wide as it needs to be, a line a row, without colours."""
    options = console.options.update(width=_needed(console, table))
    for line in console.render_lines(table, options, pad=False):
        console.file.write("".join(segment.text for segment in line).rstrip() + "\n")
    console.file.flush()


def _print_within(console: Console, assessments: Mapping[WorkloadKey, Assessment]) -> None:
    """Fit the terminal: where it is narrow, the reasons in words stand below the table."""
    figures = fleet_table(assessments, bordered=True, why=False)
    if _needed(console, figures) + _WHY_WIDTH <= console.width:
        console.print(fleet_table(assessments, bordered=True, why=True))
        return
    console.print(figures)
    for key in sorted(assessments):
        console.print(Text(f" {_name(key)}: {assessments[key].decision.detail}"))


def _needed(console: Console, table: Table) -> int:
    return console.measure(table, options=console.options.update(max_width=100_000)).maximum


def fleet_table(
    assessments: Mapping[WorkloadKey, Assessment], *, bordered: bool, why: bool
) -> Table:
    """The fleet as a table, one row per workload, sorted by name.

    Args:
        assessments: The workloads.
        bordered: For a terminal: a cell too wide is folded, so that nothing is cut off.
        why: Whether to have the reasons in words as a column.
    """
    table = Table(box=box.SIMPLE_HEAD if bordered else None, pad_edge=False)
    columns: dict[str, JustifyMethod] = {
        "WORKLOAD": "left",
        "MODE": "left",
        "GOGC": "left",
        "GOMEMLIMIT": "left",
        "GC SHARE": "left",
        "LIVE HEAP": "right",
        "MEMORY": "right",
        "CPU SAVED": "right",
        "DECISION": "left",
        **({"WHY": "left"} if why else {}),
    }
    for name, justify in columns.items():
        table.add_column(name, justify=justify, no_wrap=not bordered, overflow="fold")
    for key in sorted(assessments):
        each = assessments[key]
        signals = each.signals
        table.add_row(
            _name(key),
            Text(each.mode, style=_MODE_STYLES[each.mode]),
            _gogc(each),
            _memory_limit(each),
            _NOTHING if signals is None else _share(signals),
            _NOTHING if signals is None else _size(signals.live_bytes),
            _memory(each),
            _saving(each),
            _decision(each),
            *([Text(each.decision.detail)] if why else []),
        )
    return table


def _name(key: WorkloadKey) -> str:
    return f"{key.namespace}/{key.name}"


def _gogc(assessment: Assessment) -> Text:
    """GOGC in force, the next value, and the target where it is another one."""
    signals, move = assessment.signals, _move(assessment)
    if signals is None:
        return Text(_NOTHING)
    now = "off" if math.isinf(signals.gogc) else f"{signals.gogc:.0f}"
    if move is None or now == str(move.target_gogc):
        return Text(now)
    text = f"{now} → {move.next_gogc}"
    if move.next_gogc != move.target_gogc:
        text += f" ({move.target_gogc})"
    return Text(text, style="bold")


def _memory_limit(assessment: Assessment) -> Text:
    """GOMEMLIMIT in force, and the next value where it is another one."""
    signals, proposal = assessment.signals, assessment.proposal
    if signals is None:
        return Text(_NOTHING)
    now = in_words(signals.gomemlimit_bytes)
    if proposal is None or proposal.memory_limit is None:
        return Text(now)
    return Text(f"{now} → {proposal.memory_limit.mib}MiB", style="bold")


def _move(assessment: Assessment) -> GogcMove | None:
    proposal = assessment.proposal
    if proposal is None or isinstance(proposal.gogc, Hold):
        return None
    return proposal.gogc


def _share(signals: Signals) -> str:
    mark = " est." if signals.gc_share_source is Source.ESTIMATED else ""
    return f"{signals.gc_share:.1%}{mark}"


def _memory(assessment: Assessment) -> str:
    """Resident memory of the worst pod, of the container's limit, else of its request."""
    signals = assessment.signals
    if signals is None:
        return _NOTHING
    used = _size(signals.resident_bytes)
    container = assessment.workload.container(signals.container)
    if container is None:
        return used
    bound = container.memory_limit_bytes or container.memory_request_bytes
    return used if bound is None else f"{used} of {_size(bound)}"


def _saving(assessment: Assessment) -> str:
    """Predicted saving at the target, of today's CPU."""
    move = _move(assessment)
    if move is None or move.target_gogc == round(move.current_gogc):
        return _NOTHING
    return f"{move.target_prediction.cpu_saving_ratio:.1%}"


def _decision(assessment: Assessment) -> Text:
    decision = assessment.decision
    if isinstance(decision, Apply):
        return Text(f"Apply {decision.reason}", style="bold green")
    return Text(f"Hold {decision.reason}", style="yellow")


def _size(number: float) -> str:
    """Bytes as Kubernetes users read them."""
    mebibytes = number / 2**20
    if mebibytes < 1:
        return f"{number / 2**10:.0f} KiB"
    return f"{mebibytes / 2**10:.2f} GiB" if mebibytes >= 2**10 else f"{mebibytes:.0f} MiB"
