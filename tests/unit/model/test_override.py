from dataclasses import FrozenInstanceError, astuple

import pytest

from tuner.model.override import NONE


def test_none_leaves_everything_to_the_profile_and_the_loops() -> None:
    assert not any(astuple(NONE))


def test_an_override_is_not_changed_once_it_is_made() -> None:
    with pytest.raises(FrozenInstanceError):
        NONE.frozen = True  # type: ignore[misc] # what is tried
