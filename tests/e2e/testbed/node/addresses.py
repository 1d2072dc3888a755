"""Loopback addresses for pods: every 127.x.y.z binds on Linux without any set-up."""

from __future__ import annotations

import secrets

_FIRST = (127 << 24) + (1 << 16)
_COUNT = (1 << 24) - (2 << 16)


class AddressPool:
    """Hands out addresses one after the other; one comes again only after all others.

    The start is random, so that two nodes on one machine do not meet.
    """

    def __init__(self, start: int | None = None, size: int = _COUNT) -> None:
        """Begin at the given offset into the pool, by default at a random one."""
        self._next = secrets.randbelow(size) if start is None else start
        self._size = size
        self._live: set[str] = set()

    def acquire(self) -> str:
        """Return an address that no live pod holds."""
        while True:
            value = _FIRST + self._next % self._size
            self._next += 1
            host = value & 0xFF
            address = ".".join(str(value >> shift & 0xFF) for shift in (24, 16, 8, 0))
            if host not in {0, 255} and address not in self._live:
                self._live.add(address)
                return address

    def release(self, address: str) -> None:
        """Give an address back."""
        self._live.discard(address)
