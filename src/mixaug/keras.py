"""Keras 3: a dataset for `fit`, a layer for pipelines, a callback that says which epoch it is, metrics."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import keras

from . import backends
from .backends import Array
from .batch import Batch, Options, check_labels, mix_batch
from .core import keys
from .core.hints import known_options, short
from .epoch import Source
from .fields import Fields, read, resolve, settle, written
from .fields.class_weights import ClassWeights, plain
from .fields.tree import several
from .metrics import heaviest_accuracy, mixed_accuracy
from .recipes import Recipe, check_recipe, identity
from .recipes.recipe import check_whole


class MixedDataset(keras.utils.PyDataset):  # type: ignore[misc]
    """Mixed batches for `fit`: reshuffled each epoch, the same for any number of workers.

        self[i] = batch i of the epoch, a pure function of (seed, epoch, i)

    Args:
        x: NumPy images (n, *size, c), a dict of the inputs, or another `PyDataset`, such as an image generator: then
            each batch it yields is mixed within itself, after its own flips and shifts.
        y: NumPy labels: class ids (n,), or (n, classes); masks or other images, which `fields` has to say; or a dict of
            the targets. Sources come from the whole dataset, and each sample is base sample once an epoch.
        batch_size: rows a batch; the last one may be short.
        recipe: what to mix by.
        seed: any int.
        num_classes: needed for class ids.
        sample_weight: NumPy weights of the samples, (n,) or (n, 1), or a dict of those of each target: mixed by lam, as
            the third part of each batch. A wrapped `PyDataset` has its own in the third part of its batches.
        fields, include_clean, copies, class_weights, size, return_mix: as for `ma.mix_batch`. `fit` takes no mix: leave
            return_mix out there.
        options: workers, use_multiprocessing, max_queue_size as for `PyDataset`; the batches do not depend on them.

    `epoch` is public: it starts at 0 and goes up by one when an epoch ends (`on_epoch_end`). Set it to go on elsewhere,
    or pass `SetEpoch(dataset)` to `fit`, which sets it from `initial_epoch` on. `fit` shuffles the order of batches by
    Python's global generator: pass it `shuffle=False`, the samples are shuffled here. `evaluate` and `predict` count,
    and with `steps_per_epoch` Keras cuts one pass over the dataset into pieces of several epochs: leave it out. On the
    JAX and PyTorch backends Keras looks at a batch of a model that is not built yet, and with workers it loses that
    batch, so that every epoch ends one batch late: build the model first. Labels come out as one row of weights a
    sample, so validation data need them too: `keras.utils.to_categorical(y, classes)`.

    Raises:
        TypeError: if an array is not NumPy's. ValueError: if arrays differ in their number of rows, or a `PyDataset`
            comes with `y`, `batch_size` or `sample_weight`.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> x, y = np.zeros((10, 8, 8, 3), np.uint8), np.arange(10)
        >>> ds = ma.keras.MixedDataset(ma.MixUp(alpha=0.2, sources=3), x, y, 4, num_classes=10)
        >>> [labels.shape for images, labels in ds]
        [(4, 10), (4, 10), (2, 10)]
    """

    @known_options(keras.utils.PyDataset)
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
        fields: Fields | None = None,
        include_clean: bool = False,
        copies: int = 1,
        return_mix: bool = False,
        class_weights: ClassWeights | None = None,
        size: Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        mixing = Options(
            num_classes=num_classes, fields=fields, include_clean=include_clean, copies=copies, return_mix=return_mix
        )
        mixing |= {"class_weights": class_weights, "size": size}
        recipe = check_recipe("recipe", recipe)
        self._passes = _Passes()
        self._source: Source | _Wrapped
        if isinstance(x, keras.utils.PyDataset):
            _check_alone(y=y, batch_size=batch_size, sample_weight=sample_weight)
            self._source = _Wrapped(x, recipe, seed, mixing)
        elif y is None:
            raise TypeError(
                f"y: expected labels beside x ({type(x).__name__}), got none; pass arrays x and y, mix a "
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
        """How many batches an epoch has; None if the wrapped dataset is endless."""
        return self._source.num_batches

    @property
    def epoch(self) -> int:
        """The epoch that the next batch is of."""
        return self._passes.current()

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._passes = _Passes(check_whole("epoch", epoch, 0))

    def __getitem__(self, index: int) -> Batch:
        self._passes.read.add(index)
        return self._source.batch(self.epoch, index)

    def on_epoch_begin(self) -> None:
        """Keras calls this when an epoch begins."""
        self._passes.begin()
        if isinstance(self._source, _Wrapped):
            self._source.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Keras calls this when an epoch ends; call it yourself in a loop of your own."""
        self._passes.end(self.num_batches)
        if isinstance(self._source, _Wrapped):
            self._source.dataset.on_epoch_end()


def _check_alone(**beside: Any) -> None:
    """Refuse what a `PyDataset` has in its batches."""
    given = [f"{name}=" for name, value in beside.items() if value is not None]
    if given:
        raise ValueError(
            f"MixedDataset: expected a PyDataset alone, whose batches have labels and sample weights, got "
            f"{' and '.join(given)} beside it; leave them out, and give its batches what they lack"
        )


def _here() -> tuple[int, int]:
    """The current process and thread."""
    return os.getpid(), threading.get_ident()


@dataclass
class _Passes:
    """Counts epochs by the calls that end them, without those that do not end a pass over the data.

    Before `fit`, Keras ends an epoch that never began, or reads the first batches and then ends the epoch. The end of
    an epoch that never began is provisional. It counts until the next epoch begins, and only in the process and thread
    that ended it, because Keras starts its workers just before it begins the epoch. An epoch that began does not count
    if only some of its batches were read.
    """

    epoch: int = 0
    begun: bool = False
    provisional: tuple[int, int] | None = None  #: the process and thread that ended an epoch that had not begun
    read: set[int] = field(default_factory=set)  #: the batches read since the last end; none if processes read them

    def current(self) -> int:
        """The epoch, as this process and thread see it."""
        return self.epoch - (self.provisional is not None and self.provisional != _here())

    def begin(self) -> None:
        """An epoch begins; workers may have read batches of it already."""
        self.epoch -= self.provisional is not None
        self.begun, self.provisional = True, None

    def end(self, count: int | None) -> None:
        """An epoch of so many batches ends."""
        looked_at = self.begun and count is not None and 0 < len(self.read) < count
        self.provisional = None if self.begun else _here()
        self.epoch += not looked_at
        self.begun, self.read = False, set()


@dataclass(frozen=True)
class _Wrapped:
    """Another dataset's batches, each mixed within itself."""

    dataset: keras.utils.PyDataset
    recipe: Recipe
    seed: int
    options: Options

    @property
    def num_batches(self) -> int | None:
        """How many batches the dataset has; None if it is endless."""
        return self.dataset.num_batches  # type: ignore[no-any-return]

    def batch(self, epoch: int, index: int) -> Batch:
        """The mixed form of the dataset's batch `index`."""
        key = (self.seed, epoch, index)
        return mix_batch(self.recipe, self.dataset[index], key=key, **self.options)


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
                raise TypeError(
                    f"SetEpoch: expected variables or objects with an epoch, got {type(target).__name__}; pass a "
                    "MixedDataset, or the tf.Variable that ma.tf.mixed(epoch=...) is given"
                )
        self._targets = targets

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        """Set the epoch of every target."""
        for target in self._targets:
            if hasattr(target, "assign"):
                target.assign(epoch)
            else:
                target.epoch = epoch


def _take_any_tensors(layer: keras.layers.Layer) -> None:
    """Let a layer be called with tensors of another library than the backend's, as those of a `ds.map` are.

    These are the flags that Keras' own data layers set. They are private, so they are set in this place alone.
    """
    layer._convert_input_args = False
    layer._allow_non_tensor_positional_args = True


def _as_tensor(x: Array) -> Array:
    """NumPy's arrays, and what is none, as the backend's tensors; those of the libraries as they are."""
    xp = backends.find(x)
    if xp is not None and xp.name != "numpy":
        return x
    try:
        return keras.ops.convert_to_tensor(x)
    except Exception:  # each backend raises its own
        raise TypeError(
            f"inputs: expected tensors, or arrays to make them of, got {short(x)}; convert it first"
        ) from None


def replicas() -> tuple[Array, ...]:
    """The number of this replica, if a strategy of TensorFlow has several."""
    if keras.backend.backend() != "tensorflow":
        return ()
    replica: tuple[Array, ...] = import_module(".tf", __package__).replica()
    return replica


def __getattr__(name: str) -> Any:
    if name == "ManifoldMixup":
        return import_module(".keras_hidden", __package__).ManifoldMixup
    raise AttributeError(f"mixaug.keras has no {name!r}; it has MixedDataset, MixLayer, ManifoldMixup and SetEpoch")


def _settled(batch: Batch, fields: Fields | None) -> Fields:
    """What each field is, in the layout of Keras' configuration unless the field says another."""
    like = "nhwc" if keras.config.image_data_format() == "channels_last" else "nchw"
    kinds = resolve(batch, fields, None)
    kinds, _ = settle(kinds, several(batch, kinds), like)
    return kinds.get("", kinds)


@keras.saving.register_keras_serializable(package="mixaug")
class MixLayer(keras.layers.Layer):  # type: ignore[misc]
    """Mix batches in a pipeline or a `ds.map`: {"images": x, "labels": y} in, the same mixed out.

        output = mix_batch(recipe, inputs, key=(seed, step))

    Args:
        recipe: what to mix by, or its text.
        num_classes: needed for class ids.
        seed: any int.
        fields: as for `ma.mix_batch`.
        include_clean, copies: as there; where `training` is False neither acts.
        return_mix: as there.
        class_weights: as there, in training or not.
        options: as for any Keras layer.

    The step is the input "step" (a scalar integer) where there is one, else the visible weight `step`, which counts the
    calls in training. Replicas of a `tf.distribute` strategy draw different mixes. An input "epoch" beside it makes the
    key (seed, epoch, step), for recipes that change over time. Under parallel map calls the count is taken in any
    order: `ma.tf.mixed` is the reproducible way there. In a `ds.map` the layer works whatever the backend is; under
    another one than TensorFlow it counts on its own there, from 0. With `training=False` samples pass unmixed, and
    labels become one row of weights a sample all the same. Channels are where `keras.config.image_data_format()` says.

    Raises:
        TypeError, ValueError: what is no recipe.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> layer = ma.keras.MixLayer(ma.CutMix(alpha=1.0), num_classes=3)
        >>> out = layer({"images": np.zeros((4, 8, 8, 3), "uint8"), "labels": np.array([0, 1, 2, 0])})
        >>> out["labels"].shape, int(layer.step)
        (TensorShape([4, 3]), 1)
    """

    @known_options(keras.layers.Layer.__init__)
    def __init__(
        self,
        recipe: Recipe | str,
        num_classes: int | None = None,
        seed: int = 0,
        *,
        fields: Fields | None = None,
        include_clean: bool = False,
        copies: int = 1,
        return_mix: bool = False,
        class_weights: ClassWeights | None = None,
        **options: Any,
    ) -> None:
        super().__init__(autocast=False, **options)  # images keep their dtype, whatever the policy
        _take_any_tensors(self)
        self.recipe = check_recipe("recipe", recipe)
        self.num_classes, self.seed, self.fields = num_classes, seed, read(fields)
        self.include_clean, self.copies, self.return_mix = include_clean, copies, return_mix
        self.class_weights = plain(class_weights)
        self.step = self.add_weight(name="step", shape=(), dtype="int64", initializer="zeros", trainable=False)
        self._in_map: Callable[[], Array] | None = None

    def call(self, inputs: Batch, training: bool = True) -> Batch:
        """The mixed batch; `inputs` may hold a "step" and an "epoch" beside its fields."""
        batch = keras.tree.map_structure(_as_tensor, inputs)
        step, epoch = (batch.pop(name, None) if isinstance(batch, dict) else None for name in ("step", "epoch"))
        check_labels(batch, self.recipe if training else identity(), self.fields)
        fields = _settled(batch, self.fields)
        options = Options(num_classes=self.num_classes, fields=fields, return_mix=self.return_mix)
        options["class_weights"] = self.class_weights
        if not training:
            return mix_batch(identity(), batch, key=(self.seed, 0), **options)
        step = self._counted(batch) if step is None else step
        key = keys.make((self.seed, step) if epoch is None else (self.seed, epoch, step))
        for replica in replicas():
            key = keys.fold_in(key, replica)
        options |= {"include_clean": self.include_clean, "copies": self.copies}
        return mix_batch(self.recipe, batch, key=key, **options)

    def _counted(self, batch: Batch) -> Array:
        """The step of this call, by a count that the batch's library can keep."""
        if backends.common(*keras.tree.flatten(batch)).name == keras.backend.backend():
            step = self.step + 0  # a tensor of the value before this call
            self.step.assign_add(1)
            return step
        if self._in_map is None:  # TensorFlow's tensors under another backend: a `ds.map`
            self._in_map = import_module(".tf", __package__).counting()
        return self._in_map()

    def get_config(self) -> dict[str, Any]:
        """What makes the layer again; the recipe as text."""
        ours = {"recipe": repr(self.recipe), "num_classes": self.num_classes, "seed": self.seed}
        ours |= {"fields": written(self.fields), "include_clean": self.include_clean, "copies": self.copies}
        ours |= {"return_mix": self.return_mix}
        ours |= {"class_weights": self.class_weights}
        return {**super().get_config(), **ours}


def _measured(y_true: Array, y_pred: Array, metric: Callable[[Array, Array], Array]) -> Array:
    return metric(keras.ops.convert_to_tensor(y_pred), keras.ops.convert_to_tensor(y_true))


class _Accuracy(keras.metrics.MeanMetricWrapper):  # type: ignore[misc]
    """The mean over the rows of a metric of logits and labels."""

    def __init__(self, metric: Callable[[Array, Array], Array], name: str, dtype: Any) -> None:
        super().__init__(_measured, name=name, dtype=dtype, metric=metric)
        self._direction = "up"  # by this name Keras' callbacks look for what mode="auto" means

    def get_config(self) -> dict[str, Any]:
        """What makes the metric again."""
        return {"name": self.name, "dtype": self.dtype}


@keras.saving.register_keras_serializable(package="mixaug")
class MixedAccuracy(_Accuracy):
    """For `compile`: how much of the mixed label the predicted class is, on the mean.

        result = mean(ma.metrics.mixed_accuracy(y_pred, y_true))

    Args:
        name: what the logs call it.
        dtype: as for any Keras metric.

    y_true holds mixed labels (n, classes), or class ids (n,) or (n, 1); y_pred logits or probabilities (n, classes).
    The loss that goes with it is `keras.losses.CategoricalCrossentropy(from_logits=True)`.

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
    """For `compile`: how often the predicted class is the heaviest of the mixed label.

        result = mean(ma.metrics.heaviest_accuracy(y_pred, y_true))

    Args:
        name: what the logs call it.
        dtype: as for any Keras metric.

    It takes what `MixedAccuracy` takes. Where one class is the heaviest it is Keras' own accuracy.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> metric = ma.keras.HeaviestAccuracy()
        >>> metric.update_state(np.float32([[0.75, 0.25], [1, 0]]), np.float32([[-1, 2], [3, 0]]))
        >>> float(metric.result())
        0.5
    """

    def __init__(self, name: str = "heaviest_accuracy", dtype: Any = None) -> None:
        super().__init__(heaviest_accuracy, name, dtype)
