"""Files of mixes: they are read as written, and damaged or malicious files raise an error."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mixaug as ma

RECIPES = [
    ma.CutMix(),
    ma.MixUp(sources=3),
    ma.Mosaic(),
    ma.FMix(),
    ma.Cutout(),
    ma.one_of(ma.GridMix(), ma.ResizeMix()),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
def test_a_saved_mix_is_loaded_unchanged(recipe, tmp_path):
    mix = recipe.draw(5, (9, 7), key=(0, 1))
    mix.save(tmp_path / "mix.npz")
    again = ma.Mix.load(tmp_path / "mix.npz")
    assert again.flatten()[0] == mix.flatten()[0]
    for got, want in zip(again.flatten()[1], mix.flatten()[1], strict=True):
        np.testing.assert_array_equal(got, want)
    with np.load(tmp_path / "mix.npz") as file:
        assert int(file["draw_version"]) == ma.draw_version


def test_a_mix_is_saved_through_a_link_and_leaves_no_other_file(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "link.npz").symlink_to(tmp_path / "kept" / "mix.npz")
    for key in range(2):
        mix = ma.CutMix().draw(5, (9, 7), key=key)
        mix.save(tmp_path / "link.npz")
        assert (ma.Mix.load(tmp_path / "kept" / "mix.npz").lam == mix.lam).all()
    assert (tmp_path / "link.npz").is_symlink()
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["mix.npz"]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["a folder", "a named pipe"])
def test_a_mix_is_saved_only_over_regular_files(make, tmp_path):
    make(tmp_path / "mix.npz")
    with pytest.raises(OSError, match=r"a (folder|named pipe), not a regular file"):
        ma.CutMix().draw(5, (9, 7), key=0).save(tmp_path / "mix.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["mix.npz"]


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    path = tmp_path_factory.mktemp("mix") / "mix.npz"
    ma.CutMix().draw(4, (8, 8), key=(0, 0)).save(path)
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def refused(path) -> None:
    with pytest.raises(ValueError, match=r"mix.npz: expected a file that mix.save wrote") as caught:
        ma.Mix.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [
    {"lam": lambda x: x * 3.5}, {"lam": lambda x: x * np.nan}, {"lam": lambda x: x[::-1]}, {"index": lambda x: x - 9},
    {"index": lambda x: x.astype(float)}, {"box_1": lambda x: x + 100}, {"box_1": lambda x: x.astype(float)},
    {"size": lambda x: x * 0}, {"size": lambda x: np.array([8, 8, 8])}, {"size": lambda x: x * 2**28},
    {"box_1": lambda x: x[:1]}, {"draw_version": lambda x: x + 99},
])  # fmt: skip
def test_a_changed_file_is_refused(arrays, change, tmp_path):
    changed = {name: change.get(name, lambda x: x)(x) for name, x in arrays.items()}
    np.savez(tmp_path / "mix.npz", **changed)
    refused(tmp_path / "mix.npz")


def test_archives_are_looked_at_before_they_are_read(arrays, tmp_path):
    path = tmp_path / "mix.npz"
    np.savez_compressed(path, **arrays)
    refused(path)
    np.savez(path, **arrays, more=np.array([{"a": 1}], object))
    refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "index.npy", b"\x93NUMPY\x01\x00\x76\x00{'descr': '<i4', 'fortran_order': False, 'shape': (99999999999,)}"
        )
    refused(path)
    path.write_bytes(b"")
    refused(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(0, 255))
def test_a_damaged_byte_is_refused_or_gives_the_same_mix(tmp_path_factory, place, byte):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    mix = ma.CutMix().draw(4, (8, 8), key=(0, 0))
    mix.save(path)
    data = bytearray(path.read_bytes())
    data[place % len(data)] = byte
    path.write_bytes(data)
    try:
        again = ma.Mix.load(path)
    except (ValueError, FileNotFoundError):
        return
    np.testing.assert_array_equal(again.lam, mix.lam)
