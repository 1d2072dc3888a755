from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.examples import NOW, policy, reading, workload
from tuner.cluster.permissions import PERMISSIONS, Permission
from tuner.doctor import Finding, Status, checks
from tuner.model.reading import FleetReadings, Quantity
from tuner.model.workload import Workload, WorkloadKey
from tuner.overrides.book import Book
from tuner.overrides.entry import Refusal

CART = workload()
PATCH = Permission("apps", "deployments", ("get", "patch"), "changes", writes=True)
WHERE = "ConfigMap ops/gc-tuner-overrides"


def named(name: str, label: str | None = "recommend", replicas: int = 2) -> Workload:
    return replace(CART, key=CART.key._replace(name=name), label_mode=label, replicas=replicas)


def fleet(*workloads: Workload) -> Mapping[WorkloadKey, Workload]:
    return {each.key: each for each in workloads}


def figures(*workloads: Workload, without: tuple[Quantity, ...] = ()) -> FleetReadings:
    return {each.key: {"app": reading(without=without)} for each in workloads}


def metrics(workloads: list[Workload], found: FleetReadings) -> list[Finding]:
    return list(checks.metrics(workloads, found, policy(), NOW))


@pytest.mark.parametrize(
    ("ahead", "status", "words"),
    [
        (0.2, Status.OK, "0 s ahead of ours"),
        (-60.0, Status.OK, "60 s behind ours"),
        (61.0, Status.FAILED, "61 s ahead of ours"),
        (-7200.0, Status.FAILED, "7200 s behind ours"),
        (None, Status.WARNING, "it told no time"),
    ],
)
def test_a_clock_may_be_a_minute_off(ahead: float | None, status: Status, words: str) -> None:
    found = checks.clock("clock", ahead)
    assert (found.status, found.found) == (status, words)
    assert bool(found.right) is (status is not Status.OK)


def test_a_resource_definition_that_drops_fields_is_told_with_the_remedy() -> None:
    assert checks.records([]).status is Status.OK
    found = checks.records([f"status.field{number}" for number in range(12)])
    assert found.status is Status.FAILED
    assert "status.field9 and 2 more" in found.found
    assert "kubectl apply --server-side --force-conflicts -f charts/gc-tuner/crds/" in found.right


def test_a_permission_is_told_with_the_verbs_and_namespaces_that_lack_it() -> None:
    places = ["bank", "shop"]
    assert checks.permission(PATCH, places, []).status is Status.OK
    found = checks.permission(PATCH, places, [("patch", "shop")])
    assert found.status is Status.FAILED
    assert found.check == "may get, patch deployments.apps"
    assert found.found == "may not patch in shop, for changes"
    assert found.right == ("grant it in a Role of gc-tuner's account; a dry run can do without")
    everywhere = checks.permission(PATCH, [None], [("get", None), ("patch", None)])
    assert everywhere.found == "may not get, patch in all namespaces, for changes"
    assert "the ClusterRole" in everywhere.right


def test_what_gc_tuner_can_do_without_is_a_warning() -> None:
    optional = next(each for each in PERMISSIONS if each.optional)
    found = checks.permission(optional, [None], [("list", None)])
    assert found.status is Status.WARNING


@pytest.mark.parametrize(
    ("book", "status", "words"),
    [
        (Book(), Status.OK, f"{WHERE}: none"),
        (Book(paused=True), Status.WARNING, f"{WHERE} says paused: true"),
        (Book(trouble="line 3: not valid YAML"), Status.FAILED, f"{WHERE}: line 3: not valid"),
        (Book(trouble=f"{WHERE}: not listed yet"), Status.FAILED, f"{WHERE}: not listed yet"),
        (
            Book(refusals=(Refusal("friday", "line 2: no reason", None),)),
            Status.FAILED,
            f"{WHERE}: 1 entry is refused: friday: line 2: no reason",
        ),
    ],
)
def test_overrides_that_stop_more_than_they_say_are_told(
    book: Book, status: Status, words: str
) -> None:
    found = checks.overrides(WHERE, book)
    assert found.status is status
    assert found.found.startswith(words)


def test_figures_that_are_there_for_everyone_are_one_line() -> None:
    both = [named("a"), named("b")]
    (found,) = metrics(both, figures(*both))
    assert found == Finding("metrics", Status.OK, "what is needed is there for 2 workloads")


def test_what_is_missing_is_named_with_at_most_ten_workloads() -> None:
    many = [named(f"w{number:02}") for number in range(12)]
    well = named("well")
    lack = figures(*many, without=(Quantity.CPU_CORES,))
    good, bad = metrics([*many, well], {**lack, **figures(well)})
    assert (good.status, good.found[-10:]) == (Status.OK, "1 workload")
    assert bad.status is Status.WARNING
    assert bad.found.startswith("not in the metrics: cpu_cores: shop/w00, ")
    assert bad.found.endswith("shop/w09 and 2 more")


def test_different_gaps_are_different_lines_and_young_pods_are_none() -> None:
    a, b, c, young = (named(each) for each in ("a", "b", "c", "young"))
    found = metrics(
        [a, b, c, young],
        {
            **figures(a, without=(Quantity.CPU_CORES,)),
            **figures(b, without=(Quantity.STACK_BYTES,)),
            **figures(young, without=(Quantity.PODS,)),
        },
    )
    assert [each.found for each in found[1:]] == [
        "not in the metrics: cpu_cores: shop/a",
        "not in the metrics: stack_bytes: shop/b",
        "no Go metrics of this workload: shop/c",
    ]


def test_stale_figures_are_one_line_whatever_their_age() -> None:
    old = {
        each.key: {"app": reading(sample_age_seconds=age)}
        for each, age in ((named("a"), 100.0), (named("b"), 200.0))
    }
    _, found = metrics([named("a"), named("b")], old)
    assert found.found.endswith(": shop/a, shop/b")
    assert found.right.endswith("reasons.md, stale")


@pytest.mark.parametrize(("asked_for", "status"), [(True, Status.FAILED), (False, Status.WARNING)])
def test_no_go_metrics_at_all_is_a_failure_where_somebody_asked_for_tuning(
    asked_for: bool, status: Status
) -> None:
    (found,) = metrics([CART] if asked_for else [], {})
    assert found.status is status
    assert "namespace, pod and container" in found.right


def test_workloads_that_are_off_or_scaled_to_zero_need_no_figures() -> None:
    every = fleet(
        named("auto", "auto"),
        named("off", "off"),
        named("none", None),
        named("zero", replicas=0),
        named("tuned", None),
    )
    tuned = every[CART.key._replace(name="tuned")]
    found = checks.concerned(every, [], figures(tuned), policy())
    assert [each.key.name for each in found] == ["auto", "tuned"]


def test_workloads_are_counted_by_mode() -> None:
    every = [named("a", "auto"), named("b", None), named("c", "off"), named("d", "auto")]
    found = checks.modes(fleet(*every), [], figures(*every), policy())
    assert (found.status, found.found) == (
        Status.OK,
        "4 workloads: 2 auto, 1 recommend, 1 off",
    )


def test_a_label_that_is_no_mode_is_told() -> None:
    found = checks.modes(fleet(named("a", "bogus"), named("b")), [], {}, policy())
    assert found.status is Status.WARNING
    assert found.found == "2 workloads: 1 recommend, 1 with a label that is no mode: shop/a"


def test_a_cluster_without_go_workloads_is_a_warning() -> None:
    other = named("other", None)
    assert checks.modes(fleet(other), [], {}, policy()).status is Status.WARNING
