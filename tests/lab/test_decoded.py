"""Decoded images: the same in memory and in the cache folder, whole or not there, and what is damaged is listed."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mixaug.lab.data import Wanted, find, load
from mixaug.lab.dataset import release
from mixaug.lab.errors import LabError
from mixaug.lab.progress import Progress
from mixaug.lab.remote import cache_folder

SIZE = 16


class Notes(Progress):
    def __init__(self):
        self.notes, self.reads = [], []

    def note(self, text):
        self.notes.append(text)

    def read(self, done, total):
        self.reads.append((done, total))


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("MIXAUG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "decoded"


def level(folder, i):
    """The red of image i of a class: no two are the same."""
    return 40 * "abc".index(folder) + i


def photos(root, count=10, classes="abc"):
    """Photographs of mixed sizes and kinds, whose red tells which one it is."""
    for name in classes:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            red = level(name, i)
            image = Image.new("RGB", (20 + i, 33 - i), (red, 200, 90))
            image.save(root / name / f"{i}.png")
    return f"folder:{root}"


def levels(split):
    """What the reds say: class and number of each image, which has to be its label and the name of its file."""
    reds = split.images[:, 3, 5, 0].tolist()
    for red, label, name in zip(reds, split.targets.tolist(), split.names, strict=True):
        assert red == level("abc"[label], int(name.removesuffix(".png")))
    return reds


# --- what is decoded ---


def test_images_are_mapped_from_the_cache_and_keep_their_labels_and_names(tmp_path, cache):
    spec = photos(tmp_path / "photos")
    data, recorder = load(spec, image_size=SIZE), Notes()
    assert sorted(levels(data.train) + levels(data.test)) == sorted(level(c, i) for c in "abc" for i in range(10))
    assert isinstance(data.train.images, np.memmap)
    assert not data.train.images.flags.writeable
    again = load(spec, recorder, image_size=SIZE)
    assert recorder.reads == []  # decoded once
    assert again.to_json() == data.to_json()
    assert [path.suffix for path in sorted(cache.iterdir())] == ["", ".lock"]


def test_looking_at_a_few_images_writes_nothing_and_shows_the_same(tmp_path, cache):
    spec = photos(tmp_path / "photos")
    found = find(Wanted(spec, image_size=SIZE))
    few = found.look(np.array([7, 2]))
    assert not cache.exists()
    whole = load(spec, image_size=SIZE)
    assert np.array_equal(few.train.images, whole.train.images[[7, 2]])
    assert few.train.names == (whole.train.names[7], whole.train.names[2])


def test_cmyk_grey_palette_and_transparent_files_become_rgb(tmp_path, cache):
    spec = photos(tmp_path / "photos", 3)
    Image.new("CMYK", (30, 20), (255, 0, 0, 0)).save(tmp_path / "photos" / "a" / "cmyk.jpg")
    Image.new("L", (30, 20), 77).save(tmp_path / "photos" / "b" / "grey.jpg")
    data = load(spec, image_size=SIZE)
    named = dict(zip(data.train.names + data.test.names, [*data.train.images, *data.test.images], strict=True))
    assert np.abs(named["cmyk.jpg"][4, 4].astype(int) - (0, 255, 255)).max() <= 3
    assert (named["grey.jpg"] == 77).all()


def test_files_that_are_all_grey_are_kept_in_one_channel(tmp_path, cache):
    for name in "ab":
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(2):
            Image.new("L", (9, 9), level(name, i)).save(tmp_path / "photos" / name / f"{i}.png")
    data = load(f"folder:{tmp_path / 'photos'}", image_size=8)
    assert data.train.images.shape == (2, 8, 8, 1)
    assert sorted(np.concatenate([data.train.images, data.test.images])[:, 0, 0, 0]) == [0, 1, 40, 41]
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    assert sorted(path.name for path in folder.iterdir()) == ["0-grey.npy", "info.json"]


def test_only_chosen_images_are_decoded(tmp_path, cache):
    spec, recorder = photos(tmp_path / "photos"), Notes()
    data = load(spec, recorder, image_size=SIZE, train_size=6, test_size=3)
    assert recorder.reads[-1] == (9, 9)
    assert [np.bincount(split.targets).tolist() for split in (data.train, data.test)] == [[2, 2, 2], [1, 1, 1]]
    levels(data.train), levels(data.test)
    whole = load(spec, image_size=SIZE)
    assert set(levels(data.test)) < set(levels(whole.test))
    assert set(levels(data.train)) < set(levels(load(spec, image_size=SIZE, train_size=9).train))


@pytest.mark.parametrize("change", ["date", "size of a file", "new file", "image size"])
def test_what_changes_is_decoded_again(tmp_path, cache, change):
    root = tmp_path / "photos"
    spec = photos(root)
    load(spec, image_size=SIZE)
    size, file, recorder = SIZE, root / "a" / "0.png", Notes()
    match change:
        case "date":
            os.utime(file, ns=(1, 1))
        case "size of a file":
            stat = file.stat()
            file.write_bytes(file.read_bytes() + b"\0")
            os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        case "new file":
            shutil.copy(file, root / "a" / "99.png")
        case "image size":
            size = 8
    load(spec, recorder, image_size=size)
    assert recorder.reads


def test_pages_that_were_given_back_are_read_again(tmp_path, cache):
    data = load(photos(tmp_path / "photos"), image_size=SIZE)
    before = data.train.images.copy()
    release(data.train.images)
    assert np.array_equal(data.train.images, before)
    release(before)  # nothing is mapped there


# --- killed, at the same time, without room ---

LOAD = """
import sys
from mixaug.lab.data import load
from mixaug.lab.progress import Progress
class Said(Progress):
    def note(self, text):
        print(text, flush=True)
    def read(self, done, total):
        if done == int(sys.argv[2]):
            print("half", flush=True)
            sys.stdin.read()
print(load(sys.argv[1], Said(), image_size=16).to_json(), flush=True)
"""


def process(spec, stop=-1, **options):
    command = [sys.executable, "-c", LOAD, spec, str(stop)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)


def test_a_kill_leaves_nothing_that_is_taken_for_the_images(tmp_path, cache):
    spec = photos(tmp_path / "photos")
    killed = process(spec, 15)
    assert killed.stdout.readline() == "half\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert [path.name for path in cache.iterdir() if path.is_dir() and "-" in path.name]  # half of it
    data = load(spec, image_size=SIZE)
    assert len(levels(data.train) + levels(data.test)) == 30
    assert not [path for path in cache.iterdir() if path.is_dir() and "-" in path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="no locks of files")
def test_of_two_runs_the_second_waits_for_the_first(tmp_path, cache):
    spec = photos(tmp_path / "photos")
    first = process(spec, 15)
    assert first.stdout.readline() == "half\n"
    second = process(spec, 15)
    assert second.stdout.readline() == "another process decodes the same images: waiting for it\n"
    one = first.communicate("")[0]
    other = second.communicate("")[0]
    assert "half" not in other  # it decodes nothing itself
    assert one.partition("{")[2] == other.partition("{")[2] != ""
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 1


def limited(size):
    """No file of this process may be larger: the nearest to a full disk that needs no disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_no_room_is_an_error_before_anything_is_decoded(tmp_path, cache, monkeypatch):
    spec = photos(tmp_path / "photos")
    failed = process(spec, preexec_fn=limited(4096), stderr=subprocess.PIPE)
    out, error = failed.communicate()
    assert out == ""
    sentence = rf"LabError: expected to keep decoded images in {cache}, got File too large: make room there, or let "
    assert re.search(sentence + "the environment variable MIXAUG_CACHE name another folder", error)
    assert not [path for path in cache.iterdir() if path.is_dir()]
    monkeypatch.setenv("MIXAUG_CACHE", str(tmp_path / "elsewhere"))
    assert process(spec).communicate()[0]


FULL = """
set -e
mkdir -p "$MIXAUG_CACHE"
mount -t tmpfs -o size=16k tmpfs "$MIXAUG_CACHE"
exec "$@"
"""


def may_mount():
    """Whether this user may mount a small disk in a namespace of its own."""
    command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return shutil.which("unshare") is not None and not subprocess.run(command, capture_output=True).returncode


@pytest.mark.skipif(not may_mount(), reason="no disk can be mounted here")
def test_a_full_disk_is_an_error_before_anything_is_decoded(tmp_path, cache):
    """30 images of 16 pixels take 23 KB; the disk under the cache has 16."""
    spec = photos(tmp_path / "photos")
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", FULL, "sh", sys.executable, "-c", LOAD]
    failed = subprocess.run([*command, spec, "1"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert failed.returncode == 1  # a signal where pages are written that the disk has no room for
    assert "half" not in failed.stdout
    assert re.search(
        r"LabError: expected to keep decoded images in .*, got No space left on device: make", failed.stderr
    )


def test_a_damaged_cache_is_refused_by_name_and_deleting_it_helps(tmp_path, cache):
    spec = photos(tmp_path / "photos")
    before = load(spec, image_size=SIZE).to_json()
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    for name, content in (("0.npy", b"half of"), ("info.json", b"{"), ("info.json", b"{}"), ("info.json", b"[]")):
        kept = (folder / name).read_bytes()
        (folder / name).write_bytes(content)
        with pytest.raises(LabError, match=rf"that a former run kept in {folder}, got .*: delete that folder$"):
            load(spec, image_size=SIZE)
        (folder / name).write_bytes(kept)
    shutil.rmtree(folder)
    assert load(spec, image_size=SIZE).to_json() == before


@pytest.mark.full
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_memory_does_not_grow_with_the_images(tmp_path, cache):
    """Of 3,000 images of 128 pixels, 141 MiB, few are in memory at a time: while decoding, hashing and taking."""
    root = tmp_path / "photos"
    for name in "ab":
        (root / name).mkdir(parents=True)
        for i in range(1500):
            Image.new("RGB", (30, 20), (i % 256, 0, 0)).save(root / name / f"{i}.bmp")
    script = """
import sys
from pathlib import Path
import numpy as np
from mixaug.lab.data import load

def most():  # of this program alone: what getrusage says begins with the memory of the program that started it
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024

before = most()
data = load(sys.argv[1], image_size=128)
data.to_json()
for i in range(100):
    data.train.take(np.arange(i, 2400, 80))
print(most() - before)
"""
    ran = subprocess.run([sys.executable, "-c", script, f"folder:{root}"], capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 70


# --- damaged files ---


def damage(root, *names):
    for name in names:
        path = root / name
        path.write_bytes(path.read_bytes()[:40])
    return [root / name for name in names]


def test_damaged_files_are_listed_and_may_be_left_out(tmp_path, cache):
    spec = photos(tmp_path / "photos")
    bad = damage(tmp_path / "photos", "a/3.png", "b/0.png", "c/9.png")
    with pytest.raises(LabError, match=r"^expected 30 images, got 3 files that cannot be read \(") as raised:
        load(spec, image_size=SIZE)
    assert all(str(path) in str(raised.value) for path in bad)
    assert str(raised.value).endswith(": repair or remove them, or leave them out with --skip-damaged")
    data = load(spec, image_size=SIZE, skip_damaged=True)
    assert len(levels(data.train)) + len(levels(data.test)) == 27
    assert sorted(data.left_out) == sorted(map(str, bad))
    assert [note for note in data.notes if note.startswith(f"left out: {bad[0]} (")]
    assert '"left_out": [' in data.to_json()
    for path in bad:
        path.unlink()
    assert len(load(spec, image_size=SIZE).train.names) + len(load(spec, image_size=SIZE).test.names) == 27


def test_many_damaged_files_are_counted_and_the_first_named(tmp_path, cache):
    spec = photos(tmp_path / "photos", 10)
    damage(tmp_path / "photos", *(f"{c}/{i}.png" for c in "ab" for i in range(8)))
    with pytest.raises(LabError, match=r"got 16 files that cannot be read .*; and 6 more\): repair"):
        load(spec, image_size=SIZE)


def test_a_file_that_only_the_user_may_not_read_is_read_when_that_is_mended(tmp_path, cache):
    """What was damaged without --skip-damaged is not remembered: permissions change neither size nor date."""
    spec = photos(tmp_path / "photos")
    (bad,) = damage(tmp_path / "photos", "a/3.png")
    stat = bad.stat()
    with pytest.raises(LabError, match=r"or leave it out with --skip-damaged$"):
        load(spec, image_size=SIZE)
    Image.new("RGB", (9, 9), (level("a", 3), 200, 90)).save(bad)
    bad.write_bytes(bad.read_bytes().ljust(stat.st_size, b"\0"))
    os.utime(bad, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    data = load(spec, image_size=SIZE)
    assert len(levels(data.train)) + len(levels(data.test)) == 30


def test_a_class_whose_files_are_all_damaged_is_named(tmp_path, cache):
    spec = photos(tmp_path / "photos", 2)
    damage(tmp_path / "photos", "b/0.png", "b/1.png")
    with pytest.raises(
        LabError, match=r"^expected an image of 'b' to train on that can be read, got none: repair some"
    ):
        load(spec, image_size=SIZE, skip_damaged=True)


def test_damaged_pairs_are_left_out_with_their_partners(tmp_path, cache):
    for i in range(10):
        for kind in "xy":
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(np.full((9, 9), i % 2 if kind == "y" else 10 * i, np.uint8)).save(
                tmp_path / kind / f"{i}.png"
            )
    bad = damage(tmp_path, "x/2.png", "y/5.png")
    spec = f"folders:{tmp_path / 'x'},{tmp_path / 'y'}"
    with pytest.raises(LabError, match=r"^expected 10 images, got 2 files .*, or leave them out with --skip-damaged$"):
        load(spec, task="segmentation", image_size=8)
    data = load(spec, task="segmentation", image_size=8, skip_damaged=True)
    kept = []
    for split in (data.train, data.test):
        for name, image, mask in zip(split.names, split.images, split.targets, strict=True):
            number = int(name.removesuffix(".png"))
            assert (image == 10 * number).all()
            assert (mask == number % 2).all()
            kept.append(number)
    assert sorted(kept) == [0, 1, 3, 4, 6, 7, 8, 9]
    assert sorted(data.left_out) == sorted(map(str, bad))


def test_files_that_change_while_they_are_read_are_refused(tmp_path, cache):
    spec = photos(tmp_path / "photos")

    class Touch(Progress):
        def read(self, done, total):
            if done == total:
                os.utime(tmp_path / "photos" / "a" / "0.png", ns=(1, 1))

    with pytest.raises(LabError, match=r"got some that changed while they were read: try again$"):
        load(spec, Touch(), image_size=SIZE)
    load(spec, image_size=SIZE)


def test_skip_damaged_belongs_to_image_files():
    with pytest.raises(
        LabError, match=r"^expected --skip-damaged with image files alone, got cifar10: leave that out$"
    ):
        load("cifar10", skip_damaged=True)


# --- another folder to be tested on ---


def test_test_data_are_the_test_split_and_all_else_is_trained_on(tmp_path, cache):
    spec = photos(tmp_path / "one", 6)
    other = photos(tmp_path / "two", 2)
    data = load(spec, image_size=SIZE, test_data=other)
    assert (len(levels(data.train)), len(levels(data.test))) == (18, 6)
    assert np.bincount(data.test.targets).tolist() == [2, 2, 2]
    assert len(load(spec, image_size=SIZE, test_data=other, test_size=3).test) == 3


def test_test_data_with_splits_give_their_test_split(tmp_path, cache):
    photos(tmp_path / "one" / "train", 5), photos(tmp_path / "one" / "test", 1)
    photos(tmp_path / "two" / "train", 4), photos(tmp_path / "two" / "val", 2)
    data = load(f"folder:{tmp_path / 'one'}", image_size=SIZE, test_data=f"folder:{tmp_path / 'two'}")
    assert (len(data.train), len(data.test)) == (15, 6)


def test_a_class_in_the_test_alone_is_named(tmp_path, cache):
    spec, other = photos(tmp_path / "one", 2, "ab"), photos(tmp_path / "two", 2, "abc")
    sentence = (
        rf"^expected the same classes in {tmp_path}/one and {tmp_path}/two, got no 'c' in {tmp_path}/one: add images"
    )
    with pytest.raises(LabError, match=sentence):
        load(spec, test_data=other)
    shutil.rmtree(tmp_path / "two" / "c")
    assert load(spec, image_size=8, test_data=other).classes == ("a", "b")


def test_test_data_of_pairs(tmp_path, cache):
    for part, count in (("one", 4), ("two", 3)):
        for kind in "xy":
            (tmp_path / part / kind).mkdir(parents=True)
            for i in range(count):
                Image.fromarray(np.full((9, 9), i % 2, np.uint8)).save(tmp_path / part / kind / f"{i}.png")
    one, two = (f"folders:{tmp_path / part / 'x'},{tmp_path / part / 'y'}" for part in ("one", "two"))
    data = load(one, task="segmentation", image_size=8, test_data=two)
    assert (len(data.train), len(data.test)) == (4, 3)


@pytest.mark.parametrize(
    ("spec", "other", "sentence"),
    [
        (
            "cifar10",
            "folder:x",
            r"^expected --test-data with data of your own \(folder:, .*\), got cifar10, which has a",
        ),
        (
            "folder:x",
            "npz:y",
            r"^expected --test-data folder:PATH beside folder:x, got 'npz:y': name data of that kind$",
        ),
        ("folder:x", "folder:", r"^expected --test-data folder:PATH beside folder:x, got 'folder:': name data"),
    ],
)
def test_test_data_of_another_kind_are_refused(spec, other, sentence):
    with pytest.raises(LabError, match=sentence):
        load(spec, test_data=other)


def test_the_cache_of_the_tests_is_not_the_users():
    assert "pytest" in str(cache_folder())
