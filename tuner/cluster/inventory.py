"""The Inventory port: the Deployments and StatefulSets of the cluster."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from tuner.cluster.client import Request
from tuner.cluster.collection import WORKLOADS
from tuner.cluster.mirror import Mirror, Upkeep, mirrored
from tuner.cluster.workload import read_workload
from tuner.errors import GoneError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tuner.cluster.client import Api
    from tuner.model.workload import Kind, Workload, WorkloadKey


class ClusterInventory(Mirror):
    """All workloads, or those of some namespaces, mirrored by list and watch."""

    def __init__(self, api: Api, upkeep: Upkeep, namespaces: Sequence[str] = ()) -> None:
        """Nothing is asked before ``start``.

        Args:
            api: The way to the API server.
            upkeep: How it is kept.
            namespaces: Empty for all of them.
        """
        self._api = api
        self._views = [
            mirrored(api, collection, namespaces, partial(read_workload, kind), upkeep)
            for kind, collection in WORKLOADS.items()
        ]
        super().__init__(*self._views)

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
