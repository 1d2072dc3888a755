"""The Inventory port: the Deployments of the cluster."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from tuner.cluster.client import Request
from tuner.cluster.collection import DEPLOYMENTS
from tuner.cluster.deployment import read_deployment
from tuner.cluster.reflector import Reflector, View
from tuner.errors import GoneError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tuner.cluster.client import Api
    from tuner.model.workload import Workload, WorkloadKey


class ClusterInventory:
    """All Deployments, or those of some namespaces, mirrored by list and watch."""

    def __init__(
        self,
        api: Api,
        namespaces: Sequence[str] = (),
        *,
        stale_after_seconds: float,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is asked before ``start``.

        Args:
            api: The way to the API server.
            namespaces: Empty for all of them.
            stale_after_seconds: Age of the API server's last sign of life from which on the view is
                refused.
            report: Told of objects that cannot be read, in one line each; must not raise.
            clock: Monotonic seconds.
        """
        self._api = api
        self._view = View(
            {
                namespace: Reflector(
                    api,
                    DEPLOYMENTS,
                    namespace,
                    read_deployment,
                    stale_after_seconds=stale_after_seconds,
                    report=report,
                    clock=clock,
                )
                for namespace in namespaces or (None,)
            }
        )

    def start(self) -> None:
        """Begin to mirror."""
        self._view.start()

    def stop(self) -> None:
        """End the mirror."""
        self._view.stop()

    def wait_synced(self, timeout_seconds: float) -> bool:
        """Whether the first list has come in, waiting for it no longer than this."""
        return self._view.wait_synced(timeout_seconds)

    def workloads(self) -> Mapping[WorkloadKey, Workload]:
        """All workloads as last seen, without those being deleted.

        Raises:
            UnavailableError: The first list has not come in, or the view is too old to act on.
        """
        return self._view.values()

    def fetch(self, key: WorkloadKey) -> Workload:
        """The workload as it is now, asked of the API server.

        Raises:
            GoneError: It does not exist, or is being deleted.
            ClusterError: The API server cannot be asked.
        """
        request = Request(
            verb="get",
            what=f"deployment {key.namespace}/{key.name}",
            path=DEPLOYMENTS.path(key.namespace, key.name),
        )
        return answered_workload(request, self._api.ask(request))


def answered_workload(request: Request, answer: bytes) -> Workload:
    """The workload in the API server's answer.

    Raises:
        GoneError: It is being deleted.
        UnavailableError: The answer is not a Deployment that can be read.
    """
    try:
        workload = read_deployment(answer).value
    except (ValueError, msgspec.MsgspecError) as error:
        raise UnavailableError(f"{request}: the answer cannot be read: {error}") from error
    if workload is None:
        raise GoneError(f"{request}: it is being deleted")
    return workload
