"""The fleet's names: workload number `i` is called the same by both of its servers."""

from __future__ import annotations

CONTAINER = "app"
WORKLOADS_PER_NAMESPACE = 100
REPLICAS = 2
# As long as a real one; of the alphabet that Kubernetes makes hashes of.
TEMPLATE_HASH = "6b8c9d7f54"


def namespace(index: int) -> str:
    """Namespace of a workload."""
    return f"team-{index // WORKLOADS_PER_NAMESPACE:03d}"


def workload(index: int) -> str:
    """Name of a Deployment."""
    return f"service-{index:05d}"
