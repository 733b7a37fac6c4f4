"""Recipes of other packages: registration, listing, and errors for invalid ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mixaug as ma
from mixaug.lab.config import Config, listed
from mixaug.lab.errors import LabError
from test_structure import ROOT

PAGE = (ROOT.parent.parent / "docs" / "writing-a-recipe.md").read_text()

RECIPE = '''
from dataclasses import dataclass
from typing import ClassVar
import mixaug as ma

@dataclass(frozen=True)
class Swirl(ma.Recipe):
    """Swirl nothing."""

    strength: float = 1.0
    sources: ClassVar[int] = 1

    def region(self, draw):
        return ma.Paste(None, (None,))
'''


def install(folder: Path, name: str, points: str, module: str = "", version: str = "1.0") -> None:
    """Install a package into a folder on sys.path."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[mixaug.recipes]\n{points}\n")
    (folder / f"{name.replace('-', '_')}.py").write_text(module)


@pytest.fixture
def joined(tmp_path, monkeypatch):
    """A function that installs a package for one test."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield lambda *args: install(tmp_path, *args)
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in sys.modules[name].__file__:
            del sys.modules[name]


@pytest.mark.full
def test_the_package_of_the_docs_joins(tmp_path):
    """The package of the page is installed, and all commands of the page work in a new process."""
    code, project = (re.search(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)[1] for kind in ("python", "toml"))
    made = tomllib.loads(project)["project"]
    ((name, value),) = made["entry-points"]["mixaug.recipes"].items()
    install(tmp_path / "site", made["name"], f"{name} = {value}", code, made["version"])
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "NO_COLOR": "1", "COLUMNS": "40"}
    bodies = [line for line in code.splitlines() if line.strip() and not line.startswith(("from", "import"))]
    assert len(bodies) <= 20

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    mixaug = (sys.executable, "-c", "from mixaug.cli import main; main()")
    (listed,) = [line for line in run(*mixaug, "recipes").splitlines() if line.startswith("BandMix (bandmix)")]
    assert re.split(r"  +", listed.strip())[1:] == ["alpha=1.0", "Paste a band of another sample across each sample."]
    preview = re.search(r'^    mixaug preview --recipe "(.*)"$', PAGE, re.MULTILINE)[1]
    assert run(*mixaug, "preview", "--recipe", preview, "--rows", "1") == "wrote mixaug-preview.png\n"
    run(*mixaug, "preview", "--recipe", "all", "--rows", "1")
    arms = re.search(r"^    mixaug compare --arm (\S+) --arm (\S+)$", PAGE, re.MULTILINE).groups()
    asked = (
        f"from mixaug.lab.config import Config; print(tuple(arm.recipe for arm in Config(arms={arms!r}).read_arms()))"
    )
    assert run(sys.executable, "-c", asked) == "(identity(), BandMix(alpha=1.0))\n"
    check = re.search(r'^    python -c "(.*)"$', PAGE, re.MULTILINE)[1]
    assert "testing.check" in check
    assert run(sys.executable, "-c", check) == ""
    read = "import mixaug as ma; r = ma.recipe('sometimes(0.5, BAND_mix(alpha=2))'); print(r, ma.recipe(repr(r)) == r)"
    assert run(sys.executable, "-c", read) == "sometimes(0.5, BandMix(alpha=2)) True\n"


def test_it_is_listed_last_with_its_distribution(joined):
    joined("swirls", "swirl = swirls:Swirl", RECIPE)
    *ours, last = ma.recipes()
    assert {entry.distribution for entry in ours} == {"mixaug"}
    assert (last.name, last.defaults, last.summary) == ("Swirl", "Swirl(strength=1.0)", "Swirl nothing.")
    assert (last.distribution, last.paper, last.formula, last.good_for) == ("swirls", None, "", "")
    assert last.kind(strength=2) == ma.recipe("swirl(strength=2)")
    assert Config(arms=("none", "swirl")).read_arms()[1].recipe == last.kind()


def test_plugins_are_imported_at_first_use(joined):
    joined("swirls", "swirl = swirls:Swirl", "raise RuntimeError('imported')")
    assert ma.recipe("one_of(cutmix, mixup)")
    with pytest.raises(ValueError, match=r"got 'swirll', did you mean swirl\?; known are .*sometimes, swirl, "):
        ma.recipe("swirll")


@pytest.mark.parametrize(
    ("points", "module", "sentence"),
    [
        (
            "swirl = swirls:Swirl",
            "import nowhere",
            "expected a recipe to import in swirls:Swirl of swirls, got ModuleNotFoundError: No module named "
            "'nowhere'; reinstall swirls, or uninstall it",
        ),
        ("swirl = swirls:Swirl", "", "got AttributeError: module 'swirls' has no attribute 'Swirl'; reinstall swirls"),
        (
            "swirl = swirls:Swirl",
            "Swirl = dict",
            "expected a class made from ma.Recipe in swirls:Swirl of swirls, got <class 'dict'>; mend swirls",
        ),
        ("swirl = swirls:make", RECIPE + "def make(): return Swirl()", "expected a class made from ma.Recipe"),
        (
            "swirl = swirls:Swirl",
            "import mixaug as ma\nclass Swirl(ma.Recipe):\n    sources = 1\n    region = None",
            "expected a frozen dataclass in swirls:Swirl of swirls, got the class Swirl; mend swirls",
        ),
        (
            "whirl = swirls:Swirl",
            RECIPE,
            "expected a class of the name 'whirl' in swirls:Swirl of swirls, got 'Swirl'; rename one of them in swirls",
        ),
        (
            "swirl = swirls:Swirl",
            RECIPE.replace(" = 1.0", ""),
            "expected a class with a default for every option in swirls:Swirl of swirls, got Swirl.__init__() missing",
        ),
    ],
)
def test_invalid_plugins_raise_the_name_of_their_package(joined, points, module, sentence):
    joined("swirls", points, module)
    for ask in (ma.recipes, listed, lambda: ma.recipe(points.split()[0])):
        with pytest.raises((ValueError, LabError), match=f"^mixaug.recipes: .*{re.escape(sentence)}") as refused:
            ask()
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["cut_mix", "oneof", "all", "NONE"])
def test_a_name_that_is_taken_is_refused(joined, name):
    joined("swirls", f"{name} = swirls:Swirl", RECIPE)
    sentence = f"mixaug.recipes: expected a name of its own for each recipe, got '{name}' of swirls, which mixaug has "
    for ask in (ma.recipes, listed, lambda: ma.recipe("unheard_of")):
        with pytest.raises((ValueError, LabError), match=sentence + "already; rename it, or uninstall swirls"):
            ask()


def test_two_of_one_name_are_refused(joined):
    joined("swirls", "swirl = swirls:Swirl", RECIPE)
    joined("more-swirls", "SWIRL = more_swirls:Swirl", RECIPE)
    with pytest.raises(
        ValueError, match="got 'swirl' of swirls, which more-swirls has already; rename it, or uninstall"
    ):
        ma.recipes()
