"""Run what takes longer than tests may, and write docs/verification.md with what it printed.

python tools/verify.py                            all of it; hours
python tools/verify.py fuzz mutations             these; the other sections of the page stay as they are
python tools/verify.py fuzz --log 0.log 1.log --ran "tests/fuzz/fuzz_doors.py --cases 10000 --seed 0 and 10000"
                                                  the section of what has been run already, of these outputs
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

What is checked beyond `make test-all`, because it takes hours: `make verify` runs it and writes this page
(`tools/verify.py`). Each section says what was run, where, and what it printed.
"""


class Check(NamedTuple):
    """One section of the page.

    Args:
        what: what is checked.
        command: the arguments of Python.
        summary: the lines of the page, of what the command printed.
    """

    what: str
    command: list[str]
    summary: Callable[[list[str]], list[str]]


def of_fuzz(outputs: list[str]) -> list[str]:
    """How many cases ended how, of all outputs; which doors they came through, and how many sentences there were."""
    counts: Counter[str] = Counter()
    sentences: set[str] = set()
    for output in outputs:
        for found in re.findall(r"^(\{.*\}) in \d+ s$", output, re.MULTILINE):
            counts.update(ast.literal_eval(found))
        for example in re.findall(r"^  \d+: (.*?)(?:   \(not in fuzz_sentences.py\))?$", output, re.MULTILINE):
            sentences.add(re.sub(r"'[^']*'|\d+", "_", example))
    ends = {how: counts.pop(how, 0) for how in ("right", "refused", "void", "wrong")}
    libraries: Counter[str] = Counter()
    for door, count in counts.items():
        libraries[door.partition(" ")[0]] += count
    return [
        f"{sum(ends.values())} cases: " + ", ".join(f"{count} {how}" for how, count in ends.items()),
        "by library: " + ", ".join(f"{name} {count}" for name, count in libraries.most_common()),
        f"{len(counts)} doors, {len(sentences)} different sentences",
    ]


def lines_with(*patterns: str) -> Callable[[list[str]], list[str]]:
    """The lines that hold one of these patterns."""
    found = re.compile("|".join(patterns))
    return lambda outputs: [line for output in outputs for line in output.splitlines() if found.search(line)]


CHECKS = {
    "fuzz": Check(
        "Random batches through every door, of every container, layout, dtype and role, three of ten damaged: each is "
        "mixed as an independent definition says (right), or refused in one sentence (refused). Void are cases without "
        "a batch.",
        ["tests/fuzz/fuzz_doors.py", "--cases", "100000", "--seed", "1", "--fail", "100000"],
        of_fuzz,
    ),
    "workers": Check(
        "The same with workers, forks, threads and damaged caches of kernels, 300 cases.",
        ["tests/fuzz/fuzz_workers.py", "--seed", "1"],
        lines_with(r"cases in \d+ s"),
    ),
    "mutations": Check(
        "Mistakes made on purpose, one at a time (`tools/mutations.py`), and whether `make test` notices.",
        ["tools/mutate.py"],
        lines_with(": missed$", "mistakes are caught"),
    ),
    "distributions": Check(
        "Draws under many keys follow the distributions of their papers (`tests/recipes/long_distributions.py`).",
        ["tests/recipes/long_distributions.py", "--seeds", "400"],
        lines_with("p-values", "hypotheses hold"),
    ),
}


def printed(command: list[str]) -> str:
    """Run Python, show what it prints, and return that."""
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
    """The processor, as it calls itself, and how many there are."""
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.exists() else ""
    named = [
        found[1]
        for key in ("model name", "cpu family")
        if (found := re.search(rf"^{key}\s*: (.*)$", text, re.MULTILINE))
    ]
    return f"{os.cpu_count()} processors, {' family '.join(named) or platform.processor()}"


def section(name: str, outputs: list[str], command: str, took: str = "") -> str:
    """The section of a check."""
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
    """Those that the page has."""
    text = PAGE.read_text() if PAGE.exists() else ""
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0].removeprefix("## "): part for part in parts}


def main() -> None:
    """Run the checks, and write the page after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*", choices=[*CHECKS, []], help="all by default")
    parser.add_argument("--log", nargs="+", type=Path, help="outputs of one check that has been run")
    parser.add_argument("--ran", help="the command that made them")
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
        held = sections() | {name: text}
        PAGE.write_text("\n".join([HEAD, *(held[name] for name in CHECKS if name in held)]))
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
