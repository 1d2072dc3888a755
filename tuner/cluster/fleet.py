"""The Inventory port: workloads joined with their pods, autoscalers and live ConfigMaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tuner.cluster.live import LIVE, with_live
from tuner.cluster.mirror import Mirror
from tuner.cluster.pods import Pod, running
from tuner.errors import GoneError, UnavailableError
from tuner.model.workload import Running, Workload, WorkloadKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

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
        report: Callable[[str], None],
    ) -> None:
        """Take the mirrors that are joined; ``start`` and ``stop`` are theirs too.

        Args:
            inventory: The workloads by themselves.
            pods: Their pods.
            autoscalers: What scales them.
            live: The ConfigMaps of the live channel.
            report: Told of workloads that are left out, in one line each; must not raise.
        """
        super().__init__(inventory, pods, autoscalers, live)
        self._inventory = inventory
        self._pods = pods
        self._autoscalers = autoscalers
        self._live = live
        self._report = report
        self._left_out: Mapping[WorkloadKey, str] = {}

    def workloads(self) -> Mapping[WorkloadKey, Workload]:
        """All workloads as last seen, without those being deleted; it does not change any more.

        Live ConfigMaps are asked for only where a workload names one. Where they cannot be seen,
        that workload is left out: shown without its settings, it would look as if someone had taken
        them away.

        Raises:
            UnavailableError: Another part of it was not listed yet, or is too old to act on.
        """
        workloads = self._inventory.workloads()
        live, unseen = self._found(workloads)
        self._tell(unseen)
        if unseen:
            workloads = {key: each for key, each in workloads.items() if key not in unseen}
        return FleetView(workloads, self._pods.pods(), self._autoscalers.autoscalers(), live)

    def _found(
        self, workloads: Mapping[WorkloadKey, Workload]
    ) -> tuple[dict[WorkloadKey, LiveSettings], dict[WorkloadKey, str]]:
        """What live ConfigMaps say, and why some cannot be seen."""
        found, unseen = {}, {}
        for key, workload in workloads.items():
            name = workload.annotations.get(LIVE)
            if name is None:
                continue
            try:
                settings = self._live.of(key.namespace, name)
            except UnavailableError as error:
                unseen[key] = f"{key}: its live ConfigMap {name} cannot be seen: {error}"
            else:
                if settings is not None:
                    found[key] = settings
        return found, unseen

    def _tell(self, unseen: Mapping[WorkloadKey, str]) -> None:
        """Report what was not left out before; the words of an outage change with its age."""
        for key in unseen.keys() - self._left_out.keys():
            self._report(unseen[key])
        self._left_out = unseen

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
