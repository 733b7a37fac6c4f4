"""Near misses, from torchvision, timm, kornia, Keras, albumentations, fastai, Composer or older names, are understood.

Each is refused by one sentence, and what the sentence says to write instead works.
"""

from __future__ import annotations

from dataclasses import fields
from functools import reduce
from inspect import signature

import grain
import numpy as np
import pytest
import tensorflow as tf
import torch

import mixaug as ma
from mixaug.recipes import RECIPES
from ways import own_class_everywhere

N = 6
X, Y = own_class_everywhere(N, (8, 8)), np.arange(N)
PAIRS = torch.utils.data.TensorDataset(torch.from_numpy(np.ascontiguousarray(np.moveaxis(X, -1, 1))), torch.arange(N))
DS = tf.data.Dataset.from_tensor_slices((X, Y))
ELEMENTS = grain.MapDataset.source([(X[i], i) for i in range(N)])
CUTMIX = ma.CutMix()


def call(*more, recipe=CUTMIX, **options):
    return recipe(X, Y, *more, **{"num_classes": N, **options})


def loader(**options):
    return ma.torch.loader(CUTMIX, PAIRS, 3, num_classes=N, **options)


def layer(**options):
    return ma.keras.MixLayer(CUTMIX, N, **options)


#: What is written, what the sentence says, and that which it says, followed.
MISSES = {
    # of the call
    "seed=": (lambda: call(seed=3), "write key=(seed, step), such as key=(0, 0)", lambda: call(key=(0, 0))),
    "rng=": (lambda: call(rng=np.random), "write key=(seed, step)", lambda: call(key=(0, 0))),
    "generator= of PyTorch": (lambda: call(generator=torch.Generator()), "write key=", lambda: call(key=(0, 0))),
    "random_state= of scikit-learn": (lambda: call(random_state=0), "write key=", lambda: call(key=(0, 0))),
    "epoch=": (lambda: call(epoch=3), "write key=(seed, step)", lambda: call(key=(0, 0))),
    "step=": (lambda: call(step=3), "write key=(seed, step)", lambda: call(key=(0, 0))),
    "keep_clean=": (lambda: call(keep_clean=True), "write include_clean=", lambda: call(include_clean=True)),
    "repeat=": (lambda: call(repeat=2), "write copies=", lambda: call(copies=2)),
    "num_repeats= of timm": (lambda: call(num_repeats=2), "write copies=", lambda: call(copies=2)),
    "n_classes=": (lambda: CUTMIX(X, Y, n_classes=N), "write num_classes=", lambda: CUTMIX(X, Y, num_classes=N)),
    "num_labels= of transformers": (lambda: call(num_labels=N), "write num_classes=", call),
    "return_lam=": (lambda: call(return_lam=True), "write return_mix=", lambda: call(return_mix=True)),
    "return_mask= of OpenMixup": (lambda: call(return_mask=True), "write return_mix=", lambda: call(return_mix=True)),
    "a chance": (
        lambda: call(p=0.5),
        "wrap the recipe, ma.sometimes(0.5, ma.CutMix())",
        lambda: call(recipe=ma.sometimes(0.5, ma.CutMix())),
    ),
    "cutmix_prob=": (
        lambda: call(cutmix_prob=0.5),
        "ma.sometimes(0.5, ma.CutMix())",
        lambda: call(recipe=ma.sometimes(0.5, ma.CutMix())),
    ),
    "label_smoothing= of timm": (
        lambda: call(label_smoothing=0.1),
        "ma.losses.smooth(labels, 0.1)",
        lambda: ma.losses.smooth(call()[1], 0.1),
    ),
    "channels=": (
        lambda: call(channels="last"),
        'fields={"images": ma.Images(layout="nchw")}',
        lambda: CUTMIX(
            np.moveaxis(X, -1, 1), Y, num_classes=N, fields={"images": ma.Images(layout="nchw"), "labels": "labels"}
        ),
    ),
    "union=": (
        lambda: call(union=True),
        'fields={"labels": ma.Labels(rule="maximum")}',
        lambda: call(fields={"labels": ma.Labels(rule="maximum")}),
    ),
    "stack_y= of fastai": (
        lambda: call(stack_y=False),
        'fields={"labels": "per_source"}',
        lambda: CUTMIX(X, Y, fields={"labels": "per_source"}),
    ),
    "interpolate_loss= of Composer": (
        lambda: call(interpolate_loss=True),
        'fields={"labels": "per_source"}',
        lambda: CUTMIX(X, Y, fields={"labels": "per_source"}),
    ),
    "data_keys= of kornia": (
        lambda: call(data_keys=["input", "mask"]),
        "write fields=",
        lambda: call(fields=("images", "labels")),
    ),
    "labels_getter= of torchvision": (
        lambda: call(labels_getter=None),
        "write fields=",
        lambda: call(fields=("images", "labels")),
    ),
    "dtype=": (
        lambda: call(dtype="float32"),
        'fields={"images": ma.Images(dtype="float32")}',
        lambda: call(fields={"images": ma.Images(dtype="float32")}),
    ),
    "inplace=": (lambda: call(inplace=True), "leave it out: inputs are never written to", call),
    "correct_lam=": (lambda: call(correct_lam=True), "leave it out: labels follow the pixels", call),
    "a misspelled option": (
        lambda: call(include_claen=True),
        "did you mean include_clean=?",
        lambda: call(include_clean=True),
    ),
    "alpha= in the call": (
        lambda: call(alpha=1.0),
        "pass it to the recipe, ma.CutMix(alpha=1.0)",
        lambda: call(recipe=ma.CutMix(alpha=1.0)),
    ),
    "sources= in the call": (
        lambda: call(sources=3),
        "pass it to the recipe, ma.MixUp(sources=3)",
        lambda: call(recipe=ma.MixUp(sources=3)),
    ),
    "num_classes by place": (lambda: CUTMIX(X, Y, N), "num_classes=10, key=(0, 0)", lambda: call(key=(0, 0))),
    "images by name": (
        lambda: CUTMIX(images=X, labels=Y),
        "by place, got none; write recipe(images, labels, num_classes=10)",
        call,
    ),
    "no batch": (CUTMIX, "write recipe(images, labels, num_classes=10)", call),
    # of mix_batch and draw
    "images and labels apart": (
        lambda: ma.mix_batch(CUTMIX, X, Y, num_classes=N),
        "mix_batch(recipe, (x, y), ...), or call the recipe, recipe(x, y, ...)",
        lambda: ma.mix_batch(CUTMIX, (X, Y), num_classes=N),
    ),
    "seed= of mix_batch": (
        lambda: ma.mix_batch(CUTMIX, (X, Y), seed=3),
        "write key=(seed, step)",
        lambda: ma.mix_batch(CUTMIX, (X, Y), key=(0, 0), num_classes=N),
    ),
    "seed= of draw": (
        lambda: CUTMIX.draw(N, (8, 8), seed=3),
        "write key=(seed, step)",
        lambda: CUTMIX.draw(N, (8, 8), key=(0, 0)),
    ),
    "a key by place": (
        lambda: CUTMIX.draw(N, (8, 8), (0, 0)),
        "draw: expected at most 2 positional arguments, n, size, got 3; pass the others by name, guide=, index=, key=",
        lambda: CUTMIX.draw(N, (8, 8), key=(0, 0)),
    ),
    "first= of draw": (
        lambda: CUTMIX.draw(N, (8, 8), key=0, first=3),
        "write rows=",
        lambda: CUTMIX.draw(2, (8, 8), key=0, rows=np.array([3, 4]), index=np.array([[0, 1], [1, 0]])),
    ),
    # the recipe comes first, and is a recipe
    "swapped in mix_batch": (
        lambda: ma.mix_batch((X, Y), CUTMIX),
        "recipe: expected a recipe first, before the data, got tuple; pass one such as ma.CutMix()",
        lambda: ma.mix_batch(ma.CutMix(), (X, Y), num_classes=N),
    ),
    "swapped in batches": (
        lambda: ma.batches(X, Y, 3, CUTMIX),
        "first, before the data, got ndarray; pass one",
        lambda: next(ma.batches(CUTMIX, X, Y, 3, num_classes=N)),
    ),
    "swapped in mixed": (
        lambda: ma.mixed([(X, Y)], CUTMIX, epoch=0),
        "first, before the data, got list; pass one",
        lambda: next(ma.mixed(CUTMIX, [(X, Y)], epoch=0, num_classes=N)),
    ),
    "swapped in torch.loader": (
        lambda: ma.torch.loader(PAIRS, CUTMIX, 3),
        "first, before the data, got TensorDataset; pass one",
        lambda: next(iter(loader())),
    ),
    "swapped in torch.MixedDataset": (
        lambda: ma.torch.MixedDataset(PAIRS, CUTMIX),
        "first, before the data, got TensorDataset; pass one",
        lambda: ma.torch.MixedDataset(CUTMIX, PAIRS, num_classes=N)[0],
    ),
    "swapped in tf.mixed_zip": (
        lambda: ma.tf.mixed_zip(DS, DS, CUTMIX),
        "first, before the data, got",
        lambda: next(iter(ma.tf.mixed_zip(CUTMIX, DS, DS, num_classes=N))),
    ),
    "swapped in keras.MixedDataset": (
        lambda: ma.keras.MixedDataset(X, Y, 3, CUTMIX),
        "first, before the data, got ndarray; pass one",
        lambda: ma.keras.MixedDataset(CUTMIX, X, Y, 3, num_classes=N)[0],
    ),
    "swapped in grain.mixed": (
        lambda: ma.grain.mixed(ELEMENTS, CUTMIX),
        "first, before the data, got",
        lambda: ma.grain.mixed(CUTMIX, ELEMENTS, num_classes=N)[0],
    ),
    "a class for a recipe": (
        lambda: ma.mix_batch(ma.CutMix, (X, Y)),
        "got the class CutMix; write ma.CutMix()",
        lambda: ma.mix_batch(ma.CutMix(), (X, Y), num_classes=N),
    ),
    "a class in a choice": (
        lambda: ma.one_of(ma.CutMix, ma.MixUp),
        "got the class CutMix; write ma.CutMix()",
        lambda: ma.one_of(ma.CutMix(), ma.MixUp()),
    ),
    "a function for a recipe": (
        lambda: ma.torch.Mixed(ma.one_of),
        "got the function one_of",
        lambda: ma.torch.Mixed(ma.CutMix()),
    ),
    "no brackets": (lambda: ma.CutMix(X, Y), "write ma.CutMix()(images, labels)", call),
    # of recipes
    "p= of kornia": (
        lambda: ma.CutMix(p=0.5),
        "ma.sometimes(0.5, ma.CutMix())",
        lambda: ma.sometimes(0.5, ma.CutMix()),
    ),
    "always_apply= of albumentations": (
        lambda: ma.Cutout(always_apply=True),
        "ma.sometimes(0.5, ma.CutMix())",
        lambda: ma.sometimes(0.5, ma.CutMix()),
    ),
    "num_classes= of torchvision": (
        lambda: ma.CutMix(num_classes=10),
        "pass it to the call, ma.CutMix()(images, labels, num_classes=10, key=(0, 0))",
        lambda: call(key=(0, 0)),
    ),
    "seed= of Keras": (lambda: ma.CutMix(seed=3), "pass it to the call", lambda: call(key=(0, 0))),
    "copies= of a recipe": (lambda: ma.CutMix(copies=2), "pass it to the call", lambda: call(copies=2)),
    "labels_getter= of v2.CutMix": (
        lambda: ma.CutMix(labels_getter=None),
        "pass it to the call",
        lambda: call(fields=("images", "labels")),
    ),
    "factor= of Keras": (lambda: ma.CutMix(factor=0.2), "write alpha=", lambda: ma.CutMix(alpha=0.2)),
    "lambda_val= of kornia": (lambda: ma.MixUp(lambda_val=(0, 1)), "write alpha=", lambda: ma.MixUp(alpha=1.0)),
    "beta=": (lambda: ma.CutMix(beta=1.0), "write alpha=", lambda: ma.CutMix(alpha=1.0)),
    "mixup_alpha= of timm": (lambda: ma.MixUp(mixup_alpha=0.8), "write alpha=", lambda: ma.MixUp(alpha=0.8)),
    "lambda": (lambda: ma.MixUp(**{"lambda": 0.3}), "write lam=", lambda: ma.MixUp(lam=0.3)),
    "same_on_batch= of kornia": (
        lambda: ma.MixUp(same_on_batch=True),
        "ma.per_batch(ma.CutMix()) draws once for a whole batch",
        lambda: ma.per_batch(ma.CutMix()),
    ),
    "mode= of timm": (
        lambda: ma.MixUp(mode="batch"),
        "ma.per_batch(ma.CutMix()) draws once for a whole batch",
        lambda: ma.per_batch(ma.CutMix()),
    ),
    "cutmix_minmax= of timm": (
        lambda: ma.CutMix(cutmix_minmax=(0.2, 0.8)),
        "write ma.CutMixMinMax(low=0.2, high=0.8)",
        lambda: ma.CutMixMinMax(low=0.2, high=0.8),
    ),
    "use_correct_lambda= of kornia": (
        lambda: ma.CutMix(use_correct_lambda=True),
        "leave it out: labels follow the pixels",
        ma.CutMix,
    ),
    "parents=": (lambda: ma.MixUp(parents=3), "write sources=", lambda: ma.MixUp(sources=3)),
    "switch_prob= of timm": (
        lambda: ma.one_of(ma.MixUp(), ma.CutMix(), switch_prob=0.5),
        "ma.one_of(ma.MixUp(), ma.CutMix(), weights=(1, 1))",
        lambda: ma.one_of(ma.MixUp(), ma.CutMix(), weights=(1, 1)),
    ),
    "p= of RandomChoice": (
        lambda: ma.one_of(ma.MixUp(), ma.CutMix(), p=(1, 2)),
        "write weights=",
        lambda: ma.one_of(ma.MixUp(), ma.CutMix(), weights=(1, 2)),
    ),
    "prob= of sometimes": (
        lambda: ma.sometimes(prob=0.5, recipe="cutmix"),
        "write p=",
        lambda: ma.sometimes(p=0.5, recipe="cutmix"),
    ),
    # of what fields are
    "ma.Images(channels=)": (
        lambda: ma.Images(channels="first"),
        'write layout=, such as layout="nchw"',
        lambda: ma.Images(layout="nchw"),
    ),
    "ma.Masks(data_format=)": (
        lambda: ma.Masks(data_format="channels_first"),
        'such as layout="nchw"',
        lambda: ma.Masks(layout="nchw"),
    ),
    "ma.Labels(union=)": (
        lambda: ma.Labels(union=True),
        'write rule="maximum" or rule="visible"',
        lambda: ma.Labels(rule="maximum"),
    ),
    "ma.Labels(visible=)": (
        lambda: ma.Labels(visible="foreground"),
        'write rule="maximum" or rule="visible"',
        lambda: ma.Labels(rule="visible"),
    ),
    "ma.Labels(classes=)": (lambda: ma.Labels(classes=3), "write num_classes=", lambda: ma.Labels(num_classes=3)),
    # of the adapters
    "key= of tf.mixed": (lambda: ma.tf.mixed(CUTMIX, key=3), "write seed=", lambda: ma.tf.mixed(CUTMIX, seed=3)),
    "rng= of torch.Mixed": (
        lambda: ma.torch.Mixed(CUTMIX, rng=3),
        "write seed=",
        lambda: ma.torch.Mixed(CUTMIX, seed=3),
    ),
    "p= of torch.Mixed": (
        lambda: ma.torch.Mixed(CUTMIX, p=0.5),
        "ma.sometimes(0.5, ma.CutMix())",
        lambda: ma.torch.Mixed(ma.sometimes(0.5, ma.CutMix())),
    ),
    "repeat= of torch.loader": (lambda: loader(repeat=2), "write copies=", lambda: next(iter(loader(copies=2)))),
    "keep_clean= of torch.loader": (
        lambda: loader(keep_clean=True),
        "write include_clean=",
        lambda: next(iter(loader(include_clean=True))),
    ),
    "an option of DataLoader, misspelled": (
        lambda: loader(num_worker=0),
        "did you mean num_workers=?",
        lambda: loader(num_workers=0),
    ),
    "n_classes= of torch.MixingCollate": (
        lambda: ma.torch.MixingCollate(CUTMIX, n_classes=N),
        "write num_classes=",
        lambda: ma.torch.MixingCollate(CUTMIX, num_classes=N),
    ),
    "copies= of single samples": (
        lambda: ma.torch.MixedDataset(CUTMIX, PAIRS, copies=2),
        "pass it to ma.mix_batch(recipe, batch",
        lambda: ma.mix_batch(CUTMIX, (X, Y), copies=2, num_classes=N),
    ),
    "pairing= of grain.mixed": (
        lambda: ma.grain.mixed(CUTMIX, ELEMENTS, pairing=ma.pairing.Roll()),
        "pass it to ma.mix_batch(recipe, batch",
        lambda: ma.mix_batch(CUTMIX, (X, Y), pairing=ma.pairing.Roll(), num_classes=N),
    ),
    "keep_clean= of tf.mixed_zip": (
        lambda: ma.tf.mixed_zip(CUTMIX, DS, DS, keep_clean=True),
        "pass it to ma.mix_batch(recipe, batch",
        lambda: ma.mix_batch(CUTMIX, (X, Y), include_clean=True, num_classes=N),
    ),
    "data_format= of keras.MixLayer": (
        lambda: layer(data_format="channels_last"),
        'fields={"images": ma.Images(layout="nchw")}',
        lambda: layer(fields={"images": ma.Images(layout="nchw")}),
    ),
    "keep_clean= of keras.MixedDataset": (
        lambda: ma.keras.MixedDataset(CUTMIX, X, Y, 3, keep_clean=True),
        "write include_clean=",
        lambda: ma.keras.MixedDataset(CUTMIX, X, Y, 3, num_classes=N, include_clean=True)[0],
    ),
    "p= of timm.Mixup": (lambda: ma.timm.Mixup(p=0.5), "write prob=", lambda: ma.timm.Mixup(prob=0.5)),
    "alpha= of lightning.MixCallback": (
        lambda: ma.lightning.MixCallback(CUTMIX, alpha=1.0),
        "pass it to the recipe, ma.CutMix(alpha=1.0)",
        lambda: ma.lightning.MixCallback(ma.CutMix(alpha=1.0)),
    ),
}


@pytest.mark.parametrize("miss", MISSES)
def test_a_near_miss_gets_the_sentence_that_makes_it_right(miss):
    write, way_out, follow = MISSES[miss]
    with pytest.raises(TypeError) as caught:
        write()
    assert ": expected " in str(caught.value)
    assert way_out in str(caught.value)
    assert "\n" not in str(caught.value)
    follow()


@pytest.mark.parametrize(
    ("text", "way_out", "right"),
    [
        ("cutmix(p=0.5)", "sometimes(0.5, CutMix())", "sometimes(0.5, CutMix())"),
        ("mixup(parents=3)", "write sources=", "mixup(sources=3)"),
        ("mixup(beta=0.2)", "write alpha=", "mixup(alpha=0.2)"),
        ("one_of(mixup, cutmix, probs=(1, 2))", "write weights=", "one_of(mixup, cutmix, weights=(1, 2))"),
        ("mixup(alhpa=0.2)", "did you mean alpha=?", "mixup(alpha=0.2)"),
        ("cutmix(mode=1)", "per_batch(CutMix())", "per_batch(CutMix())"),
    ],
)
def test_a_near_miss_in_a_text_gets_a_sentence_that_a_text_can_follow(text, way_out, right):
    with pytest.raises(ValueError, match=r"^recipe: ") as caught:
        ma.recipe(text)
    assert way_out in str(caught.value)
    assert "ma." not in str(caught.value)
    ma.recipe(right)


@pytest.mark.parametrize("kind", RECIPES, ids=lambda kind: kind.__name__)
def test_every_recipe_knows_what_is_meant(kind):
    with pytest.raises(TypeError, match=rf"^{kind.__name__}: .* got p=; .*ma\.sometimes"):
        kind(p=0.5)
    with pytest.raises(TypeError, match=rf"write ma\.{kind.__name__}\(\)\(images, labels\)"):
        kind(X, Y)


@pytest.mark.parametrize("kind", RECIPES, ids=lambda kind: kind.__name__)
def test_a_recipe_says_its_options_to_those_who_ask_python(kind):
    assert {*signature(kind).parameters} == {field.name for field in fields(kind)}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Mixup", "MixUp"),
        ("mixup", "MixUp"),
        ("cutmix", "CutMix"),
        ("cut_mix", "CutMix"),
        ("CutMx", "CutMix"),
        ("Ricap", "RICAP"),
        ("RandomChoice", "one_of"),
        ("OneOf", "one_of"),
        ("Compose", "one_of"),
        ("RandomApply", "sometimes"),
        ("Sometimes", "sometimes"),
        ("RandomErase", "RandomErasing"),
        ("random_erasing", "RandomErasing"),
        ("RandomCutMixV2", "CutMix"),
        ("RandomMixUpV2", "MixUp"),
        ("RandomMosaic", "Mosaic"),
        ("CoarseDropout", "Cutout"),
        ("FourierMix", "FMix"),
        ("Parts", "PerSource"),
        ("Own", "Keep"),
        ("laws", "testing"),
        ("FastCollateMixup", "timm.FastCollateMixup"),
        ("MixLayer", "keras.MixLayer"),
        ("MixCallback", "lightning.MixCallback"),
        ("MixTrainer", "huggingface.MixTrainer"),
        ("loader", "torch.loader"),
        ("mixed_zip", "tf.mixed_zip"),
        ("mixup_criterion", "losses.mixed_criterion"),
        ("InsideCutMix", 'CutMix(placement="inside")'),
        ("EvenCutMix", 'CutMix(placement="uniform")'),
    ],
)
def test_a_misspelled_name_says_what_is_meant(name, meant):
    with pytest.raises(AttributeError) as caught:
        getattr(ma, name)
    sentence = str(caught.value)
    assert sentence.startswith(f"mixaug has no {name!r}, did you mean ma.{meant}")
    assert sentence.endswith("?")
    assert reduce(getattr, meant.partition("(")[0].split("."), ma)  # there is such a name


def test_a_name_that_nothing_is_like_gets_the_list():
    with pytest.raises(AttributeError, match=r"mixaug has no 'nothing_like_it'; it has .*CutMix, .*, torch$"):
        ma.nothing_like_it  # noqa: B018
