"""Label rules that look at maps and counts: mass, attention, relative visibility, Remix; each beside a plain form."""

from __future__ import annotations

import numpy as np
import pytest

import mixaug as ma
import ways
from mixaug.core import maps
from mixaug.label_rules import Attended, Mass, Remix, Visible

N, SIZE = 8, (10, 9)
RECIPES = [
    ma.CutMix(), ma.SnapMix(), ma.MixUp(), ma.GridMix(cells=3), ma.HMix(), ma.RICAP(), ma.Cutout(side=0.6),
    ma.one_of(ma.SnapMix(), ma.MixUp(), ma.CutMix()),
]  # fmt: skip


def levels(saliency):
    return np.rint(np.float32(255) * (saliency / saliency.max()))


def by_hand(mix, saliency):
    """Pixel by pixel: what each source shows of its map."""
    weights, out = (
        np.asarray(mix.region.pixel_weights(ma.backends.common(), N, SIZE), np.float64),
        np.zeros(mix.lam.shape),
    )
    for k, i in np.ndindex(mix.lam.shape):
        level = levels(saliency[mix.index[k, i]]).astype(np.float64)
        box, part = mix.region.box[k], mix.region.source_box[k]
        if part is None:
            out[k, i] = (weights[k, i] * level).sum() / level.sum()
            continue
        (a, b), (c, d) = box[i]
        (p, q), (r, s) = part[i]
        area = (b - a) * (d - c)
        inner = weights[k, i, a:b, c:d].sum() / max(area, 1)
        outside = weights[k, i].copy()
        outside[a:b, c:d] = 0
        out[k, i] = (level[p:q, r:s].sum() * inner + (outside * level).sum()) / level.sum()
    for k in range(1, len(out)):  # the weight of a source that is padding, the base sample again, is the base sample's
        same = mix.index[k] == mix.index[0]
        out[0, same] += out[k, same]
        out[k, same] = 0
    return out


@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
def test_mass_is_what_each_source_shows_of_its_map(recipe):
    for seed in range(13):
        saliency = maps.example("saliency", N, SIZE, seed)
        mix = recipe.draw(N, SIZE, key=seed)
        np.testing.assert_allclose(mix.mass(saliency), by_hand(mix, saliency), atol=2e-6)


def test_snapmix_labels_are_those_of_the_papers_code():
    """w_a = 1 - mass_a(box), w_b = mass_b(part): 1,000 draws, with boxes, parts and labels by hand."""
    for seed in range(125):
        saliency, y = maps.example("saliency", N, SIZE, seed), np.arange(N)
        mix = ma.SnapMix().draw(N, SIZE, key=seed)
        got = mix.labels(y, N, rule="mass", guide=saliency)
        for i, partner in enumerate(mix.index[1]):
            (a, b), (c, d) = mix.region.box[1][i]
            (p, q), (r, s) = mix.region.source_box[1][i]
            own, other = levels(saliency[i]), levels(saliency[partner])
            expected = np.zeros(N)
            expected[i] += 1 - own[a:b, c:d].sum() / own.sum()
            if (b - a) * (d - c) > 0:
                expected[partner] += other[p:q, r:s].sum() / other.sum()
            np.testing.assert_allclose(got[i], expected, atol=1e-6)
    assert Mass.sums_to_one is False
    assert abs(got.sum(axis=1) - 1).max() > 0.01


def test_snapmix_pastes_a_part_of_another_size_and_nothing_where_a_box_is_empty():
    mix, sides = ma.SnapMix().draw(2000, (16, 16), key=1), []
    box, part = mix.region.box[1], mix.region.source_box[1]
    areas = [np.prod(one[..., 1] - one[..., 0], axis=1) for one in (box, part)]
    assert ((areas[0] == 0) | (areas[1] > 0)).all()
    assert (areas[0] != areas[1]).mean() > 0.8
    sides.append(areas[0].mean() / 256)
    assert 0.2 < sides[0] < 0.55
    assert ma.SnapMix() == ma.SnapMix(alpha=5.0)


@pytest.mark.parametrize(
    "way",
    [
        ways.numpy,
        ways.tf_eager,
        ways.tf_graph,
        ways.tf_xla,
        ways.torch_eager,
        ways.torch_traced,
        ways.jax_eager,
        ways.jax_jit,
    ],
)
def test_every_library_weighs_labels_alike(way):
    n, size = 5, (8, 6)
    x, y, saliency = np.zeros((n, *size, 3), np.float32), np.arange(n), maps.example("saliency", n, size)
    counts = (1, 2, 5, 50, 400)
    rules = [Mass(), Remix(counts), Visible("shown", relative=True)]

    def run(x, y, saliency, shown):
        made = []
        for rule, recipe in zip(rules, (ma.SnapMix(), ma.MixUp(), ma.CutMix()), strict=True):
            batch = {"images": x, "labels": y, "saliency": saliency, "shown": shown}
            fields = {"labels": ma.Labels(n, rule=rule), "images": ma.Images("nhwc"), "shown": "masks"}
            made.append(ma.mix_batch(recipe, batch, key=(0, 3), fields=fields)["labels"])
        return made

    shown = saliency > 0.7
    for got, want in zip(way(run, x, y, saliency, shown), run(x, y, saliency, shown), strict=True):
        ways.assert_same(got, want, ways.array_of(way), atol=1e-6)


def test_relative_visibility_is_visible_over_all_of_each_foreground():
    foreground = maps.example("masks", N, SIZE) > 2
    for seed in range(40):
        mix = ma.CutMix().draw(N, SIZE, key=seed)
        weights = mix.pixel_weights()
        seen = np.array([[(weights[k, i] & foreground[mix.index[k, i]]).sum() for i in range(N)] for k in range(2)])
        whole = foreground.sum(axis=(1, 2))[mix.index]
        part = np.where(mix.lam > 0, seen / np.maximum(whole, 1), 0)
        some = part.sum(axis=0) > 0
        got = mix.visible(foreground).relative
        np.testing.assert_allclose(got[:, some], (part / np.maximum(part.sum(axis=0), 1e-9))[:, some], atol=1e-6)
        np.testing.assert_allclose(got[:, ~some], mix.lam[:, ~some])


def test_remix_is_its_formula():
    counts, kappa, tau = np.array([1, 3, 10, 100]), 3.0, 0.5
    rule = Remix(tuple(counts.tolist()), kappa, tau)
    seen = set()
    for seed in range(125):
        y = np.random.default_rng(seed).integers(0, 4, N)
        mix = ma.MixUp().draw(N, SIZE, key=seed)
        got = rule.weights(mix, y, None)
        for i, partner in enumerate(mix.index[1]):
            lam, ratio = mix.lam[0, i], counts[y[i]] / counts[y[partner]]
            expected = 0 if ratio >= kappa and lam < tau else 1 if ratio <= 1 / kappa and 1 - lam < tau else lam
            assert got[0, i] == np.float32(expected)
            seen.add("own" if expected == 1 else "other" if expected == 0 else "lam")
        np.testing.assert_allclose(got.sum(axis=0), 1)
    assert seen == {"own", "other", "lam"}


def test_attention_of_the_mixed_images_weighs_labels_after_the_forward_pass():
    mix, attention = ma.CutMix().draw(N, SIZE, key=0), maps.example("saliency", N, SIZE, 5)
    got = mix.labels(np.arange(N), N, rule=Attended(), guide=attention)
    for i, partner in enumerate(mix.index[1]):
        level, mask = levels(attention[i]), mix.pixel_weights()[1, i]
        part = 0.5 * mix.lam[1, i] + 0.5 * (mask * level).sum() / level.sum()
        expected = np.zeros(N)
        expected[i] += 1 - part
        expected[partner] += part
        np.testing.assert_allclose(got[i], expected, atol=1e-6)


def test_losses_take_rows_that_do_not_sum_to_1():
    rng = np.random.default_rng(0)
    logits, rows = rng.normal(size=(6, 4)).astype(np.float32), rng.random((6, 4)).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ma.losses.cross_entropy(logits, rows), -(rows * np.log(p)).sum(axis=1), rtol=1e-5)


def test_rules_that_cannot_be_are_refused():
    y = np.arange(N)
    cases = [
        (lambda: Remix(), "Remix counts: expected how many samples each class has"),
        (lambda: Remix((1, 2), kappa=0.5), "Remix: expected kappa of 1 or more"),
        (lambda: Attended(2.0), "Attended part: expected a number of 0 to 1"),
        (
            lambda: ma.MixUp(sources=3).draw(N, SIZE, key=0).labels(y, N, rule=Remix((1,) * N), guide=y),
            "two sources, got 3",
        ),
        (lambda: ma.CutMix().draw(N, SIZE, key=0).labels(y, N, rule="mass"), "expected guide= for Mass"),
        (
            lambda: ma.CutMix().draw(N, SIZE, key=0).mass(np.full((N, *SIZE), -1.0)),
            "finite numbers of 0 or more, got -1",
        ),
    ]
    for make, match in cases:
        with pytest.raises(ValueError, match=match):
            make()
