"""The cluster as the loop sees it: the ports on the Kubernetes API, and Events.

What the adapters ask of the API server, and so what they must be permitted, in each namespace that
is looked at (or by a ClusterRole for all of them):

===================  ========================  ==========================  ======================
API group            resource                  verbs                       for
===================  ========================  ==========================  ======================
apps                 deployments,              get, list, watch            the inventory
                     statefulsets
apps                 deployments,              patch                       changes; mode ``auto``
                     statefulsets
core                 configmaps                get, list, watch            the live channel
core                 configmaps                patch                       changes of those
core                 pods                      list, watch                 what pods run with
autoscaling          horizontalpodautoscalers  list, watch                 their memory targets
autoscaling.k8s.io   verticalpodautoscalers    list, watch                 who sets memory
gc-tuner.io          gctunings                 get, list, watch, create,   records
                                               delete
gc-tuner.io          gctunings/status          update                      records
events.k8s.io        events                    create, patch               Events
===================  ========================  ==========================  ======================

The overrides are one ConfigMap in gc-tuner's own namespace, which it must be able to list and watch
there. Autoscalers that are not there, or may not be listed, are none. Events on the operator itself
are written where its pod lives; that namespace needs the last line too. In
the namespace of the Leases, for leader election:

===================  ========================  ==========================  ======================
coordination.k8s.io  leases                    create                      the first start
coordination.k8s.io  leases, by their names    get, update                 who leads
===================  ========================  ==========================  ======================

A dry run needs the reading verbs of the first table alone.
"""

from tuner.cluster.actuator import ClusterActuator
from tuner.cluster.autoscalers import AutoscalerMirror
from tuner.cluster.client import Api, ClusterAccess, connect
from tuner.cluster.events import EventObserver, Regarded, operator_pod
from tuner.cluster.fleet import ClusterFleet
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
