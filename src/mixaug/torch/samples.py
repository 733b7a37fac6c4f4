"""Read the samples of a dataset and collate them into a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch.utils import data
from torch.utils.data._utils.collate import default_collate_fn_map

from ..batch import Batch, collated
from ..fields import Fields
from ..mix import Mix, joined

CollateFn = Callable[[Sequence[Any]], Batch]

default_collate_fn_map[Mix] = lambda mixes, *, collate_fn_map=None: joined(mixes)  # noqa: ARG005 - PyTorch's signature


def check_samples(samples: Sequence[Any]) -> None:
    """Raise a ValueError if there are no samples to collate."""
    if not len(samples):
        raise ValueError(
            "samples: expected a list of one sample or more, got none; leave empty batches out of the batch_sampler"
        )


def checked_dataset(dataset: Any) -> Any:
    """Return the dataset; raise an error if it has no length, no indexing or no samples."""
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise TypeError(
            f"dataset: expected samples by index and a length, got {type(dataset).__name__}; "
            "mix the batches of an iterable dataset with ma.torch.Mixed or ma.mixed"
        )
    if not len(dataset):
        raise ValueError("dataset: expected one sample or more, got none; fill it first")
    return dataset


def in_memory(dataset: Any) -> Batch | None:
    """Return the tensors of a `TensorDataset` as one batch, None for other datasets."""
    return list(dataset.tensors) if type(dataset) is data.TensorDataset else None


def read_batch(
    dataset: Any, rows: list[int], fields: Fields | None, collate_fn: CollateFn = data.default_collate
) -> Batch:
    """Read these rows and collate them, with one call if the dataset has `__getitems__`."""
    getitems = getattr(dataset, "__getitems__", None)
    samples = getitems(rows) if getitems else [dataset[row] for row in rows]
    return collate(samples, fields, collate_fn)


def collate(samples: Sequence[Any], fields: Fields | None, collate_fn: CollateFn) -> Batch:
    """Collate samples; under PyTorch's default function, boxes of varying number become a list."""
    return collated(samples, fields, collate_fn) if collate_fn is data.default_collate else collate_fn(samples)
