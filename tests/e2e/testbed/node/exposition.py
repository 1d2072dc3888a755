"""The Prometheus text format, as far as the node needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True)
class Sample:
    """One series' value; `at` is its time in seconds since the epoch, None for the scrape's."""

    labels: Mapping[str, str]
    value: float
    at: float | None = None


@dataclass(frozen=True)
class Family:
    """All series of one name."""

    name: str
    kind: str
    description: str
    samples: Sequence[Sample]


def render(families: Iterable[Family]) -> str:
    """Write families as text."""
    lines: list[str] = []
    for family in families:
        lines.append(f"# HELP {family.name} {family.description}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines.extend(_line(family.name, sample) for sample in family.samples)
    return "\n".join(lines) + "\n"


def _line(name: str, sample: Sample) -> str:
    labels = ",".join(
        f'{key}="{value.translate(_ESCAPES)}"' for key, value in sample.labels.items()
    )
    moment = "" if sample.at is None else f" {round(sample.at * 1000)}"
    return f"{name}{{{labels}}} {sample.value!r}{moment}"
