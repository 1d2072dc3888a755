"""How a setting is called: in Python, in YAML, in the environment; and what was probably meant."""

import difflib
from collections.abc import Iterable

from tuner.settings.operator import Settings
from tuner.settings.section import Section

ENV_PREFIX = "GC_TUNER_"
ENV_DELIMITER = "__"

Location = tuple[str | int, ...]
"""Place of a value in the settings, in Python's names."""


def below(section: type[Section], name: str) -> type[Section] | None:
    """The section that a field holds, if it holds one."""
    kind = section.model_fields[name].annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def yaml_keys(section: type[Section]) -> dict[str, str]:
    """Names of a section's fields by their keys in YAML."""
    fields = section.model_fields.items()
    return {field.serialization_alias or name: name for name, field in fields}


def section_at(location: Location) -> type[Section] | None:
    """The section at a location, if there is one."""
    section: type[Section] | None = Settings
    for part in location:
        if section is None or part not in section.model_fields:
            return None
        section = below(section, str(part))
    return section


def yaml_path(location: Location) -> str:
    """A location as YAML has it: ``prometheus.bearerTokenFile``."""
    keys = []
    for depth, part in enumerate(location):
        section = section_at(location[:depth])
        names = {} if section is None else {name: key for key, name in yaml_keys(section).items()}
        keys.append(names.get(str(part), str(part)))
    return ".".join(keys)


def variable(location: Location) -> str:
    """A location as the environment has it: ``GC_TUNER_PROMETHEUS__BEARER_TOKEN_FILE``."""
    return ENV_PREFIX + ENV_DELIMITER.join(str(part).upper() for part in location)


def unknown(name: str, known: Iterable[str], path: str = "") -> str:
    """A hint at the valid name that was probably meant, or at all of them."""
    folded = {each.lower().replace("_", ""): each for each in known}
    found = difflib.get_close_matches(name.lower().replace("_", ""), folded, n=1)
    if found:
        return f"unknown, did you mean {path}{folded[found[0]]}?"
    return f"unknown, there are {', '.join(folded.values())}"
