"""Carries releases out: one workload after another, as the loop writes its own changes."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tuner.errors import ClusterError, ConflictError, GoneError, UnavailableError
from tuner.guards.fleet import room_for
from tuner.loop import WRITE_ATTEMPTS
from tuner.model.record import Record
from tuner.model.trial import Phase
from tuner.model.workload import FIELD_MANAGER, Rollout, Workload, WorkloadKey
from tuner.ports import Actuator, Clock, Inventory, Overrides, Records
from tuner.release.plan import Plan, Refusal, Terms, plan

LOOK_SECONDS = 1.0
"""How often to look whether a rollout is over."""
PATIENCE_SECONDS = 900.0
"""How long to wait for other rollouts without any of them ending. A Deployment's own deadline is 10
min by default; a StatefulSet has none."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a release needs of the world."""

    inventory: Inventory
    records: Records
    actuator: Actuator
    overrides: Overrides
    clock: Clock


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one workload."""

    key: WorkloadKey
    done: bool
    words: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """The next workload has to wait for rollouts under way."""

    key: WorkloadKey
    words: str


def plans(
    cluster: Cluster, terms: Terms, wanted: Collection[WorkloadKey] | None = None
) -> Sequence[Plan | Refusal]:
    """How to release workloads, sorted by name.

    Args:
        cluster: The world.
        terms: What it depends on besides.
        wanted: Which; None: all in which a value of gc-tuner stands, or may, without the others.

    Raises:
        UnavailableError: The cluster cannot be seen.
    """
    fleet, records = cluster.inventory.workloads(), cluster.records.all()
    keys = fleet.keys() if wanted is None else fleet.keys() & wanted
    found = [
        _plan(cluster, terms, fleet[key], records.get(key))
        for key in sorted(keys)
        if wanted is not None or key in records or _in_our_name(fleet[key])
    ]
    if wanted is not None:
        return found
    unseen = sorted(key for key in records if key not in fleet and records[key].holds_values)
    return [
        *(each for each in found if not _idle(each)),
        *(Refusal(key, "it has values of gc-tuner, and cannot be seen") for key in unseen),
    ]


def _idle(planned: Plan | Refusal) -> bool:
    return isinstance(planned, Plan) and planned.idle and not planned.left


def _in_our_name(workload: Workload) -> bool:
    entries = (entry for each in workload.containers for entry in each.env.values())
    return any(FIELD_MANAGER in entry.owners for entry in entries)


def _plan(
    cluster: Cluster, terms: Terms, workload: Workload, record: Record | None
) -> Plan | Refusal:
    now = cluster.clock.now()
    sightings = () if record is None else record.sightings
    first_seen = {each.entry: each.seen_at for each in sightings}
    override = cluster.overrides.of(workload.key, now, first_seen).override
    return plan(workload, record, override, terms, now)


def release_all(
    cluster: Cluster,
    terms: Terms,
    planned: Sequence[Plan],
    wait: Callable[[float], bool],
) -> Iterator[Ended | Waiting]:
    """Release workloads; the trouble of one stops no other.

    Rollouts are not waited for, but that no more may be under way at once than the settings allow.

    Args:
        cluster: The world.
        terms: What it depends on besides.
        planned: The plans that people have agreed to.
        wait: Waits so many seconds; true where somebody wants to stop.
    """
    waiting, rolling, told = list(planned), dict[WorkloadKey, Workload](), ""
    since, why = cluster.clock.now(), ""
    while waiting:
        if wait(0.0):
            why = "told to stop"
            break
        try:
            turn, why = _next(cluster, terms, waiting, rolling)
        except UnavailableError as error:
            why = str(error)
            break
        if turn is not None:
            waiting.remove(turn)
            yield _release(cluster, terms, turn, rolling)
            since = cluster.clock.now()
            continue
        if why != told:
            told = why
            yield Waiting(waiting[0].workload.key, why)
        if cluster.clock.now() - since > PATIENCE_SECONDS:
            break
        wait(LOOK_SECONDS)
    yield from (Ended(each.workload.key, False, f"not begun: {why}") for each in waiting)


def _next(
    cluster: Cluster,
    terms: Terms,
    waiting: Sequence[Plan],
    rolling: Mapping[WorkloadKey, Workload],
) -> tuple[Plan | None, str]:
    """The first that may be released now; else None, and what the first of all waits for.

    Raises:
        UnavailableError: The cluster cannot be seen.
    """
    busy = _busy(cluster, rolling) if any(each.restarts for each in waiting) else []
    first = ""
    for each in waiting:
        others = [key for key in busy if key != each.workload.key]
        refusal = room_for(each.workload.key, others, terms.policy.guards)
        if refusal is None or not each.restarts:
            return each, ""
        first = first or refusal.detail
    return None, first


def _busy(cluster: Cluster, rolling: Mapping[WorkloadKey, Workload]) -> list[WorkloadKey]:
    """Workloads whose pods are being replaced: by a release, or by a change of the loop."""
    fleet = cluster.inventory.workloads()
    busy = [key for key, answer in rolling.items() if _under_way(fleet.get(key), answer)]
    for key, record in cluster.records.all().items():
        workload, trial = fleet.get(key), record.trial
        changed = trial is not None and trial.phase is Phase.ROLLING_OUT
        if changed and key not in rolling and workload is not None and workload.live is None:
            busy += [key] if workload.rollout is not Rollout.COMPLETE else []
    return busy


def _under_way(view: Workload | None, answer: Workload) -> bool:
    """Whether a rollout is not seen to be over; a view may lag behind the answer to the write."""
    return view is not None and (
        view.generation < answer.generation or view.rollout is not Rollout.COMPLETE
    )


def _gone(cluster: Cluster, key: WorkloadKey) -> bool:
    try:
        cluster.inventory.fetch(key)
    except GoneError:
        return True
    except ClusterError:
        return False
    return False


def _release(
    cluster: Cluster, terms: Terms, planned: Plan, rolling: dict[WorkloadKey, Workload]
) -> Ended:
    key = planned.workload.key
    try:
        written = _write(cluster, terms, planned)
    except GoneError as error:
        if _gone(cluster, key):
            return Ended(key, True, "it is gone, and its record goes with it")
        return Ended(key, False, str(error))  # its live ConfigMap is
    except ClusterError as error:
        if planned.restarts:
            rolling[key] = planned.workload  # it may have been written all the same
        return Ended(key, False, str(error))
    if isinstance(written, Refusal):
        return Ended(key, False, written.why)
    if written.restarts:
        rolling[key] = written.workload
    words = [str(written.change) if written.change is not None else "no value of gc-tuner's left"]
    words += [f"left as it is: {each}" for each in written.left]
    if written.record is not None:
        try:
            cluster.records.save(written.workload, written.record)
        except GoneError:
            pass  # the workload went, and took it along
        except ClusterError as error:
            words.append(f"its record was not written, run it again: {error}")
            return Ended(key, False, "; ".join(words))
    return Ended(key, True, "; ".join(words))


def _write(cluster: Cluster, terms: Terms, planned: Plan) -> Plan | Refusal:
    """Read afresh, plan again, patch at that version; anew when it moved in between.

    Returns:
        The plan as it was carried out, with the workload as the API server answered it.

    Raises:
        ConflictError: It moved under each attempt; nothing was written.
        ClusterError: It was not written, or it is not known whether it was.
    """
    key, attempt = planned.workload.key, 0
    while True:
        attempt += 1
        fresh, record = cluster.inventory.fetch(key), cluster.records.all().get(key)
        found = _plan(cluster, terms, fresh, record)
        if isinstance(found, Refusal):
            return found
        if found.change not in {planned.change, None}:
            return Refusal(key, f"it changed since that was planned ({found.change}): run it again")
        try:
            if found.change is not None:
                answer = cluster.actuator.write(fresh, found.change, None)
                return replace(found, workload=answer)
            if record is not None and (record.plan, record.barrier) != (None, None):
                fresh = cluster.actuator.withdraw(fresh)  # its write may still be on its way
            cluster.actuator.clear_cause(fresh)
        except ConflictError:
            if attempt == WRITE_ATTEMPTS:
                raise
        else:
            return found
