"""Write files atomically, through symbolic links, and only over regular files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

_PREFIX = ".mixaug-"  #: the prefix of temporary files


def write(path: str | os.PathLike[str], fill: Callable[[Path], object]) -> None:
    """Write a file atomically: to a temporary file with a random name, synced to disk, then renamed.

    A symbolic link is followed: its target is written, and the link remains. The temporary file is created exclusively
    in the folder of the target; no other file is ever removed. A replaced file keeps its permissions.

    Args:
        path: the file; missing folders are created.
        fill: a function that writes the content to the path that it is given, which has the same suffix.

    Raises:
        OSError: if `path` exists and is not a regular file, is read-only, or cannot be written.
    """
    destination = target(path)
    destination.parent.mkdir(parents=True, exist_ok=True)
    unfinished = destination.with_name(f"{_PREFIX}{token_hex(8)}{destination.suffix}")
    unfinished.open("xb").close()  # O_CREAT | O_EXCL: fails if the name exists, even as a link
    try:
        if destination.exists():
            unfinished.chmod(stat.S_IMODE(destination.stat().st_mode))
        fill(unfinished)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(destination)
    finally:
        unfinished.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove temporary files left behind by killed processes; no other process may be writing to the folder."""
    for path in folder.rglob(f"{_PREFIX}{'[0-9a-f]' * 16}*"):
        if path.is_file() and not path.is_symlink():
            path.unlink()


def target(path: str | os.PathLike[str]) -> Path:
    """Return the file that writing to `path` writes: the target of its symbolic links.

    Raises:
        OSError: if it is a folder, a pipe, a device or a socket, is read-only, or has no file name.
    """
    if not Path(path).name:
        raise OSError(errno.EINVAL, "not a file name", os.fspath(path))
    resolved = Path(os.path.realpath(path))
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return resolved
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"{_kind(mode)}, not a regular file", os.fspath(path))
    if not os.access(resolved, os.W_OK):
        raise OSError(errno.EACCES, "a read-only file", os.fspath(path))
    return resolved


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for matches, name in kinds if matches(mode)), "a device")
