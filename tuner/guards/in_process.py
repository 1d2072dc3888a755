"""Guard: no tug of war with code in the service that sets GOGC or GOMEMLIMIT itself."""

import math

from tuner.control.gogc import gogc_of
from tuner.control.memory_limit import parse
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.signals import Signals
from tuner.model.trial import Phase
from tuner.model.workload import GOGC, GOMEMLIMIT, Rollout

LIVE_DELAY_SECONDS = 120.0
"""Time that a value may take from the ConfigMap through the mounted volume into the metrics."""


def gogc_in_process(situation: Situation) -> Hold | None:
    """Refuse where the pods all run with another GOGC than they were given."""
    if not _comparable(situation, GOGC):
        return None
    given = situation.container.literal(GOGC)
    expected = gogc_of(given)
    if any(not each.gogc_uniform or each.gogc == expected for each in _seen(situation)):
        return None
    gogc = situation.signals.gogc
    return _hold(situation, GOGC, "off" if math.isinf(gogc) else f"{gogc:g}")


def memory_limit_in_process(situation: Situation) -> Hold | None:
    """Refuse where the pods run with another GOMEMLIMIT than they were given, or with none.

    Where no metric tells, the signals have what they were given.
    """
    if not _comparable(situation, GOMEMLIMIT):
        return None
    try:
        expected = parse(situation.container.literal(GOMEMLIMIT))
    except ValueError:
        # No pod starts with it, so that these started with something else.
        return None
    if any(each.gomemlimit_bytes == expected for each in _seen(situation)):
        return None
    limit = situation.signals.gomemlimit_bytes
    return _hold(situation, GOMEMLIMIT, "off" if limit is None else f"{limit:.0f}B")


def _comparable(situation: Situation, name: str) -> bool:
    """Whether the pods must have what stands in their env or ConfigMap by now."""
    workload, trial = situation.workload, situation.record.trial
    settled = (
        workload.rollout is Rollout.COMPLETE
        and situation.signals.pods_young == 0
        and (trial is None or trial.phase is Phase.MEASURING)
    )
    entry = situation.container.env.get(name)
    if not settled or (entry is not None and entry.value is None):
        return False
    if workload.live is None:
        return True
    # A name that the ConfigMap leaves out is as the env has it, which is not seen here.
    applied = situation.record.applied
    passed = math.inf if applied is None else situation.now - applied.written_at
    # A write that is yet to come was made before the clock was set back.
    return entry is not None and not 0 <= passed <= LIVE_DELAY_SECONDS


def _seen(situation: Situation) -> tuple[Signals, ...]:
    """What has to agree: one odd reading is not enough."""
    return (*situation.windows[-1:], situation.signals)


def _hold(situation: Situation, name: str, observed: str) -> Hold:
    given = situation.container.literal(name) or "unset"
    place = "env" if situation.workload.live is None else "ConfigMap"
    return Hold(
        Reason.IN_PROCESS_TUNER,
        f"the pods run with {name} {observed}, their {place} says {given}: "
        "code in the service or its image sets it",
    )
