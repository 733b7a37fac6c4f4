"""What a recipe is: a distribution over mixes. Drawing from it touches no pixels."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, wraps
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import backends
from ..backends import Array, Dim, Library
from ..core import keys, maps
from ..core.checks import MAX_PIXELS, check_region, check_sizes, check_values, check_windows
from ..core.choice import Drawn
from ..core.hints import known_options, short
from ..core.keys import Key, KeyLike
from ..core.regions import Dense, Size, Sizes
from ..core.scale import nearest, same
from ..mix import Mix, assemble

_OURS = __name__.partition(".")[0]

MAX_SOURCES = 256  #: of an output
MAX_WORDS = 2**24  #: random words of a row


_NO_ARRAYS = (int, type(None))


class DrawArgs(NamedTuple):
    """The arguments of `Recipe.draw`, checked."""

    n: Dim
    sizes: Sizes
    key: Key
    index: Array | None = None  # type: ignore[assignment] # not the method of tuples
    rows: Array | None = None
    guides: Mapping[str, Array] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Draw:
    """What a recipe draws from: the words of its key for each row, and the size to draw for."""

    xp: Library
    key: Key
    rows: Array  #: uint32 (n,), the counter of each output; of NumPy where the host draws the words
    size: Size
    source_size: Size  #: that of the sources
    index: Array = None  #: int32 (k, n), the rows that each output is made of
    guides: Mapping[str, Array] = field(default_factory=dict)  #: by what they are, a map for each row of the source

    @property
    def n(self) -> Dim:
        """The number of outputs."""
        return self.xp.shape(self.rows)[0]

    def random_bits(self, count: int) -> Array:
        """The first `count` random words of each row, uint32 (count, n); ask once for all that are needed."""
        return keys.random_bits(self.xp, self.key, self.rows, count)

    def rows_of(self, number: int) -> Array:
        """int32 (n,): this number for each row."""
        return self.xp.full((self.n,), number, "int32")

    def length(self, axis: int) -> Array:
        """The length of a spatial axis, a float32 scalar."""
        return self.xp.cast(self.xp.constant(self.size[axis]), "float32")

    def guide(self, need: str, source: int) -> Array:
        """The guide of that source of each output, in whole numbers, at the pixels of the outputs (`core.maps`)."""
        read = maps.read(self.xp, need, self.guides[need], self.index[source])
        return maps.at_pixels(self.xp, read, self.size)

    def peak(self, source: int) -> list[Array]:
        """int32 (n,) for each axis: the most salient pixel of that source of each output, the first of several."""
        xp, saliency = self.xp, self.guides["saliency"]
        flat, size, place = maps.peak(xp, saliency, self.index[source]), xp.shape(saliency)[1:], []
        for axis in reversed(range(len(size))):
            at = nearest(xp, size[axis], self.size[axis])
            place.append(xp.cast(xp.take(at, flat % size[axis]), "int32"))
            flat = flat // size[axis]
        return place[::-1]

    def child(self, place: int) -> Draw:
        """The draw of the recipe at this place among its siblings: appending one changes no other."""
        return replace(self, key=keys.fold_in(self.key, place))

    def region_of(self, recipe: Recipe) -> Drawn:
        """The region of a recipe. Those of recipes that are not ours are checked, values where they can be seen."""
        region = recipe.region(self)
        if type(recipe).__module__.partition(".")[0] != _OURS:
            check_region(self.xp, region, _checked_sources(recipe), self.n, self.size)
            if isinstance(self.n, int):
                check_values(region, self.n, self.size, self.source_size)
        return region

    def shared(self) -> Draw:
        """The same draw for all rows: the random bits of row 0; guides are those of each row."""
        return replace(self, rows=self.rows - self.rows)


class Recipe(ABC):
    """A distribution over mixes: a frozen value whose `draw` is a pure function of a key.

    A new recipe is a frozen dataclass with `sources`, the largest number of sources of an output, and `region`.
    """

    @property
    @abstractmethod
    def sources(self) -> int:
        """k, the largest number of sources that an output has."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The guides that it needs: any of "saliency", "masks" and "instances"."""
        return ()

    @abstractmethod
    def region(self, draw: Draw) -> Drawn:
        """Return how the pixels of each row of the draw are combined."""

    mix_batch: ClassVar[Callable[..., Any]]  #: set by `mixaug.batch`, which imports this module

    @backends.no_autograph
    def __call__(
        self, *batch: Any, num_classes: int | None = None, key: KeyLike = None, return_mix: bool = False, **options: Any
    ) -> Any:
        """Mix a batch.

            recipe(images, labels, ...) = mix_batch(recipe, (images, labels), ...)

        Args:
            batch: images and labels (and sample weights), or one dict, tuple or list of fields.
            num_classes: needed for class ids.
            key: (seed, step) or (seed, epoch, step), an int s for (s, 0), or a JAX PRNG key. Without a key the
                operating system draws one, so every call gives another mix; traced code has to pass one.
            return_mix: whether to return the `Mix` with the batch.
            options: as for `mix_batch`.

        Returns:
            The mixed batch, in the same container: a pair for images and labels.

        Raises:
            TypeError, ValueError: as for `mix_batch`.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> x, y = np.zeros((4, 8, 8, 3), np.uint8), np.array([0, 1, 2, 1])
            >>> images, labels = ma.CutMix()(x, y, num_classes=3)
            >>> images.shape, labels.shape
            ((4, 8, 8, 3), (4, 3))
        """
        for x in batch:
            if isinstance(x, (int, float, str)):
                raise TypeError(
                    f"{type(self).__name__}: expected images and labels, or a dict of fields, got {x!r}; "
                    "pass options by name: recipe(images, labels, num_classes=10, key=(0, 0))"
                )
        if not batch:
            raise TypeError(
                f"{type(self).__name__}: expected a batch by place, got none; "
                "write recipe(images, labels, num_classes=10)"
            )
        given = batch[0] if len(batch) == 1 else batch
        return self.mix_batch(self, given, num_classes=num_classes, key=key, return_mix=return_mix, **options)

    @known_options()
    @backends.no_autograph
    def draw(
        self,
        n: Dim,
        size: Sequence[Dim],
        *,
        key: KeyLike = None,
        like: Array | None = None,
        index: Array | None = None,
        rows: Array | None = None,
        source_size: Sequence[Dim] | None = None,
        guide: Array | Mapping[str, Array] | None = None,
    ) -> Mix:
        """Draw what n outputs are made of.

            mix = f(recipe, n, size, key, guide): the same in every library, eager or compiled, on any device

        Args:
            n: how many outputs, any number; a scalar tensor where it is unknown until run time.
            size: the spatial size in pixels, such as (height, width); () for data without spatial axes, which only
                blends can mix.
            key: (seed, step), (seed, epoch, step) or more integers, which may be scalar integer tensors, or a JAX PRNG
                key. An int s means (s, 0). Without a key the operating system draws one; traced code has to pass one.
            like: an array that determines the library and device of the mix. By default the mix is NumPy's, which can
                be applied to arrays of every library. For a GPU, indices and boxes are drawn on the host and copied (in
                PyTorch asynchronously); pixel weights are computed on the GPU.
            index: int32 (k, n), the sources of each output, if they are rows of a separate source. By default each
                output is mixed with other rows of its batch, all equally likely.
            rows: integers >= 0 (n,), the row number of each output; by default 0..n-1. Row r always draws the same,
                so a batch can be drawn in parts. Requires `index`, because partners may be in another part.
            source_size: the spatial size of the sources, if it differs from that of the outputs. Only for recipes that
                resize their sources to boxes, such as `ma.Mosaic()`.
            guide: for recipes that look at content (`recipe.needs`): a map for each row of the batch, or of the source
                that `index` refers to. "saliency": numbers >= 0 (n, *size), such as
                `ma.guides.spectral_residual(images)`; "masks": class ids 0 to 255 (n, *size); "instances": the mask of
                each object (n, m, *size). Maps may differ in size from the images. Pass a dict by these
                names if several are needed. Each saliency map is rounded to rint(255 * x / max(x)); if it is all 0,
                every pixel counts the same. Negative numbers and NaN raise an error; in traced code and on
                accelerators they count as 0.

        Raises:
            TypeError: if `key`, `size`, `rows` or `guide` has another type.
            ValueError: if `n`, `size`, `index`, `rows`, `source_size` or `guide` does not fit.

        Example:
            >>> import mixaug as ma
            >>> mix = ma.CutMix(alpha=1.0).draw(5, size=(32, 32), key=(0, 1, 2))
            >>> mix.index.shape, mix.lam.sum(axis=0)
            ((2, 5), array([1., 1., 1., 1., 1.], dtype=float32))
        """
        guides = maps.given(self, self.needs, guide) if self.needs or guide is not None else {}
        args = DrawArgs(_checked_count(n), check_sizes(size, source_size), keys.make(key), index, rows, guides)
        return self.draw_args(args, like)

    def draw_args(self, args: DrawArgs, like: Array | None) -> Mix:
        """Draw in the library of `like`, or in NumPy; on the host where it knows all numbers, which is quickest."""
        arrays = args.index, args.rows, *args.guides.values()
        home = backends.common(args.n, *args.key[:2], *arrays) if like is None else backends.of(like, "like")
        _check_traced(home, args.key)
        xp = source = home
        if home.name != "numpy" and _on_host(home, args, like):
            source = backends.common()
            far = like is not None and home.on_accelerator(like)
            xp = home if far and _has_weights(self, len(args.sizes.output) or 1, args.key.epoch) else source
        mix = self.draw_in(xp, source, args)
        return mix if xp is home else mix.to(home)

    def draw_in(self, xp: Library, source: Library, args: DrawArgs) -> Mix:
        """Draw with the functions of one library, from random bits of the same or another one."""
        n, (size, source_size) = args.n, args.sizes
        if args.rows is None:
            numbers = source.arange(n)
        elif args.index is None:
            raise ValueError("rows: expected index= beside rows=, got none; pass the sources of each output, (k, n)")
        else:
            backends.of(args.rows, "rows")
            numbers = _checked_rows(source, backends.to(source, args.rows), n)
        draw = Draw(xp, args.key, source.cast(numbers, "uint32"), size or (1,), source_size or (1,))
        sources = _checked_sources(self)
        if args.index is None:
            index = ring(source, args.key, draw.n, sources)
        else:
            index = _checked_index(source, backends.to(source, args.index), n, sources)
        index = index if source is xp else backends.to(xp, index)
        if args.guides:
            draw = replace(draw, index=index, guides=_checked_guides(xp, args.guides, draw.size, index))
        region = draw.region_of(self)
        if not same(size, source_size):
            check_windows(region, args.sizes, self)
        mix = assemble(xp, index, region, draw.size, draw.source_size)
        if not size:
            _check_blend(self, mix)
        return mix if size else replace(mix, size=())


def _checked_guides(xp: Library, guides: Mapping[str, Array], size: Size, index: Array) -> dict[str, Array]:
    """Return the guides in the library that draws."""
    for need, x in guides.items():
        maps.check(backends.of(x, need), need, x, len(size), index)
    return {need: backends.to(xp, x) for need, x in guides.items()}


def _on_host(home: Library, args: DrawArgs, like: Array | None) -> bool:
    """Whether the host knows all numbers of a draw; a `like` on an accelerator only says where the mix will be."""
    if {*map(type, args.key[:2])} != {int}:
        return False
    if like is not None and not home.on_accelerator(like) and home.concrete(like) is None:
        return False
    arrays = args.n, args.index, args.rows, *args.guides.values()
    return all(home.concrete(x) is not None for x in arrays if type(x) not in _NO_ARRAYS and backends.find(x) == home)


def _has_weights(recipe: Recipe, axes: int, epoch: Any) -> bool:
    """Return whether a recipe draws pixel weights, which are faster to compute on an accelerator than to copy there."""
    key = (0, 0) if epoch is None else (0, int(epoch), 0)
    try:
        return _draws_weights(recipe, axes, key)
    except TypeError:  # the recipe is not hashable
        return _draws_weights.__wrapped__(recipe, axes, key)


@lru_cache(maxsize=1024)
def _draws_weights(recipe: Recipe, axes: int, key: tuple[int, ...]) -> bool:
    guide = {need: maps.example(need, 0, (1,) * axes) for need in recipe.needs} or None
    return isinstance(recipe.draw(0, (1,) * axes, key=key, guide=guide).region, Dense)


def _check_blend(recipe: Recipe, mix: Mix) -> None:
    """Raise a ValueError if pixels are chosen by position but there are no spatial axes."""
    if mix.region.arrays().keys() - {"background"}:
        raise ValueError(
            f"size: expected spatial axes for {recipe!r}, which combines sources by place, got none, as in the layout "
            "'nc'; use a blend, such as ma.MixUp(), or the layout 'nt' where the order of the columns has a meaning"
        )


def ring(xp: Library, key: Key, n: Dim, sources: int) -> Array:
    """Return int32 (sources, n): each row and its partners, which follow it on a ring of all rows in random order.

    The sources of a row are distinct if sources <= n, and every other row is equally likely, for any n.
    """
    if kernels := xp.draw_kernels():
        return kernels.ring(*key[:2], n, sources)
    order = keys.shuffled(xp, key, n)
    rank = xp.argsort(order)
    return xp.stack([xp.arange(n), *(xp.take(order, (rank + j) % n) for j in range(1, sources))])


def check_recipe(where: str, recipe: object) -> Recipe:
    """Return the recipe, or parse it if it is text; raise a TypeError for anything else."""
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, str):
        from . import KNOWN, read  # they import this module

        return read(recipe, KNOWN)
    if isinstance(recipe, type) and issubclass(recipe, Recipe):
        raise TypeError(f"{where}: expected a recipe, got the class {recipe.__name__}; write ma.{recipe.__name__}()")
    came = repr(recipe) if isinstance(recipe, (int, float, type(None))) else _described(recipe)
    first = " first, before the data" if where == "recipe" else ""
    raise TypeError(f'{where}: expected a recipe{first}, got {came}; pass one such as ma.CutMix() or "cutmix"')


def _described(x: object) -> str:
    """Return a short description of an object; the repr of an array may be long."""
    return f"the function {x.__name__}" if inspect.isfunction(x) else type(x).__name__


def checked_init(init: Callable[..., None]) -> Callable[..., None]:
    """Wrap the `__init__` of a recipe to explain options of other libraries, and a batch passed by mistake."""
    init = known_options()(init)

    @wraps(init)
    def checked(self: Recipe, *args: Any, **options: Any) -> None:
        name = type(self).__name__
        if any(getattr(x, "shape", ()) for x in args):
            raise TypeError(f"{name}: expected its options, got a batch; write ma.{name}()(images, labels)")
        init(self, *args, **options)

    return checked


def keep(made: object, **options: Any) -> None:
    """Set attributes of a frozen dataclass in its `__post_init__`."""
    for name, value in options.items():
        object.__setattr__(made, name, value)


def check_number(name: str, value: Any, low: float, high: float = math.inf, *, open_low: bool = True) -> int | float:
    """Return a finite number in its range as a Python number; raise a ValueError for anything else."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not _is_finite(value) or not (low < value if open_low else low <= value) or value > high:
        above = f"above {low:g}" if open_low else f"of {low:g} or more" if low > -math.inf else ""
        upto = f" and at most {high:g}" if high < math.inf else ""
        raise ValueError(f"{name}: expected a finite number {above}{upto}".rstrip() + f", got {short(value)}")
    return int(value) if isinstance(value, (int, np.integer)) else float(value)


def _is_finite(number: Any) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an int too large for a float
        return False


def check_any_number(name: str, value: Any) -> int | float:
    """Return a finite number as a Python number; raise a ValueError for anything else."""
    return check_number(name, value, -math.inf, open_low=False)


def check_whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return a whole number in its range as a Python int; raise a ValueError for anything else."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        upto = "" if high is None else f" and at most {high}"
        raise ValueError(f"{name}: expected a whole number of {low} or more{upto}, got {short(value)}")
    return int(value)


def check_flag(name: str, value: Any) -> bool:
    """Return True or False as a Python bool; raise a ValueError for anything else."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name}: expected True or False, got {short(value)}")
    return bool(value)


def check_sources(name: str, sources: Any) -> int:
    """Return the number of sources, 2 to MAX_SOURCES; raise a ValueError for anything else."""
    return check_whole(name, sources, 2, MAX_SOURCES)


def _checked_sources(recipe: Recipe) -> int:
    return check_whole(f"{type(recipe).__name__} sources", recipe.sources, 1, MAX_SOURCES)


def _checked_count(n: Dim) -> Dim:
    if isinstance(n, (int, np.integer)) and not isinstance(n, bool):
        return check_whole("n", n, 0, MAX_PIXELS)
    if isinstance(n, (bool, int, float, str)) or backends.find(n) is None:
        raise ValueError(f"n: expected how many outputs, a whole number, got {short(n)}; pass the number of rows")
    return n


def _checked_rows(xp: Library, rows: Array, n: Dim) -> Array:
    """Check row numbers (n,), which are counted mod 2^32."""
    shape, dtype, values = tuple(xp.shape(rows)), xp.dtype(rows), xp.concrete(rows)
    fits = len(shape) == 1 and not (isinstance(n, int) and isinstance(shape[0], int) and shape[0] != n)
    if "int" not in dtype or not fits:
        raise ValueError(
            f"rows: expected integers of shape ({n},), one an output, got {dtype} of shape {shape}; "
            "pass the row numbers of the outputs"
        )
    if values is not None and values.size and values.min() < 0:
        raise ValueError(f"rows: expected row numbers of 0 or more, got {values.min()}; count rows from the start")
    return rows


def _check_traced(xp: Library, key: Key) -> None:
    for word in key[:2]:
        if not isinstance(word, int) and backends.of(word, "key").name != xp.name:
            raise TypeError(
                "key: expected ints, or scalars of the library of like=, got traced numbers of "
                f"{backends.display_name(word)}; pass like= an array of that library"
            )


def _checked_index(xp: Library, index: Array, n: Dim, sources: int) -> Array:
    shape, held = xp.shape(index), xp.concrete(index)
    if "int" not in xp.dtype(index) or (held is not None and held.size and held.min() < 0):
        raise ValueError(
            "index: expected rows of the source, whole numbers of 0 or more, got others; count them from its start"
        )
    if len(shape) != 2 or shape[0] != sources or (isinstance(n, int) and isinstance(shape[1], int) and shape[1] != n):
        raise ValueError(
            f"index: expected the shape ({sources}, {n}), got {tuple(shape)}; this recipe has {sources} sources"
        )
    return xp.cast(index, "int32")
