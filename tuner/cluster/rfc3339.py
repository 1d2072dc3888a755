"""Times in records: seconds since the epoch in the model, RFC 3339 with microseconds in the object.

Fields that hold a time are told by their names: ``at``, or any that ends in ``At``.
"""

from datetime import UTC, datetime
from typing import Any


def times_to_text(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """The same JSON with its times as text."""
    return _converted(value, int | float, micro_time)


def times_to_seconds(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """The same JSON with its times as numbers.

    Raises:
        ValueError: A time is not of RFC 3339, or could not be written back.
    """
    return _converted(value, str, _seconds)


def _converted(value: Any, kind: Any, convert: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    match value:
        case dict():
            return {
                name: convert(each)
                if _is_time(name) and isinstance(each, kind)
                else _converted(each, kind, convert)
                for name, each in value.items()
            }
        case list() | tuple():
            return [_converted(each, kind, convert) for each in value]
        case _:
            return value


def _is_time(name: str) -> bool:
    return name == "at" or name.endswith("At")


def micro_time(seconds: float) -> str:
    """A time as Kubernetes' MicroTime."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def _seconds(text: str) -> float:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    seconds = time.timestamp()
    micro_time(seconds)
    return seconds
