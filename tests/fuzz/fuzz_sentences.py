"""Each error that the fuzzer has met, raised once, and the code that it suggests.

A row is (a part of the sentence, what raises it, what its way out says to write). `fuzz_doors.py` names the sentences
that no row here raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes  # noqa: F401 - so that NumPy knows bfloat16
import numpy as np

import mixaug as ma

N = 4
X, Y, W = np.zeros((N, 8, 8, 3), np.uint8), np.arange(N) % 3, np.ones(N, np.float32)
M, V = np.zeros((N, 8, 8), np.uint8), np.ones((N, 2), np.float32)
F = X.astype(np.float32)
BOXES = np.tile(np.float32([1, 1, 5, 5]), (N, 2, 1))
POINTS = np.ones((N, 2, 3), np.float32)
SEVERAL = {"image": X, "kind": Y, "colour": Y}


def mix(batch: Any, recipe: Any = "cutmix", num_classes: Any = 3, **options: Any) -> Any:
    """The batch mixed under key 0."""
    return ma.mix_batch(recipe, batch, num_classes=num_classes, key=0, **options)


def said(y: Any, kind: Any, x: Any = X, **options: Any) -> Any:
    """Images and a field beside them that is said to be something."""
    return mix((x, y), fields={"labels": kind}, **options)


def images(x: Any, kind: Any = "images", recipe: Any = "mixup") -> Any:
    """Images and labels, of images that are said to be something."""
    return mix((x, Y[: len(x)]), recipe, fields={"images": kind})


def weighed(weights: Any, batch: Any = (X, Y), **options: Any) -> Any:
    """Images and labels with class weights."""
    return mix(batch, class_weights=weights, **options)


def sized(*shape: int) -> Any:
    """Images of a shape."""
    return np.zeros(shape, np.uint8)


def bank(**options: Any) -> Any:
    """Images and labels with a bank."""
    return mix((X, Y), **options)


Row = tuple[str, Callable[[], Any], Callable[[], Any]]

CONTAINERS: list[Row] = [
    (
        "batch: expected a dict, an \\(images, labels\\) pair",
        lambda: mix("cat"),
        lambda: mix({"images": X, "labels": Y}),
    ),
    (
        "expected as many rows in every field, got 3 in 'labels' and 4",
        lambda: mix((X, Y[:3])),
        lambda: mix((X[:3], Y[:3])),
    ),
    (
        "batch: expected one field or more, got an empty dict; fill it",
        lambda: mix({}),
        lambda: mix({"image": X, "label": Y}),
    ),
    ("expected labels beside the images", lambda: mix(X), lambda: mix(X, fields="images")),
    (
        "field 'kind': expected an array, got an empty tuple; leave it out",
        lambda: mix({"image": X, "label": Y, "kind": ()}),
        lambda: mix({"image": X, "label": Y}),
    ),
    (
        "'mood': expected a known name, or what it is in fields=",
        lambda: mix({"image": X, "mood": Y}),
        lambda: mix({"image": X, "mood": Y}, fields={"mood": "labels"}),
    ),
    ("field 'labels': expected one of image, .* got 'boxs'", lambda: said(Y, "boxs"), lambda: said(Y, "labels")),
    ("field 'labels': expected its kind, got 3; pass such as", lambda: said(Y, 3), lambda: said(Y, ma.Labels())),
    (
        "field 'labels': expected an array to be 'values', got 'labels/a'; say what each",
        lambda: said({"a": V}, "values"),
        lambda: mix((X, {"a": V}), fields={"labels/a": "values"}),
    ),
    (
        "fields: expected names among 'images', 'labels', .* got 'nope'",
        lambda: mix((X, Y), fields={"nope": "keep"}),
        lambda: mix((X, Y), fields={"labels": "keep"}),
    ),
    (
        "fields: expected a dict by name, or one for each of the 2 parts",
        lambda: mix((X, Y), fields="images"),
        lambda: mix((X, Y), fields={"images": "images"}),
    ),
    (
        "fields: expected a dict by name, got 'images'",
        lambda: mix({"images": X, "labels": Y}, fields="images"),
        lambda: mix({"images": X, "labels": Y}, fields={"images": "images"}),
    ),
    (
        "labels: expected an array of NumPy, TensorFlow, PyTorch or JAX, got list; convert it",
        lambda: mix((X, Y.tolist())),
        lambda: mix((X, np.array(Y.tolist()))),
    ),
    (
        "expected an array without a mask, got a NumPy masked array; pass x.filled",
        lambda: mix((np.ma.masked_array(X), Y)),
        lambda: mix((np.ma.masked_array(X).filled(0), Y)),
    ),
    (
        "value: expected a batch, rows on the first axis, got a single value",
        lambda: mix({"image": X, "value": np.array(1.0)}),
        lambda: mix({"image": X, "value": np.full(N, 1.0)}),
    ),
    (
        "images/1: expected images like 'images/0', floats with three channels",
        lambda: mix(((X, X), Y)),
        lambda: mix(((X, X), Y), fields={"images/1": "images"}),
    ),
    (
        "sample_weight: expected sample weights, floats",
        lambda: mix((X, Y, Y)),
        lambda: mix((X, Y, Y), fields={"sample_weight": "values"}),
    ),
    (
        "expected an image field to draw for, got 'label'",
        lambda: mix({"label": Y}),
        lambda: mix({"label": X}, fields={"label": "images"}),
    ),
    (
        "CutMix: expected images and labels, or a dict of fields, got 3; pass options by name",
        lambda: ma.CutMix()(X, Y, 3),
        lambda: ma.CutMix()(X, Y, num_classes=3, key=(0, 0)),
    ),
    (
        "expected all arrays of one library, got NumPy for 'images' and PyTorch for 'labels'",
        lambda: mix((X, torch(Y))),
        lambda: mix((X, torch(Y).numpy())),
    ),
    (
        "return_mix: expected a batch without a field 'mix'",
        lambda: mix({"image": X, "mix": Y}, fields={"mix": "keep"}, return_mix=True),
        lambda: mix({"image": X, "other": Y}, fields={"other": "keep"}, return_mix=True),
    ),
]

IMAGES: list[Row] = [
    (
        "expected the layout 'nhwc', got the shape \\(4, 3, 8, 8\\)",
        lambda: mix((sized(N, 3, 8, 8), Y)),
        lambda: images(sized(N, 3, 8, 8), ma.Images(layout="nchw")),
    ),
    (
        "got the shape \\(4, 8, 8\\); .* if they are grey images",
        lambda: mix((M, Y)),
        lambda: images(M, ma.Images(layout="nhw")),
    ),
    (
        "got the shape \\(4, 5, 8, 8, 3\\); .* if they are videos",
        lambda: mix((sized(N, 5, 8, 8, 3), Y)),
        lambda: images(sized(N, 5, 8, 8, 3), ma.Images(layout="nthwc")),
    ),
    (
        "got the shape \\(4, 6\\); .* if they are rows of a table",
        lambda: mix((sized(N, 6), Y)),
        lambda: images(sized(N, 6), ma.Images(layout="nc")),
    ),
    (
        "got the shape \\(4,\\); batch single samples first",
        lambda: mix((sized(N), Y)),
        lambda: mix((sized(N, 8, 8, 3), Y)),
    ),
    (
        "expected 4 axes for the layout 'nhwc', .* name each axis",
        lambda: images(M, ma.Images(layout="nhwc")),
        lambda: images(M, ma.Images(layout="nhw")),
    ),
    (
        "expected a float dtype= and a scale= for uint16 images",
        lambda: mix((X.astype("uint16"), Y)),
        lambda: images(X.astype("uint16"), ma.Images(dtype="float32", scale=1 / 65535)),
    ),
    (
        "images: expected uint8, .* got complex64; convert them",
        lambda: mix((X.astype("complex64"), Y)),
        lambda: mix((X.astype("float32"), Y)),
    ),
    (
        "layout: expected n \\(rows\\) first, .* got 'hwc'; name each axis",
        lambda: images(X, ma.Images(layout="hwc")),
        lambda: images(X, ma.Images(layout="nhwc")),
    ),
    (
        'layout: expected letters such as "nhwc", got 3; write one',
        lambda: images(X, ma.Images(layout=3)),
        lambda: images(X, ma.Images(layout="nhwc")),
    ),
    (
        "spatial: expected axes of the layout 'nhwc' .* leave spatial out",
        lambda: images(X, ma.Images(layout="nhwc", spatial="c")),
        lambda: images(X, ma.Images(layout="nhwc")),
    ),
    (
        "dtype: expected one of uint8, .* got 'int8'",
        lambda: images(X, ma.Images(dtype="int8")),
        lambda: images(X, ma.Images(dtype="float32")),
    ),
    (
        "scale: expected dtype= together with scale= for uint8 images",
        lambda: images(X, ma.Images(scale=2.0)),
        lambda: images(X, ma.Images(dtype="float32", scale=2.0)),
    ),
    (
        "scale: expected a number, or one for each of 3 channels, got the shape \\(2,\\)",
        lambda: images(F, ma.Images(scale=(1.0, 2.0))),
        lambda: images(F, ma.Images(scale=(1.0, 2.0, 3.0))),
    ),
    (
        "scale: expected a number, or one for each channel, got 'a'; pass floats",
        lambda: images(F, ma.Images(scale="a")),
        lambda: images(F, ma.Images(scale=2.0)),
    ),
    (
        "size: expected spatial axes for CutMix.* use a blend, such as ma.MixUp",
        lambda: images(sized(N, 6), ma.Images(layout="nc"), "cutmix"),
        lambda: images(sized(N, 6), ma.Images(layout="nc"), ma.MixUp()),
    ),
]

LABELS: list[Row] = [
    (
        "labels: expected num_classes for class ids, got None; pass num_classes=",
        lambda: mix((X, Y), num_classes=None),
        lambda: mix((X, Y)),
    ),
    (
        "labels: expected class ids in 0..2, got 0..3; raise num_classes",
        lambda: mix((X, np.arange(N))),
        lambda: mix((X, np.arange(N)), num_classes=4),
    ),
    (
        "labels: expected integer class ids, got 0.5 in row 0; declare the field as 'values'",
        lambda: mix((X, W / 2)),
        lambda: said(W / 2, "values"),
    ),
    (
        "labels: expected integer class ids or a column for each class, got float32",
        lambda: mix((X, W), num_classes=None),
        lambda: mix((X, W), num_classes=2),
    ),
    (
        "labels: expected a weight in 0..1 for each class, got 2 in row 0; declare the field as 'values'",
        lambda: mix((X, V * 2), num_classes=2),
        lambda: said(V * 2, "values"),
    ),
    (
        "labels: expected class ids .*, got uint8 of the shape \\(4, 8, 8\\); say what it is: pass fields=",
        lambda: mix((X, M)),
        lambda: said(M, "masks"),
    ),
    (
        "labels: expected 3 columns, one for each class, got 2; pass num_classes=2",
        lambda: mix((X, V)),
        lambda: mix((X, V), num_classes=2),
    ),
    (
        "got int64 \\(n, 1\\), which may be either; pass num_classes",
        lambda: mix((X, Y[:, None]), num_classes=None),
        lambda: mix((X, Y[:, None])),
    ),
    (
        "got int64 \\(n, 1\\), which may be either; reshape class ids",
        lambda: mix((X, Y[:, None] * 0), num_classes=1),
        lambda: mix((X, Y * 0), num_classes=1),
    ),
    (
        "labels: expected class ids, got bool; use ma.Labels\\(binary=True\\)",
        lambda: mix((X, Y > 0)),
        lambda: said(Y > 0, ma.Labels(binary=True), num_classes=None),
    ),
    (
        "labels: expected 0 or 1 for binary=True, got 2",
        lambda: said(Y, ma.Labels(binary=True), num_classes=None),
        lambda: said(Y, ma.Labels(3)),
    ),
    (
        "Labels: expected no num_classes beside binary=True, got 3",
        lambda: said(Y > 0, ma.Labels(binary=True)),
        lambda: said(Y > 0, ma.Labels(binary=True), num_classes=None),
    ),
    (
        "labels: expected integers, bools or .* got complex64; convert",
        lambda: mix((X, Y.astype("complex64"))),
        lambda: mix((X, Y.astype("int64"))),
    ),
    (
        "num_classes: expected an integer, got 2.5",
        lambda: mix((X, Y), num_classes=2.5),
        lambda: mix((X, Y), num_classes=3),
    ),
    ("num_classes: expected 1 or more, got 0", lambda: mix((X, Y), num_classes=0), lambda: mix((X, Y), num_classes=3)),
    (
        "num_classes: expected at most 16777216, got 1000000000; count the classes",
        lambda: mix((X, Y), num_classes=10**9),
        lambda: mix((X, Y)),
    ),
    ("rule: expected one of 'area', .* got 'sum'", lambda: ma.Labels(rule="sum"), lambda: ma.Labels(rule="area")),
    (
        "rule: expected one of 'area', .* got 3; pass one of these",
        lambda: ma.Labels(rule=3),
        lambda: ma.Labels(rule="area"),
    ),
    (
        "rule: expected the name of one field, got 'foreground'; name one of",
        lambda: said(Y, ma.Labels(rule="visible")),
        lambda: mix(
            {"image": X, "label": Y, "object": M > 0},
            fields={"label": ma.Labels(rule=ma.label_rules.Visible("object")), "object": "masks"},
        ),
    ),
    (
        "class_weights: expected 3 weights, one a class, got 1; give each class one",
        lambda: weighed([1.0]),
        lambda: weighed([1.0] * 3),
    ),
    (
        "class_weights: expected a weight for each class 0..2, got no weight for class 1",
        lambda: weighed({0: 1.0}),
        lambda: weighed({0: 1.0, 1: 1.0, 2: 1.0}),
    ),
    (
        "class_weights: expected finite numbers >= 0, got -1.0 for class 0",
        lambda: weighed([-1.0] * 3),
        lambda: weighed([1.0] * 3),
    ),
    (
        "class_weights: expected classes as numbers, .* got 'a', 'b'",
        lambda: weighed({"a": 1, "b": 2}),
        lambda: weighed({"labels": [1.0] * 3}),
    ),
    (
        "class_weights: expected labels called 'nope'",
        lambda: weighed({"nope": [1.0] * 3}),
        lambda: weighed({"labels": [1.0] * 3}),
    ),
    (
        "class_weights: expected labels in the batch, .* name them in fields=",
        lambda: weighed([1.0] * 3, (X, V), fields={"labels": "values"}),
        lambda: weighed([1.0] * 3, (X, Y), fields={"labels": "labels"}),
    ),
    (
        "class_weights: expected one field of labels, got 'kind', 'colour'; say which",
        lambda: weighed([1.0] * 3, SEVERAL, fields={"kind": "labels", "colour": "labels"}),
        lambda: weighed({"kind": [1.0] * 3}, SEVERAL, fields={"kind": "labels", "colour": "labels"}),
    ),
    (
        "class_weights: expected \\{class: weight\\}, or one number a class, got \\[None, 1, 2\\]; "
        "pass a list of floats",
        lambda: weighed([None, 1, 2]),
        lambda: weighed([0.0, 1.0, 2.0]),
    ),
]

OTHERS: list[Row] = [
    (
        "masks: expected class ids in 0..0, got 0..1; raise num_classes",
        lambda: said(M + (np.arange(8) % 2).astype(np.uint8), ma.Masks(1)),
        lambda: said(M + (np.arange(8) % 2).astype(np.uint8), ma.Masks(2)),
    ),
    (
        "labels: expected class ids of an integer dtype or bool, got float32; .* for shares of classes, pass fields=",
        lambda: said(M / np.float32(2), "masks"),
        lambda: said(M / np.float32(2), ma.Masks(soft=True, layout="nhw")),
    ),
    (
        "labels: expected class ids of an integer dtype or bool, got complex64; cast them",
        lambda: said(M.astype("complex64"), "masks"),
        lambda: said((M.astype("complex64").real > 0).astype("uint8"), "masks"),
    ),
    (
        "masks: expected num_classes for soft masks of class ids, got None",
        lambda: said(M, ma.Masks(soft=True), num_classes=None),
        lambda: said(M, ma.Masks(soft=True, num_classes=1)),
    ),
    (
        "labels: expected masks \\(n, \\*size\\), got the shape \\(4,\\)",
        lambda: said(Y, "masks"),
        lambda: said(Y, "labels"),
    ),
    (
        "labels: expected \\(n, \\*size\\) with 2 spatial axes, .* if they have frames",
        lambda: said(sized(N, 2, 2, 8, 8), "masks"),
        lambda: said(sized(N, 2, 8, 8), ma.Masks(layout="nthw")),
    ),
    (
        "masks: expected one channel of class ids .* make each channel a separate field",
        lambda: said(X, ma.Masks(layout="nhwc", num_classes=3, soft=True)),
        lambda: said(X[..., 0], ma.Masks(layout="nhw", num_classes=3, soft=True)),
    ),
    (
        "ignore_index: expected an integer, got 1.5; pass an id",
        lambda: said(M, ma.Masks(ignore_index=1.5)),
        lambda: said(M, ma.Masks(ignore_index=1)),
    ),
    (
        "ignore_index: expected an id that uint8 masks can hold, 0..255, got 1000; cast the masks",
        lambda: said(M, ma.Masks(ignore_index=1000)),
        lambda: said(M.astype("int32"), ma.Masks(ignore_index=1000)),
    ),
    (
        "values: expected integers, bools or .* got complex64; convert",
        lambda: said(V.astype("complex64"), "values"),
        lambda: said(V, "values"),
    ),
    (
        "boxes: expected a dict with 'boxes', got 'a'; name them so",
        lambda: said({"a": BOXES}, "boxes"),
        lambda: said({"boxes": BOXES}, "boxes"),
    ),
    (
        "boxes: expected \\(n, m, 4\\) .* pad the boxes of each sample with -1, or pass a list",
        lambda: said(BOXES[:, 0], "boxes"),
        lambda: said([*BOXES], "boxes"),
    ),
    (
        "boxes format: expected one of .* got 'abc'",
        lambda: said(BOXES, ma.Boxes(format="abc")),
        lambda: said(BOXES, ma.Boxes(format="xywh")),
    ),
    (
        "min_visibility: expected a number in 0..1, got 2",
        lambda: said(BOXES, ma.Boxes(min_visibility=2)),
        lambda: said(BOXES, ma.Boxes(min_visibility=1)),
    ),
    (
        "max_boxes: expected an integer in 1..65536, or None, got 1000000000",
        lambda: said(BOXES, ma.Boxes(max_boxes=10**9)),
        lambda: said(BOXES, ma.Boxes(max_boxes=65536 // 2**10)),
    ),
    (
        "keypoints: expected a last column with their visibility",
        lambda: said(POINTS[..., :2], "keypoints"),
        lambda: said(POINTS, "keypoints"),
    ),
    (
        "keypoints: expected \\(n, m, 2\\) or .* pad the keypoints of each sample",
        lambda: said(BOXES[..., :1], "keypoints"),
        lambda: said(POINTS, "keypoints"),
    ),
    (
        "keypoints: expected numbers, got complex64; convert them to float32",
        lambda: said(POINTS.astype("complex64"), "keypoints"),
        lambda: said(POINTS.astype("complex64").real.astype("float32"), "keypoints"),
    ),
    (
        "bank: expected the fields of the batch, .* pass a batch of the same form",
        lambda: bank(bank={"image": X}),
        lambda: bank(bank=(X, Y)),
    ),
    ("bank: expected one row or more, got none; leave bank out", lambda: bank(bank=(X[:0], Y[:0])), lambda: bank()),
    (
        "bank: expected nothing else to say .* got a pairing; leave one",
        lambda: bank(bank=(X, Y), pairing=ma.pairing.Flip()),
        lambda: bank(bank=(X, Y)),
    ),
    (
        "bank images: expected a source like the batch, .* convert one of them",
        lambda: bank(bank=(F, Y)),
        lambda: bank(bank=(F.astype("uint8"), Y)),
    ),
    (
        "pairing: expected a pairing, got 3; pass one such as",
        lambda: bank(pairing=3),
        lambda: bank(pairing=ma.pairing.SameClass()),
    ),
    (
        "SameClass field: expected the name of one field, got 'nope'; name one of 'images', 'labels'",
        lambda: bank(pairing=ma.pairing.SameClass(field="nope")),
        lambda: bank(pairing=ma.pairing.SameClass(field="labels")),
    ),
    (
        "SameClass: expected labels to pair by, .* or pass ma.pairing.SameClass\\(field=",
        lambda: mix((X, Y), fields={"labels": "keep"}, pairing=ma.pairing.SameClass()),
        lambda: mix((X, Y), fields={"labels": "keep"}, pairing=ma.pairing.SameClass(field="labels")),
    ),
    (
        r"pairing: expected labels \(n,\), \(n, 1\) or \(n, classes\) to pair by, .*; name a field",
        lambda: bank(pairing=ma.pairing.SameClass(field="images")),
        lambda: bank(pairing=ma.pairing.SameClass(field="labels")),
    ),
]

OPTIONS: list[Row] = [
    (
        "copies: expected a whole number of 1 or more and at most 1024, got 0",
        lambda: mix((X, Y), copies=0),
        lambda: mix((X, Y), copies=1),
    ),
    (
        "include_clean: expected True or False, got 'yes'",
        lambda: mix((X, Y), include_clean="yes"),
        lambda: mix((X, Y), include_clean=True),
    ),
    (
        "return_mix: expected True or False, got 1",
        lambda: mix((X, Y), return_mix=1),
        lambda: mix((X, Y), return_mix=True),
    ),
    (
        "labels: expected labels of one array for include_clean or copies, got PerSource",
        lambda: mix((X, Y), copies=2, fields={"labels": "per_source"}),
        lambda: mix((X, Y), fields={"labels": "per_source"}),
    ),
    (
        "key: expected an integer, .* got 'a'; write key=0",
        lambda: ma.CutMix()(X, Y, num_classes=3, key="a"),
        lambda: ma.CutMix()(X, Y, num_classes=3, key=0),
    ),
    (
        "key: expected integers, got 0.5",
        lambda: ma.CutMix()(X, Y, num_classes=3, key=(0.5, 1)),
        lambda: ma.CutMix()(X, Y, num_classes=3, key=(1, 1)),
    ),
    (
        "mix_batch: expected options among .* got num_class=; write num_classes=",
        lambda: ma.mix_batch("mixup", (X, Y), num_class=3),
        lambda: ma.mix_batch("mixup", (X, Y), num_classes=3),
    ),
    ("got beta=; pass it to the recipe", lambda: mix((X, Y), beta=1.0), lambda: mix((X, Y), ma.CutMix(alpha=1.0))),
    (
        "got p=; to mix with a probability wrap the recipe",
        lambda: mix((X, Y), p=0.5),
        lambda: mix((X, Y), ma.sometimes(0.5, ma.CutMix())),
    ),
    ("got nonsense=; leave it out", lambda: mix((X, Y), nonsense=1), lambda: mix((X, Y))),
    (
        "batches: expected options among",
        lambda: ma.batches("mixup", X, Y, 2, num_class=3),
        lambda: ma.batches("mixup", X, Y, 2, num_classes=3),
    ),
    (
        "x: expected a NumPy array with rows, got list; convert it",
        lambda: ma.batches("mixup", X.tolist(), Y, 2, num_classes=3),
        lambda: ma.batches("mixup", np.array(X.tolist(), np.uint8), Y, 2, num_classes=3),
    ),
    (
        "expected the same number of rows in x, y and sample_weight",
        lambda: ma.batches("mixup", X, Y[:3], 2, num_classes=3),
        lambda: ma.batches("mixup", X[:3], Y[:3], 2, num_classes=3),
    ),
]

RECIPES: list[Row] = [
    (
        "recipe: expected a recipe first, before the data, got 3",
        lambda: mix((X, Y), 3),
        lambda: mix((X, Y), ma.CutMix()),
    ),
    (
        "recipe: expected a recipe, got the class CutMix; write ma.CutMix\\(\\)",
        lambda: mix((X, Y), ma.CutMix),
        lambda: mix((X, Y), ma.CutMix()),
    ),
    (
        "recipe: expected a known name, got 'cutmx', did you mean cutmix",
        lambda: ma.recipe("cutmx"),
        lambda: ma.recipe("cutmix"),
    ),
    ("recipe: expected a text, got 3; write such as", lambda: ma.recipe(3), lambda: ma.recipe("cutmix(alpha=1.0)")),
    (
        "recipe: expected names and options in brackets, .* write such as",
        lambda: ma.recipe("mixup(alpha=)"),
        lambda: ma.recipe("one_of(mixup(alpha=0.2), cutmix)"),
    ),
    (
        "recipe: expected options of mixup\\(.* write options by name",
        lambda: ma.recipe("mixup(1, 2, 3, 4)"),
        lambda: ma.recipe("mixup(alpha=1, sources=2)"),
    ),
    (
        "recipe: expected the name of a recipe, got .* write such as",
        lambda: ma.recipe("3"),
        lambda: ma.recipe("cutmix"),
    ),
    ("MixUp alpha: expected a finite number of 1e-09 or more", lambda: ma.MixUp("a"), lambda: ma.MixUp(0.5)),
    (
        "MixUp alpha: expected a number, or 2 of them, .* give one number",
        lambda: ma.MixUp(alpha=(1, 2, 3)),
        lambda: ma.MixUp(alpha=1),
    ),
    (
        "CutMix lam: expected a number or a range .* give one or two",
        lambda: ma.CutMix(lam=(0, 0.5, 1)),
        lambda: ma.CutMix(lam=(0, 0.5)),
    ),
    (
        "CutMix: expected alpha or lam, .* leave one out",
        lambda: ma.CutMix(alpha=1, lam=0.5),
        lambda: ma.CutMix(lam=0.5),
    ),
    ("CutMix dominant: expected True or False, got 2", lambda: ma.CutMix(dominant=2), lambda: ma.CutMix(dominant=True)),
    (
        "CutMix placement: expected one of 'clipped', .* got 'middle'",
        lambda: ma.CutMix(placement="middle"),
        lambda: ma.CutMix(placement="inside"),
    ),
    ("GridMix cells: expected a whole number of 1 or more", lambda: ma.GridMix(cells=0), lambda: ma.GridMix(cells=1)),
    ("ResizeMix low: expected a finite number above 0", lambda: ma.ResizeMix(low=0), lambda: ma.ResizeMix(low=0.1)),
    (
        "Mosaic tiles: expected 2 to 256 tiles in all, got 1 rows of 1; take other",
        lambda: ma.Mosaic(tiles=(1, 1)),
        lambda: ma.Mosaic(tiles=(1, 2)),
    ),
    (
        "Mosaic tiles: expected a whole number or \\(rows, columns\\), .* give two",
        lambda: ma.Mosaic(tiles=(1, 2, 3)),
        lambda: ma.Mosaic(tiles=(1, 2)),
    ),
    (
        "one_of: expected a recipe, got 3; pass one such as",
        lambda: ma.one_of("mixup", 3),
        lambda: ma.one_of("mixup", "cutmix"),
    ),
    ("one_of: expected one recipe or more, got none; use identity", lambda: ma.one_of(), lambda: ma.identity()),
    (
        "one_of: expected 2 weights, one a recipe, got 1; give each recipe one",
        lambda: ma.one_of("mixup", "cutmix", weights=(1,)),
        lambda: ma.one_of("mixup", "cutmix", weights=(1, 1)),
    ),
    (
        "one_of: expected weights with a sum above 0, .* give one of them 1",
        lambda: ma.one_of("mixup", weights=(0,)),
        lambda: ma.one_of("mixup", weights=(1,)),
    ),
    (
        "schedule: expected a dict of epochs, .* write such as",
        lambda: ma.schedule([("mixup", 0)]),
        lambda: ma.schedule({0: ma.CutMix(), 180: ma.identity()}),
    ),
    (
        "schedule: expected a recipe from epoch 0 on, .* add one",
        lambda: ma.schedule({1: "mixup"}),
        lambda: ma.schedule({0: ma.identity(), 1: "mixup"}),
    ),
    (
        "schedule epoch: expected a whole number of 0 or more, got 1.5",
        lambda: ma.schedule({0: "mixup", 1.5: "cutmix"}),
        lambda: ma.schedule({0: "mixup", 2: "cutmix"}),
    ),
    (
        "images: expected 3 channels, one for each number of the recipe's fill or noise, got 1 in the layout 'nhw'; "
        "give fill and noise a single number",
        lambda: images(M, ma.Images(layout="nhw"), ma.Cutout(fill=(1, 2, 3))),
        lambda: images(M, ma.Images(layout="nhw"), ma.Cutout(fill=1)),
    ),
    (
        "fill: expected the same number of channels in all recipes, got 2 and 3; give each",
        lambda: mix((X, Y), ma.one_of(ma.Cutout(fill=(1, 2, 3)), ma.Cutout(fill=(1, 2)))),
        lambda: mix((X, Y), ma.one_of(ma.Cutout(fill=(1, 2, 3)), ma.Cutout(fill=(1, 2, 0)))),
    ),
    (
        "RandomErasing noise: expected 3 numbers, as many as fill has, got 2; give both one for each channel",
        lambda: ma.RandomErasing(fill=(1, 2, 3), noise=(1, 2)),
        lambda: ma.RandomErasing(fill=(1, 2, 3), noise=(1, 2, 3)),
    ),
    (
        "BoxMix: expected area and aspect, or height and width, got area=0.2, height=0.5; leave out one kind",
        lambda: ma.BoxMix(area=0.2, height=0.5),
        lambda: ma.BoxMix(area=0.2),
    ),
    (
        "BoxMix: expected height and width together, got height=0.5 alone; pass width too, width=1 for the whole of it",
        lambda: ma.BoxMix(height=0.5),
        lambda: ma.BoxMix(height=0.5, width=1),
    ),
    (
        r"size: expected \(8, 8\), the size of the sources, for CutMix.*, which does not resize them, got "
        r"\(16, 16\); pass size=\(8, 8\), or a recipe that resizes its sources, such as ma.Mosaic\(\)",
        lambda: mix((X, Y), size=(16, 16)),
        lambda: (mix((X, Y), size=(8, 8)), mix((X, Y), ma.Mosaic(), size=(16, 16))),
    ),
    (
        r"size: expected at most \(8, 8\), the size of the sources, for RICAP, .*; pass a smaller size, or take",
        lambda: mix((X, Y), ma.RICAP(), size=(16, 16)),
        lambda: (mix((X, Y), ma.RICAP(), size=(7, 8)), mix((X, Y), ma.Mosaic(), size=(16, 16))),
    ),
    (
        r"size: expected 2 lengths, as the sources have the size \(8, 8\), got \(16,\); pass one length for each",
        lambda: mix((X, Y), ma.Mosaic(), size=(16,)),
        lambda: mix((X, Y), ma.Mosaic(), size=(16, 16)),
    ),
    (
        r"include_clean: expected outputs of the size of the images, \(8, 8\), beside it, got size=\(16, 16\); leave",
        lambda: mix((X, Y), ma.Mosaic(), size=(16, 16), include_clean=True),
        lambda: (mix((X, Y), ma.Mosaic(), size=(16, 16)), mix((X, Y), ma.Mosaic(), include_clean=True)),
    ),
]


def torch(x: Any) -> Any:
    """A tensor of PyTorch."""
    import torch

    return torch.from_numpy(x)


ROWS: list[Row] = [*CONTAINERS, *IMAGES, *LABELS, *OTHERS, *OPTIONS, *RECIPES]
