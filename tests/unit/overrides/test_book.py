import pytest

from tests.unit.overrides.texts import book, line
from tuner.overrides.book import Book, Document
from tuner.overrides.entry import Refusal

GOOD = line("pin: {gogc: 200}")
BETTER = line("pin: {gogc: 300}")
BAD = line("pin: {gogc: x}")
OTHER = line("freeze: true", name="other")
TROUBLE = Document(trouble="line 1: not valid YAML")


def pins(of: Book) -> list[tuple[str, int | None]]:
    return [(entry.name, entry.pin_gogc) for entry in of.entries]


def test_a_bad_entry_leaves_its_last_good_version_in_force_at_its_place_in_the_file() -> None:
    after = book(OTHER, BAD, line(name="third"), last=book(GOOD))
    assert pins(after) == [("other", None), ("it", 200), ("third", None)]
    assert [refusal.name for refusal in after.refusals] == ["it"]
    assert not after.held


def test_the_last_good_version_outlives_many_bad_ones() -> None:
    after = book(BAD, last=book(BAD, last=book(BETTER, last=book(GOOD))))
    assert pins(after) == [("it", 300)]


def test_a_bad_entry_without_a_last_good_version_holds() -> None:
    after = book(BAD, OTHER)
    assert pins(after) == [("other", None)]
    assert [refusal.name for refusal in after.held] == ["it"]


def test_an_entry_that_was_taken_out_has_no_last_good_version_any_more() -> None:
    after = book(BAD, last=book(OTHER, last=book(GOOD)))
    assert not after.entries
    assert [refusal.name for refusal in after.held] == ["it"]


def test_a_corrected_entry_is_in_force_at_once() -> None:
    after = book(BETTER, last=book(BAD, last=book(GOOD)))
    assert pins(after) == [("it", 300)]
    assert not after.refusals


@pytest.mark.parametrize("lines", [(BAD, BETTER), (BETTER, BAD)])
def test_no_old_version_stands_beside_a_good_one_of_the_same_name(lines: tuple[str, ...]) -> None:
    after = book(*lines, last=book(GOOD))
    assert pins(after) == [("it", 300)]
    assert [refusal.name for refusal in after.held] == ["it"]


def test_of_two_bad_entries_with_one_name_the_first_keeps_the_last_good_version() -> None:
    after = book(BAD, line("pin: {gogc: y}"), last=book(GOOD))
    assert pins(after) == [("it", 200)]
    assert [refusal.message for refusal in after.held] == [
        "line 4: pin.gogc: 'y' is not a whole number"
    ]


def test_trouble_leaves_everything_as_it_was() -> None:
    last = book(GOOD, line("pin: {gogc: x}", name="bad"), top="paused: true")
    after = last.after(TROUBLE)
    assert (after.entries, after.held, after.paused) == (last.entries, last.held, True)
    assert after.trouble == TROUBLE.trouble
    assert not after.holds_all


def test_entries_keep_their_last_good_version_through_trouble() -> None:
    assert pins(book(BAD, last=book(GOOD).after(TROUBLE))) == [("it", 200)]


def test_a_good_text_ends_trouble() -> None:
    assert not book(GOOD, last=Book().after(TROUBLE)).trouble


@pytest.mark.parametrize(
    "last", [Book(), Book().after(None), book(GOOD).after(None), Book().after(TROUBLE)]
)
def test_trouble_holds_all_where_no_earlier_text_was_usable(last: Book) -> None:
    assert last.after(TROUBLE).holds_all


def test_nothing_is_in_force_once_the_text_is_gone() -> None:
    assert book(GOOD, BAD, top="paused: true").after(None) == Book()
    assert book(GOOD).after(TROUBLE).after(None) == Book()


def test_a_refusal_reads_as_one_line_that_begins_with_the_name() -> None:
    assert str(Refusal("it", "line 3: freeze: is odd", None)) == "it: line 3: freeze: is odd"
