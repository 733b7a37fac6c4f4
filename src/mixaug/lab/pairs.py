"""Pairs from two folders: images, and for each a mask of class ids or a target image of the same stem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .dataset import Data, Found, Split, checked, generator
from .errors import LabError
from .reading import alike, image_files, notes, picture, upright

_T = TypeVar("_T")


class Pair(NamedTuple):
    """The files of an image and of its target."""

    image: Path
    target: Path


class Mask(NamedTuple):
    """The file of a mask, its pixels as they are wanted, and all ids that are in the file."""

    file: Path
    pixels: NDArray[np.uint8]
    ids: frozenset[int]


def pairs(
    images: Path,
    targets: Path,
    *,
    task: str = "segmentation",
    image_size: int = 128,
    classes: Sequence[str] | None = None,
    ignore_index: int | None = None,
    seed: int = 0,
) -> Found:
    """A dataset from two folders, whose files belong together if they are of one stem.

        mask[i, j] = file[floor((i + 1/2) * height / image_size), floor((j + 1/2) * width / image_size)]

    With `train` and `test` (or `val`) in both folders, these hold the files and are the splits. Otherwise a fifth of
    the pairs is the test split, chosen by `seed`. All stand upright (EXIF) and are squeezed into a square: images
    antialiased and without their alpha, masks by the nearest pixel. Images are grey only if all are, else RGB; so are
    target images, and grey ones of 16 bits are scaled by the range of all of them. Hidden and other files are left out.

    Args:
        images: the folder of the images.
        targets: the folder of the masks, which have an id a pixel (that of the colour, where there is a palette), or
            of the target images.
        task: "segmentation", where targets are masks, or "image2image".
        image_size: side of the images, in pixels.
        classes: the names of the ids 0, 1, ...; None: each id is its own name, and none may be left out in the whole.
        ignore_index: the id of pixels that say nothing.
        seed: of the 80/20 split.

    Raises:
        LabError: a folder is missing or empty, there are fewer than two pairs, or a file has no partner, or several, or
            one of another size, or cannot be read, or has ids that are none of the classes.
    """
    images, targets = images.expanduser(), targets.expanduser()
    parts = _parts(images, targets, seed)
    shrink = partial(picture, size=image_size)

    def read(rows: NDArray[np.int64] | None) -> Data:
        chosen = parts if rows is None else [[parts[0][row] for row in rows]]
        files = [tuple(pair.image.name for pair in part) for part in chosen]
        names: tuple[str, ...] = ()
        if task == "segmentation":
            shown, masks = _read(chosen, shrink, partial(_mask, size=image_size))
            names = _names(list(chain(*masks)), classes, ignore_index, whole=rows is None)
            wanted = [np.stack([mask.pixels for mask in part]) for part in masks]
            said = notes("image", *shown)
        else:
            shown, pictures = _read(chosen, shrink, shrink)
            wanted, said = alike(*pictures), notes("image", *shown) + notes("target image", *pictures)
        splits = [Split(x, y, names=f) for x, y, f in zip(alike(*shown), wanted, files, strict=True)]
        data = Data(f"folders:{images},{targets}", names, splits[0], splits[-1], task, ignore_index, said)
        return checked(data)

    return Found(len(parts[0]), read)


def two_folders(text: str) -> tuple[Path, Path]:
    """The folders that "IMAGES,TARGETS" names; a name may have commas if only one way to part them finds two folders.

    Raises:
        LabError: there is no such way, or there are several.

    >>> two_folders("photos,masks")
    (PosixPath('photos'), PosixPath('masks'))
    """
    names = text.split(",")
    ways = [(",".join(names[:i]), ",".join(names[i:])) for i in range(1, len(names))]
    if len(ways) > 1:
        ways = [way for way in ways if all(name and Path(name).expanduser().is_dir() for name in way)]
    if len(ways) != 1 or not all(ways[0]):
        way_out = "name two folders with one comma between them, and rename those that have commas"
        raise LabError(f"expected folders:IMAGES,TARGETS, got {text!r}: {way_out}")
    return Path(ways[0][0]), Path(ways[0][1])


def _parts(images: Path, targets: Path, seed: int) -> list[list[Pair]]:
    """The pairs to train on, and those to be tested on."""
    for folder in (images, targets):
        if not folder.is_dir():
            came = "a file: name the folder that holds it" if folder.exists() else "no such folder"
            raise LabError(f"expected a folder of images, got {folder}: {came}")
    for held_out in ("test", "val"):
        if all((folder / part).is_dir() for folder in (images, targets) for part in ("train", held_out)):
            return [_matched(images / part, targets / part) for part in ("train", held_out)]
    found = _matched(images, targets)
    if len(found) < 2:
        raise LabError(f"expected two pairs or more, got 1 in {images} and {targets}: add some, to train and to test")
    mixed = [found[i] for i in generator(seed).permutation(len(found))]
    held = max(1, len(mixed) // 5)
    return [mixed[held:], mixed[:held]]


def _matched(images: Path, targets: Path) -> list[Pair]:
    """The pairs in two folders, by their stems."""
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


def _read(
    parts: list[list[Pair]],
    image: Callable[[Image.Image, Path], Image.Image],
    target: Callable[[Image.Image, Path], _T],
) -> tuple[list[list[Image.Image]], list[list[_T]]]:
    """What is made of each image and of each target, one pair open at a time."""
    made = [[(image(ours, pair.image), target(theirs, pair.target)) for pair, ours, theirs in _open(p)] for p in parts]
    return [[ours for ours, _ in part] for part in made], [[theirs for _, theirs in part] for part in made]


def _open(part: list[Pair]) -> Iterable[tuple[Pair, Image.Image, Image.Image]]:
    for pair in part:
        ours, theirs = map(upright, pair)
        if ours.size != theirs.size:
            came = "{} x {} and {} x {}".format(*ours.size, *theirs.size)
            raise LabError(f"expected one size of {pair.image} and {pair.target}, got {came}: pair those that fit")
        yield pair, ours, theirs


def _mask(image: Image.Image, path: Path, size: int) -> Mask:
    if image.mode not in ("1", "L", "P", "I") and not image.mode.startswith("I;16"):
        way_out = "save each pixel's class id, as grey or by a palette"
        raise LabError(f"expected a mask of one id a pixel, got {path} of mode {image.mode}: {way_out}")
    ids = np.asarray(image).astype(np.int64)
    down, across = ((2 * np.arange(size) + 1) * length // (2 * size) for length in ids.shape)
    pixels = ids[down[:, None], across].astype(np.uint8)  # of ids that no byte holds the file is refused
    return Mask(path, pixels, frozenset(np.unique(ids).tolist()))


def _names(
    masks: list[Mask], classes: Sequence[str] | None, ignore_index: int | None, *, whole: bool
) -> tuple[str, ...]:
    """The names of the classes, if all ids are theirs or ignored; gaps are refused in the whole of the masks alone."""
    if ignore_index is not None and not 0 <= ignore_index <= 255:
        raise LabError(f"expected an ignore index of 0 to 255, got {ignore_index}: masks are kept in bytes")
    file_of = {i: mask.file for mask in masks for i in sorted(mask.ids) if i != ignore_index}
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
