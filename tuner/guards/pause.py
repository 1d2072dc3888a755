"""Pauses that grow: each time in a row that something came to nothing doubles the next."""

_DOUBLINGS_MOST = 32
"""No pause is cut off so late, and no number overflows."""


def doubled_seconds(first_seconds: float, times: int, longest_seconds: float) -> float:
    """The pause after so many times in a row.

    Args:
        first_seconds: Pause after the first time.
        times: How often; what is less than 1 counts as 1.
        longest_seconds: No pause is longer.
    """
    doublings = min(max(times - 1, 0), _DOUBLINGS_MOST)
    return min(first_seconds * 2.0**doublings, longest_seconds)
