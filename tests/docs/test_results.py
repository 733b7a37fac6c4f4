"""The page of results: every number is in a committed summary, and every summary is that of its committed epochs."""

from __future__ import annotations

import json
import re
from importlib.util import module_from_spec, spec_from_file_location

import pytest

from mixaug.lab import beyond, metrics
from mixaug.lab.log import Log, Place
from mixaug.lab.tasks import TASKS
from test_structure import ROOT

PROJECT = ROOT.parent.parent
SPEC = spec_from_file_location("make_results", PROJECT / "tools" / "make_results.py")
MAKER = module_from_spec(SPEC)
SPEC.loader.exec_module(MAKER)
RUNS = sorted(path.parent for path in (PROJECT / "results").glob("*/summary.json"))
every_run = pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)


def test_there_are_published_runs():
    assert RUNS


def test_the_page_and_its_pictures_are_made_from_the_summaries():
    for path, content in MAKER.files().items():
        assert path.read_text(encoding="utf-8") == content, f"{path}; run: make results"


@every_run
def test_the_numbers_of_a_summary_are_those_of_the_epochs(folder):
    config, summary = (json.loads((folder / name).read_text()) for name in ("config.json", "summary.json"))
    lines, epochs = Log(folder / "epochs.jsonl").lines(), config["epochs"]
    assert summary["config"] == config
    assert [arm["arm"] for arm in summary["arms"]] == config["arms"]
    values = {}
    for arm in summary["arms"]:
        assert set(arm["seeds"]) <= set(config["seeds"])
        for measure in (*TASKS[config["task"]].table, *beyond.measures(tuple(config["measures"]))):
            numbers = arm["measures"][measure.field]
            last = [measure.of(lines[Place(arm["arm"], seed, epochs)]) for seed in arm["seeds"]]
            if measure.timed:
                runs = {(arm["arm"], seed) for seed in arm["seeds"]}
                times = [measure.of(line) for place, line in lines.items() if place[:2] in runs]
                assert (numbers["smallest"], numbers["largest"]) == (min(times), max(times))
                continue
            values[arm["arm"], measure.field] = dict(zip(arm["seeds"], last, strict=True))
            mean, half = metrics.interval(last)
            assert numbers["values"] == last
            assert numbers["mean"] == mean
            assert numbers["half_interval"] == (half if len(last) > 1 else None)
    for arm in summary["arms"]:
        for (name, field), own in values.items():
            pair = arm["measures"][field]["difference"] if name == arm["arm"] != "none" else None
            if pair:
                seeds, baseline = pair["seeds"], values["none", field]
                mean, half = metrics.paired([own[s] for s in seeds], [baseline[s] for s in seeds])
                assert (pair["mean"], pair["half_interval"]) == (mean, half or None)


@every_run
def test_a_published_run_names_no_machine_of_ours_and_has_no_weights(folder):
    assert {path.name for path in folder.iterdir()} == {*MAKER.COPIED, "question.md"}
    for path in folder.iterdir():
        assert not re.search(r'"(folder|folders|npz|hf)?:?/', path.read_text()), path
        assert path.stat().st_size < 2**20


def test_an_edited_number_is_found(tmp_path, monkeypatch):
    folder = tmp_path / RUNS[0].name
    folder.mkdir()
    for path in RUNS[0].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(MAKER, "RESULTS", tmp_path)
    page = MAKER.files()[MAKER.DOCS / "results.md"]
    text = (folder / "epochs.jsonl").read_text()
    (folder / "epochs.jsonl").write_text(text.replace('"seconds": ', '"seconds": 1', 1))
    with pytest.raises(ValueError, match="as it was written, got one that was changed"):
        MAKER.files()
    (folder / "epochs.jsonl").write_text(text)
    summary = json.loads((folder / "summary.json").read_text())
    summary["arms"][0]["measures"][summary["judged"]]["mean"] += 0.01
    (folder / "summary.json").write_text(json.dumps(summary))
    assert MAKER.files()[MAKER.DOCS / "results.md"] != page
    with pytest.raises(AssertionError):
        test_the_numbers_of_a_summary_are_those_of_the_epochs(folder)
