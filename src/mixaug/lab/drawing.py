"""What pictures for people are made of: images enlarged, masks and boxes over them, text, and all of it in rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour: TypeAlias = tuple[int, int, int]
Font: TypeAlias = ImageFont.FreeTypeFont

INK, QUIET, FAINT, PAPER = (28, 30, 34), (98, 102, 110), (240, 241, 243), (255, 255, 255)
GAP = 16
SEAM = 4  #: between pictures of one output
SMALLEST, LARGEST = 144, 256  #: sides between which an image is shown, in pixels

_VEIL = 0.6  # how much of a mask over an image is colour
_GREY = (150, 150, 150)  # of class 0, which is the background in most masks
_CHIP = 10  # side of a square of colour before a name, in pixels


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
    return _colours()[0 if i == 0 else 1 + (i - 1) % (len(_colours()) - 1)]


@cache
def _colours() -> tuple[Colour, ...]:
    """The ten colours of Tableau, then their paler ones, grey first."""
    pairs = matplotlib.colormaps["tab20"](range(20), bytes=True)[:, :3].tolist()
    ordered = [(red, green, blue) for red, green, blue in pairs[::2] + pairs[1::2]]
    return (_GREY, *(colour for i, colour in enumerate(ordered) if i not in (7, 17)))  # those two are greys


def veiled(image: NDArray[np.uint8], mask: NDArray[np.uint8], ignore_index: int | None = None) -> NDArray[np.uint8]:
    """The image in grey under the colours of the classes of its pixels; ignored ones are pale.

        output = 0.6 * colour[mask] + 0.4 * grey of the image

    Args:
        image: uint8 (h, w, 1 or 3).
        mask: class ids, uint8 (h, w).
        ignore_index: the id of pixels that say nothing.

    Returns:
        uint8 (h, w, 3).
    """
    colours = np.array([FAINT if i == ignore_index else class_colour(i) for i in range(256)], np.float32)
    veil: NDArray[np.float64] = _VEIL * colours[mask] + (1 - _VEIL) * image.mean(axis=-1, keepdims=True)
    return np.rint(veil).astype(np.uint8)


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
    return math.ceil(font(10, bold=True).getlength(text)) + 4


# --- text ---


def plain(name: str) -> str:
    """A name on one line, with nothing in it that cannot be drawn."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(name.split()))


def paragraph(parts: Sequence[str], joint: str, face: Font, width: int) -> Image.Image:
    """PerSource joined, on as many lines as the width needs; no part is broken."""
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
    """DejaVu Sans, which matplotlib brings with it."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


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
