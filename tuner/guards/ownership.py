"""Guard: GOGC must be ours or nobody's, a literal value, and listed once."""

import math

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.proposal import GogcMove
from tuner.model.reason import Reason
from tuner.model.workload import FIELD_MANAGER, GOGC, GOMEMLIMIT, Container, Workload


def ownership_of(workload: Workload, container: Container, name: str) -> Hold | None:
    """Why a setting may not be written; None where it may.

    The label on a live ConfigMap hands its keys over, whoever wrote them first. An env entry is
    another matter: a value in the manifest belongs to whoever applied it, and writing over it would
    start a fight that the next ``helm upgrade`` or ``kubectl apply`` wins.
    """
    entry = container.env.get(name)
    if entry is None or workload.live is not None:
        return None
    if entry.count > 1:
        return Hold(
            Reason.DUPLICATE_ENV,
            f"{name} is listed {entry.count} times in container {container.name!r}",
        )
    if entry.value is None:
        return Hold(
            Reason.VALUE_FROM, f"{name} of container {container.name!r} comes from a valueFrom"
        )
    others = [owner for owner in entry.owners if owner != FIELD_MANAGER]
    if others:
        return Hold(
            Reason.OWNED_BY_OTHER,
            f"{name}={entry.value} belongs to {', '.join(others)}: take it out of that manifest",
        )
    return None


def limit_is_free(workload: Workload, container: Container, gomemlimit_bytes: float | None) -> bool:
    """Whether GOMEMLIMIT may be written.

    A limit in force that no env entry explains was set by the program itself: automemlimit, or a
    call of ``debug.SetMemoryLimit``. It would be set again over ours.
    """
    if gomemlimit_bytes is not None and GOMEMLIMIT not in container.env:
        return False
    return ownership_of(workload, container, GOMEMLIMIT) is None


def owned(situation: Situation) -> Hold | None:
    """Refuse any change where the GOGC that is in force is not ours: its owner looks after it.

    An ``off`` is no value that anyone tunes: a GOMEMLIMIT beside it is what keeps it safe.
    """
    if math.isinf(situation.signals.gogc):
        return None
    return ownership_of(situation.workload, situation.container, GOGC)


def ownership(move: GogcMove, situation: Situation) -> GogcMove | Hold:
    """Refuse an env entry that is not ours to write."""
    return ownership_of(situation.workload, situation.container, GOGC) or move
