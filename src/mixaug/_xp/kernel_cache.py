"""The cache of compiled kernels on disk: what is wrong with it costs a compilation and one warning, no more."""

from __future__ import annotations

import os
import pickle
import warnings
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.compiler_lock import global_compiler_lock

if hasattr(os, "register_at_fork"):  # a child of a process that compiles would wait for its lock for ever
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


def compiled(function: Any) -> Any:
    """Compile a loop, without the GIL, for loaders of several threads; to the disk where one may write."""
    kernel = njit(nogil=True, error_model="numpy")(function)
    try:
        kernel._cache = KernelCache(function)
    except (OSError, RuntimeError) as error:  # no folder for the cache
        _warn("has no folder", error)
    return kernel


class KernelCache(FunctionCache):  # type: ignore[misc] # Numba has no types
    """Numba's cache of a function, for which damaged files are missing ones."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self._cache_file.__class__ = _SealedFile

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function; None where it has to be compiled."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # unpickling damaged bytes raises anything
            _warn(f"in {self.cache_path} cannot be read", error)
            self._cache_file.forget()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write the compiled function, where that is possible."""
        try:
            super().save_overload(sig, data)
        except Exception as error:  # a full disk, a folder that is gone, an index that another process damaged
            _warn(f"in {self.cache_path} cannot be written", error)


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


_warned: list[str] = []


def _warn(what: str, error: Exception) -> None:
    """Warn, once in a process."""
    if not _warned:
        _warned.append(what)
        came = f"{type(error).__name__}: {error}".partition("\n")[0]
        warnings.warn(
            f"mixaug: the cache of compiled kernels {what} ({came}), so kernels are compiled again; "
            "if this repeats, set NUMBA_CACHE_DIR to a folder that can be written to",
            RuntimeWarning,
            stacklevel=2,
        )
