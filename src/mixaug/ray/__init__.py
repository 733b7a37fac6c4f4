"""Ray Data: mix rows with partners from the whole dataset, whatever the blocks, their order and the workers."""

from .mixed import mixed

__all__ = ["mixed"]
