"""What holds of every write to a workload, whoever watches it: properties, or a day of faults."""

import math
import re
from dataclasses import dataclass

from tests.examples import MIB
from tuner.control.propose import GOGC_LEAST
from tuner.control.tier import tier_of
from tuner.guards.orders import stopped
from tuner.model.override import Override
from tuner.model.policy import Policy, Profile
from tuner.model.reason import Reason
from tuner.model.trial import Trial
from tuner.model.workload import (
    BARRIER,
    FIELD_MANAGER,
    GOGC,
    GOMEMLIMIT,
    Container,
    Mode,
    Rollout,
    Workload,
)

WHOLE = re.compile(r"[1-9][0-9]*")
MEBIBYTES = re.compile(r"([1-9][0-9]*)MiB")


@dataclass(frozen=True, kw_only=True)
class Write:
    """A change, and what it meets where it is written."""

    at: float
    trial: Trial
    workload: Workload
    """As it is just before."""
    policy: Policy
    override: Override
    alerts: frozenset[str] = frozenset()
    """Those that are firing."""
    current_gogc: float = math.nan
    """That the pods run with, percent; no bound holds of what is not known."""

    @property
    def container(self) -> Container:
        container = self.workload.container(self.trial.change.container)
        assert container is not None
        return container

    @property
    def profile(self) -> Profile:
        profile = tier_of(self.workload, self.policy, self.override)
        assert isinstance(profile, Profile), profile
        return profile

    @property
    def limit_bytes(self) -> int | None:
        """The smallest memory limit that a pod has, or will have."""
        container = self.container
        limits = [container.running.memory_limit_bytes]
        if self.workload.live is None or limits == [None]:
            limits.append(container.memory_limit_bytes)
        return min((each for each in limits if each is not None), default=None)

    @property
    def gogc(self) -> int | None:
        """The value to be written; None where it stays."""
        move = self.trial.change.of(GOGC)
        return None if move is None else int(move.after or "")

    @property
    def gomemlimit_mib(self) -> int | None:
        """The limit to be written; None where it stays."""
        move = self.trial.change.of(GOMEMLIMIT)
        text = None if move is None else MEBIBYTES.fullmatch(move.after or "")
        return None if text is None else int(text[1])


def check_permitted(write: Write) -> None:
    """People want it, and have not stopped it."""
    assert write.workload.label_mode == Mode.AUTO
    assert write.policy.read_only is None
    assert stopped(write.override, write.at) is None


def check_ours(write: Write) -> None:
    """It touches what is ours or nobody's."""
    # Whoever labels a ConfigMap for the live channel hands its keys over.
    if write.workload.live is None:
        for move in write.trial.change.settings:
            entry = write.container.env.get(move.name)
            assert entry is None or (entry.count == 1 and set(entry.owners) <= {FIELD_MANAGER})


def check_at_rest(write: Write) -> None:
    """No pod is restarted while a rollout is in progress, but to undo harm."""
    if write.workload.live is None:
        rollback = write.trial.reason is Reason.ROLLBACK
        assert rollback or write.workload.rollout is Rollout.COMPLETE


def check_syntax(write: Write) -> None:
    """Go takes every value as it is written, and what stood there before is known."""
    for move in write.trial.change.settings:
        assert move.name in {GOGC, GOMEMLIMIT, BARRIER}
        assert move.before == write.container.literal(move.name)
        syntax = MEBIBYTES if move.name == GOMEMLIMIT else WHOLE
        assert syntax.fullmatch(move.after or "")


def check_memory_limit(write: Write) -> None:
    """No GOMEMLIMIT is over the container's limit, or over what people pinned."""
    mib, pinned = write.gomemlimit_mib, write.override.pin_memory_limit_bytes
    if mib is not None and write.limit_bytes is not None:
        assert mib * MIB <= write.limit_bytes
        assert pinned is None or mib * MIB <= pinned


def check_step(write: Write) -> None:
    """GOGC goes one step, unless memory is in danger or people say at once."""
    if write.gogc is not None:
        at_once = write.trial.reason is Reason.DANGER or write.override.immediate
        now, ratio = max(write.current_gogc, 1.0), write.policy.law.step_ratio
        assert at_once or now / ratio <= write.gogc <= now * ratio


def check_bounds(write: Write) -> None:
    """GOGC keeps its bounds, but for a ceiling, danger, a step on the way and a pin."""
    if write.gogc is None:
        return
    profile, pin, now = write.profile, write.override.pin_gogc, write.current_gogc
    if pin is not None:
        assert min(now, pin) <= write.gogc <= max(now, pin)
    elif write.gogc > now:
        assert write.gogc <= profile.gogc_highest
    elif write.gogc < now:
        low = write.trial.reason in {Reason.MEMORY_CEILING, Reason.DANGER}
        assert write.gogc >= (GOGC_LEAST if low else profile.gogc_lowest)


def check_time(write: Write) -> None:
    """Nobody said that it is a bad time."""
    assert not write.alerts
    assert not write.policy.guards.closed(write.at)


def check_every(write: Write) -> None:
    """What holds of every write, rollbacks included."""
    check_permitted(write)
    check_ours(write)
    check_at_rest(write)


def check_new(write: Write) -> None:
    """What holds of all but rollbacks, which restore what stood there, whatever it was."""
    check_time(write)
    check_syntax(write)
    check_memory_limit(write)
    check_step(write)
    check_bounds(write)
