"""`loader`: a DataLoader of mixed batches that do not depend on the workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
from torch.utils import data

from .. import loss_advice
from ..batch import Batch, DatasetOptions, mix_rows, with_mix, without_mix
from ..core.hints import known_options, split_options
from ..core.rows import Rows
from ..recipes import Recipe, check_recipe
from ..recipes.recipe import check_whole
from .sampler import BatchRequest, EpochSampler, IndexSampler, Shard, StepSampler
from .samples import CollateFn, checked_dataset, in_memory, read_batch


class Loader(data.DataLoader):  # type: ignore[misc]
    """A DataLoader that tracks its epoch and step, however many batches its workers have prefetched."""

    def __iter__(self) -> Iterator[Batch]:
        self.sampler.begin()
        for batch in super().__iter__():
            self.sampler.advance()
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Return the epoch and the step of the next batch."""
        return cast("dict[str, int]", self.sampler.state_dict())

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue from this state with the next pass."""
        self.sampler.load_state_dict(state)


@known_options(DatasetOptions, data.DataLoader)
def loader(
    recipe: Recipe | str,
    dataset: Any,
    batch_size: int | None = None,
    *,
    seed: int = 0,
    partners: str = "batch",
    shuffle: bool | None = None,
    sampler: Iterable[Any] | None = None,
    batch_sampler: Iterable[Sequence[Any]] | None = None,
    drop_last: bool = False,
    rank: int | None = None,
    world_size: int | None = None,
    collate_fn: CollateFn = data.default_collate,
    **options: Any,
) -> Loader:
    """A DataLoader of mixed batches, identical for any number and kind of workers and resumable mid-epoch.

        batch = f(seed, epoch, step): rows in the epoch's order, mixed under the key (seed, epoch, step)

    Args:
        recipe: a recipe or its text.
        dataset: map-style; pairs, triples or dicts of tensors, arrays or numbers.
        batch_size: rows per batch on each rank.
        seed: any int, the same on every rank.
        partners: "batch" reads each sample once and mixes it with others of its batch. "dataset" draws partners from
            the whole dataset, reads `recipe.sources` samples for each row, and gives the batches of `ma.batches`.
        shuffle: whether to shuffle each epoch; None shuffles unless a sampler is given.
        sampler: an iterable of row numbers, iterated over once an epoch, such as PyTorch's `WeightedRandomSampler` or
            `DistributedSampler`. Repeated rows are mixed separately. Partners come from the same batch, which preserves
            the sampler's class balance. The sampler decides what each rank gets: omit `rank` and `world_size`.
        batch_sampler: an iterable of lists of row numbers; replaces `batch_size`, `sampler` and `drop_last`.
        drop_last: whether to drop the last batch if it is short.
        rank: the rank of this process; None reads it from `torch.distributed` if that is initialized, else 0.
        world_size: the number of processes; None likewise, else 1. The batches of all ranks in one step, concatenated,
            are the batch that a single process with `batch_size * world_size` rows would draw.
        collate_fn: collates samples into a batch before they are mixed.
        options: num_classes, fields, include_clean, copies, return_mix, class_weights, size, as for `ma.mix_batch` (the
            `index` of a returned mix holds rows of the dataset), and num_workers, persistent_workers,
            multiprocessing_context, pin_memory, ..., as for `DataLoader`.

    Returns:
        A DataLoader. Each pass is a new epoch: read it from `loader.sampler.epoch`, set it with
        `loader.sampler.set_epoch(e)`. Call `loader.state_dict()` after any batch; `load_state_dict` continues with the
        next one.

    If your sampler has `set_epoch`, the loader calls it before each pass; an epoch that you set on the sampler is
    adopted. `load_state_dict` iterates over the sampler again and skips its first batches. This restores the rows of
    the interrupted run only if they are determined by the sampler's epoch, as in `DistributedSampler`. A sampler that
    draws from PyTorch's global generator gives other rows, with new mixes.

    Random transforms inside the dataset (such as crops) are not covered: PyTorch seeds them per worker.

    Raises:
        TypeError: if `dataset` has no length or no indexing, or `recipe` is not a recipe.
        ValueError: if options contradict each other, or the dataset is empty.

    Example:
        >>> import mixaug as ma, torch
        >>> pairs = torch.utils.data.TensorDataset(torch.zeros(10, 1, 8, 8), torch.arange(10))
        >>> batches = ma.torch.loader(ma.CutMix(alpha=1.0), pairs, 4, num_classes=10)
        >>> [tuple(labels.shape) for images, labels in batches], batches.state_dict()
        ([(4, 10), (4, 10), (2, 10)], {'epoch': 1, 'step': 0})
        >>> rare_first = torch.utils.data.WeightedRandomSampler([1.0] * 9 + [9.0], num_samples=8)
        >>> balanced = ma.torch.loader(ma.MixUp(), pairs, 4, sampler=rare_first, num_classes=10)
        >>> [len(labels) for images, labels in balanced]
        [4, 4]
    """
    recipe = check_recipe("recipe", recipe)
    n = len(checked_dataset(dataset))
    settings = {"shuffle=True": shuffle is True, "rank=": rank is not None, "world_size=": world_size is not None}
    settings['partners="dataset"'] = partners == "dataset"
    steps: StepSampler
    if batch_sampler is not None:
        settings |= {
            "batch_size=": batch_size is not None,
            "drop_last=True": drop_last,
            "sampler=": sampler is not None,
        }
        _check_sampler("batch_sampler", batch_sampler, settings)
        steps = IndexSampler(recipe, n, batch_sampler, seed=seed)
    elif sampler is not None:
        _check_sampler("sampler", sampler, settings)
        batches = data.BatchSampler(sampler, check_whole("batch_size", batch_size, 1), drop_last)
        steps = IndexSampler(recipe, n, batches, seed=seed)
    else:
        batch_size, shard = check_whole("batch_size", batch_size, 1), Shard.of_process(rank, world_size)
        steps = EpochSampler(
            recipe,
            n,
            batch_size,
            shard,
            seed=seed,
            partners=partners,
            shuffle=shuffle is not False,
            drop_last=drop_last,
        )
    mix_options, loader_options = split_options(options, DatasetOptions)
    loss_advice.before_workers("torch", mix_options.get("num_classes"))
    mixed = _MixedBatches(recipe, dataset, collate_fn, cast(DatasetOptions, mix_options))
    return Loader(mixed, batch_size=None, sampler=steps, collate_fn=_unchanged, **loader_options)


def _check_sampler(name: str, sampler: Any, settings: Mapping[str, bool]) -> None:
    """Raise an error if a setting is on that contradicts the sampler, or if it can be iterated over only once."""
    for setting, is_on in settings.items():
        if is_on:
            raise ValueError(
                f"loader: expected no {setting} with {name}=, which chooses the rows itself, got both; leave one out"
            )
    if not hasattr(sampler, "__iter__") or isinstance(sampler, Iterator):
        raise TypeError(
            f"{name}: expected rows that can be iterated over once an epoch, got {type(sampler).__name__}; "
            "pass a sampler or a list"
        )


class _MixedBatches(data.Dataset):  # type: ignore[misc]
    """The mixed batch of each request, computed in the worker that receives it."""

    def __init__(self, recipe: Recipe, dataset: Any, collate_fn: CollateFn, options: DatasetOptions) -> None:
        self.recipe, self.dataset, self.collate_fn, self.options = recipe, dataset, collate_fn, options

    def __len__(self) -> int:
        """The number of samples, so that `len(loader.dataset)` is what it is for other loaders."""
        return len(self.dataset)

    def __getitem__(self, request: BatchRequest) -> Batch:
        tensors = in_memory(self.dataset)
        if tensors is not None and self.collate_fn is data.default_collate:
            rows = Rows(None, tensors, request.sources)
            return mix_rows(self.recipe, rows, request.key, numbers=request.numbers, **self.options)
        needed, index = np.unique(request.sources, return_inverse=True)
        source = read_batch(self.dataset, needed.tolist(), self.options.get("fields"), self.collate_fn)
        rows = Rows(None, source, index.reshape(request.sources.shape))
        mixed = mix_rows(self.recipe, rows, request.key, numbers=request.numbers, **self.options)
        if not self.options.get("return_mix"):
            return mixed
        mixed, mix = without_mix(mixed, source)
        return with_mix(mixed, mix.of_rows(needed))


def _unchanged(batch: Batch) -> Batch:
    return batch
