"""Pairings: the same in every library, known results, properties and distributions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import mixaug as ma
import ways
from mixaug.pairing import Balanced, Cyclic, Flip, Near, OtherClass, Pairing, Replacement, Roll, SameClass

tf, jnp, torch = ways.tf, ways.jnp, ways.torch
KEY = (2**65 + 7, -3, 11)
PAIRINGS = [Cyclic(), Roll(), Roll(3), Flip(), Replacement(), SameClass(), OtherClass(), Balanced(), Near(1.5)]
BY_CLASS = [SameClass(), OtherClass(), Balanced()]
LABELS = np.array([0, 1, 0, 2, 1, 0, 3, 0], np.int32)  # 3 is alone


def partners(pairing: Pairing, seen: np.ndarray, sources: int = 2, keys: int = 1, seed: int = 0) -> np.ndarray:
    """int (keys, sources - 1, n): the sources beside the base sample under several keys."""
    n = len(seen)
    drawn = [pairing.index(n, sources, key=(seed, step), by=seen)[1:] for step in range(keys)]
    return np.stack(drawn)


HOT = np.eye(4, dtype=np.float32)[LABELS]
CASES = [(way, LABELS) for way in ways.WAYS if way is not ways.jax_eager]  # it is slow, and jit traces the same code
CASES += [(way, HOT) for way in (ways.tf_eager, ways.torch_eager, ways.jax_jit)]


@pytest.mark.parametrize(("way", "seen"), CASES, ids=[f"{way.__name__}-{seen.ndim}" for way, seen in CASES])
def test_every_library_pairs_as_numpy_does(way, seen):
    def run(y):
        return tuple(pairing.index(ways.count(y), 4, key=KEY, like=y, by=y) for pairing in PAIRINGS)

    for pairing, got in zip(PAIRINGS, way(run, seen), strict=True):
        expected = pairing.index(len(seen), 4, key=KEY, by=seen)
        assert expected.dtype == np.int32
        ways.assert_same(got, expected, ways.array_of(way))


@pytest.mark.parametrize("pairing", PAIRINGS, ids=repr)
@pytest.mark.parametrize("library", ways.MAKE)
@pytest.mark.parametrize("n", [0, 1, 2])
def test_any_number_of_rows(pairing, library, n):
    seen = ways.MAKE[library](np.arange(n, dtype=np.int32) % 2)
    index = ways.values(pairing.index(n, 4, key=(0, 0), like=seen, by=seen))
    assert index.shape == (4, n)
    np.testing.assert_array_equal(index[0], np.arange(n))
    assert ((index >= 0) & (index < max(n, 1))).all()


def test_the_default_is_a_pairing_too():
    for sources in (2, 4):
        drawn = ma.MixUp(alpha=9.0, sources=sources).draw(7, (2,), key=KEY).index
        np.testing.assert_array_equal(Cyclic().index(7, sources, key=KEY), drawn)


def test_roll_and_flip_by_hand():
    np.testing.assert_array_equal(Roll().index(4, 3, key=(0, 0)), [[0, 1, 2, 3], [3, 0, 1, 2], [2, 3, 0, 1]])
    np.testing.assert_array_equal(Roll(3).index(5, 2, key=(0, 0))[1], np.roll(np.arange(5), 3))
    np.testing.assert_array_equal(Roll(7).index(5, 2, key=(0, 0))[1], np.roll(np.arange(5), 7))
    np.testing.assert_array_equal(Flip().index(4, 3, key=(0, 0)), [[0, 1, 2, 3], [3, 2, 1, 0], [0, 3, 2, 1]])
    np.testing.assert_array_equal(Flip().index(5, 2, key=(0, 0))[1], [4, 3, 2, 1, 0])


def test_replacement_takes_any_row_again_and_again():
    drawn = partners(Replacement(), np.zeros(6), sources=3, keys=3000)
    for j in range(2):
        for row in range(6):
            assert stats.chisquare(np.bincount(drawn[:, j, row], minlength=6)).pvalue > 1e-3
    assert stats.binomtest(int((drawn[:, 0] == drawn[:, 1]).sum()), 18_000, 1 / 6).pvalue > 1e-3


LABEL_LISTS = st.lists(st.integers(0, 4), min_size=1, max_size=12).map(np.array)


@given(LABEL_LISTS, st.integers(2, 5), st.integers(0, 1000))
def test_same_class_uses_the_class_while_it_has_rows(labels, sources, step):
    drawn = SameClass().index(len(labels), sources, key=(0, step), by=labels)
    assert (labels[drawn] == labels).all()
    for row, column in enumerate(drawn.T):
        others = int((labels == labels[row]).sum()) - 1
        found = column[1:][column[1:] != row]
        assert len(set(found)) == len(found) == min(others, sources - 1)


@given(LABEL_LISTS, st.integers(2, 5), st.integers(0, 1000))
def test_other_class_uses_other_classes_while_they_have_rows(labels, sources, step):
    drawn = OtherClass().index(len(labels), sources, key=(0, step), by=labels)
    for row, column in enumerate(drawn.T):
        others = int((labels != labels[row]).sum())
        found = column[1:][column[1:] != row]
        assert (labels[found] != labels[row]).all()
        assert len(set(found)) == len(found) == min(others, sources - 1)


@given(LABEL_LISTS, st.integers(2, 5), st.integers(0, 1000))
def test_sources_of_balanced_are_distinct(labels, sources, step):
    drawn = Balanced().index(len(labels), sources, key=(0, step), by=labels)
    for row, column in enumerate(drawn.T):
        found = column[1:][column[1:] != row]
        assert len(set(found)) == len(found)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=9).map(np.array), st.integers(2, 5), st.integers(0, 1000))
def test_partners_of_near_are_distinct_and_not_the_base_sample(values, sources, step):
    n = len(values)
    drawn = Near(0.7).index(n, sources, key=(0, step), by=values)
    for row, column in enumerate(drawn.T):
        found = column[1:][column[1:] != row]
        assert len(set(found)) == len(found) == min(n - 1, sources - 1)


def test_classes_by_hand():
    labels = np.array([0, 1, 0, 2, 1])
    same = partners(SameClass(), labels, keys=20)[:, 0]
    assert (same == [2, 4, 0, 3, 1]).all()  # row 3 is the only one of its class
    other = partners(OtherClass(), labels, keys=200)[:, 0]
    assert [sorted(set(column.tolist())) for column in other.T] == [
        [1, 3, 4],
        [0, 2, 3],
        [1, 3, 4],
        [0, 1, 2, 4],
        [0, 2, 3],
    ]
    assert (partners(OtherClass(), np.zeros(4, int), keys=5) == np.arange(4)).all()  # there is no other class


@pytest.mark.parametrize("pairing", [SameClass(), OtherClass()], ids=repr)
def test_all_allowed_partners_are_equally_likely(pairing):
    drawn = partners(pairing, LABELS, sources=3, keys=4000)
    for j in range(2):
        for row in range(len(LABELS)):
            allowed = (LABELS[row] == LABELS) == isinstance(pairing, SameClass)
            allowed[row] = False
            counts = np.bincount(drawn[:, j, row], minlength=len(LABELS))
            if allowed.sum() > j + 1:
                assert counts[~allowed].sum() == 0
                assert stats.chisquare(counts[allowed]).pvalue > 1e-3


def test_balanced_takes_each_class_as_often():
    labels = np.repeat([7, 3, 5], [300, 30, 3])
    drawn = np.stack([Balanced().index(333, 3, key=(0, step), by=labels)[1:] for step in range(40)])
    for j in range(2):
        for own in (7, 3, 5):
            found = labels[drawn[:, j][:, labels == own]]
            assert stats.chisquare([(found == c).sum() for c in (7, 3, 5)]).pvalue > 1e-3
    plain = np.stack([Cyclic().index(333, 2, key=(0, step))[1] for step in range(40)])
    assert ((labels[plain] == 5).mean()) < 0.02  # without it a rare class is rare


def test_balanced_takes_each_row_of_a_class_as_often():
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    drawn = partners(Balanced(), labels, keys=5000)[:, 0]
    for row in range(4):
        counts = np.bincount(drawn[:, row], minlength=7)
        expected = np.array([1 / 9] * 4 + [1 / 6, 1 / 6, 1 / 3])
        expected[row] = 0
        assert counts[row] == 0
        assert stats.chisquare(counts[expected > 0], 5000 * expected[expected > 0]).pvalue > 1e-3


def test_balanced_leaves_the_only_sample_of_a_drawn_class_unmixed():
    """Two rows of two classes: the second partner is the other row only if the first one is not."""
    drawn = partners(Balanced(), np.array([0, 1]), sources=3, keys=4000)
    for row in range(2):
        first, second = (drawn[:, j, row] != row for j in range(2))
        assert stats.binomtest(int(first.sum()), 4000, 1 / 2).pvalue > 1e-3
        assert stats.binomtest(int(second.sum()), 4000, 1 / 4).pvalue > 1e-3
        assert not (first & second).any()


def test_partners_of_near_follow_its_formula():
    values, sigma, keys = np.array([0.0, 0.5, 1.0, 2.5, 4.0, 4.25]), 1.2, 6000
    drawn = partners(Near(sigma), values, keys=keys)[:, 0]
    for row in range(6):
        chance = np.exp(-((values - values[row]) ** 2) / (2 * sigma**2))
        chance[row] = 0
        counts, expected = np.bincount(drawn[:, row], minlength=6), keys * chance / chance.sum()
        assert counts[row] == 0
        some = expected > 2
        assert counts[~some].sum() < 9
        counts, expected = counts[some], expected[some]
        assert stats.chisquare(counts, expected * counts.sum() / expected.sum()).pvalue > 1e-3
    wrong = np.exp(-((values[1:] - values[0]) ** 2) / sigma**2)  # the test can fail
    counts = np.bincount(drawn[:, 0], minlength=6)[1:]
    assert stats.chisquare(counts, counts.sum() * wrong / wrong.sum()).pvalue < 1e-3


def test_partners_of_near_are_drawn_without_replacement():
    values, keys = np.array([0.0, 0.4, 1.0, 1.5]), 6000
    first, second = partners(Near(1.0), values, sources=3, keys=keys)[:, :, 0].T
    chance = np.exp(-(values**2) / 2)
    chance[0] = 0
    for one in (1, 2, 3):
        left = chance.copy()
        left[one] = 0
        counts = np.bincount(second[first == one], minlength=4)[left > 0]
        assert stats.chisquare(counts, counts.sum() * left[left > 0] / left.sum()).pvalue > 1e-3


def test_near_takes_several_columns_and_large_close_values():
    points = np.array([[0, 0], [3, 4], [0, 1.0]])
    drawn = partners(Near(1.0), points, keys=2000)[:, 0]
    assert (drawn[:, 0] == 2).mean() > 0.99
    seconds = 1_700_000_000 + 60 * np.arange(4)  # in float32 all of them are the same number
    late, early = (partners(Near(60), x, keys=300) for x in (seconds, seconds - 1_700_000_000))
    np.testing.assert_array_equal(late, early)
    tiny = partners(Near(1e-18), np.array([1.0, 1.0, 2.0, 2.0]))
    np.testing.assert_array_equal(tiny[0, 0], [1, 0, 3, 2])


@pytest.mark.parametrize("pairing", BY_CLASS, ids=repr)
def test_labels_of_any_form_pair_alike(pairing):
    hot = np.eye(4)[LABELS]
    forms = [LABELS[:, None], LABELS.astype(np.uint8), hot, hot.astype(bool), hot.astype(np.int8), 0.6 * hot + 0.1]
    want = pairing.index(8, 3, key=KEY, by=LABELS)
    for form in forms:
        np.testing.assert_array_equal(pairing.index(8, 3, key=KEY, by=form), want)


def test_soft_labels_are_of_their_heaviest_class():
    soft = np.array([[0.6, 0.4], [0.55, 0.45], [0.1, 0.9]])
    np.testing.assert_array_equal(SameClass().index(3, 2, key=(0, 0), by=soft)[1], [1, 0, 2])


IMAGES, OWN = ways.own_class_everywhere(8, (6, 5)), np.arange(8)


@pytest.mark.parametrize("pairing", PAIRINGS, ids=repr)
@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.MixUp(sources=4), ma.RICAP(), ma.SmoothMix()], ids=repr)
def test_the_label_is_the_pixels_for_every_pairing(pairing, recipe):
    """Each image has its own channel, and another field has the class to pair by."""
    fields = {"kind": ma.Labels(4), "target": "values"}
    batch = {"images": IMAGES, "kind": LABELS, "target": LABELS.astype(np.float32), "labels": OWN}
    for step in range(5):
        mixed = ma.mix_batch(recipe, batch, key=(0, step), num_classes=8, fields=fields, pairing=pairing)
        ways.assert_label_is_the_pixels(mixed["images"], mixed["labels"])
        np.testing.assert_allclose(mixed["kind"], mixed["labels"] @ np.eye(4)[LABELS], atol=1e-6)
        np.testing.assert_allclose(mixed["target"], mixed["labels"] @ LABELS, atol=1e-5)


@pytest.mark.parametrize("pairing", PAIRINGS, ids=repr)
def test_a_pairing_changes_only_index(pairing):
    x = np.random.default_rng(0).integers(0, 256, (8, 9, 7, 1), np.uint8)
    batch = {"images": x, "labels": LABELS, "value": LABELS.astype(np.float32)}
    for recipe in (ma.CutMix(), ma.RICAP(), ma.one_of(ma.MixUp(sources=3), ma.CutMix()), ma.GridMix()):
        plain = recipe.draw(8, (9, 7), key=KEY)
        chosen = pairing.index(8, recipe.sources, key=KEY, by=LABELS)
        paired = recipe.draw(8, (9, 7), key=KEY, index=chosen)
        for name, array in plain.region.arrays().items():
            np.testing.assert_array_equal(paired.region.arrays()[name], array)
        mixed = ma.mix_batch(recipe, batch, key=KEY, num_classes=4, pairing=pairing)
        np.testing.assert_array_equal(mixed["images"], paired.images(x))
        np.testing.assert_array_equal(mixed["labels"], paired.labels(LABELS, 4))


def test_same_class_leaves_the_labels_and_other_class_never_does():
    batch = (IMAGES, LABELS)
    _, same = ma.mix_batch(ma.MixUp(alpha=9), batch, key=KEY, num_classes=4, pairing=SameClass())
    np.testing.assert_allclose(same, np.eye(4)[LABELS], atol=1e-6)
    _, other = ma.mix_batch(ma.MixUp(alpha=9), batch, key=KEY, num_classes=4, pairing=OtherClass())
    assert ((other > 0).sum(axis=1) == 2).all()


def test_labels_that_a_loss_wants_apart_can_be_paired_by():
    fields = {"labels": ma.PerSource()}
    _, (parts, _) = ma.mix_batch(ma.CutMix(), (IMAGES, LABELS), key=KEY, fields=fields, pairing=SameClass())
    assert (parts == LABELS).all()


def test_sample_weights_are_not_used_for_pairing():
    weights = np.linspace(0, 1, 8, dtype=np.float32)
    batch = {"images": IMAGES, "sample_weight": weights, "age": np.array([0.0, 0, 9, 9, 20, 20, 30, 30])}
    fields = {"age": "values"}
    mixed = ma.mix_batch(ma.MixUp(alpha=9), batch, key=KEY, fields=fields, pairing=Near(0.1))
    np.testing.assert_allclose(mixed["age"], batch["age"], atol=1e-5)
    with pytest.raises(ValueError, match="Near: expected values to pair by, got 'images', 'labels', 'sample_weight'"):
        ma.mix_batch(ma.MixUp(), (IMAGES, LABELS, weights), key=KEY, num_classes=4, pairing=Near(1))


@pytest.mark.parametrize(
    ("run", "error", "sentence"),
    [
        (
            lambda: SameClass().index(3, 2, key=(0, 0)),
            ValueError,
            "SameClass: expected labels to pair by, got None; pass by=",
        ),
        (
            lambda: Near(1).index(3, 2, key=(0, 0)),
            ValueError,
            "Near: expected values to pair by, got None; pass by=",
        ),
        (
            lambda: Balanced().index(3, 2, key=(0, 0), by=LABELS),
            ValueError,
            r"Balanced: expected labels to pair by, with 3 rows, got the shape \(8,\)",
        ),
        (
            lambda: SameClass().index(8, 2, key=(0, 0), like=tf.zeros(1), by=LABELS),
            TypeError,
            "expected labels to pair by in TensorFlow, got NumPy; convert them first",
        ),
        (
            lambda: SameClass().index(2, 2, key=(0, 0), by=[0, 1]),
            TypeError,
            "by: expected an array of NumPy, TensorFlow, PyTorch or JAX, got list",
        ),
        (lambda: Near(0), ValueError, "Near sigma: expected a finite number above 0, got 0"),
        (lambda: Near("1"), ValueError, "Near sigma: expected a finite number above 0, got '1'"),
        (lambda: Roll(0), ValueError, "Roll shift: expected a whole number of 1 or more, got 0"),
        (lambda: Roll(1.5), ValueError, "Roll shift: expected a whole number of 1 or more, got 1.5"),
        (
            lambda: ma.mix_batch(ma.CutMix(), {"images": IMAGES}, key=KEY, pairing=SameClass()),
            ValueError,
            "SameClass: expected labels to pair by, got 'images'; name them in fields=",
        ),
        (
            lambda: ma.mix_batch(ma.CutMix(), (IMAGES, LABELS), key=KEY, num_classes=4, pairing=SameClass),
            TypeError,
            r"pairing: expected a pairing, got <class",
        ),
        (
            lambda: ma.batches(ma.CutMix(), IMAGES, LABELS, 4, num_classes=4, pairing=SameClass()),
            TypeError,
            r"pairing: expected none, got SameClass\(.*\); a pairing is for sources from a batch",
        ),
    ],
)
def test_what_is_refused(run, error, sentence):
    with pytest.raises(error, match=sentence):
        run()
