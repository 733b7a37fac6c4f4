"""Compile kernels with Numba, and cache them on disk; a damaged cache costs a compilation and a warning."""

from __future__ import annotations

import pickle
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy.ma  # noqa: F401 - Numba imports it at the first call of a kernel, where a fork does not wait for it
from llvmlite.binding import ffi
from numba import njit, types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock

from ..backends import FORK_LOCKS

FORK_LOCKS.append(global_compiler_lock)
if (llvm_lock := getattr(ffi.lib, "_lock", None)) is not None:  # some calls into LLVM hold this lock alone
    FORK_LOCKS.append(llvm_lock)

_PATIENCE = 0.5  # seconds of compilation before a message is printed

#: kernels allocate no memory, so Numba needs no reference counts, which take time to compile and to run
_OPTIONS = {"error_model": "numpy", "_nrt": False}

inlined: Any = njit(inline="always", **_OPTIONS)


def compiled(function: Any) -> Any:
    """Decorate a kernel: compiled when it is first called, without the GIL, and cached on disk."""
    return _cached(njit(nogil=True, no_cfunc_wrapper=True, **_OPTIONS)(function), function)


def at_address(arguments: int) -> Callable[[Any], Compiled]:
    """Decorate a kernel of so many int64 arguments that other kernels call by its address."""
    return lambda function: Compiled(function, arguments)


class Compiled:
    """A kernel that other kernels call by its address; compiled when the address is first used.

    Args:
        function: the kernel.
        arguments: the number of its arguments, int64 each.
        variant: what `function` was made for, such as dtypes; tells apart kernels of one name in the cache.
    """

    def __init__(self, function: Any, arguments: int, variant: tuple[Any, ...] = ()) -> None:
        self.function, self.arguments, self.variant = function, arguments, variant
        self.kernel: Any = None

    @property
    def address(self) -> int:
        """The address of the machine code, which lives as long as this object."""
        with global_compiler_lock:
            if self.kernel is None:
                signature = (types.int64,) * self.arguments, types.void
                kernel = CFunc(self.function, signature, locals={}, options=_OPTIONS)
                _cached(kernel, self.function, self.variant)
                kernel.compile()
                self.kernel = kernel
            return int(self.kernel.address)


def _cached(kernel: Any, function: Any, variant: tuple[Any, ...] = ()) -> Any:
    try:
        kernel._cache = KernelCache(function, variant)
    except (OSError, RuntimeError) as error:  # no folder for the cache
        _warn("has no folder", error)
    return kernel


class KernelCache(FunctionCache):  # type: ignore[misc] # Numba has no types
    """Numba's cache of a function, for which damaged files are missing ones."""

    def __init__(self, function: Any, variant: tuple[Any, ...]) -> None:
        super().__init__(function)
        self._variant = variant
        self._cache_file.__class__ = _SealedFile
        self._cache_file._source_stamp = _stamp()  # Numba's own is that of the function's file alone

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        """Return the key of a compiled function in its file; the file's stamp covers the code of all kernels.

        Numba's own key hashes the pickled closure, which differs in each process if it holds intrinsics.
        """
        return sig, codegen.magic_tuple(), self._variant

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function; None where it has to be compiled."""
        overload = None
        try:
            overload = super().load_overload(sig, target_context)
        except Exception as error:  # unpickling damaged bytes raises anything
            _warn(f"in {self.cache_path} cannot be read", error)
            self._cache_file.forget()
        if overload is None:
            _compiling.begin()
        return overload

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write the compiled function, where that is possible."""
        _compiling.end()
        try:
            super().save_overload(sig, data)
        except Exception as error:  # a full disk, a folder that is gone, an index that another process damaged
            _warn(f"in {self.cache_path} cannot be written", error)


@cache
def _stamp() -> str:
    """A hash of the code of all kernels: they are inlined into one another, and share the layout of named tuples."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


class _SealedFile(IndexDataCacheFile):  # type: ignore[misc] # Numba has no types
    """The files of a function, with a checksum: damaged machine code would be run."""

    def _dump(self, obj: Any) -> bytes:
        return pickle.dumps(_Sealed(super()._dump(obj)))

    def forget(self) -> None:
        """Remove the index, so that the next `save` makes all anew."""
        with suppress(OSError):
            Path(self._index_path).unlink()


class _Sealed:
    """Bytes that are unpickled only where they are those that were pickled."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __reduce__(self) -> tuple[Any, tuple[bytes, bytes]]:
        return _unsealed, (self.data, sha256(self.data).digest())


def _unsealed(data: bytes, digest: bytes) -> Any:
    if sha256(data).digest() != digest:
        raise ValueError("its checksum differs")
    return pickle.loads(data)  # noqa: S301 - as trusted as the code beside it


class _Compiling:
    """Prints a message, once in a process, when compilation takes longer than half a second."""

    def __init__(self) -> None:
        self.kernels, self.printed = 0, False
        self.timer: threading.Timer | None = None

    def begin(self) -> None:
        """A kernel is not in the cache, and is compiled now."""
        self.kernels += 1
        if not self.printed and self.timer is None:
            self.timer = threading.Timer(_PATIENCE, self._say)
            self.timer.daemon = True
            self.timer.start()

    def end(self) -> None:
        """It has been compiled."""
        self.kernels -= 1

    def _say(self) -> None:
        self.timer = None
        if self.kernels > 0 and not self.printed:
            self.printed = True
            print(
                "mixaug: compiling kernels for this machine, which takes some seconds and happens once; "
                "python -m mixaug.warmup does it ahead",
                file=sys.stderr,
            )


_compiling = _Compiling()
_warned: list[str] = []


def _warn(what: str, error: Exception) -> None:
    """Warn, once in a process."""
    if not _warned:
        _warned.append(what)
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        warnings.warn(
            f"mixaug: the cache of compiled kernels {what} ({reason}), so kernels are compiled again; "
            "if this repeats, set NUMBA_CACHE_DIR to a folder that can be written to",
            RuntimeWarning,
            stacklevel=2,
        )
