"""Which rows the outputs of a mix are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..backends import Array


class Rows(NamedTuple):
    """A field of a batch, and the rows that each output is made of."""

    base: Array | None  #: row i is the base sample of output i; None: the base samples are rows index[0] of `others`
    others: Array | None  #: what `index` counts the rows of; None: `base`
    index: Array  #: int32 (k, n)

    @property
    def example(self) -> Array:
        """An array of the field: all have the same library, dtype and shape of a row."""
        return self.others if self.base is None else self.base

    @property
    def arrays(self) -> list[Array]:
        """The arrays of the field."""
        return [array for array in (self.base, self.others) if array is not None]

    def map(self, function: Callable[[Array], Array]) -> Rows:
        """The same rows of other arrays, which the function returns of these."""
        base, others = (array if array is None else function(array) for array in (self.base, self.others))
        return Rows(base, others, self.index)
