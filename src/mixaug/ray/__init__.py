"""Ray Data: rows mixed with partners from the whole dataset, the same for any blocks, order and number of workers."""

from .mixed import mixed

__all__ = ["mixed"]
