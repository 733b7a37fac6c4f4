"""Networks by name (mixaug's, those of keras.applications, functions of the user) and their initial weights."""

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
USUAL = 224  #: the image side to assume while the size is unknown
IMAGENET_CLASSES = 1000  #: the number of classes of the ImageNet weights of keras.applications


def build(name: str, shape: Shape, outputs: int, *, per_pixel: bool = False, weights: str = "random") -> keras.Model:
    """Build a network by name, from pixels of 0..255 to logits, or to outputs per pixel.

    Args:
        name: one of mixaug's networks (`models.build`), any of `keras.applications` (its preprocessing becomes part of
            the network; grey images are repeated to three channels), or "module:function", a function that is called
            with the shape and `outputs` and returns such a Keras model.
        shape: (h, w, c) of the images.
        outputs: the number of outputs, for example the number of classes.
        per_pixel: whether the outputs are per pixel.
        weights: "random"; "imagenet" (only keras.applications, downloaded once by Keras); or the path of a file with
            weights of the same network, .weights.h5, .keras or .h5. If the file is for another number of outputs, the
            last layer stays random.

    Raises:
        LabError: if the name is unknown, the network cannot be built for this shape, or the weights do not fit.

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
    """Check that a network and its weights are available, before reading data.

    Args:
        name: as in `build`. A function of the user is not called, as it may require the shape of the data.
        size: the side of the images, if already known.
        per_pixel: as in `build`.
        weights: as in `build`.

    Raises:
        LabError: as `build` does.
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
        build(name, (side, side, 1), 2, per_pixel=per_pixel, weights=weights)  # the weights may be for grey images


def freeze(model: keras.Model, frozen: bool) -> None:
    """Freeze all but the last layer of the network, or unfreeze it; frozen BatchNorm uses its stored statistics.

    Raises:
        LabError: if no layer is named `HEAD`.
    """
    if HEAD not in [layer.name for layer in model.layers]:
        way_out = f'name its last layer "{HEAD}", or leave out --head-epochs'
        raise LabError(f'expected a network whose last layer is named "{HEAD}", got {model.name}: {way_out}')
    for layer in model.layers:
        layer.trainable = not frozen or layer.name == HEAD


def applications() -> dict[str, Callable[..., keras.Model]]:
    """Return the functions of `keras.applications`, by name."""
    return {name: kind for name, kind in vars(keras.applications).items() if inspect.isfunction(kind)}


def find_application(name: str) -> Callable[..., keras.Model] | None:
    """Return a function of `keras.applications` by its name in any case; None for other names.

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
    except Exception as error:  # download errors of urllib, ssl and Keras
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
    """Return the function named by "module:function"; the module may be in the current folder."""
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
    """Load weights from a file into a network: all weights, all but the head, or those of an application's backbone.

    Keras silently keeps random values for layers that are missing in a file. Here every loaded weight must match the
    file bit by bit, and anything left over in the file must be a head.

    Raises:
        LabError: if the file cannot be read, or has the weights of another network.
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
    """Yield the parts of a network that a file may contain, with the shapes of additional heads it may contain."""
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
    """Return the shapes of the weights of an ImageNet classifier that are not part of its backbone."""
    whole = application(weights=None, include_top=True, classes=IMAGENET_CLASSES)
    return Counter(tuple(w.shape) for w in whole.weights) - Counter(tuple(w.shape) for w in backbone.weights)


Stored: TypeAlias = Counter[tuple[tuple[int, ...], bytes]]  # shape and hash of each array


def _loaded(part: keras.Model, path: Path, stored: Stored, heads: Callable[[], list[Counter[tuple[int, ...]]]]) -> bool:
    """Load the file into a part of the network; return whether the weights match."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about missing layers, which are detected below
            part.load_weights(path)
    except Exception:  # Keras and h5py raise several types
        return False
    wanted = Counter(_known(np.asarray(keras.ops.convert_to_numpy(w))) for w in part.weights)
    if wanted - stored:
        return False
    left = Counter(shape for shape, _ in (stored - wanted).elements())
    return not left or any(_is_head(left, head) for head in heads())


def _is_head(left: Counter[tuple[int, ...]], head: Counter[tuple[int, ...]]) -> bool:
    """Return whether shapes are those of a head; -1 stands for its number of outputs."""
    outputs = {shape[0] for shape in left if len(shape) == 1}
    return any(
        left == Counter(tuple(n if size == -1 else size for size in shape) for shape in head.elements())
        for n in outputs
    )


def _stored(path: Path) -> Stored:
    """Return the weights in a file, without the state of optimizers and random generators."""
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
    """Return the HDF5 file itself, or the one in a .keras archive."""
    if not zipfile.is_zipfile(file):
        return file
    with zipfile.ZipFile(file) as archive:
        return BytesIO(archive.read("model.weights.h5"))


def _known(array: Any) -> tuple[tuple[int, ...], bytes]:
    array = np.ascontiguousarray(array)
    return array.shape, hashlib.blake2b(array.tobytes(), digest_size=16).digest()
