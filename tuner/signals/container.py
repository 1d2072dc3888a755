"""Which container of a workload is the Go service."""

from collections.abc import Mapping

from tuner.model.decision import Hold
from tuner.model.reading import Quantity
from tuner.model.reason import Reason
from tuner.model.workload import Workload

ANNOTATION = "container"


def choose_container(
    workload: Workload, readings: Mapping[str, Mapping[Quantity, float]]
) -> tuple[str, Mapping[Quantity, float]] | Hold:
    """Name and reading of the container to tune.

    The annotation ``gc-tuner.io/container`` decides; without it, the only container with Go
    metrics. Figures without a container label belong to the only container there is.

    Args:
        workload: The workload.
        readings: Its Go containers by the name that the metrics give them, which can be empty.
    """
    wanted = workload.annotations.get(ANNOTATION)
    if wanted is not None and workload.container(wanted) is None:
        names = ", ".join(each.name for each in workload.containers)
        return Hold(
            Reason.CONTAINER_UNCLEAR,
            f"annotation gc-tuner.io/{ANNOTATION} names {wanted!r}; the containers are: {names}",
        )
    if not readings:
        return Hold(Reason.NO_DATA, "no Go metrics of this workload")
    named = {
        name: reading for name, reading in readings.items() if workload.container(name) is not None
    }
    if not named and "" in readings and (wanted or len(workload.containers) == 1):
        return wanted or workload.containers[0].name, readings[""]
    chosen = wanted if wanted is not None else next(iter(named), "")
    if chosen in named and (wanted is not None or len(named) == 1):
        return chosen, named[chosen]
    if wanted is not None:
        return Hold(Reason.NO_DATA, f"no Go metrics of container {wanted!r}")
    found = ", ".join(sorted(repr(name) for name in named or readings))
    return Hold(
        Reason.CONTAINER_UNCLEAR,
        f"Go metrics of {found}: name one with the annotation gc-tuner.io/{ANNOTATION}",
    )
