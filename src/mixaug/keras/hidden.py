"""Keras: a model that mixes the hidden states of another model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from .. import hidden
from ..backends import Array
from ..core import keys
from ..core.hints import known_options
from ..recipes import Recipe, check_recipe
from .layer import replica


class ManifoldMixup(keras.Model):  # type: ignore[misc]
    """A wrapper of a model that, in training, mixes the states of one of its layers, and the labels in the same way.

        layer, index, lam drawn with the key (seed, step);  loss(mixed labels, model(x) mixed at the layer)

    Args:
        recipe: a blend, such as `ma.MixUp(alpha=2.0)`.
        model: a built model with layers. The wrapper shares its weights: train the wrapper, then use the model.
        layers: names of layers, as in `model.get_layer`; "" is the model's input, which must be one array.
        num_classes: the number of classes, required for class ids.
        seed: any int.
        options: the options of any Keras model.

    Compile and fit it like any model, with a loss and metrics for labels (n, classes); class ids are converted, also in
    validation data. `step` is a weight of the wrapper. Evaluation and prediction are those of the model. It works with
    every backend of Keras.

    Raises:
        TypeError: if `recipe` is not a recipe. ValueError: if `layers` names an unknown layer.

    Example:
        >>> import keras, mixaug as ma, numpy as np
        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, name="first"), keras.layers.Dense(3)])
        >>> mixing = ma.keras.ManifoldMixup(ma.MixUp(alpha=2.0), model, ["", "first"], num_classes=3)
        >>> mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        >>> history = mixing.fit(np.zeros((4, 8)), np.array([0, 1, 2, 0]), verbose=0)
        >>> int(mixing.step)
        1

    Verma et al. 2019, "Manifold Mixup: Better Representations by Interpolating Hidden States".
    """

    @known_options()
    def __init__(
        self,
        recipe: Recipe | str,
        model: keras.Model,
        layers: Sequence[str],
        num_classes: int | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.recipe, self.num_classes, self.seed = check_recipe("recipe", recipe), num_classes, seed
        self.model, self.mixed_layers = model, tuple(layers)
        names = [layer.name for layer in model.layers]
        for name in self.mixed_layers:
            if name and name not in names:
                raise ValueError(f"layers: expected names of layers, got {name!r}; pass some of {', '.join(names)}")
        self.step = self.add_weight(name="step", shape=(), dtype="int64", initializer="zeros", trainable=False)
        self._drawn: hidden.HiddenMix | None = None
        self._mixes = False  # whether the model is being called by this wrapper in training
        for number, name in enumerate(self.mixed_layers):
            if name:
                layer = model.get_layer(name)
                layer.call = self._mixing(layer.call, number)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the outputs of the model, with one of its layers mixed in training."""
        self._drawn = None
        if not training:
            return self.model(inputs, training=False)
        first = keras.tree.flatten(inputs)[0]
        key = keys.make((self.seed, self.step + 0))
        for number in replica():
            key = keys.fold_in(key, number)
        self._drawn = hidden.draw(self.recipe, keras.ops.shape(first)[0], len(self.mixed_layers), key=key, like=first)
        self.step.assign_add(1)
        if "" in self.mixed_layers:
            inputs = self._drawn(self.mixed_layers.index(""), inputs)
        self._mixes = True  # the model may also be called on its own
        try:
            return self.model(inputs, training=True)
        finally:
            self._mixes = False

    def compute_loss(self, x: Any = None, y: Any = None, *args: Any, **options: Any) -> Any:
        """Return the loss with mixed labels."""
        return super().compute_loss(x, self._labels(y), *args, **options)

    def compute_metrics(self, x: Any, y: Any, *args: Any, **options: Any) -> Any:
        """Return the metrics with mixed labels."""
        return super().compute_metrics(x, self._labels(y), *args, **options)

    def _labels(self, y: Any) -> Any:
        if self._drawn is not None:
            return self._drawn.labels(keras.ops.convert_to_tensor(y), self.num_classes)
        is_ids = self.num_classes is not None and y is not None and (len(y.shape) == 1 or y.shape[-1] == 1)
        return keras.ops.one_hot(keras.ops.reshape(y, (-1,)), self.num_classes) if is_ids else y

    def _mixing(self, call: Callable[..., Any], number: int) -> Callable[..., Any]:
        """Return a layer's `call` that mixes the output if this layer was drawn."""

        def mixed(*args: Any, **options: Any) -> Array:
            states = call(*args, **options)
            return self._drawn(number, states) if self._mixes and self._drawn is not None else states

        return mixed
