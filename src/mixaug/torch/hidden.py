"""PyTorch: mix the hidden states of a network without changing its code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .. import backends, hidden
from ..core.hints import known_options
from ..recipes import Recipe, check_recipe


class ManifoldMixup:
    """Mix the states of one layer of a network, drawn at each step, and the labels in the same way.

        labels = mixup(labels)             draws layer, index, lam
        loss = criterion(model(images), labels)

    Args:
        recipe: a blend, such as `ma.MixUp(alpha=2.0)`.
        model: any module. Its code, parameters and `state_dict` do not change.
        layers: names of modules, as in `model.named_modules()`; "" is the model's input. Each module must be called
            once per forward pass, and return a tensor with one row per sample, or a tuple or list that begins with one.
        num_classes: the number of classes, required for class ids.
        seed: any int, the same on every rank.

    The layers get hooks; `remove()` removes them. Each call draws with the key (seed, step), or (seed, epoch,
    step) if `epoch` is given, followed by the rank if there are several. `step` counts the calls and is saved in
    `state_dict`. A draw is used until the next call, so gradient checkpointing recomputes the same mix. Nothing is
    mixed in eval mode or before the first call. `torch.compile` compiles the network once per layer.

    Raises:
        TypeError: if `recipe` is not a recipe.
        ValueError: if `layers` is empty or names an unknown module; when called, if the recipe is not a blend; in the
            forward pass, if the output of a layer does not have as many rows as the labels.

    Example:
        >>> import mixaug as ma, torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
        >>> mixup = ma.torch.ManifoldMixup(ma.MixUp(alpha=2.0), model, ["", "0", "1"], num_classes=3)
        >>> images, labels = torch.rand(4, 8), torch.tensor([0, 1, 2, 0])
        >>> loss = torch.nn.functional.cross_entropy(model(images), mixup(labels))
        >>> mixup.step
        1

    Verma et al. 2019, "Manifold Mixup: Better Representations by Interpolating Hidden States".
    """

    @known_options()
    def __init__(
        self,
        recipe: Recipe | str,
        model: torch.nn.Module,
        layers: Sequence[str],
        *,
        num_classes: int | None = None,
        seed: int = 0,
    ) -> None:
        self.recipe, self.num_classes, self.seed = check_recipe("recipe", recipe), num_classes, seed
        self.layers, self.step = _checked(model, layers), 0
        self.drawn: hidden.HiddenMix | None = None
        modules = dict(model.named_modules())
        self._hooks = [self._hooked(modules[name], name, number) for number, name in enumerate(self.layers)]

    def __call__(self, labels: Tensor, *, epoch: int | None = None) -> Tensor:
        """Draw the mix of this step and return the mixed labels, float32 (n, num_classes)."""
        at = (self.step,) if epoch is None else (epoch, self.step)
        key = (self.seed, *at, *backends.ranks())
        self.drawn = hidden.draw(self.recipe, len(labels), len(self.layers), key=key, like=labels)
        self.step += 1
        return self.drawn.labels(labels, self.num_classes)

    def remove(self) -> None:
        """Remove the hooks from the network."""
        for hook in self._hooks:
            hook.remove()

    def state_dict(self) -> dict[str, int]:
        """Return the number of calls so far."""
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Resume from a saved state."""
        self.step = state["step"]

    def _hooked(self, module: torch.nn.Module, name: str, number: int) -> Any:
        if not name:

            def before(module: torch.nn.Module, inputs: tuple[Any, ...]) -> Any:
                return self._mixed(module, number, inputs)

            return module.register_forward_pre_hook(before)

        def after(module: torch.nn.Module, _: Any, output: Any) -> Any:
            return self._mixed(module, number, output)

        return module.register_forward_hook(after)

    def _mixed(self, module: torch.nn.Module, number: int, states: Any) -> Any:
        drawn = self.drawn
        if drawn is None or not module.training or drawn.layer != number:
            return states
        if isinstance(states, (tuple, list)):
            return type(states)([drawn(number, states[0]), *states[1:]])
        return drawn(number, states)


def _checked(model: torch.nn.Module, layers: Sequence[str]) -> tuple[str, ...]:
    names = [name for name, _ in model.named_modules() if name]
    if isinstance(layers, str) or not layers:
        raise ValueError(
            f"layers: expected a list of names of modules, got {layers!r}; pass such as ['', {names[0]!r}]"
        )
    for name in layers:
        if name and name not in names:
            raise ValueError(
                f"layers: expected names of modules, got {name!r}; pass some of {', '.join(map(repr, names[:12]))}"
            )
    if len(set(layers)) < len(layers):
        raise ValueError(f"layers: expected each name once, got {', '.join(map(repr, layers))}; leave out the second")
    return tuple(layers)
