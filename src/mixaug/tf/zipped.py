"""`mixed_zip`: mix the elements of one dataset with those of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

import tensorflow as tf

from .. import backends
from ..batch import Batch, ItemOptions, mix_rows, with_mix, without_mix
from ..core import keys
from ..core.hints import known_options
from ..core.rows import Rows
from ..fields import PerSource, resolve, tree
from ..mix import Mix, by_row
from ..recipes import Recipe, check_recipe
from ..recipes.combine import check_item_recipe
from .host import on_host
from .passes import EpochLike, MixFunction, Pass, no_autograph
from .specs import check_same_form, check_tensors, is_batched, sample_bytes

_BLOCK_ROWS, _BLOCK_BYTES = 64, 4 << 20  # limits of the blocks that single samples are mixed in


@known_options(ItemOptions)
def mixed_zip(
    recipe: Recipe | str,
    ds_a: tf.data.Dataset,
    ds_b: tf.data.Dataset,
    *,
    seed: int = 0,
    epoch: EpochLike = None,
    batched: bool | None = None,
    graph: bool = False,
    num_parallel_calls: int | None = tf.data.AUTOTUNE,
    **options: Unpack[ItemOptions],
) -> tf.data.Dataset:
    """Mix element i of one dataset with element i of another, such as two shuffled copies of one dataset.

        batch i = mix of (a[i], b[i]) under the key (seed, epoch, i); the base samples are a[i]
        sample i = output i of one mix of all (a, b) under the key (seed, epoch)

    Args:
        recipe: a recipe of at most two sources, or its text.
        ds_a: the base samples: pairs, triples or dicts, single samples or batches.
        ds_b: the partners, elements of the same form.
        seed: any int.
        epoch: as for `mixed`.
        batched: whether elements are batches; None infers it from their shapes, or raises an error if it is ambiguous.
        graph: as for `mixed`. Single samples of unknown shape are always mixed by graph operations, one at a time;
            others in blocks of up to 64 samples and 4 MiB. `ma.per_batch` is refused for single samples.
        num_parallel_calls: as for `Dataset.map`.
        options: num_classes, fields, class_weights, size, return_mix, as for `ma.mix_batch`. The `index` of a returned
            mix holds rows of the concatenated batches; for single samples 0 is that of ds_a, 1 that of ds_b.

    Returns:
        A dataset of elements of the form of ds_a, as long as the shorter dataset.

    Raises:
        TypeError: if the elements of the datasets have different forms, or single samples have `ma.PerSource` labels.
        ValueError: if the recipe has more than two sources, or it is ambiguous whether elements are batches.

    Example:
        >>> import mixaug as ma, tensorflow as tf
        >>> ds = tf.data.Dataset.from_tensor_slices((tf.zeros([6, 8, 8, 3]), tf.range(6)))
        >>> a, b = ds.shuffle(6, seed=1), ds.shuffle(6, seed=2)
        >>> [labels.shape for images, labels in ma.tf.mixed_zip(ma.CutMix(), a, b, num_classes=6).batch(3)]
        [TensorShape([3, 6]), TensorShape([3, 6])]
    """
    recipe = check_recipe("recipe", recipe)
    if recipe.sources > 2:
        raise ValueError(
            f"mixed_zip: expected a recipe of two sources, one per dataset, got {recipe!r} of {recipe.sources}; "
            "mix more with ds_a.batch(n).apply(ma.tf.mixed(recipe))"
        )
    for ds in (ds_a, ds_b):
        check_tensors("mixed_zip", ds)
    check_same_form(ds_a, ds_b)
    pairs, traversal = tf.data.Dataset.zip((ds_a, ds_b)), Pass(seed, epoch, num_parallel_calls)
    mix: MixFunction
    if is_batched(ds_a) if batched is None else batched:
        mix = partial(_mix_batches, recipe, options)
        return traversal.map(pairs, mix if graph else on_host(mix, pairs.element_spec))
    _check_samples(recipe, ds_a, options)
    block = _block_rows(pairs.element_spec)
    blocks, mix = pairs.batch(block), partial(_mix_block, recipe, options, block)
    if not graph and block > 1:
        mix = on_host(mix, blocks.element_spec)
    if not options.get("return_mix"):
        return traversal.map(blocks, mix).unbatch()
    split, join = _mix_by_row(mix)
    return traversal.map(blocks, split).unbatch().map(no_autograph(join), num_parallel_calls)


def _check_samples(recipe: Recipe, ds: tf.data.Dataset, options: ItemOptions) -> None:
    """Raise an error if single samples cannot be mixed so."""
    fields = resolve(ds.element_spec, options.get("fields"), options.get("num_classes"))
    if any(isinstance(field, PerSource) for field in fields.values()):
        raise TypeError("mixed_zip: expected labels of one array for single samples, got PerSource; batch() them first")
    check_item_recipe("mixed_zip", recipe, "batch() both datasets before they are mixed")


def _block_rows(spec: Any) -> int:
    """How many single samples are mixed together: fewer if they are large, 1 if their shapes may differ."""
    size = sample_bytes(spec)
    return 1 if size is None else max(1, min(_BLOCK_ROWS, _BLOCK_BYTES // max(1, size)))


def _mix_batches(
    recipe: Recipe, options: ItemOptions, epoch_key: keys.Key, numbered: tuple[Any, tuple[Batch, Batch]]
) -> Batch:
    position, (a, b) = numbered
    return _mix_pair(recipe, a, b, None, key=keys.fold_in(epoch_key, position), **options)


def _mix_block(
    recipe: Recipe, options: ItemOptions, block: int, epoch_key: keys.Key, numbered: tuple[Any, tuple[Batch, Batch]]
) -> Batch:
    position, (a, b) = numbered
    return _mix_pair(recipe, a, b, position * block, key=epoch_key, **options)


def _mix_pair(recipe: Recipe, a: Batch, b: Batch, first_row: Any, **options: Any) -> Batch:
    """Mix row i of one batch with row i of another; the outputs are numbered from `first_row`, None for 0."""
    leaf_a, leaf_b = (next(iter(tree.leaves(batch).values())) for batch in (a, b))
    xp = backends.of(leaf_a)
    n = xp.shape(leaf_a)[0]
    _check_rows(n, xp.shape(leaf_b)[0])
    source = tf.nest.map_structure(lambda x, y: xp.concat([x, y]), a, b)
    index = xp.stack([xp.arange(n) + j * n for j in range(recipe.sources)])
    numbers = None if first_row is None else xp.cast(xp.arange(n), "int64") + xp.cast(xp.constant(first_row), "int64")
    return mix_rows(recipe, Rows(a, source, index), numbers=numbers, **options)


def _check_rows(n_a: Any, n_b: Any) -> None:
    """Raise an error if two batches differ in their number of rows, in a graph when it is run."""
    sentence = "mixed_zip: expected batches with the same number of rows in both datasets, got {}; batch them alike"
    if not (isinstance(n_a, int) and isinstance(n_b, int)):
        tf.debugging.assert_equal(n_a, n_b, sentence.format("different ones"))
    elif n_a != n_b:
        raise ValueError(sentence.format(f"{n_a} and {n_b}"))


def _mix_by_row(mix: MixFunction) -> tuple[MixFunction, Callable[..., Batch]]:
    """Split a mixing function of blocks with `return_mix`, so that its outputs can be unbatched.

    Returns:
        A function of a block that returns the batch and the arrays of its mix, all with the rows first, and a function
        of one row of both that returns the sample with its mix.
    """
    unflatten: list[Callable[..., Mix]] = []  # set when the first function is traced

    def split(key: keys.Key, numbered: tuple[Any, tuple[Batch, Batch]]) -> tuple[Batch, tuple[tf.Tensor, ...]]:
        _, (a, _) = numbered
        batch, block_mix = without_mix(mix(key, numbered), a)
        n = tf.shape(block_mix.index)[1]
        make, arrays = by_row(replace(block_mix, index=tf.cast(block_mix.index >= n, tf.int32)))
        unflatten[:] = [make]
        return batch, tuple(arrays)

    def join(batch: Batch, arrays: tuple[tf.Tensor, ...]) -> Batch:
        return with_mix(batch, unflatten[0](arrays))

    return split, join
