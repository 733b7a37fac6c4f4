"""Read image files safely: upright, with limits on formats and sizes."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .errors import LabError, UnreadableError

_BITS, _RANGE = "mixaug_bits", "mixaug_range"  # keys in `info`: bits per channel in the file; lowest and highest value
_READABLE_NOT = frozenset({"BUFR", "GRIB", "HDF5", "MPEG", "EPS"})  # stubs without a decoder; EPS runs Ghostscript


def visible(path: Path) -> list[Path]:
    """Return the entries of a folder that are not hidden, sorted by name."""
    return sorted((entry for entry in path.iterdir() if not entry.name.startswith(".")), key=lambda entry: entry.name)


def image_files(path: Path) -> list[Path]:
    """Return the files in a folder with the suffix of an image format."""
    return [file for file in visible(path) if file.is_file() and file.suffix.lower() in _extensions()]


@cache
def _extensions() -> frozenset[str]:
    return frozenset(ext for ext, name in Image.registered_extensions().items() if name in _formats())


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.OPEN if name not in _READABLE_NOT)


def upright(path: Path, content: bytes | None = None) -> Image.Image:
    """Return the image in a file, turned upright by its EXIF orientation, in its original mode.

    Args:
        path: the file, or its name in errors if `content` is given.
        content: the bytes of the file; None: read `path`.

    Raises:
        UnreadableError: if it cannot be read or is too large.
    """
    try:
        with Image.open(path if content is None else io.BytesIO(content), formats=_formats()) as opened:
            deep = any(";16" in str(tile.args) for tile in opened.tile)  # known only before decoding
            image = ImageOps.exif_transpose(opened)
    except Exception as error:  # decoders raise errors of many types
        raise UnreadableError(path, " ".join(str(error).split()) or type(error).__name__) from error
    image.info[_BITS] = 16 if deep else 8
    return image


def picture(image: Image.Image, path: Path, size: int) -> Image.Image:
    """Return the image of a file as a square in mode L or RGB, or F for 16-bit grey images: see `decoded`.

    Raises:
        LabError: if its pixels have 32 bits.
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
    """Return the image resized to a square, with antialiasing."""
    return image.resize((size, size), Image.Resampling.BICUBIC)


class Cell(NamedTuple):
    """An image or a mask as a square, and the properties of its file.

    Args:
        pixels: uint8 (size, size, 3), or (size, size) for a mask; float32 (size, size) for 16-bit grey images.
        grey: whether the file is greyscale.
        bits: bits per channel in the file.
        range: the lowest and highest value in a 16-bit grey file; () for other files.
        ids: all class ids in the file of a mask, including those that resizing removed.
    """

    pixels: NDArray[np.generic]
    grey: bool
    bits: int = 8
    range: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()


def cell(image: Image.Image, path: Path, size: int) -> Cell:
    """Return the image of a file as a square: see `picture`."""
    square = picture(image, path, size)
    if square.mode == "F":
        return Cell(np.asarray(square), True, 16, square.info[_RANGE])
    return Cell(np.asarray(square.convert("RGB")), square.mode == "L", square.info.get(_BITS, 8))


def stack(images: list[Image.Image]) -> NDArray[np.uint8]:
    """Return images of the same size and mode, L or RGB, as an array (n, h, w, c)."""
    return np.stack([np.asarray(image).reshape(image.height, image.width, -1) for image in images])
