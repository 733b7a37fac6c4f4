"""What is cached for batches of one form, and what is not."""

import numpy as np
import pytest

import mixaug as ma
import mixaug.fields.plan
from mixaug.fields.plan import plan

LIBRARIES = ["numpy", "torch", "tensorflow", "jax"]


@pytest.fixture(autouse=True)
def _nothing_is_kept(monkeypatch):
    monkeypatch.setattr(mixaug.fields.plan, "_CACHE", {})


def array(library, x):
    if library == "torch":
        import torch

        return torch.from_numpy(np.array(x))
    if library == "tensorflow":
        import tensorflow

        return tensorflow.constant(x)
    if library == "jax":
        import jax.numpy

        return jax.numpy.asarray(x)
    return np.asarray(x)


def pair(library="numpy", n=6, size=8, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.random((n, size, size, 3) if library != "torch" else (n, 3, size, size)).astype(dtype)
    return array(library, images), array(library, rng.integers(0, 5, n))


@pytest.mark.parametrize("library", LIBRARIES)
def test_batches_of_one_form_have_one_plan(library):
    first, second = (plan(pair(library, seed=seed), None, 5) for seed in range(2))
    assert first is second


def test_whatever_a_plan_depends_on_makes_another_one():
    x, y = pair()
    said = [
        ((x, y), None, 5),
        ((x, y), None, 6),
        ((x[:4], y[:4]), None, 5),
        ((x.astype(np.float64), y), None, 5),
        ((x, y.astype(np.int32)), None, 5),
        (pair("torch"), None, 5),
        (pair("jax"), None, 5),
        ([x, y], None, 5),
        ({"image": x, "label": y}, None, 5),
        ({"label": y, "image": x}, None, 5),
        ((x, y), ("images", "keep"), 5),
        ((x, y), {"labels": "keep"}, 5),
        ((x, y), (ma.Images(dtype="float64"), "labels"), 5),
        ((x, y), (ma.Images(scale=2.0), "labels"), 5),
        ((x, y), (ma.Images(scale=[1.0, 2.0, 3.0]), "labels"), 5),
        ((x, y), (ma.Images(scale=(3.0, 2.0, 1.0)), "labels"), 5),
        ((x, y), ("images", ma.Labels(binary=True)), None),
    ]
    plans = [plan(*what) for what in said]
    assert len({id(each) for each in plans}) == len(said)
    assert all(plan(*what) is each for what, each in zip(said, plans, strict=True))


@pytest.mark.parametrize("wrong", [5.0, True, np.float32(5)])
def test_an_equal_number_of_another_type_is_refused_as_without_a_plan(wrong):
    with pytest.raises((TypeError, ValueError), match="num_classes"):
        ma.mix_batch(ma.MixUp(), pair(), key=0, num_classes=wrong)
    ma.mix_batch(ma.MixUp(), pair(), key=0, num_classes=5)
    with pytest.raises((TypeError, ValueError), match="num_classes"):
        ma.mix_batch(ma.MixUp(), pair(), key=0, num_classes=wrong)


@pytest.mark.parametrize("make", ["numpy", "torch", "list"])
def test_a_scale_that_changes_between_two_batches_counts(make):
    batch = pair("torch" if make == "torch" else "numpy")
    scale = [1.0, 2.0, 3.0] if make == "list" else array(make, np.float32([1, 2, 3]))

    def mixed():
        fields = (ma.Images(scale=scale), "labels")
        return np.asarray(ma.mix_batch(ma.MixUp(), batch, key=0, num_classes=5, fields=fields)[0])

    first = mixed()
    scale[0] = 5.0
    second, channel = mixed(), 1 if make == "torch" else 3
    ratio = second.take(0, channel) / first.take(0, channel)
    np.testing.assert_allclose(ratio, 5, rtol=1e-6)
    assert (second.take(1, channel) == first.take(1, channel)).all()


def test_a_tensor_of_scales_inside_a_field_is_read_at_each_batch():
    batch = pair("torch")
    scale = array("torch", np.float32([1, 2, 3]))
    fields = (ma.Images(scale=scale), "labels")
    first = ma.mix_batch(ma.MixUp(), batch, key=0, num_classes=5, fields=fields)[0]
    scale *= 2
    second = ma.mix_batch(ma.MixUp(), batch, key=0, num_classes=5, fields=fields)[0]
    np.testing.assert_allclose(second.numpy(), 2 * first.numpy(), rtol=1e-6)


def test_what_is_traced_is_not_kept():
    import jax
    import tensorflow as tf
    import torch

    for library, trace in [
        ("tensorflow", tf.function),
        ("jax", jax.jit),
        ("torch", lambda function: torch.compile(function, backend="eager", fullgraph=True)),
    ]:
        trace(lambda x, y: ma.mix_batch(ma.MixUp(), (x, y), key=(0, 0), num_classes=5))(*pair(library))
    assert mixaug.fields.plan._CACHE == {}


@pytest.mark.parametrize(
    ("name", "x", "what"), [("caption", list("abcdef"), "keep"), (1, pair()[1], "labels")], ids=["texts", "number"]
)
def test_what_cannot_be_compared_is_looked_at_each_time(name, x, what):
    plan({"image": pair()[0], name: x}, {str(name): what}, 5)
    assert mixaug.fields.plan._CACHE == {}


def test_a_plan_keeps_no_array_of_a_batch():
    batch = pair()
    found = plan(batch, None, 5)
    contents = [found.fields, found.sizes.output, found.rows, found.first]
    assert not any(x is y for x in contents for y in batch)
    assert not any(isinstance(x, np.ndarray) for kind in found.fields.values() for x in vars(kind).values())


def test_only_so_many_are_kept(monkeypatch):
    monkeypatch.setattr(mixaug.fields.plan, "_CACHE_SIZE", 3)
    for n in range(1, 9):
        plan(pair(n=n), None, 5)
        assert len(mixaug.fields.plan._CACHE) <= 3
