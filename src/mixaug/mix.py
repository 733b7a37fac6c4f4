"""The mix: which rows each output is made of, how much of each, and where."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from . import _xp
from ._xp import Array, Library
from .apply import images, labels, masks, rows, values
from .apply.images import DEFAULT
from .apply.visible import Visible, visible
from .regions import Dense, Drawn, Paste, Region, Size, settle

_REGIONS: dict[str, type[Paste] | type[Dense]] = {kind.__name__: kind for kind in (Paste, Dense)}


@_xp.tree
@dataclass(frozen=True, eq=False)
class Mix:
    """What the n outputs of a batch are made of: a value, drawn once and applied to everything a sample carries.

        share[k] = mean over the pixels of dense()[k]

    Args:
        parent: int32 (k, n), rows of a source. By default the source is the batch itself; then row 0 is 0 .. n-1.
            Row 0 is the output's own sample. A parent of share 0 is padding and points there too.
        share: float32 (k, n), how much of the output each parent is. Columns sum to 1; parents of share > 0 differ.
        region: how the pixels are combined, `Paste` or `Dense`.
        size: the spatial size that the mix was drawn for, such as (height, width).

    Example:
        >>> import mixaug as ma, numpy as np
        >>> x = np.stack([np.full((4, 4, 1), i, np.float32) for i in range(3)])
        >>> mix = ma.MixUp(alpha=1.0).draw(3, size=(4, 4), key=(0, 0))
        >>> mix.images(x).shape, mix.labels(np.array([0, 1, 2]), num_classes=3).sum(axis=1)
        ((3, 4, 4, 1), array([1., 1., 1.], dtype=float32))
    """

    parent: Array
    share: Array
    region: Region
    size: Size

    def __post_init__(self) -> None:
        _xp.meet()

    @property
    def _library(self) -> Library:
        return _xp.of(self.parent, "mix.parent")

    @_xp.opaque
    def dense(self) -> Array:
        """The weight of each parent at each pixel, (k, n, *size): bool where nothing is blended, else float32.

        This is the definition that every faster form is tested against. Weights of equal parents (only where the
        batch is smaller than the number of parents) are added into the first, as the shares are.
        """
        xp = self._library
        weight = self.region.dense(xp, xp.shape(self.parent)[1], self.size)
        merged = rows.merge(xp, self.parent, xp.cast(weight, "float32"))
        return xp.cast(merged, xp.dtype(weight))

    @_xp.opaque
    def images(self, x: Array, channels: str | None = DEFAULT, *, source: Array | None = None) -> Array:
        """Mix images, signals or volumes.

            output = sum_k dense()[k] * source[parent[k]]

        Args:
            x: (n, *size, c), (n, c, *size) or (n, *size): uint8, float16, bfloat16, float32 or float64; not written to.
                Where the size is another than the mix was drawn for, pixel j of h belongs to the pixel
                floor((j + 1/2) * H / h) of that, along each axis.
            channels: where the channel axis is: "last", "first", or None where there is none. By default first in
                PyTorch, last elsewhere.
            source: the array that the parents are rows of, where that is not x. x holds the own samples all the same.

        Returns:
            Fresh memory of the shape, dtype and library of x. Float images are blended in float32 (float64 for float64)
            and rounded once; uint8 is rounded to nearest in integers, the same bits in every library. A pixel that is
            not a finite number may spread to every output that has its image as a parent.

        Raises:
            TypeError: another library or dtype. ValueError: another number of axes, or too few rows.
        """
        xp = self._same(images=x, source=source)
        return images.mix(xp, x, source, self.parent, self.region, self.size, channels)

    @_xp.opaque
    def masks(
        self,
        m: Array,
        ignore_index: int | None = None,
        *,
        num_classes: int | None = None,
        soft: bool = False,
        channels: str | None = DEFAULT,
        source: Array | None = None,
    ) -> Array:
        """Mix masks of class ids, of the images' size or of another.

            output = m[parent[k]] of the k whose dense()[k] is the greatest, the first of several    (each pixel)
            output[c] = sum_k w[k] * (m[parent[k]] == c) / sum_k w[k]                                (soft)
            w[k] = dense()[k] where m[parent[k]] is not ignored, else 0

        Args:
            m: (n, *size) of any integer dtype or bool, with a channel axis or without; not written to. Mask pixel j of
                h belongs to the image pixel floor((j + 1/2) * H / h) along each axis: what is seen there is seen in it.
            ignore_index: the id of pixels that say nothing. Without `soft` it is an id like any other: an output is
                ignored exactly where the pixel chosen for it is.
            num_classes: how many classes there are; ids on the host are checked.
            soft: whether to give the share of each class, for which num_classes is needed.
            channels: where the channel axis is, if there is one, and with `soft` that of the classes: "last" or
                "first". By default first in PyTorch, last elsewhere.
            source: the masks that the parents are rows of, where that is not m.

        Returns:
            Ids of the shape and dtype of m, or float32 (n, *size, num_classes), (n, num_classes, *size) in PyTorch. A
            row is zero where all parents are ignored: the losses skip it. In a hole, which belongs to nobody, the own
            sample's id stays. Two soft weights that are equal to 1e-6 may be told apart differently by two libraries.

        Raises:
            TypeError: floats, or another library. ValueError: ids out of range, too few rows, soft without num_classes.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> mix, m = ma.CutMix(alpha=1.0).draw(2, size=(4, 4), key=(0, 1)), np.zeros((2, 4, 4), np.uint8)
            >>> mix.masks(m).shape, mix.masks(m, num_classes=3, soft=True).shape
            ((2, 4, 4), (2, 4, 4, 3))

        French et al. 2020, "Semi-supervised semantic segmentation needs strong, varied perturbations", mix masks by a
        box. Blends of masks have no ids: take `soft`, or that of the heavier image.
        """
        xp = self._same(masks=m, source=source)
        mixed = masks.shares if soft else masks.mix
        return mixed(xp, m, source, self.parent, self.region, self.size, channels, num_classes, ignore_index)

    @_xp.opaque
    def labels(
        self,
        y: Array,
        num_classes: int | None = None,
        *,
        source: Array | None = None,
        union: bool = False,
        visible: Array | None = None,
        visible_source: Array | None = None,
    ) -> Array:
        """Mix labels by what each output is made of.

            output = sum_k share[k] * one_hot(source[parent[k]])
            output = max_k (share[k] > 0) * one_hot(source[parent[k]])           (union)
            output = sum_k visible(foreground).share[k] * one_hot(...)           (visible=foreground)

        Args:
            y: class ids, (n,) or (n, 1) of any integer dtype, or one column a class: one-hot, soft (rows sum to 1) or
                multi-hot (zeros and ones), (n, num_classes) of any dtype.
            num_classes: needed for class ids.
            source: the labels that the parents are rows of, where that is not y.
            union: whether an output has all classes of its parents in full, as several labels may be right at once.
            visible: bool (n, *size), the foreground of the images, to weigh the parents by what can be seen of it.
            visible_source: the foreground that the parents are rows of, where that is not `visible`.

        Returns:
            (n, num_classes) float32, float64 where y is float64. Never the dtype of the images: bfloat16 cannot hold a
            share. Where the host cannot see them, class ids out of range give rows of NaN.

        Raises:
            TypeError, ValueError: labels that are none of these, ids out of range, or union and visible at once.
        """
        if union and visible is not None:
            raise ValueError("labels: expected union or visible, got both; a union has no weights")
        xp = self._same(labels=y, source=source)
        share = self.share if visible is None else self.visible(visible, source=visible_source).share
        return labels.mix(xp, y, source, self.parent, share, num_classes, union)

    @_xp.opaque
    def visible(self, foreground: Array, *, source: Array | None = None) -> Visible:
        """How much of what can be seen of the foreground is of each parent, and whose cannot be seen at all.

            seen[k] = sum over the pixels of dense()[k] * source[parent[k]]
            share = seen / sum_k seen[k], and the plain shares where nothing is to be seen

        Args:
            foreground: bool (n, *size), where in each image its object is; of the images' size or of another.
            source: the foreground that the parents are rows of, where that is not `foreground`.

        Returns:
            `share` float32 (k, n); `unseen` bool (k, n), the parents that a plain label names though their object is
            not to be seen; `nothing` bool (n,), the outputs without any object: all are in the library of the mix.

        Raises:
            TypeError: no bools, or another library. ValueError: another number of axes or rows.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> foreground = np.zeros((64, 8, 8), bool)
            >>> foreground[:, 3:5, 3:5] = True
            >>> seen = ma.CutMix(alpha=1.0).draw(64, size=(8, 8), key=(0, 0)).visible(foreground)
            >>> float(seen.unseen.any(axis=0).mean())  # so many plain labels name an object that is not there
            0.671875

        arXiv 2606.04820 (2026), "OA-CutMix", weighs the labels of CutMix so; this does for every recipe.
        """
        xp = self._same(foreground=foreground, source=source)
        return visible(xp, foreground, source, self.parent, self.share, self.region, self.size)

    @_xp.opaque
    def values(self, y: Array, *, source: Array | None = None) -> Array:
        """Mix regression targets, sample weights, or anything else that is averaged as the pixels are.

            output = sum_k share[k] * source[parent[k]]

        Args:
            y: (n, ...) of any number of axes; integers and bools give float32, floats keep their dtype.
            source: the values that the parents are rows of, where that is not y.
        """
        xp = self._same(values=y, source=source)
        return values.mix(xp, y, source, self.parent, self.share)

    @_xp.opaque
    def parts(self, y: Array, *, source: Array | None = None) -> tuple[Array, Array]:
        """The labels of each parent and their shares, for a loss that wants them apart.

            loss = sum_k share[k] * loss(prediction, parts[k])

        Args:
            y: (n, ...) labels of any form; they are gathered, not converted.
            source: the labels that the parents are rows of, where that is not y.

        Returns:
            parts (k, n, ...) of the dtype of y, and share float32 (k, n).
        """
        xp = self._same(labels=y, source=source)
        rows.check(xp, y, source, self.parent, "labels")
        return xp.stack(rows.parents(xp, y, source, self.parent)), self.share

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the mix to a NumPy .npz file; nothing in it is pickled."""
        xp = self._library
        named = {"parent": self.parent, "share": self.share, **self.region.arrays()}
        held = {name: xp.concrete(array) for name, array in named.items()}
        if any(array is None for array in held.values()):
            raise TypeError(
                "mix.save: expected concrete arrays, got traced ones; return the mix from the function first"
            )
        with Path(path).open("wb") as file:  # a file, so that NumPy adds no suffix to the name
            np.savez(file, allow_pickle=False, size=np.array(self.size, np.int64), **held)

    @classmethod
    def load(cls, path: str | os.PathLike[str], like: Array | None = None) -> Mix:
        """Read a mix that `save` wrote, as NumPy or in the library of `like`."""
        xp = _xp.common(like)
        try:
            with np.load(path, allow_pickle=False) as file:
                held = {name: xp.constant(file[name]) for name in file.files if name != "size"}
                size = tuple(int(length) for length in file["size"])
            parent, share = held.pop("parent"), held.pop("share")
            region = (Dense if "weight" in held else Paste).of(held, parent.shape[0])
            return cls(parent, share, region, size)
        except (ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
            raise ValueError(f"{os.fspath(path)}: expected a file that mix.save wrote ({error})") from None

    def flatten(self) -> tuple[Any, tuple[Array, ...]]:
        """Structure and arrays, by which the libraries pass a mix through their functions: in each it is a pytree."""
        known = tuple(length if isinstance(length, int) else None for length in self.size)
        run_time = tuple(length for length in self.size if not isinstance(length, int))
        held = self.region.arrays()
        structure = (type(self.region).__name__, tuple(held), self.region.parents, known)
        return structure, (self.parent, self.share, *held.values(), *run_time)

    @classmethod
    def unflatten(cls, structure: Any, arrays: tuple[Array, ...]) -> Mix:
        """The mix of that structure and those arrays."""
        kind, names, parents, known = structure
        parent, share, *rest = arrays
        region = _REGIONS[kind].of(dict(zip(names, rest, strict=False)), parents)
        run_time = iter(rest[len(names) :])
        size = tuple(_known(next(run_time)) if length is None else length for length in known)
        return cls(parent, share, region, size)

    __tf_flatten__, __tf_unflatten__ = flatten, unflatten  # the names that TensorFlow looks for

    def _same(self, **named: Array | None) -> Library:
        arrays = {name: array for name, array in named.items() if array is not None}
        return _xp.same({**arrays, "the mix": self.parent})


def assemble(xp: Library, parent: Array, drawn: Drawn, size: Size) -> Mix:
    """The mix of these parents, with padding pointing to the own row and equal parents counted once."""
    n = xp.shape(parent)[1]
    share = drawn.share(xp, n, size)
    padded = [parent[0], *(xp.where(share[j] > 0, parent[j], parent[0]) for j in range(1, parent.shape[0]))]
    parent = xp.stack(padded)
    return Mix(parent, rows.merge(xp, parent, share), settle(xp, drawn, n, size), size)


def _known(length: Any) -> Any:
    """A length as an int, where it can be seen: TensorFlow also passes stand-ins for its tensors through here."""
    xp = _xp.find(length)
    held = xp.concrete(length) if xp else None
    return length if held is None else int(held)
