"""Pairings: how the partners of each sample are chosen, optionally by labels or values.

By default, every other row of the batch is equally likely. A pairing uses the key of the recipe, and does not change
what the recipe draws.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from . import backends
from .backends import Array, Dim, Library
from .core import keys
from .core.keys import ONE, Key, below, look_up
from .recipes.recipe import check_number, check_whole, keep, ring

_FOLD = -3  #: folded into the key of the recipe for the random bits of a pairing


class Pairing(ABC):
    """A distribution over partners: a frozen value, drawn as a pure function of a key and the field it pairs by."""

    needs: ClassVar[str | None] = None  #: "labels" or "values", the kind of the field to pair by
    field: str | None = None  #: the name of that field; by default the first of its kind

    @abstractmethod
    def rows(self, xp: Library, key: Key, n: Dim, sources: int, by: Array | None) -> list[Array]:
        """Return the partners, int32 (n,) for each source after the base sample; the sample itself if there is none."""

    def index(
        self, n: Dim, sources: int, *, key: Sequence[Any], like: Array | None = None, by: Array | None = None
    ) -> Array:
        """Return the rows of the base samples and their partners, int32 (sources, n), for `recipe.draw(..., index=)`.

        Args:
            n: the number of rows of the batch.
            sources: the number of sources of an output, `recipe.sources`.
            key: the key that is passed to `recipe.draw`.
            like: an array that determines library and device; by default NumPy.
            by: the labels or values to pair by: class ids (n,) or (n, 1), a weight for each class (n, classes), or
                numbers (n, ...).

        Raises:
            TypeError, ValueError: if the labels or values are missing, or their library or number of rows is wrong.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> ma.pairing.SameClass().index(4, 2, key=(0, 0), by=np.array([0, 1, 0, 1]))
            array([[0, 1, 2, 3],
                   [2, 3, 0, 1]], dtype=int32)
        """
        folded = keys.make(key)
        xp = backends.common(n, by, *folded[:2]) if like is None else backends.of(like, "like")
        if self.needs:
            _check_by(xp, f"{type(self).__name__}: expected {self.needs} to pair by", n, by)
        if isinstance(n, int) and n == 0:
            return xp.full((sources, 0), 0, "int32")
        return xp.stack([xp.arange(n), *self.rows(xp, folded, n, sources, by)])


@dataclass(frozen=True)
class Cyclic(Pairing):
    """Pair rows with those that follow on a ring in random order: the default. No row is its own partner."""

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, by: Array | None) -> list[Array]:  # noqa: ARG002
        """Return the rows that follow on the ring."""
        index = ring(xp, key, n, sources)
        return [index[j] for j in range(1, sources)]


@dataclass(frozen=True)
class Roll(Pairing):
    """Pair each row with the one `shift` rows before, `x.roll(shift)`, like torchvision.

    Use it with shuffled data only: in a sorted batch, partners have the same class.

    Args:
        shift: the distance, 1 or more; source j is j * shift rows before.

    Raises:
        ValueError: if `shift` is not an integer of 1 or more.
    """

    shift: int = 1

    def __post_init__(self) -> None:
        keep(self, shift=check_whole("Roll shift", self.shift, 1))

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, by: Array | None) -> list[Array]:  # noqa: ARG002
        """Return the rows before."""
        return [(xp.arange(n) - j * self.shift) % n for j in range(1, sources)]


@dataclass(frozen=True)
class Flip(Pairing):
    """Pair each row with its mirror image in the batch, `x.flip(0)`, like timm.

    Further sources are the rows after that. Use it with shuffled data only.
    """

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, by: Array | None) -> list[Array]:  # noqa: ARG002
        """Return the rows in reverse order."""
        return [(n - 1 - xp.arange(n) + j - 1) % n for j in range(1, sources)]


@dataclass(frozen=True)
class Replacement(Pairing):
    """Draw partners with replacement: all rows are equally likely, including the sample itself."""

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, by: Array | None) -> list[Array]:  # noqa: ARG002
        """Return a random row for each output."""
        bits = _words(xp, key, n, sources - 1)
        return [below(xp, n, bits[j]) for j in range(sources - 1)]


@dataclass(frozen=True)
class SameClass(Pairing):
    """Pair rows of the same class, all equally likely; the only row of a class is not mixed.

    Args:
        field: the name of the field of classes, such as "domain"; by default the first labels.
    """

    field: str | None = None
    needs: ClassVar[str | None] = "labels"

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, by: Array | None) -> list[Array]:
        """Return other rows of the same class."""
        allowed = _same_class(xp, by)
        return _nearest(xp, _ring_distance(xp, key, n), [allowed] * (sources - 1))


@dataclass(frozen=True)
class OtherClass(Pairing):
    """Pair rows of different classes, all equally likely; a batch of a single class is not mixed.

    Args:
        field: the name of the field of classes, such as "domain"; by default the first labels.

    Tokozume et al. 2018, "Between-class Learning for Image Classification".
    """

    field: str | None = None
    needs: ClassVar[str | None] = "labels"

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, by: Array | None) -> list[Array]:
        """Return rows of other classes."""
        allowed = ~_same_class(xp, by)
        return _nearest(xp, _ring_distance(xp, key, n), [allowed] * (sources - 1))


@dataclass(frozen=True)
class Balanced(Pairing):
    """Draw a class uniformly among those of the batch, then another row of that class.

    With imbalanced data, rare classes become partners as often as common ones. A sample is not mixed if it is the only
    row of the class drawn for it.

    Args:
        field: the name of the field of classes, such as "domain"; by default the first labels.

    Galdran et al. 2021, "Balanced-MixUp for Highly Imbalanced Medical Image Classification", sample this way from the
    whole dataset.
    """

    field: str | None = None
    needs: ClassVar[str | None] = "labels"

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, by: Array | None) -> list[Array]:
        """Return rows of the class drawn for each source."""
        number, count = _numbered_classes(xp, n, _same_class(xp, by))
        bits = _words(xp, key, n, sources - 1)
        drawn = [below(xp, count, bits[j]) for j in range(sources - 1)]
        return _nearest(xp, _ring_distance(xp, key, n), [number[None, :] == cls[:, None] for cls in drawn])


@dataclass(frozen=True)
class Near(Pairing):
    """Pair rows with similar values, for regression.

        P(partner of i is j) ~ exp(-|value[i] - value[j]|^2 / (2 sigma^2)),  j != i

    Args:
        sigma: the bandwidth, in the units of the values, > 0.
        field: the name of the field of values; by default the first of its kind.

    Raises:
        ValueError: if `sigma` is not a finite number > 0.

    Yao et al. 2022, "C-Mixup: Improving Generalization in Regression". Probabilities are computed in float32 by the
    library: libraries may differ where two partners are equally likely up to rounding.
    """

    sigma: float
    field: str | None = None
    needs: ClassVar[str | None] = "values"

    def __post_init__(self) -> None:
        keep(self, sigma=check_number("Near sigma", self.sigma, 0))

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, by: Array | None) -> list[Array]:
        """Return the rows of greatest log-probability plus Gumbel noise: a sample without replacement."""
        values = xp.reshape(xp.cast(by, "float64"), (n, -1))  # differences of large numbers need float64
        difference = xp.cast((values[:, None, :] - values[None, :, :]) / self.sigma, "float32")
        noise = look_up(xp, _gumbel(), xp.transpose(_words(xp, key, n, n)))
        score = noise - xp.summed(difference * difference) * 0.5
        allowed = _other_rows(xp, n)
        return _best(xp, score, [allowed] * (sources - 1))


@dataclass(frozen=True)
class FromBank(Pairing):
    """Pair rows of the batch with rows of a bank in random order: the pairing of `bank=` in `ma.mix_batch`.

    Args:
        count: the number of rows of the bank, which follows the batch: its row i is row n + i of the source.
    """

    count: Dim

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, by: Array | None) -> list[Array]:  # noqa: ARG002
        """Return for row i the rows of the bank from position i of a random order."""
        order = keys.shuffled(xp, key, self.count)
        return [n + xp.take(order, (xp.arange(n) + j) % self.count) for j in range(sources - 1)]


def _check_by(xp: Library, what: str, n: Dim, by: Array | None) -> None:
    if by is None:
        raise ValueError(f"{what}, got None; pass by=")
    if backends.of(by, "by") != xp:
        raise TypeError(f"{what} in {xp.display_name}, got {backends.display_name(by)}; convert them first")
    rows = xp.shape(by)[:1]
    if not rows or (isinstance(n, int) and isinstance(rows[0], int) and rows[0] != n):
        raise ValueError(f"{what}, with {n} rows, got the shape {tuple(by.shape)}; pass one for each row")


def classes(xp: Library, labels: Array) -> Array:
    """Return the class of each row, int64 (n,), from class ids (n,) or (n, 1), or as the argmax of class weights."""
    if len(labels.shape) > 2:
        raise ValueError(
            f"pairing: expected labels (n,), (n, 1) or (n, classes) to pair by, got the shape {tuple(labels.shape)}; "
            "name a field of that shape, as in ma.pairing.SameClass(field='labels')"
        )
    if not any(kind in xp.dtype(labels) for kind in ("int", "float", "bool")):
        raise TypeError(
            f"pairing: expected labels of integers, floats or bools to pair by, got {xp.dtype(labels)}; cast them, "
            "such as labels.real.astype('int64')"
        )
    if len(labels.shape) == 1 or labels.shape[1] == 1:
        return xp.cast(xp.reshape(labels, (-1,)), "int64")
    return xp.cast(xp.argmax(labels if "float" in xp.dtype(labels) else xp.cast(labels, "float32")), "int64")


def _words(xp: Library, key: Key, n: Dim, count: Dim) -> Array:
    return keys.random_bits(xp, keys.fold_in(key, _FOLD), xp.cast(xp.arange(n), "uint32"), count)


def _same_class(xp: Library, labels: Array) -> Array:
    """Return whether two rows have the same class, bool (n, n)."""
    ids = classes(xp, labels)
    return ids[:, None] == ids[None, :]


def _other_rows(xp: Library, n: Dim) -> Array:
    return xp.arange(n)[:, None] != xp.arange(n)[None, :]


def _ring_distance(xp: Library, key: Key, n: Dim) -> Array:
    """Return the distance from row i to row j on a ring in random order, int32 (n, n); 0 for the row itself."""
    rank = xp.argsort(keys.shuffled(xp, key, n))
    return (rank[None, :] - rank[:, None]) % n


def _nearest(xp: Library, distance: Array, allowed: Sequence[Array]) -> list[Array]:
    """Return the nearest unused allowed row for each source: all allowed rows are equally likely."""
    return _best(xp, -xp.cast(distance, "float32"), [mask & (distance > 0) for mask in allowed])


def _best(xp: Library, score: Array, allowed: Sequence[Array]) -> list[Array]:
    """Return the unused allowed row of greatest score for each source, int32 (n,); the sample itself if there is none.

    A row is used if it is a partner of the same sample already.
    """
    n = xp.shape(score)[0]
    own, lowest = xp.arange(n), xp.full((), float("-inf"), "float32")
    rows: list[Array] = []
    for mask in allowed:
        candidates = xp.where(mask, score, lowest)
        best = xp.cast(xp.argmax(candidates), "int32")
        rows.append(xp.where(xp.highest(candidates)[:, 0] > lowest, best, own))
        score = xp.where(own[None, :] == rows[-1][:, None], lowest, score)
    return rows


def _numbered_classes(xp: Library, n: Dim, same: Array) -> tuple[Array, Array]:
    """Number the classes by first appearance: return the number of each row's class, int32 (n,), and the count."""
    row = xp.arange(n)
    first = xp.argmax(xp.cast(same, "float32"))
    is_first = xp.cast(first, "int32") == row
    before = is_first[None, :] & (row[None, :] < xp.cast(first, "int32")[:, None])
    return xp.summed(xp.cast(before, "int32")), xp.summed(xp.cast(is_first, "int32"))


@backends.trace_constant
@lru_cache(maxsize=1)
def _gumbel() -> np.ndarray[Any, Any]:
    """Return the quantiles of the Gumbel distribution, float32 (ONE,)."""
    return np.asarray(-np.log(-np.log((np.arange(ONE) + 0.5) / ONE)), np.float32)
