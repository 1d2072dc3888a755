"""The collections of objects that gc-tuner uses, and their addresses."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Collection:
    """All objects of one kind."""

    api_version: str
    """Group and version: ``apps/v1``."""
    kind: str
    plural: str
    hint: str = ""
    """What to do where the API server does not know the kind."""

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """Address of the collection, of one object, or of its subresource.

        Args:
            namespace: None for all namespaces; only without a name.
            name: Name of an object.
            subresource: Such as ``status``.
        """
        parts = ["/apis", self.api_version]
        if namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part]
        return "/".join(parts)


DEPLOYMENTS = Collection("apps/v1", "Deployment", "deployments")
RECORDS = Collection(
    "gc-tuner.io/v1alpha1",
    "GCTuning",
    "gctunings",
    hint="install the custom resource definition: kubectl apply -f charts/gc-tuner/crds/",
)
EVENTS = Collection("events.k8s.io/v1", "Event", "events")
