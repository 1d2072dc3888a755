import io
import math
from dataclasses import replace

from rich.console import Console

from tests.unit.instrumentation.fleet import (
    APPLY,
    MOVE,
    PROPOSAL,
    SIGNALS,
    assessment,
    ended,
    estimated,
)
from tuner.instrumentation.table import TableObserver
from tuner.model.decision import Hold
from tuner.model.happening import Assessment, TickFailed
from tuner.model.reason import Reason
from tuner.model.workload import Mode


def piped(*assessments: Assessment) -> list[str]:
    """The table as a pipe gets it."""
    stream = io.StringIO()
    TableObserver(Console(file=stream, width=80)).notify(ended(*assessments))
    return stream.getvalue().splitlines()


def test_a_pipe_gets_one_line_a_workload_however_long() -> None:
    reason = "x" * 300
    header, *rows = piped(
        assessment("web", decision=APPLY),
        assessment("cart", decision=Hold(Reason.NOT_WORTH, reason)),
    )
    assert header.split("  ")[0].rstrip() == "WORKLOAD"
    assert rows[0].startswith("shop/cart ")
    assert rows[0].endswith(reason)
    assert rows[1].startswith("shop/web ")
    assert len(rows) == 2


def test_a_row_says_what_is_paid_what_would_be_done_and_why() -> None:
    _, row = piped(assessment(decision=APPLY))
    cells = [cell.strip() for cell in row.split("  ") if cell.strip()]
    assert cells == [
        "shop/cart",
        "auto",
        "100 → 200 (330)",
        "off",
        "26.2%",
        "231 MiB",
        "612 MiB of 1.00 GiB",
        "18.3%",
        "Apply gc_cost",
        "GOGC unset -> 200",
    ]


def test_an_estimated_share_is_marked() -> None:
    _, row = piped(assessment(signals=estimated()))
    assert "26.2% est." in row


def test_what_is_not_known_is_a_dash() -> None:
    hold = Hold(Reason.NO_DATA, "no figures")
    _, row = piped(assessment(mode=Mode.OFF, decision=hold, signals=None, proposal=None))
    assert " ".join(row.split()) == "shop/cart off - - - - - - Hold no_data no figures"


def test_at_its_target_there_is_no_arrow_and_no_saving() -> None:
    at_rest = replace(PROPOSAL, gogc=replace(MOVE, current_gogc=330.0, next_gogc=330))
    _, row = piped(assessment(signals=replace(SIGNALS, gogc=330.0), proposal=at_rest))
    assert "→" not in row
    assert row.split()[2] == "330"
    assert "18.3%" not in row


def test_a_gogc_that_the_loops_hold_has_no_arrow_and_no_saving() -> None:
    held = replace(PROPOSAL, gogc=Hold(Reason.GC_IDLE, "GC does not matter here"))
    _, row = piped(assessment(proposal=held))
    assert "→" not in row
    assert row.split()[2] == "100"
    assert "18.3%" not in row


def test_gogc_off_reads_off() -> None:
    signals = replace(SIGNALS, gogc=math.inf)
    _, row = piped(assessment(signals=signals, proposal=None))
    assert row.split()[2] == "off"


def test_an_empty_fleet_is_said_in_words() -> None:
    assert piped() == ["no Go workloads: none is scraped by Prometheus, labelled or on record"]


def test_a_terminal_gets_colours() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, color_system="standard")
    TableObserver(console).notify(ended(assessment(decision=APPLY)))
    assert "\x1b[" in stream.getvalue()


def test_a_narrow_terminal_folds_and_cuts_nothing_off() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, color_system=None)
    TableObserver(console).notify(ended(assessment(decision=APPLY)))
    assert all(len(line) <= 80 for line in stream.getvalue().splitlines())
    assert "…" not in stream.getvalue()
    assert "GOGC unset -> 200" in stream.getvalue()


def test_only_a_tick_with_decisions_prints() -> None:
    stream = io.StringIO()
    TableObserver(Console(file=stream)).notify(TickFailed(1_000.0, "refused"))
    assert stream.getvalue() == ""
