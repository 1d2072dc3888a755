"""Small texts of overrides: an entry needs a name, a match, a reason and something to do."""

from tuner.model.workload import Kind, WorkloadKey
from tuner.overrides.book import Book, Document
from tuner.overrides.document import read_document

CHECKOUT = WorkloadKey("shop", Kind.DEPLOYMENT, "checkout")


def line(
    does: str = "freeze: true",
    *,
    name: str = "it",
    match: str = "{namespace: shop, name: checkout}",
) -> str:
    """One good entry on one line, unless an argument spoils it."""
    return f"  - {{name: {name}, match: {match}, reason: why {name}, {does}}}\n"


def text(*lines: str, top: str = "") -> str:
    """A whole text of such lines."""
    return f"{top}\noverrides:\n{''.join(lines)}"


def document(*lines: str, top: str = "") -> Document:
    """What such a text says."""
    return read_document(text(*lines, top=top))


def book(*lines: str, top: str = "", last: Book | None = None) -> Book:
    """The book after such a text."""
    return (last or Book()).after(document(*lines, top=top))
