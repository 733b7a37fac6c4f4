"""Contact sheets of videos, volumes and boxes in every format, with known pixels."""

from __future__ import annotations

import numpy as np
import pytest

import mixaug as ma
from mixaug import drawing

SIZE, GAP = (160, 160), 16  # large enough to be shown without scaling
COLOURS = np.array([[200, 30, 30], [30, 160, 40], [40, 60, 210], [230, 200, 20]], np.uint8)
LEFT, TOP, RIGHT, BOTTOM = 20, 30, 100, 130


def images(n: int = 4) -> np.ndarray:
    return np.broadcast_to(COLOURS[np.arange(n) % 4, None, None], (n, *SIZE, 3)).copy()


def pixels(*args, **options) -> np.ndarray:
    return np.asarray(ma.show(*args, **options).image)


@pytest.mark.parametrize(("layout", "shown"), [("nthwc", 0), ("ndhwc", 2)])
def test_the_first_frame_and_the_middle_slice_are_drawn(layout, shown):
    x = np.stack([np.full((4, *SIZE, 3), 50 * at, np.uint8) for at in range(5)], axis=1)
    sheet = pixels((x, np.arange(4)), fields={"images": ma.Images(layout=layout)})
    assert sheet[60, 60].tolist() == [50 * shown] * 3


@pytest.mark.parametrize(("channels", "colour"), [(1, [200, 200, 200]), (2, [200, 200, 200]), (5, [200, 30, 30])])
def test_other_numbers_of_channels_are_drawn_by_the_first_with_a_note(channels, colour):
    x = np.concatenate([images(), images()], axis=-1)[..., :channels]
    sheet = ma.show((x, np.arange(4)), fields={"images": ma.Images(layout="nhwc")})
    assert np.asarray(sheet.image)[60, 60].tolist() == colour
    assert bool(sheet.notes) == (channels != 1)


FORMATS = {
    "xyxy": [LEFT, TOP, RIGHT, BOTTOM],
    "yxyx": [TOP, LEFT, BOTTOM, RIGHT],
    "xywh": [LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP],
    "cxcywh": [(LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2, RIGHT - LEFT, BOTTOM - TOP],
}


def boxed(box, **options) -> np.ndarray:
    """The picture of row 0 of a sheet, with one box and one box without pixels."""
    empty = [5, 5, 0, 0] if options.get("format", "").endswith("wh") else [5, 5, 5, 5]
    boxes = {"boxes": np.float32([[box, empty]] * 4), "labels": np.full((4, 2), 2)}
    batch = {"images": images(), "labels": np.arange(4), "bounding_boxes": boxes}
    sheet = pixels(batch, fields={"bounding_boxes": ma.Boxes(**options)})
    top = GAP + SIZE[0] + drawing.SEAM
    return sheet[top : top + SIZE[0], GAP : GAP + SIZE[1]]


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("form", FORMATS)
def test_boxes_of_every_format_are_drawn_where_they_are(form, normalized):
    box = np.float32(FORMATS[form]) / (160 if normalized else 1)
    picture = boxed(box, format=form, normalized=normalized)
    edge = (picture == drawing.class_colour(3)).all(axis=-1)
    rows, columns = np.nonzero(edge[TOP + 20 :].any(axis=1))[0] + TOP + 20, np.nonzero(edge[TOP + 40])[0]
    assert abs(int(columns.min()) - LEFT) <= 2
    assert abs(int(columns.max()) - RIGHT) <= 2
    assert abs(int(rows.max()) - BOTTOM) <= 2
    assert not edge[TOP + 40, LEFT + 10 : RIGHT - 10].any()


def test_empty_boxes_are_not_drawn():
    alone = boxed([LEFT, TOP, RIGHT, BOTTOM])
    assert (alone[:10, :10] == COLOURS[0]).all()  # the second box of each image is empty


@pytest.mark.parametrize(("n", "count", "shown"), [(8, None, 8), (20, None, 12), (20, 3, 3), (2, 5, 2)])
def test_so_many_rows_are_drawn_at_most(n, count, shown):
    sheet = ma.show((images(n), np.arange(n)), **({} if count is None else {"count": count})).image
    columns = min(shown, 6)
    assert sheet.width == 2 * GAP + columns * SIZE[1] + (columns - 1) * drawing.GAP
    few = ma.show((images(shown), np.arange(shown))).image
    assert sheet.size == few.size


def test_negative_floats_are_scaled_by_their_range_with_a_note():
    x = images().astype("float32")
    x[0, 0, 0] = -55
    sheet = ma.show((x, np.arange(4)))
    assert sheet.notes == ("pixels are scaled from -55 .. 230",)
    want = np.rint((COLOURS[0].astype(float) + 55) * 255 / 285)
    np.testing.assert_allclose(np.asarray(sheet.image)[60, 60], want, atol=1)
