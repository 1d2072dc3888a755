"""A plant that behaves like Go's heap, and an in-memory cluster behind the same ports.

The loop runs against these unchanged. Time is simulated: nothing here reads a clock, and chance is
seeded, so a scenario gives the same result each time.
"""

from tuner.simulation.cluster import ControllerDied, Fault, SimulatedCluster, Written
from tuner.simulation.plant import Pod
from tuner.simulation.service import InForce, Service
from tuner.simulation.source import PlantSource
from tuner.simulation.world import World

__all__ = [
    "ControllerDied",
    "Fault",
    "InForce",
    "PlantSource",
    "Pod",
    "Service",
    "SimulatedCluster",
    "World",
    "Written",
]
