import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.examples import MIB, moved
from tuner.errors import ConflictError, GoneError, RefusedError, UnavailableError
from tuner.model.reason import Reason
from tuner.model.record import Record, Verb
from tuner.model.trial import Change
from tuner.model.workload import (
    BARRIER,
    GOGC,
    GOMEMLIMIT,
    Kind,
    Mode,
    Rollout,
    Running,
    WorkloadKey,
)
from tuner.ports import AlteredError
from tuner.simulation import ControllerDied, Fault, Service, SimulatedCluster
from tuner.simulation.streams import constant, step

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
    cluster.set_cause(key, "release 7")
    assert cluster.write(cluster.fetch(key), change("200"), "because").change_cause == "release 7"
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
        seen.append(sum(pod.settings.gogc == 200 for pod in pods))
        assert 3 <= len(pods) <= 4
        assert cluster.fetch(key).ready_replicas >= 3
        assert len(seen) < 60
    assert seen[0] == 1
    assert seen == sorted(seen)
    assert {pod.settings.gogc for pod in cluster.pods(key)} == {200}


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
    assert {pod.settings.gogc for pod in cluster.pods(key)} == {100}
    cluster.pause(key, paused=False)
    advance(cluster, 120)
    assert cluster.fetch(key).rollout is Rollout.COMPLETE
    assert {pod.settings.gogc for pod in cluster.pods(key)} == {200}


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
        (Fault.OVERTAKEN, ConflictError, False),
        (Fault.REFUSED, RefusedError, False),
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


STATEFUL = replace(SERVICE, kind=Kind.STATEFUL_SET)
STRICT = replace(SERVICE, surges=False)
LIVE = replace(SERVICE, live=True, gogc="150")


@pytest.mark.parametrize("service", [STATEFUL, STRICT], ids=["stateful set", "no surge"])
def test_without_a_surge_pods_are_replaced_in_place_one_at_a_time(service: Service) -> None:
    cluster, key = running(service)
    assert not cluster.fetch(key).surges
    cluster.set_env(key, GOGC, "200")
    seen = []
    while cluster.fetch(key).rollout is not Rollout.COMPLETE:
        cluster.advance(5.0)
        seen.append([pod.settings.gogc for pod in cluster.pods(key)])
        assert len(cluster.pods(key)) == 3
        assert cluster.fetch(key).ready_replicas >= 2
        assert len(seen) < 60
    assert seen[0] == ([100, 100, 200] if service is STATEFUL else [200, 100, 100])
    assert seen[-1] == [200, 200, 200]
    assert [sum(each) for each in seen] == sorted(sum(each) for each in seen)


def test_the_pods_of_a_stateful_set_keep_their_names_and_not_their_counts() -> None:
    cluster, key = running(STATEFUL)
    assert key.kind is Kind.STATEFUL_SET
    names = [pod.name for pod in cluster.pods(key)]
    assert names == ["svc-0", "svc-1", "svc-2"]
    advance(cluster, 60)
    cluster.set_env(key, GOGC, "200")
    advance(cluster, 120)
    assert [pod.name for pod in cluster.pods(key)] == names
    assert all(pod.started_at > 1060 for pod in cluster.pods(key))


def test_a_stateful_set_stays_behind_a_pod_that_cannot_start_and_has_no_deadline() -> None:
    cluster, key = running(STATEFUL)
    cluster.set_env(key, GOMEMLIMIT, "715.5MiB")
    advance(cluster, 900)
    assert cluster.fetch(key).ready_replicas == 2
    assert cluster.fetch(key).rollout is not Rollout.FAILING
    cluster.set_env(key, GOMEMLIMIT, None)
    advance(cluster, 900)
    assert cluster.fetch(key).ready_replicas == 2


def test_a_deployment_without_surge_replaces_the_pod_that_cannot_start_first() -> None:
    cluster, key = running(STRICT)
    cluster.set_env(key, GOMEMLIMIT, "715.5MiB")
    advance(cluster, 60)
    assert cluster.fetch(key).ready_replicas == 2
    cluster.set_env(key, GOMEMLIMIT, "715MiB")
    advance(cluster, 120)
    assert cluster.fetch(key).ready_replicas == 3
    assert cluster.fetch(key).rollout is Rollout.COMPLETE


def test_annotations_and_an_undo_treat_the_kinds_as_kubernetes_does() -> None:
    for service, moves, cause in ((SERVICE, 1, None), (STATEFUL, 0, "gc-tuner: because")):
        cluster, key = running(service)
        before = cluster.fetch(key)
        cluster.annotate(key, team="shop")
        after = cluster.fetch(key)
        assert after.generation - before.generation == moves
        assert after.resource_version != before.resource_version
        cluster.write(after, change("200"), "because")
        advance(cluster, 300)
        cluster.undo(key)
        assert cluster.fetch(key).containers[0].env == {}
        assert cluster.fetch(key).change_cause == cause


def test_what_runs_is_told_by_the_pods() -> None:
    cluster, key = running()
    assert cluster.fetch(key).containers[0].running == Running(memory_limit_bytes=1024 * MIB)
    assert cluster.workloads()[key] == cluster.fetch(key)

    cluster, key = running(replace(SERVICE, memory_limit_bytes=100_000_000))
    while cluster.oom_kills < 4:
        cluster.advance(5.0)
        assert cluster.now < 2000
    told = cluster.fetch(key).containers[0].running
    assert (told.restarts, told.oom_killed_at) == (cluster.oom_kills, cluster.now)
    assert told.crashing_pods == 0


def test_a_pod_that_cannot_start_is_restarted_with_growing_pauses() -> None:
    cluster, key = running()
    cluster.set_env(key, GOMEMLIMIT, "715.5MiB")
    told = []
    for _ in range(4):
        advance(cluster, 150)
        told.append(cluster.fetch(key).containers[0].running)
    assert [each.crashing_pods for each in told] == [1] * 4
    assert [each.restarts for each in told] == [3, 4, 5, 5]


def test_a_resize_in_place_replaces_no_pod_and_moves_nothing_of_the_workload() -> None:
    cluster, key = running()
    before, names = cluster.fetch(key), {pod.name for pod in cluster.pods(key)}
    cluster.resize(key, 700 * MIB, pending_seconds=30)
    for _ in range(5):
        cluster.advance(5.0)
        told = cluster.fetch(key).containers[0].running
        assert told == Running(memory_limit_bytes=1024 * MIB, resizing=True)
    advance(cluster, 10)
    after = cluster.fetch(key)
    assert after.containers[0].running == Running(memory_limit_bytes=700 * MIB)
    assert after.containers[0].memory_limit_bytes == 1024 * MIB
    assert (after.resource_version, after.generation) == (
        before.resource_version,
        before.generation,
    )
    assert {pod.name for pod in cluster.pods(key)} == names

    cluster.set_env(key, GOGC, "200")
    advance(cluster, 120)
    assert cluster.fetch(key).containers[0].running.memory_limit_bytes == 1024 * MIB


def test_a_resize_waits_while_the_memory_is_in_use() -> None:
    shrinking = replace(SERVICE, live_bytes=step(200e6, 50e6, at=1600))
    cluster, key = running(shrinking)
    advance(cluster, 60)
    cluster.resize(key, 300 * MIB)
    advance(cluster, 500)
    assert cluster.fetch(key).containers[0].running == Running(1024 * MIB, resizing=True)
    advance(cluster, 300)
    assert cluster.fetch(key).containers[0].running == Running(300 * MIB)
    assert cluster.oom_kills == 0


def test_another_limit_in_the_template_is_a_rollout_and_can_be_undone() -> None:
    cluster, key = running()
    before = cluster.fetch(key)
    cluster.set_memory(key, 2048 * MIB, 512 * MIB)
    advance(cluster, 120)
    (container,) = cluster.fetch(key).containers
    assert container.memory_limit_bytes == container.running.memory_limit_bytes == 2048 * MIB
    assert container.memory_request_bytes == 512 * MIB
    assert cluster.fetch(key).template_digest != before.template_digest
    cluster.undo(key)
    advance(cluster, 120)
    assert cluster.fetch(key).containers == before.containers
    assert cluster.fetch(key).template_digest == before.template_digest


def test_a_live_service_sees_a_write_after_its_delay_and_without_a_restart() -> None:
    cluster, key = running(LIVE)
    names, before = {pod.name for pod in cluster.pods(key)}, cluster.fetch(key)
    assert before.live is not None
    assert before.containers[0].literal(GOGC) == "150"
    after = cluster.write(before, change("300", before="150"), "because")
    assert after == cluster.fetch(key)
    assert after.live is not None
    assert after.live.resource_version != before.live.resource_version
    assert after.containers[0].env[GOGC].owners == ("gc-tuner",)
    assert (after.resource_version, after.change_cause) == (before.resource_version, None)
    assert [each.what for each in cluster.written] == ["live"]

    advance(cluster, 55)
    assert {pod.settings.gogc for pod in cluster.pods(key)} == {150}
    advance(cluster, 5)
    assert {pod.settings.gogc for pod in cluster.pods(key)} == {300}
    assert {pod.name for pod in cluster.pods(key)} == names
    assert cluster.fetch(key).rollout is Rollout.COMPLETE


def test_pods_made_after_a_live_write_have_it_at_once_and_are_not_set_back() -> None:
    cluster, key = running(LIVE)
    cluster.set_env(key, GOGC, "200")
    advance(cluster, 30)
    cluster.set_env(key, GOGC, "300")
    cluster.scale(key, 4)
    advance(cluster, 10)
    assert [pod.settings.gogc for pod in cluster.pods(key)] == [150, 150, 150, 300]
    advance(cluster, 20)
    assert [pod.settings.gogc for pod in cluster.pods(key)] == [200, 200, 200, 300]
    advance(cluster, 30)
    assert {pod.settings.gogc for pod in cluster.pods(key)} == {300}


def test_a_live_write_at_an_old_version_of_the_config_map_is_refused() -> None:
    cluster, key = running(LIVE)
    seen = cluster.fetch(key)
    cluster.annotate(key, team="shop")
    cluster.write(seen, change("200", before="150"), "the ConfigMap's own version counts")
    with pytest.raises(ConflictError):
        cluster.write(seen, change("300", before="150"), "")
    assert cluster.fetch(key).containers[0].literal(GOGC) == "200"


def test_a_live_service_refuses_what_it_cannot_read_and_keeps_what_it_has() -> None:
    cluster, key = running(LIVE)
    cluster.set_env(key, BARRIER, "many")
    advance(cluster, 120)
    assert {pod.settings.gogc for pod in cluster.pods(key)} == {150}
    assert cluster.fetch(key).ready_replicas == 3


def test_without_its_config_map_a_live_service_says_so_and_takes_no_write() -> None:
    cluster, key = running(LIVE)
    cluster.remove_config_map(key)
    gone = cluster.fetch(key)
    assert gone.live is not None
    assert "not found" in gone.live.trouble
    assert gone.containers[0].env == {}
    with pytest.raises(GoneError):
        cluster.write(gone, change("200"), "")
    advance(cluster, 120)
    assert {pod.settings.gogc for pod in cluster.pods(key)} == {150}


def test_a_tuner_in_the_process_overrules_env_and_config_map() -> None:
    for service in (SERVICE, LIVE):
        cluster, key = running(replace(service, in_process_gogc=75))
        cluster.set_env(key, GOGC, "200")
        advance(cluster, 120)
        assert {pod.settings.gogc for pod in cluster.pods(key)} == {75}


def test_an_autoscaler_on_cpu_follows_the_load_up_at_once_and_down_after_a_while() -> None:
    load = step(300, 1200, at=1300)
    scaled = replace(SERVICE, requests_per_second=load, cpu_hpa=0.2, replicas_highest=8)
    cluster, key = running(scaled)
    advance(cluster, 295)
    assert cluster.fetch(key).replicas == 3
    advance(cluster, 180)
    grown = cluster.fetch(key)
    assert 6 <= grown.replicas <= 8
    assert grown.ready_replicas == len(cluster.pods(key)) == grown.replicas

    cluster, key = running(replace(scaled, requests_per_second=step(1200, 300, at=1300)))
    advance(cluster, 300)
    assert cluster.fetch(key).replicas >= 6
    advance(cluster, 240)
    assert cluster.fetch(key).replicas >= 6
    advance(cluster, 300)
    assert cluster.fetch(key).replicas == 3


def test_an_autoscaler_on_memory_is_shown_and_follows_the_heap() -> None:
    cluster, key = running(
        replace(SERVICE, memory_hpa=0.5, memory_request_bytes=160 * MIB, gogc="100")
    )
    assert cluster.fetch(key).autoscaling.memory_request_target == 0.5
    advance(cluster, 120)
    assert cluster.fetch(key).replicas > 3


def test_who_else_sets_the_memory_is_shown() -> None:
    cluster, key = running(replace(SERVICE, vpa="svc-vpa"))
    assert cluster.fetch(key).autoscaling.vertical == "svc-vpa"
    assert cluster.fetch(key).autoscaling.memory_request_target is None


def test_while_it_cannot_be_reached_no_request_is_answered_and_the_view_stands() -> None:
    cluster, key = running()
    workload = cluster.fetch(key)
    cluster.unreachable = "connection refused"
    requests: tuple[Callable[[], object], ...] = (
        lambda: cluster.fetch(key),
        lambda: cluster.save(workload, RECORD),
        lambda: cluster.write(workload, change("200"), ""),
        lambda: cluster.clear_cause(workload),
    )
    for request in requests:
        with pytest.raises(UnavailableError, match="connection refused"):
            request()
    assert cluster.workloads() == {key: workload}
    assert cluster.written == []


def test_what_a_webhook_makes_of_a_value_is_answered_and_stands_in_our_name() -> None:
    cluster, key = running()
    cluster.webhook = {GOGC: "90"}
    with pytest.raises(AlteredError) as altered:
        cluster.write(cluster.fetch(key), change("200"), "")
    assert altered.value.answer == cluster.fetch(key)
    assert cluster.fetch(key).containers[0].ours(GOGC, "90")
    assert [each.what for each in cluster.written] == ["workload"]

    answer = cluster.write(cluster.fetch(key), change(None, before="90"), "")
    assert answer.containers[0].literal(GOGC) is None, "there is no value to alter"


def test_a_record_of_an_earlier_workload_of_the_same_name_is_not_kept() -> None:
    cluster, key = running()
    earlier = cluster.fetch(key)
    cluster.delete(key)
    cluster.deploy(SERVICE)
    with pytest.raises(GoneError, match="made anew"):
        cluster.save(earlier, RECORD)
    assert cluster.all() == {}


def test_processes_that_end_are_restarted_and_count_anew() -> None:
    cluster, key = running()
    advance(cluster, 60)
    before = [pod.counters.requests for pod in cluster.pods(key)]
    cluster.end_processes(key)
    advance(cluster, 30)
    workload = cluster.fetch(key)
    assert workload.containers[0].running.restarts == 3
    assert workload.rollout is Rollout.COMPLETE
    for pod, requests in zip(cluster.pods(key), before, strict=True):
        assert 0 < pod.counters.requests < requests


def test_a_rollout_that_cannot_start_does_not_stand_in_the_way_of_the_next() -> None:
    cluster, key = running()
    cluster.set_env(key, GOMEMLIMIT, "900Mi")
    advance(cluster, 900)
    assert cluster.fetch(key).rollout is Rollout.FAILING
    cluster.set_env(key, GOMEMLIMIT, "900MiB")
    advance(cluster, 300)
    assert cluster.fetch(key).rollout is Rollout.COMPLETE
    assert {pod.settings.gomemlimit_bytes for pod in cluster.pods(key)} == {900 * MIB}


def test_a_statefulset_waits_until_somebody_deletes_the_pod_that_does_not_start() -> None:
    cluster, key = running(replace(SERVICE, kind=Kind.STATEFUL_SET))
    cluster.set_env(key, GOMEMLIMIT, "900Mi")
    advance(cluster, 60)
    cluster.set_env(key, GOMEMLIMIT, None)
    advance(cluster, 300)
    assert cluster.fetch(key).rollout is Rollout.IN_PROGRESS
    cluster.delete_broken_pods(key)
    advance(cluster, 300)
    assert cluster.fetch(key).rollout is Rollout.COMPLETE
