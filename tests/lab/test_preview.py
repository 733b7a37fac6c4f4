"""Previews: titles, maps and sources match the pixels."""

import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import mixaug as ma
from mixaug import drawing
from mixaug.lab import preview
from mixaug.lab.dataset import Data, Objects, Split
from mixaug.lab.errors import LabError
from mixaug.recipes import RECIPES

CLASSES = ("coat", "bag", "boot", "shirt", "dress", "hat")
BRANCHES = ma.one_of(ma.MixUp(sources=5), ma.CutMix(), ma.identity())
ALL = [*(recipe() for recipe in RECIPES), BRANCHES, ma.identity(), *(ma.MixUp(sources=k) for k in (3, 4, 5))]
KEY = (7, 3)


def solid(channels=3, size=(30, 20)):
    """Six images, one per class, each of one color: class i has gray level 40 i, or its own red, green and blue."""
    colours = np.array([[40 * i, 250 - 40 * i, (90 * i) % 256] for i in range(6)], np.uint8)[:, :channels]
    return labelled(np.broadcast_to(colours[:, None, None], (6, *size, channels)).copy(), np.arange(6))


def labelled(images, targets, classes=CLASSES, **options):
    """Samples, and their dataset."""
    split = Split(images, targets, options.pop("boxes", None))
    return split, Data("", classes, split, split, **options)


def mixes(recipe, channels=3, size=(30, 20)):
    return preview._Mixes(*solid(channels, size), recipe, KEY, 6)


def objects(classes=CLASSES, task="segmentation", ignore_index=None):
    """Solid images, each with one rectangular object of its class on a background of class 0."""
    split, _ = solid()
    masks, boxes = np.zeros((6, 30, 20), np.uint8), np.full((6, 2, 4), -1, np.float32)
    for i in range(1, 6):
        left, top = 2 * i, 3 * i
        masks[i, top : top + 9, left : left + 8] = i
        boxes[i, 0] = left, top, left + 8, top + 9
    labels = np.stack([np.where(np.arange(6) > 0, np.arange(6), -1), np.full(6, -1)], axis=1)
    boxes = Objects(boxes=boxes, labels=labels)
    return labelled(split.images, masks, classes, task=task, ignore_index=ignore_index, boxes=boxes)


def said(terms):
    """The weight of each class in a title."""
    lam = dict.fromkeys(CLASSES, 0.0)
    for term in terms:
        number, name = re.fullmatch(r"(\d\.\d\d) (\w+)", term).groups()
        lam[name] += float(number)
    return lam


@pytest.mark.parametrize("recipe", ALL, ids=repr)
def test_the_title_matches_the_pixels(recipe):
    drawn = mixes(recipe)
    colours = solid()[0].images[:, 0, 0].astype(float)
    for i in range(6):
        pixels = drawn.outputs[i][drawn.weight[:, i].sum(axis=0) > 0.5].astype(float).mean(axis=0)  # holes do not count
        title = drawn.terms(i)
        numbers = [float(term.split()[0]) for term in title]
        assert numbers == sorted(numbers, reverse=True)
        assert all(numbers)
        claimed = np.array(list(said(title).values())) @ colours
        assert pixels == pytest.approx(claimed, abs=0.005 * 255 * max(2, recipe.sources))


@pytest.mark.parametrize("recipe", ALL, ids=repr)
def test_the_overlay_is_colored_by_the_pixel_weights(recipe):
    images = solid()[0].images
    drawn = mixes(recipe)
    weight = recipe.draw(6, (30, 20), key=KEY).pixel_weights().astype(float)
    for i in range(6):
        expected = sum(w[..., None] * np.array(drawing.PALETTE[j]) for j, w in enumerate(weight[:, i]))
        expected = expected + (1 - weight[:, i].sum(axis=0))[..., None] * np.array(drawing.FAINT)
        expected = 0.7 * expected + 0.3 * drawn.outputs[i].mean(axis=-1, keepdims=True)
        factor = drawn.overlay(i).width // images.shape[2]
        shown = np.asarray(drawn.overlay(i), float)[::factor, ::factor]
        assert np.abs(shown - expected).max() <= 0.51


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("recipe", ALL, ids=repr)
def test_sheet_shows_each_picture_in_its_column(recipe, channels):
    drawn = mixes(recipe, channels)
    picture = np.asarray(preview.sheet(*solid(channels), recipe, key=KEY, rows=3))
    top = 0
    for i in range(3):
        row = [np.asarray(cell) for cell in drawn.row(i)]
        assert len(row) == 2 + recipe.sources
        tops = [find(picture, cell, j * (drawn.cell + 16) + 32, top) for j, cell in enumerate(row)]
        assert len(set(tops)) == 1
        top = tops[0] + 1


def find(picture, cell, left, top):
    """The first row, from `top` on, at which the cell occurs in the picture."""
    height, width = cell.shape[:2]
    strip = picture[:, left : left + width]
    return next(y for y in range(top, len(strip) - height + 1) if np.array_equal(strip[y : y + height], cell))


def test_a_hole_belongs_to_no_source():
    """Holes are pale gray, regardless of their fill, unlike all sources."""
    drawn = mixes(ma.Cutout(side=0.5, fill=255))
    for i in range(6):
        hole = drawn.mix.pixel_weights()[0, i] == 0
        overlay = np.asarray(drawn.overlay(i))[::5, ::5][: hole.shape[0], : hole.shape[1]]
        assert hole.any()
        assert np.ptp(overlay[hole].astype(int), axis=1).max() <= 4
        assert overlay[hole].min() > 200 > overlay[~hole][:, 0].max()


def test_a_window_has_the_color_of_its_source():
    drawn = mixes(ma.Mosaic())
    for i in range(6):
        colours = {tuple(c) for c in np.asarray(drawn.overlay(i)).reshape(-1, 3).tolist()}
        assert len(colours) == (drawn.mix.lam[:, i] > 0).sum()


def test_a_strip_shows_each_output_with_its_overlay_and_lam():
    drawn = mixes(ma.RICAP())
    picture = np.asarray(preview.strip(*solid(), ma.RICAP(), key=KEY, count=3))
    width = 2 * drawn.cell + 4
    assert picture.shape[1] == 3 * width + 2 * 16
    for i in range(3):
        assert find(picture, np.asarray(drawn.mixed(i)), i * (width + 16), 0) == 0
        assert find(picture, np.asarray(drawn.overlay(i)), i * (width + 16) + drawn.cell + 4, 0) == 0
    beneath = picture[np.asarray(drawn.mixed(0)).shape[0] :]
    assert (beneath != 255).any()


def test_the_family_has_a_titled_row_for_each_recipe(monkeypatch):
    titles = []
    paragraph = preview.paragraph
    monkeypatch.setattr(
        preview,
        "paragraph",
        lambda parts, joint, *rest: titles.append(joint.join(parts)) or paragraph(parts, joint, *rest),
    )
    recipes = [ma.CutMix(), ma.RandomErasing(), ma.MixUp(sources=5)]
    picture = np.asarray(preview.family(*solid(), recipes, key=KEY, count=2))
    assert titles == list(map(repr, recipes))
    top = 0
    for recipe in recipes:
        strip = np.asarray(preview.strip(*solid(), recipe, key=KEY, count=2))
        top = find(picture, strip, 32, top) + 1


def test_sources_have_their_image_and_class_in_their_color(monkeypatch):
    lines = []
    line = drawing.line
    monkeypatch.setattr(
        drawing,
        "line",
        lambda text, font, colour, width: lines.append((text, colour)) or line(text, font, colour, width),
    )
    images = solid()[0].images
    drawn = mixes(ma.MixUp(sources=3))
    for i in range(6):
        for j in range(3):
            lines.clear()
            row = int(drawn.mix.index[j, i])
            assert np.asarray(drawn.source(i, j))[0, 0].tolist() == images[row, 0, 0].tolist()
            assert lines == [(CLASSES[row], drawing.PALETTE[j])]
        assert drawn.mix.index[0, i] == i


def test_a_source_with_lam_zero_is_blank():
    drawn = mixes(BRANCHES)
    unused = np.argwhere(drawn.mix.lam == 0)
    assert len(unused) > 6
    for j, i in unused:
        assert len(np.unique(np.asarray(drawn.source(i, j)))) <= 3
        assert drawn.source(i, j).getpixel((0, 0)) == drawing.FAINT


def test_sources_come_from_all_images_not_only_the_visible_ones():
    given = labelled(np.zeros((40, 8, 8, 1), np.uint8), np.arange(40) % 6)
    drawn = preview._Mixes(*given, ma.CutMix(), KEY, 3)
    assert drawn.mix.index[1, :3].max() >= 3


def test_titles_list_equal_classes_separately_and_omit_tiny_weights():
    assert preview.terms([0.3, 0.004, 0.696], ["coat", "bag", "coat"]) == ["0.70 coat", "0.30 coat"]
    assert preview.terms([1.0], ["bag"]) == ["1.00 bag"]


def test_equal_sources_of_a_single_image_are_merged():
    split, data = solid()
    drawn = preview._Mixes(split.take([0]), data, ma.MixUp(sources=3), KEY, 6)
    assert drawn.terms(0) == ["1.00 coat"]
    assert drawn.mix.lam[:, 0].tolist() == [1, 0, 0]
    assert len(drawn.overlay(0).getcolors()) == 1


@pytest.mark.parametrize(
    "name", ["x" * 300, "many words " * 40, "line\nbreak\ttab", "\x00\x1b[31m", "<b>&amp;", "Größe ß λ"]
)
@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.MixUp(sources=5)], ids=repr)
def test_text_stays_out_of_the_margin(name, recipe):
    split, _ = solid()
    for given in (labelled(split.images, split.targets, (name,) * 6), objects((name,) * 6)):
        sheet = preview.sheet(*given, recipe, key=KEY)
        fed = preview.fed(*given, recipe, KEY)
        for picture, margin in ((sheet, 32), (fed, 16)):
            ink = np.argwhere((np.asarray(picture) != 255).any(axis=2))
            assert ink.min() >= margin
            assert (ink.max(axis=0) < np.array(picture.size[::-1]) - margin).all()


def test_fed_shows_up_to_twelve():
    one, two = (
        preview.fed(*labelled(np.zeros((n, 8, 8, 1), np.uint8), np.zeros(n, int), ("coat",)), ma.identity(), KEY)
        for n in (6, 30)
    )
    assert one.width == two.width
    assert two.height > 1.8 * (one.height - 32)
    assert two.height < 2.2 * one.height


def test_same_key_same_sheet_and_inputs_untouched():
    for given in (solid(), objects()):
        before = [x.copy() for x in given[0].arrays()]
        first, again = (preview.sheet(*given, BRANCHES, key=KEY) for _ in range(2))
        other = preview.sheet(*given, BRANCHES, key=(7, 4))
        assert first.tobytes() == again.tobytes() != other.tobytes()
        assert all(map(np.array_equal, given[0].arrays(), before))


def test_colors_are_legible_as_text_and_differ_for_color_blind_readers():
    def luminance(colour):
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(colour) / 255]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    for colour in drawing.PALETTE:
        assert 1.05 / (luminance(colour) + 0.05) >= 4.5
    # Viénot et al. 1999: colors for protanopes and deuteranopes, in linear RGB; the first two colors matter most
    blind = {
        "protan": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
        "deutan": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
    }
    for matrix in blind.values():
        seen = np.array([(np.array(c) / 255) ** 2.2 for c in drawing.PALETTE[:3]]) @ np.array(matrix).T
        seen = seen.clip(0, 1) ** (1 / 2.2)
        for a in range(3):
            for b in range(a):
                assert np.abs(seen[a] - seen[b]).max() > 0.12


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rows": 0}, "expected 1 to 100 rows, got 0: 6 fit a screen"),
        ({"recipe": ma.MixUp(sources=17)}, "expected a recipe of 16 sources at most, got 17"),
        ({"split": Split(np.zeros((6, 8, 8, 3)), np.arange(6))}, "expected uint8 images"),
        ({"split": Split(solid()[0].images, np.arange(5))}, "expected int64 labels"),
        ({"data": replace(solid()[1], classes=CLASSES[:3])}, "expected labels in 0..2, got 3"),
        ({"data": replace(solid()[1], task="segmentation")}, "expected uint8 masks (6, 30, 20), got int64 (6,)"),
    ],
)
def test_wrong_inputs_raise(change, sentence):
    given = dict(zip(("split", "data"), solid(), strict=True)) | {"recipe": ma.CutMix(), "key": KEY} | change
    with pytest.raises(LabError, match=re.escape(sentence)):
        preview.sheet(**given)


# --- masks, boxes, target images ---


def parts(picture, count):
    """The pictures of a column of pictures of equal height, without the seams."""
    height = (picture.height - 4 * (count - 1)) // count
    return [
        np.asarray(picture.crop((0, top, picture.width, top + height))) for top in range(0, picture.height, height + 4)
    ]


@pytest.mark.parametrize(
    "recipe", [pytest.param(r, marks=() if i % 3 == 0 else pytest.mark.full) for i, r in enumerate(ALL)], ids=repr
)
def test_the_displayed_mask_is_the_mixed_one(recipe):
    split, data = objects(ignore_index=3)
    drawn = preview._Mixes(split, data, recipe, KEY, 6)
    mix = recipe.draw(6, (30, 20), key=KEY)
    images, masks = mix.images(split.images), mix.masks(split.targets, 3)
    for i in range(6):
        expected = drawing.shown(drawing.veiled(images[i], masks[i], 3))
        assert np.array_equal(parts(drawn.row(i)[0], 2)[0], np.asarray(drawing.shown(images[i])))
        assert np.array_equal(parts(drawn.row(i)[0], 2)[1], np.asarray(expected))
        assert [np.asarray(one).tolist() for one in drawn.target(i)] == [np.asarray(expected).tolist()]


def test_mixed_boxes_are_drawn_with_their_visible_fraction(monkeypatch):
    given = []
    boxed = drawing.boxed
    monkeypatch.setattr(preview, "boxed", lambda *args: given.append(args) or boxed(*args))
    split, data = objects()
    for recipe in (ma.CutMix(), ma.MixUp(), ma.Mosaic(), ma.Cutout()):
        drawn = preview._Mixes(split, data, recipe, KEY, 6)
        mixed = drawn.mix.boxes(split.boxes["boxes"], split.boxes["labels"])
        some = 0
        for i in range(6):
            given.clear()
            (picture,) = drawn.objects(i)
            (image, boxes, names, notes) = given[0]
            valid = mixed.weight[i] > 0
            assert np.array_equal(image, drawn.outputs[i])
            assert boxes.tolist() == mixed.boxes[i][valid].tolist()
            assert [name for _, name in names] == [CLASSES[c] for c in mixed.labels[i][valid]]
            assert [colour for colour, _ in names] == [drawing.class_colour(c) for c in mixed.labels[i][valid].tolist()]
            assert notes == [f"{weight:.2f}" for weight in mixed.weight[i][valid]]
            assert np.array_equal(parts(drawn.row(i)[1], 2)[1], np.asarray(picture))
            some += len(boxes)
        assert some > 3


def test_sources_have_their_boxes_and_masks():
    split, data = objects()
    drawn = preview._Mixes(split, data, ma.MixUp(sources=3), KEY, 6)
    for i in range(6):
        for j in range(3):
            row = int(drawn.mix.index[j, i])
            image, mask = split.images[row], split.targets[row]
            box = split.boxes["boxes"][row][: 1 if row else 0]
            shown = drawing.boxed(image, box, [(drawing.class_colour(row), CLASSES[row])] * len(box), [""] * len(box))
            veil = drawing.shown(drawing.veiled(image, mask))
            column = np.asarray(drawn.source(i, j))[:, : shown.width]
            assert np.array_equal(column[: shown.height], np.asarray(shown))
            assert np.array_equal(column[shown.height + 4 :][: shown.height], np.asarray(veil))
            assert column[2 * shown.height + 4, 0].tolist() == list(drawing.PALETTE[j])


def test_sources_of_masks_are_named_by_their_numbers():
    drawn = preview._Mixes(*objects(), ma.CutMix(), KEY, 6)
    for i in range(6):
        assert drawn.names(i) == [f"image {row + 1}" for row in drawn.mix.index[:, i]]


def test_target_images_are_mixed_and_shown():
    split, _ = solid(1)
    targets = 255 - solid(3)[0].images
    given = labelled(split.images, targets, (), task="image2image")
    drawn = preview._Mixes(*given, ma.CutMix(), KEY, 6)
    mixed = drawn.mix.images(targets)
    for i in range(6):
        assert np.array_equal(parts(drawn.row(i)[0], 2)[1], np.asarray(drawing.shown(mixed[i])))
        assert len(drawn.objects(i)) == 0
        for j in range(2):
            column = np.asarray(drawn.source(i, j))
            assert column[154, 0].tolist() == targets[drawn.mix.index[j, i], 0, 0].tolist() or not drawn.mix.lam[j, i]
    assert preview.sheet(*given, ma.CutMix(), key=KEY).mode == "RGB"


def test_the_legend_lists_the_classes_in_the_masks_and_ignored_pixels(monkeypatch):
    named = []
    legend = drawing.legend
    monkeypatch.setattr(preview, "legend", lambda entries, width: named.append(entries) or legend(entries, width))
    split, data = objects(ignore_index=3)
    colour = drawing.class_colour
    expected = [(colour(0), "coat"), (colour(1), "bag"), (colour(5), "hat"), (drawing.FAINT, "ignored")]
    for some, wanted in ((split.take([0, 1, 5, 3]), expected), (split.take([1]), expected[:2])):
        for make in (
            lambda split: preview.sheet(split, data, ma.CutMix(), key=KEY),
            lambda split: preview.family(split, data, [ma.CutMix(), ma.RICAP()], key=KEY),
            lambda split: preview.fed(split, data, ma.CutMix(), KEY),
        ):
            named.clear()
            make(some)
            assert named == [wanted]


def test_strips_and_contact_sheets_show_the_target_next_to_the_image():
    split, data = objects()
    plain = labelled(split.images, np.arange(6))
    drawn = preview._Mixes(split, data, ma.CutMix(), KEY, 6)
    strip, fed = (
        np.asarray(x)
        for x in (preview.strip(split, data, ma.CutMix(), key=KEY, count=2), preview.fed(split, data, ma.CutMix(), KEY))
    )
    assert strip.shape[1] == 2 * (3 * drawn.cell + 8) + 16
    assert preview.strip(*plain, ma.CutMix(), key=KEY, count=2).width == 2 * (2 * drawn.cell + 4) + 16
    for i in range(2):
        mask = np.asarray(drawn.target(i)[0])
        assert find(strip, mask, i * (3 * drawn.cell + 24) + 2 * (drawn.cell + 4), 0) == 0
        assert find(fed, mask, 16 + i * (drawn.cell + 16), 0) == 16 + len(mask) + 4


@pytest.mark.parametrize("count", [0, 13])
def test_a_family_without_size_raises(count):
    with pytest.raises(LabError, match=f"expected 1 to 12 images of each recipe, got {count}: 4 fit a screen"):
        preview.family(*solid(), [ma.CutMix()], key=KEY, count=count)


def test_save_creates_the_folder_and_no_other_files(tmp_path):
    path = tmp_path / "a" / "b" / "sheet.png"
    for colour in ("red", "blue"):
        preview.save(Image.new("RGB", (3, 2), colour), path)
    assert list(path.parent.iterdir()) == [path]
    with Image.open(path) as image:
        assert (image.format, image.size, image.getpixel((0, 0))) == ("PNG", (3, 2), (0, 0, 255))


def test_save_raises_one_sentence_and_keeps_existing_files(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(LabError, match=r"expected to write .*x\.png, got .*: name a file in a folder"):
        preview.save(Image.new("RGB", (1, 1)), tmp_path / "file" / "x.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(LabError, match="expected to write"):
        preview.save(Image.new("RGB", (1, 1)), tmp_path / "folder.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]
