"""How the pixels of an output are combined: `Paste`, the cheap form, and `Dense`, the definition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from ._xp import Array, Dim, Library

Size: TypeAlias = tuple[Dim, ...]


@dataclass(frozen=True, eq=False)
class Paste:
    """A blend of whole parents, and per output and parent at most one box pasted over it.

        output = where(inside(box[j]), parent[j], sum_k background[k] * parent[k])

    Args:
        background: float32 (k, n), each column summing to 1; None: the own sample alone.
        box: for each of the k parents int32 (n, d, 2), the first and the one-past-last pixel along each of the d
            spatial axes, or None where no output has a box of that parent. The boxes of one output are disjoint.
    """

    background: Array | None
    box: tuple[Array | None, ...]

    @property
    def parents(self) -> int:
        """k, the number of parents an output can have."""
        return len(self.box)

    def share(self, xp: Library, n: Dim, size: Size) -> Array:
        """float32 (k, n): the area of each parent's box, and of what the boxes leave free its background weight."""
        boxes = [None if box is None else _area(xp, box, size) for box in self.box]
        taken = [area for area in boxes if area is not None]
        free = 1.0 - sum(taken[1:], taken[0]) if taken else None
        others = []
        for j in range(1, self.parents):
            blended = None if self.background is None else self.background[j]
            if blended is not None and free is not None:
                blended = blended * free
            terms = [term for term in (blended, boxes[j]) if term is not None]
            others.append(sum(terms[1:], terms[0]) if terms else xp.full((n,), 0.0, "float32"))
        return _with_rest(xp, others, n)

    def dense(self, xp: Library, n: Dim, size: Size) -> Array:
        """(k, n, *size): the weight of each parent at each pixel; bool where nothing is blended, else float32."""
        shape = (n, *size)
        if self.background is None:
            weights = [xp.full(shape, j == 0, "bool") for j in range(self.parents)]
        else:
            pad = (slice(None), *[None] * len(size))
            weights = [xp.broadcast(self.background[j][pad], shape) for j in range(self.parents)]
        for j, box in enumerate(self.box):
            if box is not None:
                mask = inside(xp, box, size)
                for i, weight in enumerate(weights):
                    weights[i] = xp.where(mask, xp.cast(xp.full((), i == j, "bool"), xp.dtype(weight)), weight)
        return xp.stack(weights)

    def padded(self, xp: Library, parents: int) -> Paste:
        """The same region with room for more parents, which no pixel comes from."""
        background = None if self.background is None else _padded(xp, self.background, parents)
        return Paste(background, self.box + (None,) * (parents - self.parents))


@dataclass(frozen=True, eq=False)
class Dense:
    """A weight per parent and pixel.

        output = sum_k weight[k] * parent[k]

    Args:
        weight: (k, n, *size) float32 in [0, 1] summing to 1 over k, or bool where each pixel has one parent.
    """

    weight: Array

    @property
    def parents(self) -> int:
        """k, the number of parents an output can have."""
        return int(self.weight.shape[0])

    def share(self, xp: Library, n: Dim, size: Size) -> Array:
        """float32 (k, n): the mean over the pixels of each parent's weight."""
        axes = tuple(range(1, 1 + len(size)))
        sums = [xp.total(self.weight[j], axes) for j in range(1, self.parents)]
        return _with_rest(xp, [_over(xp, weight, _pixels(xp, size)) for weight in sums], n)

    def dense(self, xp: Library, n: Dim, size: Size) -> Array:  # noqa: ARG002 - the same signature as Paste.dense
        """(k, n, *size): the weights themselves."""
        return self.weight

    def padded(self, xp: Library, parents: int) -> Dense:
        """The same region with room for more parents, which no pixel comes from."""
        return Dense(_padded(xp, self.weight, parents))


@dataclass(frozen=True, eq=False)
class Chosen:
    """Of several regions another one in each row: what a choice among recipes draws, until `settle` makes it one.

    Args:
        choice: int32 (n,), which of the regions row i has.
        regions: those that there are to choose from.
    """

    choice: Array
    regions: tuple[Drawn, ...]

    @property
    def parents(self) -> int:
        """k, the number of parents an output can have."""
        return max(region.parents for region in self.regions)

    def share(self, xp: Library, n: Dim, size: Size) -> Array:
        """float32 (k, n): each row's share in the region chosen for it, as exact as it is there."""
        shares = [_padded(xp, region.share(xp, n, size), self.parents) for region in self.regions]
        return _choose_weights(xp, self.choice, shares)

    def settle(self, xp: Library, n: Dim, size: Size) -> Region:
        """Paste where all regions are, else Dense."""
        settled = [settle(xp, region, n, size).padded(xp, self.parents) for region in self.regions]
        pastes = [region for region in settled if isinstance(region, Paste)]
        if len(pastes) < len(settled):
            return Dense(_choose_weights(xp, self.choice, [region.dense(xp, n, size) for region in settled]))
        background = _choose_background(xp, self.choice, pastes, n)
        return Paste(background, tuple(_choose_box(xp, self.choice, pastes, j) for j in range(self.parents)))


Region: TypeAlias = Paste | Dense
Drawn: TypeAlias = Region | Chosen


def settle(xp: Library, region: Drawn, n: Dim, size: Size) -> Region:
    """The region that a mix can hold: Paste or Dense."""
    return region.settle(xp, n, size) if isinstance(region, Chosen) else region


def inside(xp: Library, box: Array, size: Size) -> Array:
    """Bool (n, *size): the pixels of an image of that size that lie in each box of int32 (n, d, 2)."""
    mask = None
    for axis, length in enumerate(size):
        at = xp.arange(length)[None, :]
        along = (at >= box[:, axis, :1]) & (at < box[:, axis, 1:])
        along = along[(slice(None), *[slice(None) if a == axis else None for a in range(len(size))])]
        mask = along if mask is None else mask & along
    return mask


def _choose_rows(xp: Library, choice: Array, options: Sequence[Array]) -> Array:
    """The array whose row i is that of options[choice[i]]; rows are on the first axis."""
    out = options[0]
    for i, option in enumerate(options[1:], 1):
        chosen = choice == i
        out = xp.where(chosen[(slice(None), *[None] * (len(option.shape) - 1))], option, out)
    return out


def _choose_weights(xp: Library, choice: Array, weights: Sequence[Array]) -> Array:
    binary = all(xp.dtype(w) == "bool" for w in weights)
    weights = weights if binary else [xp.cast(w, "float32") for w in weights]
    return xp.stack([_choose_rows(xp, choice, [w[j] for w in weights]) for j in range(weights[0].shape[0])])


def _choose_background(xp: Library, choice: Array, regions: Sequence[Paste], n: Dim) -> Array | None:
    if all(region.background is None for region in regions):
        return None
    own = [xp.full((n,), float(j == 0), "float32") for j in range(regions[0].parents)]
    return _choose_weights(xp, choice, [xp.stack(own) if r.background is None else r.background for r in regions])


def _choose_box(xp: Library, choice: Array, regions: Sequence[Paste], j: int) -> Array | None:
    boxes = [region.box[j] for region in regions]
    some = next((box for box in boxes if box is not None), None)
    if some is None:
        return None
    return _choose_rows(xp, choice, [some * 0 if box is None else box for box in boxes])


def _pixels(xp: Library, size: Size) -> Array:
    if all(isinstance(length, int) for length in size):
        return xp.constant(float(prod(size)))
    return xp.cast(prod(size), "float32")


def _padded(xp: Library, weight: Array, parents: int) -> Array:
    """Weights (k, n, ...) with rows of zeros up to `parents`."""
    rows = [weight[j] for j in range(weight.shape[0])]
    zero = xp.full(xp.shape(rows[0]), 0, xp.dtype(weight))
    return xp.stack(rows + [zero] * (parents - len(rows)))


def _area(xp: Library, box: Array, size: Size) -> Array:
    sides = [box[:, axis, 1] - box[:, axis, 0] for axis in range(len(size))]
    return _over(xp, xp.cast(prod(sides[1:], start=sides[0]), "float32"), _pixels(xp, size))


def _over(xp: Library, part: Array, total: Array) -> Array:
    """Part / total, correctly rounded: no compiler may know the divisor, or it multiplies by a reciprocal instead."""
    return part / xp.maximum(part, xp.cast(total, "float32"))


def _with_rest(xp: Library, others: Sequence[Array], n: Dim) -> Array:
    """Shares of parents 1.. with, first, that of the own sample: what the others leave, so a column sums to 1."""
    rest = xp.full((n,), 1.0, "float32")
    for other in others:
        rest = rest - other
    return xp.stack([rest, *others])
