"""Read the arrays of an untrusted .npz file: sizes are checked before any array is read."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy

MAX_MEMBERS = 1024

Host = np.ndarray[Any, Any]


def read(path: str | os.PathLike[str]) -> dict[str, Host]:
    """Return the arrays of an uncompressed .npz file by name; nothing is unpickled.

    Raises:
        ValueError, BadZipFile: if it is not an uncompressed .npz file, or declares arrays larger than the file.
        FileNotFoundError: if it does not exist.
    """
    if not Path(path).is_file():
        raise (
            ValueError("it is not a regular file")
            if Path(path).exists()
            else FileNotFoundError(f"{path} does not exist")
        )
    with Path(path).open("rb") as file, ZipFile(file) as members:
        infos = members.infolist()
        if len(infos) > MAX_MEMBERS or len({info.filename for info in infos}) < len(infos):
            raise ValueError(f"expected at most {MAX_MEMBERS} arrays with different names, got {len(infos)}")
        if any(info.compress_type != ZIP_STORED or info.flag_bits & 1 for info in infos):
            raise ValueError("expected arrays that are neither compressed nor encrypted")
        if sum(info.file_size for info in infos) > os.fstat(file.fileno()).st_size:
            raise ValueError("its arrays are larger than the file")
        return {info.filename.removesuffix(".npy"): _array(members, info) for info in infos}


def _array(members: ZipFile, info: ZipInfo) -> Host:
    with members.open(info) as member:
        shape, fortran, dtype = _header(member)
        if dtype.kind not in "bif":
            raise ValueError(f"{info.filename}: expected numbers, got {dtype}")
        length = math.prod(shape) * dtype.itemsize
        if length > info.file_size:
            raise ValueError(f"{info.filename}: expected {length} bytes for the shape {shape}, got {info.file_size}")
        data = member.read()
    if len(data) != length:
        raise ValueError(f"{info.filename}: expected {length} bytes for the shape {shape}, got {len(data)}")
    flat = np.frombuffer(data, dtype).copy()
    return flat.reshape(shape, order="F" if fortran else "C")


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(member)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"expected the .npy format 1.0 or 2.0, got {version}")
    return readers[version](member)
