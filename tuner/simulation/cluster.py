"""An in-memory cluster behind the ports, with versions, conflicts, owners and rollouts.

What the loop relies on is kept as the API server has it: every change of a workload moves its
resource version, every change of spec or annotations its generation; a write at another version is
a conflict; a change of the template replaces pods one after another; a resize in place, and a write
to a live service's ConfigMap, replaces none; records are kept as bytes, so that nothing survives
that cannot be stored.
"""

import contextlib
import math
import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import msgspec

from tuner.errors import ConflictError, GoneError, RefusedError, UnavailableError
from tuner.model.record import Record
from tuner.model.trial import Change
from tuner.model.workload import (
    BARRIER,
    CAUSE_PREFIX,
    FIELD_MANAGER,
    GOGC,
    GOMEMLIMIT,
    Autoscaling,
    Container,
    EnvEntry,
    Kind,
    LiveChannel,
    Rollout,
    Running,
    Workload,
    WorkloadKey,
)
from tuner.ports import AlteredError
from tuner.simulation.autoscaler import Autoscaler
from tuner.simulation.plant import Pod
from tuner.simulation.service import InForce, Service

_RECORD = msgspec.json.Decoder(Record)
CONTAINER = "app"
MANIFEST_OWNER = "helm"
POD_START_SECONDS = 10.0
"""From the creation of a pod, or its container's restart, to its readiness."""
PROGRESS_DEADLINE_SECONDS = 600.0
"""Kubernetes' own default."""
CONNECTION_SECONDS = 240.0
"""A request that is held up for longer is lost."""
BACK_OFF_SECONDS = 10.0
"""Before the first restart of a container that ended at once; doubled by each further one."""
BACK_OFF_LONGEST_SECONDS = 300.0
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
    OVERTAKEN = "overtaken"
    """Somebody else's request comes first, and this one is out of date."""
    REFUSED = "refused"
    """It does not let it pass."""
    DEATH_BEFORE = "death before"
    """The controller dies with the request unsent."""
    DEATH_AFTER = "death after"
    """The controller dies when the request has been carried out."""
    LATE = "late"
    """A write to a workload is held up on its way, and the caller never learns; see
    `SimulatedCluster.deliver`. Any other request is lost."""


class ControllerDied(BaseException):
    """Stands for SIGKILL: nothing in the controller may catch it. See ``World.restart``."""


@dataclass(frozen=True, slots=True)
class Written:
    """One accepted write of the controller."""

    at: float
    key: WorkloadKey
    what: str
    """``workload``, ``live``, ``withdrawal``, ``change-cause`` or ``record``."""


@dataclass(frozen=True, slots=True)
class Late:
    """A write to a workload, as it was sent."""

    at: float
    workload: Workload
    change: Change
    cause: str | None


class _Faults:
    """Faults of the coming requests of one kind, one each."""

    def __init__(self, due: deque[Fault], what: str) -> None:
        self._due = due.popleft() if due else None
        self._what = what

    @property
    def late(self) -> bool:
        return self._due is Fault.LATE

    def before(self) -> None:
        if self._due in {Fault.LOST, Fault.LATE}:
            raise UnavailableError(f"the {self._what} was lost on its way")
        if self._due is Fault.OVERTAKEN:
            raise ConflictError(f"somebody else was faster than the {self._what}")
        if self._due is Fault.REFUSED:
            raise RefusedError(f"an admission webhook denied the {self._what}")
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
    container: Container
    cause: str | None = None

    def same(self, digest: str, env: Mapping[str, EnvEntry]) -> bool:
        """Whether a template is this one; owners are no part of it."""
        return digest == self.digest and _values(env) == _values(self.container.env)


@dataclass(frozen=True, slots=True)
class _Due:
    """Something that reaches pods after a while."""

    at: float
    pods: Sequence[Pod]


@dataclass(frozen=True, slots=True)
class _Mount(_Due):
    """A new content of a ConfigMap."""

    settings: InForce


@dataclass(frozen=True, slots=True)
class _Resize(_Due):
    """Another memory limit in place."""

    limit_bytes: int

    @property
    def waiting(self) -> list[Pod]:
        """Pods that have not got it: the kubelet takes no memory away that is in use."""
        return [pod for pod in self.pods if pod.memory_limit_bytes != self.limit_bytes]


@dataclass(slots=True)
class _ConfigMap:
    """What a live service takes its settings from."""

    channel: LiveChannel
    entries: Mapping[str, EnvEntry]


@dataclass(slots=True)
class _Deployment:
    """A workload of either kind."""

    service: Service
    workload: Workload
    """As the API server has it: without what pods and ConfigMap say."""
    autoscaler: Autoscaler
    config_map: _ConfigMap | None = None
    """None where the service is not live."""
    pods: list[Pod] = field(default_factory=list)
    revisions: list[_Revision] = field(default_factory=list)
    """The newest last."""
    paused: bool = False
    progressed_at: float = 0.0
    mounts: list[_Mount] = field(default_factory=list)
    """On their way to pods."""
    resize: _Resize | None = None

    @property
    def entries(self) -> Mapping[str, EnvEntry]:
        """Where a new process finds its settings."""
        if self.config_map is not None:
            return self.config_map.entries
        return self.workload.containers[0].env

    def shown(self, now: float) -> Workload:
        """The workload together with what its pods, ConfigMap and autoscalers say."""
        (container,) = self.workload.containers
        service = self.service
        return replace(
            self.workload,
            containers=(replace(container, env=self.entries, running=self._running(now)),),
            live=None if self.config_map is None else self.config_map.channel,
            autoscaling=Autoscaling(service.memory_hpa, service.vpa),
        )

    def _running(self, now: float) -> Running:
        limits = [each.memory_limit_bytes for each in self.pods]
        killed = [each.oom_killed_at for each in self.pods if each.oom_killed_at is not None]
        return Running(
            memory_limit_bytes=min((each for each in limits if each is not None), default=None),
            resizing=self.resize is not None,
            restarts=sum(_restarts(each, now) for each in self.pods),
            oom_killed_at=max(killed, default=None),
            crashing_pods=sum(math.isinf(each.ready_at) for each in self.pods),
        )


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
        self.late: deque[Late] = deque()
        """Writes to workloads that are on their way still."""
        self.withdrawal_faults: deque[Fault] = deque()
        """Faults of the coming withdrawals, one each."""
        self.outage: str | None = None
        """Why the view of the cluster is too old to act on; None while it is not."""
        self.unreachable: str | None = None
        """Why no request is answered, while there still is a view; None while they are."""
        self.webhook: Mapping[str, str] = {}
        """What an admission webhook makes of every value that is written, by the setting's name."""
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
            UnavailableError: No request is answered.
        """
        self._reach()
        return self.truth(key)

    def all(self) -> Mapping[WorkloadKey, Record]:
        """All records."""
        return {key: _RECORD.decode(each) for key, each in self._records.items()}

    def save(self, workload: Workload, record: Record) -> None:
        """Keep a record.

        Raises:
            GoneError: Its workload does not exist, or is another of the same name.
            ClusterError: No request is answered, or a fault was due.
        """
        self._reach()
        faults = _Faults(self.record_faults, "record")
        faults.before()
        if self._of(workload.key).workload.uid != workload.uid:
            raise GoneError(f"{workload.key} was deleted and made anew")
        self._records[workload.key] = msgspec.json.encode(record)
        self.written.append(Written(self.now, workload.key, "record"))
        faults.after()

    def write(self, workload: Workload, change: Change, cause: str | None) -> Workload:
        """Change env entries, which begins a rollout, or those of a live service's ConfigMap.

        Raises:
            ConflictError: The workload, or its ConfigMap, is at another version.
            GoneError: It does not exist.
            AlteredError: The admission webhook made something else of it.
            ClusterError: No request is answered, or a fault was due.
        """
        self._reach()
        faults = _Faults(self.faults, "write")
        if faults.late:
            self.late.append(Late(self.now, workload, change, cause))
        faults.before()
        self._accept(workload, change, cause)
        faults.after()
        answer = self.truth(workload.key)
        asked, values = _asked(change), self._let_pass(change)
        if values != asked:
            raise AlteredError(f"asked for {asked}, the answer has {values}", answer)
        return answer

    def deliver(self) -> None:
        """Let the first of the late writes arrive; it is refused if it is out of date by now.

        One that was on its way for longer than any connection lasts does not arrive.
        """
        late = self.late.popleft()
        if self.now - late.at > CONNECTION_SECONDS:
            return
        with contextlib.suppress(ConflictError, GoneError):
            self._accept(late.workload, late.change, late.cause)

    def _accept(self, workload: Workload, change: Change, cause: str | None) -> None:
        values = self._let_pass(change)
        deployment = self._of(workload.key)
        if workload.live is not None:
            config_map = self._read_config_map(deployment, workload.live)
            self.written.append(Written(self.now, workload.key, "live"))
            self._put(deployment, config_map, values, FIELD_MANAGER)
        else:
            self._check_version(deployment, workload)
            current = deployment.workload.change_cause
            if current is None or deployment.workload.cause_is_ours:
                current = None if cause is None else f"{CAUSE_PREFIX}{cause}"
            self.written.append(Written(self.now, workload.key, "workload"))
            self._set(deployment, values, FIELD_MANAGER, current)

    def _let_pass(self, change: Change) -> Mapping[str, str | None]:
        """What the admission webhook makes of a change."""
        return {
            name: value if value is None else self.webhook.get(name, value)
            for name, value in _asked(change).items()
        }

    def withdraw(self, workload: Workload) -> Workload:
        """Make it another version, or a live service's ConfigMap.

        Raises:
            ConflictError: The workload, or its ConfigMap, is at another version.
            GoneError: It does not exist.
            ClusterError: No request is answered, or a fault was due.
        """
        self._reach()
        if workload.live is not None and workload.live.trouble:
            raise RefusedError(f"{workload.key}: {workload.live.trouble}")
        faults = _Faults(self.withdrawal_faults, "withdrawal")
        faults.before()
        deployment = self._of(workload.key)
        if workload.live is not None:
            config_map = self._read_config_map(deployment, workload.live)
            deployment.config_map = self._new_config_map(deployment.service, config_map.entries)
        else:
            self._check_version(deployment, workload)
            deployment.workload = self._versioned(deployment.workload)
        self.written.append(Written(self.now, workload.key, "withdrawal"))
        faults.after()
        return self.truth(workload.key)

    def clear_cause(self, workload: Workload) -> None:
        """Remove our change-cause.

        Raises:
            ConflictError: The workload is at another version.
            GoneError: It does not exist.
            ClusterError: No request is answered, or a fault was due.
        """
        self._reach()
        faults = _Faults(self.cause_faults, "removal of the change-cause")
        faults.before()
        deployment = self._of(workload.key)
        self._check_version(deployment, workload)
        if deployment.workload.cause_is_ours:
            self.written.append(Written(self.now, workload.key, "change-cause"))
            self._set_cause(deployment, None)
        faults.after()

    # What others do.

    def deploy(self, service: Service) -> WorkloadKey:
        """Create a service, all pods ready."""
        texts = {GOGC: service.gogc, GOMEMLIMIT: service.gomemlimit, BARRIER: service.barrier}
        entries = {
            name: EnvEntry(text, owners=(MANIFEST_OWNER,))
            for name, text in texts.items()
            if text is not None
        }
        container = Container(
            CONTAINER,
            service.memory_limit_bytes,
            service.memory_request_bytes,
            {} if service.live else entries,
        )
        key = WorkloadKey(service.namespace, service.kind, service.name)
        self._versions += 1
        workload = Workload(
            key=key,
            uid=f"uid-{self._versions}",
            resource_version=str(self._versions),
            generation=1,
            containers=(container,),
            rollout=Rollout.COMPLETE,
            replicas=service.replicas,
            ready_replicas=service.replicas,
            template_digest="first",
            label_mode=service.mode,
            annotations=dict(service.annotations),
            surges=service.surges and service.kind is Kind.DEPLOYMENT,
        )
        deployment = _Deployment(
            service,
            workload,
            Autoscaler(service),
            config_map=self._new_config_map(service, entries) if service.live else None,
            revisions=[_Revision(1, "first", container)],
            progressed_at=self.now,
        )
        for place in range(service.replicas):
            deployment.pods.append(self._pod(deployment, place, starts_in=0.0))
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
        """Set or remove an env entry, which begins a rollout, or a live service's in its ConfigMap.

        Raises:
            GoneError: There is no such workload, or its ConfigMap is gone.
        """
        deployment = self._of(key)
        if deployment.config_map is not None:
            self._put(deployment, _config_map(deployment), {name: value}, owner)
        else:
            self._set(deployment, {name: value}, owner, deployment.workload.change_cause)

    def remove_config_map(self, key: WorkloadKey) -> None:
        """Delete a live service's ConfigMap; its pods keep what they had mounted.

        Raises:
            GoneError: There is no such workload, or it is gone already.
        """
        deployment = self._of(key)
        channel = _config_map(deployment).channel
        gone = LiveChannel(channel.config_map, trouble=f"{channel.config_map}: not found")
        deployment.config_map = _ConfigMap(gone, {})

    def set_memory(
        self, key: WorkloadKey, limit_bytes: int | None, request_bytes: int | None
    ) -> None:
        """Change the template's memory limit and request, which begins a rollout."""
        deployment = self._of(key)
        (container,) = deployment.workload.containers
        container = replace(
            container, memory_limit_bytes=limit_bytes, memory_request_bytes=request_bytes
        )
        digest = f"{deployment.workload.template_digest}/{limit_bytes}/{request_bytes}"
        workload = replace(deployment.workload, containers=(container,), template_digest=digest)
        self._roll(deployment, workload)

    def resize(self, key: WorkloadKey, limit_bytes: int, *, pending_seconds: float = 0.0) -> None:
        """Change the memory limit of the running pods in place: the template stays.

        A limit under the memory in use waits until there is less of it, as the kubelet has it.

        Args:
            key: Of the workload.
            limit_bytes: The new limit; pods that are made later have the template's.
            pending_seconds: How long the node puts it off in any case.
        """
        deployment = self._of(key)
        deployment.resize = _Resize(self.now + pending_seconds, tuple(deployment.pods), limit_bytes)

    def end_processes(self, key: WorkloadKey) -> None:
        """Let the process of every pod end by itself; its container is started again."""
        for pod in self._of(key).pods:
            if math.isfinite(pod.ready_at):
                pod.end(self.now)
                pod.ready_at = self.now + POD_START_SECONDS

    def delete_broken_pods(self, key: WorkloadKey) -> None:
        """``kubectl delete pod`` of those that do not start: a StatefulSet waits for that."""
        deployment = self._of(key)
        for place, pod in enumerate(deployment.pods):
            if math.isinf(pod.ready_at):
                deployment.pods[place] = self._pod(deployment, place, starts_in=POD_START_SECONDS)

    def change_template(self, key: WorkloadKey, digest: str) -> None:
        """Deploy another version of the service."""
        deployment = self._of(key)
        self._roll(deployment, replace(deployment.workload, template_digest=digest))

    def undo(self, key: WorkloadKey) -> None:
        """``kubectl rollout undo``: the template of the revision before.

        A Deployment gets its change-cause back with it, a StatefulSet does not.

        Raises:
            GoneError: There is no such workload, or no revision before.
        """
        deployment = self._of(key)
        if len(deployment.revisions) < 2:  # noqa: PLR2004 - the one in force, and one before
            raise GoneError(f"{key} has no revision to go back to")
        before, workload = deployment.revisions[-2], deployment.workload
        (container,) = workload.containers
        by_annotations = workload.key.kind is Kind.DEPLOYMENT
        env = {
            name: entry
            if container.literal(name) == entry.value
            else replace(entry, owners=("kubectl-rollout",))
            for name, entry in before.container.env.items()
        }
        self._roll(
            deployment,
            replace(
                workload,
                containers=(replace(before.container, env=env),),
                template_digest=before.digest,
                change_cause=before.cause if by_annotations else workload.change_cause,
            ),
        )

    def pause(self, key: WorkloadKey, *, paused: bool) -> None:
        """``kubectl rollout pause`` and ``resume``, which only a Deployment knows."""
        deployment = self._of(key)
        deployment.paused, deployment.progressed_at = paused, self.now
        deployment.workload = self._moved(deployment.workload)
        self._observe(deployment)

    def scale(self, key: WorkloadKey, replicas: int) -> None:
        """Ask for another number of pods."""
        self._scale(self._of(key), replicas)

    def annotate(self, key: WorkloadKey, **annotations: str) -> None:
        """Change the workload's metadata, and with it its version."""
        deployment = self._of(key)
        merged = {**deployment.workload.annotations, **annotations}
        deployment.workload = self._annotated(replace(deployment.workload, annotations=merged))

    def set_cause(self, key: WorkloadKey, cause: str) -> None:
        """Annotate the workload with a change-cause of the user's own."""
        self._set_cause(self._of(key), cause)

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
        """Let pods work, what was ordered reach them, and rollouts replace one after another."""
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
            self._deliver(deployment)
            self._autoscale(deployment, ready)
            self._reconcile(deployment)
            self._observe(deployment)

    def pods(self, key: WorkloadKey) -> list[Pod]:
        """The pods of a workload, those included that are not ready yet."""
        return list(self._of(key).pods)

    def truth(self, key: WorkloadKey) -> Workload:
        """A workload as it is, whatever the controller can see of it."""
        return self._of(key).shown(self.now)

    def services(self) -> Mapping[WorkloadKey, Service]:
        """What runs, by workload."""
        return {key: each.service for key, each in self._deployments.items()}

    def _deliver(self, deployment: _Deployment) -> None:
        """Let ConfigMaps and resizes reach the pods that are due."""
        for mount in [each for each in deployment.mounts if each.at <= self.now]:
            deployment.mounts.remove(mount)
            for pod in mount.pods:
                pod.take(mount.settings)
        resize = deployment.resize
        if resize is None:
            return
        for pod in resize.waiting:
            if self.now >= resize.at and pod.resident_bytes() <= resize.limit_bytes:
                pod.memory_limit_bytes = resize.limit_bytes
        if not any(pod in deployment.pods for pod in resize.waiting):
            deployment.resize = None

    def _autoscale(self, deployment: _Deployment, ready: Sequence[Pod]) -> None:
        replicas = deployment.workload.replicas
        wanted = deployment.autoscaler.wanted(self.now, ready, replicas)
        if wanted != replicas:
            self._scale(deployment, wanted)

    def _reconcile(self, deployment: _Deployment) -> None:
        """Bring the pods one step nearer to what is asked for."""
        pods, wanted = deployment.pods, deployment.workload.replicas
        revision = deployment.revisions[-1].number
        old = [pod for pod in pods if pod.revision != revision]
        if old and deployment.paused:
            return
        surge = 1 if old and deployment.workload.surges else 0
        broken = next((pod for pod in old if math.isinf(pod.ready_at)), None)
        if surge and broken is not None:
            pods.remove(broken)  # what never served is not waited for
        elif len(pods) > wanted and all(pod.ready_at <= self.now for pod in pods):
            pods.remove(old[0] if surge else pods[-1])
            deployment.progressed_at = self.now
        elif len(pods) < wanted + surge:
            pods.append(self._pod(deployment, len(pods), starts_in=POD_START_SECONDS))
        elif old and not surge:
            self._replace(deployment, old)

    def _replace(self, deployment: _Deployment, old: Sequence[Pod]) -> None:
        """Make one pod anew in its own place, if no other is away."""
        pods = deployment.pods
        away = [pod for pod in pods if pod.ready_at > self.now]
        if deployment.workload.key.kind is Kind.STATEFUL_SET:
            # The last goes first, and one that is away keeps all others waiting, old or not.
            victim = None if away else old[-1]
        else:
            victim = next((pod for pod in old if pod in away), None if away else old[0])
        if victim is not None:
            place = pods.index(victim)
            pods[place] = self._pod(deployment, place, starts_in=POD_START_SECONDS)
            deployment.progressed_at = self.now

    def _observe(self, deployment: _Deployment) -> None:
        """Bring the workload's status up to date."""
        workload, pods = deployment.workload, deployment.pods
        revision = deployment.revisions[-1].number
        ready = sum(pod.ready_at <= self.now for pod in pods)
        updated = sum(pod.revision == revision for pod in pods)
        if ready > workload.ready_replicas:
            deployment.progressed_at = self.now
        has_deadline = workload.key.kind is Kind.DEPLOYMENT
        overdue = has_deadline and self.now - deployment.progressed_at > PROGRESS_DEADLINE_SECONDS
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
        env = _changed(container.env, values, owner)
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
            _Revision(number, workload.template_digest, container, workload.change_cause)
        )
        deployment.workload = self._moved(workload)
        deployment.progressed_at = self.now
        self._observe(deployment)

    def _put(
        self,
        deployment: _Deployment,
        config_map: _ConfigMap,
        values: Mapping[str, str | None],
        owner: str,
    ) -> None:
        """Put other values into a live service's ConfigMap; its pods see them after a while."""
        entries = _changed(config_map.entries, values, owner)
        if _values(entries) == _values(config_map.entries):
            return
        config_map = self._new_config_map(deployment.service, entries)
        deployment.config_map = config_map
        try:
            settings = deployment.service.in_force(_values(entries))
        except ValueError:  # refused by the processes, which keep what they have
            return
        seen_at = self.now + deployment.service.mount_delay_seconds
        deployment.mounts.append(_Mount(seen_at, tuple(deployment.pods), settings))

    def _new_config_map(self, service: Service, entries: Mapping[str, EnvEntry]) -> _ConfigMap:
        self._versions += 1
        return _ConfigMap(LiveChannel(f"{service.name}-gc", str(self._versions)), entries)

    def _scale(self, deployment: _Deployment, replicas: int) -> None:
        deployment.workload = self._moved(replace(deployment.workload, replicas=replicas))
        deployment.progressed_at = self.now
        self._observe(deployment)

    def _set_cause(self, deployment: _Deployment, cause: str | None) -> None:
        deployment.workload = self._annotated(replace(deployment.workload, change_cause=cause))

    def _view(self) -> Mapping[WorkloadKey, Workload]:
        return {key: each.shown(self.now) for key, each in self._deployments.items()}

    def _versioned(self, workload: Workload) -> Workload:
        self._versions += 1
        return replace(workload, resource_version=str(self._versions))

    def _moved(self, workload: Workload) -> Workload:
        """Another version and generation, as after a change of the spec."""
        return replace(self._versioned(workload), generation=workload.generation + 1)

    def _annotated(self, workload: Workload) -> Workload:
        """Another version; annotations count as a generation of Deployments alone."""
        if workload.key.kind is Kind.DEPLOYMENT:
            return self._moved(workload)
        return self._versioned(workload)

    def _reach(self) -> None:
        trouble = self.outage or self.unreachable
        if trouble is not None:
            raise UnavailableError(trouble)

    def _read_config_map(self, deployment: _Deployment, as_read: LiveChannel) -> _ConfigMap:
        config_map = _config_map(deployment)
        if config_map.channel != as_read:
            raise ConflictError(f"{as_read.config_map} changed since it was read")
        return config_map

    def _check_version(self, deployment: _Deployment, workload: Workload) -> None:
        if deployment.workload.resource_version != workload.resource_version:
            raise ConflictError(f"{workload.key} changed since it was read")

    def _of(self, key: WorkloadKey) -> _Deployment:
        if key not in self._deployments:
            raise GoneError(f"{key} does not exist")
        return self._deployments[key]

    def _pod(self, deployment: _Deployment, place: int, *, starts_in: float) -> Pod:
        service = deployment.service
        revision = deployment.revisions[-1].number
        ready_at = self.now + starts_in
        try:
            settings = service.in_force(_values(deployment.entries))
        except ValueError:  # it does not start with them, however often it is restarted
            settings, ready_at = InForce(), math.inf
        self._pods_made += 1
        stateful = service.kind is Kind.STATEFUL_SET
        return Pod(
            name=f"{service.name}-{place if stateful else f'{revision}-{self._pods_made}'}",
            service=service,
            started_at=self.now,
            settings=settings,
            memory_limit_bytes=deployment.workload.containers[0].memory_limit_bytes,
            pace=1 + self._random.gauss(0.0, PACE_SPREAD),
            weight=1 + self._random.gauss(0.0, LOAD_SPREAD),
            revision=revision,
            ready_at=ready_at,
        )


def _restarts(pod: Pod, now: float) -> int:
    """Restarts of a pod's container, where it ends at once with the kubelet's growing pauses."""
    restarts, pause, left = pod.oom_killed + pod.ended, BACK_OFF_SECONDS, now - pod.started_at
    while math.isinf(pod.ready_at) and left >= pause:
        left -= pause
        restarts, pause = restarts + 1, min(2 * pause, BACK_OFF_LONGEST_SECONDS)
    return restarts


def _asked(change: Change) -> Mapping[str, str | None]:
    return {each.name: each.after for each in change.settings}


def _values(entries: Mapping[str, EnvEntry]) -> Mapping[str, str | None]:
    return {name: entry.value for name, entry in entries.items()}


def _changed(
    entries: Mapping[str, EnvEntry], values: Mapping[str, str | None], owner: str
) -> Mapping[str, EnvEntry]:
    """Entries with other values; None removes one."""
    kept = {name: entry for name, entry in entries.items() if name not in values}
    new = {
        name: EnvEntry(value, owners=(owner,))
        for name, value in values.items()
        if value is not None
    }
    return kept | new


def _config_map(deployment: _Deployment) -> _ConfigMap:
    """The ConfigMap of a live service.

    Raises:
        GoneError: There is none.
    """
    config_map = deployment.config_map
    if config_map is None or config_map.channel.trouble:
        raise GoneError(f"{deployment.workload.key} has no ConfigMap to take settings from")
    return config_map
