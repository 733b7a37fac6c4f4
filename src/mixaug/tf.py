"""TensorFlow: datasets whose batches are mixed, `ds.apply(ma.tf.mixed(...))`.

Batch i of a pass is mixed under the key (seed, epoch, i), and single samples are outputs of one mix under the key
(seed, epoch). So mixes do not depend on how many calls run in parallel, and are those of every other library.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Unpack

import numpy as np
import tensorflow as tf

from . import _xp, keys, tree
from .batch import Batch, Options, mix_batch, mix_from
from .class_weights import ClassWeights
from .fields import Fields, PerSource, resolve
from .recipes import Recipe, check_recipe

_UNEQUAL = "mixed_zip: expected batches of as many rows in both datasets; batch them alike"
_BLOCK, _BYTES = 64, 4 << 20  # single samples that are mixed in one go: so many, or of so many bytes
_FLOATS = (tf.float16, tf.float32, tf.float64)
_as_is = tf.autograph.experimental.do_not_convert


def mixed(
    recipe: Recipe,
    *,
    seed: int = 0,
    epoch: int | tf.Variable | None = None,
    graph: bool = False,
    num_parallel_calls: int | None = tf.data.AUTOTUNE,
    **options: Unpack[Options],
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Mix each batch of a batched dataset of pairs, triples or dicts.

        batch i = mix_batch(recipe, batch i, key=(seed, epoch, i))

    Args:
        recipe: what to mix by.
        seed: any int.
        epoch: which epoch a pass over the dataset is: an int (every pass the same), or a `tf.Variable` that is read
            when a pass begins (`ma.keras.SetEpoch` sets it). None: passes are counted, the first is epoch 0, each
            draws anew, and the same program gives the same stream again.
        graph: whether to mix by operations of a graph, which can be saved or sent to another process, as `tf.data`'s
            service does. By default batches are mixed by the loops that NumPy arrays are, several times as fast.
        num_parallel_calls: as for `Dataset.map`; the mixes do not depend on it.
        options: num_classes, fields, pairing, bank, include_clean, copies, class_weights, as for
            `ma.mix_batch`.

    Returns:
        A function for `Dataset.apply`. Static shapes are kept. With `graph` a class id out of range cannot be refused:
        it gives a row of NaN, so that the loss shows it.

    Raises:
        TypeError, ValueError: elements that are not batches of known fields, when applied.

    Example:
        >>> import mixaug as ma, tensorflow as tf
        >>> ds = tf.data.Dataset.from_tensor_slices((tf.zeros([10, 8, 8, 3]), tf.range(10))).shuffle(10).batch(4)
        >>> ds = ds.apply(ma.tf.mixed(ma.CutMix(alpha=1.0), num_classes=10))
        >>> [labels.shape[0] for images, labels in ds]
        [4, 4, 2]
    """
    check_recipe("recipe", recipe)

    def transform(ds: tf.data.Dataset, *more: Any) -> tf.data.Dataset:
        if more or not isinstance(ds, tf.data.Dataset):
            raise TypeError(
                "mixed: expected a dataset, got elements of one; write ds.apply(ma.tf.mixed(...)), not ds.map"
            )
        _check_batched(ds)

        def mix(epoch_key: keys.Key, element: tuple[Any, Batch], options: Options = options) -> Batch:
            at, batch = element
            return mix_batch(recipe, batch, key=keys.fold_in(epoch_key, at), **options)

        bank = options.get("bank")
        held = options | {"bank": None if bank is None else tf.nest.map_structure(np.asarray, bank)}
        made = mix if graph else _on_host(mix, partial(mix, options=held), ds.element_spec)
        return _keyed(ds, seed, epoch, made, num_parallel_calls)

    return transform


def _on_host(mix: Callable[..., Batch], same: Callable[..., Batch], spec: Any) -> Callable[..., Batch]:
    """The same function of NumPy's arrays, in one operation; itself where NumPy has no such arrays, or no loops."""
    specs = tf.nest.flatten(spec)
    if _xp.loops("mixaug.engines.loops") is None or not all(map(_is_numeric, specs)):
        return mix
    scalars = [tf.TensorSpec([], dtype) for dtype in (tf.uint32, tf.uint32, tf.int64, tf.int64)]

    def traced(low: tf.Tensor, high: tf.Tensor, epoch: tf.Tensor, at: tf.Tensor, batch: Batch) -> Batch:
        return mix(keys.Key(low, high, epoch), (at, batch))

    made = tf.function(_as_is(traced)).get_concrete_function(*scalars, spec).structured_outputs

    def run(low: Any, high: Any, epoch: Any, at: Any, *arrays: Any) -> list[Any]:
        key = keys.Key(int(low), int(high), int(epoch))
        mixed: list[Any] = tf.nest.flatten(same(key, (int(at), tf.nest.pack_sequence_as(spec, arrays))))
        return mixed

    def mapped(key: keys.Key, element: tuple[Any, Batch]) -> Batch:
        at, batch = element
        given = [key.low, key.high, key.epoch, at, *tf.nest.flatten(batch)]
        flat = tf.numpy_function(run, given, [one.dtype for one in tf.nest.flatten(made)], stateful=False)
        for x, one in zip(flat, tf.nest.flatten(made), strict=True):
            x.set_shape(one.shape)
        return tf.nest.pack_sequence_as(made, flat)

    return mapped


def _is_numeric(spec: Any) -> bool:
    return isinstance(spec, tf.TensorSpec) and (spec.dtype.is_integer or spec.dtype.is_bool or spec.dtype in _FLOATS)


def mixed_zip(
    recipe: Recipe,
    ds_a: tf.data.Dataset,
    ds_b: tf.data.Dataset,
    *,
    num_classes: int | None = None,
    seed: int = 0,
    epoch: int | tf.Variable | None = None,
    fields: Fields | None = None,
    class_weights: ClassWeights | None = None,
    batched: bool | None = None,
    graph: bool = False,
    num_parallel_calls: int | None = tf.data.AUTOTUNE,
) -> tf.data.Dataset:
    """Mix element i of one dataset with element i of another, as pipelines of two shuffled copies do.

        batch i = mix of (a[i], b[i]) under the key (seed, epoch, i); the base samples are a[i]
        sample i = output i of one mix of all (a, b) under the key (seed, epoch)

    Args:
        ds_a: the base samples: pairs, triples or dicts, single samples or batches.
        ds_b: the partners, elements of the same form.
        recipe: what to mix by, of two sources.
        num_classes: needed for class ids.
        seed: any int.
        epoch: as for `mixed`.
        fields: as for `ma.mix_batch`.
        class_weights: as there.
        batched: whether elements are batches. None: seen from their shapes where that is certain, else refused.
        graph: as for `mixed`; single samples of shapes that are not known are mixed so, one by one. Others are mixed
            side by side, up to 64 and 4 MiB at a time: by a recipe that is `per_batch` all of a pass are mixed alike.
        num_parallel_calls: as for `Dataset.map`.

    Returns:
        A dataset of elements of the form of ds_a, as long as the shorter one.

    Raises:
        TypeError, ValueError: datasets of different elements, a recipe of more sources, `ma.PerSource` of single
        samples.

    Example:
        >>> import mixaug as ma, tensorflow as tf
        >>> ds = tf.data.Dataset.from_tensor_slices((tf.zeros([6, 8, 8, 3]), tf.range(6)))
        >>> a, b = ds.shuffle(6, seed=1), ds.shuffle(6, seed=2)
        >>> [labels.shape for images, labels in ma.tf.mixed_zip(ma.CutMix(), a, b, num_classes=6).batch(3)]
        [TensorShape([3, 6]), TensorShape([3, 6])]
    """
    check_recipe("recipe", recipe)
    if recipe.sources > 2:
        raise ValueError(
            f"mixed_zip: expected a recipe of two sources, one a dataset, got {recipe!r} of {recipe.sources}"
        )
    if not _alike(ds_a, ds_b):
        raise TypeError(
            f"mixed_zip: expected elements of the same form, got {ds_a.element_spec} and {ds_b.element_spec}; "
            "map one of them to the form of the other"
        )
    if batched is None:
        batched = _are_batched(ds_a)

    both = tf.data.Dataset.zip((ds_a, ds_b))
    of_two = partial(_of_two, recipe, num_classes=num_classes, fields=fields, class_weights=class_weights)

    def mix(epoch_key: keys.Key, element: tuple[Any, tuple[Batch, Batch]]) -> Batch:
        at, (a, b) = element
        return of_two(a, b, key=keys.fold_in(epoch_key, at))

    if batched:
        made = mix if graph else _on_host(mix, mix, both.element_spec)
        return _keyed(both, seed, epoch, made, num_parallel_calls)
    if any(isinstance(kind, PerSource) for kind in resolve(ds_a.element_spec, fields, num_classes).values()):
        raise TypeError("mixed_zip: expected labels of one array for single samples, got PerSource; batch() them first")
    block = _together(tf.nest.flatten(both.element_spec))

    def mix_rows(epoch_key: keys.Key, element: tuple[Any, tuple[Batch, Batch]]) -> Batch:
        at, (a, b) = element
        return of_two(a, b, key=epoch_key, first=at * block)

    blocks = both.batch(block)
    made = mix_rows if graph or block == 1 else _on_host(mix_rows, mix_rows, blocks.element_spec)
    return _long_as(both, _keyed(blocks, seed, epoch, made, num_parallel_calls).unbatch())


def _together(specs: list[Any]) -> int:
    """How many single samples are mixed side by side: few large ones, one where sizes may differ."""
    if not all(spec.shape.is_fully_defined() for spec in specs):
        return 1
    each = int(sum(spec.shape.num_elements() * spec.dtype.size for spec in specs))
    return max(1, min(_BLOCK, _BYTES // max(1, each)))


def _of_two(recipe: Recipe, a: Batch, b: Batch, **options: Any) -> Batch:
    """Row i of one batch mixed with row i of the other."""
    own, others = (next(iter(tree.leaves(batch).values())) for batch in (a, b))
    xp = _xp.of(own)
    n, other = xp.shape(own)[0], xp.shape(others)[0]
    if not (isinstance(n, int) and isinstance(other, int)):
        tf.debugging.assert_equal(n, other, _UNEQUAL)
    elif n != other:
        raise ValueError(f"{_UNEQUAL}, got {n} and {other}")
    joined = tf.nest.map_structure(lambda x, y: xp.concat([x, y]), a, b)
    index = xp.stack([xp.arange(n) + j * n for j in range(recipe.sources)])
    return mix_from(recipe, a, joined, index, **options)


def _keyed(
    ds: tf.data.Dataset,
    seed: int,
    epoch: int | tf.Variable | None,
    function: Callable[..., Batch],
    num_parallel_calls: int | None,
) -> tf.data.Dataset:
    """Map a function of (key of this pass, (position, element)) over a dataset."""
    read = _epoch_reader(epoch)
    passes = tf.data.Dataset.from_tensors(0).map(_as_is(lambda _: _of_epoch(seed, read())))  # runs once a pass
    forever = passes.flat_map(_as_is(lambda key: tf.data.Dataset.from_tensors(key).repeat()))
    elements = tf.data.Dataset.zip((forever, ds.enumerate()))
    return _long_as(ds, elements.map(_as_is(function), num_parallel_calls))


def _long_as(ds: tf.data.Dataset, out: tf.data.Dataset) -> tf.data.Dataset:
    """The second dataset, known to be as long as the first."""
    length = ds.cardinality()
    return out if length == tf.data.UNKNOWN_CARDINALITY else out.apply(tf.data.experimental.assert_cardinality(length))


def _of_epoch(seed: int, epoch: tf.Tensor) -> keys.Key:
    return keys.make((seed, epoch))._replace(epoch=epoch)


def counting() -> Callable[[], tf.Tensor]:
    """A function that gives 0, 1, 2, ... as it is called, in a graph as it is run."""
    with tf.init_scope():
        counted = tf.Variable(-1, dtype=tf.int64, trainable=False)
    local = tf.distribute.get_strategy().experimental_local_results  # under a strategy each replica has its copy
    return lambda: local(counted.assign_add(1))[0]


def _epoch_reader(epoch: int | tf.Variable | None) -> Callable[[], tf.Tensor]:
    if epoch is None:
        return counting()
    if isinstance(epoch, tf.Variable):
        return lambda: tf.cast(epoch, tf.int64)
    if isinstance(epoch, bool) or not isinstance(epoch, int):
        raise TypeError(f"epoch: expected an int, a tf.Variable or None, got {epoch!r}")
    return lambda: tf.constant(epoch, tf.int64)


def _alike(ds_a: tf.data.Dataset, ds_b: tf.data.Dataset) -> bool:
    """Whether the elements have the same fields of the same dtypes and ranks."""
    a, b = (
        tf.nest.map_structure(lambda spec: (spec.dtype.name, spec.shape.rank), ds.element_spec) for ds in (ds_a, ds_b)
    )
    return bool(a == b)


def _ranks(ds: tf.data.Dataset) -> dict[str, tf.TensorShape]:
    return {name: spec.shape for name, spec in tree.leaves(ds.element_spec).items()}


def _check_batched(ds: tf.data.Dataset) -> None:
    for name, shape in _ranks(ds).items():
        if shape.rank == 0:
            raise ValueError(
                f"mixed: expected a dataset of batches, got single samples ({name!r} has no axes); batch() it first"
            )


def _are_batched(ds: tf.data.Dataset) -> bool:
    """Whether the elements are batches; a ValueError where shapes do not tell."""
    shapes = _ranks(ds)
    if any(shape.rank == 0 for shape in shapes.values()):
        return False
    lengths = {shape[0] for shape in shapes.values()}
    if len(lengths - {None}) > 1:
        return False
    if lengths == {None}:
        return True
    raise ValueError(f"mixed_zip: shapes {shapes} may be of samples or of batches; pass batched=True or batched=False")
