"""The benchmarks run, in their short form, and measure every way of ours: what they measure is not looked at here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROCESSES = ("numpy", "torch", "tensorflow")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    words = ["--short", "--only", ",".join(PROCESSES), "--out", folder, "--results", folder / "rows.json"]
    subprocess.run([sys.executable, "-m", "benchmarks.run", *words], cwd=ROOT, check=True, capture_output=True)
    assert (folder / "benchmarks.svg").stat().st_size > 0
    return (folder / "benchmarks.md").read_text()


def rows_of_ours(page):
    return [line for line in page.splitlines() if line.startswith("|") and "**mixaug" in line]


def test_every_process_has_rows_of_ours(page):
    for process in PROCESSES:
        assert [row for row in rows_of_ours(page) if row.startswith(f"| {process} |")]


def test_every_row_of_ours_has_numbers_and_none_fails(page):
    for row in rows_of_ours(page):
        cells = [cell.strip() for cell in row.strip("|").split("|")][2:-1]
        assert any(cells), row
        assert all(not cell or re.match(r"[\d.,e]+", cell) for cell in cells), row


def test_every_goal_of_these_processes_is_measured(page):
    goals = page.partition("## Goals")[2].partition("\n## ")[0]
    missing = [line for line in goals.splitlines() if "not measured" in line]
    assert all(re.search("ResNet-20|GPU|import mixaug|first mix", line) for line in missing), missing


def test_the_page_names_the_machine_and_says_what_p90_is(page):
    assert "- processor: " in page
    assert re.search(r"- versions: .*numpy \d.*torch \d", page)
    assert "**p90** is the 90th percentile" in page
    assert "A short run" in page
