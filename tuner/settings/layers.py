"""Layers the settings: flags over environment over file over defaults."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from tuner.errors import ConfigError
from tuner.settings.complaint import Flags, Origin
from tuner.settings.document import Document, read_document
from tuner.settings.names import ENV_DELIMITER, ENV_PREFIX, unknown, variable
from tuner.settings.operator import Settings

_SERVICE_LINK = re.compile(r"(^|_)(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)$")
"""Kubernetes injects these for every Service whose name begins with ``gc-tuner``."""


def load(path: Path | None = None, flags: Flags | None = None) -> Settings:
    """The settings that are in force.

    Args:
        path: The YAML file; None: no file.
        flags: Settings from the command line.

    Raises:
        ConfigError: They cannot be used; one line per problem.
    """
    flags = flags or Flags()
    document = Document() if path is None else read_document(path)
    origin = Origin(path, flags)
    problems = [*document.problems, *_unknown_variables(os.environ)]
    settings = None
    try:
        settings = _validate(document.fields, flags.fields)
        problems.extend(_missing_files(settings, origin))
    except ValidationError as error:
        problems.extend(map(origin.complain, error.errors()))
    except SettingsError as error:
        problems.append(_undecodable(error))
    if settings is None or problems:
        raise ConfigError("\n".join(problems))
    return settings


def _validate(document: Mapping[str, Any], flags: Mapping[str, Any]) -> Settings:
    class Layered(Settings, BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix=ENV_PREFIX,
            env_nested_delimiter=ENV_DELIMITER,
            nested_model_default_partial_update=True,
            validate_default=False,
        )

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del dotenv_settings, file_secret_settings
            file = InitSettingsSource(settings_cls, init_kwargs=dict(document))
            return init_settings, env_settings, file

    layered = Layered(**flags)
    return Settings.model_construct(
        **{name: getattr(layered, name) for name in Settings.model_fields}
    )


def _missing_files(settings: Settings, origin: Origin) -> Iterator[str]:
    """Files that the settings name and that cannot be opened."""
    prometheus, kubernetes = settings.prometheus, settings.kubernetes
    files = {
        ("prometheus", "bearer_token_file"): prometheus.bearer_token_file,
        ("prometheus", "ca_file"): prometheus.ca_file,
        ("prometheus", "cert_file"): prometheus.cert_file,
        ("prometheus", "key_file"): prometheus.key_file,
        ("kubernetes", "kubeconfig"): kubernetes.kubeconfig,
    }
    for location, path in files.items():
        if path is None:
            continue
        try:
            path.open("rb").close()
        except OSError as error:
            problem = os.strerror(error.errno or 0).lower()
            yield f"{origin.name(location)}: {path} cannot be read: {problem}"


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Variables with our prefix that name no section: pydantic-settings passes them over."""
    known = [variable((name,)) for name in Settings.model_fields]
    for name in sorted(environment):
        rest = name.upper().removeprefix(ENV_PREFIX)
        head = ENV_PREFIX + rest.split(ENV_DELIMITER)[0]
        ours = name.upper().startswith(ENV_PREFIX) and not _SERVICE_LINK.search(rest)
        if ours and head not in known:
            yield f"{name}: {unknown(head, known)}"


def _undecodable(error: SettingsError) -> str:
    found = re.search(r'field "(\w+)"', str(error))
    name = variable((found[1],) if found else ())
    return f"{name}: not JSON: set single values instead, such as {name}{ENV_DELIMITER}KEY"
