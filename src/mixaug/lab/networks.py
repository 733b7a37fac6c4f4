"""Networks by name: mixaug's own, those of keras.applications, functions of the user; and their first weights."""

from __future__ import annotations

import hashlib
import inspect
import sys
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import h5py
import keras
import numpy as np
from keras import layers

from . import models
from .errors import LabError, unknown
from .models import HEAD

Shape: TypeAlias = tuple[int, int, int]

NAMED_WEIGHTS = ("random", "imagenet")
USUAL = 224  #: the side of images whose size is not known yet
IMAGENET_CLASSES = 1000  #: of the classifiers that keras.applications has weights of


def build(name: str, shape: Shape, outputs: int, *, per_pixel: bool = False, weights: str = "random") -> keras.Model:
    """A network by its name, which takes pixels of 0..255 and gives logits, or other numbers for every pixel.

    Args:
        name: one of mixaug's own (`models.build`), any of `keras.applications` by its name (whose own preprocessing is
            part of the network; grey images are repeated to three channels), or "module:function", which is called
            with the shape and `outputs` and returns such a Keras model.
        shape: (h, w, c) of the images.
        outputs: how many numbers it gives, such as one a class.
        per_pixel: whether it gives them for every pixel.
        weights: "random"; "imagenet" (keras.applications alone, downloaded once by Keras); or the path of a file of
            weights of the same network, .weights.h5, .keras or .h5. The last layer stays random where the file has one
            for another number of outputs.

    Raises:
        LabError: the name is unknown, the network cannot be built for this shape, or the weights are those of another.

    >>> build("MobileNetV3Small", (64, 64, 1), 5).output_shape
    (None, 5)
    """
    _check_weights(name, per_pixel, weights)
    if ":" in name:
        model = _of_the_user(name, shape, outputs, per_pixel)
    elif (application := None if per_pixel else find_application(name)) is not None:
        model = _of_application(application, shape, outputs, weights)
    else:
        _check_name(name, per_pixel)
        model = models.build(name, shape, outputs, per_pixel=per_pixel)
    if weights not in NAMED_WEIGHTS:
        load(model, Path(weights).expanduser())
    return model


def _check_weights(name: str, per_pixel: bool, weights: str) -> None:
    if weights == "imagenet" and (per_pixel or find_application(name) is None):
        _check_name(name, per_pixel)
        way_out = "take --weights random, the path of a file, or a --model of keras.applications such as ResNet50"
        raise LabError(f"expected --weights imagenet with a network of keras.applications, got {name}: {way_out}")
    path = Path(weights).expanduser()
    if weights not in NAMED_WEIGHTS and not path.is_file():
        raise LabError(f"expected a file of weights, got {path}: no such file; name one, or take --weights random")


def check(name: str, size: int | None, *, per_pixel: bool, weights: str) -> None:
    """Refuse a network or weights that cannot be had, before any data are read.

    Args:
        name: as for `build`. The function of the user is not called: it may fit the data alone.
        size: the side of the images, if that is known already.
        per_pixel: as for `build`.
        weights: as for `build`.

    Raises:
        LabError: as of `build`.
    """
    if ":" in name:
        _function(name)
        _check_weights(name, per_pixel, weights)
        return
    side = size or USUAL
    try:
        build(name, (side, side, 3), 2, per_pixel=per_pixel, weights=weights)
    except LabError:
        if weights in NAMED_WEIGHTS or find_application(name) is not None:
            raise
        build(name, (side, side, 1), 2, per_pixel=per_pixel, weights=weights)  # they may be of grey images


def freeze(model: keras.Model, frozen: bool) -> None:
    """Let only the last layer of the network learn, or all of it; a frozen BatchNorm uses its stored statistics.

    Raises:
        LabError: if there is no layer of that name to tell the head from the rest.
    """
    if HEAD not in [layer.name for layer in model.layers]:
        way_out = f'name its last layer "{HEAD}", or leave out --head-epochs'
        raise LabError(f'expected a network whose last layer is named "{HEAD}", got {model.name}: {way_out}')
    for layer in model.layers:
        layer.trainable = not frozen or layer.name == HEAD


def applications() -> dict[str, Callable[..., keras.Model]]:
    """The functions of `keras.applications`, by name."""
    return {name: kind for name, kind in vars(keras.applications).items() if inspect.isfunction(kind)}


def find_application(name: str) -> Callable[..., keras.Model] | None:
    """A function of `keras.applications`, whatever the case of its name; None for one of mixaug's own or no name.

    >>> find_application("resnet50").__name__, find_application("resnet20")
    ('ResNet50', None)
    """
    return {known.lower(): kind for known, kind in applications().items()}.get(name.lower())


def _check_name(name: str, per_pixel: bool) -> None:
    if ":" in name:
        return
    if per_pixel and name not in models.PER_PIXEL:
        raise unknown("a model that answers for every pixel", name, [*models.PER_PIXEL, "module:function"])
    if not per_pixel and name not in models.PER_IMAGE:
        raise unknown(
            "a model", name, [*models.PER_IMAGE, *applications(), "module:function"], shown=[*models.PER_IMAGE, _OTHERS]
        )


_OTHERS = "any of keras.applications such as ResNet50, or module:function"


def _of_application(kind: Callable[..., keras.Model], shape: Shape, outputs: int, weights: str) -> keras.Model:
    pixels = keras.Input(shape, name="pixels")
    colours = pixels if shape[-1] == 3 else layers.Concatenate()([pixels] * 3)
    prepared = sys.modules[kind.__module__].preprocess_input(layers.Rescaling(1.0)(colours))
    try:
        backbone = kind(
            include_top=False,
            weights="imagenet" if weights == "imagenet" else None,
            input_shape=(*shape[:2], 3),
            pooling="avg",
        )
    except ValueError as error:
        way_out = "choose another --image-size; 224 is usual"
        raise LabError(
            f"expected a size that {kind.__name__} takes, got {shape[0]}x{shape[1]} ({error}): {way_out}"
        ) from error
    except Exception as error:  # a download: urllib, ssl and Keras each have their own
        way_out = "put them into a file and name it by --weights FILE, or take --weights random"
        raise LabError(f"expected the ImageNet weights of {kind.__name__}, got {error}: {way_out}") from error
    return keras.Model(pixels, models.head(backbone(prepared), outputs), name=kind.__name__)


def _of_the_user(name: str, shape: Shape, outputs: int, per_pixel: bool) -> keras.Model:
    model = _function(name)(shape, outputs)
    if not isinstance(model, keras.Model):
        raise LabError(f"expected {name} to return a Keras model, got {type(model).__name__}: return one")
    expected = (None, *(shape[:2] if per_pixel else ()), outputs)
    for what, came, wanted in (("input", model.input_shape, (None, *shape)), ("output", model.output_shape, expected)):
        if came != wanted:
            way_out = "build it for the shape and the number of outputs that the function is called with"
            raise LabError(f"expected a network of {what} shape {wanted} from {name}, got {came}: {way_out}")
    return model


def _function(name: str) -> Callable[..., Any]:
    """The function that "module:function" names; modules of the current folder are found, too."""
    module, _, function = name.partition(":")
    way_out = "run mixaug in the folder of the module, or put that folder on PYTHONPATH"
    with _current_folder():
        try:
            found = getattr(import_module(module), function)
        except (ImportError, ValueError, AttributeError) as error:
            raise LabError(f"expected a function module:function, got {name!r} ({error}): {way_out}") from error
    if not callable(found):
        raise LabError(f"expected {name} to be a function, got {type(found).__name__}: name one that builds a model")
    return found  # type: ignore[no-any-return]


@contextmanager
def _current_folder() -> Iterator[None]:
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path.pop(0)


# --- weights ---


def load(model: keras.Model, path: Path) -> None:
    """Load the weights of a file into a network: all of them, all but the head, or an application's without its own.

    Keras itself leaves layers that it does not find in a file at random values. Here each weight of the network has to
    be in the file, bit by bit, and what is left over in the file has to be a head.

    Raises:
        LabError: the file cannot be read, or holds the weights of another network.
    """
    stored = _stored(path)
    start = model.get_weights()
    for part, heads in _parts(model):
        if _loaded(part, path, stored, heads):
            return
        model.set_weights(start)
    raise LabError(
        f"expected the weights of {model.name}, got {path}, which has others ({sum(stored.values())} arrays, the "
        f"network {len(model.weights)}): name the network they are of by --model, or take --weights random"
    )


def _parts(model: keras.Model) -> Iterator[tuple[keras.Model, Callable[[], list[Counter[tuple[int, ...]]]]]]:
    """What a file may hold the weights of, and the shapes of the heads that it may hold beside."""
    yield model, lambda: []
    if HEAD not in [layer.name for layer in model.layers]:
        return
    features = model.get_layer(HEAD).input
    width = features.shape[-1]
    yield keras.Model(model.input, features), lambda: [Counter([(width, -1), (-1,)])]
    application = find_application(model.name)
    if application is not None:
        backbone = next(layer for layer in model.layers if isinstance(layer, keras.Model))
        yield backbone, lambda: [_head_of(application, backbone)]


def _head_of(application: Callable[..., keras.Model], backbone: keras.Model) -> Counter[tuple[int, ...]]:
    """The shapes of the weights that an ImageNet classifier has beside its backbone."""
    whole = application(weights=None, include_top=True, classes=IMAGENET_CLASSES)
    return Counter(tuple(w.shape) for w in whole.weights) - Counter(tuple(w.shape) for w in backbone.weights)


Stored: TypeAlias = Counter[tuple[tuple[int, ...], bytes]]  # shape and hash of each array


def _loaded(part: keras.Model, path: Path, stored: Stored, heads: Callable[[], list[Counter[tuple[int, ...]]]]) -> bool:
    """Whether the file's weights are those of this part, which has them then."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of layers that are not in the file: found below
            part.load_weights(path)
    except Exception:  # Keras and h5py have several
        return False
    wanted = Counter(_known(np.asarray(keras.ops.convert_to_numpy(w))) for w in part.weights)
    if wanted - stored:
        return False
    left = Counter(shape for shape, _ in (stored - wanted).elements())
    return not left or any(_is_head(left, head) for head in heads())


def _is_head(left: Counter[tuple[int, ...]], head: Counter[tuple[int, ...]]) -> bool:
    """Whether shapes are those of a head, where -1 stands for the number of its outputs."""
    outputs = {shape[0] for shape in left if len(shape) == 1}
    return any(
        left == Counter(tuple(n if size == -1 else size for size in shape) for shape in head.elements())
        for n in outputs
    )


def _stored(path: Path) -> Stored:
    """The weights in a file, without those of an optimizer and the states of random numbers."""
    try:
        with path.open("rb") as file, h5py.File(_h5(file), "r") as opened:
            found: Stored = Counter()

            def visit(name: str, item: Any) -> None:
                if isinstance(item, h5py.Dataset) and not {"optimizer", "_optimizer", "seed_generator"} & {
                    *name.split("/")
                }:
                    found[_known(item[()])] += 1

            opened.visititems(visit)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        way_out = "name a .weights.h5, .keras or .h5 file that Keras wrote"
        raise LabError(f"expected a file of weights, got {path}, which cannot be read ({error}): {way_out}") from error
    return found


def _h5(file: BinaryIO) -> BinaryIO:
    """The HDF5 file itself, or the one in a .keras archive."""
    if not zipfile.is_zipfile(file):
        return file
    with zipfile.ZipFile(file) as archive:
        return BytesIO(archive.read("model.weights.h5"))


def _known(array: Any) -> tuple[tuple[int, ...], bytes]:
    array = np.ascontiguousarray(array)
    return array.shape, hashlib.blake2b(array.tobytes(), digest_size=16).digest()
