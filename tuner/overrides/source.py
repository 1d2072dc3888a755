"""The Overrides port: whatever the book says at the moment."""

from collections.abc import Callable, Mapping

from tuner.model.override import Resolved
from tuner.model.workload import WorkloadKey
from tuner.overrides.book import Book
from tuner.overrides.resolve import resolve


class BookOverrides:
    """Overrides out of a book that others keep up to date."""

    def __init__(self, book: Callable[[], Book] = Book) -> None:
        """Take the way to the newest book; by default one in which nothing is laid down."""
        self._book = book

    def of(self, key: WorkloadKey, now: float, first_seen: Mapping[str, float]) -> Resolved:
        """What applies to a workload; see `resolve`."""
        return resolve(self._book(), key, now, first_seen)
