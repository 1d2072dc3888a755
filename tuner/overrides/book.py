"""What stays in force from one version of the overrides to the next."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tuner.overrides.entry import Entry, Refusal


@dataclass(frozen=True, slots=True)
class Document:
    """What one version of the text says."""

    items: tuple[Entry | Refusal, ...] = ()
    """In the order of the file; good entries have names that differ."""
    paused: bool = False
    trouble: str = ""
    """Why nothing of the text can be used; empty where it can."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The good ones."""
        return tuple(item for item in self.items if isinstance(item, Entry))

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """The bad ones."""
        return tuple(item for item in self.items if isinstance(item, Refusal))


@dataclass(frozen=True, slots=True)
class Book:
    """What is in force: each entry in its last good version.

    A new book knows no last good version of anything, as after a restart.
    """

    entries: tuple[Entry, ...] = ()
    """In the order of the file."""
    paused: bool = False
    refusals: tuple[Refusal, ...] = ()
    """Every entry that is refused now, whether or not an earlier version of it is in force."""
    held: tuple[Refusal, ...] = ()
    """Those of which no good version is known: what they may be about is left alone."""
    trouble: str = ""
    """Why nothing of the newest text can be used; empty where it can."""
    usable_once: bool = False
    """Whether an earlier text could be used, so that trouble leaves that one in force."""

    @property
    def holds_all(self) -> bool:
        """Whether nothing is known of what was laid down, so that every workload is held."""
        return bool(self.trouble) and not self.usable_once

    def after(self, document: Document | None) -> "Book":
        """The book once the text is a new one.

        Args:
            document: What the text says; None: there is no text any more, nothing is in force.
        """
        if document is None:
            return Book()
        if document.trouble:
            return replace(self, trouble=document.trouble)
        kept = dict(self._last_good(document))
        return Book(
            entries=tuple(
                kept[item] if isinstance(item, Refusal) else item
                for item in document.items
                if isinstance(item, Entry) or item in kept
            ),
            paused=document.paused,
            refusals=document.refusals,
            held=tuple(refusal for refusal in document.refusals if refusal not in kept),
            usable_once=True,
        )

    def _last_good(self, document: Document) -> Iterator[tuple[Refusal, Entry]]:
        """What stands in for the refused entries: at most one entry for a name."""
        earlier = {entry.name: entry for entry in self.entries}
        for entry in document.entries:
            earlier.pop(entry.name, None)
        for refusal in document.refusals:
            last_good = earlier.pop(refusal.name, None)
            if last_good is not None:
                yield refusal, last_good
