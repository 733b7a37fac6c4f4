"""Files on the web, and the cache folder that they are kept in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pooch

from ..files import target
from .errors import LabError


@dataclass(frozen=True)
class Remote:
    """A file on the web: its address, and the SHA-256 without which it is not taken."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.url.rsplit("/", 1)[-1]


def cache_folder() -> Path:
    """Where downloads and decoded images are kept: MIXAUG_CACHE, or the folder `mixaug` in the user's cache."""
    return Path(os.environ.get("MIXAUG_CACHE") or pooch.os_cache("mixaug")).expanduser()


def fetch(remote: Remote, where: Path) -> Path:
    """The path of the remote's file in the folder `where`, downloaded if it is not there or has another hash.

    A download takes its name only once it is whole and its hash is right, so half a file is never taken for it.

    Raises:
        LabError: there is no network, no room, no such file, or the file that came is another one.
    """
    sha256 = f"sha256:{remote.sha256}"
    try:
        place = target(where / remote.name)
        return Path(pooch.retrieve(remote.url, known_hash=sha256, fname=place.name, path=place.parent))
    except (OSError, ValueError) as error:
        came = type(error).__name__ if isinstance(error, OSError) else "a file with another hash"
        there = " (the one that is there is damaged)" if (where / remote.name).is_file() else ""
        raise LabError(
            f"expected to download {remote.name} ({sha256}) from {remote.url}, got {came}: put the file into {where} "
            f"by hand{there}, or let MIXAUG_CACHE name another folder"
        ) from error
