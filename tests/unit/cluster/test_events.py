import re

import pytest

from tuner.cluster.events import NOTEWORTHY, camel_case, cut, operator_pod
from tuner.model.reason import OPERATOR_WIDE, Reason


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_reads_as_kubernetes_has_them(reason: Reason) -> None:
    assert re.fullmatch(r"([A-Z][a-z]+)+", camel_case(reason))
    assert len(camel_case(reason)) <= 128


def test_what_concerns_the_operator_is_not_told_per_workload() -> None:
    assert not NOTEWORTHY & OPERATOR_WIDE


def test_a_note_is_cut_between_characters() -> None:
    assert cut("a" * 1024) == "a" * 1024
    assert cut("ü" * 600) == "ü" * 510 + "…"


def test_outside_of_a_pod_the_operator_is_its_namespace() -> None:
    regarded = operator_pod("tuner", None)
    assert (regarded.kind, regarded.namespace, regarded.name) == ("Namespace", "tuner", "tuner")
