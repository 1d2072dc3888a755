"""Strategies: everything that one tick of one workload may be made of, likely and unlikely."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from hypothesis import strategies as st

from tests import examples
from tests.examples import MIB, NOW
from tuner.assessment import Assessed, SourceState, assess
from tuner.model.policy import Policy
from tuner.model.reading import Quantity
from tuner.model.reason import Reason
from tuner.model.record import Applied, AppliedSetting, Learned, Record, Verb
from tuner.model.signals import Signals
from tuner.model.trial import Change, Level, Outcome, Phase, Setting, Spread, Trial, Verdict
from tuner.model.tuning import Prediction
from tuner.model.workload import GOGC, TUNED, Container, EnvEntry, Mode, Rollout, Workload
from tuner.signals import derive
from tuner.verification import Windows

POLICY = examples.policy()
"""Read once: the settings are checked at length on every reading."""
DAY = 86_400.0
GIB = 1024 * MIB
EDGES = (
    0.0,
    1.0,
    1e18,
    1.8446744073709552e19,
    2.0**63,
    1e300,
    1.7e308,
    -1.0,
    math.nan,
    math.inf,
    -math.inf,
)
"""What metrics say when they say something strange."""

INT64 = st.integers(-(2**63), 2**63 - 1)
Reading = Mapping[Quantity, float]

FINITE = st.floats(allow_nan=False, allow_infinity=False)
"""What JSON can hold."""
TIMES = st.one_of(st.just(NOW), st.floats(NOW - DAY, NOW + DAY), FINITE)
NAMES = st.sampled_from(["app", "sidecar", ""])
DIGESTS = st.sampled_from(["digest", "digest", "digest", "other"])
GOGC_VALUES = st.one_of(
    st.none(), st.sampled_from(["100", "200", "off", "330.0", ""]), st.integers(1, 3200).map(str)
)


@dataclass(frozen=True)
class World:
    """One tick of one workload."""

    workload: Workload
    record: Record | None
    windows: Windows
    source: SourceState
    policy: Policy

    def assess(self) -> Assessed:
        """The core's answer."""
        return assess(self.workload, self.record, self.windows, self.source, self.policy)


def wild_readings() -> st.SearchStrategy[Reading]:
    """The usual reading of which a few parts are missing (None) or say anything."""
    values = st.one_of(st.sampled_from(EDGES), st.none(), st.floats(1e-9, 1e30))
    return st.dictionaries(st.sampled_from(Quantity), values, max_size=4).map(
        lambda odd: {
            quantity: value
            for quantity, value in (examples.reading() | odd).items()
            if value is not None
        }
    )


@st.composite
def plausible_readings(draw: st.DrawFn) -> Reading:
    """What a Go service would say of itself: its heap follows Go's rule."""
    live = draw(st.integers(1, 2000)) * float(MIB)
    stacks = draw(st.sampled_from([0.0, 0.01, 0.2])) * live
    gogc = float(draw(st.one_of(st.sampled_from([100, 200, 400]), st.integers(0, 3000))))
    non_heap = draw(st.sampled_from([2, 20, 200])) * float(MIB)
    unknown = draw(st.sampled_from([0, 10, 300])) * float(MIB)
    limit_ratio = draw(st.sampled_from([None, 3.0, 1.1, 0.9, 0.5]))
    goal = live + (live + stacks) * gogc / 100
    figures = {
        Quantity.LIVE_EXPORTED_BYTES: live,
        Quantity.LIVE_DERIVED_BYTES: live,
        Quantity.STACK_BYTES: stacks,
        Quantity.GOGC_LOWEST: gogc,
        Quantity.GOGC_HIGHEST: gogc,
        Quantity.NON_HEAP_BYTES: non_heap,
        Quantity.UNKNOWN_BYTES: unknown,
        Quantity.GC_CPU_CORES: draw(st.sampled_from([0.2, 0.5, 0.9, 0.05, 0.0])),
    }
    if limit_ratio is not None:
        limit = limit_ratio * (goal + non_heap)
        figures[Quantity.GOMEMLIMIT_BYTES] = limit
        goal = min(goal, max(0.97 * (limit - non_heap), live))
    figures[Quantity.HEAP_GOAL_BYTES] = goal
    figures[Quantity.RESIDENT_BYTES] = goal + non_heap + unknown
    optional = [Quantity.GC_CPU_CORES, Quantity.LIVE_EXPORTED_BYTES, Quantity.REQUESTS_PER_SECOND]
    return (
        examples.reading(without=draw(st.sampled_from([(), *((each,) for each in optional)])))
        | figures
    )


def containers(name: str = "app") -> st.SearchStrategy[Container]:
    """A container with or without memory figures, and with anyone's GOGC."""
    memory = st.one_of(st.none(), st.integers(1, 16 * 1024).map(lambda mib: mib * MIB))
    owners = st.sampled_from([(), ("gc-tuner",), ("gc-tuner",), ("helm",), ("gc-tuner", "helm")])
    entries = st.builds(EnvEntry, GOGC_VALUES, st.sampled_from([1, 1, 1, 2]), owners)
    return st.builds(
        Container,
        st.just(name),
        memory,
        memory,
        st.one_of(st.just({}), st.dictionaries(st.sampled_from(TUNED), entries)),
    )


def _spreads() -> st.SearchStrategy[Spread]:
    return st.builds(Spread, FINITE, FINITE, INT64)


def levels() -> st.SearchStrategy[Level]:
    """One side of a trial, as anyone with kubectl may have edited it."""
    maybe = st.one_of(st.none(), FINITE)
    return st.one_of(
        st.just(examples.level()),
        st.builds(
            Level,
            at=FINITE,
            cpu_seconds_per_request=st.one_of(st.none(), _spreads()),
            cpu_seconds_per_allocated_byte=_spreads(),
            gc_share=FINITE,
            cpu_cores=FINITE,
            requests_per_second=maybe,
            allocated_bytes_per_second=FINITE,
            marked_bytes_per_second=FINITE,
            resident_bytes=INT64,
            errors_ratio=maybe,
            latency_seconds=st.one_of(st.none(), _spreads()),
            pods=INT64,
        ),
    )


def changes() -> st.SearchStrategy[Change]:
    """Any change of one env entry or two."""
    names = st.sampled_from([GOGC, GOGC, "PATH"])
    settings = st.lists(
        st.builds(Setting, names, GOGC_VALUES, GOGC_VALUES), max_size=2, unique_by=lambda s: s.name
    )
    return st.builds(Change, NAMES, settings.map(tuple))


def applied_settings() -> st.SearchStrategy[tuple[AppliedSetting, ...]]:
    """Anything that was written."""
    names = st.sampled_from([GOGC, GOGC, "PATH"])
    settings = st.builds(AppliedSetting, names, GOGC_VALUES, GOGC_VALUES)
    return st.lists(settings, max_size=2, unique_by=lambda s: s.name).map(tuple)


def trials() -> st.SearchStrategy[Trial]:
    """A trial in any phase."""
    return st.builds(
        Trial,
        change=changes(),
        reason=st.one_of(
            st.sampled_from([Reason.GC_COST, Reason.MEMORY_CEILING, Reason.ROLLBACK]),
            st.sampled_from(Reason),
        ),
        prediction=st.builds(Prediction, FINITE, INT64),
        baseline=st.one_of(st.none(), levels()),
        template_digest=DIGESTS,
        phase=st.sampled_from(Phase),
        started_at=TIMES,
        phase_at=TIMES,
        suspected=st.booleans(),
    )


def outcomes() -> st.SearchStrategy[Outcome]:
    """An earlier trial's end."""
    maybe = st.one_of(st.none(), FINITE)
    return st.builds(
        Outcome,
        at=TIMES,
        change=changes(),
        reason=st.sampled_from([Reason.GC_COST, Reason.MEMORY_CEILING, Reason.ROLLBACK]),
        verdict=st.sampled_from(Verdict),
        detail=st.just("words"),
        predicted_saving_ratio=FINITE,
        measured_saving_ratio=maybe,
        requests_per_second=maybe,
    )


def records() -> st.SearchStrategy[Record | None]:
    """Any record that the cluster could hold."""
    return st.one_of(
        st.builds(
            Record,
            mode=st.sampled_from(Mode),
            decision=st.sampled_from(Verb),
            reason=st.sampled_from(Reason),
            message=st.just("words"),
            applied=st.one_of(st.none(), st.builds(Applied, NAMES, applied_settings(), TIMES)),
            trial=st.one_of(st.none(), trials()),
            learned=st.builds(Learned, st.one_of(st.none(), FINITE)),
            history=st.lists(outcomes(), max_size=3).map(tuple),
            reverted_at=st.one_of(st.none(), TIMES),
        ),
    )


ODD_WORKLOADS: Mapping[str, st.SearchStrategy[object]] = {
    "containers": st.one_of(
        st.tuples(containers()),
        st.tuples(containers()),
        st.tuples(containers(), containers("sidecar")),
    ),
    "rollout": st.sampled_from([each for each in Rollout if each is not Rollout.COMPLETE]),
    "replicas": st.sampled_from([0, 1]),
    "template_digest": st.just("other"),
    "label_mode": st.sampled_from(["recommend", "off", None, "Auto"]),
    "annotations": st.fixed_dictionaries(
        {},
        optional={
            "profile": st.sampled_from(["critical", "best-effort", "unheard-of"]),
            "container": NAMES,
        },
    ),
}
"""What may be odd about a workload, by the name of its field."""
ODD_PARTS = (
    *ODD_WORKLOADS,
    "containers",
    "record",
    "record",
    "record",
    "policy",
    "source",
    "windows",
)


@st.composite
def worlds(
    draw: st.DrawFn,
    readings: st.SearchStrategy[Reading],
    at: st.SearchStrategy[float] = TIMES,
) -> World:
    """One tick: a workload that is about to be given another GOGC, but for a few odd parts."""
    odd = draw(st.sets(st.sampled_from(ODD_PARTS), max_size=3))
    now, reading = draw(at), draw(readings)
    workload = examples.workload(
        **{name: draw(values) for name, values in ODD_WORKLOADS.items() if name in odd}
    )
    policy = POLICY
    if "policy" in odd:
        policy = draw(
            st.builds(
                partial(replace, POLICY),
                default_mode=st.sampled_from([Mode.RECOMMEND, Mode.OFF]),
                dry_run=st.booleans(),
            )
        )
    source = SourceState(now, {"app": reading}, steady_seconds=DAY)
    if "source" in odd:
        fleet = st.sampled_from([{"": reading}, {"sidecar": reading}, {}, None])
        source = SourceState(
            now,
            draw(st.one_of(fleet, st.just({"app": reading, "sidecar": reading}))),
            draw(st.sampled_from([0.0, -DAY, DAY])),
            trouble="timeout: no answer within 10 s",
        )
    record = draw(records()) if "record" in odd else None
    windows = seen(workload, reading, policy, now if "windows" not in odd else draw(TIMES))
    return World(workload, record, windows, source, policy)


def seen(workload: Workload, reading: Reading, policy: Policy, now: float) -> Windows:
    """As many windows of that reading as a trial wants, the last of them just over."""
    signals = derive(now, "app", reading, timing=policy.timing, law=policy.law)
    if not isinstance(signals, Signals):
        return Windows()
    setting = (workload.uid, workload.template_digest, "app", signals.gogc, signals.pods)
    window, count = policy.timing.rate_window_seconds, policy.trial.windows
    past = tuple(
        derive(now - back * window, "app", reading, timing=policy.timing, law=policy.law)
        for back in range(count, 0, -1)
    )
    return Windows(setting, tuple(each for each in past if isinstance(each, Signals)))
