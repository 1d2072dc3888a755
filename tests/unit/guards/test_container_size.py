import pytest

from tests.examples import MIB
from tests.unit.guards.situations import situation
from tuner.control.ceiling import Memory
from tuner.guards.container_size import container_size
from tuner.model.decision import Hold
from tuner.model.reason import Reason


@pytest.mark.parametrize("limit", [None, 64 * MIB, 1024 * MIB])
def test_a_container_that_is_large_enough_or_without_a_limit_passes(limit: int | None) -> None:
    assert container_size(situation(memory=Memory(None, limit))) is None


def test_a_smaller_container_is_refused_with_its_limit() -> None:
    answer = container_size(situation(memory=Memory(None, 63 * MIB)))
    words = "the memory limit of container 'app' is 63 MiB, 64 MiB are the least"
    assert answer == Hold(Reason.CONTAINER_SMALL, words)
