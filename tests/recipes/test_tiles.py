"""Windows: tiles, crops and resized samples; known results and distributions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from test_distributions import SURE, distance

import mixaug as ma
import ways
from mixaug import backends
from mixaug.core.regions import Dense, Paste
from mixaug.mix import assemble

N = 20_000
NUMPY = backends.common()


def sides(box: np.ndarray) -> np.ndarray:
    return box[..., 1] - box[..., 0]


def unlike(n: int, size: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    """Images without a channel axis in which no two pixels, of one image or of two, are the same."""
    return np.arange(n * np.prod(size)).reshape(n, *size).astype(dtype)


def window(box: list[list[int]], source_box: list[list[int]], size: tuple[int, ...]) -> ma.Mix:
    """One output: a crop of the second source in a box over the first."""
    region = Paste(None, (None, np.int32([box])), (None, np.int32([source_box])))
    return assemble(NUMPY, np.int32([[0], [1]]), region, size)


def test_a_crop_of_the_boxs_size_is_moved_and_not_scaled():
    x = unlike(2, (4, 5))
    mix = window([[1, 3], [2, 5]], [[2, 4], [0, 3]], (4, 5))
    expected = x[0].copy()
    expected[1:3, 2:5] = x[1, 2:4, 0:3]
    np.testing.assert_array_equal(mix.images(x[:1], ways.layout_of(x[:1], None), source=x)[0], expected)
    np.testing.assert_array_equal(mix.lam[:, 0], np.float32([1 - np.float32(6 / 20), 6 / 20]))


@pytest.mark.parametrize(
    ("box", "source_box", "seen"),
    [
        ([[0, 3]], [[0, 6]], [1, 3, 5]),  # half as long: the pixel past each middle
        ([[1, 3]], [[0, 6]], [1, 4]),  # a third: the middle one of three
        ([[0, 4]], [[0, 6]], [0, 2, 3, 5]),  # 0.75, 2.25, 3.75, 5.25
        ([[2, 6]], [[1, 3]], [1, 1, 2, 2]),  # twice as long
        ([[0, 1]], [[0, 6]], [3]),
        ([[0, 6]], [[4, 5]], [4] * 6),
    ],
)
def test_a_crop_of_another_size_shows_its_nearest_pixels(box, source_box, seen):
    x = unlike(2, (6,))
    got = window(box, source_box, (6,)).images(x[:1], ways.layout_of(x[:1], None), source=x)[0]
    (first, last), want = box[0], x[0].copy()
    want[first:last] = x[1, seen]
    np.testing.assert_array_equal(got, want)


def test_an_empty_box_shows_nothing_of_its_crop():
    x = unlike(2, (3, 3))
    mix = window([[1, 1], [0, 3]], [[0, 3], [0, 3]], (3, 3))
    np.testing.assert_array_equal(mix.images(x[:1], ways.layout_of(x[:1], None), source=x), x[:1])
    np.testing.assert_array_equal(mix.index, [[0], [0]])


@pytest.mark.parametrize("library", ways.MAKE)
def test_long_signals_are_seen_right(library):
    """The product of two lengths exceeds 2^31, and 32-bit integers wrap around."""
    x = unlike(2, (160_000,))
    make = ways.MAKE[library]
    mix = ma.ResizeMix(low=0.7, high=0.7).draw(2, (160_000,), key=(0, 0), like=make(x))
    (first, last) = ways.values(mix.region.box[1])[0, 0].tolist()
    at = np.arange(last - first, dtype=np.int64)
    seen = ways.values(mix.images(make(x), "nt"))[0, first:last]
    np.testing.assert_array_equal(seen, x[1, (2 * at + 1) * 160_000 // (2 * (last - first))])


@pytest.mark.parametrize(("size", "axis"), [((65536, 3), 0), ((3, 65536), 1)])
@pytest.mark.parametrize("beta", [0.3, 1.0, 2.0])
def test_ricap_cuts_are_beta(beta, size, axis):
    boxes = ma.RICAP(beta=beta).draw(N, size, key=(0, 0)).region.box
    cut = boxes[0][:, axis, 1]
    assert distance(cut, stats.beta(beta, beta)) < SURE
    assert distance(cut, stats.beta(beta * 1.25, beta)) > SURE  # the test can fail


def test_ricap_axes_are_cut_apart():
    height, width = sides(ma.RICAP(beta=1.0).draw(N, (3000, 2000), key=(0, 0)).region.box[0]).T
    assert stats.pearsonr(height, width).pvalue > 1e-3


@pytest.mark.parametrize(
    "recipe", [ma.RICAP(), ma.Mosaic(), ma.Mosaic(tiles=3), ma.Mosaic(tiles=4, jitter=0.5)], ids=repr
)
@pytest.mark.parametrize("size", [(9, 7), (2, 3), (1, 1), (13,), (3, 8, 5)])
def test_tiles_cover_each_pixel_once(recipe, size):
    region = recipe.draw(50, size, key=(0, 0)).region
    assert all((sides(box) >= 0).all() for box in region.box)
    assert (region.pixel_weights(NUMPY, 50, size).sum(axis=0) == 1).all()
    boxes = sum(ma.core.regions.inside(NUMPY, box, size).astype(int) for box in region.box)
    assert (boxes == 1).all()


def test_tiles_are_in_row_major_order():
    for recipe, tiles in ((ma.RICAP(beta=3.0), 2), (ma.Mosaic(tiles=3), 3)):
        boxes = np.stack(recipe.draw(20, (90, 60), key=(0, 0)).region.box, axis=1).reshape(20, tiles, tiles, 2, 2)
        assert (boxes[:, :, :, 0] == boxes[:, :, :1, 0]).all()  # the tiles of a row have its top and bottom
        assert (boxes[:, :, :, 1] == boxes[:, :1, :, 1]).all()
        assert (boxes[:, 1:, :, 0, 0] == boxes[:, :-1, :, 0, 1]).all()
        assert (boxes[:, :, 1:, 1, 0] == boxes[:, :, :-1, 1, 1]).all()


def test_crops_of_ricap_have_the_size_of_their_tile_and_any_position():
    size = (3000, 2500)
    region = ma.RICAP(beta=1.0).draw(N, size, key=(0, 0)).region
    starts = []
    for box, source_box in zip(region.box, region.source_box, strict=True):
        np.testing.assert_array_equal(sides(source_box), sides(box))
        assert (source_box[..., 0] >= 0).all()
        assert (source_box[..., 1] <= size).all()
        room = np.array(size) - sides(source_box)
        assert stats.kstest(((source_box[..., 0] + 0.5) / (room + 1))[room > 500], "uniform").pvalue > 1e-3
        starts.append(source_box[:, 0, 0] / (room[:, 0] + 1))
    assert (abs(np.corrcoef(starts) - np.eye(4)) < 0.03).all()  # crops are drawn independently


def test_ricap_does_not_resize_its_sources():
    """A pixel of a tile is the pixel of the source at the same offset from the start of the crop."""
    n, size = 6, (7, 9)
    x = unlike(n, size)
    mix = ma.RICAP(beta=1.0).draw(n, size, key=(0, 5))
    out = mix.images(x, ways.layout_of(x, None))
    for i in range(n):
        for j in range(4):
            (top, bottom), (left, right) = mix.region.box[j][i].tolist()
            (y, _), (z, _) = mix.region.source_box[j][i].tolist()
            shown = x[mix.index[j, i], y : y + bottom - top, z : z + right - left]
            np.testing.assert_array_equal(out[i, top:bottom, left:right], shown)


@pytest.mark.parametrize("tiles", [2, 3, 5])
@pytest.mark.parametrize("size", [(12, 30), (64, 48), (7, 224), (511, 31)])
def test_mosaic_without_jitter_is_a_regular_grid(tiles, size):
    boxes = ma.Mosaic(tiles=tiles, jitter=0).draw(3, size, key=(0, 0)).region.box
    for tile, box in enumerate(boxes):
        row, column = divmod(tile, tiles)
        grid = [[a * size[0] // tiles, (a + 1) * size[0] // tiles] for a in (row,)]
        grid += [[column * size[1] // tiles, (column + 1) * size[1] // tiles]]
        assert (box == grid).all()


def test_mosaic_of_four_has_its_centre_in_the_middle_half():
    size = (4096, 1024)
    centre = ma.Mosaic().draw(N, size, key=(0, 0)).region.box[0][:, :, 1]
    assert ((centre >= np.array(size) / 4) & (centre < np.array(size) * 3 / 4)).all()
    for axis, length in enumerate(size):
        assert stats.kstest((centre[:, axis] + 0.5) / length, stats.uniform(0.25, 0.5).cdf).pvalue > 1e-3
    assert stats.pearsonr(*centre.T).pvalue > 1e-3


def test_mosaic_lines_move_by_their_jitter():
    size, third = (3000, 3000), 1000
    boxes = ma.Mosaic(tiles=3, jitter=0.4).draw(N, size, key=(0, 0)).region.box
    assert len(boxes) == 9
    lines = [boxes[0][:, 0, 1], boxes[3][:, 0, 1], boxes[0][:, 1, 1], boxes[1][:, 1, 1]]
    for line, at in zip(lines, (1, 2, 1, 2), strict=True):
        assert stats.kstest((line + 0.5) / third - at, stats.uniform(-0.2, 0.4).cdf).pvalue > 1e-3
    assert (abs(np.corrcoef(lines) - np.eye(4)) < 0.03).all()


def test_mosaic_has_one_source_per_tile():
    mix = ma.Mosaic(tiles=3).draw(20, (30, 30), key=(0, 0))
    assert mix.lam.shape == (9, 20)
    assert (mix.lam > 0).all()
    assert all(len(set(column)) == 9 for column in mix.index.T)


def test_mosaic_shows_each_whole_source():
    x = unlike(4, (4, 4))
    mix = ma.Mosaic(jitter=0).draw(4, (4, 4), key=(0, 0))
    small = x[:, 1::2, 1::2]  # the nearest pixel of the middle of each 2 x 2 block is the later one
    for i in range(4):
        a, b, c, d = small[mix.index[:, i]]
        np.testing.assert_array_equal(mix.images(x, ways.layout_of(x, None))[i], np.block([[a, b], [c, d]]))
    np.testing.assert_array_equal(mix.lam, np.full((4, 4), 0.25))


@pytest.mark.parametrize("recipe", [ma.Mosaic(), ma.Mosaic(tiles=3), ma.ResizeMix()], ids=repr)
def test_resized_samples_equal_nearest_exact(recipe):
    """PyTorch's resize with this name has the same rule: the pixel that contains the center of the new one."""
    n, size = 12, (17, 23)
    x = unlike(n, size)
    mix = recipe.draw(n, size, key=(0, 1))
    out, resized = mix.images(x, ways.layout_of(x, None)), torch.nn.functional.interpolate
    for j, box in enumerate(mix.region.box):
        for i in range(n if box is not None else 0):
            (top, bottom), (left, right) = box[i].tolist()
            if top < bottom and left < right:
                index = torch.from_numpy(x[mix.index[j, i]])[None, None]
                small = resized(index, (bottom - top, right - left), mode="nearest-exact")[0, 0]
                np.testing.assert_array_equal(out[i, top:bottom, left:right], small)


def test_resizemix_sides_are_even():
    size = (32768, 30000)
    mix = ma.ResizeMix(low=0.1, high=0.8).draw(N, size, key=(0, 0))
    box = mix.region.box[1]
    height, width = (sides(box) / size).T
    assert stats.kstest(height, stats.uniform(0.1, 0.7).cdf).pvalue > 1e-3
    np.testing.assert_allclose(height, width, atol=1e-4)
    np.testing.assert_allclose(mix.lam[1], height * width, rtol=1e-6)
    for axis, length in enumerate(size):
        room = length - sides(box)[:, axis]
        assert stats.kstest(box[:, axis, 0] / room, "uniform").pvalue > 1e-3
    assert (mix.region.source_box[1] == [[0, 32768], [0, 30000]]).all()


def test_resizemix_has_a_pixel_at_least():
    box = ma.ResizeMix(low=0.1, high=0.1).draw(50, (3, 40), key=(0, 0)).region.box[1]
    assert (sides(box) == (1, 4)).all()


TILES = [
    ma.RICAP(beta=1.0), ma.Mosaic(), ma.Mosaic(tiles=3), ma.ResizeMix(), ma.HMix(), ma.NWayCutMix(sources=4),
    ma.Cutout(fill=3), ma.RandomErasing(fill=90, noise=200),
    ma.one_of(ma.RICAP(), ma.Cutout(fill=9), ma.ResizeMix(), ma.MixUp(), ma.HMix()),
    ma.one_of(ma.Mosaic(), ma.RandomErasing(noise=30), ma.Cutout(fill=200), ma.CutMix()),
]  # fmt: skip


@pytest.mark.parametrize("recipe", TILES, ids=repr)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_dense_form_shows_the_same_pixels(recipe, dtype):
    """Bit for bit: together with a dense branch, a region with windows or holes becomes dense as well."""
    n, size = 10, (11, 8)
    x = np.random.default_rng(0).integers(0, 256, (n, *size, 2)).astype(dtype)
    for step in range(40):
        cheap = ma.one_of(recipe, ma.identity(), weights=(1, 0)).draw(n, size, key=(0, step))
        dense = ma.one_of(recipe, ma.GridMix(), weights=(1, 0)).draw(n, size, key=(0, step))
        assert isinstance(cheap.region, Paste)
        assert isinstance(dense.region, Dense)
        np.testing.assert_array_equal(cheap.images(x), dense.images(x))
        np.testing.assert_array_equal(cheap.lam, dense.lam[: len(cheap.lam)])
        np.testing.assert_allclose(dense.region.lam(NUMPY, n, size), _unmerged(dense), atol=2**-20)


def _unmerged(mix: ma.Mix) -> np.ndarray:
    """lam of a dense mix, from its weights at the visible pixels."""
    weight = mix.region.weight.astype(np.float64)
    seen = np.maximum((weight.sum(axis=0) > 0).sum(axis=(1, 2)), 1)
    shares = weight.sum(axis=(2, 3)) / seen
    shares[0, weight.sum(axis=(0, 2, 3)) == 0] = 1
    return shares


@pytest.mark.parametrize("recipe", TILES, ids=repr)
def test_rows_of_one_of_equal_the_chosen_recipe(recipe):
    """Windows, holes and fill of a row are those of its branch, regardless of the other rows."""
    n, size = 24, (11, 8)
    x = np.random.default_rng(0).integers(0, 256, (n, *size), np.uint8)
    for other in (ma.GridMix(), ma.RICAP(), ma.Cutout(fill=77), ma.CutMix(), ma.identity()):
        both = ma.one_of(recipe, other).draw(n, size, key=(0, 2)).images(x, ways.layout_of(x, None))
        alone = [
            ma.one_of(recipe, other, weights=w).draw(n, size, key=(0, 2)).images(x, ways.layout_of(x, None))
            for w in ((1, 0), (0, 1))
        ]
        chosen = [(both == one).all(axis=(1, 2)) for one in alone]
        assert (chosen[0] | chosen[1]).all()
        assert chosen[0].any()
        assert chosen[1].any()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ma.RICAP(beta=0), "RICAP beta: expected a finite number of 1e-09 or more and at most 1e.06, got 0"),
        (lambda: ma.Mosaic(tiles=1), "Mosaic tiles: expected a whole number of 2 or more and at most 16, got 1"),
        (lambda: ma.Mosaic(jitter=1.5), "Mosaic jitter: expected a finite number of 0 or more and at most 1, got 1.5"),
        (lambda: ma.ResizeMix(low=0), "ResizeMix low: expected a finite number above 0 and at most 1, got 0"),
        (lambda: ma.ResizeMix(high=0.05), "ResizeMix high: expected a finite number of 0.1 or more"),
    ],
)
def test_options_that_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
