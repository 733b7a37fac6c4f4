"""`MixedDataset`: mixed batches for `fit`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import keras

from ..batch import Batch, DatasetOptions, mix_batch
from ..core.hints import known_options, split_options
from ..epoch import Source
from ..recipes import Recipe, check_recipe
from ..recipes.recipe import check_whole
from .epochs import EpochCounter


class MixedDataset(keras.utils.PyDataset):  # type: ignore[misc]
    """Mixed batches for `fit`: reshuffled each epoch, identical for any number of workers.

        self[i] = batch i of the epoch, a pure function of (seed, epoch, i)

    Args:
        recipe: a recipe or its text.
        x: NumPy images (n, *size, c), a dict of inputs, or another `PyDataset`, such as an image generator, each of
            whose batches is mixed within itself, after the generator's own augmentation.
        y: NumPy labels, class ids (n,) or (n, classes); masks or target images, declared in `fields`; or a dict of
            targets. Partners come from the whole dataset, and each sample is the base sample once an epoch.
        batch_size: rows per batch; the last batch may be short.
        seed: any int.
        num_classes: required for class ids.
        sample_weight: NumPy sample weights (n,) or (n, 1), or a dict with those of each target. They are averaged by
            lam and returned as the third part of each batch. A wrapped `PyDataset` provides them in its batches.
        options: fields, include_clean, copies, class_weights, size, return_mix, as for `ma.mix_batch` (`fit` does not
            accept batches with a mix), and workers, use_multiprocessing, max_queue_size, as for `PyDataset`; the
            batches do not depend on the latter.

    Attributes:
        epoch: starts at 0 and increases when an epoch ends (`on_epoch_end`). To resume, set it, or pass
            `SetEpoch(dataset)` to `fit`, which sets it from `initial_epoch` on.

    Notes on Keras: `fit` shuffles the order of the batches with Python's global generator; pass it `shuffle=False`,
    because this dataset shuffles the samples. `evaluate` and `predict` count as epochs. With `steps_per_epoch`, Keras
    splits one pass over the dataset into several epochs; leave it out. On the JAX and PyTorch backends Keras reads a
    batch to build an unbuilt model and, with workers, loses that batch, so that every epoch ends one batch late; build
    the model first. Labels are returned as one weight per class, so encode validation labels too:
    `keras.utils.to_categorical(y, classes)`.

    Raises:
        TypeError: if `x`, `y` or `sample_weight` is not made of NumPy arrays.
        ValueError: if arrays differ in their number of rows, or `y`, `batch_size` or `sample_weight` is passed with a
            `PyDataset`.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> x, y = np.zeros((10, 8, 8, 3), np.uint8), np.arange(10)
        >>> ds = ma.keras.MixedDataset(ma.MixUp(alpha=0.2, sources=3), x, y, 4, num_classes=10)
        >>> [labels.shape for images, labels in ds]
        [(4, 10), (4, 10), (2, 10)]
    """

    @known_options(DatasetOptions, keras.utils.PyDataset)
    def __init__(
        self,
        recipe: Recipe | str,
        x: Batch | keras.utils.PyDataset,
        y: Batch | None = None,
        batch_size: int | None = None,
        seed: int = 0,
        num_classes: int | None = None,
        *,
        sample_weight: Batch | None = None,
        **options: Any,
    ) -> None:
        mix_options, dataset_options = split_options(options, DatasetOptions)
        mixing = cast(DatasetOptions, {"num_classes": num_classes, **mix_options})
        super().__init__(**dataset_options)
        recipe = check_recipe("recipe", recipe)
        self._epochs = EpochCounter()
        self._source: Source | _Wrapped
        if isinstance(x, keras.utils.PyDataset):
            _check_unset(y=y, batch_size=batch_size, sample_weight=sample_weight)
            self._source = _Wrapped(x, recipe, seed, mixing)
        elif y is None:
            raise TypeError(
                f"y: expected labels for x ({type(x).__name__}), got none; pass arrays x and y, mix a "
                "tf.data.Dataset with ds.apply(ma.tf.mixed(recipe)), or other batches with ma.mixed"
            )
        else:
            self._source = Source(x, y, batch_size, recipe, seed, mixing, sample_weight)  # type: ignore[arg-type]

    def __len__(self) -> int:
        count = self.num_batches
        if count is None:
            raise TypeError("MixedDataset: expected a dataset of known length, got an endless one; iterate over it")
        return count

    @property
    def num_batches(self) -> int | None:
        """The number of batches per epoch, None if the wrapped dataset is endless."""
        return self._source.num_batches

    @property
    def epoch(self) -> int:
        """The epoch of the next batch."""
        return self._epochs.current()

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epochs = EpochCounter(check_whole("epoch", epoch, 0))

    def __getitem__(self, index: int) -> Batch:
        self._epochs.read.add(index)
        return self._source.batch(self.epoch, index)

    def on_epoch_begin(self) -> None:
        """Begin an epoch; called by Keras."""
        self._epochs.begin()
        if isinstance(self._source, _Wrapped):
            self._source.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """End an epoch; called by Keras. Call it yourself in a custom training loop."""
        self._epochs.end(self.num_batches)
        if isinstance(self._source, _Wrapped):
            self._source.dataset.on_epoch_end()


def _check_unset(**arguments: Any) -> None:
    """Raise a ValueError if an argument is set that a `PyDataset` provides in its batches."""
    names = [f"{name}=" for name, value in arguments.items() if value is not None]
    if names:
        raise ValueError(
            "MixedDataset: expected a PyDataset alone, because its batches contain the labels and sample weights, got "
            f"{' and '.join(names)} too; leave them out, and add to its batches what is missing"
        )


@dataclass(frozen=True)
class _Wrapped:
    """The batches of another dataset, each mixed within itself."""

    dataset: keras.utils.PyDataset
    recipe: Recipe
    seed: int
    options: DatasetOptions

    @property
    def num_batches(self) -> int | None:
        """The number of batches, None if the dataset is endless."""
        return self.dataset.num_batches  # type: ignore[no-any-return]

    def batch(self, epoch: int, index: int) -> Batch:
        """Return batch `index` of the dataset, mixed."""
        key = (self.seed, epoch, index)
        return mix_batch(self.recipe, self.dataset[index], key=key, **self.options)
