"""`ManifoldMixup`: mixes the hidden states of a network whose code stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .. import backends, hidden
from ..core.hints import known_options
from ..recipes import Recipe, check_recipe


class ManifoldMixup:
    """Mix the states of one of several layers of a network, another one at each step; labels by the same mix.

        labels = mixup(labels)             draws: which layer, who with whom, how much
        loss = criterion(model(images), labels)

    Args:
        recipe: a blend, such as `ma.MixUp(alpha=2.0)`.
        model: any module. Its code, parameters and `state_dict` stay as they are.
        layers: names of modules, as `model.named_modules()` has them; "" is the model's input. Each is called once in a
            forward pass, and its output is a tensor with the batch's rows, or a tuple or a list that begins with one.
        num_classes: needed for class ids.
        seed: any int, the same on every rank.

    Layers are hooked. A call draws under the key (seed, step), (seed, epoch, step) with `epoch=`, and the rank after
    that where there are several; `step` is public, counts the calls, and is what `state_dict` holds. What was drawn
    holds until the next call, so gradient checkpointing, which runs layers again, mixes them again alike. In eval mode,
    and before the first call, nothing is mixed. Under `torch.compile` the network is compiled once for each layer.
    `remove()` takes the hooks away.

    Raises:
        TypeError: if `recipe` is not a recipe. ValueError: if there is no module of a name, or no name; when called, if
            the recipe is no blend; in the network, if a layer's output has other rows than the labels.

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
        """Draw the mix of this step, and give the labels that it makes: float32 (n, num_classes)."""
        at = (self.step,) if epoch is None else (epoch, self.step)
        key = (self.seed, *at, *backends.ranks())
        self.drawn = hidden.draw(self.recipe, len(labels), len(self.layers), key=key, like=labels)
        self.step += 1
        return self.drawn.labels(labels, self.num_classes)

    def remove(self) -> None:
        """Take the hooks away: the network is as it was."""
        for hook in self._hooks:
            hook.remove()

    def state_dict(self) -> dict[str, int]:
        """How many calls there were."""
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from there."""
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
