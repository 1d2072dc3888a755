"""Startup, readiness and liveness probes: their settings, verdicts and requests."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.e2e.testbed.node.objects import JsonObject

_OK, _BAD_REQUEST = 200, 400


@dataclass(frozen=True)
class HttpAction:
    """GET an address; any status from 200 to 399 is success."""

    host: str | None
    port: int
    path: str
    tls: bool
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TcpAction:
    """Open a connection."""

    host: str | None
    port: int


@dataclass(frozen=True)
class ExecAction:
    """Run a command in the container; exit code 0 is success."""

    command: tuple[str, ...]


Action: TypeAlias = HttpAction | TcpAction | ExecAction


@dataclass(frozen=True)
class Probe:
    """One probe of a container; times in seconds."""

    action: Action
    initial_delay_seconds: float
    period_seconds: float
    timeout_seconds: float
    success_threshold: int
    failure_threshold: int
    grace_seconds: int | None


def parse_probe(spec: JsonObject, container: JsonObject) -> Probe:
    """Read a probe; a port may be the name of one of the container's ports.

    Raises:
        ValueError: the action is not supported or its port has no number.
    """
    return Probe(
        action=parse_action(spec, container),
        initial_delay_seconds=float(spec.get("initialDelaySeconds") or 0),
        period_seconds=float(spec.get("periodSeconds") or 10),
        timeout_seconds=float(spec.get("timeoutSeconds") or 1),
        success_threshold=int(spec.get("successThreshold") or 1),
        failure_threshold=int(spec.get("failureThreshold") or 3),
        grace_seconds=spec.get("terminationGracePeriodSeconds"),
    )


def parse_action(spec: JsonObject, container: JsonObject) -> Action:
    """Read the action of a probe or a lifecycle hook.

    Raises:
        ValueError: the action is not supported or its port has no number.
    """
    if "httpGet" in spec:
        get = spec["httpGet"]
        return HttpAction(
            host=get.get("host") or None,
            port=port_number(get["port"], container),
            path=get.get("path") or "/",
            tls=str(get.get("scheme", "HTTP")).upper() == "HTTPS",
            headers=tuple(
                (item["name"], item.get("value", "")) for item in get.get("httpHeaders") or []
            ),
        )
    if "tcpSocket" in spec:
        socket = spec["tcpSocket"]
        return TcpAction(socket.get("host") or None, port_number(socket["port"], container))
    if "exec" in spec:
        return ExecAction(tuple(spec["exec"].get("command") or ()))
    message = f"unsupported action: {', '.join(spec)}"
    raise ValueError(message)


def port_number(port: int | str, container: JsonObject) -> int:
    """Return a port's number; a name is looked up among the container's ports.

    Raises:
        ValueError: the container has no port of that name.
    """
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for item in container.get("ports") or []:
        if item.get("name") == port:
            return int(item["containerPort"])
    message = f"container has no port named {port!r}"
    raise ValueError(message)


class Tally:
    """Turns single outcomes into a verdict by the two thresholds."""

    def __init__(self, probe: Probe, *, initially: bool) -> None:
        """Start with a verdict and no outcomes."""
        self._probe = probe
        self._run_length = 0
        self._last: bool | None = None
        self.verdict = initially

    def record(self, *, success: bool) -> bool:
        """Take an outcome; return whether a threshold is reached, so that the verdict holds."""
        self._run_length = self._run_length + 1 if success == self._last else 1
        self._last = success
        needed = self._probe.success_threshold if success else self._probe.failure_threshold
        if self._run_length < needed:
            return False
        self.verdict = success
        return True


async def perform(
    action: Action,
    address: str,
    timeout_seconds: float,
    run: Callable[[tuple[str, ...]], Awaitable[int]],
) -> bool:
    """Carry out an action once against a pod's address; `run` executes a command inside."""
    try:
        async with asyncio.timeout(timeout_seconds):
            if isinstance(action, ExecAction):
                return await run(action.command) == 0
            if isinstance(action, HttpAction):
                return _OK <= await _get(action, address) < _BAD_REQUEST
            _, writer = await asyncio.open_connection(action.host or address, action.port)
            writer.close()
            return True
    except (OSError, TimeoutError, ValueError, EOFError):
        return False


async def _get(action: HttpAction, address: str) -> int:
    """Return the status of a GET; a whole HTTP client would cost ten times the CPU."""
    host = action.host or address
    context = ssl._create_unverified_context() if action.tls else None  # noqa: S323, SLF001 - probes check no certificate
    reader, writer = await asyncio.open_connection(host, action.port, ssl=context)
    try:
        headers = {
            "Host": f"{host}:{action.port}",
            "User-Agent": "kube-probe/1.36",
            "Accept": "*/*",
            "Connection": "close",
            **dict(action.headers),
        }
        lines = [f"GET {action.path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        status_line = await reader.readline()
        return int(status_line.split(b" ", 2)[1]) if status_line.count(b" ") else 0
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await writer.wait_closed()
