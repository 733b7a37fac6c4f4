"""The rows of docs/wrong-inputs.md: wrong code and code that works instead. `make wrong-inputs` generates the page.

Each code runs in a temporary folder, with fresh variables from SETUP.
"""

from __future__ import annotations

from typing import NamedTuple

SETUP = """\
import keras, mixaug as ma, numpy as np, tensorflow as tf, torch

y = np.arange(6) % 3  # class ids
x = np.tile(np.eye(3, dtype="float32")[y][:, None, None], (1, 8, 8, 1))  # (n, h, w, c), 1 in the channel of the class
masks = np.tile(y.astype("uint8")[:, None, None], (1, 8, 8))  # (n, h, w)
xt, yt = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(y)  # (n, c, h, w)
pairs = torch.utils.data.TensorDataset(xt, yt)
ds = tf.data.Dataset.from_tensor_slices((x, y))  # single samples
cutmix, mixup = ma.CutMix(), ma.MixUp()
"""

#: Further names, for the rows about trainers.
TRAINING = """\
import lightning, transformers


class Net(lightning.LightningModule):  # a model for both trainers
    def __init__(self, num_labels=3, **options):
        super().__init__()
        self.config = transformers.PretrainedConfig(num_labels=num_labels, **options)
        self.layer = torch.nn.Linear(192, num_labels)

    def forward(self, pixel_values, labels=None):
        return {"logits": self.layer(pixel_values.flatten(1))}

    def training_step(self, batch, index):
        return torch.nn.functional.cross_entropy(self(batch[0])["logits"], batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


quiet = {"report_to": "none", "use_cpu": True, "save_strategy": "no", "disable_tqdm": True, "logging_strategy": "no"}
args = transformers.TrainingArguments("out", max_steps=1, **quiet)
samples = [{"pixel_values": image, "labels": label} for image, label in pairs]


def fit(callback, **options):
    off = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(max_steps=1, accelerator="cpu", callbacks=[callback], **off)
    trainer.fit(Net(), torch.utils.data.DataLoader(pairs, 3, **options))
"""

#: Helpers for checks: labels must match the pixels.
HELPERS = """
def right(images, labels, axes=(1, 2)):
    means = np.asarray(images, "float64").mean(axis=axes)
    assert np.allclose(means, labels, atol=1e-5), (means, labels)

def like(label):  # x of the class ids
    return np.tile(np.eye(3, dtype="float32")[label][:, None, None], (1, 8, 8, 1))
"""


class Row(NamedTuple):
    """One row of the page.

    Args:
        what: the title.
        code: Python, or a command of mixaug.
        works: code that works instead.
        gives: the result, if the code does not raise an error.
        check: Python that checks the result of `works`, or of `code` if it is accepted. It is not on the page.
    """

    what: str
    code: str
    works: str = ""
    gives: str = ""
    check: str = ""


LAYOUTS = [
    Row(
        "Grayscale images without a channel axis",
        "cutmix(masks / 2, y, num_classes=3)",
        'out = cutmix(masks / 2, y, num_classes=3, fields={"images": ma.Images(layout="nhw")})',
        check="assert np.allclose(2 * out[0].mean(axis=(1, 2)), out[1] @ [0, 1, 2], atol=1e-5)",
    ),
    Row(
        "Channels first in NumPy, TensorFlow or JAX",
        "cutmix(np.moveaxis(x, -1, 1), y, num_classes=3)",
        'out = cutmix(np.moveaxis(x, -1, 1), y, num_classes=3, fields={"images": ma.Images(layout="nchw")})',
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        "Channels last in PyTorch",
        "cutmix(torch.from_numpy(x), yt, num_classes=3)",
        'out = cutmix(torch.from_numpy(x), yt, num_classes=3, fields={"images": ma.Images(layout="nhwc")})',
        check="right(*out)",
    ),
    Row(
        "Videos, five axes",
        "cutmix(np.stack([x] * 5, axis=1), y, num_classes=3)",
        'out = cutmix(np.stack([x] * 5, axis=1), y, num_classes=3, fields={"images": ma.Images(layout="nthwc")})',
        check="right(*out, axes=(1, 2, 3)); assert (out[0] == out[0][:, :1]).all()",
    ),
    Row(
        "Volumes in PyTorch, five axes",
        "cutmix(torch.stack([xt] * 5, 2), yt, num_classes=3)",
        'out = cutmix(torch.stack([xt] * 5, 2), yt, num_classes=3, fields={"images": ma.Images(layout="ncdhw")})',
        check="right(*out, axes=(2, 3, 4))",
    ),
    Row(
        "Signals, three axes",
        "cutmix(x[:, :, 0], y, num_classes=3)",
        'out = cutmix(x[:, :, 0], y, num_classes=3, fields={"images": ma.Images(layout="ntc")})',
        check="right(*out, axes=1)",
    ),
    Row(
        "Rows of a table",
        "mixup(x[:, 0, 0], y, num_classes=3)",
        'out = mixup(x[:, 0, 0], y, num_classes=3, fields={"images": ma.Images(layout="nc")})',
        check="right(*out, axes=())",
    ),
    Row(
        "A box in rows of a table",
        'cutmix(x[:, 0, 0], y, num_classes=3, fields={"images": ma.Images(layout="nc")})',
        'out = mixup(x[:, 0, 0], y, num_classes=3, fields={"images": ma.Images(layout="nc")})',
        check="right(*out, axes=())",
    ),
    Row(
        "A single image and its label",
        "cutmix(x[0], y[0], num_classes=3)",
        "out = cutmix(x[:1], y[:1], num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "A layout without the batch axis",
        'cutmix(x, y, num_classes=3, fields={"images": ma.Images(layout="hwc")})',
        'out = cutmix(x, y, num_classes=3, fields={"images": ma.Images(layout="nhwc")})',
        check="right(*out)",
    ),
    Row(
        'The letter "b" for the batch',
        'cutmix(xt, yt, num_classes=3, fields={"images": ma.Images(layout="bchw")})',
        'out = cutmix(xt, yt, num_classes=3, fields={"images": ma.Images(layout="nchw")})',
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        "A layout with a different number of axes than the images",
        'cutmix(x, y, num_classes=3, fields={"images": ma.Images(layout="nhw")})',
        'out = cutmix(x, y, num_classes=3, fields={"images": ma.Images(layout="nhwc")})',
        check="right(*out)",
    ),
    Row(
        "Spatial axes that the layout does not have",
        'cutmix(x, y, num_classes=3, fields={"images": ma.Images("nhwc", spatial="thw")})',
        'out = cutmix(x, y, num_classes=3, fields={"images": ma.Images("nhwc", spatial="hw")})',
        check="right(*out)",
    ),
    Row(
        "int16 images, such as CT scans",
        'cutmix(x.astype("int16"), y, num_classes=3)',
        'pixels = ma.Images(dtype="float32", scale=1.0)\n'
        'out = cutmix(x.astype("int16"), y, num_classes=3, fields={"images": pixels})',
        check='right(*out); assert out[0].dtype == "float32"',
    ),
    Row(
        "uint16 images",
        'cutmix(x.astype("uint16"), y, num_classes=3)',
        'pixels = ma.Images(dtype="float32", scale=1 / 65535)\n'
        'out = cutmix(65535 * x.astype("uint16"), y, num_classes=3, fields={"images": pixels})',
        check="right(*out)",
    ),
    Row(
        "int64 images",
        'cutmix(x.astype("int64"), y, num_classes=3)',
        'out = cutmix(x.astype("uint8"), y, num_classes=3)',
        check="right(*out)",
    ),
    Row(
        "Complex images",
        'cutmix(x.astype("complex64"), y, num_classes=3)',
        'out = cutmix(x.astype("complex64").real, y, num_classes=3)',
        check="right(*out)",
    ),
    Row(
        "uint8 images",
        'out = cutmix(x.astype("uint8"), y, num_classes=3)',
        gives="the images stay uint8; blends are rounded to the nearest integer.",
        check='assert out[0].dtype == "uint8"; right(*out)',
    ),
    Row(
        "float16 and float64 images",
        'out = [cutmix(x.astype(kind), y, num_classes=3) for kind in ("float16", "float64")]',
        gives="images keep their dtype; labels are float32.",
        check='assert [[str(a.dtype) for a in one] for one in out] == [["float16", "float32"], ["float64", "float32"]]',
    ),
    Row(
        "A batch of one sample",
        "out = cutmix(x[:1], y[:1], num_classes=3)",
        gives="the sample mixed with itself, and its label.",
        check="assert (out[0] == x[:1]).all() and (out[1] == np.eye(3)[:1]).all()",
    ),
    Row(
        "A batch without samples",
        "out = cutmix(x[:0], y[:0], num_classes=3)",
        gives="empty arrays, images (0, 8, 8, 3) and labels (0, 3).",
        check="assert out[0].shape == (0, 8, 8, 3) and out[1].shape == (0, 3)",
    ),
    Row(
        "Images without pixels",
        "cutmix(x[:, :0], y, num_classes=3)",
        "out = cutmix(x[:, :1], y, num_classes=3)",
        check="right(*out)",
    ),
]

ROLES = [
    Row(
        "Images without labels, and a recipe with partners",
        "cutmix(x)",
        'out = cutmix(x, fields="images")',
        check="assert out.shape == x.shape",
    ),
    Row(
        "Images without labels, and a recipe without partners",
        "out = ma.Cutout()(x)",
        gives="images with one hole each.",
        check="assert out.shape == x.shape and (out == 0).all(axis=-1).any(axis=(1, 2)).all()",
    ),
    Row(
        "Labels without images",
        'ma.mix_batch(cutmix, {"labels": y}, num_classes=3)',
        'out = ma.mix_batch(cutmix, {"images": x, "labels": y}, num_classes=3)',
        check='right(out["images"], out["labels"])',
    ),
    Row(
        "A third element of integers",
        "cutmix(x, y, np.arange(6), num_classes=3)",
        'out = cutmix(x, y, np.arange(6), num_classes=3, fields={"sample_weight": "keep"})',
        check="right(*out[:2]); assert (out[2] == np.arange(6)).all()",
    ),
    Row(
        "A third element with several columns",
        'cutmix(x, y, np.eye(6, dtype="float32"), num_classes=3)',
        'out = cutmix(x, y, np.eye(6, dtype="float32"), num_classes=3, fields={"sample_weight": "values"})',
        check="right(*out[:2]); assert np.allclose(out[2].sum(axis=1), 1)",
    ),
    Row(
        "A third element of floats, (n,) or (n, 1)",
        'out = cutmix(x, y, y.astype("float32"), num_classes=3)',
        gives="sample weights, averaged with lam.",
        check="right(*out[:2]); assert np.allclose(out[2], out[1] @ [0, 1, 2], atol=1e-5)",
    ),
    Row(
        "Masks as the labels of a pair",
        "cutmix(x, masks)",
        'out = cutmix(x, masks, fields=("images", "masks"))',
        check="assert (out[0].argmax(axis=-1) == out[1]).all()",
    ),
    Row(
        "A float mask of zeros and ones",
        'ma.mix_batch(cutmix, {"image": x, "mask": (masks > 0).astype("float32")})',
        'out = ma.mix_batch(cutmix, {"image": x, "mask": (masks > 0).astype("uint8")})',
        check='assert ((out["image"].argmax(axis=-1) > 0) == out["mask"]).all()',
    ),
    Row(
        "A float mask that should be averaged",
        'ma.mix_batch(mixup, {"image": x, "mask": x[..., 0]})',
        'fields = {"mask": ma.Images(layout="nhw")}\n'
        'out = ma.mix_batch(mixup, {"image": x, "mask": x[..., 0]}, fields=fields)',
        check='assert np.allclose(out["image"][..., 0], out["mask"], atol=1e-6)',
    ),
    Row(
        "Soft masks of ids without a number of classes",
        'cutmix(x, masks, fields=("images", ma.Masks(soft=True)))',
        'out = cutmix(x, masks, fields=("images", ma.Masks(3, soft=True)))',
        check="assert (out[0] == out[1]).all()",
    ),
    Row(
        "A field with an unrecognized name",
        'ma.mix_batch(cutmix, {"image": x, "label": y, "caption": list("abcdef")}, num_classes=3)',
        'fields = {"caption": "keep"}\n'
        'out = ma.mix_batch(cutmix, {"image": x, "label": y, "caption": list("abcdef")}, num_classes=3, fields=fields)',
        check='right(out["image"], out["label"]); assert out["caption"] == list("abcdef")',
    ),
    Row(
        "A field that is not in the batch",
        'ma.mix_batch(cutmix, {"image": x, "label": y}, num_classes=3, fields={"photo": "images"})',
        'out = ma.mix_batch(cutmix, {"photo": x, "label": y}, num_classes=3, fields={"photo": "images"})',
        check='right(out["photo"], out["label"])',
    ),
    Row(
        "A kind of field that does not exist",
        'ma.mix_batch(cutmix, {"photo": x, "label": y}, num_classes=3, fields={"photo": "picture"})',
        'out = ma.mix_batch(cutmix, {"photo": x, "label": y}, num_classes=3, fields={"photo": "images"})',
        check='right(out["photo"], out["label"])',
    ),
    Row(
        "A class instead of an instance",
        'cutmix(x, y, num_classes=3, fields={"images": ma.Images})',
        'out = cutmix(x, y, num_classes=3, fields={"images": ma.Images()})',
        check="right(*out)",
    ),
    Row(
        "A tuple of four elements",
        "ma.mix_batch(cutmix, (x, y, masks, x), num_classes=3)",
        'fields = ("images", "labels", "masks", "images")\n'
        "out = ma.mix_batch(cutmix, (x, y, masks, x), num_classes=3, fields=fields)",
        check="right(*out[:2]); assert (out[0] == out[3]).all() and (out[0].argmax(axis=-1) == out[2]).all()",
    ),
    Row(
        "Three entries in `fields` for a pair",
        'cutmix(x, y, num_classes=3, fields=("images", "labels", "values"))',
        'out = cutmix(x, y, num_classes=3, fields=("images", "labels"))',
        check="right(*out)",
    ),
    Row(
        "A second input that may be a mask or an image",
        "ma.mix_batch(cutmix, ((x, masks), y), num_classes=3)",
        'out = ma.mix_batch(cutmix, ((x, masks), y), num_classes=3, fields={"images/1": "masks"})',
        check="right(out[0][0], out[1]); assert (out[0][0].argmax(axis=-1) == out[0][1]).all()",
    ),
    Row(
        "A second input like the first: floats with three channels",
        "out = ma.mix_batch(cutmix, ((x, x), y), num_classes=3)",
        gives="two images, cut by the same boxes.",
        check="right(out[0][0], out[1]); assert (out[0][0] == out[0][1]).all()",
    ),
    Row(
        "A list instead of a tuple",
        "out = ma.mix_batch(cutmix, [x, y], num_classes=3)",
        gives="a list of images and labels: lists of arrays are treated as tuples.",
        check="assert isinstance(out, list); right(*out)",
    ),
    Row(
        "Labels in a list of numbers",
        "cutmix(x, y.tolist(), num_classes=3)",
        "out = cutmix(x, np.array(y.tolist()), num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "A list of images",
        "cutmix(list(x), y, num_classes=3)",
        "out = cutmix(np.stack(list(x)), y, num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "An empty dict",
        "ma.mix_batch(cutmix, {})",
        'out = ma.mix_batch(cutmix, {"images": x, "labels": y}, num_classes=3)',
        check='right(out["images"], out["labels"])',
    ),
    Row(
        "A generator or loader instead of a batch",
        "ma.mix_batch(cutmix, iter([(x, y)]), num_classes=3)",
        "out = list(ma.mixed(cutmix, iter([(x, y)]), epoch=0, num_classes=3))[0]",
        check="right(*out)",
    ),
    Row(
        "Two fields with the same path",
        'ma.mix_batch(cutmix, {"image": x, "a": {"label": y}, "a/label": y}, num_classes=3)',
        'out = ma.mix_batch(cutmix, {"image": x, "a": {"label": y}, "b/label": y}, num_classes=3)',
        check='right(out["image"], out["a"]["label"]); right(out["image"], out["b/label"])',
    ),
    Row(
        "A batch that contains itself",
        'batch = {"image": x}\nbatch["again"] = batch\nma.mix_batch(cutmix, batch)',
        'out = ma.mix_batch(cutmix, {"image": x})',
        check='assert out["image"].shape == x.shape',
    ),
    Row(
        "Masked arrays",
        "cutmix(np.ma.masked_equal(x, 0), y, num_classes=3)",
        "out = cutmix(np.ma.masked_equal(x, 0).filled(0), y, num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "Fields of two libraries",
        "cutmix(x, yt, num_classes=3)",
        "out = cutmix(x, yt.numpy(), num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "Fields of different lengths",
        "cutmix(x, y[:5], num_classes=3)",
        "out = cutmix(x[:5], y[:5], num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "Boxes in another format than declared",
        'ma.Boxes(format="coco").mix(cutmix.draw(1, (8, 8), key=0), np.zeros((1, 1, 4)), None, {})',
        'out = ma.Boxes(format="xywh").mix(cutmix.draw(1, (8, 8), key=0), np.zeros((1, 1, 4)), None, {})',
        check="assert out.shape == (1, 2, 4)",
    ),
    Row(
        "A dict of targets without boxes",
        'cutmix(x, {"labels": y[:, None]}, fields={"labels": "boxes"})',
        "boxes = np.float32([[[0, 0, 8, 8]]] * 6)\n"
        'out = cutmix(x, {"boxes": boxes, "labels": y[:, None]}, fields={"labels": "boxes"})',
        check='assert out[1]["boxes"].shape == (6, 2, 4)',
    ),
    Row(
        "Keypoints without their visibility",
        'ma.mix_batch(cutmix, {"image": x, "keypoints": np.ones((6, 4, 2), "float32")})',
        'out = ma.mix_batch(cutmix, {"image": x, "keypoints": np.ones((6, 4, 3), "float32")})',
        check='assert out["keypoints"].shape == (6, 8, 3)',
    ),
    Row(
        "A pairing by classes, without labels",
        'ma.mix_batch(cutmix, x, fields="images", pairing=ma.pairing.OtherClass())',
        "out = cutmix(x, y, num_classes=3, pairing=ma.pairing.OtherClass())",
        check="right(*out)",
    ),
    Row(
        "A pairing as text",
        'cutmix(x, y, num_classes=3, pairing="same_class")',
        "out = cutmix(x, y, num_classes=3, pairing=ma.pairing.SameClass())",
        check="right(*out); assert set(out[1].ravel()) == {0, 1}",
    ),
    Row(
        "A bank without labels",
        "cutmix(x, y, num_classes=3, bank=x)",
        "out = cutmix(x, y, num_classes=3, bank=(x, y))",
        check="right(*out)",
    ),
]

LABELS = [
    Row(
        "Class ids without `num_classes`",
        "cutmix(x, y)",
        "out = cutmix(x, y, num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "A class id that is too large",
        "cutmix(x, y, num_classes=2)",
        "out = cutmix(x, y, num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "A negative class id",
        "cutmix(x, np.where(y == 2, -1, y), num_classes=3)",
        "known = y != 2\nout = cutmix(x[known], y[known], num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "Whole floats as class ids",
        'out = cutmix(x, y.astype("float32"), num_classes=3)',
        gives="soft labels, as for integers.",
        check="right(*out)",
    ),
    Row(
        "Whole floats without `num_classes`",
        'cutmix(x, y.astype("float32"))',
        'out = cutmix(x, y.astype("float32"), num_classes=3)',
        check="right(*out)",
    ),
    Row(
        "Fractions as class ids",
        "cutmix(x, y + 0.5, num_classes=3)",
        'out = cutmix(x, y + 0.5, fields={"labels": "values"})',
        check="assert out[1].shape == (6,)",
    ),
    Row(
        "Soft labels above 1",
        "cutmix(x, 2 * np.eye(3)[y])",
        'out = cutmix(x, 2 * np.eye(3)[y], fields={"labels": "values"})',
        check="right(2 * out[0], out[1])",
    ),
    Row(
        "Multi-hot labels, which do not sum to 1",
        "out = cutmix(x, np.ones((6, 5)))",
        gives="labels averaged by lam, which need not sum to 1.",
        check="assert np.allclose(out[1], 1)",
    ),
    Row(
        "One-hot labels with another width than `num_classes`",
        "cutmix(x, np.eye(3)[y], num_classes=10)",
        "out = cutmix(x, np.eye(3)[y], num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "A column of ids without `num_classes`",
        "cutmix(x, y[:, None])",
        "out = cutmix(x, y[:, None], num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "Labels with three axes",
        "cutmix(x, np.eye(3)[y][:, None], num_classes=3)",
        "out = cutmix(x, np.eye(3)[y], num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "Strings as labels",
        'cutmix(x, np.array(["cat", "dog", "eel"])[y], num_classes=3)',
        'ids = np.unique(np.array(["cat", "dog", "eel"])[y], return_inverse=True)[1]\n'
        "out = cutmix(x, ids, num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "NaN among the labels",
        "cutmix(x, np.where(y == 0, np.nan, y), num_classes=3)",
        "out = cutmix(x, np.where(y == 0, 0, y), num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "Bools as labels",
        "cutmix(x, y == 1)",
        'out = cutmix(x, y == 1, fields={"labels": ma.Labels(binary=True)})',
        check="right(out[0][..., 1:2], out[1])",
    ),
    Row(
        "Labels for a sigmoid that are not 0 or 1",
        'cutmix(x, y, fields={"labels": ma.Labels(binary=True)})',
        "out = cutmix(x, y, num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "`binary=True` for many classes",
        "ma.Labels(10, binary=True)",
        "ma.Labels(10)",
    ),
    Row(
        "No classes",
        "cutmix(x, y, num_classes=0)",
        "out = cutmix(x, y, num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "A number of classes that is not whole",
        "cutmix(x, y, num_classes=3.0)",
        "out = cutmix(x, y, num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "A label rule that does not exist",
        'ma.Labels(rule="union")',
        'ma.Labels(rule="maximum")',
    ),
    Row(
        "A rule that needs the foreground, without one",
        'cutmix(x, y, num_classes=3, fields={"labels": ma.Labels(rule="visible")})',
        'batch = {"images": x, "labels": y, "foreground": masks < 9}\n'
        'out = ma.mix_batch(cutmix, batch, num_classes=3, fields={"labels": ma.Labels(rule="visible")})',
        check='right(out["images"], out["labels"])',
    ),
    Row(
        "A class without a class weight",
        "cutmix(x, y, num_classes=3, class_weights={0: 1.0, 2: 5.0})",
        "out = cutmix(x, y, num_classes=3, class_weights={0: 1.0, 1: 1.0, 2: 5.0})",
        check="right(*out[:2]); assert np.allclose(out[2], out[1] @ [1, 1, 5])",
    ),
    Row(
        "Negative class weights",
        "cutmix(x, y, num_classes=3, class_weights=[1, 1, -1])",
        "out = cutmix(x, y, num_classes=3, class_weights=[1, 1, 0])",
        check="right(*out[:2])",
    ),
    Row(
        "Class weights by the names of the classes",
        'cutmix(x, y, num_classes=3, class_weights={"cat": 1.0, "dog": 1.0, "eel": 5.0})',
        "out = cutmix(x, y, num_classes=3, class_weights={0: 1.0, 1: 1.0, 2: 5.0})",
        check="right(*out[:2])",
    ),
    Row(
        "Class ids for a loss that needs soft labels",
        "ma.losses.cross_entropy(np.zeros((6, 3)), y)",
        "ma.losses.cross_entropy(np.zeros((6, 3)), cutmix(x, y, num_classes=3)[1])",
    ),
    Row(
        "A loss that returns a mean",
        "parts, lam = cutmix.draw(6, (8, 8), key=0).per_source(yt)\n"
        "ma.losses.mixed_criterion(torch.nn.CrossEntropyLoss(), torch.zeros(6, 3), parts, lam)",
        "parts, lam = cutmix.draw(6, (8, 8), key=0, like=xt).per_source(yt)\n"
        'loss = torch.nn.CrossEntropyLoss(reduction="none")\n'
        "ma.losses.mixed_criterion(loss, torch.zeros(6, 3), parts, lam)",
    ),
    Row(
        "Label smoothing of 1",
        "ma.losses.smooth(np.eye(3)[y], 1.0)",
        "ma.losses.smooth(np.eye(3)[y], 0.1)",
    ),
]

RECIPES = [
    Row("A recipe that does not exist", 'ma.recipe("cutmx")', 'ma.recipe("cutmix")'),
    Row("A name of PyTorch's", 'ma.recipe("RandomChoice(mixup, cutmix)")', 'ma.recipe("one_of(mixup, cutmix)")'),
    Row("A misspelled option", "ma.CutMix(alhpa=1.0)", "ma.CutMix(alpha=1.0)"),
    Row("A misspelled option in a text", 'ma.recipe("cutmix(alhpa=1.0)")', 'ma.recipe("cutmix(alpha=1.0)")'),
    Row("An option twice", 'ma.recipe("cutmix(alpha=1.0, alpha=2.0)")', 'ma.recipe("cutmix(alpha=1.0)")'),
    Row("A text that is not complete", 'ma.recipe("one_of(mixup, cutmix")', 'ma.recipe("one_of(mixup, cutmix)")'),
    Row("Python in a text", "ma.recipe(\"__import__('os')\")", 'ma.recipe("cutmix")'),
    Row("An empty text", 'ma.recipe("")', 'ma.recipe("cutmix")'),
    Row("`alpha=0`", "ma.MixUp(alpha=0)", "ma.identity()"),
    Row("A negative alpha", "ma.MixUp(alpha=-0.2)", "ma.MixUp(alpha=0.2)"),
    Row("An infinite alpha", 'ma.MixUp(alpha=float("inf"))', "ma.MixUp(lam=0.5)"),
    Row("An alpha that is not a number", 'ma.MixUp(alpha=float("nan"))', "ma.MixUp(alpha=0.2)"),
    Row("A string as alpha", 'ma.MixUp(alpha="0.2")', "ma.MixUp(alpha=0.2)"),
    Row("A huge alpha", "ma.MixUp(alpha=1e12)", "ma.MixUp(lam=0.5)"),
    Row("A lam above 1", "ma.MixUp(lam=1.5)", "ma.MixUp(lam=0.5)"),
    Row("Both alpha and lam", "ma.MixUp(alpha=1.0, lam=0.5)", "ma.MixUp(lam=0.5)"),
    Row("One source", "ma.MixUp(sources=1)", "ma.MixUp(sources=2)"),
    Row("A fractional number of sources", "ma.MixUp(sources=2.5)", "ma.MixUp(sources=3)"),
    Row(
        "More sources than samples",
        "out = ma.MixUp(sources=9)(x, y, num_classes=3)",
        gives="sources repeat, and labels still follow the pixels.",
        check="right(*out)",
    ),
    Row("A probability above 1", "ma.sometimes(1.5, cutmix)", "ma.sometimes(0.5, cutmix)"),
    Row("Probability and recipe swapped", "ma.sometimes(cutmix, 0.5)", "ma.sometimes(0.5, cutmix)"),
    Row("A choice of nothing", "ma.one_of()", "ma.one_of(mixup, cutmix)"),
    Row("A list of recipes", "ma.one_of([mixup, cutmix])", "ma.one_of(mixup, cutmix)"),
    Row("One weight too few", "ma.one_of(mixup, cutmix, weights=(1,))", "ma.one_of(mixup, cutmix, weights=(1, 1))"),
    Row("Weights that are all 0", "ma.one_of(mixup, cutmix, weights=(0, 0))", "ma.one_of(mixup, cutmix)"),
    Row("A negative weight", "ma.one_of(mixup, cutmix, weights=(2, -1))", "ma.one_of(mixup, cutmix, weights=(2, 0))"),
    Row("A placement that does not exist", 'ma.CutMix(placement="random")', 'ma.CutMix(placement="uniform")'),
    Row("Bounds in the wrong order", "ma.CutMixMinMax(low=0.8, high=0.2)", "ma.CutMixMinMax(low=0.2, high=0.8)"),
    Row("A grid of one tile", "ma.Mosaic(tiles=1)", "ma.Mosaic(tiles=2)"),
    Row(
        "A class instead of a recipe",
        "ma.mix_batch(ma.CutMix, (x, y), num_classes=3)",
        "out = ma.mix_batch(ma.CutMix(), (x, y), num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "No recipe",
        "ma.mix_batch(None, (x, y), num_classes=3)",
        "out = ma.mix_batch(ma.identity(), (x, y), num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "Images where the recipe belongs",
        "ma.mix_batch((x, y), cutmix, num_classes=3)",
        "out = ma.mix_batch(cutmix, (x, y), num_classes=3)",
        check="right(*out)",
    ),
    Row("A schedule without a first phase", "ma.schedule({5: cutmix})", "ma.schedule({0: ma.identity(), 5: cutmix})"),
    Row("An empty schedule", "ma.schedule({})", "ma.schedule({0: cutmix})"),
    Row("A schedule by a list", "ma.schedule([cutmix, mixup])", "ma.schedule({0: cutmix, 10: mixup})"),
    Row(
        "Recipes nested too deeply",
        "recipe = cutmix\nfor _ in range(99):\n    recipe = ma.sometimes(0.9, recipe)",
        "recipe = ma.sometimes(0.9**99, cutmix)",
    ),
    Row("A draw without a size", "cutmix.draw(6, (), key=0)", "cutmix.draw(6, (8, 8), key=0)"),
    Row("A size that is not a tuple", "cutmix.draw(6, 8, key=0)", "cutmix.draw(6, (8, 8), key=0)"),
    Row("A negative number of samples", "cutmix.draw(-1, (8, 8), key=0)", "cutmix.draw(0, (8, 8), key=0)"),
]

KEYS = [
    Row(
        "A float as key",
        "cutmix(x, y, num_classes=3, key=0.5)",
        "out = cutmix(x, y, num_classes=3, key=0)",
        check="right(*out)",
    ),
    Row(
        "A bool as key",
        "cutmix(x, y, num_classes=3, key=True)",
        "out = cutmix(x, y, num_classes=3, key=1)",
        check="right(*out)",
    ),
    Row(
        "A string as key",
        'cutmix(x, y, num_classes=3, key="seed")',
        "out = cutmix(x, y, num_classes=3, key=0)",
        check="right(*out)",
    ),
    Row(
        "An empty key",
        "cutmix(x, y, num_classes=3, key=())",
        "out = cutmix(x, y, num_classes=3, key=(0, 0))",
        check="right(*out)",
    ),
    Row(
        "A negative or very large seed",
        "out = [cutmix(x, y, num_classes=3, key=s) for s in (-1, 2**64 - 1)]",
        gives="the same mix for both: keys are taken modulo 2**64.",
        check="assert (out[0][0] == out[1][0]).all()",
    ),
    Row(
        "A schedule without an epoch",
        "ma.schedule({0: cutmix, 10: mixup})(x, y, num_classes=3, key=7)",
        "out = ma.schedule({0: cutmix, 10: mixup})(x, y, num_classes=3, key=(7, 0, 0))",
        check="right(*out)",
    ),
    Row(
        "No key, twice",
        "out = [cutmix(x, y, num_classes=3)[0] for _ in range(9)]",
        gives="a different mix each time, regardless of the seeds of NumPy, PyTorch or Keras.",
        check="assert any((one != out[0]).any() for one in out)",
    ),
    Row(
        "No key in a `tf.function`",
        "tf.function(lambda a, b: cutmix(a, b, num_classes=3))(tf.constant(x), tf.constant(y))",
        "step = tf.Variable(0)\nmix = tf.function(lambda a, b: cutmix(a, b, num_classes=3, key=(0, step)))\n"
        "out = mix(tf.constant(x), tf.constant(y))",
        check="right(*out)",
    ),
    Row(
        "No key in `jax.jit`",
        "import jax\njax.jit(lambda a, b: cutmix(a, b, num_classes=3))(x, y)",
        "import jax\nout = jax.jit(lambda a, b, key: cutmix(a, b, num_classes=3, key=key))(x, y, jax.random.key(0))",
        check="right(*out)",
    ),
]

NEAR_MISSES = [
    Row("`ma.Mixup`", "ma.Mixup()", "ma.MixUp()"),
    Row("`ma.cutmix`", "ma.cutmix(alpha=1.0)", "ma.CutMix(alpha=1.0)"),
    Row("`ma.RandomChoice`", "ma.RandomChoice([mixup, cutmix])", "ma.one_of(ma.MixUp(), ma.CutMix())"),
    Row("`ma.InsideCutMix`", "ma.InsideCutMix()", 'ma.CutMix(placement="inside")'),
    Row(
        "Images and labels as two arguments",
        "ma.mix_batch(cutmix, x, y, num_classes=3)",
        "out = ma.mix_batch(cutmix, (x, y), num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "The recipe last",
        "ma.mix_batch(x, y, cutmix)",
        "out = ma.mix_batch(cutmix, (x, y), num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "`seed=`",
        "cutmix(x, y, num_classes=3, seed=0)",
        "out = cutmix(x, y, num_classes=3, key=(0, 0))",
        check="right(*out)",
    ),
    Row("`p=`", "ma.CutMix(p=0.5)", "ma.sometimes(0.5, ma.CutMix())"),
    Row(
        "`num_classes` in the recipe",
        "ma.CutMix(num_classes=3)(x, y)",
        "out = ma.CutMix()(x, y, num_classes=3, key=(0, 0))",
        check="right(*out)",
    ),
    Row("`num_classes` by place", "cutmix(x, y, 3)", "out = cutmix(x, y, num_classes=3)", check="right(*out)"),
    Row(
        "`labels=` by name",
        "cutmix(images=x, labels=y, num_classes=3)",
        "out = cutmix(x, y, num_classes=3)",
        check="right(*out)",
    ),
    Row("`channels=`", 'ma.Images(channels="first")', 'ma.Images(layout="nchw")'),
    Row(
        "`inplace=`",
        "cutmix(x, y, num_classes=3, inplace=True)",
        "out = cutmix(x, y, num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "`label_smoothing=`",
        "cutmix(x, y, num_classes=3, label_smoothing=0.1)",
        "images, labels = cutmix(x, y, num_classes=3)\nlabels = ma.losses.smooth(labels, 0.1)",
    ),
]

ADAPTERS = [
    Row(
        "Single samples in `ma.tf.mixed`",
        "ds.apply(ma.tf.mixed(cutmix, num_classes=3))",
        "for out in ds.batch(3).apply(ma.tf.mixed(cutmix, num_classes=3)):\n    pass",
        check="right(*out)",
    ),
    Row(
        "`ma.tf.mixed` in `ds.map`",
        "ds.batch(3).map(ma.tf.mixed(cutmix, num_classes=3))",
        "for out in ds.batch(3).apply(ma.tf.mixed(cutmix, num_classes=3)):\n    pass",
        check="right(*out)",
    ),
    Row(
        "The dataset as an argument of `ma.tf.mixed`",
        "ma.tf.mixed(cutmix, ds.batch(3), num_classes=3)",
        "for out in ds.batch(3).apply(ma.tf.mixed(cutmix, num_classes=3)):\n    pass",
        check="right(*out)",
    ),
    Row(
        "An epoch that is not whole",
        'ds.batch(3).apply(ma.tf.mixed(cutmix, epoch="1", num_classes=3))',
        "for out in ds.batch(3).apply(ma.tf.mixed(cutmix, epoch=1, num_classes=3)):\n    pass",
        check="right(*out)",
    ),
    Row(
        "Batches of known length in `ma.tf.mixed_zip`",
        "b = ds.batch(3, drop_remainder=True)\nma.tf.mixed_zip(cutmix, b, b, num_classes=3)",
        "b = ds.batch(3, drop_remainder=True)\n"
        "for out in ma.tf.mixed_zip(cutmix, b, b, num_classes=3, batched=True):\n    pass",
        check="right(*out)",
    ),
    Row(
        "Three sources in `ma.tf.mixed_zip`",
        "ma.tf.mixed_zip(ma.MixUp(sources=3), ds, ds, num_classes=3)",
        "for out in ma.tf.mixed_zip(ma.MixUp(sources=2), ds, ds, num_classes=3):\n    pass",
        check="right(*out, axes=(0, 1))",
    ),
    Row(
        "Datasets of different elements in `ma.tf.mixed_zip`",
        "ma.tf.mixed_zip(cutmix, ds, ds.map(lambda a, b: a), num_classes=3)",
        "for out in ma.tf.mixed_zip(cutmix, ds, ds, num_classes=3):\n    pass",
        check="right(*out, axes=(0, 1))",
    ),
    Row(
        "`MixedDataset` of Keras without labels",
        "ma.keras.MixedDataset(cutmix, x, batch_size=3)",
        "out = ma.keras.MixedDataset(cutmix, x, y, batch_size=3, num_classes=3)[0]",
        check="right(*out)",
    ),
    Row(
        "`batch_size=0`",
        "ma.keras.MixedDataset(cutmix, x, y, 0, num_classes=3)",
        "out = ma.keras.MixedDataset(cutmix, x, y, 3, num_classes=3)[0]",
        check="right(*out)",
    ),
    Row(
        "No `batch_size`",
        "ma.keras.MixedDataset(cutmix, x, y, num_classes=3)",
        "out = ma.keras.MixedDataset(cutmix, x, y, 3, num_classes=3)[0]",
        check="right(*out)",
    ),
    Row(
        "Tensors in `MixedDataset` of Keras",
        "ma.keras.MixedDataset(cutmix, tf.constant(x), y, 3, num_classes=3)",
        "out = ma.keras.MixedDataset(cutmix, tf.constant(x).numpy(), y, 3, num_classes=3)[0]",
        check="right(*out)",
    ),
    Row(
        "A `tf.data.Dataset` in `MixedDataset` of Keras",
        "ma.keras.MixedDataset(cutmix, ds.batch(3), num_classes=3)",
        "for out in ds.batch(3).apply(ma.tf.mixed(cutmix, num_classes=3)):\n    pass",
        check="right(*out)",
    ),
    Row(
        "A generator with labels beside it",
        "inner = ma.keras.MixedDataset(ma.identity(), x, y, 3, num_classes=3)\n"
        "ma.keras.MixedDataset(cutmix, inner, y, 3, num_classes=3)",
        "inner = ma.keras.MixedDataset(ma.identity(), x, y, 3, num_classes=3)\n"
        "out = ma.keras.MixedDataset(cutmix, inner)[0]",
        check="right(*out)",
    ),
    Row(
        "A batch that does not exist",
        "ma.keras.MixedDataset(cutmix, x, y, 3, num_classes=3)[2]",
        "out = ma.keras.MixedDataset(cutmix, x, y, 3, num_classes=3)[1]",
        check="right(*out)",
    ),
    Row(
        "`MixLayer` of images alone",
        "ma.keras.MixLayer(cutmix)(x)",
        'out = ma.keras.MixLayer(cutmix, fields="images")(x)',
        check="assert out.shape == x.shape",
    ),
    Row(
        "`SetEpoch` of a tf.data pipeline",
        "ma.keras.SetEpoch(ds)",
        "epoch = tf.Variable(0, dtype=tf.int64)\nma.keras.SetEpoch(epoch)\n"
        "for out in ds.batch(3).apply(ma.tf.mixed(cutmix, epoch=epoch, num_classes=3)):\n    pass",
        check="right(*out)",
    ),
    Row(
        "`ma.mixed` without an epoch",
        "ma.mixed(cutmix, [(x, y)], num_classes=3)",
        "(out,) = ma.mixed(cutmix, [(x, y)], epoch=0, num_classes=3)",
        check="right(*out)",
    ),
    Row(
        "`per_batch` where samples are mixed one by one",
        "ma.torch.MixedDataset(ma.per_batch(cutmix), pairs, num_classes=3)",
        "(out,) = ma.torch.loader(ma.per_batch(cutmix), pairs, 6, num_classes=3)",
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        "A loader without `batch_size`",
        "ma.torch.loader(cutmix, pairs, num_classes=3)",
        "(out,) = ma.torch.loader(cutmix, pairs, 6, num_classes=3)",
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        "`batch_size` beside `batch_sampler`",
        "ma.torch.loader(cutmix, pairs, 3, batch_sampler=[[0, 1], [2, 3]], num_classes=3)",
        "out, _ = ma.torch.loader(cutmix, pairs, batch_sampler=[[0, 1], [2, 3]], num_classes=3)",
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        "`shuffle` beside `sampler`",
        "ma.torch.loader(cutmix, pairs, 6, sampler=range(6), shuffle=True, num_classes=3)",
        "(out,) = ma.torch.loader(cutmix, pairs, 6, sampler=range(6), num_classes=3)",
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        "An iterator as sampler",
        "ma.torch.loader(cutmix, pairs, 6, sampler=iter(range(6)), num_classes=3)",
        "(out,) = ma.torch.loader(cutmix, pairs, 6, sampler=list(range(6)), num_classes=3)",
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        "A sampler of another dataset",
        "list(ma.torch.loader(cutmix, pairs, 6, sampler=range(7), num_classes=3))",
        "(out,) = ma.torch.loader(cutmix, pairs, 6, sampler=range(6), num_classes=3)",
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        "A dataset without an index",
        "class Stream(torch.utils.data.IterableDataset):\n    def __iter__(self):\n        return iter(pairs)\n"
        "ma.torch.loader(cutmix, Stream(), 3, num_classes=3)",
        "class Stream(torch.utils.data.IterableDataset):\n    def __iter__(self):\n        return iter(pairs)\n"
        "for images, labels in torch.utils.data.DataLoader(Stream(), 3):\n"
        "    out = ma.torch.Mixed(cutmix, num_classes=3)(images, labels)",
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        "Dropping every batch",
        "ma.torch.loader(cutmix, pairs, 8, drop_last=True, num_classes=3)",
        "(out,) = ma.torch.loader(cutmix, pairs, 6, drop_last=True, num_classes=3)",
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        "A rank that does not exist",
        "ma.torch.loader(cutmix, pairs, 3, rank=2, world_size=2, num_classes=3)",
        "(out,) = ma.torch.loader(cutmix, pairs, 3, rank=1, world_size=2, num_classes=3)",
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        "A state of another loader",
        'ma.torch.loader(cutmix, pairs, 6, num_classes=3).load_state_dict({"epoch": 0, "step": 5})',
        'ma.torch.loader(cutmix, pairs, 6, num_classes=3).load_state_dict({"epoch": 1, "step": 0})',
    ),
    Row(
        "A schedule in `MixingCollate`",
        "ma.torch.MixingCollate(ma.schedule({0: cutmix, 9: mixup}), num_classes=3)",
        "(out,) = ma.torch.loader(ma.schedule({0: cutmix, 9: mixup}), pairs, 6, num_classes=3)",
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        "Unbatched samples in `Mixed`",
        "ma.torch.Mixed(cutmix, num_classes=3)(*pairs[0])",
        "out = ma.torch.Mixed(cutmix, num_classes=3)(*pairs[:6])",
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        "`Mixed` in evaluation",
        "out = ma.torch.Mixed(cutmix, num_classes=3).eval()(xt, yt)",
        gives="the unchanged batch, with labels as class ids.",
        check="assert out[0] is xt and out[1] is yt",
    ),
    Row(
        "timm's `correct_lam=False`",
        "ma.timm.Mixup(correct_lam=False, num_classes=3)",
        "out = ma.timm.Mixup(num_classes=3, label_smoothing=0)(xt, yt)",
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        "timm's `Mixup` with nothing to mix",
        "ma.timm.Mixup(mixup_alpha=0, cutmix_alpha=0, num_classes=3)",
        "out = ma.timm.Mixup(mixup_alpha=0.8, num_classes=3, label_smoothing=0)(xt, yt)",
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        'timm\'s mode "half"',
        'ma.timm.Mixup(mode="half", num_classes=3)',
        'out = ma.timm.Mixup(mode="pair", num_classes=3, label_smoothing=0)(xt, yt)',
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        "An iterable dataset of Grain",
        "import grain\nstream = grain.MapDataset.source([(x[i], y[i]) for i in range(6)]).to_iter_dataset()\n"
        "ma.grain.mixed(cutmix, stream, num_classes=3)",
        "import grain\nsource = grain.MapDataset.source([(x[i], y[i]) for i in range(6)])\n"
        "out = ma.grain.mixed(cutmix, source, num_classes=3).batch(6)[0]",
        check="right(*out)",
    ),
]

TRAINERS = [
    Row(
        "Hugging Face: no recipe",
        "ma.huggingface.MixTrainer(Net(), args, train_dataset=samples, recipe=None)",
        "ma.huggingface.MixTrainer(Net(), args, train_dataset=samples, recipe=cutmix).train()",
    ),
    Row(
        "Hugging Face: a model that does not say how many classes it has",
        "net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3))\n"
        "ma.huggingface.MixTrainer(net, args, train_dataset=samples, recipe=cutmix)",
        "net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3))\n"
        "net.config = transformers.PretrainedConfig(num_labels=3)\n"
        "ma.huggingface.MixTrainer(net, args, train_dataset=samples, recipe=cutmix)",
    ),
    Row(
        "Hugging Face: a model for regression",
        "ma.huggingface.MixTrainer(Net(num_labels=1), args, train_dataset=samples, recipe=cutmix)",
        "def squared(outputs, labels, **_):\n"
        '    return (outputs["logits"][:, 0] - labels).square().mean()\n'
        "ma.huggingface.MixTrainer(Net(num_labels=1), args, train_dataset=samples, recipe=cutmix, "
        'fields={"labels": "values"}, compute_loss_func=squared).train()',
    ),
    Row(
        "Hugging Face: labels with another name",
        'samples = [{"pixel_values": image, "target": label} for image, label in pairs]\n'
        "ma.huggingface.MixTrainer(Net(), args, train_dataset=samples, recipe=cutmix).train()",
        'samples = [{"pixel_values": image, "labels": label} for image, label in pairs]\n'
        "ma.huggingface.MixTrainer(Net(), args, train_dataset=samples, recipe=cutmix).train()",
    ),
    Row(
        "Hugging Face: a model whose `forward` takes no labels, so that the Trainer removes them",
        "class Plain(Net):\n    def forward(self, pixel_values):\n        return super().forward(pixel_values)\n"
        "ma.huggingface.MixTrainer(Plain(), args, train_dataset=samples, recipe=cutmix).train()",
        "class Plain(Net):\n    def forward(self, pixel_values):\n        return super().forward(pixel_values)\n"
        'args = transformers.TrainingArguments("out", max_steps=1, remove_unused_columns=False, **quiet)\n'
        "ma.huggingface.MixTrainer(Plain(), args, train_dataset=samples, recipe=cutmix).train()",
    ),
    Row(
        "Hugging Face: soft labels, which may be single-label or multi-label",
        'samples = [{"pixel_values": image, "labels": torch.eye(3)[label]} for image, label in pairs]\n'
        "ma.huggingface.MixTrainer(Net(), args, train_dataset=samples, recipe=cutmix).train()",
        'samples = [{"pixel_values": image, "labels": torch.eye(3)[label]} for image, label in pairs]\n'
        'net = Net(problem_type="single_label_classification")\n'
        "ma.huggingface.MixTrainer(net, args, train_dataset=samples, recipe=cutmix).train()",
    ),
    Row(
        "Hugging Face: videos, (n, t, c, h, w)",
        'samples = [{"pixel_values": torch.stack([image[:, :4, :4]] * 4), "labels": label} for image, label in pairs]\n'
        "ma.huggingface.MixTrainer(Net(), args, train_dataset=samples, recipe=cutmix).train()",
        'samples = [{"pixel_values": torch.stack([image[:, :4, :4]] * 4), "labels": label} for image, label in pairs]\n'
        "ma.huggingface.MixTrainer(Net(), args, train_dataset=samples, recipe=cutmix, "
        'fields={"pixel_values": ma.Images(layout="ntchw")}).train()',
    ),
    Row(
        "Hugging Face: smoothing of multi-label labels",
        'args = transformers.TrainingArguments("out", max_steps=1, label_smoothing_factor=0.1, **quiet)\n'
        'net = Net(problem_type="multi_label_classification")\n'
        "ma.huggingface.MixTrainer(net, args, train_dataset=samples, recipe=cutmix)",
        'args = transformers.TrainingArguments("out", max_steps=1, **quiet)\n'
        'net = Net(problem_type="multi_label_classification")\n'
        "ma.huggingface.MixTrainer(net, args, train_dataset=samples, recipe=cutmix)",
    ),
    Row(
        "Lightning: class ids without `num_classes`",
        "fit(ma.lightning.MixCallback(cutmix))",
        "fit(ma.lightning.MixCallback(cutmix, num_classes=3))",
    ),
    Row(
        "Lightning: a misspelled option",
        "ma.lightning.MixCallback(cutmix, num_class=3)",
        "ma.lightning.MixCallback(cutmix, num_classes=3)",
    ),
    Row(
        "Lightning: batches that are tuples, which cannot be modified",
        "def collate(rows):\n"
        "    return tuple(torch.utils.data.default_collate(rows))\n"
        "fit(ma.lightning.MixCallback(cutmix, num_classes=3), collate_fn=collate)",
        "def collate(rows):\n"
        "    return torch.utils.data.default_collate(rows)\n"
        "fit(ma.lightning.MixCallback(cutmix, num_classes=3), collate_fn=collate)",
    ),
    Row(
        "`torch.compile` without a key",
        "@torch.compile\ndef step(images, labels):\n"
        "    return ma.mix_batch(cutmix, (images, labels), num_classes=3)\nstep(xt, yt)",
        '@torch.compile(backend="eager")\ndef step(images, labels, at):\n'
        "    return ma.mix_batch(cutmix, (images, labels), key=(0, at), num_classes=3)\n"
        "out = step(xt, yt, torch.tensor(0))",
        check="right(*out, axes=(2, 3))",
    ),
    Row(
        "`torch.compile` without a key, by the module that counts its steps",
        "@torch.compile\ndef step(images, labels):\n    return cutmix(images, labels, num_classes=3)\nstep(xt, yt)",
        "mixed = ma.torch.Mixed(cutmix, num_classes=3)\n"
        '@torch.compile(backend="eager")\ndef step(images, labels):\n    return mixed(images, labels)\n'
        "out = step(xt, yt)",
        check="right(*out, axes=(2, 3)); assert int(mixed.step) == 1",
    ),
]

FILES = [
    Row(
        "A file that is not a mix",
        'np.savez("mix.npz", lam=np.ones(3))\nma.Mix.load("mix.npz")',
        'cutmix.draw(6, (8, 8), key=0).save("mix.npz")\nma.Mix.load("mix.npz")',
    ),
    Row(
        "A damaged mix",
        'cutmix.draw(6, (8, 8), key=0).save("mix.npz")\nopen("mix.npz", "r+b").truncate(300)\nma.Mix.load("mix.npz")',
        'cutmix.draw(6, (8, 8), key=0).save("mix.npz")\nma.Mix.load("mix.npz")',
    ),
    Row(
        "A mix whose lam does not match its region",
        'cutmix.draw(6, (8, 8), key=0).save("mix.npz")\narrays = dict(np.load("mix.npz"))\n'
        'np.savez("mix.npz", **{**arrays, "lam": arrays["lam"][::-1]})\nma.Mix.load("mix.npz")',
        'cutmix.draw(6, (8, 8), key=0).save("mix.npz")\nma.Mix.load("mix.npz")',
    ),
    Row(
        "A file that does not exist",
        'ma.Mix.load("mix.npz")',
        'cutmix.draw(6, (8, 8), key=0).save("mix.npz")\nma.Mix.load("mix.npz")',
    ),
    Row(
        "A folder instead of a file",
        'cutmix.draw(6, (8, 8), key=0).save("photos")',
        'cutmix.draw(6, (8, 8), key=0).save("mix.npz")',
    ),
    Row(
        "A named pipe instead of a file",
        'cutmix.draw(6, (8, 8), key=0).save("pipe.npz")',
        'cutmix.draw(6, (8, 8), key=0).save("mix.npz")',
    ),
    Row("`--out` that is a folder", "mixaug preview --out folder.png", "mixaug preview --out preview.png"),
    Row("`--out` that is a pipe", "mixaug preview --out pipe.png", "mixaug preview --out preview.png"),
    Row("`--out` that is no picture", "mixaug preview --out preview.txt", "mixaug preview --out preview.png"),
    Row(
        "A sheet with another suffix",
        'ma.show((x, y), class_names="abc").save("sheet.doc")',
        'ma.show((x, y), class_names="abc").save("sheet.png")',
    ),
]

GUIDES = [
    Row(
        "SaliencyMix on images and labels",
        "ma.SaliencyMix()(x, y, num_classes=3)",
        'ma.SaliencyMix()({"images": x, "labels": y, "saliency": ma.guides.spectral_residual(x)}, num_classes=3)',
    ),
    Row(
        "Saliency under another name",
        'ma.SaliencyMix()({"images": x, "labels": y, "heat": x[..., 0]}, num_classes=3)',
        'ma.SaliencyMix()({"images": x, "labels": y, "heat": x[..., 0]}, num_classes=3, fields={"heat": ma.Guide()})',
    ),
    Row(
        "A draw without the guide",
        "ma.SaliencyMix().draw(6, (8, 8))",
        "ma.SaliencyMix().draw(6, (8, 8), guide=ma.guides.spectral_residual(x))",
    ),
    Row(
        "A guide for a recipe that looks at none",
        "cutmix.draw(6, (8, 8), guide=x[..., 0])",
        "cutmix.draw(6, (8, 8))",
    ),
    Row(
        "Negative saliency",
        "ma.SaliencyMix().draw(6, (8, 8), guide=x[..., 0] - 0.5)",
        "ma.SaliencyMix().draw(6, (8, 8), guide=np.maximum(np.nan_to_num(x[..., 0] - 0.5), 0))",
    ),
    Row(
        "Saliency with the channels of the images",
        'ma.SaliencyMix()({"images": x, "labels": y, "saliency": x}, num_classes=3)',
        'ma.SaliencyMix()({"images": x, "labels": y, "saliency": x.mean(axis=-1)}, num_classes=3)',
    ),
    Row(
        "Ids below 0 for ClassMix",
        "ma.ClassMix().draw(6, (8, 8), guide=masks.astype(int) - 1)",
        "ma.ClassMix().draw(6, (8, 8), guide=np.where(masks.astype(int) - 1 < 0, 255, masks.astype(int) - 1))",
    ),
    Row(
        "CopyPaste beside class masks alone",
        'ma.CopyPaste()({"images": x, "masks": masks})',
        'ma.CopyPaste()({"images": x, "masks": masks, "instances": masks[:, None] == 1})',
    ),
    Row(
        "Boxes of hidden states",
        "ma.hidden.draw(cutmix, 6, layers=3)",
        "ma.hidden.draw(ma.MixUp(), 6, layers=3)",
    ),
    Row(
        "A hidden layer that there is not",
        'ma.torch.ManifoldMixup(mixup, torch.nn.Sequential(torch.nn.Linear(3, 3)), ["fc"])',
        'ma.torch.ManifoldMixup(mixup, torch.nn.Sequential(torch.nn.Linear(3, 3)), ["0"])',
    ),
    Row(
        "Labels by mass without maps",
        'ma.SnapMix()(x, y, fields={"labels": ma.Labels(3, rule="mass")})',
        'ma.SnapMix()({"images": x, "labels": y, "saliency": x[..., 0]}, fields={"labels": ma.Labels(3, rule="mass")})',
    ),
]

#: A training of a second or two.
TRAINED = "mixaug compare --seeds 1 --model small --arm none --arm cutmix --train-size 100 --epochs 1 --out run"

COMMANDS = [
    Row("A recipe that does not exist", "mixaug preview --recipe cutmx", "mixaug preview --recipe cutmix"),
    Row(
        "A misspelled option of a recipe",
        'mixaug preview --recipe "cutmix(alhpa=1.0)"',
        'mixaug preview --recipe "cutmix(alpha=1.0)"',
    ),
    Row("Data that do not exist", "mixaug preview --data cifar", "mixaug preview --data fashion-mnist-sample"),
    Row("A folder that does not exist", "mixaug preview --data folder:nowhere", "mixaug preview --data folder:photos"),
    Row(
        "A folder without sub-folders", "mixaug preview --data folder:photos/cat", "mixaug preview --data folder:photos"
    ),
    Row(
        "Two folders instead of one",
        "mixaug preview --data folder:images,masks",
        "mixaug preview --data folders:images,masks",
    ),
    Row("No rows", "mixaug preview --rows 0", "mixaug preview --rows 1"),
    Row(
        "A task that the data does not support",
        "mixaug preview --data folder:photos --task segmentation",
        "mixaug preview --data folders:images,masks --task segmentation",
    ),
    Row(
        "A recipe that needs masks, on classes",
        "mixaug preview --recipe classmix",
        "mixaug preview --recipe classmix --data scenes",
    ),
    Row("No seeds", "mixaug compare --seeds 0", TRAINED),
    Row("A model that does not exist", "mixaug compare --model resnet", TRAINED),
    Row("An arm twice", "mixaug compare --arm none --arm none", TRAINED),
    Row("A run that does not exist", "mixaug compare --resume nowhere", TRAINED),
    Row("`--out` with `--resume`", "mixaug compare --resume run --out run", TRAINED),
    Row("Test data of another kind", "mixaug compare --data folder:photos --test-data npz:a.npz", TRAINED),
    Row("Test data beside data that have a test split", "mixaug compare --test-data folder:photos", TRAINED),
    Row("`--skip-damaged` without image files", "mixaug compare --skip-damaged", TRAINED),
    Row("An .npz file that does not exist", "mixaug preview --data npz:a.npz", "mixaug preview --data folder:photos"),
    Row("A report of a folder without a run", "mixaug report photos", TRAINED),
]

SECTIONS = {
    "Layouts and dtypes": LAYOUTS,
    "Roles and containers": ROLES,
    "Labels and losses": LABELS,
    "Recipes": RECIPES,
    "Guides and hidden states": GUIDES,
    "Keys": KEYS,
    "Near misses": NEAR_MISSES,
    "Adapters": ADAPTERS,
    "Trainers and compiled code": TRAINERS,
    "Files": FILES,
    "The command line": COMMANDS,
}
