"""What all pods of a node share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal
    from pathlib import Path

    from tests.e2e.testbed.node.api import Api, Mirror
    from tests.e2e.testbed.node.backoff import BackoffPolicy


@dataclass(frozen=True)
class NodeContext:
    """What all pods of a node share.

    `mount_refresh_seconds` is how long a changed ConfigMap or Secret takes to reach the files of
    running pods, `resize_seconds` how long a resize is in progress. `granted_to_others` adds up
    the requests of all pods but the one with the given uid. `cluster_host` and `cluster_port` are
    where pods find the API server.
    """

    name: str
    host_address: str
    allocatable: Mapping[str, str]
    api: Api
    config_maps: Mirror
    secrets: Mirror
    images: Path
    state: Path
    backoff: BackoffPolicy
    mount_refresh_seconds: float
    resize_seconds: float
    granted_to_others: Callable[[str], dict[str, Decimal]]
    cluster_host: str
    cluster_port: str
    path: str
