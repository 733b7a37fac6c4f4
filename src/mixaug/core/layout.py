"""Layouts: the letter of each axis of an array, such as "nhwc". Every layout is viewed in one of three forms.

    "first"  (n, planes, *block)        "last"  (n, *block, step)        None  (n, *block)

The block holds the spatial axes, which a mix is drawn over. Other axes on one side of the block are folded into planes
or a step; any others join the block as axes that every box spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple

from .. import backends
from ..backends import Array, Dim, Library
from .hints import short
from .regions import Dense, Paste, Region, Size, is_of_pixels, to

LETTERS = "nchwdt"
SPATIAL = {0: "", 1: "t", 2: "hw", 3: "dhw", 4: "tdhw"}  #: default letters, by the number of spatial axes
FEW = 4  #: an axis of at most this length is more likely to hold channels than pixels
_BY_TYPE = {"Image": "nchw", "Video": "ntchw"}  # of torchvision.tv_tensors


class Layout(NamedTuple):
    """The letter of each axis, and the letters of the spatial axes in the order of the size of a mix."""

    axes: str
    spatial: str

    @property
    def form(self) -> BlockView:
        """The form in which arrays of this layout are viewed."""
        return _form(self, True)

    @property
    def whole(self) -> BlockView:
        """The form with every axis but n and c in the block."""
        return _form(self, False)

    def size(self, xp: Library, x: Array) -> Size:
        """Return the spatial size of an array."""
        shape = xp.shape(x)
        return tuple(shape[self.axes.index(letter)] for letter in self.spatial)

    def channels(self, x: Array) -> Dim:
        """Return the number of channels: 1 without a channel axis, None if unknown."""
        return x.shape[self.axes.index("c")] if "c" in self.axes else 1


class BlockView(NamedTuple):
    """How arrays of a layout are viewed.

    Args:
        order: the permutation of the axes; None for the identity.
        before, block, after: the letters of the planes, the block and the step.
        shared: the letters of the block that every box spans.
        place: the position of the folded axes: "first", "last" or None.
        is_plain: whether arrays have this form without transposing or reshaping.
    """

    order: tuple[int, ...] | None
    before: str
    block: str
    after: str
    shared: str
    place: str | None
    is_plain: bool

    @property
    def letters(self) -> str:
        """The letters of the permuted axes, before folding."""
        return f"n{self.before}{self.block}{self.after}"

    def view(self, xp: Library, x: Array) -> Array:
        """Convert an array to the form."""
        x = x if self.order is None else xp.transpose(x, self.order)
        if len(self.before) < 2 and len(self.after) < 2 and self.block:
            return x
        lengths = dict(zip(self.letters, xp.shape(x), strict=True))
        folded = [prod([lengths[letter] for letter in side]) for side in (self.before, self.after)]
        block = [lengths[letter] for letter in self.block] or [1]
        planes, step = (
            [length] if side else [] for side, length in zip((self.before, self.after), folded, strict=True)
        )
        return xp.reshape(x, (lengths["n"], *planes, *block, *step))

    def restore(self, xp: Library, y: Array, like: Array) -> Array:
        """Convert an array from the form to the axes of `like`."""
        shape = xp.shape(like)
        order = self.order or tuple(range(len(shape)))
        if len(self.before) > 1 or len(self.after) > 1 or not self.block:
            y = xp.reshape(y, (xp.shape(y)[0], *(shape[axis] for axis in order[1:])))
        if self.order is None:
            return y
        return xp.transpose(y, [self.order.index(axis) for axis in range(len(shape))])

    def size(self, xp: Library, x: Array) -> Size:
        """Return the size of the block of an array in the form."""
        return block_size(xp, x, self.place)

    def region(self, xp: Library, region: Region, size: Size, like: Array) -> tuple[Region, Size]:
        """Extend a region and its size from the spatial axes to the block of `like`, an array in the form."""
        axes = [axis for axis, letter in enumerate(self.block) if letter in self.shared]
        shape = xp.shape(like)
        for axis in axes:
            length = shape[axis + (2 if self.before else 1)]
            if not isinstance(length, int):
                region = to(xp, region)
            home = next((backends.of(array) for array in region.arrays().values()), xp)
            region, size = _with_axis(home, region, size, axis, length), (*size[:axis], length, *size[axis:])
        return region, size

    def per_element(self, numbers: Array, shape: Size) -> Array:
        """Repeat numbers (..., c) for each plane or step of an array of that shape."""
        side = self.before or self.after
        if len(side) < 2 or not len(numbers.shape) or numbers.shape[-1] == 1:
            return numbers
        home = backends.of(numbers)
        lengths = [shape[(self.order or range(len(shape)))[self.letters.index(letter)]] for letter in side]
        leading = home.shape(numbers)[:-1]
        channels = [length if letter == "c" else 1 for letter, length in zip(side, lengths, strict=True)]
        numbers = home.broadcast(home.reshape(numbers, (*leading, *channels)), (*leading, *lengths))
        return home.reshape(numbers, (*leading, prod(lengths)))


def block_size(xp: Library, x: Array, place: str | None) -> Size:
    """Return the size of the block of an array whose folded axes are at `place`."""
    shape = xp.shape(x)
    return shape[1:-1] if place == "last" else shape[2:] if place == "first" else shape[1:]


def parse(layout: str, spatial: str | None = None) -> Layout:
    """Parse a layout string; upper case is allowed.

    Raises:
        TypeError: if an argument is not a string.
        ValueError: if a letter is unknown or repeated, or n is not first.
    """
    for name, text in (("layout", layout), ("spatial", spatial)):
        if not isinstance(text, str) and (name == "layout" or text is not None):
            raise TypeError(
                f'{name}: expected letters such as "{"nhwc" if name == "layout" else "thw"}", got '
                f"{short(text)}; write one for each axis"
            )
    return _layout(layout, spatial)


@backends.memoized
def _layout(layout: str, spatial: str | None) -> Layout:
    axes, _, chosen = _parsed(layout, spatial).partition(" ")
    return Layout(axes, chosen)


@backends.trace_constant
@lru_cache(maxsize=1024)
def _parsed(layout: str, spatial: str | None) -> str:
    """Return the letters of all axes and of the spatial axes, in a string: a constant to PyTorch's compiler."""
    axes = layout.lower()
    if axes[:1] != "n" or len(axes) < 2 or set(axes) - set(LETTERS) or len(set(axes)) < len(axes):
        raise ValueError(
            f'layout: expected n (rows) first, then letters of c, h, w, d and t, each at most once, such as "nchw", '
            f"got {layout!r}; name each axis of the images"
        )
    if spatial is None:
        chosen = "".join(letter for letter in "dhw" if letter in axes) or ("t" if "t" in axes else "")
    else:
        chosen = spatial.lower()
        if not chosen or set(chosen) - (set(axes) - set("nc")) or len(set(chosen)) < len(chosen):
            raise ValueError(
                f"spatial: expected axes of the layout {layout!r} other than n and c, each once, got {spatial!r}; "
                "leave spatial out, or name some of these axes"
            )
    return f"{axes} {chosen}"


@backends.memoized
def _form(layout: Layout, fold: bool) -> BlockView:
    order, before, block, after, shared = _formed(*layout, fold).split(",")
    place = "first" if before else "last" if after else None
    is_plain = not order and not shared and len(before) < 2 and len(after) < 2 and block != ""
    return BlockView(tuple(map(int, order)) if order else None, before, block, after, shared, place, is_plain)


@backends.trace_constant
@lru_cache(maxsize=1024)
def _formed(axes: str, spatial: str, fold: bool) -> str:
    """Return the parts of a form in a string."""
    position = [axes.index(letter) for letter in spatial]
    in_order = position == sorted(position) and not (
        fold and position and "c" in axes and position[0] < axes.index("c") < position[-1]
    )
    letters = axes if in_order else "n" + "".join(a for a in axes[1:] if a not in spatial) + spatial
    if not fold and "c" in axes:
        letters = letters.replace("c", "") + "c"
    inside = [i for i, letter in enumerate(letters) if (letter in spatial if fold else letter not in "nc")]
    start, stop = (inside[0], inside[-1] + 1) if inside else (1, 1)
    if start > 1 and stop < len(letters):  # other axes on both sides: those on the side without c join the block
        start, stop = (start, len(letters)) if "c" in letters[:start] else (1, stop)
    order = "" if letters == axes else "".join(str(axes.index(letter)) for letter in letters)
    block = letters[start:stop]
    shared = "".join(letter for letter in block if letter not in spatial)
    return f"{order},{letters[1:start]},{block},{letters[stop:]},{shared}"


def _with_axis(xp: Library, region: Region, size: Size, axis: int, length: Dim) -> Region:
    """Insert an axis into a region, at that position of its size; every box spans it."""

    def repeated(x: Array, leading: int, length: Dim = length) -> Array:
        where = (*[slice(None)] * (leading + axis), None)
        shape = (*xp.shape(x)[: leading + axis], length, *xp.shape(x)[leading + axis :])
        return xp.broadcast(x[where], shape)

    def extended(box: Array | None) -> Array | None:
        if box is None:
            return None
        zero = box[..., 0, 0] * 0
        last = zero + (length if isinstance(length, int) else xp.cast(length, xp.dtype(box)))
        return xp.concat([box[..., :axis, :], xp.stack([zero, last], axis=-1)[..., None, :], box[..., axis:, :]], -2)

    fill = region.fill
    if fill is not None and len(fill.shape) > 1:
        fill = repeated(fill, 1, length if is_of_pixels(fill, len(size)) else 1)
    box, source_box = (tuple(map(extended, boxes)) for boxes in (region.box, region.source_box))
    if isinstance(region, Dense):
        return Dense(repeated(region.weight, 2), box, source_box, fill)
    return Paste(region.background, box, source_box, extended(region.hole), fill)


# --- default layouts ---


def of_images(
    x: Array, layout: str | None, spatial: str | None = None, what: str = "images", kind: str = "", like: str = ""
) -> Layout:
    """Return the layout of images: the given one, that of their type, or the usual one of their library.

    Args:
        x: the images.
        layout: the layout passed by the user, or None.
        spatial: the spatial axes passed by the user, or None.
        what: the name of the images in messages.
        kind: how the field that takes `layout=` begins, such as "Images("; "" if it is an argument.
        like: "nhwc" or "nchw" in place of the usual layout of the library.

    Raises:
        ValueError: if no layout is given and the shape is ambiguous, or the number of axes differs.
    """
    xp = backends.of(x, what)
    layout = layout or _of_type(type(x))
    if layout is None:
        layout = _usual(xp.shape(x), like or xp.layout, what, kind)
    parsed = parse(layout, spatial)
    check_axes(x, parsed, what)
    return parsed


def of_masks(
    m: Array,
    layout: str | None,
    spatial: str | None,
    axes: int,
    *,
    what: str = "masks",
    kind: str = "",
    like: str = "",
    classes: int | None = None,
) -> Layout:
    """Return the layout of masks, with or without a channel axis.

    Args:
        m: the masks.
        layout: the layout passed by the user, or None; the masks may lack its channel axis.
        spatial: the spatial axes passed by the user, or None.
        axes: the number of spatial axes of the mix.
        what: the name of the masks in messages.
        kind: as in `of_images`.
        like: as in `of_images`.
        classes: the number of classes, which the channels may equal.
    """
    xp, shape = backends.of(m, what), tuple(m.shape)
    if layout is not None:
        parsed = parse(layout, spatial)
        if "c" in parsed.axes and len(shape) == len(parsed.axes) - 1:
            return parsed._replace(axes=parsed.axes.replace("c", ""))
        check_axes(m, parsed, what)
        return parsed
    if len(shape) < 2:
        raise ValueError(
            f"{what}: expected masks (n, *size), got the shape {shape}; batch single samples first, or declare the "
            "field in fields="
        )
    if len(shape) not in (axes + 1, axes + 2) or axes not in SPATIAL:
        raise ValueError(
            f"{what}: expected (n, *size) with {axes} spatial axes, with or without channels, got the shape {shape}; "
            f"{way(what, kind, 'nthw')} if they have frames, or a layout that names each axis"
        )
    letters, like = SPATIAL[axes], like or xp.layout
    if len(shape) == axes + 1:
        return Layout(f"n{letters}", letters)
    default = Layout(with_classes(f"n{letters}", like), letters)
    channels = default.channels(m)
    if classes is None or channels != classes:
        _check_place(xp.shape(m), like, what, kind, f"n{letters}c", f"nc{letters}")
    if isinstance(channels, int) and channels > FEW and channels != classes:
        raise ValueError(
            f"{what}: expected {classes or f'1 to {FEW}'} channels in the layout {default.axes!r}, got the shape "
            f'{shape}; {way(what, kind, default.axes)}, or "nthw" if they have frames'
        )
    return default


def with_classes(axes: str, like: str) -> str:
    """Add a channel axis to a layout, at the position that `like` has."""
    return axes if "c" in axes else f"nc{axes[1:]}" if like == "nchw" else f"{axes}c"


def check_axes(x: Array, layout: Layout, what: str) -> None:
    """Refuse an array whose number of axes differs from its layout's."""
    if len(x.shape) != len(layout.axes):
        raise ValueError(
            f"{what}: expected {len(layout.axes)} axes for the layout {layout.axes!r}, got the shape "
            f"{tuple(x.shape)}; name each axis in layout=, or batch single samples first"
        )


def way(what: str, kind: str, layout: str) -> str:
    """Return the advice to pass a layout, in a field of that kind or as an argument."""
    return f"pass fields={{{what!r}: ma.{kind}layout={layout!r})}}" if kind else f"pass layout={layout!r}"


@backends.trace_constant
def _of_type(kind: type) -> str | None:
    return _BY_TYPE.get(kind.__name__) if kind.__module__.startswith("torchvision.tv_tensors") else None


def _usual(shape: tuple[Dim, ...], like: str, what: str, kind: str) -> str:
    """Return the usual layout of a library; raises ValueError if another layout is plausible."""
    known = tuple(length if isinstance(length, int) else None for length in shape)
    if len(shape) == 4:
        _check_place(shape, like, what, kind, "nhwc", "nchw")
        return like
    video, volume = ("nthwc", "ndhwc") if like == "nhwc" else ("ntchw", "ncdhw")
    signal, other = ("ntc", "nct") if like == "nhwc" else ("nct", "ntc")
    readings = {
        0: "batch single samples first",
        1: "batch single samples first",
        2: f"{way(what, kind, 'nc')} if they are rows of a table or embeddings, or batch single samples first",
        3: f"{way(what, kind, 'nhw')} if they are grey images, {signal!r} or {other!r} if they are signals, or batch "
        "single samples first",
        5: f"{way(what, kind, video)} if they are videos, {volume!r} if they are volumes",
    }
    advice = readings.get(len(shape), f"{way(what, kind, like)} with a letter of n, c, h, w, d and t for each axis")
    raise ValueError(f"{what}: expected a batch of images of the layout {like!r}, got the shape {known}; {advice}")


def _check_place(shape: Sequence[Dim], like: str, what: str, kind: str, last: str, first: str) -> None:
    """Refuse arrays whose channel axis seems to be on the other side."""
    usual, other = (last, first) if like == "nhwc" else (first, last)
    channels, alternative = (shape[-1], shape[1]) if like == "nhwc" else (shape[1], shape[-1])
    if isinstance(channels, int) and isinstance(alternative, int) and channels > FEW >= alternative >= 1:
        known = tuple(length if isinstance(length, int) else None for length in shape)
        raise ValueError(
            f"{what}: expected the layout {usual!r}, got the shape {known}, which looks like {other!r}; "
            f"{way(what, kind, other)}, or {usual!r} if it is right"
        )
