"""The Inventory port: workloads joined with their pods, autoscalers and live ConfigMaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tuner.cluster.live import LIVE, with_live
from tuner.cluster.mirror import Mirror
from tuner.cluster.pods import Pod, running
from tuner.errors import GoneError
from tuner.model.workload import Running, Workload, WorkloadKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tuner.cluster.autoscalers import AutoscalerMirror, Autoscalers
    from tuner.cluster.inventory import ClusterInventory
    from tuner.cluster.live import LiveConfigMaps, LiveSettings
    from tuner.cluster.pods import PodMirror

_NOT_RUNNING = Running()


@dataclass(frozen=True, slots=True, eq=False)
class FleetView(Mapping[WorkloadKey, Workload]):
    """The fleet at one moment; a workload is joined with the rest when it is first asked for."""

    workloads: Mapping[WorkloadKey, Workload]
    """As their own JSON has them."""
    pods: Mapping[WorkloadKey, Sequence[Pod]]
    autoscalers: Autoscalers
    live: Mapping[WorkloadKey, LiveSettings]
    """By the workload that names the ConfigMap, where it was found."""
    _joined: dict[WorkloadKey, Workload] = field(default_factory=dict, init=False)

    def __getitem__(self, key: WorkloadKey) -> Workload:
        joined = self._joined.get(key)
        if joined is None:
            alone = self.workloads[key]
            seen = with_live(alone, self.live.get(key), key in self.live)
            joined = observed(seen, self.pods.get(key, ()), self.autoscalers)
            self._joined[key] = joined
        return joined

    def __iter__(self) -> Iterator[WorkloadKey]:
        return iter(self.workloads)

    def __len__(self) -> int:
        return len(self.workloads)


def observed(workload: Workload, pods: Iterable[Pod], autoscalers: Autoscalers) -> Workload:
    """A workload with what its pods and autoscalers say of it."""
    of_containers = running(pods)
    return replace(
        workload,
        containers=tuple(
            replace(each, running=of_containers.get(each.name, _NOT_RUNNING))
            for each in workload.containers
        ),
        autoscaling=autoscalers.of(workload),
    )


class ClusterFleet(Mirror):
    """All that is known of the workloads. Ask from one thread only."""

    def __init__(
        self,
        inventory: ClusterInventory,
        pods: PodMirror,
        autoscalers: AutoscalerMirror,
        live: LiveConfigMaps,
    ) -> None:
        """Take the mirrors that are joined; ``start`` and ``stop`` are theirs too."""
        super().__init__(inventory, pods, autoscalers, live)
        self._inventory = inventory
        self._pods = pods
        self._autoscalers = autoscalers
        self._live = live

    def workloads(self) -> Mapping[WorkloadKey, Workload]:
        """All workloads as last seen, without those being deleted; it does not change any more.

        Live ConfigMaps are asked for only where a workload names one.

        Raises:
            UnavailableError: A part of it was not listed yet, or is too old to act on.
        """
        workloads = self._inventory.workloads()
        return FleetView(
            workloads, self._pods.pods(), self._autoscalers.autoscalers(), self._found(workloads)
        )

    def _found(self, workloads: Mapping[WorkloadKey, Workload]) -> dict[WorkloadKey, LiveSettings]:
        found = {}
        for key, workload in workloads.items():
            name = workload.annotations.get(LIVE)
            settings = None if name is None else self._live.of(key.namespace, name)
            if settings is not None:
                found[key] = settings
        return found

    def fetch(self, key: WorkloadKey) -> Workload:
        """The workload, and its live ConfigMap, as they are now; pods and autoscalers as last seen.

        Raises:
            GoneError: The workload does not exist, or is being deleted.
            ClusterError: The API server cannot be asked, or pods or autoscalers are too old to act
                on.
        """
        workload = self._with_live_now(self._inventory.fetch(key))
        pods = self._pods.pods().get(key, ())
        return observed(workload, pods, self._autoscalers.autoscalers())

    def _with_live_now(self, workload: Workload) -> Workload:
        name = workload.annotations.get(LIVE)
        if name is None:
            return workload
        try:
            settings = self._live.fetch(workload.key.namespace, name)
        except GoneError:
            return with_live(workload, None, found=False)
        return with_live(workload, settings, found=True)
