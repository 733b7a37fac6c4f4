"""Ray Data: the same rows for any blocks, order and number of workers, with workers and nodes that die."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import ray_cluster
import torch
from PIL import Image
from ray.cluster_utils import Cluster

import mixaug as ma
import ways
from mixaug.epoch import Epoch, items

N, SIZE = 40, (5, 6)
X, Y = ways.own_class_everywhere(N, SIZE), np.arange(N)
ROWS = [{"id": i, "image": X[i], "label": int(Y[i])} for i in range(N)]
RECIPES = [ma.CutMix(), ma.MixUp(sources=3), ma.one_of(ma.FMix(), ma.CutMix()), ma.Cutout()]


def samples() -> list:
    return ROWS


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not import this module
    ray_cluster.start()
    yield
    ray.shutdown()


def dataset(blocks: int = 4, order=range(N), rows=ROWS) -> ray.data.Dataset:
    return ray.data.from_items([rows[i] for i in order], override_num_blocks=blocks)


def columns(ds: ray.data.Dataset) -> dict[str, np.ndarray]:
    """The columns, in the order of the ids."""
    rows = sorted(ds.take_all(), key=lambda row: row["id"])
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def parquet(ds: ray.data.Dataset) -> bytes:
    """The rows in the order of their ids, as one Parquet file."""
    return as_parquet(ray.get(ds.to_arrow_refs()))


def as_parquet(tables: list[pa.Table]) -> bytes:
    table = pa.concat_tables(tables)
    written = io.BytesIO()
    pq.write_table(table.take(np.argsort(table["id"])).combine_chunks(), written)
    return written.getvalue()


@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
def test_rows_are_what_one_process_makes_of_them(recipe):
    this = Epoch(N, seed=3, epoch=1)
    index = this.partners(np.arange(N), recipe.sources)
    images, labels, mix = items(recipe, this, index, lambda r: (X[r], Y[r]), num_classes=N, return_mix=True)
    got = columns(ma.ray.mixed(recipe, dataset(), samples, seed=3, epoch=1, num_classes=N))
    np.testing.assert_array_equal(got["image"], images)
    np.testing.assert_array_equal(got["label"], labels)
    np.testing.assert_array_equal(got["mix_index"], mix.index.T)
    np.testing.assert_array_equal(got["mix_lam"], mix.lam.T)
    ways.assert_label_is_the_pixels(got["image"], got["label"])
    if isinstance(mix.region, ma.Paste):
        boxes = [np.zeros((N, 2, 2), np.int32) if box is None else box for box in mix.region.box]
        np.testing.assert_array_equal(got["mix_box"], np.stack(boxes, axis=1))
    else:
        assert "mix_box" not in got


def test_they_are_those_of_the_dataset_of_pytorch():
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(X).movedim(-1, 1), torch.from_numpy(Y))
    items = ma.torch.MixedDataset(ma.CutMix(), pairs, seed=3, num_classes=N)
    items.epoch = 1
    got = columns(ma.ray.mixed(ma.CutMix(), dataset(), samples, seed=3, epoch=1, num_classes=N))
    for row in range(N):
        image, label = items[row]
        np.testing.assert_array_equal(got["image"][row], image.movedim(0, -1).numpy())
        np.testing.assert_array_equal(got["label"][row], label.numpy())


def test_the_bytes_do_not_depend_on_workers_blocks_or_order():
    shuffled = np.random.default_rng(0).permutation(N).tolist()
    written = {
        parquet(ma.ray.mixed(ma.CutMix(), ds, samples, num_classes=N, map_batches=how))
        for ds, how in [
            (dataset(1), {"concurrency": 1}),
            (dataset(7), {"concurrency": 2}),
            (dataset(8), {"concurrency": 8, "num_cpus": 0.25}),
            (dataset(5, shuffled), {"batch_size": 1}),
            (dataset(3, shuffled), {"batch_size": 1000}),
            (dataset(2).random_shuffle(), None),
        ]
    }
    assert len(written) == 1
    assert parquet(ma.ray.mixed(ma.CutMix(), dataset(), samples, num_classes=N, epoch=1)) not in written


def test_masks_boxes_and_texts_come_along():
    rows = [
        {**row, "mask": np.full(SIZE, i, np.uint8), "name": f"n{i}",
         "objects": {"boxes": [[0.0, 0.0, 3.0, 5.0]] * (i % 3), "labels": [i] * (i % 3)}}
        for i, row in enumerate(ROWS)
    ]  # fmt: skip
    fields = {"name": "keep", "objects": ma.Boxes()}
    for blocks in (1, 13):  # of one row some blocks have no box at all
        ds = ma.ray.mixed(ma.CutMix(), dataset(blocks, rows=rows), lambda: rows, num_classes=N, fields=fields)
        assert str(ds.schema().base_schema.field("objects").type) == (
            "struct<boxes: list<item: list<item: double>>, labels: list<item: int64>, weight: list<item: float>>"
        )
        for row in ds.take_all():
            assert row["name"] == f"n{row['id']}"
            np.testing.assert_array_equal(row["image"].argmax(-1), row["mask"])
            seen = {*np.unique(row["mask"]).tolist()}
            assert {*row["objects"]["labels"]} <= seen
            assert len(row["objects"]["boxes"]) == len(row["objects"]["weight"]) == len(row["objects"]["labels"])


def test_partners_are_read_from_a_folder_and_from_parquet(tmp_path):
    for i in range(6):
        folder = tmp_path / "images" / f"class{i // 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), 40 * i, np.uint8)).save(folder / f"{i}.png")
    rows = [{"id": i, "image": np.full((4, 4, 3), 40 * i, np.uint8), "label": i // 2} for i in range(6)]
    ds = ray.data.from_items(rows, override_num_blocks=3)
    pq.write_table(pa.concat_tables(ray.get(ds.to_arrow_refs())), tmp_path / "rows.parquet", row_group_size=2)
    want = parquet(ma.ray.mixed(ma.CutMix(), ds, lambda: rows, num_classes=3))
    for source in (tmp_path / "images", str(tmp_path / "rows.parquet"), tmp_path):
        assert parquet(ma.ray.mixed(ma.CutMix(), ds, source, num_classes=3)) == want


class DiesOnce:
    """Kills the worker process that first meets some id."""

    def __init__(self, marker: Path, row: int) -> None:
        self.marker, self.row = marker, row

    def __call__(self, block):
        if self.row in block["id"] and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return block


def test_a_worker_that_is_killed_changes_nothing(tmp_path):
    dying = dataset(8).map_batches(DiesOnce(tmp_path / "died", 17))
    got = parquet(ma.ray.mixed(ma.CutMix(), dying, samples, num_classes=N, check_ids=False))
    assert (tmp_path / "died").exists()
    assert got == parquet(ma.ray.mixed(ma.CutMix(), dataset(), samples, num_classes=N))


class FirstBlockLast:
    """Takes longest for the first rows."""

    def __call__(self, block):
        import time

        time.sleep(0.6 if 0 in block["label"] else 0)
        return block


def test_ids_are_added_in_the_order_of_the_rows():
    bare = [{name: row[name] for name in ("image", "label")} for row in ROWS]
    late = dataset(6, rows=bare).map_batches(FirstBlockLast())
    got = ma.ray.mixed(ma.CutMix(), late, samples, num_classes=N)
    assert parquet(got.select_columns(["id", "image", "label", "mix_index"])) == parquet(
        ma.ray.mixed(ma.CutMix(), dataset(), samples, num_classes=N).select_columns(
            ["id", "image", "label", "mix_index"]
        )
    )


def test_partners_from_the_block_need_no_source():
    whole = columns(ma.ray.mixed(ma.CutMix(), dataset(1), num_classes=N, partners="block"))
    cut = columns(ma.ray.mixed(ma.CutMix(), dataset(1), num_classes=N, partners="block", map_batches={"batch_size": 8}))
    for got in (whole, cut):
        ways.assert_label_is_the_pixels(got["image"], got["label"])
    np.testing.assert_array_equal(cut["mix_index"] // 8, np.repeat(np.arange(N)[:, None] // 8, 2, axis=1))
    assert (whole["mix_index"][:, 1] // 8 != np.arange(N) // 8).mean() > 0.3


PAIRS = [(X[i], i) for i in range(N)]
TWICE = [*ROWS, ROWS[7]]
WRONG = [
    ((ma.per_batch(ma.CutMix()),), {}, ValueError, "mixed: expected a recipe that draws for each sample"),
    ((ma.CutMix(), ROWS), {}, TypeError, "mixed: expected a Ray dataset, got list; make one, such as ray.data.from"),
    ((ma.CutMix(), None, None), {}, ValueError, r'mixed: expected a source .* got none; pass source=.* or partners="b'),
    ((ma.CutMix(),), {"partners": "block"}, ValueError, 'mixed: expected no source beside partners="block", got one'),
    ((ma.CutMix(),), {"partners": "row"}, ValueError, "partners: expected \"dataset\" or \"block\", got 'row'"),
    ((ma.CutMix(), None, ROWS), {}, TypeError, r"source: expected a folder, .* got .*; pass a function .* lambda: "),
    ((ma.CutMix(), None, lambda: 3), {}, TypeError, "source: expected a function that opens something with a length"),
    ((ma.CutMix(), None, lambda: []), {}, ValueError, "source: expected one row or more, got none"),
    ((ma.CutMix(), None, lambda: PAIRS), {}, ValueError, r"source: expected samples that are dicts .* got tuple; let"),
    ((ma.CutMix(), None, lambda: ROWS[:9]), {}, ValueError, r"id: expected ids of 0\.\.8, the rows of the source, got"),
    ((ma.CutMix(), None, "no-such-folder"), {}, ValueError, "source: expected a folder of images, got no-such-folder"),
    ((ma.CutMix(),), {"num_classes": None}, ValueError, "expected num_classes for class ids"),
    ((ma.CutMix(),), {"id": "image"}, TypeError, "image: expected whole numbers, got float32 of shape"),
    ((ma.CutMix(),), {"fields": {"label": "per_source"}}, TypeError, "label: expected labels of one array, got"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "options", "error", "sentence"), WRONG)
def test_what_is_wrong_is_refused_at_the_call(args, options, error, sentence):
    recipe, ds, source = (*args, *(None, samples)[len(args) - 1 :]) if len(args) < 3 else args
    with pytest.raises(error, match=sentence):
        ma.ray.mixed(recipe, ds or dataset(), source, **{"num_classes": N, **options})


def test_ids_that_repeat_are_refused_and_the_way_out_works():
    ds = dataset(3, range(N + 1), TWICE)
    with pytest.raises(ValueError, match=r"id: expected each id once, got 7 again; give .*, or leave the column out"):
        ma.ray.mixed(ma.CutMix(), ds, samples, num_classes=N)
    numbered = ma.ray.mixed(ma.CutMix(), ds.drop_columns(["id"]), lambda: TWICE, num_classes=N)
    assert columns(numbered)["id"].tolist() == list(range(N + 1))


def test_samples_of_another_form_than_the_rows_are_refused():
    halves = [{**row, "image": row["image"].astype(np.float16)} for row in ROWS]
    with pytest.raises(
        ValueError, match="image: expected values of one dtype and shape in all rows and the source, got"
    ):
        ma.ray.mixed(ma.CutMix(), dataset(), lambda: halves, num_classes=N).take_all()


@pytest.mark.full
def test_a_node_that_is_removed_changes_nothing(tmp_path):
    want = parquet(ma.ray.mixed(ma.CutMix(), dataset(), samples, num_classes=N))
    ray.shutdown()
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **ray_cluster.LOCAL})
    try:
        leaving = nodes.add_node(num_cpus=1, object_store_memory=150 * 2**20)
        ray_cluster.connect(address=nodes.address)
        slow = dataset(20).map_batches(Waits(tmp_path))
        mixed = ma.ray.mixed(ma.CutMix(), slow, samples, num_classes=N, check_ids=False)
        refs = iter(mixed.iter_batches(batch_size=None, batch_format="pyarrow"))
        tables = [next(refs)]
        nodes.remove_node(leaving)
        tables += list(refs)
        assert as_parquet(tables) == want
        assert len([*tmp_path.iterdir()]) == 2  # both nodes had worked
    finally:
        ray.shutdown()
        nodes.shutdown()
        ray_cluster.start()


class Waits:
    """Takes a moment for each block, and writes down on which node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, block):
        import time

        time.sleep(0.3)
        (self.folder / ray.get_runtime_context().get_node_id()).touch()
        return block
