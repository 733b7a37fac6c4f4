"""Metrics for `compile`: accuracies of mixed labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from ..backends import Array
from ..metrics import heaviest_accuracy, mixed_accuracy


class _Accuracy(keras.metrics.MeanMetricWrapper):  # type: ignore[misc]
    """The mean over the rows of a function of logits and labels."""

    def __init__(self, accuracy: Callable[[Array, Array], Array], name: str, dtype: Any) -> None:
        super().__init__(_of_tensors, name=name, dtype=dtype, accuracy=accuracy)
        self._direction = "up"  # Keras' callbacks read it for mode="auto"

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the metric."""
        return {"name": self.name, "dtype": self.dtype}


def _of_tensors(y_true: Array, y_pred: Array, accuracy: Callable[[Array, Array], Array]) -> Array:
    return accuracy(keras.ops.convert_to_tensor(y_pred), keras.ops.convert_to_tensor(y_true))


@keras.saving.register_keras_serializable(package="mixaug")
class MixedAccuracy(_Accuracy):
    """The mean weight of the predicted class in the mixed label.

        result = mean(ma.metrics.mixed_accuracy(y_pred, y_true))

    Args:
        name: the name in the logs.
        dtype: as for any Keras metric.

    y_true contains mixed labels (n, classes), or class ids (n,) or (n, 1); y_pred logits or probabilities (n, classes).
    Use it with the loss `keras.losses.CategoricalCrossentropy(from_logits=True)`.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> metric = ma.keras.MixedAccuracy()
        >>> metric.update_state(np.float32([[0.75, 0.25], [1, 0]]), np.float32([[-1, 2], [3, 0]]))
        >>> float(metric.result())
        0.625
    """

    def __init__(self, name: str = "mixed_accuracy", dtype: Any = None) -> None:
        super().__init__(mixed_accuracy, name, dtype)


@keras.saving.register_keras_serializable(package="mixaug")
class HeaviestAccuracy(_Accuracy):
    """The fraction of rows whose predicted class has the greatest weight in the mixed label.

        result = mean(ma.metrics.heaviest_accuracy(y_pred, y_true))

    Args:
        name: the name in the logs.
        dtype: as for any Keras metric.

    y_true and y_pred are those of `MixedAccuracy`. If no classes tie for the greatest weight, this is Keras'
    `CategoricalAccuracy`.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> metric = ma.keras.HeaviestAccuracy()
        >>> metric.update_state(np.float32([[0.75, 0.25], [1, 0]]), np.float32([[-1, 2], [3, 0]]))
        >>> float(metric.result())
        0.5
    """

    def __init__(self, name: str = "heaviest_accuracy", dtype: Any = None) -> None:
        super().__init__(heaviest_accuracy, name, dtype)
