"""Kubernetes quantities: `500m`, `1.5`, `64Mi`, `1e3`."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal, InvalidOperation

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}


def parse_quantity(text: str | float) -> Decimal:
    """Return the value of a quantity in its base unit (bytes, cores).

    Raises:
        ValueError: the text is not a quantity.
    """
    literal = str(text)
    for length in (2, 1):
        factor = _SUFFIXES.get(literal[-length:])
        if factor is not None and len(literal) > length:
            return _number(literal[:-length], literal) * factor
    return _number(literal, literal)


def divide_up(value: Decimal, divisor: Decimal) -> int:
    """Divide and round up, as the downward API does for `resourceFieldRef`."""
    return int((value / divisor).to_integral_value(rounding=ROUND_CEILING))


def _number(digits: str, literal: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:
        message = f"not a quantity: {literal!r}"
        raise ValueError(message) from None
