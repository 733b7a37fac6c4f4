"""The datasets of the lab, by name: from the package, from the web or from folders."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np
import pooch
from numpy.typing import NDArray
from PIL import Image

from ..files import target
from .dataset import Data, Found, Split, checked, generator, subset
from .errors import LabError, unknown
from .pairs import pairs, two_folders
from .reading import alike, image_files, notes, picture, squeezed, stack, upright, visible
from .scenes import scenes

FASHION_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
PHOTOS = {"astronaut": "astronaut.jpg", "cat": "chelsea.jpg", "coffee": "coffee.jpg", "rocket": "rocket.jpg"}
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Remote:
    """A file on the web: its address, and the SHA-256 without which it is not taken."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.url.rsplit("/", 1)[-1]


CIFAR10 = Remote(
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)
_ZALANDO = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION_MNIST = (
    Remote(f"{_ZALANDO}train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    Remote(f"{_ZALANDO}train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    Remote(f"{_ZALANDO}t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    Remote(f"{_ZALANDO}t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
)


def tasks(spec: str) -> tuple[str, ...]:
    """The tasks of the dataset of that name, the usual one first."""
    return ("segmentation", "image2image") if spec == "scenes" or spec.startswith("folders:") else ("classification",)


def load(
    spec: str,
    *,
    task: str = "classification",
    train_size: int | None = None,
    image_size: int | None = None,
    classes: tuple[str, ...] | None = None,
    ignore_index: int | None = None,
    seed: int = 0,
) -> Data:
    """Load a dataset by its name.

    Args:
        spec: for classification `fashion-mnist-sample` (in the package: 10,000 + 2,000 images), `photos` (also there:
            four photographs of 256 x 256 pixels, to look at; both splits are the same), `cifar10` and
            `fashion-mnist` (downloaded once into the cache folder, which the environment variable MIXAUG_CACHE names),
            or `folder:PATH` (see `folder`). For segmentation and image2image `scenes` (see `scenes`), or
            `folders:IMAGES,TARGETS` (see `pairs`).
        task: what the targets are for.
        train_size: how many training images to keep, as many of each class as possible where it is class ids that are
            learned; None keeps all. Of two sizes under one seed the smaller is part of the larger.
        image_size: side in pixels to which every image is resized; None keeps the dataset's own (`folder:` 64,
            `folders:` 128).
        classes: the names of the mask ids of `folders:`.
        ignore_index: the id of pixels that say nothing in the masks of `folders:`.
        seed: decides which images `train_size` keeps, and how folders are split.

    Raises:
        LabError: the name is unknown, the dataset has no such task, a size is impossible, or a file is missing, broken
            or not what it should be.

    >>> data = load("fashion-mnist-sample", train_size=100)
    >>> data.train.images.shape, data.test.images.shape, data.classes[data.train.targets[0]]
    ((100, 28, 28, 1), (2000, 28, 28, 1), 'T-shirt/top')
    """
    found = find(spec, task=task, image_size=image_size, classes=classes, ignore_index=ignore_index, seed=seed)
    data = found.read(None)
    if train_size is None:
        return data
    return replace(data, train=subset(data.train, train_size, len(data.classes), seed))


def find(
    spec: str,
    *,
    task: str = "classification",
    image_size: int | None = None,
    classes: tuple[str, ...] | None = None,
    ignore_index: int | None = None,
    seed: int = 0,
) -> Found:
    """Find a dataset by its name; of folders no image is read yet.

    Args, errors: as of `load`.
    """
    _admit(spec, task, image_size, classes, ignore_index)
    if spec.startswith("folders:"):
        images, targets = two_folders(spec.removeprefix("folders:"))
        size = image_size or 128
        return pairs(images, targets, task=task, image_size=size, classes=classes, ignore_index=ignore_index, seed=seed)
    if spec.startswith("folder:"):
        return folder(Path(spec.removeprefix("folder:")), image_size=image_size or 64, seed=seed)
    if spec == "scenes":
        return Found.of(scenes(fashion_mnist_sample(), task=task, size=image_size or 64))
    data = _NAMED[spec]()
    if image_size is not None:
        data = replace(data, train=_resize(data.train, image_size), test=_resize(data.test, image_size))
    return Found.of(data)


def _admit(
    spec: str, task: str, image_size: int | None, classes: tuple[str, ...] | None, ignore_index: int | None
) -> None:
    """Refuse what cannot be loaded, before anything is."""
    if image_size is not None and not 1 <= image_size <= 1024:
        raise LabError(f"expected an image size of 1 to 1024 pixels, got {image_size}: 32 or 64 are usual")
    if spec == "folder:":
        raise LabError("expected folder:PATH, got no path: folder:. is the folder you are in")
    if spec not in (*_NAMED, "scenes") and not spec.startswith(("folder:", "folders:")):
        raise unknown("a dataset", spec, [*_NAMED, "scenes", "folder:PATH", "folders:IMAGES,TARGETS"])
    if task not in tasks(spec):
        way_out = "choose one of these, or other data"
        raise LabError(f"expected a task that {spec} has ({', '.join(tasks(spec))}), got {task!r}: {way_out}")
    if (classes is not None or ignore_index is not None) and not (
        spec.startswith("folders:") and task == "segmentation"
    ):
        named = "classes" if classes is not None else "an ignore index"
        raise LabError(f"expected {named} with masks of folders: alone, got {task} of {spec}: leave that out")


def fashion_mnist_sample() -> Data:
    """Ten thousand training and two thousand test images of Fashion-MNIST, as many of each class."""
    return _data("fashion-mnist-sample", FASHION_CLASSES, _sheet("train"), _sheet("test"))


def _sheet(name: str) -> Split:
    with resources.files("mixaug.lab").joinpath("sample", f"{name}.png").open("rb") as file:
        sheet = np.asarray(Image.open(file))
    height, width = sheet.shape
    images = sheet.reshape(height // 28, 28, width // 28, 28).swapaxes(1, 2).reshape(-1, 28, 28, 1)
    return Split(images, np.repeat(np.arange(10, dtype=np.int64), len(images) // 10))


def photos() -> Data:
    """Four photographs, one a class, to look at: both splits are the same."""
    folder = resources.files("mixaug.lab") / "photos"
    images = []
    for name in PHOTOS.values():
        with (folder / name).open("rb") as file:
            images.append(Image.open(file).convert("RGB"))
    split = Split(stack(images), np.arange(len(PHOTOS), dtype=np.int64))
    return _data("photos", tuple(PHOTOS), split, split)


def fashion_mnist(remotes: tuple[Remote, ...] = FASHION_MNIST) -> Data:
    """Fashion-MNIST in full (Xiao et al. 2017), from its four idx files: 60,000 and 10,000 images, 28x28 grey."""
    arrays = [read_idx(fetch(remote, cache_folder() / "fashion-mnist")) for remote in remotes]
    splits = [Split(x[..., None], y.astype(np.int64)) for x, y in (arrays[:2], arrays[2:])]
    return _data("fashion-mnist", FASHION_CLASSES, *splits)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of bytes in a gzipped idx file: 0, 0, 8, rank, then the sizes (uint32, big-endian), then the bytes.

    Raises:
        LabError: the file is not exactly that.
    """
    way_out = f"delete {path} and fetch it again"
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise LabError(f"expected a gzipped idx file, got {error}: {way_out}") from error
    if data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise LabError(f"expected an idx file of bytes (0, 0, 8, rank), got {list(data[:4])}: {way_out}")
    start = 4 + 4 * data[3]
    shape = np.frombuffer(data[4:start], ">u4").tolist()
    if len(data) - start != math.prod(shape):
        raise LabError(f"expected {shape} = {math.prod(shape)} bytes, got {len(data) - start}: {way_out}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


_CIFAR10_FOLDER = "cifar-10-batches-bin"
CIFAR10_FILES = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}  #: the SHA-256 of each of the archive's batches, without which an unpacked one is not taken
_CIFAR10_RECORD = 1 + 3 * 32 * 32
_CIFAR10_BYTES = 10_000 * _CIFAR10_RECORD


def cifar10(remote: Remote = CIFAR10, sha256: Mapping[str, str] = CIFAR10_FILES) -> Data:
    """CIFAR-10 (Krizhevsky 2009), from its binary files: 50,000 and 10,000 images, 32x32 RGB.

    The folder `cifar-10-batches-bin` is read if it lies in the cache folder, the archive otherwise. Both are checked by
    hash.
    """
    unpacked = cache_folder() / _CIFAR10_FOLDER
    files = _unpacked(unpacked, sha256) if unpacked.is_dir() else _archived(fetch(remote, cache_folder()))
    batches = [_records(name, files.get(name, b"")) for name in CIFAR10_FILES]
    images, labels = (np.concatenate(parts) for parts in zip(*batches[:-1], strict=True))
    return _data("cifar10", CIFAR10_CLASSES, Split(images, labels), Split(*batches[-1]))


def _unpacked(path: Path, sha256: Mapping[str, str]) -> dict[str, bytes]:
    """The batches in a folder, each of which has to have its hash."""
    files = {name: (path / name).read_bytes() for name in sha256 if (path / name).is_file()}
    for name, content in files.items():
        if (came := hashlib.sha256(content).hexdigest()) != sha256[name]:
            raise LabError(f"expected {path / name} of sha256:{sha256[name]}, got sha256:{came}: {_fetch_again()}")
    return files


def _fetch_again() -> str:
    return f"delete {_CIFAR10_FOLDER} or the archive from {cache_folder()} to fetch it again"


def _archived(path: Path) -> dict[str, bytes]:
    """The batches in the archive, read in its order and never unpacked: a member cannot choose where it is written."""
    wanted = {f"{_CIFAR10_FOLDER}/{name}": name for name in CIFAR10_FILES}
    files = {}
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isreg() else None
            if stream is not None and member.name in wanted:
                files[wanted[member.name]] = stream.read()
    return files


def _records(name: str, data: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images and labels of one batch file: 10,000 records of a label and the three colour planes."""
    way_out = _fetch_again()
    if len(data) != _CIFAR10_BYTES:
        raise LabError(f"expected {_CIFAR10_BYTES} bytes in {name}, got {len(data)}: {way_out}")
    records = np.frombuffer(data, np.uint8).reshape(-1, _CIFAR10_RECORD)
    labels, planes = records[:, 0].astype(np.int64), records[:, 1:].reshape(-1, 3, 32, 32)
    if labels.max() > 9:
        raise LabError(f"expected labels in 0..9 in {name}, got {labels.max()}: {way_out}")
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels


def cache_folder() -> Path:
    """Where downloads lie: the folder that MIXAUG_CACHE names, or `mixaug` in the user's own cache."""
    return Path(os.environ.get("MIXAUG_CACHE") or pooch.os_cache("mixaug")).expanduser()


def fetch(remote: Remote, where: Path) -> Path:
    """The path of the remote's file in the folder `where`, downloaded if it is not there or has another hash.

    A download takes its name only once it is whole and its hash is right, so half a file is never taken for it.

    Raises:
        LabError: there is no network, no room, no such file, or the file that came is another one.
    """
    sha256 = f"sha256:{remote.sha256}"
    try:
        place = target(where / remote.name)
        return Path(pooch.retrieve(remote.url, known_hash=sha256, fname=place.name, path=place.parent))
    except (OSError, ValueError) as error:
        came = type(error).__name__ if isinstance(error, OSError) else "a file with another hash"
        there = " (the one that is there is damaged)" if (where / remote.name).is_file() else ""
        raise LabError(
            f"expected to download {remote.name} ({sha256}) from {remote.url}, got {came}: put the file into {where} "
            f"by hand{there}, or let MIXAUG_CACHE name another folder"
        ) from error


def folder(path: Path, *, image_size: int = 64, seed: int = 0) -> Found:
    """A dataset from a folder with one sub-folder a class, in the order of their names.

    With `train` and `test` (or `val`) in `path`, these hold the classes and are the splits. Otherwise a fifth of each
    class is the test split, chosen by `seed`. Images stand upright (EXIF), lose their alpha, and are squeezed into a
    square, antialiased; they are grey only if all are, else RGB, and grey ones of 16 bits are scaled by the range of
    all of them. Hidden and other files are left out.

    Args:
        path: the folder.
        image_size: side of the images, in pixels.
        seed: of the 80/20 split.

    Raises:
        LabError: the folder is missing or not laid out so, a class is empty, or an image cannot be read.
    """
    path = path.expanduser()
    if not path.is_dir():
        came = "a file: name the folder that holds the class folders" if path.exists() else "no such folder"
        if "," in str(path) and not path.exists():
            came += f", write folders:{path} for two folders"
        raise LabError(f"expected a folder of images, got {path}: {came}")
    held_out = next((name for name in ("test", "val") if (path / name).is_dir()), None)
    if held_out and (path / "train").is_dir():
        train, test = _class_files(path / "train"), _class_files(path / held_out)
        _same_classes(path, held_out, set(train), set(test))
    else:
        train, test = _split(_class_files(path), seed)
    parts = [_labelled(files) for files in (train, test)]

    def read(rows: NDArray[np.int64] | None) -> Data:
        chosen = parts if rows is None else [[parts[0][row] for row in rows]]
        images = [[picture(upright(path), path, image_size) for path, _ in part] for part in chosen]
        splits = [_split_of(x, part) for x, part in zip(alike(*images), chosen, strict=True)]
        data = Data(f"folder:{path}", tuple(train), splits[0], splits[-1], notes=notes("image", *images))
        return checked(data)

    return Found(len(parts[0]), read)


ClassFiles = dict[str, list[Path]]


def _class_files(path: Path) -> ClassFiles:
    """The image files of each class folder in `path`, all sorted by name."""
    files = {entry.name: image_files(entry) for entry in visible(path) if entry.is_dir()}
    if len(files) < 2:
        came = f"only {next(iter(files))!r}" if files else "none"
        raise LabError(f"expected two or more class folders in {path}, got {came}: put each class in its own folder")
    for name, images in files.items():
        if not images:
            raise LabError(f"expected images in {path / name}, got none: add some, or remove the folder")
    return files


def _same_classes(path: Path, held_out: str, train: set[str], test: set[str]) -> None:
    if train != test:
        name = min(train ^ test)
        missing = held_out if name in train else "train"
        raise LabError(f"expected the same classes in train and {held_out} of {path}, got no {name!r} in {missing}")


def _split(files: ClassFiles, seed: int) -> tuple[ClassFiles, ClassFiles]:
    """Train and test files: a fifth of each class, but at least one file, is for the test."""
    shuffle = generator(seed).permutation
    train, test = {}, {}
    for name, paths in files.items():
        if len(paths) < 2:
            raise LabError(f"expected two or more images in {paths[0].parent}, got 1: add some, or split by hand")
        mixed = [paths[i] for i in shuffle(len(paths))]
        held_out = max(1, len(mixed) // 5)
        train[name], test[name] = mixed[held_out:], mixed[:held_out]
    return train, test


def _labelled(files: ClassFiles) -> list[tuple[Path, int]]:
    """Each file with the id of its class."""
    return [(path, i) for i, paths in enumerate(files.values()) for path in paths]


def _split_of(images: NDArray[np.uint8], part: list[tuple[Path, int]]) -> Split:
    labels = np.array([i for _, i in part], np.int64)
    return Split(images, labels, names=tuple(path.name for path, _ in part))


def _resize(split: Split, size: int) -> Split:
    return replace(split, images=stack([squeezed(Image.fromarray(x.squeeze()), size) for x in split.images]))


def _data(name: str, classes: tuple[str, ...], train: Split, test: Split) -> Data:
    return checked(Data(name, classes, train, test))


_NAMED = {
    "fashion-mnist-sample": fashion_mnist_sample,
    "photos": photos,
    "cifar10": cifar10,
    "fashion-mnist": fashion_mnist,
}
