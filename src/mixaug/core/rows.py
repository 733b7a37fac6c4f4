"""The rows that the outputs of a mix are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..backends import Array


class Rows(NamedTuple):
    """A field of a batch, or a batch, and the rows that each output is made of."""

    base: Array | None  #: row i is the base sample of output i; if None, base samples are rows index[0] of `others`
    others: Array | None = None  #: the array that `index` refers to; if None, `base`
    index: Array = None  #: int32 (k, n); None if a recipe is still to draw it

    @property
    def example(self) -> Array:
        """One of the arrays of the field; all share library, dtype and the shape of a row."""
        return self.others if self.base is None else self.base

    @property
    def arrays(self) -> list[Array]:
        """The arrays of the field."""
        return [array for array in (self.base, self.others) if array is not None]

    def map(self, function: Callable[[Array], Array]) -> Rows:
        """Apply a function to each array."""
        base, others = (array if array is None else function(array) for array in (self.base, self.others))
        return Rows(base, others, self.index)
