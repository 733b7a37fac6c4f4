"""What is written: whole or not at all, through symbolic links, never over anything but a regular file."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mixaug as ma
from mixaug import files
from mixaug.lab import folder, log, preview
from mixaug.lab.errors import LabError

MIX = ma.CutMix().draw(3, (8, 8), key=0)
SHEET = ma.show((np.zeros((2, 8, 8, 3), np.uint8), np.arange(2)))
PROGRAM = "from mixaug.cli import main; main()"

#: every function that writes a file, and the suffix used here
DOORS = {
    "files.write": (lambda path: files.write(path, lambda one: one.write_text("written")), ".txt"),
    "mix.save": (MIX.save, ".npz"),
    "show.save": (SHEET.save, ".png"),
    "preview.save": (lambda path: preview.save(SHEET.image, path), ".png"),
    "a file of a run": (lambda path: folder.write_text(path, "written"), ".json"),
    "a line of a run": (lambda path: log.Log(path).append({"arm": "none"}), ".jsonl"),
}
every_door = pytest.mark.parametrize(("save", "suffix"), DOORS.values(), ids=DOORS)
WHOLE = {name: door for name, door in DOORS.items() if name != "a line of a run"}  # that one is appended to


def listing(path: Path) -> dict[str, bytes | None]:
    """All that lies in a folder, and what the regular files hold."""
    found = sorted(path.rglob("*"))
    return {str(one.relative_to(path)): one.read_bytes() if one.is_file() else None for one in found}


@every_door
def test_a_symbolic_link_is_followed_and_stays(save, suffix, tmp_path):
    (tmp_path / "real").mkdir()
    real, plain = tmp_path / "real" / f"a{suffix}", tmp_path / f"plain{suffix}"
    real.write_bytes(b"")
    (tmp_path / f"one{suffix}").symlink_to(f"real/a{suffix}")  # a relative one
    (tmp_path / f"two{suffix}").symlink_to(tmp_path / f"one{suffix}")
    save(plain)
    save(tmp_path / f"two{suffix}")
    assert (tmp_path / f"one{suffix}").is_symlink()
    assert (tmp_path / f"two{suffix}").is_symlink()
    assert real.read_bytes() == plain.read_bytes() != b""


@every_door
def test_a_link_to_nothing_makes_its_target(save, suffix, tmp_path):
    link = tmp_path / f"link{suffix}"
    link.symlink_to(tmp_path / f"later{suffix}")
    save(link)
    assert link.is_symlink()
    assert (tmp_path / f"later{suffix}").stat().st_size > 0


@pytest.fixture
def make(tmp_path, monkeypatch):
    """What makes a thing that is no regular file."""
    monkeypatch.chdir(tmp_path)  # the name of a socket is short

    def made(kind: str, path: Path) -> None:
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "device":
            path.symlink_to("/dev/null")
        else:
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(path.name)

    return made


@every_door
@pytest.mark.parametrize(
    ("kind", "called"),
    [("folder", "a folder"), ("pipe", "a named pipe"), ("socket", "a socket"), ("device", "a device")],
)
@pytest.mark.parametrize("through_a_link", [False, True])
def test_what_is_no_regular_file_is_refused_before_anything_is_written(
    save, suffix, kind, called, through_a_link, make, tmp_path
):
    path = tmp_path / f"there{suffix}"
    make(kind, path)
    if through_a_link:
        path = tmp_path / f"link{suffix}"
        path.symlink_to(f"there{suffix}")
    before = listing(tmp_path), path.stat().st_mode, path.lstat().st_ino
    with pytest.raises((OSError, LabError), match=f"{called}, not a regular file"):
        save(path)
    assert (listing(tmp_path), path.stat().st_mode, path.lstat().st_ino) == before


@pytest.mark.parametrize(("save", "suffix"), WHOLE.values(), ids=WHOLE)
def test_nothing_of_the_users_is_removed_or_written_to(save, suffix, tmp_path):
    names = [f".a{suffix}", f"a{suffix}~", f"a.tmp{suffix}", f".a{suffix}.tmp", f".mixaug-{'0' * 16}{suffix}"]
    for name in names:
        (tmp_path / name).write_text("mine")
    (tmp_path / "victim").write_text("mine")
    (tmp_path / f".mixaug-a{suffix}").symlink_to(tmp_path / "victim")
    before = listing(tmp_path)
    save(tmp_path / f"a{suffix}")
    save(tmp_path / f"a{suffix}")
    after = listing(tmp_path)
    assert after.pop(f"a{suffix}")
    assert after == before


def test_temporary_names_are_in_the_folder_of_the_target_and_never_the_same(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "link.txt").symlink_to("far/a.txt")
    seen = []

    def fill(path: Path) -> None:
        assert path.read_bytes() == b""  # it is there: made by us
        seen.append(path)
        path.write_text("x")

    for _ in range(20):
        files.write(tmp_path / "link.txt", fill)
    assert {path.parent for path in seen} == {tmp_path / "far"}
    assert len({path.name for path in seen}) == 20
    assert all(re.fullmatch(r"\.mixaug-[0-9a-f]{16}\.txt", path.name) for path in seen)
    assert listing(tmp_path / "far") == {"a.txt": b"x"}


@pytest.mark.parametrize("planted", ["file", "link"])
def test_a_temporary_name_that_somebody_has_is_not_written_to(planted, tmp_path, monkeypatch):
    """Even if it could be guessed: it is made exclusively."""
    monkeypatch.setattr(files, "token_hex", lambda length: "00" * length)
    (tmp_path / "victim").write_text("mine")
    guessed = tmp_path / f".mixaug-{'0' * 16}.txt"
    if planted == "file":
        guessed.write_text("mine")
    else:
        guessed.symlink_to(tmp_path / "victim")
    before = listing(tmp_path)
    with pytest.raises(FileExistsError):
        files.write(tmp_path / "a.txt", lambda path: path.write_text("x"))
    assert listing(tmp_path) == before


def test_what_fails_leaves_the_file_as_it_was(tmp_path):
    (tmp_path / "a.txt").write_text("before")

    def fill(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        files.write(tmp_path / "a.txt", fill)
    assert listing(tmp_path) == {"a.txt": b"before"}


def test_permissions_of_a_file_that_is_replaced_stay(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    path.chmod(0o640)
    files.write(path, lambda one: one.write_text("after"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.read_text() == "after"


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / "runs").mkdir()
    left = [tmp_path / f".mixaug-{'0123456789abcdef'}.json", tmp_path / "runs" / f".mixaug-{'a' * 16}.keras"]
    mine = [tmp_path / ".mixaug-notes.txt", tmp_path / f".mixaug-{'A' * 16}.txt", tmp_path / f"mixaug-{'a' * 16}"]
    for path in (*left, *mine):
        path.write_text("x")
    (tmp_path / f".mixaug-{'b' * 16}").symlink_to(tmp_path / ".mixaug-notes.txt")
    files.remove_unfinished(tmp_path)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in mine)
    assert (tmp_path / f".mixaug-{'b' * 16}").is_symlink()


@pytest.mark.parametrize("name", ["a.PNG", "a.jpg", "a.webp"])
def test_the_suffix_of_an_output_is_honoured(name, tmp_path):
    preview.save(SHEET.image, tmp_path / name)
    start = {"png": b"\x89PNG", "jpg": b"\xff\xd8\xff", "webp": b"RIFF"}[name.split(".")[1].lower()]
    assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["a.txt", "a", "a.xyz", ".png"])
def test_another_suffix_is_refused_and_the_name_in_the_sentence_works(name, tmp_path):
    for save, error in ((lambda path: preview.save(SHEET.image, path), LabError), (SHEET.save, ValueError)):
        with pytest.raises(error, match=r"expected a file name with one of the suffixes .*; name it '.*'$") as raised:
            save(tmp_path / name)
        assert listing(tmp_path) == {}
        way_out = Path(re.search(r"name it '(.*)'$", str(raised.value))[1])
        save(way_out)
        assert way_out.read_bytes().startswith(b"\x89PNG")
        way_out.unlink()


def test_a_name_that_numpy_would_lengthen_is_kept(tmp_path):
    MIX.save(tmp_path / "mix")
    assert list(listing(tmp_path)) == ["mix"]
    np.testing.assert_array_equal(ma.Mix.load(tmp_path / "mix").lam, MIX.lam)


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("command", ["recipes", "recipes | head -n 1", "--help | head -n 1", "recipes | true"])
def test_a_closed_output_is_no_traceback(command, buffered):
    program, _, reader = command.partition(" | ")
    call = f'"{sys.executable}" -c "{PROGRAM}" {program}' + (f" | {reader}" if reader else " >&-")
    environment = os.environ if buffered else {**os.environ, "PYTHONUNBUFFERED": "1"}
    script = f"{call}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment)
    assert done.stderr == ""
    assert done.returncode in (0, 1)
    assert len(done.stdout.splitlines()) == (1 if "head" in command else 0)
