"""Refused overrides in a user's terms: where, what is wrong, and what would be right."""

from collections.abc import Iterator, Mapping
from typing import get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from tuner.settings.names import unknown

_LONGEST = 200
"""Characters: three of these have to fit into an Event."""
_NOT_A_NUMBER = "{input!r} is not a number"
_NOT_WHOLE = "{input!r} is not a whole number"
_NO_SECTION = "{input!r} stands where keys and values belong"
_WORDS: Mapping[str, str] = {
    "value_error": "{error}",
    "missing": "is missing",
    "enum": "{input!r} is not one of {expected}",
    "bool_parsing": "{input!r} is neither true nor false",
    "bool_type": "{input!r} is neither true nor false",
    "greater_than": "{input} is too small: it must be above {gt:g}",
    "greater_than_equal": "{input} is too small: the least is {ge}",
    "less_than": "{input} is too large: it must be below {lt:g}",
    "less_than_equal": "{input} is too large: the greatest is {le}",
    "float_parsing": _NOT_A_NUMBER,
    "float_type": _NOT_A_NUMBER,
    "finite_number": _NOT_A_NUMBER,
    "int_parsing": _NOT_WHOLE,
    "int_parsing_size": _NOT_WHOLE,
    "int_type": _NOT_WHOLE,
    "int_from_float": _NOT_WHOLE,
    "string_type": "{input!r} is not text",
    "string_too_short": "is empty: say it in words",
    "string_too_long": "is longer than {max_length} characters",
    "model_type": _NO_SECTION,
    "tuple_type": "{input!r} is not a list",
}
"""By pydantic's type of error; what is not here keeps pydantic's own words."""


def complaint(error: ErrorDetails, part: type[BaseModel]) -> str:
    """One line on a refused value.

    Args:
        error: What pydantic found.
        part: What it checked.
    """
    where = ".".join(str(key) for key in error["loc"])
    words = _words(error, part)
    return one_line(f"{where}: {words}" if where else words)


def one_line(text: str) -> str:
    """The text in printable characters on one line, not longer than a message may be."""
    line = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _words(error: ErrorDetails, part: type[BaseModel]) -> str:
    if error["type"] == "extra_forbidden":
        return unknown(str(error["loc"][-1]), _keys_at(part, error["loc"][:-1]))
    words = _WORDS.get(error["type"])
    if words is None:
        return f"{error['msg'][:1].lower()}{error['msg'][1:]}"
    return words.format(input=error["input"], **error.get("ctx", {}))


def _keys_at(part: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The valid keys at a location."""
    for key in location:
        named = (each for each in part.model_fields.values() if each.alias == key)
        part = next(_parts(next(named).annotation))
    return [field.alias or "" for field in part.model_fields.values()]


def _parts(annotation: object) -> Iterator[type[BaseModel]]:
    """The parts that a field may hold."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind
