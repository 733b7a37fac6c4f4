"""The array libraries: the functions that the maths needs, and which library an array belongs to.

Each library is a module of this package with the functions of `Library`, imported when the first array of that
library is passed in. No other module of the core names a library.
"""

from __future__ import annotations

import logging  # noqa: F401 - Numba imports it; its fork handlers must be registered before ours
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
Dim: TypeAlias = Any  #: a length: an int, or a scalar tensor if it is unknown until run time

DISPLAY_NAMES = {"numpy": "NumPy", "tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}
TREES: list[Any] = []  #: classes that every library treats as pytrees

_LOADED: dict[str, Any] = {}
_NO_ARRAYS = (int, type(None))
_KERNELS: dict[str, Any] = {}

_IMPORTS = threading.RLock()
FORK_LOCKS: list[Any] = [_IMPORTS]  #: locks held while the process forks: for imports, then for compilation
_acquired: list[Any] = []


def _before_fork() -> None:
    """Wait for other threads that import or compile; a lock they hold would stay locked in the child."""
    for lock in FORK_LOCKS:
        lock.__enter__()
        _acquired.append(lock)


def _after_fork() -> None:
    while _acquired:
        _acquired.pop().__exit__(None, None, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


class Library(Protocol):
    """The functions that the maths needs of an array library. A dtype is a name ("uint32") or the library's own."""

    @property
    def name(self) -> str:
        """The name of the package: a key of `DISPLAY_NAMES`."""

    @property
    def display_name(self) -> str:
        """The name in messages, such as "PyTorch on cuda:0"."""

    @property
    def layout(self) -> str:
        """The usual layout of images in this library: "nhwc" or "nchw"."""

    def compiled(self, function: F) -> F:
        """Compile a function with XLA, where the library has it; otherwise return it unchanged."""

    def draw_kernels(self) -> Any:
        """Return the module `kernels.draw` for NumPy with Numba, None otherwise."""

    # --- conversion ---

    def constant(self, x: Any) -> Array:
        """Convert a number or a NumPy array."""

    def constants(self, xs: Sequence[Any]) -> list[Array]:
        """Convert several NumPy arrays with a single transfer to the device."""

    def table(self, x: Any) -> Array:
        """Convert a read-only NumPy array, which is transferred to a device once and cached there."""

    def uint32(self, bits: int) -> Array:
        """Return a uint32 scalar."""

    def cast(self, x: Array, dtype: Any) -> Array:
        """Convert to a dtype."""

    def copy(self, x: Array) -> Array:
        """Return a copy."""

    # --- inspection ---

    def dtype(self, x: Array) -> str:
        """Return the name of the dtype."""

    def shape(self, x: Array) -> tuple[Dim, ...]:
        """Return the shape; a length that is unknown until run time is a scalar tensor."""

    def concrete(self, x: Array) -> Any:
        """Return the values as a NumPy array; None if `x` is traced or on an accelerator."""

    def on_accelerator(self, x: Array) -> bool:
        """Whether `x` is a concrete array in the memory of an accelerator."""

    def form(self, x: Array) -> Any:
        """Return a hashable summary of type, dtype, shape and device; None if `x` is traced."""

    def is_key(self, x: Array) -> bool:
        """Whether `x` is a JAX PRNG key."""

    # --- memory ---

    def as_numpy(self, x: Array) -> Any:
        """Return a NumPy view of the memory (bfloat16 as 16-bit integers); None if traced or needed for gradients."""

    def from_numpy(self, x: Any, dtype: str) -> Array:
        """Wrap a NumPy array (bfloat16 as uint16) that nothing else refers to."""

    def memory_span(self, x: Array) -> tuple[int, int] | None:
        """Return the first and the one-past-last address of the memory; None if it cannot be written to."""

    def written(self, out: Array) -> Array:
        """Return `out`, recording that a kernel has written to its memory."""

    def write(self, x: Array, out: Array) -> Array:
        """Copy `x` into `out` and return `out`."""

    # --- construction and shape ---

    def arange(self, n: Dim) -> Array:
        """Return 0 .. n - 1 as int32."""

    def full(self, shape: Sequence[Dim], value: Any, dtype: str) -> Array:
        """Return an array filled with a value."""

    def stack(self, xs: Sequence[Array], axis: int = 0) -> Array:
        """Join arrays along a new axis."""

    def concat(self, xs: Sequence[Array], axis: int = 0) -> Array:
        """Join arrays along an existing axis."""

    def broadcast(self, x: Array, shape: Sequence[Dim]) -> Array:
        """Broadcast to a shape."""

    def reshape(self, x: Array, shape: Sequence[Dim]) -> Array:
        """Change the shape."""

    def transpose(self, x: Array, axes: Sequence[int] | None = None) -> Array:
        """Permute the axes; by default, reverse them."""

    # --- selection ---

    def take(self, x: Array, index: Array, axis: int = 0) -> Array:
        """Select by index along an axis."""

    def take_each(self, x: Array, index: Array, axis: int) -> Array:
        """Select from row i of `x` along an axis by row i of `index` (n, length)."""

    def present(self, x: Array, count: int) -> Array:
        """Return which of 0 .. count - 1 each row of int32 (n, m) contains, bool (n, count)."""

    def where(self, condition: Array, x: Array, y: Array) -> Array:
        """Select from `x` where the condition is true, from `y` elsewhere."""

    def argsort(self, x: Array) -> Array:
        """Return the indices that sort a vector, int32; the sort is stable."""

    # --- reductions ---

    def argmax(self, x: Array) -> Array:
        """Return the index of the maximum along the last axis."""

    def highest(self, x: Array) -> Array:
        """Return the maximum along the last axis, which is kept."""

    def summed(self, x: Array) -> Array:
        """Sum over the last axis."""

    def total(self, x: Array, axes: tuple[int, ...]) -> Array:
        """Sum over axes to float32: exact for bools, accumulated in float64 for floats."""

    # --- arithmetic ---

    def matmul(self, x: Array, y: Array) -> Array:
        """Multiply int32 matrices; exact if every sum is below 2^31."""

    def inner(self, x: Array, y: Array) -> Array:
        """Contract the last axes of float (n, a, c) and (n, b, c), at full precision on GPUs too."""

    def maximum(self, x: Array, y: Any) -> Array:
        """Element-wise maximum."""

    def minimum(self, x: Array, y: Any) -> Array:
        """Element-wise minimum."""

    def ratio(self, x: Array, y: Array) -> Array:
        """Divide in float32, correctly rounded."""

    def floor(self, x: Array) -> Array:
        """Round down."""

    def rint(self, x: Array) -> Array:
        """Round to the nearest integer."""

    def exp(self, x: Array) -> Array:
        """Element-wise exponential."""

    def log1p(self, x: Array) -> Array:
        """Element-wise log(1 + x)."""

    def log_softmax(self, x: Array) -> Array:
        """Log-softmax over the last axis."""

    # --- random bits ---

    def add(self, x: Array, y: Any) -> Array:
        """Add uint32 modulo 2^32."""

    def rotate_left(self, x: Array, bits: int) -> Array:
        """Rotate uint32 to the left."""

    def shift_right(self, x: Array, bits: int) -> Array:
        """Shift to the right."""

    def split(self, number: Array) -> tuple[Array, Array]:
        """Split an integer scalar or a PRNG key into its low and high 32 bits, as uint32."""


def no_autograph(function: F) -> F:
    """Exempt a function from TensorFlow's autograph: its Python control flow runs while tracing."""
    function.autograph_info__ = {"do_not_convert": True}  # type: ignore[attr-defined]
    return function


def trace_constant(function: F) -> F:
    """Let PyTorch's compiler call a function while tracing and treat its result as a constant.

    Its arguments must not be arrays.
    """

    @wraps(function)  # the compiler looks for the mark on a plain function, even below a cache
    def marked(*args: Any, **options: Any) -> Any:
        return function(*args, **options)

    marked._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return cast(F, marked)


def tree(cls: C) -> C:
    """Register a class with `flatten` and `unflatten` as a pytree in every library, when the library is loaded."""
    TREES.append(cls)
    return cls


def memoized(function: F) -> F:
    """Cache the results of a function of hashable arguments; PyTorch's compiler traces the function itself."""
    cached = lru_cache(maxsize=1024, typed=True)(function)

    @wraps(function)
    def called(*args: Any) -> Any:
        return function(*args) if is_compiling() else cached(*args)

    return cast(F, called)


@trace_constant
def register_trees() -> None:
    """Register the pytrees in every library that the program has imported."""
    for root in DISPLAY_NAMES:
        if root in sys.modules and root not in _LOADED:
            _load(root)


def _load(root: str) -> str:
    if root not in _LOADED:
        with _IMPORTS:
            _LOADED[root] = import_module(f"{__name__}.{root}")
    return root


def span(start: int, shape: Sequence[int], strides: Sequence[int], itemsize: int) -> tuple[int, int]:
    """Return the first and the one-past-last address of an array with strides in bytes; (0, 0) if it is empty."""
    if 0 in shape:
        return 0, 0
    extents = [(length - 1) * stride for length, stride in zip(shape, strides, strict=True)]
    return start + sum(e for e in extents if e < 0), start + sum(e for e in extents if e > 0) + itemsize


def is_compiling() -> bool:
    """Whether `torch.compile` is tracing."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.compiler.is_compiling())


def tracing() -> str | None:
    """Return the library that is tracing (`tf.function`, `jax.jit`, `torch.compile`), or None.

    A random number drawn while tracing would become a constant of the compiled function.
    """
    if is_compiling():
        return "torch"
    register_trees()
    return next((root for root, xp in _LOADED.items() if xp.is_tracing()), None)


@trace_constant
def ranks() -> tuple[int, ...]:
    """Return (rank,) if `torch.distributed` runs several processes, () otherwise."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return ()
    return (torch.distributed.get_rank(),) if torch.distributed.get_world_size() > 1 else ()


@cache
def kernels(module: str) -> Any:
    """Import a module of Numba kernels; None if Numba cannot be used, which `kernels.compiler` reports once."""
    with _IMPORTS:
        if import_module("mixaug.kernels.compiler").MISSING:
            return None
        return _KERNELS.setdefault(module, import_module(module))


def loaded_kernels(module: str) -> Any:
    """Return a module that `kernels` has imported; None if it has not, or while another thread is importing it."""
    return _KERNELS.get(module)


def display_name(x: object) -> str:
    """Return the library of `x` as messages name it, such as "NumPy"; the name of the type for other values."""
    xp = find(x)
    return xp.display_name if xp else type(x).__name__


def find(x: object) -> Library | None:
    """Return the library of an array, on the array's device; None if `x` is not an array."""
    root = _root(type(x))  # type: ignore[arg-type] # every type can be hashed
    xp: Library | None = _LOADED[root].at(x) if root else None
    return xp


@trace_constant
@cache
def _root(kind: type) -> str | None:
    """Return the supported package that defines a type or one of its bases, and load our module for it."""
    roots = (cls.__module__.partition(".")[0] for cls in kind.__mro__)
    root = next((root for root in roots if root in DISPLAY_NAMES), None)
    return _load(root) if root else None


def form(x: object) -> Any:
    """Return a hashable summary of an array (type, dtype, shape, device); None if it is traced or not an array."""
    xp = find(x)
    return None if xp is None else xp.form(x)


def example(name: str) -> Array:
    """Return a small array of the library with that name; raises ImportError if it cannot be imported."""
    return _LOADED[_load(name)].example()


@no_autograph
def to(xp: Library, x: Array) -> Array:
    """Convert an array on the host to a library; arrays of that library are returned unchanged."""
    return to_each(xp, [x])[0]


@no_autograph
def to_each(xp: Library, xs: Sequence[Array]) -> list[Array]:
    """Convert arrays on the host to a library; arrays of that library are returned unchanged."""
    on_host = [None if find(x) == xp else _on_host(xp, x) for x in xs]
    if all(x is None for x in on_host):
        return list(xs)
    converted = iter(xp.constants([x for x in on_host if x is not None]))
    return [x if values is None else next(converted) for x, values in zip(xs, on_host, strict=True)]


def _on_host(xp: Library, x: Array) -> Any:
    home = find(x)
    values = home.concrete(x) if home else x
    if values is None:
        raise TypeError(
            f"expected an array of {xp.display_name}, or one on the host, got an array of {display_name(x)} that is "
            "traced or on an accelerator; convert it first"
        )
    return values


def of(x: object, what: str = "x") -> Library:
    """Return the library of an array; raises TypeError if `x` is not an array."""
    xp = find(x)
    if xp is None:
        *most, last = DISPLAY_NAMES.values()
        raise TypeError(
            f"{what}: expected an array of {', '.join(most)} or {last}, got {type(x).__name__}; convert it first"
        )
    return xp


def common(*xs: object) -> Library:
    """Return the library that the arrays among `xs` share, NumPy's aside; NumPy if there is no other."""
    shared = None
    for x in xs:
        xp = None if type(x) in _NO_ARRAYS else find(x)
        if xp is None or xp.name == "numpy":
            continue
        if shared is not None and xp.name != shared.name:
            names = sorted((shared.display_name, xp.display_name))
            raise TypeError(f"expected arrays of one library, got {' and '.join(names)}; convert one of them")
        shared = shared or xp
    return shared or cast(Library, _LOADED[_load("numpy")])


def same(named: dict[str, object]) -> Library:
    """Return the library that all arrays belong to; raises TypeError naming two fields that differ."""
    (first, x), *others = named.items()
    xp = of(x, first)
    for name, y in others:
        if of(y, name) != xp:
            raise TypeError(
                f"expected all arrays of one library, got {display_name(x)} for {first!r} and "
                f"{display_name(y)} for {name!r}; convert one of them"
            )
    return xp
