"""Where work runs: in processes on this machine, or on a Ray cluster."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .errors import LabError

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Engine:
    """Where work runs.

    Args:
        name: "local" or "ray".
        workers: the number of processes; on Ray, the number of concurrent tasks, each with one CPU.
        address: the address of a Ray cluster; None: that of RAY_ADDRESS, or a new cluster on this machine.

    Raises:
        LabError: if a field is invalid.
    """

    name: str = "local"
    workers: int = 1
    address: str | None = None

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise LabError(f"expected --engine to be local or ray, got {self.name!r}")
        if self.workers < 1:
            raise LabError(f"expected --workers to be a whole number above 0, got {self.workers}")
        if self.address is not None and self.name != "ray":
            raise LabError(f"expected --address beside --engine ray, got --engine {self.name}: leave it out")


@contextmanager
def connected(engine: Engine) -> Iterator[Any]:
    """Connect to Ray for the duration of a `with` block; an existing connection stays open.

    A new cluster is started without a dashboard.

    Raises:
        LabError: if Ray is not installed, or there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise LabError("expected Ray for --engine ray, got none: pip install 'mixaug[ray]'") from error
    if ray.is_initialized():
        yield ray
        return
    _connect(ray, engine.address or os.environ.get("RAY_ADDRESS"))
    try:
        yield ray
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is None:
            ray.init(include_dashboard=False, **quiet)
        else:
            _reach(address)
            ray.init(address=address, **quiet)
    except Exception as error:  # Ray raises ConnectionError, RuntimeError and ValueError
        raise LabError(
            f"expected a Ray cluster at {address}, got none ({str(error).splitlines()[0]}): start one with "
            "`ray start --head`, or leave --address out"
        ) from error


def _reach(address: str) -> None:
    """Raise an OSError if nothing listens at host:port, which Ray itself notices only after minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()
