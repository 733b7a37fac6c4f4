"""`SetEpoch`: a callback that sets the epoch of datasets."""

from __future__ import annotations

from typing import Any

import keras


class SetEpoch(keras.callbacks.Callback):  # type: ignore[misc]
    """A callback that sets the epoch of datasets to the epoch of `fit`.

    Args:
        targets: variables with `assign`, as passed to `ma.tf.mixed(epoch=...)`, or objects with an attribute `epoch`,
            such as a `MixedDataset`.

    Raises:
        TypeError: if a target has neither.

    Example:
        >>> import mixaug as ma, tensorflow as tf
        >>> epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        >>> callback = ma.keras.SetEpoch(epoch)
        >>> callback.on_epoch_begin(3)
        >>> int(epoch)
        3
    """

    def __init__(self, *targets: Any) -> None:
        super().__init__()
        for target in targets:
            if not hasattr(target, "assign") and not hasattr(target, "epoch"):
                raise TypeError(
                    f"SetEpoch: expected variables or objects with an epoch, got {type(target).__name__}; pass a "
                    "MixedDataset, or the tf.Variable that is passed to ma.tf.mixed(epoch=...)"
                )
        self._targets = targets

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        """Set the epoch of every target."""
        for target in self._targets:
            if hasattr(target, "assign"):
                target.assign(epoch)
            else:
                target.epoch = epoch
