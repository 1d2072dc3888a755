"""Amounts of memory as Kubernetes writes them."""

import re
from functools import lru_cache

_QUANTITY = re.compile(r"[0-9]*\.?[0-9]*([eE][+-]?[0-9]{1,2}|[A-Za-z]{0,2})")
_GREATEST = 1 << 63


@lru_cache(maxsize=1024)
def memory_bytes(text: str) -> int:
    """Bytes of a quantity such as ``512Mi``, rounded down.

    Raises:
        ValueError: It is not a quantity, or more than any machine has.
    """
    from kubernetes.utils.quantity import parse_quantity  # noqa: PLC0415 - costs .2 s

    # The library also takes NaN, Infinity and whatever else Python reads as a number.
    if not _QUANTITY.fullmatch(text):
        raise ValueError(f"{text!r} is not a quantity")
    amount = parse_quantity(text)  # type: ignore[no-untyped-call] # the library's
    if not 0 <= amount < _GREATEST:
        raise ValueError(f"{text!r} is not an amount of memory")
    return int(amount)
