"""``gc-tuner release``: gc-tuner's values out of workloads again."""

import select
import sys
import threading
from collections.abc import Collection, Sequence
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tuner.bootstrap import ClusterSide, logger, open_cluster, own_namespace
from tuner.cli.options import Config, Context, Kubeconfig, flags, quiet
from tuner.cli.target import Target, target
from tuner.cli.termination import stop_event
from tuner.errors import ConfigError, UnavailableError
from tuner.instrumentation.table import print_piped
from tuner.model.workload import WorkloadKey
from tuner.release import (
    Cluster,
    Ended,
    Plan,
    Refusal,
    Terms,
    Waiting,
    plans,
    release_all,
)
from tuner.schedule import Clocks
from tuner.settings import Settings, load

EXIT_SOME_NOT = 1
"""Exit code where some workloads were not released."""
EXIT_UNAVAILABLE = 3
"""Exit code where the cluster cannot be seen."""
_PROMPT_SECONDS = 0.1
"""How often a question looks whether it was told to stop."""


def release(  # noqa: PLR0913 - one argument a flag
    workloads: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAMESPACE/NAME",
            help="Deployments or StatefulSets; NAMESPACE/deployment/NAME where both have the name.",
            show_default=False,
        ),
    ] = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="All workloads with values of gc-tuner.")
    ] = False,
    namespace: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --all: those of one namespace.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan; write nothing at all.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether to go on.")] = False,
    stopped: Annotated[
        bool,
        typer.Option("--stopped", help="Nobody runs gc-tuner: workloads in mode auto, too."),
    ] = False,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Take gc-tuner's values out of workloads: back to what stood there before its first change.

    Values that somebody else has taken over are left, and named. Where settings are env entries the
    pods are replaced, once. A workload in mode auto is refused while gc-tuner may run: it would set
    its values again.

    Exit codes: 0 when all was done, 1 when some were not released, 2 when the command or the
    configuration cannot be used, 3 when the cluster cannot be seen.
    """
    targets = [target(each) for each in workloads or ()]
    _require_sense(targets, everything=everything, namespace=namespace)
    if not (yes or dry_run or sys.stdin.isatty()):
        raise ConfigError(
            "nobody can be asked here, it is no terminal: give --yes to release without a "
            "question, or --dry-run to see the plan alone"
        )
    given = flags(
        {
            ("kubernetes", "kubeconfig"): ("--kubeconfig", kubeconfig),
            ("kubernetes", "context"): ("--context", context),
        }
    )
    with stop_event() as stop:
        namespaces = {each.namespace for each in targets} | ({namespace} if namespace else set())
        settings = _narrowed(quiet(load(config, given)), namespaces)
        terms = Terms(settings.policy(dry_run=dry_run), stopped)
        with open_cluster(settings, stop, logger(settings)) as side:
            verb = _Release(Console(), side, terms, stop)
            try:
                code = verb.run(targets, ask=not yes, dry_run=dry_run)
            except UnavailableError as error:
                typer.echo(f"gc-tuner: {error}", err=True)
                code = EXIT_UNAVAILABLE
        raise typer.Exit(code)


def _require_sense(targets: Sequence[Target], *, everything: bool, namespace: str | None) -> None:
    if everything and targets:
        raise ConfigError("--all and names of workloads exclude each other: give one of them")
    if not everything and not targets:
        raise ConfigError("no workload is named: give NAMESPACE/NAME, or --all")
    if namespace is not None and not everything:
        raise ConfigError("--namespace goes with --all: a workload's name begins with its own")


def _narrowed(settings: Settings, namespaces: Collection[str]) -> Settings:
    """The settings for some namespaces alone: no more is looked at, nor has to be permitted.

    Raises:
        ConfigError: One of them is none that gc-tuner looks at.
    """
    if not namespaces:
        return settings
    watched = settings.kubernetes.namespaces
    for each in sorted(namespaces):
        if watched and each not in watched:
            raise ConfigError(
                f"kubernetes.namespaces: {each} is not among {', '.join(watched)}: "
                "gc-tuner does not look there"
            )
    place = settings.overrides.namespace or own_namespace(settings)
    return settings.model_copy(
        update={
            "kubernetes": settings.kubernetes.model_copy(
                update={"namespaces": tuple(sorted(namespaces))}
            ),
            # They stay where they are, whatever is looked at.
            "overrides": settings.overrides.model_copy(update={"namespace": place}),
        }
    )


class _Release:
    """One run of the verb."""

    def __init__(
        self, console: Console, side: ClusterSide, terms: Terms, stop: threading.Event
    ) -> None:
        self._console = console
        self._terms = terms
        self._stop = stop
        self._cluster = Cluster(
            side.inventory, side.records, side.actuator, side.overrides, Clocks()
        )

    def run(self, targets: Sequence[Target], *, ask: bool, dry_run: bool) -> int:
        """Plan, ask, release; the exit code.

        Args:
            targets: The workloads; none: all.
            ask: Whether to ask before anything is written.
            dry_run: Whether to print the plan alone.

        Raises:
            ConfigError: A name is that of two workloads.
            UnavailableError: The cluster cannot be seen.
        """
        wanted, missing = self._find(targets)
        found = plans(self._cluster, self._terms, wanted)
        for each in missing:
            self._say(f"{each.text}: there is no such Deployment or StatefulSet", "red")
        if not found and not missing:
            self._say("nothing to release: no workload has values of gc-tuner")
            return 0
        if found:
            self._print(found)
        todo = [each for each in found if isinstance(each, Plan) and not each.idle]
        complete = not missing and not any(isinstance(each, Refusal) for each in found)
        if not dry_run and todo:
            if ask and not self._agreed(todo):
                self._say("nothing was changed")
                return EXIT_SOME_NOT
            complete = self._carry_out(todo) and complete
        return 0 if complete else EXIT_SOME_NOT

    def _find(
        self, targets: Sequence[Target]
    ) -> tuple[Collection[WorkloadKey] | None, Sequence[Target]]:
        if not targets:
            return None, ()
        fleet = self._cluster.inventory.workloads()
        keys = [each.among(fleet.keys()) for each in targets]
        missing = [each for each, key in zip(targets, keys, strict=True) if key is None]
        return {key for key in keys if key is not None}, missing

    def _print(self, found: Sequence[Plan | Refusal]) -> None:
        terminal = self._console.is_terminal
        table = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False)
        for name in ("WORKLOAD", "PLAN", "CHANGE", "NOTE"):
            table.add_column(name, no_wrap=not terminal, overflow="fold")
        for each in found:
            table.add_row(*_row(each))
        if terminal:
            self._console.print(table)
        else:
            print_piped(self._console, table)

    def _agreed(self, todo: Sequence[Plan]) -> bool:
        restarts = sum(each.restarts for each in todo)
        restarted = f", and replace the pods of {restarts}" if restarts else ""
        workloads = "1 workload" if len(todo) == 1 else f"{len(todo)} workloads"
        sys.stdout.write(f"Release {workloads}{restarted}? [y/N] ")
        sys.stdout.flush()
        while not self._stop.is_set():
            # Ctrl-C sets the event: it does not interrupt a read.
            if select.select([sys.stdin], [], [], _PROMPT_SECONDS)[0]:
                return sys.stdin.readline().strip().lower() in {"y", "yes"}
        return False

    def _carry_out(self, todo: Sequence[Plan]) -> bool:
        """Whether all of it was done."""
        complete = True
        for each in release_all(self._cluster, self._terms, todo, self._stop.wait):
            match each:
                case Ended(key, done, words):
                    complete = complete and done
                    verdict = "released" if done else "not released"
                    self._say(f"{key}: {verdict}: {words}", "green" if done else "red")
                case Waiting(key, words):
                    typer.echo(f"gc-tuner: {key} waits: {words}", err=True)
        return complete

    def _say(self, line: str, style: str = "") -> None:
        self._console.print(Text(line, style=style), soft_wrap=True)


def _row(each: Plan | Refusal) -> tuple[str | Text, ...]:
    if isinstance(each, Refusal):
        return str(each.key), Text("refuse", style="red"), "", Text(each.why)
    notes = [f"left as it is: {words}" for words in each.left]
    if each.restarts:
        notes.insert(0, "replaces its pods, once")
    if each.change is not None:
        return (
            str(each.workload.key),
            Text("release", style="green"),
            Text(str(each.change)),
            Text("; ".join(notes)),
        )
    if each.idle:
        notes = ["no value of gc-tuner stands there"]
    words = "nothing" if each.idle else "tidy its record"
    return str(each.workload.key), Text(words, style="dim"), "", Text("; ".join(notes))
