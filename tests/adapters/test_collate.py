"""Collate functions that mix: smoothing, switching off by epoch, repeated augmentation, and timm's own loader."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from timm.data import create_loader
from timm.data.distributed_sampler import RepeatAugSampler
from timm.data.mixup import FastCollateMixup as Theirs
from timm.loss import SoftTargetCrossEntropy
from torch.utils import data

import mixaug as ma
import ways
from mixaug.losses import smooth

N, C, SIDE, SMOOTHING = 12, 12, 8, 0.1


class Samples(data.Dataset):
    """Image i is 255 in channel i: uint8 (N, SIDE, SIDE) arrays or tensors, and its number."""

    transform = None  # timm's create_loader sets it

    def __init__(self, tensors: bool = False) -> None:
        self.images = np.zeros((N, N, SIDE, SIDE), np.uint8)
        for i in range(N):
            self.images[i, i] = 255
        self.tensors = tensors

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int):
        image = self.images[index].copy()
        return (torch.from_numpy(image) if self.tensors else image), index


def shares(images) -> np.ndarray:
    """How much of each sample is in each output, by its pixels."""
    return ways.values(images).astype(np.float64).reshape(len(images), N, -1).mean(axis=2) / 255


def assert_smoothed_pixels(images, labels, atol: float = 3e-3) -> None:
    """Labels are what the pixels are, then smoothed; uint8 pixels are rounded to 1/255."""
    want = (1 - SMOOTHING) * shares(images) + SMOOTHING / C
    np.testing.assert_allclose(ways.values(labels), want, atol=atol)


def is_mixed(images) -> bool:
    return bool((shares(images).max(axis=1) < 1).any())


def collate(**options):
    return ma.timm.FastCollateMixup(1.0, 1.0, label_smoothing=SMOOTHING, num_classes=C, **options)


def mixing(**options):
    recipe = ma.one_of(ma.CutMix(alpha=1.0), ma.MixUp(alpha=1.0))
    fields = {"images": ma.Images("nchw")}
    return ma.torch.MixingCollate(recipe, num_classes=C, smoothing=SMOOTHING, fields=fields, **options)


@pytest.mark.parametrize("tensors", [False, True], ids=["arrays", "tensors"])
@pytest.mark.parametrize("mode", ["batch", "pair", "elem"])
def test_the_output_has_the_form_of_timm_s(mode, tensors):
    samples = [Samples(tensors)[i] for i in range(N)]
    got = collate(mode=mode)(samples)
    want = Theirs(1.0, 1.0, mode=mode, label_smoothing=SMOOTHING, num_classes=C)(
        [Samples(tensors)[i] for i in range(N)]  # it writes to them
    )
    assert type(got) is type(want)
    assert [(x.dtype, x.shape) for x in got] == [(x.dtype, x.shape) for x in want]
    assert_smoothed_pixels(*got)
    for image, index in samples:  # nothing was written to
        np.testing.assert_array_equal(ways.values(image) if tensors else image, Samples().images[index])


def test_odd_batches_and_one_sample_are_taken():
    for n in (1, 5):
        assert_smoothed_pixels(*collate()([Samples()[i] for i in range(n)]))


def test_rows_of_several_classes_are_smoothed_towards_a_half():
    rows = np.float32(np.arange(C) % 2)
    made = ma.timm.FastCollateMixup(label_smoothing=0.2, num_classes=C, multi_label=True)
    _, labels = made([(Samples()[i][0], rows) for i in range(4)])
    np.testing.assert_allclose(labels, np.tile(0.8 * rows + 0.1, (4, 1)), atol=1e-6)


def test_samples_that_are_not_uint8_are_refused_and_the_way_out_works():
    samples = [(torch.rand(3, SIDE, SIDE), i) for i in range(4)]
    with pytest.raises(
        TypeError, match=r"expected uint8 samples, .*, got float32; mix the batches of another loader with ma"
    ):
        collate()(samples)
    images, labels = data.default_collate(samples)
    assert ma.timm.Mixup(num_classes=C)(images, labels)[1].shape == (4, C)


def test_options_are_those_of_mixup():
    with pytest.raises(ValueError, match=r"mode: expected one of batch, pair, elem, got 'half'"):
        collate(mode="half")
    with pytest.raises(ValueError, match=r"smoothing: expected a number from 0 to below 1, got 1.5"):
        ma.timm.FastCollateMixup(label_smoothing=1.5)
    with pytest.raises(AttributeError, match=r"mixaug.timm has no 'Mixed'; it has Mixup and FastCollateMixup"):
        ma.timm.Mixed  # noqa: B018


@pytest.mark.parametrize("kind", [collate, mixing])
@pytest.mark.parametrize("workers", [0, 2])
def test_smoothing_switching_off_and_repeated_augmentation_together(kind, workers):
    made = kind()
    name = "mixup_enabled" if kind is collate else "enabled"
    sampler = RepeatAugSampler(Samples(), num_replicas=1, rank=0, num_repeats=3, selected_round=0)
    options = {"persistent_workers": bool(workers), "num_workers": workers}
    loader = data.DataLoader(Samples(), 6, sampler=sampler, collate_fn=made, **options)
    mixed = {}
    for epoch in range(3):
        setattr(made, name, epoch != 1)  # off in the middle epoch, as timm's train.py sets it between epochs
        sampler.set_epoch(epoch)
        batches = list(loader)
        assert sum(len(images) for images, _ in batches) == N
        for images, labels in batches:
            assert_smoothed_pixels(images, labels)
        mixed[epoch] = any(is_mixed(images) for images, _ in batches)
    assert mixed == {0: True, 1: False, 2: True}


def test_a_repeated_sample_is_mixed_anew_each_time():
    sampler = RepeatAugSampler(Samples(), num_replicas=1, rank=0, num_repeats=3, selected_round=0, shuffle=False)
    loader = data.DataLoader(Samples(), 6, sampler=sampler, collate_fn=collate(mode="elem"))
    images = torch.cat([images for images, _ in loader])
    assert len(images.unique(dim=0)) > N // 3  # more than there are different samples


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_that_have_started_hear_of_it(start):
    made = mixing()
    samples = data.TensorDataset(torch.from_numpy(Samples().images), torch.arange(N))
    options = {"num_workers": 1, "persistent_workers": True, "multiprocessing_context": start}
    loader = data.DataLoader(samples, 6, collate_fn=made, **options)
    assert any(is_mixed(images) for images, _ in loader)
    made.enabled = False
    assert not any(is_mixed(images) for images, _ in loader)
    made.enabled = True
    assert any(is_mixed(images) for images, _ in loader)


@pytest.mark.parametrize("workers", [0, 2])
def test_timm_s_create_loader_and_its_prefetcher(workers):
    class Tensors(Samples):
        def __getitem__(self, index):
            image, target = super().__getitem__(index)
            return image[:3], target  # create_loader makes three channels

    made = collate(mode="elem")
    loader = create_loader(
        Tensors(), (3, SIDE, SIDE), 4, is_training=True, no_aug=True, num_workers=workers, collate_fn=made,
        device=torch.device("cpu"), use_prefetcher=True, persistent_workers=bool(workers),
        mean=(0.0,) * 3, std=(1.0,) * 3,
    )  # fmt: skip
    for off in (False, True):
        if off:
            loader.mixup_enabled = False  # what timm's train.py does at --mixup-off-epoch
        assert loader.mixup_enabled is made.mixup_enabled is not off
        rows = torch.cat([labels for _, labels in loader])
        assert rows.shape == (N, C)
        assert (rows.amax(1) < 1 - SMOOTHING).any().item() is not off
        for images, labels in loader:
            assert images.dtype == torch.float32
            seen = images.mean(dim=(2, 3)).clamp(max=1)
            np.testing.assert_allclose((1 - SMOOTHING) * seen + SMOOTHING / C, labels[:, :3], atol=3e-3)
            assert torch.isfinite(SoftTargetCrossEntropy()(torch.zeros(4, C), labels))


def test_it_is_timm_s_class_and_can_be_pickled():
    made = collate()
    again = pickle.loads(pickle.dumps(made))  # noqa: S301 - our own
    assert isinstance(made, Theirs)
    assert again([Samples()[0], Samples()[1]])[1].shape == (2, C)


# --- MixingCollate ---


def test_smoothing_of_mixing_collate_is_that_of_the_losses():
    samples = [Samples()[i] for i in range(6)]
    plain = ma.torch.MixingCollate(ma.MixUp(alpha=1.0), num_classes=C)
    smoothed = ma.torch.MixingCollate(ma.MixUp(alpha=1.0), num_classes=C, smoothing=0.3)
    torch.testing.assert_close(smoothed(samples)[1], smooth(plain(samples)[1], 0.3))


def test_labels_that_are_binary_or_do_not_sum_to_one_are_smoothed_towards_a_half():
    bits = [(image, index % 2) for image, index in map(Samples().__getitem__, range(6))]
    options = {"smoothing": 0.2, "fields": {"labels": ma.Labels(binary=True)}}
    plain = ma.torch.MixingCollate(ma.MixUp(alpha=1.0), fields=options["fields"])
    torch.testing.assert_close(
        ma.torch.MixingCollate(ma.MixUp(alpha=1.0), **options)(bits)[1], 0.8 * plain(bits)[1] + 0.1
    )
    every = ma.torch.MixingCollate(ma.MixUp(alpha=1.0), smoothing=0.2, fields={"labels": ma.Labels(C, rule="maximum")})
    labels = every([Samples()[i] for i in range(6)])[1]
    assert {round(x, 4) for x in labels.unique().tolist()} == {0.1, 0.9}


def test_switched_off_each_sample_comes_once_with_labels_of_the_same_form():
    made = mixing(include_clean=True, copies=2, class_weights=[1.0] * C)
    samples = [Samples()[i] for i in range(4)]
    assert [len(part) for part in made(samples)] == [12, 12, 12]
    made.enabled = False
    images, labels, weights = made(samples)
    np.testing.assert_array_equal(images, Samples().images[:4])
    np.testing.assert_allclose(labels, (1 - SMOOTHING) * np.eye(C)[:4] + SMOOTHING / C, atol=1e-6)
    np.testing.assert_array_equal(weights, np.ones(4))


def test_smoothing_without_labels_is_refused_and_the_way_out_works():
    samples = [(image, np.zeros((SIDE, SIDE), np.uint8)) for image, _ in map(Samples().__getitem__, range(4))]
    options = {"fields": (ma.Images("nchw"), "masks")}
    with pytest.raises(
        ValueError, match="smoothing: expected a field of labels, got 'images', 'labels'; leave smoothing"
    ):
        ma.torch.MixingCollate(ma.CutMix(), smoothing=0.1, **options)(samples)
    assert ma.torch.MixingCollate(ma.CutMix(), **options)(samples)[1].shape == (4, SIDE, SIDE)
    with pytest.raises(ValueError, match="smoothing: expected a number from 0 to below 1, got -1"):
        ma.torch.MixingCollate(ma.CutMix(), smoothing=-1)


@pytest.mark.parametrize("collate", [
    ma.torch.MixingCollate("mixup", num_classes=4), ma.timm.FastCollateMixup(mixup_alpha=0.8, num_classes=4),
], ids=["MixingCollate", "FastCollateMixup"])  # fmt: skip
def test_a_batch_of_no_samples_is_refused(collate):
    with pytest.raises(ValueError, match="samples: expected a list of one sample or more, got none; leave empty batch"):
        collate([])
    samples = torch.utils.data.TensorDataset(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.arange(4))
    loader = torch.utils.data.DataLoader(samples, batch_sampler=[[0, 1], [2]], collate_fn=collate)
    assert [len(labels) for _, labels in loader] == [2, 1]


def test_timms_collate_function_hands_out_the_mix():
    eye = (255 * np.eye(4, dtype=np.uint8))[:, :, None, None].repeat(8, 2).repeat(8, 3)
    collate = ma.timm.FastCollateMixup(cutmix_alpha=1.0, mixup_alpha=0.0, num_classes=4, label_smoothing=0.0,
                                       return_mix=True)  # fmt: skip
    x, y, mix = collate([(image, i) for i, image in enumerate(eye)])
    np.testing.assert_allclose(y, x.float().mean((2, 3)) / 255, atol=1e-6)
    np.testing.assert_array_equal(y, mix.labels(torch.arange(4), 4))
