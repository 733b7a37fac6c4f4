"""Memory for outputs: lent, and lent again when nothing refers to it any more.

The pages of fresh memory are made when they are first written to, which takes longer than to mix what is written. So
large outputs take the memory of former ones that are gone: it comes back when the last array goes that looks into it,
a tensor of another library too.
"""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np

Memory: TypeAlias = np.ndarray[Any, Any]

ALIGNED = 64  #: bytes: TensorFlow and XLA take such memory as it is
_LARGE = 1 << 18  # bytes below which the system's own allocator does as well
_KEPT = 3  # how many of a size are kept while nothing refers to them

_SIZES = 8  # of how many sizes: more come of images of all sizes, whose memory does not come back

_IDLE = 1 << 28  # how many bytes in all

_free: dict[int, list[Memory]] = {}
os.register_at_fork(after_in_child=_free.clear)


class _Loan:
    """What an array looks into; when no array does any more, it is free again."""

    def __init__(self, size: int) -> None:
        if size not in _free and len(_free) >= _SIZES:
            _free.clear()
        try:
            self.memory = _free[size].pop()
        except LookupError:
            self.memory = _aligned(size)
        self.__array_interface__ = self.memory.__array_interface__

    def __del__(
        self, free: dict[int, list[Memory]] = _free, most: int = _KEPT, in_all: int = _IDLE
    ) -> None:  # by default values, for names may be gone when a program ends
        kept = free.setdefault(self.memory.nbytes, [])
        idle = sum(size * len(each) for size, each in list(free.items()))
        if len(kept) < most and idle + self.memory.nbytes <= in_all:
            kept.append(self.memory)


def memory(size: int) -> Memory:
    """So many bytes, uint8, that nothing else refers to; at an address that is a multiple of 64."""
    return _aligned(size) if size < _LARGE else np.asarray(_Loan(size))


def _aligned(size: int) -> Memory:
    room = np.empty(size + ALIGNED, np.uint8)
    start = -room.ctypes.data % ALIGNED
    return room[start : start + size]
