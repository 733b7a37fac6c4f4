"""Contact sheets of batches show the pixels, masks, boxes and texts of the batch."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import mixaug as ma
import ways
from mixaug import drawing

SIZE = (160, 160)  # large enough to be shown without scaling
COLOURS = np.array([[200, 30, 30], [30, 160, 40], [40, 60, 210], [230, 200, 20]], np.uint8)
NAMES = ["red", "green", "blue", "yellow"]


def images() -> np.ndarray:
    return np.broadcast_to(COLOURS[:, None, None], (4, *SIZE, 3)).copy()


def pixels(sheet) -> np.ndarray:
    return np.asarray(sheet.image)


def titles(monkeypatch, *args, **options) -> list[str]:
    """The texts that are written under the pictures."""
    said, line = [], drawing.line
    monkeypatch.setattr(drawing, "line", lambda text, *rest: said.append(text) or line(text, *rest))
    ma.show(*args, **options)
    return said


@pytest.mark.parametrize("library", ways.MAKE)
@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_images_of_every_library_and_layout_are_drawn(library, layout):
    x = images() if layout == "nhwc" else np.ascontiguousarray(images().transpose(0, 3, 1, 2))
    fields = {"images": ma.Images(layout=layout)}
    sheet = ma.show((ways.MAKE[library](x), ways.MAKE[library](np.arange(4))), fields=fields)
    for i in range(4):
        assert pixels(sheet)[60, 16 + i * (SIZE[1] + 16) + 60].tolist() == COLOURS[i].tolist()


@pytest.mark.parametrize(("x", "note"), [
    (lambda x: x.astype("float32") / 255, ""), (lambda x: x.astype("float32"), ""),
    (lambda x: (x.astype("float32") - 127) / 64, "pixels are scaled from"),
])  # fmt: skip
def test_scaling_of_floats_is_noted(x, note):
    sheet = ma.show((x(images()), np.arange(4)))
    assert " ".join(sheet.notes).startswith(note)
    if not note:
        assert pixels(sheet)[60, 60].tolist() == COLOURS[0].tolist()


def test_titles_are_the_labels(monkeypatch):
    x = images()
    assert titles(monkeypatch, (x, np.arange(4)), class_names=NAMES) == NAMES
    assert titles(monkeypatch, (x, np.eye(4, dtype="float32")))[:2] == ["class 0", "class 1"]
    soft = np.float32([[0.62, 0, 0.38, 0]] * 4)
    assert titles(monkeypatch, (x, soft), class_names=NAMES)[:2] == ["0.62 red", "0.38 blue"]
    apart = ma.mix_batch(ma.CutMix(), (x, np.arange(4)), key=1, fields={"labels": ma.PerSource()})
    lam = apart[1][1]
    assert titles(monkeypatch, apart, class_names=NAMES, fields=("images", ma.PerSource()))[0].startswith(
        f"{lam[:, 0].max():.2f} "
    )


def test_a_mix_shows_the_origin_of_each_pixel_and_the_sources():
    batch = (images(), np.arange(4))
    mixed = ma.CutMix()(*batch, num_classes=4, key=3, return_mix=True)
    mix, sheet = mixed[-1], pixels(ma.show(mixed, source=batch))
    left, pitch = 16, SIZE[1] + 4
    for y, x in ((5, 5), (80, 80), (150, 150)):
        source = int(mix.pixel_weights()[:, 0, y, x].argmax())
        assert sheet[16 + y, left + x].tolist() == COLOURS[mix.index[source, 0]].tolist()
        colour = np.float64(drawing.source_colour(source))
        grey = COLOURS[mix.index[source, 0]].mean()
        np.testing.assert_allclose(sheet[16 + y, left + pitch + x], 0.7 * colour + 0.3 * grey, atol=1)
    assert sheet[16 + 80, left + 2 * pitch + 80].tolist() == COLOURS[0].tolist()


def test_masks_and_boxes_are_drawn():
    mask = np.zeros((4, *SIZE), np.uint8)
    mask[:, :80] = 1
    boxes = {"boxes": np.float32([[[20, 30, 100, 120]]] * 4), "labels": np.full((4, 1), 2)}
    batch = {"images": images(), "masks": mask, "bounding_boxes": boxes}
    sheet = pixels(ma.show(batch, class_names=NAMES))
    below = 16 + SIZE[0] + 4
    veil = 0.6 * np.float64(drawing.class_colour(1)) + 0.4 * COLOURS[0].mean()
    np.testing.assert_allclose(sheet[below + 10, 16 + 80], veil, atol=1)
    under = below + SIZE[0] + 4
    assert sheet[under + 119, 16 + 60].tolist() == list(drawing.class_colour(3))
    assert sheet[under + 60, 16 + 60].tolist() == COLOURS[0].tolist()


def test_it_shows_itself_in_a_notebook_and_is_saved(tmp_path):
    sheet = ma.show((images(), np.arange(4)))
    with Image.open(io.BytesIO(sheet._repr_png_())) as shown:
        assert np.array_equal(np.asarray(shown), pixels(sheet))
    (tmp_path / "real.png").write_bytes(b"")
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    sheet.save(tmp_path / "link.png")
    assert (tmp_path / "link.png").is_symlink()
    with Image.open(tmp_path / "real.png") as saved:
        assert saved.size == sheet.image.size
    with pytest.raises(ValueError, match=r"expected a file name with one of the suffixes .*; name it"):
        sheet.save(tmp_path / "sheet.xyz")


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="expected images with height and width to draw, got the layout 'ntc'"):
        ma.show((np.zeros((4, 9, 2), "float32"), np.arange(4)), fields={"images": ma.Images(layout="ntc")})
    mix = ma.CutMix().draw(3, SIZE, key=0)
    with pytest.raises(ValueError, match=r"mix: expected a mix of 4 outputs, .* got 3; pass the mix that made"):
        ma.show((images(), np.arange(4)), mix=mix)
    with pytest.raises(ValueError, match="expected a batch of at least one row"):
        ma.show((images()[:0], np.arange(0)))


def test_without_pillow_it_says_what_to_install():
    code = "import sys; sys.modules['PIL'] = None\nimport mixaug as ma\nma.show"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ModuleNotFoundError: show: expected Pillow to draw with, got none; pip install 'mixaug[lab]'" in done.stderr
