"""What `ma.tf.mixed` takes for a batch, and what for a single sample."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import mixaug as ma
import ways

CLIPS, T, SIZE = 6, 4, (5, 6)
X = np.repeat(ways.own_class_everywhere(CLIPS, SIZE)[:, None], T, axis=1)  # (clips, t, h, w, c)
M = X.argmax(axis=-1).astype(np.int32)
Y = np.arange(CLIPS)
VIDEO = {"images": ma.Images(layout="nthwc"), "labels": ma.Masks(layout="nthw")}


def clips(*more):
    return tf.data.Dataset.from_tensor_slices((X, M, *more))


def test_a_clip_beside_its_frame_masks_is_refused_where_its_layout_is_said_and_the_way_out_works():
    with pytest.raises(
        ValueError, match=r"got what may be single samples, 'images' \(4, 5, 6, 6\), .*; batch\(\) it first, or pass ba"
    ):
        clips().apply(ma.tf.mixed(ma.CutMix(), fields=VIDEO))
    for images, masks in clips().batch(3).apply(ma.tf.mixed(ma.CutMix(), fields=VIDEO)):
        np.testing.assert_array_equal(images.numpy().argmax(axis=-1), masks)
        for frame in range(T):  # one box for all of them
            np.testing.assert_array_equal(images[:, frame], images[:, 0])


@pytest.mark.parametrize("graph", [False, True])
def test_without_a_layout_images_of_four_axes_are_a_batch_as_everywhere(graph):
    """A batch of known length has the same shapes: frames are mixed among themselves, as `ma.mix_batch` does."""
    options = {"fields": ("images", "masks")}
    for step, (images, masks) in enumerate(clips().apply(ma.tf.mixed(ma.CutMix(), graph=graph, **options))):
        want = ma.mix_batch(ma.CutMix(), (X[step], M[step]), key=(0, 0, step), **options)
        np.testing.assert_array_equal(images, want[0])
        np.testing.assert_array_equal(masks, want[1])
    frames = tf.data.Dataset.from_tensor_slices((X[:, 0], M[:, 0])).batch(3, drop_remainder=True)
    assert [len(images) for images, _ in frames.apply(ma.tf.mixed(ma.CutMix(), **options))] == [3, 3]


@pytest.mark.parametrize("more", [(Y,), (np.eye(CLIPS, dtype="float32"),)], ids=["ids", "rows"])
def test_a_label_beside_them_tells_a_single_clip(more):
    fields = ("images", "masks", "labels")
    with pytest.raises(ValueError, match=r"single samples, .*; batch\(\) it first, or pass batched=True if these are"):
        clips(*more).apply(ma.tf.mixed(ma.CutMix(), fields=fields, num_classes=CLIPS))
    fields = (ma.Images("nthwc"), ma.Masks(layout="nthw"), "labels")
    for images, masks, labels in (
        clips(*more).batch(3).apply(ma.tf.mixed(ma.CutMix(), fields=fields, num_classes=CLIPS))
    ):
        np.testing.assert_array_equal(images.numpy().argmax(axis=-1), masks)
        ways.assert_label_is_the_pixels(images, labels)
