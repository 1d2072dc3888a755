import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.examples import moved
from tuner.errors import ConflictError, GoneError, UnavailableError
from tuner.model.reason import Reason
from tuner.model.record import Record, Verb
from tuner.model.trial import Change
from tuner.model.workload import GOGC, GOMEMLIMIT, Mode, Rollout, WorkloadKey
from tuner.simulation import ControllerDied, Fault, Service, SimulatedCluster
from tuner.simulation.streams import constant

SERVICE = Service(
    name="svc",
    replicas=3,
    requests_per_second=constant(300),
    garbage_bytes_per_request=100e3,
    work_seconds_per_request=1e-3,
    live_bytes=constant(50e6),
)
RECORD = Record(mode=Mode.AUTO, decision=Verb.HOLD, reason=Reason.AT_TARGET, message="as it is")


def running(service: Service = SERVICE) -> tuple[SimulatedCluster, WorkloadKey]:
    cluster = SimulatedCluster([service], now=1000.0, seed=1)
    (key,) = cluster.services()
    return cluster, key


def change(after: str | None, before: str | None = None) -> Change:
    return moved(before, after)


def advance(cluster: SimulatedCluster, seconds: float) -> None:
    for _ in range(round(seconds / 5)):
        cluster.advance(5.0)


def test_a_write_is_owned_moves_version_and_generation_and_carries_its_cause() -> None:
    cluster, key = running()
    before = cluster.fetch(key)
    after = cluster.write(before, change("200"), "because")
    assert after == cluster.fetch(key)
    assert after.resource_version != before.resource_version
    assert after.generation == before.generation + 1
    assert after.containers[0].env[GOGC].owners == ("gc-tuner",)
    assert after.change_cause == "gc-tuner: because"
    assert after.template_digest == before.template_digest
    assert after.rollout is Rollout.IN_PROGRESS


def test_a_change_cause_of_the_users_own_stays() -> None:
    cluster, key = running()
    before = replace(cluster.fetch(key), change_cause="release 7")
    cluster._of(key).workload = before  # noqa: SLF001 - nobody else writes a user's change-cause
    assert cluster.write(before, change("200"), "because").change_cause == "release 7"
    cluster.clear_cause(cluster.fetch(key))
    assert cluster.fetch(key).change_cause == "release 7"


MOVES: tuple[Callable[[SimulatedCluster, WorkloadKey], None], ...] = (
    lambda cluster, key: cluster.annotate(key, team="shop"),
    lambda cluster, key: cluster.label(key, "off"),
    lambda cluster, key: cluster.set_env(key, GOMEMLIMIT, "900MiB"),
    lambda cluster, key: cluster.scale(key, 5),
    lambda cluster, key: cluster.pause(key, paused=True),
)


@pytest.mark.parametrize("move", MOVES, ids=["annotation", "label", "template", "scale", "pause"])
def test_a_write_at_an_old_version_is_refused_whatever_moved_it(
    move: Callable[[SimulatedCluster, WorkloadKey], None],
) -> None:
    cluster, key = running()
    seen = cluster.fetch(key)
    move(cluster, key)
    with pytest.raises(ConflictError):
        cluster.write(seen, change("200"), "")
    with pytest.raises(ConflictError):
        cluster.clear_cause(seen)
    assert cluster.written == []


def test_a_rollouts_status_moves_the_version_and_not_the_generation() -> None:
    cluster, key = running()
    cluster.set_env(key, GOMEMLIMIT, "900MiB")
    seen = cluster.fetch(key)
    advance(cluster, 300)
    now = cluster.fetch(key)
    assert now.generation == seen.generation
    with pytest.raises(ConflictError):
        cluster.write(seen, change("200"), "")


def test_a_write_that_changes_nothing_moves_nothing() -> None:
    cluster, key = running()
    written = cluster.write(cluster.fetch(key), change("200"), "once")
    again = cluster.write(written, change("200", before="200"), "twice")
    assert again == written


def test_a_rollout_replaces_one_pod_after_another_and_never_serves_with_fewer() -> None:
    cluster, key = running()
    cluster.set_env(key, GOGC, "200")
    seen = []
    while cluster.fetch(key).rollout is not Rollout.COMPLETE:
        cluster.advance(5.0)
        pods = cluster.pods(key)
        seen.append(sum(pod.gogc == 200 for pod in pods))
        assert 3 <= len(pods) <= 4
        assert cluster.fetch(key).ready_replicas >= 3
        assert len(seen) < 60
    assert seen[0] == 1
    assert seen == sorted(seen)
    assert {pod.gogc for pod in cluster.pods(key)} == {200}


def test_undo_brings_back_the_template_and_change_cause_of_the_revision_before() -> None:
    cluster, key = running()
    cluster.change_template(key, "second")
    written = cluster.write(cluster.fetch(key), change("200"), "first")
    advance(cluster, 300)
    cluster.clear_cause(cluster.fetch(key))
    cluster.undo(key)
    undone = cluster.fetch(key)
    assert undone.containers[0].env == {}
    assert undone.template_digest == "second"
    assert undone.change_cause is None
    cluster.undo(key)
    redone = cluster.fetch(key)
    assert redone.containers[0].literal(GOGC) == "200"
    assert redone.containers[0].env[GOGC].owners == ("kubectl-rollout",)
    assert redone.change_cause == written.change_cause


def test_back_at_an_earlier_template_its_pods_need_no_replacement() -> None:
    cluster, key = running()
    names = {pod.name for pod in cluster.pods(key)}
    cluster.set_env(key, GOGC, "200")
    cluster.advance(5.0)
    cluster.set_env(key, GOGC, None)
    advance(cluster, 60)
    assert {pod.name for pod in cluster.pods(key)} == names
    assert cluster.fetch(key).rollout is Rollout.COMPLETE


def test_there_is_nothing_to_undo_at_first() -> None:
    cluster, key = running()
    with pytest.raises(GoneError):
        cluster.undo(key)


def test_a_paused_rollout_replaces_no_pods_until_it_is_resumed() -> None:
    cluster, key = running()
    cluster.pause(key, paused=True)
    cluster.set_env(key, GOGC, "200")
    advance(cluster, 120)
    assert cluster.fetch(key).rollout is Rollout.PAUSED
    assert {pod.gogc for pod in cluster.pods(key)} == {100}
    cluster.pause(key, paused=False)
    advance(cluster, 120)
    assert cluster.fetch(key).rollout is Rollout.COMPLETE
    assert {pod.gogc for pod in cluster.pods(key)} == {200}


def test_pods_that_cannot_start_fail_the_rollout_and_the_old_ones_go_on() -> None:
    cluster, key = running()
    cluster.set_env(key, GOMEMLIMIT, "715.5MiB")
    advance(cluster, 595)
    assert cluster.fetch(key).rollout is Rollout.IN_PROGRESS
    advance(cluster, 30)
    assert cluster.fetch(key).rollout is Rollout.FAILING
    assert cluster.fetch(key).ready_replicas == 3
    assert sum(math.isinf(pod.ready_at) for pod in cluster.pods(key)) == 1


def test_scaling_changes_the_pods_and_no_template() -> None:
    cluster, key = running()
    cluster.scale(key, 5)
    advance(cluster, 60)
    assert len(cluster.pods(key)) == cluster.fetch(key).ready_replicas == 5
    cluster.scale(key, 2)
    advance(cluster, 60)
    assert len(cluster.pods(key)) == 2
    assert cluster.fetch(key).rollout is Rollout.COMPLETE


def test_a_killed_pod_is_out_of_service_and_returns() -> None:
    cluster, key = running(replace(SERVICE, memory_limit_bytes=100_000_000))
    cluster.advance(5.0)
    cluster.advance(5.0)
    assert cluster.oom_kills > 0
    assert cluster.fetch(key).ready_replicas < 3
    assert cluster.fetch(key).rollout is Rollout.IN_PROGRESS


def test_a_record_survives_only_as_what_can_be_stored() -> None:
    cluster, key = running()
    cluster.save(cluster.fetch(key), RECORD)
    kept = cluster.all()[key]
    assert kept == RECORD
    assert kept is not RECORD


def test_a_record_goes_with_its_workload_and_cannot_outlive_it() -> None:
    cluster, key = running()
    workload = cluster.fetch(key)
    cluster.save(workload, RECORD)
    cluster.delete(key)
    assert cluster.all() == {}
    with pytest.raises(GoneError):
        cluster.save(workload, RECORD)
    with pytest.raises(GoneError):
        cluster.write(workload, change("200"), "")
    assert cluster.fetch(cluster.deploy(SERVICE)).uid != workload.uid


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        (Fault.LOST, UnavailableError, False),
        (Fault.UNANSWERED, UnavailableError, True),
        (Fault.DEATH_BEFORE, ControllerDied, False),
        (Fault.DEATH_AFTER, ControllerDied, True),
    ],
)
def test_a_fault_strikes_once_before_or_after_the_deed(
    fault: Fault, error: type[BaseException], done: bool
) -> None:
    cluster, key = running()
    for faults in (cluster.faults, cluster.record_faults, cluster.cause_faults):
        faults.append(fault)
    with pytest.raises(error):
        cluster.write(cluster.fetch(key), change("200"), "")
    with pytest.raises(error):
        cluster.save(cluster.fetch(key), RECORD)
    assert (cluster.fetch(key).containers[0].literal(GOGC) == "200") == done
    assert (key in cluster.all()) == done

    cluster.write(cluster.fetch(key), change("300"), "")
    with pytest.raises(error):
        cluster.clear_cause(cluster.fetch(key))
    assert (cluster.fetch(key).change_cause is None) == done
    cluster.save(cluster.fetch(key), RECORD)
    expected = ["workload", "record", "workload", "change-cause", "record"]
    if not done:
        expected = ["workload", "record"]
    assert [each.what for each in cluster.written] == expected


def test_a_view_that_lags_shows_what_was_and_a_fetch_what_is() -> None:
    cluster, key = running()
    cluster.freeze_view()
    cluster.set_env(key, GOGC, "200")
    assert cluster.workloads()[key].containers[0].literal(GOGC) is None
    assert cluster.fetch(key).containers[0].literal(GOGC) == "200"
    cluster.thaw_view()
    assert cluster.workloads()[key].containers[0].literal(GOGC) == "200"


def test_the_same_seed_gives_the_same_world() -> None:
    spent = []
    for seed in (1, 1, 2):
        cluster = SimulatedCluster([SERVICE], now=0.0, seed=seed)
        advance(cluster, 60)
        (key,) = cluster.services()
        spent.append([pod.counters.cpu_seconds for pod in cluster.pods(key)])
    assert spent[0] == spent[1] != spent[2]
