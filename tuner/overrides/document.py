"""The text of the overrides, read entry by entry: a bad one spoils no other."""

import hashlib
import json
from collections.abc import Iterable, Iterator

import yaml
from pydantic import BaseModel, ValidationError

from tuner.overrides.book import Document
from tuner.overrides.complaint import complaint, one_line
from tuner.overrides.entry import Entry, Match, Refusal
from tuner.overrides.schema import EntryPart, MatchPart, Top, is_name
from tuner.overrides.text import BadKeyError, UnreadableError, compose, content, fields

_DIGEST_LENGTH = 12
"""Hexadecimal digits: enough to tell the versions of one entry apart."""

_COMPLAINTS = 3
"""Problems of one entry that are told at a time: they share one message."""


def read_document(text: str) -> Document:
    """What a text says. It never raises: what is wrong stands in the document.

    Args:
        text: Of the key ``overrides.yaml``.
    """
    try:
        node = compose(text)
        top = Top() if node is None else _top(node)
    except (UnreadableError, BadKeyError) as error:
        return Document(trouble=one_line(str(error)))
    except ValidationError as error:
        return Document(trouble=_complaints(error, Top))
    items = [_item(node, number) for number, node in enumerate(top.overrides, start=1)]
    return Document(tuple(_apart(items)), paused=top.paused)


def _top(node: yaml.Node) -> Top:
    """What stands at the top, its entries still nodes.

    Raises:
        BadKeyError: A key is there twice, or no text.
        ValidationError: Something else stands there than belongs there.
    """
    if not isinstance(node, yaml.MappingNode):
        return Top.model_validate(content(node))
    return Top.model_validate(
        {
            key: value.value if _holds_entries(key, value) else content(value)
            for key, value in fields(node).items()
        }
    )


def _holds_entries(key: str, value: yaml.Node) -> bool:
    """Whether it is a list of entries, which are read one by one."""
    return key == "overrides" and isinstance(value, yaml.SequenceNode)


def _item(node: yaml.Node, number: int) -> Entry | Refusal:
    try:
        said = content(node)
        return EntryPart.model_validate(said).entry(_digest(said))
    except BadKeyError as error:
        message = one_line(str(error))
    except ValidationError as error:
        message = _complaints(error, EntryPart)
    line = f"line {node.start_mark.line + 1}"
    return Refusal(_name(node) or f"#{number}", f"{line}: {message}", _match(node))


def _apart(items: Iterable[Entry | Refusal]) -> Iterator[Entry | Refusal]:
    """The items, with good entries refused whose name an earlier one has."""
    names = set()
    for item in items:
        if isinstance(item, Entry) and item.name in names:
            yield Refusal(item.name, "an earlier entry has this name: choose another", item.match)
            continue
        if isinstance(item, Entry):
            names.add(item.name)
        yield item


def _digest(said: object) -> str:
    text = json.dumps(said, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]


def _name(node: yaml.Node) -> str | None:
    """The name of an entry of which nothing else may be readable."""
    value = _value(node, "name")
    return value.value if isinstance(value, yaml.ScalarNode) and is_name(value.value) else None


def _match(node: yaml.Node) -> Match | None:
    """What an entry is about of which nothing else may be readable."""
    value = _value(node, "match")
    try:
        return None if value is None else MatchPart.model_validate(content(value)).match()
    except (BadKeyError, ValidationError):
        return None


def _value(node: yaml.Node, key: str) -> yaml.Node | None:
    """The node at a key that is there once."""
    if not isinstance(node, yaml.MappingNode):
        return None
    found = [value for name, value in node.value if name.value == key]
    return found[0] if len(found) == 1 else None


def _complaints(error: ValidationError, part: type[BaseModel]) -> str:
    lines = [complaint(each, part) for each in error.errors()]
    more = f"and {len(lines) - _COMPLAINTS} more"
    return "; ".join([*lines[:_COMPLAINTS], more] if len(lines) > _COMPLAINTS else lines)
