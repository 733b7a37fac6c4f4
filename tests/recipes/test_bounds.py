"""Boxes and holes of bounded area and aspect, or of bounded height and width."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import mixaug as ma

N = 20_000
LARGE = (32768, 30000)
MAKERS = (ma.BoxMix, ma.RandomErasing)


def sides_of(recipe: ma.Recipe, size: tuple[int, ...], n: int = N) -> np.ndarray:
    """(n, d): the sides of each box or hole, which lies wholly inside."""
    region = recipe.draw(n, size, key=(0, 7)).region
    box = region.box[1] if recipe.sources == 2 else region.hole
    assert (box[..., 0] >= 0).all()
    assert (box[..., 1] <= np.array(size)).all()
    return box[..., 1] - box[..., 0]


@pytest.mark.parametrize("make", MAKERS)
def test_heights_and_widths_are_uniform_and_independent(make):
    height, width = (sides_of(make(height=(0.1, 0.4), width=(0.3, 0.9)), LARGE) / LARGE).T
    assert stats.kstest(height, stats.uniform(0.1, 0.3).cdf).pvalue > 1e-3
    assert stats.kstest(width, stats.uniform(0.3, 0.6).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(height, width)[0, 1]) < 0.03


@pytest.mark.parametrize("make", MAKERS)
def test_a_number_is_a_fixed_side(make):
    assert (sides_of(make(height=0.5, width=0.25), (40, 24), 99) == (20, 6)).all()
    assert (sides_of(make(height=1, width=0.3), (9, 10), 99) == (9, 3)).all()
    assert (sides_of(make(height=0.01, width=0.01), (9, 10), 99) == 1).all()  # never less than a pixel


@pytest.mark.parametrize("make", MAKERS)
def test_signals_have_a_width_and_volumes_are_covered_from_end_to_end(make):
    recipe = make(height=0.5, width=0.25)
    assert (sides_of(recipe, (64,), 99) == 16).all()
    assert (sides_of(recipe, (7, 40, 24), 99) == (7, 20, 6)).all()


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("aspect", [(0.3, 3.3), (0.25, 0.5), (2, 2), 4.0], ids=str)
def test_aspects_are_log_uniform_in_height_over_width(make, aspect):
    height, width = (sides_of(make(area=(0.02, 0.1), aspect=aspect), LARGE) / LARGE).T
    low, high = np.log(aspect if isinstance(aspect, tuple) else (1 / aspect, aspect))
    logs = np.log(height / width)
    if low == high:
        np.testing.assert_allclose(logs, low, atol=1e-3)
    else:
        assert stats.kstest(logs, stats.uniform(low, high - low).cdf).pvalue > 1e-3
    assert stats.kstest(height * width, stats.uniform(0.02, 0.08).cdf).pvalue > 1e-3


@pytest.mark.parametrize("make", MAKERS)
def test_a_symmetric_pair_is_the_number(make):
    pair, number = (sides_of(make(area=0.2, aspect=aspect), (200, 300), 500) for aspect in ((1 / 3, 3.0), 3.0))
    assert (abs(pair - number) <= 1).all()


def test_several_holes_have_different_sides():
    height, width = (sides_of(ma.RandomErasing(height=(0.1, 0.4), width=0.2, count=3), LARGE) / LARGE).transpose(
        2, 0, 1
    )
    assert (abs(width - 0.2) < 1e-4).all()
    for h in range(3):
        assert stats.kstest(height[:, h], stats.uniform(0.1, 0.3).cdf).pvalue > 1e-3
    assert (abs(np.corrcoef(height.T) - np.eye(3)) < 0.03).all()


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("options", "sentence", "mended"),
    [
        (
            {"area": 0.2, "height": 0.3, "width": 0.3},
            "expected area and aspect, or height and width, got area=0.2, height=0.3, width=0.3; leave out one kind",
            {"height": 0.3, "width": 0.3},
        ),
        (
            {"aspect": 2, "height": (0.1, 0.3)},
            r"expected area and aspect, or height and width, got aspect=2, height=\(0.1, 0.3\); leave out one kind",
            {"aspect": 2},
        ),
        (
            {"height": 0.3},
            "expected height and width together, got height=0.3 alone; pass width too, width=1 for the whole of it",
            {"height": 0.3, "width": 1},
        ),
        (
            {"width": 0.3},
            "expected height and width together, got width=0.3 alone; pass height too, height=1 for the whole of it",
            {"width": 0.3, "height": 1},
        ),
        (
            {"height": 0, "width": 1},
            "height: expected a finite number above 0 and at most 1, got 0",
            {"height": 0.01, "width": 1},
        ),
        (
            {"height": (0.5, 0.1), "width": 1},
            "height: expected a finite number of 0.5 or more and at most 1, got 0.1",
            {"height": (0.5, 0.5), "width": 1},
        ),
        (
            {"area": (0.1, 0.2, 0.3)},
            r"area: expected a number or a range \(low, high\), got \(0.1, 0.2, 0.3\); give one or two",
            {"area": (0.1, 0.3)},
        ),
        ({"aspect": 0.5}, "aspect: expected a finite number of 1 or more, got 0.5", {"aspect": (0.5, 0.5)}),
        ({"aspect": (0, 3)}, "aspect: expected a finite number above 0, got 0", {"aspect": (0.1, 3)}),
        ({"aspect": (3, 2)}, "aspect: expected a finite number of 3 or more, got 2", {"aspect": (2, 3)}),
    ],
)
def test_options_that_are_refused_and_ways_out_that_work(make, options, sentence, mended):
    with pytest.raises(ValueError, match=f"{make.__name__}:? {sentence}"):
        make(**options)
    make(**mended).draw(2, (8, 8), key=0)


@pytest.mark.parametrize(
    ("option", "meant"),
    [("scale", "area"), ("ratio", "aspect"), ("min_area", "area"), ("max_count", "count"), ("value", "fill"),
     ("low", "area"), ("num_holes_range", "count"), ("hole_height_range", "height")],
)  # fmt: skip
def test_words_of_other_libraries_are_named(option, meant):
    with pytest.raises(TypeError, match=f"RandomErasing: expected options among .*, got {option}=; write {meant}="):
        ma.RandomErasing(**{option: 0.3})


@pytest.mark.parametrize(
    "recipe",
    [ma.BoxMix(), ma.BoxMix(height=0.5, width=(0.1, 0.2)), ma.BoxMix(0.3, (0.3, 3.3)), ma.RandomErasing(),
     ma.RandomErasing(height=(0.1, 0.5), width=1, count=(1, 3), fill=(1, 2, 3))],
    ids=repr,
)  # fmt: skip
def test_texts_say_the_bounds(recipe):
    assert ma.recipe(repr(recipe)) == recipe
    assert hash(ma.recipe(repr(recipe))) == hash(recipe)
