"""Which local command an image name stands for, and what of the machine its containers see."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.testbed.node.process import Mount, User

if TYPE_CHECKING:
    from collections.abc import Mapping


class ImageNotFoundError(Exception):
    """The image is in no registry: here, in no line of the images file."""


@dataclass(frozen=True)
class Image:
    """What an image brings.

    `command` is its entry point and `arguments` what follows it where a container says nothing
    else; `user` is None for the node's own. `mounts` are its files.
    """

    command: tuple[str, ...]
    arguments: tuple[str, ...]
    env: Mapping[str, str]
    working_directory: str | None
    user: User | None
    mounts: tuple[Mount, ...]


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
                arguments=tuple(entry.get("args") or ()),
                env=dict(entry.get("env") or {}),
                working_directory=entry.get("workingDir"),
                user=User.parse(entry.get("user") or ""),
                mounts=tuple(
                    Mount(Path(each["source"]), each["target"], read_only=True)
                    for each in entry.get("mounts") or ()
                ),
            )
    message = f"image {reference!r} is not in the images file"
    raise ImageNotFoundError(message)


def user_of(image: Image, security: Mapping[str, Any]) -> User | None:
    """Return who a container runs as.

    Args:
        image: its image.
        security: its security context, over that of its pod.
    """
    user = image.user
    uid, gid = security.get("runAsUser"), security.get("runAsGroup")
    if uid is not None:
        user = User(int(uid))
    if gid is not None:
        user = User(0 if user is None else user.uid, int(gid))
    return user


def repository_of(reference: str) -> str:
    """Return an image reference without its digest and tag (a registry's port is no tag)."""
    without_digest = reference.partition("@")[0]
    head, slash, last = without_digest.rpartition("/")
    return head + slash + last.partition(":")[0]
