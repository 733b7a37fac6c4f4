"""The datasets of the lab by name: bundled, downloaded, or read from the user's files."""

from __future__ import annotations

import gzip
import hashlib
import math
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .arrays import npz
from .class_folders import Options, folder
from .dataset import Data, Found, Sizes, Split, checked
from .errors import LabError, unknown
from .hub import hub
from .pairs import Reading, pairs, two_folders
from .progress import Progress
from .reading import squeezed, stack
from .remote import Remote, cache_folder, fetch
from .scenes import scenes

FASHION_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
PHOTOS = {"astronaut": "astronaut.jpg", "cat": "chelsea.jpg", "coffee": "coffee.jpg", "rocket": "rocket.jpg"}
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


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


@dataclass(frozen=True)
class Wanted:
    """A dataset to load, and how.

    Args:
        spec: for classification, `fashion-mnist-sample` (bundled: 10,000 + 2,000 images), `photos` (bundled: four
            photographs of 256 x 256 pixels for previews, the same in both splits), `cifar10` and `fashion-mnist`
            (downloaded once into the cache folder, set by the environment variable MIXAUG_CACHE), `folder:PATH` (see
            `folder`), `npz:FILE` (see `npz`) or `hf:NAME` (see `hub`). For segmentation and image2image, `scenes` (see
            `scenes`) or `folders:IMAGES,TARGETS` (see `pairs`).
        task: the task, which determines the targets.
        train_size: the number of training images, balanced over the classes for classification; None: all. For the same
            seed, a smaller selection is part of a larger one.
        test_size: the same for test images.
        test_data: data of the same kind to use as the test split: its own test split, or all of it if it has none.
        image_size: resize images to squares with sides of this many pixels; None: the size of the dataset (64 for
            `folder:` and `hf:`, 128 for `folders:`).
        classes: the names of the mask ids of `folders:`.
        ignore_index: the id of pixels to ignore in the masks of `folders:`.
        skip_damaged: whether to skip unreadable files instead of raising an error.
        seed: the seed that selects images and splits data without a test split.
    """

    spec: str
    task: str = "classification"
    train_size: int | None = None
    test_size: int | None = None
    test_data: str | None = None
    image_size: int | None = None
    classes: tuple[str, ...] | None = None
    ignore_index: int | None = None
    skip_damaged: bool = False
    seed: int = 0

    @property
    def kind(self) -> str:
        """The part of the name before the colon; "" for a named dataset."""
        return kind(self.spec)


KINDS = {
    "folder": "PATH",
    "folders": "IMAGES,TARGETS",
    "npz": "FILE",
    "hf": "NAME",
}  #: the kinds of user data, and what follows the colon


def kind(spec: str) -> str:
    """Return the part of the name before the colon for user data; "" for other names.

    >>> kind("folder:photos"), kind("cifar10")
    ('folder', '')
    """
    before, colon, _ = spec.partition(":")
    return before if colon and before in KINDS else ""


def tasks(spec: str) -> tuple[str, ...]:
    """Return the tasks of a dataset, the default task first."""
    return ("segmentation", "image2image") if spec == "scenes" or kind(spec) == "folders" else ("classification",)


def load(spec: str, progress: Progress | None = None, **options: Any) -> Data:
    """Load a dataset by its name.

    Args:
        spec: the name: see `Wanted`.
        progress: reports the number of images read.
        options: the other fields of `Wanted`.

    Raises:
        LabError: if the name is unknown, the dataset does not support the task, a size is impossible, or a file is
            missing, damaged or of the wrong content.

    >>> data = load("fashion-mnist-sample", train_size=100)
    >>> data.train.images.shape, data.test.images.shape, data.classes[data.train.targets[0]]
    ((100, 28, 28, 1), (2000, 28, 28, 1), 'T-shirt/top')
    """
    wanted = Wanted(spec, **options)
    return find(wanted, progress).read(Sizes(wanted.train_size, wanted.test_size, wanted.seed))


def find(wanted: Wanted, progress: Progress | None = None) -> Found:
    """Find a dataset, without reading the images of folders yet.

    Raises:
        LabError: as `load` does.
    """
    _admit(wanted)
    rest, other = wanted.spec.partition(":")[2], (wanted.test_data or "").partition(":")[2]
    size = wanted.image_size or (128 if wanted.kind == "folders" else 64)
    options = Options(size, wanted.seed, wanted.skip_damaged, progress or Progress())
    match wanted.kind:
        case "folders":
            reading = Reading(wanted.task, wanted.classes, wanted.ignore_index)
            return pairs(two_folders(rest), reading, options, two_folders(other) if other else None)
        case "folder":
            return folder(Path(rest), options, Path(other) if other else None)
        case "hf":
            return hub(rest, options, other or None)
        case "npz":
            data = npz(Path(rest), wanted.seed, Path(other) if other else None)
        case _ if wanted.spec == "scenes":
            return Found.of(scenes(fashion_mnist_sample(), task=wanted.task, size=size))
        case _:
            data = _NAMED[wanted.spec]()
    if wanted.image_size is not None:
        data = replace(data, train=_resize(data.train, size), test=_resize(data.test, size))
    return Found.of(data)


def _admit(wanted: Wanted) -> None:
    """Raise a LabError, before loading, for options that cannot work."""
    spec, task, size = wanted.spec, wanted.task, wanted.image_size
    if size is not None and not 1 <= size <= 1024:
        raise LabError(f"expected an image size of 1 to 1024 pixels, got {size}: 32 or 64 are usual")
    if spec == "folder:":
        raise LabError("expected folder:PATH, got no path: folder:. is the folder you are in")
    if wanted.kind in ("npz", "hf") and spec.endswith(":"):
        raise LabError(f"expected {spec}{KINDS[wanted.kind]}, got {spec!r}: name it after the colon")
    if not wanted.kind and spec not in (*_NAMED, "scenes"):
        raise unknown("a dataset", spec, [*_NAMED, "scenes", *(f"{name}:{of}" for name, of in KINDS.items())])
    if task not in tasks(spec):
        way_out = "choose one of these, or other data"
        raise LabError(f"expected a task that {spec} has ({', '.join(tasks(spec))}), got {task!r}: {way_out}")
    masks = wanted.kind == "folders" and task == "segmentation"
    if (wanted.classes is not None or wanted.ignore_index is not None) and not masks:
        named = "classes" if wanted.classes is not None else "an ignore index"
        raise LabError(f"expected {named} with masks of folders: alone, got {task} of {spec}: leave that out")
    if wanted.skip_damaged and wanted.kind not in ("folder", "folders", "hf"):
        raise LabError(f"expected --skip-damaged with image files alone, got {spec}: leave that out")
    _admit_test(wanted)


def _admit_test(wanted: Wanted) -> None:
    """Raise a LabError for test data of another kind than the training data."""
    if wanted.test_data is None:
        return
    if not wanted.kind:
        raise LabError(
            f"expected --test-data with data of your own ({', '.join(f'{name}:' for name in KINDS)}), got "
            f"{wanted.spec}, which has a test split: leave that out"
        )
    if kind(wanted.test_data) != wanted.kind or not wanted.test_data.partition(":")[2]:
        expected = f"{wanted.kind}:{KINDS[wanted.kind]}"
        raise LabError(
            f"expected --test-data {expected} beside {wanted.spec}, got {wanted.test_data!r}: name data of that kind"
        )


def fashion_mnist_sample() -> Data:
    """Return 10,000 training and 2,000 test images of Fashion-MNIST, balanced over the classes."""
    return _data("fashion-mnist-sample", FASHION_CLASSES, _sheet("train"), _sheet("test"))


def _sheet(name: str) -> Split:
    with resources.files("mixaug.lab").joinpath("sample", f"{name}.png").open("rb") as file:
        sheet = np.asarray(Image.open(file))
    height, width = sheet.shape
    images = sheet.reshape(height // 28, 28, width // 28, 28).swapaxes(1, 2).reshape(-1, 28, 28, 1)
    return Split(images, np.repeat(np.arange(10, dtype=np.int64), len(images) // 10))


def photos() -> Data:
    """Return four photographs of a class each, for previews; both splits are the same."""
    folder = resources.files("mixaug.lab") / "photos"
    images = []
    for name in PHOTOS.values():
        with (folder / name).open("rb") as file:
            images.append(Image.open(file).convert("RGB"))
    split = Split(stack(images), np.arange(len(PHOTOS), dtype=np.int64))
    return _data("photos", tuple(PHOTOS), split, split)


def fashion_mnist(remotes: tuple[Remote, ...] = FASHION_MNIST) -> Data:
    """Return Fashion-MNIST (Xiao et al. 2017) from its four idx files: 60,000 and 10,000 grey images of 28x28."""
    arrays = [read_idx(fetch(remote, cache_folder() / "fashion-mnist")) for remote in remotes]
    splits = [Split(x[..., None], y.astype(np.int64)) for x, y in (arrays[:2], arrays[2:])]
    return _data("fashion-mnist", FASHION_CLASSES, *splits)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read a gzipped idx file of bytes: 0, 0, 8, rank, then the sizes (uint32, big-endian), then the bytes.

    Raises:
        LabError: if the file has another format.
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
}  #: the SHA-256 of each batch file, checked before an unpacked file is used
_CIFAR10_RECORD = 1 + 3 * 32 * 32
_CIFAR10_BYTES = 10_000 * _CIFAR10_RECORD


def cifar10(remote: Remote = CIFAR10, sha256: Mapping[str, str] = CIFAR10_FILES) -> Data:
    """Return CIFAR-10 (Krizhevsky 2009) from its binary files: 50,000 and 10,000 RGB images of 32x32.

    Read from the folder `cifar-10-batches-bin` if it is in the cache folder, otherwise from the archive. Both are
    checked by hash.
    """
    unpacked = cache_folder() / _CIFAR10_FOLDER
    files = _unpacked(unpacked, sha256) if unpacked.is_dir() else _archived(fetch(remote, cache_folder()))
    batches = [_records(name, files.get(name, b"")) for name in CIFAR10_FILES]
    images, labels = (np.concatenate(parts) for parts in zip(*batches[:-1], strict=True))
    return _data("cifar10", CIFAR10_CLASSES, Split(images, labels), Split(*batches[-1]))


def _unpacked(path: Path, sha256: Mapping[str, str]) -> dict[str, bytes]:
    """Return the batches in a folder, after checking their hashes."""
    files = {name: (path / name).read_bytes() for name in sha256 if (path / name).is_file()}
    for name, content in files.items():
        if (came := hashlib.sha256(content).hexdigest()) != sha256[name]:
            raise LabError(f"expected {path / name} of sha256:{sha256[name]}, got sha256:{came}: {_fetch_again()}")
    return files


def _fetch_again() -> str:
    return f"delete {_CIFAR10_FOLDER} or the archive from {cache_folder()} to fetch it again"


def _archived(path: Path) -> dict[str, bytes]:
    """Return the batches in the archive, read in order and never extracted, so that no member is written anywhere."""
    wanted = {f"{_CIFAR10_FOLDER}/{name}": name for name in CIFAR10_FILES}
    files = {}
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isreg() else None
            if stream is not None and member.name in wanted:
                files[wanted[member.name]] = stream.read()
    return files


def _records(name: str, data: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images and labels of a batch file: 10,000 records of a label and three colour planes."""
    way_out = _fetch_again()
    if len(data) != _CIFAR10_BYTES:
        raise LabError(f"expected {_CIFAR10_BYTES} bytes in {name}, got {len(data)}: {way_out}")
    records = np.frombuffer(data, np.uint8).reshape(-1, _CIFAR10_RECORD)
    labels, planes = records[:, 0].astype(np.int64), records[:, 1:].reshape(-1, 3, 32, 32)
    if labels.max() > 9:
        raise LabError(f"expected labels in 0..9 in {name}, got {labels.max()}: {way_out}")
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels


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
