"""`mixaug augment`: the same files for any engine and number of workers, after kills, and read by other libraries."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pyarrow.parquet as pq
import pytest
import torchvision
from PIL import Image

import mixaug as ma
from mixaug.lab.cluster import Engine
from mixaug.lab.folder import locked
from mixaug.lab.offline import Job, augment
from mixaug.lab.offline.job import FORMATS
from mixaug.sources import Folder

N, SIDE = 24, 8
MIXAUG = [sys.executable, "-c", "from mixaug.cli import main; main()"]


def mixaug(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    return subprocess.run([*MIXAUG, *map(str, arguments)], capture_output=True, text=True, env=environment, **options)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Images of one colour each, which no other has, in three classes."""
    path = tmp_path_factory.mktemp("photos")
    for i in range(N):
        folder = path / ["cat", "dog", "emu"][i // 8]
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.full((SIDE, SIDE, 3), (i * 10, 255 - i * 10, i), np.uint8)).save(folder / f"{i:02d}.png")
    return path


def job(photos: Path, **options) -> Job:
    return Job(**{"data": f"folder:{photos}", "recipe": "cutmix", "copies": 2, "shard_rows": 5, **options})


def written(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def labels_of(out: Path) -> dict[str, dict]:
    with (out / "images" / "metadata.csv").open(newline="") as file:
        return {row["file_name"]: row for row in csv.DictReader(file)}


def weights(row: dict) -> list[float]:
    found = json.loads(row["weights"])
    return [found.get(name, 0.0) for name in ("cat", "dog", "emu")]


def mixed_samples(photos: Path, recipe: str = "cutmix", epoch: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """What the dataset of PyTorch makes of them."""
    fields = {"image": ma.Images(layout="nhwc"), "label": "labels"}
    items = ma.torch.MixedDataset(ma.recipe(recipe), Folder(photos), num_classes=3, fields=fields)
    items.epoch = epoch
    return [(item["image"].numpy(), item["label"].numpy()) for item in (items[row] for row in range(N))]


def test_torchvision_and_keras_read_what_the_dataset_of_pytorch_mixes(photos, tmp_path):
    augment(job(photos), tmp_path / "out", Engine())
    want, rows = mixed_samples(photos), labels_of(tmp_path / "out")
    by_torchvision = torchvision.datasets.ImageFolder(tmp_path / "out" / "images")
    assert len(by_torchvision) == len(rows) == 2 * N
    assert [name[2:] for name in by_torchvision.classes] == ["cat", "dog", "emu"]
    for path, heaviest in by_torchvision.samples:
        row = rows[str(Path(path).relative_to(tmp_path / "out" / "images"))]
        assert np.argmax(weights(row)) == heaviest
        if row["copy"] == "0":
            image, label = want[int(row["id"])]
            np.testing.assert_array_equal(np.asarray(Image.open(path)), image)
            np.testing.assert_array_equal(np.float32(weights(row)), label)
    by_keras = keras.utils.image_dataset_from_directory(
        tmp_path / "out" / "images", image_size=(SIDE, SIDE), batch_size=2 * N, shuffle=False, verbose=False
    )
    images, labels = next(iter(by_keras))
    assert labels.numpy().tolist() == [label for _, label in by_torchvision.samples]
    for image, (path, _) in zip(images.numpy(), by_torchvision.samples, strict=True):
        np.testing.assert_array_equal(image, np.asarray(Image.open(path), np.float32))


def test_npz_and_parquet_hold_the_same_samples(photos, tmp_path):
    for name in ("npz", "parquet"):
        augment(job(photos, format=name), tmp_path / name, Engine())
    shards = [np.load(path) for path in sorted((tmp_path / "npz").glob("shard-0-*.npz"))]
    rows = [row for path in sorted((tmp_path / "parquet").glob("shard-0-*")) for row in pq.read_table(path).to_pylist()]
    images, labels = (np.concatenate([shard[name] for shard in shards]) for name in ("images", "labels"))
    assert [row["id"] for row in rows] == np.concatenate([shard["ids"] for shard in shards]).tolist() == list(range(N))
    for i, (image, label) in enumerate(mixed_samples(photos)):
        np.testing.assert_array_equal(images[i], image)
        np.testing.assert_array_equal(labels[i], label)
        (tmp_path / "one.png").write_bytes(rows[i]["image"]["bytes"])
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "one.png")), image)
        np.testing.assert_array_equal(np.float32(rows[i]["label"]), label)
        assert rows[i]["index"][0] == i
        assert sum(rows[i]["lam"]) == pytest.approx(1)


def test_copies_and_epochs_are_mixed_anew_and_a_schedule_knows_its_epoch(photos, tmp_path):
    for epoch in (0, 1):
        augment(job(photos, epoch=epoch, format="npz", shard_rows=N), tmp_path / str(epoch), Engine())
    drawn = [np.load(path)["index"].tobytes() for path in sorted(tmp_path.rglob("shard-*.npz"))]
    assert len({*drawn}) == len(drawn) == 4
    late = "schedule({0: identity, 3: mixup(alpha=8.0)})"
    augment(job(photos, recipe=late, epoch=2, format="npz", shard_rows=N, copies=1), tmp_path / "late", Engine())
    assert next(iter(np.load(path)["lam"][:, 0].min() for path in (tmp_path / "late").glob("*.npz"))) == 1


@pytest.mark.parametrize("form", ["folder", *(pytest.param(one, marks=pytest.mark.full) for one in FORMATS[1:])])
def test_the_files_do_not_depend_on_the_workers(photos, tmp_path, form):
    augment(job(photos, format=form), tmp_path / "one", Engine())
    augment(job(photos, format=form), tmp_path / "two", Engine(workers=3))
    assert written(tmp_path / "one") == written(tmp_path / "two")
    assert not list((tmp_path / "one").rglob(".mixaug-*"))


@pytest.mark.full
def test_the_files_of_ray_are_those_of_this_machine(photos, tmp_path):
    for engine in (Engine(), Engine("ray", 1), Engine("ray", 2)):
        for form in ("folder", "parquet"):
            augment(job(photos, format=form), tmp_path / f"{engine.name}{engine.workers}" / form, engine)
    one, *others = (written(tmp_path / name) for name in ("local1", "ray1", "ray2"))
    assert all(other == one for other in others)


@pytest.mark.full
def test_a_run_that_is_killed_goes_on_to_the_same_files(tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    options = ("--data", "fashion-mnist-sample", "--recipe", "mixup", "--shard-rows", 250, "--format", "npz")
    assert mixaug("augment", *options, "--out", whole).returncode == 0
    arguments = (*options, "--out", out)
    for _ in range(3):
        process = subprocess.Popen([*MIXAUG, "augment", *map(str, arguments)], stderr=subprocess.DEVNULL)
        before = len([*out.glob("parts/*.json")])
        deadline = time.monotonic() + 60
        while len([*out.glob("parts/*.json")]) < before + 3 and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert before < len([*out.glob("parts/*.json")]) < 40
        arguments = ("--resume", out)
    assert mixaug("augment", *arguments).returncode == 0
    assert written(out) == written(whole)
    assert mixaug("augment", *arguments).returncode == 0  # there is nothing left to do
    assert written(out) == written(whole)


def test_masks_are_palette_files_of_the_same_ids(tmp_path):
    for i in range(12):
        for kind in ("images", "masks"):
            (tmp_path / kind).mkdir(exist_ok=True)
        Image.fromarray(np.full((SIDE, SIDE, 3), 20 * i, np.uint8)).save(tmp_path / "images" / f"{i:02d}.png")
        Image.fromarray(np.full((SIDE, SIDE), i % 4, np.uint8)).save(tmp_path / "masks" / f"{i:02d}.png")
    data = f"folders:{tmp_path / 'images'},{tmp_path / 'masks'}"
    made = Job(data, "cutmix", task="segmentation", image_size=SIDE, classes=tuple("abcd"))
    augment(made, tmp_path / "out", Engine())
    names = sorted(path.name for path in (tmp_path / "out" / "images").glob("*.png"))
    assert names == sorted(path.name for path in (tmp_path / "out" / "masks").glob("*.png"))
    for name in names:
        image, mask = (Image.open(tmp_path / "out" / kind / name) for kind in ("images", "masks"))
        assert mask.mode == "P"
        np.testing.assert_array_equal(np.asarray(image)[..., 0] // 20 % 4, np.asarray(mask))


@pytest.mark.full
def test_boxes_are_written_as_coco(tmp_path):
    augment(Job("scenes", "cutmix", task="segmentation"), tmp_path / "out", Engine())
    coco = json.loads((tmp_path / "out" / "annotations.json").read_text())
    rows = labels_of(tmp_path / "out")
    assert [image["file_name"] for image in coco["images"]] == [*rows]
    images, classes = {one["id"] for one in coco["images"]}, {one["id"] for one in coco["categories"]}
    assert {one["image_id"] for one in coco["annotations"]} <= images
    for one in coco["annotations"]:
        left, top, width, height = one["bbox"]
        assert one["category_id"] in classes
        assert 0 < one["weight"] <= 1
        assert left >= 0 <= top
        assert left + width <= 64 >= top + height


# --- mixes alone


@pytest.mark.parametrize("recipe", ["cutmix", "mixup(sources=3)", "one_of(mixup, cutmix)", "cutout", "ricap"])
def test_a_table_replays_what_was_mixed(photos, tmp_path, recipe):
    augment(job(photos, recipe=recipe, format="mixes"), tmp_path / "table", Engine())
    augment(job(photos, recipe=recipe, format="npz", shard_rows=N), tmp_path / "npz", Engine())
    replayed = ma.replay(tmp_path / "table", photos, num_classes=3)
    assert len(replayed) == 2 * N
    shards = [np.load(path) for path in sorted((tmp_path / "npz").glob("shard-*.npz"))]
    for row in range(2 * N):
        shard, at = shards[row // N], row % N
        np.testing.assert_array_equal(replayed[row]["image"], shard["images"][at])
        np.testing.assert_array_equal(replayed[row]["label"], shard["labels"][at])


def test_a_table_takes_some_twenty_bytes_a_row(tmp_path):
    augment(Job("fashion-mnist-sample", "cutmix", format="mixes"), tmp_path / "table", Engine())
    assert sum(map(len, written(tmp_path / "table").values())) / 10_000 < 22


def test_a_source_that_has_changed_under_the_table_is_refused(photos, tmp_path):
    augment(job(photos, format="mixes"), tmp_path / "table", Engine())
    rows = [Folder(photos)[row] for row in range(N)]
    changed = [dict(row) for row in rows]
    changed[7]["image"] = changed[7]["image"] + np.uint8(1)
    replayed = ma.replay(tmp_path / "table", lambda: changed, num_classes=3)
    with pytest.raises(
        ValueError, match=r"source: expected the image of row 7 .* got another one; restore it, or make"
    ):
        replayed[7]
    assert ma.replay(tmp_path / "table", lambda: changed, num_classes=3, check=False)[7]
    with pytest.raises(ValueError, match=r"source: expected the 24 rows that .* was made of, got 23; pass that one"):
        ma.replay(tmp_path / "table", lambda: rows[1:], num_classes=3)
    small = [{**row, "image": row["image"][:4]} for row in rows]
    with pytest.raises(ValueError, match=r"source: expected images of size \(8, 8\), .* got \(4, 8\); resize them"):
        ma.replay(tmp_path / "table", lambda: small, num_classes=3, check=False)[0]
    path = tmp_path / "table" / "mixes-0-000000000.npz"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="expected a file that mixaug augment --mixes-only wrote"):
        ma.replay(tmp_path / "table", photos, num_classes=3)[0]
    with pytest.raises(ValueError, match="table: expected a folder that mixaug augment --mixes-only has finished, got"):
        ma.replay(tmp_path, photos)


def test_masks_of_pixels_have_no_table_and_the_way_out_works(photos, tmp_path):
    options = ("--data", f"folder:{photos}", "--recipe", "fmix")
    done = mixaug("augment", *options, "--mixes-only", "--out", tmp_path / "table")
    assert "mixes: expected a recipe of boxes and blends, got one of masks, which take 512 bytes a row" in done.stderr
    assert "write the images instead" in done.stderr
    assert mixaug("augment", *options, "--out", tmp_path / "images").returncode == 0


# --- what is refused


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["--recipe", "per_batch(cutmix)"], "--recipe: expected a recipe that draws for each sample, got per_batch"),
    (["--recipe", "cutmx"], 'expected "none" or a recipe, got \'cutmx\''),
    (["--recipe", "saliencymix"], "expected a --recipe that looks at no guide, got 'saliencymix', which needs"),
    (["--copies", "0"], "expected --copies to be a whole number of 1 or more, got 0"),
    (["--format", "zip"], "expected --format to be folder or npz or parquet, got 'zip'"),
    (["--engine", "spark"], "expected --engine to be local or ray, got 'spark'"),
    (["--address", "1.2.3.4:5"], "expected --address beside --engine ray, got --engine local: leave it out"),
    (["--mixes-only", "--format", "npz"], "expected --mixes-only or --format, got both: leave one of them out"),
    (["--data", "folder:/no/such"], "expected a folder of images, got /no/such"),
    (["--resume", "x"], "expected nothing beside --resume that says what to write, got more: mixaug augment --resum"),
])  # fmt: skip
def test_what_is_wrong_is_one_sentence(photos, tmp_path, arguments, sentence, monkeypatch, capsys):
    from mixaug.cli import main

    given = ["--data", f"folder:{photos}", "--recipe", "cutmix", "--out", str(tmp_path / "out"), *arguments]
    monkeypatch.setattr(sys, "argv", ["mixaug", "augment", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert sentence in str(ended.value.code)
    assert "\n" not in str(ended.value.code)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_in_use_or_holds_something_is_refused(photos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with locked(out), pytest.raises(ValueError, match="got one in which another process writes: wait for it"):
        augment(job(photos), out, Engine())
    augment(job(photos, shard_rows=None, copies=1), out, Engine())
    with pytest.raises(ValueError, match=rf"expected an empty folder, .* go on with --resume {out}, or choose another"):
        augment(job(photos), out, Engine())
    with pytest.raises(
        ValueError, match=r"expected copies 1, with which .* was begun, got 2: restore it, or start anew"
    ):
        augment(job(photos), out, Engine(), resume=True)


def test_a_disk_without_room_is_one_sentence_and_the_way_out_works(tmp_path):
    options = ("--data", "fashion-mnist-sample", "--recipe", "cutmix", "--format", "npz", "--out", tmp_path / "out")

    def little() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))

    done = mixaug("augment", *options, preexec_fn=little)
    assert done.returncode == 1
    assert (
        "got File too large: make room or choose another --out; --resume goes on from what is finished" in done.stderr
    )
    assert len(done.stderr.strip().splitlines()) == 1
    assert mixaug("augment", "--resume", tmp_path / "out").returncode == 0


@pytest.mark.full
def test_a_cluster_that_is_not_there_is_one_sentence(photos, tmp_path):
    done = mixaug(
        "augment", "--data", f"folder:{photos}", "--recipe", "cutmix", "--out", tmp_path / "out",
        "--engine", "ray", "--address", "127.0.0.1:1", timeout=300,
    )  # fmt: skip
    assert "expected a Ray cluster at 127.0.0.1:1, got none (" in done.stderr
    assert "start one with `ray start --head`, or leave --address out" in done.stderr
