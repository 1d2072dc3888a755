"""docs/operations/metrics.md says of every metric what it is, and of no other."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from tests.unit.instrumentation.fleet import TRIAL, assessment, ended, outcome, workload
from tuner.election import Standing
from tuner.instrumentation.metrics import MetricsObserver
from tuner.model.happening import ChangeWritten, SourceLost, TickFailed, TrialEnded
from tuner.model.trial import Verdict

PAGE = Path(__file__).parents[3] / "docs" / "operations" / "metrics.md"
OF_A_HISTOGRAM = {"le"}


class Row(NamedTuple):
    name: str
    kind: str
    labels: frozenset[str]
    meaning: str


def exported() -> set[Row]:
    """Every metric once everything that is counted has happened."""
    registry = CollectorRegistry()
    standings = [Standing("gc-tuner", True, 2, 1)]
    observer = MetricsObserver(registry, "1.2.3", lambda: 42, lambda: standings)
    for happening in (
        ended(assessment()),
        TickFailed(1_015.0, "refused"),
        SourceLost(1_000.0, "timeout", "no answer"),
        ChangeWritten(1_000.0, workload(), TRIAL),
        TrialEnded(1_500.0, workload(), outcome(Verdict.CONFIRMED, 0.117)),
    ):
        observer.notify(happening)
    return set(_rows(registry))


def _rows(registry: CollectorRegistry) -> Iterator[Row]:
    for family in registry.collect():
        assert family.samples, f"{family.name} was not made to appear"
        labels = frozenset(label for each in family.samples for label in each.labels)
        suffix = "_total" if family.type == "counter" else ""
        yield Row(
            family.name + suffix,
            family.type,
            labels - OF_A_HISTOGRAM,
            family.documentation,
        )


def documented() -> set[Row]:
    lines = (line for line in PAGE.read_text().splitlines() if line.startswith("| `gc_tuner_"))
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {
        Row(name.strip("`"), kind, frozenset(labels.replace("`", "").split()), meaning)
        for name, kind, labels, _, meaning in cells
    }


def test_the_page_lists_every_metric_with_its_type_and_labels() -> None:
    assert documented() == exported()


def test_units_are_those_of_the_names() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `gc_tuner_")]
    for line in lines:
        name, _, _, unit, _ = (cell.strip() for cell in line.strip("|").split("|"))
        for part, meant in (("_seconds", "seconds"), ("_ratio", "ratio")):
            assert (part in name) is (unit == meant), line
