"""The run folder: who may use it, and files in it that are whole or not there, whatever happens."""

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
except ImportError:  # Windows: nothing keeps two processes out of one folder there
    fcntl = None  # type: ignore[assignment]

RESUME = "make room or choose another --out; --resume goes on from what is finished"


def admit(config: Config, out: Path, resume: bool) -> None:
    """Refuse a folder that holds something else, or a run whose mixes were drawn otherwise."""
    if not resume:
        with writing(out):
            held = out.exists() and any(not entry.name.startswith(".") for entry in out.iterdir())
        if held:
            go_on = f"go on with --resume {out}, or " if (out / "config.json").exists() else ""
            raise LabError(f"expected an empty folder, got {out}, which holds something: {go_on}choose another --out")
        return
    there = Config.read(out)
    if name := there.difference(config):
        came = f"{option(name)} {getattr(config, name)} instead of {getattr(there, name)}"
        raise LabError(f"expected the configuration of {out}, got {came}: leave it as it was, or choose another --out")
    _check_draws(out / "versions.json")


def _check_draws(path: Path) -> None:
    """Refuse a run of another `ma.draw_version`, whose next epochs would be mixed otherwise than its first ones."""
    if not path.exists():  # stopped before anything was drawn
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
    """Refuse other files than those that a run began with, by their names.

    Args:
        files: the names of the files of each split.
        path: files.json of the run; without it nothing is refused.
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
    """Keep other processes out of the folder; the lock goes with the process, however that ends.

    Args:
        out: the folder.
        does: what another process would be doing there.

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
    """Write a text file whole or not at all."""
    write(path, lambda unfinished: unfinished.write_text(text, encoding="utf-8"))


def write(path: Path, fill: Callable[[Path], object], way_out: str = RESUME) -> None:
    """Write a file whole or not at all, as `files.write` does.

    Args:
        path: the file; its folder is made if it is missing.
        fill: is called with the path of a temporary file, of the same suffix, and writes the content.
        way_out: what to do if it cannot be written.

    Raises:
        LabError: if it cannot be written.
    """
    if not path.name:
        raise LabError(f"expected the name of a file, got {str(path)!r}: {way_out}")
    with writing(path, way_out):
        files.write(path, fill)


@contextmanager
def writing(path: Path, way_out: str = RESUME) -> Iterator[None]:
    """Turn an error of the file system into a sentence.

    Raises:
        LabError: what is done inside failed so.
    """
    try:
        yield
    except OSError as error:
        raise LabError(f"expected to write {path}, got {error.strerror or error}: {way_out}") from error
