"""The run folder: locking, and files that are written atomically."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import files
from ..core.keys import draw_version
from .config import Config, option
from .errors import LabError

try:
    import fcntl
except ImportError:  # Windows: folders are not locked
    fcntl = None  # type: ignore[assignment]

RESUME = "make room or choose another --out; --resume goes on from what is finished"


def admit(config: Config, out: Path, resume: bool) -> None:
    """Raise a LabError for a folder with other content, or with a run of another `ma.draw_version`."""
    if not resume:
        with writing(out):
            has_files = out.exists() and any(not entry.name.startswith(".") for entry in out.iterdir())
        if has_files:
            go_on = f"go on with --resume {out}, or " if (out / "config.json").exists() else ""
            raise LabError(f"expected an empty folder, got {out}, which holds something: {go_on}choose another --out")
        return
    earlier = Config.read(out)
    if name := earlier.difference(config):
        came = f"{option(name)} {getattr(config, name)} instead of {getattr(earlier, name)}"
        raise LabError(f"expected the configuration of {out}, got {came}: leave it as it was, or choose another --out")
    _check_draws(out / "versions.json")


def _check_draws(path: Path) -> None:
    """Raise a LabError for a run of another `ma.draw_version`, as its later epochs would be mixed differently."""
    if not path.exists():  # stopped before the first draw
        return
    try:
        versions = json.loads(path.read_text(encoding="utf-8"))
        drawn = versions.get("draw_version")
    except (OSError, ValueError, AttributeError) as error:
        raise LabError(f"{path} cannot be used ({error}): restore it, or start anew with another --out") from error
    if drawn != draw_version:
        raise LabError(
            f"expected a run of draw version {draw_version} in {path.parent}, got {drawn}: go on with mixaug "
            f"{versions.get('mixaug')}, which it began with, or start anew with another --out"
        )


def check_files(files: dict[str, list[str]], path: Path) -> None:
    """Raise a LabError if the names of the data files differ from those at the start of the run.

    Args:
        files: the names of the files of each split.
        path: files.json of the run; if it does not exist, nothing is checked.
    """
    if not path.exists():
        return
    try:
        before = {split: set(names) for split, names in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise LabError(f"{path} cannot be used ({error}): restore it, or start anew with another --out") from error
    for split in sorted({*before, *files}):
        there, now = before.get(split, set()), set(files.get(split, []))
        changed = [
            f"{len(names)} {what} ({min(names)})"
            for names, what in ((now - there, "new"), (there - now, "gone"))
            if names
        ]
        if changed:
            raise LabError(
                f"expected the {split} images that {path.parent} began with, got {' and '.join(changed)}: restore the "
                "folder, or choose another --out"
            )


@contextmanager
def locked(out: Path, does: str = "trains") -> Iterator[None]:
    """Lock the folder against other processes; the lock ends with the process.

    Args:
        out: the folder.
        does: what the other process does, for the error.

    Raises:
        LabError: if another process has locked it.
    """
    if fcntl is None:
        yield
        return
    folder = os.open(out, os.O_RDONLY)
    try:
        _lock(folder, out, does)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, out: Path, does: str) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LabError(f"expected {out} for itself, got one in which another process {does}: wait for it") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    write(path, lambda unfinished: unfinished.write_text(text, encoding="utf-8"))


def write(path: Path, fill: Callable[[Path], object], way_out: str = RESUME) -> None:
    """Write a file atomically, as `files.write` does.

    Args:
        path: the file; its folder is created if it is missing.
        fill: a function that writes the content to a temporary path with the same suffix.
        way_out: the way out in the error.

    Raises:
        LabError: if it cannot be written.
    """
    if not path.name:
        raise LabError(f"expected the name of a file, got {str(path)!r}: {way_out}")
    with writing(path, way_out):
        files.write(path, fill)


@contextmanager
def writing(path: Path, way_out: str = RESUME) -> Iterator[None]:
    """Turn errors of the file system into a LabError.

    Raises:
        LabError: if the `with` block raises an OSError.
    """
    try:
        yield
    except OSError as error:
        raise LabError(f"expected to write {path}, got {error.strerror or error}: {way_out}") from error
