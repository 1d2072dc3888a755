import re

import pytest
from typer.testing import CliRunner

from tuner.cli import app


@pytest.fixture(name="lines", scope="module")
def _lines() -> list[str]:
    """What ``gc-tuner demo`` prints into a pipe."""
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 0
    assert not re.search(r"[^\S \n]|[\x00-\x09\x0b-\x1f\x7f]", result.output), "control characters"
    return result.output.splitlines()


def summary(lines: list[str]) -> list[list[str]]:
    start = next(place for place, line in enumerate(lines) if line.startswith("SERVICE"))
    rows = lines[start + 1 : lines.index("", start)]
    return [re.split(r"\s{2,}", row.strip()) for row in rows]


def test_the_demo_says_that_it_is_one_and_how_to_see_the_real_thing(lines: list[str]) -> None:
    assert "simulation" in lines[0]
    assert "simulation" in lines[-2]
    assert lines[-1].endswith("make cluster")
    assert any(re.search(r"simulated minutes in .* times as fast", line) for line in lines)


def test_every_change_is_told_from_its_writing_to_its_verdict(lines: list[str]) -> None:
    written = [line.split()[1] for line in lines if "change written" in line]
    judged = [line.split()[1] for line in lines if re.search(r"  (Confirmed|NoEffect): ", line)]
    assert written
    assert sorted(written) == sorted(judged)


def test_one_service_gains_one_is_left_alone_and_one_is_short_of_memory(lines: list[str]) -> None:
    rows = summary(lines)
    (gateway,) = (row for row in rows if row[0] == "gateway")
    assert gateway[2:] == ["100", "-", "-", "-", "-", "left alone"]
    before, after = map(int, re.findall(r"\d+", next(r[1] for r in rows if r[0] == "catalogue")))
    assert after < 0.8 * before
    assert next(row[4] for row in rows if row[0] == "sessions") == "memory"
    assert any("memory_short" in line and "MiB would do" in line for line in lines)


def test_what_was_measured_is_near_what_was_predicted(lines: list[str]) -> None:
    pairs = [re.findall(r"[+-][\d.]+(?=%)", "  ".join(row)) for row in summary(lines)]
    scored = [pair for pair in pairs if pair]
    assert len(scored) >= 3
    for predicted, measured in scored:
        assert float(measured) == pytest.approx(float(predicted), abs=6)
