"""Which shapes are ambiguous, at the limits of the rule, in every library."""

from __future__ import annotations

import numpy as np
import pytest

import mixaug as ma
import ways

#: shapes with channels last, as NumPy's users have them: whether an axis 1 of 1 to 4 beside a last one above 4 is there
SHAPES = [
    ((3, 1, 28, 28), True), ((3, 4, 8, 5), True), ((3, 3, 8, 8), True),
    ((3, 5, 8, 8), False), ((3, 3, 8, 4), False), ((3, 4, 8, 1), False), ((3, 8, 8, 5), False), ((3, 2, 2, 2), False),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "doubtful"), SHAPES)
@pytest.mark.parametrize("library", ways.MAKE)
def test_only_ambiguous_channels_raise(library, shape, doubtful):
    usual, other = ("nhwc", "nchw") if library != "torch" else ("nchw", "nhwc")
    x = np.zeros(shape, np.float32)
    x = np.moveaxis(x, (1, -1), (-1, 1)) if library == "torch" else x  # the mirror image
    batch = ways.MAKE[library](x), ways.MAKE[library](np.arange(3))
    options = {"key": (0, 0), "num_classes": 3}
    if not doubtful:
        assert ma.mix_batch(ma.MixUp(), batch, **options)[0].shape == x.shape
        return
    with pytest.raises(ValueError, match=rf"layout='{other}'\)}}, or '{usual}' if it is right"):
        ma.mix_batch(ma.MixUp(), batch, **options)
    for layout in (usual, other):
        assert ma.mix_batch(ma.MixUp(), batch, fields={"images": ma.Images(layout=layout)}, **options)[0].shape


def test_videos_of_torchvision_have_their_layout_by_type():
    tv_tensors = pytest.importorskip("torchvision.tv_tensors")
    clips = np.moveaxis(np.repeat(ways.own_class_everywhere(3, (6, 7))[:, None], 2, axis=1), -1, 2)  # (n, t, c, h, w)
    video = tv_tensors.Video(ways.tensor(clips))
    images, labels = ma.mix_batch(ma.CutMix(), (video, ways.tensor(np.arange(3))), key=(0, 1), num_classes=3)
    assert images.shape == clips.shape
    for frame in range(2):
        seen = ways.values(images)[:, frame].mean(axis=(2, 3))
        np.testing.assert_allclose(seen, ways.values(labels), atol=1e-6)
    assert 0 < float(labels.max(dim=1)[0].min()) < 1
