"""Strategies: everything that one tick of one workload may be made of, likely and unlikely."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from hypothesis import strategies as st

from tests import examples
from tests.examples import MIB, NOW, STRANGE
from tuner.assessment import Assessed, Kept, SourceState, assess
from tuner.control.barrier import BarrierState
from tuner.control.latency import SetPoint
from tuner.control.memory_limit import Correction
from tuner.control.states import States
from tuner.model.override import NONE, Override
from tuner.model.policy import GOGC_GREATEST, GuardRules, Policy
from tuner.model.reading import Quantity
from tuner.model.reason import Reason
from tuner.model.record import Applied, AppliedSetting, Barrier, Learned, Record, Verb
from tuner.model.signals import Signals
from tuner.model.trial import Change, Level, Outcome, Phase, Setting, Spread, Trial, Verdict
from tuner.model.tuning import Prediction
from tuner.model.workload import (
    BARRIER,
    GOGC,
    GOMEMLIMIT,
    TUNED,
    Autoscaling,
    Container,
    EnvEntry,
    LiveChannel,
    Mode,
    Rollout,
    Running,
    Workload,
)
from tuner.signals import derive
from tuner.verification import Windows

POLICY = examples.policy()
"""Read once: the settings are checked at length on every reading."""
DAY = 86_400.0
GIB = 1024 * MIB
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
MEMORY_LIMIT_VALUES = st.one_of(
    st.none(),
    st.sampled_from(["off", "", "700MiB", "1GiB", "9MB", "1e9", "9" * 25]),
    st.integers(1, 16 * GIB).map("{}B".format),
)
VALUES: Mapping[str, st.SearchStrategy[str | None]] = {
    GOGC: GOGC_VALUES,
    GOMEMLIMIT: MEMORY_LIMIT_VALUES,
    BARRIER: st.one_of(st.none(), st.integers(-1, 2000).map(str), st.sampled_from(["", "many"])),
    "PATH": st.sampled_from([None, "/bin"]),
}
"""What may stand under a name, as anyone may have written it."""
OURS = ("gc-tuner",)


@dataclass(frozen=True)
class World:
    """One tick of one workload."""

    workload: Workload
    record: Record | None
    kept: Kept
    source: SourceState
    policy: Policy
    override: Override = NONE

    def assess(self) -> Assessed:
        """The core's answer."""
        return assess(
            self.workload, self.record, self.kept, self.source, self.policy, self.override
        )


def wild_readings() -> st.SearchStrategy[Reading]:
    """The usual reading of which a few parts are missing (None) or say anything."""
    values = st.one_of(st.sampled_from(STRANGE), st.none(), st.floats(1e-9, 1e30))
    return st.dictionaries(st.sampled_from(Quantity), values, max_size=4).map(
        lambda odd: {
            quantity: value
            for quantity, value in (examples.reading() | odd).items()
            if value is not None
        }
    )


LIVE_MIB = st.integers(1, 2000)
STACK_RATIOS = st.sampled_from([0.0, 0.01, 0.2])
GOGCS = st.one_of(st.sampled_from([100, 200, 400]), st.integers(0, 3000))
NON_HEAP_MIB = st.sampled_from([2, 20, 200])
UNKNOWN_MIB = st.sampled_from([0, 10, 300])
LIMIT_RATIOS = st.sampled_from([None, 3.0, 1.1, 0.9, 0.5])
GC_CPU_CORES = st.sampled_from([0.2, 0.5, 0.9, 0.05, 0.0])
LATENCIES = st.sampled_from([0.01, 0.09, 0.12, 3.0])
IN_FLIGHT = st.sampled_from([10.0, 90.0])
LEFT_OUT: st.SearchStrategy[tuple[Quantity, ...]] = st.sampled_from(
    [
        (),
        (Quantity.GC_CPU_CORES,),
        (Quantity.LIVE_EXPORTED_BYTES,),
        (Quantity.REQUESTS_PER_SECOND,),
    ]
)


@st.composite
def plausible_readings(draw: st.DrawFn) -> Reading:
    """What a Go service would say of itself: its heap follows Go's rule."""
    live = draw(LIVE_MIB) * float(MIB)
    stacks = draw(STACK_RATIOS) * live
    gogc = float(draw(GOGCS))
    non_heap = draw(NON_HEAP_MIB) * float(MIB)
    unknown = draw(UNKNOWN_MIB) * float(MIB)
    limit_ratio = draw(LIMIT_RATIOS)
    goal = live + (live + stacks) * gogc / 100
    figures = {
        Quantity.LIVE_EXPORTED_BYTES: live,
        Quantity.LIVE_DERIVED_BYTES: live,
        Quantity.STACK_BYTES: stacks,
        Quantity.GOGC_LOWEST: gogc,
        Quantity.GOGC_HIGHEST: gogc,
        Quantity.NON_HEAP_BYTES: non_heap,
        Quantity.UNKNOWN_BYTES: unknown,
        Quantity.GC_CPU_CORES: draw(GC_CPU_CORES),
        Quantity.LATENCY_P95_SECONDS: draw(LATENCIES),
        Quantity.BARRIER_THRESHOLD_LOWEST: 100.0,
        Quantity.BARRIER_THRESHOLD_HIGHEST: 100.0,
        Quantity.BARRIER_IN_FLIGHT: draw(IN_FLIGHT),
    }
    if limit_ratio is not None:
        limit = float(max(round(limit_ratio * (goal + non_heap)), 1))
        figures[Quantity.GOMEMLIMIT_BYTES] = limit
        goal = min(goal, max(0.97 * (limit - non_heap), live))
    figures[Quantity.HEAP_GOAL_BYTES] = goal
    figures[Quantity.RESIDENT_BYTES] = goal + non_heap + unknown
    left_out = draw(LEFT_OUT)
    usual = examples.reading() | figures
    return {quantity: value for quantity, value in usual.items() if quantity not in left_out}


def entries(name: str) -> st.SearchStrategy[EnvEntry]:
    """What may stand under a name, and whose it may be."""
    owners = st.sampled_from([(), OURS, OURS, ("helm",), ("gc-tuner", "helm")])
    return st.builds(EnvEntry, VALUES[name], st.sampled_from([1, 1, 1, 2]), owners)


AMOUNTS = st.one_of(st.none(), st.integers(1, 16 * 1024).map(lambda mib: mib * MIB))
RUNNING = st.builds(
    Running,
    memory_limit_bytes=AMOUNTS,
    resizing=st.sampled_from([False, False, False, True]),
    restarts=st.integers(0, 1000),
    oom_killed_at=st.one_of(st.none(), TIMES),
    crashing_pods=st.sampled_from([0, 0, 1]),
)


def containers(name: str = "app") -> st.SearchStrategy[Container]:
    """A container with or without memory figures, with anyone's settings, and its pods' fates."""
    env = st.fixed_dictionaries({}, optional={each: entries(each) for each in TUNED})
    return st.builds(Container, st.just(name), AMOUNTS, AMOUNTS, env, RUNNING)


OURS_OR_NOBODYS: st.SearchStrategy[tuple[str, ...]] = st.sampled_from([(), OURS])
ROOM_RATIOS = st.sampled_from([None, 0.9, 1.05, 1.1, 1.2, 1.5, 2.0, 4.0, 8.0])
"""Of memory that may be used by memory that is in use."""
KILLS = st.sampled_from([None, None, None, NOW - 60])


@st.composite
def serving(draw: st.DrawFn, reading: Reading) -> Container:
    """A container that was given what its pods show, and memory to go with what they use."""
    env = {BARRIER: EnvEntry("100", owners=OURS)}
    owners = draw(OURS_OR_NOBODYS)
    gogc = reading.get(Quantity.GOGC_HIGHEST, math.nan)
    limit = reading.get(Quantity.GOMEMLIMIT_BYTES, math.inf)
    if 0 <= gogc <= GOGC_GREATEST and gogc != 100:
        env[GOGC] = EnvEntry(f"{gogc:.0f}", owners=owners)
    if 0 < limit < float(2**60):
        env[GOMEMLIMIT] = EnvEntry(f"{limit:.0f}B", owners=owners)
    used = reading.get(Quantity.RESIDENT_BYTES, math.nan)
    if not 1 <= used <= float(2**60):
        return examples.container(env=env)
    allowed, requested = (
        None if ratio is None else round(ratio * used)
        for ratio in (draw(ROOM_RATIOS), draw(ROOM_RATIOS))
    )
    return Container("app", allowed, requested, env, Running(oom_killed_at=draw(KILLS)))


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
            utilisation=maybe,
            gogc_effective=maybe,
            gc_share_measured=st.booleans(),
            marked_known=st.booleans(),
        ),
    )


def _names() -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(sorted(VALUES)), max_size=2, unique=True)


def changes() -> st.SearchStrategy[Change]:
    """Any change of one env entry or two."""
    settings = _names().flatmap(
        lambda names: st.tuples(
            *(st.builds(Setting, st.just(each), VALUES[each], VALUES[each]) for each in names)
        )
    )
    return st.builds(Change, NAMES, settings)


def applied_settings() -> st.SearchStrategy[tuple[AppliedSetting, ...]]:
    """Anything that was written."""
    return _names().flatmap(
        lambda names: st.tuples(
            *(
                st.builds(AppliedSetting, st.just(each), VALUES[each], VALUES[each])
                for each in names
            )
        )
    )


def trials() -> st.SearchStrategy[Trial]:
    """A trial in any phase."""
    return st.builds(
        Trial,
        change=changes(),
        reason=st.one_of(
            st.sampled_from([Reason.GC_COST, Reason.DANGER, Reason.PINNED, Reason.ROLLBACK]),
            st.sampled_from(Reason),
        ),
        prediction=st.builds(Prediction, FINITE, INT64),
        baseline=st.one_of(st.none(), levels()),
        template_digest=DIGESTS,
        phase=st.sampled_from(Phase),
        started_at=TIMES,
        phase_at=TIMES,
        suspected=st.booleans(),
        pods=st.one_of(st.just(2), INT64),
        fresh_starts=st.one_of(st.integers(0, 4), INT64),
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
            learned=learned(),
            history=st.lists(outcomes(), max_size=3).map(tuple),
            reverted_at=st.one_of(st.none(), TIMES),
            reverts=st.integers(0, 40),
            barrier=st.one_of(st.none(), st.builds(Barrier, INT64, VALUES[BARRIER], TIMES)),
        ),
    )


def learned() -> st.SearchStrategy[Learned]:
    """What trials may have taught, or someone's hand."""
    maybe, amount = st.one_of(st.none(), FINITE), st.one_of(st.none(), INT64)
    return st.one_of(
        st.just(Learned()),
        st.builds(
            Learned,
            cost_seconds_per_byte=maybe,
            cost_deviation=maybe,
            killed_peak_bytes=amount,
            killed_limit_bytes=amount,
            killed_at=st.one_of(st.none(), TIMES),
            utilisation=maybe,
            alpha=maybe,
            ln_range=FINITE,
        ),
    )


def _ranges(least: int, greatest: int) -> st.SearchStrategy[tuple[int | None, int | None]]:
    """A range, open on either side or on both."""
    whole = st.integers(least, greatest)
    closed = st.tuples(whole, whole).map(lambda pair: (min(pair), max(pair)))
    return st.one_of(
        st.just((None, None)),
        closed,
        st.tuples(whole, st.none()),
        st.tuples(st.none(), whole),
    )


PIN_GOGC = st.one_of(st.none(), st.integers(1, 2000), st.integers(1, GOGC_GREATEST))
PIN_MEMORY_LIMIT = st.one_of(st.none(), st.integers(MIB, 4 * GIB))
PIN_BARRIER = st.one_of(st.none(), st.integers(1, 10_000))
GOGC_RANGES = _ranges(1, 3000)
MEMORY_LIMIT_RANGES = _ranges(MIB, 4 * GIB)
STOPS = st.sampled_from(["", "", "", "", "paused", "frozen", "invalid"])
SHARES = st.one_of(st.none(), st.floats(0.001, 0.949))
OBJECTIVES = st.one_of(st.none(), st.floats(1e-9, 1e9))
TIERS = st.sampled_from([None, None, "critical", "best-effort"])
ENDS = st.one_of(st.none(), TIMES)


@st.composite
def overrides(draw: st.DrawFn) -> Override:
    """What people may lay down, as the book resolves it: no bounds beside a pin."""
    gogc, limit, stop = draw(PIN_GOGC), draw(PIN_MEMORY_LIMIT), draw(STOPS)
    lowest, highest = draw(GOGC_RANGES) if gogc is None else (None, None)
    least, most = draw(MEMORY_LIMIT_RANGES) if limit is None else (None, None)
    return Override(
        entries=("it",),
        reason="why",
        paused=stop == "paused",
        frozen=stop == "frozen",
        invalid="it: line 3: odd" if stop == "invalid" else "",
        pin_gogc=gogc,
        pin_memory_limit_bytes=limit,
        pin_barrier=draw(PIN_BARRIER),
        immediate=draw(st.booleans()),
        gogc_lowest=lowest,
        gogc_highest=highest,
        memory_limit_lowest_bytes=least,
        memory_limit_highest_bytes=most,
        gc_share_target=draw(SHARES),
        latency_target_seconds=draw(OBJECTIVES),
        profile=draw(TIERS),
        expires_at=draw(ENDS),
    )


def states() -> st.SearchStrategy[States]:
    """What the loops may remember of earlier ticks."""
    return st.builds(
        States,
        st.builds(Correction, st.floats(0.85, 1.0), st.floats(-1, 1), TIMES),
        st.builds(SetPoint, st.floats(-5, 0), st.floats(-5, 5), TIMES),
    )


def barrier_states() -> st.SearchStrategy[BarrierState]:
    """What the barrier loop may remember of earlier ticks."""
    return st.builds(
        BarrierState,
        offset=st.floats(-0.3, 0.5),
        integral=st.floats(-1, 1),
        measurement=st.floats(-1, 1),
        asked_threshold=st.one_of(st.just(100), st.integers(1, 1000)),
        asked_at=st.one_of(st.none(), TIMES),
        at=st.one_of(st.none(), st.just(NOW - 15), TIMES),
    )


ODD_WORKLOADS: Mapping[str, st.SearchStrategy[object]] = {
    "rollout": st.sampled_from([each for each in Rollout if each is not Rollout.COMPLETE]),
    "replicas": st.sampled_from([0, 1]),
    "ready_replicas": st.sampled_from([0, 1]),
    "surges": st.just(True),
    "template_digest": st.just("other"),
    "label_mode": st.sampled_from(["recommend", "off", None, "Auto"]),
    "annotations": st.fixed_dictionaries(
        {},
        optional={
            "profile": st.sampled_from(["critical", "best-effort", "unheard-of"]),
            "container": NAMES,
            "latency-target": st.sampled_from(["20ms", "soon", "0s"]),
            "barrier-base": st.sampled_from(["100", "0", "many"]),
            "barrier-env": st.just("LIMIT"),
        },
    ),
    "live": st.builds(LiveChannel, st.just("cart"), st.just("1"), st.sampled_from(["", "gone"])),
    "autoscaling": st.builds(
        Autoscaling,
        memory_request_target=st.one_of(st.none(), st.floats(0.01, 10)),
        vertical=st.sampled_from(["", "cart"]),
    ),
}
"""What may be odd about a workload, by the name of its field."""
ODD_PARTS = (
    *ODD_WORKLOADS,
    "containers",
    "override",
    "override",
    "kept",
    "record",
    "record",
    "record",
    "policy",
    "source",
    "alerts",
    "windows",
)


def policies() -> st.SearchStrategy[Policy]:
    """What an operator may have set otherwise."""
    return st.builds(
        partial(replace, POLICY),
        default_mode=st.sampled_from([Mode.RECOMMEND, Mode.OFF]),
        dry_run=st.booleans(),
        standby=st.booleans(),
        guards=st.builds(
            GuardRules,
            closed=st.sampled_from([lambda _: "", lambda _: "opens on Monday"]),
            danger_ratio=st.floats(0.5, 1.0),
            quarantine_seconds=st.floats(1, DAY),
        ),
    )


def source_states(now: float, reading: Reading) -> st.SearchStrategy[SourceState]:
    """What the source may have said of a fleet with that reading in it."""
    both = {"app": reading, "sidecar": reading}
    return st.builds(
        partial(SourceState, now, trouble="timeout: no answer within 10 s"),
        readings=st.sampled_from([{"": reading}, {"sidecar": reading}, {}, None, both]),
        steady_seconds=st.sampled_from([0.0, -DAY, DAY]),
    )


ODD = st.sets(st.sampled_from(ODD_PARTS), max_size=3)
ANY_CONTAINERS = st.one_of(
    st.tuples(containers()),
    st.tuples(containers()),
    st.tuples(containers(), containers("sidecar")),
)
RECORDS, POLICIES, OVERRIDES = records(), policies(), overrides()
STATES, BARRIER_STATES = states(), barrier_states()


@st.composite
def worlds(
    draw: st.DrawFn,
    readings: st.SearchStrategy[Reading],
    at: st.SearchStrategy[float] = TIMES,
) -> World:
    """One tick: a workload that is about to be given other settings, but for a few odd parts."""
    odd, now, reading = draw(ODD), draw(at), draw(readings)
    fields = {name: draw(values) for name, values in ODD_WORKLOADS.items() if name in odd}
    given = draw(ANY_CONTAINERS) if "containers" in odd else (draw(serving(reading)),)
    workload = examples.workload(containers=given, **fields)
    policy = draw(POLICIES) if "policy" in odd else POLICY
    source = SourceState(now, {"app": reading}, steady_seconds=DAY)
    if "source" in odd:
        source = draw(source_states(now, reading))
    windows = seen(workload, reading, policy, draw(TIMES) if "windows" in odd else now)
    kept = Kept(windows)
    if "kept" in odd:
        kept = Kept(windows, draw(STATES), draw(BARRIER_STATES))
    return World(
        workload,
        draw(RECORDS) if "record" in odd else None,
        kept,
        replace(source, alerts=frozenset({"Burning"} if "alerts" in odd else ())),
        policy,
        draw(OVERRIDES) if "override" in odd else NONE,
    )


def seen(workload: Workload, reading: Reading, policy: Policy, now: float) -> Windows:
    """As many windows of that reading as a trial wants, the last of them just over."""
    window, count = policy.timing.rate_window_seconds, policy.trial.windows
    past = tuple(
        derive(now - back * window, "app", reading, timing=policy.timing, law=policy.law)
        for back in range(count, 0, -1)
    )
    known = tuple(each for each in past if isinstance(each, Signals))
    if not known:
        return Windows()
    newest = known[-1]
    setting = (
        workload.uid,
        workload.template_digest,
        newest.container,
        newest.gogc,
        newest.gomemlimit_bytes,
        newest.go_version,
    )
    return Windows(setting, known, since=known[0].at)
