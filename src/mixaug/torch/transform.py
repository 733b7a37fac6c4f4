"""`Mixed`: a module that mixes the batches of any loader."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Unpack

import torch
from torch import Tensor

from .. import backends
from ..batch import Batch, Options, mix_batch, with_mix, without_mix
from ..core.hints import known_options
from ..fields import tree
from ..recipes import Recipe, check_recipe, identity
from .calls import Calls


class Mixed(torch.nn.Module):  # type: ignore[misc]
    """Mix batches after the loader: images first, labels second, or a dict of named fields.

        output = mix_batch(recipe, batch, key=(seed, step)), or key=(seed, epoch, step) if an epoch is given

    Args:
        recipe: what to mix by.
        seed: any int, the same on every rank.
        options: num_classes, fields, pairing, bank, include_clean, copies, class_weights, size, as for `ma.mix_batch`.
            Images are (n, c, *size) unless a field says otherwise.

    `step` is a persistent buffer that counts the calls: it is part of `state_dict`, so a resumed run goes on drawing
    where it stopped; load it in every process that trains. If `torch.distributed` runs several processes, the rank is
    the last number of the key. In a worker of a DataLoader (in a `collate_fn` or a dataset's transform) the key is
    (seed, the worker's seed, calls in this worker), as for `MixingCollate`: mixes are new in each worker and epoch, but
    depend on the number of workers and on PyTorch's global seed. After `.eval()` batches pass unmixed, labels as they
    came.
    Works on any device without waiting for it, but where its state was just loaded or moved; under
    `torch.compile(fullgraph=True)` without compiling anew from step to step; in `v2.Compose`, where tv_tensors stay
    what they are.

    Raises:
        TypeError: what is no recipe.

    Example:
        >>> import mixaug as ma, torch
        >>> mixed = ma.torch.Mixed(ma.CutMix(alpha=1.0), num_classes=10)
        >>> images, labels = mixed(torch.zeros(4, 3, 8, 8), torch.tensor([1, 2, 3, 1]))
        >>> labels.shape, int(mixed.step)
        (torch.Size([4, 10]), 1)
    """

    step: Tensor

    @known_options(Options)
    def __init__(self, recipe: Recipe | str, *, seed: int = 0, **options: Unpack[Options]) -> None:
        super().__init__()
        self.recipe = check_recipe("recipe", recipe)
        self.seed, self.options = seed, options
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self._calls = Calls()
        self._count: tuple[int, Tensor, int] | None = None  # a step, and the buffer and its version that say so

    def forward(self, *batch: Any, step: int | Tensor | None = None, epoch: int | Tensor | None = None) -> Batch:
        """The mixed batch.

        Args:
            batch: images and labels (and sample weights), or one tuple, list or dict of them.
            step: which step this is, an int or a scalar tensor; the count is then left alone. Compiled code takes a
                tensor without compiling anew, and a CUDA graph needs one.
            epoch: which epoch this is, if the key shall hold it.
        """
        fields = batch[0] if len(batch) == 1 else batch
        if not self.training:
            return self._unmixed(fields)
        at = (step,) if step is not None else self._calls.in_worker() or (self._counted(),)
        key = self._calls.key(self.seed, *at, epoch=epoch)
        mixed = mix_batch(self.recipe, fields, key=key, **self.options)
        if not self.options.get("return_mix"):
            return rewrapped(mixed, fields)
        mixed, mix = without_mix(mixed, fields)
        return with_mix(rewrapped(mixed, fields), mix)

    def _unmixed(self, fields: Batch) -> Batch:
        """The batch as it came, and if asked for beside it the mix that mixes nothing."""
        if not self.options.get("return_mix"):
            return fields
        same: Options = {**self.options, "include_clean": False, "copies": 1}
        return with_mix(fields, without_mix(mix_batch(identity(), fields, key=0, **same), fields)[1])

    def _counted(self) -> int | Tensor:
        """The count, which moves on: of a device the host counts along, or it would have to wait to be told."""
        if not backends.of(self.step).on_accelerator(self.step) or self.step.is_inference():
            now = self.step.clone()
            self.step += 1
            return now
        if self.step.is_cuda and torch.cuda.is_current_stream_capturing():
            raise ValueError(
                "Mixed: expected step= a tensor on the device while a CUDA graph is captured, got none; every replay "
                "would be the same step"
            )
        if self._count is None or self._count[1] is not self.step or self._count[2] != self.step._version:
            self._count = int(self.step), self.step, 0  # it was loaded, moved or counted on by others: this waits
        count = self._count[0]
        self.step += 1
        self._count = count + 1, self.step, self.step._version
        return count

    def extra_repr(self) -> str:
        """What PyTorch prints between the brackets."""
        return ", ".join([repr(self.recipe), *(f"{name}={value}" for name, value in self.options.items())])


def rewrapped(x: Any, given: Any) -> Any:
    """A mixed batch whose fields are the tv_tensors that were given, in dicts, tuples and lists too."""
    if isinstance(x, list) and isinstance(given, list) and given:
        return [rewrapped(row, given[i % len(given)]) for i, row in enumerate(x)]  # there may be several copies
    if isinstance(x, dict) and isinstance(given, Mapping):
        return {name: rewrapped(value, given.get(name)) for name, value in x.items()}
    if isinstance(x, tuple) and isinstance(given, tuple) and len(x) == len(given):
        return tree.like(x, [rewrapped(*pair) for pair in zip(x, given, strict=True)])
    if not _is_tv_tensor(type(given)) or not isinstance(x, Tensor):
        return x
    return import_module("torchvision.tv_tensors").wrap(x, like=given)


@backends.trace_constant
def _is_tv_tensor(kind: type) -> bool:
    return kind.__module__.startswith("torchvision.tv_tensors")
