"""The command line: one file a verb."""

import sys
from typing import Annotated

import typer

from tuner.cli.doctor import doctor
from tuner.cli.release import release
from tuner.cli.run import run
from tuner.errors import ConfigError
from tuner.version import VERSION

EXIT_CONFIG = 2
"""Exit code where the configuration cannot be used; the same as for unknown flags."""

app = typer.Typer(
    name="gc-tuner",
    help="Tunes Go's garbage collector on Kubernetes, in a closed loop.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(doctor)
app.command()(release)


@app.command()
def demo() -> None:
    """Watch the loop tune simulated services: no cluster is needed."""
    from tuner.cli.demo import demo as show  # noqa: PLC0415 - the simulation is for this verb alone

    show()


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(VERSION)


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Tunes Go's garbage collector on Kubernetes, in a closed loop."""


def main() -> None:
    """The console entry: what cannot be used is told in one line each, without a traceback."""
    try:
        app()
    except ConfigError as error:
        for line in str(error).splitlines():
            print(f"gc-tuner: {line}", file=sys.stderr)  # noqa: T201 - the command's own voice
        sys.exit(EXIT_CONFIG)
