"""Rebuild the sheets of `fashion-mnist-sample`: python tools/make_sample.py FOLDER (of the four idx .gz files).

A sheet is 100 images wide; its ten bands, from the top, are the ten classes, each with the first images of its class.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mixaug.lab.data import read_idx

SAMPLE = Path(__file__).parents[1] / "src/mixaug/lab/sample"


def first_of_each(folder: Path, prefix: str, count: int) -> NDArray[np.uint8]:
    images, labels = (read_idx(folder / f"{prefix}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1"))
    return np.concatenate([images[labels == c][:count] for c in range(10)])


def sheet(images: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(images.reshape(-1, 100, 28, 28).swapaxes(1, 2).reshape(-1, 100 * 28))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, prefix, count in (("train", "train", 1000), ("test", "t10k", 200)):
        sheet(first_of_each(folder, prefix, count)).save(SAMPLE / f"{name}.png", optimize=True)
