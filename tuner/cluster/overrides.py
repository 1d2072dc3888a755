"""The ConfigMap of the overrides, watched; its text is read when it is a new one.

What was laid down by hand must not be passed over because it cannot be seen: before the first list,
and whenever the view is too old, the book holds all workloads.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tuner.cluster.collection import Collection
from tuner.cluster.mirror import Mirror, Upkeep, mirrored
from tuner.cluster.reflector import Item
from tuner.errors import UnavailableError
from tuner.overrides.book import Book, Document

if TYPE_CHECKING:
    from collections.abc import Callable

    from tuner.cluster.client import Api

CONFIG_MAP = "gc-tuner-overrides"
KEY = "overrides.yaml"


class Text(NamedTuple):
    """What the ConfigMap holds."""

    uid: str
    """Another one: it was deleted and made anew."""
    text: str | None
    """None where the key is missing."""

    def document(self, read: Callable[[str], Document]) -> Document:
        """What it says.

        Args:
            read: Tells what a text says.
        """
        if self.text is None:
            return Document(trouble=f"the key {KEY} is missing: add it, or delete the ConfigMap")
        return read(self.text)


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    uid: str
    resource_version: str


class _ConfigMap(msgspec.Struct, frozen=True):
    metadata: _Metadata
    data: dict[str, str] = {}


_DECODER = msgspec.json.Decoder(_ConfigMap)


def read_config_map(raw: bytes) -> Item[str, Text]:
    """The ConfigMap as an item.

    Raises:
        msgspec.MsgspecError: It is not one.
    """
    found = _DECODER.decode(raw)
    metadata = found.metadata
    text = Text(metadata.uid, found.data.get(KEY))
    return Item(metadata.name, int(metadata.resource_version), text)


class OverridesWatch(Mirror):
    """The overrides of one ConfigMap, as of its newest text. Ask from one thread only."""

    def __init__(
        self,
        api: Api,
        upkeep: Upkeep,
        namespace: str,
        name: str = CONFIG_MAP,
        *,
        read: Callable[[str], Document],
    ) -> None:
        """Nothing is asked before ``start``.

        Args:
            api: The way to the API server.
            upkeep: How it is kept; ``report`` is also told once of what is wrong with a text, in
                one line for each mistake.
            namespace: Of the ConfigMap: the operator's own.
            name: Of the ConfigMap.
            read: Tells what a text says: ``tuner.overrides.document.read_document``.
        """
        self._name = name
        self._read = read
        self._report = upkeep.report
        self._where = f"ConfigMap {namespace}/{name}"
        self._book = Book()
        self._seen: Text | None = None
        only = Collection("v1", "ConfigMap", "configmaps", field_selector=f"metadata.name={name}")
        self._view = mirrored(api, only, [namespace], read_config_map, upkeep)
        super().__init__(self._view)

    def book(self) -> Book:
        """What is in force; it holds all workloads where that is not known. It never raises.

        Last good versions are remembered of the texts that were there when it was asked for.
        """
        try:
            found = self._view.values()
        except UnavailableError as error:
            return replace(self._book, trouble=f"{self._where}: {error}", usable_once=False)
        text = found.get(self._name)
        if text != self._seen:
            self._book = self._after(text)
            self._seen = text
        return self._book

    def _after(self, text: Text | None) -> Book:
        if text is None:
            return self._book.after(None)
        same_object = self._seen is not None and self._seen.uid == text.uid
        book = (self._book if same_object else Book()).after(text.document(self._read))
        for words in (book.trouble, *map(str, book.refusals)):
            if words:
                self._report(f"{self._where}: {words}")
        return book
