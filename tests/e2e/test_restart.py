"""The controller dies at the worst moments, and a user undoes its change."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tests.e2e.stage import ONE_STEP, SERVICE
from tests.e2e.testbed.proxy import FaultProxy, Passage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.e2e.stage import Tenant
    from tests.e2e.testbed.operator import Operator
    from tests.e2e.testbed.proxy import Request


def _patches_workload(request: Request) -> bool:
    return request.method == "PATCH" and request.path.split("?")[0].endswith(
        f"/deployments/{SERVICE}"
    )


def _killed_at_patch(subject: Tenant, passage: Passage) -> Operator:
    """Run until the patch of the Deployment, lose it or its answer, and die there.

    Nothing that is asked after it arrives: however late the kill comes, it has got no further.
    """
    cluster = subject.cluster
    reached = threading.Event()

    def strike(request: Request) -> Passage:
        if reached.is_set():
            return Passage.HANG
        if _patches_workload(request):
            reached.set()
            return passage
        return Passage.FORWARD

    with FaultProxy(cluster.api_url, cluster.control_plane.authority.certificate) as proxy:
        proxy.ask(strike)
        operator = subject.operator(api_url=proxy.url, settings=ONE_STEP)
        operator.process.start()
        try:
            cluster.wait_for(reached.is_set, "the patch of the Deployment on its way")
            if passage is Passage.LOSE_ANSWER:
                cluster.wait_for(lambda: "GOGC" in subject.env(), "the patch in the API")
        finally:
            operator.process.kill()
    return operator


def _finish(subject: Tenant, trial_started: str) -> Operator:
    """Start a new controller and wait for the verdict of the same trial."""
    with subject.operated(settings=ONE_STEP) as operator:

        def judged() -> bool:
            return bool(operator.record(SERVICE).get("history"))

        subject.cluster.wait_for(
            lambda: operator.record(SERVICE).get("trial", {}).get("phase") != "Planned",
            "the plan taken up",
        )
        trial = operator.record(SERVICE).get("trial")
        if trial is not None:
            assert trial["startedAt"] == trial_started
        subject.cluster.wait_for(judged, "the verdict")
    return operator


def _holds(operator: Operator) -> float:
    """Ticks that ended in Hold(reverted_by_other) so far."""
    for line in operator.get("/metrics").splitlines():
        if line.startswith("gc_tuner_decisions_total") and "reverted_by_other" in line:
            return float(line.split()[-1])
    return 0.0


def test_killed_between_record_and_patch_the_plan_is_carried_out_once(
    stage: Mapping[str, Tenant],
) -> None:
    subject = stage["before-patch"]
    first = _killed_at_patch(subject, Passage.HANG)
    planned = first.record(SERVICE)["trial"]
    assert planned["phase"] == "Planned"
    assert "GOGC" not in subject.env()

    second = _finish(subject, planned["startedAt"])

    assert subject.env()["GOGC"] == planned["change"]["settings"][0]["after"]
    assert len(second.record(SERVICE)["history"]) == 1
    assert subject.revision() == 2


def test_killed_between_patch_and_record_the_trial_goes_on_without_a_write(
    stage: Mapping[str, Tenant],
) -> None:
    subject = stage["after-patch"]
    first = _killed_at_patch(subject, Passage.LOSE_ANSWER)
    planned = first.record(SERVICE)["trial"]
    assert planned["phase"] == "Planned"
    assert subject.env()["GOGC"] == planned["change"]["settings"][0]["after"]

    second = _finish(subject, planned["startedAt"])

    assert subject.revision() == 2
    assert second.record(SERVICE)["history"][0]["change"] == planned["change"]


def test_killed_in_mid_trial_the_same_trial_is_judged_and_an_undo_is_respected(
    stage: Mapping[str, Tenant],
) -> None:
    subject = stage["mid-trial"]
    cluster = subject.cluster

    def in_phase(operator: Operator, phases: set[str]) -> Callable[[], bool]:
        return lambda: operator.record(SERVICE).get("trial", {}).get("phase") in phases

    with subject.operated(settings=ONE_STEP) as operator:
        cluster.wait_for(in_phase(operator, {"Settling", "Measuring"}), "a trial under way")
        operator.process.kill()
    trial = operator.record(SERVICE)["trial"]
    revision = subject.revision()

    with subject.operated(settings=ONE_STEP) as operator:
        cluster.wait_for(lambda: bool(operator.record(SERVICE).get("history")), "the verdict")
        outcome = operator.record(SERVICE)["history"][0]
        assert outcome["change"] == trial["change"]
        assert outcome["predictedSavingRatio"] == trial["prediction"]["cpuSavingRatio"]
        assert subject.revision() == revision

        cluster.kubectl(
            "rollout", "undo", f"deployment/{SERVICE}", "--namespace", subject.namespace
        )
        cluster.wait_for(
            lambda: operator.reason(SERVICE) == "reverted_by_other",
            "Hold(reverted_by_other)",
        )
        undone = subject.revision()
        subject.wait()
        # Every reason to write again is there; the pause alone stands against it.
        held = _holds(operator)
        cluster.wait_for(lambda: _holds(operator) > held + 15, "fifteen ticks of holding")
        assert "GOGC" not in subject.env()
        assert subject.revision() == undone
