"""Which rows each batch of an epoch is made of."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch.utils import data

from .. import backends
from ..backends import Array
from ..core import keys
from ..core.keys import Key
from ..epoch import Epoch
from ..recipes import Recipe, check_recipe
from ..recipes.recipe import check_whole, ring


class Request(NamedTuple):
    """What a worker is asked for: the batch of one step."""

    key: Key
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
        this, key = Epoch(self.n, self.seed, epoch, self.shuffle), keys.make((self.seed, epoch, step))
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
                key = keys.make((self.seed, epoch, step, *backends.ranks()))
                yield self._request(key, _checked_ids(ids, self.n))

    def _request(self, key: Key, ids: Array) -> Request:
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


def _ring_of(ids: Array, key: Key, sources: int) -> Array:
    """int64 (sources, m): rows of the dataset, each with partners from among them."""
    index: Array = ids[ring(backends.common(), key, len(ids), sources)]
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
