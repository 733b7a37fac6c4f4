"""The keys of a transform that counts its own calls."""

from __future__ import annotations

from typing import Any

from torch.utils import data

from .. import backends
from ..core import keys
from ..core.keys import Key


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
        worker = worker_seed()
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
        return backends.ranks() or (() if worker_seed() is None else self._told)

    def __getstate__(self) -> dict[str, Any]:
        return {"_made": self._made, "_told": self._ranks()}


@backends.trace_constant
def worker_seed() -> int | None:
    """Return the seed of the DataLoader's worker that this runs in; None in the main process."""
    worker = data.get_worker_info()
    return None if worker is None else int(worker.seed)
