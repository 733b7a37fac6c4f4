"""Draw pictures: enlarged images, overlays of masks and boxes, text, and their arrangement in rows and columns."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from . import files

Colour: TypeAlias = tuple[int, int, int]
Font: TypeAlias = Any  # Pillow's FreeTypeFont, or its built-in font without FreeType

INK, QUIET, FAINT, PAPER = (28, 30, 34), (98, 102, 110), (240, 241, 243), (255, 255, 255)
GAP = 16
SEAM = 4  #: the gap between pictures of the same output
SMALLEST, LARGEST = 144, 256  #: the range of the longer side of a picture, in pixels

#: The colours of the sources, distinct for every type of color blindness and legible as text on white.
PALETTE = ((0, 103, 173), (201, 72, 0), (0, 122, 92), (168, 58, 128), (82, 82, 82), (124, 92, 0), (88, 64, 190))

#: The format of a picture and its options for Pillow, by file suffix.
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {"optimize": True}),
    **dict.fromkeys((".jpg", ".jpeg"), ("JPEG", {"quality": 95, "subsampling": 0})),
    ".webp": ("WEBP", {"lossless": True}),
    **dict.fromkeys((".tif", ".tiff"), ("TIFF", {"compression": "tiff_adobe_deflate"})),
    ".bmp": ("BMP", {}),
    ".pdf": ("PDF", {"quality": 95}),
}

_MASK_OPACITY = 0.6
_ORIGIN_OPACITY = 0.7
_SWATCH = 10  # the side of a square of colour in a legend, in pixels
_BACKGROUND = (150, 150, 150)  # the colour of class 0, the background in most masks
_CLASSES = (  # Tableau's ten colours, then their lighter versions, without the greys
    *((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75), (227, 119, 194)),
    *((188, 189, 34), (23, 190, 207), (174, 199, 232), (255, 187, 120), (152, 223, 138), (255, 152, 150)),
    *((197, 176, 213), (196, 156, 148), (247, 182, 210), (219, 219, 141), (158, 218, 229)),
)


# --- images, masks, boxes ---


def shown(pixels: NDArray[np.uint8]) -> Image.Image:
    """Return the picture of uint8 (h, w, 1 or 3), enlarged by an integer factor or reduced to fit `LARGEST`."""
    height, width = pixels.shape[:2]
    picture = Image.fromarray(np.broadcast_to(pixels, (height, width, 3)).copy())
    factor = math.ceil(SMALLEST / max(height, width))
    if factor > 1:
        return picture.resize((width * factor, height * factor), Image.Resampling.NEAREST)
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.BOX)
    return picture


def class_colour(i: int) -> Colour:
    """Return the colour of class i: grey for 0, then 18 distinct colours in turn."""
    return _BACKGROUND if i == 0 else _CLASSES[(i - 1) % len(_CLASSES)]


def source_colour(j: int) -> Colour:
    """Return the colour of source j."""
    return PALETTE[j % len(PALETTE)]


def veiled(image: NDArray[np.uint8], mask: NDArray[Any], ignore_index: int | None = None) -> NDArray[np.uint8]:
    """Overlay an image in grey with the colours of its classes; ignored pixels are pale.

        output = 0.6 * colour[mask] + 0.4 * grey of the image

    Args:
        image: uint8 (h, w, 1 or 3).
        mask: class ids, integers (h, w); negative ids are ignored.
        ignore_index: the id of ignored pixels.

    Returns:
        uint8 (h, w, 3).
    """
    ids = mask.astype(np.int64)
    table = np.array([_BACKGROUND, *_CLASSES], np.float32)
    colours = table[np.where(ids == 0, 0, 1 + (ids - 1) % len(_CLASSES))]
    colours[(ids < 0) | (ids == ignore_index)] = FAINT
    return under(image, colours)


def under(image: NDArray[np.uint8], colours: NDArray[np.float32], opacity: float = _MASK_OPACITY) -> NDArray[np.uint8]:
    """Overlay an image in grey with a colour for each pixel, float32 (h, w, 3); returns uint8 (h, w, 3)."""
    blend: NDArray[np.float32] = opacity * colours + (1 - opacity) * image.mean(axis=-1, keepdims=True)
    return np.rint(blend).astype(np.uint8)


def origin(image: NDArray[np.uint8], weight: NDArray[Any]) -> NDArray[np.uint8]:
    """Overlay an image in grey with the colours of the sources of each pixel; pixels without a source are pale.

        output = 0.7 * sum_k weight[k] * colour[k] + 0.3 * grey of the image

    Args:
        image: uint8 (h, w, 1 or 3).
        weight: (k, h, w), the weight of each source at each pixel.

    Returns:
        uint8 (h, w, 3).
    """
    weight = weight.astype(np.float32)
    colours = np.tensordot(weight, np.array([source_colour(j) for j in range(len(weight))], np.float32), axes=(0, 0))
    colours += (1 - weight.sum(axis=0))[..., None] * np.array(FAINT, np.float32)
    return under(image, colours, _ORIGIN_OPACITY)


def heated(image: NDArray[np.uint8], saliency: NDArray[Any]) -> NDArray[np.uint8]:
    """Overlay an image in grey with its saliency, from blue (0) to red (the maximum).

    Args:
        image: uint8 (h, w, 1 or 3).
        saliency: numbers >= 0, of any height and width.

    Returns:
        uint8 (h, w, 3).
    """
    rows, columns = (
        (2 * np.arange(length) + 1) * of // (2 * length)
        for length, of in zip(image.shape[:2], saliency.shape, strict=True)
    )
    part = saliency[np.ix_(rows, columns)].astype(np.float32) / max(float(saliency.max()), 1e-30)
    colours = np.stack([255 * part, 160 * (1 - abs(2 * part - 1)), 255 * (1 - part)], axis=-1)
    return under(image, colours.astype(np.float32), _ORIGIN_OPACITY)


def source(picture: Image.Image, j: int, name: str, cell: int, note: str = "") -> Image.Image:
    """Return the picture of source j above a bar of its colour, its name and an optional note."""
    bar = Image.new("RGB", (picture.width, 5), source_colour(j))
    texts = [line(name, font(13, bold=True), source_colour(j), cell)]
    texts += [line(note, font(12), QUIET, cell)] if note else []
    return below([below([picture, bar], 0), below(texts, 0)], 4)


def terms(lam: Sequence[float], names: Sequence[str]) -> list[str]:
    """Return the weight and name of each source, the greatest first; weights that round to 0.00 are omitted.

    >>> " + ".join(terms([0.38, 0.0, 0.62], ["bag", "boot", "coat"]))
    '0.62 coat + 0.38 bag'
    """
    order = sorted(range(len(lam)), key=lambda j: -lam[j])
    return [f"{lam[j]:.2f} {names[j]}" for j in order if f"{lam[j]:.2f}" != "0.00"]


def boxed(
    image: NDArray[np.uint8], boxes: NDArray[np.float32], names: Sequence[tuple[Colour, str]], notes: Sequence[str]
) -> Image.Image:
    """Draw boxes on an image in the colours of their classes, the smallest last.

    Args:
        image: uint8 (h, w, 1 or 3).
        boxes: (m, 4), the left, top, right and bottom edge in pixels of the image.
        names: the colour and name of the class of each box.
        notes: a number for each box, or ""; it replaces the name if there is no room for both.
    """
    picture = shown(image)
    pen = ImageDraw.Draw(picture)
    left, top, right, bottom = (boxes * (picture.width / image.shape[1])).round().T
    order = np.argsort((left - right) * (bottom - top), kind="stable").tolist()
    edges = np.stack([left, top, np.maximum(left, right - 1), np.maximum(top, bottom - 1)], axis=-1).tolist()
    for i in order:
        pen.rectangle(edges[i], outline=names[i][0], width=2)
    for i in order:
        (colour, name), room = names[i], edges[i][2] - edges[i][0] + 1
        both = f"{name} {notes[i]}".rstrip()
        _tag(pen, edges[i][:2], colour, both if _tag_width(both) <= room else notes[i] or name, picture.size)
    return picture


def _tag(pen: ImageDraw.ImageDraw, corner: Sequence[float], colour: Colour, text: str, size: tuple[int, int]) -> None:
    """Draw text on a background of its colour, at a corner or as close to it as the picture allows."""
    text = fitting(text, font(10, bold=True), size[0] - 4)
    sides = _tag_width(text), sum(font(10, bold=True).getmetrics())
    left, top = (max(0, min(at, length - side)) for at, length, side in zip(corner, size, sides, strict=True))
    pen.rectangle((left, top, left + sides[0] - 1, top + sides[1] - 1), fill=colour)
    pen.text((left + 2, top), text, PAPER if sum(colour) < 450 else INK, font(10, bold=True))


def _tag_width(text: str) -> int:
    return math.ceil(float(font(10, bold=True).getlength(text))) + 4


# --- text ---


def plain(name: str) -> str:
    """Return a name on one line, with characters that are not printable replaced."""
    return "".join(char if char.isprintable() else "\ufffd" for char in " ".join(name.split()))


def paragraph(parts: Sequence[str], separator: str, face: Font, width: int) -> Image.Image:
    """Join parts with a separator and wrap the lines between them."""
    lines: list[str] = []
    for part in (*(part + separator for part in parts[:-1]), *parts[-1:]):
        if lines and face.getlength((lines[-1] + part).rstrip()) <= width:
            lines[-1] += part
        else:
            lines.append(part)
    return below([line(text.rstrip(), face, INK, width) for text in lines or [""]], 2)


def line(text: str, face: Font, colour: Colour, width: int) -> Image.Image:
    """Draw a line of text on a strip of that width, truncated with an ellipsis."""
    strip = paper(width, sum(face.getmetrics()))
    ImageDraw.Draw(strip).text((0, 0), fitting(text, face, width), colour, face)
    return strip


def fitting(text: str, face: Font, width: int) -> str:
    """Truncate a text with an ellipsis to fit the width."""
    if face.getlength(text) <= width:
        return text
    length = len(text)
    while length and face.getlength(text[:length].rstrip() + "…") > width:
        length -= 1
    return text[:length].rstrip() + "…"


def legend(named: Sequence[tuple[Colour, str]], width: int) -> Image.Image:
    """Draw names with squares of their colours, wrapped to the width."""
    entries = [_entry(colour, name, width) for colour, name in named]
    rows: list[list[Image.Image]] = [[]]
    for entry in entries:
        if sum(other.width + GAP for other in rows[-1]) + entry.width > width and rows[-1]:
            rows.append([])
        rows[-1].append(entry)
    return below([_row(row, width) for row in rows], 4)


def _entry(colour: Colour, name: str, width: int) -> Image.Image:
    """Draw a square of a colour and a name within that width."""
    face, left = font(12), _SWATCH + 6
    name = fitting(name, face, width - left)
    entry = paper(left + math.ceil(face.getlength(name)), sum(face.getmetrics()))
    top = (entry.height - _SWATCH) // 2
    pen = ImageDraw.Draw(entry)
    pen.rectangle((0, top, _SWATCH - 1, top + _SWATCH - 1), fill=colour)
    pen.text((left, 0), name, INK, face)
    return entry


def _row(entries: Sequence[Image.Image], width: int) -> Image.Image:
    """Place entries from left to right."""
    strip, left = paper(width, entries[0].height), 0
    for entry in entries:
        strip.paste(entry, (left, 0))
        left += entry.width + GAP
    return strip


@cache
def font(size: int, bold: bool = False) -> Font:
    """Return DejaVu Sans as shipped with matplotlib, or Pillow's font without matplotlib."""
    spec = find_spec("matplotlib")
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, "mpl-data", "fonts", "ttf", name)
        if path.is_file():
            return ImageFont.truetype(path, size)
    return ImageFont.load_default(size)


# --- rows and columns ---


def beside(pictures: Sequence[Image.Image], column: int, gap: int = GAP) -> Image.Image:
    """Place pictures side by side, in columns of the same width."""
    sheet = paper(len(pictures) * (column + gap) - gap, max(p.height for p in pictures))
    for j, picture in enumerate(pictures):
        sheet.paste(picture, (j * (column + gap), 0))
    return sheet


def below(pictures: Sequence[Image.Image], gap: int) -> Image.Image:
    """Place pictures below each other."""
    sheet = paper(max(p.width for p in pictures), sum(p.height + gap for p in pictures) - gap)
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height + gap
    return sheet


def framed(picture: Image.Image, margin: int) -> Image.Image:
    """Add a margin around a picture."""
    sheet = paper(picture.width + 2 * margin, picture.height + 2 * margin)
    sheet.paste(picture, (margin, margin))
    return sheet


def paper(width: int, height: int) -> Image.Image:
    """Return an empty picture."""
    return Image.new("RGB", (width, height), PAPER)


def in_columns(cells: Sequence[Image.Image], columns: int, gap: int, across: int = GAP) -> Image.Image:
    """Place pictures in a grid; `gap` separates rows, `across` columns."""
    width = max(cell.width for cell in cells)
    return below([beside(cells[i : i + columns], width, across) for i in range(0, len(cells), columns)], gap)


# --- files ---


def save(picture: Image.Image, path: str | os.PathLike[str]) -> None:
    """Write a picture atomically, in the format of the file suffix.

    Raises:
        ValueError: if the suffix is not in `FORMATS`.
        OSError: if the file cannot be written.
    """
    name, options = check_suffix(path)

    def fill(unfinished: Path) -> None:
        try:
            picture.save(unfinished, format=name, **options)
        except (ValueError, SystemError) as error:  # Pillow's encoders raise either for pictures that are too large
            raise OSError(errno.EFBIG, f"{picture.width} x {picture.height} pixels, too many for {name}") from error

    files.write(path, fill)


def check_suffix(path: str | os.PathLike[str]) -> tuple[str, dict[str, Any]]:
    """Return the format of a file suffix and its options for Pillow; raises ValueError for an unknown suffix."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        name = f"{os.fspath(path)!r}, whose suffix is {suffix!r}" if suffix else f"{os.fspath(path)!r}, without one"
        raise ValueError(
            f"expected a file name with one of the suffixes {', '.join(FORMATS)}, got {name}; "
            f"name it {os.fspath(Path(path).with_suffix('.png') if Path(path).name else 'sheet.png')!r}"
        )
    return FORMATS[suffix]
