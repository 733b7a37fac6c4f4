"""Grain, a data loader for JAX: a dataset of mixed elements, and an operation that mixes batches."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Unpack

import grain
import numpy as np

from . import loss_advice
from .batch import Batch, ItemOptions, Options, collated, mix_batch
from .core.hints import known_options
from .epoch import Epoch, sample
from .fields import tree
from .mix import Mix, joined
from .recipes import Recipe, check_recipe
from .recipes.combine import check_item_recipe, check_no_schedule


@known_options(ItemOptions)
def mixed(
    recipe: Recipe | str, ds: grain.MapDataset, *, seed: int = 0, **options: Unpack[ItemOptions]
) -> grain.MapDataset:
    """Mix each element of a `MapDataset` with partners from the whole dataset.

        element i = f(seed, epoch i // len(ds), row i % len(ds)), for any number of workers, threads and processes

    Args:
        recipe: a recipe or its text. Each mixed element reads `recipe.sources` samples.
        ds: single samples: pairs, triples or dicts of arrays or numbers. Images are (*size, c) unless `fields` sets
            another layout. Shuffle before mixing; repeat, slice and batch the result. Each repetition is an epoch.
        seed: any int.
        options: num_classes, fields, class_weights, size, return_mix, as for `ma.mix_batch`. The `index` of a returned
            mix holds rows of ds; batch such elements with `batch_fn=ma.grain.stacked`.

    Returns:
        A `MapDataset` of NumPy samples with the length of ds.

    Raises:
        TypeError: if `ds` is not a `MapDataset`, or `recipe` is not a recipe.
        ValueError: if `ds` is empty or infinite, or `recipe` draws once per batch (`ma.per_batch`).

    The index of an element determines its epoch, so repeat the mixed dataset. A `grain.DataLoader` whose sampler has
    several epochs requests the same indices in each of them and would repeat the mixes. Use
    `data_source=mixed.repeat(3)` with `sampler=grain.samplers.SequentialSampler(3 * len(mixed))`, or mix batches with
    `ma.grain.MixBatches` in its operations.

    Example:
        >>> import mixaug as ma, grain, numpy as np
        >>> ds = grain.MapDataset.source([(np.zeros((8, 8, 3), np.uint8), i) for i in range(10)]).shuffle(seed=1)
        >>> mixed = ma.grain.mixed(ma.CutMix(alpha=1.0), ds, num_classes=10).repeat(2).batch(4)
        >>> len(mixed), mixed[0][0].shape, mixed[0][1].shape
        (5, (4, 8, 8, 3), (4, 10))
    """
    recipe = check_item_recipe(
        "mixed", check_recipe("recipe", recipe), "mix batches with ds.batch(32).random_map(ma.grain.MixBatches(recipe))"
    )
    if not isinstance(ds, grain.MapDataset):
        raise TypeError(
            f"mixed: expected a grain.MapDataset, which has elements by index, got {type(ds).__name__}; "
            "mix the batches of an iterable dataset with ma.mixed"
        )
    if not 0 < len(ds) < sys.maxsize:
        way_out = "repeat the mixed dataset instead" if len(ds) else "fill it first"
        raise ValueError(f"mixed: expected a dataset of at least 1 element and finite length, got {len(ds)}; {way_out}")
    loss_advice.before_workers("jax", options.get("num_classes"))
    return _MixedElements(ds, recipe, seed, options)


class MixBatches(grain.transforms.RandomMap):  # type: ignore[misc]
    """Mix batches, as an operation of `grain.DataLoader` or in `random_map`.

        output = mix_batch(recipe, batch, key=(seed, rng.integers(2**63))), with Grain's generator for this batch

    Args:
        recipe: a recipe or its text.
        seed: any int.
        options: num_classes, fields, pairing, bank, include_clean, copies, class_weights, size, as for `ma.mix_batch`.

    Grain seeds the generator with the sampler's seed and the index of the batch's last record, which increases across
    epochs: mixes differ between all batches, workers and shards, and a restored loader draws the mixes of an
    uninterrupted one. The number of workers determines which records form a batch. `ma.schedule` is refused, because
    the epoch is unknown.

    Raises:
        TypeError: if `recipe` is not a recipe.
        ValueError: if `recipe` has a `ma.schedule`; when called, if the sampler has no seed.

    Example:
        >>> import mixaug as ma, grain, numpy as np
        >>> samples = [(np.zeros((8, 8, 3), np.uint8), i) for i in range(10)]
        >>> loader = grain.DataLoader(
        ...     data_source=samples,
        ...     sampler=grain.samplers.IndexSampler(10, shuffle=True, num_epochs=2, seed=0),
        ...     operations=[grain.transforms.Batch(5), ma.grain.MixBatches(ma.CutMix(), num_classes=10)],
        ... )
        >>> [labels.shape for images, labels in loader]
        [(5, 10), (5, 10), (5, 10), (5, 10)]
    """

    @known_options(Options)
    def __init__(self, recipe: Recipe | str, *, seed: int = 0, **options: Unpack[Options]) -> None:
        way_out = "call ma.mix_batch in map_with_index, with key=(seed, epoch, step)"
        self.recipe = check_no_schedule("MixBatches", check_recipe("recipe", recipe), way_out)
        self.seed, self.options = seed, options

    def random_map(self, element: Batch, rng: np.random.Generator | None) -> Batch:
        """Mix a batch."""
        if rng is None:
            raise ValueError("MixBatches: expected a sampler with a seed, got one without; pass it seed=0")
        return mix_batch(self.recipe, element, key=(self.seed, int(rng.integers(2**63))), **self.options)


class _MixedElements(grain.MapDataset):  # type: ignore[misc]
    """The dataset that `mixed` returns."""

    def __init__(self, ds: grain.MapDataset, recipe: Recipe, seed: int, options: ItemOptions) -> None:
        super().__init__(ds)
        self._recipe, self._seed, self._options = recipe, seed, options

    def __len__(self) -> int:
        return len(self._parent)

    def __str__(self) -> str:
        return f"mixed({self._recipe!r})"

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.slice(index)
        number, row = divmod(index, len(self))
        epoch = Epoch(len(self), self._seed, number, shuffle=False)
        return sample(self._recipe, epoch, row, lambda rows: self._read(number, rows), **self._options)

    def _read(self, epoch: int, rows: list[int]) -> Batch:
        elements = [self._parent[epoch * len(self) + row] for row in rows]
        if any(element is None for element in elements):
            raise ValueError("mixed: expected an element at every index, got one filtered out; filter the source first")
        return collated(elements, self._options.get("fields"), stacked)


def stacked(elements: Sequence[Batch]) -> Batch:
    """Stack elements into a batch and join their mixes: `mixed(..., return_mix=True).batch(4, batch_fn=stacked)`.

    Example:
        >>> import mixaug as ma, grain, numpy as np
        >>> ds = grain.MapDataset.source([(np.zeros((8, 8, 3), np.uint8), i) for i in range(10)])
        >>> mixed = ma.grain.mixed(ma.CutMix(), ds, num_classes=10, return_mix=True)
        >>> images, labels, mix = mixed.batch(4, batch_fn=ma.grain.stacked)[0]
        >>> mix.lam.shape
        (2, 4)
    """
    leaves = [tree.leaves(element) for element in elements]
    return tree.each(elements[0], lambda name, _: _stacked_field([fields[name] for fields in leaves]))


def _stacked_field(values: Sequence[Any]) -> Any:
    return joined(values) if isinstance(values[0], Mix) else np.stack([np.asarray(value) for value in values])
