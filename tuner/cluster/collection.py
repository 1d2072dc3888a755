"""The collections of objects that gc-tuner uses, and their addresses."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from tuner.model.workload import Kind


@dataclass(frozen=True, slots=True)
class Collection:
    """All objects of one kind."""

    api_version: str
    """Group and version: ``apps/v1``; of the core group the version alone: ``v1``."""
    kind: str
    plural: str
    hint: str = ""
    """What to do where the API server does not know the kind."""
    label_selector: str = ""
    """Which of the objects are listed and watched, by their labels; empty: all of them."""
    field_selector: str = ""
    """As ``label_selector``, by their fields: ``metadata.name=web``."""

    @property
    def selectors(self) -> Mapping[str, str]:
        """Query parameters of a list or watch."""
        both = {"labelSelector": self.label_selector, "fieldSelector": self.field_selector}
        return {name: text for name, text in both.items() if text}

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """Address of the collection, of one object, or of its subresource.

        Args:
            namespace: None for all namespaces; only without a name.
            name: Name of an object.
            subresource: Such as ``status``.
        """
        parts = ["/apis" if "/" in self.api_version else "/api", self.api_version]
        if namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part]
        return "/".join(parts)


DEPLOYMENTS = Collection("apps/v1", "Deployment", "deployments")
STATEFUL_SETS = Collection("apps/v1", "StatefulSet", "statefulsets")
WORKLOADS = {Kind.DEPLOYMENT: DEPLOYMENTS, Kind.STATEFUL_SET: STATEFUL_SETS}
LIVE_CONFIG_MAPS = Collection(
    "v1", "ConfigMap", "configmaps", label_selector="gc-tuner.io/live=true"
)
APPLY_DEFINITION = "kubectl apply --server-side --force-conflicts -f charts/gc-tuner/crds/"
"""What people type for the resource of the records, whether it is missing or of another version."""
RECORDS = Collection(
    "gc-tuner.io/v1alpha1",
    "GCTuning",
    "gctunings",
    hint=f"install the custom resource definition: {APPLY_DEFINITION}",
)
EVENTS = Collection("events.k8s.io/v1", "Event", "events")
LEASES = Collection("coordination.k8s.io/v1", "Lease", "leases")
