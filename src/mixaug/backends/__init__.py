"""The array libraries: what the maths needs of one, and which one an array belongs to.

Each library is a module of this folder with the functions of `Library`. Nothing else in the core names a library,
and none is imported before an array of it has been handed in.
"""

from __future__ import annotations

import logging  # noqa: F401 - Numba imports it, and its handlers at forks have to be registered before ours
import os
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, wraps
from importlib import import_module
from typing import Any, Protocol, TypeAlias, TypeVar, cast

Array: TypeAlias = Any  #: an array of any supported library
F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)
Dim: TypeAlias = Any  #: a length: an int, or a scalar tensor where it is unknown until run time

DISPLAY_NAMES = {"numpy": "NumPy", "tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}
TREES: list[Any] = []  #: classes whose values pass through the functions of a library as the arrays that they hold


_LOADED: dict[str, Any] = {}
_NO_ARRAYS = (int, type(None))
_KERNELS: dict[str, Any] = {}

_IMPORTS = threading.RLock()
FORK_LOCKS: list[Any] = [_IMPORTS]  #: a process holds these while it forks: those of imports, then of compilation
_held_for_fork: list[Any] = []


def _before_fork() -> None:
    """Wait for other threads that import or compile: their locks would stay locked in the child for ever."""
    for lock in FORK_LOCKS:
        lock.__enter__()
        _held_for_fork.append(lock)


def _after_fork() -> None:
    while _held_for_fork:
        _held_for_fork.pop().__exit__(None, None, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


class Library(Protocol):
    """What the maths needs of an array library. Dtypes are named by strings ("uint32") or are the library's own."""

    @property
    def name(self) -> str: ...
    @property
    def display_name(self) -> str: ...
    @property
    def layout(self) -> str: ...  # that of images, as its users keep them
    def compiled(self, function: F) -> F: ...  # by a compiler that may round differently, where there is one
    def draw_kernels(self) -> Any: ...  # the module kernels.draw for NumPy arrays if Numba is installed; else None
    def constant(self, x: Any) -> Array: ...
    def constants(self, xs: Sequence[Any]) -> list[Array]: ...  # of NumPy, brought there at once
    def table(self, x: Any) -> Array: ...  # of NumPy, and never written to: brought there once
    def uint32(self, bits: int) -> Array: ...  # a scalar uint32
    def cast(self, x: Array, dtype: Any) -> Array: ...
    def copy(self, x: Array) -> Array: ...
    def dtype(self, x: Array) -> str: ...
    def shape(self, x: Array) -> tuple[Dim, ...]: ...
    def concrete(self, x: Array) -> Any: ...
    def on_accelerator(
        self, x: Array
    ) -> bool: ...  # it holds its values, and no host sees them: it lies on an accelerator
    def form(self, x: Array) -> Any: ...  # type, dtype, shape and device, to be compared; None if it is traced
    def as_numpy(
        self, x: Array
    ) -> Any: ...  # its memory as NumPy, no copy, bfloat16 as bits; None if traced or followed
    def memory_span(
        self, x: Array
    ) -> tuple[int, int] | None: ...  # where its memory begins and ends, if it can be written to
    def from_numpy(self, x: Any, dtype: str) -> Array: ...  # memory that nothing else refers to, bfloat16 as uint16
    def written(self, out: Array) -> Array: ...  # what was written to by other means than the library's
    def write(self, x: Array, out: Array) -> Array: ...  # into the caller's memory
    def is_key(self, x: Array) -> bool: ...
    def arange(self, n: Dim) -> Array: ...
    def full(self, shape: Sequence[Dim], value: Any, dtype: str) -> Array: ...
    def stack(self, xs: Sequence[Array], axis: int = 0) -> Array: ...
    def concat(self, xs: Sequence[Array], axis: int = 0) -> Array: ...
    def broadcast(self, x: Array, shape: Sequence[Dim]) -> Array: ...
    def reshape(self, x: Array, shape: Sequence[Dim]) -> Array: ...
    def transpose(self, x: Array, axes: Sequence[int] | None = None) -> Array: ...
    def take(self, x: Array, index: Array, axis: int = 0) -> Array: ...
    def take_each(self, x: Array, index: Array, axis: int) -> Array: ...  # row i of x by row i of index (n, length)
    def present(self, x: Array, count: int) -> Array: ...  # bool (n, count): which of 0 .. count - 1 int32 (n, m) hold
    def matmul(self, x: Array, y: Array) -> Array: ...  # of int32 to int32, exact while no sum comes to 2^31
    def inner(self, x: Array, y: Array) -> Array: ...  # floats (n, a, c) by (n, b, c), in no GPU's shorter formats
    def where(self, condition: Array, x: Array, y: Array) -> Array: ...
    def argsort(self, x: Array) -> Array: ...
    def argmax(self, x: Array) -> Array: ...  # along the last axis, as are the next three
    def highest(self, x: Array) -> Array: ...  # the axis is kept
    def summed(self, x: Array) -> Array: ...
    def log_softmax(self, x: Array) -> Array: ...
    def total(
        self, x: Array, axes: tuple[int, ...]
    ) -> Array: ...  # float32; exact for bools, else accumulated in float64
    def maximum(self, x: Array, y: Any) -> Array: ...
    def minimum(self, x: Array, y: Any) -> Array: ...
    def ratio(self, x: Array, y: Array) -> Array: ...  # float32, rounded to nearest
    def floor(self, x: Array) -> Array: ...
    def rint(self, x: Array) -> Array: ...
    def exp(self, x: Array) -> Array: ...
    def log1p(self, x: Array) -> Array: ...
    def absolute(self, x: Array) -> Array: ...
    def add(self, x: Array, y: Any) -> Array: ...
    def rotate_left(self, x: Array, bits: int) -> Array: ...
    def shift_right(self, x: Array, bits: int) -> Array: ...
    def split(self, number: Array) -> tuple[Array, Array]: ...


def no_autograph(function: F) -> F:
    """Mark a function as one that TensorFlow's autograph shall call as it is: its Python is all done while tracing."""
    function.autograph_info__ = {"do_not_convert": True}  # type: ignore[attr-defined]
    return function


def trace_constant(function: F) -> F:
    """Mark a function of no arrays as one that PyTorch's compiler shall call while tracing, and keep what it gives."""

    @wraps(function)  # that compiler looks for the mark on a function of its own, and through a cache
    def marked(*args: Any, **options: Any) -> Any:
        return function(*args, **options)

    marked._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return cast(F, marked)


def tree(cls: C) -> C:
    """Make a class with `flatten` and `unflatten` a pytree, in each library when it is first met."""
    TREES.append(cls)
    return cls


def kept(function: F) -> F:
    """Keep what a function of values that can be hashed returns; PyTorch's compiler traces the function itself."""
    known = lru_cache(maxsize=1024, typed=True)(function)

    @wraps(function)
    def called(*args: Any) -> Any:
        return function(*args) if is_compiling() else known(*args)

    return cast(F, called)


@trace_constant
def meet() -> None:
    """Let those libraries that the program has loaded know the trees."""
    for root in DISPLAY_NAMES:
        if root in sys.modules and root not in _LOADED:
            _load(root)


def _load(root: str) -> str:
    if root not in _LOADED:
        with _IMPORTS:
            _LOADED[root] = import_module(f"{__name__}.{root}")
    return root


def span(start: int, shape: Sequence[int], strides: Sequence[int], itemsize: int) -> tuple[int, int]:
    """Where the memory of an array begins and ends, of strides in bytes; nowhere if it has no elements."""
    if 0 in shape:
        return 0, 0
    reach = [(length - 1) * stride for length, stride in zip(shape, strides, strict=True)]
    return start + sum(r for r in reach if r < 0), start + sum(r for r in reach if r > 0) + itemsize


def is_compiling() -> bool:
    """Whether PyTorch's compiler reads this, which knows no loops but its own."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.compiler.is_compiling())


def tracing() -> str | None:
    """The library that traces what runs now, as `tf.function`, `jax.jit` and `torch.compile` do; None where none does.

    A random number that is drawn meanwhile would become a constant of what is compiled.
    """
    if is_compiling():
        return "torch"
    meet()
    return next((root for root, xp in _LOADED.items() if xp.is_tracing()), None)


@trace_constant
def ranks() -> tuple[int, ...]:
    """(rank,) of this process, if `torch.distributed` is initialized for several; else nothing."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return ()
    return (torch.distributed.get_rank(),) if torch.distributed.get_world_size() > 1 else ()


@cache
def kernels(module: str) -> Any:
    """A module of kernels that Numba compiles; None where it cannot, which `compiler` says once."""
    with _IMPORTS:
        if import_module("mixaug.kernels.compiler").MISSING:
            return None
        return _KERNELS.setdefault(module, import_module(module))


def loaded_kernels(module: str) -> Any:
    """A module of kernels that `kernels` has imported; None where it has not, or while another thread imports it."""
    return _KERNELS.get(module)


def display_name(x: object) -> str:
    """What to call the library of `x` in a sentence: "NumPy", or the type's name where it is no known array."""
    xp = find(x)
    return xp.display_name if xp else type(x).__name__


def find(x: object) -> Library | None:
    """The library that `x` is an array of, on the device where it lies, or None."""
    root = _root(type(x))  # type: ignore[arg-type] # every type can be hashed
    found: Library | None = _LOADED[root].at(x) if root else None
    return found


@trace_constant
@cache
def _root(kind: type) -> str | None:
    """The supported package that a type, or one that it derives from, is defined in; our module for it is loaded."""
    roots = (cls.__module__.partition(".")[0] for cls in kind.__mro__)
    root = next((root for root in roots if root in DISPLAY_NAMES), None)
    return _load(root) if root else None


def form(x: object) -> Any:
    """What is known of an array beside its numbers, to be compared; None where it is traced, or no array."""
    xp = find(x)
    return None if xp is None else xp.form(x)


def example(name: str) -> Array:
    """An array of the library of that name, by which it is known; an ImportError where it cannot be imported."""
    return _LOADED[_load(name)].example()


@no_autograph
def to(xp: Library, x: Array) -> Array:
    """An array that lies on the host, or one of that library, in that library."""
    return to_each(xp, [x])[0]


@no_autograph
def to_each(xp: Library, xs: Sequence[Array]) -> list[Array]:
    """Arrays that lie on the host, or are of that library, in that library."""
    held = [None if find(x) == xp else _held(xp, x) for x in xs]
    if all(x is None for x in held):
        return list(xs)
    there = iter(xp.constants([x for x in held if x is not None]))
    return [x if mine is None else next(there) for x, mine in zip(xs, held, strict=True)]


def _held(xp: Library, x: Array) -> Any:
    found = find(x)
    held = found.concrete(x) if found else x
    if held is None:
        raise TypeError(
            f"expected an array of {xp.display_name}, or one on the host, "
            f"got a traced or distant one of {display_name(x)}"
        )
    return held


def of(x: object, what: str = "x") -> Library:
    """The library that `x` is an array of; a TypeError where it is of none."""
    xp = find(x)
    if xp is None:
        *most, last = DISPLAY_NAMES.values()
        raise TypeError(
            f"{what}: expected an array of {', '.join(most)} or {last}, got {type(x).__name__}; convert it first"
        )
    return xp


def common(*xs: object) -> Library:
    """The one library of those of `xs` that are arrays beyond NumPy's; NumPy where none is."""
    found = None
    for x in xs:
        xp = None if type(x) in _NO_ARRAYS else find(x)
        if xp is None or xp.name == "numpy":
            continue
        if found is not None and xp.name != found.name:
            names = sorted((found.display_name, xp.display_name))
            raise TypeError(f"expected arrays of one library, got {' and '.join(names)}; convert one of them")
        found = found or xp
    return found or cast(Library, _LOADED[_load("numpy")])


def same(named: dict[str, object]) -> Library:
    """The one library that all arrays belong to; a TypeError that names two fields where they differ."""
    (first, x), *others = named.items()
    xp = of(x, first)
    for name, y in others:
        if of(y, name) != xp:
            raise TypeError(
                f"expected all arrays of one library, got {display_name(x)} for {first!r} and "
                f"{display_name(y)} for {name!r}; "
                "convert one of them"
            )
    return xp
