"""Near misses from other libraries, or older names: each gets the sentence that makes it right."""

from __future__ import annotations

import numpy as np
import pytest

import mixaug as ma
from ways import own_class_everywhere

N = 6
X, Y = own_class_everywhere(N, (8, 8)), np.arange(N)


def call(**options):
    return ma.CutMix()(X, Y, **{"num_classes": N, **options})


MISSES = {
    "seed=": (lambda: call(seed=3), "write key="),
    "rng=": (lambda: call(rng=3), "write key="),
    "keep_clean=": (lambda: call(keep_clean=True), "write include_clean="),
    "repeat=": (lambda: call(repeat=2), "write copies="),
    "n_classes=": (lambda: call(n_classes=3), "write num_classes="),
    "return_lam=": (lambda: call(return_lam=True), "write return_mix="),
    "a chance in the call": (lambda: call(p=0.5), "ma.sometimes(0.5, ma.CutMix())"),
    "label_smoothing=": (lambda: call(label_smoothing=0.1), "ma.losses.smooth(labels, 0.1)"),
    "union=": (lambda: call(union=True), 'ma.Labels(rule="maximum")'),
    "a misspelled option": (lambda: call(include_claen=True), "did you mean include_clean=?"),
    "alpha= in the call": (lambda: call(alpha=1.0), "ma.CutMix(alpha=1.0)"),
    "seed= of mix_batch": (lambda: ma.mix_batch(ma.CutMix(), (X, Y), seed=3), "write key="),
    "images and labels apart": (lambda: ma.mix_batch(ma.CutMix(), X, Y), "mix_batch(recipe, (x, y), ...)"),
    "swapped arguments": (lambda: ma.mix_batch((X, Y), ma.CutMix()), "first, before the data, pass one"),
    "no brackets": (lambda: ma.CutMix(X, Y), "write ma.CutMix()(images, labels)"),
    "a class for a recipe": (lambda: ma.mix_batch(ma.CutMix, (X, Y)), "write ma.CutMix()"),
    "p= of a recipe": (lambda: ma.CutMix(p=0.5), "ma.sometimes(0.5, ma.CutMix())"),
    "num_classes= of a recipe": (lambda: ma.CutMix(num_classes=10), "num_classes=10, key=(0, 0))"),
    "parents= of a recipe": (lambda: ma.MixUp(parents=3), "write sources="),
    "same_on_batch=": (lambda: ma.MixUp(same_on_batch=True), "ma.per_batch(ma.CutMix())"),
    "beta= of Keras": (lambda: ma.CutMix(beta=0.2), "write alpha="),
    "factor= of Keras": (lambda: ma.CutMix(factor=0.2), "write alpha="),
    "prob= of one_of": (lambda: ma.one_of(ma.CutMix(), ma.MixUp(), prob=(1, 2)), "write weights="),
    "num_classes without a name": (lambda: ma.CutMix()(X, Y, 10), "num_classes=10, key=(0, 0)"),
    "no batch": (lambda: ma.CutMix()(), "recipe(images, labels, num_classes=10)"),
}


@pytest.mark.parametrize("miss", MISSES)
def test_a_near_miss_gets_the_sentence_that_makes_it_right(miss):
    use, way_out = MISSES[miss]
    with pytest.raises(TypeError) as caught:
        use()
    assert way_out in str(caught.value)
    assert ": expected " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Mixup", "MixUp"),
        ("cutmix", "CutMix"),
        ("RandomChoice", "one_of"),
        ("RandomApply", "sometimes"),
        ("random_erasing", "RandomErasing"),
        ("MixLayer", "keras.MixLayer"),
    ],
)
def test_a_misspelled_name_says_what_is_meant(name, meant):
    with pytest.raises(AttributeError, match=rf"mixaug has no '{name}', did you mean ma\.{meant}") as caught:
        getattr(ma, name)
    assert "?" in str(caught.value)


def test_the_ways_out_work():
    call(key=(0, 0))
    call(include_clean=True, copies=2, return_mix=True)
    ma.mix_batch(ma.CutMix(), (X, Y), num_classes=N)
    ma.sometimes(0.5, ma.CutMix())(X, Y, num_classes=N)
    ma.per_batch(ma.CutMix())(X, Y, num_classes=N)
    ma.one_of(ma.MixUp(sources=3), ma.CutMix(alpha=1.0), weights=(1, 1))(X, Y, num_classes=N)
