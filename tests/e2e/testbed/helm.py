"""The real Helm, on this repository's chart."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from tests.e2e.testbed.cluster import REPOSITORY
from tests.e2e.testbed.processes import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CHART = REPOSITORY / "charts" / "gc-tuner"
RELEASE = "gc-tuner"

REQUIRED: Mapping[str, Any] = {
    "image": {"repository": "registry.example.com/gc-tuner"},
    "prometheus": {"url": "http://prometheus.example.com:9090"},
}
"""What nobody can do without."""


class HelmError(RuntimeError):
    """Helm ended with an error; the text is what it said."""


@dataclass(frozen=True)
class Helm:
    """One way to call it.

    Attributes:
        program: the built `helm`.
        home: a folder for what it keeps.
        kubeconfig: of the cluster; None where it renders only.
    """

    program: Path
    home: Path
    kubeconfig: Path | None = None

    def run(self, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        """Run it and return its standard output.

        Args:
            arguments: what follows `helm`.
            values: over those of the chart.

        Raises:
            HelmError: it failed.
        """
        given = [] if values is None else ["--values", "-"]
        result = subprocess.run(
            [self.program, *arguments, *given],
            input=None if values is None else json.dumps(values),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
            env={
                "HOME": str(self.home),
                "KUBECONFIG": str(self.kubeconfig or self.home / "no-cluster"),
            },
        )
        if result.returncode != 0:
            raise HelmError(result.stderr.strip())
        return result.stdout

    def render(
        self, values: Mapping[str, Any] | None = None, *arguments: str, namespace: str = RELEASE
    ) -> list[dict[str, Any]]:
        """Return the objects that the chart makes, without asking a cluster.

        Args:
            values: over those of the chart and `REQUIRED`.
            arguments: further ones of `helm template`.
            namespace: of the release.

        Raises:
            HelmError: the values were refused.
        """
        text = self.run(
            *("template", RELEASE, str(CHART), "--namespace", namespace, *arguments),
            values={**REQUIRED, **(values or {})},
        )
        return [each for each in yaml.safe_load_all(text) if each is not None]

    def install(self, namespace: str, values: Mapping[str, Any] | None = None) -> str:
        """Install the chart into a namespace, or upgrade it there, with no pod of its own.

        Args:
            namespace: an existing one.
            values: over those of the chart and `REQUIRED`.

        Raises:
            HelmError: it failed.
        """
        return self.run(
            *("upgrade", "--install", RELEASE, str(CHART), "--namespace", namespace),
            values={**REQUIRED, "replicas": 0, **(values or {})},
        )
