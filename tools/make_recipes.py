"""Write docs/recipes.md and its pictures.

python tools/make_recipes.py [--run]

The results of the short run at the end of the page are in docs/recipes/run.json. The run is repeated if the list of
recipes has changed, or with --run.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

import mixaug as ma
from mixaug.epoch import Epoch
from mixaug.lab import data, preview
from mixaug.lab.config import Config
from mixaug.recipes import GUIDED, RECIPES, Entry, entry

DOCS = Path(__file__).parents[1] / "docs"
FOLDER = DOCS / "recipes"
KEY = (0, 0)
ARMS = ("none", *(kind.__name__.lower() for kind in RECIPES))
SIZE = 500
SETTING = [
    "--data",
    "fashion-mnist-sample",
    "--model",
    "small",
    "--train-size",
    f"{SIZE}",
    "--epochs",
    "2",
    "--seeds",
    "1",
]

HEAD = """\
# The recipes

Generated from the docstrings by `make recipes`. `mixaug recipes` and `ma.recipes()` list the recipes.

Each picture shows bundled images mixed with the key (0, 0), next to a map of the source of each pixel, with the mixed
label below. Blue is the base sample, other colors are partners, and pale areas are holes. Recipes that need a
[guide](fields.md#guides) are shown with composed scenes and the mixed mask; their saliency maps are spectral residuals.
`mixaug preview --recipe all` draws such pictures with your own images.

Every recipe draws a different mix for each sample. Most papers draw one mix per batch: use `ma.per_batch(recipe)` for
that. Combine recipes with `ma.one_of`, `ma.sometimes` and `ma.schedule`, or [write a new one](writing-a-recipe.md) in
twenty lines.

| recipe | what it does | paper |
|---|---|---|
"""
RUN = """\
## A short training run

**This run is too short to rank the recipes**: one seed, {steps} optimizer steps on 500 images. Mixing makes the task
harder and helps only in longer training, so `none` is best here. The table only shows that each recipe trains. To find
out which one helps you, run a longer comparison with several seeds on your own data.

| arm | test accuracy, % | test loss |
|---|---|---|
"""


def main() -> None:
    if "--run" in sys.argv or not (FOLDER / "run.json").exists() or trained_arms() != list(ARMS):
        (FOLDER / "run.json").write_text(json.dumps(train(), indent=1) + "\n")
    for path, picture in pictures().items():
        picture.save(path, optimize=True)
    (DOCS / "recipes.md").write_text(page())


def page() -> str:
    """The text of docs/recipes.md."""
    entries = list(map(entry, (*RECIPES, *GUIDED)))
    rows = [f"| [{one.name}](#{one.name.lower()}) | {one.summary} | {one.paper or ''} |\n" for one in entries]
    return HEAD + "".join(rows) + "\n" + "\n".join(map(section, entries)) + "\n" + table(saved_run())


def section(one: Entry) -> str:
    """The section of a recipe."""
    image = f"![Samples mixed by {one.name}, and the origin of each pixel](recipes/{one.name.lower()}.png)"
    text = "\n\n".join((one.good_for, *one.notes))
    return f"## {one.name}\n\n`ma.{one.defaults}`. {one.summary}\n\n{image}\n\n```text\n{one.formula}\n```\n\n{text}\n"


def pictures() -> dict[Path, Image.Image]:
    """The picture of each recipe, in few colours."""
    made = {}
    for kinds, loaded in (
        (RECIPES, data.load("fashion-mnist-sample")),
        (GUIDED, data.load("scenes", task="segmentation", image_size=96)),
    ):
        given = loaded.train.take(Epoch(len(loaded.train), 0, 0).rows(0, 64))
        for kind in kinds:
            picture = preview.strip(given, loaded, kind(), key=KEY, count=3)
            made[FOLDER / f"{kind.__name__.lower()}.png"] = picture.quantize(256)
    return made


def table(run: dict[str, Any]) -> str:
    """The section of the training run."""
    rows = [f"| {row['arm']} | {100 * row['test_accuracy']:.1f} | {row['test_loss']:.3f} |\n" for row in run["rows"]]
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    command = f"\nProduced by this command, on {run['machine']}, with {versions}:\n\n```sh\n{run['command']}\n```\n"
    return RUN.format(steps=run["steps"]) + "".join(rows) + command


def saved_run() -> dict[str, Any]:
    run: dict[str, Any] = json.loads((FOLDER / "run.json").read_text())
    return run


def trained_arms() -> list[str]:
    return [row["arm"] for row in saved_run()["rows"]]


def train() -> dict[str, Any]:
    """Compare all recipes, and return the results of the last epoch."""
    arms = [f"--arm {arm}" for arm in ARMS]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        given = [*SETTING, *" ".join(arms).split(), "--out", str(out)]
        subprocess.run([sys.executable, "-c", "from mixaug.cli import main; main()", "compare", *given], check=True)
        lines = [json.loads(line) for line in (out / "epochs.jsonl").read_text().splitlines()]
        versions = json.loads((out / "versions.json").read_text())
    last = max(line["epoch"] for line in lines)
    backend = versions["backend"]
    broken = [" ".join(arms[i : i + 6]) for i in range(0, len(arms), 6)]
    return {
        "command": " \\\n  ".join([f"mixaug compare {' '.join(SETTING)}", *broken]),
        "machine": f"{platform.system()} {platform.machine()} with {os.cpu_count()} processors",
        "versions": {
            "mixaug": ma.__version__,
            **{name: versions[name] for name in ("keras", backend, "numpy", "python")},
        },
        "steps": last * -(-SIZE // Config().batch_size),
        "rows": [
            {name: line[name] for name in ("arm", "test_accuracy", "test_loss")}
            for line in lines
            if line["epoch"] == last
        ],
    }


if __name__ == "__main__":
    main()
