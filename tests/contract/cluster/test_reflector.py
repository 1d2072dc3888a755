from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.contract.cluster.conftest import DEPLOYMENTS
from tests.contract.cluster.server import (
    Asked,
    FakeApiServer,
    Hang,
    Reply,
    Stream,
    page,
    refused,
    status_object,
)
from tests.contract.waiting import settle
from tests.e2e.testbed.processes import Stopwatch
from tuner.cluster import collection
from tuner.cluster.mirror import View
from tuner.cluster.reflector import Item, Reflector
from tuner.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tuner.cluster import Api


def thing(name: str, version: int, colour: str = "red", namespace: str = "shop") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "resourceVersion": str(version)}
    return {"metadata": metadata, "colour": colour}


def read(raw: bytes) -> Item[str, str] | None:
    found = msgspec.json.decode(raw)
    if found["colour"] == "foreign":
        return None
    if found["colour"] == "odd":
        raise ValueError("odd colour")
    metadata = found["metadata"]
    return Item(metadata["name"], int(metadata["resourceVersion"]), found["colour"] or None)


@dataclass
class Mirror:
    """A reflector of ``read``, its clock and what it reported."""

    reflector: Reflector[str, str]
    reports: list[str]
    now: list[float] = field(default_factory=lambda: [0.0])

    def becomes(self, expected: dict[str, str]) -> None:
        """Wait until the view is this; it may be refused before."""
        found: Mapping[str, str] | UnavailableError | None = None

        def shown() -> bool:
            nonlocal found
            try:
                found = self.reflector.values()
            except UnavailableError as error:
                found = error
            return found == expected

        settle(shown)
        assert found == expected


@pytest.fixture
def mirror(open_api: Callable[[float], Api]) -> Iterator[Callable[..., Mirror]]:
    started: list[Mirror] = []

    def start(
        *, namespace: str | None = None, stale_after_seconds: float = 120.0, timeout: float = 5.0
    ) -> Mirror:
        reports: list[str] = []
        now = [0.0]
        reflector = Reflector(
            open_api(timeout),
            collection.DEPLOYMENTS,
            namespace,
            read,
            stale_after_seconds=stale_after_seconds,
            clock=lambda: now[0] or time.monotonic(),
            report=reports.append,
        )
        started.append(Mirror(reflector, reports, now))
        reflector.start()
        return started[-1]

    yield start
    for each in started:
        each.reflector.stop()


def test_a_list_comes_in_pages(server: FakeApiServer, mirror: Callable[..., Mirror]) -> None:
    server.on(
        "GET",
        DEPLOYMENTS,
        page(thing("a", 1), version=10, more="next"),
        page(thing("b", 2), version=10),
    )
    mirror().becomes({"a": "red", "b": "red"})
    first, second = server.asked("GET")
    assert first.query == {"limit": "500"}
    assert second.query == {"limit": "500", "continue": "next"}


def test_the_watch_goes_on_from_the_list_and_asks_for_bookmarks(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    server.on("GET", DEPLOYMENTS, page(version=10))
    server.on("WATCH", DEPLOYMENTS, Stream())
    mirror()
    (asked,) = server.wait_asked("WATCH", 1)
    assert asked.query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "10",
        "timeoutSeconds": "60",
    }


def test_events_change_the_view_and_not_one_that_was_taken(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    stream = Stream()
    server.on("GET", DEPLOYMENTS, page(thing("a", 1), thing("b", 2), version=10))
    server.on("WATCH", DEPLOYMENTS, stream)
    mirrored = mirror()
    mirrored.becomes({"a": "red", "b": "red"})
    before = mirrored.reflector.values()
    stream.send(("ADDED", thing("c", 11)), ("MODIFIED", thing("a", 12, "blue")))
    stream.send(("DELETED", thing("b", 13)))
    mirrored.becomes({"a": "blue", "c": "red"})
    assert before == {"a": "red", "b": "red"}


def test_an_event_that_comes_in_pieces(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    stream = Stream()
    server.on("GET", DEPLOYMENTS, page(version=10))
    server.on("WATCH", DEPLOYMENTS, stream)
    mirrored = mirror()
    stream.send_bytes(b'{"type": "ADDED", "object": {"colour": "red", "meta')
    stream.send_bytes(b'data": {"name": "a", "namespace": "shop", "resourceVersion": "11"}}}\n')
    mirrored.becomes({"a": "red"})


def test_an_object_that_is_not_to_be_seen_any_more_leaves_the_view(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    stream = Stream().send(("MODIFIED", thing("a", 11, "")))
    server.on("GET", DEPLOYMENTS, page(thing("a", 1), thing("hidden", 2, ""), version=10))
    server.on("WATCH", DEPLOYMENTS, stream)
    mirror().becomes({})


def test_a_watch_that_ended_goes_on_from_the_last_bookmark(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    server.on("GET", DEPLOYMENTS, page(version=10))
    server.on("WATCH", DEPLOYMENTS, Stream().bookmark(50).end(), Stream())
    mirror()
    assert server.wait_asked("WATCH", 2)[1].query["resourceVersion"] == "50"
    assert len(server.asked("GET")) == 1


def test_a_watch_that_was_cut_goes_on_from_the_last_whole_event(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    cut = Stream().send(("ADDED", thing("a", 11))).send_bytes(b'{"type": "MODI').cut()
    after = Stream().send(("MODIFIED", thing("a", 12, "blue")))
    server.on("GET", DEPLOYMENTS, page(version=10))
    server.on("WATCH", DEPLOYMENTS, cut, after)
    mirror().becomes({"a": "blue"})
    assert server.asked("WATCH")[1].query["resourceVersion"] == "11"


def test_a_version_that_is_gone_is_listed_anew_without_what_was_deleted_meanwhile(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    expired = status_object(410, "Expired", "too old resource version: 10 (90)")
    server.on(
        "GET",
        DEPLOYMENTS,
        page(thing("a", 1), thing("b", 2), version=10),
        page(thing("b", 95, "blue"), version=100),
    )
    server.on("WATCH", DEPLOYMENTS, Stream().send(("ERROR", expired)).end(), Stream())
    mirror().becomes({"b": "blue"})
    assert server.wait_asked("WATCH", 2)[1].query["resourceVersion"] == "100"


def test_a_page_that_has_expired_begins_the_list_anew(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    server.on(
        "GET",
        DEPLOYMENTS,
        page(thing("a", 1), version=10, more="next"),
        refused(410, "Expired", "the provided continue parameter is too old"),
        page(thing("b", 2), version=20),
    )
    mirror().becomes({"b": "red"})
    assert "continue" not in server.asked("GET")[2].query


def test_any_other_error_in_the_stream_goes_on_from_the_same_version(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    error = status_object(500, "InternalError", "etcd went away")
    first = Stream().send(("ADDED", thing("a", 11)), ("ERROR", error)).end()
    server.on("GET", DEPLOYMENTS, page(version=10))
    server.on("WATCH", DEPLOYMENTS, first, Stream())
    mirror().becomes({"a": "red"})
    assert server.wait_asked("WATCH", 2)[1].query["resourceVersion"] == "11"
    assert len(server.asked("GET")) == 1


def test_a_version_that_is_refused_again_and_again_is_given_up(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    ahead = refused(504, "Timeout", "Too large resource version: 10, current: 5")
    server.on("GET", DEPLOYMENTS, page(thing("a", 1), version=10), page(version=5))
    server.on("WATCH", DEPLOYMENTS, ahead, ahead, ahead, ahead, Stream())
    mirror().becomes({})


def test_a_half_open_connection_is_noticed(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    after = Stream().send(("ADDED", thing("a", 11)))
    server.on("GET", DEPLOYMENTS, page(version=10))
    server.on("WATCH", DEPLOYMENTS, Stream(), after)
    mirror(stale_after_seconds=2.0, timeout=0.2).becomes({"a": "red"})


def test_a_watch_that_never_answers_is_noticed(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    server.on("GET", DEPLOYMENTS, page(version=10))
    server.on("WATCH", DEPLOYMENTS, Hang(), Stream().send(("ADDED", thing("a", 11))))
    mirror(stale_after_seconds=2.0, timeout=0.2).becomes({"a": "red"})


def test_no_view_before_the_first_list_and_the_reason_is_told(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    words = 'deployments.apps is forbidden: User "x" cannot list'
    server.on("GET", DEPLOYMENTS, refused(403, "Forbidden", words))
    mirrored = mirror()
    server.wait_asked("GET", 2)
    with pytest.raises(UnavailableError, match=f"deployments: not listed yet: .*403.*{words}"):
        mirrored.reflector.values()
    assert not mirrored.reflector.wait_synced(0.0)


def test_a_view_without_news_is_refused_until_there_is_some(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    stream = Stream()
    server.on("GET", DEPLOYMENTS, page(thing("a", 1), version=10))
    server.on("WATCH", DEPLOYMENTS, stream)
    mirrored = mirror(stale_after_seconds=120.0)
    mirrored.becomes({"a": "red"})
    server.wait_asked("WATCH", 1)
    mirrored.now[0] = time.monotonic() + 130.0
    with pytest.raises(UnavailableError, match=r"deployments: no news for 1[23]. s"):
        mirrored.reflector.values()
    stream.bookmark(11)
    settle(lambda: _served(mirrored.reflector))
    assert mirrored.reflector.values() == {"a": "red"}


def _served(reflector: Reflector[str, str]) -> bool:
    try:
        reflector.values()
    except UnavailableError:
        return False
    return True


def test_an_object_that_cannot_be_read_is_reported_and_hurts_no_other(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    server.on(
        "GET",
        DEPLOYMENTS,
        page(thing("a", 1), thing("b", 2, "odd"), thing("c", 3, "foreign"), version=10),
    )
    mirrored = mirror()
    mirrored.becomes({"a": "red"})
    assert mirrored.reports == ["Deployment: cannot be read: odd colour"]


def test_an_answer_that_is_no_list_is_tried_again(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    server.on("GET", DEPLOYMENTS, Reply(b"<html>"), page(thing("a", 1), version=10))
    mirror().becomes({"a": "red"})


def test_our_own_answer_is_seen_at_once_and_older_events_do_not_undo_it(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    stream = Stream()
    server.on("GET", DEPLOYMENTS, page(thing("a", 1), version=10))
    server.on("WATCH", DEPLOYMENTS, stream)
    mirrored = mirror()
    mirrored.becomes({"a": "red"})
    mirrored.reflector.put(Item("a", 12, "ours"))
    assert mirrored.reflector.values() == {"a": "ours"}
    stream.send(("MODIFIED", thing("a", 11, "before")), ("ADDED", thing("b", 13)))
    mirrored.becomes({"a": "ours", "b": "red"})
    stream.send(("MODIFIED", thing("a", 14, "theirs")))
    mirrored.becomes({"a": "theirs", "b": "red"})


def test_our_own_answer_does_not_bring_back_what_was_deleted_since(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    stream = Stream().send(("MODIFIED", thing("a", 12, "ours")), ("DELETED", thing("a", 13)))
    server.on("GET", DEPLOYMENTS, page(thing("a", 1), version=10))
    server.on("WATCH", DEPLOYMENTS, stream)
    mirrored = mirror()
    mirrored.becomes({})
    mirrored.reflector.put(Item("a", 12, "ours"))
    assert mirrored.reflector.values() == {}


def test_our_own_answer_outlives_an_older_list(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    stream = Stream()
    expired = status_object(410, "Expired", "too old resource version")
    server.on(
        "GET",
        DEPLOYMENTS,
        page(thing("a", 1), version=10),
        page(thing("a", 1), thing("b", 2), version=11),
    )
    server.on("WATCH", DEPLOYMENTS, stream, Stream())
    mirrored = mirror()
    mirrored.becomes({"a": "red"})
    mirrored.reflector.put(Item("a", 12, "ours"))
    stream.send(("ERROR", expired)).end()
    mirrored.becomes({"a": "ours", "b": "red"})


def test_renewed_it_lists_again_and_serves_what_it_has_meanwhile(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    again = threading.Event()

    def second_list(_: Asked) -> Reply:
        again.wait(60.0)
        return page(thing("b", 12), version=12)

    server.on("GET", DEPLOYMENTS, page(thing("a", 1), version=10), second_list)
    server.on("WATCH", DEPLOYMENTS, Stream(), Stream())
    mirrored = mirror()
    mirrored.becomes({"a": "red"})
    server.wait_asked("WATCH", 1)
    states = [mirrored.reflector.renewed]
    mirrored.reflector.renew()
    states.append(mirrored.reflector.renewed)
    assert mirrored.reflector.values() == {"a": "red"}
    again.set()
    mirrored.becomes({"b": "red"})
    settle(lambda: mirrored.reflector.renewed)
    assert [*states, mirrored.reflector.renewed] == [True, False, True]
    # From the renewed version on.
    assert server.wait_asked("WATCH", 2)[-1].query["resourceVersion"] == "12"


def test_a_namespace_is_listed_and_watched_alone(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    path = "/apis/apps/v1/namespaces/shop/deployments"
    server.on("GET", path, page(thing("a", 1), version=10))
    server.on("WATCH", path, Stream())
    mirror(namespace="shop").becomes({"a": "red"})
    server.wait_asked("WATCH", 1)
    assert {each.path for each in server.asked("GET")} == {path}


def test_a_view_of_several_namespaces_has_all_or_nothing(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    shop, bank = (f"/apis/apps/v1/namespaces/{each}/deployments" for each in ("shop", "bank"))
    server.on("GET", shop, page(thing("a", 1), version=10))
    server.on("GET", bank, page(thing("b", 1), version=10))
    view = View({each: mirror(namespace=each).reflector for each in ("shop", "bank")})
    assert view.wait_synced(60.0)
    assert view.values() == {"a": "red", "b": "red"}
    assert view.of("shop") is not view.of("bank")
    assert view.of("elsewhere") is None


def test_it_stops_in_the_middle_of_a_watch(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    server.on("GET", DEPLOYMENTS, page(version=10))
    server.on("WATCH", DEPLOYMENTS, Stream())
    mirrored = mirror()
    server.wait_asked("WATCH", 1)
    with Stopwatch() as watch:
        mirrored.reflector.stop(10.0)
        assert watch.seconds < 5
