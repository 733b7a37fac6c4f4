"""Pairs from two folders: each image stays with its target, and what is wrong is refused by the name of its file."""

import re

import numpy as np
import pytest
from PIL import Image

from mixaug.lab.data import load
from mixaug.lab.errors import LabError
from mixaug.lab.pairs import two_folders

SIZE = (24, 16)  # width, height


def save(array, path, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    (array if isinstance(array, Image.Image) else Image.fromarray(array, mode)).save(path, **options)


def plain(level, mode="L", size=SIZE):
    return Image.new(mode, size, level)


def halves(*ids):
    """A mask with a stripe for each id."""
    return np.repeat(np.resize(np.array(ids, np.uint8), SIZE[1])[:, None], SIZE[0], axis=1)


def fill(root, count=10, mask=lambda _: halves(0, 1)):
    """Image i is of grey level 10 i."""
    for i in range(count):
        save(plain(10 * i), root / "x" / f"{i}.png")
        save(mask(i), root / "y" / f"{i}.png")
    return f"folders:{root}/x,{root}/y"


def segmentation(spec, **options):
    return load(spec, task="segmentation", **{"image_size": 16, **options})


def refused(spec, sentence, **options):
    with pytest.raises(LabError, match=sentence) as raised:
        segmentation(spec, **options)
    assert "\n" not in str(raised.value)


# --- who belongs to whom, and to which split ---


def test_pairs_are_split_by_the_seed_and_keep_their_masks(tmp_path):
    spec = fill(tmp_path, 20, lambda i: halves(*range(i + 1), 0))

    def held_out(seed):
        data = segmentation(spec, seed=seed)
        levels = [split.images[:, 0, 0, 0].tolist() for split in (data.train, data.test)]
        assert sorted(levels[0] + levels[1]) == list(range(0, 200, 10))
        assert [len(split) for split in (data.train, data.test)] == [16, 4]
        for split in (data.train, data.test):
            for image, mask in zip(split.images, split.targets, strict=True):
                assert min(image[0, 0, 0] // 10, 15) == mask.max()  # 16 rows hold the ids 0..15
        return levels[1]

    assert held_out(3) == held_out(3) != held_out(4)


def test_what_it_is(tmp_path):
    spec = fill(tmp_path)
    data = load(spec, task="segmentation")
    assert (data.name, data.task, data.classes, data.ignore_index) == (spec, "segmentation", ("0", "1"), None)
    assert (data.size, data.channels, data.train.targets.shape) == ((128, 128), 1, (8, 128, 128))
    assert data.train.targets.dtype == np.uint8
    assert data.train.boxes is None


@pytest.mark.parametrize("held_out", ["test", "val"])
def test_folders_with_their_own_splits(tmp_path, held_out):
    for part, level, ids in (("train", 10, (0, 1)), (held_out, 90, (2, 1))):
        for i in range(3):
            save(plain(level), tmp_path / "x" / part / f"{i}.png")
            save(halves(*ids), tmp_path / "y" / part / f"{i}.png")
    save(plain(200), tmp_path / "x" / "left-out.png")
    data = segmentation(f"folders:{tmp_path}/x,{tmp_path}/y")
    for split, level, ids in ((data.train, 10, [0, 1]), (data.test, 90, [1, 2])):
        assert np.unique(split.images).tolist() == [level]
        assert np.unique(split.targets).tolist() == ids
    assert data.classes == ("0", "1", "2")


def test_partners_have_one_stem_and_any_format(tmp_path):
    for name in ("a.b.BMP", "c.jpeg", "d.webp", "e.gif", "f.tiff"):
        save(plain(50), tmp_path / "x" / name)
        save(halves(0, 1), tmp_path / "y" / f"{name.rpartition('.')[0]}.png")
    data = segmentation(f"folders:{tmp_path}/x,{tmp_path}/y")
    assert len(data.train) + len(data.test) == 5
    assert np.abs(data.train.images.astype(int) - 50).max() <= 2


def test_hidden_files_and_other_files_are_left_out(tmp_path):
    spec = fill(tmp_path, 3)
    for name in ("x/.hidden.png", "y/notes.txt", "x/Thumbs.db", "y/table.h5", "x/0.txt"):
        (tmp_path / name).write_bytes(b"no image")
    (tmp_path / "x" / "nested.png").mkdir()
    data = segmentation(spec)
    assert len(data.train) + len(data.test) == 3


@pytest.mark.parametrize(("here", "there"), [("x", "y"), ("y", "x")])
def test_a_missing_partner_is_named(tmp_path, here, there):
    spec = fill(tmp_path)
    (tmp_path / there / "3.png").unlink()
    refused(spec, f"^expected a partner for {tmp_path}/{here}/3.png in {tmp_path}/{there}, got none: add its partner")


@pytest.mark.parametrize("folder", ["x", "y"])
def test_two_files_of_one_stem_are_named(tmp_path, folder):
    spec = fill(tmp_path)
    save(plain(0), tmp_path / folder / "3.bmp")
    refused(
        spec, f"^expected one image of each stem in {tmp_path}/{folder}, got 3.bmp and 3.png: rename or remove one$"
    )


@pytest.mark.parametrize("folder", ["x", "y"])
def test_another_size_is_named(tmp_path, folder):
    spec = fill(tmp_path)
    save(plain(0, size=(16, 24)), tmp_path / folder / "3.png")
    came = "16 x 24 and 24 x 16" if folder == "x" else "24 x 16 and 16 x 24"
    refused(spec, f"^expected one size of {tmp_path}/x/3.png and {tmp_path}/y/3.png, got {came}: pair those that fit$")


def test_folders_that_are_none(tmp_path):
    fill(tmp_path)
    refused(f"folders:{tmp_path}/x,{tmp_path}/z", f"^expected a folder of images, got {tmp_path}/z: no such folder$")
    refused(f"folders:{tmp_path}/x/0.png,{tmp_path}/y", "0.png: a file: name the folder that holds it$")


def test_an_empty_folder(tmp_path):
    spec = fill(tmp_path)
    for file in (tmp_path / "y").iterdir():
        file.unlink()
    refused(spec, f"^expected images in {tmp_path}/y, got none: add some, or give both folders sub-folders train and")


def test_splits_in_one_folder_alone(tmp_path):
    for part in ("train", "test"):
        fill(tmp_path / part, 2)
        (tmp_path / "x").mkdir(exist_ok=True)
        (tmp_path / part / "x").rename(tmp_path / "x" / part)
        (tmp_path / part / "y").rename(tmp_path / "y") if part == "train" else None
    refused(f"folders:{tmp_path}/x,{tmp_path}/y", f"^expected images in {tmp_path}/x, got none: .* both folders")


def test_one_pair(tmp_path):
    sentence = f"^expected two pairs or more, got 1 in {tmp_path}/x and {tmp_path}/y: add some, to train and to test$"
    refused(fill(tmp_path, 1), sentence)
    assert len(segmentation(fill(tmp_path, 2)).test) == 1


# --- the text that names them ---


def test_commas_in_names_where_one_way_to_part_them_finds_folders(tmp_path):
    fill(tmp_path)
    (tmp_path / "y").rename(tmp_path / "y,2")
    assert len(segmentation(f"folders:{tmp_path}/x,{tmp_path}/y,2").test) == 2
    fill(tmp_path)
    (tmp_path / "x").rename(tmp_path / f"x,{'y'}")
    assert two_folders(f"{tmp_path}/x,y,{tmp_path}/y") == (tmp_path / "x,y", tmp_path / "y")


@pytest.mark.parametrize("text", ["", "a", ",", "a,", ",b", "a,b,c"])
def test_a_text_that_names_no_two_folders(text):
    sentence = f"^expected folders:IMAGES,TARGETS, got {re.escape(repr(text))}: name two folders with one comma between"
    refused(f"folders:{text}", sentence)


def test_a_text_with_two_ways_to_part_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b,c", "a,b", "c"):
        (tmp_path / name).mkdir()
    refused("folders:a,b,c", "got 'a,b,c': name two folders with one comma between them")


# --- masks ---


def test_masks_by_index_or_level(tmp_path):
    ids = halves(0, 1, 2, 2)
    fill(tmp_path, 1, lambda _: ids)
    palette = Image.fromarray(ids, "P")
    palette.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    deep, wide = Image.fromarray(ids.astype(np.uint16)), Image.fromarray(ids.astype(np.int32))
    for i, (mask, suffix) in enumerate(((palette, "png"), (palette, "gif"), (deep, "png"), (wide, "tiff")), 1):
        save(plain(0), tmp_path / "x" / f"{i}.png")
        save(mask, tmp_path / "y" / f"{i}.{suffix}")
    data = segmentation(f"folders:{tmp_path}/x,{tmp_path}/y")
    assert data.classes == ("0", "1", "2")
    for mask in np.concatenate([data.train.targets, data.test.targets]):
        assert mask[:, 0].tolist() == ids[:, 0].tolist()


def test_black_and_white_masks(tmp_path):
    data = segmentation(fill(tmp_path, 4, lambda _: Image.fromarray(halves(0, 255)).convert("1")))
    assert data.classes == ("0", "1")
    assert data.train.targets[0][:, 0].tolist() == [0, 1] * 8


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "F", "CMYK"])
def test_masks_of_colours_are_refused(tmp_path, mode):
    spec, suffix = fill(tmp_path, 3), "png" if mode in ("RGB", "RGBA", "LA") else "tiff"
    (tmp_path / "y" / "1.png").unlink()
    save(plain(0, mode), tmp_path / "y" / f"1.{suffix}")
    sentence = (
        f"^expected a mask of one id a pixel, got {tmp_path}/y/1.{suffix} of mode {mode}: save each pixel's class"
    )
    refused(spec, sentence)


@pytest.mark.parametrize("size", [5, 16, 40])
def test_masks_are_resized_by_the_nearest_pixel(tmp_path, size):
    ids = np.random.default_rng(0).integers(0, 7, SIZE[::-1]).astype(np.uint8)
    data = segmentation(fill(tmp_path, 2, lambda _: ids), image_size=size)
    down, across = (((np.arange(size) + 0.5) * length / size).astype(int) for length in ids.shape)
    assert np.array_equal(data.train.targets[0], ids[down][:, across])


def test_ids_with_a_gap_are_refused_with_the_ways_out(tmp_path):
    spec = fill(tmp_path, 5, lambda i: halves(0, 255 if i == 3 else 1))
    sentence = f"^expected mask ids 0, 1, ... without a gap, got 255 in {tmp_path}/y/3.png and nowhere 2: say "
    refused(spec, sentence + "--ignore-index 255 if its pixels are to be left out, --classes with all names if some")
    data = segmentation(spec, ignore_index=255)
    assert (data.classes, data.ignore_index) == (("0", "1"), 255)
    assert np.unique(np.concatenate([data.train.targets, data.test.targets])).tolist() == [0, 1, 255]


def test_classes_name_ids_that_do_not_occur(tmp_path):
    spec = fill(tmp_path, 5, lambda _: halves(0, 2))
    refused(spec, "got 2 in .* and nowhere 1")
    assert segmentation(spec, classes=("ground", "sky", "tree")).classes == ("ground", "sky", "tree")


def test_an_ignored_id_among_the_classes_leaves_no_gap(tmp_path):
    data = segmentation(fill(tmp_path, 5, lambda _: halves(1, 2)), ignore_index=0)
    assert (data.classes, data.ignore_index) == (("0", "1", "2"), 0)


def test_an_id_that_resizing_leaves_out_counts(tmp_path):
    mask = halves(0, 1)
    mask[0, 0] = 2
    assert segmentation(fill(tmp_path, 2, lambda _: mask), image_size=3).classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("ids", "options", "sentence"),
    [
        ((0, 7), {"classes": ("a", "b")}, r"^expected mask ids in 0..1, got 7 in {}/y/\d.png: name its class too, say"),
        ((0, 7), {"classes": ("a", "b"), "ignore_index": 255}, r"in 0..1 or 255 \(ignored\), got 7 in {}/y/\d.png"),
        ((0, 1), {"classes": ("a", "a")}, "^expected classes of different names, got a, a: rename what comes twice$"),
        ((0, 1), {"ignore_index": 256}, "^expected an ignore index of 0 to 255, got 256: masks are kept in bytes$"),
        ((0, 0), {}, "^expected two classes or more, got 1: give the background an id of its own$"),
        ((5, 5), {"ignore_index": 5}, "^expected two classes or more, got 0: give the background"),
    ],
)
def test_ids_that_are_no_classes(tmp_path, ids, options, sentence):
    refused(fill(tmp_path, 3, lambda _: halves(*ids)), sentence.format(tmp_path), **options)


def test_ids_that_no_byte_holds(tmp_path):
    spec = fill(tmp_path, 3)
    save(halves(0, 1).astype(np.uint16) * 300, tmp_path / "y" / "1.png")
    refused(spec, f"^expected mask ids of 0 to 255, got 300 in {tmp_path}/y/1.png: renumber them$")


# --- images ---


def test_images_are_antialiased_and_grey_only_if_all_are(tmp_path):
    spec = fill(tmp_path, 2)
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 200
    for i in range(2):
        save(stripes, tmp_path / "x" / f"{i}.png")
        save(np.resize(np.array([0, 1], np.uint8), (64, 64)), tmp_path / "y" / f"{i}.png")
    data = segmentation(spec, image_size=8)
    assert data.channels == 1
    assert np.abs(data.train.images.astype(int) - 100).max() <= 12
    save(np.stack([stripes] * 3, -1), tmp_path / "x" / "0.png")
    data = segmentation(spec, image_size=8)
    assert data.train.images.shape[-1] == data.test.images.shape[-1] == 3


def test_image_and_mask_stand_upright(tmp_path):
    spec, exif = fill(tmp_path, 2), Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    for i in range(2):
        save(halves(0, 1)[:, ::-1], tmp_path / "y" / f"{i}.png", exif=exif)
        save(255 * halves(0, 1), tmp_path / "x" / f"{i}.png", exif=exif)
    data = segmentation(spec)
    assert np.ptp(data.train.targets[0], axis=0).max() == 0  # stripes stand now
    save(plain(0, size=SIZE[::-1]), tmp_path / "x" / "0.png")
    assert segmentation(spec).size == (16, 16)  # of one size once upright


@pytest.mark.parametrize("folder", ["x", "y"])
def test_files_that_cannot_be_read_are_named(tmp_path, folder, monkeypatch):
    spec = fill(tmp_path)
    bad = tmp_path / folder / "3.png"
    whole = bad.read_bytes()
    for content in (whole[: len(whole) // 2], b"not an image", b""):
        bad.write_bytes(content)
        refused(spec, rf"^expected an image, got {bad}, which cannot be read \(.*\): repair or remove it, or leave it")
    bad.write_bytes(whole)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    refused(spec, r"\d.png \(.*decompression bomb")


def test_target_images(tmp_path):
    for i in range(5):
        save(plain(10 * i), tmp_path / "x" / f"{i}.png")
        save(plain((10 * i, 200, 0), "RGB"), tmp_path / "y" / f"{i}.png")
    spec = f"folders:{tmp_path}/x,{tmp_path}/y"
    data = load(spec, task="image2image", image_size=8)
    assert (data.task, data.classes, data.ignore_index) == ("image2image", (), None)
    assert (data.train.images.shape, data.train.targets.shape) == ((4, 8, 8, 1), (4, 8, 8, 3))
    assert np.array_equal(data.train.images[..., 0], data.train.targets[..., 0])
    save(plain((0, 0), size=(9, 9), mode="LA"), tmp_path / "y" / "3.png")
    with pytest.raises(LabError, match=f"^expected one size of {tmp_path}/x/3.png and {tmp_path}/y/3.png, got 24 x 16"):
        load(spec, task="image2image")
