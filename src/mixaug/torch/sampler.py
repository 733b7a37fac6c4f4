"""Samplers of `loader`: the rows that each batch of an epoch is made of."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils import data

from .. import backends
from ..backends import Array
from ..core import keys
from ..core.hints import short
from ..core.keys import Key
from ..epoch import Epoch
from ..recipes import Recipe
from ..recipes.recipe import check_whole, ring


class BatchRequest(NamedTuple):
    """What a worker needs to make the batch of one step."""

    key: Key
    numbers: Array  #: int64 (m,), the numbers of the outputs among those of all ranks
    sources: Array  #: int64 (k, m), rows of the dataset


class Shard(NamedTuple):
    """The part of each step that one rank of several computes."""

    rank: int = 0
    world_size: int = 1

    @classmethod
    def of_process(cls, rank: int | None, world_size: int | None) -> Shard:
        """Return a checked shard; None is read from `torch.distributed` if it is initialized, else 0 of 1."""
        ranks = backends.ranks()
        current = cls(ranks[0], torch.distributed.get_world_size()) if ranks else cls()
        rank = current.rank if rank is None else rank
        world_size = check_whole("world_size", current.world_size if world_size is None else world_size, 1)
        if check_whole("rank", rank, 0) >= world_size:
            raise ValueError(
                f"rank: expected 0..{world_size - 1}, because world_size is {world_size}, got {rank}; "
                "number the ranks from 0"
            )
        return cls(rank, world_size)


class StepSampler(data.Sampler):  # type: ignore[misc]
    """Yields the request of each step, and tracks the epoch and the step of the next batch."""

    def __init__(self, recipe: Recipe, seed: int) -> None:
        self.recipe, self.seed = recipe, seed
        self.epoch, self.step, self._in_pass = 0, 0, False

    def begin(self) -> None:
        """Begin a pass at the current epoch and step, or at the next epoch if the last pass was abandoned."""
        if self._in_pass:
            self.epoch, self.step = self.epoch + 1, 0
        self._in_pass = True

    def advance(self) -> None:
        """Count a batch that the loader has yielded."""
        is_last = self._is_last()
        self.step += 1
        if is_last:
            self.epoch, self.step, self._in_pass = self.epoch + 1, 0, False

    def _is_last(self) -> bool:
        raise NotImplementedError

    def _num_steps(self) -> int | None:
        """The number of steps per epoch, None if it is not certain."""
        raise NotImplementedError

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next pass. A state loaded for the same epoch keeps its step."""
        if epoch != self.epoch or self._in_pass:
            self.epoch, self.step, self._in_pass = check_whole("epoch", epoch, 0), 0, False

    def state_dict(self) -> dict[str, int]:
        """Return the epoch and the step of the next batch."""
        return {"epoch": self.epoch, "step": self.step}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue from this state with the next pass.

        Raises:
            ValueError: if `state` is not a valid state for this number of steps.
        """
        count = self._num_steps()
        steps = "a step of 0 or more" if count is None else f"a step in 0..{count - 1}"
        is_valid = set(state) == {"epoch", "step"} and state["epoch"] >= 0 and state["step"] >= 0
        if not is_valid or (count is not None and state["step"] >= count):
            raise ValueError(
                f"expected an epoch and {steps}, got {dict(state)}; "
                "load the state of a loader of this dataset and batch size"
            )
        self.epoch, self.step, self._in_pass = state["epoch"], state["step"], False


class EpochSampler(StepSampler):
    """Requests for one rank's share of each batch of an epoch.

        step s of all ranks = positions s * batch_size * world_size .. of the epoch's order, split into world_size runs

    Args:
        recipe: its number of sources is used.
        n: number of rows in the dataset.
        batch_size: rows per batch on each rank.
        shard: the rank of this process and the number of ranks.
        seed: any int.
        partners: "batch", rows of the same step on any rank, or "dataset", any rows.
        shuffle: whether to shuffle each epoch.
        drop_last: whether to drop the last step if it is short. Otherwise it is split into runs that differ by at most
            one row; a rank whose run would be empty gets a row of another rank.
    """

    def __init__(
        self,
        recipe: Recipe,
        n: int,
        batch_size: int,
        shard: Shard,
        *,
        seed: int,
        partners: str,
        shuffle: bool,
        drop_last: bool,
    ) -> None:
        super().__init__(recipe, seed)
        if partners not in ("batch", "dataset"):
            raise ValueError(f'partners: expected "batch" or "dataset", got {partners!r}')
        self.n, self.rows_per_step, self.shard = n, batch_size * shard.world_size, shard
        self.partners, self.shuffle, self.drop_last = partners, shuffle, drop_last
        if not len(self):
            raise ValueError(
                f"expected {self.rows_per_step} rows or more for one step of {shard.world_size} x {batch_size}, "
                f"got {n}; lower batch_size, or leave drop_last out"
            )

    def __len__(self) -> int:
        return self.n // self.rows_per_step if self.drop_last else -(-self.n // self.rows_per_step)

    def __iter__(self) -> Iterator[BatchRequest]:
        epoch = self.epoch
        return (self.request(epoch, step) for step in range(self.step, len(self)))

    def request(self, epoch: int, step: int) -> BatchRequest:
        """Return the request for this rank's batch of a step."""
        order, key = Epoch(self.n, self.seed, epoch, self.shuffle), keys.make((self.seed, epoch, step))
        start, stop = step * self.rows_per_step, min((step + 1) * self.rows_per_step, self.n)
        if self.partners == "dataset":
            sources = order.sources(start, stop, self.recipe.sources)
        else:
            sources = _sources_within(order.rows(start, stop), key, self.recipe.sources)
        rank, world_size = self.shard
        first, end = ((stop - start) * bound // world_size for bound in (rank, rank + 1))
        end = max(end, first + 1)
        return BatchRequest(key, np.arange(first, end), sources[:, first:end])

    def _is_last(self) -> bool:
        return self.step + 1 == len(self)

    def _num_steps(self) -> int | None:
        return len(self)


class IndexSampler(StepSampler):
    """Requests for batches of rows that another sampler draws, each mixed within itself.

        batch s of an epoch = batch s of the other sampler, mixed under the key (seed, epoch, s)

    Args:
        recipe: its number of sources is used.
        n: number of rows in the dataset.
        batches: an iterable of lists of row numbers, iterated over once an epoch, such as PyTorch's `BatchSampler`.
        seed: any int.

    If several ranks train, the rank is the last number of the key. Before each pass, `set_epoch` of `batches`, or of
    its `sampler`, is called if it exists; an epoch that was set there is adopted.
    """

    def __init__(self, recipe: Recipe, n: int, batches: Iterable[Sequence[Any]], *, seed: int) -> None:
        super().__init__(recipe, seed)
        self.n, self.batches = n, batches
        samplers: tuple[Any, ...] = (batches, getattr(batches, "sampler", None))
        self._samplers = [sampler for sampler in samplers if hasattr(sampler, "set_epoch")]
        self._synced_epoch = self._sampler_epoch()
        self._last: tuple[int, int] | None = None  # epoch and step of the last batch, once it is known

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[BatchRequest]:
        self._last = None
        return self._requests(self.epoch, self.step)

    def _requests(self, epoch: int, start: int) -> Iterator[BatchRequest]:
        batches = enumerate(self.batches)
        following = next(batches, None)
        while following is not None:
            (step, rows), following = following, next(batches, None)
            if following is None:
                self._last = epoch, step
            if step >= start:
                key = keys.make((self.seed, epoch, step, *backends.ranks()))
                yield self._request(key, _checked_rows(rows, self.n))

    def _request(self, key: Key, rows: Array) -> BatchRequest:
        return BatchRequest(key, np.arange(len(rows)), _sources_within(rows, key, self.recipe.sources))

    def _is_last(self) -> bool:
        return (self.epoch, self.step) == self._last

    def _num_steps(self) -> int | None:  # a sampler's length may be missing or an estimate
        return None

    def begin(self) -> None:
        """Begin a pass, and synchronize the epoch with the other sampler."""
        super().begin()
        sampler_epoch = self._sampler_epoch()
        if sampler_epoch not in (self._synced_epoch, self.epoch):
            self.epoch, self.step = sampler_epoch, 0
        self._sync_epoch()

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next pass, and that of the other sampler."""
        super().set_epoch(epoch)
        self._sync_epoch()

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue from this state, and set the epoch of the other sampler."""
        super().load_state_dict(state)
        self._sync_epoch()

    def _sampler_epoch(self) -> Any:
        epochs = (getattr(sampler, "epoch", None) for sampler in self._samplers)
        return next((epoch for epoch in epochs if isinstance(epoch, int)), None)

    def _sync_epoch(self) -> None:
        for sampler in self._samplers:
            sampler.set_epoch(self.epoch)
        self._synced_epoch = self._sampler_epoch()


def _sources_within(rows: Array, key: Key, sources: int) -> Array:
    """int64 (sources, m): rows of the dataset, each with partners from among them."""
    index: Array = rows[ring(backends.common(), key, len(rows), sources)]
    return index


def _checked_rows(rows: Any, n: int) -> Array:
    """int64 (m,): the row numbers of a batch."""
    try:
        numbers = np.array([operator.index(row) for row in rows], np.int64)
    except TypeError:
        raise TypeError(
            f"sampler: expected row numbers, got {short(rows)}; pass batches of them as batch_sampler="
        ) from None
    if not numbers.size or numbers.min() < 0 or numbers.max() >= n:
        came = f"{numbers.min()}..{numbers.max()}" if numbers.size else "an empty batch"
        raise IndexError(f"sampler: expected row numbers in 0..{n - 1}, got {came}; make it for this dataset")
    return numbers
