"""What is meant by an option or a name that there is not: the words of other libraries, and near misses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from functools import wraps
from inspect import signature
from math import inf
from typing import Any, TypeVar, cast, is_typeddict

F = TypeVar("F", bound=Callable[..., Any])

#: The option here that an option of other libraries, or of an older name, is: the first that there is.
_SAME: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("n_classes", "classes", "num_labels", "nb_classes", "num_class"), ("num_classes",)),
    **dict.fromkeys(("seed", "rng", "generator", "random_state", "random_seed", "step"), ("key", "seed", "mix_seed")),
    **dict.fromkeys(("beta", "factor", "mixup_alpha", "cutmix_alpha", "mix_alpha", "lambda_val"), ("alpha",)),
    **dict.fromkeys(("lam", "lambda", "lambda_", "lmbda"), ("lam", "alpha")),
    **dict.fromkeys(("parents", "num_mix", "ways"), ("sources", "index")),
    **dict.fromkeys(("repeat", "num_repeats", "n_copies"), ("copies",)),
    **dict.fromkeys(("keep_clean", "keep_original", "clean"), ("include_clean",)),
    **dict.fromkeys(("labels_getter", "data_keys", "additional_targets", "targets"), ("fields",)),
    **dict.fromkeys(("mix", "return_lam", "return_mask", "return_index"), ("return_mix",)),
    **dict.fromkeys(("p", "prob", "probs", "probability"), ("p", "prob", "weights")),
    **dict.fromkeys(("channels", "data_format", "channel_axis", "channels_last"), ("layout",)),
    **dict.fromkeys(("partner", "indices", "permutation"), ("pairing", "index")),
    **dict.fromkeys(("scale", "low", "high", "min_area", "max_area"), ("area",)),
    **dict.fromkeys(("ratio", "min_aspect", "max_aspect"), ("aspect",)),
    **dict.fromkeys(("min_count", "max_count", "num_holes_range", "max_holes", "num_holes", "n_holes"), ("count",)),
    **dict.fromkeys(("value", "fill_value"), ("fill",)),
    **dict.fromkeys(("hole_height_range", "max_height"), ("height",)),
    **dict.fromkeys(("hole_width_range", "max_width"), ("width",)),
    "epoch": ("key",),
    "key": ("seed", "mix_seed"),
    "first": ("rows",),
    "union": ("rule",),
    "visible": ("rule",),
    "memory": ("bank",),
}

_WRITE = {
    "key": "key=(seed, step), such as key=(0, 0)",
    "layout": 'layout=, such as layout="nchw"',
    "rule": 'rule="maximum" or rule="visible"',
}

_CHANCE = "for a chance of mixing wrap the recipe, ma.sometimes(0.5, ma.CutMix())"
_CHOICE = "to choose among recipes write ma.one_of(ma.MixUp(), ma.CutMix(), weights=(1, 1))"
_CALL = "it belongs to the call, ma.CutMix()(images, labels, num_classes=10, key=(0, 0)), and to each adapter"
_BATCHES = "it is an option where batches are mixed one by one, ma.mix_batch(recipe, batch, ...)"
_SMOOTH = "smooth the mixed labels with ma.losses.smooth(labels, 0.1)"
_BATCH = "ma.per_batch(ma.CutMix()) draws once for a whole batch; without it each sample has a draw of its own"
_RIGHT = "leave it out: labels follow the pixels"
_FOREGROUND = 'write fields={"labels": ma.Labels(rule="maximum")}'

#: What is meant where there is no such option.
_MEANT: dict[str, str] = {
    **dict.fromkeys(("p", "prob", "probability", "cutmix_prob", "mixup_prob", "apply_prob", "always_apply"), _CHANCE),
    **dict.fromkeys(("probs", "switch_prob", "transforms"), _CHOICE),
    **dict.fromkeys(("mode", "same_on_batch", "same_lambda", "elementwise"), _BATCH),
    **dict.fromkeys(("num_classes", "n_classes", "num_labels", "key", "seed", "rng", "fields", "return_mix"), _CALL),
    **dict.fromkeys(("labels_getter", "data_keys"), _CALL),
    **dict.fromkeys(("label_smoothing", "smoothing"), _SMOOTH),
    **dict.fromkeys(("correct_lam", "use_correct_lambda"), _RIGHT),
    **dict.fromkeys(("inplace", "in_place", "copy"), "leave it out: inputs are never written to"),
    **dict.fromkeys(("stack_y", "interpolate_loss"), 'write fields={"labels": "per_source"}'),
    **dict.fromkeys(("dtype", "scale", "mean", "std"), 'write fields={"images": ma.Images(dtype="float32")}'),
    **dict.fromkeys(("channels", "data_format", "layout"), 'write fields={"images": ma.Images(layout="nchw")}'),
    **dict.fromkeys(("union", "rule"), _FOREGROUND),
    **dict.fromkeys(("cutmix_minmax", "minmax"), "write ma.CutMixMinMax(low=0.2, high=0.8)"),
    **dict.fromkeys(("parents", "sources", "num_mix"), "it is an option of recipes, ma.MixUp(sources=3)"),
    **dict.fromkeys(("alpha", "lam", "beta"), "it is an option of recipes, ma.CutMix(alpha=1.0)"),
}

_OF_BATCHES = ("pairing", "bank", "copies", "include_clean", "repeat", "keep_clean")

#: What a name of other libraries, or an older one, is here.
_NAMES: dict[str, str] = {
    "randomchoice": "one_of(ma.MixUp(), ma.CutMix())",
    "oneof": "one_of(ma.MixUp(), ma.CutMix())",
    "someof": "one_of(ma.MixUp(), ma.CutMix())",
    "compose": "one_of(ma.MixUp(), ma.CutMix()), as a batch is mixed once",
    "sequential": "one_of(ma.MixUp(), ma.CutMix()), as a batch is mixed once",
    "augmentationsequential": "one_of(ma.MixUp(), ma.CutMix()), as a batch is mixed once",
    "randombatchaugment": "one_of(ma.MixUp(), ma.CutMix())",
    "mixupandcutmix": "one_of(ma.MixUp(), ma.CutMix())",
    "cutmixandmixup": "one_of(ma.MixUp(), ma.CutMix())",
    "randomapply": "sometimes(0.5, ma.CutMix())",
    "maybe": "sometimes(0.5, ma.CutMix())",
    "randommixup": "MixUp",
    "randommixupv2": "MixUp",
    "vanillamixup": "MixUp",
    "randomcutmix": "CutMix",
    "randomcutmixv2": "CutMix",
    "randommosaic": "Mosaic",
    "mosaic4": "Mosaic",
    "randomerase": "RandomErasing",
    "coarsedropout": "Cutout",
    "randomcutout": "Cutout",
    "fouriermix": "FMix",
    "gridmask": "GridMix",
    "insidecutmix": 'CutMix(placement="inside")',
    "evencutmix": 'CutMix(placement="uniform")',
    "parts": "PerSource",
    "own": "Keep",
    "laws": "testing",
    "fastcollatemixup": "timm.FastCollateMixup",
    "mixcallback": "lightning.MixCallback",
    "mixupcallback": "lightning.MixCallback",
    "mixtrainer": "huggingface.MixTrainer",
    "mixlayer": "keras.MixLayer",
    "mixeddataset": "torch.MixedDataset, or ma.keras.MixedDataset",
    "loader": "torch.loader",
    "mixedzip": "tf.mixed_zip",
    "mixupcriterion": "losses.mixed_criterion",
    "softtargetcrossentropy": "losses.cross_entropy",
    "identityrecipe": "identity()",
}


def known_options(*more: Any) -> Callable[[F], F]:
    """A decorator that refuses unknown options, and too many by place, by a sentence that says what is meant.

    Args:
        more: what else the function takes by name: typed dicts of options, or functions that it hands them on to.
    """

    def decorate(function: F) -> F:
        door = function.__qualname__.removesuffix(".__init__").rpartition(".")[2].replace("__call__", "recipe")
        names = {name for taker in (function, *more) for name in _names(taker)}
        parameters = signature(function).parameters.values()
        placed = [
            one.name for one in parameters if one.kind is not one.KEYWORD_ONLY and one.kind is not one.VAR_KEYWORD
        ]
        most = inf if any(one.kind is one.VAR_POSITIONAL for one in parameters) else len(placed)

        @wraps(function)
        def checked(*args: Any, **options: Any) -> Any:
            if len(args) > most:
                raise TypeError(_too_many(door, placed, names, len(args)))
            for name in options:
                if name not in names:
                    raise TypeError(unknown_option(door, name, names))
            return function(*args, **options)

        checked.__signature__ = signature(function)  # type: ignore[attr-defined] # Keras reads it through no wrapper
        return cast(F, checked)

    return decorate


def _too_many(door: str, placed: Sequence[str], names: Iterable[str], count: int) -> str:
    """The sentence for more arguments by place than a door takes."""
    own = [name for name in placed if name != "self"]
    count -= len(placed) - len(own)
    others = ", ".join(f"{name}=" for name in sorted(set(names) - set(placed)))
    way_out = f"pass the others by name, {others}" if others else "leave the others out"
    most = f"{len(own)} argument{'s' * (len(own) != 1)} by place" + (f", {', '.join(own)}" if own else "")
    return f"{door}: expected at most {most}, got {count}; {way_out}"


def unknown_option(door: str, name: str, names: Iterable[str]) -> str:
    """The sentence for an option that a door does not have."""
    listed = sorted(set(names) - {"self"})
    return f"{door}: expected options among {', '.join(listed) or 'none'}, got {name}=; {meant_option(name, listed)}"


def meant_option(name: str, names: Iterable[str]) -> str:
    """What to write instead of an option that there is not, where those of these names are."""
    names = list(names)
    same = next((one for one in _SAME.get(name, ()) if one in names), None)
    if same is None and name in _OF_BATCHES:
        return _BATCHES if "num_classes" in names else _CALL
    if same is None and name not in _MEANT:
        near = get_close_matches(name, names, n=1, cutoff=0.7)
        return f"did you mean {near[0]}=?" if near else "leave it out"
    return _MEANT[name] if same is None else f"write {_WRITE.get(same, same + '=')}"


def other_name(name: str) -> str:
    """What a name of other libraries, or an older one, is here; nothing if it is unknown."""
    return _NAMES.get(_plain(name), "")


def unknown_name(name: str, names: Iterable[str]) -> str:
    """The sentence for a name that the package does not have."""
    plain = {_plain(one): one for one in names}
    near = get_close_matches(_plain(name), [*plain], n=1, cutoff=0.75)
    meant = plain.get(_plain(name)) or other_name(name) or (plain[near[0]] if near else None)
    return f"mixaug has no {name!r}" + (f", did you mean ma.{meant}?" if meant else f"; it has {', '.join(names)}")


def _names(taker: Any) -> Iterable[str]:
    if is_typeddict(taker):
        return tuple(taker.__annotations__)
    parameters = signature(taker).parameters.values()
    return [
        one.name for one in parameters if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL, one.POSITIONAL_ONLY)
    ]


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def short(value: object) -> str:
    """The repr of a value that came instead of another, on one line and cut where it is long."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # an int of more digits than Python writes
        return f"an integer of {value.bit_length()} bits" if isinstance(value, int) else type(value).__name__
    return text if len(text) <= 200 else f"{text[:150]} ... ({len(text)} characters)"
