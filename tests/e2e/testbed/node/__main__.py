"""`python -m tests.e2e.testbed.node`: run a node in the foreground until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.testbed.node.api import Api, read_kubeconfig
from tests.e2e.testbed.node.backoff import BackoffPolicy
from tests.e2e.testbed.node.node import Node, NodeSettings


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="node", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--name", required=True, help="name of the Node object")
    parser.add_argument("--images", type=Path, required=True, help="JSON: image name to command")
    parser.add_argument("--state-dir", type=Path, required=True, help="pods' files and logs")
    parser.add_argument("--listen", required=True, help="host:port of metrics and health")
    parser.add_argument("--cpu", default="16", help="capacity")
    parser.add_argument("--memory", default="64Gi", help="capacity")
    parser.add_argument("--pods", default="250", help="capacity")
    parser.add_argument(
        "--mount-refresh",
        type=_seconds,
        default=1.0,
        help="delay from a changed ConfigMap or Secret to changed files (a kubelet: up to 90s)",
    )
    parser.add_argument(
        "--resize-time", type=_seconds, default=0.5, help="how long a resize is in progress"
    )
    parser.add_argument(
        "--backoff-base", type=_seconds, default=10.0, help="delay before the second restart"
    )
    parser.add_argument(
        "--backoff-cap", type=_seconds, default=300.0, help="longest delay between restarts"
    )
    parser.add_argument(
        "--backoff-reset",
        type=_seconds,
        default=600.0,
        help="a container that ran this long restarts at once again",
    )
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    access = read_kubeconfig(arguments.kubeconfig)
    server = urlsplit(access.server)
    host, _, port = arguments.listen.rpartition(":")
    settings = NodeSettings(
        name=arguments.name,
        host_address=host,
        port=int(port),
        capacity={"cpu": arguments.cpu, "memory": arguments.memory, "pods": arguments.pods},
        images=arguments.images.resolve(),
        state=arguments.state_dir.resolve(),
        backoff=BackoffPolicy(
            arguments.backoff_base, arguments.backoff_cap, arguments.backoff_reset
        ),
        mount_refresh_seconds=arguments.mount_refresh,
        resize_seconds=arguments.resize_time,
        cluster_host=server.hostname or host,
        cluster_port=str(server.port or 443),
        path=os.environ.get("PATH", os.defpath),
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Api(access) as api:
        await Node(settings, api).run(stop)


def main() -> None:
    """Run the node."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(_run(arguments))


if __name__ == "__main__":
    main()
