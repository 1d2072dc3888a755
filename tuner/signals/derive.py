"""Reading of one container to its signals, or the reason why it may not be believed."""

import math
from collections.abc import Mapping

from tuner.model.decision import Hold
from tuner.model.policy import ControlLaw, Timing
from tuner.model.reading import Quantity
from tuner.model.reason import Reason
from tuner.model.signals import Signals, Source

GOGC_OFF = 1e18
"""``go_gc_gogc_percent`` reads 1.8e19 where GOGC is off."""
GOMEMLIMIT_UNSET = 1e18
"""``go_gc_gomemlimit_bytes`` reads 2^63-1 where no limit is set."""
LIMIT_GOAL_RATIO = 0.97
"""Share of GOMEMLIMIT less non-heap memory that the runtime makes its heap goal: 872, 681 and
678 MB predicted against 872, 682 and 677 MB observed."""
LIMIT_BINDS_RATIO = 0.98
"""A heap goal this close to the one that the limit allows is the limit's."""
EFFECTIVE_LEAST = 1.0
"""Percent in effect at the least: Go accepts GOGC=0, and the loop works on the logarithm."""
SHARE_LOWEST, SHARE_HIGHEST = 0.002, 0.95
"""Bounds of the GC share: the loop's error is a logit, infinite at 0 and 1."""

REQUIRED = (
    Quantity.PODS,
    Quantity.SAMPLE_AGE_SECONDS,
    Quantity.SAMPLES_IN_WINDOW,
    Quantity.CPU_CORES,
    Quantity.GC_CYCLES_PER_SECOND,
    Quantity.ALLOCATED_BYTES_PER_SECOND,
    Quantity.MARKED_BYTES_PER_SECOND,
    Quantity.HEAP_GOAL_BYTES,
    Quantity.STACK_BYTES,
    Quantity.NON_HEAP_BYTES,
    Quantity.UNKNOWN_BYTES,
    Quantity.RESIDENT_BYTES,
    Quantity.GOGC_LOWEST,
    Quantity.GOGC_HIGHEST,
)
"""What is held without; every other quantity's absence leaves its signal unknown."""
LIVE_SOURCES = (
    Quantity.LIVE_EXPORTED_BYTES,
    Quantity.LIVE_DERIVED_BYTES,
    Quantity.LIVE_FLOOR_BYTES,
)
HIGHEST = 1e20
"""Above what 64 bits can count: no runtime says that, and products of such figures overflow."""
UNBOUNDED = (Quantity.GOGC_LOWEST, Quantity.GOGC_HIGHEST, Quantity.GOMEMLIMIT_BYTES)
"""Quantities that are legitimately infinite."""
UNDEFINED_AT_REST = (Quantity.LATENCY_P95_SECONDS, Quantity.LATENCY_P99_SECONDS)
"""Quantities that are NaN while there are no requests."""


def derive(
    at: float,
    container: str,
    reading: Mapping[Quantity, float],
    *,
    timing: Timing,
    law: ControlLaw,
    learned_cost_seconds_per_byte: float | None = None,
) -> Signals | Hold:
    """Signals of one container, or why there are none.

    Args:
        at: Evaluation time of the reading.
        container: Name of the container.
        reading: Its quantities.
        timing: Windows and ages.
        law: Constants; the prior of the marking cost is used where none was learned.
        learned_cost_seconds_per_byte: Marking cost learned from this workload's own trials.
    """
    cost = learned_cost_seconds_per_byte or law.cost_seconds_per_byte
    return (
        _absent(reading, timing)
        or _implausible(reading)
        or _untimely(reading, timing)
        or _signals(at, container, reading, timing, cost)
    )


def _absent(reading: Mapping[Quantity, float], timing: Timing) -> Hold | None:
    if Quantity.PODS not in reading and reading.get(Quantity.PODS_ALL, 0) > 0:
        return Hold(
            Reason.WARMING_UP,
            f"every pod started less than {timing.warm_up_seconds:g} s and one rate window ago",
        )
    missing = [each.value for each in REQUIRED if each not in reading]
    if not any(each in reading for each in LIVE_SOURCES):
        missing.append("live heap")
    if missing:
        return Hold(Reason.NO_DATA, f"not in the metrics: {', '.join(missing)}")
    return None


def _implausible(reading: Mapping[Quantity, float]) -> Hold | None:
    for quantity, value in reading.items():
        undefined = quantity in UNDEFINED_AT_REST and math.isnan(value)
        unbounded = quantity in UNBOUNDED and value > 0
        if not undefined and not unbounded and not 0 <= value <= HIGHEST:
            return Hold(Reason.NOT_FINITE, f"{quantity.value} reads {value}")
    if reading[Quantity.PODS] < 1 or reading[Quantity.CPU_CORES] <= 0:
        return Hold(Reason.NO_DATA, "no pod used any CPU in the rate window")
    return None


def _untimely(reading: Mapping[Quantity, float], timing: Timing) -> Hold | None:
    age = reading[Quantity.SAMPLE_AGE_SECONDS]
    if age > timing.stale_after_seconds:
        return Hold(
            Reason.STALE,
            f"newest sample is {age:.0f} s old, over {timing.stale_after_seconds:g} s",
        )
    samples = reading[Quantity.SAMPLES_IN_WINDOW]
    if samples < timing.samples_per_window:
        return Hold(
            Reason.WINDOW_TOO_SHORT,
            f"{samples:.0f} samples in a rate window of {timing.rate_window_seconds:g} s, "
            f"{timing.samples_per_window} are needed: lengthen rateWindow or scrape more often",
        )
    return None


def _signals(
    at: float,
    container: str,
    reading: Mapping[Quantity, float],
    timing: Timing,
    cost_seconds_per_byte: float,
) -> Signals:
    lowest, highest = (
        math.inf if reading[each] >= GOGC_OFF else reading[each]
        for each in (Quantity.GOGC_LOWEST, Quantity.GOGC_HIGHEST)
    )
    goal = reading[Quantity.HEAP_GOAL_BYTES]
    stack = reading[Quantity.STACK_BYTES]
    non_heap = reading[Quantity.NON_HEAP_BYTES]
    limit = reading.get(Quantity.GOMEMLIMIT_BYTES, math.inf)
    limited = limit < GOMEMLIMIT_UNSET
    gogc_binds = math.isfinite(highest) and not (limited and limit_binds(goal, limit, non_heap))

    live, live_source = _live(reading, goal, highest, gogc_binds=gogc_binds)
    effective = max(highest, EFFECTIVE_LEAST) if gogc_binds else _gogc_of(goal, live, stack)
    share, share_source = _share(reading, cost_seconds_per_byte)
    cycles_per_second = reading[Quantity.GC_CYCLES_PER_SECOND] / reading[Quantity.PODS]
    requests = reading.get(Quantity.REQUESTS_PER_SECOND)
    errors = reading.get(Quantity.ERRORS_PER_SECOND)
    return Signals(
        at=at,
        container=container,
        pods=round(reading[Quantity.PODS]),
        # Two queries of one instant can still see a pod come or go between them.
        pods_young=max(
            round(reading.get(Quantity.PODS_ALL, reading[Quantity.PODS]) - reading[Quantity.PODS]),
            0,
        ),
        cpu_cores=reading[Quantity.CPU_CORES],
        gc_share=share,
        gc_share_source=share_source,
        marked_bytes_per_second=reading[Quantity.MARKED_BYTES_PER_SECOND],
        cycles_per_second=cycles_per_second,
        cycles_seen=cycles_per_second * timing.rate_window_seconds,
        allocated_bytes_per_second=reading[Quantity.ALLOCATED_BYTES_PER_SECOND],
        live_bytes=live,
        live_source=live_source,
        stack_bytes=stack,
        non_heap_bytes=non_heap,
        unknown_bytes=reading[Quantity.UNKNOWN_BYTES],
        resident_bytes=reading[Quantity.RESIDENT_BYTES],
        heap_goal_bytes=goal,
        gogc=highest,
        gogc_effective=effective,
        gogc_uniform=lowest == highest,
        gomemlimit_bytes=limit if limited else None,
        requests_per_second=requests,
        errors_ratio=errors / requests if errors is not None and requests else None,
        latency_p95_seconds=_defined(reading.get(Quantity.LATENCY_P95_SECONDS)),
        latency_p99_seconds=_defined(reading.get(Quantity.LATENCY_P99_SECONDS)),
        pause_ratio=reading.get(Quantity.PAUSE_SECONDS_PER_SECOND),
        pause_longest_seconds=reading.get(Quantity.PAUSE_LONGEST_SECONDS),
        goroutines=reading.get(Quantity.GOROUTINES),
        utilisation=_utilisation(reading),
        throttled_ratio=reading.get(Quantity.THROTTLED_RATIO),
        go_version=_whole(reading.get(Quantity.GO_VERSION)),
        barrier_threshold=_barrier_threshold(reading),
        barrier_in_flight=reading.get(Quantity.BARRIER_IN_FLIGHT),
        barrier_refused_per_second=reading.get(Quantity.BARRIER_REFUSED_PER_SECOND),
    )


def limit_binds(heap_goal_bytes: float, gomemlimit_bytes: float, non_heap_bytes: float) -> bool:
    """Whether a GOMEMLIMIT, and not GOGC, makes the heap goal."""
    allowed = LIMIT_GOAL_RATIO * (gomemlimit_bytes - non_heap_bytes)
    return heap_goal_bytes >= LIMIT_BINDS_RATIO * allowed


def _live(
    reading: Mapping[Quantity, float], goal: float, gogc: float, *, gogc_binds: bool
) -> tuple[float, Source]:
    if Quantity.LIVE_EXPORTED_BYTES in reading:
        return reading[Quantity.LIVE_EXPORTED_BYTES], Source.MEASURED
    if gogc_binds and Quantity.LIVE_DERIVED_BYTES in reading:
        return reading[Quantity.LIVE_DERIVED_BYTES], Source.DERIVED
    # The goal is the limit's and says little: the live heap is at least what GOGC would make of it.
    least = goal / (1 + gogc / 100)
    return max(least, reading.get(Quantity.LIVE_FLOOR_BYTES, 0.0)), Source.ESTIMATED


def _share(reading: Mapping[Quantity, float], cost_seconds_per_byte: float) -> tuple[float, Source]:
    measured = reading.get(Quantity.GC_CPU_CORES)
    if measured is None:
        estimated = cost_seconds_per_byte * reading[Quantity.MARKED_BYTES_PER_SECOND]
        return _bounded(estimated / reading[Quantity.CPU_CORES]), Source.ESTIMATED
    # The runtime counts the time that a marking thread waits for a core, the kernel does not: where
    # cores are short, only the runtime's own account of the whole tells what part of it was GC.
    whole = max(reading[Quantity.CPU_CORES], reading.get(Quantity.BUSY_CPU_CORES, 0.0))
    return _bounded(measured / whole), Source.MEASURED


def _bounded(share: float) -> float:
    return min(max(share, SHARE_LOWEST), SHARE_HIGHEST)


def _utilisation(reading: Mapping[Quantity, float]) -> float | None:
    processors = reading.get(Quantity.PROCESSORS)
    return reading[Quantity.CPU_CORES] / processors if processors else None


def _barrier_threshold(reading: Mapping[Quantity, float]) -> float | None:
    lowest = reading.get(Quantity.BARRIER_THRESHOLD_LOWEST)
    return lowest if lowest == reading.get(Quantity.BARRIER_THRESHOLD_HIGHEST) else None


def _gogc_of(goal: float, live: float, stack: float) -> float:
    """GOGC that makes this heap goal, percent: Go's own rule, solved for GOGC."""
    return max(100 * (goal - live) / max(live + stack, 1.0), EFFECTIVE_LEAST)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _defined(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
