"""docs/wrong-inputs.md is up to date: the errors, and the code that works instead.

The rows are in tools/wrong_inputs.py. The code of each row is run, and the code that works instead is checked.
"""

from __future__ import annotations

import re
from importlib.util import module_from_spec, spec_from_file_location
from tempfile import gettempdir

import pytest

from test_structure import ROOT

PROJECT = ROOT.parent.parent
SPEC = spec_from_file_location("make_wrong_inputs", PROJECT / "tools" / "make_wrong_inputs.py")
MAKER = module_from_spec(SPEC)
SPEC.loader.exec_module(MAKER)
TEXT = (PROJECT / "docs" / "wrong-inputs.md").read_text()
LINES = [line for line in TEXT.splitlines(keepends=True) if line.startswith("| ") and not line.startswith("| | ")]


def test_the_page_has_a_line_for_each_row():
    assert len(LINES) == len(MAKER.ROWS) >= 80, "run: make wrong-inputs"
    assert MAKER.page(LINES) == TEXT, "run: make wrong-inputs"


@pytest.mark.parametrize("place", range(len(MAKER.ROWS)), ids=lambda place: MAKER.ROWS[place].what)
def test_a_row_is_up_to_date(place):
    assert LINES[place] == MAKER.line(MAKER.ROWS[place]), "run: make wrong-inputs"


@pytest.mark.parametrize("row", [row for row in MAKER.ROWS if not row.gives], ids=lambda row: row.what)
def test_an_error_is_one_sentence(row):
    sentence = MAKER.outcome(row.code)
    assert "\n" not in sentence
    assert not re.search(r"\. [A-Z]", sentence.rstrip(".")), "more than one sentence"
    assert str(PROJECT) not in sentence
    assert gettempdir() not in sentence
    assert " at 0x" not in sentence


def test_accepted_code_and_every_way_out_is_checked():
    for row in MAKER.ROWS:
        makes_a_batch = re.search(r"^(?:    )?out = |^for out", row.gives or row.works, re.MULTILINE)
        assert row.check or not (row.gives or makes_a_batch), row.what
