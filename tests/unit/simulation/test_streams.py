import pytest

from tuner.simulation.streams import (
    Stream,
    burst,
    constant,
    limited,
    noise,
    oscillate,
    ramp,
    step,
    total,
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
        (limited(oscillate(3, period=40), lowest=-1, highest=2), {10: 2, 20: 0, 30: -1}),
    ],
    ids=["constant", "step", "ramp", "oscillate", "burst", "total", "limited"],
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
