"""PyTorch: a module for after the loader, a loader and a dataset whose samples do not depend on the workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Unpack

import numpy as np
import torch
from torch import Tensor
from torch.utils import data

from . import _xp, keys, loss_advice, tree
from ._xp import Array
from .batch import Batch, Options, collated, mix_batch, mix_from
from .class_weights import ClassWeights
from .epoch import Epoch, sample
from .fields import Field, Fields, Labels, resolve
from .label_rules import rule as label_rule
from .losses import check_smoothing, smooth
from .recipes import Recipe, check_recipe, identity
from .recipes.recipe import check_whole, ring

Collate = Callable[[Sequence[Any]], Batch]


class Mixed(torch.nn.Module):  # type: ignore[misc]
    """Mix batches after the loader: images first, labels second, or a dict of named fields.

        output = mix_batch(recipe, batch, key=(seed, step)), or key=(seed, epoch, step) where an epoch is said

    Args:
        recipe: what to mix by.
        seed: any int; where several processes train, give each its own.
        options: num_classes, fields, pairing, bank, include_clean, copies, class_weights, as for `ma.mix_batch`.
            Images are (n, c, *size) unless a field says otherwise.

    `step` is a persistent buffer that counts the calls: it is part of `state_dict`, so a resumed run goes on drawing
    where it stopped; load it in every process that trains. After `.eval()` batches pass unmixed, labels as they came.
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

    def __init__(self, recipe: Recipe, *, seed: int = 0, **options: Unpack[Options]) -> None:
        super().__init__()
        self.recipe = check_recipe("recipe", recipe)
        self.seed, self.options = seed, options
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
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
            return fields
        step = self._counted() if step is None else step
        key = (self.seed, step) if epoch is None else (self.seed, epoch, step)
        mixed = mix_batch(self.recipe, fields, key=key, **self.options)
        return _as_they_came(mixed, fields)

    def _counted(self) -> int | Tensor:
        """The count, which moves on: of a device the host counts along, or it would have to wait to be told."""
        if not _xp.of(self.step).on_accelerator(self.step) or self.step.is_inference():
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
        fields, class_weights: as for `ma.mix_batch`.

    `epoch` is public and starts at 0: set it before each pass (`set_epoch` does the same), or every epoch has the same
    mixes. It lies in shared memory, so workers that have started see it, persistent ones too.

    Raises:
        TypeError: a dataset without a length or an index, or what is no recipe.

    Example:
        >>> import mixaug as ma, torch
        >>> pairs = torch.utils.data.TensorDataset(torch.zeros(10, 1, 8, 8), torch.arange(10))
        >>> ds = ma.torch.MixedDataset(ma.MixUp(alpha=0.2), pairs, num_classes=10)
        >>> image, label = ds[3]
        >>> image.shape, label.shape
        (torch.Size([1, 8, 8]), torch.Size([10]))
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: Any,
        seed: int = 0,
        *,
        num_classes: int | None = None,
        fields: Fields | None = None,
        class_weights: ClassWeights | None = None,
    ) -> None:
        self.dataset = _checked_dataset(dataset)
        self.recipe = check_recipe("recipe", recipe)
        self.seed = seed
        self.options: dict[str, Any] = {"num_classes": num_classes, "fields": fields, "class_weights": class_weights}
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

    epoch: int
    step: int
    first: int  #: the number that its first row has among those of all ranks
    sources: Array  #: int64 (k, m), rows of the dataset


class EpochSampler(data.Sampler):  # type: ignore[misc]
    """Which rows each batch of an epoch is made of, for one rank of several: what `loader` hands to its workers.

        batch s of all ranks = positions s * batch_size * world_size .. of the epoch's order, cut into world_size runs

    Args:
        n: how many rows the dataset has.
        batch_size: rows a batch and rank.
        recipe: whose number of sources to say.
        seed: any int.
        partners: "batch", the rows of the same step (of all ranks), or "dataset", any rows.
        shuffle: whether each epoch has a random order, or the dataset's own.
        drop_last: whether to leave out the last step where it is short. Else it is cut into runs that differ by one row
            at most; a rank that would get none is given a row that another has too.
        rank: of this process.
        world_size: how many processes there are.

    `epoch` and `step` say where the next batch comes from; `state_dict` holds them.
    """

    def __init__(
        self,
        recipe: Recipe,
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
        check_whole("batch_size", batch_size, 1)
        check_whole("world_size", world_size, 1)
        if check_whole("rank", rank, 0) >= world_size:
            raise ValueError(f"rank: expected 0..{world_size - 1}, one of world_size, got {rank}")
        if partners not in ("batch", "dataset"):
            raise ValueError(f'partners: expected "batch" or "dataset", got {partners!r}')
        self.n, self.rows, self.seed, self.partners = n, batch_size * world_size, seed, partners
        self.recipe, self.shuffle, self.drop_last = recipe, shuffle, drop_last
        self.rank, self.world_size = rank, world_size
        self.epoch, self.step, self._begun = 0, 0, False
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
        this = Epoch(self.n, self.seed, epoch, self.shuffle)
        start, stop = step * self.rows, min((step + 1) * self.rows, self.n)
        if self.partners == "dataset":
            index = this.sources(start, stop, self.recipe.sources)
        else:
            key = keys.make((self.seed, epoch, step))
            index = this.rows(start, stop)[ring(_xp.common(), key, stop - start, self.recipe.sources)]
        first, end = ((stop - start) * rank // self.world_size for rank in (self.rank, self.rank + 1))
        return Request(epoch, step, first, index[:, first : max(end, first + 1)])

    def begin(self) -> None:
        """A pass begins: at `step` of `epoch`; where the last one was left in its middle, with the next epoch."""
        if self._begun:
            self.epoch, self.step = self.epoch + 1, 0
        self._begun = True

    def advance(self) -> None:
        """A batch has been handed over: the next one is another."""
        self.step += 1
        if self.step == len(self):
            self.epoch, self.step, self._begun = self.epoch + 1, 0, False

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
            ValueError: what is no state of a sampler of so many steps.
        """
        if set(state) != {"epoch", "step"} or not 0 <= state["step"] < len(self) or state["epoch"] < 0:
            raise ValueError(
                f"expected an epoch and a step in 0..{len(self) - 1}, got {dict(state)}; "
                "load the state of a loader of this dataset and batch size"
            )
        self.epoch, self.step, self._begun = state["epoch"], state["step"], False


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


def loader(
    recipe: Recipe,
    dataset: Any,
    batch_size: int,
    *,
    seed: int = 0,
    num_classes: int | None = None,
    fields: Fields | None = None,
    include_clean: bool = False,
    copies: int = 1,
    class_weights: ClassWeights | None = None,
    partners: str = "batch",
    shuffle: bool = True,
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
        class_weights: as there.
        partners: "batch": each sample is read once and mixed with others of its batch. "dataset": with any samples, so
            that as many are read as the recipe has sources; the batches are then those of `ma.batches`.
        shuffle: whether each epoch has a random order.
        drop_last: whether a short last batch is left out.
        rank: of this process; None: that of `torch.distributed` where it is initialised, else 0.
        world_size: how many processes there are; None: likewise, else 1. The ranks' batches of a step, one after
            another, are the batch that one process with `batch_size * world_size` rows would draw.
        collate_fn: makes a batch of samples, before they are mixed.
        options: num_workers, persistent_workers, multiprocessing_context, pin_memory, ... as for `DataLoader`.

    Returns:
        A DataLoader. Each pass is a new epoch: `loader.sampler.epoch` says which, `loader.sampler.set_epoch(e)` sets
        it. `loader.state_dict()` is taken after any batch, and `load_state_dict` goes on with the next one.

    What the dataset itself draws (random crops) is its own affair: PyTorch seeds that a worker.

    Raises:
        TypeError, ValueError: a dataset without rows, options that are the sampler's, what is no recipe.

    Example:
        >>> import mixaug as ma, torch
        >>> pairs = torch.utils.data.TensorDataset(torch.zeros(10, 1, 8, 8), torch.arange(10))
        >>> batches = ma.torch.loader(ma.CutMix(alpha=1.0), pairs, 4, num_classes=10)
        >>> [tuple(labels.shape) for images, labels in batches], batches.state_dict()
        ([(4, 10), (4, 10), (2, 10)], {'epoch': 1, 'step': 0})
    """
    check_recipe("recipe", recipe)
    for name in options.keys() & {"sampler", "batch_sampler"}:
        raise TypeError(
            f"loader: expected no {name}=, it makes its own; order the dataset instead, or use MixedDataset"
        )
    found = process()
    sampler = EpochSampler(
        recipe,
        len(_checked_dataset(dataset)),
        batch_size,
        seed=seed,
        partners=partners,
        shuffle=shuffle,
        drop_last=drop_last,
        rank=found[0] if rank is None else rank,
        world_size=found[1] if world_size is None else world_size,
    )
    mixing = Options(num_classes=num_classes, fields=fields, include_clean=include_clean, copies=copies)
    mixing["class_weights"] = class_weights
    _say_loss(num_classes)
    fetched = _Fetched(recipe, dataset, seed, collate_fn, mixing)
    return Loader(fetched, batch_size=None, sampler=sampler, collate_fn=_as_it_is, **options)


def process() -> tuple[int, int]:
    """The rank of this process, and how many there are, as far as `torch.distributed` is initialised: else 0 of 1."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


class _Fetched(data.Dataset):  # type: ignore[misc]
    """The mixed batch of each request, made in the worker that is asked."""

    def __init__(self, recipe: Recipe, dataset: Any, seed: int, collate_fn: Collate, options: Options) -> None:
        self.recipe, self.dataset, self.seed, self.collate_fn, self.options = recipe, dataset, seed, collate_fn, options

    def __getitem__(self, asked: Request) -> Batch:
        key = (self.seed, asked.epoch, asked.step)
        if (held := _in_memory(self.dataset)) is not None and self.collate_fn is data.default_collate:
            return mix_from(self.recipe, None, held, asked.sources, key=key, first=asked.first, **self.options)
        rows, place = np.unique(asked.sources, return_inverse=True)
        place = place.reshape(asked.sources.shape)
        source = _batch(self.dataset, rows.tolist(), self.options.get("fields"), self.collate_fn)
        return mix_from(self.recipe, None, source, place, key=key, first=asked.first, **self.options)


class MixingCollate:
    """A `collate_fn` that mixes, for a DataLoader that is there already: `loader` promises more.

        batch = mix_batch(recipe, collate_fn(samples), key=(seed, the worker's seed, calls so far in this worker))

    A collate function is not told which batch it makes, so this counts its calls. The mixes are drawn anew each epoch
    and are right, but which ones they are depends on the number of workers, on PyTorch's global seed and on what was
    loaded before; a resumed run draws others. It does not know the epoch either, so it takes no `ma.schedule`.
    Evaluation must not use it: give that loader another collate function.

    Args:
        recipe: what to mix by.
        seed: any int.
        collate_fn: makes a batch of samples, before they are mixed.
        smoothing: label smoothing of the mixed labels, 0 to below 1, as `ma.losses.smooth`; towards 1/2 for labels that
            are binary or mixed by a rule whose rows do not sum to 1.
        options: num_classes, fields, pairing, bank, include_clean, copies, class_weights, as for `ma.mix_batch`.

    `enabled` is public: set it to False between epochs, and samples pass unmixed from the next one on, once each, with
    labels of the same form, smoothed all the same. It lies in shared memory, so workers that have started see it,
    persistent ones too.

    Raises:
        TypeError, ValueError: if the recipe or `smoothing` is none, or there are no labels to be smoothed.

    Example:
        >>> import mixaug as ma, torch
        >>> pairs = torch.utils.data.TensorDataset(torch.zeros(6, 1, 8, 8), torch.arange(6))
        >>> mixing = ma.torch.MixingCollate(ma.MixUp(alpha=0.2), num_classes=6)
        >>> [labels.shape[0] for _, labels in torch.utils.data.DataLoader(pairs, batch_size=4, collate_fn=mixing)]
        [4, 2]
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        seed: int = 0,
        collate_fn: Collate = data.default_collate,
        smoothing: float = 0.0,
        **options: Unpack[Options],
    ) -> None:
        self.recipe = check_recipe("recipe", recipe)
        self.seed, self.collate_fn, self.options = seed, collate_fn, options
        self.smoothing = check_smoothing(smoothing)
        self.calls = 0
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
        worker = data.get_worker_info()
        key = keys.make((self.seed, 0 if worker is None else worker.seed, self.calls))._replace(epoch=None)
        self.calls += 1
        batch = _collate(samples, self.options.get("fields"), self.collate_fn)
        recipe, options = self.recipe, self.options
        if not self.enabled:
            recipe, options = identity(), options | {"include_clean": False, "copies": 1}
        mixed = mix_from(recipe, batch, None, None, key=key, advises=False, **options)
        if not self.smoothing:
            return mixed
        return _smoothed(mixed, resolve(batch, options.get("fields"), options.get("num_classes")), self.smoothing)


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
        raise ValueError("dataset: expected one sample or more, got none")
    return dataset


def _as_they_came(mixed: Batch, batch: Batch) -> Batch:
    """The mixed fields, those that came as tv_tensors as such."""
    given = tree.leaves(batch)
    return tree.each(mixed, lambda name, x: _wrapped(x, given.get(name)))


def _wrapped(x: Any, given: Any) -> Any:
    """A mixed value as the tv_tensor that was given, in lists and dicts of objects too."""
    if isinstance(x, list) and isinstance(given, list) and given:
        return [_wrapped(row, given[i % len(given)]) for i, row in enumerate(x)]  # there may be several copies
    if isinstance(x, dict) and isinstance(given, dict):
        return {name: _wrapped(value, given.get(name)) for name, value in x.items()}
    if not _is_tv_tensor(type(given)):
        return x
    return import_module("torchvision.tv_tensors").wrap(x, like=given)


@_xp.trace_constant
def _is_tv_tensor(kind: type) -> bool:
    return kind.__module__.startswith("torchvision.tv_tensors")
