"""The documentation keeps up with the code."""

import re
from pathlib import Path

from tuner.cluster.events import NOTEWORTHY
from tuner.model.reason import Reason
from tuner.settings.names import yaml_path
from tuner.settings.reload import HOT

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations"
REASONS = OPERATIONS / "reasons.md"


def test_every_reason_has_its_section_and_no_section_is_left_over() -> None:
    sections = re.findall(r"^### (\w+)$", REASONS.read_text(), flags=re.MULTILINE)
    assert sorted(sections) == sorted(Reason)


def test_the_holds_that_are_events_are_marked() -> None:
    marked = re.findall(r"^### (\w+)\n\*Event\.\*$", REASONS.read_text(), flags=re.MULTILINE)
    assert sorted(marked) == sorted(NOTEWORTHY)


def test_every_setting_that_may_change_while_it_runs_is_in_the_table() -> None:
    text = (OPERATIONS / "configuration.md").read_text()
    may_change = text.partition("### What may change")[2].partition("###")[0]
    keys = re.findall(r"^\| `(\w+)` \|", may_change, flags=re.MULTILINE)
    assert sorted(keys) == sorted(yaml_path((each,)) for each in HOT)
