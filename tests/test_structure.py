"""The architecture holds itself: imports flow down, frameworks stay in their modules."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "src" / "mixaug"
ORDER = [
    "backends", "files", "core", "kernels", "ops", "guides", "label_rules", "loss_advice", "mix", "recipes", "testing",
    "hidden", "pairing", "fields", "batch", "warmup", "epoch", "drawing", "sheets",
    "losses", "metrics", "tf", "keras", "keras_hidden", "torch", "grain", "huggingface", "lightning", "timm",
    "timm_collate", "lab", "cli",
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
    "kernels/signatures.py": {"numba"},
    "kernels/gpu.py": {"torch", "triton"},
    "tf.py": {"tensorflow"},
    "torch": {"torch"},
    "grain.py": {"grain"},
    "keras.py": {"keras"},
    "keras_hidden.py": {"keras"},
    "huggingface.py": {"torch", "transformers"},
    "lightning.py": {"lightning"},
    "timm.py": {"torch"},
    "timm_collate.py": {"timm", "torch"},
}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def module(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    """Every module that a file imports, anywhere in it, by its full name."""
    package = ["mixaug", *path.relative_to(ROOT).parent.parts]
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found += [f"{module}.{alias.name}" for alias in node.names]
    return found


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


def test_every_module_stands_in_the_order():
    assert {module(path) for path in FILES} == set(ORDER)


def in_a_fresh_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_import_loads_no_framework_and_no_scipy():
    code = "import sys, mixaug; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = set(in_a_fresh_process(code).split())
    assert not loaded & (FRAMEWORKS | {"scipy", "matplotlib", "PIL", "rich", "typer"})


def test_a_framework_that_is_not_asked_for_is_not_loaded():
    code = "import sys, numpy, mixaug as ma; ma.mix_batch(ma.CutMix(), (numpy.zeros((4, 8, 8, 1)), numpy.arange(4)), "
    code += "key=(0, 0), num_classes=4); print('tensorflow' in sys.modules)"
    assert in_a_fresh_process(code).strip() == "False"


def test_an_unknown_attribute_names_those_there_are():
    import mixaug as ma

    with pytest.raises(AttributeError, match=r"mixaug has no 'torchvision'; it has .*CutMix, .*, keras, .*tf"):
        ma.torchvision  # noqa: B018
    assert ma.tf.mixed
    assert ma.keras.MixLayer
