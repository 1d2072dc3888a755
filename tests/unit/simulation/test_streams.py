import itertools

import pytest

from tuner.simulation.streams import (
    Stream,
    burst,
    constant,
    gaps,
    leak,
    limited,
    noise,
    oscillate,
    product,
    ramp,
    step,
    total,
    walk,
)


@pytest.mark.parametrize(
    ("stream", "values"),
    [
        (constant(7), {0: 7, 1e6: 7}),
        (step(1, 5, at=10), {9.9: 1, 10: 5, 99: 5}),
        (ramp(10, 20, start=100, end=200), {0: 10, 100: 10, 150: 15, 200: 20, 900: 20}),
        (oscillate(3, period=40), {0: 0, 10: 3, 20: 0, 30: -3, 40: 0}),
        (burst(8, length=5, every=60), {0: 0, 54: 0, 55: 8, 59: 8, 60: 0, 117: 8}),
        (total(constant(2), ramp(0, 4, start=0, end=4)), {0: 2, 2: 4, 9: 6}),
        (product(constant(3), step(1, 2, at=10)), {0: 3, 10: 6}),
        (limited(oscillate(3, period=40), lowest=-1, highest=2), {10: 2, 20: 0, 30: -1}),
        (leak(2, start=100), {0: 0, 100: 0, 101: 2, 1e6: 1_999_800}),
    ],
    ids=["constant", "step", "ramp", "oscillate", "burst", "total", "product", "limited", "leak"],
)
def test_a_stream_is_a_function_of_time(stream: Stream, values: dict[float, float]) -> None:
    assert {at: stream(at) for at in values} == pytest.approx(values)


def test_noise_repeats_with_its_seed_holds_for_its_time_and_stays_within_its_amplitude() -> None:
    stream = noise(5, hold=10, seed=3)
    values = [stream(at) for at in range(0, 2000, 10)]
    again = noise(5, hold=10, seed=3)
    assert values == [again(at + 9) for at in range(0, 2000, 10)]
    assert len(set(values)) == len(values)
    assert all(-5 <= value <= 5 for value in values)
    assert abs(sum(values) / len(values)) < 1
    assert values != [noise(5, hold=10, seed=4)(at) for at in range(0, 2000, 10)]


def test_a_walk_repeats_with_its_seed_whatever_is_asked_first_and_stays_within_its_bounds() -> None:
    def begun(seed: int) -> Stream:
        return walk(50, step=10, bounds=(20, 80), hold=60, start=1000, seed=seed)

    moments = range(1000, 61_000, 60)
    stream, backwards = begun(1), begun(1)
    values = [stream(at) for at in moments]
    assert values == [backwards(at + 59) for at in reversed(moments)][::-1]
    assert values != [begun(2)(at) for at in moments]
    assert stream(0) == values[0] == 50
    assert min(values) == 20
    assert max(values) == 80
    steps = [abs(after - before) for before, after in itertools.pairwise(values)]
    assert 0 < max(steps) <= 10


def test_gaps_come_once_a_period_and_are_no_longer_than_they_may() -> None:
    stream = gaps(longest=90, every=600, seed=5)
    lengths = [
        sum(stream(at) for at in range(begin, begin + 600)) for begin in range(0, 60_000, 600)
    ]
    assert all(length <= 91 for length in lengths)
    assert max(lengths) > 60
    assert len(set(lengths)) > 20
    assert {stream(at) for at in range(6000)} == {0.0, 1.0}
