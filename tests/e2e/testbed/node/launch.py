"""What a container's process does before it becomes the container's command.

Started as a script of its own by the node (`python -I -S launch.py SPEC`): it asks to die with
its parent, enters a private mount namespace, binds the volumes where the container wants them
and then turns into the command, keeping its process id. Paths that do not exist on the machine
are made on small tmpfs mounts that only this process sees, so the machine itself is unchanged.

SPEC is a JSON file: `parent` (process id), `argv`, `env`, `cwd`, `mounts` (list of `source`,
`target`, `read_only`), `scratch` (an empty directory), `join` (process id whose mounts are
used instead, or null), `read_only_root` (whether all but the writable mounts is read-only) and
`user` (list of uid and gid to become, or null; only root can).
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import stat
import struct
import sys
from pathlib import Path
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_RDONLY = 1
_MS_REMOUNT = 32
_MS_BIND = 4096
_MS_REC = 16384
_MS_PRIVATE = 1 << 18
_SYS_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 1
_CANNOT_START = 128
# When the machine itself runs out of memory, a container goes before the control plane.
_OOM_SCORE = "500"

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()
    )
    _check(result, f"mount {source} on {target}")


def _die_with_parent(parent: int) -> None:
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != parent:
        sys.exit(_CANNOT_START)


def _enter_private_namespace() -> None:
    user, group = os.geteuid(), os.getegid()
    flags = _CLONE_NEWNS if user == 0 else _CLONE_NEWNS | _CLONE_NEWUSER
    _check(_libc.unshare(flags), "unshare")
    if user != 0:
        for name, line in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            Path(f"/proc/self/{name}").write_text(line, encoding="ascii")
    _mount("none", "/", "", _MS_REC | _MS_PRIVATE)


def _join_namespace(process: int) -> None:
    """Take over the mounts and the root of a running container."""
    root = os.open(f"/proc/{process}/root", os.O_RDONLY | os.O_DIRECTORY)
    kinds = ("mnt",) if os.geteuid() == 0 else ("user", "mnt")
    handles = [os.open(f"/proc/{process}/ns/{kind}", os.O_RDONLY) for kind in kinds]
    for handle in handles:
        _check(_libc.setns(handle, 0), "setns")
    os.fchdir(root)
    os.chroot(".")


def _bind(source: Path, target: Path) -> None:
    """Bind what is at `source` to a place that is made for it."""
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    elif not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    _mount(str(source), str(target), "", _MS_BIND | _MS_REC)


def _show_again(origin: int, names: list[str], target: Path) -> None:
    """Show the entries of the directory open at `origin` in the fresh tmpfs at `target`."""
    for name in names:
        source = Path(f"/proc/self/fd/{origin}", name)
        if source.is_symlink():
            (target / name).symlink_to(source.readlink())
        else:
            _bind(source, target / name)


def _replace_root(scratch: Path) -> int:
    """Move to a root directory that looks the same and takes new entries; return its device."""
    origin = os.open("/", os.O_PATH | os.O_DIRECTORY)
    names = [entry.name for entry in Path("/").iterdir()]
    _mount("none", str(scratch), "tmpfs", 0, "mode=755")
    _show_again(origin, names, scratch)
    os.chroot(scratch)
    os.chdir("/")
    return Path("/").stat().st_dev


def _cover(directory: Path) -> int:
    """Put a tmpfs with the same entries over a directory; return its device."""
    origin = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    names = [entry.name for entry in directory.iterdir()]
    mode = stat.S_IMODE(directory.stat().st_mode)
    _mount("none", str(directory), "tmpfs", 0, f"mode={mode:o}")
    _show_again(origin, names, directory)
    return directory.stat().st_dev


def _make_read_only(target: Path) -> None:
    kept = os.statvfs(target).f_flag & (os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC)
    _mount("none", str(target), "", _MS_BIND | _MS_REMOUNT | _MS_RDONLY | kept)


def _make_root_read_only(writable: list[str]) -> None:
    """Leave only these mounts writable, and what every container may write to."""
    _set_attributes("/", _AT_RECURSIVE, added=_MOUNT_ATTR_RDONLY)
    for target in ("/dev", "/proc", *writable):
        _set_attributes(target, 0, removed=_MOUNT_ATTR_RDONLY)


def _set_attributes(target: str, flags: int, *, added: int = 0, removed: int = 0) -> None:
    attributes = struct.pack("QQQQ", added, removed, 0, 0)
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_long(_AT_FDCWD),
        target.encode(),
        ctypes.c_ulong(flags),
        attributes,
        ctypes.c_size_t(len(attributes)),
    )
    _check(result, f"mount_setattr on {target}")


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _nearest_directory(target: Path) -> Path:
    return next(parent for parent in target.parents if parent.is_dir()).resolve()


def _mount_volumes(mounts: list[dict[str, Any]], scratch: Path) -> None:
    # Opened before anything moves: a mount may hide the place where the volumes lie.
    sources = [os.open(mount["source"], os.O_PATH) for mount in mounts]
    targets = [Path(mount["target"]) for mount in mounts]
    private_devices: set[int] = set()
    mounted: list[Path] = []
    if any(not os.path.lexists(Path(*target.parts[:2])) for target in targets):
        private_devices.add(_replace_root(scratch))
    for source, target, mount in sorted(
        zip(sources, targets, mounts, strict=True), key=lambda item: len(item[1].parts)
    ):
        if not target.exists():
            ancestor = _nearest_directory(target)
            in_volume = any(ancestor.is_relative_to(place) for place in mounted)
            if not in_volume and ancestor.stat().st_dev not in private_devices:
                private_devices.add(_cover(ancestor))
        _bind(Path(f"/proc/self/fd/{source}"), target)
        if mount["read_only"]:
            _make_read_only(target)
        mounted.append(target.resolve())
    for source in sources:
        os.close(source)


def _execute(argv: list[str], env: dict[str, str]) -> NoReturn:
    # Python ignores these and the command would inherit that.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(argv[0], argv, env)  # noqa: S606 - running the command is the purpose


def main(file: Path) -> None:
    """Become the command that the spec in `file` describes."""
    spec = json.loads(file.read_text(encoding="utf-8"))
    # It holds the values of Secrets.
    file.unlink()
    try:
        if spec["join"] is not None:
            _join_namespace(spec["join"])
        elif spec["mounts"] or spec["read_only_root"]:
            _enter_private_namespace()
            _mount_volumes(spec["mounts"], Path(spec["scratch"]))
            if spec["read_only_root"]:
                writable = [each["target"] for each in spec["mounts"] if not each["read_only"]]
                _make_root_read_only(writable)
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
        os.chdir(spec["cwd"])
        if spec["user"] is not None and os.geteuid() == 0:
            _become(*spec["user"])
        _die_with_parent(spec["parent"])  # a change of user would undo it
        _execute(spec["argv"], spec["env"])
    except OSError as error:
        sys.stderr.write(f"container could not be started: {error}\n")
        sys.exit(_CANNOT_START)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
