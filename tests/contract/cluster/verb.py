"""Verbs of the command line, run against an API server that answers as the test says."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.cluster.server import page
from tests.unit.cluster.objects import config_map
from tuner.cli import main

if TYPE_CHECKING:
    from tests.contract.cluster.server import FakeApiServer

SHOP = "/namespaces/shop"
OVERRIDES = "/api/v1/namespaces/ops/configmaps"


@dataclass
class Verb:
    """A verb as a command, and the cluster that it finds."""

    name: str
    server: FakeApiServer
    arguments: tuple[str, ...]
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def finds(self, *objects: dict[str, Any], records: tuple[dict[str, Any], ...]) -> None:
        """Workloads and records, in all namespaces and in ``shop`` alone."""
        for place in ("", SHOP):
            for group, plural in (
                ("/api/v1", "pods"),
                ("/apis/autoscaling/v2", "horizontalpodautoscalers"),
                ("/apis/autoscaling.k8s.io/v1", "verticalpodautoscalers"),
            ):
                self.server.on("GET", f"{group}{place}/{plural}", page(version=20))
            for kind in ("Deployment", "StatefulSet"):
                path = f"/apis/apps/v1{place}/{kind.lower()}s"
                found = [each for each in objects if each["kind"] == kind]
                self.server.on("GET", path, page(*found, version=20))
            maps = [each for each in objects if each["kind"] == "ConfigMap"]
            self.server.on("GET", f"/api/v1{place}/configmaps", page(*maps, version=20))
            path = f"/apis/gc-tuner.io/v1alpha1{place}/gctunings"
            self.server.on("GET", path, page(*records, version=20))

    def orders(self, text: str | None = None) -> None:
        """What the overrides say; None: there are none."""
        found = config_map(
            "gc-tuner-overrides", namespace="ops", data={"overrides.yaml": text or ""}
        )
        self.server.on("GET", OVERRIDES, page(*([found] if text else []), version=20))

    def __call__(self, *arguments: str) -> tuple[int, list[str], str]:
        """Exit code, lines on standard output, and what standard error says."""
        self.patch.setattr(sys, "argv", ["gc-tuner", self.name, *arguments, *self.arguments])
        # The command takes the root logger for the process; put back, it ends with the test.
        self.patch.setattr(logging.getLogger(), "handlers", [])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self.capture.readouterr()
        code = ended.value.code if isinstance(ended.value.code, int) else 0
        return code, out.splitlines(), err

    def written(self) -> list[str]:
        return [
            f"{each.method} {each.path}"
            for method in ("POST", "PUT", "PATCH", "DELETE")
            for each in self.server.asked(method)
        ]
