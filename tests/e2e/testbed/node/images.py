"""Which local command an image name stands for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class ImageNotFoundError(Exception):
    """The image is in no registry: here, in no line of the images file."""


@dataclass(frozen=True)
class Image:
    """What an image brings: its entry point, its environment and its working directory."""

    command: tuple[str, ...]
    env: Mapping[str, str]
    working_directory: str | None


def load_image(path: Path, reference: str) -> Image:
    """Look an image up in the images file, first as written, then without tag and digest.

    The file is read each time, so that a test may add images to a running node.

    Raises:
        ImageNotFoundError: no line of the file matches.
    """
    entries = json.loads(path.read_text(encoding="utf-8"))
    for name in (reference, repository_of(reference)):
        entry = entries.get(name)
        if entry is not None:
            return Image(
                command=tuple(entry["command"]),
                env=dict(entry.get("env") or {}),
                working_directory=entry.get("workingDir"),
            )
    message = f"image {reference!r} is not in the images file"
    raise ImageNotFoundError(message)


def repository_of(reference: str) -> str:
    """Return an image reference without its digest and tag (a registry's port is no tag)."""
    without_digest = reference.partition("@")[0]
    head, slash, last = without_digest.rpartition("/")
    return head + slash + last.partition(":")[0]
