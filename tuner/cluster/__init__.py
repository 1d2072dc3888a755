"""The cluster as the loop sees it: the ports on the Kubernetes API, and Events.

What the adapters ask of the API server, and so what they must be permitted, in each namespace that
is looked at (or by a ClusterRole for all of them):

==================  ===================  ===============================  =========================
API group           resource             verbs                            for
==================  ===================  ===============================  =========================
apps                deployments          get, list, watch                 the inventory
apps                deployments          patch                            changes; mode ``auto``
gc-tuner.io         gctunings            get, list, watch, create,        records
                                         delete
gc-tuner.io         gctunings/status     update                           records
events.k8s.io       events               create, patch                    Events
==================  ===================  ===============================  =========================

Events on the operator itself are written where its pod lives; that namespace needs the last line
too. A dry run needs the reading verbs alone.
"""

from tuner.cluster.actuator import ClusterActuator
from tuner.cluster.client import Api, ClusterAccess, connect
from tuner.cluster.events import EventObserver, Regarded, operator_pod
from tuner.cluster.inventory import ClusterInventory
from tuner.cluster.records import ClusterRecords

__all__ = [
    "Api",
    "ClusterAccess",
    "ClusterActuator",
    "ClusterInventory",
    "ClusterRecords",
    "EventObserver",
    "Regarded",
    "connect",
    "operator_pod",
]
