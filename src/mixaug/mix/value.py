"""The mix: which rows each output is made of, how much of each, and where."""

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
from ..ops.visibility import Visible, visible
from . import archive
from .check import check

_REGIONS: dict[str, type[Paste] | type[Dense]] = {kind.__name__: kind for kind in (Paste, Dense)}


@backends.tree
@dataclass(frozen=True, eq=False)
class Mix:
    """What the n outputs of a batch are made of: a value, drawn once and applied to everything a sample carries.

        lam[k] = mean over the pixels of pixel_weights()[k]

    A mix of NumPy can be applied to arrays of every library, a mix of another one to those of its own.

    Args:
        index: int32 (k, n), rows of a source. By default the source is the batch itself; then row 0 is 0 .. n-1.
            Row 0 is the output's base sample. A source of share 0 is padding and points there too.
        lam: float32 (k, n), how much of the output each source is. Columns sum to 1; sources of share > 0 differ.
        region: how the pixels are combined, `Paste` or `Dense`.
        size: the spatial size of the outputs, such as (height, width).
        source_size: the spatial size of the sources; None: `size`. Another one needs sources that are all seen through
            source boxes, as those of `ma.Mosaic()`.

    Raises:
        TypeError, ValueError: if the shapes, dtypes or libraries of the parts do not agree, or `lam` is not the mean of
            the region's weights.

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
    _checked: InitVar[bool] = False  #: whether these are parts of a mix that was checked

    def __post_init__(self, _checked: bool) -> None:
        backends.meet()
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
        """The weight of each source at each pixel, (k, n, *size): bool where nothing is blended, else float32.

        This is the definition that every faster form is tested against. Weights of equal sources (only where the
        batch is smaller than the number of sources) are added into the first, as the shares are.
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
        """Mix images, signals or volumes; convert and normalise them on the way, if that is asked for.

            output = scale * sum_k pixel_weights()[k] * source[index[k]] + offset

        Args:
            x: uint8, float16, bfloat16, float32 or float64, or int16 or uint16 that dtype= and scale= make floats of;
                not written to. Where the size is another than the mix was drawn for, pixel j of h belongs to the pixel
                floor((j + 1/2) * H / h) of that, along each axis. None: the base samples are rows of the source too.
            layout: a letter for each axis, in any case: n rows first, then c channels, h, w, d, t, such as "nchw",
                "nhw", "ntchw" or "nc". By default "nhwc", "nchw" in PyTorch, unless the shape may mean something else.
            spatial: the axes that the mix was drawn over, such as "thw"; by default those of d, h and w that are there,
                else t. Other axes share the mix.
            source: the array that the sources are rows of, where that is not x; it may be a whole dataset.
            dtype: of the output, one of those above; by default that of x.
            scale: a number, or one a channel; float32.
            offset: likewise: for x / 255 normalised by mean and std, scale is 1 / (255 * std) and offset -mean / std.
            out: memory of the output's shape and dtype to write to, where arrays can be written to.

        Returns:
            Fresh memory of the shape and library of x, or `out`. Float images are blended in float32 (float64 for
            float64) and rounded once, with scale and offset; uint8 that stays uint8 is rounded to nearest in integers,
            the same bits in every library. A pixel that is not a finite number may spread to every output that has its
            image as a source.

        Raises:
            TypeError: another library or dtype. ValueError: another number of axes, too few rows, as many numbers as
            there are no channels, or memory that does not fit.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> dataset, rows = np.full((9, 4, 4, 3), 51, np.uint8), np.array([[8, 3], [1, 7]])
            >>> mix = ma.MixUp(alpha=1.0).draw(2, size=(4, 4), key=(0, 0), index=rows)
            >>> round(float(mix.images(None, source=dataset, dtype="float32", scale=1 / 255).max()), 6)
            0.2

        On the host this is one pass over the pixels, each needed byte read once, by kernels that Numba compiles; under
        a jit, with gradients and on strided memory it is done by the library.
        """
        if x is None and source is None:
            raise ValueError("images: expected images or a source, got neither")
        xp, given = self._serves(images=x, source=source, out=out), source if x is None else x
        axes = of_images(given, layout, spatial)
        units = images.in_units(xp, given, axes, dtype, scale, offset)
        return self.mixed_images(xp, x, source, axes, units, out)

    def mixed_images(
        self, xp: Library, x: Array | None, source: Array | None, axes: Layout, units: Units | None, out: Any = None
    ) -> Array:
        """The mixed images, of a library, a layout and units that are known."""
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
        """Mix masks of class ids, of the images' size or of another.

            output = m[index[k]] of the k whose pixel_weights()[k] is the greatest, the first of several    (each pixel)
            output[c] = sum_k w[k] * (m[index[k]] == c) / sum_k w[k]                                (soft)
            w[k] = pixel_weights()[k] where m[index[k]] is not ignored, else 0

        Args:
            m: (n, *size) of any integer dtype or bool, with a channel axis or without; with `soft` also floats or bools
                (n, *size, num_classes), the shares of the classes, of which output = sum_k pixel_weights()[k] * m. Not
                written to. Mask pixel j of h belongs to the image pixel floor((j + 1/2) * H / h) along each axis: what
                is seen there is seen in it.
            ignore_index: the id of pixels that say nothing. Without `soft` it is an id like any other: an output is
                ignored exactly where the pixel chosen for it is.
            num_classes: how many classes there are; ids on the host are checked.
            soft: whether to give the share of each class, for which num_classes is needed.
            layout: as for `images`; by default that of the images, with a channel axis or without. With `soft`
                c is the axis of the classes, last by default and first in PyTorch, whether m has one or not.
            spatial: as for `images`.
            source: the masks that the sources are rows of, where that is not m.

        Returns:
            Ids of the shape and dtype of m, or float32 (n, *size, num_classes), (n, num_classes, *size) in PyTorch. A
            row is zero where all sources are ignored: the losses skip it. In a hole, which belongs to nobody, the own
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
        xp, mix = self._beside(masks=m, source=source)
        samples, region = Rows(m, source, mix.index), mix.region
        axes = of_masks(m, layout, spatial, len(mix.size), classes=num_classes if soft else None)
        if mix.source_size is not None:
            ids = None if soft and masks.is_soft(xp, m, axes, num_classes) else (num_classes, ignore_index)
            masks.check_given(xp, samples, mix.source_size, axes, ids)
            mixed = None if soft else windows.mixed_ids(xp, samples, region, mix._sizes, axes)
            if mixed is not None:
                return mixed
            views, index, region = windows.apart(xp, samples, region, mix._sizes, axes)
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
        """Mix labels by what each output is made of.

            output = sum_k lam[k] * one_hot(source[index[k]])                  (rule="area")
            output = max_k (lam[k] > 0) * one_hot(source[index[k]])            ("maximum")
            output = sum_k visible(guide).lam[k] * one_hot(source[index[k]])   ("visible")
            output = one_hot(source[index[argmax lam]])                        ("heaviest")

        Args:
            y: class ids, (n,) or (n, 1) of any integer dtype, or whole floats beside `num_classes`; or one column a
                class, weights from 0 to 1: one-hot, soft or of several classes, (n, num_classes) of any dtype.
            num_classes: needed for class ids.
            source: the labels that the sources are rows of, where that is not y.
            rule: a text, or a value of `ma.label_rules`.
            binary: True for labels 0 and 1, (n,) or (n, 1), that a sigmoid is trained with: the output is (n, 1).
            guide: what the rule depends on beside lam. For "visible" bool (n, *size), the foreground of the images, of
                the layout that `ma.label_rules.Visible` says.
            guide_source: the guide that the sources are rows of, where that is not `guide`.

        Returns:
            (n, num_classes) float32, float64 for rows of float64; (n, 1) if `binary`. Never the dtype of the images:
            bfloat16 cannot hold lam. Where the host cannot see them, values that are no class ids give rows of NaN.

        Raises:
            TypeError, ValueError: if labels are none of these, or a rule lacks its guide or takes none.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> mix = ma.MixUp(alpha=1.0).draw(2, size=(4, 4), key=(0, 0))
            >>> mix.labels(np.array([0, 2]), 3, rule="maximum")
            array([[1., 0., 1.],
                   [1., 0., 1.]], dtype=float32)
        """
        kind, num_classes = label_rules.rule(rule), None if num_classes is None else labels.check_count(num_classes)
        _check_guide(kind, guide)
        xp = self._serves(labels=y, source=source, guide=guide, guide_source=guide_source)
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
    ) -> Visible:
        """How much of what can be seen of the foreground is of each source, and whose cannot be seen at all.

            seen[k] = sum over the pixels of pixel_weights()[k] * source[index[k]]
            lam = seen / sum_k seen[k], and the plain shares where nothing is to be seen

        Args:
            foreground: bool (n, *size), where in each image its object is; of the images' size or of another; with a
                channel axis of length 1 or without.
            layout: as for `masks`.
            spatial: as there.
            source: the foreground that the sources are rows of, where that is not `foreground`.

        Returns:
            `lam` float32 (k, n); `unseen` bool (k, n), the sources that a plain label names though their object is
            not to be seen; `nothing` bool (n,), the outputs without any object: all in the library of the foreground.

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
        xp, mix = self._beside(foreground=foreground, source=source)
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
        xp, mix = self._beside(saliency=saliency, source=source)
        return mass(xp, saliency, source, mix.index, mix.region, mix._sizes)

    @backends.no_autograph
    def values(self, y: Array, *, source: Array | None = None) -> Array:
        """Mix regression targets, sample weights, or anything else that is averaged as the pixels are.

            output = sum_k lam[k] * source[index[k]]

        Args:
            y: (n, ...) of any number of axes; integers and bools give float32, floats keep their dtype.
            source: the values that the sources are rows of, where that is not y.
        """
        xp, mix = self._beside(values=y, source=source)
        return values.mix(xp, y, source, mix.index, mix.lam)

    @backends.no_autograph
    def per_source(self, y: Array, *, source: Array | None = None) -> tuple[Array, Array]:
        """The labels of each source and their shares, for a loss that wants them apart.

            loss = sum_k lam[k] * loss(prediction, parts[k])

        Args:
            y: (n, ...) labels of any form; they are gathered, not converted.
            source: the labels that the sources are rows of, where that is not y.

        Returns:
            parts (k, n, ...) of the dtype of y, and share float32 (k, n).
        """
        xp, mix = self._beside(labels=y, source=source)
        rows.check(xp, y, source, mix.index, "labels")
        return xp.stack(rows.gather(xp, y, source, mix.index)), mix.lam

    @backends.no_autograph
    def boxes(
        self,
        boxes: Objects,
        labels: ObjectLabels = None,
        format: str = "xyxy",  # noqa: A002 - that is what it is called everywhere
        normalized: bool = False,
        min_visibility: float = 0.1,
        max_boxes: int | None = None,
        *,
        valid: Objects | None = None,
        source: Objects | None = None,
        labels_source: ObjectLabels = None,
        valid_source: Objects | None = None,
    ) -> BoxesResult:
        """The boxes of all sources, each as the rectangle around what is to be seen of it, and how much that is.

            weight = integral of pixel_weights()[k] over the box / area of the box        (0 where it is less than
            min_visibility * max over the pixels of pixel_weights()[k]: that box goes)

        Args:
            boxes: (n, m, 2 * d) floats or integers, pixel p being [p, p + 1), with room for m boxes a sample; or a list
                of n arrays (m_i, 2 * d). One without area (padding of -1, NaN) is none. They are clipped to the image
                first: what lies beyond it counts neither as seen nor as hidden.
            labels: what belongs to each box, (n, m, ...), or a dict of such, or lists as the boxes are. In a dict
                "masks", bool (n, m, *size), and "keypoints", (n, m, K, d + 1) with a column of visibility, are mixed as
                `instances` and `keypoints` do.
            format: "xyxy" (corners), "xywh" (corner and sides), "cxcywh" (centre and sides), where x is the last
                spatial axis and those before it follow: x, y, z; or "yxyx", corners in the order of the axes. On one
                axis a box is its two ends, or its first end (its centre) and its length.
            normalized: whether the numbers are parts of the image's sides.
            min_visibility: how much of a box has to be seen, in parts of the most that its source weighs anywhere:
                boxes of a blend all stay, those that a box or the tail of a soft mask hides go.
            max_boxes: how many slots there are to be, for the heaviest. By default k * m, those of source j from j * m
                on.
            valid: bool (n, m), which boxes are some, where that is not to be seen from their area.
            source: the boxes that the sources are rows of, where that is not `boxes`.
            labels_source: what belongs to those.
            valid_source: which of those are some.

        Returns:
            `boxes` in the same format, their dtype kept (float32 of integers); `labels` and `weight`, float32, in the
            same slots, and `valid`. Empty slots have boxes of -1 and weight 0. Lists give lists, without empty slots.
            Through a window a box is moved and clipped as its pixels are; a row of the batch that is seen in several
            has a box in each. Weights below 1/131072 count as none.

        Raises:
            TypeError: no numbers, another library, or traced lists. ValueError: rotated boxes, an unknown format,
            labels that are not one a box, too few rows.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> boxes = np.float32([[[2, 2, 6, 6]], [[0, 0, 8, 8]]])
            >>> mixed = ma.MixUp(alpha=1.0).draw(2, size=(8, 8), key=(0, 0)).boxes(boxes, labels=np.array([[3], [5]]))
            >>> mixed.labels.tolist(), mixed.weight.sum(axis=1).tolist()
            ([[3, 5], [5, 3]], [1.0, 1.0])

        Zhang et al. 2019, "Bag of Freebies for Training Object Detection Neural Networks", keep all boxes of a blend.
        """
        beside = objects.ObjectData(labels, valid, source, labels_source, valid_source)
        xp, mix = self._beside(**objects.named("boxes", boxes, beside))
        keep = objects.ObjectLimits(min_visibility, max_boxes)
        return mix_boxes(xp, boxes, beside, mix.index, mix.region, mix._sizes, format, normalized, keep)

    @backends.no_autograph
    def keypoints(self, points: Array, *, normalized: bool = False, source: Array | None = None) -> KeypointsResult:
        """The keypoints of all sources, and how much each is to be seen.

            weight = pixel_weights()[k] at the pixel that the point lies in

        Args:
            points: (n, m, d) or (n, m, K, d) floats or integers, x (the last spatial axis) first, or d + 1 numbers a
                point with its visibility. A point that is NaN, outside of the image or of visibility 0 is none.
            normalized: whether the numbers are parts of the image's sides.
            source: the points that the sources are rows of, where that is not `points`.

        Returns:
            `points` (n, k * m, ...), those of source j from j * m on, moved as the pixels of a window are (what is no
            point stays where it is), and `weight`, float32, 0 where a point is not to be seen. Its visibility is 0
            there too, and else what it was.

        Raises:
            TypeError: no numbers, or another library. ValueError: another shape, or too few rows.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> mix = ma.CutMix(alpha=1.0).draw(4, size=(8, 8), key=(0, 0))
            >>> mix.keypoints(np.full((4, 1, 2), 4.5, np.float32)).weight.sum(axis=1)  # each pixel has one source
            array([1., 1., 1., 1.], dtype=float32)
        """
        xp, mix = self._beside(keypoints=points, source=source)
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
        """The instance masks of all sources, where each is to be seen, and how much of it that is.

            output = (pixel_weights()[k] > 0) * source[index[k]]
            weight = sum of pixel_weights()[k] over its pixels / its pixels

        Args:
            masks: bool (n, m, *size) of the image's size, with room for m objects a sample; one without pixels is none.
            labels: what belongs to each object, (n, m, ...), or a dict of such.
            min_visibility: how much of a mask has to be seen, as in `boxes`.
            max_instances: how many slots there are to be, as in `boxes`.
            valid: bool (n, m), which masks are some, where those that are none are not empty.
            source: the masks that the sources are rows of, where that is not `masks`.
            labels_source: what belongs to those.
            valid_source: which of those are some.

        Returns:
            `masks` bool (n, k * m, *size), `labels` and `weight`, float32, in the same slots, and `valid`. Of a mask
            whose window shows a part of it, weight is that part of its pixels times the mean over those that are shown.

        Raises:
            TypeError: no bools, or another library. ValueError: another size, labels that are not one a mask, too few
            rows.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> masks = np.ones((2, 1, 4, 4), bool)
            >>> mixed = ma.CutMix(alpha=1.0).draw(2, size=(4, 4), key=(0, 1)).instances(masks)
            >>> bool(mixed.masks.any(axis=1).all()), mixed.weight.sum(axis=1).tolist()
            (True, [1.0, 1.0])
        """
        beside = objects.ObjectData(labels, valid, source, labels_source, valid_source)
        xp, mix = self._beside(**objects.named("instances", masks, beside))
        keep = objects.ObjectLimits(min_visibility, max_instances)
        return mix_instances(xp, masks, beside, mix.index, mix.region, mix._sizes, keep)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the mix to a NumPy .npz file, with `ma.draw_version`; nothing in it is pickled or compressed.

        The file is written whole or not at all, and a symbolic link is followed.

        Raises:
            OSError: if `path` is no regular file or cannot be written. TypeError: if the mix is traced.
        """
        xp = self._library
        named = {"index": self.index, "lam": self.lam, **self.region.arrays()}
        held = {name: xp.concrete(array) for name, array in named.items()}
        if any(array is None for array in held.values()):
            raise TypeError(
                "mix.save: expected concrete arrays, got traced ones; return the mix from the function first"
            )
        meta = {"size": np.array(self.size, np.int64), "draw_version": np.array(draw_version, np.int64)}
        if self.source_size is not None:
            meta["source_size"] = np.array(self.source_size, np.int64)

        def fill(unfinished: Path) -> None:
            with unfinished.open("wb") as file:  # a file, so that NumPy adds no suffix to the name
                np.savez(file, allow_pickle=False, **meta, **held)

        files.write(path, fill)

    @classmethod
    def load(cls, path: str | os.PathLike[str], like: Array | None = None) -> Mix:
        """Read a mix that `save` wrote, as NumPy or in the library of `like`.

        Raises:
            ValueError: if it is no such file, or one of a newer `ma.draw_version`, or its arrays are no mix. Sizes are
                checked before anything is read.
        """
        xp = backends.common(like)
        try:
            held = archive.read(path)
            if held.pop("draw_version", 0) > draw_version:
                raise ValueError("its draw_version is newer; install a newer mixaug")
            if missing := {"size", "index", "lam"} - held.keys():
                raise ValueError(f"it has no {', '.join(sorted(missing))}")
            size = tuple(held.pop("size").tolist())
            source_size = tuple(held.pop("source_size").tolist()) if "source_size" in held else None
            index, lam = held.pop("index"), held.pop("lam")
            region = (Dense if "weight" in held else Paste).of(held, index.shape[0])
            if held.keys() != region.arrays().keys():
                raise ValueError(f"it holds {', '.join(sorted(held.keys() - region.arrays().keys()))}")
            mix = cls(index, lam, region, size, source_size)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, BadZipFile) as error:
            raise ValueError(f"{os.fspath(path)}: expected a file that mix.save wrote ({error})") from None
        return mix if xp == mix._library else mix.to(xp)

    def to(self, xp: Library) -> Mix:
        """The same mix in another library, of one that lies on the host."""
        arrays = (self.index, self.lam, *self.region.arrays().values())
        return type(self).unflatten(self.flatten()[0], tuple(backends.to_each(xp, arrays)))

    def of_rows(self, rows: Array) -> Mix:
        """The same mix of another source, in which those rows are the rows of this one's."""
        xp = self._library
        return replace(self, index=xp.take(xp.cast(backends.to(xp, rows), "int32"), self.index))

    def flatten(self) -> tuple[Any, tuple[Array, ...]]:
        """Structure and arrays, by which the libraries pass a mix through their functions: in each it is a pytree."""
        sizes = [self.size] if self.source_size is None else [*self._sizes]
        known = [tuple(length if isinstance(length, int) else None for length in size) for size in sizes]
        run_time = [length for size in sizes for length in size if not isinstance(length, int)]
        held = self.region.arrays()
        structure = (type(self.region).__name__, tuple(held), self.region.sources, *known)
        return structure, (self.index, self.lam, *held.values(), *run_time)

    @classmethod
    def unflatten(cls, structure: Any, arrays: tuple[Array, ...]) -> Mix:
        """The mix of that structure and those arrays."""
        kind, names, sources, *known = structure
        index, lam, *rest = arrays
        region = _REGIONS[kind].of(dict(zip(names, rest, strict=False)), sources)
        run_time = iter(rest[len(names) :])
        sizes = [tuple(_known(next(run_time)) if length is None else length for length in size) for size in known]
        size, source_size = (*sizes, None)[:2]
        return cls(index, lam, region, size or (), source_size, _checked=True)

    __tf_flatten__, __tf_unflatten__ = flatten, unflatten  # the names that TensorFlow looks for

    def _serves(self, **named: Array | None) -> Library:
        """The one library of these arrays, which that of the mix is too; but a mix of NumPy serves all libraries."""
        arrays = {name: array for name, array in named.items() if array is not None}
        if not arrays or not isinstance(self.index, np.ndarray):
            arrays["the mix"] = self.index
        return backends.same(arrays)

    def _beside(self, **named: Array | None) -> tuple[Library, Mix]:
        """The library of these arrays, and the mix in it."""
        xp = self._serves(**named)
        return xp, self if xp == self._library else self.to(xp)


def _check_guide(rule: Rule, guide: Array | None) -> None:
    if rule.guide is not None and guide is None:
        raise ValueError(
            f"labels: expected guide= for {rule!r}, the array of its {rule.guide!r}, got none; pass guide="
        )
    if rule.guide is None and guide is not None:
        raise ValueError(f"labels: expected no guide for {rule!r}, got one; leave guide= out, or pass rule='visible'")


def _known(length: Any) -> Any:
    """A length as an int, where it can be seen: TensorFlow also passes stand-ins for its tensors through here."""
    xp = backends.find(length)
    held = xp.concrete(length) if xp else None
    return length if held is None else int(held)
