"""Refused settings in a user's terms: one line that says where, what, and what would be right."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

from tuner.settings.names import Location, section_at, unknown, variable, yaml_path

_NOT_A_NUMBER = "{input!r} is not a number"
_NOT_WHOLE = "{input!r} is not a whole number"
_NO_SECTION = "{input!r} stands where keys and values belong"
_WORDS: Mapping[str, str] = {
    "value_error": "{error}",
    "enum": "{input!r} is not one of {expected}",
    "greater_than": "{input} is too small: it must be above {gt:g}",
    "greater_than_equal": "{input} is too small: the least is {ge}",
    "less_than": "{input} is too large: it must be below {lt:g}",
    "less_than_equal": "{input} is too large: the greatest is {le}",
    "float_parsing": _NOT_A_NUMBER,
    "float_type": _NOT_A_NUMBER,
    "int_parsing": _NOT_WHOLE,
    "int_type": _NOT_WHOLE,
    "int_from_float": _NOT_WHOLE,
    "string_type": "{input!r} is not text: put it in quotes",
    "model_type": _NO_SECTION,
    "model_attributes_type": _NO_SECTION,
    "dict_type": _NO_SECTION,
    "tuple_type": "{input!r} is not a list: write [{input}]",
    "path_type": "{input!r} is not a path",
}
"""By pydantic's type of error; what is not here keeps pydantic's own words."""


@dataclass(frozen=True, slots=True)
class Flags:
    """Settings that came from the command line, and the flag that each came from."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    """Nested by section, in Python's names."""
    names: Mapping[Location, str] = field(default_factory=dict)
    """Flag by location."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Knows the layers, and so where a value came from: the strongest layer that has it."""

    path: Path | None
    """The YAML file."""
    flags: Flags

    def complain(self, error: ErrorDetails) -> str:
        """One line on a refused value."""
        where = self.name(error["loc"])
        return f"{where}: {_words(error)}" if where else _words(error)

    def name(self, location: Location) -> str:
        """What the user wrote to set the value at a location."""
        flag = self.flags.names.get(location)
        if flag is not None:
            return flag
        given = {name.upper(): name for name in os.environ}
        for length in range(len(location), 0, -1):
            name = given.get(variable(location[:length]))
            if name is not None:
                return name
        file = "" if self.path is None else str(self.path)
        return ": ".join(filter(None, [file, yaml_path(location)]))


def _words(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        section = section_at(error["loc"][:-1])
        return unknown(str(error["loc"][-1]), () if section is None else section.model_fields)
    words = _WORDS.get(error["type"])
    if words is None:
        return f"{error['msg'][:1].lower()}{error['msg'][1:]}"
    return words.format(input=error["input"], **error.get("ctx", {}))
