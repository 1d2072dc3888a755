"""The watch of the overrides, against a server that answers like an API server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.contract.cluster.server import FakeApiServer, Hang, Stream, page, refused
from tests.contract.waiting import settle
from tests.unit.cluster.test_overrides_watch import PAUSED, config_map
from tuner.cluster.mirror import Upkeep
from tuner.cluster.overrides import OverridesWatch
from tuner.overrides.book import Book
from tuner.overrides.document import read_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tuner.cluster import Api

PATH = "/api/v1/namespaces/gc-tuner/configmaps"
WHERE = "ConfigMap gc-tuner/gc-tuner-overrides"
FREEZE = """
overrides:
  - name: sales
    match: {namespace: shop, name: "*"}
    freeze: true
    reason: "Sales weekend"
"""
BAD_FREEZE = FREEZE.replace("true", "perhaps")


class Watch:
    """A watch that was started, its clock and what it reported."""

    def __init__(self, api: Api) -> None:
        self.ahead_seconds = 0.0
        self.reports: list[str] = []
        self.overrides = OverridesWatch(
            api,
            Upkeep(
                stale_after_seconds=120.0,
                report=self.reports.append,
                clock=lambda: time.monotonic() + self.ahead_seconds,
            ),
            "gc-tuner",
            read=read_document,
        )
        self.overrides.start()

    @property
    def book(self) -> Book:
        assert self.overrides.wait_synced(60.0)
        return self.overrides.book()

    def wait_for(self, holds: Callable[[Book], bool]) -> Book:
        """The book, once something holds of it."""
        settle(lambda: holds(self.overrides.book()))
        book = self.overrides.book()
        assert holds(book), book
        return book


@pytest.fixture
def watch(api: Api) -> Iterator[Callable[[], Watch]]:
    started: list[Watch] = []

    def start() -> Watch:
        started.append(Watch(api))
        return started[-1]

    yield start
    for each in started:
        each.overrides.stop()


def texts(server: FakeApiServer, *data: dict[str, str], version: int = 10) -> Stream:
    """Serve a ConfigMap, or none; returns the stream of its changes."""
    stream = Stream()
    server.on("GET", PATH, page(*map(config_map, data), version=version))
    server.on("WATCH", PATH, stream)
    return stream


def test_one_config_map_is_listed_and_watched(
    server: FakeApiServer, watch: Callable[[], Watch]
) -> None:
    texts(server, {"overrides.yaml": PAUSED})
    assert watch().book == Book(paused=True, usable_once=True)
    (listed,) = server.asked("GET")
    (watched,) = server.wait_asked("WATCH", 1)
    for asked in (listed, watched):
        assert asked.path == PATH
        assert asked.query["fieldSelector"] == "metadata.name=gc-tuner-overrides"


def test_before_the_first_list_everything_is_held(
    server: FakeApiServer, watch: Callable[[], Watch]
) -> None:
    server.on("GET", PATH, Hang())
    book = watch().overrides.book()
    assert book.holds_all
    assert book.trouble == f"{WHERE}: configmaps: not listed yet"


def test_a_config_map_that_may_not_be_seen_holds_everything_and_says_why(
    server: FakeApiServer, watch: Callable[[], Watch]
) -> None:
    server.on("GET", PATH, refused(403, "Forbidden", 'User "x" cannot list'))
    book = watch().wait_for(lambda book: "403" in book.trouble)
    assert book.holds_all


def test_without_a_config_map_nothing_is_in_force(
    server: FakeApiServer, watch: Callable[[], Watch]
) -> None:
    texts(server)
    watched = watch()
    assert watched.book == Book()
    assert watched.reports == []


def test_a_change_is_seen_without_a_restart(
    server: FakeApiServer, watch: Callable[[], Watch]
) -> None:
    stream = texts(server, {"overrides.yaml": PAUSED})
    watched = watch()
    assert watched.book.paused
    stream.send(("MODIFIED", config_map({"overrides.yaml": FREEZE}, version=11)))
    book = watched.wait_for(lambda book: not book.paused)
    assert [entry.name for entry in book.entries] == ["sales"]


def test_a_mistake_leaves_the_last_good_version_in_force_and_is_reported_once(
    server: FakeApiServer, watch: Callable[[], Watch]
) -> None:
    stream = texts(server, {"overrides.yaml": FREEZE})
    watched = watch()
    (good,) = watched.book.entries
    stream.send(("MODIFIED", config_map({"overrides.yaml": BAD_FREEZE}, version=11)))
    book = watched.wait_for(lambda book: bool(book.refusals))
    assert book.entries == (good,)
    watched.overrides.book()
    (report,) = watched.reports
    assert report.startswith(f"{WHERE}: sales: line 3: freeze: 'perhaps' is neither true nor false")


def test_a_version_that_says_the_same_is_not_reported_again(
    server: FakeApiServer, watch: Callable[[], Watch]
) -> None:
    stream = texts(server, {"overrides.yaml": BAD_FREEZE})
    watched = watch()
    assert watched.book.held
    stream.send(("MODIFIED", config_map({"overrides.yaml": BAD_FREEZE}, version=11)))
    other = config_map({"overrides.yaml": f"paused: true\n{BAD_FREEZE}"}, version=12)
    stream.send(("MODIFIED", other))
    watched.wait_for(lambda book: book.paused)
    assert [report.split(": ")[2] for report in watched.reports] == ["line 3", "line 4"]


def test_a_text_that_cannot_be_used_is_reported_and_holds_everything_after_a_start(
    server: FakeApiServer, watch: Callable[[], Watch]
) -> None:
    texts(server, {"overrides.yaml": "overrides: ["})
    watched = watch()
    assert watched.book.holds_all
    (report,) = watched.reports
    assert report.startswith(f"{WHERE}: line 1: not valid YAML")


def test_a_config_map_without_the_key_holds_everything_after_a_start(
    server: FakeApiServer, watch: Callable[[], Watch]
) -> None:
    texts(server, {"overrides.yml": PAUSED})
    watched = watch()
    assert watched.book.holds_all
    assert watched.reports == [
        f"{WHERE}: the key overrides.yaml is missing: add it, or delete the ConfigMap"
    ]


def test_deleting_the_config_map_lifts_everything(
    server: FakeApiServer, watch: Callable[[], Watch]
) -> None:
    stream = texts(server, {"overrides.yaml": PAUSED})
    watched = watch()
    assert watched.book.paused
    stream.send(("DELETED", config_map({"overrides.yaml": PAUSED}, version=11)))
    assert watched.wait_for(lambda book: not book.paused) == Book()


def test_a_config_map_made_anew_between_two_looks_has_no_last_good_versions(
    server: FakeApiServer, watch: Callable[[], Watch]
) -> None:
    stream = texts(server, {"overrides.yaml": FREEZE})
    watched = watch()
    assert watched.book.entries
    anew = config_map({"overrides.yaml": BAD_FREEZE}, version=12, uid="uid-anew")
    gone = config_map({"overrides.yaml": FREEZE}, version=11)
    stream.send(("DELETED", gone), ("ADDED", anew))
    book = watched.wait_for(lambda book: bool(book.refusals))
    assert book.entries == ()
    assert [refusal.name for refusal in book.held] == ["sales"]


def test_without_news_for_too_long_everything_is_held_until_there_is_some(
    server: FakeApiServer, watch: Callable[[], Watch]
) -> None:
    stream = texts(server, {"overrides.yaml": FREEZE})
    watched = watch()
    in_force = watched.book
    server.wait_asked("WATCH", 1)
    watched.ahead_seconds = 130.0
    stale = watched.overrides.book()
    assert stale.holds_all
    assert "no news for 1" in stale.trouble
    stream.bookmark(20)
    assert watched.wait_for(lambda book: not book.trouble) == in_force
