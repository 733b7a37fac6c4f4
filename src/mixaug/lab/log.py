"""The log of a run folder: the measures of each finished epoch, and hashes that identify the other files."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from .. import files
from .errors import LabError
from .folder import write_text, writing

Line: TypeAlias = dict[str, Any]  #: a line of epochs.jsonl


DESCRIBED = ("config.json", "data.json")  #: the files that describe the run


class Place(NamedTuple):
    """An epoch of a run, counted from 1."""

    arm: str
    seed: int
    epoch: int

    def __str__(self) -> str:
        return f"arm {self.arm}, seed {self.seed}, epoch {self.epoch}"


@dataclass(frozen=True)
class Log:
    """epochs.jsonl of a run folder: one line per finished epoch.

    A line has hashes: `network` of the network's file after that epoch, `result` of the outputs for the test images
    (after the last epoch), `run` of config.json and data.json, and `line` of all of these and of the numbers.

    Args:
        path: the file, in the run folder.
    """

    path: Path

    @cached_property
    def run(self) -> str:
        """The hash of the files that describe the run."""
        described = [file.read_bytes() if file.exists() else b"" for file in map(self.path.with_name, DESCRIBED)]
        return hashlib.sha256(b"\0".join(described)).hexdigest()[:32]

    def append(self, line: Line) -> Line:
        """Add hashes to a line, write it, sync it to disk, and return it."""
        signed = {**line, "run": self.run}
        signed["line"] = _of_line(signed)
        with writing(self.path), files.target(self.path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(signed) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return signed

    def lines(self) -> dict[Place, Line]:
        """Return the lines, except a last line that is incomplete.

        Raises:
            LabError: if a line, config.json or data.json was changed.
        """
        if not self.path.exists():
            return {}
        with writing(self.path):
            content = files.target(self.path).read_text(encoding="utf-8", errors="replace")
        texts = content[: content.rfind("\n") + 1].splitlines()
        return dict(self._checked(text, number) for number, text in enumerate(texts, 1))

    def _checked(self, text: str, number: int) -> tuple[Place, Line]:
        name, way_out = f"line {number} of {self.path}", "restore it, or start anew with another --out"
        try:
            line = json.loads(text)
            place = Place(line["arm"], line["seed"], line["epoch"])
            name = f"{name} ({place})"
            whole = line["line"] == _of_line(line)
        except (ValueError, TypeError, KeyError) as error:
            raise LabError(f"expected {name} as it was written, got text that is something else: {way_out}") from error
        if not whole:
            raise LabError(f"expected {name} as it was written, got one that was changed: {way_out}")
        if line["run"] != self.run:
            raise LabError(
                f"expected config.json and data.json in {self.path.parent} as they were when {name} was written, "
                "got others: restore them, or start anew with another --out"
            )
        return place, line

    def keep(self, finished: Mapping[tuple[str, int], int]) -> None:
        """Drop the lines of unfinished epochs and an incomplete last line; `finished` counts epochs by (arm, seed).

        Raises:
            LabError: if the line of a finished epoch is missing.
        """
        lines = self.lines()
        for (arm, seed), epochs in finished.items():
            for epoch in range(1, epochs + 1):
                if (place := Place(arm, seed, epoch)) not in lines:
                    way_out = "restore it, or start anew with another --out"
                    raise LabError(f"expected {place} in {self.path}, got none: {way_out}")
        kept = [line for place, line in lines.items() if place.epoch <= finished.get(place[:2], 0)]
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))


def _of_line(line: Line) -> str:
    """Return the hash of a line, computed without its own `line` entry."""
    rest = {name: value for name, value in line.items() if name != "line"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:32]


def of_file(path: Path) -> str:
    """Return the hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def of_arrays(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the hash of named arrays, independent of the file format.

    >>> of_arrays({"a": np.zeros(2), "b": np.ones(1)}) == of_arrays({"b": np.ones(1), "a": np.zeros(2)})
    True
    """
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:32]


def arrays_of(path: Path) -> dict[str, NDArray[Any]] | None:
    """Return the arrays of a result, read without pickle; None if the file is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, AttributeError, BadZipFile, zlib.error):
        return None
