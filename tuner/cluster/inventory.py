"""The Inventory port: the Deployments and StatefulSets of the cluster."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from tuner.cluster.client import Request
from tuner.cluster.collection import WORKLOADS
from tuner.cluster.reflector import Reflector, View
from tuner.cluster.workload import read_workload
from tuner.errors import GoneError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tuner.cluster.client import Api
    from tuner.model.workload import Kind, Workload, WorkloadKey


class ClusterInventory:
    """All workloads, or those of some namespaces, mirrored by list and watch."""

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
        self._views = [
            View(
                {
                    namespace: Reflector(
                        api,
                        collection,
                        namespace,
                        partial(read_workload, kind),
                        stale_after_seconds=stale_after_seconds,
                        report=report,
                        clock=clock,
                    )
                    for namespace in namespaces or (None,)
                }
            )
            for kind, collection in WORKLOADS.items()
        ]

    def start(self) -> None:
        """Begin to mirror."""
        for view in self._views:
            view.start()

    def stop(self) -> None:
        """End the mirror."""
        for view in self._views:
            view.stop()

    def wait_synced(self, timeout_seconds: float) -> bool:
        """Whether all was listed once, waiting for it no longer than this in all."""
        deadline = time.monotonic() + timeout_seconds
        return all(view.wait_synced(max(0.0, deadline - time.monotonic())) for view in self._views)

    def workloads(self) -> Mapping[WorkloadKey, Workload]:
        """All workloads as last seen, without those being deleted.

        Raises:
            UnavailableError: The first list has not come in, or the view is too old to act on.
        """
        return {key: workload for view in self._views for key, workload in view.values().items()}

    def fetch(self, key: WorkloadKey) -> Workload:
        """The workload as it is now, asked of the API server.

        Raises:
            GoneError: It does not exist, or is being deleted.
            ClusterError: The API server cannot be asked.
        """
        request = Request(
            verb="get",
            what=f"{key.kind.lower()} {key.namespace}/{key.name}",
            path=WORKLOADS[key.kind].path(key.namespace, key.name),
        )
        return answered_workload(key.kind, request, self._api.ask(request))


def answered_workload(kind: Kind, request: Request, answer: bytes) -> Workload:
    """The workload in the API server's answer.

    Raises:
        GoneError: It is being deleted.
        UnavailableError: The answer is not an object of that kind that can be read.
    """
    try:
        workload = read_workload(kind, answer).value
    except (ValueError, msgspec.MsgspecError) as error:
        raise UnavailableError(f"{request}: the answer cannot be read: {error}") from error
    if workload is None:
        raise GoneError(f"{request}: it is being deleted")
    return workload
