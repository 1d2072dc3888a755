"""An in-memory cluster behind the ports, with versions, conflicts, owners and rollouts.

What the loop relies on is kept as the API server has it: every change of a workload moves its
resource version, every change of spec or annotations its generation; a write at another version is
a conflict; a change of the template replaces pods one after another, a new one first; records are
kept as bytes, so that nothing survives that cannot be stored.
"""

import math
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

import msgspec

from tuner.errors import ConflictError, GoneError, UnavailableError
from tuner.model.record import Record
from tuner.model.trial import Change
from tuner.model.workload import (
    CAUSE_PREFIX,
    FIELD_MANAGER,
    GOGC,
    GOMEMLIMIT,
    Container,
    EnvEntry,
    Kind,
    Rollout,
    Workload,
    WorkloadKey,
)
from tuner.simulation.plant import Pod, Service, gogc_of, gomemlimit_of

CONTAINER = "app"
MANIFEST_OWNER = "helm"
POD_START_SECONDS = 10.0
"""From the creation of a pod, or its container's restart, to its readiness."""
PROGRESS_DEADLINE_SECONDS = 600.0
"""Kubernetes' own default."""
PACE_SPREAD = 0.02
"""Standard deviation of CPU per request between two starts of a process."""
LOAD_SPREAD = 0.03
"""Standard deviation of the load between pods."""
NOISE = 0.005
"""Standard deviation of CPU per request between two moments."""


class Fault(Enum):
    """How the API server fails a request."""

    LOST = "lost"
    """It never hears of it."""
    UNANSWERED = "unanswered"
    """It acts on it, and the caller never learns."""
    DEATH_BEFORE = "death before"
    """The controller dies with the request unsent."""
    DEATH_AFTER = "death after"
    """The controller dies when the request has been carried out."""


class ControllerDied(BaseException):
    """Stands for SIGKILL: nothing in the controller may catch it. See ``World.restart``."""


@dataclass(frozen=True, slots=True)
class Written:
    """One accepted write of the controller."""

    at: float
    key: WorkloadKey
    what: str
    """``workload``, ``change-cause`` or ``record``."""


class _Faults:
    """Faults of the coming requests of one kind, one each."""

    def __init__(self, due: deque[Fault], what: str) -> None:
        self._due = due.popleft() if due else None
        self._what = what

    def before(self) -> None:
        if self._due is Fault.LOST:
            raise UnavailableError(f"the {self._what} was lost on its way")
        if self._due is Fault.DEATH_BEFORE:
            raise ControllerDied(f"before the {self._what}")

    def after(self) -> None:
        if self._due is Fault.UNANSWERED:
            raise UnavailableError(f"no answer to the {self._what}")
        if self._due is Fault.DEATH_AFTER:
            raise ControllerDied(f"after the {self._what}")


@dataclass(slots=True)
class _Revision:
    """A ReplicaSet: a template, and the change-cause that its rollout had."""

    number: int
    digest: str
    env: Mapping[str, EnvEntry]
    cause: str | None = None

    def same(self, digest: str, env: Mapping[str, EnvEntry]) -> bool:
        """Whether a template is this one; owners are no part of it."""
        return digest == self.digest and _values(env) == _values(self.env)


@dataclass(slots=True)
class _Deployment:
    service: Service
    workload: Workload
    pods: list[Pod] = field(default_factory=list)
    revisions: list[_Revision] = field(default_factory=list)
    """The newest last."""
    paused: bool = False
    progressed_at: float = 0.0


class SimulatedCluster:
    """Inventory, Records and Actuator over pods of the plant."""

    def __init__(self, services: list[Service], now: float, seed: int) -> None:
        """Deploy services, all pods ready.

        Args:
            services: What runs.
            now: Simulated time.
            seed: Of everything that is left to chance.
        """
        self.now = now
        self.written: list[Written] = []
        self.faults: deque[Fault] = deque()
        """Faults of the coming writes to workloads, one each."""
        self.record_faults: deque[Fault] = deque()
        """Faults of the coming writes of records, one each."""
        self.cause_faults: deque[Fault] = deque()
        """Faults of the coming removals of a change-cause, one each."""
        self.outage: str | None = None
        """Why the view of the cluster is too old to act on; None while it is not."""
        self.oom_kills = 0
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self._versions = 1
        self._pods_made = 0
        self._frozen: Mapping[WorkloadKey, Workload] | None = None
        self._records: dict[WorkloadKey, bytes] = {}
        self._deployments: dict[WorkloadKey, _Deployment] = {}
        for service in services:
            self.deploy(service)

    # The ports.

    def workloads(self) -> Mapping[WorkloadKey, Workload]:
        """All workloads, as last seen.

        Raises:
            UnavailableError: There is an outage.
        """
        if self.outage is not None:
            raise UnavailableError(self.outage)
        return self._view() if self._frozen is None else self._frozen

    def fetch(self, key: WorkloadKey) -> Workload:
        """One workload, as it is now.

        Raises:
            GoneError: It does not exist.
            UnavailableError: There is an outage.
        """
        if self.outage is not None:
            raise UnavailableError(self.outage)
        return self._of(key).workload

    def all(self) -> Mapping[WorkloadKey, Record]:
        """All records."""
        return {key: msgspec.json.decode(each, type=Record) for key, each in self._records.items()}

    def save(self, workload: Workload, record: Record) -> None:
        """Keep a record.

        Raises:
            GoneError: Its workload does not exist.
            UnavailableError: A fault was due.
        """
        faults = _Faults(self.record_faults, "record")
        faults.before()
        self._of(workload.key)
        self._records[workload.key] = msgspec.json.encode(record)
        self.written.append(Written(self.now, workload.key, "record"))
        faults.after()

    def write(self, workload: Workload, change: Change, cause: str) -> Workload:
        """Change one env entry, which begins a rollout.

        Raises:
            ConflictError: The workload is at another version.
            GoneError: It does not exist.
            UnavailableError: A fault was due.
        """
        faults = _Faults(self.faults, "write")
        faults.before()
        deployment = self._at_version(workload)
        current = deployment.workload.change_cause
        if current is None or deployment.workload.cause_is_ours:
            current = f"{CAUSE_PREFIX}{cause}"
        self.written.append(Written(self.now, workload.key, "workload"))
        values = {each.name: each.after for each in change.settings}
        self._set(deployment, values, FIELD_MANAGER, current)
        faults.after()
        return deployment.workload

    def clear_cause(self, workload: Workload) -> None:
        """Remove our change-cause.

        Raises:
            ConflictError: The workload is at another version.
            GoneError: It does not exist.
            UnavailableError: A fault was due.
        """
        faults = _Faults(self.cause_faults, "removal of the change-cause")
        faults.before()
        deployment = self._at_version(workload)
        if deployment.workload.cause_is_ours:
            self.written.append(Written(self.now, workload.key, "change-cause"))
            deployment.workload = self._moved(replace(deployment.workload, change_cause=None))
        faults.after()

    # What others do.

    def deploy(self, service: Service) -> WorkloadKey:
        """Create a service, all pods ready."""
        env = {}
        for name, value in ((GOGC, service.gogc), (GOMEMLIMIT, service.gomemlimit)):
            if value is not None:
                env[name] = EnvEntry(value, owners=(MANIFEST_OWNER,))
        key = WorkloadKey(service.namespace, Kind.DEPLOYMENT, service.name)
        self._versions += 1
        workload = Workload(
            key=key,
            uid=f"uid-{self._versions}",
            resource_version=str(self._versions),
            generation=1,
            containers=(
                Container(CONTAINER, service.memory_limit_bytes, service.memory_request_bytes, env),
            ),
            rollout=Rollout.COMPLETE,
            replicas=service.replicas,
            ready_replicas=service.replicas,
            template_digest="first",
            label_mode=service.mode,
            annotations=dict(service.annotations),
        )
        deployment = _Deployment(
            service, workload, revisions=[_Revision(1, "first", env)], progressed_at=self.now
        )
        for _ in range(service.replicas):
            deployment.pods.append(self._pod(deployment, starts_in=0.0))
        self._deployments[key] = deployment
        return key

    def delete(self, key: WorkloadKey) -> None:
        """Delete a workload; its record goes with it, as it is owned by it."""
        self._of(key)
        del self._deployments[key]
        self._records.pop(key, None)

    def set_env(
        self, key: WorkloadKey, name: str, value: str | None, *, owner: str = "kubectl-set"
    ) -> None:
        """Set or remove an env entry, which begins a rollout."""
        deployment = self._of(key)
        self._set(deployment, {name: value}, owner, deployment.workload.change_cause)

    def change_template(self, key: WorkloadKey, digest: str) -> None:
        """Deploy another version of the service."""
        deployment = self._of(key)
        self._roll(deployment, replace(deployment.workload, template_digest=digest))

    def undo(self, key: WorkloadKey) -> None:
        """``kubectl rollout undo``: the template and change-cause of the revision before.

        Raises:
            GoneError: There is no such workload, or no revision before.
        """
        deployment = self._of(key)
        if len(deployment.revisions) < 2:  # noqa: PLR2004 - the one in force, and one before
            raise GoneError(f"{key} has no revision to go back to")
        before, workload = deployment.revisions[-2], deployment.workload
        (container,) = workload.containers
        env = {
            name: entry
            if container.literal(name) == entry.value
            else replace(entry, owners=("kubectl-rollout",))
            for name, entry in before.env.items()
        }
        self._roll(
            deployment,
            replace(
                workload,
                containers=(replace(container, env=env),),
                template_digest=before.digest,
                change_cause=before.cause,
            ),
        )

    def pause(self, key: WorkloadKey, *, paused: bool) -> None:
        """``kubectl rollout pause`` and ``resume``."""
        deployment = self._of(key)
        deployment.paused, deployment.progressed_at = paused, self.now
        deployment.workload = self._moved(deployment.workload)
        self._observe(deployment)

    def scale(self, key: WorkloadKey, replicas: int) -> None:
        """Ask for another number of pods."""
        deployment = self._of(key)
        deployment.workload = self._moved(replace(deployment.workload, replicas=replicas))
        deployment.progressed_at = self.now
        self._observe(deployment)

    def annotate(self, key: WorkloadKey, **annotations: str) -> None:
        """Change the workload's metadata, and with it its version."""
        deployment = self._of(key)
        merged = {**deployment.workload.annotations, **annotations}
        deployment.workload = self._moved(replace(deployment.workload, annotations=merged))

    def label(self, key: WorkloadKey, mode: str | None) -> None:
        """Change the label ``gc-tuner.io/mode``; labels do not count as a generation."""
        deployment = self._of(key)
        deployment.workload = self._versioned(replace(deployment.workload, label_mode=mode))

    def freeze_view(self) -> None:
        """Let the controller's view of the workloads fall behind from now on."""
        self._frozen = self._view()

    def thaw_view(self) -> None:
        """Let the view catch up."""
        self._frozen = None

    # The passing of time.

    def advance(self, seconds: float) -> None:
        """Let pods work, and rollouts replace one pod after another."""
        self.now += seconds
        for deployment in self._deployments.values():
            ready = [pod for pod in deployment.pods if pod.ready_at < self.now]
            load = deployment.service.requests_per_second(self.now)
            weights = sum(pod.weight for pod in ready)
            for pod in deployment.pods:
                taken = load * pod.weight / weights if pod in ready else 0.0
                if pod.advance(seconds, taken, self._random.gauss(0.0, NOISE)):
                    self.oom_kills += 1
                    pod.ready_at = self.now + POD_START_SECONDS
            self._reconcile(deployment)
            self._observe(deployment)

    def pods(self, key: WorkloadKey) -> list[Pod]:
        """The pods of a workload, those included that are not ready yet."""
        return list(self._of(key).pods)

    def services(self) -> Mapping[WorkloadKey, Service]:
        """What runs, by workload."""
        return {key: each.service for key, each in self._deployments.items()}

    def _reconcile(self, deployment: _Deployment) -> None:
        """As the deployment controller with maxSurge 1 and maxUnavailable 0."""
        pods, wanted = deployment.pods, deployment.workload.replicas
        revision = deployment.revisions[-1].number
        old = [pod for pod in pods if pod.revision != revision]
        if old and deployment.paused:
            return
        if len(pods) > wanted and all(pod.ready_at <= self.now for pod in pods):
            pods.remove(old[0] if old else pods[-1])
            deployment.progressed_at = self.now
        elif len(pods) < wanted + (1 if old else 0):
            pods.append(self._pod(deployment, starts_in=POD_START_SECONDS))

    def _observe(self, deployment: _Deployment) -> None:
        """Bring the workload's status up to date."""
        workload, pods = deployment.workload, deployment.pods
        revision = deployment.revisions[-1].number
        ready = sum(pod.ready_at <= self.now for pod in pods)
        updated = sum(pod.revision == revision for pod in pods)
        if ready > workload.ready_replicas:
            deployment.progressed_at = self.now
        overdue = self.now - deployment.progressed_at > PROGRESS_DEADLINE_SECONDS
        if deployment.paused:
            rollout = Rollout.PAUSED
        elif ready == updated == len(pods) == workload.replicas:
            rollout = Rollout.COMPLETE
        elif updated < len(pods) and overdue:
            rollout = Rollout.FAILING
        else:
            rollout = Rollout.IN_PROGRESS
        if (rollout, ready) != (workload.rollout, workload.ready_replicas):
            deployment.workload = self._versioned(
                replace(workload, rollout=rollout, ready_replicas=ready)
            )

    def _set(
        self,
        deployment: _Deployment,
        values: Mapping[str, str | None],
        owner: str,
        cause: str | None,
    ) -> None:
        workload = deployment.workload
        (container,) = workload.containers
        env = {name: entry for name, entry in container.env.items() if name not in values}
        for name, value in values.items():
            if value is not None:
                env[name] = EnvEntry(value, owners=(owner,))
        if _values(env) == _values(container.env):
            return
        self._roll(
            deployment,
            replace(workload, containers=(replace(container, env=env),), change_cause=cause),
        )

    def _roll(self, deployment: _Deployment, workload: Workload) -> None:
        """Put another template in force: an earlier one is found again, as ReplicaSets are."""
        (container,) = workload.containers
        revisions = deployment.revisions
        number = 1 + max(each.number for each in revisions)
        known = [each for each in revisions if each.same(workload.template_digest, container.env)]
        if known and known[0] is revisions[-1]:
            deployment.workload = self._moved(workload)
            return
        for each in known:
            revisions.remove(each)
            for pod in deployment.pods:
                pod.revision = number if pod.revision == each.number else pod.revision
        revisions.append(
            _Revision(number, workload.template_digest, container.env, workload.change_cause)
        )
        deployment.workload = self._moved(workload)
        deployment.progressed_at = self.now
        self._observe(deployment)

    def _view(self) -> Mapping[WorkloadKey, Workload]:
        return {key: each.workload for key, each in self._deployments.items()}

    def _versioned(self, workload: Workload) -> Workload:
        self._versions += 1
        return replace(workload, resource_version=str(self._versions))

    def _moved(self, workload: Workload) -> Workload:
        """Another version and generation, which spec and annotations of a Deployment count as."""
        return replace(self._versioned(workload), generation=workload.generation + 1)

    def _at_version(self, workload: Workload) -> _Deployment:
        deployment = self._of(workload.key)
        if deployment.workload.resource_version != workload.resource_version:
            raise ConflictError(f"{workload.key} changed since it was read")
        return deployment

    def _of(self, key: WorkloadKey) -> _Deployment:
        if key not in self._deployments:
            raise GoneError(f"{key} does not exist")
        return self._deployments[key]

    def _pod(self, deployment: _Deployment, *, starts_in: float) -> Pod:
        (container,) = deployment.workload.containers
        revision = deployment.revisions[-1].number
        ready_at = self.now + starts_in
        try:
            gomemlimit = gomemlimit_of(container.literal(GOMEMLIMIT))
        except ValueError:  # Go does not start with it, however often it is restarted
            gomemlimit, ready_at = math.inf, math.inf
        self._pods_made += 1
        return Pod(
            name=f"{deployment.service.name}-{revision}-{self._pods_made}",
            service=deployment.service,
            started_at=self.now,
            gogc=gogc_of(container.literal(GOGC)),
            gomemlimit_bytes=gomemlimit,
            pace=1 + self._random.gauss(0.0, PACE_SPREAD),
            weight=1 + self._random.gauss(0.0, LOAD_SPREAD),
            revision=revision,
            ready_at=ready_at,
        )


def _values(env: Mapping[str, EnvEntry]) -> Mapping[str, str | None]:
    return {name: entry.value for name, entry in env.items()}
