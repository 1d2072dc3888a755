"""How the services and the cluster call what is read from Prometheus."""

import re
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_settings import NoDecode

from tuner.model.workload import Kind
from tuner.prometheus.metric_names import MetricNames
from tuner.settings.section import Section, parse_object

_BUILT_IN = MetricNames()
_PYTHON_NAME = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")

Patterns = Annotated[dict[Kind, str], NoDecode, BeforeValidator(parse_object)]
"""A regular expression by workload kind; in an environment variable as JSON."""


class MetricsSettings(Section):
    """Names of metrics and labels."""

    cpu_seconds: str = _BUILT_IN.cpu_seconds
    start_time: str = _BUILT_IN.start_time
    process_resident: str = _BUILT_IN.process_resident
    allocated: str = _BUILT_IN.allocated
    heap_goal: str = _BUILT_IN.heap_goal
    heap_alloc: str = _BUILT_IN.heap_alloc
    heap_inuse: str = _BUILT_IN.heap_inuse
    heap_sys: str = _BUILT_IN.heap_sys
    heap_released: str = _BUILT_IN.heap_released
    stack_inuse: str = _BUILT_IN.stack_inuse
    sys: str = _BUILT_IN.sys
    gc_duration: str = _BUILT_IN.gc_duration
    gogc: str = _BUILT_IN.gogc
    gomemlimit: str = _BUILT_IN.gomemlimit
    heap_live: str = _BUILT_IN.heap_live
    gc_cpu_seconds: str = _BUILT_IN.gc_cpu_seconds
    all_cpu_seconds: str = _BUILT_IN.all_cpu_seconds
    idle_cpu_seconds: str = _BUILT_IN.idle_cpu_seconds
    goroutines: str = _BUILT_IN.goroutines
    gomaxprocs: str = _BUILT_IN.gomaxprocs
    go_info: str = _BUILT_IN.go_info
    requests: str = _BUILT_IN.requests
    request_duration: str = _BUILT_IN.request_duration
    barrier_in_flight: str = _BUILT_IN.barrier_in_flight
    barrier_threshold: str = _BUILT_IN.barrier_threshold
    barrier_refused: str = _BUILT_IN.barrier_refused
    container_rss: str = _BUILT_IN.container_rss
    container_periods: str = _BUILT_IN.container_periods
    container_throttled_periods: str = _BUILT_IN.container_throttled_periods
    namespace_label: str = _BUILT_IN.namespace_label
    pod_label: str = _BUILT_IN.pod_label
    container_label: str = _BUILT_IN.container_label
    status_label: str = _BUILT_IN.status_label
    version_label: str = _BUILT_IN.version_label
    pod_patterns: Patterns = Field(default=dict(_BUILT_IN.pod_patterns), min_length=1)

    @field_validator("*")
    @classmethod
    def _name(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str) and info.field_name is not None:
            one: dict[str, Any] = {info.field_name: value}
            try:
                MetricNames(**one)
            except ValueError as error:
                name, _, words = str(error).partition(": ")
                # What is said of several names together waits until all are known.
                if name == info.field_name:
                    raise ValueError(words) from None
        return value

    @field_validator("pod_patterns")
    @classmethod
    def _pattern(cls, patterns: dict[Kind, str]) -> dict[Kind, str]:
        for kind, pattern in patterns.items():
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f"{kind.value}: not a regular expression: {error}") from None
            if not groups:
                raise ValueError(f"{kind.value}: no group, such as (.*), for the workload's name")
        return patterns

    @model_validator(mode="after")
    def _apart(self) -> Self:
        try:
            self.names(selector="")
        except ValueError as error:
            words = _PYTHON_NAME.sub(lambda name: to_camel(name[0]), str(error))
            raise ValueError(words) from None
        return self

    @field_serializer("pod_patterns")
    def _plain(self, patterns: dict[Kind, str]) -> dict[str, str]:
        """Kinds as text: layers are merged by it."""
        return {kind.value: pattern for kind, pattern in patterns.items()}

    def names(self, *, selector: str) -> MetricNames:
        """The names as the queries know them.

        Args:
            selector: Label matchers that every series must meet.
        """
        texts = {name: getattr(self, name) for name in type(self).model_fields}
        patterns = tuple(sorted(self.pod_patterns.items()))
        return MetricNames(**{**texts, "pod_patterns": patterns, "selector": selector})
