"""Standard streams, and errors as sentences."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..lab.errors import LabError


def open_streams() -> None:
    """Reopen, on the null device, standard streams that the shell closed (>&-)."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, "r+")  # noqa: PTH123, SIM115 - for as long as the program runs
            if stream.fileno() != number:
                os.dup2(stream.fileno(), number)
            setattr(sys, name, stream)


def flush() -> None:
    """Flush the standard streams; discard output that a reader such as `head` no longer accepts."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())  # otherwise Python tries again at exit
            os.close(null)


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Exit with one sentence for errors that the user can fix; any other error is a bug and shows its traceback."""
    try:
        yield
    except (LabError, OSError) as error:
        sys.exit(f"mixaug: {error}")


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hide the messages that TensorFlow's C++ code prints at startup; exceptions still propagate."""
    sys.stderr.flush()
    stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)
