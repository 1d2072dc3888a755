"""A service account as a pod has it: a folder with a token that is replaced, and dies later."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.e2e.testbed.cluster import KubectlError
from tests.e2e.testbed.credentials import write_kubeconfig
from tests.e2e.testbed.processes import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.testbed.cluster import Cluster
    from tests.e2e.testbed.operator import Operator

_MOUNTED_AT = "/run/secrets/kubernetes.io/serviceaccount"
# In mounts of its own, where /run is as empty as in a pod.
_IN_POD = (
    'mount -t tmpfs none /run && mkdir -p "$1" && mount --bind "$0" "$1" && shift && exec "$@"'
)


@dataclass
class MountedAccount:
    """The files of one replica's service account; each token lives as long as a Secret does.

    Attributes:
        cluster: where it is.
        namespace: of the account.
        name: of the account.
        folder: the files' own.
    """

    cluster: Cluster
    namespace: str
    name: str
    folder: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _tokens: list[tuple[str, str]] = field(default_factory=list)
    """Secret and token, the one in the file last."""

    def rotate(self) -> None:
        """Put a new token into the file; the one before stays good until it is revoked.

        Raises:
            KubectlError: it was refused.
        """
        secret = f"{self.name}-token-{next(self._numbers)}"
        where = ("--namespace", self.namespace)
        self.cluster.kubectl("create", "secret", "generic", secret, *where)
        token = self.cluster.kubectl(
            *("create", "token", self.name, *where),
            *("--bound-object-kind", "Secret", "--bound-object-name", secret),
        ).strip()
        self.folder.mkdir(parents=True, exist_ok=True)
        authority = self.cluster.control_plane.authority.certificate
        (self.folder / "ca.crt").write_bytes(authority.read_bytes())
        new = self.folder / "token.new"
        new.write_text(token)
        new.replace(self.folder / "token")
        self._tokens.append((secret, token))

    def revoke(self) -> None:
        """Let the token before the present one die, and wait until it has, some 10 s later.

        Raises:
            TimeoutError: it is still good.
        """
        secret, token = self._tokens.pop(0)
        self.cluster.kubectl("delete", "secret", secret, "--namespace", self.namespace)
        dead = write_kubeconfig(
            self.folder.parent / f"{secret}.json",
            server=self.cluster.api_url,
            authority=self.cluster.control_plane.authority.certificate,
            user={"token": token},
            namespace=self.namespace,
        )

        def refused() -> bool:
            try:
                self.cluster.kubectl("get", "gctunings", kubeconfig=dead)
            except KubectlError as error:
                return "Unauthorized" in error.stderr or "logged in" in error.stderr
            return False

        wait_for(refused, f"{secret} revoked", interval_seconds=1.0)

    def worn_by(self, operator: Operator) -> Operator:
        """Return the replica with these files where a pod has them; its kubeconfig must be null."""
        url = urlsplit(self.cluster.api_url)
        process = dataclasses.replace(
            operator.process,
            command=[
                *("unshare", "--mount", "--map-root-user", "sh", "-c", _IN_POD),
                *(self.folder, _MOUNTED_AT, *operator.process.command),
            ],
            environment={
                **operator.process.environment,
                "KUBERNETES_SERVICE_HOST": url.hostname or "",
                "KUBERNETES_SERVICE_PORT": str(url.port),
            },
        )
        return dataclasses.replace(operator, process=process)
