"""`MixedDataset`: a map-style dataset of mixed samples."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch.utils import data

from .. import loss_advice
from ..batch import Batch, ItemOptions
from ..core.hints import known_options
from ..epoch import Epoch, sample
from ..recipes import Recipe, check_recipe
from ..recipes.combine import check_item_recipe
from ..recipes.recipe import check_whole
from .samples import checked_dataset, read_batch


class MixedDataset(data.Dataset):  # type: ignore[misc]
    """A map-style dataset that mixes each sample with partners from the whole dataset.

        self[i] = f(seed, epoch, i), in any worker and any order of access

    Args:
        recipe: a recipe or its text. Each mixed sample reads `recipe.sources` samples.
        dataset: map-style; pairs, triples or dicts of tensors, arrays or numbers.
        seed: any int.
        options: num_classes, fields, class_weights, size, return_mix, as for `ma.mix_batch`. The `index` of a returned
            mix holds rows of the dataset; PyTorch's default collate function joins the mixes.

    Attributes:
        epoch: starts at 0. Set it before each pass (`set_epoch` does the same); otherwise every epoch has the same
            mixes. It lies in shared memory, so running workers see the change.

    Raises:
        TypeError: if `dataset` has no length or no indexing, or `recipe` is not a recipe.
        ValueError: if `recipe` draws once per batch (`ma.per_batch`), because single samples have no batch.

    Example:
        >>> import mixaug as ma, torch
        >>> pairs = torch.utils.data.TensorDataset(torch.zeros(10, 1, 8, 8), torch.arange(10))
        >>> ds = ma.torch.MixedDataset(ma.MixUp(alpha=0.2), pairs, num_classes=10)
        >>> image, label = ds[3]
        >>> image.shape, label.shape
        (torch.Size([1, 8, 8]), torch.Size([10]))
    """

    @known_options(ItemOptions)
    def __init__(self, recipe: Recipe | str, dataset: Any, seed: int = 0, **options: Unpack[ItemOptions]) -> None:
        recipe = check_recipe("recipe", recipe)
        self.recipe = check_item_recipe(
            "MixedDataset", recipe, "mix batches with ma.torch.loader(recipe, dataset, ...)"
        )
        self.dataset = checked_dataset(dataset)
        self.seed, self.options = seed, options
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        loss_advice.before_workers("torch", options.get("num_classes"))

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Batch:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"expected a row in 0..{n - 1}, got {index}")
        epoch = Epoch(n, self.seed, self.epoch, shuffle=False)
        return sample(self.recipe, epoch, int(index) % n, self._read, **self.options)

    def _read(self, rows: list[int]) -> Batch:
        return read_batch(self.dataset, rows, self.options.get("fields"))

    @property
    def epoch(self) -> int:
        """The epoch that the samples are drawn for."""
        return int(self._epoch)

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch.fill_(check_whole("epoch", epoch, 0))

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, as PyTorch's samplers do."""
        self.epoch = epoch
