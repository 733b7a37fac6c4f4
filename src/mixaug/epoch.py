"""Epochs over a whole dataset: the order of the rows, and the partners of each, as functions of (seed, epoch)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import count
from typing import Any, Unpack

import numpy as np

from . import backends
from .backends import Array
from .batch import COPIES, Batch, ItemOptions, Options, mix_batch, mix_rows, with_mix, without_mix
from .core import keys
from .core.hints import known_options
from .core.keys import Key
from .core.rows import Rows
from .fields import Field, PerSource, resolve, tree
from .fields.class_weights import extended, without_added
from .mix import Mix
from .recipes import Recipe, check_recipe
from .recipes.recipe import check_whole

_ROUNDS = 12
_BLOCK = 8192
_ORDER, _PARTNERS = -1, -2  # folded into the key of an epoch for its permutations; steps are never negative
MAX_ROWS = 2**31 - 1  #: of a dataset, because a mix stores rows as int32


@dataclass(frozen=True)
class Permutation:
    """A keyed permutation of 0 .. n-1 with O(1) cost per index, so that no worker has to shuffle the dataset.

    It is a Feistel network on a rectangle of about sqrt(n) x sqrt(n) cells with Threefry as the round function;
    results outside 0 .. n-1 are encrypted again (cycle walking).

    Args:
        n: the number of rows, 1 or more.
        key: a key from `keys.make`.

    Example:
        >>> from mixaug.core import keys
        >>> shuffled = Permutation(10, keys.make((0, 0)))
        >>> sorted(shuffled(np.arange(10)).tolist()) == list(range(10))
        True
        >>> shuffled.inverse(shuffled(np.arange(10))).tolist() == list(range(10))
        True
    """

    n: int
    key: Key

    def __call__(self, index: Array) -> Array:
        """Return the rows at positions, int64 with the shape of `index`."""
        return self._walk(index, range(_ROUNDS), 1)

    def inverse(self, row: Array) -> Array:
        """Return the positions of rows."""
        return self._walk(row, reversed(range(_ROUNDS)), -1)

    @cached_property
    def _sides(self) -> tuple[int, int]:
        width = math.isqrt(self.n - 1) + 1
        return width, -(-self.n // width)

    def _walk(self, index: Array, rounds: Iterable[int], sign: int) -> Array:
        rounds = tuple(rounds)
        if kernels := backends.common().draw_kernels():
            flat = np.ravel(np.asarray(index, np.int64))
            rows = kernels.feistel(*self.key[:2], flat, self.n, self._sides, len(rounds), sign < 0)
            return rows.reshape(np.shape(index))
        out = np.array(index, np.int64)
        outside = np.ones(out.shape, bool)
        while outside.any():
            out[outside] = self._encrypt(out[outside], rounds, sign)
            outside = out >= self.n
        return out

    def _encrypt(self, index: Array, rounds: tuple[int, ...], sign: int) -> Array:
        cell = [index // self._sides[1], index % self._sides[1]]
        for i in rounds:
            half, other = cell[i % 2], cell[1 - i % 2].astype(np.uint32)
            shift, _ = keys.threefry(backends.common(), self.key, (other, np.full_like(other, i)))
            cell[i % 2] = (half + sign * shift.astype(np.int64)) % self._sides[i % 2]
        return cell[0] * self._sides[1] + cell[1]


@dataclass(frozen=True)
class Epoch:
    """One epoch over n rows: each row once, in random order, with partners from the whole dataset.

    Args:
        n: the number of rows of the dataset, at most `MAX_ROWS`.
        seed: any int.
        epoch: the number of the epoch, which determines order and partners.
        shuffle: whether the order is random; partners always are.
        copy: the number of a copy of the epoch, which has its own order, partners and mixes. Copy 0 is the epoch.

    Raises:
        ValueError: if `n` or `copy` is not a whole number in its range.

    Example:
        >>> this = Epoch(10, seed=0, epoch=3)
        >>> rows = this.order(np.array([0, 9, 4]))  # at any positions
        >>> this.partners(rows, 2)[0].tolist() == rows.tolist()
        True
    """

    n: int
    seed: int
    epoch: int
    shuffle: bool = True
    copy: int = 0

    def __post_init__(self) -> None:
        check_whole("n", self.n, 0, MAX_ROWS)
        check_whole("copy", self.copy, 0)

    @property
    def key(self) -> Key:
        """The key that the rows of this epoch are mixed by, each by its row number: that of (seed, epoch).

        Further copies have the keys that the copies of a batch under this key have.
        """
        first = keys.make((self.seed, self.epoch))._replace(epoch=self.epoch)
        return keys.fold_in(keys.fold_in(first, COPIES), self.copy) if self.copy else first

    def order(self, positions: Array) -> Array:
        """Return the rows at positions in 0 .. n - 1, int64 with the shape of `positions`; O(1) each."""
        positions = self._checked("positions", positions)
        return self._permutation(_ORDER)(positions) if self.shuffle else positions

    def partners(self, ids: Array, sources: int) -> Array:
        """Return rows (m,) of 0 .. n - 1 and the partners of each, int64 (sources, m); O(1) each.

        The partners of a row follow it on a ring of the whole dataset in random order.
        """
        ids, ring = self._checked("ids", ids), self._permutation(_PARTNERS)
        position = ring.inverse(ids) if sources > 1 else ids
        return np.stack([ids, *(ring((position + j) % self.n) for j in range(1, sources))])

    def rows(self, start: int, stop: int) -> Array:
        """Return the rows at positions start .. stop - 1, int64 (m,)."""
        return self.sources(start, stop, 1)[0]

    def sources(self, start: int, stop: int, sources: int) -> Array:
        """Return the rows at positions start .. stop - 1 and their partners, int64 (sources, m)."""
        stop = min(stop, self.n)
        blocks = [_block(self, sources, number) for number in range(start // _BLOCK, -(-stop // _BLOCK))]
        first = start // _BLOCK * _BLOCK
        return np.concatenate(blocks, axis=1)[:, start - first : stop - first]

    def _permutation(self, place: int) -> Permutation:
        return Permutation(self.n, keys.fold_in(self.key, place))

    def _checked(self, what: str, numbers: Array) -> Array:
        numbers = np.asarray(numbers)
        if numbers.dtype.kind not in "iu" and numbers.size:
            raise TypeError(f"{what}: expected integers, got {numbers.dtype}; pass row numbers")
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < self.n):
            raise IndexError(
                f"{what}: expected 0..{self.n - 1}, got {numbers.min()}..{numbers.max()}; pass rows of the dataset"
            )
        return numbers.astype(np.int64)


@lru_cache(maxsize=256)  # two million rows, for access in any order
def _block(this: Epoch, sources: int, number: int) -> Array:
    """Return the sources of a block of positions, computed together to save calls."""
    positions = np.arange(number * _BLOCK, min((number + 1) * _BLOCK, this.n))
    return this.partners(this.order(positions), sources)


class RowOptions(ItemOptions, total=False):
    """The options of `items`."""

    advises: bool  #: whether to say which loss fits the mixed labels


def items(
    recipe: Recipe, this: Epoch, index: Array, batch_of: Callable[[list[int]], Batch], **options: Unpack[RowOptions]
) -> Batch:
    """Any rows of a dataset, each mixed with its sources of this epoch: row r is a pure function of (seed, epoch, r).

        output i = output index[0, i] of a batch of all rows under the key of the epoch

    Args:
        recipe: what to mix by.
        this: the epoch.
        index: int64 (sources, m), the rows of the dataset that are mixed and the partners of each,
            `this.partners(rows, recipe.sources)`.
        batch_of: makes a batch of the samples at some rows of the dataset.
        options: num_classes, fields, return_mix, class_weights, size, as for `mix_batch`; the mix that comes back is of
            rows of the dataset. advises: False if the caller picks the loss.
    """
    _, mixed, mix = _items(recipe, this, index, batch_of, options)
    return mixed if mix is None else with_mix(mixed, mix)


def _items(
    recipe: Recipe, this: Epoch, index: Array, batch_of: Callable[[list[int]], Batch], options: RowOptions
) -> tuple[Batch, Batch, Mix | None]:
    """The batch of the sources, the mixed batch, and the mix if that is asked for."""
    rows, place = np.unique(index, return_inverse=True)
    source, place = batch_of(rows.tolist()), place.reshape(index.shape)
    _check_collatable(resolve(source, options.get("fields"), options.get("num_classes")))
    mixed: Batch = mix_rows(recipe, Rows(None, source, place), this.key, numbers=index[0], **options)
    if not options.get("return_mix"):
        return source, mixed, None
    mixed, mix = without_mix(mixed, source)
    return source, mixed, mix.of_rows(rows)


def sample(
    recipe: Recipe, this: Epoch, row: int, batch_of: Callable[[list[int]], Batch], **options: Unpack[RowOptions]
) -> Batch:
    """Row `row` of a dataset mixed with its sources of this epoch: what `items` makes of it, without the batch axis.

    Args:
        recipe: the recipe.
        this: the epoch, not shuffled, so that positions are rows.
        row: which one.
        batch_of: makes a batch of the samples at some rows.
        options: as for `items`.
    """
    return single(recipe, this, this.sources(row, row + 1, recipe.sources), batch_of, options)


def single(
    recipe: Recipe, this: Epoch, index: Array, batch_of: Callable[[list[int]], Batch], options: RowOptions
) -> Batch:
    """The one row of index (sources, 1), mixed, without the batch axis."""
    source, mixed, mix = _items(recipe, this, index, batch_of, options)
    kinds = resolve(source, options.get("fields"), options.get("num_classes"))
    mixed, weight = without_added(mixed, source)
    columns = tree.several(mixed, kinds)
    one = tree.replaced(mixed, {name: tree.each_column(x, lambda rows: rows[0]) for name, x in columns.items()})
    one = one if weight is None else extended(one, weight[0])
    return one if mix is None else with_mix(one, mix)


def _check_collatable(kinds: Mapping[str, Field]) -> None:
    """Refuse PerSource, whose rows a collate function would stack along the wrong axis."""
    for name, kind in kinds.items():
        if isinstance(kind, PerSource):
            raise TypeError(
                f"{name}: expected labels in a single array for single samples, got PerSource; mix batches instead, "
                "ma.mix_batch(recipe, batch)"
            )


@dataclass(frozen=True)
class Source:
    """Mixed batches of a dataset in memory: batch i of an epoch is a pure function of (seed, epoch, i).

    Args:
        x: NumPy images (n, *size, c), or a dict of inputs.
        y: NumPy labels (n,) or (n, classes), masks, or a dict of targets.
        batch_size: the number of rows of a batch; the last batch of an epoch may be smaller.
        recipe: the recipe.
        seed: any int.
        options: as for `mix_batch`.
        sample_weight: NumPy sample weights (n,) or (n, 1), a dict of them, or None.
    """

    x: Batch
    y: Batch
    batch_size: int
    recipe: Recipe
    seed: int = 0
    options: Options = field(default_factory=Options)
    sample_weight: Batch | None = None

    def __post_init__(self) -> None:
        rows: list[int] = []
        for name, tree_of in zip(("x", "y", "sample_weight"), self._dataset, strict=False):
            for path, array in tree.leaves(tree_of, name).items():
                if array is None:
                    raise TypeError(f"{path}: expected a NumPy array with rows, got None; pass x and y")
                if not isinstance(array, np.ndarray) or not array.ndim:
                    raise TypeError(
                        f"{path}: expected a NumPy array with rows, got {type(array).__name__}; convert it first"
                    )
                rows.append(len(array))
        if len(set(rows)) != 1 or not rows[0]:
            counts = " and ".join(map(str, rows))
            raise ValueError(
                "expected the same number of rows in x, y and sample_weight, and at least one, "
                f"got {counts or 'no field'}; pass one row of each for every sample"
            )
        check_recipe("recipe", self.recipe)
        check_whole("batch_size", self.batch_size, 1)
        self.batch(0, 0)  # other errors surface here rather than in the middle of a loop

    @property
    def rows(self) -> int:
        """The number of samples."""
        return len(next(iter(tree.leaves(self._dataset).values())))

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    @property
    def num_batches(self) -> int:
        """The number of batches of an epoch."""
        return len(self)

    @property
    def _dataset(self) -> tuple[Batch, ...]:
        """The inputs, the targets and the sample weights, if any."""
        return (self.x, self.y) if self.sample_weight is None else (self.x, self.y, self.sample_weight)

    def _options(self) -> Options:
        """Return the options, with sample weights declared as values."""
        fields: Any = self.options.get("fields") or {}
        if isinstance(fields, (tuple, list)) and len(fields) == len(self._dataset) - 1:  # for x and y
            fields = dict(zip(tree.POSITIONS, fields, strict=False))
        if self.sample_weight is None or not isinstance(fields, Mapping):
            return self.options
        weights = dict.fromkeys(tree.leaves(self.sample_weight, tree.POSITIONS[-1]), "values")
        return {**self.options, "fields": {**weights, **fields}}

    def batch(self, epoch: int, number: int) -> tuple[Batch, ...]:
        """Return the mixed inputs, targets and sample weights, if any, of a batch of an epoch."""
        if not 0 <= number < len(self):
            raise IndexError(f"expected a batch number in 0..{len(self) - 1}, got {number}; count from 0")
        this, source = Epoch(self.rows, self.seed, epoch), self._dataset
        index = this.sources(number * self.batch_size, (number + 1) * self.batch_size, self.recipe.sources)
        key = (self.seed, epoch, number)
        mixed: tuple[Batch, ...] = mix_rows(self.recipe, Rows(None, source, index), key, **self._options())
        return mixed


@known_options(Options)
def batches(
    recipe: Recipe | str,
    x: Batch,
    y: Batch,
    batch_size: int,
    *,
    seed: int = 0,
    epochs: int | None = None,
    sample_weight: Batch | None = None,
    **options: Unpack[Options],
) -> Iterator[tuple[Batch, ...]]:
    """Iterate over mixed batches of a dataset in memory, reshuffled each epoch, with partners from the whole dataset.

        batch i of epoch e = f(seed, e, i); each sample is a base sample once per epoch

    Args:
        recipe: the recipe.
        x: NumPy images (n, *size, c), or a dict of inputs.
        y: NumPy labels: class ids (n,), or (n, classes); masks or other images, declared in `fields`; or a dict of
            targets.
        batch_size: the number of rows of a batch; the last batch of an epoch may be smaller.
        seed: any int.
        epochs: the number of epochs; by default, without end.
        sample_weight: NumPy sample weights, (n,) or (n, 1), or a dict with those of each target: mixed by lam, and
            returned as the third part of each batch.
        options: num_classes, fields (with the names "images" and "labels", or as ("images", "masks")), include_clean,
            copies, class_weights, size: as for `mix_batch`.

    Returns:
        An iterator of (images, labels) or (images, labels, sample_weight): the same batches as those of
        `ma.keras.MixedDataset`.

    Raises:
        TypeError, ValueError: if the arrays do not match; raised by the call, not by the first batch.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> x, y = np.zeros((10, 8, 8, 1), np.float32), np.arange(10) % 2
        >>> [len(images) for images, labels in ma.batches(ma.MixUp(), x, y, 4, epochs=1, num_classes=2)]
        [4, 4, 2]
    """
    source = Source(x, y, batch_size, check_recipe("recipe", recipe), seed, options, sample_weight)
    numbers = count() if epochs is None else range(check_whole("epochs", epochs, 0))
    return (source.batch(epoch, index) for epoch in numbers for index in range(len(source)))


@known_options(Options)
def mixed(
    recipe: Recipe | str,
    iterable: Iterable[Batch],
    *,
    epoch: int,
    seed: int = 0,
    **options: Unpack[Options],
) -> Iterator[Batch]:
    """Mix the batches of one pass over an iterable: pairs, triples or dicts.

        batch i = mix_batch(recipe, batch i, key=(seed, epoch, i)), or (seed, epoch, i, rank) with several ranks

    Args:
        recipe: the recipe.
        iterable: batches of arrays of any supported library.
        epoch: the number of the pass, from 0; each pass draws different mixes.
        seed: any int.
        options: num_classes, fields, pairing, bank, include_clean, copies, class_weights, size: as for `mix_batch`.

    Returns:
        An iterator of mixed batches.

    Ranks are those of `torch.distributed`, if it is initialized. Processes that train together in any other way need
    different values of `seed`.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> loader = [(np.zeros((4, 8, 8, 1), np.float32), np.arange(4))] * 2
        >>> for epoch in range(2):
        ...     for images, labels in ma.mixed(ma.CutMix(), loader, epoch=epoch, num_classes=4):
        ...         pass
        >>> labels.shape
        (4, 4)
    """
    recipe, ranks = check_recipe("recipe", recipe), backends.ranks()
    return (mix_batch(recipe, batch, key=(seed, epoch, step, *ranks), **options) for step, batch in enumerate(iterable))
