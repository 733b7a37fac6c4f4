"""`loader`: a DataLoader of mixed batches that are the same for any number of workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils import data

from .. import backends
from ..batch import Batch, Options, mix_rows, with_mix, without_mix
from ..core.hints import known_options
from ..fields import Fields
from ..fields.class_weights import ClassWeights
from ..ops.rows import Rows
from ..recipes import Recipe, check_recipe
from ..recipes.recipe import check_whole
from .sampler import EpochSampler, IndexSampler, Request, StepSampler
from .samples import Collate, checked_dataset, in_memory, read_batch, say_loss


class Loader(data.DataLoader):  # type: ignore[misc]
    """What `loader` makes: a DataLoader that knows its epoch and step, whatever its workers have fetched ahead."""

    def __iter__(self) -> Iterator[Batch]:
        self.sampler.begin()
        for batch in super().__iter__():
            self.sampler.advance()
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Where the next batch comes from: epoch and step."""
        state: dict[str, int] = self.sampler.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on there with the next pass."""
        self.sampler.load_state_dict(state)


@known_options(data.DataLoader)
def loader(
    recipe: Recipe | str,
    dataset: Any,
    batch_size: int | None = None,
    *,
    seed: int = 0,
    num_classes: int | None = None,
    fields: Fields | None = None,
    include_clean: bool = False,
    copies: int = 1,
    return_mix: bool = False,
    class_weights: ClassWeights | None = None,
    size: Sequence[int] | None = None,
    partners: str = "batch",
    shuffle: bool | None = None,
    sampler: Iterable[Any] | None = None,
    batch_sampler: Iterable[Sequence[Any]] | None = None,
    drop_last: bool = False,
    rank: int | None = None,
    world_size: int | None = None,
    collate_fn: Collate = data.default_collate,
    **options: Any,
) -> Loader:
    """A DataLoader of mixed batches that are the same for any number and kind of workers.

        batch = f(seed, epoch, step): rows in the epoch's order, mixed under the key (seed, epoch, step)

    Args:
        dataset: map-style: pairs, triples or dicts of tensors, arrays or numbers.
        recipe: what to mix by.
        batch_size: rows a batch (a rank).
        seed: any int, the same on every rank.
        num_classes: needed for class ids.
        fields: as for `ma.mix_batch`.
        include_clean: as there.
        copies: as there.
        return_mix: as there: the mix of each batch, of rows of the dataset.
        class_weights: as there.
        size: as there.
        partners: "batch": each sample is read once and mixed with others of its batch. "dataset": with any samples, so
            that as many are read as the recipe has sources; the batches are then those of `ma.batches`.
        shuffle: whether each epoch has a random order; None: yes, unless a sampler gives it.
        sampler: gives row numbers each time it is iterated over, such as PyTorch's `WeightedRandomSampler` or
            `DistributedSampler`. A row that it gives twice is mixed twice. Partners come from the same batch, so its
            balance stays. It says itself what each rank gets, so `rank` and `world_size` are refused beside it.
        batch_sampler: gives lists of row numbers, likewise; instead of `batch_size`, `sampler` and `drop_last`.
        drop_last: whether a short last batch is left out.
        rank: of this process; None: that of `torch.distributed` where it is initialised, else 0.
        world_size: how many processes there are; None: likewise, else 1. The ranks' batches of a step, one after
            another, are the batch that one process with `batch_size * world_size` rows would draw.
        collate_fn: makes a batch of samples, before they are mixed.
        options: num_workers, persistent_workers, multiprocessing_context, pin_memory, ... as for `DataLoader`.

    Returns:
        A DataLoader. Each pass is a new epoch: `loader.sampler.epoch` says which, `loader.sampler.set_epoch(e)` sets
        it. `loader.state_dict()` is taken after any batch, and `load_state_dict` goes on with the next one.

    A sampler of yours is told the epoch before each pass, if it has a `set_epoch`; an epoch that you set there is taken
    over. After `load_state_dict` the sampler is iterated over again and its first batches are skipped: the rows are the
    same as in the first run only if they follow from its epoch, as those of `DistributedSampler` do. One that draws
    from PyTorch's global generator gives other rows; their mixes are new all the same.

    What the dataset itself draws (random crops) is its own affair: PyTorch seeds that a worker.

    Raises:
        TypeError: if `dataset` has no length or index, or `recipe` is no recipe.
        ValueError: if options contradict each other, or the dataset has no rows.

    Example:
        >>> import mixaug as ma, torch
        >>> pairs = torch.utils.data.TensorDataset(torch.zeros(10, 1, 8, 8), torch.arange(10))
        >>> batches = ma.torch.loader(ma.CutMix(alpha=1.0), pairs, 4, num_classes=10)
        >>> [tuple(labels.shape) for images, labels in batches], batches.state_dict()
        ([(4, 10), (4, 10), (2, 10)], {'epoch': 1, 'step': 0})
        >>> rare_first = torch.utils.data.WeightedRandomSampler([1.0] * 9 + [9.0], num_samples=8)
        >>> drawn = ma.torch.loader(ma.MixUp(), pairs, 4, sampler=rare_first, num_classes=10)
        >>> [len(labels) for images, labels in drawn]
        [4, 4]
    """
    recipe = check_recipe("recipe", recipe)
    n = len(checked_dataset(dataset))
    _check_order(sampler, batch_sampler, batch_size, partners, shuffle, drop_last, rank, world_size)
    steps: StepSampler
    if batch_sampler is not None:
        steps = IndexSampler(recipe, n, batch_sampler, seed=seed)
    elif sampler is not None:
        batches = data.BatchSampler(sampler, check_whole("batch_size", batch_size, 1), drop_last)
        steps = IndexSampler(recipe, n, batches, seed=seed)
    else:
        found = process()
        steps = EpochSampler(
            recipe,
            n,
            check_whole("batch_size", batch_size, 1),
            seed=seed,
            partners=partners,
            shuffle=shuffle is not False,
            drop_last=drop_last,
            rank=found[0] if rank is None else rank,
            world_size=found[1] if world_size is None else world_size,
        )
    mixing = Options(
        num_classes=num_classes, fields=fields, include_clean=include_clean, copies=copies, return_mix=return_mix
    )
    mixing |= {"class_weights": class_weights, "size": size}
    say_loss(num_classes)
    fetched = _Fetched(recipe, dataset, collate_fn, mixing)
    return Loader(fetched, batch_size=None, sampler=steps, collate_fn=_as_it_is, **options)


def _check_order(
    sampler: Any,
    batch_sampler: Any,
    batch_size: Any,
    partners: str,
    shuffle: Any,
    drop_last: bool,
    rank: Any,
    size: Any,
) -> None:
    """Refuse what contradicts a sampler."""
    if sampler is None and batch_sampler is None:
        return
    beside = "sampler=" if batch_sampler is None else "batch_sampler="
    said = {"shuffle=True": shuffle is True, "rank=": rank is not None, "world_size=": size is not None}
    said['partners="dataset"'] = partners == "dataset"
    if batch_sampler is not None:
        said |= {"batch_size=": batch_size is not None, "drop_last=True": drop_last, "sampler=": sampler is not None}
    for name in (name for name, is_said in said.items() if is_said):
        raise ValueError(
            f"loader: expected no {name} beside {beside}, which says itself which rows come, got both; leave one out"
        )
    given = sampler if batch_sampler is None else batch_sampler
    if not hasattr(given, "__iter__") or isinstance(given, Iterator):
        raise TypeError(
            f"{beside[:-1]}: expected rows that can be iterated over once an epoch, got {type(given).__name__}; "
            "pass a sampler or a list"
        )


def process() -> tuple[int, int]:
    """The rank of this process, and how many there are, as far as `torch.distributed` is initialised: else 0 of 1."""
    ranks = backends.ranks()
    return (ranks[0], torch.distributed.get_world_size()) if ranks else (0, 1)


class _Fetched(data.Dataset):  # type: ignore[misc]
    """The mixed batch of each request, made in the worker that is asked."""

    def __init__(self, recipe: Recipe, dataset: Any, collate_fn: Collate, options: Options) -> None:
        self.recipe, self.dataset, self.collate_fn, self.options = recipe, dataset, collate_fn, options

    def __len__(self) -> int:
        """How many samples there are, as `len(loader.dataset)` says of other loaders."""
        return len(self.dataset)

    def __getitem__(self, asked: Request) -> Batch:
        if (held := in_memory(self.dataset)) is not None and self.collate_fn is data.default_collate:
            return mix_rows(self.recipe, Rows(None, held, asked.sources), asked.key, numbers=asked.rows, **self.options)
        rows, place = np.unique(asked.sources, return_inverse=True)
        place = place.reshape(asked.sources.shape)
        source = read_batch(self.dataset, rows.tolist(), self.options.get("fields"), self.collate_fn)
        mixed = mix_rows(self.recipe, Rows(None, source, place), asked.key, numbers=asked.rows, **self.options)
        if not self.options.get("return_mix"):
            return mixed
        mixed, mix = without_mix(mixed, source)
        return with_mix(mixed, mix.of_rows(rows))


def _as_it_is(batch: Batch) -> Batch:
    return batch
