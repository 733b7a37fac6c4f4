"""Advise which loss accepts mixed labels, once per process, when class ids become rows of weights."""

from __future__ import annotations

import multiprocessing
import sys
import warnings
from pathlib import Path

from . import backends

_HERE = str(Path(__file__).parent)
_SOFT = {
    "tensorflow": "keras.losses.CategoricalCrossentropy, not SparseCategoricalCrossentropy",
    "torch": "torch.nn.CrossEntropyLoss as for class ids, or ma.losses.cross_entropy, not NLLLoss",
    "jax": "optax.softmax_cross_entropy, not softmax_cross_entropy_with_integer_labels",
    "numpy": "keras.losses.CategoricalCrossentropy, torch.nn.CrossEntropyLoss or optax.softmax_cross_entropy",
}
_BINARY = {
    "tensorflow": "keras.losses.BinaryCrossentropy",
    "torch": "torch.nn.BCEWithLogitsLoss",
    "jax": "optax.sigmoid_binary_cross_entropy",
    "numpy": "keras.losses.BinaryCrossentropy, torch.nn.BCEWithLogitsLoss or optax.sigmoid_binary_cross_entropy",
}
_WARNED: list[str] = []  #: the losses that this process has advised


class MixedLabelsWarning(UserWarning):
    """Class ids have become rows of weights, which may need another loss."""


@backends.trace_constant
def say(library: str, is_one_class: bool = True) -> bool:
    """Warn once per process, at the caller's line; child processes, such as data loading workers, do not warn."""
    if _WARNED or multiprocessing.parent_process() is not None:
        return False
    losses = _SOFT if is_one_class else _BINARY
    loss = losses.get(library, losses["numpy"])
    warnings.warn(
        "mixed labels are rows of weights, float32 (n, num_classes), not class ids; "
        f"use a loss that accepts them, {loss}; "
        "warnings.simplefilter('ignore', ma.MixedLabelsWarning) silences this",
        MixedLabelsWarning,
        stacklevel=_outside(),
    )
    _WARNED.append(loss)
    return True


def _outside() -> int:
    """Return the stack level of the code that called this package, relative to `say`."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame, level = frame.f_back, level + 1
    return level


def before_workers(library: str, num_classes: int | None) -> None:
    """Warn in the main process of a pipeline that turns class ids into weights, because its workers do not warn."""
    if num_classes is not None:
        say(library)
