"""Whether kernels can be compiled: found out once in a process, when this module is first imported.

Without Numba, or with the environment variable MIXAUG_NUMBA=0, NumPy does all that the kernels do, to the same bits:
one line on stderr says so.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

_SLOW = "so mixes on the CPU take several times as long"


def _missing() -> str:
    """Why kernels cannot be compiled, and what to do about it; empty where they can."""
    switch = os.environ.get("MIXAUG_NUMBA", "1")
    if switch not in ("0", "1"):
        raise ValueError(f"MIXAUG_NUMBA: expected 0 or 1, got {switch!r}; set it to 0 to do without Numba, or unset it")
    if switch == "0":
        return f"MIXAUG_NUMBA=0 switches Numba off, {_SLOW}; unset it to use Numba"
    try:
        import_module("numba")
    except ModuleNotFoundError as error:
        if error.name in ("numba", "llvmlite"):
            return f"Numba is not installed, {_SLOW}; pip install numba"
        return _broken(error)
    except Exception as error:  # it does not fit this NumPy, or a library that it loads is missing
        return _broken(error)
    return ""


def _broken(error: Exception) -> str:
    reason = f"{type(error).__name__}: {error}".partition("\n")[0]
    return f"Numba cannot be imported ({reason}), {_SLOW}; pip install --upgrade numba"


MISSING = _missing()
if MISSING:
    print(f"mixaug: {MISSING}", file=sys.stderr)
