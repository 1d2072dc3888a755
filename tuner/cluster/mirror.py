"""What all mirrors of the cluster have in common: how they are kept, and their start and stop."""

from __future__ import annotations

import time
from collections import ChainMap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from tuner.cluster.reflector import Item, Reflector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tuner.cluster.client import Api
    from tuner.cluster.collection import Collection

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """How mirrors are kept."""

    stale_after_seconds: float
    """Age of the API server's last sign of life from which on a view is refused."""
    report: Callable[[str], None]
    """Told of what cannot be read, in one line each; must not raise."""
    clock: Callable[[], float] = time.monotonic
    """Monotonic seconds."""


class _Part(Protocol):
    """What mirrors, by itself or with the help of others."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def wait_synced(self, timeout_seconds: float) -> bool: ...

    def renew(self) -> None: ...

    @property
    def renewed(self) -> bool: ...


class Mirror:
    """Some part of the cluster in memory, kept by list and watch."""

    def __init__(self, *parts: _Part) -> None:
        """Take what it is made of; nothing is asked before ``start``."""
        self._parts = parts

    def start(self) -> None:
        """Begin to mirror."""
        for part in self._parts:
            part.start()

    def stop(self) -> None:
        """End the mirror."""
        for part in self._parts:
            part.stop()

    def wait_synced(self, timeout_seconds: float) -> bool:
        """Whether all was listed once, waiting for it no longer than this in all."""
        deadline = time.monotonic() + timeout_seconds
        return all(part.wait_synced(max(0.0, deadline - time.monotonic())) for part in self._parts)

    def renew(self) -> None:
        """List all of it anew; until that is done it is served as it was, and goes on."""
        for part in self._parts:
            part.renew()

    @property
    def renewed(self) -> bool:
        """Whether all was listed since it was last to be renewed."""
        return all(part.renewed for part in self._parts)


class View(Mirror, Generic[K, V]):
    """A collection in all namespaces, or in some: one reflector each."""

    def __init__(self, reflectors: Mapping[str | None, Reflector[K, V]]) -> None:
        """Take one reflector for all namespaces under None, or one for each namespace."""
        super().__init__(*reflectors.values())
        self._reflectors = dict(reflectors)

    @property
    def reflectors(self) -> Sequence[Reflector[K, V]]:
        """The one for all namespaces, or one for each."""
        return tuple(self._reflectors.values())

    def values(self) -> Mapping[K, V]:
        """The view as it is now; it does not change any more.

        Raises:
            UnavailableError: A part of it was not listed yet, or is too old.
        """
        parts = [each.values() for each in self._reflectors.values()]
        return parts[0] if len(parts) == 1 else ChainMap(*parts)

    def of(self, namespace: str) -> Reflector[K, V] | None:
        """The reflector that sees a namespace; None where none does."""
        return self._reflectors.get(namespace, self._reflectors.get(None))


def mirrored(
    api: Api,
    collection: Collection,
    namespaces: Sequence[str],
    decode: Callable[[bytes], Item[K, V] | None],
    upkeep: Upkeep,
    *,
    optional: bool = False,
) -> View[K, V]:
    """A view of a collection; nothing is asked before it is started.

    Args:
        api: The way to the API server.
        collection: What to mirror.
        namespaces: Empty for all of them.
        decode: Makes an item out of an object's JSON; None where the object is not ours to keep.
            Its ValueError is reported, and the object left out.
        upkeep: How it is kept.
        optional: Whether to go on without the collection where there is none, or where it may not
            be listed, which is reported once.
    """
    return View(
        {
            namespace: Reflector(
                api,
                collection,
                namespace,
                decode,
                stale_after_seconds=upkeep.stale_after_seconds,
                report=upkeep.report,
                clock=upkeep.clock,
                optional=optional,
            )
            for namespace in namespaces or (None,)
        }
    )
