"""``gc-tuner doctor``: whether gc-tuner has what it needs."""

import contextlib
import threading
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from tuner.bootstrap import examinable, logger
from tuner.cli.options import Config, Context, Kubeconfig, PrometheusUrl, flags, quiet
from tuner.cli.termination import EXIT_IMPATIENT, stop_event
from tuner.doctor import Examination, Finding, Status, verdict
from tuner.settings import load

EXIT_UNHEALTHY = 1
"""Exit code where something failed."""
PATIENCE_SECONDS = 2.0
"""What takes longer than this says what it is."""
_STYLES = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.FAILED: "bold red",
    Status.SKIPPED: "dim",
}
_STATUS_WIDTH = max(map(len, Status))


class Output(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"


def doctor(
    *,
    output: Annotated[
        Output, typer.Option(help="Lines for people, or one JSON document.")
    ] = Output.TEXT,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    prometheus_url: PrometheusUrl = None,
) -> None:
    """Check that gc-tuner has what it needs: cluster, permissions, Prometheus, metrics, overrides.

    Each check is a line: ok, warning, failed or skipped, what was found, and what would be right.
    Nothing is written. Run it with the configuration and the rights that gc-tuner runs with.

    Exit codes: 0 when nothing failed, 1 when something did, 2 when the configuration cannot be
    used.
    """
    given = flags(
        {
            ("kubernetes", "kubeconfig"): ("--kubeconfig", kubeconfig),
            ("kubernetes", "context"): ("--context", context),
            ("prometheus", "url"): ("--prometheus-url", prometheus_url),
        }
    )
    with stop_event() as stop:
        settings = quiet(load(config, given))
        console, findings = Console(), []
        with examinable(settings, stop, logger(settings)) as subject:
            for finding in _findings(config, Examination(subject), stop):
                findings.append(finding)
                if output is Output.TEXT:
                    _print(console, finding)
        if stop.is_set():
            raise typer.Exit(EXIT_IMPATIENT)
    end = verdict(findings)
    if output is Output.JSON:
        said = {"healthy": end.healthy, "verdict": end.words, "findings": findings}
        typer.echo(msgspec.json.format(msgspec.json.encode(said)))
    else:
        console.print(Text(end.words, style="bold"), soft_wrap=True)
    raise typer.Exit(0 if end.healthy else EXIT_UNHEALTHY)


def _findings(
    config: Path | None, examination: Examination, stop: threading.Event
) -> Iterator[Finding]:
    used = "defaults, environment and flags" if config is None else str(config)
    yield Finding("configuration", Status.OK, used)
    for step in examination.steps():
        if stop.is_set():
            return
        with _patient(step.name):
            found = list(step.take())
        yield from found


@contextlib.contextmanager
def _patient(doing: str) -> Iterator[None]:
    """Say what is being done once it takes a while."""
    timer = threading.Timer(PATIENCE_SECONDS, _tell, (doing,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _tell(doing: str) -> None:
    typer.echo(f"gc-tuner: still {doing} …", err=True)


def _print(console: Console, finding: Finding) -> None:
    line = Text(f"{finding.status:{_STATUS_WIDTH}}", style=_STYLES[finding.status])
    line.append(f"  {finding.check}: {finding.found}", style="not bold default")
    if finding.right:
        line.append(f"; {finding.right}", style="not bold dim")
    console.print(line, soft_wrap=True)
