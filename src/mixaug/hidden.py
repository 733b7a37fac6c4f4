"""Mix hidden states: one draw picks the layer and mixes its states and the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import backends
from .backends import Array, Dim
from .core import keys
from .core.keys import KeyLike, below
from .mix import Mix
from .recipes import Recipe, check_recipe
from .recipes.recipe import check_whole

_FOLD = -5  #: folded into the key that the layer is drawn with; no part of a recipe uses this number
MAX_LAYERS = 1024


@dataclass(frozen=True, eq=False)
class HiddenMix:
    """The layer to mix and the mix to apply, as returned by `draw`.

    Args:
        mix: the mix, a blend of rows of the batch.
        layer: int32 (), the number of the layer; a Python int if it is known on the host.
    """

    mix: Mix
    layer: Any

    @backends.no_autograph
    def __call__(self, layer: int, x: Array) -> Array:
        """Return the states of a layer: mixed if the layer is the one drawn, otherwise unchanged.

            output = sum_k lam[k] * x[index[k]]

        Args:
            layer: the number of the layer, 0 .. layers - 1; 0 is usually the input.
            x: floats (n, ...). Gradients flow through.

        Returns:
            An array with the shape and dtype of x, computed in float32 (float64 for float64) and rounded once.

        Raises:
            TypeError: if `x` is not of a float dtype. ValueError: if its number of rows is not that of the mix.
        """
        xp = backends.of(x, "hidden states")
        dtype, rows, n = xp.dtype(x), x.shape[0], self.mix.index.shape[1]
        if "float" not in dtype:
            raise TypeError(f"hidden states: expected floats, got {dtype}; mix at a layer whose states are floats")
        if isinstance(rows, int) and isinstance(n, int) and rows != n:
            raise ValueError(
                f"hidden states: expected {n} rows, as the mix has, got {rows}; draw for each batch that the network "
                "is called with, and mix at layers that keep the rows"
            )
        if isinstance(self.layer, int) and self.layer != layer:
            return x
        index, lam = backends.to_each(xp, [self.mix.index, self.mix.lam])
        if not isinstance(self.layer, int):
            own = xp.cast(xp.arange(lam.shape[0])[:, None] == 0, "float32") + lam * 0.0
            lam = xp.where(backends.to(xp, self.layer) == layer, lam, own)
        wide = x if dtype == "float64" else xp.cast(x, "float32")
        lam, pad = xp.cast(lam, xp.dtype(wide)), (slice(None), *[None] * (len(x.shape) - 1))
        parts = [lam[k][pad] * (wide if k == 0 else xp.take(wide, index[k])) for k in range(lam.shape[0])]
        return xp.cast(sum(parts[1:], parts[0]), dtype)

    @backends.no_autograph
    def labels(self, y: Array, num_classes: int | None = None) -> Array:
        """Return the labels mixed in the same way, as `Mix.labels` does."""
        return self.mix.labels(y, num_classes)


@backends.no_autograph
def draw(recipe: Recipe | str, n: Dim, layers: int, *, key: KeyLike = None, like: Array | None = None) -> HiddenMix:
    """Draw the layer at which to mix a batch, and the mix.

        layer ~ U{0, .., layers - 1};  index, lam = those of recipe.draw(n, (), key=key)

    Args:
        recipe: a blend, such as `ma.MixUp(alpha=2.0)`. Recipes that paste raise an error, as layers differ in size.
        n: the number of rows of the batch.
        layers: the number of layers to choose from, at least 1.
        key: as in `recipe.draw`: (seed, step), (seed, epoch, step), an int, or a JAX PRNG key.
        like: an array whose library and device the mix uses.

    Returns:
        A `HiddenMix`: call it with the number and states of each layer, and mix the labels with its `labels`.

    Raises:
        TypeError, ValueError: as `recipe.draw` does.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> x, y, weights = np.ones((4, 3), np.float32), np.arange(4), np.ones((3, 5), np.float32)
        >>> mixed = ma.hidden.draw(ma.MixUp(alpha=2.0), 4, layers=2, key=(0, 0))
        >>> states = mixed(1, mixed(0, x) @ weights)
        >>> states.shape, mixed.labels(y, num_classes=4).sum(axis=1)
        ((4, 5), array([1., 1., 1., 1.], dtype=float32))

    In JAX, call the result in the forward pass, and jit the training step with the key as an argument. With
    `ma.torch.ManifoldMixup` and `ma.keras.ManifoldMixup` the code of the network does not change.

    Verma et al. 2019, "Manifold Mixup: Better Representations by Interpolating Hidden States". In the paper, the layers
    are the input and the outputs of the first two blocks, with alpha = 2. For text, `ma.MixUp(alpha=0.2,
    dominant=True)` at the outputs of encoder layers is Chen et al. 2020, "MixText", without its augmented data.
    """
    recipe, layers, made = check_recipe("recipe", recipe), check_whole("layers", layers, 1, MAX_LAYERS), keys.make(key)
    mix = recipe.draw(n, (), key=made, like=like)
    xp = backends.common(*made[:2])
    if {*map(type, made[:2])} != {int}:
        xp = backends.of(mix.index)
    bits = keys.random_bits(xp, keys.fold_in(made, _FOLD), xp.cast(xp.arange(1), "uint32"), 1)
    layer = below(xp, layers, bits[0])[0]
    return HiddenMix(mix, int(layer) if xp.name == "numpy" else layer)
