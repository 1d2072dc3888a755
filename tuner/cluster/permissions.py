"""What gc-tuner has to be permitted: the one list of it, which ``gc-tuner doctor`` goes through."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """Where something has to be permitted."""

    WATCHED = "watched"
    """In each namespace that is looked at, or by a ClusterRole for all of them."""
    OWN = "own"
    """In the namespace of gc-tuner itself."""
    OVERRIDES = "overrides"
    """In the namespace of the overrides: gc-tuner's own, unless the settings name another."""
    LEASES = "leases"
    """In the namespace of the Leases: gc-tuner's own, unless the settings name another."""


@dataclass(frozen=True, slots=True)
class Permission:
    """Verbs on one resource."""

    group: str
    """API group; empty for the core group."""
    resource: str
    """In the plural, with its subresource if that is meant: ``gctunings/status``."""
    verbs: tuple[str, ...]
    purpose: str
    """What for, in a few words."""
    scope: Scope = Scope.WATCHED
    writes: bool = False
    """Whether a dry run can do without."""
    optional: bool = False
    """Whether gc-tuner goes on without it, as if there were no such objects."""
    names: tuple[str, ...] = ()
    """Of the only objects that it is needed for; none: of all."""

    def __str__(self) -> str:
        return f"{', '.join(self.verbs)} {self.plural}"

    @property
    def plural(self) -> str:
        """The resource with its group, as kubectl takes it."""
        plural, _, subresource = self.resource.partition("/")
        full = f"{plural}.{self.group}" if self.group else plural
        return f"{full}/{subresource}" if subresource else full


_SEE = ("get", "list", "watch")
_WATCH = ("list", "watch")

PERMISSIONS: Collection[Permission] = (
    Permission("apps", "deployments", _SEE, "the inventory"),
    Permission("apps", "statefulsets", _SEE, "the inventory"),
    Permission("", "configmaps", _SEE, "the live channel"),
    Permission("", "pods", _WATCH, "what pods run with"),
    Permission(
        "autoscaling", "horizontalpodautoscalers", _WATCH, "their memory targets", optional=True
    ),
    Permission(
        "autoscaling.k8s.io", "verticalpodautoscalers", _WATCH, "who sets memory", optional=True
    ),
    Permission("gc-tuner.io", "gctunings", _SEE, "records"),
    Permission("gc-tuner.io", "gctunings", ("create", "delete"), "records", writes=True),
    Permission("gc-tuner.io", "gctunings/status", ("update",), "records", writes=True),
    Permission("apps", "deployments", ("patch",), "changes, in mode auto", writes=True),
    Permission("apps", "statefulsets", ("patch",), "changes, in mode auto", writes=True),
    Permission("", "configmaps", ("patch",), "changes of the live channel", writes=True),
    Permission("events.k8s.io", "events", ("create", "patch"), "Events", writes=True),
    Permission("", "configmaps", _WATCH, "the overrides", Scope.OVERRIDES),
    Permission(
        "events.k8s.io",
        "events",
        ("create", "patch"),
        "Events on gc-tuner's own pod",
        Scope.OWN,
        writes=True,
    ),
)


def election_permissions(leases: Sequence[str]) -> Collection[Permission]:
    """What leader election needs on top, by the names of its Leases.

    What is to be made cannot be permitted by name.
    """
    group, resource, scope = "coordination.k8s.io", "leases", Scope.LEASES
    return (
        Permission(
            group, resource, ("create",), "leader election, at the first start", scope, writes=True
        ),
        Permission(
            group,
            resource,
            ("get", "update"),
            "leader election",
            scope,
            writes=True,
            names=tuple(leases),
        ),
    )
