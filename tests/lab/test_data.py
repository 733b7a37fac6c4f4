"""The datasets: what is loaded is what the files say, and what is wrong is refused in one sentence."""

import gzip
import hashlib
import io
import json
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mixaug.lab import data as lab
from mixaug.lab.data import Remote, load
from mixaug.lab.dataset import Data, Objects, Sizes, Split, check
from mixaug.lab.errors import LabError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


# --- the sample in the package ---


def test_sample_is_balanced_and_grey():
    data = load("fashion-mnist-sample")
    assert (data.name, data.size, data.channels, len(data.classes)) == ("fashion-mnist-sample", (28, 28), 1, 10)
    for split, count in ((data.train, 1000), (data.test, 200)):
        assert split.images.shape == (10 * count, 28, 28, 1)
        assert np.bincount(split.targets).tolist() == [count] * 10
        assert (split.images.dtype, split.targets.dtype) == (np.uint8, np.int64)


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_sample_is_the_first_originals_of_each_class():
    data = load("fashion-mnist-sample")
    for split, prefix in ((data.train, "train"), (data.test, "t10k")):
        images = lab.read_idx(DEBIAN / f"{prefix}-images-idx3-ubyte.gz")
        labels = lab.read_idx(DEBIAN / f"{prefix}-labels-idx1-ubyte.gz")
        count = len(split.targets) // 10
        for c in range(10):
            originals = images[labels == c][:count, ..., None]
            assert np.array_equal(split.images[split.targets == c], originals)


# --- train_size and image_size ---


def test_train_size_is_balanced_and_spreads_the_remainder():
    labels = load("fashion-mnist-sample", train_size=103).train.targets
    assert sorted(np.bincount(labels).tolist()) == [10] * 7 + [11] * 3


def test_train_size_depends_on_the_seed_only_and_is_nested():
    small, again, large, other = (
        load("fashion-mnist-sample", train_size=size, seed=seed).train.images
        for size, seed in ((50, -1), (50, -1), (80, -1), (50, 2))
    )
    assert np.array_equal(small, again)
    assert np.array_equal(small, large[:50])
    assert not np.array_equal(small, other)


def test_train_size_takes_all_of_a_small_class_and_keeps_image_and_label_together():
    labels = np.array([0] * 2 + [1] * 20)
    split = Split(np.tile(labels.astype(np.uint8)[:, None, None, None], (1, 4, 4, 1)), labels)
    chosen = Sizes(train=10).of(Data("d", ("a", "b"), split, split)).train
    assert np.bincount(chosen.targets).tolist() == [2, 8]
    assert np.array_equal(chosen.images[:, 0, 0, 0], chosen.targets)


@pytest.mark.parametrize("size", [9, 10_001])
def test_impossible_train_size(size):
    with pytest.raises(
        LabError, match=rf"^expected a train size of 10 \(one a class\) to 10000 \(all\), got {size}: choose "
    ):
        load("fashion-mnist-sample", train_size=size)


def test_image_size_resizes_every_image():
    full, half = load("fashion-mnist-sample", train_size=20), load("fashion-mnist-sample", train_size=20, image_size=14)
    assert (half.train.images.shape, half.test.images.shape) == ((20, 14, 14, 1), (2000, 14, 14, 1))
    assert half.size == (14, 14)
    assert abs(half.test.images.mean() - full.test.images.mean()) < 2


def test_impossible_image_size():
    with pytest.raises(LabError, match=r"^expected an image size of 1 to 1024 pixels, got 0: 32 or 64 are usual$"):
        load("fashion-mnist-sample", image_size=0)


def test_unknown_name():
    names = ".*cifar10, .*scenes, folder:PATH, folders:IMAGES,TARGETS, npz:FILE, hf:NAME"
    expected = rf"expected a dataset \({names}\), got 'cifar': did you mean 'cifar10'\?"
    with pytest.raises(LabError, match=expected):
        load("cifar")


# --- tasks ---


@pytest.mark.parametrize(
    ("spec", "has"),
    [
        *((spec, ("classification",)) for spec in ("cifar10", "fashion-mnist", "fashion-mnist-sample", "folder:x")),
        *((spec, ("segmentation", "image2image")) for spec in ("scenes", "folders:x,y")),
    ],
)
def test_a_task_that_the_data_have_not_is_refused(spec, has):
    assert lab.tasks(spec) == has
    for task in {"classification", "segmentation", "image2image", "regression"} - set(has):
        sentence = (
            rf"^expected a task that {spec} has \({', '.join(has)}\), got '{task}': choose one of these, or other"
        )
        with pytest.raises(LabError, match=sentence):
            load(spec, task=task)


@pytest.mark.parametrize(
    ("spec", "task"), [("scenes", "segmentation"), ("folders:x,y", "image2image"), ("folder:x", "classification")]
)
def test_classes_and_an_ignored_id_belong_to_masks_in_folders(spec, task):
    for name, option in (("classes", {"classes": ("a", "b")}), ("an ignore index", {"ignore_index": 255})):
        sentence = f"^expected {name} with masks of folders: alone, got {task} of {spec}: leave that out$"
        with pytest.raises(LabError, match=sentence):
            load(spec, task=task, **option)


@pytest.mark.full
def test_train_size_of_masks_is_the_start_of_a_shuffle():
    sizes = (30, 30, 50, 2000)
    a, again, larger, whole = (load("scenes", task="segmentation", train_size=n, seed=4).train for n in sizes)
    for one, other in ((a, again), (a, larger.take(range(30))), (larger, whole.take(range(50)))):
        assert all(np.array_equal(x, y) for x, y in zip(one.arrays(), other.arrays(), strict=True))
    plain = load("scenes", task="segmentation").train
    assert not np.array_equal(a.images, plain.images[:30])
    assert sorted(map(bytes, whole.images)) == sorted(map(bytes, plain.images))
    with pytest.raises(LabError, match=r"^expected a train size of 1 to 2000 \(all\), got 2001: choose "):
        load("scenes", task="segmentation", train_size=2001)


def test_the_digest_covers_images_targets_and_boxes():
    images, masks = np.zeros((3, 8, 8, 1), np.uint8), np.zeros((3, 8, 8), np.uint8)
    boxes = Objects(boxes=np.zeros((3, 1, 4), np.float32), labels=np.zeros((3, 1), np.int64))
    other = Objects(boxes=boxes["boxes"] + 1, labels=boxes["labels"])
    splits = [Split(images, masks, boxes), Split(images + 1, masks, boxes), Split(images, masks + 1, boxes)]
    splits += [Split(images, masks, other), Split(images, masks)]
    said = [json.loads(Data("d", ("a", "b"), split, splits[0], "segmentation", 255).to_json()) for split in splits]
    assert len({one.pop("sha256") for one in said}) == len(splits)
    rest = {"train": 3, "test": 3, "size": [8, 8], "channels": 1}
    assert said[0] == {"name": "d", "task": "segmentation", "classes": ["a", "b"], "ignore_index": 255, **rest}


# --- check ---


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        (np.full((2, 8, 8, 1), np.nan, np.float32), np.array([0, 1]), "expected uint8 images of 0..255, got float32: "),
        (np.zeros((2, 3, 8, 8), np.uint8), np.array([0, 1]), r"got \(2, 3, 8, 8\): put the channels last"),
        (np.zeros((2, 8, 8), np.uint8), np.array([0, 1]), r"got \(2, 8, 8\): put the channels last"),
        (np.zeros((0, 8, 8, 1), np.uint8), np.zeros(0, np.int64), r"got \(0, 8, 8, 1\)"),
        (np.zeros((2, 8, 8, 1), np.uint8), np.array([0]), r"expected int64 labels \(2,\), got int64 \(1,\)"),
        (np.zeros((2, 8, 8, 1), np.uint8), np.array([0.0, 1]), r"got float64 \(2,\): give one class id an image"),
        (np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 3]), r"expected labels in 0..2, got 3: number the classes"),
        (np.zeros((2, 8, 8, 1), np.uint8), np.array([-1, 0]), r"expected labels in 0..2, got -1: number the classes"),
    ],
)
def test_check_refuses(images, labels, sentence):
    with pytest.raises(LabError, match=sentence):
        check(Split(images, labels), 3)


IMAGES, MASKS = np.zeros((2, 8, 8, 1), np.uint8), np.zeros((2, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("targets", "task", "sentence"),
    [
        (
            MASKS[:1],
            "segmentation",
            r"expected uint8 masks \(2, 8, 8\), got uint8 \(1, 8, 8\): give one class id a pixel",
        ),
        (MASKS[..., None], "segmentation", r"got uint8 \(2, 8, 8, 1\): give one class id a pixel"),
        (MASKS.astype(np.int64), "segmentation", r"expected uint8 masks \(2, 8, 8\), got int64 \(2, 8, 8\)"),
        (MASKS + 3, "segmentation", r"expected mask ids in 0..2 or 255 \(ignored\), got 3: number the classes from 0"),
        (MASKS, "image2image", r"expected target images \(n, h, w, 1 or 3\), got \(2, 8, 8\)"),
        (IMAGES / 255, "image2image", "expected uint8 target images of 0..255, got float64"),
        (IMAGES[:, 1:], "image2image", r"expected target images \(2, 8, 8\), as the images are, got \(2, 7, 8\): give"),
        (MASKS, "segment", r"expected a task \(classification, segmentation, .*\), got 'segment': did you mean 'segm"),
    ],
)
def test_check_refuses_targets_of_a_task(targets, task, sentence):
    with pytest.raises(LabError, match=sentence):
        check(Split(IMAGES, targets), 3, task=task, ignore_index=255)


def test_check_takes_ids_and_the_ignored_one():
    masks = MASKS.copy()
    masks[0, 0, :2] = 2, 255
    split = Split(IMAGES, masks)
    assert check(split, 3, task="segmentation", ignore_index=255) is split
    with pytest.raises(
        LabError, match=r"expected mask ids in 0..2, got 255: number the classes from 0, or name the id"
    ):
        check(split, 3, task="segmentation")


@pytest.mark.parametrize(
    ("boxes", "labels", "sentence"),
    [
        (
            np.zeros((2, 5, 4)),
            np.zeros((2, 5), int),
            r"expected float32 boxes \(2, m, 4\) .*, got float64 \(2, 5, 4\) and",
        ),
        (np.zeros((2, 5, 4), np.float32), np.zeros((2, 4), int), r"and int64 \(2, 4\): pad both to one length with -1"),
        (np.zeros((1, 5, 4), np.float32), np.zeros((1, 5), int), r"got float32 \(1, 5, 4\)"),
        (
            np.zeros((2, 5, 4), np.float32),
            np.full((2, 5), 3),
            r"expected labels of boxes in -1..2, got 3: -1 is padding",
        ),
        (np.zeros((2, 5, 4), np.float32), np.full((2, 5), -2), r"expected labels of boxes in -1..2, got -2"),
    ],
)
def test_check_refuses_boxes(boxes, labels, sentence):
    with pytest.raises(LabError, match=sentence):
        check(Split(IMAGES, MASKS, Objects(boxes=boxes, labels=labels)), 3, task="segmentation")


# --- the web: a server that can misbehave ---


class Server:
    """Serves `files`, or cuts them in half while `cut`; counts the requests."""

    def __init__(self):
        self.files, self.cut, self.requests = {}, False, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests += 1
                body = outer.files.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write((body or b"")[: len(body or b"") // (2 if outer.cut else 1)])

            def log_message(self, *args):
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def offer(self, name, body):
        self.files[f"/{name}"] = body
        return Remote(f"http://127.0.0.1:{self.http.server_port}/{name}", hashlib.sha256(body).hexdigest())

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("MIXAUG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_download_happens_once(server, tmp_path):
    remote = server.offer("data.bin", b"x" * 5000)
    for _ in range(2):
        assert lab.fetch(remote, tmp_path).read_bytes() == b"x" * 5000
    assert server.requests == 1


def test_half_a_download_is_never_taken_for_the_file(server, tmp_path):
    remote = server.offer("data.bin", b"x" * 5000)
    server.cut = True
    sentence = rf"^expected to download data.bin \(sha256:.*\) from http.*, got \w+Error: put the file into {tmp_path} "
    for _ in range(2):
        with pytest.raises(LabError, match=sentence):
            lab.fetch(remote, tmp_path)
    assert list(tmp_path.iterdir()) == []
    server.cut = False
    assert lab.fetch(remote, tmp_path).read_bytes() == b"x" * 5000


def test_another_file_is_refused(server, tmp_path):
    remote = server.offer("data.bin", b"x" * 5000)
    server.offer("data.bin", b"y" * 5000)
    with pytest.raises(LabError, match=r"got a file with another hash: put the file into .* MIXAUG_CACHE"):
        lab.fetch(remote, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_half_a_file_in_the_cache_is_fetched_again(server, tmp_path):
    remote = server.offer("data.bin", b"x" * 5000)
    (tmp_path / "data.bin").write_bytes(b"x" * 2500)
    assert lab.fetch(remote, tmp_path).read_bytes() == b"x" * 5000


def test_no_such_file_and_no_network(server, tmp_path):
    remote = server.offer("data.bin", b"x")
    with pytest.raises(LabError, match=r"got HTTPError: put the file into"):
        lab.fetch(Remote(f"{remote.url}.gone", remote.sha256), tmp_path)
    server.stop()
    with pytest.raises(LabError, match=r"got ConnectionError: put the file into"):
        lab.fetch(remote, tmp_path)


def test_cache_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LabError, match=r"got \w+Error: put the file into .* or let MIXAUG_CACHE name another folder"):
        lab.fetch(server.offer("data.bin", b"x"), tmp_path / "file" / "cache")


# --- fashion-mnist ---


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


def test_fashion_mnist_reads_its_four_files(server, cache):
    labels = np.arange(12) % 10
    images = np.tile(labels[:, None, None], (1, 28, 28))
    arrays = {"train-images": images, "train-labels": labels, "t10k-images": images[:3], "t10k-labels": labels[:3]}
    data = lab.fashion_mnist(tuple(server.offer(f"{name}.gz", gzip.compress(idx(x))) for name, x in arrays.items()))
    assert (data.train.images.shape, data.test.images.shape) == ((12, 28, 28, 1), (3, 28, 28, 1))
    assert np.array_equal(data.train.images[:, 9, 9, 0], data.train.targets)
    assert (cache / "fashion-mnist" / "train-images.gz").is_file()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"not gzip", "expected a gzipped idx file, got Not a gzipped file"),
        (gzip.compress(idx(np.zeros(100)))[:-9], "expected a gzipped idx file, got "),
        (gzip.compress(b"\0\0\x0d\x01" + bytes(8)), r"expected an idx file of bytes .*, got \[0, 0, 13, 1\]"),
        (gzip.compress(b"\0\0"), r"got \[0, 0\]: delete"),
        (gzip.compress(b"\0\0\x08\x03" + bytes(4)), r"got \[0, 0, 8, 3\]: delete"),
        (gzip.compress(idx(np.zeros((2, 3)))[:-1]), r"expected \[2, 3\] = 6 bytes, got 5: delete .*file.gz"),
        (gzip.compress(idx(np.zeros((2, 3))) + b"\0"), r"expected \[2, 3\] = 6 bytes, got 7: delete .*file.gz"),
    ],
    ids=["no gzip", "cut", "no bytes", "too short", "no sizes", "one too few", "one too many"],  # gzip dates its bytes
)
def test_idx_is_read_strictly(content, sentence, tmp_path):
    (tmp_path / "file.gz").write_bytes(content)
    with pytest.raises(LabError, match=sentence):
        lab.read_idx(tmp_path / "file.gz")


# --- cifar10: batches whose pixels tell their batch, label and colour plane ---

BATCHES = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]


def cifar_batch(number):
    records = np.empty((10_000, 3073), np.uint8)
    records[:, 0] = labels = np.arange(10_000) % 10
    for plane in range(3):
        records[:, 1 + 1024 * plane : 1025 + 1024 * plane] = (labels + 10 * plane + 40 * number)[:, None]
    records[:, 1 + 5] = 255  # red, row 0, column 5
    return records.tobytes()


def assert_is_cifar(data):
    assert (data.size, data.channels, data.classes[9]) == ((32, 32), 3, "truck")
    for split, batches in ((data.train, range(5)), (data.test, [5])):
        assert split.images.shape == (10_000 * len(batches), 32, 32, 3)
        for place, number in enumerate(batches):
            image, label = split.images[10_000 * place + 7], split.targets[10_000 * place + 7]
            assert label == 7
            assert image[31, 31].tolist() == [7 + 40 * number, 17 + 40 * number, 27 + 40 * number]
            assert image[0, 5, 0] == 255
            assert image[5, 0, 0] != 255


def test_cifar10_from_the_archive_without_unpacking(server, cache, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, content in [("../evil.bin", b"x"), *((name, None) for name in reversed(BATCHES))]:
            member = tarfile.TarInfo(name if content else f"cifar-10-batches-bin/{name}")
            body = content or cifar_batch(BATCHES.index(name))
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    assert_is_cifar(lab.cifar10(server.offer("cifar.tar.gz", buffer.getvalue())))
    assert [path.name for path in cache.iterdir()] == ["cifar.tar.gz"]
    assert not (tmp_path / "evil.bin").exists()


def test_cifar10_archive_with_a_link_for_a_batch(server, cache):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(LabError, match=r"expected 30730000 bytes in data_batch_1.bin, got 0: delete"):
        lab.cifar10(server.offer("cifar.tar.gz", buffer.getvalue()))


def test_cifar10_from_the_unpacked_folder(cache):
    folder = cache / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    hashes = {}
    for number, name in enumerate(BATCHES):
        (folder / name).write_bytes(cifar_batch(number))
        hashes[name] = hashlib.sha256(cifar_batch(number)).hexdigest()
    assert_is_cifar(lab.cifar10(sha256=hashes))
    with pytest.raises(LabError, match=r"data_batch_1.bin of sha256:.*, got sha256:.*: delete cifar-10-batches-bin or"):
        load("cifar10")  # these are not the real ones

    good = (folder / "data_batch_2.bin").read_bytes()
    for changed in (good[:-1], b"\x0a" + good[1:], b""):
        (folder / "data_batch_2.bin").write_bytes(changed)
        with pytest.raises(LabError, match=f"data_batch_2.bin of sha256:{hashes['data_batch_2.bin']}, got sha256:"):
            lab.cifar10(sha256=hashes)
    (folder / "data_batch_2.bin").unlink()
    with pytest.raises(LabError, match=r"expected 30730000 bytes in data_batch_2.bin, got 0: delete"):
        lab.cifar10(sha256=hashes)


# --- folders: each class has its own colour ---


def paint(path, colour, size=(20, 30), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)


def fill(root, count=5, **colours):
    for name, colour in colours.items():
        for i in range(count):
            paint(root / name / f"{i}.png", colour)
    return f"folder:{root}"


def assert_colours(split, *colours):
    for label, colour in enumerate(colours):
        assert (split.images[split.targets == label] == colour).all()


def test_folder_is_split_per_class(tmp_path):
    data = load(fill(tmp_path, 10, red=RED, blue=BLUE, green=GREEN), image_size=16)
    assert data.classes == ("blue", "green", "red")
    assert data.name == f"folder:{tmp_path}"
    assert (data.train.images.shape, data.test.images.shape) == ((24, 16, 16, 3), (6, 16, 16, 3))
    assert np.bincount(data.test.targets).tolist() == [2, 2, 2]
    for split in (data.train, data.test):
        assert_colours(split, BLUE, GREEN, RED)


def test_folder_split_is_a_partition_that_the_seed_decides(tmp_path):
    for i in range(40):
        paint(tmp_path / "abc"[i % 2] / f"{i}.png", (i, i, i))

    def held_out(seed):
        data = load(f"folder:{tmp_path}", seed=seed)
        train, test = (set(split.images[:, 0, 0, 0].tolist()) for split in (data.train, data.test))
        assert train | test == set(range(40))
        assert not train & test
        return test

    assert held_out(3) == held_out(3) != held_out(4)


def test_two_images_a_class_are_one_and_one_and_the_size_is_64(tmp_path):
    data = load(fill(tmp_path, 2, a=RED, b=BLUE))
    assert data.train.targets.tolist() == data.test.targets.tolist() == [0, 1]
    assert data.size == (64, 64)


@pytest.mark.parametrize("held_out", ["test", "val"])
def test_folder_with_its_own_splits(tmp_path, held_out):
    fill(tmp_path / "train", 3, a=RED, b=BLUE)
    fill(tmp_path / held_out, 1, a=GREEN, b=RED)
    data = load(f"folder:{tmp_path}", image_size=8)
    assert np.bincount(data.train.targets).tolist() == [3, 3]
    assert_colours(data.train, RED, BLUE)
    assert_colours(data.test, GREEN, RED)


def test_train_can_be_a_class(tmp_path):
    assert load(fill(tmp_path, 2, train=RED, plane=BLUE), image_size=8).classes == ("plane", "train")


def test_grey_only_if_all_are_grey(tmp_path):
    fill(tmp_path, 2, a=RED)
    paint(tmp_path / "b" / "0.png", 10, mode="L")
    paint(tmp_path / "b" / "1.png", (90, 0), mode="LA")
    mixed = load(f"folder:{tmp_path}", image_size=8)
    assert mixed.channels == 3
    for file in (tmp_path / "a").iterdir():
        paint(file, 1, mode="1")
    grey = load(f"folder:{tmp_path}", image_size=8)
    assert grey.channels == 1
    both = np.concatenate([grey.train.images, grey.test.images])
    assert set(np.unique(both).tolist()) == {10, 90, 255}


def test_many_formats_and_sixteen_bits(tmp_path):
    spec = fill(tmp_path, 2, a=RED, b=BLUE)
    for name in ("x.BMP", "x.jpeg", "x.webp", "x.gif", "x.tiff"):
        paint(tmp_path / "a" / name, RED)
    deep = np.full((9, 9), 10_000, np.uint16)
    deep[:, 4:] = 40_000
    Image.fromarray(deep).save(tmp_path / "b" / "deep.png")
    data = load(spec, image_size=9)
    images, labels = (np.concatenate([getattr(data.train, x), getattr(data.test, x)]) for x in ("images", "targets"))
    assert np.bincount(labels).tolist() == [7, 3]
    assert (np.abs(images[labels == 0].astype(int) - RED) <= 3).all()
    grey = next(image for image in images[labels == 1] if (image == image[..., :1]).all())
    assert (grey[:, :4] == 0).all()
    assert (grey[:, 4:] == 255).all()
    assert any("their range, 10000 to 40000, is scaled to 0 to 255" in note for note in data.notes)


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:16] = 255
    for name in ("train/a", "train/b", "test/a", "test/b"):
        (tmp_path / name).mkdir(parents=True)
        Image.fromarray(picture).save(tmp_path / name / "x.png", exif=exif)
    image = load(f"folder:{tmp_path}", image_size=32).train.images[0]
    assert image[2].max() == 0
    assert image[29].min() == 255


def test_resizing_is_antialiased(tmp_path):
    spec = fill(tmp_path, 2, a=RED, b=BLUE)
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 200
    for file in (tmp_path / "a").iterdir():
        Image.fromarray(stripes).save(file)
    data = load(spec, image_size=16)
    assert np.abs(data.train.images[data.train.targets == 0].astype(int) - 100).max() <= 6


def test_hidden_files_and_other_files_are_left_out(tmp_path):
    spec = fill(tmp_path, 2, a=RED, b=BLUE)
    for name in ("a/.hidden.png", "a/notes.txt", "a/Thumbs.db", "a/table.h5", "README.md"):
        (tmp_path / name).write_bytes(b"no image")
    (tmp_path / ".git").mkdir()
    (tmp_path / "a" / "nested.png").mkdir()
    data = load(spec, image_size=8)
    assert data.classes == ("a", "b")
    assert len(data.train.targets) + len(data.test.targets) == 4


def test_no_such_folder(tmp_path):
    with pytest.raises(LabError, match=rf"^expected a folder of images, got {tmp_path}/gone: no such folder$"):
        load(f"folder:{tmp_path}/gone")


def test_no_class_folders_or_only_one(tmp_path):
    with pytest.raises(LabError, match=rf"^expected two or more class folders in {tmp_path}, got none: put each class"):
        load(f"folder:{tmp_path}")
    with pytest.raises(LabError, match=f"class folders in {tmp_path}, got only 'a': put each class"):
        load(fill(tmp_path, a=RED))


def test_empty_class(tmp_path):
    spec = fill(tmp_path, a=RED, b=BLUE)
    (tmp_path / "c").mkdir()
    with pytest.raises(LabError, match=rf"^expected images in {tmp_path}/c, got none: add some, or remove the folder$"):
        load(spec)


def test_class_too_small_to_split(tmp_path):
    with pytest.raises(LabError, match=rf"^expected two or more images in {tmp_path}/a, got 1: add some, or split"):
        load(fill(tmp_path, 1, a=RED, b=BLUE))


@pytest.mark.parametrize(("where", "missing"), [("train", "val"), ("val", "train")])
def test_splits_with_other_classes(tmp_path, where, missing):
    fill(tmp_path / "train", 1, a=RED, b=BLUE)
    fill(tmp_path / "val", 1, a=RED, b=BLUE)
    fill(tmp_path / where, 1, c=GREEN)
    sentence = f"same classes in train of {tmp_path} and val of {tmp_path}, got no 'c' in {missing} of {tmp_path}: add "
    with pytest.raises(LabError, match=sentence):
        load(f"folder:{tmp_path}")


def test_broken_images_are_named(tmp_path):
    spec = fill(tmp_path, 2, a=RED, b=BLUE)
    bad = tmp_path / "a" / "bad.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(bad)
    whole = bad.read_bytes()
    for content in (
        whole[: len(whole) // 2],
        b"not an image",
        b"",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ):
        bad.write_bytes(content)
        with pytest.raises(
            LabError, match=rf"^expected an image, got {bad}, which cannot be read \(.*\): repair or rem"
        ):
            load(spec)


def test_decompression_bomb(tmp_path, monkeypatch):
    spec = fill(tmp_path, 2, a=RED, b=BLUE)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(LabError, match=r"\d.png \(.*decompression bomb"):
        load(spec)


def test_float_image_is_refused(tmp_path):
    spec = fill(tmp_path, 2, a=RED, b=BLUE)
    paint(tmp_path / "b" / "x.tiff", 0.5, mode="F")
    with pytest.raises(LabError, match=r"expected pixels of 8 or 16 bits, got .*x.tiff of 32: its range is unknown"):
        load(spec)
