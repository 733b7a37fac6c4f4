"""Draw contact sheets of batches: `ma.show`."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from . import backends, drawing
from .batch import Batch
from .core.layout import parse
from .fields import Boxes, Field, Fields, Guide, Images, Labels, Masks, PerSource, resolve, settle, tree
from .fields.needs import map_of
from .mix import Mix

Host = NDArray[Any]


@dataclass(frozen=True)
class Sheet:
    """A picture of a batch, which notebooks display.

    Args:
        image: the picture, a `PIL.Image.Image`.
        notes: notes on how pixels were converted for display.
    """

    image: Image.Image
    notes: tuple[str, ...] = ()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture atomically, in the format of the file suffix.

        Raises:
            ValueError: if the suffix is unknown.
            OSError: if the file cannot be written.
        """
        drawing.save(self.image, path)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.image.save(buffer, format="PNG")
        return buffer.getvalue()


@dataclass(frozen=True)
class _View:
    """A batch on the host, prepared for drawing."""

    images: Host  #: uint8 (n, h, w, 1 or 3)
    kinds: Mapping[str, Field]
    fields: Mapping[str, Any]
    notes: tuple[str, ...]


def show(
    batch: Batch,
    class_names: Sequence[str] | None = None,
    mix: Mix | None = None,
    fields: Fields | None = None,
    *,
    source: Batch | None = None,
    count: int = 12,
) -> Sheet:
    """Draw a contact sheet of a batch: images with labels, masks and boxes, and the source of each pixel.

    Args:
        batch: an argument or result of `ma.mix_batch`, of any library and layout; floats are scaled to 0..255. A mix
            added by `return_mix=True` is used.
        class_names: the names of the classes 0, 1, ...; by default their numbers.
        mix: the mix that made the batch; the sources of each pixel are drawn, with a colour for each source.
        fields: as for `ma.mix_batch`.
        source: the batch before mixing, with the same structure, to draw its images next to the mixed ones.
        count: the maximum number of rows to draw.

    Returns:
        A `Sheet`, which notebooks display; `.save(path)` writes it, `.image` is the picture.

    Raises:
        TypeError, ValueError: if fields are unknown, or images have no height and width.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> images, labels = np.zeros((4, 32, 32, 3), np.uint8), np.array([0, 1, 2, 1])
        >>> mixed = ma.CutMix()(images, labels, num_classes=3, key=0, return_mix=True)
        >>> ma.show(mixed, class_names=["cat", "dog", "owl"]).image.mode
        'RGB'
    """
    batch, own_mix = _split_mix(batch)
    mix = own_mix if mix is None else mix
    view = _view(batch, fields)
    sources = None if source is None else _view(_split_mix(source)[0], fields)
    if mix is not None and mix.index.shape[1] != len(view.images):
        raise ValueError(
            f"mix: expected a mix of {len(view.images)} outputs, one for each row, got {mix.index.shape[1]}; "
            "pass the mix that made the batch"
        )
    rows = range(min(count, len(view.images)))
    cells = [drawing.below(list(_cell(view, i, class_names, mix, sources)), drawing.SEAM) for i in rows]
    if not cells:
        raise ValueError("show: expected a batch of at least one row, got none; pass a batch with rows, and count=12")
    columns = min(len(cells), 6 if mix is None else 3 if sources is None else 1)
    sheet = drawing.in_columns(cells, columns, 24)
    texts = [drawing.line(note, drawing.font(12), drawing.QUIET, sheet.width) for note in view.notes]
    return Sheet(drawing.framed(drawing.below([sheet, *texts], 16), drawing.GAP), view.notes)


def _split_mix(batch: Batch) -> tuple[Batch, Mix | None]:
    """Split a batch into the batch and the mix that it contains, if any."""
    if isinstance(batch, Mapping) and isinstance(batch.get("mix"), Mix):
        return {name: field for name, field in batch.items() if name != "mix"}, batch["mix"]
    if isinstance(batch, (tuple, list)) and batch and isinstance(batch[-1], Mix):
        rest = batch[:-1]
        return rest[0] if len(rest) == 1 else rest, batch[-1]
    return batch, None


def _view(batch: Batch, fields: Fields | None) -> _View:
    kinds = resolve(batch, fields, None)
    arrays = tree.several(batch, kinds)
    kinds, _ = settle(kinds, arrays)
    name = next((name for name, kind in kinds.items() if isinstance(kind, Images)), None)
    if name is None:
        raise ValueError(f"show: expected images in the batch, got {', '.join(map(repr, kinds))}; name them in fields=")
    images, notes = _as_uint8(_channels_last(name, _host(name, arrays[name]), kinds[name]))
    return _View(images, kinds, arrays, notes)


def _host(name: str, x: Any) -> Host:
    xp = backends.of(x, name)
    detached = x.detach().cpu() if hasattr(x, "detach") else x
    values = backends.of(detached).concrete(detached) if hasattr(x, "detach") else xp.concrete(x)
    if values is None:
        raise TypeError(f"{name}: expected an array with values, got a traced one; call show outside the function")
    return np.asarray(values)


def _channels_last(name: str, x: Host, kind: Any) -> Host:
    """Convert to images (n, h, w, c), with the first frame of videos and the middle slice of volumes."""
    axes = parse(kind.layout, kind.spatial).axes
    if "h" not in axes or "w" not in axes:
        raise ValueError(f"{name}: expected images with height and width to draw, got the layout {axes!r}; pass images")
    for letter in "td":
        if letter in axes:
            axis = axes.index(letter)
            x = np.take(x, x.shape[axis] // 2 if letter == "d" else 0, axis)
            axes = axes.replace(letter, "")
    x = x if "c" in axes else x[..., None]
    order = (axes if "c" in axes else axes + "c").index
    return x.transpose([order(letter) for letter in "nhwc"])


def _as_uint8(x: Host) -> tuple[Host, tuple[str, ...]]:
    """Convert images to uint8 (n, h, w, 1 or 3), and return notes on the conversion."""
    notes = []
    if x.shape[-1] not in (1, 3):
        notes.append(f"of {x.shape[-1]} channels, the first{' three are' if x.shape[-1] > 3 else ' is'} shown")
        x = x[..., :3] if x.shape[-1] > 3 else x[..., :1]
    if x.dtype == np.uint8:
        return x, tuple(notes)
    x = x.astype(np.float32)
    finite = x[np.isfinite(x)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    else:
        notes.append(f"pixels are scaled from {low:.3g} .. {high:.3g}")
    scaled = (np.nan_to_num(x, nan=low, posinf=high, neginf=low) - low) * (255 / max(high - low, 1e-30))
    return np.rint(scaled).clip(0, 255).astype(np.uint8), tuple(notes)


def _cell(
    view: _View, i: int, names: Sequence[str] | None, mix: Mix | None, sources: _View | None
) -> Iterator[Image.Image]:
    """Yield the pictures and text of row i."""
    image = view.images[i]
    pictures = [drawing.shown(image)]
    if mix is not None:
        pictures.append(drawing.shown(drawing.origin(image, _weights(mix, image.shape)[:, i])))
        if sources is not None:
            pictures += _sources(mix, i, sources)
    cell = max(picture.width for picture in pictures)
    yield drawing.beside(pictures, cell, drawing.SEAM)
    for name, kind in view.kinds.items():
        picture = _overlay(view, name, kind, i, names)
        if picture is not None:
            yield picture
    width = cell * len(pictures)
    for text in _titles(view, i, names) or ([] if mix is None else _rows(mix, i)):
        yield drawing.line(text, drawing.font(13), drawing.INK, width)


def _weights(mix: Mix, shape: tuple[int, ...]) -> Host:
    """Return the weight of each source at each pixel of images of that shape."""
    weight = _host("mix", mix.pixel_weights())
    if weight.shape[2:] != shape[:2]:
        raise ValueError(
            f"mix: expected a mix of the size {shape[:2]} of the images, got {weight.shape[2:]}; pass the mix that "
            "made the batch"
        )
    return weight


def _sources(mix: Mix, i: int, sources: _View) -> list[Image.Image]:
    index, lam = _host("mix", mix.index)[:, i], _host("mix", mix.lam)[:, i]
    used = [j for j in range(len(index)) if lam[j] > 0]
    return [drawing.source(drawing.shown(sources.images[index[j]]), j, f"row {index[j]}", 160) for j in used]


def _rows(mix: Mix, i: int) -> list[str]:
    index, lam = _host("mix", mix.index)[:, i], _host("mix", mix.lam)[:, i]
    return drawing.terms(lam.tolist(), [f"row {row}" for row in index])


def _titles(view: _View, i: int, names: Sequence[str] | None) -> list[str]:
    """Return the text of the labels of row i."""
    titles: list[str] = []
    for name, kind in view.kinds.items():
        value = view.fields[name]
        lam = view.fields.get(f"{name.removesuffix('/0')}/1")
        if isinstance(kind, PerSource) and name.endswith("/0") and backends.find(value) and lam is not None:
            labels, lam = _host(name, value), _host(name, lam)
            classes = [_class_name(int(y.argmax()) if y.ndim else int(y), names) for y in labels[:, i]]
            titles += drawing.terms(lam[:, i].tolist(), classes)
        elif isinstance(kind, Labels):
            titles += _label(_host(name, value)[i], names)
    return titles


def _label(label: Host, names: Sequence[str] | None) -> list[str]:
    if label.ndim == 0:
        return [_class_name(int(label), names)] if float(label).is_integer() else [f"{float(label):.3g}"]
    if label.size == 1:
        return [f"{float(label.reshape(())):.2f}"]
    weights = label.astype(np.float64).tolist()
    hot = [c for c, weight in enumerate(weights) if weight > 0]
    if all(weights[c] == 1 for c in hot):
        return [_class_name(c, names) for c in hot] or ["no class"]
    return drawing.terms(weights, [_class_name(c, names) for c in range(len(weights))])


def _class_name(label: int, names: Sequence[str] | None) -> str:
    return drawing.plain(names[label]) if names is not None and 0 <= label < len(names) else f"class {label}"


def _overlay(view: _View, name: str, kind: Field, i: int, names: Sequence[str] | None) -> Image.Image | None:
    """Draw a mask, saliency or boxes over image i; None for other fields."""
    value, image = view.fields[name], view.images[i]
    if isinstance(kind, Masks) and not kind.soft:
        mask = _host(name, value)[i]
        mask = mask.reshape(mask.shape[:2]) if mask.ndim == 3 and mask.shape[-1] == 1 else mask
        mask = mask[0] if mask.ndim == 3 and mask.shape[0] == 1 else mask
        if mask.shape == image.shape[:2]:
            return drawing.shown(drawing.veiled(image, mask, kind.ignore_index))
    if isinstance(kind, Guide) and kind.need == "saliency":
        return drawing.shown(drawing.heated(image, _host(name, map_of(name, kind.need, kind, value))[i]))
    if isinstance(kind, Boxes):
        return _boxes(value, kind, image, i, names)
    return None


def _boxes(value: Any, kind: Boxes, image: Host, i: int, names: Sequence[str] | None) -> Image.Image:
    field = {"boxes": value} if not isinstance(value, (Mapping, list)) else value
    row = field[i] if isinstance(field, list) else {key: column[i] for key, column in field.items()}
    row = row if isinstance(row, Mapping) else {"boxes": row}
    boxes = _corners(_host("boxes", row["boxes"]).astype(np.float32), kind, image.shape)
    valid = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
    labels = _host("labels", row["labels"]).reshape(-1) if "labels" in row else np.zeros(len(boxes), np.int64)
    weight = _host("weight", row["weight"]) if "weight" in row else np.ones(len(boxes))
    named = [(drawing.class_colour(int(label) + 1), _class_name(int(label), names)) for label in labels[valid]]
    named = named if "labels" in row else [(colour, "") for colour, _ in named]
    return drawing.boxed(image, boxes[valid], named, ["" if w == 1 else f"{w:.2f}" for w in weight[valid]])


def _corners(boxes: Host, kind: Boxes, shape: tuple[int, ...]) -> Host:
    """Convert boxes (m, 4) to their left, top, right and bottom edges in pixels."""
    start, end = boxes[:, :2], boxes[:, 2:]
    if kind.format == "yxyx":
        start, end = start[:, ::-1], end[:, ::-1]
    if kind.format == "cxcywh":
        start = start - end / 2
    end = start + end if kind.format.endswith("wh") else end
    edges = np.concatenate([start, end], axis=1)
    sides = np.array([shape[1], shape[0]] * 2, np.float32)
    return edges * sides if kind.normalized else edges
