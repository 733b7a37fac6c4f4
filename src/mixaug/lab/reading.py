"""Reading image files of others: upright, of eight bits, and never more of them than an image."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .errors import LabError

_READABLE_NOT = frozenset({"BUFR", "GRIB", "HDF5", "MPEG", "EPS"})  # stubs without a decoder; EPS runs Ghostscript


def visible(path: Path) -> list[Path]:
    """What a folder holds, by name, without what is hidden."""
    return sorted((entry for entry in path.iterdir() if not entry.name.startswith(".")), key=lambda entry: entry.name)


def image_files(path: Path) -> list[Path]:
    """The files in a folder that are images by their names."""
    return [file for file in visible(path) if file.is_file() and file.suffix.lower() in _extensions()]


@cache
def _extensions() -> frozenset[str]:
    return frozenset(ext for ext, name in Image.registered_extensions().items() if name in _formats())


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.OPEN if name not in _READABLE_NOT)


def upright(path: Path) -> Image.Image:
    """The image in a file, turned as its EXIF says, its mode as it is.

    Raises:
        LabError: it cannot be read, or is larger than an image should be.
    """
    try:
        with Image.open(path, formats=_formats()) as opened:
            return ImageOps.exif_transpose(opened)
    except Exception as error:  # each decoder has errors of its own
        raise LabError(f"expected an image, got {path}, which cannot be read ({error}): repair or remove it") from error


def picture(image: Image.Image, path: Path, size: int) -> Image.Image:
    """The image of a file as a square, in mode L or RGB.

    Raises:
        LabError: its pixels have 32 bits.
    """
    if image.mode in ("I", "F"):
        raise LabError(f"expected pixels of 8 or 16 bits, got {path} of 32: its range is unknown, so save it as 8 bits")
    if image.mode.startswith("I;16"):
        return squeezed(Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)), size)
    return squeezed(image.convert("L" if image.mode in ("1", "L", "LA", "La") else "RGB"), size)


def squeezed(image: Image.Image, size: int) -> Image.Image:
    """The image as a square, antialiased."""
    return image.resize((size, size), Image.Resampling.BICUBIC)


def alike(*groups: list[Image.Image]) -> list[NDArray[np.uint8]]:
    """Groups of images of one size as arrays (n, h, w, c): grey only if all of them are, else RGB."""
    mode = "L" if all(image.mode == "L" for group in groups for image in group) else "RGB"
    return [stack([image.convert(mode) for image in group]) for group in groups]


def stack(images: list[Image.Image]) -> NDArray[np.uint8]:
    """Images of one size and mode, L or RGB, as an array (n, h, w, c)."""
    return np.stack([np.asarray(image).reshape(image.height, image.width, -1) for image in images])
