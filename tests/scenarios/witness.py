"""Stands where the cluster accepts writes, and holds each against what it may be."""

import math
import traceback
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from tests.examples import trial as any_trial
from tests.scenarios.worlds import Stage
from tests.writes import Write, check_every, check_new, check_permitted
from tuner.errors import GoneError
from tuner.model.override import Override
from tuner.model.reason import Reason
from tuner.model.trial import Change, Phase, Setting, Trial
from tuner.model.workload import BARRIER, Workload, WorkloadKey
from tuner.overrides.source import BookOverrides

_T = TypeVar("_T")


class Witness:
    """An actuator that looks at what became of each write."""

    def __init__(self, stage: Stage) -> None:
        self.writes: list[Trial] = []
        """Every change that was accepted."""
        self.wrong: list[str] = []
        """What was wrong with them."""
        self._world, self._cluster = stage.world, stage.cluster
        self._last: dict[WorkloadKey, Change] = {}
        self._others: dict[tuple[WorkloadKey, str], str | None] = {}
        """What stood there before gc-tuner's own."""

    def write(self, workload: Workload, change: Change, cause: str | None) -> Workload:
        return self._watched(
            workload.key,
            lambda: self._cluster.write(workload, change, cause),
            lambda before: self._look(before, change),
        )

    def withdraw(self, workload: Workload) -> Workload:
        return self._watched(
            workload.key,
            lambda: self._cluster.withdraw(workload),
            self._look_permitted,
        )

    def clear_cause(self, workload: Workload) -> None:
        self._watched(
            workload.key,
            lambda: self._cluster.clear_cause(workload),
            self._look_permitted,
        )

    def deliver(self) -> None:
        """Let the late writes arrive: those that are accepted have to be on record still."""
        while self._cluster.late:
            late = self._cluster.late[0]
            look = partial(self._look_late, change=late.change)
            self._watched(late.workload.key, self._cluster.deliver, look)

    def _look_permitted(self, before: Workload) -> None:
        check_permitted(self._as_write(before, any_trial()))

    def _look_late(self, before: Workload, change: Change) -> None:
        """It was right when it was sent; whether it is now, nobody was there to ask."""
        trial = self._on_record(before.key, change)
        self._check_done(before, change)
        if trial.reason is not Reason.ROLLBACK:
            self._remember(before, change)

    def _watched(
        self, key: WorkloadKey, act: Callable[[], _T], look: Callable[[Workload], None]
    ) -> _T:
        try:
            before = self._cluster.truth(key)
        except GoneError:
            return act()
        accepted = len(self._cluster.written)
        try:
            return act()
        finally:
            if len(self._cluster.written) > accepted:
                self._note(before, look)

    def _note(self, before: Workload, look: Callable[[Workload], None]) -> None:
        """An answer that is lost, or a controller that dies of it, does not undo the write."""
        try:
            look(before)
        except AssertionError as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            record = self._cluster.all().get(before.key)
            self.wrong.append(
                f"after {self._world.seconds:.0f} s: {before.key}: {where.line} ({where.name}): "
                f"{error}; {before}; {record}"
            )

    def _look(self, before: Workload, change: Change) -> None:
        key = before.key
        trial = self._on_record(key, change)
        self.writes.append(trial)
        self._check_done(before, change)
        (container,) = before.containers
        if all(container.ours(each.name, each.after) for each in change.settings):
            return  # the answer was lost before; nothing changes
        write = self._as_write(before, trial)
        check_every(write)
        if trial.reason is Reason.ROLLBACK:
            undone = self._last[key].back.settings
            stood = {each for each in change.settings if self._stood(key, each)}
            assert set(change.settings) <= {*undone, *stood}, f"{change} does not undo {undone}"
        else:
            self._remember(before, change)
            check_new(write)

    def _on_record(self, key: WorkloadKey, change: Change) -> Trial:
        record = self._cluster.all().get(key)
        assert record is not None, f"{change} is not on record"
        if [move.name for move in change.settings] == [BARRIER]:
            assert record.barrier is not None, "what stood there before is not on record"
            return any_trial(change=change, reason=Reason.BARRIER)
        trial = record.trial
        assert trial is not None, f"{change} is not on record"
        assert trial.phase is Phase.PLANNED, f"{change} is not on record as a plan: {trial}"
        assert trial.change == change, f"{change} is on record as {trial.change}"
        return trial

    def _remember(self, before: Workload, change: Change) -> None:
        (container,) = before.containers
        self._last[before.key] = change
        for each in change.settings:
            if not container.ours(each.name, each.before):
                self._others[before.key, each.name] = each.before

    def _stood(self, key: WorkloadKey, back: Setting) -> bool:
        """Whether a setting is what stood there before gc-tuner's first."""
        return (key, back.name) in self._others and self._others[key, back.name] == back.after

    def _check_done(self, before: Workload, change: Change) -> None:
        """The cluster has what was asked for, and nothing else was touched."""
        after = self._cluster.truth(before.key)
        (container,), (old,) = after.containers, before.containers
        values = {name: entry.value for name, entry in old.env.items()}
        for each in change.settings:
            after_value = each.after and self._cluster.webhook.get(each.name, each.after)
            values[each.name] = after_value
        left = {name: value for name, value in values.items() if value is not None}
        assert {name: entry.value for name, entry in container.env.items()} == left
        assert container.memory_limit_bytes == old.memory_limit_bytes
        assert container.memory_request_bytes == old.memory_request_bytes
        assert (after.replicas, after.label_mode, after.template_digest, after.annotations) == (
            before.replicas,
            before.label_mode,
            before.template_digest,
            before.annotations,
        )

    def _as_write(self, before: Workload, trial: Trial) -> Write:
        in_force = [pod.settings.gogc for pod in self._cluster.pods(before.key)]
        alerts = {} if self._world.clock_ahead_seconds else self._world.source.alerts
        return Write(
            alerts=alerts.get(before.key.namespace, frozenset()),
            at=self._world.controller_time,
            trial=trial,
            workload=before,
            policy=self._world.policy,
            override=self._override(before.key),
            current_gogc=max(in_force, default=math.nan),
        )

    def _override(self, key: WorkloadKey) -> Override:
        record = self._cluster.all().get(key)
        sightings = () if record is None else record.sightings
        first_seen = {each.entry: each.seen_at for each in sightings}
        book = BookOverrides(lambda: self._world.book)
        return book.of(key, self._world.controller_time, first_seen).override
