"""Fields of others, and a workload that changes under our hands."""

from __future__ import annotations

import threading
from http import HTTPStatus
from typing import TYPE_CHECKING

from tests.e2e.stage import SERVICE
from tests.e2e.testbed.proxy import FaultProxy, Passage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.stage import Tenant
    from tests.e2e.testbed.proxy import Request


def test_a_value_of_another_manager_is_left_alone_and_its_owner_named(
    stage: Mapping[str, Tenant],
) -> None:
    owned = stage["owned"]
    before = owned.revision()
    with owned.operated() as operator:
        owned.cluster.wait_for(
            lambda: operator.reason(SERVICE) == "owned_by_other",
            "Hold(owned_by_other)",
        )
        assert "kubectl-client-side-apply" in operator.record(SERVICE)["message"]
        assert operator.writes("deployments") == []
    assert owned.revision() == before
    assert owned.env()["GOGC"] == "110"


def test_a_change_between_read_and_write_is_refused_read_again_and_not_lost(
    stage: Mapping[str, Tenant],
) -> None:
    contested = stage["contested"]
    cluster = contested.cluster
    interfered = threading.Event()

    def interfere(request: Request) -> Passage:
        patches_workload = request.method == "PATCH" and "/deployments/" in request.path
        if patches_workload and not interfered.is_set():
            interfered.set()
            contested.patch({"metadata": {"annotations": {"example.com/team": "blue"}}})
        return Passage.FORWARD

    with FaultProxy(cluster.api_url, cluster.control_plane.authority.certificate) as proxy:
        proxy.ask(interfere)
        with contested.operated(api_url=proxy.url) as operator:

            def answers() -> list[int]:
                patches = operator.writes("deployments")
                return [event.code for event in patches if event.verb == "patch"]

            cluster.wait_for(lambda: "GOGC" in contested.env(), "the change")
            cluster.wait_for(lambda: HTTPStatus.OK in answers(), "a patch that is taken")
            assert answers()[0] == HTTPStatus.CONFLICT
    assert "GOGC" in contested.env()
    assert contested.deployment()["metadata"]["annotations"]["example.com/team"] == "blue"
