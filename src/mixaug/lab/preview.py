"""Pictures of mixes: what each is made of, the parents beside it, and where each pixel came from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..recipes import Recipe
from .data import Split, check
from .errors import LabError
from .folder import write

#: One colour a parent, told apart under every colour blindness and dark enough to be read as text on white.
PALETTE = ((0, 103, 173), (201, 72, 0), (0, 122, 92), (168, 58, 128), (82, 82, 82), (124, 92, 0), (88, 64, 190))

_INK, _QUIET, _FAINT, _PAPER = (28, 30, 34), (98, 102, 110), (240, 241, 243), (255, 255, 255)
_SMALLEST, _LARGEST = 144, 256  # sides between which a picture is shown, in pixels
_GAP = 16
_SEAM = 4  # between an output and its overlay
_VEIL = 0.7  # how much of the overlay is colour


def sheet(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    recipe: Recipe,
    *,
    key: Sequence[int],
    rows: int = 6,
) -> Image.Image:
    """Mixed images titled with what they are made of, beside an overlay of where each pixel came from, and the parents.

        overlay[pixel] = 0.7 * sum_k dense()[k, pixel] * colour[k] + 0.3 * grey of the mixed pixel

    The mix is drawn once for all images, so parents are taken from all of them; the first `rows` outputs are shown. A
    parent that an output has nothing of is left blank, and a hole, which belongs to no parent, is as pale as that.

    Args:
        images: uint8 (n, h, w, 1 or 3). Small ones are enlarged, pixel by pixel.
        labels: int64 (n,).
        classes: their names.
        recipe: what to draw from.
        key: (seed, step) or (seed, epoch, step).
        rows: how many outputs to show, 1 or more.

    Returns:
        An RGB picture.

    Raises:
        LabError: images or labels that are none, or fewer rows than 1.

    Example:
        >>> import mixaug as ma
        >>> images, labels = np.zeros((4, 8, 8, 1), np.uint8), np.arange(4)
        >>> sheet(images, labels, ["coat", "bag", "boot", "shirt"], ma.CutMix(), key=(0, 0), rows=2).mode
        'RGB'
    """
    if not 1 <= rows <= 100:
        raise LabError(f"expected 1 to 100 rows, got {rows}: 6 fit a screen")
    mixes = _shown_mixes(images, labels, classes, recipe, key, rows)
    heads = ["mixed", "origin of each pixel", "own sample", *(f"parent {j}" for j in range(2, recipe.parents + 1))]
    cell = mixes.cell
    columns = _beside([_line(head, _font(12), _QUIET, cell) for head in heads], cell)
    body = [_below([mixes.titled(i, columns.width), _beside(mixes.row(i), cell)], 8) for i in range(mixes.count)]
    name = _paragraph(repr(recipe).split(", "), ", ", _font(19, bold=True), columns.width)
    drawn = _line(f"key ({', '.join(map(str, key))})", _font(12), _QUIET, columns.width)
    head = _below([name, drawn], 4)
    return _framed(_below([head, _below([columns, *body], 20)], 24), 2 * _GAP)


def family(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    recipes: Sequence[Recipe],
    *,
    key: Sequence[int],
    count: int = 4,
) -> Image.Image:
    """Several recipes on one sheet, a row each: its text above its `strip`, all of the same images under the same key.

    Args, errors: as of `strip`.

    Example:
        >>> import mixaug as ma
        >>> images, labels = np.zeros((4, 8, 8, 1), np.uint8), np.arange(4)
        >>> classes = ["coat", "bag", "boot", "shirt"]
        >>> family(images, labels, classes, [ma.CutMix(), ma.Cutout()], key=(0, 0), count=2).mode
        'RGB'
    """
    strips = [strip(images, labels, classes, recipe, key=key, count=count) for recipe in recipes]
    width = max(row.width for row in strips)
    head = _line(f"mixed, and the origin of each pixel; key ({', '.join(map(str, key))})", _font(12), _QUIET, width)
    rows = [
        _below([_paragraph(repr(recipe).split(", "), ", ", _font(15, bold=True), width), row], 8)
        for recipe, row in zip(recipes, strips, strict=True)
    ]
    return _framed(_below([head, *rows], 28), 2 * _GAP)


def strip(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    recipe: Recipe,
    *,
    key: Sequence[int],
    count: int = 4,
) -> Image.Image:
    """A few mixed images side by side, each with its overlay beside it, as in `sheet`, and its shares beneath.

    Args, errors: as of `sheet`, with 1 to 12 outputs to show. The picture has no margin.

    Example:
        >>> import mixaug as ma
        >>> images, labels = np.zeros((4, 8, 8, 1), np.uint8), np.arange(4)
        >>> strip(images, labels, ["coat", "bag", "boot", "shirt"], ma.CutMix(), key=(0, 0), count=2).width
        600
    """
    if not 1 <= count <= 12:
        raise LabError(f"expected 1 to 12 images of each recipe, got {count}: 4 fit a screen")
    mixes = _shown_mixes(images, labels, classes, recipe, key, count)
    width = 2 * mixes.cell + _SEAM
    cells = []
    for i in range(mixes.count):
        lines = [_line(term, _font(13), _INK, width) for term in mixes.terms(i)]
        cells.append(_below([_beside([mixes.mixed(i), mixes.overlay(i)], mixes.cell, _SEAM), _below(lines, 0)], 4))
    return _beside(cells, width)


def fed(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    recipe: Recipe,
    key: Sequence[int],
) -> Image.Image:
    """A contact sheet of up to 12 mixed images, each with its shares and class names beneath.

    Args, errors: as of `sheet`.

    Example:
        >>> import mixaug as ma
        >>> images, labels = np.zeros((4, 8, 8, 1), np.uint8), np.arange(4)
        >>> fed(images, labels, ["coat", "bag", "boot", "shirt"], ma.identity(), (0, 0)).mode
        'RGB'
    """
    mixes = _Mixes(images, labels, classes, recipe, key, 12)
    cells = [
        _below([mixes.mixed(i), *(_line(term, _font(13), _INK, mixes.cell) for term in mixes.terms(i))], 6)
        for i in range(mixes.count)
    ]
    return _framed(_below([_beside(cells[i : i + 6], mixes.cell) for i in range(0, len(cells), 6)], 24), _GAP)


def terms(share: Sequence[float], names: Sequence[str]) -> list[str]:
    """What an output is made of, largest share first; shares that round to 0.00 are left out.

    >>> " + ".join(terms([0.38, 0.0, 0.62], ["bag", "boot", "coat"]))
    '0.62 coat + 0.38 bag'
    """
    order = sorted(range(len(share)), key=lambda j: -share[j])
    return [f"{share[j]:.2f} {names[j]}" for j in order if f"{share[j]:.2f}" != "0.00"]


def save(image: Image.Image, path: Path) -> None:
    """Write a picture as PNG, whole or not at all; its folder is made if it is missing.

    Raises:
        LabError: the folder or the file cannot be written.
    """
    write(path, partial(image.save, format="PNG", optimize=True), "name a file in a folder that you may write to")


class _Mixes:
    """The first outputs of one draw, with what the sheets show of each."""

    def __init__(self, images: Any, labels: Any, classes: Sequence[str], recipe: Recipe, key: Any, count: int) -> None:
        self.given = check(Split(images, labels), len(classes))
        self.classes = classes
        self.mix = recipe.draw(len(images), images.shape[1:3], key=key)
        self.count = min(count, len(images))
        self.outputs = self.mix.images(images)
        self.weight = self.mix.dense()[:, : self.count].astype(np.float32)
        self.cell = max(_SMALLEST, _shown(images[0]).width)

    def mixed(self, i: int) -> Image.Image:
        """Output i."""
        return _shown(self.outputs[i])

    def overlay(self, i: int) -> Image.Image:
        """Output i in grey under the colours of the parents that each pixel came from; pale where it came from none."""
        colours = np.array([_colour(j) for j in range(len(self.weight))], np.float32)
        origin = np.tensordot(self.weight[:, i], colours, axes=(0, 0))
        origin += (1 - self.weight[:, i].sum(axis=0))[..., None] * np.array(_FAINT, np.float32)
        grey = self.outputs[i].mean(axis=-1, keepdims=True)
        return _shown(np.rint(_VEIL * origin + (1 - _VEIL) * grey).astype(np.uint8))

    def parent(self, i: int, j: int) -> Image.Image:
        """Parent j of output i over a bar of its colour and its class, or a blank."""
        if not self.mix.share[j, i]:
            return Image.new("RGB", self.mixed(i).size, _FAINT)
        picture = _shown(self.given.images[self.mix.parent[j, i]])
        bar = Image.new("RGB", (picture.width, 5), _colour(j))
        return _below(
            [_below([picture, bar], 0), _line(self.names(i)[j], _font(13, bold=True), _colour(j), self.cell)], 4
        )

    def names(self, i: int) -> list[str]:
        """The classes of the parents of output i."""
        return [_plain(self.classes[self.given.labels[row]]) for row in self.mix.parent[:, i]]

    def terms(self, i: int) -> list[str]:
        """Shares and class names of output i."""
        return terms(self.mix.share[:, i].tolist(), self.names(i))

    def titled(self, i: int, width: int) -> Image.Image:
        """The title of output i."""
        return _paragraph(self.terms(i), " + ", _font(15, bold=True), width)

    def row(self, i: int) -> list[Image.Image]:
        """The cells of output i: the mix, its overlay, its parents."""
        return [self.mixed(i), self.overlay(i), *(self.parent(i, j) for j in range(len(self.weight)))]


def _shown_mixes(images: Any, labels: Any, classes: Sequence[str], recipe: Recipe, key: Any, count: int) -> _Mixes:
    if recipe.parents > 16:
        raise LabError(f"expected a recipe of 16 parents at most, got {recipe.parents}: more fit no sheet")
    return _Mixes(images, labels, classes, recipe, key, count)


def _colour(j: int) -> tuple[int, int, int]:
    return PALETTE[j % len(PALETTE)]


def _plain(name: str) -> str:
    """A name on one line, with nothing in it that cannot be drawn."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(name.split()))


def _shown(pixels: NDArray[np.uint8]) -> Image.Image:
    """The picture of uint8 (h, w, 1 or 3), each pixel a square of whole pixels unless the image is large."""
    height, width = pixels.shape[:2]
    picture = Image.fromarray(np.broadcast_to(pixels, (height, width, 3)).copy())
    factor = math.ceil(_SMALLEST / max(height, width))
    if factor > 1:
        return picture.resize((width * factor, height * factor), Image.Resampling.NEAREST)
    picture.thumbnail((_LARGEST, _LARGEST), Image.Resampling.BOX)
    return picture


def _paragraph(parts: Sequence[str], joint: str, font: ImageFont.FreeTypeFont, width: int) -> Image.Image:
    """Parts joined, on as many lines as the width needs; no part is broken."""
    lines: list[str] = []
    for part in (*(part + joint for part in parts[:-1]), *parts[-1:]):
        if lines and font.getlength((lines[-1] + part).rstrip()) <= width:
            lines[-1] += part
        else:
            lines.append(part)
    return _below([_line(line.rstrip(), font, _INK, width) for line in lines or [""]], 2)


def _line(text: str, font: ImageFont.FreeTypeFont, colour: tuple[int, int, int], width: int) -> Image.Image:
    """A line of text on a strip of that width, cut with an ellipsis where it is longer."""
    strip = Image.new("RGB", (width, sum(font.getmetrics())), _PAPER)
    ImageDraw.Draw(strip).text((0, 0), _fitting(text, font, width), colour, font)
    return strip


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    kept = len(text)
    while kept and font.getlength(text[:kept].rstrip() + "…") > width:
        kept -= 1
    return text[:kept].rstrip() + "…"


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def _beside(pictures: Sequence[Image.Image], column: int, gap: int = _GAP) -> Image.Image:
    paper = _paper(len(pictures) * (column + gap) - gap, max(p.height for p in pictures))
    for j, picture in enumerate(pictures):
        paper.paste(picture, (j * (column + gap), 0))
    return paper


def _below(pictures: Sequence[Image.Image], gap: int) -> Image.Image:
    paper = _paper(max(p.width for p in pictures), sum(p.height + gap for p in pictures) - gap)
    top = 0
    for picture in pictures:
        paper.paste(picture, (0, top))
        top += picture.height + gap
    return paper


def _framed(picture: Image.Image, margin: int) -> Image.Image:
    paper = _paper(picture.width + 2 * margin, picture.height + 2 * margin)
    paper.paste(picture, (margin, margin))
    return paper


def _paper(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), _PAPER)
