"""``gc-tuner release`` as a command, against an API server that answers as the test says."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.cluster.conftest import kubeconfig
from tests.contract.cluster.objects import gctuning
from tests.contract.cluster.server import Asked, FakeApiServer, Reply, json_reply, refused
from tests.contract.cluster.verb import OVERRIDES, SHOP, Verb
from tests.examples import NOW, record
from tests.unit.cluster.objects import deployment, managed, stateful_set
from tuner.cluster.records import status_of
from tuner.model.record import Applied, AppliedSetting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WEB = f"/apis/apps/v1{SHOP}/deployments/web"
RECORD = f"/apis/gc-tuner.io/v1alpha1{SHOP}/gctunings/deployment-web"
ENV = [
    {"name": "PORT", "value": "80"},
    {"name": "GOGC", "value": "200"},
    {"name": "GOMEMLIMIT", "value": "900MiB"},
]
WROTE = Applied(
    "app",
    (AppliedSetting("GOGC", "200", "150"), AppliedSetting("GOMEMLIMIT", "900MiB", None)),
    NOW,
)
STATUS = status_of(record(applied=WROTE))


def web(label: str = "off", version: int = 10, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    """The Deployment as gc-tuner has left it; other options as of deployment()."""
    metadata = {
        "labels": {"gc-tuner.io/mode": label},
        "annotations": {"kubernetes.io/change-cause": "gc-tuner: GOGC 150 -> 200"},
        "managedFields": [managed("gc-tuner", "app", "GOGC", "GOMEMLIMIT")],
        "generation": 4,
    }
    options = {"env": ENV, "metadata": metadata, "status": {"observedGeneration": 4}} | options
    return deployment(version=version, **options)


@pytest.fixture
def release(
    server: FakeApiServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Verb:
    monkeypatch.setenv("POD_NAMESPACE", "ops")
    access = kubeconfig(tmp_path / "kubeconfig.json", server.url)
    return Verb("release", server, ("--kubeconfig", str(access)), capsys, monkeypatch)


@pytest.fixture
def tuned(release: Verb) -> Verb:
    """One Deployment that gc-tuner has tuned, off by now."""
    release.finds(web(), records=(gctuning(status=STATUS),))
    release.orders()
    release.server.on("GET", WEB, json_reply(web()))
    return release


def takes_writes(server: FakeApiServer) -> None:
    """The patch is answered as it was asked for, and the record kept as it is written."""
    back = [{"name": "PORT", "value": "80"}, {"name": "GOGC", "value": "150"}]
    server.on("PATCH", WEB, json_reply(web(version=21, env=back, metadata={})))
    server.on("PUT", f"{RECORD}/status", _kept)


def _kept(asked: Asked) -> Reply:
    return json_reply(gctuning(version=22, status=asked.json["status"]))


def test_all_settings_go_back_in_one_patch_with_the_change_cause(tuned: Verb) -> None:
    takes_writes(tuned.server)
    code, lines, _ = tuned("shop/web", "--yes")
    header, planned, done = lines
    assert header.split() == ["WORKLOAD", "PLAN", "CHANGE", "NOTE"]
    change = "GOGC 200 -> 150, GOMEMLIMIT 900MiB -> unset"
    assert all(each in planned for each in ("shop/Deployment/web", change, "replaces its pods"))
    assert (code, done) == (0, f"shop/Deployment/web: released: {change}")
    (patch,) = tuned.server.asked("PATCH")
    assert patch.json == {
        "metadata": {
            "resourceVersion": "10",
            "annotations": {"kubernetes.io/change-cause": None},
        },
        "spec": {
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "app",
                            "env": [
                                {"name": "GOGC", "value": "150"},
                                {"name": "GOMEMLIMIT", "$patch": "delete"},
                            ],
                        }
                    ]
                }
            }
        },
    }
    (saved,) = tuned.server.asked("PUT")
    assert "applied" not in saved.json["status"]
    assert saved.json["status"]["message"] == f"released on request: {change}"


def test_a_dry_run_prints_the_plan_and_writes_nothing(tuned: Verb) -> None:
    code, lines, _ = tuned("shop/web", "--dry-run")
    assert code == 0
    assert len(lines) == 2
    assert tuned.written() == []


def test_one_workload_takes_no_look_at_other_namespaces(tuned: Verb) -> None:
    tuned("shop/web", "--dry-run")
    looked_at = {each.path for each in tuned.server.asked("GET")}
    assert all(SHOP in path or path == OVERRIDES for path in looked_at)


@pytest.mark.parametrize(
    "arguments", [("--all",), ("--all", "--namespace", "shop"), ("shop/deployment/web",)]
)
def test_every_way_to_name_it_finds_it(tuned: Verb, arguments: tuple[str, ...]) -> None:
    code, lines, _ = tuned(*arguments, "--dry-run")
    assert code == 0
    assert lines[1].startswith("shop/Deployment/web  release")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no workload is named: give NAMESPACE/NAME, or --all"),
        (("web",), "'web' names no workload: write NAMESPACE/NAME"),
        (("shop/cronjob/web",), "names no workload"),
        (("shop/web", "--all"), "exclude each other"),
        (("shop/web", "--namespace", "shop"), "--namespace goes with --all"),
        (("shop/web",), "it is no terminal: give --yes"),
        (("--no-such-flag",), "No such option"),
    ],
)
def test_what_makes_no_sense_is_exit_code_2_before_anything_is_asked(
    release: Verb, arguments: tuple[str, ...], said: str
) -> None:
    code, lines, err = release(*arguments)
    assert (code, lines) == (2, [])
    assert said in err
    assert release.server.asked("GET") == []


def test_a_namespace_that_gc_tuner_does_not_look_at_is_told(release: Verb, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("kubernetes: {namespaces: [bank]}", encoding="utf-8")
    code, _, err = release("shop/web", "--yes", "--config", str(path))
    assert code == 2
    assert "shop is not among bank" in err


def test_a_name_that_two_workloads_have_needs_its_kind(release: Verb) -> None:
    release.finds(web(), stateful_set("web"), records=())
    release.orders()
    code, _, err = release("shop/web", "--yes")
    assert code == 2
    assert "write shop/deployment/web or shop/statefulset/web" in err


def test_a_workload_that_is_not_there_is_exit_code_1(tuned: Verb) -> None:
    code, lines, _ = tuned("shop/absent", "--yes")
    assert code == 1
    assert lines == ["shop/absent: there is no such Deployment or StatefulSet"]


def test_mode_auto_is_refused_unless_everything_is_paused_or_gc_tuner_is_ended(
    release: Verb,
) -> None:
    release.finds(web("auto"), records=(gctuning(status=STATUS),))
    release.orders()
    code, lines, _ = release("shop/web", "--yes")
    assert code == 1
    assert "refuse" in lines[1]
    assert "label it gc-tuner.io/mode=recommend or off" in lines[1]
    assert release("shop/web", "--dry-run", "--stopped")[0] == 0
    assert release.written() == []


def test_mode_auto_under_a_pause_is_released(release: Verb) -> None:
    release.finds(web("auto"), records=(gctuning(status=STATUS),))
    release.orders("paused: true")
    assert release("shop/web", "--dry-run")[0] == 0


def test_a_conflict_is_read_again_three_times_at_most(tuned: Verb) -> None:
    conflict = refused(409, "Conflict", "the object has been modified")
    tuned.server.on("PATCH", WEB, conflict)
    code, lines, _ = tuned("shop/web", "--yes")
    assert code == 1
    assert "409 Conflict" in lines[-1]
    assert tuned.written() == [f"PATCH {WEB}"] * 3


def test_a_cluster_that_cannot_be_seen_is_exit_code_3(release: Verb, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("kubernetes: {timeout: 200ms}", encoding="utf-8")
    code, lines, err = release("--all", "--yes", "--config", str(path))
    assert (code, lines) == (3, [])
    assert "gc-tuner: deployments: not listed yet" in err


def test_nothing_to_release_is_told(release: Verb) -> None:
    release.finds(deployment(), records=(gctuning(status=status_of(record())),))
    release.orders()
    code, lines, _ = release("--all", "--yes")
    assert code == 0
    assert lines == ["nothing to release: no workload has values of gc-tuner"]


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal as standard input; what is written to this descriptor was typed."""
    typing, reading = os.openpty()
    with os.fdopen(reading, encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield typing
    os.close(typing)


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ("y\n", 0, "shop/Deployment/web: released"),
        ("n\n", 1, "nothing was changed"),
        ("\n", 1, "nothing was changed"),
    ],
)
def test_on_a_terminal_it_asks_first(
    tuned: Verb, keyboard: int, answer: str, code: int, said: str
) -> None:
    takes_writes(tuned.server)
    os.write(keyboard, answer.encode())
    ended, lines, _ = tuned("shop/web")
    question = "Release 1 workload, and replace the pods of 1? [y/N] "
    assert (ended, lines[2][: len(question)]) == (code, question)
    assert said in lines[2]
    assert bool(tuned.written()) is (code == 0)
