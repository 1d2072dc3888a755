"""What the Kubernetes API says of a workload, reduced to what tuning needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

GOGC = "GOGC"
GOMEMLIMIT = "GOMEMLIMIT"
BARRIER = "BARRIER"
"""Stands for the env entry that the annotation ``gc-tuner.io/barrier-env`` names; on the live
channel the key has this name itself."""
BARRIER_ENV = "barrier-env"
"""That annotation, without its prefix."""
TUNED = (GOGC, GOMEMLIMIT, BARRIER)
"""The settings that gc-tuner reads, and may own."""

FIELD_MANAGER = "gc-tuner"
"""Our name in the managed fields of what we write."""
CAUSE_PREFIX = "gc-tuner: "
"""Begins every change-cause of ours, so that it can be told from the user's."""


class Kind(StrEnum):
    """Workload kinds that can be tuned."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"


class Mode(StrEnum):
    """What gc-tuner may do to a workload."""

    AUTO = "auto"
    RECOMMEND = "recommend"
    OFF = "off"


class Rollout(StrEnum):
    """Where the workload's pods stand against its template."""

    COMPLETE = "complete"
    IN_PROGRESS = "in progress"
    PAUSED = "paused"
    FAILING = "failing"


class WorkloadKey(NamedTuple):
    """Name of a workload within the cluster; a tuple, because it is looked up all the time."""

    namespace: str
    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.kind.value}/{self.name}"


@dataclass(frozen=True, slots=True)
class EnvEntry:
    """One env name of a container, as its template has it."""

    value: str | None
    """The literal value; None where ``valueFrom`` stands."""
    count: int = 1
    """How often the name is listed: twice is legal, and the last one wins."""
    owners: tuple[str, ...] = ()
    """Field managers that own the entry, sorted."""


@dataclass(frozen=True, slots=True)
class Running:
    """What the statuses of a workload's pods say of one container, over all pods there are."""

    memory_limit_bytes: int | None = None
    """Smallest limit in force; None where no pod tells."""
    resizing: bool = False
    """Whether a resize in place is asked for and not done."""
    restarts: int = 0
    """Restarts, sum over the pods."""
    oom_killed_at: float | None = None
    """When the kernel last killed it for its memory; None: not seen."""
    crashing_pods: int = 0
    """Pods in which it waits in a crash loop."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container of the pod template."""

    name: str
    memory_limit_bytes: int | None = None
    """Of the template."""
    memory_request_bytes: int | None = None
    """Of the template."""
    env: Mapping[str, EnvEntry] = field(default_factory=dict)
    """The tuned settings that are set, and only those; on the live channel the ConfigMap's."""
    running: Running = Running()

    def literal(self, name: str) -> str | None:
        """Literal value of an env name; None where it is not set or comes from a reference."""
        entry = self.env.get(name)
        return None if entry is None else entry.value

    def ours(self, name: str, value: str | None) -> bool:
        """Whether a value stands there in gc-tuner's name."""
        entry = self.env.get(name)
        return entry is not None and entry.value == value and FIELD_MANAGER in entry.owners


@dataclass(frozen=True, slots=True)
class LiveChannel:
    """The ConfigMap through which a workload takes its settings without a restart."""

    config_map: str
    resource_version: str = ""
    trouble: str = ""
    """Why it cannot be written, for people; empty where it can."""


@dataclass(frozen=True, slots=True)
class Autoscaling:
    """What other controllers do with a workload's memory and replicas."""

    memory_request_target: float | None = None
    """Share of the memory request at which a HorizontalPodAutoscaler adds pods."""
    vertical: str = ""
    """Name of the VerticalPodAutoscaler that sets its memory; empty where none does."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload that may be tuned, as of one resource version."""

    key: WorkloadKey
    uid: str
    resource_version: str
    generation: int
    """Counts the changes of the spec: a view with a smaller one is out of date."""
    containers: tuple[Container, ...]
    rollout: Rollout
    replicas: int
    """Pods asked for."""
    ready_replicas: int
    template_digest: str
    """Digest of the pod template without the tuned env entries: it moves when others change it."""
    label_mode: str | None = None
    """Text of the label ``gc-tuner.io/mode``, unchecked."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """The ``gc-tuner.io/`` annotations, without that prefix."""
    change_cause: str | None = None
    """Text of ``kubernetes.io/change-cause``."""
    surges: bool = False
    """Whether a rollout starts a new pod before it stops an old one."""
    live: LiveChannel | None = None
    """The live channel that an annotation names; None: settings go into env."""
    autoscaling: Autoscaling = Autoscaling()

    @property
    def cause_is_ours(self) -> bool:
        """Whether the change-cause is set, and by us."""
        return (self.change_cause or "").startswith(CAUSE_PREFIX)

    def container(self, name: str) -> Container | None:
        """The container of that name, if the template has it."""
        return next((each for each in self.containers if each.name == name), None)
