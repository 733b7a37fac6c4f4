"""What a recipe is: a distribution over mixes. Drawing from it touches no pixels."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from .. import _xp, keys
from .._xp import Array, Dim, Library
from ..keys import Key
from ..mix import Mix, assemble
from ..regions import Dense, Drawn, Size


@dataclass(frozen=True, eq=False)
class Draw:
    """What a recipe draws from: the words of its key for each row, and the size to draw for."""

    xp: Library
    key: Key
    rows: Array  #: uint32 (n,), the counter of each output; of NumPy where the host draws the words
    size: Size

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

    def child(self, place: int) -> Draw:
        """The draw of the recipe at this place among its siblings: appending one changes no other."""
        return replace(self, key=keys.fold_in(self.key, place))

    def shared(self) -> Draw:
        """The same draw for all rows: that of row 0."""
        return replace(self, rows=self.rows - self.rows)


class Recipe(ABC):
    """A distribution over mixes: a frozen value whose `draw` is a pure function of a key.

    A new one is a frozen dataclass with `sources`, the largest number of sources of an output, and `region`.
    """

    @property
    @abstractmethod
    def sources(self) -> int:
        """k, the largest number of sources that an output has."""

    @abstractmethod
    def region(self, draw: Draw) -> Drawn:
        """How the pixels of each of the draw's rows are combined."""

    @_xp.no_autograph
    def draw(
        self,
        n: Dim,
        size: Sequence[Dim],
        *,
        key: Sequence[Any],
        like: Array | None = None,
        index: Array | None = None,
        rows: Array | None = None,
    ) -> Mix:
        """Draw what n outputs are made of.

            mix = f(recipe, n, size, key): the same in every library, eager or compiled, on any device

        Args:
            n: how many outputs, any number; a scalar tensor where it is unknown until run time.
            size: the spatial size in pixels, such as (height, width).
            key: (seed, step), (seed, epoch, step) or more integers; scalar integer tensors will do, and so will a JAX
                PRNG key.
            like: an array whose library and device the mix shall be in. Without one it is NumPy's, which can be applied
                to arrays of every library; what is drawn for a GPU by integers is drawn on the host and brought there,
                in PyTorch by one copy that nothing waits for; but weights of pixels are made there.
            index: int32 (k, n), who is mixed with whom where the sources are rows of a source of their own. Without
                it each output is mixed with others of its batch, every other row equally likely.
            rows: integers (n,) of 0 or more, the row number of each output; without it they are 0..n-1. Row r draws what
                row r of a batch draws that has it, so that parts of a batch can be drawn by themselves. `index` has to
                be given beside it, because partners may be in another part.

        Raises:
            TypeError: if `key`, `size` or `rows` is not of the type above.
            ValueError: if `n`, `size`, `index` or `rows` does not fit.

        Example:
            >>> import mixaug as ma
            >>> mix = ma.CutMix(alpha=1.0).draw(5, size=(32, 32), key=(0, 1, 2))
            >>> mix.index.shape, mix.lam.sum(axis=0)
            ((2, 5), array([1., 1., 1., 1., 1.], dtype=float32))
        """
        made = keys.make(key)
        home = _xp.common(n, index, rows, *made[:2]) if like is None else _xp.of(like, "like")
        _check_traced(home, made)
        size, xp, source = _checked_size(size), home, home
        if _on_host(home, made, (n, index, rows), like):
            source = _xp.common()  # NumPy's draws are the quickest
            far = like is not None and home.on_accelerator(like)
            xp = home if far and _has_weights(self, len(size), made.epoch) else source
        mix = self.draw_in(xp, source, n, size, made, index, rows)
        return mix if xp is home else mix.to(home)

    def draw_in(
        self, xp: Library, source: Library, n: Dim, size: Size, made: Key, index: Array | None, rows: Array | None
    ) -> Mix:
        """Draw by the functions of one library, from words of another or the same."""
        n = _checked_count(n)
        if rows is None:
            numbers = source.arange(n)
        elif index is None:
            raise ValueError("rows: expected index= beside rows=, got none; pass the sources of each output, (k, n)")
        else:
            _xp.of(rows, "rows")
            numbers = _checked_rows(source, _xp.to(source, rows), n)
        draw = Draw(xp, made, source.cast(numbers, "uint32"), size)
        if index is None:
            index = ring(source, made, draw.n, self.sources)
        else:
            index = _checked_parent(source, _xp.to(source, index), n, self.sources)
        index = index if source is xp else _xp.to(xp, index)
        region = self.region(draw)
        return assemble(xp, index, region, draw.size)


def _on_host(home: Library, key: Key, given: tuple[Array | None, ...], like: Array | None) -> bool:
    """Whether the host knows all that a draw depends on; a like= on an accelerator only says where it shall be."""
    there = like is None or home.on_accelerator(like) or home.concrete(like) is not None
    known = there and {*map(type, key[:2])} == {int}
    return known and all(home.concrete(x) is not None for x in given if _xp.find(x) == home)


def _has_weights(recipe: Recipe, axes: int, epoch: Any) -> bool:
    """Whether it draws a weight a pixel: too many to bring to an accelerator, which makes them quicker."""
    key = (0, 0) if epoch is None else (0, int(epoch), 0)
    try:
        return _draws_weights(recipe, axes, key)
    except TypeError:  # a recipe that cannot be hashed
        return _draws_weights.__wrapped__(recipe, axes, key)


@lru_cache(maxsize=1024)
def _draws_weights(recipe: Recipe, axes: int, key: tuple[int, ...]) -> bool:
    return isinstance(recipe.draw(0, (1,) * axes, key=key).region, Dense)


def ring(xp: Library, key: Key, n: Dim, sources: int) -> Array:
    """int32 (sources, n): the rows in a random order on a ring; source j is the row j places further on.

    Distinct while sources <= n, row 0 the row itself, every other row equally likely, for any n.
    """
    if fused := xp.fused():
        return fused.ring(*key[:2], n, sources)
    order = keys.shuffled(xp, key, n)
    rank = xp.argsort(order)
    return xp.stack([xp.arange(n), *(xp.take(order, (rank + j) % n) for j in range(1, sources))])


def check_recipe(where: str, recipe: object) -> Recipe:
    """The recipe; a TypeError for what is none."""
    if not isinstance(recipe, Recipe):
        came = repr(recipe) if isinstance(recipe, (str, int, float, type(None), type)) else type(recipe).__name__
        raise TypeError(f'{where}: expected a recipe, got {came}; ma.recipe("cutmix") reads one from text')
    return recipe


def keep(made: object, **options: Any) -> None:
    """Set options of a frozen value, such as a recipe, to their checked form, while it is made."""
    for name, value in options.items():
        object.__setattr__(made, name, value)


def check_number(name: str, value: Any, low: float, high: float = math.inf, *, open_low: bool = True) -> int | float:
    """A finite number in its range, as Python's own: a repr has to be read back; a ValueError for any other."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not (low < value if open_low else low <= value) or value > high:
        above = f"above {low:g}" if open_low else f"of {low:g} or more" if low > -math.inf else ""
        upto = f" and at most {high:g}" if high < math.inf else ""
        raise ValueError(f"{name}: expected a finite number {above}{upto}".rstrip() + f", got {value!r}")
    return int(value) if isinstance(value, (int, np.integer)) else float(value)


def check_any_number(name: str, value: Any) -> int | float:
    """A finite number, as Python's own; a ValueError for any other."""
    return check_number(name, value, -math.inf, open_low=False)


def check_whole(name: str, value: Any, low: int) -> int:
    """A whole number of at least `low`, as Python's own; a ValueError for any other."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise ValueError(f"{name}: expected a whole number of {low} or more, got {value!r}")
    return int(value)


def _checked_size(size: Sequence[Dim]) -> Size:
    if isinstance(size, str) or not hasattr(size, "__iter__") or not tuple(size):
        raise TypeError(f"size: expected the spatial lengths, such as (32, 32), got {size!r}")
    for length in size:
        whole = isinstance(length, (int, np.integer)) and not isinstance(length, bool) and length > 0
        if not whole and (isinstance(length, (bool, int)) or _xp.find(length) is None):
            raise ValueError(f"size: expected lengths of 1 or more, got {size!r}")
    return tuple(int(length) if isinstance(length, (int, np.integer)) else length for length in size)


def _checked_count(n: Dim) -> Dim:
    if isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 0:
        return int(n)
    if isinstance(n, (bool, int, float, str)) or _xp.find(n) is None:
        raise ValueError(f"n: expected how many outputs, a whole number, got {n!r}")
    return n


def _checked_rows(xp: Library, rows: Array, n: Dim) -> Array:
    """Row numbers (n,); they are counted mod 2^32."""
    shape, dtype, values = tuple(xp.shape(rows)), xp.dtype(rows), xp.concrete(rows)
    fits = len(shape) == 1 and (shape[0] == n or not (isinstance(n, int) and isinstance(shape[0], int)))
    if "int" not in dtype or not fits:
        raise ValueError(f"rows: expected integers of shape ({n},), one an output, got {dtype} of shape {shape}")
    if values is not None and values.size and values.min() < 0:
        raise ValueError(f"rows: expected row numbers of 0 or more, got {values.min()}; count rows from the start")
    return rows


def _check_traced(xp: Library, key: Key) -> None:
    for word in key[:2]:
        if not isinstance(word, int) and _xp.of(word, "key").name != xp.name:
            raise TypeError(
                "key: expected ints, or scalars of the library of like=, got traced numbers of "
                f"{_xp.display_name(word)}; pass like= an array of that library"
            )


def _checked_parent(xp: Library, index: Array, n: Dim, sources: int) -> Array:
    shape, held = xp.shape(index), xp.concrete(index)
    if "int" not in xp.dtype(index) or (held is not None and held.size and held.min() < 0):
        raise ValueError("index: expected rows of the source, whole numbers of 0 or more; count them from its start")
    if len(shape) != 2 or shape[0] != sources or (isinstance(n, int) and isinstance(shape[1], int) and shape[1] != n):
        raise ValueError(
            f"index: expected the shape ({sources}, {n}), got {tuple(shape)}; this recipe has {sources} sources"
        )
    return xp.cast(index, "int32")
