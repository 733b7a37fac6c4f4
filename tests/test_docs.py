"""The README and the docs say what is so: their Python runs, their commands exist."""

from __future__ import annotations

import re

import pytest

import mixaug as ma
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_recipes_in_tables_are_recipes(page):
    for text in re.findall(r"`ma\.((?:per_batch|sometimes|one_of|MixUp|CutMix)\([^`]*\))`", page.read_text()):
        text = text.replace("ma.", "").replace("p, recipe", "0.5, cutmix").replace("(recipe)", "(cutmix)")
        assert isinstance(ma.recipe(text.replace("=n)", "=3)")), ma.Recipe)


def test_commands_of_the_readme_are_in_the_makefile():
    makefile = (PROJECT / "Makefile").read_text()
    commands = re.findall(r"^    make ([a-z]+)", (PROJECT / "README.md").read_text(), re.MULTILINE)
    assert {"demo", "test"} <= set(commands)
    assert all(re.search(rf"^{command}:", makefile, re.MULTILINE) for command in commands)


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
