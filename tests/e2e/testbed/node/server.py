"""The node's HTTP endpoints: health, metrics and the pods behind a Service."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from tests.e2e.testbed.node.exposition import CONTENT_TYPE


class NodeView(Protocol):
    """What the endpoints show."""

    def healthy(self) -> bool:
        """Tell whether the node is registered and knows its pods."""

    def cadvisor(self) -> str:
        """Return container metrics in the text format."""

    def kube_state(self) -> str:
        """Return metrics of objects in the text format."""

    def endpoints(self, namespace: str, service: str) -> list[str] | None:
        """Return `ip:port` of the ready pods of a Service, None if there is no such Service."""


async def serve(view: NodeView, host: str, port: int) -> web.AppRunner:
    """Listen; the caller ends it with `cleanup`."""

    async def health(_: web.Request) -> web.Response:
        healthy = view.healthy()
        return web.Response(text="ok" if healthy else "starting", status=200 if healthy else 503)

    async def cadvisor(_: web.Request) -> web.Response:
        return _metrics(view.cadvisor())

    async def kube_state(_: web.Request) -> web.Response:
        return _metrics(view.kube_state())

    async def endpoints(request: web.Request) -> web.Response:
        found = view.endpoints(request.match_info["namespace"], request.match_info["service"])
        return web.json_response(found or [], status=404 if found is None else 200)

    application = web.Application()
    application.add_routes(
        [
            web.get("/healthz", health),
            web.get("/metrics/cadvisor", cadvisor),
            web.get("/metrics/kube-state", kube_state),
            web.get("/endpoints/{namespace}/{service}", endpoints),
        ]
    )
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


def _metrics(text: str) -> web.Response:
    return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})
