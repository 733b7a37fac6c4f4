"""Write tests/recipes/golden.json: mixes drawn with various keys, which every library must reproduce bit for bit.

python tools/make_golden.py          (only after an intended change of the draws)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import mixaug as ma
from mixaug.core.maps import example

KEYS = [(0, 0), (1, 2, 3), (-1, 2**40, -5), (2**64 + 17, 2**63, 0, 9)]
SHAPES = [(5, [6, 5]), (3, [7]), (2, [3, 2, 4])]
RECIPES = [
    "cutmix(alpha=1.0)",
    "cutmix(alpha=0.2)",
    "cutmixminmax(low=0.2, high=0.8)",
    "cutmixminmax(low=0.0, high=1.0)",
    "cutmix(alpha=1.0, placement='inside')",
    "cutmix(alpha=1.0, placement='uniform')",
    "boxmix(area=(0.1, 0.5), aspect=3.0)",
    "nwaycutmix(alpha=1.0, sources=4)",
    "hmix(alpha=1.0, ratio=0.5)",
    "ricap(beta=0.3)",
    "mosaic(tiles=3, jitter=1.0)",
    "resizemix(low=0.1, high=0.8)",
    "cutout(side=0.5, fill=0.0)",
    "randomerasing(area=(0.02, 0.33), aspect=3.3, fill=1.0, noise=0.5)",
    "mixup(alpha=0.2)",
    "mixup(alpha=1.0, sources=4)",
    "gridmix(alpha=1.0, cells=3)",
    "tokenmix(alpha=1.0, token=2)",
    "fmix(alpha=1.0, decay=3.0)",
    "fmix(alpha=0.5, decay=1.0)",
    "cowmix(low=0.125, high=0.5, least=0.2, most=0.8)",
    "smoothmix(low=0.25, high=0.5)",
    "gmix(alpha=1.0)",
    "identity()",
    "one_of(mixup(alpha=1.0), cutmix(alpha=1.0), gridmix(alpha=1.0, cells=2), weights=(1, 2, 1))",
    "sometimes(0.5, cutmix(alpha=1.0))",
    "per_batch(one_of(cutmix(alpha=1.0), mixup(alpha=0.4, sources=3)))",
    "one_of(cutout(side=0.6, count=(1, 4)), cutmix(alpha=1.0))",
    "randomerasing(fill=(1.0, 2.0), noise=0.5)",
    "randomerasing(height=(0.2, 0.6), width=0.5, count=2)",
    "boxmix(area=0.3, aspect=(0.3, 1.5))",
    "one_of(cutout(fill=(1.0, 2.0, 3.0)), randomerasing(noise=(0.5, 1.0, 0.0)), cutmix(alpha=1.0))",
    "snapmix(alpha=5.0)",
    "snapmix(alpha=1.0)",
    "saliencymix(alpha=1.0)",
    "attentivecutmix(top=3, cells=2)",
    "mergemix(alpha=1.0, token=2)",
    "classmix()",
    "classmix(ignore_index=1)",
    "copypaste(part=0.5)",
    "copypaste(part=0.9, scale=(0.4, 1.8))",
    "copypaste(part=0.9, blend=0.8)",
    "one_of(saliencymix(alpha=1.0), classmix(), cutmix(alpha=1.0))",
]


def texts() -> list[str]:
    """Those above, and what is not among them as it is by default."""
    named = " ".join(RECIPES)
    return [*RECIPES, *(entry.defaults.lower() for entry in ma.recipes() if entry.name.lower() not in named)]


def guide(text: str, n: int, size: list[int]) -> dict[str, np.ndarray] | None:
    """The guides that a recipe needs, which `core.maps.example` makes."""
    return {need: example(need, n, tuple(size)) for need in ma.recipe(text).needs} or None


def plain(x: Any) -> dict[str, Any]:
    """An array as JSON; float32 numbers are exact as doubles."""
    x = np.asarray(x)
    return {"dtype": x.dtype.name, "shape": list(x.shape), "values": x.ravel().tolist()}


def main() -> None:
    rows = []
    for text in texts():
        for key in KEYS:
            for n, size in SHAPES:
                structure, arrays = ma.recipe(text).draw(n, size, key=key, guide=guide(text, n, size)).flatten()
                mix = {"structure": json.loads(json.dumps(structure)), "arrays": [plain(x) for x in arrays]}
                rows.append({"recipe": text, "key": list(key), "n": n, "size": size, **mix})
    path = Path(__file__).parent.parent / "tests" / "recipes" / "golden.json"
    path.write_text("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
