"""Guard: more memory for a service that never lets go of it would only hide the leak."""

from itertools import pairwise
from statistics import correlation

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason

CORRELATION_WINDOWS = 5
"""Fewer points lie on a line by chance."""
MIB = 1024 * 1024


def leak(situation: Situation) -> Hold | None:
    """Refuse while the live heap grows without a stop, or together with very many goroutines."""
    return _growing(situation) or _growing_with_goroutines(situation)


def _growing(situation: Situation) -> Hold | None:
    rules = situation.policy.guards
    newest = [each.live_bytes for each in situation.windows[-(rules.leak_windows + 1) :]]
    live = situation.signals.live_bytes
    if len(newest) <= rules.leak_windows or live <= rules.leak_least_bytes:
        return None
    factor = 1 + rules.leak_growth_ratio
    if not all(after > before * factor for before, after in pairwise(newest)):
        return None
    return Hold(
        Reason.LEAK_SUSPECTED,
        f"the live heap grew by over {rules.leak_growth_ratio:.0%} in each of the last "
        f"{rules.leak_windows} rate windows, to {live / MIB:.0f} MiB: capture a heap profile",
    )


def _growing_with_goroutines(situation: Situation) -> Hold | None:
    rules, windows = situation.policy.guards, situation.windows
    live = [each.live_bytes for each in windows]
    goroutines = [each.goroutines for each in windows if each.goroutines is not None]
    if len(windows) < CORRELATION_WINDOWS or len(goroutines) < len(windows):
        return None
    factor = 1 + rules.leak_growth_ratio
    if (
        goroutines[-1] <= rules.goroutines_many
        or goroutines[-1] <= goroutines[0] * factor
        or live[-1] <= live[0] * factor
        or correlation(live, goroutines) <= rules.goroutines_correlation
    ):
        return None
    return Hold(
        Reason.LEAK_SUSPECTED,
        f"the live heap grows together with the goroutines, which are {goroutines[-1]:.0f}: "
        "capture a goroutine profile",
    )
