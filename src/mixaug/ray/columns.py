"""Convert the columns of Ray's blocks from Arrow to arrays and lists, and back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ray.data.block import BlockAccessor

from ..fields import Boxes, Field, Keep
from ..sources import Sample

Columns = dict[str, Any]  #: the columns of a block: arrays, or lists of any values


def of_block(block: pa.Table, types: Mapping[str, pa.DataType]) -> Columns:
    """Return the columns of a block as arrays; as lists where Arrow has lists or dicts."""
    arrays: Columns = BlockAccessor.for_block(block).to_numpy()
    nested = {name: kind for name, kind in types.items() if pa.types.is_list(kind) or pa.types.is_struct(kind)}
    lists = {name: [plain(x, kind) for x in block[name].to_pylist()] for name, kind in nested.items()}
    return {name: lists.get(name, x.tolist() if x.dtype == object else x) for name, x in arrays.items()}


def plain(value: Any, kind: pa.DataType) -> Any:
    """Return a value with arrays in place of lists; empty arrays have the type from Arrow's schema."""
    if pa.types.is_struct(kind) and isinstance(value, Mapping):
        return {name: plain(x, kind.field(name).type) for name, x in value.items() if kind.get_field_index(name) >= 0}
    if not pa.types.is_list(kind):
        return value
    array, (axes, leaf) = np.asarray(value), _form(kind)
    return array if array.size or pa.types.is_string(leaf) else np.zeros((0,) * axes, leaf.to_pandas_dtype())


def _form(kind: pa.DataType) -> tuple[int, pa.DataType]:
    """Return how deeply lists are nested, and the type of their items."""
    if not pa.types.is_list(kind):
        return 0, kind
    axes, leaf = _form(kind.value_type)
    return axes + 1, leaf


def joined(name: str, kind: Field, own: Any, partners: list[Any]) -> Any:
    """Return the values of a column followed by those of the partners: one array, or a list of boxes or texts."""
    rows = [*own, *partners]
    if isinstance(kind, Boxes):
        return _of_boxes(rows)
    if isinstance(kind, Keep):
        return own
    shapes = {f"{x.dtype} {x.shape}": x for x in map(np.asarray, rows)}
    if len(shapes) > 1:
        raise ValueError(
            f"{name}: expected values of one dtype and shape in all rows and the source, got {' and '.join(shapes)}; "
            "convert or resize them"
        )
    return np.stack(rows)


def _of_boxes(rows: list[Any]) -> list[Any]:
    """Return boxes, or dicts of boxes, with the trailing axes of empty arrays set to those of the others."""
    if isinstance(rows[0], Mapping):
        columns = {name: _of_boxes([row[name] for row in rows]) for name in rows[0]}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if not all(isinstance(row, np.ndarray) for row in rows):
        return rows
    further = next((row.shape[1:] for row in rows if row.size), (4,) * (rows[0].ndim - 1))
    return [row if row.size else np.zeros((0, *further), row.dtype) for row in rows]


def as_table(columns: Columns, types: Mapping[str, pa.DataType]) -> pa.Table:
    """Return columns as an Arrow table, in the same order, with types that do not depend on the values."""
    names = [*types, *(name for name in columns if name not in types)]
    arrays = {name: x for name, x in columns.items() if not isinstance(x, list)}
    table = BlockAccessor.batch_to_arrow_block(arrays)
    for name, x in columns.items():
        if name not in arrays:
            table = table.append_column(name, _nested(x, types[name]))
    return table.select(names)


def _nested(rows: list[Any], kind: pa.DataType) -> pa.Array:
    """Return a column of lists or dicts, nested as in the input."""
    if pa.types.is_struct(kind):
        names = [*(rows[0] if rows else [field.name for field in kind])]
        inner = {field.name: field.type for field in kind}
        weight = pa.list_(pa.float32())
        parts = [_nested([row[name] for row in rows], inner.get(name, weight)) for name in names]
        return pa.StructArray.from_arrays(parts, names)
    arrays = [row for row in rows if isinstance(row, np.ndarray)]
    if not pa.types.is_list(kind) or not arrays:
        return pa.array(rows, kind)
    return pa.array([row.tolist() for row in rows], _deep(kind, pa.from_numpy_dtype(arrays[0].dtype)))


def _deep(kind: pa.DataType, leaf: pa.DataType) -> pa.DataType:
    return pa.list_(_deep(kind.value_type, leaf)) if pa.types.is_list(kind) else leaf


class Parquet:
    """The rows of Parquet files, in the order of the file names.

    Reading a row reads its whole row group, and only the last row group is cached: access rows in order.
    """

    def __init__(self, paths: list[Path]) -> None:
        self._files = [pq.ParquetFile(path, memory_map=True) for path in paths]
        groups = [(file, group) for file in self._files for group in range(file.num_row_groups)]
        self._groups = groups
        self._ends = np.cumsum([file.metadata.row_group(group).num_rows for file, group in groups])
        self._read = lru_cache(maxsize=1)(self._rows)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, row: int) -> Sample:
        group = int(np.searchsorted(self._ends, row, side="right"))
        first = int(self._ends[group - 1]) if group else 0
        return {name: x[row - first] for name, x in self._read(group).items()}

    def _rows(self, group: int) -> Columns:
        file, number = self._groups[group]
        columns: Columns = BlockAccessor.for_block(file.read_row_group(number)).to_numpy()
        return columns
