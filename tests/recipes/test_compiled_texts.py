"""The text of a recipe inside `torch.compile`: it is parsed while tracing, or raises its error."""

from __future__ import annotations

import pytest
import torch
from test_plugins import RECIPE, joined  # noqa: F401 - a fixture

import mixaug as ma

X, Y = torch.rand(4, 3, 8, 8), torch.arange(4)
TEXTS = [
    "cutmix", "one_of(MixUp(alpha=0.2), cutmix, weights=(1, 2))", "mixup(alpha=(1.0, 2.0))", "sometimes(0.5, fmix)",
    "schedule({0: cutmix, 3: identity})", "per_batch(mosaic)", "cut_mix(placement='inside')",
]  # fmt: skip


def doors(text):
    def batch(x, y, step):
        return ma.mix_batch(text, (x, y), key=(0, 0, step), num_classes=4)

    def read(x, y, step):
        return ma.recipe(text)(x, y, key=(0, 0, step), num_classes=4)

    return batch, read


def compiled(function, fullgraph=True):
    torch._dynamo.reset()
    return torch.compile(function, fullgraph=fullgraph, backend="aot_eager")


def assert_as_eager(text) -> None:
    for function in doors(text):
        for got, want in zip(compiled(function)(X, Y, torch.tensor(3)), function(X, Y, 3), strict=True):
            torch.testing.assert_close(got, want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("text", [TEXTS[0], *(pytest.param(text, marks=pytest.mark.full) for text in TEXTS[1:])])
def test_a_text_is_read_in_compiled_code(text):
    assert_as_eager(text)


@pytest.mark.full
def test_a_text_of_another_distribution_is_read_in_compiled_code(joined):  # noqa: F811
    joined("swirls", "swirl = swirls:Swirl", RECIPE)
    assert_as_eager("one_of(swirl(strength=2), swirl)")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cutmx", "recipe: expected a known name, got 'cutmx', did you mean cutmix"),
        ("cutmix(aplha=1)", "recipe: expected options of cutmix.* in 'cutmix.aplha=1.'; did you mean alpha="),
        pytest.param("cutmix(", "recipe: expected names and options in brackets", marks=pytest.mark.full),
        pytest.param("cutmix(alpha=-1)", "CutMix alpha: expected a finite number of 1e-09", marks=pytest.mark.full),
        pytest.param("", "recipe: expected names and options in brackets", marks=pytest.mark.full),
    ],
)
def test_invalid_texts_raise_their_error(text, sentence):
    for function in doors(text):
        with pytest.raises(Exception, match=sentence):
            compiled(function)(X, Y, torch.tensor(3))
        with pytest.raises(Exception, match=sentence):
            compiled(function, fullgraph=False)(X, Y, torch.tensor(3))
        with pytest.raises(ValueError, match=sentence):
            function(X, Y, 3)
