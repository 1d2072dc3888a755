from tests.examples import NOW
from tests.unit.overrides.texts import CHECKOUT, book, line
from tuner.model.override import NONE
from tuner.overrides.book import Book
from tuner.overrides.resolve import resolve
from tuner.overrides.source import BookOverrides

LASTING = line("freeze: true, expires: for 2h")


def test_without_a_book_nothing_is_laid_down() -> None:
    assert BookOverrides().of(CHECKOUT, NOW, {}).override == NONE


def test_the_answer_is_that_of_the_newest_book() -> None:
    newest = book(line("pin: {gogc: 200}"))
    overrides = BookOverrides(lambda: newest)
    assert overrides.of(CHECKOUT, NOW, {}).override.pin_gogc == 200
    newest = book(line("pin: {gogc: 300}"), last=newest)
    assert overrides.of(CHECKOUT, NOW, {}).override.pin_gogc == 300
    newest = Book()
    assert overrides.of(CHECKOUT, NOW, {}).override == NONE


def test_what_lasts_for_a_while_counts_from_when_it_was_first_seen() -> None:
    lasting = book(LASTING)
    overrides = BookOverrides(lambda: lasting)
    first = overrides.of(CHECKOUT, NOW, {})
    assert first == resolve(lasting, CHECKOUT, NOW, {})
    assert first.override.frozen
    later = overrides.of(CHECKOUT, NOW + 7200, first.first_seen)
    assert not later.override.frozen
