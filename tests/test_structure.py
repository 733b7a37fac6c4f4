"""The layout of the code: imports flow down, frameworks stay in their modules, files and functions stay small.

Also the wording: phrases that were removed from the texts must not return.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "src" / "mixaug"
ORDER = [
    "backends", "files", "core", "kernels", "ops", "guides", "label_rules", "loss_advice", "mix", "recipes", "testing",
    "hidden", "pairing", "fields", "batch", "warmup", "epoch", "sources", "table", "drawing", "sheets",
    "losses", "metrics", "tf", "keras", "torch", "grain", "ray", "huggingface", "lightning", "timm", "timm_collate",
    "lab", "cli",
]  # fmt: skip
FRAMEWORKS = {
    "tensorflow",
    "keras",
    "torch",
    "jax",
    "transformers",
    "lightning",
    "timm",
    "grain",
    "ray",
    "numba",
    "llvmlite",
    "triton",
}
MAY_IMPORT = {
    "backends/tensorflow.py": {"tensorflow"},
    "backends/torch.py": {"torch"},
    "backends/jax.py": {"jax"},
    "kernels/cache.py": {"numba", "llvmlite"},
    "kernels/machine.py": {"numba", "llvmlite"},
    "kernels/numbers.py": {"numba"},
    "kernels/gpu.py": {"torch", "triton"},
    "tf": {"tensorflow"},
    "torch": {"torch"},
    "grain.py": {"grain"},
    "ray/mixed.py": {"ray"},
    "ray/columns.py": {"ray"},
    "keras": {"keras"},
    "huggingface.py": {"torch", "transformers"},
    "lightning.py": {"lightning"},
    "timm.py": {"torch"},
    "timm_collate.py": {"timm", "torch"},
}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def module(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    """The full names of all modules that a file imports."""
    package = ["mixaug", *path.relative_to(ROOT).parent.parts]
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names += [f"{module}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_flow_down(path):
    for imported in imports(path):
        if not imported.startswith("mixaug."):
            continue
        other = imported.split(".")[1]
        assert other not in ORDER or ORDER.index(other) <= ORDER.index(module(path)), f"{path} imports {imported}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_frameworks_stay_in_their_modules(path):
    name = str(path.relative_to(ROOT))
    allowed = FRAMEWORKS if module(path) == "lab" else MAY_IMPORT.get(name, MAY_IMPORT.get(module(path), set()))
    assert FRAMEWORKS & {module.partition(".")[0] for module in imports(path)} <= allowed


def test_every_module_is_in_the_order():
    assert {module(path) for path in FILES} == set(ORDER)


def in_a_fresh_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_import_loads_no_framework_and_no_scipy():
    code = "import sys, mixaug; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = set(in_a_fresh_process(code).split())
    assert not loaded & (FRAMEWORKS | {"scipy", "matplotlib", "PIL", "rich", "typer"})


def test_unused_frameworks_are_not_loaded():
    code = "import sys, numpy, mixaug as ma; ma.mix_batch(ma.CutMix(), (numpy.zeros((4, 8, 8, 1)), numpy.arange(4)), "
    code += "key=(0, 0), num_classes=4); print('tensorflow' in sys.modules)"
    assert in_a_fresh_process(code).strip() == "False"


def test_an_unknown_attribute_lists_the_known_ones():
    import mixaug as ma

    with pytest.raises(AttributeError, match=r"mixaug has no 'torchvision'; it has .*CutMix, .*, keras, .*tf"):
        ma.torchvision  # noqa: B018
    assert ma.tf.mixed
    assert ma.keras.MixLayer


# --- sizes ---

PROJECT = ROOT.parent.parent
MAX_LINES = 400
LONGER = {
    "tools/mutations.py", "tools/wrong_inputs.py",  # tables, one row after another
}  # fmt: skip
MAX_ARGUMENTS = 8
#: Functions whose callers pass documented options by name.
OPTIONS_BY_NAME = {
    "preview", "compare", "augment", "loader", "mixed_zip", "boxes", "MixedDataset.__init__", "Mixup.__init__",
    "Mix.boxes",
}  # fmt: skip
#: Triton kernels, which take pointers and lengths one by one.
TRITON_KERNELS = {"_mix", "_who", "_labels"}
#: Functions whose arguments are still to be grouped; remove a name once it is done.
TO_BE_GROUPED = {
    "_boxes_of_lists",
}  # fmt: skip
_NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def docstrings(text: str) -> set[int]:
    """The line numbers of the docstrings of a file."""
    nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, (ast.Module, ast.ClassDef, ast.FunctionDef))]
    with_docstring = [node.body[0] for node in nodes if ast.get_docstring(node) is not None]
    return {line for one in with_docstring for line in range(one.lineno, (one.end_lineno or 0) + 1)}


def lines_of_code(text: str) -> int:
    """The number of lines without docstrings, comments and blank lines."""
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type not in _NO_CODE]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    return len(lines - docstrings(text))


def test_lines_of_code_exclude_docstrings_comments_and_blank_lines():
    lines = [
        '"""Module."""',
        "",
        "# comment",
        'x = """a',
        'b"""',
        "",
        "def f():",
        '    """Doc."""',
        "    return (",
        "    1)",
    ]
    text = "\n".join(lines) + "\n"
    assert lines_of_code(text) == 5


def test_files_have_at_most_400_lines_of_code():
    files = [path for folder in ("src", "tools", "benchmarks") for path in (PROJECT / folder).rglob("*.py")]
    sizes = {str(path.relative_to(PROJECT)): lines_of_code(path.read_text()) for path in files}
    assert {name for name, lines in sizes.items() if lines > MAX_LINES} <= LONGER, "split these files"


def many_arguments(node: ast.AST, prefix: str = "") -> Iterator[str]:
    """The names of all functions with more than eight arguments, `self` not counted."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            arguments = [*child.args.posonlyargs, *child.args.args, *child.args.kwonlyargs]
            if len([one for one in arguments if one.arg not in ("self", "cls")]) > MAX_ARGUMENTS:
                yield f"{prefix}{child.name}"
        yield from many_arguments(child, f"{child.name}." if isinstance(child, ast.ClassDef) else prefix)


def test_functions_have_at_most_eight_arguments():
    names = {name for path in FILES for name in many_arguments(ast.parse(path.read_text()))}
    allowed = OPTIONS_BY_NAME | TRITON_KERNELS | TO_BE_GROUPED
    assert names <= allowed, f"pass what belongs together as one value: {names - allowed}"


# --- wording ---

#: Regular expressions of phrases that are not idiomatic, and of terms that were replaced.
PHRASES = [
    r"\bneither known nor\b",
    r"\bhears? of it\b",
    r"\bown samples?\b(?! weight)",
    r"\b(other|as) parents?\b",
]
#: Phrases that src still has; move them to PHRASES once it does not.
OUTSIDE_SRC = [
    r"\b(is|are|was|were) to be seen\b",
    r"\bthat (is|are) none\b",
    r"\b\w+s are some\b",
    r"\bof (yours|ours)\b",
    r"\bwho(m)?ever\b",
    r"\bwho (asks|calls|draws|has such)\b",
    r"\b(where nobody|nobody's)\b",
    r"\bwhat (lies|stands|is|was) there\b",
    r"\bwhere there (is|are) (one|none|some|any)\b",
    r"\b(those|that) there are\b",
    r"\bas (it lies|they lie)\b",
    r"\bwhat comes out\b",
    r"\bwhat is wrong with\b",
    r"\bunless (it is )?said\b",
    r"\bfor ever\b",
    r"\b(of|by) so many\b",
    r"\bshall\b",
    r"\b(is|are) no (array|batch|box|class|dataset|dtype|field|file|float|id|image|int|key|label|layout|mask|"
    r"matter|mix|number|recipe|rule|tensor)s?\b",
    r"\b(drawn?|draws|made|compiled|counted) anew\b",
    r"\b(a|one) (box|column|draw|mask|number|offset|row|scale|value|weight) an? (axis|batch|channel|class|image|output|"
    r"pixel|row|sample|source)\b",
    r"\b(once|one) an? (batch|box|channel|class|machine|pixel|row|sample|source)\b",
    r"\b(low ground|landscapes? of)\b",
    r"\b(every|each|the|at|this|a) doors?\b(?! of)",
    r"\b((by|own) shares?|shares? of (classes|its|the))\b",
    r"\bheld\b",
]
GENERATED = ("recipes.md", "wrong-inputs.md")  # from the docstrings and errors in src


def words(path: Path) -> list[str]:
    """The lines of a text; those of tests and tools without string literals, which quote code and errors."""
    text = path.read_text()
    lines = text.splitlines()
    if path.suffix != ".py" or path.is_relative_to(ROOT):
        return lines
    documented = docstrings(text)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        quotes = token.type == tokenize.STRING or tokenize.tok_name[token.type].startswith("FSTRING")
        if quotes and token.start[0] not in documented:
            for number in range(token.start[0], token.end[0] + 1):
                line, first, last = lines[number - 1], token.start, token.end
                start = first[1] if number == first[0] else 0
                end = last[1] if number == last[0] else len(line)
                lines[number - 1] = line[:start] + " " * (end - start) + line[end:]
    return lines


def texts() -> Iterator[tuple[Path, list[str]]]:
    for place in ("README.md", "CONTRIBUTING.md", "Makefile", "docs", "src", "tests", "tools", "benchmarks"):
        found = sorted((PROJECT / place).rglob("*")) if (PROJECT / place).is_dir() else [PROJECT / place]
        for path in found:
            if path.is_file() and path.suffix in (".py", ".md", ".jinja", "") and path.name not in GENERATED:
                yield path, words(path)


@pytest.fixture(scope="module")
def wording() -> list[tuple[Path, list[str]]]:
    return [(path, lines) for path, lines in texts() if path != Path(__file__)]


@pytest.mark.parametrize("phrase", [*PHRASES, *OUTSIDE_SRC])
def test_removed_phrases_do_not_return(phrase, wording):
    again = [
        f"{path.relative_to(PROJECT)}:{number}: {line.strip()}"
        for path, lines in wording
        if not (phrase in OUTSIDE_SRC and path.is_relative_to(ROOT))
        for number, line in enumerate(lines, 1)
        if re.search(phrase, line, re.IGNORECASE)
    ]
    assert not again, "rewrite these lines:\n" + "\n".join(again)
