from tuner.cluster.throttle import Throttle


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds


def test_a_burst_passes_at_once_and_the_rest_at_the_rate() -> None:
    clock = Clock()
    throttle = Throttle(10.0, 3, clock=clock, sleep=clock.sleep)
    for _ in range(5):
        throttle.wait()
    assert clock.slept == [0.1, 0.1]


def test_the_bucket_fills_again_but_not_over() -> None:
    clock = Clock()
    throttle = Throttle(10.0, 3, clock=clock, sleep=clock.sleep)
    for _ in range(3):
        throttle.wait()
    clock.now += 1000.0
    for _ in range(4):
        throttle.wait()
    assert clock.slept == [0.1]
