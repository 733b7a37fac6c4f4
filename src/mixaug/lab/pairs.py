"""Pairs from two folders: images, each with a mask of class ids or a target image of the same stem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .class_folders import Options
from .dataset import Data, Found, Sizes, Split, checked, generator
from .decoded import Decoded, Job, file_stamp, in_cache, in_memory
from .errors import LabError
from .reading import Cell, cell, image_files, upright


class Folders(NamedTuple):
    """The folders of images and of their targets."""

    images: Path
    targets: Path


class Pair(NamedTuple):
    """The files of an image and of its target."""

    image: Path
    target: Path


@dataclass(frozen=True)
class Reading:
    """How to read the targets of pairs.

    Args:
        task: "segmentation" for masks, or "image2image".
        classes: the names of the ids 0, 1, ...; None: ids are named by their numbers, and must not have gaps.
        ignore_index: the id of pixels to ignore.
    """

    task: str = "segmentation"
    classes: tuple[str, ...] | None = None
    ignore_index: int | None = None


def pairs(folders: Folders, reading: Reading, options: Options, test: Folders | None = None) -> Found:
    """Find a dataset in two folders, whose files are paired by their stems.

        mask[i, j] = file[floor((i + 1/2) * height / image_size), floor((j + 1/2) * width / image_size)]

    If both folders have sub-folders `train` and `test` (or `val`), they are the splits. If the argument `test` is
    given, `folders` are the training split and `test` the test split (if these folders have splits themselves, the
    split of that name is used). Otherwise a fifth of the pairs, chosen by the seed, is the test split.

    Files are turned upright (EXIF) and resized to squares: images with antialiasing and without alpha, masks by the
    nearest pixel. Images are grey if all of them are, otherwise RGB; the same holds for target images. 16-bit grey
    images are scaled by their common range. Hidden files and files that are not images are ignored. Pairs are decoded
    once into the cache folder: see `decoded.in_cache`.

    Args:
        folders: the folder of the images, and the folder of the target images or of the masks, which have one id per
            pixel (palette images: the index of the colour).
        reading: how to read the targets.
        options: the options for reading folders.
        test: the two folders of the test split.

    Raises:
        LabError: if a folder is missing or empty, there are fewer than two pairs, or a file has no partner, several
            partners or one of another size, cannot be read, or has ids outside the classes.
    """
    folders = Folders(*(folder.expanduser() for folder in folders))
    if test is None:
        parts = _parts(folders, options.seed)
    else:
        parts = _side(folders, train=True), _side(Folders(*(folder.expanduser() for folder in test)), train=False)
    name = f"folders:{folders.images},{folders.targets}"

    def data(decoded: Decoded, items: list[Pair], border: int, *, whole: bool) -> Data:
        names: tuple[str, ...] = ()
        if reading.task == "segmentation":
            file_of = {i: items[item].target for i, item in decoded.ids[1].items()}
            names = _names(file_of, reading.classes, reading.ignore_index, whole=whole)
        files = [items[row].image.name for row in decoded.rows]
        images, targets = decoded.arrays
        splits = [
            Split(images[rows], targets[rows], names=tuple(files[rows]))
            for rows in (slice(border), slice(border, None))
            if len(files[rows])
        ]
        left_out = tuple(str(damage.path) for damage in decoded.damaged)
        notes = (*decoded.notes, *(f"left out: {damage.path} ({damage.reason})" for damage in decoded.damaged))
        kept = {"task": reading.task, "ignore_index": reading.ignore_index, "notes": notes, "left_out": left_out}
        return checked(Data(name, names, splits[0], splits[-1], **kept))  # type: ignore[arg-type]

    def look(rows: NDArray[np.int64]) -> Data:
        chosen = [parts[0][row] for row in rows]
        return data(in_memory(_job(chosen, reading, options.image_size)), chosen, len(chosen), whole=False)

    def read(sizes: Sizes) -> Data:
        for split, part in zip(("train", "test"), parts, strict=True):
            sizes.rows(split, len(part), None, 0)  # raises errors before anything is read
        items = [*parts[0], *parts[1]]
        job = _job(items, reading, options.image_size)
        decoded = in_cache(job, options.progress, skip_damaged=options.skip_damaged)
        border = sum(row < len(parts[0]) for row in decoded.rows)
        if not 0 < border < len(decoded.rows):
            where = "to be tested on" if border else "to train on"
            raise LabError(f"expected pairs {where} that can be read, got none: repair some of the files")
        return sizes.of(data(decoded, items, border, whole=True))

    return Found(len(parts[0]), look, read)


def _job(items: list[Pair], reading: Reading, size: int) -> Job:
    def read(pair: Pair) -> tuple[Cell, ...]:
        ours, theirs = map(upright, pair)
        if ours.size != theirs.size:
            came = "{} x {} and {} x {}".format(*ours.size, *theirs.size)
            raise LabError(f"expected one size of {pair.image} and {pair.target}, got {came}: pair those that fit")
        target = _mask if reading.task == "segmentation" else cell
        return cell(ours, pair.image, size), target(theirs, pair.target, size)

    masks = reading.task == "segmentation"
    return Job(
        items,
        read,
        ("image", "mask" if masks else "target image"),
        ((size, size, 3), (size, size) if masks else (size, size, 3)),
        lambda: file_stamp([file for pair in items for file in pair]),
    )


def two_folders(text: str) -> Folders:
    """Parse "IMAGES,TARGETS"; names may contain commas if exactly one way to split them gives two folders.

    Raises:
        LabError: if there is no such way, or several.

    >>> two_folders("photos,masks")
    Folders(images=PosixPath('photos'), targets=PosixPath('masks'))
    """
    names = text.split(",")
    ways = [(",".join(names[:i]), ",".join(names[i:])) for i in range(1, len(names))]
    if len(ways) > 1:
        ways = [way for way in ways if all(name and Path(name).expanduser().is_dir() for name in way)]
    if len(ways) != 1 or not all(ways[0]):
        way_out = "name two folders with one comma between them, and rename those that have commas"
        raise LabError(f"expected folders:IMAGES,TARGETS, got {text!r}: {way_out}")
    return Folders(*map(Path, ways[0]))


def _parts(folders: Folders, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Return the training pairs and the test pairs."""
    _check_folders(folders)
    if _held_out(folders):
        return _side(folders, train=True), _side(folders, train=False)
    found = _matched(*folders)
    if len(found) < 2:
        came = f"1 in {folders.images} and {folders.targets}"
        raise LabError(f"expected two pairs or more, got {came}: add some, to train and to test")
    shuffled = [found[i] for i in generator(seed).permutation(len(found))]
    count = max(1, len(shuffled) // 5)
    return shuffled[count:], shuffled[:count]


def _side(folders: Folders, *, train: bool) -> list[Pair]:
    """Return the pairs of one split of two folders; all pairs if the folders have no splits."""
    _check_folders(folders)
    held_out = _held_out(folders)
    if held_out is None:
        return _matched(*folders)
    return _matched(*(folder / ("train" if train else held_out) for folder in folders))


def _held_out(folders: Folders) -> str | None:
    """Return the name of the sub-folders with the test split, or None if there are no splits."""
    names = ("test", "val")
    return next((name for name in names if all((f / x).is_dir() for f in folders for x in ("train", name))), None)


def _check_folders(folders: Folders) -> None:
    for folder in folders:
        if not folder.is_dir():
            came = "a file: name the folder that holds it" if folder.exists() else "no such folder"
            raise LabError(f"expected a folder of images, got {folder}: {came}")


def _matched(images: Path, targets: Path) -> list[Pair]:
    """Return the pairs in two folders, matched by their stems."""
    ours, theirs = _by_stem(images), _by_stem(targets)
    for here, there, other in ((ours, theirs, targets), (theirs, ours, images)):
        for stem in here:
            if stem not in there:
                way_out = "add its partner of that stem, or remove it"
                raise LabError(f"expected a partner for {here[stem]} in {other}, got none: {way_out}")
    return [Pair(ours[stem], theirs[stem]) for stem in ours]


def _by_stem(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for file in image_files(folder):
        if file.stem in files:
            came = f"{files[file.stem].name} and {file.name}"
            raise LabError(f"expected one image of each stem in {folder}, got {came}: rename or remove one")
        files[file.stem] = file
    if not files:
        way_out = "add some, or give both folders sub-folders train and test (or val)"
        raise LabError(f"expected images in {folder}, got none: {way_out}")
    return files


def _mask(image: Image.Image, path: Path, size: int) -> Cell:
    if image.mode not in ("1", "L", "P", "I") and not image.mode.startswith("I;16"):
        way_out = "save each pixel's class id, as grey or by a palette"
        raise LabError(f"expected a mask of one id a pixel, got {path} of mode {image.mode}: {way_out}")
    ids = np.asarray(image).astype(np.int64)
    down, across = ((2 * np.arange(size) + 1) * length // (2 * size) for length in ids.shape)
    pixels = ids[down[:, None], across].astype(np.uint8)  # a file with ids above 255 is an error later
    return Cell(pixels, grey=True, ids=tuple(np.unique(ids).tolist()))


def _names(
    found: dict[int, Path], classes: Sequence[str] | None, ignore_index: int | None, *, whole: bool
) -> tuple[str, ...]:
    """Return the names of the classes, after checking the ids; gaps are an error only if `whole`, for all masks."""
    if ignore_index is not None and not 0 <= ignore_index <= 255:
        raise LabError(f"expected an ignore index of 0 to 255, got {ignore_index}: masks are kept in bytes")
    file_of = {i: file for i, file in found.items() if i != ignore_index}
    beyond = [i for i in file_of if not 0 <= i <= 255]
    if beyond:
        raise LabError(f"expected mask ids of 0 to 255, got {beyond[0]} in {file_of[beyond[0]]}: renumber them")
    names = _numbered(file_of, ignore_index, whole) if classes is None else tuple(classes)
    if len(names) < 2 and (whole or classes is not None):
        raise LabError(f"expected two classes or more, got {len(names)}: give the background an id of its own")
    return names if classes is None else _named(file_of, names, ignore_index)


def _numbered(file_of: dict[int, Path], ignore_index: int | None, whole: bool) -> tuple[str, ...]:
    last = max(file_of, default=-1)
    gaps = [i for i in range(last) if i not in file_of and i != ignore_index]
    if gaps and whole:
        raise LabError(
            f"expected mask ids 0, 1, ... without a gap, got {last} in {file_of[last]} and nowhere {gaps[0]}: say "
            f"--ignore-index {last} if its pixels are to be left out, --classes with all names if some ids do not "
            "occur, or renumber them"
        )
    return tuple(map(str, range(last + 1)))


def _named(file_of: dict[int, Path], names: tuple[str, ...], ignore_index: int | None) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise LabError(f"expected classes of different names, got {', '.join(names)}: rename what comes twice")
    beyond = [i for i in file_of if i >= len(names)]
    if beyond:
        or_ignored = "" if ignore_index is None else f" or {ignore_index} (ignored)"
        raise LabError(
            f"expected mask ids in 0..{len(names) - 1}{or_ignored}, got {beyond[0]} in {file_of[beyond[0]]}: name its "
            f"class too, say --ignore-index {beyond[0]} if its pixels are to be left out, or renumber them"
        )
    return names
