"""Undeclared fields: the error names the likely kind first, and each of its suggestions works."""

from __future__ import annotations

import re

import numpy as np
import pytest

import mixaug as ma
import ways

N, SIZE = 4, (8, 8)
IMAGES = ways.own_class_everywhere(N, SIZE)
Y = np.arange(N)
RGB = np.repeat(IMAGES[..., :1], 3, axis=-1)

#: arrays, and what they are likely to be
PARTS = {
    "ids of pixels": (np.int64(IMAGES.argmax(-1)), "'masks'"),
    "ids of pixels, uint8": (np.uint8(IMAGES.argmax(-1)), "'masks'"),
    "two values of pixels": (IMAGES[..., 0] > 0, "'masks'"),
    "ids with a channel": (np.int32(IMAGES.argmax(-1))[..., None], "'masks'"),
    "colours": (np.uint8(RGB * 255), "'images'"),
    "five channels": (np.float32(np.repeat(RGB, 2, -1)[..., :5]), "'images'"),
    "floats of pixels": (IMAGES[..., 0], "ma.Images(layout='nhw')"),
    "class ids": (Y, "'labels'"),
    "rows of floats": (np.eye(N), "'values'"),
    "texts": (np.array(list("abcd")), "'keep'"),
}  # fmt: skip
PLACES = {
    "labels": lambda x: (IMAGES, x),
    "sample_weight": lambda x: (IMAGES, Y, x),
    "images/1": lambda x: ((IMAGES, x), Y),
    "thing": lambda x: {"image": IMAGES, "label": Y, "thing": x},
}
GOOD = {("labels", "class ids"), ("labels", "rows of floats"), ("labels", "texts")}  # labels, or no array


def mix(batch, fields=None):
    layout = {"images": ma.Images(layout="nhwc"), "image": ma.Images(layout="nhwc"), "images/0": ma.Images("nhwc")}
    names = {name: kind for name, kind in layout.items() if name in ma.fields.tree.leaves(batch)}
    return ma.mix_batch(ma.CutMix(), batch, key=(0, 0), num_classes=N, fields={**names, **(fields or {})})


def readings(sentence: str, place: str) -> list[str]:
    """The code of each suggestion in an error."""
    first, rest = re.search(rf"pass fields={{'{place}': (.*?)}} \(or (.*)\)$", sentence).groups()
    return [first, *re.findall(r"ma\.\w+\(.*?\)|'\w+'", rest)]


CASES = [
    (library, place, part)
    for library in ("numpy", "tensorflow", "jax")
    for place in PLACES
    for part in PARTS
    if (place, part) not in GOOD and (part != "texts" or library == "numpy")
]


@pytest.mark.parametrize(("library", "place", "part"), CASES)
def test_the_likely_kind_comes_first_and_every_suggestion_works(library, place, part):
    x, likely = PARTS[part]
    batch = ma.fields.tree.each(PLACES[place](x), lambda _, leaf: ways.MAKE[library](leaf))
    with pytest.raises(
        ValueError, match=r"say what it is|a known name, or what it is in fields=, got neither"
    ) as raised:
        mix(batch)
    ways_out = readings(str(raised.value), place)
    assert ways_out[0] == likely
    assert len(set(ways_out)) == len(ways_out) > 1
    for code in ways_out:
        reading = eval(code, {"ma": ma})  # noqa: S307 - our own code
        fields = {place: "keep", "images/0": ma.Images("nhwc")} if place == "images/1" else {}
        mix(batch, {**fields, place: reading})


def test_masks_of_pytorch_are_masks_with_channels_first_too():
    images, masks = ways.tensor(IMAGES).movedim(-1, 1), ways.tensor(np.int64(IMAGES.argmax(-1)))
    for given in (masks, masks[:, None]):
        with pytest.raises(ValueError, match=r"expected class ids .* pass fields={'labels': 'masks'}") as raised:
            ma.mix_batch(ma.CutMix(), (images, given), key=(0, 0))
        for code in readings(str(raised.value), "labels"):
            mixed = ma.mix_batch(ma.CutMix(), (images, given), key=(0, 0), fields={"labels": eval(code)})  # noqa: S307
            assert mixed[1].shape == given.shape


def test_labels_with_more_axes_raise_in_mix_labels():
    mix, masks = ma.CutMix().draw(N, SIZE, key=(0, 0)), np.int64(IMAGES.argmax(-1))
    with pytest.raises(ValueError, match=r"got the shape .*; if they are masks .*, or mix them with mix.masks"):
        mix.labels(masks, N)
    assert mix.masks(masks).shape == mix.values(masks).shape == masks.shape


# --- float masks of two values ---

MASKS = {
    "(n, h, w)": (IMAGES[..., 0], 0),
    "(n, h, w, 1)": (IMAGES[..., :1], 1),
    "(n, h, w, C)": (IMAGES[..., :3], 3),
}


@pytest.mark.parametrize("form", MASKS)
@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.MixUp(), ma.SmoothMix()], ids=repr)
@pytest.mark.parametrize("library", ["numpy", "tensorflow", "torch", "jax"])
def test_a_float_mask_of_two_values_is_refused_with_both_ways_out(library, recipe, form):
    given, channels = MASKS[form]
    first = library == "torch"
    images = np.moveaxis(IMAGES, -1, 1) if first else IMAGES
    masks = np.moveaxis(given, -1, 1) if first and channels else given
    batch = {"images": ways.MAKE[library](images.copy()), "mask": ways.MAKE[library](masks.copy())}
    layout = ma.Images(layout="nchw" if first else "nhwc")

    def mixed(mask, kind):
        fields = {"images": layout, "mask": kind}
        return ma.mix_batch(recipe, {**batch, "mask": mask}, key=(0, 0), fields=fields)

    with pytest.raises(TypeError, match="mask: expected class ids of an integer dtype or bool, got float32") as raised:
        mixed(batch["mask"], "masks")
    ids, shares = re.search(
        r"such as (\(m > 0\).*), or, for shares of classes, pass fields=(.*)$", str(raised.value)
    ).groups()
    assert ids == "(m > 0).astype('uint8')"
    out = ways.values(mixed(ways.MAKE[library](np.uint8(masks > 0)), "masks")["mask"])
    assert (out.dtype, out.shape) == (np.uint8, masks.shape)
    assert set(np.unique(out)) <= {0, 1}

    said = eval(shares, {"ma": ma})["mask"]  # noqa: S307
    both = mixed(batch["mask"], said)
    pixels, soft = ways.values(both["images"]), ways.values(both["mask"])
    seen = np.moveaxis(pixels, 1, -1) if first else pixels
    soft = np.moveaxis(soft, 1, -1) if first else soft
    assert soft.shape == (N, *SIZE, max(channels, 1))
    assert soft.dtype == np.float32
    np.testing.assert_allclose(soft, seen[..., : max(channels, 1)], atol=1e-5)


def test_float_masks_raise_in_mix_masks():
    mix = ma.MixUp().draw(N, SIZE, key=(0, 0))
    with pytest.raises(TypeError, match=r"or, for shares of classes, call mix.masks\(m, soft=True\)$"):
        mix.masks(IMAGES[..., 0])
    np.testing.assert_allclose(
        mix.masks(IMAGES[..., 0], soft=True)[..., 0], mix.images(IMAGES, "nhwc")[..., 0], atol=1e-6
    )
    assert mix.masks(np.uint8(IMAGES[..., 0])).shape == (N, *SIZE)
    with pytest.raises(ValueError, match="expected a channel for each of 2 classes with soft=True, got float32 of"):
        mix.masks(IMAGES[..., 0], soft=True, num_classes=2)


def test_shares_of_many_classes_say_their_layout_by_a_value_that_is_soft_too():
    many = np.repeat(IMAGES, 2, axis=-1)
    with pytest.raises(ValueError, match="expected 1 to 4 channels in the layout 'nhwc'") as raised:
        mix({"image": IMAGES, "mask": many}, {"mask": ma.Masks(soft=True)})
    code = re.search(r"pass fields=(\{.*?\)\})", str(raised.value))[1]
    assert mix({"image": IMAGES, "mask": many}, eval(code))["mask"].shape == many.shape  # noqa: S307
