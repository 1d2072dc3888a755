"""``gc-tuner run``: the loop, until told to stop."""

import gc
import threading
import time
from typing import Annotated

import typer
from prometheus_client import disable_created_metrics
from rich.console import Console

from tuner.bootstrap import Outages, access, check_prometheus, logger, open_cluster, ready_loop
from tuner.cli.options import Config, Context, Kubeconfig, PrometheusUrl, flags
from tuner.cli.termination import stop_event
from tuner.instrumentation.table import TableObserver
from tuner.schedule import Clocks, tick_until
from tuner.settings import ConfigFile, LogFormat

EXIT_UNAVAILABLE = 3
"""Exit code of ``--once`` where Prometheus or the cluster gave no answer."""
_STOP_SECONDS = 4.8
"""After a stop: long enough for a write in hand, and over within 5 s whatever hangs."""
_COLLECT_AFTER = (50_000, 20, 100)
"""Python's own collector costs more than the work at 10,000 workloads with its defaults."""


def run(  # noqa: PLR0913 - one argument a flag
    *,
    config: Config = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done; write nothing at all.")
    ] = False,
    once: Annotated[
        bool,
        typer.Option("--once", help="One tick, print it, and exit: 3 where nothing could be read."),
    ] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    prometheus_url: PrometheusUrl = None,
    log_format: Annotated[
        LogFormat | None, typer.Option(help="By default readable on a terminal, else JSON.")
    ] = None,
) -> None:
    """Watch the cluster's Go services and tune those that asked for it, until told to stop.

    Exit codes: 0 when told to stop, 2 when the configuration cannot be used, 3 when --once found no
    Prometheus or no cluster. Without --once, either that is down at the start is waited for.
    """
    given = flags(
        {
            ("kubernetes", "kubeconfig"): ("--kubeconfig", kubeconfig),
            ("kubernetes", "context"): ("--context", context),
            ("prometheus", "url"): ("--prometheus-url", prometheus_url),
            ("log", "format"): ("--log-format", log_format),
        }
    )
    with stop_event(_STOP_SECONDS) as stop:
        raise typer.Exit(_run(ConfigFile(config, given), stop, dry_run=dry_run, once=once))


def _run(config: ConfigFile, stop: threading.Event, *, dry_run: bool, once: bool) -> int:
    settings = config.load()
    log = logger(settings)
    check_prometheus(access(settings), log)
    disable_created_metrics()  # type: ignore[no-untyped-call] # one more series for each counter
    outages = Outages()
    table = TableObserver(Console())
    observers = (outages, table) if dry_run or once else (outages,)
    elects = settings.leader_election.enabled and not dry_run
    with (
        open_cluster(settings, stop, log, elects=elects, once=once) as cluster,
        ready_loop(
            settings,
            cluster,
            dry_run=dry_run,
            serve=not once,
            log=log,
            observers=observers,
            config=config,
        ) as loop,
    ):
        if once:
            loop.tick(time.time())
            return EXIT_UNAVAILABLE if outages.seen else 0
        _calm_collector()
        tick_until(stop.wait, loop.tick, settings.interval, Clocks())
    return 0


def _calm_collector() -> None:
    """Leave what start-up made out of Python's garbage collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
