"""What a value must look like before it leaves for the cluster."""

from __future__ import annotations

import re

from tuner.errors import RefusedError
from tuner.model.workload import BARRIER, GOGC, GOMEMLIMIT

_WELL_FORMED = {
    GOGC: re.compile(r"off|[1-9][0-9]{0,5}"),
    GOMEMLIMIT: re.compile(r"off|[1-9][0-9]{0,14}(B|KiB|MiB|GiB|TiB)?"),
    BARRIER: re.compile(r"[1-9][0-9]{0,11}"),
}
"""What a Go service takes: ``GOGC=330.0`` silently means 100, and ``GOMEMLIMIT=715Mi`` ends the
process at start. What stood there before gc-tuner may have any of Go's units."""


def require_well_formed(where: str, name: str, value: str | None) -> None:
    """Refuse a setting that must not reach the API server.

    Args:
        where: For people: the object that was to be written.
        name: One of the tuned settings.
        value: None to remove it.

    Raises:
        RefusedError: It is none of the tuned settings, or its value is malformed.
    """
    form = _WELL_FORMED.get(name)
    if form is None:
        raise RefusedError(f"{where}: {name} is not ours to write")
    if value is not None and not form.fullmatch(value):
        raise RefusedError(f"{where}: {name}={value!r} is not well formed")
