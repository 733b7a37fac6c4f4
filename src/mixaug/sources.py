"""Datasets that each worker opens itself, with samples read on access by row number."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .core.hints import short

Sample: TypeAlias = Mapping[str, Any]  #: the fields of one sample by name


class Samples(Protocol):
    """Samples by row number, such as a list of dicts."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> Any: ...


Openable: TypeAlias = str | os.PathLike[str] | Callable[[], Samples]  #: what a worker can open

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Folder:
    """The images of a folder with one sub-folder per class, read on access.

        self[i] = {"image": uint8 (h, w, 3), "label": the index of its sub-folder, sorted by name}

    Args:
        path: the folder. Rows are sorted by the name of the sub-folder, then by that of the file.
        image_size: resize images to squares with sides of this many pixels; None: do not resize.

    Raises:
        ValueError: if `path` is not such a folder, or an image cannot be read or has more than 8 bits per channel.
    """

    path: Path
    image_size: int | None = None

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, row: int) -> Sample:
        path, label = self._files[row]
        return {"image": picture(path, self.image_size), "label": label}

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the sub-folders."""
        if not self.path.is_dir():
            raise ValueError(f"source: expected a folder of images, got {self.path}, which is none; name one")
        return tuple(sorted(one.name for one in self.path.iterdir() if one.is_dir() and not one.name.startswith(".")))

    @cached_property
    def _files(self) -> list[tuple[Path, int]]:
        files = [
            (file, label)
            for label, name in enumerate(self.classes)
            for file in sorted((self.path / name).iterdir())
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
        ]
        if not files:
            raise ValueError(
                f"source: expected images in sub-folders of {self.path}, one a class, got none; put them there"
            )
        return files


def picture(path: Path, size: int | None = None) -> NDArray[np.uint8]:
    """Return an image file as uint8 (h, w, 3): upright, without alpha, resized to a square if `size` is given.

    Raises:
        ValueError: if it cannot be read, or has more than 8 bits per channel.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            image.load()
    except Exception as error:  # decoders raise errors of many types
        raise ValueError(
            f"source: expected an image, got {path}, which cannot be read ({error}); repair or remove it"
        ) from error
    if image.mode.startswith(("I", "F")):
        raise ValueError(
            f"source: expected 8 bits a channel, got {path} of mode {image.mode}; convert it to 8 bits first"
        )
    rgb = image.convert("RGB")
    if size is not None:
        rgb = rgb.resize((size, size), Image.Resampling.BICUBIC)
    return np.array(rgb)


def opened(source: object, parquet: Callable[[list[Path]], Samples] | None = None) -> Samples:
    """Open a source and return its samples.

    Args:
        source: a folder with one sub-folder per class, Parquet files (a file, or a folder of them), or a function that
            returns a sequence of dicts.
        parquet: a function that opens Parquet files.

    Raises:
        TypeError: if `source` is none of these. ValueError: if it cannot be read, or has no rows.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        files = [path] if path.suffix == ".parquet" else sorted(path.glob("*.parquet"))
        samples: Any = parquet(files) if files and parquet else Folder(path)
    elif callable(source) and not isinstance(source, type):
        samples = source()
    else:
        raise TypeError(
            f"source: expected a folder, Parquet files or a function that opens the data, got {short(source)}; "
            "pass a function of no arguments that returns it, such as lambda: data"
        )
    if not hasattr(samples, "__getitem__") or not hasattr(samples, "__len__"):
        raise TypeError(
            f"source: expected a function that opens something with a length and an index, got one that returns "
            f"{short(samples)}; return a list of dicts, or an object with __len__ and __getitem__"
        )
    if not len(samples):
        raise ValueError("source: expected one row or more, got none; name another source")
    return samples  # type: ignore[no-any-return]
