"""A timm script that is started again: two lines keep it from drawing the mixes of its first epochs again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from timm.data import create_loader
from torch.utils.data import DataLoader, Dataset

import mixaug as ma

N, BATCH, EPOCHS = 12, 4, 4


class Samples(Dataset):
    """Image i is 255 in channel i."""

    transform = None  # timm's create_loader sets it

    def __len__(self):
        return N

    def __getitem__(self, index):
        image = np.zeros((N, 8, 8), np.uint8)
        image[index] = 255
        return image, index


def train(start_epoch: int, mends: bool, saved: dict | None = None) -> list[bytes]:
    """The mixed targets of a script that mixes after its loader."""
    torch.manual_seed(42)
    mixup_fn = ma.timm.Mixup(mixup_alpha=0.8, num_classes=N)
    loader_train = DataLoader(Samples(), BATCH)
    if start_epoch and mends:
        mixup_fn.step = start_epoch * len(loader_train)
    if saved is not None:
        mixup_fn.load_state_dict(saved)
    return [
        mixup_fn(samples, targets)[1].numpy().tobytes()
        for _ in range(start_epoch, EPOCHS)
        for samples, targets in loader_train
    ]


def test_the_two_lines_of_mixup_go_on_as_its_state_does():
    whole = train(0, mends=True)
    assert len(set(whole)) == len(whole)
    assert train(2, mends=False) == whole[:6]
    assert train(2, mends=True) == train(2, mends=False, saved={"step": 6}) == whole[6:]


def collated(start_epoch: int, mends: bool, multi_epochs: bool, workers: int) -> list[bytes]:
    """The mixed targets of a script whose workers mix."""
    torch.manual_seed(42)
    collate_fn = ma.timm.FastCollateMixup(mixup_alpha=0.8, num_classes=N)
    if start_epoch and mends and multi_epochs:  # its workers start with the loader
        collate_fn.seed = start_epoch
    loader_train = create_loader(
        Samples(), (N, 8, 8), BATCH, is_training=True, use_prefetcher=False, num_workers=workers,
        persistent_workers=False, collate_fn=collate_fn, use_multi_epochs_loader=multi_epochs,
    )  # fmt: skip
    if start_epoch and mends:
        collate_fn.seed = start_epoch
    return [targets.numpy().tobytes() for _ in range(start_epoch, EPOCHS) for _, targets in loader_train]


@pytest.mark.parametrize(("multi_epochs", "workers"), [(False, 0), (False, 2), (True, 2)])
def test_the_two_lines_of_the_collate_function_draw_anew(multi_epochs, workers):
    whole = collated(0, True, multi_epochs, workers)
    assert len(set(whole)) == len(whole) == EPOCHS * N // BATCH
    assert set(collated(2, False, multi_epochs, workers)) <= set(whole)
    again = collated(2, True, multi_epochs, workers)
    assert len(set(again)) == len(again)
    assert not set(again) & set(whole)


def test_the_seed_of_mixup_is_public_in_workers():
    def targets(seed: int) -> set[bytes]:
        torch.manual_seed(42)
        mixup_fn = ma.timm.Mixup(mixup_alpha=0.8, num_classes=N)
        mixup_fn.seed = seed
        loader = DataLoader(Samples(), BATCH, num_workers=1, collate_fn=lambda rows: mixup_fn(*of(rows)))
        return {targets.numpy().tobytes() for _, targets in loader}

    def of(rows):
        return torch.stack([torch.from_numpy(image) for image, _ in rows]), torch.tensor([y for _, y in rows])

    assert len(targets(0)) == 3
    assert targets(0) == targets(0)
    assert not targets(0) & targets(2)
