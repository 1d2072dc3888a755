"""The settings of the operator: every number that steers it, with its default.

``config/default.yaml`` says the same for people. Defaults that steer the loops are those of the
control law (``docs/control-law.md``).
"""

import re
from dataclasses import replace
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from tuner.election import Durations
from tuner.model.duration import format_duration
from tuner.model.policy import (
    GOGC_GREATEST,
    ControlLaw,
    GuardRules,
    LatencyQuantile,
    MemoryBudget,
    Policy,
    Profile,
    ProfileName,
    Timing,
    TrialRules,
)
from tuner.model.workload import Mode
from tuner.prometheus.metric_names import MetricNames
from tuner.prometheus.queries import Query, check, check_selector, queries
from tuner.settings.change_window import ChangeWindowList, ChangeWindows
from tuner.settings.duration import Duration
from tuner.settings.metrics import MetricsSettings
from tuner.settings.section import Count, Headers, Names, Number, Ratio, Section

FEWEST_SAMPLES = 2
"""A rate needs two samples."""


_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def _usable(name: str) -> str:
    if _OBJECT_NAME.fullmatch(name) is None:
        raise ValueError(
            f"{name!r} is not a name in Kubernetes: use lower-case letters, digits, '-' and '.'"
        )
    return name


ObjectName = Annotated[str, AfterValidator(_usable)]
"""Name of an object or namespace in Kubernetes."""


def _split(url: str) -> SplitResult | None:
    """The parts of a URL; None where it has no such parts."""
    try:
        parts = urlsplit(url)
        usable = parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


class PrometheusSettings(Section):
    """Where the figures come from."""

    url: str | None = None
    timeout: Duration = 10.0
    bearer_token_file: Path | None = None
    headers: Headers = Field(default_factory=dict)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    selector: str = ""
    metrics: MetricsSettings = MetricsSettings()

    @field_validator("url")
    @classmethod
    def _absolute(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if "@" in url:  # no reading of its parts tells all passwords: the URL is not repeated
            raise ValueError(
                "has an @, as after a user and password: give those with headers or "
                "bearerTokenFile, and write %40 for an @ in the path"
            )
        parts = _split(url)
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is not a URL: write one such as http://prometheus:9090")
        if parts.query or parts.fragment:
            raise ValueError(f"{url!r} has a query or fragment: write the base address alone")
        return url

    @field_validator("selector")
    @classmethod
    def _matchers(cls, selector: str) -> str:
        check_selector(selector)
        return selector

    @model_validator(mode="after")
    def _pair_certificate_and_key(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("certFile and keyFile belong together: set both or neither")
        return self


class KubernetesSettings(Section):
    """Which cluster, and which part of it."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespaces: Names = ()
    timeout: Duration = 10.0
    qps: Number = Field(default=200.0, gt=0)
    burst: Count = Field(default=400, ge=1)
    stale_after: Duration = 120.0


class OverridesSettings(Section):
    """Where people say what the loops must not decide."""

    name: ObjectName = "gc-tuner-overrides"
    namespace: ObjectName | None = None


class LeaderElectionSettings(Section):
    """Which of several replicas writes."""

    enabled: bool = True
    name: ObjectName = "gc-tuner"
    namespace: ObjectName | None = None
    lease_duration: Duration = 15.0
    renew_deadline: Duration = 10.0
    retry_period: Duration = 2.0
    shards: Count = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _order(self) -> Self:
        durations = {
            "leaseDuration": self.lease_duration,
            "renewDeadline": self.renew_deadline,
            "retryPeriod": self.retry_period,
        }
        for (longer, more), (shorter, less) in pairwise(durations.items()):
            if less >= more:
                raise ValueError(
                    f"{shorter} {format_duration(less)} is not below "
                    f"{longer} {format_duration(more)}: two replicas could write at once, or none"
                )
        if self.lease_duration < 1:
            raise ValueError(
                f"leaseDuration {format_duration(self.lease_duration)} is below 1s: "
                "a Lease counts whole seconds"
            )
        return self

    def durations(self) -> Durations:
        """How long things take in an election."""
        return Durations(
            lease=self.lease_duration, renew_deadline=self.renew_deadline, retry=self.retry_period
        )

    def lease_names(self) -> tuple[str, ...]:
        """Names of the Leases, one for each shard, in its order."""
        if self.shards == 1:
            return (self.name,)
        return tuple(f"{self.name}-{shard}-of-{self.shards}" for shard in range(self.shards))


class GogcBounds(Section):
    """Range in which the loops move GOGC, percent."""

    lowest: Count = Field(ge=1, le=GOGC_GREATEST)
    highest: Count = Field(ge=1, le=GOGC_GREATEST)

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.lowest > self.highest:
            raise ValueError(f"lowest {self.lowest} is above highest {self.highest}")
        return self


def _no_objective(value: object) -> object:
    """A word, since null in the file means that the default stands."""
    return None if value == "none" else value


Objective = Annotated[Duration | None, BeforeValidator(_no_objective)]
"""A latency to stay under, seconds; ``none``: there is none."""


class ProfileSettings(Section):
    """One tier of services."""

    gc_share_target: Ratio = Field(lt=0.95)
    gc_share_least: Ratio
    latency_target: Objective = None
    latency_quantile: LatencyQuantile = LatencyQuantile.P95
    memory_set_point: Ratio
    memory_budget: MemoryBudget = MemoryBudget.REQUEST
    gogc_bounds: GogcBounds
    gogc_off: bool = False
    cooldown: Duration

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.gc_share_least > self.gc_share_target:
            raise ValueError(
                f"gcShareLeast {self.gc_share_least:g} is above "
                f"gcShareTarget {self.gc_share_target:g}"
            )
        return self

    def profile(self, name: str) -> Profile:
        """The tier as the core knows it."""
        return Profile(
            name=name,
            gc_share_target=self.gc_share_target,
            memory_set_point=self.memory_set_point,
            memory_budget=self.memory_budget,
            gogc_lowest=self.gogc_bounds.lowest,
            gogc_highest=self.gogc_bounds.highest,
            cooldown_seconds=self.cooldown,
            gc_share_least=self.gc_share_least,
            latency_target_seconds=self.latency_target,
            latency_quantile=self.latency_quantile,
            goes_off=self.gogc_off,
        )


class Profiles(Section):
    """The tiers."""

    critical: ProfileSettings = ProfileSettings(
        gc_share_target=0.03,
        gc_share_least=0.01,
        latency_target="10ms",
        latency_quantile=LatencyQuantile.P99,
        memory_set_point=0.90,
        gogc_bounds=GogcBounds(lowest=100, highest=1600),
        cooldown="30m",
    )
    normal: ProfileSettings = ProfileSettings(
        gc_share_target=0.04,
        gc_share_least=0.02,
        latency_target="100ms",
        memory_set_point=0.90,
        gogc_bounds=GogcBounds(lowest=75, highest=1600),
        cooldown="15m",
    )
    best_effort: ProfileSettings = Field(
        default=ProfileSettings(
            gc_share_target=0.08,
            gc_share_least=0.04,
            memory_set_point=0.90,
            gogc_bounds=GogcBounds(lowest=50, highest=1600),
            cooldown="10m",
        ),
        serialization_alias=ProfileName.BEST_EFFORT,
    )

    def by_name(self) -> dict[str, Profile]:
        """The tiers as the core knows them."""
        settings = {
            ProfileName.CRITICAL: self.critical,
            ProfileName.NORMAL: self.normal,
            ProfileName.BEST_EFFORT: self.best_effort,
        }
        return {name.value: each.profile(name.value) for name, each in settings.items()}


class TrialSettings(Section):
    """When a change counts as judged."""

    windows: Count = Field(default=5, ge=2)
    requests: Count = Field(default=1000, ge=1)
    settle_cycles: Count = Field(default=3, ge=0)
    effect: Ratio = 0.02
    harm: Ratio = 0.05
    load_shift: Ratio = 0.30
    restart_spread: Ratio = 0.02
    patience: Count = Field(default=15, ge=2)

    @model_validator(mode="after")
    def _leave_time(self) -> Self:
        if self.patience < self.windows:
            raise ValueError(
                f"patience {self.patience} is shorter than windows {self.windows}: "
                "no trial could reach a verdict"
            )
        return self

    def rules(self) -> TrialRules:
        """The rules as the core knows them."""
        return TrialRules(
            windows=self.windows,
            requests=self.requests,
            settle_cycles=self.settle_cycles,
            effect_ratio=self.effect,
            harm_ratio=self.harm,
            load_shift_ratio=self.load_shift,
            restart_spread_ratio=self.restart_spread,
            patience_windows=self.patience,
        )


class LawSettings(Section):
    """Constants of the control law."""

    alpha: Number = Field(default=1.05, gt=0, le=2)
    cost_seconds_per_byte: Number = Field(default=0.7e-9, gt=0, lt=1e-6)
    step_ratio: Number = Field(default=2.0, gt=1)
    worth: Ratio = 0.02
    ceiling_margin: Ratio = Field(default=0.95)
    slowest_cycle: Duration = 60.0

    def law(self) -> ControlLaw:
        """The constants as the core knows them."""
        return ControlLaw(
            alpha=self.alpha,
            cost_seconds_per_byte=self.cost_seconds_per_byte,
            step_ratio=self.step_ratio,
            worth_ratio=self.worth,
            ceiling_margin=self.ceiling_margin,
            slowest_cycles_per_second=1 / self.slowest_cycle,
        )


class LeakSettings(Section):
    """What looks like memory that is never let go."""

    growth: Ratio = 0.03
    windows: Count = Field(default=3, ge=1)
    least_bytes: Count = Field(default=512_000_000, ge=0)
    goroutines: Count = Field(default=5_000, ge=1)
    correlation: Ratio = 0.9


class QuarantineSettings(Section):
    """How long a value that did harm is not tried again."""

    first: Duration = 3600.0
    longest: Duration = 86_400.0

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.first > self.longest:
            raise ValueError(
                f"first {format_duration(self.first)} is above "
                f"longest {format_duration(self.longest)}"
            )
        return self


class GuardSettings(Section):
    """When a change waits, whatever the loops ask for."""

    change_windows: ChangeWindowList = ()
    alerts: Names = ()
    rollouts_in_cluster: Count = Field(default=5, ge=1)
    rollouts_in_namespace: Count = Field(default=1, ge=1)
    danger: Ratio = 0.92
    throttled: Ratio = 0.01
    leak: LeakSettings = LeakSettings()
    quarantine: QuarantineSettings = QuarantineSettings()

    @field_validator("alerts")
    @classmethod
    def _named(cls, alerts: tuple[str, ...]) -> tuple[str, ...]:
        if not all(alerts):
            raise ValueError("an empty name: write that of an alerting rule")
        return alerts

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.rollouts_in_namespace > self.rollouts_in_cluster:
            raise ValueError(
                f"rolloutsInNamespace {self.rollouts_in_namespace} is above "
                f"rolloutsInCluster {self.rollouts_in_cluster}"
            )
        return self

    def rules(self) -> GuardRules:
        """The rules as the core knows them."""
        return GuardRules(
            rollouts_in_cluster=self.rollouts_in_cluster,
            rollouts_in_namespace=self.rollouts_in_namespace,
            closed=ChangeWindows(self.change_windows),
            alerts=self.alerts,
            danger_ratio=self.danger,
            throttled_ratio=self.throttled,
            leak_growth_ratio=self.leak.growth,
            leak_windows=self.leak.windows,
            leak_least_bytes=self.leak.least_bytes,
            goroutines_many=self.leak.goroutines,
            goroutines_correlation=self.leak.correlation,
            quarantine_seconds=self.quarantine.first,
            quarantine_longest_seconds=self.quarantine.longest,
        )


class HttpSettings(Section):
    """Where the operator's own metrics and health are served."""

    address: str = "0.0.0.0"  # noqa: S104 - the kubelet and Prometheus come from outside the pod
    port: Count = Field(default=8080, ge=0, le=65535)


class LogFormat(StrEnum):
    """How the log is written."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    """Least severity that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogSettings(Section):
    """The operator's log, on standard error."""

    format: LogFormat = LogFormat.AUTO
    level: LogLevel = LogLevel.INFO


def _yaml_off(value: object) -> object:
    """YAML 1.1 reads a bare ``off`` as false."""
    return Mode.OFF if value is False else value


class Settings(Section):
    """Everything that the operator can be told."""

    prometheus: PrometheusSettings = PrometheusSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    overrides: OverridesSettings = OverridesSettings()
    leader_election: LeaderElectionSettings = LeaderElectionSettings()
    mode: Annotated[Mode, BeforeValidator(_yaml_off)] = Mode.RECOMMEND
    interval: Duration = 15.0
    rate_window: Duration = 60.0
    warm_up: Duration = 60.0
    stale_after: Duration = 60.0
    samples_per_window: Count = Field(default=4, ge=FEWEST_SAMPLES)
    revert_pause: Duration = 900.0
    plan_lifetime: Duration = 300.0
    profiles: Profiles = Profiles()
    default_profile: ProfileName = ProfileName.NORMAL
    trial: TrialSettings = TrialSettings()
    law: LawSettings = LawSettings()
    guards: GuardSettings = GuardSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()

    @field_validator("mode")
    @classmethod
    def _refuse_auto(cls, mode: Mode) -> Mode:
        if mode is Mode.AUTO:
            raise ValueError(
                "auto cannot be the default for all workloads: use recommend or off here, and "
                "label each workload that may be changed with gc-tuner.io/mode=auto"
            )
        return mode

    @model_validator(mode="after")
    def _render(self) -> Self:
        for query in self.queries():
            try:
                check(query.text)
            except ValueError as error:
                raise ValueError(
                    f"prometheus.selector and prometheus.metrics make the query for {query.name} "
                    f"one that Prometheus refuses: {error}"
                ) from None
        return self

    @model_validator(mode="after")
    def _see_all_load(self) -> Self:
        if self.rate_window < self.interval:
            raise ValueError(
                f"rateWindow {format_duration(self.rate_window)} is shorter than interval "
                f"{format_duration(self.interval)}: load between two windows would go unseen"
            )
        return self

    @model_validator(mode="after")
    def _leave_room(self) -> Self:
        for name, profile in self.profiles.by_name().items():
            if profile.memory_set_point >= self.guards.danger:
                raise ValueError(
                    f"profiles.{name}.memorySetPoint {profile.memory_set_point:g} is not below "
                    f"guards.danger {self.guards.danger:g}: what is aimed at would be a danger"
                )
        return self

    @model_validator(mode="after")
    def _share_rollouts(self) -> Self:
        shards, rollouts = self.leader_election.shards, self.guards.rollouts_in_cluster
        if shards > rollouts:
            raise ValueError(
                f"leaderElection.shards {shards} is above guards.rolloutsInCluster {rollouts}: "
                "each shard needs at least one of them"
            )
        return self

    @model_validator(mode="after")
    def _see_leaks(self) -> Self:
        if self.guards.leak.windows >= self.trial.patience:
            raise ValueError(
                f"guards.leak.windows {self.guards.leak.windows} is not below trial.patience "
                f"{self.trial.patience}: no more rate windows than that are kept"
            )
        return self

    def names(self) -> MetricNames:
        """Names of metrics and labels, with the selector."""
        return self.prometheus.metrics.names(selector=self.prometheus.selector)

    def queries(self) -> tuple[Query, ...]:
        """What is asked of Prometheus on every tick."""
        return queries(
            self.names(),
            rate_window_seconds=self.rate_window,
            warm_up_seconds=self.warm_up,
            alerts=self.guards.alerts,
        )

    def policy(self, *, dry_run: bool) -> Policy:
        """What the core is told.

        Args:
            dry_run: Whether nothing at all may be written.
        """
        return Policy(
            default_mode=self.mode,
            dry_run=dry_run,
            profiles=self.profiles.by_name(),
            default_profile=self.default_profile.value,
            timing=Timing(
                interval_seconds=self.interval,
                rate_window_seconds=self.rate_window,
                warm_up_seconds=self.warm_up,
                stale_after_seconds=self.stale_after,
                samples_per_window=self.samples_per_window,
                revert_pause_seconds=self.revert_pause,
                plan_lifetime_seconds=self.plan_lifetime,
            ),
            trial=self.trial.rules(),
            law=self.law.law(),
            guards=replace(self.guards.rules(), shards=self.leader_election.shards),
        )
