"""Mixing of hidden states: one draw says at which layer, and serves the states and the labels."""

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

_FOLD = -5  #: the layer is drawn under the key with this number folded in: no node of a recipe has it
MAX_LAYERS = 1024


@dataclass(frozen=True, eq=False)
class HiddenMix:
    """Which of several layers is mixed, and how: what `draw` gives.

    Args:
        mix: a blend, of rows of the batch.
        layer: int32 (), the number of the layer; a Python int where it is known on the host.
    """

    mix: Mix
    layer: Any

    @backends.no_autograph
    def __call__(self, layer: int, x: Array) -> Array:
        """The states of a layer: mixed if this is the layer that was drawn, else as they are.

            output = sum_k lam[k] * x[index[k]]

        Args:
            layer: the number of the layer, 0 .. layers - 1; 0 is usually the input.
            x: floats (n, ...). Gradients flow through.

        Returns:
            An array of the shape and dtype of x, blended in float32 (float64 for float64) and rounded once.

        Raises:
            TypeError: if `x` holds no floats. ValueError: if it has other rows than the mix.
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
        """The labels by the same mix, as those of `Mix.labels`."""
        return self.mix.labels(y, num_classes)


@backends.no_autograph
def draw(recipe: Recipe | str, n: Dim, layers: int, *, key: KeyLike = None, like: Array | None = None) -> HiddenMix:
    """Draw at which of several layers a batch is mixed, and how.

        layer ~ U{0, .., layers - 1};  index, lam = those of recipe.draw(n, (), key=key)

    Args:
        recipe: a blend, such as `ma.MixUp(alpha=2.0)`. One that pastes boxes is refused: layers differ in their size.
        n: how many rows the batch has.
        layers: how many layers there are to choose from, 1 or more.
        key: as for `recipe.draw`: (seed, step), (seed, epoch, step), an int, or a JAX PRNG key.
        like: an array whose library and device the mix shall be in.

    Returns:
        A `HiddenMix`: call it with each layer's number and states, and take the labels from it.

    Raises:
        TypeError, ValueError: as for `recipe.draw`.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> x, y, weights = np.ones((4, 3), np.float32), np.arange(4), np.ones((3, 5), np.float32)
        >>> mixed = ma.hidden.draw(ma.MixUp(alpha=2.0), 4, layers=2, key=(0, 0))
        >>> states = mixed(1, mixed(0, x) @ weights)
        >>> states.shape, mixed.labels(y, num_classes=4).sum(axis=1)
        ((4, 5), array([1., 1., 1., 1.], dtype=float32))

    In JAX this is the whole of it: call the drawn value in the forward pass, and jit the step with the key as an
    argument. `ma.torch.ManifoldMixup` and `ma.keras.ManifoldMixup` do it in a network whose code stays as it is.

    Verma et al. 2019, "Manifold Mixup: Better Representations by Interpolating Hidden States": layers are the input and
    the outputs of the first two blocks, alpha is 2. For texts, `ma.MixUp(alpha=0.2, dominant=True)` at the outputs of
    encoder layers is Chen et al. 2020, "MixText", without its augmented data.
    """
    recipe, layers, made = check_recipe("recipe", recipe), check_whole("layers", layers, 1, MAX_LAYERS), keys.make(key)
    mix = recipe.draw(n, (), key=made, like=like)
    xp = backends.common(*made[:2])
    if {*map(type, made[:2])} != {int}:
        xp = backends.of(mix.index)
    bits = keys.random_bits(xp, keys.fold_in(made, _FOLD), xp.cast(xp.arange(1), "uint32"), 1)
    layer = below(xp, layers, bits[0])[0]
    return HiddenMix(mix, int(layer) if xp.name == "numpy" else layer)
