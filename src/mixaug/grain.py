"""Grain, the loader of JAX programs: a dataset with random access whose element i is mixed with its sources."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Unpack

import grain
import numpy as np

from . import loss_advice
from .batch import Batch, Options, collated, mix_batch
from .core.hints import known_options
from .epoch import Epoch, sample
from .fields import Fields, tree
from .fields.class_weights import ClassWeights
from .mix import Mix, joined
from .recipes import Recipe, check_recipe
from .recipes.combine import check_item_recipe, check_no_schedule


@known_options()
def mixed(
    recipe: Recipe | str,
    ds: grain.MapDataset,
    *,
    seed: int = 0,
    num_classes: int | None = None,
    fields: Fields | None = None,
    return_mix: bool = False,
    class_weights: ClassWeights | None = None,
    size: Sequence[int] | None = None,
) -> grain.MapDataset:
    """Mix each element of a `MapDataset` with its sources of its epoch.

        element i = f(seed, epoch i // len(ds), row i % len(ds)), for any number of workers, threads and processes

    Args:
        ds: single samples: pairs, triples or dicts of arrays or numbers. Images are (*size, c) unless a field says
            otherwise. Shuffle it before; repeat, slice and batch what comes out: each repetition is an epoch.
        recipe: what to mix by. Each mixed element reads as many samples as it has sources.
        seed: any int.
        num_classes: needed for class ids.
        fields: as for `ma.mix_batch`.
        return_mix: as there: the mix of each element, of rows of ds. `batch` needs `batch_fn=ma.grain.stacked` then.
        class_weights: as there.
        size: as there.

    Returns:
        A `MapDataset` of NumPy samples, as long as ds.

    Raises:
        TypeError: if `ds` is not a `MapDataset`, or `recipe` is not a recipe.
        ValueError: if `ds` is empty or endless, or `recipe` draws once for a batch (`ma.per_batch`).

    The epoch of an element follows from its index, so read a dataset that is repeated. A `grain.DataLoader` whose
    sampler has several epochs asks its source for the same indices in each, and would get the same mixes: hand it
    `data_source=mixed.repeat(3)` and `sampler=grain.samplers.SequentialSampler(3 * len(mixed))`, or mix batches within
    themselves by `ma.grain.MixBatches` in its operations.

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
            "mix the batches of an iterable one with ma.mixed"
        )
    if not 0 < len(ds) < sys.maxsize:
        way_out = "repeat it after it is mixed" if len(ds) else "fill it first"
        raise ValueError(f"mixed: expected a dataset of 1 element or more, got {len(ds)}; {way_out}")
    if num_classes is not None:
        loss_advice.say("jax")
    options = {"num_classes": num_classes, "fields": fields, "return_mix": return_mix, "class_weights": class_weights}
    options["size"] = size
    return _Mixed(ds, recipe, seed, options)


class MixBatches(grain.transforms.RandomMap):  # type: ignore[misc]
    """Mix batches within themselves, as an operation of `grain.DataLoader` or in `random_map`.

        output = mix_batch(recipe, batch, key=(seed, rng.integers(2**63))), by Grain's generator of this batch

    Args:
        recipe: what to mix by.
        seed: any int.
        options: num_classes, fields, pairing, bank, include_clean, copies, class_weights, size, as for `ma.mix_batch`.

    Grain seeds the generator by the sampler's seed and the index of the batch's last record, which counts on from epoch
    to epoch: every batch draws anew, in every worker and shard, and a restored loader goes on as it would have. Which
    records are in a batch depends on the number of workers. The epoch is not known, so `ma.schedule` is refused.

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
        way_out = "mix by ma.mix_batch in map_with_index, with key=(seed, epoch, step)"
        self.recipe = check_no_schedule("MixBatches", check_recipe("recipe", recipe), way_out)
        self.seed, self.options = seed, options

    def random_map(self, element: Batch, rng: np.random.Generator | None) -> Batch:
        """The mixed batch."""
        if rng is None:
            raise ValueError("MixBatches: expected a sampler with a seed, got one without; pass it seed=0")
        return mix_batch(self.recipe, element, key=(self.seed, int(rng.integers(2**63))), **self.options)


class _Mixed(grain.MapDataset):  # type: ignore[misc]
    def __init__(self, ds: grain.MapDataset, recipe: Recipe, seed: int, options: dict[str, Any]) -> None:
        super().__init__(ds)
        self._recipe, self._seed, self._options = recipe, seed, options

    def __len__(self) -> int:
        return len(self._parent)

    def __str__(self) -> str:
        return f"mixed({self._recipe!r})"

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.slice(index)
        epoch, row = divmod(index, len(self))
        this = Epoch(len(self), self._seed, epoch, shuffle=False)
        return sample(self._recipe, this, row, lambda rows: self._batch(epoch, rows), **self._options)

    def _batch(self, epoch: int, rows: list[int]) -> Batch:
        elements = [self._parent[epoch * len(self) + row] for row in rows]
        if any(element is None for element in elements):
            raise ValueError("mixed: expected an element at every index, got one filtered out; filter the source first")
        return collated(elements, self._options["fields"], stacked)


def stacked(elements: Sequence[Batch]) -> Batch:
    """Elements as a batch, and their mixes as one mix: `mixed(..., return_mix=True).batch(4, batch_fn=stacked)`.

    Example:
        >>> import mixaug as ma, grain, numpy as np
        >>> ds = grain.MapDataset.source([(np.zeros((8, 8, 3), np.uint8), i) for i in range(10)])
        >>> mixed = ma.grain.mixed(ma.CutMix(), ds, num_classes=10, return_mix=True)
        >>> images, labels, mix = mixed.batch(4, batch_fn=ma.grain.stacked)[0]
        >>> mix.lam.shape
        (2, 4)
    """
    columns = [tree.leaves(element) for element in elements]
    return tree.each(elements[0], lambda name, _: _column([column[name] for column in columns]))


def _column(values: Sequence[Any]) -> Any:
    return joined(values) if isinstance(values[0], Mix) else np.stack([np.asarray(value) for value in values])
