"""return_mix: the mix of a batch beside it, which makes the same labels."""

from __future__ import annotations

import grain
import numpy as np
import pytest
import tensorflow as tf
import torch

import mixaug as ma
from ways import own_class_everywhere, values

N = 6
X, Y = own_class_everywhere(N, (8, 8)), np.arange(N)
T_X, T_Y = torch.from_numpy(np.ascontiguousarray(np.moveaxis(X, -1, 1))), torch.from_numpy(Y)
PAIRS = torch.utils.data.TensorDataset(T_X, T_Y)
DS = tf.data.Dataset.from_tensor_slices((X, Y))
OPTIONS = {"num_classes": N, "return_mix": True}
RECIPE = ma.one_of(ma.CutMix(alpha=1.0), ma.MixUp(alpha=1.0))


def of_grain():
    ds = grain.MapDataset.source([(X[i], i) for i in range(N)])
    return ma.grain.mixed(RECIPE, ds, **OPTIONS).batch(N, batch_fn=ma.grain.stacked)[0]


def of_dict():
    mixed = RECIPE({"images": X, "labels": Y}, **OPTIONS)
    return mixed["images"], mixed["labels"], mixed["mix"]


DOORS = {
    "a call": lambda: RECIPE(X, Y, **OPTIONS),
    "a dict": of_dict,
    "a clean copy and two mixed ones": lambda: RECIPE(X, Y, include_clean=True, copies=2, **OPTIONS),
    "batches": lambda: next(ma.batches(RECIPE, X, Y, N, **OPTIONS)),
    "mixed": lambda: next(ma.mixed(RECIPE, [(X, Y)], epoch=0, **OPTIONS)),
    "tf.mixed": lambda: next(iter(DS.batch(N).apply(ma.tf.mixed(RECIPE, **OPTIONS)))),
    "keras.MixLayer": lambda: ma.keras.MixLayer(RECIPE, **OPTIONS)((tf.constant(X), tf.constant(Y))),
    "keras.MixedDataset": lambda: ma.keras.MixedDataset(RECIPE, X, Y, N, **OPTIONS)[0],
    "torch.Mixed": lambda: ma.torch.Mixed(RECIPE, **OPTIONS)(T_X, T_Y),
    "torch.Mixed in eval": lambda: (T_X, torch.eye(N), ma.torch.Mixed(RECIPE, **OPTIONS).eval()(T_X, T_Y)[2]),
    "torch.MixedDataset": lambda: next(
        iter(torch.utils.data.DataLoader(ma.torch.MixedDataset(RECIPE, PAIRS, **OPTIONS), N))
    ),
    "torch.loader": lambda: next(iter(ma.torch.loader(RECIPE, PAIRS, N, **OPTIONS))),
    "torch.loader with workers": lambda: next(iter(ma.torch.loader(RECIPE, PAIRS, N, num_workers=2, **OPTIONS))),
    "torch.MixingCollate": lambda: ma.torch.MixingCollate(RECIPE, **OPTIONS)([PAIRS[i] for i in range(N)]),
    "timm.Mixup": lambda: ma.timm.Mixup(cutmix_alpha=1.0, label_smoothing=0.0, **OPTIONS)(T_X, T_Y),
    "grain": of_grain,
}


@pytest.mark.parametrize("door", DOORS)
def test_the_mix_beside_a_batch_makes_its_labels(door):
    images, labels, mix = DOORS[door]()
    assert isinstance(mix, ma.Mix)
    lam, index = values(mix.lam), values(mix.index)
    assert lam.shape[1] == len(images)
    want = sum(lam[k][:, None] * np.eye(N)[index[k]] for k in range(len(lam)))  # row i of the source is class i
    np.testing.assert_allclose(values(labels), want, atol=2e-6)


def test_mixed_zip_says_which_dataset_each_source_is_of():
    other = tf.data.Dataset.from_tensor_slices((X[::-1], Y[::-1]))
    for a, (_, labels, mix) in zip(Y, ma.tf.mixed_zip(RECIPE, DS, other, **OPTIONS), strict=True):
        lam, index = values(mix.lam)[:, 0], values(mix.index)[:, 0]
        classes = np.array([a, N - 1 - a])[index]
        np.testing.assert_allclose(values(labels), lam @ np.eye(N)[classes], atol=2e-6)


def test_a_field_named_mix_is_refused():
    with pytest.raises(ValueError, match="without a field 'mix', got one; rename the field"):
        RECIPE({"images": X, "labels": Y, "mix": Y}, fields={"mix": "keep"}, **OPTIONS)
