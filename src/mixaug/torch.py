"""PyTorch: a module for after the loader, a loader and a dataset whose samples do not depend on the workers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Unpack

import numpy as np
import torch
from torch import Tensor
from torch.utils import data
from torch.utils.data._utils.collate import default_collate_fn_map

from . import backends, loss_advice
from .backends import Array
from .batch import Batch, Options, collated, mix_batch, mix_from, with_mix, without_mix
from .core import keys
from .core.hints import known_options
from .core.keys import Key
from .epoch import Epoch, sample
from .fields import Field, Fields, Labels, resolve, tree
from .fields.class_weights import ClassWeights
from .label_rules import rule as label_rule
from .losses import check_smoothing, smooth
from .mix import Mix, joined
from .recipes import Recipe, check_recipe, identity
from .recipes.combine import check_item_recipe, check_no_schedule
from .recipes.recipe import check_whole, ring

Collate = Callable[[Sequence[Any]], Batch]

default_collate_fn_map[Mix] = lambda mixes, *, collate_fn_map=None: joined(mixes)  # noqa: ARG005 - PyTorch's signature


class Calls:
    """The keys of a transform's calls, which no other worker, epoch or rank draws by.

        (seed, step)                      in the main process
        (seed, the worker's seed, call)   in a DataLoader's worker; PyTorch seeds workers anew each epoch
        (..., rank)                       where several ranks train

    Calls of a worker are counted here, because persistent workers keep their seed.
    """

    def __init__(self) -> None:
        self._made = 0  # calls in this worker so far
        self._told: tuple[int, ...] = ()  # the rank of the process that spawned this worker

    def in_worker(self) -> tuple[int, ...]:
        """The worker's seed and the number of this call, which is counted; nothing in the main process."""
        worker = _worker_seed()
        if worker is None:
            return ()
        self._made += 1
        return worker, self._made - 1

    def key(self, seed: int, *numbers: Any, epoch: Any = None) -> Key:
        """The key of these numbers, this rank's."""
        at = numbers if epoch is None else (epoch, *numbers)
        made = keys.make((seed, *at, *self._ranks()))
        return Key(*made[:2], epoch)

    def _ranks(self) -> tuple[int, ...]:
        return backends.ranks() or (() if _worker_seed() is None else self._told)

    def __getstate__(self) -> dict[str, Any]:
        return {"_made": self._made, "_told": self._ranks()}


@backends.trace_constant
def _worker_seed() -> int | None:
    worker = data.get_worker_info()
    return None if worker is None else int(worker.seed)


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
            return _as_they_came(mixed, fields)
        mixed, mix = without_mix(mixed, fields)
        return with_mix(_as_they_came(mixed, fields), mix)

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
        self.dataset = _checked_dataset(dataset)
        self.seed = seed
        self.options: dict[str, Any] = {"num_classes": num_classes, "fields": fields, "return_mix": return_mix}
        self.options |= {"class_weights": class_weights, "size": size}
        _say_loss(num_classes)
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
            lambda rows: _batch(self.dataset, rows, self.options["fields"]),
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


class Request(NamedTuple):
    """What a worker is asked for: the batch of one step."""

    key: tuple[int, ...]
    rows: Array  #: int64 (m,), the row numbers of its rows among those of all ranks
    sources: Array  #: int64 (k, m), rows of the dataset


class StepSampler(data.Sampler):  # type: ignore[misc]
    """What `loader` hands to its workers: the request of each step. It knows where the next batch comes from.

    `epoch` and `step` say so; `state_dict` holds them.
    """

    def __init__(self, recipe: Recipe, seed: int) -> None:
        self.recipe, self.seed = recipe, seed
        self.epoch, self.step, self._begun = 0, 0, False

    def begin(self) -> None:
        """A pass begins: at `step` of `epoch`; if the last one was left in its middle, with the next epoch."""
        if self._begun:
            self.epoch, self.step = self.epoch + 1, 0
        self._begun = True

    def advance(self) -> None:
        """A batch has been handed over: the next one is another."""
        last = self._is_last()
        self.step += 1
        if last:
            self.epoch, self.step, self._begun = self.epoch + 1, 0, False

    def _is_last(self) -> bool:
        raise NotImplementedError

    def _count(self) -> int | None:
        """How many steps an epoch has, if that is certain."""
        raise NotImplementedError

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next pass is; in the middle of one that was loaded, this leaves it there."""
        if epoch != self.epoch or self._begun:
            self.epoch, self.step, self._begun = check_whole("epoch", epoch, 0), 0, False

    def state_dict(self) -> dict[str, int]:
        """Where the next batch comes from."""
        return {"epoch": self.epoch, "step": self.step}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on there.

        Raises:
            ValueError: if `state` is no state of a sampler of so many steps.
        """
        count = self._count()
        steps = "a step of 0 or more" if count is None else f"a step in 0..{count - 1}"
        fits = set(state) == {"epoch", "step"} and state["epoch"] >= 0 and state["step"] >= 0
        if not fits or (count is not None and state["step"] >= count):
            raise ValueError(
                f"expected an epoch and {steps}, got {dict(state)}; "
                "load the state of a loader of this dataset and batch size"
            )
        self.epoch, self.step, self._begun = state["epoch"], state["step"], False


class EpochSampler(StepSampler):
    """Which rows each batch of an epoch is made of, for one rank of several.

        batch s of all ranks = positions s * batch_size * world_size .. of the epoch's order, cut into world_size runs

    Args:
        recipe: whose number of sources to say.
        n: how many rows the dataset has.
        batch_size: rows a batch and rank.
        seed: any int.
        partners: "batch", the rows of the same step (of all ranks), or "dataset", any rows.
        shuffle: whether each epoch has a random order, or the dataset's own.
        drop_last: whether to leave out the last step where it is short. Else it is cut into runs that differ by one row
            at most; a rank that would get none is given a row that another has too.
        rank: of this process.
        world_size: how many processes there are.
    """

    def __init__(
        self,
        recipe: Recipe | str,
        n: int,
        batch_size: int,
        *,
        seed: int = 0,
        partners: str = "batch",
        shuffle: bool = True,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(check_recipe("recipe", recipe), seed)
        check_whole("batch_size", batch_size, 1)
        check_whole("world_size", world_size, 1)
        if check_whole("rank", rank, 0) >= world_size:
            raise ValueError(f"rank: expected 0..{world_size - 1}, one of world_size, got {rank}")
        if partners not in ("batch", "dataset"):
            raise ValueError(f'partners: expected "batch" or "dataset", got {partners!r}')
        self.n, self.rows, self.partners = n, batch_size * world_size, partners
        self.shuffle, self.drop_last = shuffle, drop_last
        self.rank, self.world_size = rank, world_size
        if not len(self):
            raise ValueError(
                f"expected {self.rows} rows or more for one step of {world_size} x {batch_size}, got {n}; "
                "lower batch_size, or leave drop_last out"
            )

    def __len__(self) -> int:
        return self.n // self.rows if self.drop_last else -(-self.n // self.rows)

    def __iter__(self) -> Iterator[Request]:
        epoch = self.epoch
        return (self.request(epoch, step) for step in range(self.step, len(self)))

    def request(self, epoch: int, step: int) -> Request:
        """What this rank's batch of a step is made of."""
        this, key = Epoch(self.n, self.seed, epoch, self.shuffle), (self.seed, epoch, step)
        start, stop = step * self.rows, min((step + 1) * self.rows, self.n)
        if self.partners == "dataset":
            index = this.sources(start, stop, self.recipe.sources)
        else:
            index = _ring_of(this.rows(start, stop), key, self.recipe.sources)
        first, end = ((stop - start) * rank // self.world_size for rank in (self.rank, self.rank + 1))
        end = max(end, first + 1)
        return Request(key, np.arange(first, end), index[:, first:end])

    def _is_last(self) -> bool:
        return self.step + 1 == len(self)

    def _count(self) -> int | None:
        return len(self)


class IndexSampler(StepSampler):
    """Batches of the rows that another sampler draws, each mixed within itself.

        batch s of an epoch = batch s that the other sampler gives, under the key (seed, epoch, step)

    Args:
        recipe: whose number of sources to say.
        n: how many rows the dataset has.
        batches: gives lists of row numbers each time it is iterated over, such as PyTorch's `BatchSampler`.
        seed: any int.

    Where several ranks train, the rank is the last number of the key. Before each pass the epoch is passed on to
    `set_epoch` of `batches`, or of its `sampler`, if there is one; an epoch that was set there is taken over.
    """

    def __init__(self, recipe: Recipe, n: int, batches: Iterable[Sequence[Any]], *, seed: int = 0) -> None:
        super().__init__(recipe, seed)
        self.n, self.batches = n, batches
        told: tuple[Any, ...] = (batches, getattr(batches, "sampler", None))
        self._told = [one for one in told if hasattr(one, "set_epoch")]
        self._known = self._their_epoch()
        self._last: tuple[int, int] | None = None  # epoch and step of the last batch, once it is known

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Request]:
        self._last = None
        return self._requests(self.epoch, self.step)

    def _requests(self, epoch: int, start: int) -> Iterator[Request]:
        given = enumerate(self.batches)
        ahead = next(given, None)
        while ahead is not None:
            (step, ids), ahead = ahead, next(given, None)
            if ahead is None:
                self._last = epoch, step
            if step >= start:
                yield self._request((self.seed, epoch, step, *backends.ranks()), _checked_ids(ids, self.n))

    def _request(self, key: tuple[int, ...], ids: Array) -> Request:
        return Request(key, np.arange(len(ids)), _ring_of(ids, key, self.recipe.sources))

    def _is_last(self) -> bool:
        return (self.epoch, self.step) == self._last

    def _count(self) -> int | None:  # the length of a sampler may be missing, or no more than a guess
        return None

    def begin(self) -> None:
        """A pass begins, with the same epoch there."""
        super().begin()
        if (theirs := self._their_epoch()) != self._known and theirs != self.epoch:
            self.epoch, self.step = theirs, 0
        self._pass_on()

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next pass is, there too."""
        super().set_epoch(epoch)
        self._pass_on()

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on there: with the batches of that epoch from that step on."""
        super().load_state_dict(state)
        self._pass_on()

    def _their_epoch(self) -> Any:
        return next((at for one in self._told if isinstance(at := getattr(one, "epoch", None), int)), None)

    def _pass_on(self) -> None:
        for one in self._told:
            one.set_epoch(self.epoch)
        self._known = self._their_epoch()


def _ring_of(ids: Array, key: tuple[int, ...], sources: int) -> Array:
    """int64 (sources, m): rows of the dataset, each with partners from among them."""
    index: Array = ids[ring(backends.common(), keys.make(key), len(ids), sources)]
    return index


def _checked_ids(ids: Any, n: int) -> Array:
    """int64 (m,): the row numbers of a batch."""
    try:
        rows = np.array([operator.index(row) for row in ids], np.int64)
    except TypeError:
        raise TypeError(f"sampler: expected row numbers, got {ids!r}; batches of them are a batch_sampler=") from None
    if not rows.size or rows.min() < 0 or rows.max() >= n:
        came = f"{rows.min()}..{rows.max()}" if rows.size else "an empty batch"
        raise IndexError(f"sampler: expected row numbers in 0..{n - 1}, got {came}; make it for this dataset")
    return rows


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
    n = len(_checked_dataset(dataset))
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
    _say_loss(num_classes)
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
        drawn = {"key": asked.key, "rows": asked.rows}
        if (held := _in_memory(self.dataset)) is not None and self.collate_fn is data.default_collate:
            return mix_from(self.recipe, None, held, asked.sources, **drawn, **self.options)
        rows, place = np.unique(asked.sources, return_inverse=True)
        place = place.reshape(asked.sources.shape)
        source = _batch(self.dataset, rows.tolist(), self.options.get("fields"), self.collate_fn)
        mixed = mix_from(self.recipe, None, source, place, **drawn, **self.options)
        if not self.options.get("return_mix"):
            return mixed
        mixed, mix = without_mix(mixed, source)
        return with_mix(mixed, mix.of_rows(rows))


class MixingCollate:
    """A `collate_fn` that mixes, for a DataLoader that is there already: `loader` promises more.

        batch = mix_batch(recipe, collate_fn(samples), key=(seed, the worker's seed, calls so far in this worker))

    A collate function is not told which batch it makes, so this counts its calls. Mixes are new in each worker, epoch
    and rank (if `torch.distributed` runs several processes, the rank is the last number of the key), persistent workers
    included. But which ones they are depends on the number of workers and on PyTorch's global seed: unlike everywhere
    else, the same `seed` does not give the same mixes. A run that is resumed with the same global seed draws what the
    first one drew from its start: give it another `seed`, such as the epoch that it starts with. The epoch of a call is
    not known, so `ma.schedule` is refused. Evaluation must not use it: give that loader another collate function.

    Args:
        recipe: what to mix by.
        seed: any int, the same on every rank.
        collate_fn: makes a batch of samples, before they are mixed.
        smoothing: label smoothing of the mixed labels, 0 to below 1, as `ma.losses.smooth`; towards 1/2 for labels that
            are binary or mixed by a rule whose rows do not sum to 1.
        options: num_classes, fields, pairing, bank, include_clean, copies, class_weights, size, as for `ma.mix_batch`.

    `enabled` is public: set it to False between epochs, and samples pass unmixed from the next one on, once each, with
    labels of the same form, smoothed all the same. It lies in shared memory, so workers that have started see it,
    persistent ones too.

    Raises:
        TypeError: if `recipe` is no recipe.
        ValueError: if `recipe` has a `ma.schedule`, `smoothing` is not in [0, 1), or there are no labels to smooth;
            when called, if there are no samples.

    Example:
        >>> import mixaug as ma, torch
        >>> pairs = torch.utils.data.TensorDataset(torch.zeros(6, 1, 8, 8), torch.arange(6))
        >>> mixing = ma.torch.MixingCollate(ma.MixUp(alpha=0.2), num_classes=6)
        >>> [labels.shape[0] for _, labels in torch.utils.data.DataLoader(pairs, batch_size=4, collate_fn=mixing)]
        [4, 2]
    """

    @known_options(Options)
    def __init__(
        self,
        recipe: Recipe | str,
        *,
        seed: int = 0,
        collate_fn: Collate = data.default_collate,
        smoothing: float = 0.0,
        **options: Unpack[Options],
    ) -> None:
        recipe = check_recipe("recipe", recipe)
        self.recipe = check_no_schedule("MixingCollate", recipe, "mix with ma.torch.loader, which knows the epoch")
        self.seed, self.collate_fn, self.options = seed, collate_fn, options
        self.smoothing = check_smoothing(smoothing)
        self.calls = 0  #: in the main process
        self._calls = Calls()
        self._enabled = torch.ones((), dtype=torch.bool).share_memory_()
        _say_loss(options.get("num_classes"))

    @property
    def enabled(self) -> bool:
        """Whether samples are mixed."""
        return bool(self._enabled)

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self._enabled.fill_(bool(enabled))

    def __call__(self, samples: Sequence[Any]) -> Batch:
        """The mixed batch of these samples."""
        check_samples(samples)
        at = self._calls.in_worker() or (0, self._counted())
        batch = _collate(samples, self.options.get("fields"), self.collate_fn)
        recipe, options = self.recipe, self.options
        if not self.enabled:
            recipe, options = identity(), options | {"include_clean": False, "copies": 1}
        mixed = mix_from(recipe, batch, None, None, key=self._calls.key(self.seed, *at), advises=False, **options)
        if not self.smoothing:
            return mixed
        return _smoothed(mixed, resolve(batch, options.get("fields"), options.get("num_classes")), self.smoothing)

    def _counted(self) -> int:
        self.calls += 1
        return self.calls - 1


def check_samples(samples: Sequence[Any]) -> None:
    """Refuse a batch of no samples, which has no form."""
    if not len(samples):
        raise ValueError(
            "samples: expected a list of one sample or more, got none; leave empty batches out of the batch_sampler"
        )


def _smoothed(mixed: Batch, kinds: Mapping[str, Field], smoothing: float) -> Batch:
    """A mixed batch with its labels smoothed."""
    labels = {name: kind for name, kind in kinds.items() if isinstance(kind, Labels)}
    if not labels:
        raise ValueError(
            f"smoothing: expected a field of labels, got {', '.join(map(repr, kinds))}; leave smoothing out, or name "
            "the labels in fields="
        )
    rows = tree.several(mixed, labels)
    towards_half = {name: kind.binary or not label_rule(kind.rule).sums_to_one for name, kind in labels.items()}
    return tree.replaced(mixed, {name: smooth(rows[name], smoothing, towards_half[name]) for name in labels})


def _say_loss(num_classes: int | None) -> None:
    """Say which loss fits, for the workers that mix and say nothing."""
    if num_classes is not None:
        loss_advice.say("torch")


def _in_memory(dataset: Any) -> Batch | None:
    """All samples of a dataset as one batch, where it holds them so: they are mixed as they lie, none is read first."""
    return list(dataset.tensors) if type(dataset) is data.TensorDataset else None


def _batch(dataset: Any, rows: list[int], fields: Fields | None, collate_fn: Collate = data.default_collate) -> Batch:
    """The samples at these rows as one batch, read all at once where the dataset can."""
    read = getattr(dataset, "__getitems__", None)
    samples = read(rows) if read else [dataset[row] for row in rows]
    return _collate(samples, fields, collate_fn)


def _collate(samples: Sequence[Any], fields: Fields | None, collate_fn: Collate) -> Batch:
    """What a function of the user's makes of samples; PyTorch's own can make no array of boxes of any number."""
    return collated(samples, fields, collate_fn) if collate_fn is data.default_collate else collate_fn(samples)


def _as_it_is(batch: Batch) -> Batch:
    return batch


def _checked_dataset(dataset: Any) -> Any:
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise TypeError(
            f"dataset: expected samples by index and a length, got {type(dataset).__name__}; "
            "mix the batches of an iterable one with ma.torch.Mixed or ma.mixed"
        )
    if not len(dataset):
        raise ValueError("dataset: expected one sample or more, got none; fill it first")
    return dataset


def _as_they_came(x: Any, given: Any) -> Any:
    """A mixed batch whose fields are the tv_tensors that were given, in dicts, tuples and lists too."""
    if isinstance(x, list) and isinstance(given, list) and given:
        return [_as_they_came(row, given[i % len(given)]) for i, row in enumerate(x)]  # there may be several copies
    if isinstance(x, dict) and isinstance(given, Mapping):
        return {name: _as_they_came(value, given.get(name)) for name, value in x.items()}
    if isinstance(x, tuple) and isinstance(given, tuple) and len(x) == len(given):
        return tree.like(x, [_as_they_came(*pair) for pair in zip(x, given, strict=True)])
    if not _is_tv_tensor(type(given)) or not isinstance(x, Tensor):
        return x
    return import_module("torchvision.tv_tensors").wrap(x, like=given)


@backends.trace_constant
def _is_tv_tensor(kind: type) -> bool:
    return kind.__module__.startswith("torchvision.tv_tensors")
