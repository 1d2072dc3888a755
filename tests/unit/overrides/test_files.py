"""What people are given to copy can be used as it stands."""

import re
from pathlib import Path

import pytest

from tuner.overrides.document import read_document
from tuner.overrides.schema import EntryPart, Top

ROOT = Path(__file__).parents[3]
EXAMPLE = (ROOT / "config" / "overrides.example.yaml").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "operations" / "overrides.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_example_is_good_from_end_to_end() -> None:
    read = read_document(EXAMPLE)
    assert not read.trouble
    assert not read.refusals
    assert len(read.entries) == 4


def test_the_example_shows_every_key_of_an_entry() -> None:
    keys = {field.alias for part in (Top, EntryPart) for field in part.model_fields.values()}
    shown = set(re.findall(r"(\w+):", EXAMPLE))
    assert keys <= shown


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_every_snippet_of_the_page_is_good(snippet: str) -> None:
    read = read_document(snippet)
    assert not read.trouble
    assert not read.refusals
    assert read.entries or read.paused


def test_the_page_has_snippets() -> None:
    assert len(SNIPPETS) >= 5
