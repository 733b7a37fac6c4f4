"""Keras 3: a dataset for `fit`, a layer for pipelines, a callback that says which epoch it is."""

from __future__ import annotations

from typing import Any

import keras

from . import _xp
from ._xp import Array
from .batch import Batch, Fields, mix_batch
from .epoch import Source
from .recipes import Recipe, identity, recipe as read_recipe


class MixedDataset(keras.utils.PyDataset):
    """Mixed batches for `fit`: reshuffled each epoch, the same for any number of workers.

        self[i] = batch i of the epoch, a pure function of (seed, epoch, i)

    Args:
        x: NumPy images (n, *size, c), or another `PyDataset`, such as an image generator: then each batch it yields is
            mixed within itself, after its own flips and shifts.
        y: NumPy labels: class ids (n,), or (n, classes). Parents come from the whole dataset, and each sample is
            first parent once an epoch.
        batch_size: rows a batch; the last one may be short.
        recipe: what to mix by.
        seed: any int.
        num_classes: needed for class ids.
        fields: as for `ma.mix_batch`.
        workers, use_multiprocessing, max_queue_size: as for `PyDataset`; the batches do not depend on them.

    `epoch` is public: it starts at 0 and goes up by one at the end of each epoch. Set it to go on elsewhere, or pass
    `SetEpoch(dataset)` to `fit` when it starts at another `initial_epoch`. Keras shuffles the order of batches by Python's
    global generator: pass `shuffle=False` to `fit`, the samples are shuffled here.

    Raises:
        TypeError, ValueError: arrays that do not fit.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> x, y = np.zeros((10, 8, 8, 3), np.uint8), np.arange(10)
        >>> ds = ma.keras.MixedDataset(x, y, 4, ma.MixUp(alpha=0.2, parents=3), num_classes=10)
        >>> [labels.shape for images, labels in ds]
        [(4, 10), (4, 10), (2, 10)]
    """

    def __init__(
        self,
        x: Array | keras.utils.PyDataset,
        y: Array | None = None,
        batch_size: int | None = None,
        recipe: Recipe | None = None,
        *,
        seed: int = 0,
        num_classes: int | None = None,
        fields: Fields | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not isinstance(recipe, Recipe):
            raise TypeError(f'recipe: expected a recipe, got {recipe!r}; ma.recipe("cutmix") reads one from text')
        self.epoch = 0
        self._begun = False
        wraps = isinstance(x, keras.utils.PyDataset)
        if wraps and (y is not None or batch_size is not None):
            raise ValueError("a PyDataset has its own labels and batch size; pass only the recipe beside it")
        self._source: Source | _Wrapped = (
            _Wrapped(x, recipe, seed, num_classes, fields)
            if wraps
            else Source(x, y, batch_size, recipe, seed, num_classes, fields)  # type: ignore[arg-type]
        )

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Batch:
        return self._source.batch(self.epoch, index)

    def on_epoch_begin(self) -> None:
        """Keras calls this when an epoch begins."""
        self._begun = True
        self._source.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Keras calls this when an epoch ends, and once before the first begins."""
        self.epoch += self._begun
        self._begun = False
        self._source.on_epoch_end()
