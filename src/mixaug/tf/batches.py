"""`mixed`: mix the batches of a dataset."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Unpack

import numpy as np
import tensorflow as tf

from ..batch import Batch, Options, mix_batch
from ..core import keys
from ..core.hints import known_options
from ..recipes import Recipe, check_recipe
from .host import on_host
from .passes import EpochLike, MixFunction, Pass, no_autograph
from .specs import check_batched, check_tensors


@known_options(Options)
def mixed(
    recipe: Recipe | str,
    *more: Any,
    seed: int = 0,
    epoch: EpochLike = None,
    graph: bool = False,
    batched: bool = False,
    num_parallel_calls: int | None = tf.data.AUTOTUNE,
    **options: Unpack[Options],
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Mix each batch of a batched dataset of pairs, triples or dicts.

        batch i = mix_batch(recipe, batch i, key=(seed, epoch, i)), or (seed, epoch, task, i) if TF_CONFIG has several

    Args:
        recipe: a recipe or its text.
        more: not accepted; apply the result to a dataset.
        seed: any int.
        epoch: the epoch of a pass over the dataset: an int (every pass is the same), or a `tf.Variable` that is read
            when a pass begins (`ma.keras.SetEpoch` sets it). None counts the passes from 0, so that each pass draws new
            mixes and the same program reproduces them.
        graph: whether to mix with graph operations, so that the pipeline can be saved or sent to another process, such
            as `tf.data`'s service. By default NumPy kernels mix the batches, several times as fast.
        batched: True if elements are batches although their shapes look like those of single samples, which are
            refused. Images of 4 axes count as batches if all fields have the same length, unless their layout has 5
            axes: a single clip (t, h, w, c) with frame masks (t, h, w) is refused only with
            `fields={"images": ma.Images(layout="nthwc")}`.
        num_parallel_calls: as for `Dataset.map`; the mixes do not depend on it.
        options: num_classes, fields, pairing, bank, include_clean, copies, class_weights, size, as for
            `ma.mix_batch`.

    Returns:
        A function for `Dataset.apply`. Static shapes are preserved. With `graph` a class id out of range cannot raise
        an error: it gives a row of NaN, so that the loss shows it.

    Raises:
        TypeError: if `recipe` is not a recipe; when applied, if elements contain None.
        ValueError: when applied, if elements are not batches of known fields.

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
            f"mixed: expected the recipe as the only positional argument, got {1 + len(more)} arguments; write "
            "ds.apply(ma.tf.mixed(recipe, ...))"
        )

    def transform(ds: tf.data.Dataset, *parts: Any) -> tf.data.Dataset:
        if parts or not isinstance(ds, tf.data.Dataset):
            raise TypeError(
                "mixed: expected a dataset, got its elements; write ds.apply(ma.tf.mixed(...)) instead of ds.map"
            )
        check_tensors("mixed", ds)
        if not batched:
            check_batched(ds, options.get("fields"))
        mix: MixFunction = partial(_mix, recipe, options)
        if not graph:
            mix = on_host(mix, ds.element_spec, partial(_mix, recipe, _on_numpy(options)))
        return Pass(seed, epoch, num_parallel_calls).map(ds, mix)

    function: Callable[..., tf.data.Dataset] = no_autograph(transform)  # its errors in `ds.map` are shown unchanged
    return function


def _mix(recipe: Recipe, options: Options, epoch_key: keys.Key, numbered: tuple[Any, Batch]) -> Batch:
    position, batch = numbered
    return mix_batch(recipe, batch, key=keys.fold_in(epoch_key, position), **options)


def _on_numpy(options: Options) -> Options:
    """The options with the bank as NumPy arrays."""
    bank = options.get("bank")
    return options if bank is None else {**options, "bank": tf.nest.map_structure(np.asarray, bank)}
