"""Spec and status of the workload kinds: where a rollout stands, and how it goes about it."""

from __future__ import annotations

import math

import msgspec

from tuner.model.workload import Rollout


class _Json(msgspec.Struct, frozen=True, rename="camel"):
    """Base of what is read; other fields are skipped without being decoded."""


class _RollingUpdate(_Json, frozen=True):
    max_surge: int | str = 0
    partition: int = 0


class _Strategy(_Json, frozen=True):
    # The API server fills in what is left out; these are its defaults.
    type: str = "RollingUpdate"
    rolling_update: _RollingUpdate = _RollingUpdate()

    @property
    def is_rolling(self) -> bool:
        return self.type == "RollingUpdate"


class DeploymentSpec(_Json, frozen=True):
    """What is asked for of a Deployment."""

    template: msgspec.Raw
    replicas: int = 1
    paused: bool = False
    strategy: _Strategy = _Strategy(rolling_update=_RollingUpdate(max_surge="25%"))

    @property
    def surges(self) -> bool:
        """Whether a rollout starts a new pod before it stops an old one.

        Raises:
            ValueError: ``maxSurge`` is neither a number nor a percentage.
        """
        strategy = self.strategy
        return strategy.is_rolling and _pods(strategy.rolling_update.max_surge, self.replicas) >= 1


class StatefulSetSpec(_Json, frozen=True):
    """What is asked for of a StatefulSet."""

    template: msgspec.Raw
    replicas: int = 1
    update_strategy: _Strategy = _Strategy()

    @property
    def surges(self) -> bool:
        """Never: a pod's name is free again only once the old pod is gone."""
        return False


class _Condition(_Json, frozen=True):
    type: str
    status: str
    reason: str = ""


class DeploymentStatus(_Json, frozen=True):
    """What there is of a Deployment."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    conditions: list[_Condition] = []

    def rollout(self, generation: int, spec: DeploymentSpec) -> Rollout:
        """Where the pods stand: what ``kubectl rollout status`` goes by."""
        if spec.paused:
            return Rollout.PAUSED
        if self.observed_generation < generation:
            return Rollout.IN_PROGRESS
        if any(
            each.type == "Progressing"
            and each.status == "False"
            and each.reason == "ProgressDeadlineExceeded"
            for each in self.conditions
        ):
            return Rollout.FAILING
        arrived = (
            self.updated_replicas >= spec.replicas
            and self.replicas <= self.updated_replicas
            and self.available_replicas >= self.updated_replicas
        )
        return Rollout.COMPLETE if arrived else Rollout.IN_PROGRESS


class StatefulSetStatus(_Json, frozen=True):
    """What there is of a StatefulSet."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""

    def rollout(self, generation: int, spec: StatefulSetSpec) -> Rollout:
        """Where the pods stand: what ``kubectl rollout status`` goes by.

        A set that replaces pods only when someone deletes them (``OnDelete``), or not all of them
        (``partition``), counts as paused for as long as it is so: a change of its template would
        not reach its pods by itself. Nor does it ever count as failing, because a StatefulSet has
        no progress deadline.
        """
        strategy = spec.update_strategy
        if not strategy.is_rolling or strategy.rolling_update.partition > 0:
            return Rollout.PAUSED
        arrived = (
            self.observed_generation >= generation
            and self.update_revision == self.current_revision
            and self.updated_replicas >= spec.replicas
            and self.replicas <= self.updated_replicas
            and self.ready_replicas >= spec.replicas
        )
        return Rollout.COMPLETE if arrived else Rollout.IN_PROGRESS


def _pods(text: int | str, replicas: int) -> int:
    """A number of pods, or a percentage of the replicas, which Kubernetes rounds up for a surge.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(text, int):
        return text
    percent, sign, rest = text.partition("%")
    if not (percent.isdecimal() and sign and not rest):
        raise ValueError(f"maxSurge {text!r} is neither a number nor a percentage")
    return math.ceil(int(percent) * replicas / 100)
