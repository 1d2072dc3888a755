"""A judge that misses a wrong write would let every fault pass."""

from __future__ import annotations

import copy
import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.testbed.audit import AuditEvent
from tests.faults.judge import Judgement, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FIRST, SECOND, ADMIN = "operator-a", "operator-b", "admin"
START = datetime(2026, 1, 1, tzinfo=UTC)
MOVE = {"name": "GOGC", "before": None, "after": "200"}
PLAN = {
    "phase": "Planned",
    "reason": "pinned",
    "change": {"container": "app", "settings": [MOVE]},
}


def deployment(env: Mapping[str, str], **spec: Any) -> dict[str, Any]:  # noqa: ANN401
    entries = [{"name": "PORT", "value": "80"}]
    entries += [{"name": name, "value": value} for name, value in env.items()]
    pod = {"containers": [{"name": "app", "env": entries}]}
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "uid": "1", "annotations": {}},
        "spec": {"replicas": 2, "template": {"spec": pod}, **spec},
    }


class Log:
    """An audit log that a test writes."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self._versions = itertools.count(1)
        self.add(ADMIN, "create", "deployments", deployment({}))

    def add(
        self,
        user: str,
        verb: str,
        resource: str,
        answered: Mapping[str, Any],
        *,
        sent: Mapping[str, Any] | None = None,
        code: int = 200,
    ) -> None:
        version = next(self._versions)
        body = copy.deepcopy(dict(answered))
        body.setdefault("metadata", {})["resourceVersion"] = str(version)
        self.events.append(
            AuditEvent(
                at=START + timedelta(seconds=version),
                user=user,
                user_agent="",
                verb=verb,
                resource=resource,
                subresource="status" if resource == "gctunings" else "",
                namespace="shop",
                name="" if verb == "create" else "web",
                code=code,
                uri="",
                sent={"metadata": {"resourceVersion": "1"}} if sent is None else sent,
                answered=body,
            )
        )

    def leads(self, user: str, verb: str = "update") -> Log:
        self.add(user, verb, "leases", {})
        return self

    def records(self, user: str, trial: Mapping[str, Any] | None) -> Log:
        target = {"kind": "Deployment", "name": "web"}
        status = {} if trial is None else {"trial": trial}
        body = {"spec": {"targetRef": target}, "status": status}
        self.add(user, "update", "gctunings", body)
        return self

    def writes(self, user: str, env: Mapping[str, str], **spec: Any) -> Log:  # noqa: ANN401
        self.add(user, "patch", "deployments", deployment(env, **spec))
        return self

    def judged(self) -> Judgement:
        return judge(self.events, {FIRST, SECOND})


def planned() -> Log:
    return Log().leads(FIRST, "create").records(FIRST, PLAN)


def test_what_is_written_by_the_leader_as_the_record_has_it_is_right() -> None:
    judged = planned().writes(FIRST, {"GOGC": "200"}).judged()
    assert (judged.wrong, judged.second_writers) == ([], [])
    (change,) = judged.changes
    assert change.moves == {("app", "GOGC"): (None, "200")}
    assert change.reason == "pinned"


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda log: log.writes(FIRST, {"GOGC": "400"}), "the record plans"),
        (lambda log: log.writes(FIRST, {"GOGC": "200", "GOMEMLIMIT": "1GiB"}), "the record plans"),
        (lambda log: log.writes(FIRST, {"GOGC": "200"}, replicas=3), "more than settings"),
        (
            lambda log: log.add(
                FIRST, "patch", "deployments", deployment({"GOGC": "200"}), sent={"metadata": {}}
            ),
            "whatever version",
        ),
        (
            lambda log: log.records(FIRST, None).writes(FIRST, {"GOGC": "200"}),
            "the record plans {}",
        ),
        (
            lambda log: log.records(FIRST, {**PLAN, "phase": "Settling"}).writes(
                FIRST, {"GOGC": "200"}
            ),
            "the record plans {}",
        ),
        (
            lambda log: log.writes(ADMIN, {"GOGC": "50"}).writes(FIRST, {"GOGC": "200"}),
            "the record plans",
        ),
    ],
)
def test_a_wrong_write_is_seen(write: Callable[[Log], Any], words: str) -> None:
    log = planned()
    write(log)
    (line,) = log.judged().wrong
    assert words in line


def test_a_write_to_what_was_never_seen_is_wrong() -> None:
    log = planned()
    log.events = [each for each in log.events if each.verb != "create" or each.user != ADMIN]
    (line,) = log.writes(FIRST, {"GOGC": "200"}).judged().wrong
    assert "how it stood before is not known" in line


def test_the_change_cause_is_taken_away_without_a_plan() -> None:
    log = planned().writes(FIRST, {"GOGC": "200"}).records(FIRST, None)
    judged = log.writes(FIRST, {"GOGC": "200"}).judged()
    assert judged.wrong == []
    assert len(judged.changes) == 1


def test_one_who_does_not_hold_the_lease_is_a_second_writer() -> None:
    log = planned().leads(SECOND).writes(SECOND, {"GOGC": "200"})
    assert log.judged().second_writers == []
    (line,) = log.records(FIRST, None).judged().second_writers
    assert "operator-a wrote record" in line
    assert "operator-b led" in line


def test_a_late_write_is_a_second_writers_though_it_be_as_planned() -> None:
    judged = planned().leads(SECOND).writes(FIRST, {"GOGC": "200"}).judged()
    assert judged.wrong == []
    assert len(judged.second_writers) == 1


def test_whoever_held_a_lease_that_was_deleted_may_write_until_the_new_holder_does() -> None:
    log = planned().leads(SECOND, "create").writes(FIRST, {"GOGC": "200"})
    assert log.judged().second_writers == []
    log.records(SECOND, None).records(FIRST, None)
    assert len(log.judged().second_writers) == 1


def test_what_was_refused_changed_nothing() -> None:
    log = planned().leads(SECOND)
    log.add(FIRST, "patch", "deployments", {"kind": "Status"}, code=409)
    judged = log.judged()
    assert judged.changes == []
    assert judged.second_writers == []
    assert [each.user for each in judged.refused] == [FIRST]


def test_it_goes_by_the_api_servers_order_and_not_by_the_logs() -> None:
    log = planned().writes(FIRST, {"GOGC": "200"}).leads(SECOND)
    log.events.reverse()
    judged = log.judged()
    assert (judged.wrong, judged.second_writers) == ([], [])
