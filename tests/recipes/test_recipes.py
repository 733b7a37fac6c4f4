"""Recipes as values: their options, their repr, their text."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mixaug as ma
import ways
from mixaug.recipes import GUIDED, Paper, entry
from mixaug.recipes import RECIPES as RECIPES_OF_THE_LITERATURE

NUMBERS = st.floats(1e-3, 1e3)
LEAVES = st.one_of(
    st.builds(ma.MixUp, alpha=NUMBERS, sources=st.integers(2, 9)),
    st.builds(ma.CutMix, alpha=NUMBERS),
    st.builds(ma.GridMix, alpha=NUMBERS, cells=st.integers(1, 9)),
    st.builds(ma.TokenMix, alpha=NUMBERS, token=st.integers(1, 99)),
    st.builds(ma.FMix, alpha=NUMBERS, decay=st.floats(0, 9)),
    st.builds(ma.CowMix, low=st.floats(0.02, 0.2), high=st.floats(0.2, 3), least=st.floats(0, 0.5), most=st.just(1)),
    st.builds(ma.SmoothMix, low=st.floats(0.01, 0.2), high=st.floats(0.2, 3)),
    st.builds(ma.GMix, alpha=NUMBERS),
    st.just(ma.identity()),
)
RECIPES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda r: ma.one_of(*r)),
        st.lists(st.tuples(inner, NUMBERS), min_size=1, max_size=3).map(
            lambda r: ma.one_of(*(x for x, _ in r), weights=[w for _, w in r])
        ),
        st.builds(ma.sometimes, st.floats(0, 1), inner),
        st.builds(ma.per_batch, inner),
    ),
    max_leaves=4,
)


@given(RECIPES)
def test_repr_is_python_that_makes_it_again(recipe):
    names = {name: getattr(ma, name) for name in ma.__all__}
    assert eval(repr(recipe), {"__builtins__": {}}, names) == recipe  # noqa: S307 - our own repr
    assert ma.recipe(repr(recipe)) == recipe
    assert ma.recipe(repr(recipe).upper().replace("NONE", "None")) == recipe
    assert hash(recipe) == hash(ma.recipe(repr(recipe)))


@pytest.mark.parametrize(
    ("text", "recipe"),
    [
        ("cutmix", ma.CutMix()),
        (" CutMix ( ) ", ma.CutMix()),
        ("mixup(0.2, 3)", ma.MixUp(0.2, 3)),
        ("one_of(mixup(alpha=0.2), cutmix)", ma.one_of(ma.MixUp(0.2), ma.CutMix())),
        ("OneOf(cutmix, identity, weights=(1, 3))", ma.one_of(ma.CutMix(), ma.identity(), weights=(1, 3))),
        ("sometimes(0.5, gridmix(cells=8))", ma.sometimes(0.5, ma.GridMix(cells=8))),
        ("per_batch(one_of(smoothmix, cutmix))", ma.per_batch(ma.one_of(ma.SmoothMix(), ma.CutMix()))),
    ],
)
def test_texts(text, recipe):
    assert ma.recipe(text) == recipe


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cutmx", "got 'cutmx', did you mean cutmix\\?; known are .*cutmix, .*gridmix, .*identity"),
        ("banana", "got 'banana'; known are"),
        ("one_of(mixup, cut_mixx)", "did you mean cutmix"),
        ("cutmix(beta=1)", r"expected options of cutmix\(alpha=None, .*\), got an unexpected keyword argument 'beta'"),
        ("mixup(alpha=-1)", "MixUp alpha: expected a finite number of 1e-09 or more and at most 1e.06, got -1"),
        ("mixup(alpha=cutmix)", "MixUp alpha: expected a finite number"),
        ("mixup(sources=1)", "MixUp sources: expected a whole number of 2 or more and at most 256, got 1"),
        ("__import__('os').system('true')", "expected names, numbers, quoted words and brackets, got .*system"),
        ("cutmix.draw", "expected names, numbers, quoted words and brackets, got '.draw'"),
        ("cutmix(alpha='1')", "CutMix alpha: expected a finite number"),
        ("cutmix(alpha=1 + 1)", r"expected names, numbers, quoted words and brackets, got '\+ 1\)'"),
        ("cutmix(alpha=1+1)", "expected names and options in brackets"),
        ("cutmix(*[1])", r"got '\*\[1\]\)'"),
        ("cutmix(**{})", r"got '\*\*\{\}\)'"),
        ("cutmix(", "expected names and options in brackets"),
        ("cutmix # mixup", "got '# mixup'"),
        ("", "expected names and options in brackets"),
        ("3", "expected the name of a recipe"),
        ("(cutmix, mixup)", "expected the name of a recipe"),
        ("one_of()", "expected one recipe or more, got none"),
        ("(" * 500 + "cutmix" + ")" * 500, "expected at most 100 open brackets"),
    ],
)
def test_texts_that_are_refused(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        ma.recipe(text)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (
            lambda: ma.MixUp(alpha=0),
            ValueError,
            "MixUp alpha: expected a finite number of 1e-09 or more and at most 1e.06, got 0",
        ),
        (lambda: ma.MixUp(alpha=float("nan")), ValueError, "got nan"),
        (lambda: ma.MixUp(alpha=float("inf")), ValueError, "got inf"),
        (lambda: ma.MixUp(alpha="1"), ValueError, "got '1'"),
        (lambda: ma.MixUp(alpha=True), ValueError, "got True"),
        (
            lambda: ma.MixUp(sources=2.0),
            ValueError,
            "MixUp sources: expected a whole number of 2 or more and at most 256, got 2.0",
        ),
        (lambda: ma.CutMix(alpha=-1), ValueError, "CutMix alpha"),
        (
            lambda: ma.GridMix(cells=0),
            ValueError,
            "GridMix cells: expected a whole number of 1 or more and at most 4096, got 0",
        ),
        (
            lambda: ma.SmoothMix(low=0.5, high=0.25),
            ValueError,
            "SmoothMix high: expected a finite number of 0.5 or more",
        ),
        (lambda: ma.sometimes(1.5, ma.CutMix()), ValueError, "sometimes p: .* at most 1, got 1.5"),
        (lambda: ma.one_of(ma.CutMix(), weights=(1, 2)), ValueError, "expected 1 weights, one a recipe, got 2"),
        (lambda: ma.one_of(ma.CutMix(), weights=(0,)), ValueError, "got only zeros"),
        (lambda: ma.one_of(ma.CutMix(), weights=(-1,)), ValueError, "one_of weights"),
        (lambda: ma.one_of(3), TypeError, "one_of: expected a recipe, got 3"),
        (lambda: ma.per_batch(ma.CutMix), TypeError, "per_batch: expected a recipe"),
        (lambda: ma.recipe(7), TypeError, "recipe: expected a text"),
    ],
)
def test_options_that_are_refused(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()


def test_the_list_has_every_recipe_and_reads_back():
    assert [one.kind for one in ma.recipes()] == [*RECIPES_OF_THE_LITERATURE, *GUIDED]
    for one in ma.recipes():
        assert ma.recipe(one.name) == ma.recipe(one.defaults) == one.kind()
        assert one.defaults == f"{one.name}({one.options})"
        assert (one, hash(one)) == (replace(one), hash(replace(one)))


@pytest.mark.parametrize("one", ma.recipes(), ids=lambda one: one.name)
def test_recipes_lists_name_formula_and_paper(one):
    assert re.fullmatch(r"[A-Z][^\n]*[^.]\.", one.summary)
    assert "=" in one.formula or "~" in one.formula
    assert not one.formula.startswith(" ")
    assert re.fullmatch(r"Good for [^\n]*\.", one.good_for)
    assert "Good for" not in " ".join(one.notes)
    assert not any(word in " ".join(one.notes) for word in ("Args:", ">>>", "Raises:"))
    without = ("CutMixMinMax", "NWayCutMix")  # of other libraries and of mixaug
    assert (one.paper is None) == (one.name in without)
    if one.paper:
        assert 2015 < one.paper.year < 2030
        assert any(note.startswith(str(one.paper)) for note in one.notes)


def test_a_docstring_is_read_by_its_form():
    def listed(docstring):
        return entry(type("Plain", (ma.MixUp,), {"__doc__": docstring}))

    one = listed("""Do it.

        a = b
          + c

    Args:
        alpha: so.

    Before the example.

    Example:
        >>> 1

        >>> 2

    Good for
    nothing. At all.

    Doe & Roe 2031, "On: nothing", did less.
    """)
    assert (one.summary, one.formula, one.good_for) == ("Do it.", "a = b\n  + c", "Good for nothing. At all.")
    assert one.notes == ("Before the example.", 'Doe & Roe 2031, "On: nothing", did less.')
    assert one.paper == Paper("Doe & Roe", 2031, "On: nothing")
    for none in (None, "", "Plain(alpha: float = 1.0)"):
        assert (listed(none).summary, listed(none).formula, listed(none).notes, listed(none).paper) == (
            "",
            "",
            (),
            None,
        )
    assert listed("Do.\n\nAs 12 2031 do.").paper is None


def test_numbers_of_numpy_become_pythons_own():
    """So that the repr, which saved layers contain, can be read back."""
    made = ma.one_of(ma.MixUp(np.float32(0.5), np.int64(3)), ma.CutMix(np.float64(0.25)), weights=np.array([1.0, 3.0]))
    assert repr(made) == "one_of(MixUp(alpha=0.5, sources=3), CutMix(alpha=0.25), weights=(1.0, 3.0))"
    assert ma.recipe(repr(made)) == made
    assert ma.recipe(repr(ma.sometimes(np.float32(0.5), ma.GridMix(cells=np.int32(2))))).weights == (0.5, 0.5)


@pytest.mark.parametrize("recipe", ways.RECIPE_ROWS, ids=repr)
def test_recipes_are_frozen_values_that_travel_to_workers(recipe):
    assert pickle.loads(pickle.dumps(recipe)) == recipe  # noqa: S301 - our own bytes
    field = "recipes" if hasattr(recipe, "recipes") else "recipe" if hasattr(recipe, "recipe") else "alpha"
    with pytest.raises(AttributeError):
        setattr(recipe, field, None)


@pytest.mark.slow_ways
@pytest.mark.parametrize("way", [way for way in ways.WAYS if way is not ways.numpy_read_only], ids=lambda w: w.__name__)
@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.MixUp(sources=3), ma.FMix()], ids=repr)
def test_part_of_a_batch_draws_the_same_as_the_whole(recipe, way):
    """Row numbers may be a tensor that is known at run time only."""
    index = (np.arange(9, dtype=np.int32)[None] + np.arange(recipe.sources, dtype=np.int32)[:, None]) % 9
    whole = recipe.draw(9, (6, 5), key=(1, 2), index=index)

    def part(rows):
        mix = recipe.draw(4, (6, 5), key=(1, 2), index=index[:, 5:], rows=rows, like=rows)
        return mix.lam

    ways.assert_same(way(part, np.arange(5, 9, dtype=np.int32)), whole.lam[:, 5:], ways.array_of(way))


def test_invalid_row_numbers_or_rows_without_index_raise():
    index = np.zeros((2, 2), np.int32)
    for make in ways.MAKE.values():
        for rows, sentence in (
            ([-1, 0], "of 0 or more, got -1"),
            ([1.5, 2], "expected integers of shape"),
            ([1], "shape"),
        ):
            with pytest.raises(ValueError, match=f"rows: .*{sentence}"):
                ma.CutMix().draw(2, (4, 4), key=(0, 0), rows=make(np.array(rows)), index=index)
    with pytest.raises(ValueError, match="rows: expected index= beside rows=, got none"):
        ma.CutMix().draw(2, (4, 4), key=(0, 0), rows=np.arange(2))
