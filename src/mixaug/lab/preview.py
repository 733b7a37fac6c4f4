"""Pictures of mixes: each mix with its weights, its sources, and an overlay of the origin of each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .. import drawing
from ..drawing import (
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
    heated,
    in_columns,
    legend,
    line,
    origin,
    paragraph,
    plain,
    shown,
    source,
    terms,
    veiled,
)
from ..epoch import Epoch
from ..pairing import Cyclic
from ..recipes import Recipe
from .dataset import Data, Split, check
from .errors import LabError
from .folder import writing
from .guided import guides_for

WAY_OUT = "name a file in a folder that you may write to"


class Selection(NamedTuple):
    """The samples that a sheet shows.

    rows: int64 (m,), the samples to read. sources: (k, count), the sources of each output, as positions in `rows`.
    """

    rows: NDArray[np.int64]
    sources: NDArray[np.int32]


def choose(n: int, sources: int, *, seed: int, count: int) -> Selection:
    """Choose `count` of the first 64 samples of a shuffled epoch, and their partners among these 64.

    >>> chosen = choose(20_000, 2, seed=0, count=3)
    >>> len(chosen.rows) <= 6, chosen.sources.shape
    (True, (2, 3))
    """
    order = Epoch(n, seed, 0).rows(0, max(64, count))
    index = Cyclic().index(len(order), sources, key=(seed, 0))[:, :count]
    used, at = np.unique(index, return_inverse=True)
    return Selection(order[used], at.reshape(index.shape).astype(np.int32))


def sheet(
    split: Split,
    data: Data,
    recipe: Recipe,
    *,
    key: Sequence[int],
    rows: int = 6,
    columns: int = 1,
    index: NDArray[np.int32] | None = None,
) -> Image.Image:
    """Return a picture of mixed images titled with their weights, next to an overlay of pixel origins and the sources.

        overlay[pixel] = 0.7 * sum_k pixel_weights()[k, pixel] * colour[k] + 0.3 * grey of the mixed pixel

    Sources with weight 0 are blank, and holes, which belong to no source, are pale in the overlay. Masks (in the
    colours of their classes), target images, and the saliency used by a recipe are shown below their images. Boxes are
    labelled with their class, and mixed boxes with their visible fraction. For data with objects, a note tells how
    often a plain label names an image without any visible object.

    Args:
        split: the samples to mix. Small images are enlarged without interpolation.
        data: the dataset of the samples, for its class names, task and ignored id.
        recipe: the recipe.
        key: (seed, step) or (seed, epoch, step).
        rows: the number of outputs to show, at least 1.
        columns: the number of outputs to show side by side.
        index: int32 (sources, rows), the rows of `split` that are the sources of each output; by default, each row is
            mixed with others of `split`.

    Returns:
        An RGB picture.

    Raises:
        LabError: if the samples do not fit `data`, or `rows` or `columns` is below 1.

    Example:
        >>> import mixaug as ma
        >>> from mixaug.lab.data import load
        >>> data = load("scenes", task="segmentation", train_size=10)
        >>> sheet(data.train, data, ma.CutMix(), key=(0, 0), rows=2).mode
        'RGB'
    """
    check_count(rows, columns)
    mixes = _shown_mixes(split, data, recipe, key, rows, index)
    heads = ["mixed", "origin of each pixel", "base sample", *(f"partner {j}" for j in range(1, recipe.sources))]
    cell = mixes.cell
    head_row = beside([line(head, font(12), QUIET, cell) for head in heads], cell)
    across = min(columns, mixes.count)
    body = [below([mixes.titled(i, head_row.width), beside(mixes.row(i), cell)], 8) for i in range(mixes.count)]
    width = across * (head_row.width + 2 * GAP) - 2 * GAP
    name = paragraph(repr(recipe).split(", "), ", ", font(19, bold=True), width)
    drawn = line(f"key ({', '.join(map(str, key))})", font(12), QUIET, width)
    notes = [line(note, font(12), QUIET, width) for note in mixes.unseen()]
    head = below([name, drawn, *notes, *_legend(split, data, width)], 4)
    columns_head = beside([head_row] * across, head_row.width, 2 * GAP)
    return framed(below([head, below([columns_head, in_columns(body, across, 20, 2 * GAP)], 20)], 24), 2 * GAP)


def family(
    split: Split,
    data: Data,
    recipes: Sequence[Recipe],
    *,
    key: Sequence[int],
    count: int = 4,
    columns: int | None = None,
    index: NDArray[np.int32] | None = None,
) -> Image.Image:
    """Return a picture with one row per recipe: its text above its `strip`, for the same images and the same key.

    Arguments and errors are those of `strip`.

    Example:
        >>> import mixaug as ma
        >>> from mixaug.lab.data import load
        >>> data = load("fashion-mnist-sample", train_size=10)
        >>> family(data.train, data, [ma.CutMix(), ma.Cutout()], key=(0, 0), count=2).mode
        'RGB'
    """
    strips = [strip(split, data, recipe, key=key, count=count, columns=columns, index=index) for recipe in recipes]
    width = max(row.width for row in strips)
    target = {"segmentation": ", and the mask", "image2image": ", and the target image"}.get(data.task, "")
    text = f"mixed, the origin of each pixel{target}; key ({', '.join(map(str, key))})"
    head = below([line(text, font(12), QUIET, width), *_legend(split, data, width)], 4)
    rows = [
        below([paragraph(repr(recipe).split(", "), ", ", font(15, bold=True), width), row], 8)
        for recipe, row in zip(recipes, strips, strict=True)
    ]
    return framed(below([head, *rows], 28), 2 * GAP)


def strip(
    split: Split,
    data: Data,
    recipe: Recipe,
    *,
    key: Sequence[int],
    count: int = 4,
    columns: int | None = None,
    index: NDArray[np.int32] | None = None,
) -> Image.Image:
    """Return a picture of a few mixed images side by side, each next to its overlay and target, above its weights.

    Arguments and errors are those of `sheet`, with 1 to 12 outputs, by default all side by side, and an `index` with at
    least as many sources as the recipe has. The picture has no margin.

    Example:
        >>> import mixaug as ma
        >>> from mixaug.lab.data import load
        >>> data = load("fashion-mnist-sample", train_size=10)
        >>> strip(data.train, data, ma.CutMix(), key=(0, 0), count=2).width
        696
    """
    check_family(count, columns)
    mixes = _shown_mixes(split, data, recipe, key, count, index)
    cells = []
    for i in range(mixes.count):
        pictures = beside([mixes.mixed(i), mixes.overlay(i), *mixes.target(i)], mixes.cell, SEAM)
        lines = [line(term, font(13), INK, pictures.width) for term in mixes.terms(i)]
        cells.append(below([pictures, below(lines, 0)], 4))
    return in_columns(cells, columns or len(cells), 12)


def fed(
    split: Split, data: Data, recipe: Recipe, key: Sequence[int], index: NDArray[np.integer] | None = None
) -> Image.Image:
    """Return a contact sheet of up to 12 mixed images, each above its mask or target image and its weights.

    Arguments and errors are those of `sheet`.

    Example:
        >>> import mixaug as ma
        >>> from mixaug.lab.data import load
        >>> data = load("fashion-mnist-sample", train_size=10)
        >>> fed(data.train, data, ma.identity(), (0, 0)).mode
        'RGB'
    """
    mixes = _Mixes(split, data, recipe, key, 12, index)
    cells = []
    for i in range(mixes.count):
        pictures = below([mixes.mixed(i), *mixes.target(i)], SEAM)
        cells.append(below([pictures, *(line(term, font(13), INK, mixes.cell) for term in mixes.terms(i))], 6))
    rows = in_columns(cells, 6, 24)
    return framed(below([rows, *_legend(split, data, rows.width)], 24), GAP)


def check_count(rows: int, columns: int) -> None:
    """Raise a LabError unless `sheet` can show this many rows and columns."""
    if not 1 <= rows <= 100:
        raise LabError(f"expected 1 to 100 rows, got {rows}: 6 fit a screen")
    _check_columns(columns)


def check_family(count: int, columns: int | None) -> None:
    """Raise a LabError unless `strip` can show this many images and columns."""
    if not 1 <= count <= 12:
        raise LabError(f"expected 1 to 12 images of each recipe, got {count}: 4 fit a screen")
    if columns is not None:
        _check_columns(columns)


def _check_columns(columns: int) -> None:
    if not 1 <= columns <= 12:
        raise LabError(f"expected 1 to 12 columns, got {columns}: 2 fit a screen")


def save(image: Image.Image, path: Path) -> None:
    """Write a picture atomically, in the format of the suffix; its folder is created if it is missing.

    Raises:
        LabError: if the suffix is unknown, or the folder or the file cannot be written.
    """
    check_out(path)
    with writing(path, WAY_OUT):
        drawing.save(image, path)


def check_out(path: Path) -> None:
    """Raise a LabError for a path that cannot be a picture file, or has an unknown suffix."""
    if not path.name:
        raise LabError(f"expected the name of a file, got {str(path)!r}: {WAY_OUT}")
    try:
        drawing.check_suffix(path)
    except ValueError as error:
        raise LabError(str(error)) from error


class _Mixes:
    """The first outputs of a draw, and the images that sheets show for each."""

    def __init__(
        self, split: Split, data: Data, recipe: Recipe, key: Any, count: int, index: NDArray[np.integer] | None = None
    ) -> None:
        self.given = check(split, len(data.classes), task=data.task, ignore_index=data.ignore_index)
        self.data = data
        if index is None:
            index = Cyclic().index(len(split), recipe.sources, key=key)
        index = index[: recipe.sources, :count]
        self.count = index.shape[1]
        self.guides = guides_for(recipe, split, data)
        size = split.images.shape[1:3]
        self.mix = recipe.draw(self.count, size, key=key, index=index, guide=self.guides or None)
        self.base = split.take(index[0])
        self.outputs = self.mix.images(self.base.images, source=split.images)
        self.targets, self.boxes = self._targets(), self._boxes()
        self.weight = self.mix.pixel_weights()
        self.cell = max(shown(split.images[0]).width, SMALLEST)

    def _targets(self) -> NDArray[Any]:
        """Return mixed masks or target images; class ids unchanged."""
        own, all_targets = self.base.targets, self.given.targets
        if self.data.task == "segmentation":
            masks: NDArray[np.uint8] = self.mix.masks(own, self.data.ignore_index, source=all_targets)
            return masks
        return self.mix.images(own, source=all_targets) if self.data.task == "image2image" else own

    def _boxes(self) -> Any:
        """Return mixed boxes with their class ids and visible fractions, if there are boxes."""
        own, of_all = self.base.boxes, self.given.boxes
        if own is None or of_all is None:
            return None
        return self.mix.boxes(own["boxes"], own["labels"], source=of_all["boxes"], labels_source=of_all["labels"])

    def unseen(self) -> list[str]:
        """Return how often a plain label names an image without visible objects, as a note, if objects are known."""
        if self.given.boxes is None or self.data.task != "segmentation":
            return []
        seen = self.mix.visible(self.base.targets > 0, source=self.given.targets > 0)
        hidden = int(seen.unseen.any(axis=0).sum())
        return [f"in {hidden} of these {self.count} mixes a plain label names an image whose objects cannot be seen"]

    def mixed(self, i: int) -> Image.Image:
        """Return output i."""
        return shown(self.outputs[i])

    def overlay(self, i: int) -> Image.Image:
        """Return output i in grey, tinted with the colour of each pixel's source; pale where there is no source."""
        return shown(origin(self.outputs[i], self.weight[:, i]))

    def target(self, i: int) -> list[Image.Image]:
        """Return the mask over output i, or its target image; nothing for class ids."""
        return self._answer(self.outputs[i], self.targets[i])

    def objects(self, i: int) -> list[Image.Image]:
        """Return output i with its boxes, their classes and visible fractions, if there are any."""
        if self.boxes is None:
            return []
        boxes, labels, weight = (x[i] for x in self.boxes)
        there = weight > 0
        return [
            boxed(self.outputs[i], boxes[there], self._coloured(labels[there]), [f"{w:.2f}" for w in weight[there]])
        ]

    def source(self, i: int, j: int) -> Image.Image:
        """Return source j of output i above a bar of its colour and its name, or a blank."""
        row = self.mix.index[j, i]
        image, target = self.given.images[row], self.given.targets[row]
        pictures = below([self._sample(row), *self._answer(image, target), *self._heated(row)], SEAM)
        if not self.mix.lam[j, i]:
            return Image.new("RGB", pictures.size, FAINT)
        if self.data.task != "classification":
            return source(pictures, j, self._file(row), self.cell)
        name = self._classes(self.given.targets[[row]])[0]
        return source(pictures, j, name, self.cell, self._file(row) if self.given.names else "")

    def names(self, i: int) -> list[str]:
        """Return the names of the sources of output i: classes and files, or numbers if they have neither."""
        rows = self.mix.index[:, i].tolist()
        if self.data.task != "classification":
            return list(map(self._file, rows))
        classes = self._classes(self.given.targets[rows])
        if not self.given.names:
            return classes
        return [f"{name} ({self._file(row)})" for name, row in zip(classes, rows, strict=True)]

    def _file(self, row: int) -> str:
        """Return the file name of a sample, or its number."""
        return plain(self.given.names[row]) if self.given.names else f"image {row + 1}"

    def terms(self, i: int) -> list[str]:
        """Return the weights and names of output i."""
        return terms(self.mix.lam[:, i].tolist(), self.names(i))

    def titled(self, i: int, width: int) -> Image.Image:
        """Return the title of output i."""
        return paragraph(self.terms(i), " + ", font(15, bold=True), width)

    def row(self, i: int) -> list[Image.Image]:
        """Return the cells of output i: the mix, overlay and sources; target and boxes are below the first two."""
        own = [below([self.mixed(i), *self.target(i)], SEAM), below([self.overlay(i), *self.objects(i)], SEAM)]
        return own + [self.source(i, j) for j in range(len(self.weight))]

    def _sample(self, row: int) -> Image.Image:
        """Return an input image with its boxes."""
        if self.given.boxes is None:
            return shown(self.given.images[row])
        boxes, labels = self.given.boxes["boxes"][row], self.given.boxes["labels"][row]
        there = labels >= 0
        return boxed(self.given.images[row], boxes[there], self._coloured(labels[there]), [""] * there.sum())

    def _heated(self, row: int) -> list[Image.Image]:
        """Return an input image with its saliency on top, if the recipe uses saliency."""
        return [shown(heated(self.given.images[row], x[row])) for need, x in self.guides.items() if need == "saliency"]

    def _answer(self, image: NDArray[np.uint8], target: NDArray[Any]) -> list[Image.Image]:
        """Return the mask over an image, or the target image; nothing for class ids."""
        if self.data.task == "classification":
            return []
        return [shown(veiled(image, target, self.data.ignore_index) if self.data.task == "segmentation" else target)]

    def _coloured(self, ids: NDArray[np.integer]) -> list[tuple[Colour, str]]:
        return list(zip(map(class_colour, ids.tolist()), self._classes(ids), strict=True))

    def _classes(self, ids: NDArray[np.integer]) -> list[str]:
        return [plain(self.data.classes[i]) for i in ids.tolist()]


def _shown_mixes(
    split: Split, data: Data, recipe: Recipe, key: Any, count: int, index: NDArray[np.int32] | None
) -> _Mixes:
    check_sources(recipe)
    return _Mixes(split, data, recipe, key, count, index)


def check_sources(recipe: Recipe) -> int:
    """Return the number of sources of the recipe; raise a LabError if they do not fit a sheet."""
    if recipe.sources > 16:
        raise LabError(f"expected a recipe of 16 sources at most, got {recipe.sources}: more fit no sheet")
    return recipe.sources


def _legend(split: Split, data: Data, width: int) -> list[Image.Image]:
    """Return a legend of the classes in the masks, if there are masks."""
    if data.task != "segmentation":
        return []
    ids = [i for i in np.unique(split.targets).tolist() if i != data.ignore_index]
    named = [(class_colour(i), plain(data.classes[i])) for i in ids]
    ignored = [] if len(ids) == len(np.unique(split.targets)) else [(FAINT, "ignored")]
    return [legend(named + ignored, width)]
