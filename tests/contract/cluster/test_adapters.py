"""Inventory, records and actuator, against answers that a cluster seldom gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.contract.cluster.conftest import (
    DB,
    DEPLOYMENTS,
    OF_SHOP,
    RECORD,
    RECORDS,
    STATEFUL_SETS,
    WEB,
)
from tests.contract.cluster.objects import gctuning
from tests.contract.cluster.server import (
    FakeApiServer,
    Hang,
    Stream,
    json_reply,
    page,
    refused,
    status_object,
)
from tests.examples import moved
from tests.unit.cluster.objects import deployment, stateful_set
from tuner.cluster import ClusterActuator, ClusterInventory, ClusterRecords, Upkeep
from tuner.cluster.records import status_of
from tuner.errors import ConflictError, GoneError, RefusedError, UnavailableError
from tuner.model.reason import Reason
from tuner.model.record import Record, Verb
from tuner.model.trial import Change, Setting
from tuner.model.workload import Kind, Mode, Workload, WorkloadKey
from tuner.ports import AlteredError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tuner.cluster import Api

KEY = WorkloadKey("shop", Kind.DEPLOYMENT, "web")
DB_KEY = WorkloadKey("shop", Kind.STATEFUL_SET, "db")
RAISE = moved(None, "200")
RECORD_OF_WEB = Record(Mode.AUTO, Verb.HOLD, Reason.AT_TARGET, "fine", reverted_at=1700000000.25)
STATUS = status_of(RECORD_OF_WEB)
OTHER = msgspec.structs.replace(RECORD_OF_WEB, message="other")
CONFLICT = refused(409, "Conflict", "the object has been modified")
NOT_FOUND = refused(404, "NotFound", "not found")


@dataclass
class Side:
    """The adapters, with both views synced."""

    inventory: ClusterInventory
    records: ClusterRecords
    actuator: ClusterActuator
    reports: list[str]

    @property
    def web(self) -> Workload:
        return self.inventory.workloads()[KEY]

    @property
    def db(self) -> Workload:
        return self.inventory.workloads()[DB_KEY]


@pytest.fixture
def side(server: FakeApiServer, api: Api) -> Iterator[Callable[..., Side]]:
    started: list[Side] = []

    def start(*records: dict[str, Any], **web: Any) -> Side:  # noqa: ANN401 - of deployment()
        reports: list[str] = []
        server.on("GET", DEPLOYMENTS, page(deployment(**web), version=20))
        server.on("GET", STATEFUL_SETS, page(stateful_set(), version=20))
        server.on("GET", RECORDS, page(*records, version=20))
        upkeep = Upkeep(stale_after_seconds=120.0, report=reports.append)
        inventory = ClusterInventory(api, upkeep)
        kept = ClusterRecords(api, upkeep, inventory)
        started.append(Side(inventory, kept, ClusterActuator(api), reports))
        inventory.start()
        kept.start()
        assert inventory.wait_synced(60.0)
        assert kept.wait_synced(60.0)
        return started[-1]

    yield start
    for each in started:
        each.inventory.stop()
        each.records.stop()


def written(server: FakeApiServer) -> list[str]:
    return [
        f"{each.method} {each.path}"
        for method in ("POST", "PUT", "PATCH", "DELETE")
        for each in server.asked(method)
    ]


def test_a_workload_that_is_being_deleted_is_gone(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    deleting: dict[str, Any] = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    server.on("GET", WEB, json_reply(deployment(**deleting)))
    opened = side(**deleting)
    assert opened.inventory.workloads().keys() == {DB_KEY}
    with pytest.raises(GoneError, match="being deleted"):
        opened.inventory.fetch(KEY)


def test_a_fetch_that_fails_says_of_what(server: FakeApiServer, side: Callable[..., Side]) -> None:
    server.on("GET", WEB, NOT_FOUND, json_reply({"kind": "Nonsense"}))
    opened = side()
    with pytest.raises(GoneError, match="get deployment shop/web: 404"):
        opened.inventory.fetch(KEY)
    with pytest.raises(UnavailableError, match="get deployment shop/web: the answer cannot be"):
        opened.inventory.fetch(KEY)


def test_a_write_names_one_entry_at_one_version_and_leaves_a_cause(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    answer = deployment(version=21, env=[{"name": "GOGC", "value": "200"}])
    server.on("PATCH", WEB, json_reply(answer))
    opened = side()
    assert opened.actuator.write(opened.web, RAISE, "GOGC unset -> 200").resource_version == "21"
    (asked,) = server.asked("PATCH")
    assert asked.query == {"fieldManager": "gc-tuner"}
    assert asked.headers["content-type"] == "application/strategic-merge-patch+json"
    assert asked.json == {
        "metadata": {
            "resourceVersion": "10",
            "annotations": {"kubernetes.io/change-cause": "gc-tuner: GOGC unset -> 200"},
        },
        "spec": {
            "template": {
                "spec": {"containers": [{"name": "app", "env": [{"name": "GOGC", "value": "200"}]}]}
            }
        },
    }


def test_both_kinds_are_seen_and_fetched_each_under_its_own_address(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    server.on("GET", WEB, json_reply(deployment(version=21)))
    server.on("GET", DB, json_reply(stateful_set(version=22)), NOT_FOUND)
    opened = side()
    assert opened.inventory.workloads().keys() == {KEY, DB_KEY}
    assert opened.inventory.fetch(KEY).resource_version == "21"
    assert opened.inventory.fetch(DB_KEY).resource_version == "22"
    with pytest.raises(GoneError, match="get statefulset shop/db: 404"):
        opened.inventory.fetch(DB_KEY)


@pytest.mark.parametrize("missing", [DEPLOYMENTS, STATEFUL_SETS])
def test_a_kind_that_may_not_be_listed_is_no_empty_view(
    server: FakeApiServer, api: Api, missing: str
) -> None:
    for path in (DEPLOYMENTS, STATEFUL_SETS):
        forbidden = refused(403, "Forbidden", "cannot list")
        server.on("GET", path, forbidden if path == missing else page(version=20))
    inventory = ClusterInventory(api, Upkeep(stale_after_seconds=120.0, report=pytest.fail))
    inventory.start()
    server.wait_asked("GET", 2, missing)
    with pytest.raises(UnavailableError, match="not listed yet"):
        inventory.workloads()
    assert not inventory.wait_synced(0.0)
    inventory.stop()


def test_a_stateful_set_is_written_and_its_cause_cleared_as_a_deployments_is(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    cause = {"kubernetes.io/change-cause": "gc-tuner: GOGC unset -> 200"}
    answer = stateful_set(
        version=21, env=[{"name": "GOGC", "value": "200"}], metadata={"annotations": cause}
    )
    server.on("PATCH", DB, json_reply(answer), json_reply(stateful_set(version=22)))
    opened = side()
    opened.actuator.clear_cause(opened.actuator.write(opened.db, RAISE, "GOGC unset -> 200"))
    wrote, cleared = server.asked("PATCH")
    assert wrote.headers["content-type"] == "application/strategic-merge-patch+json"
    assert wrote.json == {
        "metadata": {"resourceVersion": "10", "annotations": cause},
        "spec": {
            "template": {
                "spec": {"containers": [{"name": "app", "env": [{"name": "GOGC", "value": "200"}]}]}
            }
        },
    }
    assert cleared.json["metadata"] == {
        "resourceVersion": "21",
        "annotations": {"kubernetes.io/change-cause": None},
    }


def test_the_barrier_is_written_under_the_name_that_the_workload_has_for_it(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    named: dict[str, Any] = {"annotations": {"gc-tuner.io/barrier-env": "MAX_IN_FLIGHT"}}
    env = [{"name": "GOGC", "value": "200"}, {"name": "MAX_IN_FLIGHT", "value": "64"}]
    server.on("PATCH", WEB, json_reply(deployment(version=21, env=env, metadata=named)))
    opened = side(metadata=named)
    both = Change("app", (Setting("GOGC", None, "200"), Setting("BARRIER", None, "64")))
    answer = opened.actuator.write(opened.web, both, "x")
    (container,) = server.asked("PATCH")[0].json["spec"]["template"]["spec"]["containers"]
    assert container["env"] == env
    assert answer.containers[0].literal("BARRIER") == "64"


@pytest.mark.parametrize(
    "annotations", [{}, {"gc-tuner.io/barrier-env": "GOGC"}, {"gc-tuner.io/barrier-env": "A=B"}]
)
def test_a_barrier_without_a_name_of_its_own_is_not_written(
    server: FakeApiServer, side: Callable[..., Side], annotations: dict[str, str]
) -> None:
    opened = side(metadata={"annotations": annotations})
    with pytest.raises(RefusedError, match="name one with the annotation"):
        opened.actuator.write(opened.web, moved(None, "64", "BARRIER"), "x")
    assert written(server) == []


def test_a_removal_deletes_the_entry_and_replaces_our_own_cause(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    server.on("PATCH", WEB, json_reply(deployment(version=21)))
    cause = {"kubernetes.io/change-cause": "gc-tuner: earlier"}
    opened = side(env=[{"name": "GOGC", "value": "200"}], metadata={"annotations": cause})
    opened.actuator.write(opened.web, moved("200", None), "back")
    patch = server.asked("PATCH")[0].json
    (container,) = patch["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "GOGC", "$patch": "delete"}]
    assert patch["metadata"]["annotations"] == {"kubernetes.io/change-cause": "gc-tuner: back"}


def test_a_cause_of_the_users_own_is_left_alone(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    server.on("PATCH", WEB, json_reply(deployment(env=[{"name": "GOGC", "value": "200"}])))
    opened = side(metadata={"annotations": {"kubernetes.io/change-cause": "release 7"}})
    opened.actuator.write(opened.web, RAISE, "GOGC unset -> 200")
    opened.actuator.clear_cause(opened.web)
    assert len(server.asked("PATCH")) == 1
    assert server.asked("PATCH")[0].json["metadata"] == {"resourceVersion": "10"}


@pytest.mark.parametrize(
    ("stands", "asked"),
    [
        ("gc-tuner: earlier", {"annotations": {"kubernetes.io/change-cause": None}}),
        ("release 7", {}),
        (None, {}),
    ],
)
def test_a_change_without_a_cause_takes_ours_away_and_brings_none(
    server: FakeApiServer,
    side: Callable[..., Side],
    stands: str | None,
    asked: dict[str, Any],
) -> None:
    server.on("PATCH", WEB, json_reply(deployment(version=21)))
    annotations = {} if stands is None else {"kubernetes.io/change-cause": stands}
    opened = side(env=[{"name": "GOGC", "value": "200"}], metadata={"annotations": annotations})
    opened.actuator.write(opened.web, moved("200", None), None)
    (patch,) = server.asked("PATCH")
    assert patch.json["metadata"] == {"resourceVersion": "10", **asked}


@pytest.mark.parametrize("limit", ["1GiB", "943718400", "943718400B", "off", "900MiB"])
def test_a_limit_that_stood_there_before_is_written_in_any_of_gos_units(
    server: FakeApiServer, side: Callable[..., Side], limit: str
) -> None:
    env = [{"name": "GOMEMLIMIT", "value": limit}]
    server.on("PATCH", WEB, json_reply(deployment(version=21, env=env)))
    opened = side()
    answer = opened.actuator.write(opened.web, moved("700MiB", limit, "GOMEMLIMIT"), None)
    assert answer.containers[0].literal("GOMEMLIMIT") == limit


def test_our_cause_is_cleared_at_the_version_that_was_seen(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    server.on("PATCH", WEB, json_reply(deployment(version=21)), CONFLICT)
    opened = side(metadata={"annotations": {"kubernetes.io/change-cause": "gc-tuner: x"}})
    opened.actuator.clear_cause(opened.web)
    assert server.asked("PATCH")[0].json == {
        "metadata": {
            "resourceVersion": "10",
            "annotations": {"kubernetes.io/change-cause": None},
        }
    }
    with pytest.raises(ConflictError):
        opened.actuator.clear_cause(opened.web)


def test_a_withdrawal_makes_another_version_and_leaves_nothing_behind(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    server.on("PATCH", WEB, json_reply(deployment(version=21)), json_reply(deployment(version=22)))
    opened = side()
    opened.actuator.withdraw(opened.web)
    assert [each.json for each in server.asked("PATCH")] == [
        {"metadata": {"resourceVersion": version, "labels": {"gc-tuner.io/withdrawn": text}}}
        for version, text in (("10", "true"), ("21", None))
    ]


def test_a_withdrawal_that_makes_no_other_version_is_none(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    server.on("PATCH", WEB, json_reply(deployment(version=10)))
    opened = side()
    with pytest.raises(RefusedError, match=r"gc-tuner.io/withdrawn makes no other version"):
        opened.actuator.withdraw(opened.web)


def test_a_withdrawal_of_what_changed_meanwhile_is_a_conflict(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    server.on("PATCH", WEB, json_reply(deployment(version=21)), CONFLICT)
    opened = side()
    with pytest.raises(ConflictError):
        opened.actuator.withdraw(opened.web)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GOGC", "0"),
        ("GOGC", "330.0"),
        ("GOGC", "-1"),
        ("GOGC", "0200"),
        ("GOGC", "200\n"),
        ("GOGC", "1000000"),
        ("GOGC", ""),
        ("GOGC", "OFF"),
        ("GOMEMLIMIT", "715Mi"),
        ("GOMEMLIMIT", "715.5MiB"),
        ("GOMEMLIMIT", "0715"),
        ("PATH", "200"),
    ],
)
def test_what_is_not_well_formed_does_not_leave_the_house(
    server: FakeApiServer, side: Callable[..., Side], name: str, value: str
) -> None:
    opened = side()
    with pytest.raises(RefusedError):
        opened.actuator.write(opened.web, moved(None, value, name), "no")
    assert written(server) == []


def test_a_container_that_is_not_there_is_not_added(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    opened = side()
    with pytest.raises(RefusedError, match="no container 'other'"):
        opened.actuator.write(opened.web, Change("other", (Setting("GOGC", None, "200"),)), "no")
    assert written(server) == []


@pytest.mark.parametrize(
    ("env", "change"),
    [
        ([{"name": "GOGC", "value": "100"}], RAISE),
        ([], RAISE),
        ([{"name": "GOGC", "value": "200"}] * 2, RAISE),
        ([{"name": "GOGC", "value": "50"}], moved("200", None)),
    ],
)
def test_an_answer_that_shows_something_else_is_a_refusal_that_carries_it(
    server: FakeApiServer, side: Callable[..., Side], env: list[Any], change: Change
) -> None:
    server.on("PATCH", WEB, json_reply(deployment(version=21, env=env)))
    opened = side()
    with pytest.raises(AlteredError, match="the API server's answer has") as caught:
        opened.actuator.write(opened.web, change, "x")
    assert caught.value.answer.resource_version == "21"


def test_a_conflict_is_told_as_one(server: FakeApiServer, side: Callable[..., Side]) -> None:
    server.on("PATCH", WEB, CONFLICT)
    opened = side()
    with pytest.raises(ConflictError, match="patch deployment shop/web: 409 Conflict: the object"):
        opened.actuator.write(opened.web, RAISE, "x")


def test_a_write_without_an_answer_is_not_known_to_have_failed(
    server: FakeApiServer, open_api: Callable[[float], Api], side: Callable[..., Side]
) -> None:
    server.on("PATCH", WEB, Hang())
    opened = side()
    with pytest.raises(UnavailableError, match="patch deployment shop/web: no answer in time"):
        ClusterActuator(open_api(0.2)).write(opened.web, RAISE, "x")
    assert len(server.asked("PATCH")) == 1


def test_a_first_record_is_created_then_filled_and_read_at_once(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    server.on("GET", WEB, json_reply(deployment()))
    server.on("POST", OF_SHOP, json_reply(gctuning(version=21), 201))
    server.on("PUT", f"{RECORD}/status", json_reply(gctuning(version=22, status=STATUS)))
    opened = side()
    opened.records.save(opened.web, RECORD_OF_WEB)
    assert opened.records.all() == {KEY: RECORD_OF_WEB}
    created, filled = server.asked("POST")[0], server.asked("PUT")[0]
    assert created.query == filled.query == {"fieldManager": "gc-tuner"}
    made = gctuning()
    for absent in ("uid", "resourceVersion"):
        del made["metadata"][absent]
    assert created.json == made
    assert filled.json["metadata"]["resourceVersion"] == "21"
    assert filled.json["status"] == STATUS
    assert STATUS["revertedAt"] == "2023-11-14T22:13:20.250000Z"


def test_the_record_of_a_stateful_set_is_owned_by_it(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    path = f"{OF_SHOP}/statefulset-db"
    answer = gctuning("db", kind="StatefulSet", version=22, owner_uid="uid-db", status=STATUS)
    server.on("GET", DB, json_reply(stateful_set()))
    server.on("POST", OF_SHOP, json_reply({**answer, "status": {}}, 201))
    server.on("PUT", f"{path}/status", json_reply(answer))
    opened = side()
    opened.records.save(opened.db, RECORD_OF_WEB)
    assert opened.records.all() == {DB_KEY: RECORD_OF_WEB}
    assert written(server) == [f"POST {OF_SHOP}", f"PUT {path}/status"]
    created = server.asked("POST")[0].json
    assert created["spec"] == answer["spec"]
    assert created["metadata"]["ownerReferences"] == answer["metadata"]["ownerReferences"]


def test_a_known_record_takes_one_write(server: FakeApiServer, side: Callable[..., Side]) -> None:
    answer = gctuning(version=22, status=status_of(OTHER))
    server.on("PUT", f"{RECORD}/status", json_reply(answer))
    opened = side(gctuning(status=STATUS))
    assert opened.records.all() == {KEY: RECORD_OF_WEB}
    opened.records.save(opened.web, OTHER)
    assert opened.records.all() == {KEY: OTHER}
    assert written(server) == [f"PUT {RECORD}/status"]


def test_on_a_conflict_ours_is_put_over_what_stands_there(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    answer = gctuning(version=32, status=status_of(OTHER))
    server.on("PUT", f"{RECORD}/status", CONFLICT, json_reply(answer))
    server.on("GET", RECORD, json_reply(gctuning(version=31, status=STATUS)))
    opened = side(gctuning(status=STATUS))
    opened.records.save(opened.web, OTHER)
    versions = [each.json["metadata"]["resourceVersion"] for each in server.asked("PUT")]
    assert versions == ["10", "31"]


def test_what_somebody_else_has_written_meanwhile_is_not_written_over(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    theirs = status_of(msgspec.structs.replace(OTHER, message="released"))
    server.on("PUT", f"{RECORD}/status", CONFLICT)
    server.on("GET", RECORD, json_reply(gctuning(version=31, status=theirs)))
    opened = side(gctuning(status=STATUS))
    with pytest.raises(ConflictError):
        opened.records.save(opened.web, OTHER)
    assert len(server.asked("PUT")) == 1


def test_a_conflict_that_does_not_end_is_told(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    server.on("PUT", f"{RECORD}/status", CONFLICT)
    server.on("GET", RECORD, json_reply(gctuning(version=31, status=STATUS)))
    opened = side(gctuning(status=STATUS))
    with pytest.raises(ConflictError):
        opened.records.save(opened.web, OTHER)


def test_a_record_that_somebody_else_just_created_is_filled(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    server.on("GET", WEB, json_reply(deployment()))
    server.on("POST", OF_SHOP, refused(409, "AlreadyExists", "already exists"))
    server.on("GET", RECORD, json_reply(gctuning(version=31)))
    server.on("PUT", f"{RECORD}/status", json_reply(gctuning(version=32, status=STATUS)))
    opened = side()
    opened.records.save(opened.web, RECORD_OF_WEB)
    assert opened.records.all() == {KEY: RECORD_OF_WEB}


def test_a_deleted_record_is_made_anew_while_its_workload_lives(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    server.on(
        "PUT",
        f"{RECORD}/status",
        NOT_FOUND,
        json_reply(gctuning(version=32, uid="new", status=STATUS)),
    )
    server.on("GET", WEB, json_reply(deployment()))
    server.on("POST", OF_SHOP, json_reply(gctuning(version=31, uid="new"), 201))
    opened = side(gctuning(status=STATUS))
    opened.records.save(opened.web, RECORD_OF_WEB)
    assert server.asked("PUT")[1].json["metadata"]["uid"] == "new"


@pytest.mark.parametrize("answer", [NOT_FOUND, json_reply(deployment(uid="another"))])
def test_no_record_comes_back_for_a_workload_that_is_gone(
    server: FakeApiServer,
    side: Callable[..., Side],
    answer: Any,  # noqa: ANN401 - a Reply
) -> None:
    server.on("PUT", f"{RECORD}/status", NOT_FOUND)
    server.on("GET", WEB, answer)
    opened = side(gctuning(status=STATUS))
    with pytest.raises(GoneError):
        opened.records.save(opened.web, OTHER)
    assert written(server) == [f"PUT {RECORD}/status"]
    assert opened.records.all() == {}


def test_the_record_of_an_earlier_workload_of_that_name_is_not_read_and_is_replaced(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    server.on("GET", WEB, json_reply(deployment()))
    server.on("DELETE", RECORD, json_reply({}))
    server.on("POST", OF_SHOP, json_reply(gctuning(version=31, uid="new"), 201))
    answer = gctuning(version=32, uid="new", status=status_of(OTHER))
    server.on("PUT", f"{RECORD}/status", json_reply(answer))
    opened = side(gctuning(status=STATUS, owner_uid="earlier"))
    assert opened.records.all() == {}
    opened.records.save(opened.web, OTHER)
    assert opened.records.all() == {KEY: OTHER}
    assert server.asked("DELETE")[0].json["preconditions"] == {"uid": "uid-record"}


@pytest.mark.parametrize(
    "status",
    [
        {**STATUS, "mode": "automatic"},
        {**STATUS, "revertedAt": "yesterday"},
        {**STATUS, "revertedAt": "2026-01-01T00:00:00"},
        {"message": "only"},
    ],
)
def test_a_record_edited_by_hand_is_told_once_and_counts_as_absent(
    side: Callable[..., Side], status: dict[str, Any]
) -> None:
    opened = side(gctuning(status=status))
    assert opened.records.all() == {}
    assert dict(opened.records.all()) == {}
    (report,) = opened.reports
    assert report.startswith("gctuning shop/deployment-web: its status cannot be read")


def test_a_record_that_cannot_be_read_is_not_told_again_by_the_next_list(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    expired = status_object(410, "Expired", "too old resource version")
    server.on("WATCH", RECORDS, Stream().send(("ERROR", expired)), Stream())
    opened = side(gctuning(status={"message": "only"}))
    server.wait_asked("WATCH", 2, RECORDS)
    assert len(server.asked("GET", RECORDS)) == 2
    assert len(opened.reports) == 1


def test_an_object_made_by_hand_beside_the_record_is_not_it(side: Callable[..., Side]) -> None:
    by_hand = gctuning(status=STATUS)
    by_hand["metadata"]["name"] = "mine"
    opened = side(by_hand)
    assert opened.records.all() == {}
    assert opened.reports == []


def test_a_record_of_which_the_server_dropped_a_part_is_not_saved(
    server: FakeApiServer, side: Callable[..., Side]
) -> None:
    pruned = {name: value for name, value in STATUS.items() if name != "revertedAt"}
    server.on("PUT", f"{RECORD}/status", json_reply(gctuning(version=22, status=pruned)))
    opened = side(gctuning())
    with pytest.raises(RefusedError, match="did not keep all of it"):
        opened.records.save(opened.web, RECORD_OF_WEB)


def test_a_missing_definition_is_named(server: FakeApiServer, api: Api) -> None:
    server.on("GET", RECORDS, refused(404, "NotFound", "the server could not find the resource"))
    upkeep = Upkeep(stale_after_seconds=120.0, report=pytest.fail)
    records = ClusterRecords(api, upkeep, ClusterInventory(api, upkeep))
    records.start()
    server.wait_asked("GET", 2, RECORDS)
    with pytest.raises(UnavailableError, match=r"gctunings: not listed yet: .*custom resource"):
        records.all()
    records.stop()
