"""Reading image files: upright, of eight bits, and never more of a file than an image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .errors import LabError

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


def upright(path: Path) -> Image.Image:
    """The image in a file, turned as its EXIF says, its mode as it is.

    Raises:
        LabError: it cannot be read, or is larger than an image should be.
    """
    try:
        with Image.open(path, formats=_formats()) as opened:
            deep = any(";16" in str(tile.args) for tile in opened.tile)  # before it is decoded
            image = ImageOps.exif_transpose(opened)
    except Exception as error:  # each decoder has errors of its own
        raise LabError(f"expected an image, got {path}, which cannot be read ({error}): repair or remove it") from error
    image.info[_BITS] = 16 if deep else 8
    return image


def picture(image: Image.Image, path: Path, size: int) -> Image.Image:
    """The image of a file as a square, in mode L or RGB; in mode F where it is grey with 16 bits: see `alike`.

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


def alike(*groups: list[Image.Image]) -> list[NDArray[np.uint8]]:
    """Groups of images of one size as arrays (n, h, w, c): grey only if all of them are, else RGB.

    Grey images of 16 bits are scaled by the range of all of them, for cameras and scanners rarely fill 16 bits:

        pixel = (pixel - lowest) * 255 / (highest - lowest)
    """
    lowest, highest = _range(groups) or (0, 0)
    scale = 255 / max(1, highest - lowest)

    def eight_bits(image: Image.Image) -> Image.Image:
        if image.mode != "F":
            return image
        pixels = (np.asarray(image) - lowest) * scale
        return Image.fromarray(np.rint(pixels).clip(0, 255).astype(np.uint8))

    ready = [[eight_bits(image) for image in group] for group in groups]
    mode = "L" if all(image.mode == "L" for group in ready for image in group) else "RGB"
    return [stack([image.convert(mode) for image in group]) for group in ready]


def notes(what: str, *groups: list[Image.Image]) -> tuple[str, ...]:
    """What was done to images of 16 bits, a sentence each, where there are any."""
    deep = [image for group in groups for image in group if _RANGE in image.info or image.info.get(_BITS) == 16]
    grey = sum(image.mode == "F" for image in deep)
    found = _range(groups)
    said = []
    if found:
        said.append(f"{_files(what, grey)} 16 bits: their range, {found[0]} to {found[1]}, is scaled to 0 to 255")
    if len(deep) > grey:
        said.append(f"{_files(what, len(deep) - grey)} 16 bits a channel, of which the upper 8 are read")
    return tuple(said)


def _files(what: str, count: int) -> str:
    return f"{count} {what} file has" if count == 1 else f"{count} {what} files have"


def _range(groups: Sequence[list[Image.Image]]) -> tuple[int, int] | None:
    """The lowest and the highest value in the files of grey images of 16 bits."""
    ranges = [image.info[_RANGE] for group in groups for image in group if image.mode == "F"]
    return (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None


def stack(images: list[Image.Image]) -> NDArray[np.uint8]:
    """Images of one size and mode, L or RGB, as an array (n, h, w, c)."""
    return np.stack([np.asarray(image).reshape(image.height, image.width, -1) for image in images])
