"""The selection of tests of `make test`."""

from __future__ import annotations

from itertools import combinations, product
from types import SimpleNamespace

import pytest

import ways
from test_structure import ROOT
from variants import SLOW, one_a_way, pairwise


@pytest.mark.parametrize(("counts", "most"), [((5,), 5), ((4, 3), 12), ((6, 5, 4), 33), ((5, 4, 3, 2), 24)])
def test_each_pair_of_values_is_in_some_chosen_variant(counts, most):
    variants = [SimpleNamespace(params=dict(enumerate(row))) for row in product(*map(range, counts))]
    chosen = [variants[number].params for number in pairwise(variants)]
    for factors in combinations(range(len(counts)), min(2, len(counts))):
        covered = {tuple(row[factor] for factor in factors) for row in chosen}
        assert covered == set(product(*(range(counts[factor]) for factor in factors)))
    assert len(chosen) <= most


def test_each_way_is_chosen_and_of_the_slow_ones_one_variant():
    variants = [SimpleNamespace(params={"way": way, "recipe": k}) for way, k in product(ways.WAYS, range(5))]
    chosen = [variants[number].params for number in sorted(one_a_way(variants))]
    for way in ways.WAYS:
        recipes = [row["recipe"] for row in chosen if row["way"] is way]
        assert len(recipes) == (1 if way.__name__ in SLOW else 5)
    assert len({row["recipe"] for row in chosen if row["way"].__name__ in SLOW}) == len(SLOW)


@pytest.mark.pairs
@pytest.mark.parametrize("a", range(4))
@pytest.mark.parametrize("b", ["u", "v", "w", "x"])
@pytest.mark.parametrize("c", [0.5, 1.5])
def test_a_test_that_is_marked_pairs_leaves_some_variants_out(a, b, c, request):
    """32 variants, of which 16 to 25 cover all pairs."""
    mine = [item for item in request.session.items if item.name.startswith(f"{request.node.originalname}[")]
    assert request.node in mine
    if request.config.option.markexpr == "not full":
        assert 16 <= len(mine) <= 25


def test_the_slow_ways_are_ways():
    assert set(SLOW) <= {way.__name__ for way in ways.WAYS}


def test_every_mutation_names_one_line_of_the_code(monkeypatch):
    """Check that `tools/mutations.py` follows the code: each text occurs exactly once, and its tests exist."""
    monkeypatch.syspath_prepend(str(ROOT.parents[1] / "tools"))
    from mutations import MUTATIONS

    stale = [(one.file, one.old) for one in MUTATIONS if (ROOT / one.file).read_text().count(one.old) != 1]
    missing = {
        name for one in MUTATIONS for name in one.tests.split() if not (ROOT.parents[1] / "tests" / name).exists()
    }
    assert (stale, missing) == ([], set())
