from tuner.cluster.reflector import backoff_seconds


def test_the_first_failure_is_followed_up_at_once() -> None:
    assert backoff_seconds(0, 1.0) == 0.0


def test_the_wait_doubles_up_to_ten_seconds() -> None:
    waits = [backoff_seconds(number, 1.0) for number in range(1, 8)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert backoff_seconds(10_000, 1.0) == 10.0


def test_chance_takes_off_up_to_half() -> None:
    assert backoff_seconds(2, 0.0) == 0.5
    assert backoff_seconds(2, 0.5) == 0.75
