"""What pictures for people are made of: images enlarged, masks and boxes over them, text, and all of it in rows."""

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
Font: TypeAlias = Any  # Pillow's FreeTypeFont, or its own font where it was built without FreeType

INK, QUIET, FAINT, PAPER = (28, 30, 34), (98, 102, 110), (240, 241, 243), (255, 255, 255)
GAP = 16
SEAM = 4  #: between pictures of one output
SMALLEST, LARGEST = 144, 256  #: sides between which an image is shown, in pixels

#: One colour a source, told apart under every colour blindness and dark enough to be read as text on white.
PALETTE = ((0, 103, 173), (201, 72, 0), (0, 122, 92), (168, 58, 128), (82, 82, 82), (124, 92, 0), (88, 64, 190))

#: The formats of pictures by the suffixes of their files, with the options of Pillow.
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {"optimize": True}),
    **dict.fromkeys((".jpg", ".jpeg"), ("JPEG", {"quality": 95, "subsampling": 0})),
    ".webp": ("WEBP", {"lossless": True}),
    **dict.fromkeys((".tif", ".tiff"), ("TIFF", {"compression": "tiff_adobe_deflate"})),
    ".bmp": ("BMP", {}),
    ".pdf": ("PDF", {"quality": 95}),
}

_VEIL = 0.6  # how much of a mask over an image is colour
_ORIGIN = 0.7  # how much of an overlay of origins is colour
_CHIP = 10  # side of a square of colour before a name, in pixels
_BACKGROUND = (150, 150, 150)  # of class 0, which is the background in most masks
_CLASSES = (  # Tableau's ten colours, then their paler ones, without the two greys
    *((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75), (227, 119, 194)),
    *((188, 189, 34), (23, 190, 207), (174, 199, 232), (255, 187, 120), (152, 223, 138), (255, 152, 150)),
    *((197, 176, 213), (196, 156, 148), (247, 182, 210), (219, 219, 141), (158, 218, 229)),
)


# --- images, masks, boxes ---


def shown(pixels: NDArray[np.uint8]) -> Image.Image:
    """The picture of uint8 (h, w, 1 or 3), each pixel a square of whole pixels unless the image is large."""
    height, width = pixels.shape[:2]
    picture = Image.fromarray(np.broadcast_to(pixels, (height, width, 3)).copy())
    factor = math.ceil(SMALLEST / max(height, width))
    if factor > 1:
        return picture.resize((width * factor, height * factor), Image.Resampling.NEAREST)
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.BOX)
    return picture


def class_colour(i: int) -> Colour:
    """The colour of class i: grey for 0, then 18 that are told apart, then these again."""
    return _BACKGROUND if i == 0 else _CLASSES[(i - 1) % len(_CLASSES)]


def source_colour(j: int) -> Colour:
    """The colour of source j."""
    return PALETTE[j % len(PALETTE)]


def veiled(image: NDArray[np.uint8], mask: NDArray[Any], ignore_index: int | None = None) -> NDArray[np.uint8]:
    """The image in grey under the colours of the classes of its pixels; ignored ones are pale.

        output = 0.6 * colour[mask] + 0.4 * grey of the image

    Args:
        image: uint8 (h, w, 1 or 3).
        mask: class ids, integers (h, w); negative ones are ignored.
        ignore_index: the id of pixels that say nothing.

    Returns:
        uint8 (h, w, 3).
    """
    ids = mask.astype(np.int64)
    table = np.array([_BACKGROUND, *_CLASSES], np.float32)
    colours = table[np.where(ids == 0, 0, 1 + (ids - 1) % len(_CLASSES))]
    colours[(ids < 0) | (ids == ignore_index)] = FAINT
    return under(image, colours)


def under(image: NDArray[np.uint8], colours: NDArray[np.float32], part: float = _VEIL) -> NDArray[np.uint8]:
    """The image in grey under a colour a pixel, float32 (h, w, 3), of which `part` is seen: uint8 (h, w, 3)."""
    veil: NDArray[np.float32] = part * colours + (1 - part) * image.mean(axis=-1, keepdims=True)
    return np.rint(veil).astype(np.uint8)


def origin(image: NDArray[np.uint8], weight: NDArray[Any]) -> NDArray[np.uint8]:
    """The image in grey under the colours of the sources of each pixel; pale where it came from none.

        output = 0.7 * sum_k weight[k] * colour[k] + 0.3 * grey of the image

    Args:
        image: uint8 (h, w, 1 or 3).
        weight: (k, h, w), how much of each pixel each source is.

    Returns:
        uint8 (h, w, 3).
    """
    weight = weight.astype(np.float32)
    colours = np.tensordot(weight, np.array([source_colour(j) for j in range(len(weight))], np.float32), axes=(0, 0))
    colours += (1 - weight.sum(axis=0))[..., None] * np.array(FAINT, np.float32)
    return under(image, colours, _ORIGIN)


def heated(image: NDArray[np.uint8], saliency: NDArray[Any]) -> NDArray[np.uint8]:
    """The image in grey under its saliency, from blue (0) to red (its maximum): uint8 (h, w, 3).

    Args:
        image: uint8 (h, w, 1 or 3).
        saliency: numbers of 0 or more, of any height and width.
    """
    rows, columns = (
        (2 * np.arange(length) + 1) * of // (2 * length)
        for length, of in zip(image.shape[:2], saliency.shape, strict=True)
    )
    part = saliency[np.ix_(rows, columns)].astype(np.float32) / max(float(saliency.max()), 1e-30)
    colours = np.stack([255 * part, 160 * (1 - abs(2 * part - 1)), 255 * (1 - part)], axis=-1)
    return under(image, colours.astype(np.float32), _ORIGIN)


def source(picture: Image.Image, j: int, name: str, cell: int, note: str = "") -> Image.Image:
    """The picture of source j over a bar of its colour, its name and, where there is one, a note."""
    bar = Image.new("RGB", (picture.width, 5), source_colour(j))
    texts = [line(name, font(13, bold=True), source_colour(j), cell)]
    texts += [line(note, font(12), QUIET, cell)] if note else []
    return below([below([picture, bar], 0), below(texts, 0)], 4)


def terms(lam: Sequence[float], names: Sequence[str]) -> list[str]:
    """What an output is made of, the largest weight first; weights that round to 0.00 are left out.

    >>> " + ".join(terms([0.38, 0.0, 0.62], ["bag", "boot", "coat"]))
    '0.62 coat + 0.38 bag'
    """
    order = sorted(range(len(lam)), key=lambda j: -lam[j])
    return [f"{lam[j]:.2f} {names[j]}" for j in order if f"{lam[j]:.2f}" != "0.00"]


def boxed(
    image: NDArray[np.uint8], boxes: NDArray[np.float32], names: Sequence[tuple[Colour, str]], notes: Sequence[str]
) -> Image.Image:
    """The picture of an image with boxes drawn on it, the smallest last, each in the colour of its class.

    Args:
        image: uint8 (h, w, 1 or 3).
        boxes: (m, 4), left, top, right and bottom edge in pixels of the image.
        names: colour and name of the class of each.
        notes: a number for each, or ""; where it has no room beside the name, it stands alone.
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


def _tag(pen: ImageDraw.ImageDraw, place: Sequence[float], colour: Colour, text: str, size: tuple[int, int]) -> None:
    """A text on its colour, in the corner of a box or as near to it as the picture allows."""
    text = fitting(text, font(10, bold=True), size[0] - 4)
    sides = _tag_width(text), sum(font(10, bold=True).getmetrics())
    left, top = (max(0, min(at, whole - side)) for at, whole, side in zip(place, size, sides, strict=True))
    pen.rectangle((left, top, left + sides[0] - 1, top + sides[1] - 1), fill=colour)
    pen.text((left + 2, top), text, PAPER if sum(colour) < 450 else INK, font(10, bold=True))


def _tag_width(text: str) -> int:
    return math.ceil(float(font(10, bold=True).getlength(text))) + 4


# --- text ---


def plain(name: str) -> str:
    """A name on one line, with nothing in it that cannot be drawn."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(name.split()))


def paragraph(parts: Sequence[str], joint: str, face: Font, width: int) -> Image.Image:
    """Parts joined, on as many lines as the width needs; no part is broken."""
    lines: list[str] = []
    for part in (*(part + joint for part in parts[:-1]), *parts[-1:]):
        if lines and face.getlength((lines[-1] + part).rstrip()) <= width:
            lines[-1] += part
        else:
            lines.append(part)
    return below([line(text.rstrip(), face, INK, width) for text in lines or [""]], 2)


def line(text: str, face: Font, colour: Colour, width: int) -> Image.Image:
    """A line of text on a strip of that width, cut with an ellipsis where it is longer."""
    strip = paper(width, sum(face.getmetrics()))
    ImageDraw.Draw(strip).text((0, 0), fitting(text, face, width), colour, face)
    return strip


def fitting(text: str, face: Font, width: int) -> str:
    """The text, or as much of it as fits before an ellipsis."""
    if face.getlength(text) <= width:
        return text
    kept = len(text)
    while kept and face.getlength(text[:kept].rstrip() + "…") > width:
        kept -= 1
    return text[:kept].rstrip() + "…"


def legend(named: Sequence[tuple[Colour, str]], width: int) -> Image.Image:
    """Names after squares of their colours, on as many lines as the width needs."""
    entries = [_entry(colour, name, width) for colour, name in named]
    rows: list[list[Image.Image]] = [[]]
    for entry in entries:
        if sum(one.width + GAP for one in rows[-1]) + entry.width > width and rows[-1]:
            rows.append([])
        rows[-1].append(entry)
    return below([_abreast(row, width) for row in rows], 4)


def _entry(colour: Colour, name: str, width: int) -> Image.Image:
    """A square of the colour, and the name, in no more than that width."""
    face, left = font(12), _CHIP + 6
    name = fitting(name, face, width - left)
    entry = paper(left + math.ceil(face.getlength(name)), sum(face.getmetrics()))
    top = (entry.height - _CHIP) // 2
    pen = ImageDraw.Draw(entry)
    pen.rectangle((0, top, _CHIP - 1, top + _CHIP - 1), fill=colour)
    pen.text((left, 0), name, INK, face)
    return entry


def _abreast(entries: Sequence[Image.Image], width: int) -> Image.Image:
    """Entries from left to right, each as wide as it is."""
    strip, left = paper(width, entries[0].height), 0
    for entry in entries:
        strip.paste(entry, (left, 0))
        left += entry.width + GAP
    return strip


@cache
def font(size: int, bold: bool = False) -> Font:
    """DejaVu Sans, which matplotlib brings with it; the font of Pillow where there is no matplotlib."""
    spec = find_spec("matplotlib")
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, "mpl-data", "fonts", "ttf", name)
        if path.is_file():
            return ImageFont.truetype(path, size)
    return ImageFont.load_default(size)


# --- rows and columns ---


def beside(pictures: Sequence[Image.Image], column: int, gap: int = GAP) -> Image.Image:
    """Pictures in columns of one width."""
    sheet = paper(len(pictures) * (column + gap) - gap, max(p.height for p in pictures))
    for j, picture in enumerate(pictures):
        sheet.paste(picture, (j * (column + gap), 0))
    return sheet


def below(pictures: Sequence[Image.Image], gap: int) -> Image.Image:
    """Pictures one below the other."""
    sheet = paper(max(p.width for p in pictures), sum(p.height + gap for p in pictures) - gap)
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height + gap
    return sheet


def framed(picture: Image.Image, margin: int) -> Image.Image:
    """A picture with a margin around it."""
    sheet = paper(picture.width + 2 * margin, picture.height + 2 * margin)
    sheet.paste(picture, (margin, margin))
    return sheet


def paper(width: int, height: int) -> Image.Image:
    """An empty picture."""
    return Image.new("RGB", (width, height), PAPER)


def in_columns(cells: Sequence[Image.Image], columns: int, gap: int, across: int = GAP) -> Image.Image:
    """Pictures, so many side by side, in rows; the gaps are those between rows and between columns."""
    width = max(cell.width for cell in cells)
    return below([beside(cells[i : i + columns], width, across) for i in range(0, len(cells), columns)], gap)


# --- files ---


def save(picture: Image.Image, path: str | os.PathLike[str]) -> None:
    """Write a picture in the format of the file's suffix, whole or not at all, as `files.write` does.

    Raises:
        ValueError: if the suffix is not in FORMATS. OSError: if the file cannot be written.
    """
    name, options = check_suffix(path)

    def fill(unfinished: Path) -> None:
        try:
            picture.save(unfinished, format=name, **options)
        except (ValueError, SystemError) as error:  # Pillow's encoders have several errors for too large a picture
            raise OSError(errno.EFBIG, f"{picture.width} x {picture.height} pixels, too many for {name}") from error

    files.write(path, fill)


def check_suffix(path: str | os.PathLike[str]) -> tuple[str, dict[str, Any]]:
    """The format of the file's suffix, and the options of Pillow for it; a ValueError for an unknown suffix."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        came = f"{os.fspath(path)!r}, whose suffix is {suffix!r}" if suffix else f"{os.fspath(path)!r}, without one"
        raise ValueError(
            f"expected a file name with one of the suffixes {', '.join(FORMATS)}, got {came}: "
            f"name it {os.fspath(Path(path).with_suffix('.png') if Path(path).name else 'sheet.png')!r}"
        )
    return FORMATS[suffix]
