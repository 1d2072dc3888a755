"""What the measuring commands of the test tree print and write: progress, tables, sections."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def say(text: str) -> None:
    """Tell how far it is, with the time of day, on standard error."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, with a line feed at its end."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


@dataclass(frozen=True)
class Section:
    """The part of a page, between two comments, that a command makes.

    Attributes:
        maker: the command.
    """

    maker: str

    @property
    def begin(self) -> str:
        """The comment before it."""
        return f"<!-- made by {self.maker} -->"

    @property
    def end(self) -> str:
        """The comment after it."""
        return f"<!-- end of what {self.maker} made -->"

    def put(self, page: str, made: str) -> str:
        """Return the page with this in the place of what was made before.

        Args:
            page: in Markdown.
            made: with a line feed at its end.

        Raises:
            ValueError: the page has no place for it.
        """
        pattern = f"{re.escape(self.begin)}.*?{re.escape(self.end)}"
        found = re.search(pattern, page, re.DOTALL)
        if found is None:
            raise ValueError(
                f"no place for what {self.maker} made: {self.begin} and {self.end} have to "
                "stand there"
            )
        before, after = page[: found.start()], page[found.end() :]
        return f"{before}{self.begin}\n{made}\n{self.end}{after}"
