"""Images, labels, values and per-source labels: cases with known results, and every error."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mixaug as ma
import ways
from mixaug.core.regions import Dense, Paste
from mixaug.mix import assemble

tf = ways.tf


def blend(*columns: tuple[float, ...], index=None) -> ma.Mix:
    """A MixUp with known weights: one tuple of lam per output."""
    background = np.array(columns, np.float32).T
    k, n = background.shape
    index = np.stack([(np.arange(n) + j) % n for j in range(k)]).astype(np.int32) if index is None else np.int32(index)
    return assemble(ma.backends.common(), index, Paste(background, (None,) * k), (2, 2))


def boxes(*rows: list[list[int]], size=(4, 4)) -> ma.Mix:
    """A CutMix with known boxes: [[top, bottom], [left, right]] for each output."""
    box, n = np.array(rows, np.int32), len(rows)
    index = np.stack([np.arange(n), (np.arange(n) + 1) % n]).astype(np.int32)
    return assemble(ma.backends.common(), index, Paste(None, (None, box)), size)


def test_a_box_by_hand():
    x = np.stack([np.zeros((4, 4, 1), np.uint8), np.full((4, 4, 1), 9, np.uint8)])
    mix = boxes([[1, 3], [0, 4]], [[0, 0], [0, 4]])
    expected = np.zeros((4, 4), np.uint8)
    expected[1:3] = 9
    np.testing.assert_array_equal(mix.images(x)[0, :, :, 0], expected)
    np.testing.assert_array_equal(mix.images(x)[1], x[1])
    np.testing.assert_array_equal(mix.lam, [[0.5, 1], [0.5, 0]])
    np.testing.assert_array_equal(mix.labels(np.array([0, 1]), 2), [[0.5, 0.5], [0, 1]])
    np.testing.assert_array_equal(mix.index, [[0, 1], [1, 1]])


def test_a_blend_by_hand():
    x = np.array([0, 100, 200], np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    mix = blend((0.5, 0.25, 0.25), (1, 0, 0), (0, 0.5, 0.5))
    np.testing.assert_array_equal(mix.images(x, "nhw")[:, 0, 0], [75, 100, 50])
    np.testing.assert_array_equal(mix.values(np.array([0, 100, 200])), np.float32([75, 100, 50]))
    parts, lam = mix.per_source(np.array([7, 8, 9]))
    np.testing.assert_array_equal(parts, [[7, 8, 9], [8, 8, 7], [9, 8, 8]])
    np.testing.assert_array_equal(lam, mix.lam)


def test_images_are_fresh_memory_even_when_nothing_is_mixed():
    x = np.ones((2, 4, 4, 1), np.float32)
    for mix in (ma.identity().draw(2, (4, 4), key=(0, 0)), boxes([[0, 0], [0, 0]], [[0, 0], [0, 0]])):
        out = mix.images(x)
        assert not np.shares_memory(out, x)
        out[:] = 5
    assert (x == 1).all()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "uint64"])
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_class_ids_of_any_integer_dtype(dtype, shape):
    mix = blend((0.75, 0.25), (0.5, 0.5), (1, 0))
    ids = np.array([0, 2, 1], dtype).reshape(shape)
    expected = np.float32([[0.75, 0, 0.25], [0, 0.5, 0.5], [0, 1, 0]])
    np.testing.assert_array_equal(mix.labels(ids, num_classes=3), expected)
    assert mix.labels(ids, num_classes=3).dtype == np.float32


@pytest.mark.parametrize("dtype", ["bool", "int32", "float16", "float32", "float64"])
def test_one_hot_and_multi_hot_labels_of_any_dtype(dtype):
    mix = blend((0.75, 0.25), (0.5, 0.5), (1, 0))
    hot = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0]]).astype(dtype)
    mixed = mix.labels(hot)
    np.testing.assert_array_equal(mixed, [[0.75, 0.25, 0.25], [0, 0.5, 0.5], [0, 0, 0]])
    assert mixed.dtype == (np.float64 if dtype == "float64" else np.float32)


def test_soft_labels_keep_their_sum_and_bfloat16_does_not_touch_them():
    mix = ma.MixUp(alpha=1.0).draw(5, (2, 2), key=(0, 0))
    soft = np.random.default_rng(0).dirichlet(np.ones(4), 5).astype(np.float32)
    np.testing.assert_allclose(mix.labels(soft, 4).sum(axis=1), 1, atol=1e-6)
    half = tf.cast(soft, tf.bfloat16)
    out = ma.MixUp(alpha=1.0).draw(5, (2, 2), key=(0, 0), like=half).labels(half)
    assert out.dtype == tf.float32


@pytest.mark.parametrize(
    ("labels", "num_classes", "error", "sentence"),
    [
        (np.array([0, 1, 3]), 3, ValueError, r"expected class ids in 0\.\.2, got 0\.\.3"),
        (np.array([0, -1, 1]), 3, ValueError, r"expected class ids in 0\.\.2, got -1\.\.1"),
        (np.array([0, 1, 2]), None, ValueError, "expected num_classes for class ids"),
        (
            np.array([0.0, 1, 2]),
            None,
            TypeError,
            "got float64 with one value per row; pass num_classes if they are class ids",
        ),
        (np.array([0.0, 0.5, 2]), 3, ValueError, "expected integer class ids, got 0.5 in row 1"),
        (np.array([[0], [1], [2]]), None, ValueError, "which may be either; pass num_classes for class ids"),
        (np.array([True, False, True]), 2, TypeError, "got bool"),
        (np.zeros((3, 2, 2)), 2, ValueError, "got the shape"),
        (np.eye(3), 4, ValueError, "expected 4 columns, one for each class, got 3"),
        (np.full((3, 3), 1.5), 3, ValueError, "a weight in 0..1 for each class, got 1.5 in row 0"),
        (np.array([[1, -1, 1.0]] * 3), 3, ValueError, "a weight in 0..1 for each class, got -1 in row 0"),
        (np.full((3, 3), np.nan), 3, ValueError, "a weight in 0..1 for each class, got nan in row 0"),
        (np.array([0, 1.5, "a"], object), 3, TypeError, "labels: expected integers, bools or float16.*, got object"),
        (np.array([0, 1, 2]), "3", TypeError, "num_classes: expected an integer, got '3'"),
        (np.array([0, 1, 2]), 0, ValueError, "num_classes: expected 1 or more, got 0"),
        (np.array([0, 1]), 3, ValueError, "expected 3 rows, one for each output of the mix, got 2"),
        (np.array(0), 3, ValueError, "got the shape"),
        ([0, 1, 2], 3, TypeError, "expected an array of NumPy, TensorFlow, PyTorch or JAX, got list"),
    ],
)
def test_labels_that_are_refused(labels, num_classes, error, sentence):
    with pytest.raises(error, match=sentence):
        blend((1, 0), (1, 0), (1, 0)).labels(labels, num_classes)


@pytest.mark.parametrize("jit", [False, True])
def test_traced_invalid_ids_become_nan(jit):
    def run(y):
        return ma.MixUp(alpha=1.0).draw(3, (2, 2), key=(0, 0), like=y).labels(y, num_classes=3)

    rows = tf.function(run, jit_compile=jit)(tf.constant([0, 7, 2])).numpy()
    mix = ma.MixUp(alpha=1.0).draw(3, (2, 2), key=(0, 0))
    touched = ((mix.index == 1) & (mix.lam > 0)).any(axis=0)
    np.testing.assert_array_equal(np.isnan(rows).all(axis=1), touched)
    assert touched.any()
    assert not touched.all()
    with pytest.raises(ValueError, match="expected class ids"):
        run(tf.constant([0, 7, 2]))


@pytest.mark.parametrize(
    ("images", "layout", "error", "sentence"),
    [
        (np.zeros((2, 4, 4, 3), np.int32), "nhwc", TypeError, "images: expected uint8, float16.* got int32"),
        (np.zeros((2, 4, 4), np.float32), "ntc", ValueError, r"got \(4,\) in the layout 'ntc'; draw for this size"),
        (np.zeros((2, 4, 4, 3), np.float32), "nchw", ValueError, r"got \(4, 3\) in the layout 'nchw'"),
        (np.zeros((2, 3), np.float32), None, ValueError, "pass layout='nc' if they are rows of a table"),
        (np.zeros((2, 4, 4, 3), np.float32), "middle", ValueError, "layout: expected n .* got 'middle'"),
        (
            np.zeros((3, 4, 4, 3), np.float32),
            "nhwc",
            ValueError,
            "expected 2 rows, one for each output of the mix, got 3",
        ),
        ("photo", "nhwc", TypeError, "got str"),
    ],
)
def test_images_that_are_refused(images, layout, error, sentence):
    with pytest.raises(error, match=sentence):
        boxes([[0, 1], [0, 1]], [[0, 0], [0, 0]]).images(images, layout)


def test_a_source_of_other_rows():
    rng = np.random.default_rng(0)
    data, ids = rng.normal(size=(50, 6, 6, 1)).astype(np.float32), np.arange(50)
    own = np.array([4, 30, 7])
    index = np.array([own, [9, 9, 49]], np.int32)
    mix = ma.CutMix().draw(3, (6, 6), key=(0, 0), index=index)
    expected = (mix.pixel_weights()[..., None] * data[mix.index]).sum(axis=0)
    np.testing.assert_array_equal(mix.images(data[own], source=data), expected)
    labels = mix.labels(ids[own], 50, source=ids)
    np.testing.assert_array_equal(labels[np.arange(3), own], mix.lam[0])
    np.testing.assert_array_equal(mix.per_source(ids[own], source=ids)[0], mix.index)
    np.testing.assert_allclose(mix.values(ids[own], source=ids), (mix.lam * mix.index).sum(axis=0), rtol=1e-6)
    with pytest.raises(ValueError, match="expected rows up to 49, which the mix refers to, got 3 rows; pass the array"):
        mix.images(data[own])
    with pytest.raises(TypeError, match=r"expected a source like the batch, float32 with rows .*, got float64"):
        mix.images(data[own], source=data.astype(np.float64))
    with pytest.raises(TypeError, match=r"got float32 with rows \(6, 6, 3\)"):
        mix.images(data[own], source=data.repeat(3, axis=-1))
    with pytest.raises(ValueError, match=r"expected class ids in 0\.\.48, got 9\.\.49"):
        mix.labels(ids[own], 49, source=ids)
    for wrong in (index - 5, index + 0.5):
        with pytest.raises(ValueError, match="index: expected rows of the source, whole numbers of 0 or more"):
            ma.CutMix().draw(3, (6, 6), key=(0, 0), index=wrong)
    with pytest.raises(ValueError, match=r"index: expected the shape \(2, 4\), got \(2, 3\)"):
        ma.CutMix().draw(4, (6, 6), key=(0, 0), index=index)


def test_values_keep_their_float_dtype():
    mix = blend((0.5, 0.5), (1, 0))
    for dtype, out in (("float16", "float16"), ("float64", "float64"), ("int64", "float32"), ("bool", "float32")):
        assert mix.values(np.array([[0, 1], [1, 1]], dtype)).dtype == out


def test_gradients_flow_through_a_mix():
    x = tf.Variable(np.random.default_rng(0).normal(size=(4, 6, 6, 1)).astype(np.float32))
    mix = ma.one_of(ma.MixUp(), ma.CutMix()).draw(4, (6, 6), key=(0, 0), like=x)
    with tf.GradientTape() as tape:
        out = tf.reduce_sum(mix.images(x))
    gradient = tape.gradient(out, x)
    weights = np.zeros((4, 6, 6))
    for rows, dense in zip(mix.index.numpy(), mix.pixel_weights().numpy(), strict=True):
        np.add.at(weights, rows, dense)
    np.testing.assert_allclose(np.asarray(gradient)[..., 0], weights, atol=1e-6)


def test_a_dense_mix_of_many_axes():
    weight = np.zeros((2, 1, 2, 2, 2), bool)
    weight[0, :, 0], weight[1, :, 1] = True, True
    x = np.stack([np.zeros((2, 2, 2), np.uint8), np.ones((2, 2, 2), np.uint8)])
    mix = ma.Mix(np.array([[0], [1]], np.int32), np.float32([[0.5], [0.5]]), Dense(weight), (2, 2, 2))
    np.testing.assert_array_equal(mix.images(x[:1], "ndhw", source=x)[0], [[[0, 0]] * 2, [[1, 1]] * 2])


@pytest.mark.parametrize("recipe", ways.RECIPE_ROWS, ids=repr)
def test_a_mix_survives_its_file(recipe, tmp_path):
    mix = recipe.draw(5, (9, 7), key=(0, 3))
    mix.save(tmp_path / "mix")
    assert [path.name for path in tmp_path.iterdir()] == ["mix"]
    for like in (None, tf.zeros(1)):
        back = ma.Mix.load(tmp_path / "mix", like=like)
        assert back.size == mix.size
        structure, arrays = back.flatten()
        assert structure == mix.flatten()[0]
        for got, want in zip(arrays, mix.flatten()[1], strict=True):
            np.testing.assert_array_equal(np.asarray(got), want)


def test_a_mix_of_unknown_size_survives_its_file(tmp_path):
    spec = tf.TensorSpec((None, None, None), tf.float32)

    @tf.function(input_signature=[spec])
    def run(x):
        return ma.CutMix().draw(tf.shape(x)[0], (tf.shape(x)[1], tf.shape(x)[2]), key=(0, 0), like=x)

    mix = run(tf.zeros((3, 5, 4)))
    assert mix.size == (5, 4)
    mix.save(tmp_path / "mix")
    assert ma.Mix.load(tmp_path / "mix").size == (5, 4)


def test_files_that_are_not_a_mix_raise(tmp_path):
    ma.CutMix().draw(300, (5, 4), key=(0, 0)).save(tmp_path / "cut")
    (tmp_path / "cut").write_bytes((tmp_path / "cut").read_bytes()[:-100])
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "text").write_text("hello")
    np.savez(tmp_path / "other.npz", a=1)
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "empty").touch()
    for name in ("text", "other.npz", "pickle.npy", "empty", "cut", "array.npy"):
        with pytest.raises(ValueError, match=r"expected a file that mix\.save wrote"):
            ma.Mix.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        ma.Mix.load(tmp_path / "nothing")


def test_a_traced_mix_cannot_be_saved(tmp_path):
    @tf.function
    def run(x):
        with pytest.raises(TypeError, match="got traced ones; return the mix from the function first"):
            ma.MixUp().draw(3, (2, 2), key=(0, tf.cast(x[0], tf.int64)), like=x).save(tmp_path / "mix")
        return x

    run(tf.zeros(3))
    assert not list(tmp_path.iterdir())


# --- the libraries of the mix and of the arrays ---


SERVED = [ma.MixUp(sources=3), ma.CutMix(), ma.Mosaic(), ma.RandomErasing(), ma.SmoothMix(), ma.GridMix()]


@pytest.mark.slow_ways
@pytest.mark.parametrize("way", ways.WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("recipe", SERVED, ids=repr)
def test_a_mix_of_numpy_serves_arrays_of_every_library(way, recipe):
    """Eager, where kernels read both in place, and traced, with a constant mask; of the same or another size."""
    mix, rng = recipe.draw(5, (8, 6), key=(0, 3)), np.random.default_rng(0)
    x, small = (rng.integers(0, 256, (5, *size, 3)).astype(np.uint8) for size in ((8, 6), (4, 3)))
    ids, values = np.arange(5, dtype=np.int32), rng.random((5, 2)).astype(np.float32)
    masks = rng.integers(0, 9, (5, 8, 6)).astype(np.int32)

    def mixed(x, small, ids, values, masks):
        images = mix.images(x, ways.layout_of(x)), mix.images(small, ways.layout_of(small))
        return *images, mix.labels(ids, 5), mix.values(values), mix.masks(masks), *mix.per_source(ids)

    got, want = way(mixed, x, small, ids, values, masks), mixed(x, small, ids, values, masks)
    for one, expected in zip(got, want, strict=True):
        ways.assert_same(one, expected, ways.array_of(way), atol=0 if expected.dtype.kind in "iu" else 1e-6)


def test_objects_of_every_library_are_mixed_by_a_mix_of_numpy():
    mix, rng = ma.CutMix().draw(4, (8, 8), key=(0, 3)), np.random.default_rng(0)
    start = rng.integers(0, 4, (4, 3, 2))
    boxes = np.concatenate([start, start + rng.integers(1, 5, (4, 3, 2))], axis=2).astype(np.float32)
    shown = rng.random((4, 3, 8, 8)) < 0.5
    want = mix.boxes(boxes), mix.keypoints(boxes[..., :2]), mix.instances(shown), mix.visible(shown[:, 0])
    for make in ways.MAKE.values():
        x, masks = make(boxes), make(shown)
        got = mix.boxes(x), mix.keypoints(x[..., :2]), mix.instances(masks), mix.visible(masks[:, 0])
        for one, expected in zip(got, want, strict=True):
            for part, known in zip(one, expected, strict=True):
                if known is not None:
                    assert type(part) is type(x)
                    np.testing.assert_allclose(ways.values(part), known, rtol=1e-6)


@pytest.mark.parametrize("apply", [
    lambda mix, x: mix.images(x), lambda mix, x: mix.labels(x, 2), lambda mix, x: mix.values(x),
    lambda mix, x: mix.masks(x), lambda mix, x: mix.per_source(x), lambda mix, x: mix.boxes(x),
    lambda mix, x: mix.keypoints(x), lambda mix, x: mix.instances(x), lambda mix, x: mix.visible(x),
])  # fmt: skip
def test_a_mix_of_another_library_mixes_only_its_own_arrays(apply):
    mix = ma.CutMix().draw(2, (4, 4), key=(0, 0), like=ways.torch.zeros(1))
    with pytest.raises(TypeError, match=r"one library, got TensorFlow for '.*' and PyTorch for 'the mix'"):
        apply(mix, tf.zeros((2, 4, 4, 3)))
    with pytest.raises(TypeError, match=r"one library, got NumPy for '.*' and PyTorch for 'the mix'"):
        apply(mix, np.zeros((2, 4, 4, 3)))


def test_rows_out_of_range_raise_while_pytorch_compiles():
    """Compiled loops must not read out of range."""
    mix = ma.CutMix().draw(4, (8, 8), key=(0, 1))
    far = ma.Mix(np.stack([mix.index[0], mix.index[1] + 50]), mix.lam, mix.region, mix.size)
    ways.torch._dynamo.reset()
    for apply, x in ((far.images, np.zeros((4, 8, 8, 3), np.float32)), (lambda y: far.labels(y, 3), np.zeros(4, int))):
        with pytest.raises(ValueError, match=r"expected rows up to 5\d, which the mix refers to, got 4 rows"):
            ways.torch.compile(apply, backend="eager")(x)


def test_per_source_texts_have_lam_in_the_library_of_the_batch():
    for make in ways.MAKE.values():
        images = make(np.zeros((3, 4, 4, 1), np.float32))
        batch = {"images": images, "caption": ["a", "b", "c"]}
        mixed = ma.mix_batch(
            ma.MixUp(), batch, key=(0, 0), fields={"images": ma.Images("nhwc"), "caption": "per_source"}
        )
        assert type(mixed["caption"][1]) is type(images)


def test_a_foreground_is_of_the_library_of_the_labels():
    mix = ma.CutMix().draw(2, (4, 4), key=(0, 0))
    with pytest.raises(TypeError, match="one library, got NumPy for 'labels' and TensorFlow for 'guide'"):
        mix.labels(np.array([0, 1]), 2, rule="visible", guide=tf.ones((2, 4, 4), tf.bool))


def test_traced_mixes_cannot_be_moved_to_another_library():
    xp = ma.backends.common()
    with pytest.raises(
        TypeError, match=r"expected an array of NumPy, or one on the host, got an array of .* that is traced"
    ):
        tf.function(lambda x: ma.backends.to(xp, x))(tf.zeros(2))


def test_memory_that_begins_where_the_images_are_is_refused_whatever_its_strides():
    mix, buffer = ma.CutMix().draw(4, size=(6, 5), key=(0, 0)), np.zeros((8, 6, 5, 3), np.uint8)
    assert mix.images(buffer[4:], out=buffer[:4]).base is buffer
    for x, out in ((buffer[:4], buffer[3:7]), (buffer[4:0:-1], buffer[:4]), (buffer[:4], buffer[::2])):
        with pytest.raises(ValueError, match="memory of its own"):
            mix.images(x, out=out)


def test_tensors_without_memory_do_not_overlap():
    x = torch.zeros((4, 3, 6, 5), device="meta")
    mix = ma.CutMix().draw(4, size=(6, 5), key=(0, 0), like=x)
    assert mix.images(x, out=torch.empty_like(x)).shape == x.shape
    assert mix.labels(torch.zeros(4, dtype=torch.int64, device="meta"), 5).shape == (4, 5)
