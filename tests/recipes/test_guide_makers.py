"""Makers of guides: beside plain transcriptions, in every library, and on networks that have learned something."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

import mixaug as ma
import ways

FIRST = (ways.torch_eager, ways.torch_traced)  # the libraries whose channels come first
WAYS = [
    ways.numpy_read_only, ways.tf_eager, ways.tf_graph, ways.tf_xla, ways.torch_eager, ways.torch_traced,
    ways.jax_eager, ways.jax_jit,
]  # fmt: skip


def photos(n=3, size=(40, 56)):
    """Dim noise with one bright square in each, and where that is."""
    rng = np.random.default_rng(0)
    x, places = rng.integers(0, 60, (n, *size, 3)).astype(np.uint8), []
    for image in x:
        a, b = (int(rng.integers(4, length - 10)) for length in size)
        image[a : a + 6, b : b + 6] = rng.integers(180, 255, 3)
        places.append((a, b))
    return x, places


def plain_residual(image):
    """The formula by NumPy's FFT, at the image's own size."""
    grey = image.astype(float).mean(-1)
    grey = (grey - grey.min()) / (grey.max() - grey.min())
    spectrum = np.fft.fft2(grey)
    log = np.log1p(abs(spectrum) ** 2) / 2
    mean = sum(np.roll(log, (a, b), (0, 1)) for a in (-1, 0, 1) for b in (-1, 0, 1)) / 9
    seen = abs(np.fft.ifft2(spectrum * np.exp(-mean))) ** 2
    for axis, length in enumerate(seen.shape):
        apart = np.subtract.outer(np.arange(length), np.arange(length))
        weight = np.exp(-0.5 * (apart / 2.5) ** 2)
        seen = np.moveaxis(np.tensordot(weight / weight.sum(1, keepdims=True), seen, (1, axis)), 0, axis)
    return seen / seen.max()


def plain_gradient(image):
    grey = image.astype(float).mean(-1)
    grey = (grey - grey.min()) / (grey.max() - grey.min())
    padded = np.pad(grey, 1, mode="edge")
    change = np.hypot(padded[2:, 1:-1] - padded[:-2, 1:-1], padded[1:-1, 2:] - padded[1:-1, :-2])
    for axis, length in enumerate(change.shape):
        apart = np.subtract.outer(np.arange(length), np.arange(length))
        weight = np.exp(-0.5 * (apart / (length / 16)) ** 2)
        change = np.moveaxis(np.tensordot(weight / weight.sum(1, keepdims=True), change, (1, axis)), 0, axis)
    return change / change.max()


@pytest.mark.parametrize(
    ("maker", "plain"),
    [(ma.guides.spectral_residual, plain_residual), (ma.guides.gradient_magnitude, plain_gradient)],
)
def test_saliency_without_a_network_is_the_formula_and_finds_what_stands_out(maker, plain):
    x, places = photos()
    made = maker(x)
    assert (made.dtype, made.shape) == (np.float32, x.shape[:3])
    for image, saliency, (a, b) in zip(x, made, places, strict=True):
        np.testing.assert_allclose(saliency, plain(image), atol=2e-4)
        assert saliency.max() == 1
        assert (saliency >= 0).all()
        assert (np.rint(saliency * 65536) == saliency * 65536).all()
        at = np.unravel_index(saliency.argmax(), saliency.shape)
        assert a - 4 <= at[0] <= a + 9
        assert b - 4 <= at[1] <= b + 9


@pytest.mark.slow_ways
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("maker", [ma.guides.spectral_residual, ma.guides.gradient_magnitude])
def test_every_library_makes_the_same_saliency(maker, way):
    x, _ = photos(2, (24, 40))
    given = np.moveaxis(x, -1, 1) if way in FIRST else x
    got = way(maker, np.ascontiguousarray(given))
    ways.assert_same(got, maker(x), ways.array_of(way), atol=2 / 65536)


def test_large_images_are_shrunk_and_grey_ones_of_one_colour_have_no_saliency():
    x, places = photos(2, (150, 220))
    made = ma.guides.spectral_residual(x)
    assert made.shape == (2, 150, 220)
    for saliency, (a, b) in zip(made, places, strict=True):
        at = np.unravel_index(saliency.argmax(), saliency.shape)
        assert abs(at[0] - a - 3) < 10
        assert abs(at[1] - b - 3) < 10
    for maker in (ma.guides.spectral_residual, ma.guides.gradient_magnitude):
        assert not maker(np.full((2, 16, 16, 3), 7, np.uint8)).any()
    signal = np.zeros((1, 64, 1), np.float32)
    signal[0, 40:] = 1
    assert abs(int(ma.guides.gradient_magnitude(signal, "ntc")[0].argmax()) - 40) <= 1
    smooth = gaussian_filter1d((abs(np.gradient(signal[0, :, 0])) > 0).astype(float), 4, mode="constant", truncate=16)
    np.testing.assert_allclose(
        ma.guides.gradient_magnitude(signal, "ntc")[0, 20:60], (smooth / smooth.max())[20:60], atol=1e-3
    )


# --- networks that have learned which colour a small square has ---

COLOURS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)


def squares(n, seed, size=16, side=4):
    """Images of noise with a square in the colour of their class, and bool masks of it."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    x, masks = (0.3 * rng.random((n, size, size, 3))).astype(np.float32), np.zeros((n, size, size), bool)
    for image, mask, label in zip(x, masks, labels, strict=True):
        a, b = rng.integers(0, (size - side) // side + 1, 2) * side
        image[a : a + side, b : b + side] += 0.7 * COLOURS[label]
        mask[a : a + side, b : b + side] = True
    return x, labels, masks


def found(saliency, masks):
    """How often the most salient pixel lies in the square, of maps of any size."""
    saliency, hits = ways.values(saliency), 0
    for map_, mask in zip(saliency, masks, strict=True):
        a, b = np.unravel_index(map_.argmax(), map_.shape)
        factor = mask.shape[0] // map_.shape[0]
        hits += mask[a * factor : (a + 1) * factor, b * factor : (b + 1) * factor].any()
    return hits / len(masks)


def test_a_torch_network_gives_activation_maps_and_input_gradients():
    torch.manual_seed(0)
    x, y, _ = squares(192, 0)
    features = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2))
    model = torch.nn.Sequential(features, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 3))
    optimizer = torch.optim.Adam(model.parameters(), 0.03)
    images, labels = torch.from_numpy(x).permute(0, 3, 1, 2), torch.from_numpy(y)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    x, y, masks = squares(64, 1)
    images, labels = torch.from_numpy(x).permute(0, 3, 1, 2).requires_grad_(), torch.from_numpy(y)
    assert (model(images).argmax(1) == labels).float().mean() > 0.9
    with torch.no_grad():
        maps = ma.guides.class_activation(features(images), model[-1].weight.T, labels)
        rows = ma.guides.class_activation(features(images), model[-1].weight.T, torch.eye(3)[labels])
    assert maps.shape == (64, 8, 8)
    assert torch.equal(maps, rows)
    assert found(maps, masks) > 0.9
    (gradients,) = torch.autograd.grad(torch.nn.functional.cross_entropy(model(images), labels), images)
    saliency = ma.guides.input_gradient(gradients)
    wanted = gradients.square().mean(1).sqrt()
    torch.testing.assert_close(saliency, wanted / wanted.amax((1, 2), keepdim=True), atol=1e-4, rtol=0)
    mixed = ma.mix_batch(
        ma.SaliencyMix(), {"images": images.detach(), "labels": labels, "saliency": maps}, num_classes=3, key=0
    )
    assert mixed["images"].shape == images.shape


def test_a_keras_model_gives_activation_maps_and_attention():
    keras.utils.set_random_seed(0)
    x, y, _ = squares(192, 0)
    inputs = keras.Input((16, 16, 3))
    features = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(features))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.03), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, batch_size=192, epochs=60, verbose=0)
    x, y, masks = squares(64, 1)
    maps = keras.Model(inputs, features)(x)
    saliency = ma.guides.class_activation(maps, model.layers[-1].kernel.value, keras.ops.convert_to_tensor(y))
    assert found(saliency, masks) > 0.9
    tokens = keras.ops.reshape(maps, (64, 256, 8))
    first = keras.ops.mean(tokens, axis=1, keepdims=True)
    tokens = keras.ops.concatenate([first, tokens], axis=1)
    layer = keras.layers.MultiHeadAttention(2, 8)
    _, scores = layer(tokens, tokens, return_attention_scores=True)
    attention = ways.values(ma.guides.attention(scores))
    wanted = ways.values(scores)[:, :, 0, 1:].mean(axis=1).reshape(64, 16, 16)
    np.testing.assert_allclose(attention, wanted / wanted.max(axis=(1, 2), keepdims=True), atol=2e-5)


def test_a_jax_model_gives_input_gradients():
    x, y, _ = squares(192, 0)
    rng = np.random.default_rng(0)
    shapes = {"conv": (3, 3, 3, 8), "dense": (8, 3)}
    weights = {name: jnp.asarray(rng.normal(0, 0.3, shape), jnp.float32) for name, shape in shapes.items()}

    def logits(weights, x):
        maps = jax.lax.conv_general_dilated(
            x, weights["conv"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jnp.mean(jax.nn.relu(maps), axis=(1, 2)) @ weights["dense"]

    def loss(weights, x, y):
        return -jnp.mean(jax.nn.log_softmax(logits(weights, x))[jnp.arange(len(x)), y])

    step = jax.jit(jax.grad(loss))
    for _ in range(200):
        weights = jax.tree.map(lambda w, g: w - 2.0 * g, weights, step(weights, x, y))
    x, y, _ = squares(64, 1)
    assert (np.asarray(logits(weights, x)).argmax(1) == y).mean() > 0.9
    gradients = jax.jit(jax.grad(lambda x: loss(weights, x, y)))(jnp.asarray(x))
    saliency = jax.jit(ma.guides.input_gradient)(gradients)
    wanted = np.sqrt(np.square(np.asarray(gradients)).mean(-1))
    np.testing.assert_allclose(saliency, wanted / wanted.max(axis=(1, 2), keepdims=True), atol=1e-4)


# --- of annotations, and what is refused ---


@pytest.mark.parametrize("library", ways.MAKE)
def test_boxes_and_masks_become_saliency(library):
    boxes = np.array([[[0, 0, 2, 1], [3.4, 1.6, 5, 4]], [[-1, -1, -1, -1], [1, 1, 1, 3]]], np.float32)
    made = ways.values(ma.guides.from_boxes(ways.MAKE[library](boxes), (4, 6)))
    for i, a, b in np.ndindex(2, 4, 6):
        inside = any(x0 <= b + 0.5 < x1 and y0 <= a + 0.5 < y1 for x0, y0, x1, y1 in boxes[i])
        assert made[i, a, b] == inside
    masks = np.array([[[0, 3], [255, 1]]], np.uint8)
    assert ways.values(ma.guides.from_masks(ways.MAKE[library](masks), ignore_index=255)).tolist() == [[[0, 1], [0, 1]]]


def test_what_no_guide_can_be_made_of_is_refused():
    x = np.zeros((2, 8, 8, 3), np.float32)
    cases = [
        (
            lambda: ma.guides.spectral_residual(np.zeros((2, 8, 3)), "ntc"),
            "two spatial axes, got 1; pass ma.guides.grad",
        ),
        (lambda: ma.guides.class_activation(x, np.zeros((10, 3)), np.arange(2)), r"expected \(3, classes\).*weight.T"),
        (lambda: ma.guides.attention(np.zeros((1, 2, 7, 7))), "expected 1 tokens and 2 x 2 patches, got 7 tokens"),
        (lambda: ma.guides.from_boxes(np.zeros((2, 4)), (8, 8)), r"boxes: expected \(n, m, 4\)"),
        (lambda: ma.guides.from_masks(x), "masks: expected integers or bools, got float32"),
        (lambda: ma.guides.gradient_magnitude(np.zeros((2, 3, 8, 8, 3)), "nthwc"), "fold the others into the rows"),
    ]
    for make, match in cases:
        with pytest.raises((ValueError, TypeError), match=match):
            make()
    assert ma.guides.attention(np.ones((1, 2, 7, 7)), grid=(2, 3)).shape == (1, 2, 3)
