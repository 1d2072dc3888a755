"""Durations of the settings, held as seconds.

A bare number is refused: it could be seconds, milliseconds or minutes.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from tuner.model.duration import format_duration, parse_duration

_PATTERN = r"^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$"

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(gt=0),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "pattern": _PATTERN}),
]
"""A positive duration, seconds."""
