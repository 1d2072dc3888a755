"""Where Prometheus is and how to get in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Address and credentials of a Prometheus, or of what speaks its API."""

    url: str
    """Address up to, and without, ``/api/v1``."""
    timeout_seconds: float = 10.0
    """Longest time for connecting, and again for a whole answer; bounds a round of queries too."""
    bearer_token_file: Path | None = None
    """Read before each request: a projected token changes while the process runs."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further headers of each request, such as a tenant's; not shown, they can hold secrets."""
    ca_file: Path | None = None
    """Authorities to trust instead of the machine's."""
    cert_file: Path | None = None
    key_file: Path | None = None
    """Client certificate and its key: both or neither."""
