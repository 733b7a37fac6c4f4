"""Which axis of an array is which: "nhwc". Arrays of every layout are viewed in one of three forms, which engines know.

    "first"  (n, planes, *block)        "last"  (n, *block, step)        None  (n, *block)

The block holds the axes that a mix is drawn over. The other axes share the mix: those on one side of the block are
folded into planes or steps, any others join the block as axes that every box spans.
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
SPATIAL = {0: "", 1: "t", 2: "hw", 3: "dhw", 4: "tdhw"}  #: names for so many spatial axes
FEW = 4  #: so many channels are common at most, and so short a side is not
_BY_TYPE = {"Image": "nchw", "Video": "ntchw"}  # of torchvision.tv_tensors


class Layout(NamedTuple):
    """The letter of each axis, and those that a mix is drawn over, in the order of its size."""

    axes: str
    spatial: str

    @property
    def form(self) -> Form:
        """How arrays of this layout are viewed."""
        return _form(self, True)

    @property
    def whole(self) -> Form:
        """Likewise with every axis but c in the block."""
        return _form(self, False)

    def size(self, xp: Library, x: Array) -> Size:
        """The spatial size of such an array."""
        shape = xp.shape(x)
        return tuple(shape[self.axes.index(letter)] for letter in self.spatial)

    def channels(self, x: Array) -> Dim:
        """The number of channels, 1 where there is no such axis; None where it is unknown."""
        return x.shape[self.axes.index("c")] if "c" in self.axes else 1


class Form(NamedTuple):
    """The view of arrays of a layout.

    Args:
        order: the axes of the array in the order of the view; None where they are in it already.
        before, block, after: the letters of the planes, the block and the step.
        shared: the letters of the block that every box spans.
        place: where the folded axes are: "first", "last" or None.
        is_plain: whether arrays are in the form as they are.
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
        """Those of the axes before they are folded."""
        return f"n{self.before}{self.block}{self.after}"

    def view(self, xp: Library, x: Array) -> Array:
        """An array in the form."""
        x = x if self.order is None else xp.transpose(x, self.order)
        if len(self.before) < 2 and len(self.after) < 2 and self.block:
            return x
        held = dict(zip(self.letters, xp.shape(x), strict=True))
        folded = [prod([held[letter] for letter in side]) for side in (self.before, self.after)]
        block = [held[letter] for letter in self.block] or [1]
        planes, step = (
            [length] if side else [] for side, length in zip((self.before, self.after), folded, strict=True)
        )
        return xp.reshape(x, (held["n"], *planes, *block, *step))

    def restore(self, xp: Library, y: Array, like: Array) -> Array:
        """What was made in the form, with the axes of an array that was not."""
        shape = xp.shape(like)
        order = self.order or tuple(range(len(shape)))
        if len(self.before) > 1 or len(self.after) > 1 or not self.block:
            y = xp.reshape(y, (xp.shape(y)[0], *(shape[axis] for axis in order[1:])))
        if self.order is None:
            return y
        return xp.transpose(y, [self.order.index(axis) for axis in range(len(shape))])

    def size(self, xp: Library, x: Array) -> Size:
        """The size of the block of an array in the form."""
        return block_size(xp, x, self.place)

    def region(self, xp: Library, region: Region, size: Size, like: Array) -> tuple[Region, Size]:
        """A region over the spatial axes, and its size, as a region over the block of a view."""
        spanned = [(at, letter) for at, letter in enumerate(self.block) if letter in self.shared]
        shape = xp.shape(like)
        for at, _ in spanned:
            length = shape[at + (2 if self.before else 1)]
            if not isinstance(length, int):
                region = to(xp, region)
            home = next((backends.of(array) for array in region.arrays().values()), xp)
            region, size = _spanning(home, region, size, at, length), (*size[:at], length, *size[at:])
        return region, size

    def per_element(self, numbers: Array, shape: Size) -> Array:
        """Repeat numbers (..., c) so that there is one for each plane or step of the view of an array of that shape."""
        side = self.before or self.after
        if len(side) < 2 or not len(numbers.shape) or numbers.shape[-1] == 1:
            return numbers
        home = backends.of(numbers)
        lengths = [shape[(self.order or range(len(shape)))[self.letters.index(letter)]] for letter in side]
        rest = home.shape(numbers)[:-1]
        own = [length if letter == "c" else 1 for letter, length in zip(side, lengths, strict=True)]
        numbers = home.broadcast(home.reshape(numbers, (*rest, *own)), (*rest, *lengths))
        return home.reshape(numbers, (*rest, prod(lengths)))


def block_size(xp: Library, x: Array, place: str | None) -> Size:
    """The size of the block of an array in a form, by the place of its folded axes."""
    shape = xp.shape(x)
    return shape[1:-1] if place == "last" else shape[2:] if place == "first" else shape[1:]


def parse(layout: str, spatial: str | None = None) -> Layout:
    """The layout that a text says, in any case.

    Raises:
        TypeError: if it is no text. ValueError: if a letter is unknown or there twice, or n is not first.
    """
    for name, text in (("layout", layout), ("spatial", spatial)):
        if not isinstance(text, str) and (name == "layout" or text is not None):
            raise TypeError(
                f'{name}: expected letters such as "{"nhwc" if name == "layout" else "thw"}", got '
                f"{short(text)}; write one for each axis"
            )
    return _layout(layout, spatial)


@backends.kept
def _layout(layout: str, spatial: str | None) -> Layout:
    axes, _, chosen = _parsed(layout, spatial).partition(" ")
    return Layout(axes, chosen)


@backends.trace_constant
@lru_cache(maxsize=1024)
def _parsed(layout: str, spatial: str | None) -> str:
    """The letters of the axes and of the spatial ones: a text, as PyTorch's compiler keeps no other values."""
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
                f"spatial: expected axes of the layout {layout!r} but n and c, each once, got {spatial!r}; "
                "leave spatial out, or name some of these"
            )
    return f"{axes} {chosen}"


@backends.kept
def _form(layout: Layout, fold: bool) -> Form:
    order, before, block, after, shared = _formed(*layout, fold).split(",")
    place = "first" if before else "last" if after else None
    is_plain = not order and not shared and len(before) < 2 and len(after) < 2 and block != ""
    return Form(tuple(map(int, order)) if order else None, before, block, after, shared, place, is_plain)


@backends.trace_constant
@lru_cache(maxsize=1024)
def _formed(axes: str, spatial: str, fold: bool) -> str:
    """The parts of a form as one text."""
    at = [axes.index(letter) for letter in spatial]
    in_order = at == sorted(at) and not (fold and at and "c" in axes and at[0] < axes.index("c") < at[-1])
    letters = axes if in_order else "n" + "".join(a for a in axes[1:] if a not in spatial) + spatial
    if not fold and "c" in axes:
        letters = letters.replace("c", "") + "c"
    inside = [i for i, letter in enumerate(letters) if (letter in spatial if fold else letter not in "nc")]
    start, stop = (inside[0], inside[-1] + 1) if inside else (1, 1)
    if start > 1 and stop < len(letters):  # shared axes on both sides: those on the side without c join the block
        start, stop = (start, len(letters)) if "c" in letters[:start] else (1, stop)
    order = "" if letters == axes else "".join(str(axes.index(letter)) for letter in letters)
    block = letters[start:stop]
    shared = "".join(letter for letter in block if letter not in spatial)
    return f"{order},{letters[1:start]},{block},{letters[stop:]},{shared}"


def _spanning(xp: Library, region: Region, size: Size, at: int, length: Dim) -> Region:
    """A region with one more axis, at that place of its size, which every box spans."""

    def of_pixels(x: Array, rows: int, length: Dim = length) -> Array:
        where = (*[slice(None)] * (rows + at), None)
        shape = (*xp.shape(x)[: rows + at], length, *xp.shape(x)[rows + at :])
        return xp.broadcast(x[where], shape)

    def of_box(box: Array | None) -> Array | None:
        if box is None:
            return None
        zero = box[..., 0, 0] * 0
        last = zero + (length if isinstance(length, int) else xp.cast(length, xp.dtype(box)))
        return xp.concat([box[..., :at, :], xp.stack([zero, last], axis=-1)[..., None, :], box[..., at:, :]], -2)

    fill = region.fill
    if fill is not None and len(fill.shape) > 1:
        fill = of_pixels(fill, 1, length if is_of_pixels(fill, len(size)) else 1)
    box, source_box = (tuple(map(of_box, boxes)) for boxes in (region.box, region.source_box))
    if isinstance(region, Dense):
        return Dense(of_pixels(region.weight, 2), box, source_box, fill)
    return Paste(region.background, box, source_box, of_box(region.hole), fill)


# --- what nobody said ---


def of_images(
    x: Array, layout: str | None, spatial: str | None = None, what: str = "images", kind: str = "", like: str = ""
) -> Layout:
    """The layout of images: as said, of their type, or that which users of their library keep, where it is plausible.

    Args:
        x: the images.
        layout: what was said.
        spatial: what was said.
        what: the name of the images, for sentences.
        kind: how a field that says the layout begins, such as "Images("; "" where an argument says it.
        like: "nhwc" or "nchw", in place of the library's own.

    Raises:
        ValueError: if nothing was said and the shape has two readings, or the layout has another number of axes.
    """
    xp = backends.of(x, what)
    layout = layout or _of_type(type(x))
    if layout is None:
        layout = _usual(xp.shape(x), like or xp.layout, what, kind)
    found = parse(layout, spatial)
    check_axes(x, found, what)
    return found


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
    """The layout of masks beside images of so many spatial axes: with a channel axis, or without.

    Args:
        m: the masks.
        layout: what was said; masks may come without its channel axis.
        spatial: what was said.
        axes: the number of spatial axes that the mix was drawn for.
        what: the name of the masks, for sentences.
        kind: as for `of_images`.
        like: as there.
        classes: how many channels there may be, beside a few.
    """
    xp, shape = backends.of(m, what), tuple(m.shape)
    if layout is not None:
        found = parse(layout, spatial)
        if "c" in found.axes and len(shape) == len(found.axes) - 1:
            return found._replace(axes=found.axes.replace("c", ""))
        check_axes(m, found, what)
        return found
    if len(shape) < 2:
        raise ValueError(
            f"{what}: expected masks (n, *size), got the shape {shape}; "
            "batch single samples first, or say what the field "
            "is in fields="
        )
    if len(shape) not in (axes + 1, axes + 2) or axes not in SPATIAL:
        raise ValueError(
            f"{what}: expected (n, *size) of {axes} spatial axes, with or without channels, got the shape {shape}; "
            f"{way(what, kind, 'nthw')} if they have frames, or name each axis so"
        )
    letters, like = SPATIAL[axes], like or xp.layout
    if len(shape) == axes + 1:
        return Layout(f"n{letters}", letters)
    found = Layout(with_classes(f"n{letters}", like), letters)
    channels = found.channels(m)
    if classes is None or channels != classes:
        _check_place(xp.shape(m), like, what, kind, f"n{letters}c", f"nc{letters}")
    if isinstance(channels, int) and channels > FEW and channels != classes:
        raise ValueError(
            f"{what}: expected {classes or f'1 to {FEW}'} channels in the layout {found.axes!r}, got the shape "
            f"{shape}; "
            f'{way(what, kind, found.axes)}, or "nthw" if they have frames'
        )
    return found


def with_classes(axes: str, like: str) -> str:
    """A layout with an axis c, where a library has it."""
    return axes if "c" in axes else f"nc{axes[1:]}" if like == "nchw" else f"{axes}c"


def check_axes(x: Array, layout: Layout, what: str) -> None:
    """Refuse an array of another number of axes than its layout has."""
    if len(x.shape) != len(layout.axes):
        raise ValueError(
            f"{what}: expected {len(layout.axes)} axes, as the layout {layout.axes!r} has, got the shape "
            f"{tuple(x.shape)}; name each axis in layout=, or batch single samples first"
        )


def way(what: str, kind: str, layout: str) -> str:
    """What to pass to say a layout, by the door that a reader came through."""
    return f"pass fields={{{what!r}: ma.{kind}layout={layout!r})}}" if kind else f"pass layout={layout!r}"


@backends.trace_constant
def _of_type(kind: type) -> str | None:
    return _BY_TYPE.get(kind.__name__) if kind.__module__.startswith("torchvision.tv_tensors") else None


def _usual(shape: tuple[Dim, ...], like: str, what: str, kind: str) -> str:
    """The layout that users of a library keep images in; a ValueError where another is plausible."""
    came = tuple(length if isinstance(length, int) else None for length in shape)
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
    meant = readings.get(len(shape), f"{way(what, kind, like)} with a letter of n, c, h, w, d and t for each axis")
    raise ValueError(f"{what}: expected a batch of images of the layout {like!r}, got the shape {came}; {meant}")


def _check_place(shape: Sequence[Dim], like: str, what: str, kind: str, last: str, first: str) -> None:
    """Refuse channels that seem to be in the other place."""
    usual, other = (last, first) if like == "nhwc" else (first, last)
    here, there = (shape[-1], shape[1]) if like == "nhwc" else (shape[1], shape[-1])
    if isinstance(here, int) and isinstance(there, int) and here > FEW >= there >= 1:
        came = tuple(length if isinstance(length, int) else None for length in shape)
        raise ValueError(
            f"{what}: expected the layout {usual!r}, got the shape {came}, whose channels may be in the other place; "
            f"{way(what, kind, other)}, or {usual!r} if it is right as it is"
        )
