"""The command line: help, files, errors, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from mixaug.cli import main
from mixaug.recipes import GUIDED, RECIPES, entry

MIXAUG = [sys.executable, "-c", "from mixaug.cli import main; main()"]
QUICK = ["--model", "small", "--train-size", "300", "--arm", "none", "--arm", "cutmix"]


def mixaug(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", **environment}
    done = subprocess.run([*MIXAUG, *map(str, arguments)], capture_output=True, text=True, env=environment)
    done.stderr = re.sub(r"mixaug: compiling kernels .*\n", "", done.stderr)  # only on the first run of a machine
    return done


@pytest.fixture
def here(monkeypatch, capsys):
    """Run the command line in this process, because starting another one takes seconds."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        for name, value in {"COLUMNS": "100", "NO_COLOR": "1"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["mixaug", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, error = capsys.readouterr()
        code = ended.value.code
        return subprocess.CompletedProcess(
            arguments, *((1, out, f"{error}{code}\n") if isinstance(code, str) else (code or 0, out, error))
        )

    return run


@pytest.fixture(params=["here", pytest.param("in a process of its own", marks=pytest.mark.full)])
def run(request, here):
    """The command line, in this process and in a new one."""
    return here if request.param == "here" else mixaug


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "epochs.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), ["recipes", "preview", "compare", "report"]),
        (("recipes", "--help"), ["List the recipes"]),
        (("--help",), ["Draw a sheet of mixed images", "Train the same network with and without mixing"]),
        (
            ("preview", "--help"),
            [
                *("--data", "--recipe", "--seed", "--out", "--rows", "one_of", '"all" draws one row for each'),
                *("--task", "--classes", "--ignore-index", "scenes", "folders:IMAGES,TARGETS"),
            ],
        ),
        (
            ("compare", "--help"),
            [
                *(
                    "--arm",
                    "--model",
                    "--optimizer",
                    "--augment",
                    "--seeds",
                    "--epochs",
                    "--batch-size",
                    "--train-size",
                ),
                *("--out", "--resume", "--preset", "keras-cutmix", "resnet20", "report.html", "cifar10", "folder:PATH"),
                *("--task", "segmentation", "image2image", "unet", "scenes", "folders:IMAGES,TARGETS", "--classes"),
                *(
                    "--test-size",
                    "--test-data",
                    "--split-seed",
                    "--skip-damaged",
                    "--class-weights",
                    "npz:FILE",
                    "hf:NAME",
                ),
                *(
                    "--ignore-index",
                    "--weights",
                    "--head-epochs",
                    "--fine-tune-rate",
                    "--partners",
                    "--threads",
                    "--measure",
                ),
                *("keras-cutmix-2021", "nway-mixup", "dog-breeds", "segmentation-pair", "module:function"),
            ],
        ),
        (("report", "--help"), ["DIR...", "--out", "summary.json", "one report of several comparisons"]),
    ],
)
def test_help_lists_commands_and_options(arguments, said):
    shown = mixaug(*arguments).stdout
    assert all(words in " ".join(re.sub("[│╭╮╰╯─]", " ", shown).split()) for words in said)


def test_preview_writes_a_picture(tmp_path):
    for recipe in ("cutmix", "one_of(mixup(alpha=1.0, sources=3), gridmix)"):
        done = mixaug("preview", "--recipe", recipe, "--rows", 3, "--out", tmp_path / "new" / "sheet.png")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"wrote {tmp_path / 'new' / 'sheet.png'}\n"
        with Image.open(tmp_path / "new" / "sheet.png") as sheet:
            assert sheet.format == "PNG"
            assert min(sheet.size) > 300
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["sheet.png"]


def test_the_list_of_recipes_is_complete_in_a_pipe(tmp_path):
    done = mixaug("recipes", COLUMNS="30")
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = done.stdout.splitlines()
    assert head.split("  ")[0] == "recipe"
    assert len(rows) == len((*RECIPES, *GUIDED))
    for row, kind in zip(rows, (*RECIPES, *GUIDED), strict=True):
        listed = entry(kind)
        name, options, summary, *paper = re.split(r"  +", row.strip())
        assert (name, options, summary) == (listed.name, listed.options, listed.summary)
        assert paper == ([f"{listed.paper.authors} {listed.paper.year}"] if listed.paper else [])
    assert "…" not in done.stdout
    assert "\x1b" not in done.stdout


def test_the_list_of_recipes_has_full_names_on_a_narrow_terminal():
    code = "import sys; sys.stdout.isatty = lambda: True; from mixaug.cli import main; main()"
    environment = {**os.environ, "COLUMNS": "30", "NO_COLOR": "1", "TERM": "xterm"}
    command = [sys.executable, "-c", code, "recipes"]
    shown = subprocess.run(command, capture_output=True, text=True, env=environment).stdout
    shown = re.sub(r"\x1b\[\d*m", "", shown)
    assert max(map(len, shown.splitlines())) <= 30
    assert "…" not in shown
    begun = [line.split()[0] for line in shown.splitlines() if not line.startswith(" ")]
    assert begun == ["recipe", *(kind.__name__ for kind in (*RECIPES, *GUIDED))]


def test_preview_of_all_has_a_row_per_recipe(tmp_path):
    sheets = {}
    for rows in (1, 2):
        done = mixaug("preview", "--recipe", "all", "--rows", rows, "--out", tmp_path / f"{rows}.png")
        assert (done.returncode, done.stderr) == (0, "")
        with Image.open(tmp_path / f"{rows}.png") as sheet:
            sheets[rows] = sheet.size
    assert sheets[2][0] - sheets[1][0] == 2 * 168 + 4 + 16
    assert sheets[1][1] > (len(RECIPES) + 3) * 168  # of the guided recipes those that need saliency


def pairs(tmp_path: Path, *ids: int) -> str:
    """Six images and their masks, in two folders."""
    for folder, level in (("x", 40), ("y", None)):
        (tmp_path / folder).mkdir()
        for i in range(6):
            colour = level or ids[i % len(ids)]
            Image.new("L", (24, 16), colour).save(tmp_path / folder / f"{i}.png")
    return f"folders:{tmp_path}/x,{tmp_path}/y"


def test_preview_of_masks_boxes_and_target_images(run, tmp_path):
    spec = pairs(tmp_path, 0, 1, 255)
    sheets = {}
    for name, given in {
        "scenes": ("--data", "scenes"),
        "clean": ("--data", "scenes", "--task", "image2image"),
        "all": ("--data", "scenes", "--recipe", "all", "--rows", 1),
        "numbered": ("--data", spec, "--ignore-index", 255),
        "named": ("--data", spec, "--ignore-index", 255, "--classes", "cell, wall", "--image-size", 16),
        "images": ("--data", spec, "--task", "image2image"),
    }.items():
        done = run("preview", *given, "--out", tmp_path / f"{name}.png")
        assert (done.returncode, done.stderr) == (0, "")
        with Image.open(tmp_path / f"{name}.png") as sheet:
            sheets[name] = sheet.convert("RGB").tobytes()
    assert len(set(sheets.values())) == len(sheets)


@pytest.mark.parametrize(
    ("ids", "given", "sentence"),
    [
        ((0, 7), ("--classes", "cell,wall"), "expected mask ids in 0..1, got 7 in"),
        ((0, 1), ("--task", "classification"), "(segmentation, image2image), got 'classification'"),
        (
            (0, 1),
            ("--task", "image2image", "--classes", "a,b"),
            "expected classes with masks of folders: alone, got ima",
        ),
    ],
)
def test_preview_of_invalid_pairs(run, tmp_path, ids, given, sentence):
    done = run("preview", "--data", pairs(tmp_path, *ids), *given, "--out", tmp_path / "new.png")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "new.png").exists()


def test_preview_depends_on_its_seed(run, tmp_path):
    sheets = [tmp_path / f"{i}.png" for i in range(3)]
    for sheet, seed in zip(sheets, (1, 1, 2), strict=True):
        run("preview", "--seed", seed, "--out", sheet)
    one, again, other = (sheet.read_bytes() for sheet in sheets)
    assert one == again
    assert one != other


def test_compare_writes_a_report_and_does_not_change_a_finished_run(here, tmp_path):
    quick = ("--model", "small", "--train-size", 20, "--batch-size", 10, "--epochs", 1, "--seeds", "3,")
    done = here("compare", *quick, "--arm", "none", "--arm", "cutmix", "--out", tmp_path / "run")
    assert (done.returncode, done.stdout) == (0, f"wrote {tmp_path / 'run' / 'report.html'}\n")
    assert "cutmix, seed 3, epoch 1: test accuracy" in done.stderr
    report, trained = tmp_path / "run" / "report.html", lines(tmp_path / "run")
    assert [(line["arm"], line["seed"], line["epoch"]) for line in trained] == [("none", 3, 1), ("cutmix", 3, 1)]
    assert "cutmix" in report.read_text()
    resumed = here("compare", "--resume", tmp_path / "run")
    assert (resumed.returncode, resumed.stdout) == (0, f"wrote {report}\n")
    assert lines(tmp_path / "run") == trained
    before = report.read_text()
    report.unlink()
    again = here("report", tmp_path / "run")
    assert (again.returncode, again.stdout) == (0, f"wrote {report}\n")
    assert report.read_text() == before
    several = here("report", tmp_path / "run", tmp_path / "run", "--out", tmp_path / "all")
    assert several.returncode == 1
    assert "got " in several.stderr
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    several = here("report", tmp_path / "run", tmp_path / "other", "--out", tmp_path / "all")
    assert (several.returncode, several.stdout) == (0, f"wrote {tmp_path / 'all' / 'report.html'}\n")


@pytest.mark.full
def test_a_preset_says_what_differs_and_its_options_can_be_changed(here, tmp_path):
    """The exercise's arms on photographs of several sizes and modes, with another network and its random weights."""
    for breed, colour in (("collie", 60), ("poodle", 200)):
        (tmp_path / "dogs" / breed).mkdir(parents=True)
        for i in range(6):
            mode = ("RGB", "L", "CMYK")[i % 3]
            picture = Image.new("L", (40 + 9 * i, 60), colour + i).convert(mode)
            picture.save(tmp_path / "dogs" / breed / f"{i}.jpg")
    given = ("--data", f"folder:{tmp_path / 'dogs'}", "--model", "mobilenetv3small", "--weights", "random")
    quick = ("--image-size", 32, "--epochs", 2, "--head-epochs", 1, "--batch-size", 4, "--out", tmp_path / "run")
    done = here("compare", "--preset", "dog-breeds", *given, *quick)
    assert (done.returncode, done.stdout) == (0, f"wrote {tmp_path / 'run' / 'report.html'}\n")
    said = done.stderr.splitlines()
    assert said[0].startswith("preset dog-breeds: the exercise Augmentation 2")
    assert sum(line.startswith("not as there: ") for line in said) == 5
    assert any(line.startswith("note: about ") and "by 10 measured steps" in line for line in said)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["model"], config["momentum"], config["head_epochs"]) == ("mobilenetv3small", 0.0, 1)
    assert [line["arm"] for line in lines(tmp_path / "run")[::2]] == config["arms"]
    report = (tmp_path / "run" / "report.html").read_text()
    assert all(arm in report for arm in ("flip+brightness-added:", "flip+brightness-added: cutmix(alpha=1.0)"))


@pytest.mark.full
def test_compare_resumes_after_ctrl_c(tmp_path):
    """Ctrl-C in the second epoch: it stops with a message, and resumes to the same result as an uninterrupted run."""
    whole = mixaug("compare", *QUICK, "--epochs", 3, "--out", tmp_path / "whole")
    assert (whole.returncode, whole.stdout) == (0, f"wrote {tmp_path / 'whole' / 'report.html'}\n")
    assert "cutmix, seed 0, epoch 3: test accuracy" in whole.stderr
    assert "oneDNN" not in whole.stderr

    command = [*MIXAUG, "compare", *QUICK, "--epochs", "3", "--out", str(tmp_path / "cut")]
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # background jobs of a shell ignore Ctrl-C
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heeds)
    log = tmp_path / "cut" / "epochs.jsonl"
    while not (log.exists() and log.read_text().count("\n") >= 1):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 130
    assert f"stopped; finished epochs are kept, continue with: mixaug compare --resume {tmp_path / 'cut'}" in said
    assert "Traceback" not in said

    resumed = mixaug("compare", "--resume", tmp_path / "cut")
    assert (resumed.returncode, resumed.stdout) == (0, f"wrote {tmp_path / 'cut' / 'report.html'}\n")
    times = ("seconds", "step_ms", "network", "line")  # and the hashes of files that hold times
    plain = [
        [{k: v for k, v in line.items() if k not in times} for line in lines(tmp_path / name)]
        for name in ("whole", "cut")
    ]
    assert plain[0] == plain[1]


@pytest.mark.full
@pytest.mark.parametrize(
    ("given", "said", "configured"),
    [
        (
            ("--ignore-index", 255, "--classes", "cell, wall"),
            "mean IoU",
            {"task": "segmentation", "ignore_index": 255, "classes": ["cell", "wall"]},
        ),
        (("--task", "image2image"), "L1", {"task": "image2image", "ignore_index": None, "classes": None}),
    ],
)
def test_compare_of_pairs(tmp_path, given, said, configured):
    """Omitted options have the defaults of the task, and config.json contains all of them."""
    data, out = pairs(tmp_path, 0, 1, 255), tmp_path / "run"
    quick = ("--epochs", 1, "--batch-size", 3, "--image-size", 16, "--arm", "none", "--arm", "cutmix")
    done = mixaug("compare", "--data", data, *given, *quick, "--out", out)
    assert (done.returncode, done.stdout) == (0, f"wrote {out / 'report.html'}\n")
    assert f"cutmix, seed 0, epoch 1: {said} " in done.stderr
    config = json.loads((out / "config.json").read_text())
    assert configured.items() <= config.items()
    assert (config["model"], config["augment"], config["data"]) == ("unet", ["flip"], data)
    assert "What each arm predicts" in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["preview", "--recipe", "cutmx"], "got 'cutmx', did you mean cutmix"),
        (["preview", "--data", "cifar"], "got 'cifar': did you mean 'cifar10'"),
        (["preview", "--data", "folder:/nowhere/at/all"], "got /nowhere/at/all: no such folder"),
        (["preview", "--rows", "0"], "expected 1 to 100 rows, got 0"),
        (["preview", "--recipe", "all", "--rows", "13"], "expected 1 to 12 images of each recipe, got 13"),
        (["preview", "--out", "/proc/no/sheet.png"], "expected to write /proc/no/sheet.png, got No such file"),
        (
            ["compare", "--arm", "none", "--arm", "mixup(alpha=-1)"],
            "alpha: expected a finite number of 1e-09",
        ),
        (["compare", "--seeds", "some"], "--seeds: expected how many (5) or which ones (0,3,7), got 'some'"),
        (["compare", "--preset", "kears"], "got 'kears': did you mean 'keras-cutmix'"),
        (["compare", "--model", "resnet200", "--out", "{}/new"], "did you mean 'resnet20'"),
        (["compare", "--augment", "flip,spin"], "expected --augment to be of flip, crop, brightness, brightness-added"),
        (["compare", "--arm", "flip+spin: cutmix"], "before the colon of --arm (none, flip, crop, brightness, brightn"),
        (["compare", "--model", "nowhere:network", "--out", "{}/new"], "expected a function module:function, got 'now"),
        (["compare", "--weights", "{}/mine.txt", "--out", "{}/new"], "got {}/mine.txt, which cannot be read"),
        (["compare", "--weights", "imagenet", "--out", "{}/new"], "a --model of keras.applications such as ResNet50"),
        (
            ["compare", "--preset", "dog-breeds"],
            "expected --data with --preset dog-breeds, got none: add --data folder",
        ),
        (["compare", "--head-epochs", "15"], "expected --head-epochs to be a whole number below --epochs, got 15"),
        (["compare", "--fine-tune-rate", "0.1"], "expected --fine-tune-rate to be a number above 0 with --head-epochs"),
        (
            ["compare", "--measure", "brie"],
            "expected --measures to be of calibration, brier, corruptions, attacks",
        ),
        (["compare", "--momentum", "0.5"], "expected --momentum to be a number of 0 to below 1 with --optimizer sgd"),
        (["compare", "--out", "/proc/no"], "expected to write /proc/no, got"),
        (["compare", "--out", "{}"], "expected an empty folder, got {}, which holds something: choose another --out"),
        (["compare", "--out", "{}/new", "--resume", "{}"], "expected --resume or --out, got both"),
        (["compare", "--seeds", "0"], "--seeds: expected how many (5)"),
        (["compare", "--task", "segmentaton", "--out", "{}/new"], "got 'segmentaton': did you mean 'segmentation'"),
        (
            ["compare", "--task", "segmentation", "--model", "resnet20", "--out", "{}/new"],
            "expected a model that answers for every pixel (unet, module:function), got 'resnet20'",
        ),
        (
            ["compare", "--data", "cifar10", "--task", "segmentation", "--out", "{}/new"],
            "expected a task that cifar10 has (classification), got 'segmentation'",
        ),
        (["compare", "--classes", "cell,cell", "--out", "{}/new"], "expected --classes to be one or more different"),
        (["compare", "--ignore-index", "300", "--out", "{}/new"], "expected --ignore-index to be a whole number of 0"),
        (
            ["compare", "--ignore-index", "1", "--out", "{}/new"],
            "expected an ignore index with masks of folders: alone",
        ),
        (["preview", "--out", ""], "expected the name of a file, got '.'"),
        (["preview", "--image-size", "99999"], "expected an image size of 1 to 1024 pixels"),
        (["preview", "--recipe", "mixup(sources=99)"], "expected a recipe of 16 sources at most, got 99"),
        (["preview", "--data", "folder:"], "expected folder:PATH, got no path"),
        (["preview", "--data", "folder:{}/mine.txt"], "got {}/mine.txt: a file: name the folder that holds"),
        (["compare", "--test-data", "folder:x", "--out", "{}/new"], "expected --test-data with data of your own"),
        (["compare", "--skip-damaged", "--out", "{}/new"], "expected --skip-damaged with image files alone"),
        (
            ["compare", "--class-weights", "rare", "--out", "{}/new"],
            "expected --class-weights to be balanced, got 'rare'",
        ),
        (
            ["compare", "--data", "npz:{}/mine.txt", "--out", "{}/new"],
            "expected an .npz file of arrays, got {}/mine.txt",
        ),
        (["report", "{}"], "expected a run folder, got {}, which has no config.json"),
        (["compare", "--resume", "{}"], "expected a run folder, got {}, which has no config.json"),
    ],
)
def test_errors_are_one_sentence(run, arguments, sentence, tmp_path):
    (tmp_path / "mine.txt").write_text("not to be lost")
    done = run(*(argument.format(tmp_path) for argument in arguments))
    assert done.returncode == 1
    assert done.stderr.startswith("mixaug: ")
    assert sentence.format(tmp_path) in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_missing_backend_raises_one_sentence(tmp_path):
    done = mixaug("compare", *QUICK, "--out", tmp_path / "run", KERAS_BACKEND="nonsense")
    assert done.returncode == 1
    assert re.fullmatch(
        r"mixaug: expected Keras and a backend .*; set KERAS_BACKEND to one of .*tensorflow.*\n", done.stderr
    )
    assert not (tmp_path / "run").exists()


def test_resuming_with_another_configuration_raises(run, tmp_path):
    from mixaug.lab.config import Config

    (tmp_path / "config.json").write_text(Config(epochs=2).to_json())
    done = run("compare", "--resume", tmp_path, "--epochs", 3)
    assert "got --epochs 3 instead of 2: leave it as it was, or choose another --out" in done.stderr
