"""Data from an .npz file and from Hugging Face's datasets: what is loaded is what they hold."""

import numpy as np
import pytest
from PIL import Image

from mixaug.lab.data import Wanted, find, load
from mixaug.lab.errors import LabError

LABELS = np.tile([0, 1, 2], 10)
IMAGES = np.tile((40 * LABELS + np.arange(30)).astype(np.uint8)[:, None, None, None], (1, 8, 8, 3))  # image i says i
SPLIT = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:6], "y_test": LABELS[:6]}


def rows(split):
    """Which of the images they are; their labels have to be their own."""
    levels = split.images[:, 0, 0, 0].tolist()
    index = [np.flatnonzero(IMAGES[:, 0, 0, 0] == level).item() for level in levels]
    assert LABELS[index].tolist() == split.targets.tolist()
    return index


def saved(path, save=np.savez, **arrays):
    save(path, **arrays)
    return f"npz:{path}"


# --- npz: ---


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_with_a_split(tmp_path, save):
    data = load(saved(tmp_path / "a.npz", save, **SPLIT))
    assert (rows(data.train), rows(data.test)) == (list(range(30)), list(range(6)))
    assert data.classes == ("0", "1", "2")
    names = ("train_images", "train_labels", "test_images", "test_labels")  # as MedMNIST has them, labels (n, 1)
    arrays = dict(zip(names, (IMAGES, LABELS[:, None], IMAGES[:6], LABELS[:6, None].astype(np.uint8)), strict=True))
    again = load(saved(tmp_path / "b.npz", save, **arrays, val_images=IMAGES[:2]))
    assert np.array_equal(again.train.images, data.train.images)
    assert again.test.targets.dtype == np.int64


def test_arrays_without_a_split_are_split_by_class_and_seed(tmp_path):
    spec = saved(tmp_path / "a.npz", x=IMAGES[..., 0], y=LABELS, classes=np.array(["ant", "bee", "cow"]))
    data, other = load(spec), load(spec, seed=1)
    assert sorted(rows(data.train) + rows(data.test)) == list(range(30))
    assert np.bincount(data.test.targets).tolist() == [2, 2, 2]
    assert sorted(rows(other.test)) != sorted(rows(data.test))
    assert data.classes == ("ant", "bee", "cow")
    assert data.channels == 1
    assert load(spec, image_size=4, train_size=6, test_size=3).size == (4, 4)


def test_arrays_of_another_file_to_be_tested_on(tmp_path):
    spec = saved(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    data = load(spec, test_data=saved(tmp_path / "b.npz", images=IMAGES[3:9], labels=LABELS[3:9]))
    assert (rows(data.train), rows(data.test)) == (list(range(30)), list(range(3, 9)))
    data = load(spec, test_data=saved(tmp_path / "c.npz", **SPLIT))
    assert rows(data.test) == list(range(6))


class Evil:
    def __reduce__(self):
        return print, ("unpickled",)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"a": IMAGES, "b": LABELS}, r"^expected arrays x_train, .* or x, y in .*, got a, b: rename them"),
        (
            {**SPLIT, "x": IMAGES, "y": LABELS},
            r"^expected arrays of one naming in .*, got x_train, .* and x, y: keep one",
        ),
        (
            {"x": IMAGES / 255, "y": LABELS},
            r"^expected uint8 images x \(n, h, w\) or .*, got float64 .*: scale to 0..255",
        ),
        ({"x": IMAGES.transpose(0, 3, 1, 2), "y": LABELS}, r"got uint8 \(30, 3, 8, 8\): .* put the channels last$"),
        ({"x": IMAGES[:0], "y": LABELS[:0]}, r"^expected uint8 images x .*, got uint8 \(0, 8, 8, 3\): "),
        (
            {"x": IMAGES, "y": LABELS[1:]},
            r"^expected labels y in .*, one integer for each of 30 images, got int64 \(29,\)",
        ),
        ({"x": IMAGES, "y": np.eye(3)[LABELS]}, r"got float64 \(30, 3\): give one class id an image$"),
        ({"x": IMAGES, "y": LABELS - 1}, r"^expected class ids 0, 1, ... in y of .*, got -1 to 1: renumber$"),
        ({"x": IMAGES, "y": 0 * LABELS}, r"^expected two classes or more in .*, got 1: "),
        (
            {"x": IMAGES, "y": 2 * LABELS},
            r"^expected an image of every class 0..4 to train on in .*, got none of 1: renum",
        ),
        (
            {"x": IMAGES, "y": LABELS, "classes": np.array(["a", "b"])},
            r"^expected class ids in 0..1 in .*, got 2: name",
        ),
        ({"x": IMAGES, "y": LABELS, "classes": np.array(["a", "a", "b"])}, r"^expected different texts in classes of"),
        (
            {"x": IMAGES[:7], "y": np.array([0, 0, 1, 1, 1, 0, 2])},
            r"^expected two or more images of class '2' in .*, got 1: add some, or name test images with --test-data$",
        ),
        (
            {**SPLIT, "y_test": LABELS[:6] + 1},
            r"^expected test labels in 0..2, .*, got 3 in .*, a class in the test alone",
        ),
        (
            {"x": np.array([Evil()], object), "y": LABELS[:1]},
            r"^expected an .npz file of arrays, got .* cannot be read",
        ),
    ],
)
def test_arrays_that_are_something_else_are_refused(tmp_path, arrays, sentence, capsys):
    spec = saved(tmp_path / "a.npz", **arrays)
    with pytest.raises(LabError, match=sentence) as raised:
        load(spec)
    assert "\n" not in str(raised.value)
    assert "unpickled" not in capsys.readouterr().out


def test_files_that_are_no_npz_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(LabError, match=rf"^expected an .npz file, got {path}: no such file$"):
        load(f"npz:{path}")
    saved(path, **SPLIT)
    whole = path.read_bytes()
    for content in (b"", b"half", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(LabError, match=rf"^expected an .npz file of arrays, got {path}, which cannot be read"):
            load(f"npz:{path}")
    np.save(tmp_path / "b.npy", IMAGES)
    with pytest.raises(
        LabError, match=r"^expected an .npz file of arrays, got .*b.npy, which .* \(it holds a single array\)"
    ):
        load(f"npz:{tmp_path / 'b.npy'}")
    with pytest.raises(LabError, match=r"^expected npz:FILE, got 'npz:': name it after the colon$"):
        load("npz:")


# --- hf: ---


@pytest.fixture
def datasets():
    return pytest.importorskip("datasets")


def table(datasets, chosen, names=("ant", "bee", "cow"), **more):
    """Rows of an image column (PNG) and a column of class labels."""
    features = {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=list(names))}
    columns = {"picture": [Image.fromarray(IMAGES[i]) for i in chosen], "kind": [int(LABELS[i]) for i in chosen]}
    for name, (feature, values) in more.items():
        features[name], columns[name] = feature, values
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def on_disk(found, path):
    found.save_to_disk(str(path))
    return f"hf:{path}"


def test_a_dataset_on_disk_with_splits(datasets, tmp_path):
    whole = datasets.DatasetDict(train=table(datasets, range(30)), validation=table(datasets, range(5, 11)))
    spec = on_disk(whole, tmp_path / "saved")
    data = load(spec, image_size=8)
    assert (rows(data.train), rows(data.test)) == (list(range(30)), list(range(5, 11)))
    assert data.classes == ("ant", "bee", "cow")
    assert isinstance(data.train.images, np.memmap)
    few = load(spec, image_size=8, train_size=6, test_size=3)
    assert [np.bincount(split.targets).tolist() for split in (few.train, few.test)] == [[2, 2, 2], [1, 1, 1]]
    assert rows(find(Wanted(spec, image_size=8)).look(np.array([7, 2])).train) == [7, 2]


def test_a_dataset_on_disk_without_a_split(datasets, tmp_path):
    spec = on_disk(table(datasets, range(30)), tmp_path / "saved")
    data = load(spec, image_size=8)
    assert sorted(rows(data.train) + rows(data.test)) == list(range(30))
    assert np.bincount(data.test.targets).tolist() == [2, 2, 2]
    other = on_disk(table(datasets, range(3, 9)), tmp_path / "other")
    assert rows(load(spec, image_size=8, test_data=other).test) == list(range(3, 9))


def test_the_column_is_named_where_several_fit(datasets, tmp_path):
    coarse = datasets.ClassLabel(names=["x", "y"]), [i % 2 for i in range(30)]
    spec = on_disk(table(datasets, range(30), coarse=coarse), tmp_path / "saved")
    way_out = f"{spec},label=kind"
    with pytest.raises(
        LabError, match=rf"^expected one column of ClassLabel in .*, got kind, coarse: name one, {way_out}$"
    ):
        load(spec)
    assert sorted(rows(load(way_out, image_size=8).train))
    assert load(f"{spec},label=coarse,image=picture", image_size=8).classes == ("x", "y")
    with pytest.raises(LabError, match=r"^expected label= one of kind, coarse of .*, got 'fine': name one of these$"):
        load(f"{spec},label=fine")
    for wrong in ("label=", "colour=red", "label=kind,label=coarse", "kind"):
        with pytest.raises(LabError, match=r"^expected hf:NAME, with ,config=CONFIG ,image=COLUMN ,label=COLUMN where"):
            load(f"{spec},{wrong}")


def test_damaged_images_of_a_dataset_are_left_out(datasets, tmp_path):
    encoded = [
        {"bytes": b"half of", "path": f"{i}.png"}
        if i == 4
        else table(datasets, [i]).cast_column("picture", datasets.Image(decode=False))[0]["picture"]
        for i in range(30)
    ]
    features = datasets.Features({"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["a", "b", "c"])})
    broken = datasets.Dataset.from_dict({"picture": encoded, "kind": LABELS.tolist()}, features=features)
    spec = on_disk(broken, tmp_path / "saved")
    with pytest.raises(LabError, match=r"^expected an image, got 4.png, .* or leave it out with --skip-damaged$"):
        load(spec, image_size=8)
    data = load(spec, image_size=8, skip_damaged=True)
    assert sorted(rows(data.train) + rows(data.test)) == [i for i in range(30) if i != 4]
    assert data.left_out == ("4.png",)


def test_datasets_that_are_something_else_are_refused(datasets, tmp_path):
    one = on_disk(table(datasets, [0, 1, 2, 3, 4]), tmp_path / "one")
    with pytest.raises(LabError, match=r"^expected two or more images of 'cow' in .*, got 1: add some, or name test"):
        load(one)
    alone = datasets.DatasetDict(train=table(datasets, [0, 1]), test=table(datasets, [2]))
    with pytest.raises(
        LabError, match=r"^expected images of the same classes .*, got none of 'cow' in train: add some$"
    ):
        load(on_disk(alone, tmp_path / "alone"))
    plain = datasets.Dataset.from_dict({"a": [1], "b": [2]})
    with pytest.raises(LabError, match=r"^expected a column of Image in .*, got a, b: cast one with cast_column$"):
        load(on_disk(plain, tmp_path / "plain"))
    unlabelled = table(datasets, range(6)).map(
        lambda row, i: {"kind": None if i == 3 else row["kind"]}, with_indices=True
    )
    with pytest.raises(LabError, match=r"^expected a class label in every row of .*, got rows without a label: filter"):
        load(on_disk(unlabelled, tmp_path / "unlabelled"))
    with pytest.raises(
        LabError, match=r"^expected a dataset that save_to_disk wrote, or one of the hub, got no/where \("
    ):
        load("hf:no/where")
    others = on_disk(table(datasets, range(6), names=("x", "y", "z")), tmp_path / "others")
    with pytest.raises(
        LabError, match=r"^expected images and classes of .* named as those of .*, got picture of x, y, z"
    ):
        load(one, test_data=others)
