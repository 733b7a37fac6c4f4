"""Keras 3: a dataset for `fit`, a layer for pipelines, a callback that says which epoch it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from ._xp import Array
from .batch import Batch, Fields, mix_batch
from .epoch import Source
from .recipes import Recipe, check_recipe, identity
from .recipes import recipe as read_recipe


class MixedDataset(keras.utils.PyDataset):  # type: ignore[misc]
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
        options: workers, use_multiprocessing, max_queue_size as for `PyDataset`; the batches do not depend on them.

    `epoch` is public: it starts at 0 and goes up by one when an epoch ends. Set it to go on elsewhere, or pass
    `SetEpoch(dataset)` to `fit`, which sets it from `initial_epoch` on. `fit` shuffles the order of batches by Python's
    global generator: pass it `shuffle=False`, the samples are shuffled here. `evaluate` and `predict` count as epochs,
    and with `steps_per_epoch` Keras cuts one pass over the dataset into pieces of several epochs: leave it out. Labels
    come out as one row of weights a sample, so validation data need them too: `keras.utils.to_categorical(y, classes)`.

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
        seed: int = 0,
        num_classes: int | None = None,
        *,
        fields: Fields | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        recipe = check_recipe("recipe", recipe)
        self.epoch = 0
        self._begun = False
        self._source: Source | _Wrapped
        if isinstance(x, keras.utils.PyDataset):
            if y is not None or batch_size is not None:
                raise ValueError("x: a PyDataset brings its own labels and batches; pass only the recipe beside it")
            self._source = _Wrapped(x, recipe, seed, num_classes, fields)
        else:
            self._source = Source(x, y, batch_size, recipe, seed, num_classes, fields)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Batch:
        return self._source.batch(self.epoch, index)

    def on_epoch_begin(self) -> None:
        """Keras calls this when an epoch begins."""
        self._begun = True
        if isinstance(self._source, _Wrapped):
            self._source.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Keras calls this when an epoch ends, and once before the first begins: that one does not count."""
        self.epoch += int(self._begun)
        self._begun = False
        if isinstance(self._source, _Wrapped):
            self._source.dataset.on_epoch_end()


@dataclass(frozen=True)
class _Wrapped:
    """Another dataset's batches, each mixed within itself."""

    dataset: keras.utils.PyDataset
    recipe: Recipe
    seed: int
    num_classes: int | None
    fields: Fields | None

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, epoch: int, index: int) -> Batch:
        """The mixed form of the dataset's batch `index`."""
        key = (self.seed, epoch, index)
        return mix_batch(self.recipe, self.dataset[index], key=key, num_classes=self.num_classes, fields=self.fields)


class SetEpoch(keras.callbacks.Callback):  # type: ignore[misc]
    """A callback that tells datasets which epoch `fit` is in.

    Args:
        targets: each a variable with `assign`, as handed to `ma.tf.mixed(epoch=...)`, or an object with an `epoch`,
            such as a `MixedDataset`.

    Raises:
        TypeError: a target that has neither.

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
                raise TypeError(f"SetEpoch: expected variables or objects with an epoch, got {type(target).__name__}")
        self._targets = targets

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        """Set the epoch of every target."""
        for target in self._targets:
            if hasattr(target, "assign"):
                target.assign(epoch)
            else:
                target.epoch = epoch


@keras.saving.register_keras_serializable(package="mixaug")
class MixLayer(keras.layers.Layer):  # type: ignore[misc]
    """Mix batches in a pipeline or a `ds.map`: {"images": x, "labels": y} in, the same mixed out.

        output = mix_batch(recipe, inputs, key=(seed, step))

    Args:
        recipe: what to mix by, or its text.
        num_classes: needed for class ids.
        seed: any int.
        options: as for any Keras layer.

    The step is the input "step" (a scalar integer) where there is one, else the visible weight `step`, which counts the
    calls. Under parallel map calls that count is taken in any order: `ma.tf.mixed` is the reproducible way there. With
    `training=False` samples pass unmixed, and labels become one row of weights a sample all the same.

    Raises:
        RuntimeError: another Keras backend than TensorFlow.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> layer = ma.keras.MixLayer(ma.CutMix(alpha=1.0), num_classes=3)
        >>> out = layer({"images": np.zeros((4, 8, 8, 3), "uint8"), "labels": np.array([0, 1, 2, 0])})
        >>> out["labels"].shape, int(layer.step)
        (TensorShape([4, 3]), 1)
    """

    def __init__(self, recipe: Recipe | str, num_classes: int | None = None, seed: int = 0, **options: Any) -> None:
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                f"MixLayer: expected the TensorFlow backend, got {keras.backend.backend()}; "
                "use ma.mixed or ma.keras.MixedDataset, or set KERAS_BACKEND=tensorflow"
            )
        super().__init__(autocast=False, **options)  # images keep their dtype, whatever the policy
        self.recipe = read_recipe(recipe) if isinstance(recipe, str) else recipe
        check_recipe("recipe", self.recipe)
        self.num_classes = num_classes
        self.seed = seed
        self.step = self.add_weight(name="step", shape=(), dtype="int64", initializer="zeros", trainable=False)

    def call(self, inputs: Batch, training: bool = True) -> Batch:
        """The mixed batch; `inputs` may hold a "step" beside its fields."""
        batch = dict(inputs) if isinstance(inputs, dict) else inputs
        step = batch.pop("step", None) if isinstance(batch, dict) else None
        if step is None:
            step = self.step + 0  # a tensor of the value before this call
            self.step.assign_add(1)
        recipe = self.recipe if training else identity()
        return mix_batch(recipe, batch, key=(self.seed, step), num_classes=self.num_classes)

    def get_config(self) -> dict[str, Any]:
        """What makes the layer again; the recipe as text."""
        ours = {"recipe": repr(self.recipe), "num_classes": self.num_classes, "seed": self.seed}
        return {**super().get_config(), **ours}
