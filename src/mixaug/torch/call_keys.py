"""Keys for transforms that count their own calls."""

from __future__ import annotations

from typing import Any

from torch.utils import data

from .. import backends
from ..core import keys
from ..core.keys import Key


class CallKeys:
    """Keys for the calls of one transform, distinct in every worker, epoch and rank.

        (seed, step)                   in the main process
        (seed, worker seed, call)      in a DataLoader worker; PyTorch reseeds the workers every epoch
        (..., rank)                    if several ranks train

    Calls in a worker are counted here, because persistent workers keep their seed.
    """

    def __init__(self) -> None:
        self._calls = 0  # calls in this worker so far
        self._parent_ranks: tuple[int, ...] = ()  # the rank of the process that spawned this worker

    def worker_call(self) -> tuple[int, ...]:
        """Count a call in a worker: return (worker seed, call number), or () in the main process."""
        seed = worker_seed()
        if seed is None:
            return ()
        self._calls += 1
        return seed, self._calls - 1

    def key(self, seed: int, *numbers: Any, epoch: Any = None) -> Key:
        """Return the key (seed, *numbers, *ranks), with the epoch after the seed if there is one."""
        counters = numbers if epoch is None else (epoch, *numbers)
        low, high, _ = keys.make((seed, *counters, *self._ranks()))
        return Key(low, high, epoch)

    def _ranks(self) -> tuple[int, ...]:
        return backends.ranks() or (() if worker_seed() is None else self._parent_ranks)

    def __getstate__(self) -> dict[str, Any]:
        return {"_calls": self._calls, "_parent_ranks": self._ranks()}


@backends.trace_constant
def worker_seed() -> int | None:
    """Return the seed of the current DataLoader worker, or None in the main process."""
    worker = data.get_worker_info()
    return None if worker is None else int(worker.seed)
