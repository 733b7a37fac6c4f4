"""Regions of several recipes or batches as one: a choice among them in each row, and one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeAlias

from ..backends import Array, Dim, Library
from .regions import BY_SOURCE, Dense, Paste, Region, Size, is_of_channels, is_of_pixels, padded_rows, whole


@dataclass(frozen=True, eq=False)
class Chosen:
    """Of several regions another one in each row: what a choice among recipes draws, until `settle` makes it one.

    Args:
        choice: int32 (n,), which of the regions row i has.
        regions: those that there are to choose from.
        room: the number of sources that there has to be room for; 0: as many as they have.
    """

    choice: Array
    regions: tuple[Drawn, ...]
    room: int = 0

    @property
    def sources(self) -> int:
        """k, the number of sources an output can have."""
        return max(self.room, *(region.sources for region in self.regions))

    def lam(self, xp: Library, n: Dim, size: Size) -> Array:
        """float32 (k, n): each row's share in the region chosen for it, as exact as it is there."""
        shares = [padded_rows(xp, region.lam(xp, n, size), self.sources) for region in self.regions]
        return _choose_weights(xp, self.choice, shares)

    def settle(self, xp: Library, n: Dim, size: Size) -> Region:
        """Paste where all regions are, else Dense."""
        regions = [settle(xp, region, n, size).padded(xp, self.sources) for region in self.regions]
        pastes = [region for region in regions if isinstance(region, Paste)]
        fill = _choose_fill(xp, self.choice, [region.fill for region in regions], n, size)
        if len(pastes) == len(regions):
            box, source_box = _choose_views(xp, self.choice, regions, None)
            hole = _choose_holes(xp, self.choice, [region.holes for region in pastes])
            return Paste(_choose_background(xp, self.choice, pastes, n), box, source_box, hole, fill)
        box, source_box = _choose_views(xp, self.choice, regions, whole(xp, n, size))
        return Dense(
            _choose_weights(xp, self.choice, [region.pixel_weights(xp, n, size) for region in regions]),
            box,
            source_box,
            fill,
        )


Drawn: TypeAlias = Region | Chosen


def shows_windows(region: Drawn) -> bool:
    """Whether sources are seen through source boxes alone, so that their size may be another than the outputs'."""
    if isinstance(region, Chosen):
        return all(map(shows_windows, region.regions))
    pairs = [*zip(region.box, region.source_box, strict=True)]
    windows = all(box is None or source_box is not None for box, source_box in pairs) and pairs[0][1] is not None
    return isinstance(region, Paste) and region.background is None and windows


def settle(xp: Library, region: Drawn, n: Dim, size: Size) -> Region:
    """The region that a mix can hold: Paste or Dense."""
    return region.settle(xp, n, size) if isinstance(region, Chosen) else region


@dataclass(frozen=True)
class FillForm:
    """Which axes the fills of several regions have once they are held alike."""

    pixels: bool = False
    channels: int = 0  #: 0: no such axis

    @classmethod
    def of(cls, fills: Sequence[Array | None], axes: int) -> FillForm:
        """The form that can hold each of these fills; a ValueError if they are for different numbers of channels."""
        some = [fill for fill in fills if fill is not None]
        channels = sorted({fill.shape[-1] for fill in some if is_of_channels(fill, axes)})
        if len(channels) > 1:
            raise ValueError(
                f"fill: expected as many numbers in each recipe, one for each channel of the images, got {channels[0]} "
                f"and {channels[1]}; give all recipes as many, or one number that serves any channels"
            )
        return cls(any(is_of_pixels(fill, axes) for fill in some), channels[0] if channels else 0)

    def hold(self, xp: Library, fill: Array | None, n: Dim, size: Size) -> Array:
        """Return the fill in this form, float32; zeros if `fill` is None."""
        spatial = size if self.pixels else (1,) * len(size) if self.channels else ()
        shape = (n, *spatial, *((self.channels,) if self.channels else ()))
        if fill is None:
            return xp.full(shape, 0.0, "float32")
        return xp.broadcast(fill[(..., *[None] * (len(shape) - len(fill.shape)))], shape)


@dataclass(frozen=True)
class Form:
    """Which arrays hold a region, and how: what several regions have in common once they are held alike."""

    names: tuple[str, ...]
    holes: int = 0  #: how many a Paste has on an axis of their own; 0: one, without that axis
    fill: FillForm = FillForm()
    dtype: str = "float32"  #: of the weights of a Dense region

    @classmethod
    def of(cls, xp: Library, regions: Sequence[Region], axes: int) -> Form:
        """The form that can hold each of these regions, of as many sources and so many spatial axes each."""
        held = {name for region in regions for name in region.arrays()}
        blended = "background" in held or any(
            xp.dtype(one.weight) != "bool" for one in regions if isinstance(one, Dense)
        )
        if "weight" in held:  # its boxes are for source boxes alone
            boxes = {name.removeprefix("source_") for name in held if name.startswith("source_box")}
            held = {name for name in held if name.startswith(("weight", "fill", "source_box"))} | boxes
        fill = FillForm.of([region.fill for region in regions], axes)
        holes = [region.hole for region in regions if isinstance(region, Paste) and region.hole is not None]
        count = max((hole.shape[1] for hole in holes if len(hole.shape) > 3), default=0)
        return cls(tuple(sorted(held)), count, fill, "float32" if blended else "bool")

    def hold(self, xp: Library, region: Region, n: Dim, size: Size) -> Region:
        """The same region in this form: an array that it lacks is what it is without it."""
        wanted, empty = {}, xp.full((n, len(size), 2), 0, "int32")
        dense = "weight" in self.names
        if dense:
            wanted["weight"] = xp.cast(region.pixel_weights(xp, n, size), self.dtype)
        elif "background" in self.names:
            wanted["background"] = _background(xp, region, n)
        for j in range(region.sources):
            box, source_box = region.box[j], region.source_box[j]
            if dense and source_box is None:
                box = source_box = whole(xp, n, size)
            box = empty if box is None else box
            wanted |= {f"box_{j}": box, f"source_box_{j}": box if source_box is None else source_box}
        if "hole" in self.names:
            holes = region.holes if isinstance(region, Paste) else ()
            holes = (*holes, *[empty] * (max(self.holes, 1) - len(holes)))
            wanted["hole"] = xp.stack(holes, axis=1) if self.holes else holes[0]
        if "fill" in self.names:
            wanted["fill"] = self.fill.hold(xp, region.fill, n, size)
        kind = Dense if dense else Paste
        return kind.of({name: wanted[name] for name in self.names}, region.sources)


def joined_regions(xp: Library, regions: Sequence[Region], counts: Sequence[Dim], size: Size) -> Region:
    """The region of the outputs of several, one after another: of as many sources, and of so many outputs each."""
    form = Form.of(xp, regions, len(size))
    held = [form.hold(xp, region, n, size).arrays() for region, n in zip(regions, counts, strict=True)]
    named = {name: xp.concat([one[name] for one in held], axis=int(name in BY_SOURCE)) for name in form.names}
    return (Dense if "weight" in named else Paste).of(named, regions[0].sources)


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
    return _choose_weights(xp, choice, [_background(xp, region, n) for region in regions])


def _choose_box(xp: Library, choice: Array, boxes: Sequence[Array | None]) -> Array | None:
    some = next((box for box in boxes if box is not None), None)
    if some is None:
        return None
    return _choose_rows(xp, choice, [some * 0 if box is None else box for box in boxes])


def _choose_holes(xp: Library, choice: Array, holes: Sequence[tuple[Array, ...]]) -> Array | None:
    """The holes of the region chosen in each row, and empty ones where it has fewer than another."""
    chosen = [_choose_box(xp, choice, list(boxes)) for boxes in zip_longest(*holes)]
    return (xp.stack(chosen, axis=1) if len(chosen) > 1 else chosen[0]) if chosen else None


def _choose_views(
    xp: Library, choice: Array, regions: Sequence[Region], whole: Array | None
) -> tuple[tuple[Array | None, ...], tuple[Array | None, ...]]:
    """Each source's box and source box; in a Dense region, `whole` stands for a missing box."""
    box: list[Array | None] = []
    source_box: list[Array | None] = []
    for j in range(regions[0].sources):
        cropped = any(region.source_box[j] is not None for region in regions)
        views = [(region.box[j], region.source_box[j]) for region in regions]
        if whole is not None:
            views = (
                [(whole, whole) if source_box is None else (box, source_box) for box, source_box in views]
                if cropped
                else []
            )
        box.append(_choose_box(xp, choice, [to for to, _ in views]))
        source_box.append(_choose_box(xp, choice, [to if of is None else of for to, of in views]) if cropped else None)
    return tuple(box), tuple(source_box)


def _background(xp: Library, region: Region, n: Dim) -> Array:
    """float32 (k, n): that of a Paste, and of one that blends nothing the base sample."""
    if isinstance(region, Paste) and region.background is not None:
        return region.background
    return xp.stack([xp.full((n,), float(j == 0), "float32") for j in range(region.sources)])


def _choose_fill(xp: Library, choice: Array, fills: Sequence[Array | None], n: Dim, size: Size) -> Array | None:
    if all(fill is None for fill in fills):
        return None
    form = FillForm.of(fills, len(size))
    return _choose_rows(xp, choice, [form.hold(xp, fill, n, size) for fill in fills])
