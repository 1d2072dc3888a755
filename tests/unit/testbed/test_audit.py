from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.e2e.testbed.audit import AuditTail, read_audit_log

if TYPE_CHECKING:
    from pathlib import Path


def line(name: str, **further: object) -> str:
    entry = {
        "stage": "ResponseComplete",
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z",
        "user": {"username": "admin"},
        "verb": "update",
        "objectRef": {"resource": "leases", "name": name},
        "responseStatus": {"code": 200},
        "requestURI": "/",
        **further,
    }
    return json.dumps(entry) + "\n"


def test_a_tail_tells_each_event_once_and_waits_for_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    second = line("second")
    log.write_text(line("first") + second[:20])
    tail = AuditTail(log)
    assert [each.name for each in tail.read()] == ["first"]
    assert tail.read() == []
    with log.open("a") as more:
        more.write(second[20:])
    assert [each.name for each in tail.read()] == ["second"]
    assert [each.name for each in read_audit_log(log)] == ["first", "second"]


def test_bodies_are_told_where_the_policy_keeps_them(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    log.write_text(line("a", requestObject={"a": 1}, responseObject={"b": 2}) + line("b"))
    with_bodies, without = read_audit_log(log)
    assert (with_bodies.sent, with_bodies.answered) == ({"a": 1}, {"b": 2})
    assert (without.sent, without.answered) == (None, None)
