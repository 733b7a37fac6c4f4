"""Drawing: enlarged images, masks and boxes, text that fits."""

import re

import numpy as np
import pytest

from mixaug import drawing


@pytest.mark.parametrize(
    ("size", "shown"),
    [((28, 28), (168, 168)), ((32, 16), (80, 160)), ((150, 150), (150, 150)), ((512, 256), (128, 256))],
)
def test_small_images_are_enlarged_pixel_by_pixel_and_large_ones_reduced(size, shown):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    picture = drawing.shown(pixels)
    assert picture.size == shown
    if shown[1] >= size[0]:
        factor = shown[1] // size[0]
        assert np.array_equal(np.asarray(picture), pixels.repeat(factor, 0).repeat(factor, 1))


def test_long_names_end_in_an_ellipsis():
    font = drawing.font(13)
    assert drawing.fitting("coat", font, 144) == "coat"
    short = drawing.fitting("a coat with a long name", font, 144)
    assert re.fullmatch(r"a coat with .*\S…", short)
    assert font.getlength(short) <= 144 < font.getlength(short + "mm")


def test_long_titles_are_wrapped_between_sources():
    font = drawing.font(15, bold=True)
    one, three = (drawing.paragraph(["0.33 ankle boot"] * k, " + ", font, 200) for k in (1, 3))
    assert three.height > 2 * one.height
    assert three.width == 200


def test_class_colours_differ_and_come_again():
    colours = [drawing.class_colour(i) for i in range(19)]
    assert len(set(colours)) == 19
    apart = [max(map(abs, np.subtract(a, b).tolist())) for i, a in enumerate(colours) for b in colours[:i]]
    assert min(apart) > 15
    assert [drawing.class_colour(i) for i in (19, 36, 37)] == [colours[1], colours[18], colours[1]]
    assert np.ptp(colours[0]) == 0
    assert all(np.ptp(colour) > 30 for colour in colours[1:])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_mask_is_a_veil_of_class_colours_over_the_grey_image(channels):
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (9, 7, channels)).astype(np.uint8)
    mask = random.integers(0, 5, (9, 7)).astype(np.uint8)
    mask[0] = 255
    veil = drawing.veiled(image, mask, 255)
    for down, across in np.ndindex(9, 7):
        i = int(mask[down, across])
        colour = np.array(drawing.FAINT if i == 255 else drawing.class_colour(i))
        assert np.abs(veil[down, across] - (0.6 * colour + 0.4 * image[down, across].mean())).max() <= 0.51
    assert (drawing.veiled(image, mask)[0] != veil[0]).any()


def test_boxes_are_drawn_at_their_edges():
    """Pixel p of the image is the square [8 p, 8 p + 8) of its picture."""
    colour, other = (255, 0, 0), (0, 255, 0)
    boxes = np.array([[2, 3, 9, 11], [0, 0, 18, 18]], np.float32)
    picture = np.asarray(drawing.boxed(np.zeros((18, 18, 1), np.uint8), boxes, [(colour, ""), (other, "")], ["", ""]))
    for (left, top, right, bottom), ink in zip((8 * boxes.astype(int)).tolist(), (colour, other), strict=True):
        down, across = np.nonzero((picture == ink).all(axis=-1))
        assert (across.min(), down.min(), across.max() + 1, down.max() + 1) == (left, top, right, bottom)
        assert (picture[bottom - 2 : bottom, left:right] == ink).all()
        assert (picture[top:bottom, right - 2 : right] == ink).all()
    assert (picture[40:80, 30:60] == 0).all()


def test_tags_are_shortened_to_their_box(monkeypatch):
    tags = []
    monkeypatch.setattr(drawing, "_tag", lambda *given: tags.append(given[3]))
    image, blue = np.zeros((160, 160, 1), np.uint8), (0, 0, 255)
    boxes = np.array([[0, 0, 12, 30], [0, 0, 150, 150], [40, 40, 60, 60]], np.float32)
    drawing.boxed(image, boxes, [(blue, "boot"), (blue, "coat"), (blue, "hat")], ["0.30", "0.50", ""])
    assert tags == ["coat 0.50", "hat", "0.30"]  # the smallest last, so that larger ones do not hide it


def test_tags_stay_in_the_picture():
    image, blue = np.zeros((160, 160, 1), np.uint8), (0, 0, 255)
    boxes = np.array([[155, 155, 160, 160]], np.float32)
    for name in ("coat", "a coat with a name that is too long for any picture of this size"):
        picture = np.asarray(drawing.boxed(image, boxes, [(blue, name)], [""]))
        assert (picture == drawing.PAPER).all(axis=-1).sum() > 20  # letters
        assert (picture == blue).all(axis=-1).sum() > 100


def test_an_image_without_boxes_is_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (160, 150, 3)).astype(np.uint8)
    assert np.array_equal(np.asarray(drawing.boxed(image, np.zeros((0, 4), np.float32), [], [])), image)


@pytest.mark.parametrize("width", [60, 200, 900])
def test_the_legend_has_a_square_of_each_colour_in_its_width(width):
    colours = [drawing.class_colour(i) for i in range(12)]
    legend = drawing.legend([(colour, "a long name " * 3) for colour in colours], width)
    assert legend.width == width
    pixels = np.asarray(legend)
    squares = [np.argwhere((pixels == colour).all(axis=-1)) for colour in colours]
    assert all(len(square) == 100 for square in squares)
    assert all((square.max(axis=0) - square.min(axis=0) == 9).all() for square in squares)
    places = [tuple(square.min(axis=0)) for square in squares]
    assert places == sorted(places)
