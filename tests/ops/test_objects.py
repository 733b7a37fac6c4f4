"""Boxes, keypoints, instance masks: known results, the definition, invariants."""

from __future__ import annotations

from fractions import Fraction
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mixaug as ma
import ways
from mixaug.core.regions import Dense, Paste
from mixaug.mix import assemble
from mixaug.ops.objects import FORMATS, MIN_WEIGHT
from ways import KEY

jax, tf, torch = ways.jax, ways.tf, ways.torch
NUMPY = ma.backends.common()
PASTES = [recipe for recipe in ways.RECIPE_ROWS if isinstance(recipe.draw(6, (8, 8), key=KEY).region, Paste)]


@pytest.fixture(params=ways.RECIPE_ROWS, ids=repr)
def recipe(request: pytest.FixtureRequest) -> ma.Recipe:
    return request.param


def pasted(*boxes, size=(8, 8), background=None, source_box=(), hole=None, index=None) -> ma.Mix:
    """A mix of one output with known boxes, [[top, bottom], [left, right]] or None for each source."""
    k = len(boxes)
    row = [None if box is None else np.array([box], np.int32) for box in boxes]
    source_boxes = tuple(None if box is None else np.array([box], np.int32) for box in source_box)
    weights = None if background is None else np.array(background, np.float32)[:, None]
    index = np.arange(k, dtype=np.int32)[:, None] if index is None else np.int32(index)[:, None]
    hole = None if hole is None else np.array([hole], np.int32)
    fill = None if hole is None else np.zeros(1, np.float32)
    return assemble(NUMPY, index, Paste(weights, tuple(row), source_boxes, hole, fill), size)


def one(mix: ma.Mix, *source, **options):
    """The boxes of a mix of one output whose sources have one box each, with weights as floats."""
    source = np.array(source, np.float32)[:, None]
    out = mix.boxes(source[:1], source=source, **options)
    return out.boxes[0].tolist(), out.weight[0].tolist()


def corners_of(rng, n, m, size) -> np.ndarray:
    """Integer corners of boxes, with positive area if possible: (n, m, d, 2)."""
    low = rng.integers(0, size, (n, m, len(size)))
    high = low + 1 + rng.integers(0, np.array(size) - low)
    return np.stack([low, high], axis=-1)


def xyxy(corners: np.ndarray) -> np.ndarray:
    """Boxes (n, m, 2 * d) from their first and last edges (n, m, d, 2) along each axis."""
    return np.concatenate([corners[..., ::-1, 0], corners[..., ::-1, 1]], axis=-1)


def edges(boxes: np.ndarray) -> np.ndarray:
    axes = boxes.shape[-1] // 2
    return np.stack([boxes[..., :axes][..., ::-1], boxes[..., axes:][..., ::-1]], axis=-1)


def window(mix: ma.Mix, i: int, j: int) -> tuple[list, list] | None:
    """The box and the source box of a source of an output, or None."""
    box, source_box = mix.region.box[j], mix.region.source_box[j]
    if source_box is None or (box[i] == source_box[i]).all() or (box[i, :, 0] == box[i, :, 1]).any():
        return None
    return box[i].tolist(), source_box[i].tolist()


def weights_of(mix: ma.Mix) -> np.ndarray:
    """(k, n, *size): the weight of each source; of the same row several times the first has that of all.

    But through windows: there each shows other places.
    """
    weights = mix.region.pixel_weights(NUMPY, mix.index.shape[1], mix.size).astype(np.float64)
    for i in range(weights.shape[1]):
        for j in range(len(weights)):
            for first in range(j):
                same = mix.index[first, i] == mix.index[j, i] and not window(mix, i, j) and not window(mix, i, first)
                if same:
                    weights[first, i] += weights[j, i]
                    weights[j, i] = 0
                    break
    return np.where(weights > MIN_WEIGHT, weights, 0)


def counted(mix: ma.Mix, corners: np.ndarray, min_visibility: float):
    """Edges and weights of boxes, by drawing each box as a mask, mixing the masks and counting pixels."""
    n, m = corners.shape[:2]
    masks = np.zeros((n, *mix.size, m))
    for i, q in np.ndindex(n, m):
        masks[(i, *(slice(*ends) for ends in corners[i, q]), q)] = 1
    shown, weights = ways.seen_through(mix, masks[mix.index]), weights_of(mix)
    k = len(mix.index)
    out, fraction = np.full((n, k * m, len(mix.size), 2), -1.0), np.zeros((n, k * m))
    for i, j, q in np.ndindex(n, k, m):
        pixels = shown[j, i, ..., q] * (weights[j, i] > 0)
        through = window(mix, i, j)
        scale = prod(Fraction(b - a, d - c) for (a, b), (c, d) in zip(*through, strict=True)) if through else 1
        drawn = masks[mix.index[j, i], ..., q].sum() * float(scale)
        part = (pixels * weights[j, i]).sum() / drawn
        if part > MIN_WEIGHT and part >= min_visibility * weights[j, i].max() - 1e-6:
            places = np.argwhere(pixels)
            out[i, j * m + q] = np.stack([places.min(axis=0), places.max(axis=0) + 1], axis=-1)
            fraction[i, j * m + q] = part
    return out, fraction


def defined(mix: ma.Mix, boxes: np.ndarray):
    """Edges and weights of the visible parts of boxes, by the definition, in exact numbers."""
    n, m, k = *boxes.shape[:2], len(mix.index)
    weights = weights_of(mix)
    out, fraction = np.full((n, k * m, len(mix.size), 2), -1.0), np.zeros((n, k * m))
    for i, j, q in np.ndindex(n, k, m):
        place = [
            [min(max(Fraction(float(v)), 0), length) for v in ends]
            for ends, length in zip(edges(boxes)[mix.index[j, i], q], mix.size, strict=True)
        ]
        if any(b <= a for a, b in place):
            continue
        through = window(mix, i, j)
        if through:
            place = [
                [p + (v - c) * Fraction(r - p, d - c) for v in ends]
                for ends, (p, r), (c, d) in zip(place, *through, strict=True)
            ]
        area = prod(b - a for a, b in place)
        if through:
            place = [[min(max(v, p), r) for v in ends] for ends, (p, r) in zip(place, through[0], strict=True)]
        total, seen = 0.0, []
        for pixel in np.ndindex(mix.size):
            cover = prod(max(min(b, p + 1) - max(a, p), 0) for p, (a, b) in zip(pixel, place, strict=True))
            total += float(cover) * weights[(j, i, *pixel)]
            seen += [pixel] if cover > 0 and weights[(j, i, *pixel)] > 0 else []
        if total / float(area) > MIN_WEIGHT:
            low, high = np.min(seen, axis=0), np.max(seen, axis=0) + 1
            around = [(max(a, p), min(b, r)) for (a, b), p, r in zip(place, low.tolist(), high.tolist(), strict=True)]
            out[i, j * m + q] = np.array(around, float)
            fraction[i, j * m + q] = total / float(area)
    return out, fraction


# --- known results ---


def test_a_box_that_is_half_covered_is_the_other_half():
    """The base sample's box loses its left half; that half of the partner's box is pasted."""
    boxes, weight = one(pasted(None, [[0, 8], [0, 4]]), [2, 2, 6, 6], [0, 0, 8, 4])
    assert boxes == [[4, 2, 6, 6], [0, 0, 4, 4]]
    assert weight == [0.5, 0.5]


def test_a_corner_that_is_covered_takes_its_area_and_leaves_the_rectangle():
    boxes, weight = one(pasted(None, [[0, 4], [0, 4]]), [2, 2, 6, 6], [5, 5, 8, 8])
    assert boxes == [[2, 2, 6, 6], [-1] * 4]  # the partner's object is hidden
    assert weight == [0.75, 0]


def test_two_boxes_that_cover_a_half_together_hide_it():
    mix = pasted(None, [[0, 3], [0, 4]], [[3, 8], [0, 4]])
    assert one(mix, [2, 2, 6, 6], [8, 8, 8, 8], [0, 0, 0, 0]) == ([[4, 2, 6, 6], [-1] * 4, [-1] * 4], [0.5, 0, 0])


def test_a_blend_keeps_all_boxes_weighted_by_lam():
    mix = pasted(None, None, background=(0.75, 0.25))
    assert one(mix, [2, 2, 6, 6], [0, 1, 8, 4], min_visibility=1.0) == ([[2, 2, 6, 6], [0, 1, 8, 4]], [0.75, 0.25])


def test_a_box_over_a_blend():
    """Half of the base sample's box is covered by the partner."""
    mix = pasted(None, [[0, 8], [0, 4]], background=(0.75, 0.25))
    assert one(mix, [2, 2, 6, 6], [2, 2, 6, 6]) == ([[4, 2, 6, 6], [2, 2, 6, 6]], [0.375, 0.625])


def test_a_hole_hides_boxes_of_all():
    mix = pasted(None, [[0, 8], [0, 4]], hole=[[0, 8], [4, 6]])
    assert one(mix, [2, 2, 6, 6], [2, 2, 6, 6], min_visibility=0) == ([[-1] * 4, [2, 2, 4, 6]], [0, 0.5])


def test_a_window_moves_and_clips_a_box():
    """The whole partner, at half its size, in the lower right quarter; and a crop of it with the same size."""
    mix = pasted(None, [[4, 8], [4, 8]], source_box=(None, [[0, 8], [0, 8]]))
    assert one(mix, [0, 0, 4, 4], [2, 4, 6, 8]) == ([[0, 0, 4, 4], [5, 6, 7, 8]], [1, 1])
    mix = pasted(None, [[4, 8], [4, 8]], source_box=(None, [[0, 4], [2, 6]]))
    assert one(mix, [0, 0, 4, 4], [2, 2, 6, 6]) == ([[0, 0, 4, 4], [4, 6, 8, 8]], [1, 0.5])


def test_a_sample_in_two_windows_has_its_box_in_both():
    mix = pasted([[0, 4], [0, 8]], [[4, 8], [0, 8]], source_box=([[0, 8], [0, 8]],) * 2, index=(0, 0))
    boxes = mix.boxes(np.float32([[[2, 2, 6, 6]]]))
    assert boxes.boxes[0].tolist() == [[2, 1, 6, 3], [2, 5, 6, 7]]


def test_a_sample_mixed_with_itself_has_its_box_once():
    mix = pasted(None, [[0, 8], [0, 4]], index=(0, 0))
    assert mix.boxes(np.float32([[[2, 2, 6, 6]]])).weight.tolist() == [[1, 0]]
    mix = pasted(None, None, background=(0.25, 0.75), index=(0, 0))
    assert mix.boxes(np.float32([[[2, 2, 6, 6]]])).weight.tolist() == [[1, 0]]


def test_boxes_are_clipped_to_the_image_first():
    assert one(pasted(None), [-3, 2, 4, 9]) == ([[0, 2, 4, 8]], [1])
    assert one(pasted(None, [[0, 8], [0, 2]]), [-3, 2, 4, 9], [9, 2, 12, 4]) == ([[2, 2, 4, 8], [-1] * 4], [0.5, 0])


def test_what_is_too_little_goes():
    mix = pasted(None, [[0, 8], [0, 5]])
    for least, kept in ((0.25, True), (0.2500001, True), (0.251, False), (0, True)):
        _, weight = one(mix, [2, 2, 6, 6], [7, 7, 8, 8], min_visibility=least)
        assert weight == [0.25 if kept else 0, 0]


def test_the_tail_of_a_soft_mask_is_dropped_and_a_weak_blend_is_kept():
    own = np.linspace(1, 0, 8, dtype=np.float32)[None, None].repeat(8, axis=1)
    mix = assemble(NUMPY, np.int32([[0], [1]]), Dense(np.stack([own, 1 - own])), (8, 8))
    _, (own, other) = one(mix, [7, 0, 8, 8], [0, 0, 8, 8])
    assert (own, round(other, 6)) == (0, 0.5)
    _, weight = one(pasted(None, None, background=(1 - 1 / 256, 1 / 256)), [7, 0, 8, 8], [0, 0, 8, 8])
    assert weight == [1 - 1 / 256, 1 / 256]


def test_keypoints_by_hand():
    mix = pasted(None, [[0, 8], [0, 4]], background=(0.75, 0.25))
    points = np.float32([[[3.9, 1]], [[3.9, 1]]])
    out = mix.keypoints(points[:1], source=points)
    assert out.weight.tolist() == [[0, 1]]  # under the pasted box
    np.testing.assert_array_equal(out.points, points.reshape(1, 2, 2))
    assert mix.keypoints(points[:1] + 1, source=points + 1).weight.tolist() == [[0.75, 0.25]]


def test_keypoints_with_visibility_by_hand():
    """Under the box, visible, marked as hidden, outside of the image, unknown: 2 stays if the point is visible."""
    mix = pasted(None, [[0, 8], [0, 4]])
    points = np.float32([[[[1, 1, 2], [5, 1, 2], [5, 1, 0], [-1, 5, 2], [np.nan, np.nan, 2], [6, 8, 1]]]])
    out = mix.keypoints(points, source=np.concatenate([points, points * 0]))
    assert out.points[0, 0, :, 2].tolist() == [0, 2, 0, 0, 0, 0]
    assert out.weight[0, 0].tolist() == [0, 1, 0, 0, 0, 0]
    np.testing.assert_array_equal(out.points[0, 0, :, :2], points[0, 0, :, :2])
    assert out.weight[0, 1].tolist() == [0] * 6


def test_keypoints_move_with_their_window():
    mix = pasted(None, [[4, 8], [4, 8]], source_box=(None, [[0, 8], [2, 6]]))
    points = np.float32([[[5, 5]], [[3, 2]], [[1, 2]]])
    assert mix.keypoints(points[:1], source=points[:2]).points.tolist() == [[[5, 5], [5, 5]]]
    assert mix.keypoints(points[:1], source=points[:2]).weight.tolist() == [[0, 1]]
    assert mix.keypoints(points[:1], source=points[[0, 2]]).weight.tolist() == [[0, 0]]  # it is not in the crop
    half = mix.keypoints(points[:1] / 8, source=points[:2] / 8, normalized=True)
    assert half.points.tolist() == [[[5 / 8, 5 / 8], [5 / 8, 5 / 8]]]


def test_padding_of_keypoints_is_unchanged():
    """Windows do not move padding: -1 does not become a coordinate in the image."""
    mix = pasted(None, [[4, 8], [4, 8]], source_box=(None, [[0, 4], [0, 4]]))
    nan = float("nan")
    points = np.float32([[[-1, -1, 2], [0, 0, 0], [nan, nan, 2], [1, 1, 2], [1, 8, 2]]])
    out = mix.keypoints(points, source=np.concatenate([points, points]))
    np.testing.assert_array_equal(out.points[0, 5:], [[-1, -1, 0], [0, 0, 0], [nan, nan, 0], [5, 5, 2], [1, 8, 0]])
    assert out.weight[0, 5:].tolist() == [0, 0, 0, 1, 0]
    plain = mix.keypoints(points[..., :2] / 8, normalized=True, source=np.concatenate([points, points])[..., :2] / 8)
    np.testing.assert_array_equal(plain.points[0, 5:7], [[-1 / 8, -1 / 8], [0.5, 0.5]])


def test_instances_by_hand():
    masks = np.zeros((2, 2, 8, 8), bool)
    masks[0, 0, 2:6, 2:6] = True
    masks[1, 0, :4, :] = True
    out = pasted(None, [[0, 8], [0, 4]]).instances(
        masks[:1], np.array([[4, 9]]), source=masks, labels_source=np.array([[4, 9], [6, 9]])
    )
    assert out.labels.tolist() == [[4, -1, 6, -1]]
    assert out.weight.tolist() == [[0.5, 0, 0.5, 0]]
    assert out.valid.tolist() == [[True, False, True, False]]
    assert np.argwhere(out.masks[0, 0]).min(axis=0).tolist() == [2, 4]
    assert (out.masks[0, 2] == (masks[1, 0] & (np.arange(8) < 4))).all()
    assert not out.masks[0, [1, 3]].any()


def test_instances_through_a_window():
    """Half of the mask is in the crop, and nothing covers what is shown of it."""
    masks = np.zeros((2, 1, 8, 8), bool)
    masks[1, 0, 2:4, 0:8] = True
    mix = pasted(None, [[4, 8], [4, 8]], source_box=(None, [[0, 4], [4, 8]]))
    out = mix.instances(masks[:1], source=masks)
    assert out.weight.tolist() == [[0, 0.5]]
    assert np.argwhere(out.masks[0, 1]).tolist() == [[y, x] for y in (6, 7) for x in range(4, 8)]


# --- against counted pixels and the definition ---


@pytest.mark.parametrize(("n", "size"), [(5, (9, 7)), (1, (4, 3)), (2, (13,)), (10, (8, 8)), (4, (3, 5, 2))], ids=str)
@pytest.mark.parametrize("min_visibility", [0.0, 0.1, 0.6])
def test_whole_corners_are_as_counted(recipe, n, size, min_visibility):
    """Exact without resizing; with resizing, counting pixels is off by fractions of pixels."""
    mix = recipe.draw(n, size, key=KEY)
    corners = corners_of(np.random.default_rng(0), n, 6, size)
    got = mix.boxes(xyxy(corners).astype(np.float32), min_visibility=min_visibility)
    want, fraction = counted(mix, corners, min_visibility)
    scaled = [
        [bool(w) and any(b - a != d - c for (a, b), (c, d) in zip(*w, strict=True)) for w in row]
        for row in [[window(mix, i, j) for j in range(recipe.sources)] for i in range(n)]
    ]
    exact = ~np.repeat(np.array(scaled), 6, axis=1)
    np.testing.assert_allclose(got.weight[exact], fraction[exact], atol=2e-6)
    np.testing.assert_allclose(edges(got.boxes)[exact], want[exact], atol=1e-5)
    some = ~exact & (fraction > 0) & (got.weight > 0)
    assert (abs(edges(got.boxes)[some] - want[some]) <= 1 + 1e-5).all()


@given(
    recipe=st.sampled_from(ways.RECIPE_ROWS),
    n=st.integers(1, 6),
    size=st.lists(st.integers(1, 8), min_size=1, max_size=3).map(tuple),
    step=st.integers(0, 2**20),
    seed=st.integers(0, 2**20),
    step_of=st.sampled_from([1, 4, 1000]),
)
def test_any_corners_are_as_defined(recipe, n, size, step, seed, step_of):
    mix, rng = recipe.draw(n, size, key=(0, step)), np.random.default_rng(seed)
    boxes = rng.integers(-step_of, (np.tile(size[::-1], 2) + 1) * step_of, (n, 3, 2 * len(size))) / step_of
    got = mix.boxes(boxes, min_visibility=0)
    want, fraction = defined(mix, boxes)
    sure = (fraction == 0) | (fraction > 1e-5)
    np.testing.assert_allclose(got.weight[sure], fraction[sure], atol=3e-6)
    np.testing.assert_allclose(edges(got.boxes)[sure], want[sure], atol=1e-6)


def test_in_a_window_that_halves_whole_pixels_are_as_counted():
    """Even corners map to integers."""
    mix, corners = (
        ma.Mosaic(jitter=0).draw(6, (12, 12), key=KEY),
        2 * corners_of(np.random.default_rng(0), 6, 5, (6, 6)),
    )
    got = mix.boxes(xyxy(corners).astype(np.float32))
    want, fraction = counted(mix, corners, 0.1)
    np.testing.assert_allclose(got.weight, fraction, atol=1e-6)
    np.testing.assert_allclose(edges(got.boxes), want, atol=1e-5)


@pytest.mark.parametrize(("n", "size"), [(5, (9, 7)), (2, (13,)), (10, (8, 8)), (4, (3, 5, 2))], ids=str)
def test_instances_and_keypoints_are_as_defined(recipe, n, size):
    """A mask is visible where its source is visible; a keypoint has the weight of its source at its pixel."""
    mix, rng = recipe.draw(n, size, key=KEY), np.random.default_rng(1)
    masks = rng.random((n, 3, *size)) < 0.3
    out, weights = mix.instances(masks, min_visibility=0), weights_of(mix)
    shown = ways.seen_through(mix, np.moveaxis(masks, 1, -1)[mix.index])
    points = rng.uniform(-1, max(size) + 1, (n, 3, len(size)))
    placed = mix.keypoints(points)
    for i, j, q in np.ndindex(n, recipe.sources, 3):
        slot = (i, j * 3 + q)
        pixels = shown[j, i, ..., q] & (weights[j, i] > 0)
        through, drawn = window(mix, i, j), masks[mix.index[j, i], q]
        source_box = tuple(slice(*ends) for ends in through[1]) if through else ...
        box = tuple(slice(*ends) for ends in through[0]) if through else ...
        if pixels.any():
            part = drawn[source_box].sum() / drawn.sum()
            weight = (pixels * weights[j, i]).sum() / shown[j, i, ..., q][box].sum() * part
            np.testing.assert_allclose(out.weight[slot], weight, atol=2e-6)
            np.testing.assert_array_equal(out.masks[slot], pixels)
        else:
            assert not out.masks[slot].any()
            assert out.weight[slot] == 0
        place = points[mix.index[j, i], q][::-1]
        is_point = ((place >= 0) & (place < size)).all()
        if through and is_point:
            (box, source_box) = (np.array(ends, float).T for ends in through)
            place = box[0] + (place - source_box[0]) * (box[1] - box[0]) / (source_box[1] - source_box[0])
        pixel = tuple(int(np.floor(v)) for v in place)
        lies = is_point and all(0 <= p < length for p, length in zip(pixel, size, strict=True))
        np.testing.assert_allclose(placed.weight[slot], weights[(j, i, *pixel)] if lies else 0, atol=2e-6)
        np.testing.assert_allclose(placed.points[slot], place[::-1], atol=1e-9)


# --- invariants ---

FRACTIONS = st.floats(0, 7, width=32)


@given(
    recipe=st.sampled_from(ways.RECIPE_ROWS),
    box=st.lists(st.tuples(FRACTIONS, FRACTIONS), min_size=2, max_size=2),
    moves=st.lists(st.floats(-0.01, 0.01), min_size=4, max_size=4),
    step=st.integers(0, 999),
)
def test_weights_are_continuous(recipe, box, moves, step):
    """The weight of a box changes at most by the area by which the box changes."""
    low, high = np.min(box, axis=1), np.max(box, axis=1) + 0.5
    boxes = np.clip(np.add([*low, *high], [[0] * 4, moves]), 0, 8)
    mix = recipe.draw(2, (8, 8), key=(1, step))
    one, two = (mix.boxes(np.tile(b, (2, 1, 1)), min_visibility=0).weight for b in boxes)
    sides = boxes[:, 2:] - boxes[:, :2]
    assert (abs(one - two) <= 2 * 0.01 * sides.sum() / sides.prod(axis=1).min() + 1e-5).all()


@given(
    recipe=st.sampled_from(ways.RECIPE_ROWS),
    box=st.lists(st.tuples(FRACTIONS, FRACTIONS), min_size=2, max_size=2),
    grow=st.lists(st.floats(0, 3), min_size=4, max_size=4),
    step=st.integers(0, 999),
)
def test_a_larger_box_holds_more(recipe, box, grow, step):
    """weight * area is the visible area: neither it nor the rectangle shrinks when the box grows."""
    low, high = np.min(box, axis=1), np.max(box, axis=1) + 0.25
    inner = np.clip(np.array([*low, *high]), 0, 8)
    outer = np.clip(inner + np.array(grow) * [-1, -1, 1, 1], 0, 8)
    if (inner[2:] <= inner[:2]).any():
        return
    mix = recipe.draw(2, (8, 8), key=(1, step))
    a, b = (mix.boxes(np.tile(x, (2, 1, 1)), min_visibility=0) for x in (inner, outer))
    area_a, area_b = ((x[2:] - x[:2]).prod() for x in (inner, outer))
    assert (b.weight * area_b >= a.weight * area_a - 1e-3).all()
    both = a.valid & b.valid
    assert (b.boxes[both][:, :2] <= a.boxes[both][:, :2] + 1e-6).all()
    assert (b.boxes[both][:, 2:] >= a.boxes[both][:, 2:] - 1e-6).all()


@given(
    st.lists(FRACTIONS, min_size=4, max_size=4), st.lists(st.integers(0, 8), min_size=4, max_size=4), st.integers(0, 3)
)
def test_a_larger_paste_hides_more(box, ends, more):
    (top, bottom), (left, right) = sorted(ends[:2]), sorted(ends[2:])
    low, high = np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:]) + 0.25
    box = [*low, *high]
    _, small = one(pasted(None, [[top, bottom], [left, right]]), box, box, min_visibility=0)
    _, large = one(pasted(None, [[top, min(bottom + more, 8)], [left, right]]), box, box, min_visibility=0)
    assert large[0] <= small[0] + 1e-5
    assert large[1] >= small[1] - 1e-5
    if min(low) < 8:
        assert sum(small) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("recipe", PASTES, ids=repr)
@pytest.mark.parametrize(("n", "size"), [(5, (9, 7)), (12, (16, 16)), (3, (13,)), (4, (3, 5, 2))], ids=str)
def test_the_closed_form_is_the_dense_one(recipe, n, size):
    """For every Paste, also with fewer rows than sources, and for any corners."""
    mix, rng = recipe.draw(n, size, key=KEY), np.random.default_rng(2)
    whole = np.stack([np.zeros((n, len(size)), np.int32), np.broadcast_to(size, (n, len(size)))], axis=-1).astype(
        np.int32
    )
    box, source_box = [], []
    for to, of in zip(mix.region.box, mix.region.source_box, strict=True):
        some = None if of is None else (to[..., 1] > to[..., 0]).all(axis=1)[:, None, None]
        box.append(None if of is None else np.where(some, to, whole))
        source_box.append(None if of is None else np.where(some, of, whole))
    weight = mix.region.pixel_weights(NUMPY, n, size)
    dense = ma.Mix(mix.index, mix.lam, Dense(weight, tuple(box), tuple(source_box), mix.region.fill), size)
    boxes = rng.uniform(-1, np.tile(size[::-1], 2) + 1, (n, 40, 2 * len(size))).astype(np.float32)
    boxes[:, ::2] = np.rint(boxes[:, ::2])
    a, b = mix.boxes(boxes), dense.boxes(boxes)
    np.testing.assert_allclose(a.weight, b.weight, atol=3e-6)
    np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-5)
    points = rng.uniform(-1, np.array(size[::-1]) + 1, (n, 40, len(size))).astype(np.float32)
    np.testing.assert_allclose(mix.keypoints(points).weight, dense.keypoints(points).weight, atol=1e-6)
    masks = rng.random((n, 3, *size)) < 0.5
    got, want = mix.instances(masks), dense.instances(masks)
    np.testing.assert_array_equal(got.masks, want.masks)
    np.testing.assert_allclose(got.weight, want.weight, atol=1e-6)


# --- every library, eager and compiled ---

FEW = (ma.one_of(ma.ResizeMix(), ma.Cutout(), ma.MixUp()), ma.SmoothMix())
SOME = (*FEW, ma.CutMix(), ma.GridMix(), ma.HMix(), ma.MixUp(alpha=0.3, sources=3))
SLOW = {ways.tf_xla: FEW, ways.torch_compiled: FEW, ways.jax_jit: FEW, ways.tf_graph: SOME, ways.jax_eager: SOME}
WAYS = [(way, recipe) for way in ways.WAYS[1:] for recipe in SLOW.get(way, ways.RECIPE_ROWS)]


@pytest.mark.slow_ways
@pytest.mark.parametrize(("way", "recipe"), WAYS, ids=[f"{way.__name__}-{r!r}" for way, r in WAYS])
def test_every_library_gives_the_same(way, recipe):
    n, size, rng = 5, (9, 7), np.random.default_rng(3)
    boxes = rng.uniform(0, 8, (n, 4, 4)).astype(np.float32)
    boxes[:, ::2] = np.rint(boxes[:, ::2])
    ids, parts = rng.integers(0, 9, (n, 4)).astype(np.int32), rng.uniform(0, 9, (n, 4, 5, 3)).astype(np.float32)
    masks = rng.random((n, 4, *size)) < 0.3

    def run(boxes, ids, parts, masks):
        mix = recipe.draw(ways.count(boxes), size, key=KEY, like=boxes)
        labels = {"ids": ids, "keypoints": parts, "masks": masks}
        mixed = mix.boxes(boxes, labels, "cxcywh", max_boxes=7)
        assert list(mixed.labels) == list(labels)
        return mixed.boxes, mixed.weight, *mixed.labels.values(), *mix.keypoints(parts), *mix.instances(masks, ids)

    outs = way(run, boxes, ids, parts, masks)
    for got, want in zip(outs, run(boxes, ids, parts, masks), strict=True):
        ways.assert_same(got, want, ways.array_of(way), atol=1e-5)


def test_neither_rows_nor_boxes_need_be_known_in_a_graph():
    recipe = ma.one_of(ma.Mosaic(), ma.MixUp())

    @tf.function(input_signature=[tf.TensorSpec([None, None, 4]), tf.TensorSpec([None, None], tf.int64)])
    def run(boxes, labels):
        out = recipe.draw(ways.count(boxes), (9, 7), key=KEY, like=boxes).boxes(boxes, labels, max_boxes=9)
        assert out.boxes.shape.as_list() == [None, 9, 4]
        return out

    for m in (1, 2, 5):
        boxes = np.random.default_rng(m).uniform(0, 8, (4, m, 4)).astype(np.float32)
        labels = np.arange(4 * m).reshape(4, m)
        want = recipe.draw(4, (9, 7), key=KEY).boxes(boxes, labels, max_boxes=9)
        got = run(boxes, labels)
        np.testing.assert_allclose(got.boxes, want.boxes, atol=1e-5)
        np.testing.assert_array_equal(got.labels, want.labels)


def test_nothing_is_written_to_and_dtypes_stay():
    rng = np.random.default_rng(0)
    for kind in ("float16", "float32", "float64", "int32", "int64", "uint8"):
        boxes = np.sort(rng.integers(0, 9, (3, 2, 2, 2)), axis=2).reshape(3, 2, 4).astype(kind)
        boxes.flags.writeable = False
        out = ma.CutMix().draw(3, (8, 8), key=KEY).boxes(boxes)
        assert out.boxes.dtype == (kind if "float" in kind else "float32")
        assert out.weight.dtype == np.float32
        assert not np.shares_memory(out.boxes, boxes)


# --- forms ---


def written(corners: np.ndarray, form: str) -> np.ndarray:
    """Edges (..., d, 2) in a format, written out."""
    low, high = corners[..., 0], corners[..., 1]
    pairs = {
        "xyxy": (low, high),
        "yxyx": (low, high),
        "xywh": (low, high - low),
        "cxcywh": ((low + high) / 2, high - low),
    }
    one, two = pairs[form]
    return np.concatenate([one, two] if form == "yxyx" else [one[..., ::-1], two[..., ::-1]], axis=-1)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("size", [(9,), (9, 7), (4, 6, 5)], ids=str)
def test_formats_say_the_same(form, size):
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, np.array(size)[:, None], (6, 3, len(size), 2)), axis=-1)
    mix = ma.one_of(ma.CutMix(), ma.RICAP()).draw(6, size, key=KEY)
    plain = mix.boxes(written(corners, "yxyx"), format="yxyx")
    out = mix.boxes(written(corners, form), format=form)
    np.testing.assert_allclose(out.weight, plain.weight, atol=1e-6)
    seen = np.stack([plain.boxes[..., : len(size)], plain.boxes[..., len(size) :]], axis=-1)
    want = np.where(plain.valid[..., None], written(seen, form), -1)
    np.testing.assert_allclose(out.boxes, want, atol=1e-9)
    sides = np.array(size if form == "yxyx" else size[::-1])
    parts = mix.boxes(written(corners, form) / np.tile(sides, 2), format=form, normalized=True)
    np.testing.assert_allclose(parts.weight, plain.weight, atol=1e-6)
    np.testing.assert_allclose(parts.boxes, np.where(plain.valid[..., None], want / np.tile(sides, 2), -1), atol=1e-9)


@pytest.mark.parametrize("library", ways.MAKE)
def test_lists_give_the_same_as_padded_ones(library):
    make, rng = ways.MAKE[library], np.random.default_rng(0)
    counts = (2, 0, 3, 1)
    boxes = [np.sort(rng.uniform(0, 8, (c, 2, 2)), axis=1).reshape(c, 4).astype(np.float32) for c in counts]
    names = [np.arange(c, dtype=np.int32) + 10 * i for i, c in enumerate(counts)]
    padded, ids = np.full((4, 3, 4), -1, np.float32), np.full((4, 3), -7, np.int32)
    for i, c in enumerate(counts):
        padded[i, :c], ids[i, :c] = boxes[i], names[i]
    mix = ma.CutMix(alpha=1.0).draw(4, (8, 8), key=KEY, like=ways.LIKES[library])
    lists = [make(b) for b in boxes], [make(y) for y in names]
    want, got = mix.boxes(make(padded), make(ids)), mix.boxes(*lists)
    for i in range(4):
        valid = ways.values(want.valid)[i]
        assert isinstance(got.boxes[i], type(make(padded)))
        np.testing.assert_array_equal(ways.values(got.boxes[i]), ways.values(want.boxes)[i][valid])
        np.testing.assert_array_equal(ways.values(got.labels[i]), ways.values(want.labels)[i][valid])
        np.testing.assert_array_equal(ways.values(got.weight[i]), ways.values(want.weight)[i][valid])
        assert ways.values(got.valid[i]).all()
    by_name = mix.boxes(lists[0], {"ids": lists[1]}, source=lists[0][::-1], labels_source={"ids": lists[1][::-1]})
    turned = mix.boxes(make(padded), source=make(padded[::-1].copy()))
    assert [len(b) for b in by_name.boxes] == ways.values(turned.valid).sum(axis=1).tolist()
    assert [len(b) for b in by_name.labels["ids"]] == ways.values(turned.valid).sum(axis=1).tolist()


def test_empty_lists_and_lists_without_boxes():
    assert ma.CutMix().draw(0, (8, 8), key=KEY).boxes([], {"ids": []}) == ([], {"ids": []}, [])
    out = ma.CutMix().draw(2, (8, 8), key=KEY).boxes([np.zeros((0, 4))] * 2, [np.zeros(0, int)] * 2)
    assert [(b.shape, y.shape) for b, y in zip(out.boxes, out.labels, strict=True)] == [((0, 4), (0,))] * 2
    out = ma.CutMix().draw(2, (8, 8), key=KEY).boxes(np.zeros((2, 0, 4)), max_boxes=3)
    assert out.boxes.tolist() == [[[-1] * 4] * 3] * 2


@pytest.mark.parametrize("library", ways.MAKE)
@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.RICAP(), ma.SmoothMix()], ids=repr)
def test_no_rows(library, recipe):
    make = ways.MAKE[library]
    mix = recipe.draw(0, (8, 8), key=KEY, like=ways.LIKES[library])
    boxes, ids, masks = np.zeros((0, 3, 4), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3, 8, 8), bool)
    out = mix.boxes(make(boxes), {"ids": make(ids), "masks": make(masks)}, max_boxes=2)
    assert [tuple(x.shape) for x in (out.boxes, out.labels["ids"], out.weight)] == [(0, 2, 4), (0, 2), (0, 2)]
    assert tuple(mix.instances(make(masks)).masks.shape) == (0, 3 * len(mix.index), 8, 8)
    assert tuple(mix.keypoints(make(boxes[..., :2])).points.shape) == (0, 3 * len(mix.index), 2)


def test_numbers_of_numpy_are_numbers():
    mix = pasted(None)
    boxes = np.float32([[[2, 2, 6, 6], [0, 0, 1, 1]]])
    assert mix.boxes(boxes, min_visibility=np.float32(0.5), max_boxes=np.int64(1)).boxes.tolist() == [[[2, 2, 6, 6]]]


def test_so_many_of_the_heaviest():
    mix = pasted(None, [[0, 8], [0, 4]])
    source = np.float32(
        [[[2, 0, 6, 2], [4, 0, 8, 8], [0, 0, 4, 4], [3, 3, 7, 7]], [[1, 1, 3, 3], [3, 0, 5, 2], *[[-1] * 4] * 2]]
    )
    ids = np.arange(8).reshape(2, 4)
    everything = mix.boxes(source[:1], ids[:1], source=source, labels_source=ids)
    assert everything.weight.tolist() == [[0.5, 1, 0, 0.75, 1, 0.5, 0, 0]]
    some = mix.boxes(source[:1], ids[:1], source=source, labels_source=ids, max_boxes=4)
    assert some.labels.tolist() == [[1, 4, 3, 0]]  # ties go to the first
    assert some.weight.tolist() == [[1, 1, 0.75, 0.5]]
    assert some.boxes[0, 0].tolist() == [4, 0, 8, 8]
    more = mix.boxes(source[:1], ids[:1], source=source, labels_source=ids, max_boxes=10)
    assert more.labels.tolist() == [[1, 4, 3, 0, 5, *[-1] * 5]]
    assert more.boxes[0, 5:].tolist() == [[-1] * 4] * 5
    assert more.valid.tolist() == [[True] * 5 + [False] * 5]


def test_invalid_boxes_are_dropped():
    """Padding, NaN, zero area, reversed, outside of the image, and False in `valid`."""
    nan = float("nan")
    boxes = np.float32(
        [[[2, 2, 6, 6], [-1] * 4, [nan] * 4, [2, 2, 2, 6], [6, 6, 2, 2], [9, 9, 12, 12], [nan, 2, 6, 6], [1, 1, 2, 2]]]
    )
    valid = np.array([[True] * 7 + [False]])
    out = pasted(None).boxes(boxes, np.arange(8)[None], valid=valid)
    assert out.labels.tolist() == [[0, *[-1] * 7]]
    assert out.boxes[0, 1:].tolist() == [[-1] * 4] * 7


def test_padding_of_boxes_is_unambiguous():
    boxes = np.float32([[[2, 2, 6, 6], [-1] * 4]])
    labels = {
        "ids": np.int64([[3, 3]]), "small": np.uint8([[3, 3]]), "scores": np.float32([[0.5, 0.5]]),
        "hot": np.float32([[[0, 1], [1, 0]]]), "crowd": np.array([[True, True]]),
    }  # fmt: skip
    out = pasted(None).boxes(boxes, labels).labels
    assert {name: y.tolist() for name, y in out.items()} == {
        "ids": [[3, -1]], "small": [[3, 0]], "scores": [[0.5, -1]], "hot": [[[0, 1], [0, 0]]], "crowd": [[True, False]],
    }  # fmt: skip
    assert {name: y.dtype for name, y in out.items()} == {name: y.dtype for name, y in labels.items()}


def test_masks_and_keypoints_keep_the_order_of_their_boxes():
    mix = pasted(None, [[0, 8], [0, 4]])
    source = np.float32([[[4, 0, 8, 4], [0, 0, 3, 3]], [[4, 4, 8, 8], [0, 0, 8, 8]]])
    masks = np.zeros((2, 2, 8, 8), bool)
    masks[0, 0, 0:4, 4:8] = masks[1, 1] = True
    points = np.float32([[[[5, 1, 2]], [[1, 1, 2]]], [[[5, 5, 2]], [[6, 1, 2]]]])
    labels = {"masks": masks, "keypoints": points, "ids": np.array([[0, 1], [2, 3]])}
    out = mix.boxes(source[:1], {k: v[:1] for k, v in labels.items()}, source=source, labels_source=labels, max_boxes=3)
    assert out.labels["ids"].tolist() == [[0, 3, -1]]
    np.testing.assert_array_equal(out.labels["masks"][0, 0], masks[0, 0])
    np.testing.assert_array_equal(out.labels["masks"][0, 1], np.broadcast_to(np.arange(8) < 4, (8, 8)))
    assert not out.labels["masks"][0, 2].any()
    assert out.labels["keypoints"].tolist() == [[[[5, 1, 2]], [[6, 1, 0]], [[0, 0, 0]]]]  # image 3's is not pasted


# --- bugs of other libraries ---


def test_labels_keep_the_order_of_their_boxes_unlike_in_keras():
    """Keras 3.15 `MixUp` joins boxes along the objects and their labels along the rows: (4, 4, 4) and (8, 2)."""
    boxes, labels = np.tile(np.float32([1, 1, 5, 5]), (4, 2, 1)), np.arange(8).reshape(4, 2)
    mix = ma.MixUp(alpha=1.0).draw(4, (8, 8), key=KEY)
    out = mix.boxes(boxes, labels)
    assert (out.boxes.shape, out.labels.shape) == ((4, 4, 4), (4, 4))
    np.testing.assert_array_equal(out.labels, labels[mix.index].transpose(1, 0, 2).reshape(4, 4))


def test_a_mosaic_has_no_phantom_boxes_unlike_in_kornia():
    """kornia's `RandomMosaic` (#4652) turns padding into boxes, and leaves boxes outside of the image."""
    boxes = np.full((6, 5, 4), -1, np.float32)
    boxes[:, 0] = [3, 3, 5, 5]
    boxes[:, 1] = [0, 0, 0, 0]
    mix = ma.Mosaic().draw(6, (16, 16), key=KEY)
    out = mix.boxes(boxes)
    assert out.valid.sum() == 6 * 4
    for j, box in enumerate(mix.region.box):
        got = edges(out.boxes[:, j * 5])
        assert (got[..., 0] >= box[..., 0]).all()
        assert (got[..., 1] <= box[..., 1]).all()
    assert (out.boxes[~out.valid] == -1).all()


def test_a_crop_drops_the_boxes_that_it_does_not_show():
    """Mosaics of kornia and others clip boxes to the tile and keep those without area."""
    boxes = np.float32(np.random.default_rng(0).uniform(0, 14, (6, 8, 2)))
    boxes = np.concatenate([boxes, boxes + 2], axis=-1)
    out = ma.RICAP(beta=1.0).draw(6, (16, 16), key=KEY).boxes(boxes, min_visibility=0)
    assert 0 < out.valid.sum() < out.valid.size
    assert (out.boxes[out.valid][:, 2:] > out.boxes[out.valid][:, :2]).all()


def test_no_label_names_a_hidden_object_unlike_in_ultralytics():
    """Ultralytics PR 20393: labels of objects that are covered by the pasted box, or outside of the pasted part."""
    box = np.float32([[[1, 1, 3, 3]], [[5, 5, 7, 7]]])
    out = pasted(None, [[0, 4], [0, 4]]).boxes(box[:1], np.array([[1]]), source=box, labels_source=np.array([[1], [2]]))
    assert out.labels.tolist() == [[-1, -1]]
    for recipe in (ma.CutMix(alpha=1.0), ma.GridMix(), ma.FMix(), ma.RandomErasing(area=(0.02, 0.9))):
        mix = recipe.draw(32, (8, 8), key=KEY)
        got = mix.boxes(np.tile(box[:1], (32, 1, 1)), min_visibility=0)
        seen = weights_of(mix)[:, :, 1:3, 1:3].any(axis=(2, 3)).T
        np.testing.assert_array_equal(got.valid, seen)


# --- errors ---

MIX = ma.CutMix().draw(2, (8, 8), key=KEY)
BOXES, IDS = np.zeros((2, 3, 4), np.float32), np.zeros((2, 3), int)
MASKS = np.zeros((2, 3, 8, 8), bool)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: MIX.boxes(np.zeros((2, 3, 5))), ValueError,
         "boxes: expected 4 numbers per box, got 5, as for rotated boxes, which are not supported; "
         "pass their axis-aligned bounding boxes"),
        (lambda: MIX.boxes(np.zeros((2, 3, 8))), ValueError, "got 8, as for rotated boxes"),
        (lambda: MIX.boxes(np.zeros((2, 4))), ValueError,
         "boxes: expected (n, m, 4) for images of 2 spatial axes, got the shape (2, 4); "
         "pad the boxes of each sample with -1, or pass a list of arrays"),
        (lambda: MIX.boxes(np.zeros((2, 3, 6))), ValueError, "got the shape (2, 3, 6)"),
        (lambda: MIX.boxes(BOXES > 0), TypeError, "boxes: expected numbers, got bool; convert them to float32 first"),
        (lambda: MIX.boxes(BOXES, format="xyhw"), ValueError,
         "boxes format: expected one of xyxy, yxyx, xywh, cxcywh, got 'xyhw', did you mean 'xywh'?"),
        (lambda: MIX.boxes(BOXES, format="coco"), ValueError, "cxcywh, got 'coco'"),
        (lambda: MIX.boxes(BOXES, min_visibility=1.5), ValueError,
         "min_visibility: expected a number in 0..1, got 1.5"),
        (lambda: MIX.boxes(BOXES, max_boxes=0), ValueError,
         "max_boxes: expected an integer in 1..65536, or None, got 0"),
        (lambda: MIX.instances(MASKS, max_instances=0), ValueError,
         "max_instances: expected an integer in 1..65536, or None, got 0"),
        (lambda: MIX.boxes(BOXES[:1]), ValueError, "boxes: expected 2 rows, one for each output of the mix, got 1"),
        (lambda: MIX.boxes(BOXES, IDS[:, :2]), ValueError,
         "labels: expected one for each of the boxes, (n, 3, ...), got the shape (2, 2)"),
        (lambda: MIX.boxes(BOXES, {"ids": IDS[0]}), ValueError, "ids: expected one for each of the boxes"),
        (lambda: MIX.boxes(BOXES, valid=IDS[:, :2]), ValueError, "valid: expected one for each of the boxes"),
        (lambda: MIX.boxes(BOXES, IDS, source=BOXES), ValueError,
         "labels: expected source and labels_source together, got no labels_source; pass both"),
        (lambda: MIX.boxes(BOXES, IDS, labels_source=IDS), ValueError,
         "labels: expected source and labels_source together, got no source; pass both"),
        (lambda: MIX.boxes(BOXES, valid=IDS, source=BOXES), ValueError,
         "valid: expected source and valid_source together, got no valid_source; pass both"),
        (lambda: MIX.boxes(BOXES, torch.zeros(2, 3)), TypeError,
         "expected all arrays of one library, got NumPy for 'boxes' and PyTorch for 'labels'; convert one of them"),
        (lambda: MIX.boxes([BOXES[0], torch.zeros(3, 4)]), TypeError,
         "got NumPy for 'boxes[0]' and PyTorch for 'boxes[1]'"),
        (lambda: MIX.boxes([BOXES[0]]), ValueError, "boxes: expected 2 arrays, one for each output of the mix, got 1"),
        (lambda: MIX.boxes([*BOXES], IDS), TypeError,
         "labels: expected a list, like the boxes, got an array; pass both as lists, or both padded"),
        (lambda: MIX.boxes([*BOXES], [IDS[0], IDS[1][:1]]), ValueError,
         "labels: expected one for each box, got (labels, boxes) [(3, 3), (1, 3)]; pass as many as there are boxes"),
        (lambda: MIX.boxes([*BOXES], source=[*BOXES], valid=[*IDS], valid_source=[IDS[0]]), ValueError,
         "valid_source: expected 2 arrays, one for each row of the source, got 1"),
        (lambda: MIX.boxes([BOXES[0], BOXES[1].astype(np.float64)]), TypeError,
         "boxes: expected arrays (m_i, ...) that have the same dtype and differ only in m_i, got float32 (m_i, 4), "
         "float64 (m_i, 4); convert them to the same dtype and shape"),
        (lambda: MIX.boxes([*BOXES], source=BOXES), TypeError, "source: expected a list, like the boxes"),
        (lambda: MIX.boxes([*BOXES], source=[BOXES[0], BOXES[1].astype(np.float64)]), TypeError,
         "source: expected arrays (m_i, ...) that have the same dtype"),
        (lambda: MIX.boxes([BOXES[0], np.zeros(0, np.float32)]), TypeError, "got float32 (m_i), float32 (m_i, 4)"),
        (lambda: MIX.boxes([np.array(1.0)] * 2), TypeError, "boxes: expected arrays (m_i, ...) that have the"),
        (lambda: MIX.boxes(BOXES, np.full((2, 3), "cat")), TypeError,
         "labels: expected numbers or bools, got str96; pass integer ids instead"),
        (lambda: MIX.boxes([*BOXES], [*np.full((2, 3), "cat")]), TypeError, "labels: expected numbers or bools"),
        (lambda: MIX.boxes(BOXES, {"a": IDS}, source=BOXES, labels_source={"b": IDS}), ValueError,
         "a: expected source and labels_source['a'] together, got no labels_source['a']; pass both"),
        (lambda: MIX.boxes(BOXES, {"masks": IDS}), TypeError,
         "masks of instances: expected bools, got int64; compare them first, as in m != 0"),
        (lambda: MIX.boxes(BOXES, {"masks": MASKS[..., :4]}), ValueError,
         "masks of instances: expected (n, m, *size) of the size (8, 8) that the mix was drawn for, "
         "got the shape (2, 3, 8, 4); resize them first"),
        (lambda: MIX.instances(MASKS[0]), ValueError, "got the shape (3, 8, 8); resize them first"),
        (lambda: MIX.instances(MASKS, IDS[:, :2]), ValueError, "labels: expected one for each of the instances"),
        (lambda: MIX.boxes(BOXES, {"keypoints": np.zeros((2, 3, 5, 2))}), ValueError,
         "keypoints: expected (n, m, K, 3) together with boxes, with visibility as the last column, "
         "got the shape (2, 3, 5, 2); add a column of ones"),
        (lambda: MIX.keypoints(np.zeros((2, 3, 4))), ValueError,
         "keypoints: expected (n, m, 2) or (n, m, K, 2), or 3 numbers with the visibility, for images of 2 spatial "
         "axes, got the shape (2, 3, 4); pad the keypoints of each sample with -1"),
        (lambda: MIX.keypoints(MASKS[..., :2]), TypeError, "keypoints: expected numbers, got bool"),
        (lambda: MIX.keypoints(np.zeros((3, 3, 2))), ValueError, "keypoints: expected 2 rows"),
    ],
)  # fmt: skip
def test_wrong_objects_raise_one_sentence(call, error, sentence):
    with pytest.raises(error) as raised:
        call()
    assert sentence in str(raised.value)


def test_traced_lists_are_refused():
    @jax.jit
    def run(boxes):
        return ma.CutMix().draw(2, (8, 8), key=KEY, like=boxes[0]).boxes(boxes)

    sentence = "boxes: expected lists of arrays on the host, got arrays that are traced or on an accelerator; pad them"
    with pytest.raises(TypeError, match=sentence):
        run([jax.numpy.zeros((3, 4)), jax.numpy.zeros((1, 4))])
