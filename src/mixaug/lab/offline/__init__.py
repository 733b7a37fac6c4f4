"""Augmented datasets on disk: shards of mixed samples, written atomically by any number of processes."""

from .job import Job
from .run import augment

__all__ = ["Job", "augment"]
