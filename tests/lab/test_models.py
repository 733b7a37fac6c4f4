"""Networks: published sizes and shapes, saving and loading, learning."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from mixaug.lab.data import load  # noqa: E402
from mixaug.lab.errors import LabError  # noqa: E402
from mixaug.lab.models import PixelAccuracy, build, pixel_cross_entropy, pixel_error  # noqa: E402

KINDS = ["small", "resnet20", "resnet18"]  # the others differ from resnet20 by their depth only


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize(
    ("name", "count"), [("resnet20", 269_722), ("resnet32", 464_154), ("resnet56", 853_018), ("resnet18", 11_173_962)]
)
def test_published_parameter_counts(name, count):
    assert trainable(build(name, (32, 32, 3), 10)) == count


def weighted_layers(model):
    """The depth as defined by He et al.: the convolutions of the main path and the last dense layer."""
    weighted = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)]
    return sum(1 for layer in weighted if getattr(layer, "kernel_size", None) != (1, 1))


@pytest.mark.parametrize("name", ["resnet18", "resnet20", "resnet32", "resnet56"])
def test_depth_is_the_number_in_the_name(name):
    assert weighted_layers(build(name, (8, 8, 3), 2)) == int(name.removeprefix("resnet"))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 13, 3)])
def test_logits_of_any_size_from_uint8_or_float(name, shape):
    pixels = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    model = build(name, shape, 4)
    logits = model(pixels)
    assert logits.shape == (3, 4)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert np.array_equal(logits, model(pixels.astype(np.float32)))
    assert not np.allclose(keras.ops.sum(logits, axis=1), 1)


def test_pixels_are_scaled_to_minus_one_to_one():
    scale = build("small", (8, 8, 1), 2).layers[1]
    assert np.allclose(scale(np.array([0.0, 127.5, 255.0])), [-1, 0, 1])


@pytest.mark.parametrize("name", KINDS)
def test_saved_and_loaded_gives_the_same_logits(name, tmp_path):
    model = build(name, (16, 16, 3), 5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    assert np.array_equal(model(pixels), loaded(pixels))


def test_the_seed_determines_the_weights_with_he_scaling():
    def first_kernel(seed):
        keras.utils.set_random_seed(seed)
        return np.asarray(build("resnet18", (32, 32, 3), 10).layers[2].kernel)

    assert np.array_equal(first_kernel(1), first_kernel(1))
    assert not np.array_equal(first_kernel(1), first_kernel(2))
    assert abs(first_kernel(0).std() / np.sqrt(2 / 27) - 1) < 0.1


def test_shortcut_and_residual_use_the_same_pixels():
    """With identity kernels a stride-2 block is relu(2x) at even pixels, and zero in the new channels."""
    model = build("resnet20", (8, 8, 3), 2)
    block = next(i for i, layer in enumerate(model.layers) if isinstance(layer, keras.layers.ZeroPadding2D))
    stage = keras.Model(model.layers[block].input, model.layers[block + 8].output)
    for layer in stage.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel = np.zeros(layer.kernel.shape, np.float32)
            rows = np.arange(kernel.shape[2])
            kernel[1, 1, rows, rows] = 1
            layer.set_weights([kernel])
    x = np.random.default_rng(0).random((1, *stage.input.shape[1:]), np.float32)
    y = np.asarray(stage(x))
    assert y.shape == (1, 4, 4, 32)
    assert np.allclose(y[..., :16], 2 * x[:, ::2, ::2], atol=1e-4)
    assert not y[..., 16:].any()


def test_small_learns():
    keras.utils.set_random_seed(0)
    data = load("fashion-mnist-sample", train_size=2000)
    model = build("small", data.train.images.shape[1:], 10)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    model.fit(data.train.images, data.train.targets, batch_size=64, epochs=2, verbose=0)
    _, accuracy = model.evaluate(data.test.images, data.test.targets, verbose=0)
    assert accuracy > 0.75


def test_unknown_model():
    with pytest.raises(LabError, match=r"^expected a model \(small, .*\), got 'resnet-20': did you mean 'resnet20'\?$"):
        build("resnet-20", (32, 32, 3), 10)


@pytest.mark.parametrize("shape", [(7, 32, 3), (32, 7, 3), (32, 32)])
def test_input_too_small(shape):
    with pytest.raises(LabError, match=r"^expected images \(h, w, c\) of 8x8 or more, got \(.*\): make them larger$"):
        build("small", shape, 10)


# --- networks with an output per pixel ---


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 13, 3), (64, 64, 3), (30, 100, 3)])
def test_unet_has_an_output_for_every_pixel_of_any_size(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    model = build("unet", shape, 5, per_pixel=True)
    logits = model(pixels)
    assert logits.shape == (2, *shape[:2], 5)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert np.array_equal(logits, model(pixels.astype(np.float32)))


def test_the_receptive_field_of_unet_has_distant_pixels_and_the_pixel_itself():
    """The outputs that one pixel affects: its own, and through the lowest level distant ones."""
    model = build("unet", (64, 64, 1), 2, per_pixel=True)
    black = np.zeros((1, 64, 64, 1), np.uint8)
    white = black.copy()
    white[0, 32, 32] = 255
    changed = np.argwhere(np.abs(np.asarray(model(white)) - np.asarray(model(black)))[0].max(-1) > 0)
    assert [32, 32] in changed.tolist()
    assert np.ptp(changed, axis=0).min() >= 24


def test_padding_of_odd_sizes_is_removed():
    """The output for an image equals that for the image padded with gray (which is 0) at the bottom and right."""
    keras.utils.set_random_seed(0)
    small, large = (build("unet", (side, side, 1), 2, per_pixel=True) for side in (13, 16))
    small.set_weights(large.get_weights())
    pixels = np.random.default_rng(0).integers(0, 256, (1, 13, 13, 1)).astype(np.float32)
    padded = np.pad(pixels, ((0, 0), (0, 3), (0, 3), (0, 0)), constant_values=127.5)
    assert np.allclose(small(pixels), np.asarray(large(padded))[:, :13, :13], atol=1e-5)


def test_unet_is_saved_and_loaded(tmp_path):
    model = build("unet", (17, 16, 3), 5, per_pixel=True)
    model.compile("adam", pixel_cross_entropy, metrics=[PixelAccuracy()])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 17, 16, 3), np.uint8)
    assert np.array_equal(model(pixels), loaded(pixels))


def test_models_for_another_task_raise():
    with pytest.raises(
        LabError, match=r"^expected a model that answers for every pixel \(unet\), got 'resnet20': did you"
    ):
        build("resnet20", (32, 32, 3), 10, per_pixel=True)
    with pytest.raises(LabError, match=r"^expected a model \(small, .*\), got 'unet'"):
        build("unet", (32, 32, 3), 10)


SHARES = np.random.default_rng(0).dirichlet([1, 1, 1], (2, 4, 5)).astype(np.float32)
LOGITS = np.random.default_rng(1).normal(0, 2, (2, 4, 5, 3)).astype(np.float32)
IGNORED = SHARES * (np.random.default_rng(2).random((2, 4, 5, 1)) < 0.6)


def by_hand(shares, logits):
    rows = -(shares * (logits - np.log(np.exp(logits).sum(-1, keepdims=True)))).sum(-1)
    return rows.sum() / shares.sum()


def test_pixel_cross_entropy_is_the_mean_over_pixels_that_are_not_ignored():
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    assert float(pixel_cross_entropy(SHARES, LOGITS)) == pytest.approx(float(loss(SHARES, LOGITS)), rel=1e-5)
    assert float(pixel_cross_entropy(SHARES, LOGITS)) == pytest.approx(by_hand(SHARES, LOGITS), rel=1e-5)
    assert float(pixel_cross_entropy(IGNORED, LOGITS)) == pytest.approx(by_hand(IGNORED, LOGITS), rel=1e-5)
    assert float(pixel_cross_entropy(0 * SHARES, LOGITS)) == 0


def test_ignored_pixels_have_no_gradient():
    tf = pytest.importorskip("tensorflow")
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = pixel_cross_entropy(IGNORED, logits)
    gradient = tape.gradient(loss, logits).numpy()
    ignored = IGNORED.sum(-1) == 0
    assert ignored.any()
    assert not gradient[ignored].any()
    assert gradient[~ignored].any(-1).all()


def test_pixel_accuracy_is_over_the_pixels_of_all_batches_that_are_not_ignored():
    metric = PixelAccuracy()
    metric.update_state(IGNORED[:1], LOGITS[:1])
    metric.update_state(IGNORED[1:], LOGITS[1:])
    said = IGNORED.sum(-1) > 0
    shares = np.take_along_axis(IGNORED, LOGITS.argmax(-1)[..., None], -1)[..., 0]
    assert float(metric.result()) == pytest.approx(shares[said].mean(), rel=1e-5)


def test_pixel_error_by_hand():
    targets = np.uint8([[[[0, 51], [255, 102]]]])
    assert float(pixel_error(targets, np.float32([[[[0.1, 0.2], [0.8, 0.3]]]]))) == pytest.approx(0.1)
