"""The short form of the benchmarks runs and measures all contenders of mixaug. The figures are not checked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROCESSES = ("numpy", "torch", "tensorflow")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    words = ["--short", "--only", ",".join(PROCESSES), "--out", folder, "--results", folder / "rows.json"]
    subprocess.run([sys.executable, "-m", "benchmarks.run", *words], cwd=ROOT, check=True, capture_output=True)
    assert (folder / "benchmarks.svg").stat().st_size > 0
    return (folder / "benchmarks.md").read_text() + (folder / "performance-notes.md").read_text()


def rows_of_ours(page):
    return [line for line in page.splitlines() if line.startswith("|") and "**mixaug" in line]


@pytest.mark.full
def test_every_process_has_rows_of_mixaug(page):
    for process in PROCESSES:
        assert [row for row in rows_of_ours(page) if row.startswith(f"| {process} |")]


@pytest.mark.full
def test_every_row_of_mixaug_has_numbers(page):
    for row in rows_of_ours(page):
        cells = [cell.strip() for cell in row.strip("|").split("|")][2:-1]
        assert any(cells), row
        assert all(not cell or re.match(r"[\d.,e]+", cell) for cell in cells), row


@pytest.mark.full
def test_the_page_starts_with_ratios_to_other_libraries(page):
    first = page.partition("\n## ")[2]
    assert first.startswith("mixaug and other libraries\n")
    rows = [line for line in first.partition("\n## ")[0].splitlines() if line.startswith("| torch | t")]
    assert {row.split(" | ")[1] for row in rows} >= {"torchvision", "timm Mixup batch", "timm Mixup elem"}
    assert all(re.search(r"\| [\d.e+]+x \|", row) for row in rows), rows


@pytest.mark.full
def test_every_goal_of_these_processes_is_measured(page):
    goals = page.partition("## Goals")[2].partition("\n## ")[0]
    missing = [line for line in goals.splitlines() if "not measured" in line]
    assert all(re.search("ResNet-20|GPU|import mixaug|first mix|empty cache", line) for line in missing), missing


@pytest.mark.full
def test_the_page_names_the_machine_and_says_what_p90_is(page):
    assert "- processor: " in page
    assert re.search(r"- versions: .*numpy \d.*torch \d", page)
    assert "**p90** is the 90th percentile" in page
    assert "A short run" in page


def test_rows_of_another_machine_replace_those_of_this_one(tmp_path):
    """Such as results of a GPU, which the machine that writes the page does not need."""
    row = {"table": "gpu", "case": "CutMix", "process": "gpu", "interval": None}
    copy = {**row, "name": "copy of the same bytes", "remark": "a GPU", "median": 2.0, "p90": 2.5, "copy": 2.0}
    ours = {**row, "name": "mixaug", "median": 3.0, "p90": 3.5, "copy": 2.0}
    results, gpu = tmp_path / "results.json", tmp_path / "gpu.json"
    results.write_text(json.dumps({"rows": [{**row, "name": "mixaug", "error": "no GPU"}], "about": {}}))
    gpu.write_text(json.dumps({"rows": [copy, ours], "versions": {"torch": "2"}}))
    words = ["--page", "--gpu", gpu, "--out", tmp_path, "--results", results]
    subprocess.run([sys.executable, "-m", "benchmarks.run", *words], cwd=ROOT, check=True, capture_output=True)
    page = (tmp_path / "benchmarks.md").read_text()
    assert "- gpu: a GPU, another machine, `python -m benchmarks.contenders.gpu --out FILE`, torch 2\n" in page
    assert "| gpu | CutMix | mixaug | 3 (1.5x; 3.5) |" in page
    assert "no GPU" not in page
