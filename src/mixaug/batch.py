"""`mix_batch`: check a batch, draw a mix, apply it to every field."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypedDict, Unpack

import numpy as np

from . import backends, loss_advice
from .backends import Array, Dim
from .core import keys
from .core.checks import check_sizes
from .core.hints import known_options, short
from .core.keys import Key, KeyLike
from .core.regions import Size, Sizes
from .core.rows import Rows
from .core.scale import same
from .fields import Boxes, Field, Fields, Images, Labels, PerSource, Values, find, is_list, quoted, resolve, tree
from .fields.class_weights import NEW, ClassWeights, are_sample_weights, extended
from .fields.class_weights import resolve as resolve_weights
from .fields.needs import guides_of
from .fields.plan import BatchPlan, check_form, count_rows, plan
from .mix import Mix, joined, widened
from .ops.rows import check_alike
from .pairing import FromBank, Pairing
from .recipes import Recipe, check_recipe, identity
from .recipes.recipe import DrawArgs, check_flag, check_whole

Batch: TypeAlias = tree.Tree  #: a dict of fields, (images, labels) or (images, labels, sample_weight), possibly nested

MAX_COPIES = 1024
COPIES = -4  #: folded into the key of copies; no recipe uses this number


class ItemOptions(TypedDict, total=False):
    """The options of `mix_batch` that apply to single samples of a dataset."""

    num_classes: int | None
    fields: Fields | None
    return_mix: bool
    class_weights: ClassWeights | None
    size: Sequence[int] | None


class DatasetOptions(ItemOptions, total=False):
    """The options of `mix_batch` that apply to batches of a dataset, whose partners the dataset chooses."""

    include_clean: bool
    copies: int


class Options(DatasetOptions, total=False):
    """The options of `mix_batch` and of every adapter that calls it."""

    pairing: Pairing | None
    bank: Batch | None


@known_options(Options)
@backends.no_autograph
def mix_batch(recipe: Recipe | str, batch: Batch, *more: Any, key: KeyLike = None, **options: Unpack[Options]) -> Batch:
    """Mix a batch with one draw for all of its fields.

        mix = recipe.draw(n, size of the first image field, key=key)

    Args:
        recipe: the recipe, or its text, such as "cutmix".
        batch: a dict of fields, an (images, labels) pair or an (images, labels, sample_weight) triple; arrays of one
            library with n rows each, in nested dicts and tuples. Fields named image(s), pixel_values, label(s),
            mask(s), segmentation_mask(s), foreground, value(s), sample_weight(s), saliency and instances are
            recognized. Sample weights are averaged with weights lam, like labels.
        more: not allowed; pass images and labels as one batch.
        key: (seed, step) or (seed, epoch, step), an int s for (s, 0), or a JAX PRNG key. The same key gives the same
            mix, so count the steps. Without a key the operating system draws one, regardless of the libraries' seeds;
            traced code (`tf.function`, `jax.jit`, `torch.compile`) has to pass one.
        options: keyword arguments, all optional:

            - num_classes: needed for class ids.
            - fields: the kinds of fields with other names, {"photo": "images", "kind": "labels", "caption": "keep"}, or
              with options, {"images": ma.Images(layout="nchw"), "labels": ma.PerSource()}. In a nested batch use the
              field's own name or its path, "targets/kind"; for a tuple of any length, one kind per part.
            - pairing: how partners are chosen, such as `ma.pairing.SameClass()`; by default all other rows are equally
              likely.
            - bank: another batch of the same structure, with any number of rows, which partners are taken from.
            - include_clean: whether to return the unmixed batch followed by the mixed one, 2n rows in one batch, as in
              RegMixup (Pinto et al. 2022).
            - copies: the number of mixed copies of the batch, each drawn independently; the first equals the result
              without `copies`.
            - return_mix: whether to return the `Mix` too, as the last part of a tuple or as "mix" in a dict. It belongs
              to the batch's library and has a column per output row; its `index` refers to rows of the input batch
              (followed by those of the bank), or of the dataset if there is one.
            - class_weights: {class: weight}, or one weight per class. The sample weight of an output is multiplied by
              sum_k lam[k] * weight[class of source k]. If there are no sample weights, a tuple gains a last part and a
              dict gains "sample_weight", float32 (n,). With several label fields use {"kind": {class: weight}}.
            - size: the spatial size of the mixed images, if it differs from that of the input, for recipes that resize
              sources to boxes: `ma.mix_batch(ma.Mosaic(), batch, size=(640, 640))`. Masks and other images keep their
              size relative to the first images: a length h becomes floor(h * size / length). Boxes and keypoints are
              moved.

    Returns:
        A new batch of the same structure. Inputs are never written to.

    Raises:
        TypeError, ValueError: if a field is not recognized, if fields differ in library or number of rows, or if there
            are no images.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> images, labels = np.zeros((4, 8, 8, 3), np.uint8), np.array([0, 1, 2, 1])
        >>> mixed, weights = ma.mix_batch(ma.CutMix(), (images, labels), key=(0, 0), num_classes=3)
        >>> mixed.shape, weights.shape
        ((4, 8, 8, 3), (4, 3))
        >>> masks = np.zeros((4, 8, 8), np.uint8)
        >>> [x.shape for x in ma.mix_batch(ma.CutMix(), (images, masks), key=(0, 0), fields=("images", "masks"))]
        [(4, 8, 8, 3), (4, 8, 8)]
    """
    recipe = check_recipe("recipe", recipe)
    if more:
        raise TypeError(
            f"mix_batch: expected one batch, got {1 + len(more)} arguments after the recipe; pass them as one, "
            "mix_batch(recipe, (x, y), ...), or call the recipe, recipe(x, y, ...)"
        )
    return mix_rows(recipe, Rows(batch), key, **options)


Recipe.mix_batch = staticmethod(mix_batch)  # used by Recipe.__call__, which cannot import this module


class Settings(NamedTuple):
    """The options of a batch, checked: those of `Options`, with their defaults."""

    num_classes: int | None = None
    fields: Fields | None = None
    pairing: Pairing | None = None
    bank: Batch | None = None
    include_clean: bool = False
    copies: int = 1
    return_mix: bool = False
    class_weights: ClassWeights | None = None
    size: Sequence[int] | None = None


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "include_clean": partial(check_flag, "include_clean"),
    "return_mix": partial(check_flag, "return_mix"),
    "copies": lambda copies: check_whole("copies", copies, 1, MAX_COPIES),
}


@backends.no_autograph
def mix_rows(
    recipe: Recipe,
    rows: Rows,
    key: KeyLike,
    *,
    numbers: Array | None = None,
    advises: bool = True,
    **options: Unpack[Options],
) -> Batch:
    """Mix batches as `mix_batch` does, with sources that may be rows of another batch or of a dataset.

    Args:
        recipe: what to draw from.
        rows: where the base samples and their sources come from: batches of one form.
        key: as for `mix_batch`.
        numbers: integers (n,), the row number of each output, which it is drawn by; by default 0 .. n - 1.
        advises: whether to say which loss fits the mixed labels; False if the caller chooses the loss.
        options: as for `mix_batch`.
    """
    settings = Settings(**{name: _CHECKS[name](x) if name in _CHECKS else x for name, x in options.items()})  # type: ignore[arg-type]
    form = rows.others if rows.base is None else rows.base
    check_labels(form, recipe, settings.fields)
    known = plan(form, settings.fields, settings.num_classes)
    values = tree.several(form, known.fields)
    draws, pairs = _prepared(recipe, rows, settings, known, values, numbers)
    weights = None
    if settings.class_weights is not None:
        weights = resolve_weights(settings.class_weights, known.fields, form, settings.num_classes)
    if advises and known.is_one_class is not None:
        loss_advice.say(known.library.name, known.is_one_class)

    mixes, copies = [], []
    for one, its_key in _copies(recipe, keys.make(key), settings):
        mix = draws.mix(one, its_key)
        mixed = {name: mixer(mix, *pairs[name], pairs) for name, mixer in known.mixers.items()}
        copies.append(mixed if weights is None else weights.applied(mix, mixed, pairs))
        mixes.append(mix)
    columns = copies[0] if len(copies) == 1 else _joined_copies(known.library, copies)
    out = tree.replaced(form, columns)
    if weights is not None and NEW in columns:
        out = extended(out, columns[NEW])
    return with_mix(out, joined(mixes)) if settings.return_mix else out


def _copies(recipe: Recipe, key: Key, settings: Settings) -> list[tuple[Recipe, Key]]:
    """Return the recipe and the key of each copy of a batch, the unmixed one first."""
    copies = [(identity(), key), (recipe, key)] if settings.include_clean else [(recipe, key)]
    if settings.copies > 1:
        further = keys.fold_in(key, COPIES)
        copies += [(recipe, keys.fold_in(further, number)) for number in range(1, settings.copies)]
    return copies


class _Draws(NamedTuple):
    """What the mixes of all copies of a batch have in common."""

    n: Dim
    sizes: Sizes
    index: Array | None  # type: ignore[assignment] # not the method of tuples
    numbers: Array | None
    pairing: Pairing | None
    paired_by: Array | None  #: the field that the pairing uses
    like: Array  #: an array of the batch
    in_numpy: bool  #: whether a mix of NumPy serves, which is drawn sooner
    guides: Mapping[str, Array]
    slots: int  #: sources that every mix has room for, so that clean and mixed samples have as many objects

    def mix(self, recipe: Recipe, key: Key) -> Mix:
        """Draw the mix of one copy."""
        index = None if self.index is None else self.index[: recipe.sources]
        if self.pairing is not None:
            index = self.pairing.index(self.n, recipe.sources, key=key, like=self.like, by=self.paired_by)
        guides = self.guides if recipe.needs else {}
        args = DrawArgs(self.n, self.sizes, key, index, self.numbers, guides)
        mix = recipe.draw_args(args, None if self.in_numpy else self.like)
        return widened(mix, self.slots) if self.slots else mix


def _prepared(
    recipe: Recipe, rows: Rows, settings: Settings, known: BatchPlan, values: dict[str, Any], numbers: Array | None
) -> tuple[_Draws, dict[str, tuple[Any, Any]]]:
    """Return what the mixes of a batch are drawn from, and the base samples and sources of each field."""
    like, xp, n, pairing = known.like(values), known.library, known.rows, settings.pairing
    _check_who(rows.index, pairing, settings.bank)
    sources = {} if rows.others is None else tree.several(rows.others, known.fields)
    if rows.base is None and rows.index is not None:
        n = rows.index.shape[1]
        values = {name: _own(known.fields[name], x, rows.index[0]) for name, x in values.items()}
    if settings.bank is not None:
        others = _of_bank(settings.bank, values, settings.fields)
        sources, pairing = _with_bank(xp, values, others), FromBank(count_rows(others))
    in_numpy = not (known.per_source or settings.return_mix) and xp.as_numpy(like) is not None
    draws = _Draws(
        n=n,
        sizes=known.sizes if settings.size is None else _output_sizes(settings, known.sizes.output),
        index=rows.index,
        numbers=numbers,
        pairing=pairing,
        paired_by=None if pairing is None else _paired_by(xp, pairing, values, known.fields),
        like=like,
        in_numpy=in_numpy,
        guides=guides_of(recipe, known.fields, sources or values, in_numpy) if recipe.needs else {},
        slots=recipe.sources if settings.include_clean else 0,
    )
    return draws, {name: (x, sources.get(name)) for name, x in values.items()}


def _output_sizes(settings: Settings, of_images: Size) -> Sizes:
    """Return the size of outputs that was asked for, and that of the images."""
    sizes = check_sizes(settings.size or (), of_images)
    if settings.include_clean and not same(*sizes):
        raise ValueError(
            f"include_clean: expected outputs of the size of the images, {of_images}, beside it, got "
            f"size={sizes.output}; leave include_clean or size out"
        )
    return sizes


def with_mix(batch: Batch, mix: Any) -> Batch:
    """Return the batch with its mix: as "mix" in a dict, as the last part of a tuple or a list."""
    if isinstance(batch, Mapping):
        if "mix" in batch:
            raise ValueError("return_mix: expected a batch without a field 'mix', got one; rename the field")
        return {**batch, "mix": mix}
    if isinstance(batch, list):
        return [*batch, mix]
    return (*batch, mix) if isinstance(batch, tuple) else (batch, mix)


def without_mix(batch: Batch, form: Batch) -> tuple[Batch, Any]:
    """Undo `with_mix`: return a batch of the given form, and the mix."""
    if isinstance(batch, Mapping):
        return {name: field for name, field in batch.items() if name != "mix"}, batch["mix"]
    return batch[:-1] if isinstance(form, (tuple, list)) else batch[0], batch[-1]


def _own(kind: Field, field: Any, rows: Array) -> Any:
    """Return the base samples of a field of a source; None for images, which kernels read from the source."""
    if isinstance(kind, Images):
        return None
    return tree.each_column(field, lambda x: [x[row] for row in rows.tolist()] if isinstance(x, list) else x[rows])


def collated(samples: Sequence[Batch], fields: Fields | None, collate: Callable[[Sequence[Batch]], Batch]) -> Batch:
    """Collate samples with a function; boxes that differ in number become lists."""
    kinds = resolve(samples[0], fields, None)
    ragged = [name for name, kind in kinds.items() if isinstance(kind, Boxes) and kind.ragged]
    if not ragged:
        return collate(samples)
    lists = {name: [tree.at(sample, name) for sample in samples] for name in ragged}
    rest = collate([tree.replaced(sample, dict.fromkeys(ragged, 0)) for sample in samples])
    return tree.replaced(rest, lists)


def check_labels(batch: Batch, recipe: Recipe, fields: Fields | None) -> None:
    """Raise a ValueError for images without labels that would be mixed with others: labels may have been forgotten."""
    alone = hasattr(batch, "dtype") or (isinstance(batch, (tuple, list)) and len(batch) == 1)
    if alone and fields is None and recipe.sources > 1:
        raise ValueError(
            f"batch: expected labels beside the images, because {type(recipe).__name__} mixes several images, got "
            'images alone; pass (images, labels), or fields="images" if there are no labels'
        )


def _check_who(index: Array | None, pairing: Pairing | None, bank: Batch | None) -> None:
    """Raise a TypeError if partners are given in more than one way."""
    if pairing is not None and not isinstance(pairing, Pairing):
        raise TypeError(f"pairing: expected a pairing, got {short(pairing)}; pass one such as ma.pairing.SameClass()")
    if bank is not None and (index is not None or pairing is not None):
        beside = "a dataset" if pairing is None else "a pairing"
        raise TypeError(
            f"bank: expected nothing else to say who is mixed with whom, got {beside}; leave one of them out"
        )
    if index is not None and pairing is not None:
        raise TypeError(
            f"pairing: expected none, got {pairing!r}; a pairing is for sources from a batch, these are from a dataset"
        )


def _of_bank(bank: Batch, values: Mapping[str, Any], fields: Fields | None) -> dict[str, Any]:
    check_form(bank, fields)
    paths = list(tree.leaves(tree.replaced(bank, dict.fromkeys(values, np.empty(0)))))
    others = tree.several(bank, values) if set(paths) == set(values) else {}
    same = others and all(
        tree.columns(x, name).keys() == tree.columns(values[name], name).keys() for name, x in others.items()
    )
    if not same:
        raise ValueError(
            f"bank: expected the fields of the batch, {quoted(values)}, got {quoted(paths)}; "
            "pass a batch of the same form"
        )
    return others


def _with_bank(xp: backends.Library, values: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the batch followed by those of the bank."""
    for name, field in values.items():
        theirs = tree.columns(others[name], name)
        for path, x in tree.columns(field, name).items():
            if not is_list(x):
                backends.same({path: x, f"bank {path}": theirs[path]})
                check_alike(xp, x, theirs[path], f"bank {path}")
    count = count_rows(others)
    if isinstance(count, int) and not count:
        raise ValueError("bank: expected one row or more, got none; leave bank out until it has some")
    return {name: _concat(xp, [x, others[name]]) for name, x in values.items()}


def _concat(xp: backends.Library, parts: Sequence[Any]) -> Any:
    """Concatenate the rows of several fields."""
    if isinstance(parts[0], Mapping):
        return {name: _concat(xp, [part[name] for part in parts]) for name in parts[0]}
    if is_list(parts[0]):
        return [row for part in parts for row in part]
    return xp.concat(parts)


def _paired_by(
    xp: backends.Library, pairing: Pairing, values: Mapping[str, Any], kinds: Mapping[str, Field]
) -> Array | None:
    """Return the field that a pairing uses: the one that it names, or the first of the kind that it needs."""
    if pairing.needs is None:
        return None
    if pairing.field is not None:
        return _numbered(xp, values[find(kinds, pairing.field, f"{type(pairing).__name__} field")])
    for wanted in (Labels, PerSource) if pairing.needs == "labels" else (Values,):
        for name, kind in kinds.items():
            if isinstance(kind, wanted) and not (wanted is Values and are_sample_weights(name)):
                return _numbered(xp, values[name])
    raise ValueError(
        f"{type(pairing).__name__}: expected {pairing.needs} to pair by, got {quoted(values)}; "
        f"name them in fields=, or pass ma.pairing.{type(pairing).__name__}(field=...)"
    )


def _numbered(xp: backends.Library, x: Any) -> Array:
    """Return an array; texts become numbers."""
    return xp.constant(np.unique(np.asarray(x), return_inverse=True)[1].reshape(-1)) if is_list(x) else x


def _joined_copies(xp: backends.Library, copies: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the fields of several copies of a batch, one copy after another."""
    for name, field in copies[0].items():
        if isinstance(field, tuple):
            raise TypeError(
                f"{name}: expected labels of one array for include_clean or copies, got PerSource; mix it by itself"
            )
    return {name: _concat(xp, [copy[name] for copy in copies]) for name in copies[0]}
