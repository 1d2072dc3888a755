"""Workloads, as they are named on a command line."""

from collections.abc import Collection
from dataclasses import dataclass

from tuner.errors import ConfigError
from tuner.model.workload import Kind, WorkloadKey

_KINDS = {kind.value.lower(): kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Target:
    """A workload that somebody named."""

    text: str
    """As it was named."""
    namespace: str
    name: str
    kind: Kind | None
    """None: whichever there is."""

    def among(self, keys: Collection[WorkloadKey]) -> WorkloadKey | None:
        """The workload that is meant; None where there is none of that name.

        Raises:
            ConfigError: There are two.
        """
        kinds = Kind if self.kind is None else (self.kind,)
        named = [WorkloadKey(self.namespace, kind, self.name) for kind in kinds]
        found = [key for key in named if key in keys]
        if len(found) > 1:
            forms = " or ".join(f"{key.namespace}/{key.kind.lower()}/{key.name}" for key in found)
            raise ConfigError(f"{self.text}: there are two of that name: write {forms}")
        return found[0] if found else None


def target(text: str) -> Target:
    """The workload of an argument: ``shop/web`` or ``shop/deployment/web``, any case of the kind.

    Raises:
        ConfigError: It names none.
    """
    match text.split("/"):
        case [str(namespace), str(name)] if namespace and name:
            return Target(text, namespace, name, None)
        case [str(namespace), str(kind), str(name)] if (
            namespace and name and kind.lower() in _KINDS
        ):
            return Target(text, namespace, name, _KINDS[kind.lower()])
        case _:
            raise ConfigError(
                f"{text!r} names no workload: write NAMESPACE/NAME, or where a Deployment and a "
                "StatefulSet have one name, NAMESPACE/deployment/NAME or NAMESPACE/statefulset/NAME"
            )
