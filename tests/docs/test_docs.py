"""The code in the README and the docs runs, and the commands exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import pytest
from PIL import Image

import mixaug as ma
from mixaug.recipes import RECIPES
from test_structure import ROOT

PROJECT = ROOT.parent.parent
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
SNIPPETS = [
    (page.name, code) for page in PAGES for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
]


@pytest.mark.parametrize(("page", "code"), SNIPPETS, ids=lambda value: value[:40] if isinstance(value, str) else None)
def test_snippets_run(page, code, tmp_path, monkeypatch):
    assert "mixaug as ma" in code
    monkeypatch.chdir(tmp_path)
    exec(compile(code, page, "exec"), {})  # noqa: S102 - our own page


NAMES = "|".join(kind.__name__ for kind in RECIPES)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "wrong-inputs.md"], ids=lambda page: page.name)
def test_recipes_in_tables_are_recipes(page):
    for text in re.findall(r"`ma\.((?:per_batch|sometimes|one_of|" + NAMES + r")\([^`]*\))`", page.read_text()):
        text = text.replace("ma.", "").replace("p, recipe", "0.5, cutmix").replace("(recipe)", "(cutmix)")
        text = text.replace("low, high", "0.2, 0.8")
        assert isinstance(ma.recipe(text.replace("=n)", "=3)")), ma.Recipe)


SPEC = spec_from_file_location("make_recipes", PROJECT / "tools" / "make_recipes.py")
MAKER = module_from_spec(SPEC)
SPEC.loader.exec_module(MAKER)


def test_the_page_of_recipes_is_up_to_date():
    assert (PROJECT / "docs" / "recipes.md").read_text() == MAKER.page(), "run: make recipes"
    assert MAKER.trained_arms() == list(MAKER.ARMS), "run: make recipes"


def test_the_pictures_of_recipes_are_up_to_date():
    """Except for the anti-aliasing of letters, which depends on the font library."""
    for path, picture in MAKER.pictures().items():
        with Image.open(path) as saved:
            assert saved.size == picture.size, f"{path}; run: make recipes"
            got, want = (np.asarray(image.convert("RGB"), float) for image in (saved, picture))
        assert np.abs(got - want).mean() < 0.5, f"{path}; run: make recipes"
    files = sorted((PROJECT / "docs" / "recipes").iterdir())
    assert files == sorted([*MAKER.pictures(), PROJECT / "docs" / "recipes" / "run.json"])
    assert sum(path.stat().st_size for path in files) < 1_500_000


def test_the_picture_of_the_readme_is_up_to_date(tmp_path):
    """Except for the anti-aliasing of letters."""
    command = re.search(r"<sub>`mixaug (.*)`", (PROJECT / "README.md").read_text())[1]
    program = [sys.executable, "-c", "from mixaug.cli import main; main()"]
    subprocess.run([*program, *shlex.split(command), "--out", str(tmp_path / "preview.png")], check=True)
    saved = PROJECT / "docs" / "preview.png"
    with Image.open(saved) as one, Image.open(tmp_path / "preview.png") as other:
        assert one.size == other.size, f"run: mixaug {command} --out docs/preview.png"
        got, want = (np.asarray(image.convert("RGB"), float) for image in (one, other))
    assert np.abs(got - want).mean() < 0.5, f"run: mixaug {command} --out docs/preview.png"
    assert saved.stat().st_size < 300_000


def test_the_readme_names_the_owners_of_the_bundled_images():
    last = (PROJECT / "README.md").read_text().partition("The bundled images")[2]
    licences = [path.read_text() for path in (ROOT / "lab").glob("*/LICENSE")]
    assert len(licences) == 2
    for owner in ("Zalando SE", "NASA", "SpaceX", "Rachel Michetti", "Stefan van der Walt"):
        assert owner in last
        assert any(owner in licence for licence in licences)


def test_commands_of_the_readme_are_in_the_makefile():
    makefile = (PROJECT / "Makefile").read_text()
    commands = re.findall(r"^    make ([a-z]+)", (PROJECT / "README.md").read_text(), re.MULTILINE)
    assert {"demo", "test"} <= set(commands)
    assert all(re.search(rf"^{command}:", makefile, re.MULTILINE) for command in commands)


def test_links_exist():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
