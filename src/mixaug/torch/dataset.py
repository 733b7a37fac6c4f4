"""`MixedDataset`: a map-style dataset of mixed items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils import data

from ..batch import Batch
from ..core.hints import known_options
from ..epoch import Epoch, sample
from ..fields import Fields
from ..fields.class_weights import ClassWeights
from ..recipes import Recipe, check_recipe
from ..recipes.combine import check_item_recipe
from ..recipes.recipe import check_whole
from .samples import checked_dataset, read_batch, say_loss


class MixedDataset(data.Dataset):  # type: ignore[misc]
    """A map-style dataset whose item i is mixed with its sources of this epoch.

        self[i] = f(seed, epoch, i), whoever asks for it and in whatever order

    Args:
        dataset: samples by index: pairs, triples or dicts of tensors, arrays or numbers. Each mixed item reads as many
            of them as the recipe has sources.
        recipe: what to mix by.
        seed: any int.
        num_classes: needed for class ids.
        fields, class_weights, size: as for `ma.mix_batch`.
        return_mix: as there: the mix of each item, of rows of the dataset; PyTorch's default collate joins them.

    `epoch` is public and starts at 0: set it before each pass (`set_epoch` does the same), or every epoch has the same
    mixes. It lies in shared memory, so workers that have started see it, persistent ones too.

    Raises:
        TypeError: if `dataset` has no length or index, or `recipe` is no recipe.
        ValueError: if `recipe` draws once for a batch (`ma.per_batch`), because items have no batch.

    Example:
        >>> import mixaug as ma, torch
        >>> pairs = torch.utils.data.TensorDataset(torch.zeros(10, 1, 8, 8), torch.arange(10))
        >>> ds = ma.torch.MixedDataset(ma.MixUp(alpha=0.2), pairs, num_classes=10)
        >>> image, label = ds[3]
        >>> image.shape, label.shape
        (torch.Size([1, 8, 8]), torch.Size([10]))
    """

    @known_options()
    def __init__(
        self,
        recipe: Recipe | str,
        dataset: Any,
        seed: int = 0,
        *,
        num_classes: int | None = None,
        fields: Fields | None = None,
        return_mix: bool = False,
        class_weights: ClassWeights | None = None,
        size: Sequence[int] | None = None,
    ) -> None:
        recipe = check_recipe("recipe", recipe)
        self.recipe = check_item_recipe(
            "MixedDataset", recipe, "mix batches with ma.torch.loader(recipe, dataset, ...)"
        )
        self.dataset = checked_dataset(dataset)
        self.seed = seed
        self.options: dict[str, Any] = {"num_classes": num_classes, "fields": fields, "return_mix": return_mix}
        self.options |= {"class_weights": class_weights, "size": size}
        say_loss(num_classes)
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Batch:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"expected a row in 0..{n - 1}, got {index}")
        this = Epoch(n, self.seed, self.epoch, shuffle=False)
        return sample(
            self.recipe,
            this,
            int(index) % n,
            lambda rows: read_batch(self.dataset, rows, self.options["fields"]),
            **self.options,
        )

    @property
    def epoch(self) -> int:
        """Which epoch items are of."""
        return int(self._epoch)

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch.fill_(check_whole("epoch", epoch, 0))

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch it is, in the words of PyTorch's samplers."""
        self.epoch = epoch
