"""Reading image files: upright, of eight bits, and never more of a file than an image."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .errors import LabError, UnreadableError

_BITS, _RANGE = "mixaug_bits", "mixaug_range"  # in `info`: bits a channel in the file; lowest and highest value
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


def upright(path: Path, content: bytes | None = None) -> Image.Image:
    """The image in a file, turned as its EXIF says, its mode as it is.

    Args:
        path: the file, or what errors call the image if its content is given.
        content: the bytes of the file; None: they are read from `path`.

    Raises:
        UnreadableError: it cannot be read, or is larger than an image should be.
    """
    try:
        with Image.open(path if content is None else io.BytesIO(content), formats=_formats()) as opened:
            deep = any(";16" in str(tile.args) for tile in opened.tile)  # before it is decoded
            image = ImageOps.exif_transpose(opened)
    except Exception as error:  # each decoder has errors of its own
        raise UnreadableError(path, " ".join(str(error).split()) or type(error).__name__) from error
    image.info[_BITS] = 16 if deep else 8
    return image


def picture(image: Image.Image, path: Path, size: int) -> Image.Image:
    """The image of a file as a square, in mode L or RGB; in mode F where it is grey with 16 bits: see `decoded`.

    Raises:
        LabError: its pixels have 32 bits.
    """
    deep = image.info.get(_BITS) == 16
    if image.mode.startswith("I;16") or (image.mode == "I" and deep):
        pixels = np.asarray(image).astype(np.float32)
        square = squeezed(Image.fromarray(pixels), size)
        square.info[_RANGE] = int(pixels.min()), int(pixels.max())
        return square
    if image.mode in ("I", "F"):
        raise LabError(f"expected pixels of 8 or 16 bits, got {path} of 32: its range is unknown, so save it as 8 bits")
    return squeezed(image.convert("L" if image.mode in ("1", "L", "LA", "La") else "RGB"), size)


def squeezed(image: Image.Image, size: int) -> Image.Image:
    """The image as a square, antialiased."""
    return image.resize((size, size), Image.Resampling.BICUBIC)


class Cell(NamedTuple):
    """An image or a mask as a square, and what its file was.

    Args:
        pixels: uint8 (size, size, 3), or (size, size) for a mask; float32 (size, size) for grey of 16 bits.
        grey: whether the file has no colours.
        bits: bits a channel in the file.
        range: the lowest and highest value in a grey file of 16 bits; () for other files.
        ids: all class ids in the file of a mask, whether or not they are in `pixels`.
    """

    pixels: NDArray[np.generic]
    grey: bool
    bits: int = 8
    range: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()


def cell(image: Image.Image, path: Path, size: int) -> Cell:
    """The image of a file as a square: see `picture`."""
    square = picture(image, path, size)
    if square.mode == "F":
        return Cell(np.asarray(square), True, 16, square.info[_RANGE])
    return Cell(np.asarray(square.convert("RGB")), square.mode == "L", square.info.get(_BITS, 8))


def stack(images: list[Image.Image]) -> NDArray[np.uint8]:
    """Images of one size and mode, L or RGB, as an array (n, h, w, c)."""
    return np.stack([np.asarray(image).reshape(image.height, image.width, -1) for image in images])
