"""Bugs of released libraries and of code that is often copied, each with a test.

Image i is one-hot i at every pixel, so the mean over the pixels of an output must equal its label.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import mixaug as ma
import ways

tf = ways.tf
CUT, BLEND = ma.CutMix(alpha=1.0), ma.MixUp(alpha=1.0)


def truth(n: int, size: tuple[int, ...] = (9, 7), dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    return ways.own_class_everywhere(n, size, dtype), np.arange(n)


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (31, 17), (2, 2)])
def test_label_is_the_pasted_fraction(size):
    """Elsewhere: fractional box corners with integer masks, or weights of the box before clipping."""
    x, y = truth(64, size)
    images, labels = ma.mix_batch(CUT, (x, y), key=(0, 0), num_classes=64, fields={"images": ma.Images("nhwc")})
    np.testing.assert_allclose(images.mean(axis=(1, 2)), labels, atol=1e-6)


def test_the_label_is_not_only_the_partners():
    """Elsewhere: the label is the partner's, although nearly all pixels come from the base sample."""
    x, y = truth(64, (32, 32))
    mix = CUT.draw(64, (32, 32), key=(0, 0))
    mostly_own = mix.lam[0] > 0.9
    assert mostly_own.any()
    assert (mix.labels(y, 64)[mostly_own, y[mostly_own]] > 0.9).all()
    assert (mix.images(x).mean(axis=(1, 2))[mostly_own, y[mostly_own]] > 0.9).all()


def test_lam_0_is_the_weight_of_the_base_sample():
    """Elsewhere: lambda is the weight of the partner."""
    x, _ = truth(64)
    mix = BLEND.draw(64, (9, 7), key=(0, 0))
    np.testing.assert_allclose(mix.images(x)[np.arange(64), 0, 0, np.arange(64)], mix.lam[0], atol=1e-6)


def test_soft_masks_do_not_swap_labels():
    """Elsewhere: the weights of a Gaussian mask go to the other label."""
    x, y = truth(32, (20, 30))
    images, labels = ma.mix_batch(ma.SmoothMix(), (x, y), key=(0, 0), num_classes=32)
    np.testing.assert_allclose(images.mean(axis=(1, 2)), labels, atol=1e-6)


def test_width_comes_from_the_width():
    """Elsewhere: the box's width is computed from the height."""
    box = CUT.draw(4000, (16, 160), key=(0, 0)).region.box[1]
    width = box[:, 1, 1] - box[:, 1, 0]
    assert width.max() > 100


WIDE = [
    ma.CutMix(placement="inside"), ma.CutMix(placement="uniform"), ma.BoxMix(area=0.5, aspect=1),
    ma.NWayCutMix(), ma.HMix(ratio=1),
    ma.ResizeMix(low=0.7, high=0.7), ma.CutMixMinMax(), ma.RICAP(beta=1.0), ma.Mosaic(),
]  # fmt: skip


@pytest.mark.parametrize("recipe", WIDE, ids=repr)
def test_the_width_of_every_box_comes_from_the_width(recipe):
    """Elsewhere: the box's width is computed from the height."""
    for box in recipe.draw(500, (16, 160), key=(0, 0)).region.box[1:]:
        height, width = (box[..., 1] - box[..., 0]).T
        assert width.max() > 100 if recipe != ma.Mosaic() else width.max() > 60
        assert height.max() <= 16


@pytest.mark.parametrize("recipe", [ma.Cutout(), ma.RandomErasing(area=0.5, aspect=1)], ids=repr)
def test_the_width_of_every_hole_comes_from_the_width(recipe):
    """Elsewhere: the box's width is computed from the height."""
    hole = recipe.draw(500, (16, 160), key=(0, 0)).region.hole
    assert (hole[:, 1, 1] - hole[:, 1, 0]).max() in (80, 113)


@pytest.mark.parametrize("length", [0.1, 0.3, 0.5, 0.9])
def test_a_box_of_a_length_has_sides_of_that_length(length):
    """Elsewhere: length=0.3 gives sides of sqrt(1 - 0.3^2), 95 in 100."""
    size, n = (100, 60), 400
    hole = ma.Cutout(side=length).draw(n, size, key=(0, 0)).region.hole
    whole = ((hole[..., 0] > 0) & (hole[..., 1] < size)).all(axis=1)
    fixed = ma.BoxMix(area=length**2 + 1e-6, aspect=1).draw(n, size, key=(0, 0)).region.box[1]
    small = ma.ResizeMix(low=length + 1e-6, high=length + 1e-6).draw(n, size, key=(0, 0)).region.box[1]
    for boxes in (hole[whole], fixed, small):
        assert (boxes[..., 1] - boxes[..., 0] == np.rint(np.array(size) * length)).all()


@pytest.mark.parametrize("recipe", [CUT, ma.CutMix(placement="uniform"), ma.HMix(), *WIDE[2:5]], ids=repr)
def test_areas_are_of_clipped_boxes(recipe):
    """Elsewhere: the weight of a box is its area before clipping."""
    n, size = 200, (12, 9)
    x, y = truth(n, size)
    mix = recipe.draw(n, size, key=(0, 0))
    seen = mix.images(x).sum(axis=(1, 2)) / 108
    np.testing.assert_allclose(seen, mix.labels(y, n), atol=1e-6)
    box = mix.region.box[1]
    assert (box >= 0).all()
    assert (box <= np.array(size)[:, None]).all()


def test_every_sample_has_its_own_box_and_weight():
    """Elsewhere: one box position, or one label, for the whole batch."""
    box = CUT.draw(128, (64, 64), key=(0, 0)).region.box[1]
    assert len({tuple(b.ravel()) for b in box}) > 100
    assert len(set(BLEND.draw(128, (1,), key=(0, 0)).lam[0])) > 120


def test_uint8_is_rounded_to_nearest_without_bias():
    """Elsewhere: truncation, half a grey level too dark on average; or uint8 is refused."""
    x = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), np.uint8)
    mix = BLEND.draw(64, (32, 32), key=(0, 0))
    error = mix.images(x) - mix.images(x.astype(np.float64))
    assert abs(error).max() <= 0.5
    assert abs(error.mean()) < 0.002
    assert (mix.images(np.full_like(x, 255)) == 255).all()


def test_uint8_images_do_not_change_the_labels():
    """Elsewhere: lambda takes the images' dtype, so with uint8 every weight of the base sample becomes 0."""
    x, y = truth(16, dtype="uint8")
    for recipe in (BLEND, CUT):
        _, labels = ma.mix_batch(recipe, (x * 255, y), key=(0, 0), num_classes=16)
        np.testing.assert_array_equal(labels, ma.mix_batch(recipe, truth(16), key=(0, 0), num_classes=16)[1])


def test_half_precision_images_do_not_change_the_labels():
    """Elsewhere: labels in bfloat16, so class 999 becomes 1000 and rows sum to 1.002."""
    for dtype in (tf.bfloat16, tf.float16):
        _, labels = ma.mix_batch(
            BLEND, (tf.zeros((8, 4, 4, 3), dtype), tf.range(992, 1000)), key=(0, 0), num_classes=1000
        )
        assert labels.dtype == tf.float32
        assert not labels[:, :992].numpy().any()
        np.testing.assert_array_equal(labels.numpy().sum(axis=1), np.ones(8, np.float32))


def test_two_of_one_class_sum_to_one():
    """Elsewhere: the target of a pair of one class sums to 1 - lambda."""
    _, labels = ma.mix_batch(BLEND, (truth(16)[0], np.full(16, 3)), key=(0, 0), num_classes=5)
    np.testing.assert_array_equal(labels, np.eye(5, dtype=np.float32)[[3] * 16])


def test_class_ids_do_not_broadcast():
    """Elsewhere: (n,) ids give a meaningless (n, n) result without an error, and (n, 1) ids are averaged as numbers."""
    x, y = truth(6)
    for ids in (y, y[:, None]):
        assert ma.mix_batch(CUT, (x, ids), key=(0, 0), num_classes=10)[1].shape == (6, 10)


def test_columns_of_unknown_number_are_not_guessed():
    """Elsewhere, and in a graph: (n, 1) ids of unknown width are averaged as numbers."""

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int64)])
    def run(y):
        with pytest.raises(ValueError, match="expected a known number of columns, got an unknown one; call set_shape"):
            BLEND.draw(tf.shape(y)[0], (2, 2), key=(0, 0), like=y).labels(y, num_classes=6)
        return y

    run(tf.zeros((3, 1), tf.int64))


def test_soft_labels_keep_their_shape():
    """Elsewhere: (n, c) soft labels are flattened to (n * c, c), or come out as (n, 1, n, c)."""
    x, _ = truth(4)
    soft = np.full((4, 4), 0.25, np.float32)
    np.testing.assert_array_equal(ma.mix_batch(BLEND, (x, soft), key=(0, 0))[1], soft)


def test_a_second_image_is_mixed_by_the_same_mix():
    """Elsewhere: the second image of a dict is silently left unmixed."""
    x, y = truth(12)
    batch = {"images": x, "near": x[..., :3], "labels": y}
    mixed = ma.mix_batch(CUT, batch, key=(0, 0), num_classes=12, fields={"near": "images"})
    np.testing.assert_array_equal(mixed["images"][..., :3], mixed["near"])
    assert (mixed["near"] != x[..., :3]).any()


@pytest.mark.parametrize("n", [1, 2, 3, 7])
@pytest.mark.parametrize("recipe", [BLEND, CUT, ma.MixUp(sources=4)], ids=repr)
def test_any_batch_size(n, recipe):
    """Elsewhere: odd batches, batches of one, and the short last batch raise."""
    x, y = truth(n)
    images, labels = ma.mix_batch(recipe, (x, y), key=(0, 0), num_classes=n)
    np.testing.assert_allclose(images.mean(axis=(1, 2)), labels, atol=1e-6)


def test_donors_are_not_overwritten():
    """Elsewhere: pasting in place copies boxes from samples that are already mixed, or modifies the dataset."""
    x, y = truth(32)
    for array in (x, y):
        array.flags.writeable = False
    images, labels = ma.mix_batch(CUT, (x, y), key=(0, 0), num_classes=32)
    assert ((images > 0).sum(axis=-1) == 1).all()
    np.testing.assert_allclose(images.mean(axis=(1, 2)), labels, atol=1e-6)


def test_the_seed_and_the_epoch_matter_and_nothing_else_does():
    """Elsewhere: seeds that do not reach the sampler; draws from a global generator; the same draws each epoch."""
    draws = {key: CUT.draw(32, (64, 64), key=key).lam.tobytes() for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]}
    assert len(set(draws.values())) == 4
    np.random.seed(7)
    tf.random.set_seed(7)
    state = np.random.get_state()[1].tobytes()
    assert CUT.draw(32, (64, 64), key=(0, 0, 0)).lam.tobytes() == draws[0, 0, 0]
    assert np.random.get_state()[1].tobytes() == state


def test_partners_are_drawn_and_not_the_neighbours():
    """Elsewhere: roll(1) or flip(0), so a sorted batch is always mixed within a class."""
    steps = np.arange(2000)
    offsets = [int((CUT.draw(8, (4, 4), key=(0, s)).index[1][0]) % 8) for s in steps]
    counts = np.bincount(offsets, minlength=8)[1:]  # 0: an empty box has no source
    assert stats.chisquare(counts).pvalue > 1e-3


def test_small_alpha_gives_numbers():
    """Elsewhere: gamma samples of 0 / 0."""
    assert np.isfinite(ma.MixUp(alpha=1e-4, sources=5).draw(500, (1,), key=(0, 0)).lam).all()


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
@pytest.mark.parametrize("shape", [(6, 9, 7), (6, 9, 7, 1)], ids=["no channel axis", "one channel"])
@pytest.mark.parametrize("recipe", [CUT, BLEND], ids=repr)
def test_masks_keep_their_shape_and_dtype(recipe, shape, dtype):
    """Elsewhere: a mask gets the channels of the image, becomes floats, or needs a channel axis."""
    masks = np.random.default_rng(0).integers(0, 5, shape).astype(dtype)
    images = np.zeros((6, 9, 7, 3), np.float32)
    mixed = ma.mix_batch(recipe, {"images": images, "segmentation_masks": masks}, key=(0, 0))["segmentation_masks"]
    assert (mixed.shape, mixed.dtype) == (masks.shape, masks.dtype)
    assert (mixed != masks).any()


def test_a_blend_of_masks_has_no_new_class():
    """Elsewhere: ids are averaged, so that half 2 and half 4 become 3, and half of an ignored 255 becomes 127."""
    masks = np.random.default_rng(0).choice(np.uint8([2, 4, 255]), (64, 9, 7))
    mix = BLEND.draw(64, (9, 7), key=(0, 0))
    assert set(np.unique(mix.masks(masks, 255))) == {2, 4, 255}
    soft = mix.masks(masks, 255, num_classes=5, soft=True)
    assert set(np.flatnonzero(soft.sum(axis=(0, 1, 2)))) == {2, 4}
    np.testing.assert_allclose(soft.sum(axis=-1)[soft.any(axis=-1)], 1, atol=1e-6)
    assert (~soft.any(axis=-1) == ((masks == 255) & (masks[mix.index[1]] == 255))).all()


def test_masks_and_images_use_the_same_draw():
    """Elsewhere: the image of a dict is mixed, but its mask and a second image are silently left unmixed."""
    x, y = truth(16)
    masks = np.broadcast_to(np.arange(16).reshape(16, 1, 1), (16, 9, 7)).copy()
    batch = {"images": x, "masks": masks, "pixel_values": x.copy(), "labels": y}
    mixed = ma.mix_batch(CUT, batch, key=(0, 0), num_classes=16)
    np.testing.assert_array_equal(mixed["images"].argmax(-1), mixed["masks"])
    np.testing.assert_array_equal(mixed["images"], mixed["pixel_values"])
    assert (mixed["masks"] != masks).any()
