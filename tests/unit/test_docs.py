"""The documentation keeps up with the code."""

import re
from pathlib import Path

from tuner.model.reason import Reason

REASONS = Path(__file__).parents[2] / "docs" / "operations" / "reasons.md"


def test_every_reason_has_its_section_and_no_section_is_left_over() -> None:
    sections = re.findall(r"^### (\w+)$", REASONS.read_text(), flags=re.MULTILINE)
    assert sorted(sections) == sorted(Reason)
