"""What takes long to make is made once, into a cache outside the checkout.

Each thing is a folder of the cache, named after what it is and a hash of everything that decides
what is in it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_UNUSED_FOLDER_DAYS = 14


class BuildError(RuntimeError):
    """A part of the test bed could not be built; the text says what to do."""


def default_cache() -> Path:
    """Return the folder of all that was built: under XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "gc-tuner" / "testbed"


def cached(cache: Path, name: str, key: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of a thing, making it if it does not exist.

    Two processes may call it at the same time: the second waits for the first.

    Args:
        cache: where the folders are.
        name: of the thing, for people.
        key: hash of everything that decides what is in the folder.
        make: fills an empty folder; nothing is kept where it raises.
    """
    target = cache / f"{name}-{key}"
    if _use(target):
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f".{name}.lock", f"another process builds {name}"):
        if _use(target):
            return target
        unfinished = cache / f".{target.name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        make(unfinished)
        unfinished.rename(target)
        _forget_unused(cache, name)
    return target


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(f"testbed: {text}\n")
    sys.stderr.flush()


def _use(folder: Path) -> bool:
    """Return whether a built folder is there, marking it as used today if so."""
    try:
        os.utime(folder)
    except FileNotFoundError:
        return False
    return True


def _forget_unused(cache: Path, name: str) -> None:
    """Remove builds of a thing that nobody has used for a while: one is left per edit."""
    oldest = time.time() - _UNUSED_FOLDER_DAYS * 86_400
    for folder in cache.glob(f"{name}-*"):
        if folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(path: Path, meanwhile: str) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting: {meanwhile}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
