"""Read samples of a dataset, and collate them into a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch.utils import data
from torch.utils.data._utils.collate import default_collate_fn_map

from .. import loss_advice
from ..batch import Batch, collated
from ..fields import Fields
from ..mix import Mix, joined

Collate = Callable[[Sequence[Any]], Batch]

default_collate_fn_map[Mix] = lambda mixes, *, collate_fn_map=None: joined(mixes)  # noqa: ARG005 - PyTorch's signature


def check_samples(samples: Sequence[Any]) -> None:
    """Refuse a batch of no samples, which has no form."""
    if not len(samples):
        raise ValueError(
            "samples: expected a list of one sample or more, got none; leave empty batches out of the batch_sampler"
        )


def say_loss(num_classes: int | None) -> None:
    """Say which loss fits, for the workers that mix and say nothing."""
    if num_classes is not None:
        loss_advice.say("torch")


def in_memory(dataset: Any) -> Batch | None:
    """All samples of a dataset as one batch, where it holds them so: they are mixed as they lie, none is read first."""
    return list(dataset.tensors) if type(dataset) is data.TensorDataset else None


def read_batch(
    dataset: Any, rows: list[int], fields: Fields | None, collate_fn: Collate = data.default_collate
) -> Batch:
    """The samples at these rows as one batch, read all at once where the dataset can."""
    read = getattr(dataset, "__getitems__", None)
    samples = read(rows) if read else [dataset[row] for row in rows]
    return collate(samples, fields, collate_fn)


def collate(samples: Sequence[Any], fields: Fields | None, collate_fn: Collate) -> Batch:
    """What a function of the user's makes of samples; PyTorch's own can make no array of boxes of any number."""
    return collated(samples, fields, collate_fn) if collate_fn is data.default_collate else collate_fn(samples)


def checked_dataset(dataset: Any) -> Any:
    """Return the dataset; an error if it has no length, no index or no samples."""
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise TypeError(
            f"dataset: expected samples by index and a length, got {type(dataset).__name__}; "
            "mix the batches of an iterable one with ma.torch.Mixed or ma.mixed"
        )
    if not len(dataset):
        raise ValueError("dataset: expected one sample or more, got none; fill it first")
    return dataset
