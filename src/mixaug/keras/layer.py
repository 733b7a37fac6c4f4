"""`MixLayer`: a layer that mixes batches."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import keras

from .. import backends
from ..backends import Array
from ..batch import Batch, Options, check_labels, mix_batch
from ..core import keys
from ..core.hints import known_options, short
from ..fields import Fields, read, resolve, settle, written
from ..fields.class_weights import ClassWeights, plain
from ..fields.tree import several
from ..recipes import Recipe, check_recipe, identity


@keras.saving.register_keras_serializable(package="mixaug")
class MixLayer(keras.layers.Layer):  # type: ignore[misc]
    """Mix batches in a preprocessing pipeline or a `ds.map`: {"images": x, "labels": y} in, the same mixed out.

        output = mix_batch(recipe, inputs, key=(seed, step))

    Args:
        recipe: a recipe or its text.
        num_classes: required for class ids.
        seed: any int.
        fields: as for `ma.mix_batch`.
        include_clean, copies: as for `ma.mix_batch`; ignored with `training=False`.
        return_mix: as for `ma.mix_batch`.
        class_weights: as for `ma.mix_batch`; applied with `training=False` too.
        options: as for any Keras layer.

    The step is the input "step" (a scalar integer) if there is one; otherwise it is the weight `step`, which counts the
    calls in training. With an input "epoch" the key is (seed, epoch, step), for recipes with a schedule. Replicas of a
    `tf.distribute` strategy draw different mixes. Parallel map calls are counted in arbitrary order; use `ma.tf.mixed`
    if the pipeline must be reproducible. In a `ds.map` the layer works on any backend; on a backend other than
    TensorFlow it keeps a separate count there, from 0. With `training=False` samples are not mixed, but labels are
    still returned as one weight per class. `keras.config.image_data_format()` decides where the channel axis is.

    Raises:
        TypeError: if `recipe` is not a recipe.
        ValueError: if the text of `recipe` is not valid.

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
        super().__init__(autocast=False, **options)  # images keep their dtype under any policy
        _accept_any_tensors(self)
        self.recipe = check_recipe("recipe", recipe)
        self.num_classes, self.seed, self.fields = num_classes, seed, read(fields)
        self.include_clean, self.copies, self.return_mix = include_clean, copies, return_mix
        self.class_weights = plain(class_weights)
        self.step = self.add_weight(name="step", shape=(), dtype="int64", initializer="zeros", trainable=False)
        self._map_counter: Callable[[], Array] | None = None

    def call(self, inputs: Batch, training: bool = True) -> Batch:
        """Mix a batch; a dict may contain a "step" and an "epoch" besides its fields."""
        batch = keras.tree.map_structure(_as_tensor, inputs)
        step, epoch = (batch.pop(name, None) if isinstance(batch, dict) else None for name in ("step", "epoch"))
        recipe = self.recipe if training else identity()
        check_labels(batch, recipe, self.fields)
        options = Options(
            num_classes=self.num_classes,
            fields=_with_layout(batch, self.fields),
            return_mix=self.return_mix,
            class_weights=self.class_weights,
        )
        if not training:
            return mix_batch(recipe, batch, key=(self.seed, 0), **options)
        step = self._count_step(batch) if step is None else step
        key = keys.make((self.seed, step) if epoch is None else (self.seed, epoch, step))
        for number in replica():
            key = keys.fold_in(key, number)
        options |= {"include_clean": self.include_clean, "copies": self.copies}
        return mix_batch(recipe, batch, key=key, **options)

    def _count_step(self, batch: Batch) -> Array:
        """Count a call and return its number, as an array of the batch's library."""
        if backends.common(*keras.tree.flatten(batch)).name == keras.backend.backend():
            step = self.step + 0  # a tensor of the value before this call
            self.step.assign_add(1)
            return step
        if self._map_counter is None:  # TensorFlow's tensors on another backend, in a `ds.map`
            self._map_counter = _tf_passes().counter()
        return self._map_counter()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the layer, with the recipe as text."""
        return {
            **super().get_config(),
            "recipe": repr(self.recipe),
            "num_classes": self.num_classes,
            "seed": self.seed,
            "fields": written(self.fields),
            "include_clean": self.include_clean,
            "copies": self.copies,
            "return_mix": self.return_mix,
            "class_weights": self.class_weights,
        }


def _accept_any_tensors(layer: keras.layers.Layer) -> None:
    """Let a layer be called with tensors of another library than the backend's, as in a `ds.map`.

    Keras' own preprocessing layers set these private flags.
    """
    layer._convert_input_args = False
    layer._allow_non_tensor_positional_args = True


def _as_tensor(x: Array) -> Array:
    """Convert NumPy arrays and other values to tensors of the backend; keep tensors of any library."""
    xp = backends.find(x)
    if xp is not None and xp.name != "numpy":
        return x
    try:
        return keras.ops.convert_to_tensor(x)
    except Exception:  # the type of the error depends on the backend
        raise TypeError(f"inputs: expected tensors or arrays, got {short(x)}; convert it first") from None


def _with_layout(batch: Batch, fields: Fields | None) -> Fields:
    """Resolve the fields of a batch, in the layout of Keras' configuration unless a field sets another."""
    layout = "nhwc" if keras.config.image_data_format() == "channels_last" else "nchw"
    resolved = resolve(batch, fields, None)
    resolved, _ = settle(resolved, several(batch, resolved), layout)
    return resolved.get("", resolved)


def replica() -> tuple[Array, ...]:
    """The number of this replica under a TensorFlow strategy of several, else ()."""
    if keras.backend.backend() != "tensorflow":
        return ()
    numbers: tuple[Array, ...] = _tf_passes().replica()
    return numbers


def _tf_passes() -> Any:
    """Import TensorFlow's adapter, which only some backends need."""
    return import_module("..tf.passes", __package__)
