"""Pictures of mixes: what each is made of, the sources beside it, and where each pixel came from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..recipes import Recipe
from .dataset import Data, Split, check
from .drawing import (
    FAINT,
    GAP,
    INK,
    QUIET,
    SEAM,
    SMALLEST,
    Colour,
    below,
    beside,
    boxed,
    class_colour,
    font,
    framed,
    legend,
    line,
    paragraph,
    plain,
    shown,
    veiled,
)
from .errors import LabError
from .folder import write

#: One colour a source, told apart under every colour blindness and dark enough to be read as text on white.
PALETTE = ((0, 103, 173), (201, 72, 0), (0, 122, 92), (168, 58, 128), (82, 82, 82), (124, 92, 0), (88, 64, 190))

_VEIL = 0.7  # how much of the overlay is colour


def sheet(split: Split, data: Data, recipe: Recipe, *, key: Sequence[int], rows: int = 6) -> Image.Image:
    """Mixed images titled with what they are made of, beside an overlay of where each pixel came from, and the sources.

        overlay[pixel] = 0.7 * sum_k pixel_weights()[k, pixel] * colour[k] + 0.3 * grey of the mixed pixel

    The mix is drawn once for all images, so sources are taken from all of them; the first `rows` outputs are shown. A
    source that an output has nothing of is left blank, and a hole, which belongs to no source, is as pale as that.
    Masks, in the colours of their classes, and target images stand below their images. Boxes have the name of their
    class, and mixed ones how much of them can still be seen. Where there are objects, it is said how often a plain
    label names an image of which none is to be seen.

    Args:
        split: the samples to mix. Small images are enlarged, pixel by pixel.
        data: whose samples they are: the names of its classes, its task and its ignored id.
        recipe: what to draw from.
        key: (seed, step) or (seed, epoch, step).
        rows: how many outputs to show, 1 or more.

    Returns:
        An RGB picture.

    Raises:
        LabError: samples that are not what those of `data` are, or fewer rows than 1.

    Example:
        >>> import mixaug as ma
        >>> from mixaug.lab.data import load
        >>> data = load("scenes", task="segmentation", train_size=10)
        >>> sheet(data.train, data, ma.CutMix(), key=(0, 0), rows=2).mode
        'RGB'
    """
    if not 1 <= rows <= 100:
        raise LabError(f"expected 1 to 100 rows, got {rows}: 6 fit a screen")
    mixes = _shown_mixes(split, data, recipe, key, rows)
    heads = ["mixed", "origin of each pixel", "base sample", *(f"partner {j}" for j in range(1, recipe.sources))]
    cell = mixes.cell
    columns = beside([line(head, font(12), QUIET, cell) for head in heads], cell)
    body = [below([mixes.titled(i, columns.width), beside(mixes.row(i), cell)], 8) for i in range(mixes.count)]
    name = paragraph(repr(recipe).split(", "), ", ", font(19, bold=True), columns.width)
    drawn = line(f"key ({', '.join(map(str, key))})", font(12), QUIET, columns.width)
    notes = [line(note, font(12), QUIET, columns.width) for note in mixes.unseen()]
    head = below([name, drawn, *notes, *_legend(split, data, columns.width)], 4)
    return framed(below([head, below([columns, *body], 20)], 24), 2 * GAP)


def family(split: Split, data: Data, recipes: Sequence[Recipe], *, key: Sequence[int], count: int = 4) -> Image.Image:
    """Several recipes on one sheet, a row each: its text above its `strip`, all of the same images under the same key.

    Args, errors: as of `strip`.

    Example:
        >>> import mixaug as ma
        >>> from mixaug.lab.data import load
        >>> data = load("fashion-mnist-sample", train_size=10)
        >>> family(data.train, data, [ma.CutMix(), ma.Cutout()], key=(0, 0), count=2).mode
        'RGB'
    """
    strips = [strip(split, data, recipe, key=key, count=count) for recipe in recipes]
    width = max(row.width for row in strips)
    target = {"segmentation": ", and the mask", "image2image": ", and the target image"}.get(data.task, "")
    text = f"mixed, the origin of each pixel{target}; key ({', '.join(map(str, key))})"
    head = below([line(text, font(12), QUIET, width), *_legend(split, data, width)], 4)
    rows = [
        below([paragraph(repr(recipe).split(", "), ", ", font(15, bold=True), width), row], 8)
        for recipe, row in zip(recipes, strips, strict=True)
    ]
    return framed(below([head, *rows], 28), 2 * GAP)


def strip(split: Split, data: Data, recipe: Recipe, *, key: Sequence[int], count: int = 4) -> Image.Image:
    """A few mixed images side by side, each with its overlay and target beside it, and its shares beneath.

    Args, errors: as of `sheet`, with 1 to 12 outputs to show. The picture has no margin.

    Example:
        >>> import mixaug as ma
        >>> from mixaug.lab.data import load
        >>> data = load("fashion-mnist-sample", train_size=10)
        >>> strip(data.train, data, ma.CutMix(), key=(0, 0), count=2).width
        696
    """
    if not 1 <= count <= 12:
        raise LabError(f"expected 1 to 12 images of each recipe, got {count}: 4 fit a screen")
    mixes = _shown_mixes(split, data, recipe, key, count)
    cells = []
    for i in range(mixes.count):
        pictures = beside([mixes.mixed(i), mixes.overlay(i), *mixes.target(i)], mixes.cell, SEAM)
        lines = [line(term, font(13), INK, pictures.width) for term in mixes.terms(i)]
        cells.append(below([pictures, below(lines, 0)], 4))
    return beside(cells, cells[0].width)


def fed(split: Split, data: Data, recipe: Recipe, key: Sequence[int]) -> Image.Image:
    """A contact sheet of up to 12 mixed images, each above its mask or target image and its shares.

    Args, errors: as of `sheet`.

    Example:
        >>> import mixaug as ma
        >>> from mixaug.lab.data import load
        >>> data = load("fashion-mnist-sample", train_size=10)
        >>> fed(data.train, data, ma.identity(), (0, 0)).mode
        'RGB'
    """
    mixes = _Mixes(split, data, recipe, key, 12)
    cells = []
    for i in range(mixes.count):
        pictures = below([mixes.mixed(i), *mixes.target(i)], SEAM)
        cells.append(below([pictures, *(line(term, font(13), INK, mixes.cell) for term in mixes.terms(i))], 6))
    rows = below([beside(cells[i : i + 6], mixes.cell) for i in range(0, len(cells), 6)], 24)
    return framed(below([rows, *_legend(split, data, rows.width)], 24), GAP)


def terms(lam: Sequence[float], names: Sequence[str]) -> list[str]:
    """What an output is made of, largest share first; shares that round to 0.00 are left out.

    >>> " + ".join(terms([0.38, 0.0, 0.62], ["bag", "boot", "coat"]))
    '0.62 coat + 0.38 bag'
    """
    order = sorted(range(len(lam)), key=lambda j: -lam[j])
    return [f"{lam[j]:.2f} {names[j]}" for j in order if f"{lam[j]:.2f}" != "0.00"]


def save(image: Image.Image, path: Path) -> None:
    """Write a picture as PNG, whole or not at all; its folder is made if it is missing.

    Raises:
        LabError: the folder or the file cannot be written.
    """
    write(path, partial(image.save, format="PNG", optimize=True), "name a file in a folder that you may write to")


class _Mixes:
    """The first outputs of one draw, with what the sheets show of each."""

    def __init__(self, split: Split, data: Data, recipe: Recipe, key: Any, count: int) -> None:
        self.given = check(split, len(data.classes), task=data.task, ignore_index=data.ignore_index)
        self.data = data
        self.mix = recipe.draw(len(split), split.images.shape[1:3], key=key)
        self.count = min(count, len(split))
        self.outputs = self.mix.images(split.images)
        self.targets, self.boxes = self._targets(), self._boxes()
        self.weight = self.mix.pixel_weights()[:, : self.count].astype(np.float32)
        self.cell = max(shown(split.images[0]).width, SMALLEST)

    def _targets(self) -> NDArray[Any]:
        """Mixed masks or target images; class ids as they are."""
        if self.data.task == "segmentation":
            masks: NDArray[np.uint8] = self.mix.masks(self.given.targets, self.data.ignore_index)
            return masks
        return self.mix.images(self.given.targets) if self.data.task == "image2image" else self.given.targets

    def _boxes(self) -> Any:
        """Mixed boxes, their class ids and how much of each is to be seen, if there are boxes."""
        given = self.given.boxes
        return None if given is None else self.mix.boxes(given["boxes"], given["labels"])

    def unseen(self) -> list[str]:
        """How often a plain label names an image though none of its objects is to be seen, where objects are known."""
        if self.given.boxes is None or self.data.task != "segmentation":
            return []
        count = int(self.mix.visible(self.given.targets > 0).unseen.any(axis=0).sum())
        return [f"in {count} of {len(self.given)} mixes a plain label names an image whose objects are not to be seen"]

    def mixed(self, i: int) -> Image.Image:
        """Output i."""
        return shown(self.outputs[i])

    def overlay(self, i: int) -> Image.Image:
        """Output i in grey under the colours of the sources that each pixel came from; pale where it came from none."""
        colours = np.array([_colour(j) for j in range(len(self.weight))], np.float32)
        origin = np.tensordot(self.weight[:, i], colours, axes=(0, 0))
        origin += (1 - self.weight[:, i].sum(axis=0))[..., None] * np.array(FAINT, np.float32)
        grey = self.outputs[i].mean(axis=-1, keepdims=True)
        return shown(np.rint(_VEIL * origin + (1 - _VEIL) * grey).astype(np.uint8))

    def target(self, i: int) -> list[Image.Image]:
        """The mask over output i, or its target image; of class ids there is nothing to show."""
        return self._answer(self.outputs[i], self.targets[i])

    def objects(self, i: int) -> list[Image.Image]:
        """Output i with its boxes, each with its class and how much of it is to be seen, if there are any."""
        if self.boxes is None:
            return []
        boxes, labels, weight = (x[i] for x in self.boxes)
        there = weight > 0
        return [
            boxed(self.outputs[i], boxes[there], self._coloured(labels[there]), [f"{w:.2f}" for w in weight[there]])
        ]

    def source(self, i: int, j: int) -> Image.Image:
        """Source j of output i over a bar of its colour and its name, or a blank."""
        row = self.mix.index[j, i]
        pictures = below([self._sample(row), *self._answer(self.given.images[row], self.given.targets[row])], SEAM)
        if not self.mix.lam[j, i]:
            return Image.new("RGB", pictures.size, FAINT)
        bar = Image.new("RGB", (pictures.width, 5), _colour(j))
        name = line(self.names(i)[j], font(13, bold=True), _colour(j), self.cell)
        return below([below([pictures, bar], 0), name], 4)

    def names(self, i: int) -> list[str]:
        """What the sources of output i are called: by their classes or, where they have none, by their numbers."""
        rows = self.mix.index[:, i]
        if self.data.task == "classification":
            return self._classes(self.given.targets[rows])
        return [f"image {row + 1}" for row in rows]

    def terms(self, i: int) -> list[str]:
        """Shares and names of output i."""
        return terms(self.mix.lam[:, i].tolist(), self.names(i))

    def titled(self, i: int, width: int) -> Image.Image:
        """The title of output i."""
        return paragraph(self.terms(i), " + ", font(15, bold=True), width)

    def row(self, i: int) -> list[Image.Image]:
        """The cells of output i: the mix, its overlay, its sources; below the first two its target and its boxes."""
        own = [below([self.mixed(i), *self.target(i)], SEAM), below([self.overlay(i), *self.objects(i)], SEAM)]
        return own + [self.source(i, j) for j in range(len(self.weight))]

    def _sample(self, row: int) -> Image.Image:
        """A given image with its boxes."""
        if self.given.boxes is None:
            return shown(self.given.images[row])
        boxes, labels = self.given.boxes["boxes"][row], self.given.boxes["labels"][row]
        there = labels >= 0
        return boxed(self.given.images[row], boxes[there], self._coloured(labels[there]), [""] * there.sum())

    def _answer(self, image: NDArray[np.uint8], target: NDArray[Any]) -> list[Image.Image]:
        """The mask over an image, or the target image; of a class id there is nothing to show."""
        if self.data.task == "classification":
            return []
        return [shown(veiled(image, target, self.data.ignore_index) if self.data.task == "segmentation" else target)]

    def _coloured(self, ids: NDArray[np.integer]) -> list[tuple[Colour, str]]:
        return list(zip(map(class_colour, ids.tolist()), self._classes(ids), strict=True))

    def _classes(self, ids: NDArray[np.integer]) -> list[str]:
        return [plain(self.data.classes[i]) for i in ids.tolist()]


def _shown_mixes(split: Split, data: Data, recipe: Recipe, key: Any, count: int) -> _Mixes:
    if recipe.sources > 16:
        raise LabError(f"expected a recipe of 16 sources at most, got {recipe.sources}: more fit no sheet")
    return _Mixes(split, data, recipe, key, count)


def _legend(split: Split, data: Data, width: int) -> list[Image.Image]:
    """The colours of the classes in the masks, where there are masks."""
    if data.task != "segmentation":
        return []
    ids = [i for i in np.unique(split.targets).tolist() if i != data.ignore_index]
    named = [(class_colour(i), plain(data.classes[i])) for i in ids]
    ignored = [] if len(ids) == len(np.unique(split.targets)) else [(FAINT, "ignored")]
    return [legend(named + ignored, width)]


def _colour(j: int) -> Colour:
    return PALETTE[j % len(PALETTE)]
