import math

import msgspec
import pytest

from tests.examples import MIB, level
from tuner.model.record import Learned
from tuner.model.trial import Level
from tuner.verification.learning import learn, learn_kill

COST = 9e-10
WORK = 0.0008
"""CPU seconds of a request outside GC."""


def at(marked_mib_per_second: float, requests_per_second: float = 1000.0) -> Level:
    """A plant whose GC costs COST for each byte that it marks."""
    marked = marked_mib_per_second * MIB
    return level(
        WORK + COST * marked / requests_per_second,
        marked_bytes_per_second=marked,
        requests_per_second=requests_per_second,
    )


def taught(before: Level, after: Level) -> float | None:
    return learn(Learned(), before, after, cpu_fell=True).cost_seconds_per_byte


def test_two_settings_at_the_same_load_teach_the_plants_cost() -> None:
    assert taught(at(400), at(200)) == pytest.approx(COST)


def test_a_load_that_moved_a_little_teaches_the_same() -> None:
    assert taught(at(400), at(260, requests_per_second=1250)) == pytest.approx(COST)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(at(200), at(400), id="more was marked"),
        pytest.param(at(400), at(400), id="nothing changed"),
        pytest.param(
            level(0.001, marked_bytes_per_second=400.0 * MIB),
            level(0.001, marked_bytes_per_second=200.0 * MIB),
            id="less was marked and nothing was saved",
        ),
        pytest.param(
            level(0.001, marked_bytes_per_second=400.0 * MIB),
            level(0.002, marked_bytes_per_second=200.0 * MIB),
            id="less was marked and more was spent",
        ),
        pytest.param(
            level(0.001, marked_bytes_per_second=400.0 * MIB),
            level(0.0009, marked_bytes_per_second=396.0 * MIB),
            id="marking would have taken ten times the CPU that there was",
        ),
        pytest.param(level(None), at(200), id="requests were not counted before"),
        pytest.param(at(400), level(None), id="requests were not counted after"),
    ],
)
def test_figures_that_contradict_the_law_teach_nothing(before: Level, after: Level) -> None:
    assert taught(before, after) is None
    known = Learned(cost_seconds_per_byte=COST, bytes_per_request=1e5)
    assert learn(known, before, after, cpu_fell=True) == known


def test_trials_weigh_as_much_as_they_took_away() -> None:
    first = learn(Learned(), at(400), at(200), cpu_fell=True)
    noisy = level(
        WORK + COST * 150 * MIB / 1000 - 2e-6,
        marked_bytes_per_second=190.0 * MIB,
        requests_per_second=1000.0,
    )
    both = learn(first, at(200), noisy, cpu_fell=True)
    assert both.bytes_per_request == pytest.approx((400 - 190) * MIB / 1000)
    alone = taught(at(200), noisy)
    assert alone is not None
    assert both.cost_seconds_per_byte is not None
    assert abs(both.cost_seconds_per_byte / COST - 1) < abs(alone / COST - 1) / 10


def test_a_first_kill_is_kept_with_peak_limit_and_time() -> None:
    known = Learned(cost_seconds_per_byte=COST, bytes_per_request=1e5)
    after = learn_kill(known, peak_bytes=900 * MIB, limit_bytes=1024 * MIB, at=5.0)
    assert after == Learned(
        cost_seconds_per_byte=COST,
        bytes_per_request=1e5,
        killed_peak_bytes=900 * MIB,
        killed_limit_bytes=1024 * MIB,
        killed_at=5.0,
    )


@pytest.mark.parametrize(
    ("peak_mib", "limit_mib", "kept_mib"),
    [
        pytest.param(800, 1024, 800, id="a smaller peak"),
        pytest.param(950, 1024, 900, id="a larger peak"),
        pytest.param(950, 512, 900, id="less memory than then"),
        pytest.param(950, None, 900, id="no limit is known"),
        pytest.param(950, 2048, 950, id="more memory than then: what was known is void"),
    ],
)
def test_of_several_kills_the_smallest_peak_counts_while_the_memory_stays(
    peak_mib: int, limit_mib: int | None, kept_mib: int
) -> None:
    known = learn_kill(Learned(), peak_bytes=900 * MIB, limit_bytes=1024 * MIB, at=5.0)
    limit = None if limit_mib is None else limit_mib * MIB
    after = learn_kill(known, peak_bytes=peak_mib * MIB, limit_bytes=limit, at=6.0)
    assert after.killed_peak_bytes == kept_mib * MIB
    assert (after.killed_limit_bytes, after.killed_at) == (limit, 6.0)


def test_at_another_utilisation_the_cost_is_learned_anew() -> None:
    known = Learned(cost_seconds_per_byte=5 * COST, bytes_per_request=1e9, utilisation=0.2)
    same = msgspec.structs.replace(at(200), utilisation=0.22)
    pooled = learn(known, at(400), same, cpu_fell=True).cost_seconds_per_byte
    assert pooled is not None
    assert pooled > 4 * COST
    busier = msgspec.structs.replace(at(200), utilisation=0.5)
    anew = learn(known, at(400), busier, cpu_fell=True)
    assert anew.cost_seconds_per_byte == pytest.approx(COST)
    assert anew.utilisation == 0.5


def sharing(gogc: float, alpha: float, *, measured: bool = True) -> Level:
    """Half of the CPU at GOGC 100, and less above it."""
    odds = (100 / gogc) ** alpha
    return level(gc_share=odds / (1 + odds), gogc_effective=gogc, gc_share_measured=measured)


@pytest.mark.parametrize("alpha", [0.8, 1.0, 1.3])
def test_two_measured_shares_teach_the_exponent(alpha: float) -> None:
    learned = learn(Learned(), sharing(100, alpha), sharing(200, alpha), cpu_fell=True)
    assert learned.alpha == pytest.approx(alpha)


def test_exponents_are_pooled_by_the_range_they_come_from() -> None:
    learned = learn(Learned(), sharing(100, 1.2), sharing(400, 1.2), cpu_fell=True)
    learned = learn(learned, sharing(100, 0.9), sharing(200, 0.9), cpu_fell=True)
    assert learned.alpha == pytest.approx((2 * 1.2 + 0.9) / 3)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(sharing(100, 1, measured=False), sharing(200, 1), id="an estimate"),
        pytest.param(sharing(100, 1), sharing(110, 1), id="too small a step"),
        pytest.param(sharing(100, 3), sharing(200, 3), id="no law of GOGC"),
        pytest.param(sharing(100, -1), sharing(200, -1), id="the wrong way round"),
        pytest.param(level(), level(), id="nothing is known of GOGC"),
    ],
)
def test_what_tells_nothing_of_the_exponent_leaves_it(before: Level, after: Level) -> None:
    assert learn(Learned(), before, after, cpu_fell=True).alpha is None


@pytest.mark.parametrize(
    ("known", "old", "new"),
    [
        pytest.param(Learned(), 1e300, 1e-300, id="figures further apart than floats reach"),
        pytest.param(Learned(alpha=1.0, ln_range=-math.log(2)), 100.0, 200.0, id="a range below 0"),
    ],
)
def test_figures_that_were_edited_by_hand_break_nothing(
    known: Learned, old: float, new: float
) -> None:
    before = level(gogc_effective=old, gc_share=0.2, gc_share_measured=True)
    after = level(gogc_effective=new, gc_share=0.1, gc_share_measured=True)
    alpha = learn(known, before, after, cpu_fell=True).alpha
    assert alpha is None or math.isfinite(alpha)


def test_a_difference_within_the_noise_teaches_no_cost_but_measured_shares_their_exponent() -> None:
    learned = learn(Learned(), sharing(100, 1.2), sharing(200, 1.2), cpu_fell=False)
    assert learned.cost_seconds_per_byte is None
    assert learned.alpha == pytest.approx(1.2)
