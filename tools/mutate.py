"""Apply mutations to the code, one at a time, and report which of them `make test` detects.

python tools/mutate.py                        all of tools/mutations.py
python tools/mutate.py kernels epoch          mutations of files whose names contain one of these words
python tools/mutate.py --first                run only the tests that are listed with each mutation

Each mutation is applied to a copy of the tree. The tests listed with it run first; if they pass, `make test` runs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mutations import MUTATIONS, Mutation

ROOT = Path(__file__).parent.parent
LIMIT = 3600  # seconds, for a mutation that causes an endless loop
KERNELS = "kernels/"  # a change of one of these files recompiles every kernel
ALL = ["-n", "2", "--dist", "worksteal"]  # as `make test` runs


class Copy:
    """A copy of the tree, with its own kernel cache."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tree = folder, folder / "tree"
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
        for name in filter(None, names):
            if (ROOT / name).is_file():
                (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.tree / name)

    def tests(self, arguments: list[str], cache: Path) -> tuple[int, str]:
        """Run tests until the first failure; return pytest's exit status and that test."""
        env = {**os.environ, "PYTHONPATH": str(self.tree / "src"), "NUMBA_CACHE_DIR": str(cache)}
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider", *arguments]
        with tempfile.TemporaryFile("w+") as out:
            run = subprocess.Popen(
                command, cwd=self.tree, env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                status = run.wait(LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(run.pid, signal.SIGKILL)
                return 1, f"no end after {LIMIT} s"
            out.seek(0)
            lines = out.read().splitlines()
        failed = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
        return status, failed[0].partition(" - ")[0] if failed else (lines or [""])[-1]


def check(mutations: list[Mutation]) -> None:
    """Exit with an error if a mutation cannot be applied."""
    for mutation in mutations:
        count = (ROOT / "src" / "mixaug" / mutation.file).read_text().count(mutation.old)
        if count != 1:
            sys.exit(f"{mutation.file}: expected the text once, got {count} times: {mutation.old!r}")
        if mutation.old == mutation.new:
            sys.exit(f"{mutation.file}: expected another text in place of {mutation.old!r}")


def outcome(copy: Copy, mutation: Mutation, first: bool) -> str:
    """The result of a mutation: "caught by ..." or "missed"."""
    path = copy.tree / "src" / "mixaug" / mutation.file
    text, own = path.read_text(), copy.folder / "mutated"
    cache = own if mutation.file.startswith(KERNELS) else copy.folder / "cache"
    path.write_text(text.replace(mutation.old, mutation.new))
    try:
        for arguments in ([f"tests/{name}" for name in mutation.tests.split()], ALL)[: 1 if first else 2]:
            status, test = copy.tests(arguments, cache)
            if status:
                return f"caught by {test}{'' if arguments is not ALL else ', of all tests'}"
        return "missed"
    finally:
        path.write_text(text)
        shutil.rmtree(own, ignore_errors=True)


def main() -> None:
    """Apply the mutations and print the result of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="parts of the names of files; all by default")
    parser.add_argument("--first", action="store_true", help="run only the tests that are listed with each mutation")
    asked = parser.parse_args()
    chosen = [one for one in MUTATIONS if not asked.files or any(name in one.file for name in asked.files)]
    check(chosen)
    missed, begun = [], time.time()
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder))
        firsts = sorted({f"tests/{name}" for mutation in chosen for name in mutation.tests.split()})
        status, test = copy.tests(firsts if asked.first else ALL, copy.folder / "cache")
        if status:
            sys.exit(f"expected tests that pass without mutations, got {test}")
        for mutation in chosen:
            how = outcome(copy, mutation, asked.first)
            missed += [mutation] if how == "missed" else []
            print(f"{mutation.file}: {mutation.why}: {how}", flush=True)
    print(f"{len(chosen) - len(missed)} of {len(chosen)} mutations are caught, in {time.time() - begun:.0f} s")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
