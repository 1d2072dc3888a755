"""Relations that the control law keeps over its whole range."""

import math

from hypothesis import assume, given
from hypothesis import strategies as st

from tests import examples
from tests.examples import MIB
from tests.properties.worlds import POLICY
from tuner.control import propose
from tuner.control.ceiling import Memory
from tuner.control.gc_cost import gogc_for_share, share_at
from tuner.control.prediction import predict
from tuner.control.propose import Terms
from tuner.model.proposal import GogcMove

SHARES = st.floats(0.002, 0.95)
GOGCS = st.floats(1, 3000)
ALPHAS = st.floats(0.5, 2)


@given(SHARES, SHARES, SHARES, GOGCS, ALPHAS)
def test_more_gc_cost_asks_for_a_higher_gogc(
    share: float, other: float, target: float, gogc: float, alpha: float
) -> None:
    lower, higher = sorted((share, other))
    assert gogc_for_share(lower, target, gogc, alpha) <= gogc_for_share(higher, target, gogc, alpha)


@given(SHARES, GOGCS, ALPHAS)
def test_a_service_at_its_target_is_left_where_it_is(
    share: float, gogc: float, alpha: float
) -> None:
    assert math.isclose(gogc_for_share(share, share, gogc, alpha), gogc)


@given(SHARES, SHARES, GOGCS, ALPHAS)
def test_the_gogc_for_a_share_is_where_that_share_is_expected(
    share: float, target: float, gogc: float, alpha: float
) -> None:
    wanted = gogc_for_share(share, target, gogc, alpha)
    assume(1.001 < wanted < 0.999e6)  # outside, the output is clamped
    assert math.isclose(share_at(share, gogc, wanted, alpha), target, rel_tol=1e-6)


@given(SHARES, GOGCS, GOGCS, st.integers(1, 4000))
def test_a_higher_gogc_saves_more_and_takes_more(
    share: float, gogc: float, other: float, live_mib: int
) -> None:
    signals = examples.signals(gc_share=share, live_bytes=live_mib * float(MIB))
    less, more = (predict(signals, each, POLICY.law) for each in sorted((gogc, other)))
    assert less.cpu_saving_ratio <= more.cpu_saving_ratio < share
    assert less.memory_peak_bytes <= more.memory_peak_bytes


@given(SHARES, st.integers(10, 1600), st.integers(1, 4000), st.integers(1, 16_000))
def test_where_the_loops_want_to_end_fits_into_the_budget_unless_they_want_nothing(
    share: float, gogc: int, live_mib: int, request_mib: int
) -> None:
    live = live_mib * float(MIB)
    signals = examples.signals(
        gc_share=share,
        gogc=float(gogc),
        gogc_effective=float(gogc),
        live_bytes=live,
        heap_goal_bytes=live * (1 + gogc / 100),
    )
    profile = POLICY.profiles["normal"]
    request = request_mib * MIB
    terms = Terms(profile, POLICY.law, Memory(request, 2 * request))
    move = propose(signals, terms).gogc
    assert isinstance(move, GogcMove)
    if move.target_gogc > gogc:
        assert move.target_prediction.memory_peak_bytes <= profile.memory_set_point * request


@given(
    st.integers(1, 4000),
    st.integers(0, 2000),
    st.integers(0, 2000),
    st.integers(1, 16_000),
    st.floats(0.85, 1),
)
def test_no_gomemlimit_is_over_what_may_be_used_of_the_container(
    live_mib: int, beside_mib: int, unknown_mib: int, limit_mib: int, correction: float
) -> None:
    signals = examples.signals(
        live_bytes=live_mib * float(MIB),
        non_heap_bytes=beside_mib * float(MIB),
        unknown_bytes=unknown_mib * float(MIB),
    )
    profile = POLICY.profiles["normal"]
    terms = Terms(profile, POLICY.law, Memory(None, limit_mib * MIB), correction=correction)
    move = propose(signals, terms).memory_limit
    if move is not None:
        assert 0 < move.mib + unknown_mib <= profile.memory_set_point * limit_mib
