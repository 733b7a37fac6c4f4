"""Scenes composed of the bundled images: overlapping objects on a canvas, with exact masks and boxes.

picture = object m over ... over object 2 over object 1 over the background
mask[pixel] = the class of the last object that covers at least half of the pixel, 0 if no object does
box = the bounding rectangle of the object's pixels in the mask
"""

from __future__ import annotations

import colorsys
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from .dataset import Data, Objects, Split, checked
from .errors import LabError

COUNTS = (2000, 400)  #: the number of training scenes and of test scenes
OBJECTS = 5  #: the maximum number of objects per scene
SEEN = 1 / 256  #: the minimum visible area of an object with a box, as a fraction of the canvas

_SEED = 20260401
_SOLID = 24  # the minimum grey level of a pixel in a sprite's silhouette
_NOISE = 14.0  # the standard deviation of the noise, in grey levels
_STROKES = 6
_HALF = [255 * (level >= 128) for level in range(256)]  # for Image.point: pixels covered at least by half

Colour: TypeAlias = tuple[int, int, int]


def scenes(sprites: Data, *, task: str = "segmentation", size: int = 64) -> Data:
    """Return scenes of 1 to 5 objects: 2,000 training scenes of training sprites, 400 test scenes of test sprites.

    A scene is a pure function of its sprites, its split and its number; its layout does not depend on the size. For
    segmentation, the colours of objects are independent of their class, and targets are masks. For image2image, images
    are grey, noisy and scratched, targets are the clean pictures, and each class has its own hue.

    Args:
        sprites: grey images on black with class ids; class i becomes class i + 1 of the scenes, the background is 0.
        task: "segmentation" or "image2image".
        size: side of the images, in pixels.

    Returns:
        A dataset; for segmentation, with the boxes of sufficiently visible objects, in the order of painting.

    Raises:
        LabError: if the size is too small or too large for the sprites.

    Example:
        >>> from mixaug.lab.data import load
        >>> data = load("scenes", task="segmentation")
        >>> data.train.images.shape, data.train.targets.shape, data.train.boxes["boxes"].shape
        ((2000, 64, 64, 3), (2000, 64, 64), (2000, 5, 4))
    """
    if not 32 <= size <= 256:
        raise LabError(f"expected scenes of 32 to 256 pixels, got {size}: 64 is usual")
    train, test = (
        _split([_Scene(split, (number, i), size, task) for i in range(count)], task)
        for number, (split, count) in enumerate(zip((sprites.train, sprites.test), COUNTS, strict=True))
    )
    classes = ("background", *sprites.classes) if task == "segmentation" else ()
    return checked(Data("scenes", classes, train, test, task))


class _Scene:
    """A canvas, and the object that owns each of its pixels."""

    def __init__(self, sprites: Split, number: tuple[int, int], size: int, task: str) -> None:
        self.random = np.random.Generator(np.random.Philox(key=(_SEED + number[0], number[1])))
        self.by_class = task == "image2image"
        self.picture = _background(self.random, size)
        self.owner = Image.new("L", (size, size))
        self.labels = [0]  # labels[i] is the class of owner i; owner 0 is the background
        for row in self.random.integers(len(sprites), size=self.random.integers(1, OBJECTS + 1)).tolist():
            self._paint(sprites.images[row, ..., 0], int(sprites.targets[row]))

    def _paint(self, sprite: NDArray[np.uint8], label: int) -> None:
        """Paint a sprite on top, with a random side, place and colour."""
        size = self.owner.width
        side, left, top, jitter, hue, vivid = self.random.random(6)
        side = round(size * (0.35 + 0.3 * side))
        place = tuple(round(x * (size - side / 2) - side / 4) for x in (left, top))  # up to a quarter may be outside
        hue = (label + jitter / 2) / 10 if self.by_class else hue
        tinted = _tinted(sprite, _colour(hue, 0.9, 0.2), _colour(hue, 0.3 + 0.6 * vivid, 1.0))
        shown, cover = (
            Image.fromarray(x).resize((side, side), Image.Resampling.BICUBIC) for x in (tinted, _silhouette(sprite))
        )
        self.picture.paste(shown, place, cover)
        self.owner.paste(len(self.labels), place, cover.point(_HALF))
        self.labels.append(label + 1)

    def mask(self) -> NDArray[np.uint8]:
        """Return the class id of each pixel."""
        return np.take(np.array(self.labels, np.uint8), np.asarray(self.owner))

    def boxes(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the boxes and class ids of the objects, padded to `OBJECTS`."""
        owner = np.asarray(self.owner)
        boxes, labels = np.full((OBJECTS, 4), -1, np.float32), np.full(OBJECTS, -1, np.int64)
        seen = np.bincount(owner.ravel(), minlength=len(self.labels))
        found = ndimage.find_objects(owner, len(self.labels) - 1)
        shown = [i for i in range(1, len(self.labels)) if seen[i] >= SEEN * owner.size]
        for place, i in enumerate(shown):
            down, across = found[i - 1]
            boxes[place] = across.start, down.start, across.stop, down.stop
            labels[place] = self.labels[i]
        return boxes, labels

    def spoiled(self) -> NDArray[np.uint8]:
        """Return the picture in grey, with strokes and noise."""
        grey, size = self.picture.convert("L"), self.owner.width
        pen = ImageDraw.Draw(grey)
        for *ends, shade in self.random.random((_STROKES, 5)).tolist():
            pen.line([size * end for end in ends], round(255 * shade), max(1, size // 48))
        noisy = np.asarray(grey)[..., None] + _NOISE * self.random.standard_normal((size, size, 1))
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def _split(made: list[_Scene], task: str) -> Split:
    pictures = np.stack([np.asarray(scene.picture) for scene in made])
    if task == "image2image":
        return Split(np.stack([scene.spoiled() for scene in made]), pictures)
    boxes, labels = map(np.stack, zip(*(scene.boxes() for scene in made), strict=True))
    return Split(pictures, np.stack([scene.mask() for scene in made]), Objects(boxes=boxes, labels=labels))


def _background(random: np.random.Generator, size: int) -> Image.Image:
    """Return a soft gradient between four muted colours, with a coarse and a fine texture."""
    corners = [_colour(*x) for x in (random.random((4, 3)) * (1, 0.35, 0.6) + (0, 0.05, 0.25)).tolist()]
    ground = np.array(corners, np.uint8).reshape(2, 2, 3)
    grain = random.integers(0, 256, (10, 10), np.uint8)
    soft, rough = (Image.fromarray(x).resize((size, size), Image.Resampling.BICUBIC) for x in (ground, grain))
    return Image.blend(soft, rough.convert("RGB"), 0.12)


def _silhouette(sprite: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return 255 where the sprite is solid or surrounded by solid pixels, 0 elsewhere."""
    return np.where(ndimage.binary_fill_holes(sprite >= _SOLID), np.uint8(255), np.uint8(0))


def _tinted(sprite: NDArray[np.uint8], dark: Colour, light: Colour) -> NDArray[np.uint8]:
    """Return the grey sprite coloured from `dark` (black) to `light` (white)."""
    shade = sprite[..., None] / 255
    return np.rint(dark + shade * np.subtract(light, dark)).astype(np.uint8)


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = (round(255 * x) for x in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue
