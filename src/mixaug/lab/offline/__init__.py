"""Augmented datasets on disk: shards of mixed samples, written whole or not at all by any number of processes."""

from .job import Job
from .run import Engine, augment

__all__ = ["Engine", "Job", "augment"]
