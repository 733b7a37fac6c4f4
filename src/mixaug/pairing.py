"""Who is mixed with whom: a value beside the recipe, which may see the labels.

Without one, every other row is equally likely. All draw from the recipe's own key, and none changes what it draws.
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

_FOLD = -3  #: a pairing's words are those of the key with this number folded in


class Pairing(ABC):
    """A distribution over sources: a frozen value, drawn as a pure function of a key and what it needs to see."""

    needs: ClassVar[str | None] = None  #: "labels" or "values": the kind of the field that it has to see
    field: str | None = None  #: the name of that field, where it is not the first of its kind

    @abstractmethod
    def rows(self, xp: Library, key: Key, n: Dim, sources: int, seen: Array | None) -> list[Array]:
        """int32 (n,) for each source but the base sample; the own row where there is none to be had."""

    def index(
        self, n: Dim, sources: int, *, key: Sequence[Any], like: Array | None = None, seen: Array | None = None
    ) -> Array:
        """int32 (sources, n): the own row, then who it is mixed with: for `recipe.draw(..., index=)`.

        Args:
            n: how many rows the batch has.
            sources: how many an output has, `recipe.sources`.
            key: as for `recipe.draw`, and the same.
            like: an array whose library and device they shall be in; NumPy without one.
            seen: the labels or values that it has to see: class ids (n,) or (n, 1), a weight a class (n, classes), or
                numbers (n, ...).

        Raises:
            TypeError, ValueError: labels or values that are missing, of another library or of other rows.

        Example:
            >>> import mixaug as ma, numpy as np
            >>> ma.pairing.SameClass().index(4, 2, key=(0, 0), seen=np.array([0, 1, 0, 1]))
            array([[0, 1, 2, 3],
                   [2, 3, 0, 1]], dtype=int32)
        """
        made = keys.make(key)
        xp = backends.common(n, seen, *made[:2]) if like is None else backends.of(like, "like")
        if self.needs:
            _check_seen(xp, f"{type(self).__name__}: expected {self.needs} to pair by", n, seen)
        if isinstance(n, int) and n == 0:
            return xp.full((sources, 0), 0, "int32")
        return xp.stack([xp.arange(n), *self.rows(xp, made, n, sources, seen)])


@dataclass(frozen=True)
class Cyclic(Pairing):
    """The default: rows in a random order on a ring, each mixed with those further on. None is its own partner."""

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, seen: Array | None) -> list[Array]:  # noqa: ARG002
        """Those further on."""
        index = ring(xp, key, n, sources)
        return [index[j] for j in range(1, sources)]


@dataclass(frozen=True)
class Roll(Pairing):
    """The rows before each, `x.roll(shift)`: what torchvision does. Shuffle first; a sorted batch stays within a class.

    Args:
        shift: how far, 1 or more; source j is j * shift rows before.

    Raises:
        ValueError: a shift that is none.
    """

    shift: int = 1

    def __post_init__(self) -> None:
        keep(self, shift=check_whole("Roll shift", self.shift, 1))

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, seen: Array | None) -> list[Array]:  # noqa: ARG002
        """Those before."""
        return [(xp.arange(n) - j * self.shift) % n for j in range(1, sources)]


@dataclass(frozen=True)
class Flip(Pairing):
    """The batch in reverse, `x.flip(0)`: what timm does; a further source is the row after that. Shuffle first."""

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, seen: Array | None) -> list[Array]:  # noqa: ARG002
        """The rows from the end."""
        return [(n - 1 - xp.arange(n) + j - 1) % n for j in range(1, sources)]


@dataclass(frozen=True)
class Replacement(Pairing):
    """Any rows, equally likely and drawn again for each: some twice, some not at all, now and then the own one."""

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, seen: Array | None) -> list[Array]:  # noqa: ARG002
        """A row for each word."""
        bits = _words(xp, key, n, sources - 1)
        return [below(xp, n, bits[j]) for j in range(sources - 1)]


@dataclass(frozen=True)
class SameClass(Pairing):
    """Only rows of the same class, equally likely; a row that is alone in its class is left unmixed.

    Args:
        field: the name of the field that has the classes, such as "domain"; by default the first labels.
    """

    field: str | None = None
    needs: ClassVar[str | None] = "labels"

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, seen: Array | None) -> list[Array]:
        """Others of its class."""
        allowed = _same_class(xp, seen)
        return _nearest(xp, _on_the_ring(xp, key, n), [allowed] * (sources - 1))


@dataclass(frozen=True)
class OtherClass(Pairing):
    """Only rows of another class, equally likely; where there is but one class nothing is mixed.

    Args:
        field: the name of the field that has the classes, such as "domain"; by default the first labels.

    Tokozume et al. 2018, "Between-class Learning for Image Classification", pairs so.
    """

    field: str | None = None
    needs: ClassVar[str | None] = "labels"

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, seen: Array | None) -> list[Array]:
        """Others of another class."""
        allowed = ~_same_class(xp, seen)
        return _nearest(xp, _on_the_ring(xp, key, n), [allowed] * (sources - 1))


@dataclass(frozen=True)
class Balanced(Pairing):
    """Another row of a class that is drawn first: each class of the batch is as likely as any other.

    For imbalanced data: rare classes are sources as often as common ones (Galdran et al. 2021, "Balanced-MixUp for
    Highly Imbalanced Medical Image Classification", samples so from the dataset). Where the only row of the class is
    the own one, it is left unmixed.

    Args:
        field: the name of the field that has the classes, such as "domain"; by default the first labels.
    """

    field: str | None = None
    needs: ClassVar[str | None] = "labels"

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, seen: Array | None) -> list[Array]:
        """Rows of the class drawn for each source."""
        number, count = _numbered_classes(xp, n, _same_class(xp, seen))
        bits = _words(xp, key, n, sources - 1)
        drawn = [below(xp, count, bits[j]) for j in range(sources - 1)]
        return _nearest(xp, _on_the_ring(xp, key, n), [number[None, :] == one[:, None] for one in drawn])


@dataclass(frozen=True)
class Near(Pairing):
    """Rows whose values are near, for regression.

        chance of row j ~ exp(-|value[i] - value[j]|^2 / (2 sigma^2)),  j != i

    Args:
        sigma: how near, in the units of the values, above 0.
        field: the name of the field that has the values; by default the first of its kind.

    Raises:
        ValueError: a sigma that is none.

    Yao et al. 2022, "C-Mixup: Improving Generalization in Regression". Chances are computed in float32 in the library:
    partners are the same everywhere but where two are equally likely to a rounding.
    """

    sigma: float
    field: str | None = None
    needs: ClassVar[str | None] = "values"

    def __post_init__(self) -> None:
        keep(self, sigma=check_number("Near sigma", self.sigma, 0))

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, seen: Array | None) -> list[Array]:
        """The rows of the largest log-chance plus Gumbel noise: a sample without replacement."""
        values = xp.reshape(xp.cast(seen, "float64"), (n, -1))  # large numbers may lie close together
        apart = xp.cast((values[:, None, :] - values[None, :, :]) / self.sigma, "float32")
        noise = look_up(xp, _gumbel(), xp.transpose(_words(xp, key, n, n)))
        score = noise - xp.summed(apart * apart) * 0.5
        allowed = _other_rows(xp, n)
        return _best(xp, score, [allowed] * (sources - 1))


@dataclass(frozen=True)
class FromBank(Pairing):
    """Rows of a bank that stands after the batch, in a random order: what `bank=` of `ma.mix_batch` pairs by.

    Args:
        count: how many rows the bank has: row i of it is row n + i of the source.
    """

    count: Dim

    def rows(self, xp: Library, key: Key, n: Dim, sources: int, seen: Array | None) -> list[Array]:  # noqa: ARG002
        """For row i those from place i of the order on."""
        order = keys.shuffled(xp, key, self.count)
        return [n + xp.take(order, (xp.arange(n) + j) % self.count) for j in range(sources - 1)]


def _check_seen(xp: Library, what: str, n: Dim, seen: Array | None) -> None:
    if seen is None:
        raise ValueError(f"{what}, got none; pass seen=")
    if backends.of(seen, "seen") != xp:
        raise TypeError(f"{what} in {xp.display_name}, got {backends.display_name(seen)}; convert them first")
    rows = xp.shape(seen)[:1]
    if not rows or (isinstance(n, int) and isinstance(rows[0], int) and rows[0] != n):
        raise ValueError(f"{what}, {n} rows of them, got the shape {tuple(seen.shape)}; pass one a row")


def classes(xp: Library, labels: Array) -> Array:
    """int64 (n,): the class of each row, of class ids (n,) or (n, 1), or the heaviest of a weight a class."""
    if len(labels.shape) > 2:
        raise ValueError(
            f"pairing: expected labels (n,), (n, 1) or (n, classes) to pair by, got the shape {tuple(labels.shape)}; "
            "name such a field, as in ma.pairing.SameClass(field='labels')"
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
    """Bool (n, n): whether two rows are of one class."""
    ids = classes(xp, labels)
    return ids[:, None] == ids[None, :]


def _other_rows(xp: Library, n: Dim) -> Array:
    return xp.arange(n)[:, None] != xp.arange(n)[None, :]


def _on_the_ring(xp: Library, key: Key, n: Dim) -> Array:
    """int32 (n, n): how far on from row i row j is, on a ring of random order; 0 for the row itself."""
    rank = xp.argsort(keys.shuffled(xp, key, n))
    return (rank[None, :] - rank[:, None]) % n


def _nearest(xp: Library, far: Array, allowed: Sequence[Array]) -> list[Array]:
    """For each source the first allowed row on the ring that is not taken: all allowed ones are equally likely."""
    return _best(xp, -xp.cast(far, "float32"), [some & (far > 0) for some in allowed])


def _best(xp: Library, score: Array, allowed: Sequence[Array]) -> list[Array]:
    """int32 (n,) for each source: the allowed row of the highest score that is not taken, the own one where none is."""
    n = xp.shape(score)[0]
    own, nothing = xp.arange(n), xp.full((), float("-inf"), "float32")
    rows: list[Array] = []
    for some in allowed:
        left = xp.where(some, score, nothing)
        best = xp.cast(xp.argmax(left), "int32")
        rows.append(xp.where(xp.highest(left)[:, 0] > nothing, best, own))
        score = xp.where(own[None, :] == rows[-1][:, None], nothing, score)
    return rows


def _numbered_classes(xp: Library, n: Dim, same: Array) -> tuple[Array, Array]:
    """int32 (n,): the number of each row's class among the batch's, by first appearance; and how many there are."""
    at = xp.arange(n)
    first = xp.argmax(xp.cast(same, "float32"))
    leads = xp.cast(first, "int32") == at
    before = leads[None, :] & (at[None, :] < xp.cast(first, "int32")[:, None])
    return xp.summed(xp.cast(before, "int32")), xp.summed(xp.cast(leads, "int32"))


@backends.trace_constant
@lru_cache(maxsize=1)
def _gumbel() -> np.ndarray[Any, Any]:
    """The quantiles of the Gumbel distribution: float32 (ONE,)."""
    return np.asarray(-np.log(-np.log((np.arange(ONE) + 0.5) / ONE)), np.float32)
