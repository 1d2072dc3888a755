"""Pages that a command writes a part of."""

from __future__ import annotations

import pytest

from tests.output import Section

SECTION = Section("make it")


def test_what_is_made_takes_the_place_of_what_was_made_before() -> None:
    page = SECTION.put(f"above\n\n{SECTION.begin}\nold\n{SECTION.end}\nbelow\n", "new\n")
    assert page == f"above\n\n{SECTION.begin}\nnew\n\n{SECTION.end}\nbelow\n"
    assert SECTION.put(page, "new\n") == page


@pytest.mark.parametrize("page", ["a page", Section("make other").begin, SECTION.begin])
def test_a_page_without_a_place_for_it_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="no place"):
        SECTION.put(page, "new\n")
