"""/metrics, /healthz and /readyz, served from a thread of their own."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tuner.errors import ConfigError
from tuner.instrumentation.health import Health

_STOP_SECONDS = 5.0


def endpoints(registry: CollectorRegistry, health: Health) -> Starlette:
    """The application."""

    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

    def healthz(_request: Request) -> Response:
        if health.alive:
            return PlainTextResponse("ok\n")
        return PlainTextResponse(f"no tick for {health.silence:.0f} s\n", status_code=503)

    def readyz(_request: Request) -> Response:
        if health.ready:
            return PlainTextResponse("ok\n")
        return PlainTextResponse("the cluster has not been seen yet\n", status_code=503)

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ]
    )


@contextlib.contextmanager
def serving(application: Starlette, address: str, port: int) -> Iterator[int]:
    """Serve while the context lasts.

    Args:
        application: What answers.
        address: Address to listen at.
        port: TCP port; 0 for any free one.

    Yields:
        The TCP port.

    Raises:
        ConfigError: The address cannot be listened at.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, port), family=family)
    except OSError as error:
        unresolved = isinstance(error, socket.gaierror)
        reason = error.strerror if unresolved else os.strerror(error.errno or 0)
        raise ConfigError(
            f"http: cannot listen at {address} port {port}: {reason}: "
            "set http.address and http.port to a free address of this machine"
        ) from error
    server = uvicorn.Server(
        uvicorn.Config(application, lifespan="off", log_config=None, access_log=False)
    )
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="http", daemon=True
    )
    with listener:
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(_STOP_SECONDS)
