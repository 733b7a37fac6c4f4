"""Combine regions: choose one for each row, or concatenate the regions of several batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeAlias

from ..backends import Array, Dim, Library
from .regions import BY_SOURCE, Dense, Paste, Region, Size, is_of_channels, is_of_pixels, padded_rows, whole


@dataclass(frozen=True, eq=False)
class Chosen:
    """One of several regions for each row, as a choice among recipes draws; `settle` merges them into one region.

    Args:
        choice: int32 (n,), the number of the region of each row.
        regions: the regions to choose from.
        room: the minimum number of sources.
    """

    choice: Array
    regions: tuple[Drawn, ...]
    room: int = 0

    @property
    def sources(self) -> int:
        """k, the number of sources of an output."""
        return max(self.room, *(region.sources for region in self.regions))

    def lam(self, xp: Library, n: Dim, size: Size) -> Array:
        """Return lam of the region of each row, float32 (k, n)."""
        lams = [padded_rows(xp, region.lam(xp, n, size), self.sources) for region in self.regions]
        return _choose_weights(xp, self.choice, lams)

    def settle(self, xp: Library, n: Dim, size: Size) -> Region:
        """Merge the regions: a Paste if all of them are, otherwise a Dense."""
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
    """Whether every source is seen through a source box only, so that outputs may differ in size from sources."""
    if isinstance(region, Chosen):
        return all(map(shows_windows, region.regions))
    pairs = [*zip(region.box, region.source_box, strict=True)]
    windows = all(box is None or source_box is not None for box, source_box in pairs) and pairs[0][1] is not None
    return isinstance(region, Paste) and region.background is None and windows


def settle(xp: Library, region: Drawn, n: Dim, size: Size) -> Region:
    """Return a region as a Paste or a Dense."""
    return region.settle(xp, n, size) if isinstance(region, Chosen) else region


@dataclass(frozen=True)
class FillForm:
    """The axes of the common form of several fills."""

    pixels: bool = False
    channels: int = 0  #: 0 means no channel axis

    @classmethod
    def of(cls, fills: Sequence[Array | None], axes: int) -> FillForm:
        """Return the form that fits every fill; raises ValueError if they have different numbers of channels."""
        present = [fill for fill in fills if fill is not None]
        channels = sorted({fill.shape[-1] for fill in present if is_of_channels(fill, axes)})
        if len(channels) > 1:
            raise ValueError(
                f"fill: expected the same number of channels in all recipes, got {channels[0]} and {channels[1]}; give "
                "each recipe one number for each channel of the images, or a single number"
            )
        return cls(any(is_of_pixels(fill, axes) for fill in present), channels[0] if channels else 0)

    def hold(self, xp: Library, fill: Array | None, n: Dim, size: Size) -> Array:
        """Convert a fill to this form, float32; None becomes zeros."""
        spatial = size if self.pixels else (1,) * len(size) if self.channels else ()
        shape = (n, *spatial, *((self.channels,) if self.channels else ()))
        if fill is None:
            return xp.full(shape, 0.0, "float32")
        return xp.broadcast(fill[(..., *[None] * (len(shape) - len(fill.shape)))], shape)


@dataclass(frozen=True)
class RegionForm:
    """The arrays of the common form of several regions."""

    names: tuple[str, ...]
    holes: int = 0  #: the length of the hole axis of a Paste; 0 means a single hole without that axis
    fill: FillForm = FillForm()
    dtype: str = "float32"  #: the dtype of the weights of a Dense

    @classmethod
    def of(cls, xp: Library, regions: Sequence[Region], axes: int) -> RegionForm:
        """Return the form that fits every region; all have the same number of sources and of spatial axes."""
        names = {name for region in regions for name in region.arrays()}
        blended = "background" in names or any(
            xp.dtype(region.weight) != "bool" for region in regions if isinstance(region, Dense)
        )
        if "weight" in names:  # a Dense has a box only together with a source box
            boxes = {name.removeprefix("source_") for name in names if name.startswith("source_box")}
            names = {name for name in names if name.startswith(("weight", "fill", "source_box"))} | boxes
        fill = FillForm.of([region.fill for region in regions], axes)
        holes = [region.hole for region in regions if isinstance(region, Paste) and region.hole is not None]
        count = max((hole.shape[1] for hole in holes if len(hole.shape) > 3), default=0)
        return cls(tuple(sorted(names)), count, fill, "float32" if blended else "bool")

    def hold(self, xp: Library, region: Region, n: Dim, size: Size) -> Region:
        """Convert a region to this form; missing arrays get neutral values."""
        arrays, empty = {}, xp.full((n, len(size), 2), 0, "int32")
        dense = "weight" in self.names
        if dense:
            arrays["weight"] = xp.cast(region.pixel_weights(xp, n, size), self.dtype)
        elif "background" in self.names:
            arrays["background"] = _background(xp, region, n)
        for j in range(region.sources):
            box, source_box = region.box[j], region.source_box[j]
            if dense and source_box is None:
                box = source_box = whole(xp, n, size)
            box = empty if box is None else box
            arrays |= {f"box_{j}": box, f"source_box_{j}": box if source_box is None else source_box}
        if "hole" in self.names:
            holes = region.holes if isinstance(region, Paste) else ()
            holes = (*holes, *[empty] * (max(self.holes, 1) - len(holes)))
            arrays["hole"] = xp.stack(holes, axis=1) if self.holes else holes[0]
        if "fill" in self.names:
            arrays["fill"] = self.fill.hold(xp, region.fill, n, size)
        cls = Dense if dense else Paste
        return cls.of({name: arrays[name] for name in self.names}, region.sources)


def joined_regions(xp: Library, regions: Sequence[Region], counts: Sequence[Dim], size: Size) -> Region:
    """Concatenate regions along their outputs; `counts` are the numbers of outputs."""
    form = RegionForm.of(xp, regions, len(size))
    parts = [form.hold(xp, region, n, size).arrays() for region, n in zip(regions, counts, strict=True)]
    arrays = {name: xp.concat([part[name] for part in parts], axis=int(name in BY_SOURCE)) for name in form.names}
    return (Dense if "weight" in arrays else Paste).of(arrays, regions[0].sources)


def _choose_rows(xp: Library, choice: Array, options: Sequence[Array]) -> Array:
    """Return the array whose row i, along the first axis, is row i of options[choice[i]]."""
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
    first = next((box for box in boxes if box is not None), None)
    if first is None:
        return None
    return _choose_rows(xp, choice, [first * 0 if box is None else box for box in boxes])


def _choose_holes(xp: Library, choice: Array, holes: Sequence[tuple[Array, ...]]) -> Array | None:
    """Choose the holes of each row, padded with empty ones."""
    chosen = [_choose_box(xp, choice, list(boxes)) for boxes in zip_longest(*holes)]
    return (xp.stack(chosen, axis=1) if len(chosen) > 1 else chosen[0]) if chosen else None


def _choose_views(
    xp: Library, choice: Array, regions: Sequence[Region], whole: Array | None
) -> tuple[tuple[Array | None, ...], tuple[Array | None, ...]]:
    """Choose the box and source box of each source; in a Dense, `whole` replaces a missing box."""
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
    """Return the background weights of a region, float32 (k, n); by default, the base sample."""
    if isinstance(region, Paste) and region.background is not None:
        return region.background
    return xp.stack([xp.full((n,), float(j == 0), "float32") for j in range(region.sources)])


def _choose_fill(xp: Library, choice: Array, fills: Sequence[Array | None], n: Dim, size: Size) -> Array | None:
    if all(fill is None for fill in fills):
        return None
    form = FillForm.of(fills, len(size))
    return _choose_rows(xp, choice, [form.hold(xp, fill, n, size) for fill in fills])
