"""Map a function of keys over a dataset, one epoch per pass."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf

from ..batch import Batch
from ..core import keys
from ..core.hints import short

EpochLike: TypeAlias = int | tf.Variable | None
MixFunction: TypeAlias = Callable[[keys.Key, tuple[Any, Any]], Any]  #: of the epoch's key and (position, element)

no_autograph = tf.autograph.experimental.do_not_convert


class Pass(NamedTuple):
    """How a dataset is traversed.

    Args:
        seed: any int.
        epoch: an int, a variable that is read when a pass begins, or None to count passes.
        num_parallel_calls: as for `Dataset.map`.
    """

    seed: int
    epoch: EpochLike
    num_parallel_calls: int | None

    def map(self, ds: tf.data.Dataset, function: MixFunction) -> tf.data.Dataset:
        """Map a function over a dataset.

        Positions count the elements that are read; one that fails and is dropped by `ignore_errors` has none.
        """
        read_epoch = _epoch_reader(self.epoch)

        def keyed(state: tuple[tf.Tensor, keys.Key], element: Batch) -> tuple[Any, Any]:
            position, key = state
            key = tf.cond(position > 0, lambda: key, lambda: _epoch_key(self.seed, read_epoch()))  # once per pass
            return (position + 1, key), (key, (position, element))

        no_key = keys.Key(tf.constant(0, tf.uint32), tf.constant(0, tf.uint32), tf.constant(0, tf.int64))
        elements = ds.scan((tf.constant(0, tf.int64), no_key), no_autograph(keyed))
        return elements.map(no_autograph(function), self.num_parallel_calls)


def replica() -> tuple[Any, ...]:
    """Return the number of this replica under a strategy of several, else ()."""
    context = tf.distribute.get_replica_context()
    return () if context is None or context.num_replicas_in_sync == 1 else (context.replica_id_in_sync_group,)


def counter() -> Callable[[], tf.Tensor]:
    """Return a function that returns 0, 1, 2, ... when it is called, or when the graph with the call is run."""
    with tf.init_scope():
        count = tf.Variable(-1, dtype=tf.int64, trainable=False)
    local = tf.distribute.get_strategy().experimental_local_results  # under a strategy each replica has its copy
    return lambda: local(count.assign_add(1))[0]


def _epoch_reader(epoch: EpochLike) -> Callable[[], tf.Tensor]:
    """Return a function that returns the epoch of the pass that begins."""
    if epoch is None:
        return counter()
    if isinstance(epoch, tf.Variable):
        return lambda: tf.cast(epoch, tf.int64)
    if isinstance(epoch, bool) or not isinstance(epoch, int):
        raise TypeError(
            f"epoch: expected an int, a tf.Variable or None, got {short(epoch)}; leave epoch out to count the passes"
        )
    return lambda: tf.constant(epoch, tf.int64)


def _epoch_key(seed: int, epoch: tf.Tensor) -> keys.Key:
    key = keys.make((seed, epoch))._replace(epoch=epoch)
    for task in _task():
        key = keys.fold_in(key, task)
    return key


def _task() -> tuple[int, ...]:
    """Return the number of this process if TF_CONFIG lists several that train, else ()."""
    config = json.loads(os.environ.get("TF_CONFIG", "{}"))
    chiefs, workers = (len(config.get("cluster", {}).get(kind, ())) for kind in ("chief", "worker"))
    if chiefs + workers < 2 or config["task"]["type"] not in ("chief", "worker"):
        return ()
    return (int(config["task"]["index"]) + (chiefs if config["task"]["type"] == "worker" else 0),)
