"""What all sections of the settings share: names, strictness and a few types of value."""

import json
from typing import Annotated

from pydantic import AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_settings import NoDecode


class Section(BaseModel):
    """A part of the settings: snake_case in Python and env, camelCase in YAML, nothing unknown."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=AliasGenerator(serialization_alias=to_camel),
    )


def _refuse_truth(value: object) -> object:
    """Pydantic would take true for 1, and YAML takes a bare ``yes`` for true."""
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is not a number")  # noqa: TRY004 - pydantic's way
    return value


def _refuse_percent(value: object) -> object:
    if isinstance(value, str) and value.strip().endswith("%"):
        number = value.strip().removesuffix("%").strip()
        try:
            ratio = float(number) / 100
        except ValueError:
            raise ValueError(f"{value!r} is not a ratio: write 0.04 for 4 %") from None
        raise ValueError(f"{value!r} is a percentage: write the ratio, {ratio:g}")
    return value


Number = Annotated[float, BeforeValidator(_refuse_truth), Field(allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_refuse_truth)]

Ratio = Annotated[Number, BeforeValidator(_refuse_percent), Field(gt=0, lt=1)]
"""A share or a relative change, 0-1, both ends excluded."""


def _split_commas(value: object) -> object:
    """Let an environment variable hold a list: ``a,b``."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def parse_object(value: object) -> object:
    """Let an environment variable hold a mapping, as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('not a mapping: write JSON such as {"name": "value"}') from None


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas)]
"""A list of names; in an environment variable with commas between them."""

Headers = Annotated[dict[str, str], NoDecode, BeforeValidator(parse_object)]
"""HTTP headers; in an environment variable as JSON."""
