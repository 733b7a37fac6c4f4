"""Count the epochs of a `PyDataset` from the calls that Keras makes."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field


@dataclass
class EpochCounter:
    """Counts epochs, ignoring the calls of Keras that do not end a pass over the data.

    Before `fit`, Keras may end an epoch that never began, or read the first batches and then end the epoch. The end of
    an epoch that never began is provisional: it counts until the next epoch begins, and only in the process and thread
    that ended it, because Keras starts its workers just before the epoch begins. An epoch that began does not count if
    only some of its batches were read.
    """

    epoch: int = 0
    has_begun: bool = False
    provisional: tuple[int, int] | None = None  #: the process and thread that ended an epoch that had not begun
    read: set[int] = field(default_factory=set)  #: batches read since the last end; empty if processes read them

    def current(self) -> int:
        """Return the epoch for this process and thread."""
        return self.epoch - (self.provisional is not None and self.provisional != _current_thread())

    def begin(self) -> None:
        """Begin an epoch; workers may have read batches of it already."""
        self.epoch -= self.provisional is not None
        self.has_begun, self.provisional = True, None

    def end(self, num_batches: int | None) -> None:
        """End an epoch of so many batches."""
        is_partial = self.has_begun and num_batches is not None and 0 < len(self.read) < num_batches
        self.provisional = None if self.has_begun else _current_thread()
        self.epoch += not is_partial
        self.has_begun, self.read = False, set()


def _current_thread() -> tuple[int, int]:
    """The current process and thread."""
    return os.getpid(), threading.get_ident()
