"""A collection mirrored in memory: listed once, watched from there on.

One thread per reflector: list in pages, then watch from that version; each event makes a new
immutable mapping, so that a reader has a consistent view for as long as it keeps it, at no cost. A
watch that the API server has no history for (410) begins anew with a list; any other end of the
stream goes on from the last version seen, with a back-off. A view without any sign of life from the
API server for too long is refused rather than served. An optional collection that the API server
does not know, or does not let us see, is an empty one, and looked for again now and then.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import msgspec

from tuner.cluster.client import ExpiredError, Request, decoded, refusal
from tuner.errors import ClusterError, GoneError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from urllib3 import BaseHTTPResponse

    from tuner.cluster.client import Api
    from tuner.cluster.collection import Collection

_PAGE_ITEMS = 500
_LONGEST_WATCH_SECONDS = 300.0
_SHORTEST_WATCH_SECONDS = 1.0
_SILENCE_SECONDS = 75.0
"""The API server sends a bookmark about every 60 s: this long without one, and nobody is there."""
_BACKOFF_FIRST_SECONDS = 0.5
_BACKOFF_LONGEST_SECONDS = 10.0
_FAILURES_BEFORE_LIST = 3
"""A version that is refused again and again may be one that the server never had."""
_READ_BYTES = 1 << 16

K = TypeVar("K")
V = TypeVar("V")


class Item(NamedTuple, Generic[K, V]):
    """One object of a collection."""

    key: K
    version: int
    """The object's resourceVersion; comparable within a collection (Kubernetes' KEP-5504)."""
    value: V | None
    """None: not to be seen, though it exists."""


class _ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str
    continue_: str = msgspec.field(name="continue", default="")


class _Page(msgspec.Struct):
    metadata: _ListMetadata
    items: list[msgspec.Raw]


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Metadata(msgspec.Struct, rename="camel"):
    resource_version: str


class _Bookmark(msgspec.Struct):
    metadata: _Metadata


class _Code(msgspec.Struct):
    code: int = 0


_PAGE = msgspec.json.Decoder(_Page)
_EVENT = msgspec.json.Decoder(_Event)
_BOOKMARK = msgspec.json.Decoder(_Bookmark)
_CODE = msgspec.json.Decoder(_Code)


class Reflector(Generic[K, V]):
    """Mirrors one collection, or one namespace of it."""

    def __init__(  # noqa: PLR0913 - what a mirror is made of
        self,
        api: Api,
        collection: Collection,
        namespace: str | None,
        decode: Callable[[bytes], Item[K, V] | None],
        *,
        stale_after_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        report: Callable[[str], None],
        optional: bool = False,
    ) -> None:
        """Nothing is asked before ``start``.

        Args:
            api: The way to the API server.
            collection: What to mirror.
            namespace: None for all namespaces.
            decode: Makes an item out of an object's JSON; None where the object is not ours to
                keep. Its ValueError is reported, and the object left out.
            stale_after_seconds: Age of the last sign of life from which on the view is refused.
            clock: Monotonic seconds.
            report: Told of objects that cannot be read, in one line each; must not raise.
            optional: Whether to go on without the collection where there is none (404), or where
                it may not be listed, which is reported once.
        """
        self._api = api
        self._collection = collection
        self._namespace = namespace
        self._decode = decode
        self._stale_after_seconds = stale_after_seconds
        self._watch_seconds = min(_LONGEST_WATCH_SECONDS, stale_after_seconds / 2)
        self._clock = clock
        self._report = report
        self._optional = optional
        self._denied = False
        self._lock = threading.Lock()
        self._values: dict[K, V] = {}
        self._versions: dict[K, int] = {}
        self._version: int | None = None
        self._synced = threading.Event()
        self._contact = clock()
        self._failures = 0
        self._trouble = ""
        self._renewals_asked = self._renewals_done = 0
        self._stop = threading.Event()
        self._response: BaseHTTPResponse | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to list and watch in a thread of its own."""
        name = f"{self._collection.plural} of {self._namespace or 'all namespaces'}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self, timeout_seconds: float = 1.0) -> None:
        """End the watch; waits no longer than this for a request in flight."""
        self._stop.set()
        self._hang_up()
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def wait_synced(self, timeout_seconds: float) -> bool:
        """Whether the first list has come in, waiting for it no longer than this."""
        return self._synced.wait(timeout_seconds)

    def renew(self) -> None:
        """List anew, as at the start; the view is served as it is meanwhile."""
        with self._lock:
            self._renewals_asked += 1
        self._hang_up()

    @property
    def renewed(self) -> bool:
        """Whether it was listed since it was last to be renewed."""
        return self._renewals_done == self._renewals_asked

    def values(self) -> dict[K, V]:
        """The view as it is now; it does not change any more, and is not to be changed.

        Raises:
            UnavailableError: The first list has not come in, or the last sign of life of the API
                server is too old.
        """
        what = self._collection.plural
        because = f": {self._trouble}" if self._trouble else ""
        if not self._synced.is_set():
            raise UnavailableError(f"{what}: not listed yet{because}")
        silent = self._clock() - self._contact
        if silent > self._stale_after_seconds:
            raise UnavailableError(f"{what}: no news for {silent:.0f} s{because}")
        return self._values

    def put(self, item: Item[K, V]) -> None:
        """Take in the API server's answer to a write of our own, ahead of the watch.

        An answer that the watch has already passed is left out: what came after it counts, a
        deletion included.
        """
        with self._lock:
            if self._version is None or item.version > self._version:
                self._change([item])

    def forget(self, key: K, version: int) -> None:
        """Drop an object that turned out not to exist, unless there is news of it since."""
        with self._lock:
            self._change([Item(key, version, None)])

    def _hang_up(self) -> None:
        """End the watch, where there is one."""
        with self._lock:
            response = self._response
        if response is not None:
            # It may just have ended by itself.
            with contextlib.suppress(OSError, RuntimeError, ValueError):
                response.shutdown()

    def _run(self) -> None:
        while not self._stop.is_set():
            began = self._clock()
            try:
                if self._version is None or not self.renewed:
                    self._list()
                self._watch()
            except ExpiredError:
                self._version = None
                self._failed("")
            except ClusterError as error:
                if self._can_do_without(error):
                    self._go_without(error)
                else:
                    self._failed(self._words(error))
            except Exception as error:  # noqa: BLE001 - a dead mirror would be worse than any error
                self._version = None
                self._failed(f"{type(error).__name__}: {error}")
            else:
                if self.renewed and self._clock() - began < _SHORTEST_WATCH_SECONDS:
                    self._failed("the watch ended at once")
                else:
                    self._failures = 0

    def _words(self, error: ClusterError) -> str:
        hint = self._collection.hint
        return f"{error}: {hint}" if isinstance(error, GoneError) and hint else str(error)

    def _can_do_without(self, error: ClusterError) -> bool:
        """Whether an optional collection turned out not to be there for us."""
        listing = self._version is None
        return self._optional and listing and isinstance(error, GoneError | RefusedError)

    def _go_without(self, error: ClusterError) -> None:
        """Serve an empty view until it is time to look again, before the view is stale."""
        denied = isinstance(error, RefusedError)
        if denied and not self._denied:
            self._report(f"{error}: gc-tuner goes on as if there were none")
        self._denied = denied
        with self._lock:
            self._values, self._versions = {}, {}
        self._heard()
        self._failures = 0
        self._synced.set()
        self._stop.wait(self._watch_seconds)

    def _failed(self, trouble: str) -> None:
        self._trouble = trouble
        if self._failures and self._failures % _FAILURES_BEFORE_LIST == 0:
            self._version = None
        seconds = backoff_seconds(self._failures, random.random())  # noqa: S311 - only jitter
        self._failures += 1
        self._stop.wait(seconds)

    def _heard(self) -> None:
        self._contact = self._clock()
        self._trouble = ""

    def _list(self) -> None:
        renewals = self._renewals_asked
        listed: dict[K, Item[K, V]] = {}
        query = {"limit": str(_PAGE_ITEMS)}
        while True:
            request = self._request("list", query)
            page = decoded(request, self._api.ask(request), _PAGE)
            for raw in page.items:
                item = self._read(bytes(raw))
                if item is not None:
                    listed[item.key] = item
            if not page.metadata.continue_ or self._stop.is_set():
                break
            query["continue"] = page.metadata.continue_
        version = int(page.metadata.resource_version)
        with self._lock:
            # Answers to our own writes can be newer than the list.
            old, versions = self._values, self._versions
            newer = [Item(key, versions[key], old[key]) for key in old if versions[key] > version]
            self._values, self._versions = {}, {}
            self._change([*listed.values(), *newer])
            self._version = version
            self._renewals_done = renewals
        self._denied = False
        self._heard()
        self._synced.set()

    def _watch(self) -> None:
        seconds = max(1, round(self._watch_seconds))
        request = self._request(
            "watch",
            {
                "watch": "true",
                "allowWatchBookmarks": "true",
                "resourceVersion": str(self._version),
                "timeoutSeconds": str(seconds),
            },
        )
        silence = min(_SILENCE_SECONDS, seconds + self._api.timeout_seconds)
        with self._api.stream(request, silence) as response:
            with self._lock:
                self._response = response
            try:
                # Whoever wants it to end may have come before the response.
                if self._stop.is_set() or not self.renewed:
                    return
                self._heard()
                for lines in _whole_lines(response.stream(_READ_BYTES, decode_content=False)):
                    self._take(request, lines)
                    if self._stop.is_set():
                        return
            finally:
                with self._lock:
                    self._response = None

    def _request(self, verb: str, query: Mapping[str, str]) -> Request:
        what = self._collection.plural
        if self._namespace is not None:
            what = f"{what} of {self._namespace}"
        path = self._collection.path(self._namespace)
        query = {**self._collection.selectors, **query}
        return Request(verb=verb, what=what, path=path, query=query)

    def _take(self, request: Request, lines: Sequence[bytes]) -> None:
        """Take in some events at once."""
        changes: list[Item[K, V]] = []
        version = self._version
        failed: ClusterError | None = None
        for line in lines:
            event = decoded(request, line, _EVENT)
            raw = bytes(event.object)
            if event.type == "ERROR":
                failed = refusal(request, decoded(request, raw, _CODE).code, raw)
                break
            version = int(decoded(request, raw, _BOOKMARK).metadata.resource_version)
            item = None if event.type == "BOOKMARK" else self._read(raw)
            if item is not None:
                changes.append(item._replace(value=None) if event.type == "DELETED" else item)
        with self._lock:
            self._version = version
            self._change(changes)
        if failed is not None:
            raise failed
        self._heard()
        self._failures = 0

    def _change(self, changes: Sequence[Item[K, V]]) -> None:
        """Put a changed copy in the view's place; what is older than what is known is left out."""
        if not changes:
            return
        values = self._values.copy()
        for key, version, value in changes:
            if version < self._versions.get(key, 0):
                continue
            if value is None:
                values.pop(key, None)
                self._versions.pop(key, None)
            else:
                values[key] = value
                self._versions[key] = version
        self._values = values

    def _read(self, raw: bytes) -> Item[K, V] | None:
        try:
            return self._decode(raw)
        except (ValueError, msgspec.MsgspecError) as error:
            self._report(f"{self._collection.kind}: cannot be read: {error}")
            return None


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines that each chunk completes; half a line at the end of the stream is dropped."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if lines:
            yield [line for line in lines if line]


def backoff_seconds(failures: int, chance: float) -> float:
    """How long to wait after a failure.

    Args:
        failures: Failures in a row before this one; the first is followed up at once.
        chance: 0-1, so that many clients of one API server do not come back all together.
    """
    if failures == 0:
        return 0.0
    longest = min(_BACKOFF_LONGEST_SECONDS, _BACKOFF_FIRST_SECONDS * 2.0 ** min(failures - 1, 16))
    return longest * (0.5 + chance / 2)
