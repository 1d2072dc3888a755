"""The cluster as the loop sees it: the ports on the Kubernetes API, and Events.

What the adapters ask of the API server, and so what they must be permitted, is a list in
``permissions``. Autoscalers that are not there, or may not be listed, are none. A dry run needs the
reading verbs alone.
"""

from tuner.cluster.actuator import ClusterActuator
from tuner.cluster.autoscalers import AutoscalerMirror
from tuner.cluster.client import Api, ClusterAccess, connect
from tuner.cluster.events import EventObserver, Regarded, operator_pod
from tuner.cluster.fleet import ClusterFleet
from tuner.cluster.inspection import Inspection
from tuner.cluster.inventory import ClusterInventory
from tuner.cluster.leadership import Candidate, ShardLeadership, identity
from tuner.cluster.lease import LeaseObject
from tuner.cluster.live import LiveConfigMaps
from tuner.cluster.mirror import Mirror, Upkeep
from tuner.cluster.overrides import OverridesWatch
from tuner.cluster.pods import PodMirror
from tuner.cluster.records import ClusterRecords

__all__ = [
    "Api",
    "AutoscalerMirror",
    "Candidate",
    "ClusterAccess",
    "ClusterActuator",
    "ClusterFleet",
    "ClusterInventory",
    "ClusterRecords",
    "EventObserver",
    "Inspection",
    "LeaseObject",
    "LiveConfigMaps",
    "Mirror",
    "OverridesWatch",
    "PodMirror",
    "Regarded",
    "ShardLeadership",
    "Upkeep",
    "connect",
    "identity",
    "operator_pod",
]
