"""Keys, certificates and kubeconfig files of one throw-away cluster."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Authority:
    """A certificate authority in a folder, and the program that signs for it.

    Attributes:
        program: the built `credentials` program.
        directory: holds ca, apiserver and service-account keys.
    """

    program: Path
    directory: Path

    @property
    def certificate(self) -> Path:
        """The authority's own certificate."""
        return self.directory / "ca.crt"

    def initialise(self) -> None:
        """Make the authority, the API server's certificate and the service-account keys."""
        self.directory.mkdir(parents=True, exist_ok=True)
        subprocess.run([self.program, "init", self.directory], check=True)

    def client(self, user: str, groups: Sequence[str]) -> bytes:
        """Return key and certificate, as PEM, by which the API server knows `user`."""
        return subprocess.run(
            [self.program, "client", self.directory, user, *groups],
            check=True,
            capture_output=True,
        ).stdout


def client_certificate_user(pem: bytes) -> dict[str, str]:
    """Return the kubeconfig user entry for a key and certificate."""
    encoded = base64.b64encode(pem).decode()
    return {"client-certificate-data": encoded, "client-key-data": encoded}


def write_kubeconfig(
    path: Path,
    *,
    server: str,
    authority: Path,
    user: Mapping[str, str],
    namespace: str = "default",
) -> Path:
    """Write a kubeconfig file (as JSON, which is YAML too) and return its path.

    Args:
        path: where to.
        server: the API server's address.
        authority: certificate that the API server's own certificate is checked against.
        user: the user entry: a token or a client certificate.
        namespace: the namespace when none is named.
    """
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "testbed",
        "clusters": [
            {
                "name": "testbed",
                "cluster": {
                    "server": server,
                    "certificate-authority-data": base64.b64encode(authority.read_bytes()).decode(),
                },
            }
        ],
        "users": [{"name": "testbed", "user": dict(user)}],
        "contexts": [
            {
                "name": "testbed",
                "context": {"cluster": "testbed", "user": "testbed", "namespace": namespace},
            }
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=1))
    return path
