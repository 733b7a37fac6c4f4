"""Writing files: whole or not at all, through symbolic links, and never over anything but a regular file."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

_UNFINISHED = ".mixaug-"  #: how the names of temporary files begin


def write(path: str | os.PathLike[str], fill: Callable[[Path], object]) -> None:
    """Write a file whole or not at all: under a name that nobody can guess, to the disk, then in one move.

    A symbolic link is followed: its target is written, and the link stays. The temporary file is created in the folder
    of the target, exclusively, and no other file is ever removed. A file that is replaced keeps its permissions.

    Args:
        path: the file; its folder is made if it is missing.
        fill: is called with the path of the temporary file, of the same suffix, and writes the content.

    Raises:
        OSError: if `path` is anything but a regular file, is read-only, or cannot be written.
    """
    place = target(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_name(f"{_UNFINISHED}{token_hex(8)}{place.suffix}")
    unfinished.open("xb").close()  # O_CREAT | O_EXCL: never a file or a link that is there
    try:
        if place.exists():
            unfinished.chmod(stat.S_IMODE(place.stat().st_mode))
        fill(unfinished)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove temporary files that killed processes left in a folder, which no other process may be writing to."""
    for path in folder.rglob(f"{_UNFINISHED}{'[0-9a-f]' * 16}*"):
        if path.is_file() and not path.is_symlink():
            path.unlink()


def target(path: str | os.PathLike[str]) -> Path:
    """The file that is written where `path` is: the end of its symbolic links.

    Raises:
        OSError: if it is a folder, a pipe, a device or a socket, is read-only, or is no name of a file.
    """
    if not Path(path).name:
        raise OSError(errno.EINVAL, "no name of a file", os.fspath(path))
    place = Path(os.path.realpath(path))
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return place
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"{_kind(mode)}, which is no regular file", os.fspath(path))
    if not os.access(place, os.W_OK):
        raise OSError(errno.EACCES, "a file that is read-only", os.fspath(path))
    return place


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for matches, name in kinds if matches(mode)), "a device")
