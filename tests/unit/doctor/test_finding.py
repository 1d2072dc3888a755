import pytest

from tuner.doctor import Finding, Status, verdict


def of(*statuses: Status) -> list[Finding]:
    return [Finding("it", each, "found") for each in statuses]


@pytest.mark.parametrize(
    ("statuses", "healthy", "words"),
    [
        ([], True, "healthy"),
        ([Status.OK], True, "healthy"),
        ([Status.OK, Status.WARNING], True, "healthy: 1 warning"),
        ([Status.WARNING, Status.WARNING], True, "healthy: 2 warnings"),
        ([Status.OK, Status.FAILED], False, "not healthy: 1 failed"),
        (
            [Status.FAILED, Status.WARNING, Status.SKIPPED, Status.SKIPPED],
            False,
            "not healthy: 1 failed, 1 warning, 2 skipped",
        ),
    ],
)
def test_one_failure_is_enough_and_warnings_are_not(
    statuses: list[Status], healthy: bool, words: str
) -> None:
    found = verdict(of(*statuses))
    assert (found.healthy, found.words) == (healthy, words)
