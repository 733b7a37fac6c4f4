"""The file formats of shards: images in folders, NumPy arrays, Parquet, or only the mixes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ... import files, table
from ...mix import Mix
from ..errors import LabError
from .job import Job, Opened


@dataclass(frozen=True)
class Shard:
    """A range of the rows of a copy.

    Args:
        copy: the number of the copy.
        first: the first row.
        last: one past the last row.
    """

    copy: int
    first: int
    last: int

    @property
    def name(self) -> str:
        """The stem of its file names."""
        return f"{self.copy}-{self.first:09d}"


@dataclass(frozen=True)
class Mixed:
    """The mixed samples of a shard, and their mix, whose index is rows of the dataset."""

    shard: Shard
    columns: dict[str, Any]
    mix: Mix

    @property
    def ids(self) -> NDArray[np.int64]:
        """Return the rows."""
        return np.arange(self.shard.first, self.shard.last)

    def names(self, suffix: str) -> list[str]:
        """Return the file name of each row."""
        return [f"{row:09d}-{self.shard.copy}.{suffix}" for row in self.ids.tolist()]


Write = Callable[[Path, Job, Opened, Mixed], str]


def folder(out: Path, job: Job, data: Opened, mixed: Mixed) -> str:
    """Write images, masks and target images as files; labels and objects in parts that `joined` merges."""
    names = _image_names(job, data, mixed)
    digest = hashlib.sha256()
    for kind, place in (("image", "images"), ("mask", "masks"), ("target", "targets")):
        for name, x in zip(names, mixed.columns.get(kind, ()), strict=False):
            encode = _encoded if kind != "mask" else _palette
            path = out / place / (Path(name).with_suffix(".png") if kind == "mask" else name)
            content = encode(x, job.images)
            _put(path, content)
            digest.update(content)
    for suffix, text in (("csv", _rows(data, mixed, names)), ("coco", "".join(_objects(mixed)))):
        digest.update(text.encode())
        part = out / "parts" / f"{mixed.shard.name}.{suffix}"
        files.write(part, lambda unfinished, text=text: unfinished.write_text(text, "utf-8"))  # type: ignore[misc]
    return digest.hexdigest()


def npz(out: Path, job: Job, data: Opened, mixed: Mixed) -> str:  # noqa: ARG001 - the signature of all formats
    """Write all columns as the arrays of one uncompressed file."""
    objects = mixed.columns.get("objects", {})
    arrays = {f"{name}s": x for name, x in mixed.columns.items() if name != "objects"}
    arrays |= {
        {"boxes": "boxes", "labels": "box_labels", "weight": "box_weights"}[name]: x for name, x in objects.items()
    }
    arrays |= {"ids": mixed.ids, "copy": np.array(mixed.shard.copy), "index": mixed.mix.index.T, "lam": mixed.mix.lam.T}

    def fill(unfinished: Path) -> None:
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    return _file(out / f"shard-{mixed.shard.name}.npz", fill)


def parquet(out: Path, job: Job, data: Opened, mixed: Mixed) -> str:  # noqa: ARG001 - the signature of all formats
    """Write one row per sample, with images encoded as in folders."""
    pa, pq = arrow()
    k = mixed.mix.index.shape[0]
    columns: dict[str, Any] = {
        "id": pa.array(mixed.ids),
        "copy": pa.array(np.full(len(mixed.ids), mixed.shard.copy, np.int32)),
    }
    for name in mixed.columns.keys() - {"label", "objects"}:
        encode = _palette if name == "mask" else _encoded
        encoded = [encode(x, job.images) for x in mixed.columns[name]]
        columns[name] = pa.StructArray.from_arrays(
            [pa.array(encoded), pa.nulls(len(encoded), pa.string())], ["bytes", "path"]
        )
    if "label" in mixed.columns:
        columns["label"] = pa.array(mixed.columns["label"].tolist(), pa.list_(pa.float32()))
    if "objects" in mixed.columns:
        columns["objects"] = pa.array([json.dumps(row) for row in _of_rows(mixed)])
    columns["index"] = pa.FixedSizeListArray.from_arrays(pa.array(mixed.mix.index.T.astype(np.int64).ravel()), k)
    columns["lam"] = pa.FixedSizeListArray.from_arrays(pa.array(mixed.mix.lam.T.ravel()), k)
    order = [
        name
        for name in ("id", "copy", "image", "label", "mask", "target", "objects", "index", "lam")
        if name in columns
    ]
    rows = pa.table({name: columns[name] for name in order})
    return _file(out / f"shard-{mixed.shard.name}.parquet", lambda unfinished: pq.write_table(rows, unfinished))


def arrow() -> tuple[Any, Any]:
    """Return PyArrow and its Parquet module.

    Raises:
        LabError: if it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise LabError("expected PyArrow to write Parquet, got none: pip install 'mixaug[ray]'") from error
    return pyarrow, pyarrow.parquet


WRITERS: dict[str, Write] = {"folder": folder, "npz": npz, "parquet": parquet}


def mixes(out: Path, data: Opened, shard: Shard, mix: Mix) -> str:
    """Write the mixes of a shard and the hashes of its images."""
    step = 256
    rows = range(shard.first, shard.last)
    hashes = [
        table.digest(image)
        for start in range(0, len(rows), step)
        for image in data.batch([*rows[start : start + step]])["image"]
    ]
    path = out / table.name_of(shard.copy, shard.first)
    table.write(path, mix, np.array(hashes, np.int64))
    return _sha256(path)


def class_folders(classes: Sequence[str]) -> list[str]:
    """Return the folder of each class; sorted by name, folders are in the order of the ids.

    >>> class_folders(["T-shirt/top", "bag"])
    ['0_T-shirt-top', '1_bag']
    """
    width = len(str(len(classes) - 1))
    return [f"{i:0{width}d}_{re.sub('[^A-Za-z0-9._-]+', '-', name)}" for i, name in enumerate(classes)]


def joined(out: Path, data: Opened, shards: Sequence[Shard]) -> None:
    """Merge the parts with labels into images/metadata.csv and, if there are objects, annotations.json."""
    parts = [out / "parts" / shard.name for shard in shards]

    def table_of_labels(unfinished: Path) -> None:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(["file_name", "id", "copy", "sources", "lam", "weights"])
            for part in parts:
                file.write(part.with_suffix(".csv").read_text("utf-8"))

    files.write(out / "images" / "metadata.csv", table_of_labels)
    if "objects" in data.batch([0]):
        files.write(out / "annotations.json", lambda unfinished: _coco(unfinished, out, data, parts))


def _coco(unfinished: Path, out: Path, data: Opened, parts: Sequence[Path]) -> None:
    """Write annotations in COCO's format, with an additional weight for each box."""
    with (out / "images" / "metadata.csv").open(encoding="utf-8", newline="") as file:
        names = [row["file_name"] for row in csv.DictReader(file)]
    height, width = data.size
    images = [{"id": i, "file_name": name, "height": height, "width": width} for i, name in enumerate(names)]
    rows = [json.loads(line) for part in parts for line in part.with_suffix(".coco").read_text("utf-8").splitlines()]
    annotations: list[dict[str, Any]] = []
    for image, row in enumerate(rows):
        for (left, top, right, bottom), label, weight in zip(row["boxes"], row["labels"], row["weight"], strict=True):
            box = [left, top, right - left, bottom - top]
            more = {"area": box[2] * box[3], "iscrowd": 0, "weight": weight}
            annotations.append({"id": len(annotations), "image_id": image, "category_id": label, "bbox": box, **more})
    categories = [{"id": i, "name": name} for i, name in enumerate(data.classes)]
    unfinished.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}), "utf-8")


def _image_names(job: Job, data: Opened, mixed: Mixed) -> list[str]:
    """Return the names of the images; with labels, in the folder of the class with the largest weight."""
    names = mixed.names(job.images.replace("jpeg", "jpg"))
    if "label" not in mixed.columns:
        return names
    folders = class_folders(data.classes)
    heaviest = mixed.columns["label"].argmax(axis=1).tolist()
    return [f"{folders[label]}/{name}" for label, name in zip(heaviest, names, strict=True)]


def _rows(data: Opened, mixed: Mixed, names: Sequence[str]) -> str:
    """Return the lines of metadata.csv, with numbers that parse to the same float32."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    labels = mixed.columns.get("label")
    for i, name in enumerate(names):
        weights = (
            ""
            if labels is None
            else json.dumps({data.classes[c]: float(str(labels[i, c])) for c in np.flatnonzero(labels[i])})
        )
        sources = " ".join(map(str, mixed.mix.index[:, i].tolist()))
        lam = " ".join(map(str, mixed.mix.lam[:, i]))
        writer.writerow([name, mixed.shard.first + i, mixed.shard.copy, sources, lam, weights])
    return text.getvalue()


def _objects(mixed: Mixed) -> Iterator[str]:
    if "objects" in mixed.columns:
        for row in _of_rows(mixed):
            yield json.dumps(row) + "\n"


def _of_rows(mixed: Mixed) -> Iterator[dict[str, Any]]:
    """Yield the objects of each row, without padding."""
    objects = mixed.columns["objects"]
    for i in range(len(mixed.ids)):
        some = objects["weight"][i] > 0
        yield {name: objects[name][i][some].tolist() for name in ("boxes", "labels", "weight")}


def _encoded(x: NDArray[np.uint8], images: str) -> bytes:
    content = io.BytesIO()
    options = {"quality": 95, "subsampling": 0} if images == "jpeg" else {}
    Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x).save(content, images, **options)
    return content.getvalue()


def _palette(mask: NDArray[np.uint8], images: str) -> bytes:  # noqa: ARG001 - the signature of `_encoded`
    """Return a mask as a PNG with class ids as pixels and a colour palette."""
    content = io.BytesIO()
    picture = Image.fromarray(mask.astype(np.uint8), "P")
    picture.putpalette(_colours())
    picture.save(content, "png")
    return content.getvalue()


@lru_cache(maxsize=1)
def _colours() -> bytes:
    """Return the palette of PASCAL VOC: 256 colours that spread the bits of the id over red, green and blue."""
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((np.arange(256) >> (bit * 3 + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colours.tobytes()


def _put(path: Path, content: bytes) -> None:
    """Write a file atomically, but without syncing it to disk, which is slow for many files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".mixaug-{token_hex(8)}{path.suffix}")
    try:
        with unfinished.open("xb") as file:
            file.write(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _file(path: Path, fill: Callable[[Path], Any]) -> str:
    files.write(path, fill)
    return _sha256(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
