"""The array libraries: what the maths needs of one, and which one an array belongs to.

Each library is a module of this folder with the functions of `Library`. Nothing else in the core names a library,
and none is imported before an array of it has been handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Protocol, TypeAlias, TypeVar, cast

Array: TypeAlias = Any  #: an array of any supported library
F = TypeVar("F", bound=Callable[..., Any])
Dim: TypeAlias = Any  #: a length: an int, or a scalar tensor where it is unknown until run time

TITLES = {"numpy": "NumPy", "tensorflow": "TensorFlow"}


class Library(Protocol):
    """What the maths needs of an array library. Dtypes are named by strings ("uint32") or are the library's own."""

    def is_array(self, x: object) -> bool: ...
    def constant(self, x: Any) -> Array: ...
    def cast(self, x: Array, dtype: Any) -> Array: ...
    def copy(self, x: Array) -> Array: ...
    def dtype(self, x: Array) -> str: ...
    def shape(self, x: Array) -> tuple[Dim, ...]: ...
    def concrete(self, x: Array) -> Any: ...
    def arange(self, n: Dim) -> Array: ...
    def full(self, shape: Sequence[Dim], value: Any, dtype: str) -> Array: ...
    def stack(self, xs: Sequence[Array], axis: int = 0) -> Array: ...
    def broadcast(self, x: Array, shape: Sequence[Dim]) -> Array: ...
    def reshape(self, x: Array, shape: Sequence[Dim]) -> Array: ...
    def transpose(self, x: Array) -> Array: ...
    def take(self, x: Array, index: Array, axis: int = 0) -> Array: ...
    def where(self, condition: Array, x: Array, y: Array) -> Array: ...
    def argsort(self, x: Array) -> Array: ...
    def total(
        self, x: Array, axes: tuple[int, ...]
    ) -> Array: ...  # float32; exact for bools, else accumulated in float64
    def maximum(self, x: Array, y: Any) -> Array: ...
    def minimum(self, x: Array, y: Any) -> Array: ...
    def floor(self, x: Array) -> Array: ...
    def rint(self, x: Array) -> Array: ...
    def exp(self, x: Array) -> Array: ...
    def add(self, x: Array, y: Any) -> Array: ...
    def rotate_left(self, x: Array, bits: int) -> Array: ...
    def shift_right(self, x: Array, bits: int) -> Array: ...
    def split(self, number: Array) -> tuple[Array, Array]: ...


def opaque(function: F) -> F:
    """Mark a function as one that TensorFlow's autograph shall call as it is: its Python is all done while tracing."""
    function.autograph_info__ = {"do_not_convert": True}  # type: ignore[attr-defined]
    return function


def _module(root: str) -> Library:
    return cast(Library, import_module(f"{__name__}.{root}"))


def title(x: object) -> str:
    """What to call the library of `x` in a sentence: "NumPy", or the type's name where it is no known array."""
    root = _root(x)
    return TITLES[root] if root else type(x).__name__


def _root(x: object) -> str | None:
    """The supported package that the type of `x`, or a type it derives from, is defined in."""
    roots = (cls.__module__.partition(".")[0] for cls in type(x).__mro__)
    return next((root for root in roots if root in TITLES), None)


def find(x: object) -> Library | None:
    """The library that `x` is an array of, or None."""
    root = _root(x)
    xp = _module(root) if root else None
    return xp if xp and xp.is_array(x) else None


def of(x: object, what: str = "x") -> Library:
    """The library that `x` is an array of; a TypeError where it is of none."""
    xp = find(x)
    if xp is None:
        known = " or ".join(TITLES.values())
        raise TypeError(f"{what}: expected an array of {known}, got {type(x).__name__}; convert it first")
    return xp


def common(*xs: object) -> Library:
    """The one library of those of `xs` that are arrays beyond NumPy's; NumPy where none is."""
    roots = {root for root in map(_root, xs) if root not in (None, "numpy")}
    if len(roots) > 1:
        raise TypeError(f"expected arrays of one library, got {' and '.join(sorted(TITLES[str(r)] for r in roots))}")
    return _module(str(roots.pop()) if roots else "numpy")


def same(named: dict[str, object]) -> Library:
    """The one library that all arrays belong to; a TypeError that names two fields where they differ."""
    (first, x), *others = named.items()
    xp = of(x, first)
    for name, y in others:
        if of(y, name) is not xp:
            raise TypeError(
                f"expected all arrays of one library, got {title(x)} for {first!r} and {title(y)} for {name!r}; "
                "convert one of them"
            )
    return xp
