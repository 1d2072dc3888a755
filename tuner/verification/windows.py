"""Rate windows observed at one setting: what a trial's two sides are made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from tuner.model.policy import LatencyQuantile, Timing, TrialRules
from tuner.model.signals import CYCLES_FOR_A_SHARE, Signals, Source
from tuner.model.trial import Level, Spread
from tuner.verification.verdict import load_moved

ALMOST = 0.99
"""Ticks come a little early or late: a window that is this full is a window."""
MISSED_WINDOWS = 2.0
"""For how long a pod may be missing before it counts as gone, rate windows after the last that it
took part in."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Non-overlapping rate windows, oldest first, all at one setting of one template."""

    setting: tuple[object, ...] = ()
    """What has to stay the same for two windows to be comparable."""
    signals: tuple[Signals, ...] = ()
    since: float | None = None
    """Since when there have been figures without a break; None: there are none now."""
    lost_at: float | None = None
    """Since when there have been none that may be believed; None: there are some."""

    def __len__(self) -> int:
        return len(self.signals)

    def seen_seconds(self, at: float) -> float:
        """For how long there have been figures without a break."""
        return 0.0 if self.since is None else at - self.since

    def broken_off(self, at: float) -> "Windows":
        """The same where there are no figures that may be believed."""
        if self.lost_at is not None and self.lost_at <= at:
            return self
        return replace(self, since=None, lost_at=at)


def observe(
    windows: Windows,
    signals: Signals,
    setting: tuple[object, ...],
    *,
    ready_pods: int,
    rate_window_seconds: float,
    keep: int,
) -> Windows:
    """The windows with one more, if a whole rate window has passed since the last.

    A new setting starts from nothing, and so does a changed number of pods: the same load over more
    pods is another experiment. A clock that was set back starts anew too: no window would be over
    until it caught up. Figures that lack a pod are passed over; see `lacks_a_pod`.
    """
    latest = windows.signals[-1].at if windows.signals else windows.since
    set_back = latest is not None and signals.at < latest
    since = signals.at if windows.since is None or set_back else windows.since
    if since != windows.since:
        windows = replace(windows, since=since, lost_at=None)
    if setting != windows.setting or signals.pods_young or set_back:
        windows = Windows(setting, since=since)
    if signals.pods_young:
        return windows
    if lacks_a_pod(windows, signals, ready_pods, rate_window_seconds):
        return windows
    if windows.signals and windows.signals[-1].pods != signals.pods:
        windows = Windows(setting, since=since)
    if windows.signals:
        passed = signals.at - windows.signals[-1].at
        if passed < ALMOST * rate_window_seconds:
            return windows
    return Windows(setting, (*windows.signals, signals)[-keep:], since)


def lacks_a_pod(
    windows: Windows, signals: Signals, ready_pods: int, rate_window_seconds: float
) -> bool:
    """Whether a pod that took part in the last window is missing, though it is as ready as before.

    Its scrape failed then: Prometheus ends all series of a target with the first scrape that fails,
    and shows them again with the next one that succeeds. That is no other number of pods.

    Args:
        windows: Observed at the setting of the signals.
        signals: The newest.
        ready_pods: How many pods Kubernetes calls ready.
        rate_window_seconds: How long a window is.
    """
    if not windows.signals:
        return False
    latest = windows.signals[-1]
    recent = signals.at - latest.at <= MISSED_WINDOWS * rate_window_seconds
    return recent and signals.pods < min(latest.pods, ready_pods)


def pooled(
    before: Sequence[Signals], newest: Signals, timing: Timing, rules: TrialRules
) -> Signals:
    """The newest figures, with what GC costs averaged where a rate window has too few cycles.

    A large heap may be collected every half minute, and cost much. The mean is over those of the
    last windows, as many as a trial has, that share no time and that saw the same load; a gap ends
    them, as nobody knows how often it collected meanwhile.

    Args:
        before: Windows, oldest first; the newest may be among them.
        newest: Of which the answer tells.
        timing: How long a window is, and how long it can be until the next one is seen.
        rules: How many windows, and what another load is.
    """
    if newest.cycles_seen >= CYCLES_FOR_A_SHARE:
        return newest
    length = ALMOST * timing.rate_window_seconds
    reach = rules.windows * timing.rate_window_seconds - length
    gap = timing.rate_window_seconds + timing.interval_seconds
    allocated = newest.allocated_bytes_per_second
    taken, later = [newest], newest
    for each in reversed(before):
        if newest.at - each.at > reach or later.at - each.at > gap:
            break
        later = each
        alike = not load_moved(each.allocated_bytes_per_second, allocated, rules)
        if alike and taken[-1].at - each.at >= length:
            taken.append(each)
    return newest if len(taken) == 1 else _averaged(taken)


def _averaged(taken: Sequence[Signals]) -> Signals:
    """The first of them with the mean of what GC costs; its share is weighted by the CPU used."""
    cores = [each.cpu_cores for each in taken]
    shares = [each.gc_share for each in taken]
    sources = [each.gc_share_source for each in taken]
    return replace(
        taken[0],
        gc_share=fmean(shares, cores) if sum(cores) else fmean(shares),
        gc_share_source=next((each for each in sources if each is not Source.MEASURED), sources[0]),
        marked_bytes_per_second=fmean(each.marked_bytes_per_second for each in taken),
        cycles_per_second=fmean(each.cycles_per_second for each in taken),
        cycles_seen=sum(each.cycles_seen for each in taken),
    )


def level(windows: Windows, quantile: LatencyQuantile = LatencyQuantile.P95) -> Level:
    """Medians and spreads over the windows.

    Of what GC costs the mean, where windows have too few cycles: the median of counts of 0 and 1 is
    no rate.

    Args:
        windows: At least one.
        quantile: Of latency, that the tier's objective means.

    Raises:
        ValueError: There is no window.
    """
    if not windows.signals:
        raise ValueError("a level needs at least one window")
    seen = windows.signals
    newest = seen[-1]
    sparse = any(each.cycles_seen < CYCLES_FOR_A_SHARE for each in seen)
    middle = fmean if sparse else median
    per_request = [each.cpu_seconds_per_request for each in seen]
    known = [value for value in per_request if value is not None]
    latencies = [value for value in (each.latency(quantile) for each in seen) if value is not None]
    return Level(
        at=newest.at,
        cpu_seconds_per_request=_spread(known) if known else None,
        cpu_seconds_per_allocated_byte=_spread(
            [each.cpu_cores / max(each.allocated_bytes_per_second, 1.0) for each in seen]
        ),
        gc_share=middle(each.gc_share for each in seen),
        cpu_cores=median(each.cpu_cores for each in seen),
        requests_per_second=_median(seen, lambda each: each.requests_per_second),
        allocated_bytes_per_second=median(each.allocated_bytes_per_second for each in seen),
        marked_bytes_per_second=middle(each.marked_bytes_per_second for each in seen),
        resident_bytes=round(max(each.resident_bytes for each in seen)),
        errors_ratio=_median(seen, lambda each: each.errors_ratio),
        latency_seconds=_spread(latencies) if latencies else None,
        pods=newest.pods,
        live_bytes=round(median(each.live_bytes for each in seen)),
        gogc_effective=median(each.gogc_effective for each in seen),
        gc_share_measured=all(each.gc_share_source is Source.MEASURED for each in seen),
        utilisation=_median(seen, lambda each: each.utilisation),
        marked_known=all(each.live_source is not Source.ESTIMATED for each in seen),
        latency_quantile=quantile,
    )


def _spread(values: Sequence[float]) -> Spread:
    middle = median(values)
    return Spread(
        median=middle,
        deviation=median(abs(value - middle) for value in values),
        windows=len(values),
    )


def _median(seen: Sequence[Signals], pick: Callable[[Signals], float | None]) -> float | None:
    known = [value for value in map(pick, seen) if value is not None]
    return median(known) if known else None
