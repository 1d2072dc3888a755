"""Release: gc-tuner's values out of workloads again, back to what stood there before its first.

``plan`` tells what that takes of one workload, without I/O; ``execution`` carries it out through
the ports of the loop.
"""

from tuner.release.execution import Cluster, Ended, Waiting, plans, release_all
from tuner.release.plan import Plan, Refusal, Terms, plan

__all__ = [
    "Cluster",
    "Ended",
    "Plan",
    "Refusal",
    "Terms",
    "Waiting",
    "plan",
    "plans",
    "release_all",
]
