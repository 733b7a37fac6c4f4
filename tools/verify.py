"""Run checks that take too long for tests, and write their output to docs/verification.md.

python tools/verify.py                            all checks; hours
python tools/verify.py fuzz mutations             some checks; the other sections of the page are kept
python tools/verify.py fuzz --log 0.log 1.log --ran "tests/fuzz/fuzz_doors.py --cases 10000 --seed 0 and 10000"
                                                  write the section from the outputs of earlier runs
"""

from __future__ import annotations

import argparse
import ast
import os
import platform
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "verification.md"
LIBRARIES = ("numpy", "numba", "tensorflow", "keras", "torch", "jax")
HEAD = """# Verification

These checks take hours and are not part of `make test-all`. `make verify` runs them and writes this page
(`tools/verify.py`). Each section shows the command, the machine and the output.
"""


class Check(NamedTuple):
    """One section of the page.

    Args:
        what: what is checked.
        command: the arguments of Python.
        summary: selects the lines of the output for the page.
    """

    what: str
    command: list[str]
    summary: Callable[[list[str]], list[str]]


def of_fuzz(outputs: list[str]) -> list[str]:
    """The number of cases by result and library, and the numbers of adapters and of different errors."""
    counts: Counter[str] = Counter()
    sentences: set[str] = set()
    for output in outputs:
        for found in re.findall(r"^(\{.*\}) in \d+ s$", output, re.MULTILINE):
            counts.update(ast.literal_eval(found))
        for example in re.findall(r"^  \d+: (.*?)(?:   \(not in fuzz_sentences.py\))?$", output, re.MULTILINE):
            sentences.add(re.sub(r"'[^']*'|\d+", "_", example))
    ends = {how: counts.pop(how, 0) for how in ("right", "refused", "void", "wrong")}
    libraries: Counter[str] = Counter()
    for adapter, count in counts.items():
        libraries[adapter.partition(" ")[0]] += count
    return [
        f"{sum(ends.values())} cases: " + ", ".join(f"{count} {how}" for how, count in ends.items()),
        "by library: " + ", ".join(f"{name} {count}" for name, count in libraries.most_common()),
        f"{len(counts)} adapters, {len(sentences)} different errors",
    ]


def lines_with(*patterns: str) -> Callable[[list[str]], list[str]]:
    """A function that selects the lines that match one of the patterns."""
    found = re.compile("|".join(patterns))
    return lambda outputs: [line for output in outputs for line in output.splitlines() if found.search(line)]


CHECKS = {
    "fuzz": Check(
        "Random batches in every adapter, with all containers, layouts, dtypes and kinds of fields; three of ten are "
        "damaged. Each must equal an independent definition (right) or raise an error of one sentence (refused). Void "
        "cases have no batch.",
        ["tests/fuzz/fuzz_doors.py", "--cases", "100000", "--seed", "1", "--fail", "100000"],
        of_fuzz,
    ),
    "workers": Check(
        "The same with workers, forks, threads and damaged kernel caches, 300 cases.",
        ["tests/fuzz/fuzz_workers.py", "--seed", "1"],
        lines_with(r"cases in \d+ s"),
    ),
    "mutations": Check(
        "Mutations of the code, one at a time (`tools/mutations.py`), and whether `make test` detects them.",
        ["tools/mutate.py"],
        lines_with(": missed$", "mutations are caught"),
    ),
    "distributions": Check(
        "Draws under many keys follow the distributions of their papers (`tests/recipes/long_distributions.py`).",
        ["tests/recipes/long_distributions.py", "--seeds", "400"],
        lines_with("p-values", "hypotheses hold"),
    ),
}


def printed(command: list[str]) -> str:
    """Run Python, and return its output, which is also printed."""
    env = {**os.environ, "PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    run = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines = []
    for line in run.stdout or ():
        print(line, end="", flush=True)
        lines.append(line)
    run.wait()
    return "".join(lines)


def machine() -> str:
    """The name and the number of the processors."""
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.exists() else ""
    named = [
        found[1]
        for key in ("model name", "cpu family")
        if (found := re.search(rf"^{key}\s*: (.*)$", text, re.MULTILINE))
    ]
    return f"{os.cpu_count()} processors, {' family '.join(named) or platform.processor()}"


def section(name: str, outputs: list[str], command: str, took: str = "") -> str:
    """The section of a check, as Markdown."""
    check = CHECKS[name]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    versions = ", ".join(f"{library} {found}" for library in LIBRARIES if (found := _version(library)))
    return "\n".join([
        f"## {name}", "", check.what, "",
        f"- command: `python {command}`{took}",
        f"- code: {commit.strip()}",
        f"- machine: {machine()}",
        f"- versions: Python {platform.python_version()}, {versions}",
        "", "```", *check.summary(outputs), "```", "",
    ])  # fmt: skip


def _version(library: str) -> str:
    for name in (library, f"{library}-cpu"):
        try:
            return version(name)
        except ModuleNotFoundError:
            continue
    return ""


def sections() -> dict[str, str]:
    """The sections of the existing page."""
    text = PAGE.read_text() if PAGE.exists() else ""
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0].removeprefix("## "): part for part in parts}


def main() -> None:
    """Run the checks and write the page after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*", choices=[*CHECKS, []], help="all by default")
    parser.add_argument("--log", nargs="+", type=Path, help="outputs of an earlier run of one check")
    parser.add_argument("--ran", help="the command of that run")
    asked = parser.parse_args()
    chosen = asked.checks or [*CHECKS]
    if bool(asked.log) != bool(asked.ran) or (asked.log and len(chosen) != 1):
        parser.error("expected --log and --ran together, for one check")
    for name in chosen:
        begun, command = time.time(), CHECKS[name].command
        if asked.log:
            text = section(name, [path.read_text() for path in asked.log], asked.ran)
        else:
            text = section(name, [printed(command)], " ".join(command), f", {time.time() - begun:.0f} s")
        page = sections() | {name: text}
        PAGE.write_text("\n".join([HEAD, *(page[name] for name in CHECKS if name in page)]))
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
