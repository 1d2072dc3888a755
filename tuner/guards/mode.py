"""Guard: only a workload in mode auto is written to, and never in a dry run."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.policy import Policy
from tuner.model.reason import Reason
from tuner.model.tuning import Proposal
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


def mode(proposal: Proposal, situation: Situation) -> Proposal | Hold:
    """Refuse what may only be recommended."""
    wish = (
        f"would set GOGC {proposal.current_gogc:g} -> {proposal.next_gogc} "
        f"(CPU {-proposal.prediction.cpu_saving_ratio:+.0%})"
    )
    if situation.policy.dry_run:
        return Hold(Reason.DRY_RUN, wish)
    if situation.mode is not Mode.AUTO:
        return Hold(Reason.MODE_RECOMMEND, f"{wish}; label gc-tuner.io/mode: auto allows it")
    return proposal
