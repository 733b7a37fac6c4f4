"""Label rules, float class ids, fractional and binary labels: known results in every library."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

import mixaug as ma
import ways
from mixaug.fields import read, written
from mixaug.label_rules import RULES, Area, Heaviest, Maximum, Rule, Visible

N, C, SIZE, KEY = 6, 4, (8, 8), (0, 3)
IDS = np.array([0, 1, 2, 3, 1, 0])
EYE = np.eye(C, dtype=np.float32)
RECIPE = ma.one_of(ma.CutMix(alpha=1.0), ma.MixUp(alpha=1.0, sources=3))
TEXTS = ("area", "maximum", "visible", "heaviest")  # those by maps have tests of their own


def foreground(n: int = N) -> np.ndarray:
    rows, columns = np.indices(SIZE)
    return np.stack([(rows + 2 * i) % 5 + (columns + i) % 3 < 2 + i % 3 for i in range(n)])


def by_hand(mix: ma.Mix, rule: str, ids: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """The label of each output, by adding up sources and pixels."""
    weights, lam = ways.values(mix.pixel_weights()).astype(np.float64), ways.values(mix.lam)
    out = np.zeros((lam.shape[1], C))
    for i in range(lam.shape[1]):
        index = mix.index[:, i]
        if rule == "visible":
            seen = np.array([(weights[k, i] * shown[index[k]]).sum() for k in range(len(index))])
            amount = seen / seen.sum() if seen.sum() else lam[:, i]
        elif rule == "heaviest":
            amount = np.eye(len(index))[max(range(len(index)), key=lambda k: (lam[k, i], -k))]
        else:
            amount = lam[:, i]
        for k, row in enumerate(index):
            if rule == "maximum":
                out[i, ids[row]] = max(out[i, ids[row]], lam[k, i] > 0)
            else:
                out[i, ids[row]] += amount[k]
    return out


@pytest.mark.slow_ways
@pytest.mark.parametrize("way", ways.WAYS)
@pytest.mark.parametrize("rule", TEXTS)
def test_each_rule_is_its_formula_in_every_library(rule, way):
    shown = foreground()
    want = by_hand(RECIPE.draw(N, SIZE, key=KEY), rule, IDS, shown).astype(np.float32)

    def mixed(ids, guide):
        mix = RECIPE.draw(ways.count(ids), SIZE, key=KEY, like=ids)
        return mix.labels(ids, C, rule=rule, guide=guide if rule == "visible" else None)

    ways.assert_same(way(mixed, IDS, shown), want, ways.array_of(way), atol=1e-6)


@pytest.mark.parametrize("rule", TEXTS)
@pytest.mark.parametrize("library", ways.MAKE)
def test_each_rule_with_a_source(rule, library):
    shown, index = foreground(9), np.random.default_rng(0).permutation(9)[: 3 * 2].reshape(3, 2)
    mix = ma.MixUp(alpha=1.0, sources=3).draw(2, SIZE, key=KEY, index=index)
    ids = np.arange(9) % C
    make = ways.MAKE[library]
    guides = {"guide": make(shown[index[0]]), "guide_source": make(shown)} if rule == "visible" else {}
    got = mix.labels(make(ids[index[0]]), C, rule=rule, source=make(ids), **guides)
    np.testing.assert_allclose(ways.values(got), by_hand(mix, rule, ids, shown), atol=1e-6)


@pytest.mark.parametrize("library", ways.MAKE)
@pytest.mark.parametrize("rule", TEXTS)
def test_each_rule_through_a_batch_with_clean_rows_copies_and_a_bank(rule, library):
    make, shown, images = ways.MAKE[library], foreground(), ways.own_class_everywhere(N, SIZE)
    channels = {"images": ma.Images("nhwc"), "labels": ma.Labels(C, rule=rule)}
    batch = {"images": make(images), "labels": make(IDS), "foreground": make(shown)}
    both = ma.mix_batch(RECIPE, batch, key=KEY, fields=channels, include_clean=True, copies=2)
    got = ways.values(both["labels"])
    assert got.shape == (3 * N, C)
    np.testing.assert_array_equal(got[:N], EYE[IDS])
    mix = RECIPE.draw(N, SIZE, key=KEY)
    np.testing.assert_allclose(got[N : 2 * N], by_hand(mix, rule, IDS, shown), atol=1e-6)
    assert (got[N : 2 * N] != got[2 * N :]).any()

    bank = {name: x[:3] for name, x in batch.items()}
    banked = ma.mix_batch(RECIPE, batch, key=KEY, fields=channels, bank=bank)
    pixels = ways.values(banked["images"]).reshape(N, -1, N).mean(axis=1)  # how much of each image
    own = IDS[np.arange(N)]
    labels = ways.values(banked["labels"])
    if rule == "area":
        np.testing.assert_allclose(labels, pixels @ EYE[IDS], atol=1e-6)
    if rule == "maximum":
        np.testing.assert_array_equal(labels > 0, (pixels @ EYE[IDS]) > 0)
    if rule == "heaviest":
        assert ((labels == 0) | (labels == 1)).all()
        assert (labels.sum(axis=1) == 1).all()
        assert (labels[pixels.max(axis=1) == 1].argmax(axis=1) == own[pixels.max(axis=1) == 1]).all()


def test_heaviest_takes_the_first_of_sources_that_weigh_the_same():
    lam = np.float32([[0.25, 0.5, 0.25], [0.375, 0.5, 0.5], [0.375, 0.0, 0.25]])
    mix = ma.Mix(np.int32([[0, 1, 2], [1, 2, 0], [2, 0, 1]]), lam, ma.Paste(lam, (None, None, None)), SIZE)
    np.testing.assert_array_equal(mix.labels(np.arange(3), 3, rule="heaviest"), np.eye(3)[[1, 1, 0]])


def test_heaviest_of_several_classes_takes_the_whole_row():
    mix = ma.MixUp(alpha=1.0).draw(2, SIZE, key=KEY)
    rows = np.float32([[1, 1, 0], [0, 0.25, 1]])
    first = mix.lam[0] >= mix.lam[1]
    np.testing.assert_array_equal(mix.labels(rows, rule="heaviest"), rows[np.where(first, [0, 1], [1, 0])])


def test_area_is_the_default_rule():
    mix = RECIPE.draw(N, SIZE, key=KEY)
    np.testing.assert_array_equal(mix.labels(IDS, C), mix.labels(IDS, C, rule=Area()))
    assert ma.Labels(C) == ma.Labels(C, rule="area") == ma.Labels(C, rule=Area())
    assert ma.Labels(rule="visible") == ma.Labels(rule=Visible("foreground"))


def test_only_the_maximum_and_mass_do_not_keep_sums_of_one():
    assert {text: kind.sums_to_one for text, kind in RULES.items()} == {
        "area": True, "maximum": False, "visible": True, "heaviest": True, "mass": False,
    }  # fmt: skip
    mix = ma.MixUp(alpha=1.0).draw(N, SIZE, key=KEY)
    for text in ("area", "heaviest"):
        np.testing.assert_allclose(mix.labels(IDS, C, rule=text).sum(axis=1), 1, atol=1e-6)
    assert mix.labels(np.arange(N), N, rule="maximum").sum(axis=1).max() == 2


def test_a_custom_rule_is_one_frozen_dataclass():
    @dataclass(frozen=True)
    class Squared(Rule):
        sums_to_one: ClassVar[bool] = False
        power: int = 2

        def weights(self, mix, guide, guide_source):
            return mix.lam**self.power

    mix = ma.MixUp(alpha=1.0).draw(N, SIZE, key=KEY)
    for make in ways.MAKE.values():
        got = mix.labels(make(IDS), C, rule=Squared(3))
        want = sum(mix.lam[k][:, None] ** 3 * EYE[IDS[mix.index[k]]] for k in range(2))
        np.testing.assert_allclose(ways.values(got), want, atol=1e-6)
    with pytest.raises(TypeError, match=r"rule: expected one of ma.label_rules to be saved, got .*Squared"):
        written({"labels": ma.Labels(C, rule=Squared())})


@pytest.mark.parametrize("rule", [Area(), Maximum(), Visible("mask"), Heaviest()])
def test_rules_survive_a_configuration_file(rule):
    fields = {"labels": ma.Labels(C, rule=rule), "masks": "masks"}
    assert read(json.loads(json.dumps(written(fields)))) == fields


@pytest.mark.parametrize(
    ("rule", "error", "message"),
    [
        ("union", ValueError, "rule: expected one of 'area', 'maximum', 'visible', 'heaviest', 'mass', got 'union'"),
        (
            Heaviest,
            TypeError,
            "rule: expected one of 'area', .*, got .*.* or a value such as ma.label_rules.Heaviest\\(\\)",
        ),
        (None, TypeError, "rule: expected one of 'area'"),
    ],
)
def test_values_that_are_not_a_rule_raise(rule, error, message):
    with pytest.raises(error, match=message):
        ma.Labels(C, rule=rule)
    with pytest.raises(error, match=message):
        RECIPE.draw(N, SIZE, key=KEY).labels(IDS, C, rule=rule)


def test_a_rule_without_its_guide_is_refused_and_the_way_out_works():
    mix = RECIPE.draw(N, SIZE, key=KEY)
    with pytest.raises(ValueError, match=r"labels: expected guide= for Visible.*'foreground', got None; pass guide="):
        mix.labels(IDS, C, rule="visible")
    assert mix.labels(IDS, C, rule="visible", guide=foreground()).shape == (N, C)
    with pytest.raises(
        ValueError, match=r"labels: expected no guide for Area.*leave guide= out, or pass rule='visible'"
    ):
        mix.labels(IDS, C, guide=foreground())


def test_a_source_with_weight_zero_is_not_in_the_label():
    index, lam = np.int32([[0, 1], [1, 0]]), np.float32([[1, 1], [0, 0]])
    mix = ma.Mix(index, lam, ma.Paste(lam, (None, None)), (4, 4))
    for rule in ("area", "maximum", "heaviest"):
        np.testing.assert_array_equal(mix.labels(np.arange(2), 2, rule=rule), np.eye(2))


# --- float class ids ---

FLOATS = ["float16", "float32", "float64"]


@pytest.mark.slow_ways
@pytest.mark.parametrize("column", [False, True], ids=["(n,)", "(n, 1)"])
@pytest.mark.parametrize("way", ways.WAYS)
def test_whole_floats_are_class_ids_if_num_classes_is_passed(way, column):
    ids = IDS.astype(np.float32)[:, None] if column else IDS.astype(np.float32)
    want = RECIPE.draw(N, SIZE, key=KEY).labels(IDS, C)

    def mixed(ids):
        return RECIPE.draw(ways.count(ids), SIZE, key=KEY, like=ids).labels(ids, C)

    ways.assert_same(way(mixed, ids), want, ways.array_of(way), atol=1e-6)


@pytest.mark.parametrize("dtype", FLOATS)
def test_floats_of_any_width_are_the_same_ids(dtype):
    mix = RECIPE.draw(N, SIZE, key=KEY)
    got = mix.labels(IDS.astype(dtype), C)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, mix.labels(IDS, C), atol=1e-7)
    many = mix.labels(torch.tensor([0.0, 1, 2, 3, 4, 5], dtype=torch.bfloat16), N)
    np.testing.assert_allclose(many, mix.labels(np.arange(N), N), atol=1e-7)


def test_fractional_class_ids_raise_and_each_way_out_works():
    ids, images = np.float32([0, 1, 0.5, 1]), ways.own_class_everywhere(4, SIZE)
    message = (
        "labels: expected integer class ids, got 0.5 in row 2; declare the field as 'values' in fields= to average "
        "numbers, or pass a column for each class"
    )
    with pytest.raises(ValueError, match=message):
        ma.mix_batch(ma.MixUp(), (images, ids), key=KEY, num_classes=2)
    assert ma.mix_batch(ma.MixUp(), (images, ids), key=KEY, fields={"labels": "values"})[1].shape == (4,)
    assert ma.mix_batch(ma.MixUp(), (images, np.stack([ids, 1 - ids], 1)), key=KEY, num_classes=2)[1].shape == (4, 2)


TRACED = ("tf_graph", "tf_xla", "jax_jit", "torch_compiled")


@pytest.mark.parametrize("way", [way for way in ways.WAYS if way.__name__ in TRACED])
def test_traced_invalid_class_ids_give_nan(way):
    ids = np.float32([0, 0.5, 2, 7, -1, np.nan])
    got = ways.values(way(lambda ids: ma.identity().draw(ways.count(ids), SIZE, key=KEY, like=ids).labels(ids, C), ids))
    np.testing.assert_array_equal(np.isnan(got).all(axis=1), [False, True, False, True, True, True])
    np.testing.assert_array_equal(got[[0, 2]], EYE[[0, 2]])


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.float32([0, 1, 9, 0]), "labels: expected class ids in 0..3, got 0..9; raise num_classes"),
        (np.float32([0, -1, 2, 0]), "labels: expected class ids in 0..3, got -1..2"),
        (np.float32([0, np.nan, 2, 0]), "labels: expected integer class ids, got nan in row 1"),
        (np.float32([0, 1e20, 2, 0]), "labels: expected class ids in 0..3"),
    ],
)
def test_floats_that_are_not_a_class_raise(ids, message):
    with pytest.raises(ValueError, match=message):
        RECIPE.draw(4, SIZE, key=KEY).labels(ids, C)


def test_floats_that_cannot_hold_the_classes_are_refused_and_ints_are_taken():
    ids = torch.tensor([0.0, 256, 300, 999])
    mix = ma.MixUp().draw(4, SIZE, key=KEY)
    message = "expected class ids below 1000 in a dtype .*, got bfloat16, which is exact up to 256; cast them to int"
    with pytest.raises(TypeError, match=message):
        mix.labels(ids.bfloat16(), 1000)
    assert mix.labels(ids.long(), 1000).shape == mix.labels(ids, 1000).shape == (4, 1000)


def test_floats_without_num_classes_are_refused_and_each_way_out_works():
    images, ids = ways.own_class_everywhere(4, SIZE), np.float32([0, 1, 2, 1])
    message = "got float32 with one value per row; pass num_classes if they are class ids, or declare the field as"
    with pytest.raises(TypeError, match=message):
        ma.mix_batch(ma.MixUp(), (images, ids), key=KEY)
    assert ma.mix_batch(ma.MixUp(), (images, ids), key=KEY, num_classes=3)[1].shape == (4, 3)
    assert ma.mix_batch(ma.MixUp(), (images, ids), key=KEY, fields={"labels": "values"})[1].shape == (4,)


# --- multi-label fractions ---


@pytest.mark.slow_ways
@pytest.mark.parametrize("way", ways.WAYS)
@pytest.mark.parametrize("rule", ["area", "maximum", "heaviest"])
def test_fractional_rows_of_several_classes_mix(rule, way):
    rows = np.float32([[0.9, 0.8, 0], [0, 0.1, 0], [0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.25], [0, 1, 0.75]])
    mix = ma.MixUp(alpha=1.0, sources=3).draw(N, SIZE, key=KEY)
    parts = rows[mix.index]
    if rule == "area":
        want = (mix.lam[..., None] * parts).sum(axis=0)
    elif rule == "maximum":
        want = ((mix.lam > 0)[..., None] * parts).max(axis=0)
    else:
        want = np.take_along_axis(parts, mix.lam.argmax(axis=0)[None, :, None], 0)[0]

    def mixed(rows):
        drawn = ma.MixUp(alpha=1.0, sources=3).draw(ways.count(rows), SIZE, key=KEY, like=rows)
        return drawn.labels(rows, rule=rule)

    ways.assert_same(way(mixed, rows), want.astype(np.float32), ways.array_of(way), atol=1e-6)


@pytest.mark.parametrize("wrong", [-0.25, 1.5, 7, np.nan])
def test_rows_of_other_numbers_are_refused_and_the_way_out_works(wrong):
    rows, images = np.float32([[0, 1], [wrong, 0.5]]), ways.own_class_everywhere(2, SIZE)
    message = (
        f"labels: expected a weight in 0..1 for each class, got {wrong:g} in row 1; declare the field as 'values' in"
    )
    with pytest.raises(ValueError, match=message):
        ma.mix_batch(ma.MixUp(), (images, rows), key=KEY)
    assert ma.mix_batch(ma.MixUp(), (images, rows), key=KEY, fields={"labels": "values"})[1].shape == (2, 2)


# --- binary labels ---

BITS = np.array([0, 1, 1, 0, 1, 0])
FORMS = {
    "ids (n,)": BITS, "ids (n, 1)": BITS[:, None], "bool": BITS.astype(bool), "bool (n, 1)": BITS.astype(bool)[:, None],
    "uint8": BITS.astype(np.uint8), "float32": BITS.astype(np.float32), "float64 (n, 1)": BITS[:, None].astype(float),
}  # fmt: skip


@pytest.mark.slow_ways
@pytest.mark.parametrize("way", ways.WAYS)
@pytest.mark.parametrize("form", FORMS)
def test_binary_labels_become_one_column(form, way):
    mix = RECIPE.draw(N, SIZE, key=KEY)
    want = (mix.lam * BITS[mix.index]).sum(axis=0)[:, None].astype(np.float32)

    def mixed(y):
        return RECIPE.draw(ways.count(y), SIZE, key=KEY, like=y).labels(y, binary=True)

    ways.assert_same(way(mixed, FORMS[form]), want, ways.array_of(way), atol=1e-6)


@pytest.mark.parametrize("rule", TEXTS)
def test_binary_labels_by_every_rule(rule):
    shown, images = foreground(), ways.own_class_everywhere(N, SIZE)
    fields = {"labels": ma.Labels(binary=True, rule=rule)}
    batch = {"images": images, "labels": BITS, "foreground": shown}
    got = ma.mix_batch(RECIPE, batch, key=KEY, fields=fields)["labels"]
    mix = RECIPE.draw(N, SIZE, key=KEY)
    want = by_hand(mix, rule, BITS, shown)[:, 1:2]
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("num_classes", [None, 1, 2])
def test_binary_labels_with_more_than_two_classes_raise(num_classes):
    images = ways.own_class_everywhere(N, SIZE)
    fields = {"labels": ma.Labels(num_classes, binary=True)}
    assert ma.mix_batch(RECIPE, (images, BITS), key=KEY, fields=fields, num_classes=num_classes)[1].shape == (N, 1)
    message = (
        "expected no num_classes beside binary=True, got 10; leave out one of them, and say num_classes in the field"
    )
    with pytest.raises(ValueError, match=message):
        ma.Labels(10, binary=True)
    with pytest.raises(ValueError, match="num_classes: expected None with binary=True, got 10"):
        RECIPE.draw(N, SIZE, key=KEY).labels(BITS, 10, binary=True)


def test_num_classes_of_further_labels_is_passed_in_their_field():
    batch = {"images": ways.own_class_everywhere(N, SIZE), "labels": BITS, "kind": IDS}
    message = (
        "expected no num_classes beside binary=True, got 10; .* say num_classes in the field that it is for, as in"
    )
    binary = {"labels": ma.Labels(binary=True)}
    with pytest.raises(ValueError, match=message):
        ma.mix_batch(RECIPE, batch, key=KEY, num_classes=10, fields={**binary, "kind": "labels"})
    mixed = ma.mix_batch(RECIPE, batch, key=KEY, fields={**binary, "kind": ma.Labels(10)})
    assert (mixed["labels"].shape, mixed["kind"].shape) == ((N, 1), (N, 10))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (IDS, "labels: expected 0 or 1 for binary=True, got 2 in row 2; pass num_classes instead of binary"),
        (-BITS, "labels: expected 0 or 1 for binary=True, got -1 in row 1"),
        (EYE[IDS], r"labels: expected \(n,\) or \(n, 1\) for binary=True, got \(6, 4\); leave binary out"),
    ],
)
def test_labels_that_are_not_binary_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        RECIPE.draw(N, SIZE, key=KEY).labels(labels, binary=True)


@pytest.mark.parametrize("way", [way for way in ways.WAYS if way.__name__ in ("tf_graph", "jax_jit", "torch_compiled")])
def test_traced_labels_that_are_not_binary_give_nan(way):
    y = np.array([0, 1, 2, -1])

    def mixed(y):
        return ma.identity().draw(ways.count(y), SIZE, key=KEY, like=y).labels(y, binary=True)

    got = ways.values(way(mixed, y))[:, 0]
    np.testing.assert_array_equal(np.isnan(got), [False, False, True, True])


def test_bools_say_how_they_can_be_taken():
    mix = RECIPE.draw(N, SIZE, key=KEY)
    with pytest.raises(
        TypeError, match=r"got bool; use ma.Labels\(binary=True\), cast to int, or pass a column for each class"
    ):
        mix.labels(BITS.astype(bool), 2)
    with pytest.raises(ValueError, match=r"\(n, 1\), which may be either; .* use ma.Labels\(binary=True\)"):
        mix.labels(BITS[:, None])


@pytest.mark.parametrize("rule", ["maximum", ma.label_rules.Maximum()], ids=repr)
def test_maximum_excludes_sources_with_lam_zero(rule):
    index, lam = np.array([[0, 1, 2], [1, 2, 0]], np.int32), np.array([[1, 0.5, 1], [0, 0.5, 0]], np.float32)
    mix = ma.Mix(index, lam, ma.Paste(lam, (None, None)), (6, 6))
    np.testing.assert_array_equal(mix.labels(np.arange(3), 3, rule=rule), [[1, 0, 0], [0, 1, 1], [0, 0, 1]])


@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_without_visible_foreground_labels_follow_the_area(make):
    x = make(np.zeros((4, 6, 6, 3), np.float32))
    batch = {"image": x, "label": make(np.arange(4)), "foreground": make(np.zeros((4, 6, 6), bool))}
    fields = {"image": ma.Images("nhwc"), "label": ma.Labels(4, rule="visible")}
    out = ma.mix_batch("mixup", batch, key=0, fields=fields, return_mix=True)
    np.testing.assert_array_equal(out["label"], out["mix"].labels(batch["label"], 4))
