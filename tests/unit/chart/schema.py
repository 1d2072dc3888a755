"""The schema of the chart's values: its own, and under ``config`` the operator's settings.

``make schema`` writes it to ``charts/gc-tuner/values.schema.json``.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tuner.model.workload import Mode
from tuner.settings import Settings
from tuner.settings.change_window import ChangeWindow
from tuner.settings.duration import Duration

CHART = Path(__file__).parents[3] / "charts" / "gc-tuner"
FILE = CHART / "values.schema.json"

Object = dict[str, Any]
"""A part of a Kubernetes object: the API server knows what may stand in it."""
Text = dict[str, str]
Namespace = Annotated[str, Field(pattern="^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
Port = Annotated[int, Field(ge=1, le=65535)]
ScrapeDuration = Annotated[str, Field(pattern=r"^(([0-9]+(ms|[smhdwy]))+)?$")]
"""As the Prometheus operator writes it; empty: not set."""

FROM_OTHER_VALUES = {
    "PrometheusSettings": (
        *("url", "timeout", "headers"),
        *("bearerTokenFile", "caFile", "certFile", "keyFile"),
    ),
    "KubernetesSettings": ("kubeconfig", "context", "namespaces"),
}
"""Settings that have no place under ``config``: the chart makes them of other values."""


class Part(BaseModel):
    """A part of the values; nothing unknown."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class Image(Part):
    repository: str
    tag: str
    digest: Annotated[str, Field(pattern="^(sha256:[0-9a-f]{64})?$")]
    pull_policy: Literal["Always", "IfNotPresent", "Never"]


class BearerToken(Part):
    secret_name: str
    key: str


class Authorities(Part):
    secret_name: str
    config_map_name: str
    key: str


class ClientCertificate(Part):
    secret_name: str
    cert_key: str
    key_key: str


class Prometheus(Part):
    url: Annotated[str, Field(pattern="^(https?://[^@?#]+)?$")]
    timeout: Duration
    headers: Text
    bearer_token: BearerToken
    ca: Authorities
    client_certificate: ClientCertificate


class Overrides(Part):
    create: bool
    initial: str


class ServiceAccount(Part):
    create: bool
    name: str
    annotations: Text


class Rbac(Part):
    create: bool


class AdmissionPolicy(Part):
    enabled: Literal["auto"] | bool


class DisruptionBudget(Part):
    enabled: bool
    max_unavailable: Annotated[int, Field(ge=0)] | Annotated[str, Field(pattern="^[0-9]{1,3}%$")]


class Service(Part):
    enabled: bool
    port: Port
    annotations: Text


class NetworkPolicy(Part):
    enabled: bool
    from_: Annotated[list[Object], Field(alias="from")]
    egress: list[Object]


class Monitor(Part):
    enabled: bool
    labels: Text
    interval: ScrapeDuration
    scrape_timeout: ScrapeDuration
    relabelings: list[Object]
    metric_relabelings: list[Object]


class Rules(Part):
    enabled: bool
    labels: Text
    alert_labels: Text
    runbook_base_url: Annotated[str, Field(pattern="^https?://")]


class Dashboard(Part):
    enabled: bool
    labels: Text
    annotations: Text


class Values(Part):
    """All values, in the order of values.yaml."""

    name_override: str
    fullname_override: str
    common_labels: Text
    image: Image
    image_pull_secrets: list[Object]
    replicas: Annotated[int, Field(ge=0)]
    revision_history_limit: Annotated[int, Field(ge=0)]
    termination_grace_period_seconds: Annotated[int, Field(ge=0)]
    watch_namespaces: Annotated[list[Namespace], Field(json_schema_extra={"uniqueItems": True})]
    prometheus: Prometheus
    config: Object
    overrides: Overrides
    service_account: ServiceAccount
    rbac: Rbac
    admission_policy: AdmissionPolicy
    deployment_annotations: Text
    pod_annotations: Text
    pod_labels: Text
    pod_security_context: Object
    security_context: Object
    resources: Object
    extra_args: list[str]
    extra_env: list[Object]
    extra_volumes: list[Object]
    extra_volume_mounts: list[Object]
    node_selector: Text
    tolerations: list[Object]
    affinity: Object
    topology_spread_constraints: list[Object]
    priority_class_name: str
    pod_disruption_budget: DisruptionBudget
    service: Service
    network_policy: NetworkPolicy
    service_monitor: Monitor
    pod_monitor: Monitor
    prometheus_rule: Rules
    grafana_dashboard: Dashboard


def values_schema() -> dict[str, Any]:
    """The schema of all values, as JSON Schema."""
    schema = Values.model_json_schema()
    config = _config_schema()
    schema["$defs"] |= config.pop("$defs")
    schema["properties"]["config"] = config
    schema["properties"]["global"] = {"type": "object"}  # Helm's own, where this is a subchart
    for part in (schema, *schema["$defs"].values()):
        # Helm merges what is given over values.yaml, and the operator over its defaults. What
        # stands in a list is merged with nothing.
        if part.get("title") != ChangeWindow.__name__:
            part.pop("required", None)
    for part in Part.__subclasses__():
        # A section of values.yaml is missing where null was given for it, as with all of it
        # commented out.
        node = schema if part is Values else schema["$defs"][part.__name__]
        if sections := [key for key, value in node["properties"].items() if "$ref" in value]:
            node["required"] = sections
    schema["required"].append("config")
    for node in _nodes(schema):
        node.pop("title", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _config_schema() -> dict[str, Any]:
    """The schema of the operator's YAML, without what the chart itself puts there."""
    schema = Settings.model_json_schema(mode="serialization")  # that has the keys of YAML
    parts = schema["$defs"]
    for name, keys in FROM_OTHER_VALUES.items():
        for key in keys:
            del parts[name]["properties"][key]
    # YAML 1.1, which Helm reads, has a bare `off` for false; auto is for labels alone.
    parts[Mode.__name__]["enum"] = [Mode.RECOMMEND.value, Mode.OFF.value, False]
    del parts[Mode.__name__]["type"]
    parts["ProfileSettings"]["properties"]["latencyTarget"]["anyOf"].append({"const": "none"})
    parts["HttpSettings"]["properties"]["port"]["minimum"] = 1  # the probes have to find it
    for node in _nodes(schema):
        node.pop("default", None)  # config/default.yaml has them
        for key, standard in (("gt", "exclusiveMinimum"), ("lt", "exclusiveMaximum")):
            if key in node:
                node[standard] = node.pop(key)
    return schema


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - JSON of any shape
    """Every schema within a schema; the names of properties are none."""
    if isinstance(schema, list):
        for each in schema:
            yield from _nodes(each)
    elif isinstance(schema, dict):
        yield schema
        for key, below in schema.items():
            if key in {"properties", "$defs"}:
                for each in below.values():
                    yield from _nodes(each)
            else:
                yield from _nodes(below)


def text() -> str:
    """The file as it has to be."""
    return json.dumps(values_schema(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
