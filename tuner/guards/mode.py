"""Guard: only a workload in mode auto is written to, and only by the replica that leads."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.policy import Policy
from tuner.model.proposal import GogcMove, Proposal
from tuner.model.reason import Reason
from tuner.model.workload import Mode, Workload


def mode_of(workload: Workload, policy: Policy) -> Mode | Hold:
    """Mode of a workload: its label's, else the operator's default."""
    if workload.label_mode is None:
        return policy.default_mode
    try:
        return Mode(workload.label_mode)
    except ValueError:
        return Hold(
            Reason.MODE_INVALID,
            f"label gc-tuner.io/mode reads {workload.label_mode!r}: use one of {', '.join(Mode)}",
        )


def concerns(workload: Workload, policy: Policy, *, recorded: bool, known: bool) -> bool:
    """Whether gc-tuner decides on a workload.

    It does on those that somebody asked for by label, those that have a record, and by default on
    all Go services.

    Args:
        workload: The workload.
        policy: The operator's policy.
        recorded: Whether it has a record.
        known: Whether it is known to be a Go service.
    """
    if workload.label_mode is None:
        return recorded or (known and policy.default_mode is not Mode.OFF)
    return recorded or workload.label_mode != Mode.OFF


def mode(proposal: Proposal, situation: Situation) -> Hold | None:
    """Refuse what may only be recommended."""
    wish = f"would set {_wish(proposal)}"
    read_only = situation.policy.read_only
    if read_only is not None:
        return Hold(read_only, wish)
    if situation.mode is not Mode.AUTO:
        return Hold(Reason.MODE_RECOMMEND, f"{wish}; label gc-tuner.io/mode: auto allows it")
    return None


def _wish(proposal: Proposal) -> str:
    gogc, limit = proposal.gogc, proposal.memory_limit
    parts = []
    if isinstance(gogc, GogcMove):
        saving = -gogc.prediction.cpu_saving_ratio
        parts.append(f"GOGC {gogc.current_gogc:g} -> {gogc.next_gogc} (CPU {saving:+.0%})")
    if limit is not None:
        parts.append(str(limit))
    return ", ".join(parts)
