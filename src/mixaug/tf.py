"""TensorFlow: datasets whose batches are mixed, `ds.apply(ma.tf.mixed(...))`.

Batch i of a pass is mixed under the key (seed, epoch, i), and single samples are outputs of one mix under the key
(seed, epoch). So mixes do not depend on how many calls run in parallel, and are those of every other library.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

import numpy as np
import tensorflow as tf

from . import backends
from .batch import Batch, Options, mix_batch, mix_rows, with_mix, without_mix
from .core import keys
from .core.hints import known_options, short
from .fields import Fields, Images, PerSource, resolve, tree
from .fields.class_weights import ClassWeights
from .mix import Mix, by_row, in_form_of
from .ops.rows import Rows
from .recipes import Recipe, check_recipe
from .recipes.combine import check_item_recipe

_UNEQUAL = "mixed_zip: expected batches of as many rows in both datasets, got {}; batch them alike"
_BLOCK, _BYTES = 64, 4 << 20  # single samples that are mixed in one go: so many, or of so many bytes
_FLOATS = (tf.float16, tf.float32, tf.float64)
_as_is = tf.autograph.experimental.do_not_convert


@known_options(Options)
def mixed(
    recipe: Recipe | str,
    *more: Any,
    seed: int = 0,
    epoch: int | tf.Variable | None = None,
    graph: bool = False,
    batched: bool = False,
    num_parallel_calls: int | None = tf.data.AUTOTUNE,
    **options: Unpack[Options],
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Mix each batch of a batched dataset of pairs, triples or dicts.

        batch i = mix_batch(recipe, batch i, key=(seed, epoch, i)), or (seed, epoch, task, i) if TF_CONFIG has several

    Args:
        recipe: what to mix by.
        more: nothing; the dataset is not an argument.
        seed: any int.
        epoch: which epoch a pass over the dataset is: an int (every pass the same), or a `tf.Variable` that is read
            when a pass begins (`ma.keras.SetEpoch` sets it). None: passes are counted, the first is epoch 0, each
            draws anew, and the same program gives the same stream again.
        graph: whether to mix by operations of a graph, which can be saved or sent to another process, as `tf.data`'s
            service does. By default batches are mixed by the kernels that NumPy arrays are, several times as fast.
        batched: True if elements are batches whose shapes look like those of single samples, which are refused. Images
            of 4 axes, all fields of one length, are a batch unless their layout has 5: a single clip (t, h, w, c)
            beside frame masks (t, h, w) is refused only with `fields={"images": ma.Images(layout="nthwc")}`.
        num_parallel_calls: as for `Dataset.map`; the mixes do not depend on it.
        options: num_classes, fields, pairing, bank, include_clean, copies, class_weights, size, as for
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
    recipe = check_recipe("recipe", recipe)
    if more:
        raise TypeError(
            f"mixed: expected the recipe alone by place, got {1 + len(more)} arguments; write "
            "ds.apply(ma.tf.mixed(recipe, ...))"
        )

    def transform(ds: tf.data.Dataset, *parts: Any) -> tf.data.Dataset:
        if parts or not isinstance(ds, tf.data.Dataset):
            raise TypeError(
                "mixed: expected a dataset, got elements of one; write ds.apply(ma.tf.mixed(...)), not ds.map"
            )
        _check_tensors("mixed", ds)
        if not batched:
            _check_batched(ds, options.get("fields"))

        def mix(epoch_key: keys.Key, element: tuple[Any, Batch], options: Options = options) -> Batch:
            at, batch = element
            return mix_batch(recipe, batch, key=keys.fold_in(epoch_key, at), **options)

        bank = options.get("bank")
        held = options | {"bank": None if bank is None else tf.nest.map_structure(np.asarray, bank)}
        made = mix if graph else _on_host(mix, partial(mix, options=held), ds.element_spec)
        return _keyed(ds, seed, epoch, made, num_parallel_calls)

    function: Callable[..., tf.data.Dataset] = _as_is(transform)  # its error in `ds.map` is shown as it is
    return function


def _on_host(mix: Callable[..., Batch], same: Callable[..., Batch], spec: Any) -> Callable[..., Batch]:
    """The same function of NumPy's arrays, in one operation; itself where NumPy has no such arrays."""
    specs = tf.nest.flatten(spec)
    if not all(map(_is_numeric, specs)):
        return mix
    scalars = [tf.TensorSpec([], dtype) for dtype in (tf.uint32, tf.uint32, tf.int64, tf.int64)]

    def traced(low: tf.Tensor, high: tf.Tensor, epoch: tf.Tensor, at: tf.Tensor, batch: Batch) -> Batch:
        return mix(keys.Key(low, high, epoch), (at, batch))

    made = tf.function(_as_is(traced)).get_concrete_function(*scalars, spec).structured_outputs

    def run(low: Any, high: Any, epoch: Any, at: Any, *arrays: Any) -> list[Any]:
        key = keys.Key(int(low), int(high), int(epoch))
        mixed = same(key, (int(at), tf.nest.pack_sequence_as(spec, arrays)))
        flat: list[Any] = tf.nest.flatten(_in_form_of(mixed, made))
        return flat

    def mapped(key: keys.Key, element: tuple[Any, Batch]) -> Batch:
        at, batch = element
        given = [key.low, key.high, key.epoch, at, *tf.nest.flatten(batch)]
        flat = tf.numpy_function(run, given, [one.dtype for one in tf.nest.flatten(made)], stateful=False)
        for x, one in zip(flat, tf.nest.flatten(made), strict=True):
            x.set_shape(one.shape)
        return tf.nest.pack_sequence_as(made, flat)

    return mapped


def _in_form_of(mixed: Batch, made: Batch) -> Batch:
    """Return a mixed batch of NumPy whose mix, if it has one, has the arrays that the traced one has."""
    if not any(isinstance(x, Mix) for x in tree.leaves(made).values()):
        return mixed
    traced, (batch, mix) = without_mix(made, made)[1], without_mix(mixed, mixed)
    return with_mix(batch, in_form_of(mix, traced))


def _is_numeric(spec: Any) -> bool:
    return isinstance(spec, tf.TensorSpec) and (spec.dtype.is_integer or spec.dtype.is_bool or spec.dtype in _FLOATS)


@known_options()
def mixed_zip(
    recipe: Recipe | str,
    ds_a: tf.data.Dataset,
    ds_b: tf.data.Dataset,
    *,
    num_classes: int | None = None,
    seed: int = 0,
    epoch: int | tf.Variable | None = None,
    fields: Fields | None = None,
    class_weights: ClassWeights | None = None,
    size: Sequence[int] | None = None,
    batched: bool | None = None,
    graph: bool = False,
    return_mix: bool = False,
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
        size: as there.
        batched: whether elements are batches. None: seen from their shapes where that is certain, else refused.
        graph: as for `mixed`; single samples of shapes that are not known are mixed so, one by one. Others are mixed
            side by side, up to 64 and 4 MiB at a time. `ma.per_batch` is refused, because single samples have no batch.
        return_mix: as for `ma.mix_batch`: `index` are rows of the two batches joined, or of single samples 0 for that
            of ds_a and 1 for that of ds_b.
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
    recipe = check_recipe("recipe", recipe)
    if recipe.sources > 2:
        raise ValueError(
            f"mixed_zip: expected a recipe of two sources, one a dataset, got {recipe!r} of {recipe.sources}; "
            "mix more with ds_a.batch(n).apply(ma.tf.mixed(recipe))"
        )
    for ds in (ds_a, ds_b):
        _check_tensors("mixed_zip", ds)
    if not _alike(ds_a, ds_b):
        raise TypeError(
            f"mixed_zip: expected elements of the same form, got {ds_a.element_spec} and {ds_b.element_spec}; "
            "map one of them to the form of the other"
        )
    if batched is None:
        batched = _are_batched(ds_a)

    both = tf.data.Dataset.zip((ds_a, ds_b))
    said = Options(num_classes=num_classes, fields=fields, class_weights=class_weights, return_mix=return_mix)
    said["size"] = size

    def of_two(a: Batch, b: Batch, **drawn: Any) -> Batch:
        return _of_two(recipe, a, b, **drawn, **said)

    def mix(epoch_key: keys.Key, element: tuple[Any, tuple[Batch, Batch]]) -> Batch:
        at, (a, b) = element
        return of_two(a, b, key=keys.fold_in(epoch_key, at))

    if batched:
        made = mix if graph else _on_host(mix, mix, both.element_spec)
        return _keyed(both, seed, epoch, made, num_parallel_calls)
    if any(isinstance(kind, PerSource) for kind in resolve(ds_a.element_spec, fields, num_classes).values()):
        raise TypeError("mixed_zip: expected labels of one array for single samples, got PerSource; batch() them first")
    check_item_recipe("mixed_zip", recipe, "batch() both datasets before they are mixed")
    block = _together(tf.nest.flatten(both.element_spec))

    def mix_rows(epoch_key: keys.Key, element: tuple[Any, tuple[Batch, Batch]]) -> Batch:
        at, (a, b) = element
        return of_two(a, b, key=epoch_key, first=at * block)

    blocks = both.batch(block)
    made = mix_rows if graph or block == 1 else _on_host(mix_rows, mix_rows, blocks.element_spec)
    if not return_mix:
        return _keyed(blocks, seed, epoch, made, num_parallel_calls).unbatch()
    apart, beside = _mix_by_row(made)
    rows = _keyed(blocks, seed, epoch, apart, num_parallel_calls).unbatch()
    return rows.map(_as_is(beside), num_parallel_calls)


def _mix_by_row(mix: Callable[..., Batch]) -> tuple[Callable[..., Any], Callable[..., Batch]]:
    """A function of a block that gives the rows of its mix apart, and one of a row that puts its mix beside it."""
    make: list[Callable[..., Mix]] = []  # known once the first one has been traced

    def apart(key: keys.Key, element: Any) -> tuple[Batch, tuple[tf.Tensor, ...]]:
        batch, beside = without_mix(mix(key, element), element[1][0])
        of, rows = by_row(replace(beside, index=tf.cast(beside.index >= tf.shape(beside.index)[1], tf.int32)))
        make[:] = [of]
        return batch, tuple(rows)

    def beside(batch: Batch, rows: tuple[tf.Tensor, ...]) -> Batch:
        return with_mix(batch, make[0](rows))

    return apart, beside


def _together(specs: list[Any]) -> int:
    """How many single samples are mixed side by side: few large ones, one where sizes may differ."""
    if not all(spec.shape.is_fully_defined() for spec in specs):
        return 1
    each = int(sum(spec.shape.num_elements() * spec.dtype.size for spec in specs))
    return max(1, min(_BLOCK, _BYTES // max(1, each)))


def _of_two(recipe: Recipe, a: Batch, b: Batch, first: Any = None, **options: Any) -> Batch:
    """Row i of one batch mixed with row i of the other; `first` is the row number of row 0, by default 0."""
    own, others = (next(iter(tree.leaves(batch).values())) for batch in (a, b))
    xp = backends.of(own)
    n, other = xp.shape(own)[0], xp.shape(others)[0]
    if not (isinstance(n, int) and isinstance(other, int)):
        tf.debugging.assert_equal(n, other, _UNEQUAL.format("two lengths"))
    elif n != other:
        raise ValueError(_UNEQUAL.format(f"{n} and {other}"))
    joined = tf.nest.map_structure(lambda x, y: xp.concat([x, y]), a, b)
    index = xp.stack([xp.arange(n) + j * n for j in range(recipe.sources)])
    rows = None if first is None else xp.cast(xp.arange(n), "int64") + xp.cast(xp.constant(first), "int64")
    return mix_rows(recipe, Rows(a, joined, index), numbers=rows, **options)


def _keyed(
    ds: tf.data.Dataset,
    seed: int,
    epoch: int | tf.Variable | None,
    function: Callable[..., Batch],
    num_parallel_calls: int | None,
) -> tf.data.Dataset:
    """Map a function of (key of this pass, (position, element)) over a dataset.

    Elements are numbered as they come: one that cannot be read, and is left out by `ignore_errors`, has no number.
    """
    read = _epoch_reader(epoch)

    def keyed(state: tuple[tf.Tensor, keys.Key], element: Batch) -> tuple[Any, Any]:
        at, key = state
        key = tf.cond(at > 0, lambda: key, lambda: _of_epoch(seed, read()))  # read once a pass
        return (at + 1, key), (key, (at, element))

    nothing = keys.Key(tf.constant(0, tf.uint32), tf.constant(0, tf.uint32), tf.constant(0, tf.int64))
    elements = ds.scan((tf.constant(0, tf.int64), nothing), _as_is(keyed))
    return elements.map(_as_is(function), num_parallel_calls)


def _of_epoch(seed: int, epoch: tf.Tensor) -> keys.Key:
    key = keys.make((seed, epoch))._replace(epoch=epoch)
    for task in _task():
        key = keys.fold_in(key, task)
    return key


def replica() -> tuple[Any, ...]:
    """The number of this replica, if the strategy that calls this has several."""
    context = tf.distribute.get_replica_context()
    return () if context is None or context.num_replicas_in_sync == 1 else (context.replica_id_in_sync_group,)


def _task() -> tuple[int, ...]:
    """The number of this process among those that train together, if TF_CONFIG says that there are several."""
    config = json.loads(os.environ.get("TF_CONFIG", "{}"))
    chiefs, workers = (len(config.get("cluster", {}).get(kind, ())) for kind in ("chief", "worker"))
    if chiefs + workers < 2 or config["task"]["type"] not in ("chief", "worker"):
        return ()
    return (int(config["task"]["index"]) + (chiefs if config["task"]["type"] == "worker" else 0),)


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
        raise TypeError(
            f"epoch: expected an int, a tf.Variable or None, got {short(epoch)}; leave epoch out to have passes counted"
        )
    return lambda: tf.constant(epoch, tf.int64)


def _alike(ds_a: tf.data.Dataset, ds_b: tf.data.Dataset) -> bool:
    """Whether the elements have the same fields of the same dtypes and ranks."""
    a, b = (
        tf.nest.map_structure(lambda spec: (spec.dtype.name, spec.shape.rank), ds.element_spec) for ds in (ds_a, ds_b)
    )
    return bool(a == b)


def _ranks(ds: tf.data.Dataset) -> dict[str, tf.TensorShape]:
    return {name: spec.shape for name, spec in tree.leaves(ds.element_spec).items()}


def _check_batched(ds: tf.data.Dataset, fields: Fields | None) -> None:
    """Refuse elements that may be single samples: single values, fields of other lengths, images of few axes."""
    spec = ds.element_spec
    kinds = resolve(spec, fields, None)
    shapes = {
        path: x.shape for name, x in tree.several(spec, kinds).items() for path, x in tree.columns(x, name).items()
    }
    lengths = {shape[0] for shape in shapes.values() if shape.rank} - {None}
    few = [name for name, kind in kinds.items() if isinstance(kind, Images) and _is_single(shapes[name], kind)]
    if few or len(lengths) > 1 or any(shape.rank == 0 for shape in shapes.values()):
        came = ", ".join(
            f"{name or 'images'!r} {tuple(shape)}" for name, shape in shapes.items() if shape.rank is not None
        )
        raise ValueError(
            f"mixed: expected a dataset of batches, got what may be single samples, {came}; batch() it first, or pass "
            "batched=True if these are batches"
        )


def _is_single(shape: tf.TensorShape, kind: Images) -> bool:
    """Whether images have the axes of a single sample, as far as their layout says, and a known length."""
    rank = shape.rank
    return rank is not None and rank < (len(kind.layout) if kind.layout else 4) and bool(rank) and shape[0] is not None


def _check_tensors(door: str, ds: tf.data.Dataset) -> None:
    """Refuse elements with None in them."""
    for name, spec in tree.leaves(ds.element_spec).items():
        if not hasattr(spec, "shape"):
            raise TypeError(f"{door}: expected elements of tensors, got None as {name!r}; leave it out of the elements")


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
    came = ", ".join(f"{name or 'images'!r} {tuple(shape)}" for name, shape in shapes.items() if shape.rank is not None)
    raise ValueError(
        f"mixed_zip: expected shapes that tell samples from batches, got {came}; "
        "pass batched=True if these are batches, batched=False if they are single samples"
    )
