"""A HorizontalPodAutoscaler: as many pods as bring use of CPU or memory to its target."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from tuner.simulation.plant import Pod
from tuner.simulation.service import Service

SYNC_SECONDS = 15.0
TOLERANCE = 0.1
"""Use this near to its target moves nothing."""
STABILISATION_SECONDS = 300.0
"""Pods go only when none of the recommendations of so long asked for them."""


@dataclass(slots=True)
class Autoscaler:
    """One service's; the defaults are those of kube-controller-manager."""

    service: Service
    _synced_at: float = -math.inf
    _cpu_seconds: dict[tuple[str, float], float] = field(default_factory=dict)
    """CPU that each process had used at the last look."""
    _asked: deque[tuple[float, int]] = field(default_factory=deque)
    """Recommendations and when they were made, oldest first."""

    def wanted(self, now: float, ready: Sequence[Pod], replicas: int) -> int:
        """Pods that there should be.

        Args:
            now: Simulated time.
            ready: The pods that take requests.
            replicas: Pods that are asked for now.
        """
        if now - self._synced_at < SYNC_SECONDS:
            return replicas
        seconds, self._synced_at = now - self._synced_at, now
        ratios = self._ratios(ready, seconds)
        self._cpu_seconds = {_process(pod): pod.counters.cpu_seconds for pod in ready}
        if not ratios:
            return replicas
        ratio = max(ratios)
        asked = replicas if abs(ratio - 1) <= TOLERANCE else math.ceil(replicas * ratio)
        asked = min(max(asked, self.service.replicas), self.service.replicas_highest)
        self._asked.append((now, asked))
        while self._asked[0][0] < now - STABILISATION_SECONDS:
            self._asked.popleft()
        return max(asked, min(replicas, max(each for _, each in self._asked)))

    def _ratios(self, ready: Sequence[Pod], seconds: float) -> list[float]:
        """Use by target of each metric that has one and is known."""
        ratios = []
        known = [pod for pod in ready if _process(pod) in self._cpu_seconds]
        if self.service.cpu_hpa is not None and known:
            spent = sum(
                pod.counters.cpu_seconds - self._cpu_seconds[_process(pod)] for pod in known
            )
            cores = spent / seconds / len(known)
            ratios.append(cores / self.service.cpu_request_cores / self.service.cpu_hpa)
        request = self.service.memory_request_bytes
        if self.service.memory_hpa is not None and request is not None and ready:
            resident = sum(pod.resident_bytes() for pod in ready) / len(ready)
            ratios.append(resident / request / self.service.memory_hpa)
        return ratios


def _process(pod: Pod) -> tuple[str, float]:
    return pod.name, pod.started_at
