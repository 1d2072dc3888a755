import math

import pytest

from tuner.control.gc_cost import gogc_for_share, logit, share_at

ALPHA = 1.05


def test_more_gc_cost_asks_for_a_higher_gogc() -> None:
    asked = [gogc_for_share(share, 0.04, 100, ALPHA) for share in (0.02, 0.04, 0.1, 0.3, 0.9)]
    assert asked == sorted(asked)
    assert asked[0] < 100 < asked[2]


@pytest.mark.parametrize("gogc", [1.0, 50.0, 100.0, 330.0, 1600.0])
def test_at_its_target_the_loop_does_not_move(gogc: float) -> None:
    assert gogc_for_share(0.04, 0.04, gogc, ALPHA) == pytest.approx(gogc)


def test_with_alpha_one_gogc_scales_with_the_odds() -> None:
    # The odds are 1/4 and 1/24: six times the heap growth.
    assert gogc_for_share(0.2, 0.04, 100, alpha=1.0) == pytest.approx(600)


@pytest.mark.parametrize("share", [0.01, 0.04, 0.2, 0.6, 0.95])
@pytest.mark.parametrize("gogc", [25.0, 100.0, 800.0])
def test_the_share_expected_at_the_asked_gogc_is_the_target(share: float, gogc: float) -> None:
    asked = gogc_for_share(share, 0.1, gogc, ALPHA)
    assert share_at(share, gogc, asked, ALPHA) == pytest.approx(0.1)


def test_the_share_at_the_gogc_in_effect_is_the_share() -> None:
    assert share_at(0.2, 150, 150, ALPHA) == pytest.approx(0.2)


def test_the_loop_remembers_nothing_from_one_call_to_the_next() -> None:
    first = gogc_for_share(0.2, 0.04, 100, ALPHA)
    gogc_for_share(0.9, 0.04, 1600, ALPHA)
    assert gogc_for_share(0.2, 0.04, 100, ALPHA) == first


def test_the_most_extreme_share_still_asks_for_a_number() -> None:
    assert gogc_for_share(0.95, 0.002, 1e6, ALPHA) == pytest.approx(1e6)
    assert gogc_for_share(0.002, 0.95, 1.0, ALPHA) == pytest.approx(1.0)


def test_logit_is_the_logarithm_of_the_odds() -> None:
    assert logit(0.5) == 0.0
    assert logit(0.8) == pytest.approx(math.log(4))
