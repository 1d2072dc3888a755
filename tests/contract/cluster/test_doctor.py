"""``gc-tuner doctor`` as a command, against an API server and a Prometheus of the test's."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.contract.cluster.conftest import kubeconfig
from tests.contract.cluster.server import Asked, FakeApiServer, Reply, json_reply, refused
from tests.contract.cluster.verb import Verb
from tests.contract.prometheus.server import Asked as Query
from tests.contract.prometheus.server import FakePrometheus, one, vector
from tests.contract.prometheus.server import Reply as Answer
from tests.examples import reading
from tests.unit.cluster.objects import deployment
from tuner.cluster.collection import RECORDS
from tuner.cluster.permissions import PERMISSIONS, election_permissions
from tuner.prometheus import PROBE

if TYPE_CHECKING:
    from collections.abc import Iterator

OPEN_API = f"/openapi/v3/apis/{RECORDS.api_version}"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
CRDS = Path(__file__).parents[3] / "charts" / "gc-tuner" / "crds" / "gctunings.yaml"
ALL = (*PERMISSIONS, *election_permissions(["gc-tuner"]))


def schema() -> dict[str, Any]:
    """The GCTuning that the API server describes: the one in the chart."""
    (version,) = yaml.safe_load(CRDS.read_text())["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


def described(tuning: dict[str, Any]) -> Reply:
    kind = {"group": "gc-tuner.io", "version": "v1alpha1", "kind": "GCTuning"}
    named = {**tuning, "x-kubernetes-group-version-kind": [kind]}
    schemas = {"io.gc-tuner.v1alpha1.GCTuning": named, "Other": {"type": "string"}}
    return json_reply({"openapi": "3.0.0", "components": {"schemas": schemas}})


@dataclass
class Doctor:
    """The command, and a cluster and a Prometheus in good health."""

    verb: Verb
    prometheus: FakePrometheus
    denied: set[tuple[str, str]] = field(default_factory=set)
    """Verbs and resources that are not permitted."""
    ahead_seconds: float = 0.0
    """Of Prometheus' clock."""
    missing: frozenset[str] = frozenset()
    """Quantities that Prometheus has not."""

    def well(self, tuning: Reply | None = None, orders: str | None = None) -> None:
        """All is well, but for what is given: the description of GCTuning, and overrides."""
        server = self.verb.server
        server.on("GET", "/version", json_reply({"gitVersion": "v1.36.3"}))
        server.on("GET", OPEN_API, tuning or described(schema()))
        server.on("POST", REVIEWS, self.review)
        label = {"labels": {"gc-tuner.io/mode": "auto"}}
        self.verb.finds(deployment(metadata=label), deployment("api"), records=())
        self.verb.orders(orders)
        self.prometheus.reply = self.answer

    def review(self, asked: Asked) -> Reply:
        wanted = asked.json["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, [wanted["resource"], wanted.get("subresource")]))
        return json_reply({"status": {"allowed": (wanted["verb"], resource) not in self.denied}})

    def answer(self, asked: Query) -> Answer:
        if asked.query == PROBE:
            now = time.time() + self.ahead_seconds
            return vector({"metric": {}, "value": [now, f"{now}"]})
        figures = {each.value: value for each, value in reading().items()}
        return vector(
            *(
                one("2" if asked.query.startswith("count") else str(value), quantity=quantity)
                for quantity, value in figures.items()
                if f'"{quantity}"' in asked.query and quantity not in self.missing
            )
        )

    def __call__(self, *arguments: str) -> tuple[int, dict[str, tuple[str, str]], str]:
        """Exit code, status and words by check, the verdict."""
        code, lines, err = self.verb("--output", "json", *arguments)
        said = json.loads("\n".join(lines))
        # A slow machine is told what is still being done.
        assert [line for line in err.splitlines() if not line.startswith("gc-tuner: still ")] == []
        found = {
            each["check"]: (each["status"], f"{each['found']}; {each['right']}")
            for each in said["findings"]
        }
        assert said["healthy"] is (code == 0)
        return code, found, said["verdict"]


@pytest.fixture
def doctor(
    server: FakeApiServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Doctor]:
    monkeypatch.setenv("POD_NAMESPACE", "ops")
    access = kubeconfig(tmp_path / "kubeconfig.json", server.url)
    with FakePrometheus().serving() as prometheus:
        options = ("--kubeconfig", str(access), "--prometheus-url", prometheus.url)
        yield Doctor(Verb("doctor", server, options, capsys, monkeypatch), prometheus)


def test_all_is_well(doctor: Doctor) -> None:
    doctor.well()
    code, found, verdict = doctor()
    assert (code, verdict) == (0, "healthy")
    assert found["API server"] == ("ok", "v1.36.3; ")
    assert found["records"][0] == "ok"
    assert [status for check, (status, _) in found.items() if check.startswith("may ")] == (
        ["ok"] * len({str(each) for each in ALL})
    )
    assert found["overrides"][1] == "ConfigMap ops/gc-tuner-overrides: none; "
    assert found["Prometheus' clock"][0] == "ok"
    assert found["workloads"] == ("ok", "1 workload: 1 auto; ")


def test_nothing_is_written_but_reviews_which_store_nothing(doctor: Doctor) -> None:
    doctor.well()
    doctor()
    assert {each.split()[0] for each in doctor.verb.written()} == {"POST"}
    assert {each.split()[1] for each in doctor.verb.written()} == {REVIEWS}


def test_each_permission_is_asked_for_where_it_is_needed(doctor: Doctor, tmp_path: Path) -> None:
    doctor.well()
    path = tmp_path / "config.yaml"
    path.write_text("kubernetes: {namespaces: [shop]}", encoding="utf-8")
    doctor("--config", str(path))
    asked = [each.json["spec"]["resourceAttributes"] for each in doctor.verb.server.asked("POST")]
    assert {"namespace": "shop", "verb": "patch", "group": "apps", "resource": "deployments"} in (
        asked
    )
    update = {
        "namespace": "shop",
        "verb": "update",
        "group": "gc-tuner.io",
        "resource": "gctunings",
        "subresource": "status",
    }
    assert update in asked
    overrides = {"namespace": "ops", "name": "gc-tuner-overrides"}
    assert {"verb": "watch", "resource": "configmaps", **overrides} in asked
    renew = {"verb": "update", "group": "coordination.k8s.io", "resource": "leases"}
    assert {"namespace": "ops", "name": "gc-tuner", **renew} in asked
    assert len(asked) == sum(len(each.verbs) for each in ALL)


def test_a_permission_that_is_missing_is_told_by_name(doctor: Doctor) -> None:
    doctor.well()
    doctor.denied = {("patch", "deployments"), ("list", "verticalpodautoscalers")}
    code, found, verdict = doctor()
    assert (code, verdict) == (1, "not healthy: 1 failed, 1 warning")
    status, words = found["may patch deployments.apps"]
    assert status == "failed"
    assert "may not patch in all namespaces" in words
    assert found["may list, watch verticalpodautoscalers.autoscaling.k8s.io"][0] == "warning"


def test_a_resource_definition_of_another_version_is_told_by_field(doctor: Doctor) -> None:
    old = schema()
    del old["properties"]["status"]["properties"]["sightings"]
    doctor.well(described(old))
    code, found, _ = doctor()
    assert code == 1
    assert found["records"][0] == "failed"
    assert "does not know status.sightings; it is of another version" in found["records"][1]


def test_a_resource_definition_that_is_not_there_is_told(doctor: Doctor) -> None:
    doctor.well(refused(404, "NotFound", "not found"))
    _, found, _ = doctor()
    assert found["records"] == (
        "failed",
        (
            "there is no resource GCTuning; "
            "kubectl apply --server-side --force-conflicts -f charts/gc-tuner/crds/"
        ),
    )


def test_overrides_with_a_mistake_are_told_by_entry(doctor: Doctor) -> None:
    doctor.well(orders="overrides: [{name: friday, match: {namespace: shop, name: web}}]")
    code, lines, _ = doctor.verb()
    assert code == 1
    assert any(
        "ConfigMap ops/gc-tuner-overrides: 1 entry is refused: friday" in each for each in lines
    )


def test_a_clock_that_is_off_and_a_quantity_that_is_missing_are_told(doctor: Doctor) -> None:
    doctor.well()
    doctor.ahead_seconds = 3600.0
    doctor.missing = frozenset({"cpu_cores"})
    code, found, _ = doctor()
    assert code == 1
    assert found["Prometheus' clock"][0] == "failed"
    assert "3600 s ahead of ours" in found["Prometheus' clock"][1]
    assert found["metrics"][0] == "warning"
    assert "not in the metrics: cpu_cores: shop/web" in found["metrics"][1]


def test_a_prometheus_that_refuses_leaves_the_cluster_to_be_looked_at(doctor: Doctor) -> None:
    doctor.well()
    doctor.prometheus.answer_all(Answer(b"no", 403))
    code, found, verdict = doctor()
    assert (code, verdict) == (1, "not healthy: 1 failed, 2 skipped")
    assert "cannot be used: HTTP 403: no; name an address" in found["Prometheus"][1]
    assert found["workloads"][0] == "ok"


def test_an_api_server_that_is_down_leaves_prometheus_to_be_looked_at(doctor: Doctor) -> None:
    doctor.verb.server.on("GET", "/version", refused(503, "ServiceUnavailable", "starting"))
    doctor.prometheus.reply = doctor.answer
    code, found, _ = doctor()
    assert code == 1
    assert found["API server"][0] == "failed"
    assert found["workloads"][0] == "skipped"
    assert found["Prometheus"][0] == "ok"


def test_lines_for_people_end_with_the_verdict(doctor: Doctor) -> None:
    doctor.well()
    code, lines, _ = doctor.verb()
    assert code == 0
    assert lines[0] == "ok       configuration: defaults, environment and flags"
    assert lines[-1].startswith("healthy")


def test_what_takes_a_while_says_what_it_is(doctor: Doctor, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("kubernetes: {timeout: 2500ms}", encoding="utf-8")
    doctor.prometheus.reply = doctor.answer
    code, lines, err = doctor.verb("--config", str(path))
    assert code == 1
    assert "failed   API server: get version: no answer in time" in lines[1]
    assert "gc-tuner: still asking the API server for its version …" in err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("interval: 15", "interval: 15 has no unit"),
        ("kubernetes: {context: absent}", "kubeconfig"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_exit_code_2(
    doctor: Doctor, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    code, lines, err = doctor.verb("--config", str(path))
    assert (code, lines) == (2, [])
    assert said in err
