"""The last look before a write: is the workload, read afresh, still the one that was decided on?"""

from collections.abc import Iterator, Sequence

from tuner.control.tier import TIER
from tuner.guards.ownership import ownership_of
from tuner.guards.rollout import rollout_of
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.trial import Setting, Trial
from tuner.model.workload import Container, Workload
from tuner.signals.container import ANNOTATION as CONTAINER


def objection_to(trial: Trial, fresh: Workload, decided_on: Workload) -> Hold | None:
    """Why a planned change must not be written to the workload as it is now; None where it may.

    A rollback out of our own rollout does not wait for that rollout to end, and the live channel
    for none. Nor does a change that stands there already, in our name: its answer was lost, and the
    view is not there yet. Writing it again changes nothing, and keeps what stood there before on
    record.
    """
    container = fresh.container(trial.change.container)
    if container is None or _another(trial, fresh, decided_on):
        return Hold(Reason.WORKLOAD_CHANGED, "the workload changed since it was decided on")
    if fresh.live is not None and fresh.live.trouble:
        return Hold(Reason.LIVE_CHANNEL_INVALID, fresh.live.trouble)
    refusal = next(filter(None, _of_moves(trial.change.settings, fresh, container)), None)
    if refusal is not None or trial.reason is Reason.ROLLBACK or fresh.live is not None:
        return refusal
    if all(container.ours(move.name, move.after) for move in trial.change.settings):
        return None
    return rollout_of(fresh)


def _of_moves(
    moves: Sequence[Setting], fresh: Workload, container: Container
) -> Iterator[Hold | None]:
    """Why each move must not be made; None where it may."""
    for move in moves:
        yield ownership_of(fresh, container, move.name)
    if all(container.ours(move.name, move.after) for move in moves):
        return
    for move in moves:
        now = container.literal(move.name)
        if now != move.before:
            yield Hold(
                Reason.WORKLOAD_CHANGED,
                f"{move.name} reads {now or 'unset'}, "
                f"it was {move.before or 'unset'} when the change was decided on",
            )


def _another(trial: Trial, fresh: Workload, decided_on: Workload) -> bool:
    """Whether the workload is no longer the one that was decided on."""
    return (
        fresh.uid != decided_on.uid
        or fresh.label_mode != decided_on.label_mode
        or fresh.template_digest != trial.template_digest
        or (trial.reason is not Reason.ROLLBACK and _asked(fresh) != _asked(decided_on))
        or _channel(fresh) != _channel(decided_on)
    )


def _asked(workload: Workload) -> Sequence[str | None]:
    """What its annotations ask of the tuning."""
    return [workload.annotations.get(name) for name in (CONTAINER, *TIER)]


def _channel(workload: Workload) -> str:
    return "" if workload.live is None else workload.live.config_map
