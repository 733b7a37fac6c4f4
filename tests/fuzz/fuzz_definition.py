"""The mixed fields by definition, in NumPy and float64, without using mixaug's code.

Everything here reads `mix.index`, `mix.lam`, `mix.region`, `mix.size` and `mix.source_size` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Host = np.ndarray[Any, Any]
SEEN = 0.5 / 65536  #: what weighs less is not seen


class Nonsense(Exception):  # noqa: N818 - not an error of mixaug
    """Data without a valid result, which must raise an error."""


def of_values(condition: Any, why: str) -> None:
    """Raise unless the condition holds."""
    if not condition:
        raise Nonsense(why)


@dataclass
class Seen:
    """A mix, read once.

    Args:
        index: (k, n). lam: (k, n). size, source_size: the spatial sizes of outputs and sources.
        weight: (k, n, *size), how much of each pixel is of each source: 0 for all where there is a hole.
        box, source_box: for each source None, or (n, d, 2).
        fill: None, or what is in holes, (n,), (n, *size) or (n, *size, c), where lengths may be 1.
    """

    index: Host
    lam: Host
    size: tuple[int, ...]
    weight: Host
    box: list[Host | None]
    source_box: list[Host | None]
    fill: Host | None
    source_size: tuple[int, ...] = ()

    @classmethod
    def of(cls, mix: Any, values: Any) -> Seen:
        """A mix of any library, whose arrays `values` makes NumPy's."""
        index, lam = values(mix.index).astype(int), values(mix.lam).astype(float)
        size, region = tuple(int(length) for length in mix.size), mix.region
        k, n = index.shape
        host = [None if box is None else values(box) for box in region.box]
        of_source = [None if box is None else values(box) for box in region.source_box]
        fill = None if region.fill is None else values(region.fill).astype(float)
        if hasattr(region, "weight"):
            weight = values(region.weight).astype(float)
        else:
            weight = np.zeros((k, n, *size))
            weight[0] = 1
            if region.background is not None:
                weight[:] = values(region.background).astype(float).reshape(k, n, *[1] * len(size))
            for i in range(n):
                for j, box in enumerate([*host, *map(values, region.holes)]):
                    if box is not None:
                        area = tuple(slice(*ends) for ends in box[i].tolist())
                        weight[(slice(None), i, *area)] = 0
                        if j < k:
                            weight[(j, i, *area)] = 1
        source_size = size if mix.source_size is None else tuple(int(length) for length in mix.source_size)
        return cls(index, lam, size, weight, host, of_source, fill, source_size)

    @property
    def covered(self) -> Host:
        """Bool (n, *size): where no source is seen."""
        return self.weight.sum(axis=0) <= 0

    @property
    def merged(self) -> Host:
        """The weights with those of equal sources added into each of them."""
        k, n = self.index.shape
        out = np.zeros_like(self.weight)
        for i in range(n):
            for j in range(k):
                out[j, i] = self.weight[self.index[:, i] == self.index[j, i], i].sum(axis=0)
        return out

    @property
    def first(self) -> Host:
        """The weights with those of equal sources added into the first of them alone."""
        out, index = self.merged, self.index
        for j in range(1, len(index)):
            out[j, (index[:j] == index[j]).any(axis=0)] = 0
        return out

    def check(self) -> None:
        """Assert that the label is the pixels, and that sources are what they should be."""
        k, n = self.index.shape
        assert self.lam.shape == (k, n)
        assert (self.lam >= 0).all(), "lam is below 0"
        np.testing.assert_allclose(self.lam.sum(axis=0), 1, atol=1e-6, err_msg="lam does not sum to 1")
        total = self.weight.sum(axis=0)
        assert ((abs(total - 1) < 1e-5) | self.covered).all(), "weights do not sum to 1"
        for i in range(n):
            shares, is_seen = self.weight[:, i].reshape(k, -1).sum(axis=1), (~self.covered[i]).sum()
            if is_seen:
                for row in set(self.index[:, i].tolist()):
                    same = self.index[:, i] == row
                    want = shares[same].sum() / is_seen
                    assert abs(self.lam[same, i].sum() - want) < 5e-6, "lam is not the mean of the weights"


# --- which pixel shows which ---


def home(length: int, of: int) -> Host:
    """The pixel, among `of`, that each of `length` pixels belongs to."""
    return np.array([((2 * pixel + 1) * of) // (2 * length) for pixel in range(length)], int)


def to_size(seen: Seen, x: Host, size: tuple[int, ...], first: int) -> Host:
    """Values of the mix's pixels, spatial axes from `first` on, at the pixels of a field of another size."""
    for axis, (length, of) in enumerate(zip(size, seen.size, strict=True), first):
        x = np.take(x, home(length, of), axis)
    return x


def made(seen: Seen, x: Host) -> tuple[int, ...]:
    """The size of the outputs of a field (m, *size, ...)."""
    lengths = zip(x.shape[1:], seen.size, seen.source_size, strict=False)
    return tuple(to if length == of else max(length * to // of, 1) for length, to, of in lengths)


def shown(seen: Seen, source: Host, j: int, i: int) -> Host:
    """What source j of output i shows at each pixel: (*size, ...) of rows (m, *size, ...)."""
    x, box, source_box = source[seen.index[j, i]], seen.box[j], seen.source_box[j]
    size = made(seen, source)
    out = x.copy() if seen.size == seen.source_size else np.zeros((*size, *x.shape[len(size) :]), x.dtype)
    if box is None or source_box is None:
        return out
    places, within = [], []
    for axis, length in enumerate(x.shape[: len(size)]):
        to_size, of = seen.size[axis], seen.source_size[axis]
        (to, end), (start, stop) = box[i, axis].tolist(), source_box[i, axis].tolist()
        centre, own_centre, at = home(of, length), home(to_size, size[axis]), []
        owns = home(size[axis], to_size).tolist()
        for pixel, own in enumerate(owns):
            looked = start + ((2 * (own - to) + 1) * (stop - start)) // max(2 * (end - to), 1)
            looked = min(max(looked, 0), of - 1)
            at.append(min(max(int(centre[looked]) + pixel - int(own_centre[own]), 0), length - 1))
        places.append(at)
        within.append([to <= own < end for own in owns])
    inside = np.ix_(*[np.flatnonzero(one) for one in within])
    out[inside] = x[np.ix_(*[np.array(at, int)[np.array(one, bool)] for at, one in zip(places, within, strict=True)])]
    return out


def own(seen: Seen, x: Host, i: int) -> Host:
    """The base sample as it is, where holes cover it."""
    return x[seen.index[0, i]] if seen.size == seen.source_size else np.zeros(1, x.dtype)


def moved(x: Host, axes: str, spatial: str) -> tuple[Host, list[int]]:
    """An array with its rows first, then its spatial axes, then the others; and the order that brings it back."""
    letters = "n" + spatial + "".join(one for one in axes if one != "n" and one not in spatial)
    order = [axes.index(one) for one in letters]
    return x.transpose(order), [order.index(at) for at in range(len(order))]


def spatial_of(axes: str) -> str:
    """The axes that a mix is drawn over by default."""
    return "".join(one for one in "dhw" if one in axes) or ("t" if "t" in axes else "")


# --- fields ---


def images(seen: Seen, source: Host, axes: str, spatial: str, fills: Any = lambda x: x) -> tuple[Host, Host, Host]:
    """float64 outputs of images, which of their numbers are copies, and which are certain: no NaN is near."""
    x, back = moved(source.astype(float), axes, spatial)
    table = not spatial
    size = seen.size if not table else ()
    x = x if not table else x[:, None]
    weight = seen.weight if not table else seen.weight.reshape(*seen.index.shape, 1)
    fake = seen if not table else Seen(seen.index, seen.lam, (1,), weight, seen.box, seen.source_box, seen.fill, (1,))
    size = made(fake, x)
    weight, rest = to_size(fake, weight, size, 2), x.ndim - 1 - len(size)
    k, n = seen.index.shape
    out = np.zeros((n, *size, *x.shape[1 + len(size) :]))
    copied, certain = np.zeros(out.shape, bool), np.ones(out.shape, bool)
    wide = (..., *[None] * rest)
    for i in range(n):
        views = [shown(fake, x, j, i) for j in range(k)]
        out[i] = sum(np.where(weight[j, i][wide] > 0, weight[j, i][wide] * view, 0) for j, view in enumerate(views))
        copied[i] = ((weight[:, i] > 0).sum(axis=0) <= 1)[wide] & np.ones(out[i].shape, bool)
        certain[i] = all(np.isfinite(x[row]).all() for row in seen.index[:, i])
        covered = to_size(fake, fake.weight.sum(axis=0)[i] <= 0, size, 0)[wide] & np.ones(out[i].shape, bool)
        if covered.any():
            of_values(fake.fill is not None, "a hole without a fill")
            out[i] = np.where(covered, fills(filling(fake, i, size, axes, spatial)), out[i])
    if table:
        out, copied, certain = out[:, 0], copied[:, 0], certain[:, 0]
    return tuple(one.transpose(back) for one in (out, copied, certain))  # type: ignore[return-value]


def filling(seen: Seen, i: int, size: tuple[int, ...], axes: str, spatial: str) -> Host:
    """What is in the holes of output i, of images (*size, ...) whose further axes are those that are not spatial."""
    assert seen.fill is not None
    fill, d, rest = seen.fill[i], len(size), [one for one in axes[1:] if one not in spatial]
    if fill.ndim < d + 1:
        return to_size(seen, fill, size, 0)[(..., *[None] * len(rest))] if fill.ndim else fill
    of_values(fill.shape[-1] == 1 or "c" in rest, "a fill of channels, and none")
    fill = fill if fill.shape[:-1] == (1,) * d else to_size(seen, fill, size, 0)
    return fill.reshape(*fill.shape[:-1], *[-1 if one == "c" else 1 for one in rest])


def one_hot(y: Host, num_classes: int | None, binary: bool) -> Host:
    """float64 soft labels, from class ids or soft labels."""
    y = y.astype(float)
    if binary:
        y = y.reshape(-1, 1)
        of_values(((y >= 0) & (y <= 1)).all(), "binary labels beside 0..1")
        return y
    if y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1 and num_classes not in (None, 1)):
        of_values(num_classes is not None, "ids without num_classes")
        y = y.reshape(-1)
        of_values(((y >= 0) & (y < (num_classes or 0)) & (y == np.floor(y))).all(), "ids out of range")
        return np.eye(num_classes)[y.astype(int)]
    of_values(y.ndim == 2 and num_classes in (None, y.shape[1]), "columns")
    of_values(((y >= 0) & (y <= 1.06)).all(), "rows beside 0..1")
    return y


def labels(seen: Seen, y: Host, num_classes: int | None, rule: str, binary: bool, guide: Host | None) -> Host:
    """float64 labels, by a label rule."""
    rows, (k, n) = one_hot(y, num_classes, binary), seen.index.shape
    if not n:
        return rows[:0]
    weight = seen.lam.copy()
    if rule == "maximum":
        return np.stack([max_of([(seen.lam[j, i] > 0) * rows[seen.index[j, i]] for j in range(k)]) for i in range(n)])
    if rule == "heaviest":
        weight = np.zeros((k, n))
        for i in range(n):
            weight[int(seen.lam[:, i].argmax()), i] = 1
    if rule == "visible":
        of_values(guide is not None, "no foreground")
        parts = guided(seen, guide)  # type: ignore[arg-type]
        total = parts.sum(axis=0)
        weight = np.where(total > 0, parts / np.where(total > 0, total, 1), seen.lam)
    return sum(weight[j][:, None] * rows[seen.index[j]] for j in range(k))  # type: ignore[return-value]


def guided(seen: Seen, foreground: Host) -> Host:
    """(k, n): the visible fraction of each source's foreground."""
    weight = to_size(seen, seen.weight, made(seen, foreground), 2)
    return np.array([
        [(weight[j, i] * shown(seen, foreground.astype(float), j, i)).sum() for i in range(seen.index.shape[1])]
        for j in range(seen.index.shape[0])
    ])  # fmt: skip


def max_of(rows: list[Host]) -> Host:
    return np.max(np.stack(rows), axis=0)


def values(seen: Seen, y: Host) -> Host:
    """float64 averages."""
    y = y.astype(float)
    shape = (-1, *[1] * (y.ndim - 1))
    terms = [seen.lam[j].reshape(shape) * y[seen.index[j]] for j in range(seen.index.shape[0])]
    return sum(terms[1:], terms[0])


def check_masks(
    seen: Seen, source: Host, axes: str, spatial: str, got: Host, num_classes: int | None, ignore: Any
) -> None:
    """Assert that each pixel of a mask of ids has the id of one of its heaviest sources."""
    check_classes(source, num_classes, ignore)
    x = moved(source, axes, spatial)[0]
    got = moved(got, axes, spatial)[0]
    size = made(seen, x)
    weight, merged = to_size(seen, seen.weight, size, 2), to_size(seen, seen.merged, size, 2)
    k, n = seen.index.shape
    wide = (..., *[None] * (x.ndim - 1 - len(size)))
    for i in range(n):
        right, covered = np.zeros(got.shape[1:], bool), weight[:, i].sum(axis=0) <= 0
        most = merged[:, i].max(axis=0) - 1e-6
        for j in range(k):
            heavy = (merged[j, i] >= most) & (weight[j, i] > 0)
            right |= heavy[wide] & (shown(seen, x, j, i) == got[i])
        right |= covered[wide] & (own(seen, x, i) == got[i])
        assert right.all(), f"output {i} has ids that its heaviest source has not"


def check_classes(m: Host, num_classes: int | None, ignore: Any) -> None:
    if num_classes is not None:
        known = (m.astype(int) >= 0) & (m.astype(int) < num_classes)
        of_values((known | (False if ignore is None else m == ignore)).all(), "ids of masks out of range")


def soft_masks(seen: Seen, source: Host, axes: str, spatial: str, num_classes: int, ignore: Any) -> Host:
    """float64 soft masks from masks of ids, with the axes n, spatial axes, others, classes."""
    k, n = seen.index.shape
    check_classes(source, num_classes, ignore)
    x = moved(source, axes, spatial)[0]
    size = made(seen, x)
    weight, wide = to_size(seen, seen.weight, size, 2), (..., *[None] * (x.ndim - 1 - len(size)))
    out = np.zeros((n, *size, *x.shape[1 + len(size) :], num_classes))
    for i in range(n):
        w = weight[:, i].copy()
        w[0] = np.where(w.sum(axis=0) <= 0, 1, w[0])
        total = np.zeros(out.shape[1:-1])
        for j in range(k):
            ids = shown(seen, x, j, i)
            if not j:
                ids = np.where((weight[:, i].sum(axis=0) <= 0)[wide], own(seen, x, i), ids)
            part = np.where(ids == ignore, 0, w[j][wide]) if ignore is not None else w[j][wide] + np.zeros(ids.shape)
            total += part
            for c in range(num_classes):
                out[i, ..., c] += part * (ids == c)
        out[i] /= np.where(total > 0, total, 1)[..., None]
    return out


def blended_masks(seen: Seen, source: Host, axes: str, spatial: str) -> Host:
    """float64 soft masks from soft masks, in their layout."""
    x, back = moved(source.astype(float), axes, spatial)
    size = made(seen, x)
    weight, wide = to_size(seen, seen.weight, size, 2), (..., *[None] * (x.ndim - 1 - len(size)))
    out = np.zeros((seen.index.shape[1], *size, *x.shape[1 + len(size) :]))
    for i in range(len(out)):
        for j in range(seen.index.shape[0]):
            out[i] += np.where(weight[j, i][wide] > 0, weight[j, i][wide] * shown(seen, x, j, i), 0)
        covered = (weight[:, i].sum(axis=0) <= 0)[wide]
        out[i] = np.where(covered, own(seen, x, i), out[i])
    return out.transpose(back)


def boxes(seen: Seen, source: Host, min_visibility: float) -> tuple[Host, Host, Host] | None:
    """Boxes "yxyx" of whole pixels (n, m, 4): visible rectangles, fractions, and which are certain; None if resized."""
    if any(box is not None for box in seen.source_box) or len(seen.size) != 2:
        return None
    (k, n), m = seen.index.shape, source.shape[1]
    out, weight, certain = np.full((n, k * m, 4), -1.0), np.zeros((n, k * m)), np.ones((n, k * m), bool)
    of_rows = seen.first
    for j, i, b in np.ndindex(k, n, m):
        top, left, bottom, right = (int(v) for v in source[seen.index[j, i], b].tolist())
        top, left = max(top, 0), max(left, 0)
        bottom, right = min(bottom, seen.size[0]), min(right, seen.size[1])
        if bottom <= top or right <= left:
            continue
        w, part, slot = of_rows[j, i], of_rows[j, i, top:bottom, left:right], j * m + b
        share, peak = part.mean(), w.max()
        certain[i, slot] = abs(share - min_visibility * peak) > 1e-4 and not 0 < share < 1e-4
        certain[i, slot] &= not (abs(part - SEEN) < 1e-6).any()
        if share >= min_visibility * peak and share > SEEN:
            ys, xs = np.nonzero(part > SEEN)
            out[i, slot] = top + ys.min(), left + xs.min(), top + ys.max() + 1, left + xs.max() + 1
            weight[i, slot] = share
    return out, weight, certain
