"""`$(VAR)` expansion in `command`, `args` and `env`, as Kubernetes defines it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value.

    An unknown name stays as it is written, `$$` is one dollar sign, and an unclosed `$(` is
    literal text.
    """
    parts: list[str] = []
    position = 0
    while (dollar := text.find("$", position)) != -1:
        parts.append(text[position:dollar])
        following = text[dollar + 1 : dollar + 2]
        if following == "$":
            parts.append("$")
            position = dollar + 2
            continue
        closing = text.find(")", dollar + 2) if following == "(" else -1
        if closing == -1:
            parts.append("$")
            position = dollar + 1
            continue
        reference = text[dollar : closing + 1]
        parts.append(variables.get(reference[2:-1], reference))
        position = closing + 1
    parts.append(text[position:])
    return "".join(parts)
