"""`mix.visible` for foregrounds in every layout, and the label rule that uses it."""

from __future__ import annotations

import numpy as np
import pytest

import mixaug as ma
import ways
from mixaug.label_rules import Visible

N, T, H, W, KEY = 5, 6, 8, 7, (3, 4)
FOREGROUND = np.random.default_rng(0).random((N, T, H, W)) < 0.2
FOREGROUND[2] = False
RECIPES = [ma.CutMix(), ma.MixUp(sources=3), ma.SmoothMix()]
ORDERS = {"nthw": (0, 1, 2, 3), "nhwt": (0, 2, 3, 1), "nthwc": (0, 1, 2, 3), "ncthw": (0, 1, 2, 3)}


def in_layout(layout: str) -> np.ndarray:
    x = FOREGROUND.transpose(ORDERS[layout])
    return np.expand_dims(x, layout.index("c")) if "c" in layout else x


def areas(mix, spatial: str = "hw") -> np.ndarray:
    """The visible fraction of each source's foreground, by the definition: (k, n)."""
    weights = ways.values(mix.pixel_weights()).astype(np.float64)
    weights = weights[:, :, None] if spatial == "hw" else weights
    return (weights * FOREGROUND[ways.values(mix.index)]).sum(axis=(2, 3, 4))


@pytest.mark.parametrize("layout", ORDERS)
@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
@pytest.mark.parametrize("library", ways.MAKE)
def test_frames_share_the_boxes_and_are_counted_together(library, recipe, layout):
    foreground = ways.MAKE[library](in_layout(layout).copy())
    mix = recipe.draw(N, (H, W), key=KEY)
    got, want = mix.visible(foreground, layout=layout), areas(mix)
    total = want.sum(axis=0)
    lam = np.where(total > 0, want / np.maximum(total, 1e-9), mix.lam)
    np.testing.assert_allclose(ways.values(got.lam), lam, atol=1e-6)
    np.testing.assert_array_equal(ways.values(got.nothing), total == 0)
    whole = FOREGROUND.any(axis=(1, 2, 3))[mix.index]
    np.testing.assert_array_equal(ways.values(got.unseen), (mix.lam > 0) & whole & (want == 0))


def test_a_mix_over_time_too():
    mix = ma.CutMix().draw(N, (T, H, W), key=KEY)
    got, want = mix.visible(FOREGROUND, layout="nthw", spatial="thw"), areas(mix, "thw")
    np.testing.assert_allclose(got.lam[:, want.sum(axis=0) > 0], (want / want.sum(axis=0))[:, want.sum(axis=0) > 0])
    np.testing.assert_array_equal(got.lam, mix.visible(FOREGROUND).lam)  # three spatial axes are unambiguous


def test_a_foreground_of_a_layout_that_is_not_known_is_refused_and_the_way_out_works():
    mix = ma.CutMix().draw(N, (H, W), key=KEY)
    with pytest.raises(ValueError, match=r"foreground: expected .*pass layout='nhwc', or \"nthw\" if they have frames"):
        mix.visible(FOREGROUND)
    assert mix.visible(FOREGROUND, layout="nthw").lam.shape == (2, N)
    with pytest.raises(
        ValueError, match=r"foreground: expected 2 spatial axes, .*; draw for this size, or pass another"
    ):
        mix.visible(FOREGROUND, layout="ndhw")
    with pytest.raises(ValueError, match=r"expected 4 axes for the layout 'nthw', got the shape .*; name each ax"):
        mix.visible(FOREGROUND[:, 0], layout="nthw")


@pytest.mark.parametrize("said", [
    {"foreground": ma.Masks(layout="nthw"), "labels": ma.Labels(N, rule="visible")},
    {"foreground": ma.Masks(layout="nthw"), "labels": ma.Labels(N, rule=Visible("foreground"))},
    {"foreground": "keep", "labels": ma.Labels(N, rule=Visible("foreground", layout="nthw"))},
], ids=["text", "value", "layout in the rule"])  # fmt: skip
@pytest.mark.parametrize("library", ways.MAKE)
def test_labels_of_clips_follow_the_visible_foreground_in_the_layout_of_its_field(library, said):
    clips = np.repeat(ways.own_class_everywhere(N, (H, W))[:, None], T, axis=1)
    batch = {"images": clips, "labels": np.arange(N), "foreground": FOREGROUND}
    batch = {name: ways.MAKE[library](x) for name, x in batch.items()}
    fields = {"images": ma.Images(layout="nthwc"), **said}
    mixed = ma.mix_batch(ma.CutMix(), batch, key=KEY, fields=fields, return_mix=True)
    mix = mixed["mix"]
    want, total = areas(mix), areas(mix).sum(axis=0)
    lam = np.where(total > 0, want / np.maximum(total, 1e-9), ways.values(mix.lam))
    labels = np.zeros((N, N))
    for k, i in np.ndindex(lam.shape):
        labels[i, ways.values(mix.index)[k, i]] += lam[k, i]
    np.testing.assert_allclose(ways.values(mixed["labels"]), labels, atol=1e-6)
    assert not np.allclose(labels, ways.values(mix.labels(batch["labels"], N)), atol=1e-3)


def test_a_layer_with_this_rule_survives_its_configuration():
    fields = {"foreground": "masks", "labels": ma.Labels(N, rule=Visible("foreground", layout="nthw"))}
    layer = ma.keras.MixLayer(ma.CutMix(), fields=fields)
    assert ma.keras.MixLayer.from_config(layer.get_config()).fields["labels"] == fields["labels"]
