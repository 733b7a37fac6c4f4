"""Files on the web, and their cache folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pooch

from ..files import target
from .errors import LabError


@dataclass(frozen=True)
class Remote:
    """A file on the web: its address and its required SHA-256."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """The file name."""
        return self.url.rsplit("/", 1)[-1]


def cache_folder() -> Path:
    """Return the folder of downloads and decoded images: MIXAUG_CACHE, or `mixaug` in the user's cache folder."""
    return Path(os.environ.get("MIXAUG_CACHE") or pooch.os_cache("mixaug")).expanduser()


def fetch(remote: Remote, where: Path) -> Path:
    """Return the path of the file in the folder `where`, downloading it if it is missing or has another hash.

    A download gets its name only when it is complete and its hash is right, so a partial file is never used.

    Raises:
        LabError: if the network, the disk or the download fails, or the hash of the downloaded file is wrong.
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
