"""Every fault: how it begins, how long it lasts, how it ends, and what may come of it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.e2e.stage import OVERRIDES
from tests.e2e.testbed.cluster import KubectlError
from tests.e2e.testbed.operator import LEASE
from tests.e2e.testbed.proxy import Altered, Answer, Passage, forward
from tests.faults.lane import INTERVAL_SECONDS, PINS
from tuner.model.workload import GOGC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from tests.e2e.testbed.proxy import Fate, FaultProxy, Request
    from tests.faults.lane import Lane

TAKE_OVER_SECONDS = 18.0
LEASE_SECONDS = 15.0
BACK_OFF_SECONDS = 10.0
"""At the longest, before a mirror of the API server tries again: the same with any interval."""
_HOUR_SECONDS = 3600.0
_TOKEN_READ_AGAIN_SECONDS = 65.0
"""The Kubernetes client reads a token's file again once a minute."""


class Place(Enum):
    """Which lane a fault happens on."""

    ALL = "all lanes at once, as it is in what they share"
    API = "the one whose replicas reach the API server through proxies"
    PROMETHEUS = "the one whose replicas reach Prometheus through proxies"
    OBJECTS = "the one with a second namespace"
    POD = "the one whose replicas have a pod's service account"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault.

    Attributes:
        name: for people.
        place: where it happens.
        seconds: how long it lasts once it has begun.
        inflict: a context that lasts as long as the fault; hands over the service that the next
            order is for, or None for the one whose turn it is.
        allowed_seconds: until the loop decides again, from its end.
        takes_over_seconds: until another replica leads, from its beginning; None: none has to.
        anyone: whether the one that led before may be the one that leads again.
        blind: whether nothing may be written while it lasts, nor for a rate window afterwards.
        ordered_after: whether there is something to write only after its end, not from its
            beginning.
    """

    name: str
    place: Place
    seconds: float
    inflict: Callable[[Sequence[Lane]], AbstractContextManager[str | None]]
    allowed_seconds: float = 2 * INTERVAL_SECONDS
    takes_over_seconds: float | None = None
    anyone: bool = False
    blind: bool = False
    ordered_after: bool = False


# Replicas


@contextlib.contextmanager
def _killed(lanes: Sequence[Lane]) -> Iterator[None]:
    for lane in lanes:
        lane.leader().operator.process.kill()
    yield


@contextlib.contextmanager
def _frozen(lanes: Sequence[Lane]) -> Iterator[None]:
    leaders = [lane.leader() for lane in lanes]
    for each in leaders:
        each.operator.process.pause()
    try:
        yield
    finally:
        for each in leaders:
            each.operator.process.resume()


@contextlib.contextmanager
def _lease_deleted(lanes: Sequence[Lane]) -> Iterator[None]:
    for lane in lanes:
        lane.cluster.kubectl("delete", "lease", LEASE, "--namespace", lane.tenant.namespace)
        lane.wait(lane.leaderless, "nobody leading")
    yield


# The API server


@contextlib.contextmanager
def _asked(
    proxies: Sequence[FaultProxy], rule: Callable[[Request], Fate], *, silent: bool = False
) -> Iterator[None]:
    """Ask a rule about every request, and leave what is open half-open where nobody is there."""
    for each in proxies:
        each.ask(rule)
        if silent:
            each.fall_silent()
    try:
        yield
    finally:
        for each in proxies:
            each.relent()


def _nothing(_request: Request) -> Fate:
    return Passage.HANG


def _api(lanes: Sequence[Lane]) -> list[FaultProxy]:
    return [each.api for lane in lanes for each in lane.replicas if each.api is not None]


def _status(code: int, reason: str) -> Answer:
    """A refusal as the API server words it."""
    body = {"kind": "Status", "status": "Failure", "reason": reason, "code": code}
    return Answer(code, json.dumps({**body, "message": f"made up: {reason}"}).encode())


def _answering(code: int, reason: str) -> Callable[[Sequence[Lane]], AbstractContextManager[None]]:
    refusal = _status(code, reason)
    return lambda lanes: _asked(_api(lanes), lambda _: refusal)


def _conflict(request: Request) -> Fate:
    """Refuse every write of a workload or a record, as if others were always faster."""
    contested = "/deployments/" in request.path or "/gctunings/" in request.path
    if request.method in {"PATCH", "PUT"} and contested:
        return _status(409, "Conflict")
    return Passage.FORWARD


def _conflicts(lanes: Sequence[Lane]) -> AbstractContextManager[None]:
    return _asked(_api(lanes), _conflict)


def _hangs(lanes: Sequence[Lane]) -> AbstractContextManager[None]:
    return _asked(_api(lanes), _nothing, silent=True)


def _leader_cut_off(lanes: Sequence[Lane]) -> AbstractContextManager[None]:
    leading = [lane.leader().api for lane in lanes]
    proxies = [each for each in leading if each is not None]
    return _asked(proxies, _nothing, silent=True)


def _half_open(lanes: Sequence[Lane]) -> AbstractContextManager[None]:
    return _asked(_api(lanes), forward, silent=True)


def _late(*, overruled: bool) -> Callable[[Sequence[Lane]], AbstractContextManager[str]]:
    """The leader's write stays on the way until another one has taken over.

    Args:
        overruled: whether what it was for is taken back meanwhile, so that its plan is given up;
            else the other one carries it out.
    """

    @contextlib.contextmanager
    def inflict(lanes: Sequence[Lane]) -> Iterator[str]:
        (lane,) = lanes
        service, neighbour = (each.name for each in lane.tenant.services)
        leader = lane.leader()
        proxy, user = leader.api, leader.operator.user
        if proxy is None:
            raise RuntimeError(f"lane {lane.name} has no proxies before the API server")
        reached, released = threading.Event(), threading.Event()

        def withhold(request: Request) -> Fate:
            if not reached.is_set() and _obeys(request, service):
                reached.set()
                released.wait()
                return Passage.FORWARD
            return Passage.HANG if reached.is_set() else Passage.FORWARD

        proxy.ask(withhold)
        try:
            order = lane.order(service)
            lane.wait(reached.is_set, "a write on its way")
            proxy.fall_silent()
            if overruled:
                lane.order(service)
            yield neighbour
            if overruled:
                lane.wait(lambda: not lane.planned(order), "the plan given up")
                if lane.written(order) is not None:
                    raise RuntimeError(f"lane {lane.name}: the order was written, not given up")
            else:
                lane.wait(lambda: lane.written(order) is not None, "it written by the other")
            now = datetime.now(tz=UTC)
            released.set()

            def refused() -> bool:
                late = [each for each in lane.judgement().refused if each.at >= now]
                return (user, service) in {(each.user, each.name) for each in late}

            lane.wait(refused, "the late write refused")
        finally:
            released.set()
            proxy.relent()

    return inflict


def _obeys(request: Request, service: str) -> bool:
    """Whether it writes what an order asks for."""
    if request.method != "PATCH" or not urlsplit(request.path).path.endswith(f"/{service}"):
        return False
    template = json.loads(request.body).get("spec", {}).get("template", {})
    containers = template.get("spec", {}).get("containers", [])
    entries = [entry for each in containers for entry in each.get("env", [])]
    return any({"name": GOGC, "value": str(pin)} in entries for pin in PINS)


@contextlib.contextmanager
def _api_server_stopped(lanes: Sequence[Lane]) -> Iterator[None]:
    for lane in lanes:
        lane.order()  # a write may be on its way just then
    server = lanes[0].cluster.control_plane.apiserver
    server.stop()  # killed, it might not log what it did last
    try:
        yield
    finally:
        server.start()


@contextlib.contextmanager
def _etcd_restarted(lanes: Sequence[Lane]) -> Iterator[None]:
    for lane in lanes:
        lane.order()
    etcd = lanes[0].cluster.control_plane.etcd
    etcd.kill()
    try:
        yield
    finally:
        etcd.start()


# Prometheus


@contextlib.contextmanager
def _prometheus_stopped(lanes: Sequence[Lane]) -> Iterator[None]:
    prometheus = lanes[0].cluster.prometheus
    prometheus.stop()
    try:
        yield
    finally:
        prometheus.start()


def _answers(
    rule: Callable[[Request], Fate],
) -> Callable[[Sequence[Lane]], AbstractContextManager[None]]:
    return lambda lanes: _asked(
        [
            each.prometheus
            for lane in lanes
            for each in lane.replicas
            if each.prometheus is not None
        ],
        rule,
    )


def _log_in_page(_request: Request) -> Fate:
    return Answer(200, b"<!doctype html><title>Sign in</title>", "text/html")


def _altered(request: Request, alter: Callable[[dict[str, Any]], None]) -> Fate:
    """Make something else of an answer."""

    def answer(body: bytes) -> bytes:
        content: dict[str, Any] = json.loads(body)
        alter(content)
        return json.dumps(content).encode()

    return Altered(request.path, request.body, answer)


def partial(request: Request) -> Fate:
    """Every second series is missing, and a warning says so."""

    def alter(content: dict[str, Any]) -> None:
        content["data"]["result"] = content["data"]["result"][::2]
        content["warnings"] = ["a store could not be reached"]

    return _altered(request, alter)


def not_a_number(request: Request) -> Fate:
    """Every value is NaN."""

    def alter(content: dict[str, Any]) -> None:
        for series in content["data"]["result"]:
            series["value"][1] = "NaN"

    return _altered(request, alter)


def an_hour_ahead(request: Request) -> Fate:
    """What was scraped carries times an hour from now: asked for now, it answers for back then."""
    parts = urlsplit(request.path)
    query = dict(parse_qsl(parts.query))
    body = dict(parse_qsl(request.body.decode()))
    for parameters in (query, body):
        if "time" in parameters:
            parameters["time"] = f"{float(parameters['time']) - _HOUR_SECONDS:.3f}"
    path = parts._replace(query=urlencode(query)).geturl()
    return Altered(path, urlencode(body).encode())


# What they work on


@contextlib.contextmanager
def _token_rotated(lanes: Sequence[Lane]) -> Iterator[None]:
    for lane in lanes:
        for each in lane.replicas:
            if each.account is None:
                raise RuntimeError(f"lane {lane.name} has no service account's files")
            each.account.rotate()
    time.sleep(_TOKEN_READ_AGAIN_SECONDS)
    for lane in lanes:
        for each in lane.replicas:
            if each.account is not None:
                each.account.revoke()
    yield


@contextlib.contextmanager
def _overrides_deleted(lanes: Sequence[Lane]) -> Iterator[None]:
    for lane in lanes:
        lane.order()
        lane.cluster.kubectl("delete", "configmap", OVERRIDES, "--namespace", lane.tenant.namespace)
    try:
        yield
    finally:
        for lane in lanes:
            lane.lay_down()


@contextlib.contextmanager
def _workload_deleted(lanes: Sequence[Lane]) -> Iterator[str]:
    """In mid-trial; then it is made anew, under the same name."""
    (lane,) = lanes
    order = lane.order()
    lane.wait(lambda: lane.written(order) is not None, "a change under way")
    service = next(each for each in lane.tenant.services if each.name == order.service)
    lane.cluster.kubectl("delete", service.reference, "--namespace", service.namespace)
    yield order.service
    lane.cluster.apply(service.manifests())
    lane.cluster.wait_for_rollout(service.namespace, service.reference)


@contextlib.contextmanager
def _namespace_terminating(lanes: Sequence[Lane]) -> Iterator[None]:
    (lane,) = lanes
    (doomed,) = lane.beside
    cluster, name = lane.cluster, "keeps-it-terminating"
    metadata = {"name": name, "namespace": doomed.namespace, "finalizers": ["example.com/later"]}
    cluster.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}])
    cluster.kubectl("delete", "namespace", doomed.namespace, "--wait=false")
    try:
        yield
    finally:
        with contextlib.suppress(KubectlError):
            cluster.kubectl(
                *("patch", "configmap", name, "--namespace", doomed.namespace, "--type=merge"),
                *("--patch", json.dumps({"metadata": {"finalizers": None}})),
            )


_SHORT, _LONG = 30.0, 60.0
_AFTER_API = BACK_OFF_SECONDS + 2 * INTERVAL_SECONDS
_AFTER_TAKE_OVER = TAKE_OVER_SECONDS + 2 * INTERVAL_SECONDS

FAULTS: Sequence[Fault] = (
    # In what all lanes share
    Fault(
        name="API server stopped",
        place=Place.ALL,
        seconds=_LONG,
        inflict=_api_server_stopped,
        allowed_seconds=_AFTER_API,
        ordered_after=True,
    ),
    Fault(
        name="etcd restarted",
        place=Place.ALL,
        seconds=10.0,
        inflict=_etcd_restarted,
        allowed_seconds=_AFTER_API,
        ordered_after=True,
    ),
    Fault(
        name="Prometheus stopped",
        place=Place.ALL,
        seconds=_SHORT,
        inflict=_prometheus_stopped,
        blind=True,
    ),
    # Replicas
    Fault(
        name="leader killed",
        place=Place.POD,
        seconds=0.0,
        inflict=_killed,
        allowed_seconds=_AFTER_TAKE_OVER,
        takes_over_seconds=TAKE_OVER_SECONDS,
    ),
    Fault(
        name="leader frozen, then continued",
        place=Place.POD,
        seconds=_SHORT,
        inflict=_frozen,
        takes_over_seconds=TAKE_OVER_SECONDS,
    ),
    Fault(
        name="Lease deleted",
        place=Place.POD,
        seconds=0.0,
        inflict=_lease_deleted,
        allowed_seconds=_AFTER_TAKE_OVER + LEASE_SECONDS,
        takes_over_seconds=TAKE_OVER_SECONDS + LEASE_SECONDS,
        anyone=True,
    ),
    # The way to the API server
    Fault(
        name="API server answers 429",
        place=Place.API,
        seconds=_SHORT,
        inflict=_answering(429, "TooManyRequests"),
        allowed_seconds=_AFTER_API,
    ),
    Fault(
        name="API server answers 500",
        place=Place.API,
        seconds=_SHORT,
        inflict=_answering(500, "InternalError"),
        allowed_seconds=_AFTER_API,
    ),
    Fault(
        name="API server answers 409 to every write",
        place=Place.API,
        seconds=_SHORT,
        inflict=_conflicts,
    ),
    Fault(
        name="API server hanging",
        place=Place.API,
        seconds=_SHORT,
        inflict=_hangs,
        allowed_seconds=_AFTER_API,
    ),
    Fault(
        name="leader cut off from the API server",
        place=Place.API,
        seconds=_SHORT,
        inflict=_leader_cut_off,
        takes_over_seconds=TAKE_OVER_SECONDS,
    ),
    Fault(
        name="leader's write delivered after another took over",
        place=Place.API,
        seconds=20.0,
        inflict=_late(overruled=False),
        takes_over_seconds=TAKE_OVER_SECONDS,
    ),
    Fault(
        name="leader's write delivered after its plan was given up",
        place=Place.API,
        seconds=20.0,
        inflict=_late(overruled=True),
        takes_over_seconds=TAKE_OVER_SECONDS,
    ),
    Fault(name="watches half-open", place=Place.API, seconds=40.0, inflict=_half_open),
    # The answers of Prometheus
    Fault(
        name="Prometheus hanging",
        place=Place.PROMETHEUS,
        seconds=_SHORT,
        inflict=_answers(_nothing),
        blind=True,
    ),
    Fault(
        name="Prometheus answers with a log-in page",
        place=Place.PROMETHEUS,
        seconds=_SHORT,
        inflict=_answers(_log_in_page),
        blind=True,
    ),
    Fault(
        name="Prometheus answers in part, with warnings",
        place=Place.PROMETHEUS,
        seconds=_SHORT,
        inflict=_answers(partial),
        blind=True,
    ),
    Fault(
        name="Prometheus answers NaN",
        place=Place.PROMETHEUS,
        seconds=_SHORT,
        inflict=_answers(not_a_number),
        blind=True,
    ),
    Fault(
        name="clock of Prometheus an hour ahead",
        place=Place.PROMETHEUS,
        seconds=_SHORT,
        inflict=_answers(an_hour_ahead),
        blind=True,
    ),
    # What they work on
    Fault(
        name="service account's token rotated",
        place=Place.POD,
        seconds=15.0,
        inflict=_token_rotated,
    ),
    Fault(
        name="overrides deleted and made anew",
        place=Place.OBJECTS,
        seconds=20.0,
        inflict=_overrides_deleted,
        ordered_after=True,
    ),
    Fault(
        name="workload deleted in mid-trial and made anew",
        place=Place.OBJECTS,
        seconds=10.0,
        inflict=_workload_deleted,
        ordered_after=True,
    ),
    Fault(
        name="namespace terminating",
        place=Place.OBJECTS,
        seconds=20.0,
        inflict=_namespace_terminating,
    ),
)
