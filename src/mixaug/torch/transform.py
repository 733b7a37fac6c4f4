"""`Mixed`: a module that mixes the batches of any loader."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple, Unpack

import torch
from torch import Tensor

from .. import backends
from ..batch import Batch, Options, mix_batch, with_mix, without_mix
from ..core.hints import known_options
from ..fields import tree
from ..recipes import Recipe, check_recipe, identity
from .call_keys import CallKeys


class _HostStep(NamedTuple):
    """The value of a step buffer on a device, known without waiting for the device."""

    value: int
    buffer: Tensor
    version: int  #: of the buffer, when it had this value


class Mixed(torch.nn.Module):  # type: ignore[misc]
    """Mix batches after the loader: images and labels, or a dict of named fields.

        output = mix_batch(recipe, batch, key=(seed, step)), or key=(seed, epoch, step) if an epoch is passed

    Args:
        recipe: a recipe or its text.
        seed: any int, the same on every rank.
        options: num_classes, fields, pairing, bank, include_clean, copies, class_weights, size, as for `ma.mix_batch`.
            Images are (n, c, *size) unless `fields` sets another layout.

    `step` is a persistent buffer that counts the calls. It is saved in `state_dict`, so a resumed run continues where
    it stopped; load it in every process that trains. If `torch.distributed` runs several processes, the rank is the
    last number of the key. In a DataLoader worker (a `collate_fn` or a dataset's transform) the key is
    (seed, worker seed, call), as for `MixingCollate`: mixes differ between workers and epochs, but depend on the number
    of workers and on PyTorch's global seed. After `.eval()` batches pass through unchanged.

    Works on any device, without synchronization except after the state was loaded or moved; under
    `torch.compile(fullgraph=True)`, without recompiling at each step; and in `v2.Compose`, where tv_tensors keep their
    class.

    Raises:
        TypeError: if `recipe` is not a recipe.

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
        self._call_keys = CallKeys()
        self._host_step: _HostStep | None = None

    def forward(self, *batch: Any, step: int | Tensor | None = None, epoch: int | Tensor | None = None) -> Batch:
        """Mix a batch.

        Args:
            batch: images and labels (and sample weights), or one tuple, list or dict of them.
            step: an int or a scalar tensor to use instead of the buffer, which is then left unchanged. Pass a tensor to
                compiled code, to avoid recompilation, and to a CUDA graph, which requires one.
            epoch: an int or a scalar tensor to include in the key.
        """
        fields = batch[0] if len(batch) == 1 else batch
        if not self.training:
            return self._unmixed(fields)
        numbers = (step,) if step is not None else self._call_keys.worker_call() or (self._count_step(),)
        key = self._call_keys.key(self.seed, *numbers, epoch=epoch)
        mixed = mix_batch(self.recipe, fields, key=key, **self.options)
        if not self.options.get("return_mix"):
            return as_tv_tensors(mixed, fields)
        mixed, mix = without_mix(mixed, fields)
        return with_mix(as_tv_tensors(mixed, fields), mix)

    def _unmixed(self, batch: Batch) -> Batch:
        """Return the batch unchanged, with the identity mix if `return_mix` is set."""
        if not self.options.get("return_mix"):
            return batch
        options: Options = {**self.options, "include_clean": False, "copies": 1}
        return with_mix(batch, without_mix(mix_batch(identity(), batch, key=0, **options), batch)[1])

    def _count_step(self) -> int | Tensor:
        """Increment the buffer and return its value before; on a device, from a copy on the host to avoid waiting."""
        if not backends.of(self.step).on_accelerator(self.step) or self.step.is_inference():
            step = self.step.clone()
            self.step += 1
            return step
        if self.step.is_cuda and torch.cuda.is_current_stream_capturing():
            raise ValueError(
                "Mixed: expected step= a tensor on the device while a CUDA graph is captured, got none; pass one, "
                "because otherwise every replay has the same step"
            )
        known = self._host_step
        if known is None or known.buffer is not self.step or known.version != self.step._version:
            known = _HostStep(int(self.step), self.step, 0)  # loaded, moved or written to: wait for the device
        self.step += 1
        self._host_step = _HostStep(known.value + 1, self.step, self.step._version)
        return known.value

    def extra_repr(self) -> str:
        """Return what PyTorch prints between the parentheses."""
        return ", ".join([repr(self.recipe), *(f"{name}={value}" for name, value in self.options.items())])


def as_tv_tensors(mixed: Any, batch: Any) -> Any:
    """Wrap the fields of a mixed batch as tv_tensors where those of the batch are, in nested containers too."""
    if isinstance(mixed, list) and isinstance(batch, list) and batch:
        return [as_tv_tensors(field, batch[i % len(batch)]) for i, field in enumerate(mixed)]  # there may be copies
    if isinstance(mixed, dict) and isinstance(batch, Mapping):
        return {name: as_tv_tensors(field, batch.get(name)) for name, field in mixed.items()}
    if isinstance(mixed, tuple) and isinstance(batch, tuple) and len(mixed) == len(batch):
        return tree.like(mixed, [as_tv_tensors(*pair) for pair in zip(mixed, batch, strict=True)])
    if not _is_tv_tensor(type(batch)) or not isinstance(mixed, Tensor):
        return mixed
    return import_module("torchvision.tv_tensors").wrap(mixed, like=batch)


@backends.trace_constant
def _is_tv_tensor(kind: type) -> bool:
    return kind.__module__.startswith("torchvision.tv_tensors")
