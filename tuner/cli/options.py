"""Options that several verbs have, and how they become settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tuner.settings import Flags, LogLevel, Settings

Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="YAML file with settings; see config/default.yaml."),
]
Kubeconfig = Annotated[Path | None, typer.Option(metavar="FILE", help="Kubeconfig of the cluster.")]
Context = Annotated[str | None, typer.Option(metavar="NAME", help="Context of the kubeconfig.")]
PrometheusUrl = Annotated[
    str | None, typer.Option(metavar="URL", help="Such as http://prometheus:9090.")
]


def flags(given: Mapping[tuple[str, str], tuple[str, object]]) -> Flags:
    """The settings of a command line.

    Args:
        given: Flag and value by the setting's section and name; a value of None was not given.
    """
    fields: dict[str, dict[str, Any]] = {}
    names: dict[tuple[str | int, ...], str] = {}
    for (section, name), (flag, value) in given.items():
        if value is not None:
            fields.setdefault(section, {})[name] = value
            names[section, name] = flag
    return Flags(fields, names)


def quiet(settings: Settings) -> Settings:
    """The same settings with a log of warnings: for verbs that print what they find."""
    log = settings.log.model_copy(update={"level": LogLevel.WARNING})
    return settings.model_copy(update={"log": log})
