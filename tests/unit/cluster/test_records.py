import pytest

from tuner.cluster.records import record_name
from tuner.model.workload import Kind, WorkloadKey


def named(name: str) -> str:
    return record_name(WorkloadKey("shop", Kind.DEPLOYMENT, name))


def test_a_record_is_named_after_its_workload() -> None:
    assert named("web") == "deployment-web"
    assert record_name(WorkloadKey("shop", Kind.STATEFUL_SET, "db")) == "statefulset-db"


def test_long_names_are_cut_and_stay_apart() -> None:
    one, two = named("a" * 252 + "b"), named("a" * 252 + "c")
    assert one != two
    assert len(one) == len(two) == 253


@pytest.mark.parametrize("end", ["-", "."])
def test_a_name_is_not_cut_to_one_that_kubernetes_refuses(end: str) -> None:
    name = named("a" * 230 + end + "b" * 22)
    assert f"{end}-" not in name


def test_a_name_that_just_fits_is_not_cut() -> None:
    assert named("a" * 242) == "deployment-" + "a" * 242
