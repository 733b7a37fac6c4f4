"""The mix: which rows each output is made of, and how their pixels are combined."""

from __future__ import annotations

import os
from dataclasses import InitVar, dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from .. import backends, files, label_rules
from ..backends import Array, Library
from ..core.keys import draw_version
from ..core.layout import Layout, of_images, of_masks, with_classes
from ..core.regions import Dense, Paste, Region, Size, Sizes
from ..core.rows import Rows
from ..core.units import Units, unchanged
from ..label_rules import Rule
from ..ops import images, labels, masks, objects, rows, values, windows
from ..ops.boxes import BoxesResult
from ..ops.boxes import boxes as mix_boxes
from ..ops.instances import InstancesResult
from ..ops.instances import instances as mix_instances
from ..ops.keypoints import KeypointsResult
from ..ops.keypoints import keypoints as mix_keypoints
from ..ops.mass import mass
from ..ops.objects import ObjectLabels, Objects
from ..ops.visibility import VisibleResult, visible
from . import archive
from .check import check

_REGIONS: dict[str, type[Paste] | type[Dense]] = {kind.__name__: kind for kind in (Paste, Dense)}


@backends.tree
@dataclass(frozen=True, eq=False)
class Mix:
    """What the n outputs of a batch are made of: drawn once, and applied to every field of the samples.

        lam[k] = mean over the pixels of pixel_weights()[k]

    A NumPy mix can be applied to arrays of every library, any other mix to arrays of its own library.

    Args:
        index: int32 (k, n), rows of a source, which is the batch itself by default. Row 0 is the base sample of each
            output: 0 .. n-1 by default. Unused sources, with lam 0, refer to the base sample too.
        lam: float32 (k, n), the weight of each source in the output. Columns sum to 1; sources with lam > 0 are
            distinct.
        region: how the pixels are combined, `Paste` or `Dense`.
        size: the spatial size of the outputs, such as (height, width).
        source_size: the spatial size of the sources; by default `size`. If it differs, every source must have a source
            box, as with `ma.Mosaic()`.

    Raises:
        TypeError, ValueError: if shapes, dtypes or libraries do not agree, or `lam` is not the mean of the weights.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> x = np.stack([np.full((4, 4, 1), i, np.float32) for i in range(3)])
        >>> mix = ma.MixUp(alpha=1.0).draw(3, size=(4, 4), key=(0, 0))
        >>> mix.images(x).shape, mix.labels(np.array([0, 1, 2]), num_classes=3).sum(axis=1)
        ((3, 4, 4, 1), array([1., 1., 1.], dtype=float32))
    """

    index: Array
    lam: Array
    region: Region
    size: Size
    source_size: Size | None = None
    _checked: InitVar[bool] = False  #: whether the arguments have been checked already

    def __post_init__(self, _checked: bool) -> None:
        backends.register_trees()
        if not _checked:
            check(self)

    @property
    def _sizes(self) -> Sizes:
        return Sizes(self.size, self.size if self.source_size is None else self.source_size)

    @property
    def _library(self) -> Library:
        return backends.of(self.index, "mix.index")

    @backends.no_autograph
    def pixel_weights(self) -> Array:
        """Return the weight of each source at each pixel, (k, n, *size): bool if nothing is blended, else float32.

        This is the definition that every faster implementation is tested against. Weights of equal sources, which
        occur only if the batch is smaller than the number of sources, are added into the first, like lam.
        """
        xp = self._library
        weight = self.region.pixel_weights(xp, xp.shape(self.index)[1], self.size)
        merged = rows.merge(xp, self.index, xp.cast(weight, "float32"))
        return xp.cast(merged, xp.dtype(weight))

    @backends.no_autograph
    def images(
        self,
        x: Array | None,
        layout: str | None = None,
        *,
        spatial: str | None = None,
        source: Array | None = None,
        dtype: Any = None,
        scale: Any = None,
        offset: Any = None,
        out: Array | None = None,
    ) -> Array:
        """Mix images, signals or volumes, and optionally convert and normalize them.

            output = scale * sum_k pixel_weights()[k] * source[index[k]] + offset

        Args:
            x: uint8, float16, bfloat16, float32 or float64; or int16 or uint16 with a float `dtype` and `scale`. It is
                never written to. If its size differs from that of the mix, pixel j of h corresponds to the pixel
                floor((j + 1/2) * H / h) along each axis. If None, the base samples are rows of `source` too.
            layout: a letter for each axis, in upper or lower case: n (rows) first, then c (channels), h, w, d, t, such
                as "nchw", "nhw", "ntchw" or "nc". By default "nhwc", or "nchw" in PyTorch; required if the shape is
                ambiguous.
            spatial: the spatial axes of the mix, such as "thw"; by default those among d, h and w, otherwise t. Other
                axes share the mix.
            source: the array that `index` refers to, such as a whole dataset; by default `x`.
            dtype: the dtype of the output, one of the above; by default that of `x`.
            scale: a number, or one for each channel; float32.
            offset: like `scale`: for x / 255 normalized by mean and std, scale is 1 / (255 * std) and offset is
                -mean / std.
            out: an array to write to, of the shape and dtype of the output, in libraries with mutable arrays.

        Returns:
            A new array with the shape and library of `x`, or `out`. Float images are blended in float32 (float64 for
            float64) and rounded once, after scale and offset. uint8 images that remain uint8 are blended in integers
            and rounded to nearest, with the same bits in every library. Values that are not finite may spread to every
            output that has the image as a source.

        Raises:
            TypeError: if the library or dtype is wrong.
            ValueError: if the number of axes, rows or channels is wrong, or `out` does not fit.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> dataset, rows = np.full((9, 4, 4, 3), 51, np.uint8), np.array([[8, 3], [1, 7]])
            >>> mix = ma.MixUp(alpha=1.0).draw(2, size=(4, 4), key=(0, 0), index=rows)
            >>> round(float(mix.images(None, source=dataset, dtype="float32", scale=1 / 255).max()), 6)
            0.2

        On the host, kernels compiled by Numba read each byte once in a single pass. Traced functions, gradients and
        strided memory use the operations of the library.
        """
        if x is None and source is None:
            raise ValueError("images: expected images or a source, got neither; pass x or source=")
        xp, example = self._library_of(images=x, source=source, out=out), source if x is None else x
        axes = of_images(example, layout, spatial)
        units = images.in_units(xp, example, axes, dtype, scale, offset)
        return self.mixed_images(xp, x, source, axes, units, out)

    def mixed_images(
        self, xp: Library, x: Array | None, source: Array | None, axes: Layout, units: Units | None, out: Any = None
    ) -> Array:
        """Mix images whose library, layout and units are known."""
        rows = Rows(x, source, self.index)
        if self.source_size is None:
            return images.mix(xp, rows, self.region, self.size, axes, units, out)
        units = units or unchanged(xp.dtype(rows.example))
        images.check_given(xp, rows, self.source_size, axes, units)
        if out is not None:
            images.check_apart(xp, out, rows.arrays)
        return windows.mix(xp, rows, self.region, self._sizes, axes, units, out)

    @backends.no_autograph
    def masks(
        self,
        m: Array,
        ignore_index: int | None = None,
        *,
        num_classes: int | None = None,
        soft: bool = False,
        layout: str | None = None,
        spatial: str | None = None,
        source: Array | None = None,
    ) -> Array:
        """Mix masks of class ids, which may differ in size from the images.

            output = m[index[k]] for the first k with the greatest pixel_weights()[k]               (at each pixel)
            output[c] = sum_k w[k] * (m[index[k]] == c) / sum_k w[k]                                (soft)
            w[k] = pixel_weights()[k] where m[index[k]] is not ignored, else 0

        Args:
            m: (n, *size) of any integer dtype or bool, with or without a channel axis. With `soft` also floats or bools
                (n, *size, num_classes), the shares of the classes: output = sum_k pixel_weights()[k] * m[index[k]]. It
                is never written to. Mask pixel j of h has the weights of the image pixel floor((j + 1/2) * H / h) along
                each axis.
            ignore_index: the id of ignored pixels. Without `soft`, it is treated like any other id: an output pixel is
                ignored exactly if the source pixel chosen for it is.
            num_classes: the number of classes; ids on the host are checked.
            soft: whether to return the share of each class, which requires `num_classes`.
            layout: as for `images`; by default the layout of images, with or without a channel axis. With `soft`, c is
                the axis of the classes in the output: last by default, first in PyTorch.
            spatial: as for `images`.
            source: the masks that `index` refers to; by default `m`.

        Returns:
            Ids with the shape and dtype of `m`, or float32 (n, *size, num_classes), in PyTorch (n, num_classes, *size).
            A soft pixel is all zeros if every source is ignored there, so that the losses ignore it. Pixels in holes
            keep the id of the base sample. If two soft weights differ by less than 1e-6, libraries may choose
            different ids.

        Raises:
            TypeError: if the dtype is floating without `soft`, or the library is wrong.
            ValueError: if ids are out of range, there are too few rows, or `soft` is used without `num_classes`.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> mix, m = ma.CutMix(alpha=1.0).draw(2, size=(4, 4), key=(0, 1)), np.zeros((2, 4, 4), np.uint8)
            >>> mix.masks(m).shape, mix.masks(m, num_classes=3, soft=True).shape
            ((2, 4, 4), (2, 4, 4, 3))

        French et al. 2020, "Semi-supervised semantic segmentation needs strong, varied perturbations", cut masks by a
        box. Where images are blended, a mask of ids has the id of the heavier image; `soft` blends the masks too.
        """
        xp, mix = self._in_library_of(masks=m, source=source)
        samples, region = Rows(m, source, mix.index), mix.region
        axes = of_masks(m, layout, spatial, len(mix.size), classes=num_classes if soft else None)
        if mix.source_size is not None:
            ids = None if soft and masks.is_soft(xp, m, axes, num_classes) else (num_classes, ignore_index)
            masks.check_given(xp, samples, mix.source_size, axes, ids)
            mixed = None if soft else windows.mixed_ids(xp, samples, region, mix._sizes, axes)
            if mixed is not None:
                return mixed
            views, index, region = windows.resized(xp, samples, region, mix._sizes, axes)
            samples = Rows(views[0], xp.concat(views), index)
        if not soft:
            return masks.mix(xp, samples, region, mix.size, axes, num_classes, ignore_index)
        out = with_classes((layout or axes.axes).lower(), xp.layout)
        return masks.shares(xp, samples, region, mix.size, axes, out, num_classes, ignore_index)

    @backends.no_autograph
    def labels(
        self,
        y: Array,
        num_classes: int | None = None,
        *,
        source: Array | None = None,
        rule: str | Rule = "area",
        binary: bool = False,
        guide: Array | None = None,
        guide_source: Array | None = None,
    ) -> Array:
        """Mix labels by the weights of the sources.

            output = sum_k lam[k] * one_hot(source[index[k]])                  (rule="area")
            output = max_k (lam[k] > 0) * one_hot(source[index[k]])            ("maximum")
            output = sum_k visible(guide).lam[k] * one_hot(source[index[k]])   ("visible")
            output = one_hot(source[index[argmax lam]])                        ("heaviest")

        Args:
            y: class ids, (n,) or (n, 1), of any integer dtype, or as integral floats with `num_classes`; or weights in
                0..1 with a column for each class, (n, num_classes) of any dtype: one-hot, soft or multi-hot.
            num_classes: the number of classes, required for class ids.
            source: the labels that `index` refers to; by default `y`.
            rule: the name of a rule, or a value from `ma.label_rules`.
            binary: True for labels 0 and 1, (n,) or (n, 1), to be used with a sigmoid; the output is (n, 1).
            guide: the array that the rule depends on besides lam. For "visible", bool (n, *size), the foreground of the
                images, in the layout of `ma.label_rules.VisibleResult`.
            guide_source: the guide that `index` refers to; by default `guide`.

        Returns:
            (n, num_classes) float32, or float64 for float64 rows; (n, 1) if `binary`. The dtype never follows the
            images, as bfloat16 cannot represent lam. Traced class ids out of range give rows of NaN.

        Raises:
            TypeError, ValueError: if the labels have another form, or the guide of a rule is missing or not needed.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> mix = ma.MixUp(alpha=1.0).draw(2, size=(4, 4), key=(0, 0))
            >>> mix.labels(np.array([0, 2]), 3, rule="maximum")
            array([[1., 0., 1.],
                   [1., 0., 1.]], dtype=float32)
        """
        kind, num_classes = label_rules.rule(rule), None if num_classes is None else labels.check_count(num_classes)
        _check_guide(kind, guide)
        xp = self._library_of(labels=y, source=source, guide=guide, guide_source=guide_source)
        weights = kind.weights(self, guide, guide_source)
        return labels.mix(xp, y, source, self.index, weights, num_classes, kind.greatest, binary)

    @backends.no_autograph
    def visible(
        self,
        foreground: Array,
        *,
        layout: str | None = None,
        spatial: str | None = None,
        source: Array | None = None,
    ) -> VisibleResult:
        """Return the share of each source in the visible foreground, and the sources whose foreground is hidden.

            seen[k] = sum over the pixels of pixel_weights()[k] * source[index[k]]
            lam = seen / sum_k seen[k]; lam of the mix if no foreground is visible

        Args:
            foreground: bool (n, *size), the pixels of the object in each image; its size may differ from the images'.
                A channel axis of length 1 is allowed.
            layout: as for `masks`.
            spatial: as for `masks`.
            source: the foreground that `index` refers to; by default `foreground`.

        Returns:
            lam: float32 (k, n).
            unseen: bool (k, n), the sources that have a positive lam in the mix but no visible object.
            nothing: bool (n,), the outputs without a visible object.

        Raises:
            TypeError: if the foreground is not bool, or the library is wrong.
            ValueError: if the number of axes or rows is wrong.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> foreground = np.zeros((64, 8, 8), bool)
            >>> foreground[:, 3:5, 3:5] = True
            >>> seen = ma.CutMix(alpha=1.0).draw(64, size=(8, 8), key=(0, 0)).visible(foreground)
            >>> float(seen.unseen.any(axis=0).mean())  # the fraction of labels that name a hidden object
            0.671875

        arXiv 2606.04820 (2026), "OA-CutMix", weights the labels of CutMix this way; here it works with every recipe.
        """
        xp, mix = self._in_library_of(foreground=foreground, source=source)
        return visible(xp, Rows(foreground, source, mix.index), mix.lam, mix.region, mix._sizes, layout, spatial)

    @backends.no_autograph
    def mass(self, saliency: Array, *, source: Array | None = None) -> Array:
        """How much of the mass of each source's saliency map can be seen in the output.

            mass[k] = sum over the pixels of pixel_weights()[k] * map[k] / sum of map[k],  map = saliency[index[k]]

        A source that is seen through a box that shows a part of it has the mass of that part, times the mean weight of
        the box. The masses of an output need not sum to 1.

        Args:
            saliency: numbers of 0 or more (n, *size), of any size, rounded as those that recipes look at.
            source: the maps that the sources are rows of, where that is not `saliency`.

        Returns:
            float32 (k, n), in the library of the maps.

        Raises:
            TypeError, ValueError: if maps are of another form, or hold numbers that are negative or not finite.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> saliency = np.zeros((2, 4, 4), np.float32)
            >>> saliency[:, 1, 1] = 1
            >>> ma.SaliencyMix(lam=0.9).draw(2, size=(4, 4), key=0, guide=saliency).mass(saliency)
            array([[0., 0.],
                   [1., 1.]], dtype=float32)
        """
        xp, mix = self._in_library_of(saliency=saliency, source=source)
        return mass(xp, saliency, source, mix.index, mix.region, mix._sizes)

    @backends.no_autograph
    def values(self, y: Array, *, source: Array | None = None) -> Array:
        """Mix regression targets, sample weights and other values by their weighted average.

            output = sum_k lam[k] * source[index[k]]

        Args:
            y: (n, ...) with any number of axes; integers and bools give float32, floats keep their dtype.
            source: the values that `index` refers to; by default `y`.
        """
        xp, mix = self._in_library_of(values=y, source=source)
        return values.mix(xp, y, source, mix.index, mix.lam)

    @backends.no_autograph
    def per_source(self, y: Array, *, source: Array | None = None) -> tuple[Array, Array]:
        """Return the labels of each source and lam, for losses that take them separately.

            loss = sum_k lam[k] * loss(prediction, parts[k])

        Args:
            y: (n, ...) labels of any form; they are gathered without conversion.
            source: the labels that `index` refers to; by default `y`.

        Returns:
            parts: (k, n, ...), of the dtype of `y`.
            lam: float32 (k, n).
        """
        xp, mix = self._in_library_of(labels=y, source=source)
        rows.check(xp, y, source, mix.index, "labels")
        return xp.stack(rows.gather(xp, y, source, mix.index)), mix.lam

    @backends.no_autograph
    def boxes(
        self,
        boxes: Objects,
        labels: ObjectLabels = None,
        format: str = "xyxy",  # noqa: A002 - the name that other libraries use
        normalized: bool = False,
        min_visibility: float = 0.1,
        max_boxes: int | None = None,
        *,
        valid: Objects | None = None,
        source: Objects | None = None,
        labels_source: ObjectLabels = None,
        valid_source: Objects | None = None,
    ) -> BoxesResult:
        """Return the boxes of all sources, each shrunk to its visible part, and their weights.

            weight = integral of pixel_weights()[k] over the box / area of the box
            (0, and the box is dropped, below min_visibility * max over the pixels of pixel_weights()[k])

        Args:
            boxes: (n, m, 2 * d) floats or integers, m slots per sample, where pixel p is [p, p + 1); or a list of n
                arrays (m_i, 2 * d). Boxes without area (padding of -1, NaN) are ignored. Boxes are first clipped to the
                image; the part outside counts neither as visible nor as hidden.
            labels: labels of the boxes, (n, m, ...), a dict of such arrays, or lists like the boxes. In a dict,
                "masks", bool (n, m, *size), and "keypoints", (n, m, K, d + 1) with a visibility column, are mixed as by
                `instances` and `keypoints`.
            format: "xyxy" (corners), "xywh" (corner and sides) or "cxcywh" (center and sides), with x the last spatial
                axis, then y, then z; or "yxyx", corners in the order of the axes. With one axis, a box is its two
                ends, or its first end (or center) and its length.
            normalized: whether coordinates are fractions of the image's sides.
            min_visibility: the minimum visible fraction of a box, relative to the greatest weight of its source:
                all boxes of a blend are kept, boxes hidden by a pasted box or a soft mask are dropped.
            max_boxes: the number of slots per output, filled with the heaviest boxes. By default k * m, with the boxes
                of source j starting at slot j * m.
            valid: bool (n, m), True for real boxes, False for padding; by default, boxes with positive area.
            source: the boxes that `index` refers to; by default `boxes`.
            labels_source: the labels of `source`.
            valid_source: `valid` of `source`.

        Returns:
            `boxes` in the same format and dtype (float32 for integers), `labels`, `weight` (float32) and `valid`, all
            in the same slots. Empty slots have boxes of -1 and weight 0. Lists give lists, without empty slots. A
            source box that is resized moves and clips its boxes like its pixels; a row that appears in several
            places has a box in each. Weights below 1/131072 count as 0.

        Raises:
            TypeError: if the dtype or library is wrong, or a list is traced.
            ValueError: if boxes are rotated, the format is unknown, labels do not match, or there are too few rows.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> boxes = np.float32([[[2, 2, 6, 6]], [[0, 0, 8, 8]]])
            >>> mixed = ma.MixUp(alpha=1.0).draw(2, size=(8, 8), key=(0, 0)).boxes(boxes, labels=np.array([[3], [5]]))
            >>> mixed.labels.tolist(), mixed.weight.sum(axis=1).tolist()
            ([[3, 5], [5, 3]], [1.0, 1.0])

        Zhang et al. 2019, "Bag of Freebies for Training Object Detection Neural Networks", keep all boxes of a blend.
        """
        data = objects.ObjectData(labels, valid, source, labels_source, valid_source)
        xp, mix = self._in_library_of(**objects.arrays_by_name("boxes", boxes, data))
        keep = objects.ObjectLimits(min_visibility, max_boxes)
        return mix_boxes(xp, boxes, data, mix.index, mix.region, mix._sizes, format, normalized, keep)

    @backends.no_autograph
    def keypoints(self, points: Array, *, normalized: bool = False, source: Array | None = None) -> KeypointsResult:
        """Return the keypoints of all sources, and their weights.

            weight = pixel_weights()[k] at the pixel of the point

        Args:
            points: (n, m, d) or (n, m, K, d) floats or integers, x (the last spatial axis) first, or d + 1 numbers per
                point, with its visibility last. Points that are NaN, outside the image or of visibility 0 are ignored.
            normalized: whether coordinates are fractions of the image's sides.
            source: the points that `index` refers to; by default `points`.

        Returns:
            points: (n, k * m, ...), with the points of source j starting at slot j * m. Points move with their pixels;
                ignored points are unchanged. The visibility of hidden points is 0, otherwise it is unchanged.
            weight: float32, 0 for points that are not visible.

        Raises:
            TypeError: if the dtype or library is wrong.
            ValueError: if the shape is wrong, or there are too few rows.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> mix = ma.CutMix(alpha=1.0).draw(4, size=(8, 8), key=(0, 0))
            >>> mix.keypoints(np.full((4, 1, 2), 4.5, np.float32)).weight.sum(axis=1)  # each pixel has one source
            array([1., 1., 1., 1.], dtype=float32)
        """
        xp, mix = self._in_library_of(keypoints=points, source=source)
        return mix_keypoints(xp, points, source, mix.index, mix.region, mix._sizes, normalized)

    @backends.no_autograph
    def instances(
        self,
        masks: Array,
        labels: ObjectLabels = None,
        *,
        min_visibility: float = 0.1,
        max_instances: int | None = None,
        valid: Array | None = None,
        source: Array | None = None,
        labels_source: ObjectLabels = None,
        valid_source: Array | None = None,
    ) -> InstancesResult:
        """Return the visible pixels of the instance masks of all sources, and their weights.

            output = (pixel_weights()[k] > 0) * source[index[k]]
            weight = sum of pixel_weights()[k] over the pixels of the mask / number of its pixels

        Args:
            masks: bool (n, m, *size) of the size of the images, m slots per sample; empty masks are ignored.
            labels: labels of the objects, (n, m, ...), or a dict of such arrays.
            min_visibility: the minimum visible fraction of a mask, as in `boxes`.
            max_instances: the number of slots per output, as in `boxes`.
            valid: bool (n, m), True for real masks, False for padding; by default, masks that are not empty.
            source: the masks that `index` refers to; by default `masks`.
            labels_source: the labels of `source`.
            valid_source: `valid` of `source`.

        Returns:
            `masks`, bool (n, k * m, *size), `labels`, `weight` (float32) and `valid`, all in the same slots. If a
            source box shows only part of a mask, the weight is the fraction of its pixels that is shown, times their
            mean weight.

        Raises:
            TypeError: if the masks are not bool, or the library is wrong.
            ValueError: if the size is wrong, labels do not match, or there are too few rows.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> masks = np.ones((2, 1, 4, 4), bool)
            >>> mixed = ma.CutMix(alpha=1.0).draw(2, size=(4, 4), key=(0, 1)).instances(masks)
            >>> bool(mixed.masks.any(axis=1).all()), mixed.weight.sum(axis=1).tolist()
            (True, [1.0, 1.0])
        """
        data = objects.ObjectData(labels, valid, source, labels_source, valid_source)
        xp, mix = self._in_library_of(**objects.arrays_by_name("instances", masks, data))
        keep = objects.ObjectLimits(min_visibility, max_instances)
        return mix_instances(xp, masks, data, mix.index, mix.region, mix._sizes, keep)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the mix to a NumPy .npz file, with `ma.draw_version`, without pickling or compression.

        The file is written atomically; symbolic links are followed.

        Raises:
            OSError: if `path` is not a regular file, or cannot be written.
            TypeError: if the mix is traced.
        """
        xp = self._library
        fields = {"index": self.index, "lam": self.lam, **self.region.arrays()}
        arrays = {name: xp.concrete(array) for name, array in fields.items()}
        if any(array is None for array in arrays.values()):
            raise TypeError(
                "mix.save: expected concrete arrays, got traced ones; return the mix from the function first"
            )
        meta = {"size": np.array(self.size, np.int64), "draw_version": np.array(draw_version, np.int64)}
        if self.source_size is not None:
            meta["source_size"] = np.array(self.source_size, np.int64)

        def fill(unfinished: Path) -> None:
            with unfinished.open("wb") as file:  # NumPy adds a suffix to a name, but not to a file
                np.savez(file, allow_pickle=False, **meta, **arrays)

        files.write(path, fill)

    @classmethod
    def load(cls, path: str | os.PathLike[str], like: Array | None = None) -> Mix:
        """Read a mix written by `save`, as NumPy arrays or in the library of `like`.

        Sizes are checked before anything is read.

        Raises:
            ValueError: if the file was not written by `save`, has a newer `ma.draw_version`, or its arrays are not a
                valid mix.
        """
        xp = backends.common(like)
        try:
            arrays = archive.read(path)
            if arrays.pop("draw_version", 0) > draw_version:
                raise ValueError("its draw_version is newer; install a newer mixaug")
            if missing := {"size", "index", "lam"} - arrays.keys():
                raise ValueError(f"it has no {', '.join(sorted(missing))}")
            size = tuple(arrays.pop("size").tolist())
            source_size = tuple(arrays.pop("source_size").tolist()) if "source_size" in arrays else None
            index, lam = arrays.pop("index"), arrays.pop("lam")
            region = (Dense if "weight" in arrays else Paste).of(arrays, index.shape[0])
            if arrays.keys() != region.arrays().keys():
                raise ValueError(f"it has unknown arrays: {', '.join(sorted(arrays.keys() - region.arrays().keys()))}")
            mix = cls(index, lam, region, size, source_size)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, BadZipFile) as error:
            raise ValueError(f"{os.fspath(path)}: expected a file that mix.save wrote ({error})") from None
        return mix if xp == mix._library else mix.to(xp)

    def to(self, xp: Library) -> Mix:
        """Convert a mix on the host to another library."""
        arrays = (self.index, self.lam, *self.region.arrays().values())
        return type(self).unflatten(self.flatten()[0], tuple(backends.to_each(xp, arrays)))

    def of_rows(self, rows: Array) -> Mix:
        """Return the mix with each row number i of `index` replaced by rows[i]."""
        xp = self._library
        return replace(self, index=xp.take(xp.cast(backends.to(xp, rows), "int32"), self.index))

    def flatten(self) -> tuple[Any, tuple[Array, ...]]:
        """Return the structure and the arrays of the mix: it is a pytree in every library."""
        sizes = [self.size] if self.source_size is None else [*self._sizes]
        known = [tuple(length if isinstance(length, int) else None for length in size) for size in sizes]
        dynamic = [length for size in sizes for length in size if not isinstance(length, int)]
        arrays = self.region.arrays()
        structure = (type(self.region).__name__, tuple(arrays), self.region.sources, *known)
        return structure, (self.index, self.lam, *arrays.values(), *dynamic)

    @classmethod
    def unflatten(cls, structure: Any, arrays: tuple[Array, ...]) -> Mix:
        """Make a mix from its structure and arrays."""
        kind, names, sources, *known = structure
        index, lam, *others = arrays
        region = _REGIONS[kind].of(dict(zip(names, others, strict=False)), sources)
        dynamic = iter(others[len(names) :])
        sizes = [tuple(_as_int(next(dynamic)) if length is None else length for length in size) for size in known]
        size, source_size = (*sizes, None)[:2]
        return cls(index, lam, region, size or (), source_size, _checked=True)

    __tf_flatten__, __tf_unflatten__ = flatten, unflatten  # TensorFlow's names of these methods

    def _library_of(self, **fields: Array | None) -> Library:
        """Return the library of the arrays; it must be that of the mix, unless the mix is NumPy's."""
        arrays = {name: array for name, array in fields.items() if array is not None}
        if not arrays or not isinstance(self.index, np.ndarray):
            arrays["the mix"] = self.index
        return backends.same(arrays)

    def _in_library_of(self, **fields: Array | None) -> tuple[Library, Mix]:
        """Return the library of the arrays, and the mix converted to it."""
        xp = self._library_of(**fields)
        return xp, self if xp == self._library else self.to(xp)


def _check_guide(rule: Rule, guide: Array | None) -> None:
    if rule.guide is not None and guide is None:
        raise ValueError(
            f"labels: expected guide= for {rule!r}, the array of its {rule.guide!r}, got None; pass guide="
        )
    if rule.guide is None and guide is not None:
        raise ValueError(
            f"labels: expected no guide for {rule!r}, got an array; leave guide= out, or pass rule='visible'"
        )


def _as_int(length: Any) -> Any:
    """Convert a length to an int, unless it is traced or, in TensorFlow, a placeholder."""
    xp = backends.find(length)
    value = xp.concrete(length) if xp else None
    return length if value is None else int(value)
