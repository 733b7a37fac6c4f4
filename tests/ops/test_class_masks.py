"""Masks of class ids: known results, a slow reference, invariants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_apply import blend, boxes

import mixaug as ma
import ways
from mixaug.core.regions import Dense, Paste
from mixaug.mix import assemble
from ways import CASES, KEY, is_soft

tf = ways.tf
INTEGERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@pytest.fixture(params=ways.RECIPE_ROWS, ids=repr)
def recipe(request: pytest.FixtureRequest) -> ma.Recipe:
    return request.param


def homes(size: tuple[int, ...], of: tuple[int, ...]) -> np.ndarray:
    """The image pixel that corresponds to each pixel of a field: (*size, d), by the formula."""
    out = np.zeros((*size, len(size)), int)
    for pixel in np.ndindex(*size):
        out[pixel] = [int((j + 0.5) * big // small) for j, small, big in zip(pixel, size, of, strict=True)]
    return out


def chosen(mix: ma.Mix, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The row of each pixel of a field, and the margin by which its source is the heaviest, by the definition."""
    dense = np.asarray(mix.pixel_weights(), np.float64)
    places = homes(size, mix.size)
    rows = np.zeros((dense.shape[1], *size), int)
    ahead = np.ones((dense.shape[1], *size))
    for i in range(dense.shape[1]):
        for pixel in np.ndindex(*size):
            weights = dense[(slice(None), i, *places[pixel])]
            rows[(i, *pixel)] = values_of(mix.index)[int(weights.argmax()), i]  # all 0 in a hole: the base sample
            ahead[(i, *pixel)] = np.ptp(np.sort(weights)[-2:]) if len(weights) > 1 else 1
    return rows, ahead


def values_of(x):
    return ways.values(x)


# --- the invariant: image and mask pixels have the same source ---


FORMS = [
    ma.RICAP(), ma.MixUp(sources=3), ma.CutMix(), ma.SmoothMix(),
    ma.one_of(ma.RICAP(), ma.Cutout(), ma.MixUp()), ma.one_of(ma.ResizeMix(), ma.GridMix(), ma.Cutout()),
]  # fmt: skip
QUICK = (ways.numpy, ways.numpy_read_only, ways.tf_eager, ways.torch_eager)
#: Masks depend on the region only, so slow ways test one recipe per form of region, at one size.
AGREE = [(recipe, way, shape) for way, shape in CASES for recipe in ways.RECIPE_ROWS if way in QUICK]
AGREE += [(recipe, way, ways.SIZES[0]) for way in ways.WAYS for recipe in FORMS if way not in QUICK]


@pytest.mark.slow_ways
@pytest.mark.parametrize(("recipe", "way", "shape"), AGREE, ids=[f"{r}-{w.__name__}-{s}" for r, w, s in AGREE])
def test_image_and_mask_agree(recipe, way, shape):
    """Image i and its mask are i everywhere: the mixed mask is the image with the greatest weight at each pixel."""
    n, size = shape
    small = tuple(max(1, (side + 1) // 2) for side in size)
    big = tuple(2 * side + 1 for side in size)
    masks = [np.broadcast_to(np.arange(n).reshape(n, *[1] * len(size)), (n, *s)).astype(d) for s, d in
             ((size, "uint8"), (small, "int32"), (big, "int64"))]  # fmt: skip

    def run(x, *masks):
        mix = recipe.draw(ways.count(x), size, key=KEY, like=x)
        return [
            mix.images(x, ways.layout_of(x)),
            *(mix.masks(m) for m in masks),
            mix.masks(masks[0], num_classes=n, soft=True),
        ]

    images, *mixed, soft = way(run, ways.own_class_everywhere(n, size), *masks)
    mix = recipe.draw(n, size, key=KEY)
    array = ways.array_of(way)
    for m, got in zip(masks, mixed, strict=True):
        wide = "int32" if "jax" in way.__name__ and m.dtype == np.int64 else m.dtype.name  # JAX has no wide ones
        assert isinstance(got, array)
        assert (values_of(got).dtype.name, tuple(got.shape)) == (wide, m.shape)
        expected, ahead = chosen(mix, m.shape[1:])
        sure = ahead > 1e-5 if is_soft(recipe) else True
        np.testing.assert_array_equal(values_of(got)[sure] if sure is not True else values_of(got),
                                      expected[sure] if sure is not True else expected)  # fmt: skip
    # soft masks equal the one-hot image; in a hole they are the class of the base sample
    soft, images = values_of(soft), values_of(images)
    soft = np.moveaxis(soft, 1, -1) if "torch" in way.__name__ else soft
    assert soft.dtype == np.float32
    hole = np.asarray(mix.pixel_weights(), np.float64).sum(axis=0) < 0.5
    own = ways.own_class_everywhere(n, size)
    np.testing.assert_allclose(soft, np.where(hole[..., None], own, images), atol=1e-6)


def has_places(recipe: ma.Recipe) -> bool:
    """Whether each output pixel comes from a single pixel, which is not the case for blends."""
    region = recipe.draw(6, (12, 10), key=KEY).region
    return region.arrays().get("background") is None and not is_soft(recipe)


@pytest.mark.parametrize("recipe", [r for r in ways.RECIPE_ROWS if has_places(r)], ids=repr)
def test_a_mask_of_pixel_numbers_moves_with_the_image(recipe):
    """Image and mask contain pixel numbers: mask pixels follow image pixels, also when resized."""
    n, size = 6, (12, 10)
    ids = np.arange(n * 120).reshape(n, *size)
    mix = recipe.draw(n, size, key=KEY)
    seen = np.asarray(mix.pixel_weights(), np.float64).sum(axis=0) > 0.5
    mixed, image = mix.masks(ids), mix.images(ids.astype(np.float64), "nhw")
    np.testing.assert_array_equal(mixed[seen], image[seen])
    np.testing.assert_array_equal(mixed[~seen], ids[~seen])


@given(
    recipe=st.sampled_from(ways.RECIPE_ROWS),
    size=st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple),
    data=st.data(),
    n=st.integers(1, 6),
    step=st.integers(0, 2**20),
)
def test_masks_of_any_size_follow_the_formula(recipe, size, data, n, step):
    """Each mask pixel has the id of the source with the greatest weight at floor((j + 1/2) * H / h)."""
    other = tuple(data.draw(st.integers(1, 20)) for _ in size)
    mix = recipe.draw(n, size, key=(0, step))
    rows = np.broadcast_to(np.arange(n).reshape(n, *[1] * len(size)), (n, *other))
    expected, ahead = chosen(mix, other)
    mixed = mix.masks(np.ascontiguousarray(rows))
    np.testing.assert_array_equal(mixed[ahead > 1e-5], expected[ahead > 1e-5])
    x = np.pad(ways.own_class_everywhere(n, other), [(0, 0)] * (1 + len(other)) + [(0, 23 - n)])  # no side is that long
    dense = np.asarray(mix.pixel_weights(), np.float64)
    at = tuple(np.moveaxis(homes(other, size), -1, 0))
    want = np.zeros((n, *other, 23))
    for j in range(dense.shape[0]):
        for i in range(n):
            want[i, ..., mix.index[j, i]] += dense[(j, i, *at)]
    seen = want.sum(axis=-1) > 0.5
    np.testing.assert_allclose(mix.images(x, ways.layout_of(x))[seen], want[seen], atol=1e-6)


def test_windows_of_a_finer_field_keep_its_detail():
    """A crop of the size of its box shifts by whole pixels, by twice as many in a field of twice the size."""
    box, source_box = np.int32([[[0, 2], [0, 4]]]), np.int32([[[2, 4], [0, 4]]])
    mix = assemble(ma.backends.common(), np.int32([[0], [0]]), Paste(None, (None, box), (None, source_box)), (4, 4))
    fine = np.arange(64).reshape(1, 8, 8)
    expected = fine.copy()
    expected[0, :4] = fine[0, 4:]
    np.testing.assert_array_equal(mix.masks(fine), expected)
    coarse = np.arange(4).reshape(1, 2, 2)
    np.testing.assert_array_equal(mix.masks(coarse), [[[2, 3], [2, 3]]])


# --- known results ---


def test_a_box_by_hand():
    mix = boxes([[1, 3], [0, 4]], [[0, 0], [0, 4]])
    m = np.stack([np.zeros((4, 4)), np.full((4, 4), 7)]).astype(np.uint8)
    expected = np.zeros((4, 4))
    expected[1:3] = 7
    np.testing.assert_array_equal(mix.masks(m), [expected, m[1]])
    np.testing.assert_array_equal(mix.masks(m[..., None]), [expected[..., None], m[1][..., None]])
    np.testing.assert_array_equal(mix.masks(m[:, None], layout="nchw"), [expected[None], m[1][None]])
    half = np.stack([np.zeros((2, 2)), np.full((2, 2), 7)]).astype(np.uint8)
    np.testing.assert_array_equal(mix.masks(half)[0], [[7, 7], [0, 0]])  # pixel 0 belongs to 1, pixel 1 to 3


def test_the_heavier_image_wins_and_the_first_at_a_tie():
    mix = blend((0.75, 0.25), (0.5, 0.5), (0.25, 0.75))
    m = np.int32([1, 2, 3])[:, None, None] * np.ones((1, 2, 2), np.int32)
    np.testing.assert_array_equal(mix.masks(m)[:, 0, 0], [1, 2, 1])


def test_weights_of_the_same_image_are_added():
    """Weight 0.4 of the base sample is less than 0.3 + 0.3 of another image."""
    mix = blend((0.4, 0.3, 0.3), (1, 0, 0), index=[[0, 1], [1, 0], [1, 0]])
    m = np.int64([5, 6])[:, None, None] * np.ones((1, 2, 2), np.int64)
    np.testing.assert_array_equal(mix.masks(m)[:, 0, 0], [6, 6])


def test_a_pixel_is_ignored_exactly_where_its_source_is_ignored():
    mix = blend((0.75, 0.25), (0.25, 0.75))
    m = np.uint8([[[255, 1], [2, 3]], [[4, 255], [5, 6]]])
    np.testing.assert_array_equal(mix.masks(m, 255), [m[0], m[0]])


def test_soft_masks_average_only_sources_that_are_not_ignored():
    mix = blend((0.75, 0.25), (0.25, 0.75))
    m = np.uint8([[[255, 1], [2, 255]], [[0, 255], [2, 255]]])
    soft = mix.masks(m, 255, num_classes=3, soft=True)
    np.testing.assert_array_equal(soft[0, 0, 0], [1, 0, 0])  # the base sample is ignored there
    np.testing.assert_array_equal(soft[0, 0, 1], [0, 1, 0])
    np.testing.assert_array_equal(soft[0, 1, 0], [0, 0, 1])
    np.testing.assert_array_equal(soft[:, 1, 1], np.zeros((2, 3)))  # both are: a loss skips it
    assert (ma.losses.cross_entropy(np.zeros_like(soft), soft)[:, 1, 1] == 0).all()
    plain = mix.masks(np.uint8([[[0]], [[1]]]), num_classes=2, soft=True)
    np.testing.assert_array_equal(plain[:, 0, 0], [[0.75, 0.25], [0.75, 0.25]])


def test_an_ignored_id_among_the_classes_is_left_out_too():
    mix = blend((0.75, 0.25), (0.25, 0.75))
    m = np.int32([0, 1])[:, None, None] * np.ones((1, 2, 2), np.int32)
    np.testing.assert_array_equal(mix.masks(m, 0, num_classes=2, soft=True)[:, 0, 0], [[0, 1], [0, 1]])


def test_a_hole_keeps_the_id_of_the_base_sample():
    mix = ma.Cutout(side=0.5).draw(3, (8, 8), key=(0, 0))
    m = np.arange(3 * 64).reshape(3, 8, 8)
    np.testing.assert_array_equal(mix.masks(m), m)
    whole = ma.one_of(ma.Cutout(side=0.5), ma.GridMix(), weights=(1, 0)).draw(3, (8, 8), key=(0, 0))
    assert isinstance(whole.region, Dense)
    np.testing.assert_array_equal(whole.masks(m), m)
    np.testing.assert_array_equal(
        whole.masks(np.zeros((3, 8, 8), int), num_classes=2, soft=True)[..., 0], np.ones((3, 8, 8))
    )


@pytest.mark.parametrize("library", ways.MAKE)
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("recipe", [ma.MixUp(), ma.Mosaic(), ma.FMix()], ids=repr)
def test_every_integer_dtype(recipe, dtype, library):
    m = (np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, (4, 6, 8))).astype(dtype)
    array = ways.MAKE[library](m)
    mixed = recipe.draw(4, (6, 8), key=(0, 0), like=array).masks(array)
    assert type(mixed) is type(array)
    assert mixed.dtype == array.dtype
    np.testing.assert_array_equal(
        values_of(mixed), recipe.draw(4, (6, 8), key=(0, 0)).masks(m).astype(values_of(array).dtype)
    )
    np.testing.assert_array_equal(values_of(array), m.astype(values_of(array).dtype))


def test_masks_are_fresh_memory():
    m = np.ones((2, 4, 4), np.uint8)
    for mix in (ma.identity().draw(2, (4, 4), key=(0, 0)), ma.Cutout().draw(2, (4, 4), key=(0, 0))):
        out = mix.masks(m)
        assert not np.shares_memory(out, m)
        out[:] = 5
    assert (m == 1).all()


def test_parents_from_a_source():
    source = np.arange(5, dtype=np.int16)[:, None, None] * np.ones((1, 4, 4), np.int16)
    index = np.int32([[3, 1], [4, 0]])
    mix = assemble(ma.backends.common(), index, Paste(None, (None, np.int32([[[0, 2], [0, 4]]] * 2))), (4, 4))
    mixed = mix.masks(source[[3, 1]], source=source)
    np.testing.assert_array_equal(mixed[:, 0, 0], [4, 0])
    np.testing.assert_array_equal(mixed[:, 3, 0], [3, 1])
    soft = mix.masks(source[[3, 1]], source=source, num_classes=5, soft=True)
    np.testing.assert_array_equal(soft.argmax(-1), mixed)


def test_traced_ids_out_of_range_give_nan():
    m = tf.constant(np.uint8([[[0, 9]], [[1, 1]]]))

    @tf.function
    def soft(m):
        return blend_tf(m).masks(m, num_classes=2, soft=True)

    def blend_tf(m):
        return ma.identity().draw(2, (1, 2), key=(0, 0), like=m)

    probabilities = soft(m).numpy()
    assert np.isnan(probabilities[0, 0, 1]).all()
    assert not np.isnan(probabilities[0, 0, 0]).any()


@pytest.mark.parametrize(
    ("m", "options", "error", "sentence"),
    [
        (np.zeros((2, 4, 4), np.float32), {}, TypeError, "expected class ids of an integer dtype or bool, got float32"),
        (np.zeros((2, 4), np.uint8), {}, ValueError, r"masks: expected \(n, \*size\) with 2 spatial axes"),
        (np.zeros((3, 4, 4), np.uint8), {}, ValueError, "masks: expected 2 rows"),
        (np.zeros((2, 4, 4), np.uint8), {"soft": True}, ValueError, "soft masks of class ids, got None; pass"),
        (
            np.full((2, 4, 4), 3, np.uint8),
            {"num_classes": 3},
            ValueError,
            r"masks: expected class ids in 0..2, got 3..3; raise num_classes or correct the masks",
        ),
        (np.full((2, 4, 4), 3), {"num_classes": 3, "soft": True, "ignore_index": 4}, ValueError, r"0..2, got 3..3"),
        (np.zeros((2, 4, 4), np.int8), {"ignore_index": 255}, ValueError, r"int8 masks can hold, -128..127, got 255"),
        (np.zeros((2, 4, 4), np.uint8), {"ignore_index": 1.0}, TypeError, "ignore_index: expected an integer"),
        (np.zeros((2, 4, 4), np.uint8), {"num_classes": 0}, ValueError, "num_classes: expected 1 or more, got 0"),
        (
            np.zeros((2, 4, 4, 2), np.uint8),
            {"soft": True, "num_classes": 2},
            ValueError,
            "masks: expected one channel of class ids in the layout 'nhwc'",
        ),
        (np.zeros((2, 4, 4, 1), np.uint8), {"layout": "hwc"}, ValueError, "layout: expected n"),
    ],
)  # fmt: skip
def test_masks_that_are_refused(m, options, error, sentence):
    with pytest.raises(error, match=sentence):
        ma.CutMix().draw(2, (4, 4), key=(0, 0)).masks(m, **options)


def test_ignored_ids_need_not_be_classes():
    m = np.uint8([[[0, 255]], [[1, 255]]])
    mix = ma.identity().draw(2, (1, 2), key=(0, 0))
    np.testing.assert_array_equal(mix.masks(m, 255, num_classes=2), m)


# --- images of another size ---


def test_two_images_of_a_sample_are_cut_alike():
    mix = boxes([[1, 3], [0, 2]], [[2, 4], [2, 4]])
    depth = np.stack([np.zeros((8, 8)), np.full((8, 8), 9)]).astype(np.float32)
    mixed = mix.images(depth, "nhw")
    np.testing.assert_array_equal(np.argwhere(mixed[0] == 9).min(axis=0), [2, 0])
    np.testing.assert_array_equal(np.argwhere(mixed[0] == 9).max(axis=0), [5, 3])
    np.testing.assert_array_equal(np.argwhere(mixed[1] == 0).min(axis=0), [4, 4])


def test_channels_in_an_undeclared_place_raise():
    mix = ma.CutMix().draw(2, (4, 4), key=(0, 0))
    with pytest.raises(ValueError, match=r"got \(3, 4\) in the layout 'nhwc'; the layout 'nchw' has that size"):
        mix.images(np.zeros((2, 3, 4, 4), np.float32), "nhwc")


# --- labels by what is visible, and of several at once ---


def test_visible_by_hand():
    """The box hides half the object of output 0, all of output 1's; output 2 shows none, output 3 part of both."""
    mix = boxes([[0, 2], [0, 4]], [[0, 4], [0, 4]], [[2, 4], [0, 4]], [[0, 4], [0, 2]])
    foreground = np.zeros((4, 4, 4), bool)
    foreground[0, 1:3] = True  # 8 pixels: rows 1, 2
    foreground[1, 0] = True  # row 0
    foreground[2, 2:4] = True  # rows 2, 3: hidden by the box of output 2
    foreground[3, 0:2] = True  # its rows 2, 3 are empty
    seen = mix.visible(foreground)
    np.testing.assert_array_equal(seen.lam[:, 0], [0.5, 0.5])  # base: row 2; image 1: row 0; 4 pixels each
    np.testing.assert_array_equal(seen.lam[:, 1], [0, 1])  # base: hidden; image 2: complete
    np.testing.assert_array_equal(seen.lam[:, 2], [0.5, 0.5])  # nothing is visible: lam
    np.testing.assert_array_equal(seen.lam[:, 3], [0.5, 0.5])
    np.testing.assert_array_equal(seen.nothing, [False, False, True, False])
    np.testing.assert_array_equal(seen.unseen, [[False, False, True, False], [False, False, True, False]])
    labels = mix.labels(np.arange(4), 4, rule="visible", guide=foreground)
    np.testing.assert_array_equal(labels[0], [0.5, 0.5, 0, 0])
    np.testing.assert_array_equal(labels[1], [0, 0, 1, 0])


def test_foreground_everywhere_gives_the_plain_labels(recipe):
    mix = recipe.draw(6, (9, 7), key=KEY)
    seen = mix.visible(np.ones((6, 9, 7), bool))
    np.testing.assert_allclose(seen.lam, mix.lam, atol=1e-6)
    assert not seen.unseen.any()


@pytest.mark.slow_ways
@pytest.mark.parametrize("way", ways.WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.one_of(ma.RICAP(), ma.Cutout(), ma.MixUp()), ma.FMix()], ids=repr)
def test_visible_is_the_same_in_every_library(recipe, way):
    foreground = np.random.default_rng(0).random((6, 9, 7)) < 0.1
    expected = recipe.draw(6, (9, 7), key=KEY).visible(foreground)

    def run(foreground):
        return tuple(recipe.draw(ways.count(foreground), (9, 7), key=KEY, like=foreground).visible(foreground))

    for got, want in zip(way(run, foreground), expected, strict=True):
        ways.assert_same(got, want, ways.array_of(way), atol=1e-6 if want.dtype == np.float32 else 0)


def test_a_union_has_every_class_in_full():
    mix = blend((0.75, 0.25), (1, 0), (0, 1))
    hot = np.int32([[1, 0, 1], [0, 1, 1], [0, 0, 0]])
    np.testing.assert_array_equal(mix.labels(hot, rule="maximum"), [[1, 1, 1], [0, 1, 1], [1, 0, 1]])
    np.testing.assert_array_equal(mix.labels(np.array([0, 1, 2]), 3, rule="maximum"), [[1, 1, 0], [0, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize(
    ("run", "error", "sentence"),
    [
        (lambda mix: mix.visible(np.zeros((2, 4, 4), np.uint8)), TypeError, "foreground: expected bools, got uint8"),
        (lambda mix: mix.visible(np.zeros((3, 4, 4), bool)), ValueError, "foreground: expected 2 rows"),
        (
            lambda mix: mix.labels(np.arange(2), 2, rule="maximum", guide=np.zeros((2, 4, 4), bool)),
            ValueError,
            "expected no guide for Maximum\\(\\), got an array; leave guide= out, or pass rule='visible'",
        ),
    ],
)
def test_what_is_refused(run, error, sentence):
    with pytest.raises(error, match=sentence):
        run(ma.CutMix().draw(2, (4, 4), key=(0, 0)))


@pytest.mark.parametrize(
    "recipe", [*(pytest.param(form, marks=pytest.mark.full) for form in FORMS[:4]), *FORMS[4:]], ids=repr
)
def test_sizes_that_a_graph_does_not_know(recipe):
    """The sizes of the images and of a smaller mask are known at run time only."""
    x = ways.own_class_everywhere(4, (9, 7))
    small = np.broadcast_to(np.arange(4, dtype=np.int32).reshape(4, 1, 1), (4, 5, 4)).copy()
    fields = {"shares": ma.Masks(num_classes=4, soft=True)}

    def run(x, m):
        return ma.mix_batch(recipe, {"images": x, "masks": m, "shares": m}, key=KEY, fields=fields)

    unknown = [tf.TensorSpec([None] * 3 + [4]), tf.TensorSpec([None] * 3, tf.int32)]
    expected, graph = run(x, small), tf.function(run, input_signature=unknown)(x, small)
    for name, want in expected.items():
        np.testing.assert_allclose(graph[name].numpy(), want, atol=1e-6)
