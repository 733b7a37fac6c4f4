"""Mix the rows of a Ray dataset with partners from the whole dataset."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import numpy as np
import pyarrow as pa
import ray.data
from numpy.typing import NDArray

from .. import loss_advice
from ..batch import mix_rows
from ..core import keys
from ..core.hints import known_options
from ..core.regions import Paste
from ..core.rows import Rows
from ..epoch import Epoch, Permutation
from ..fields import Field, Fields, Keep, PerSource, resolve
from ..fields.class_weights import ClassWeights
from ..mix import Mix
from ..recipes import Recipe, check_recipe
from ..recipes.combine import check_item_recipe
from ..sources import Openable, Sample, Samples, opened
from . import columns

_PARTNERS = ("dataset", "block")
_MADE = ("mix_index", "mix_lam", "mix_box")  # the columns of provenance


class RayOptions(TypedDict, total=False):
    """The options of `mixed`."""

    partners: str
    num_classes: int | None
    fields: Fields | None
    class_weights: ClassWeights | None
    size: Sequence[int] | None
    check_ids: bool
    map_batches: Mapping[str, Any] | None


@known_options(RayOptions)
def mixed(
    recipe: Recipe | str,
    dataset: ray.data.Dataset,
    source: Openable | None = None,
    *,
    seed: int = 0,
    epoch: int = 0,
    id: str = "id",  # noqa: A002 - the name of the column
    **options: Unpack[RayOptions],
) -> ray.data.Dataset:
    """Mix each row of a Ray dataset with partners from the whole dataset.

        output of id i = f(seed, epoch, i), for any blocks, order of rows and number of workers

    Args:
        recipe: the recipe.
        dataset: rows with a column of ids and columns of images, labels, masks, boxes; images (h, w, c) of one size.
        source: where workers read partners: row i of the source is the sample with id i. A folder with one sub-folder
            per class (its samples are {"image", "label"}), Parquet files, or a function without arguments that returns
            a sequence of dicts with the columns of `dataset`. Each worker process opens it once.
        seed: any int.
        epoch: the number of the epoch; each epoch has its own partners and mixes.
        id: the column of ids: distinct integers in 0 .. len(source) - 1. If the column does not exist, it is added and
            numbers the rows in the order of `dataset`; Ray then holds `dataset` in its object store.
        options: keyword arguments, all optional:

            - partners: "dataset", or "block" for partners from the same block. "block" needs no source, but the
              partners of a row then depend on how the dataset is cut into blocks.
            - num_classes, fields, class_weights, size: as in `ma.mix_batch`. Boxes are a column of (m, 4) arrays, or of
              dicts with "boxes" and one entry per box; the output has them as lists.
            - check_ids: False to skip the pass over the ids that raises an error for repeated ids; the pass takes one
              byte of memory per row.
            - map_batches: options of `Dataset.map_batches`, such as {"num_cpus": 1, "concurrency": 4}.

    Returns:
        A lazy dataset, its rows in any order, with the mixed columns of `dataset`, the column of ids, and the origin of
        each row: "mix_index" int64 (k,), the ids of its sources; "mix_lam" float32 (k,); and for recipes that paste
        boxes, "mix_box" int32 (k, d, 2), the first and one-past-last pixel of the box of each source along each axis.

    Raises:
        TypeError: if `dataset` is not a Ray dataset, or `recipe` or `source` is of a wrong type.
        ValueError: if ids repeat or are not rows of the source, partners have no source, a column is not declared, or
            `recipe` draws once per batch (`ma.per_batch`).

    Example:
        >>> import mixaug as ma, numpy as np, ray  # doctest: +SKIP
        >>> rows = [{"id": i, "image": np.zeros((8, 8, 3), np.uint8), "label": i} for i in range(9)]  # doctest: +SKIP
        >>> ds = ray.data.from_items(rows)  # doctest: +SKIP
        >>> mixed = ma.ray.mixed(ma.CutMix(), ds, lambda: rows, num_classes=9)  # doctest: +SKIP
        >>> sorted(mixed.schema().names)  # doctest: +SKIP
        ['id', 'image', 'label', 'mix_box', 'mix_index', 'mix_lam']

    If a worker dies, Ray replaces it and mixes its blocks again, with the same result. Each task uses one CPU.
    """
    recipe = check_item_recipe("mixed", check_recipe("recipe", recipe), "mix batches with ma.mix_batch in map_batches")
    partners = options.get("partners", "dataset")
    _check(recipe, dataset, source, partners)
    dataset = dataset if id in dataset.schema().names else _with_ids(dataset, id)
    samples = None if source is None else _open(source)
    if options.get("check_ids", True):
        _check_ids(dataset, id, None if samples is None else len(samples))
    if options.get("num_classes") is not None:
        loss_advice.say("numpy")
    how = {name: options.get(name) for name in ("num_classes", "fields", "class_weights", "size")}
    mixer = _Mixer(
        recipe, seed, epoch, id, source if partners == "dataset" else None, how, _types(dataset), secrets.token_hex(8)
    )
    mixer(dataset.take_batch(1, batch_format="pyarrow"))  # raise errors here rather than in a worker
    given: dict[str, Any] = {"num_cpus": 1, **(options.get("map_batches") or {})}
    return dataset.map_batches(mixer, **given, batch_format="pyarrow")


def _check(recipe: Recipe, dataset: Any, source: Openable | None, partners: str) -> None:
    if not isinstance(dataset, ray.data.Dataset):
        raise TypeError(
            f"mixed: expected a Ray dataset, got {type(dataset).__name__}; make one, such as "
            "ray.data.from_items([{'id': 0, 'image': image, 'label': 3}])"
        )
    if partners not in _PARTNERS:
        raise ValueError(f'partners: expected "dataset" or "block", got {partners!r}')
    if source is None and partners == "dataset" and recipe.sources > 1:
        raise ValueError(
            f"mixed: expected a source to read the partners of {recipe!r} from, got none; pass source= a folder, "
            'Parquet files or a function that opens the data, or partners="block"'
        )
    if source is not None and partners == "block":
        raise ValueError('mixed: expected no source beside partners="block", got one; leave one of them out')
    if taken := {*_MADE} & {*dataset.schema().names}:
        raise ValueError(f"mixed: expected no column {min(taken)!r}, got one; rename it")


def _with_ids(dataset: ray.data.Dataset, name: str) -> ray.data.Dataset:
    """Return the dataset with a column that numbers its rows in order."""
    kept = dataset.context.execution_options
    before, kept.preserve_order = kept.preserve_order, True
    try:
        whole = dataset.materialize()
    finally:
        kept.preserve_order = before
    numbers = ray.data.range(whole.count(), override_num_blocks=1).rename_columns({"id": name})
    return whole.zip(numbers).materialize()


def _check_ids(dataset: ray.data.Dataset, name: str, n: int | None) -> None:
    """Raise an error unless the ids are distinct row numbers of the source."""
    count = dataset.count() if n is None else n
    seen = np.zeros(count, bool)
    for block in dataset.select_columns([name]).iter_batches(batch_format="numpy", batch_size=None):
        ids = _checked_ids(block[name], name, count if n is not None else None)
        if ids.size and ids.max() >= len(seen):  # without a source, ids have no upper bound
            seen = np.concatenate([seen, np.zeros(ids.max() + 1, bool)])
        values, counts = np.unique(ids, return_counts=True)
        if (repeated := values[(counts > 1) | seen[values]]).size:
            raise ValueError(
                f"{name}: expected each id once, got {repeated[0]} again; give each row a number of its own, or leave "
                "the column out, so that rows are numbered in their order"
            )
        seen[values] = True


def _checked_ids(ids: Any, name: str, n: int | None) -> NDArray[np.int64]:
    ids = np.asarray(ids)
    if ids.dtype.kind not in "iu" or ids.ndim != 1:
        raise TypeError(
            f"{name}: expected whole numbers, got {ids.dtype} of shape {ids.shape}; number the rows from 0, or name "
            "another column by id="
        )
    if ids.size and (ids.min() < 0 or (n is not None and ids.max() >= n)):
        upto = "0 or more" if n is None else f"0..{n - 1}, the rows of the source"
        raise ValueError(f"{name}: expected ids of {upto}, got {ids.min()}..{ids.max()}; number the rows from 0")
    numbers: NDArray[np.int64] = ids.astype(np.int64)
    return numbers


@dataclass(frozen=True)
class _Mixer:
    """Mixes the blocks of a worker."""

    recipe: Recipe
    seed: int
    epoch: int
    id: str
    source: Openable | None
    options: dict[str, Any]
    types: Mapping[str, pa.DataType]  # of the columns; the schema of a single block may be incomplete
    token: str  # identifies this call, for which a worker process caches the opened source

    def __call__(self, block: pa.Table) -> pa.Table:
        samples = None if self.source is None else _kept(self.token, lambda: _open(self.source))
        types = {field.name: self.types.get(field.name, field.type) for field in block.schema}
        values = columns.of_block(block, types)
        ids = _checked_ids(values.pop(self.id), self.id, None if samples is None else len(samples))
        kinds = self._kinds(values)
        index = self._partners(ids, samples)
        place, rows = _placed(index) if samples is not None else (_found(index, ids), ids[:0])
        partners = {} if samples is None or not rows.size else _read(samples, rows, kinds, types)
        source = {
            name: columns.joined(name, kind, values[name], partners.get(name, [])) for name, kind in kinds.items()
        }
        own = {name: x[: len(ids)] for name, x in source.items()}
        key = Epoch(1, self.seed, self.epoch).key
        options = {**self.options, "fields": kinds, "return_mix": True, "advises": False}
        mixed = dict(mix_rows(self.recipe, Rows(own, source, place), key, numbers=ids, **options))
        made = _provenance(mixed.pop("mix"), np.concatenate([ids, rows]))
        return columns.as_table({self.id: ids, **mixed, **made}, types)

    def _kinds(self, values: columns.Columns) -> dict[str, Field]:
        """Return the kind of each column, except the ids."""
        kinds = resolve(values, self.options["fields"], self.options["num_classes"])
        for name, kind in kinds.items():
            if isinstance(kind, PerSource):
                raise TypeError(
                    f"{name}: expected labels of one array, got PerSource; leave it out: the column mix_index has the "
                    "ids of the sources, and mix_lam their weights"
                )
        return kinds

    def _partners(self, ids: NDArray[np.int64], samples: Samples | None) -> NDArray[np.int64]:
        """Return int64 (k, m): the ids of the sources of each row."""
        k = self.recipe.sources
        if samples is not None:
            partners: NDArray[np.int64] = Epoch(len(samples), self.seed, self.epoch).partners(ids, k)
            return partners
        if k == 1:
            return ids[None]
        order, key = np.argsort(ids), Epoch(1, self.seed, self.epoch).key
        ring = Permutation(len(ids), keys.fold_in(key, int(ids.min())))
        at = ring.inverse(np.argsort(order))
        return np.stack([ids, *(ids[order[ring((at + j) % len(ids))]] for j in range(1, k))])


def _read(
    samples: Samples, rows: NDArray[np.int64], kinds: Mapping[str, Field], types: Mapping[str, pa.DataType]
) -> dict[str, list[Any]]:
    """Return the values of the partners for each column that is mixed."""
    wanted = [name for name, kind in kinds.items() if not isinstance(kind, Keep)]
    several = [_sample(samples[row], wanted) for row in rows.tolist()]
    return {name: [columns.plain(one[name], types[name]) for one in several] for name in wanted}


def _sample(sample: Any, wanted: Sequence[str]) -> Sample:
    if not isinstance(sample, Mapping) or not {*wanted} <= {*sample}:
        came = f"one with {', '.join(map(repr, sample))}" if isinstance(sample, Mapping) else type(sample).__name__
        raise ValueError(
            f"source: expected samples that are dicts with {', '.join(map(repr, wanted))}, the columns of the dataset, "
            f"got {came}; let source= be a function that opens such samples"
        )
    return sample


def _placed(index: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sources as positions in the block followed by the partners, and the ids of the partners."""
    m = index.shape[1]
    own, others = np.arange(m), index[1:]
    rows = np.unique(others[others != index[0]])
    place = np.where(others == index[0], own, m + np.searchsorted(rows, others))
    return np.concatenate([own[None], place]), rows


def _found(index: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions of ids in a block."""
    order = np.argsort(ids)
    return order[np.searchsorted(ids, index, sorter=order)]


def _types(dataset: ray.data.Dataset) -> dict[str, pa.DataType]:
    schema = dataset.schema().base_schema
    return {field.name: field.type for field in schema} if isinstance(schema, pa.Schema) else {}


def _provenance(mix: Mix, known: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return the ids, weights and boxes of the sources of each row."""
    made = {"mix_index": known[mix.index].T.copy(), "mix_lam": np.ascontiguousarray(mix.lam.T)}
    if isinstance(mix.region, Paste):
        none = np.zeros((mix.index.shape[1], len(mix.size), 2), np.int32)
        made["mix_box"] = np.stack([none if box is None else box for box in mix.region.box], axis=1)
    return made


def _open(source: Openable | None) -> Samples:
    return opened(source, columns.Parquet)


_OPENED: dict[str, Samples] = {}  # in this process, the source of the dataset mixed last


def _kept(token: str, open_it: Callable[[], Samples]) -> Samples:
    if token not in _OPENED:
        samples = open_it()
        _OPENED.clear()
        _OPENED[token] = samples
    return _OPENED[token]
