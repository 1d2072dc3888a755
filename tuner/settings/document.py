"""The YAML file of the settings, read strictly."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tuner.errors import ConfigError
from tuner.settings.names import below, unknown, yaml_keys
from tuner.settings.operator import Settings
from tuner.settings.section import Section


@dataclass(frozen=True, slots=True)
class Document:
    """What the file says."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    """Known keys in Python's names. Null means not set, so that a section can be left empty."""
    problems: tuple[str, ...] = ()
    """One line for each unknown key."""


def read_document(path: Path) -> Document:
    """Read the file.

    Raises:
        ConfigError: It is missing, unreadable or not YAML.
    """
    content = _parse(path)
    if content is None:
        return Document()
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path}: holds no mapping: write keys and values such as 'interval: 15s'"
        )
    problems: list[str] = []
    fields = _rename(Settings, content, "", problems)
    return Document(fields, tuple(f"{path}: {problem}" for problem in problems))


class _Loader(yaml.SafeLoader):
    """Refuses what PyYAML passes over in silence, or trips over without saying where."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                problem = "a key is not plain text"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            if key.value in seen:
                problem = f"key {key.value} is there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401 - any YAML value
        try:
            return super().construct_object(node, deep=deep)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            kind = node.tag.rpartition(":")[2]
            problem = f"{node.value!r} is no {kind}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


def _parse(path: Path) -> object:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file: name an existing one with --config") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem}") from error
    except RecursionError:
        raise ConfigError(f"{path}: not valid YAML: nested too deeply") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from error


def _rename(
    section: type[Section], content: Mapping[object, Any], path: str, problems: list[str]
) -> dict[str, Any]:
    names = yaml_keys(section)
    fields: dict[str, Any] = {}
    for key, value in content.items():
        name = names.get(str(key))
        if name is None:
            problems.append(f"{path}{key}: {unknown(str(key), names, path)}")
            continue
        inner = below(section, name)
        if inner is not None and isinstance(value, dict):
            fields[name] = _rename(inner, value, f"{path}{key}.", problems)
        elif value is not None:
            fields[name] = value
    return fields
