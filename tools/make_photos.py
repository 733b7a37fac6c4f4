"""Create the photographs of the dataset `photos`: python tools/make_photos.py FOLDER (skimage/data of scikit-image).

Each is a square crop of the original, resized to 256 x 256 pixels.
"""

import sys
from pathlib import Path

from PIL import Image

PHOTOS = Path(__file__).parents[1] / "src/mixaug/lab/photos"
SQUARES = {  # the file, and the left and top edge and the side of the square
    "astronaut.png": (40, 0, 400),
    "chelsea.png": (90, 0, 300),
    "coffee.png": (140, 0, 400),
    "rocket.jpg": (106, 0, 427),
}

if __name__ == "__main__":
    for name, (left, top, side) in SQUARES.items():
        photo = Image.open(Path(sys.argv[1]) / name).convert("RGB")
        square = photo.resize((256, 256), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
        square.save((PHOTOS / name).with_suffix(".jpg"), quality=90, optimize=True)
