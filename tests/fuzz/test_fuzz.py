"""Some hundreds of random cases of `fuzz_doors.py`, and the code that each error suggests."""

from __future__ import annotations

import re
import warnings

import fuzz_doors
import fuzz_sentences
import numpy as np
import pytest
import torch

import mixaug as ma


@pytest.mark.parametrize(("library", "cases"), [("numpy", 300), ("torch", 60), ("tensorflow", 40), ("jax", 8)])
def test_random_batches_are_mixed_by_the_definition_or_refused_in_one_sentence(library, cases):
    doors = [name for name, _ in fuzz_doors.DOORS[library] if name not in ("tf.function", "jax.jit", "torch.compile")]
    for seed in range(cases):
        case = fuzz_doors.case_of(seed, [library], doors)
        result = fuzz_doors.run(case)
        assert result.how != "wrong", f"\n{fuzz_doors.snippet(case)}# {result.text}"


def test_a_case_is_the_same_whenever_it_is_drawn():
    assert fuzz_doors.snippet(fuzz_doors.case_of(7)) == fuzz_doors.snippet(fuzz_doors.case_of(7))


@pytest.mark.parametrize("wrong", [
    lambda x: x + 1, lambda x: x[::-1], lambda x: x.astype("float64"), lambda x: np.roll(x, 1, 1),
], ids=["other numbers", "other rows", "another dtype", "other pixels"])  # fmt: skip
def test_the_fuzzer_sees_images_that_are_wrong(wrong, monkeypatch):
    cases = (fuzz_doors.case_of(seed, ["numpy"], ["mix_batch"]) for seed in range(10000))
    case = next(
        case for case in cases
        if not case.damage and case.n > 3 and min(case.size, default=0) > 3 and not case.parts[0].options
        and len(case.parts[0].path) == 1 and "float32" in case.parts[0].text
    )  # fmt: skip
    assert fuzz_doors.run(case).how == "right"
    mix_batch, path = ma.mix_batch, case.parts[0].path
    first = path[-1] if case.container in ("dict", "nested") else 0

    def spoiled(*args, **options):
        out = mix_batch(*args, **options)
        place = fuzz_doors.at(out, path[:-1])
        made = wrong(place[first])
        if isinstance(place, dict):
            place[first] = made
            return out
        return type(out)((made, *out[1:]))

    monkeypatch.setattr(ma, "mix_batch", spoiled)
    assert fuzz_doors.run(case).how == "wrong"


@pytest.mark.parametrize(
    ("sentence", "wrong", "right"), fuzz_sentences.ROWS, ids=[row[0] for row in fuzz_sentences.ROWS]
)
def test_the_way_out_of_a_sentence_works(sentence, wrong, right):
    with pytest.raises((TypeError, ValueError), match=sentence) as raised:
        wrong()
    text = str(raised.value)
    assert "\n" not in text
    assert fuzz_doors.SENTENCE.fullmatch(text) or fuzz_doors.VALUES.fullmatch(text)
    assert fuzz_doors.OURS in fuzz_doors.innermost(raised.value).parents
    right()


# --- what the fuzzer found ---

N = 4
X, Y, M = np.zeros((N, 8, 8, 3), np.uint8), np.arange(N), np.zeros((N, 8, 8), np.int16)


def test_a_bank_has_any_form_that_a_batch_has():
    four = (X, Y, M, Y)
    kinds = ("images", "labels", "masks", "keep")
    assert len(ma.mix_batch("cutmix", four, key=0, num_classes=N, fields=kinds, bank=four)) == 4
    lists = [[X.astype("float32"), X.astype("float32")], Y]
    (a, b), _ = ma.mix_batch("cutmix", lists, key=0, num_classes=N, bank=lists)
    np.testing.assert_array_equal(a, b)


def test_a_pairing_sees_labels_whatever_their_place_is_called_and_texts():
    batch = (X, np.arange(N), np.array([0, 0, 1, 1]))
    fields = {"labels": "keep", "sample_weight": ma.Labels(2)}
    *_, mix = ma.mix_batch("mixup", batch, key=0, fields=fields, pairing=ma.pairing.SameClass(), return_mix=True)
    assert (mix.index // 2 == np.array([0, 0, 1, 1])).all()
    texts = {"image": X, "caption": ["a", "a", "b", "b"]}
    out = ma.mix_batch("mixup", texts, key=0, fields={"caption": "per_source"}, pairing=ma.pairing.SameClass())
    assert out["caption"][0] == [["a", "a", "b", "b"]] * 2


@pytest.mark.parametrize("kind", [ma.PerSource(), "per_source"])
def test_labels_of_each_source_are_refused_where_samples_are_mixed_one_by_one(kind):
    pairs = torch.utils.data.TensorDataset(torch.zeros(10, 1, 8, 8), torch.arange(10))
    ds = ma.torch.MixedDataset(ma.CutMix(), pairs, fields=("images", kind))
    with pytest.raises(TypeError, match="labels: expected labels in a single array for single samples, got PerSource"):
        ds[0]
    with pytest.raises(TypeError, match=r"mix batches instead, ma\.mix_batch"):
        ma.grain.mixed(ma.CutMix(), grain([(X[0], 1)] * 3), fields=("images", kind))[0]
    _, (parts, lam) = ma.mix_batch(ma.CutMix(), (X, Y), key=0, fields=("images", kind))
    assert (parts.shape, lam.shape) == ((2, N), (2, N))


def grain(samples):
    import grain

    return grain.MapDataset.source(samples)


def test_class_weights_of_single_samples_are_added_to_a_triple_too():
    samples = [(X[i], np.zeros(2, np.float32), np.eye(N, dtype=np.float32)[i]) for i in range(N)]
    options = {"fields": ("images", "values", "labels"), "class_weights": [1.0, 2.0, 3.0, 4.0]}
    for ds in (ma.grain.mixed("mixup", grain(samples), **options), ma.torch.MixedDataset("mixup", samples, **options | {
        "fields": (ma.Images(layout="nhwc"), "values", "labels")})):  # fmt: skip
        *_, labels, weight = ds[1]
        np.testing.assert_allclose(np.asarray(weight), np.asarray(labels) @ [1.0, 2.0, 3.0, 4.0], rtol=1e-6)


def test_what_draws_once_for_a_batch_is_refused_where_there_is_none():
    import tensorflow as tf

    recipe = ma.per_batch(ma.CutMix())
    with pytest.raises(ValueError, match="draws once for a batch; leave per_batch out, or mix batches"):
        ma.grain.mixed(recipe, grain([(X[0], 1)] * 3), num_classes=3)
    singles = tf.data.Dataset.from_tensor_slices((X, Y))
    with pytest.raises(
        ValueError,
        match=r"draws once for a batch; leave per_batch out, or batch\(\) both datasets before they are mixed",
    ):
        ma.tf.mixed_zip(recipe, singles, singles, num_classes=N)
    batches = singles.batch(2)
    _, labels = next(iter(ma.tf.mixed_zip(recipe, batches, batches, num_classes=N)))
    assert labels.shape == (2, N)


def test_a_recipe_of_one_source_takes_a_pairing_in_every_library():
    for name, make in fuzz_doors.MAKERS.items():
        x = np.zeros((3, 8, 8, 1), np.float32) if name != "torch" else np.zeros((3, 1, 8, 8), np.float32)
        batch = (make(x), make(np.arange(3)))
        for pairing in (ma.pairing.Replacement(), ma.pairing.Cyclic(), ma.pairing.Flip()):
            *_, mix = ma.mix_batch(ma.Cutout(), batch, key=0, num_classes=3, pairing=pairing, return_mix=True)
            assert tuple(mix.index.shape) == (1, 3)


def test_second_images_of_another_size_use_the_declared_layout():
    x, small = np.zeros((N, 3, 3, 1), np.float32), np.zeros((N, 2, 3, 3), np.float32)
    fields = {"image": "images", "small": ma.Images(layout="nhwc")}  # (2, 3), though (3, 3) is there in another layout
    out = ma.mix_batch("cutmix", {"image": x, "small": small}, key=0, fields=fields)
    assert out["small"].shape == small.shape
    swapped = {"image": np.zeros((N, 8, 8, 3), np.float32), "small": np.zeros((N, 3, 8, 8), np.float32)}
    with pytest.raises(ValueError, match="the layout 'nchw' has that size: pass layout='nchw'"):
        ma.mix_batch("cutmix", swapped, key=0, fields=fields)


@pytest.mark.parametrize("thing", [set(), b"bytes", None, 3, "cat", np.array("cat")], ids=repr)
@pytest.mark.parametrize("kind", ["boxes", "keep", "per_source", "values", "labels", "masks", "images", "keypoints"])
def test_values_that_are_not_arrays_raise_for_every_kind_of_field(thing, kind):
    with pytest.raises(
        (TypeError, ValueError), match=r"^(labels|values|keypoints|masks|keep|per_source).*: expected .*, got .*; "
    ):
        ma.mix_batch("cutmix", (X, thing), key=0, num_classes=3, fields={"labels": kind})


def test_numbers_longer_than_float64_are_refused_instead_of_rounded():
    with pytest.raises(TypeError, match="values: expected integers, bools or float16"):
        ma.mix_batch("mixup", (X, np.ones(N, np.longdouble)), key=0, fields=("images", "values"))


@pytest.mark.parametrize(("option", "value"), [("copies", 2**70), ("copies", 10**6)])
def test_so_many_copies_that_no_memory_holds_them_are_refused(option, value):
    with pytest.raises(ValueError, match="copies: expected a whole number of 1 or more and at most 1024"):
        ma.mix_batch("mixup", (X, Y), key=0, num_classes=N, copies=value)


@pytest.mark.parametrize("nothing", [{}, (), []], ids=repr)
def test_empty_containers_raise(nothing):
    for batch in ({"image": X, "label": nothing}, (X, nothing)):
        with pytest.raises((TypeError, ValueError), match=r"label.*: expected an array"):
            ma.mix_batch("cutmix", batch, key=0, num_classes=3)
    with pytest.raises((TypeError, ValueError), match="expected"):
        ma.batches("cutmix", nothing, Y, 2, num_classes=N)


def test_a_layer_names_values_that_are_not_tensors():
    layer = ma.keras.MixLayer("cutmix", num_classes=N)
    with pytest.raises(Exception, match="inputs: expected tensors or arrays, got"):
        layer({"images": X, "labels": object()})


def test_sentences_have_one_line_whatever_came():
    long = np.zeros((3, 3))
    for options in ({"key": long}, {"class_weights": long}, {"num_classes": long}, {"pairing": long}, {"fields": long}):
        with pytest.raises((TypeError, ValueError)) as raised, warnings.catch_warnings():
            ma.mix_batch("mixup", (X, Y), **{"key": 0, "num_classes": N} | options)
        assert "\n" not in str(raised.value)
        assert re.search("expected .*got", str(raised.value))


def test_a_pairing_uses_labels_before_labels_of_each_source_and_refuses_complex_ones():
    beside = {"image": X, "side": np.arange(2 * N).reshape(N, 2, 1), "label": np.array([0, 0, 1, 1])}
    options = {"key": 0, "num_classes": 2, "pairing": ma.pairing.SameClass()}
    out = ma.mix_batch("mixup", beside, fields={"side": ma.PerSource()}, return_mix=True, **options)
    assert (out["mix"].index // 2 == beside["label"]).all()
    with pytest.raises(
        TypeError, match=r"pairing: expected labels of integers, floats or bools .*, got complex64; cast"
    ):
        ma.mix_batch("mixup", (X, beside["label"].astype("complex64")), **options)
    ma.mix_batch("mixup", (X, beside["label"].astype("complex64").real.astype("int64")), **options)


@pytest.mark.parametrize("library", fuzz_doors.MAKERS)
def test_boxes_of_samples_that_have_none_are_arrays_too(library):
    make = fuzz_doors.MAKERS[library]
    x, box = make(np.zeros((2, 8, 8, 3), np.float32)), make(np.array([[0, 0, 8, 8]], np.float32))
    fields = {"images": ma.Images("nhwc"), "labels": "boxes"}
    with pytest.raises(TypeError, match="boxes: expected a list of arrays, one for each sample, got NoneType among "
                       "them; pass an array without rows for a sample without objects"):  # fmt: skip
        ma.mix_batch("cutmix", (x, [box, None]), key=0, fields=fields)
    _, boxes = ma.mix_batch("identity", (x, [box, make(np.zeros((0, 4), np.float32))]), key=0, fields=fields)
    assert [fuzz_doors.values(one).tolist() for one in boxes] == [[[0, 0, 8, 8]], []]


def test_fields_with_arrays_in_them_are_named_on_one_line():
    images = ma.Images(dtype="float32", offset=np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"expected an array to be Images.*, got 'images/a'; say what each") as raised:
        ma.mix_batch("cutmix", ({"a": X}, Y), key=0, num_classes=N, fields={"images": images})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ["per_source", "values", "keep", "images", "labels"])
def test_matrices_of_numpy_whose_rows_are_matrices_are_refused(kind):
    y = np.matrix(np.eye(N))
    with pytest.raises(TypeError, match=r"expected an array of any number of axes, got a NumPy matrix; pass np.asarra"):
        ma.mix_batch("mixup", (X, y), key=0, fields={"labels": kind})
    ma.mix_batch("mixup", (X, np.asarray(y)), key=0, fields={"labels": "per_source"})
