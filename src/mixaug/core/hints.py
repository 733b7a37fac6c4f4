"""Suggestions for unknown options and names: those of other libraries, and near misses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import wraps
from inspect import signature
from math import inf
from typing import Any, TypeVar, cast, is_typeddict

F = TypeVar("F", bound=Callable[..., Any])

#: Options of other libraries: their equivalents here, of which the first that the function accepts is suggested.
_EQUIVALENTS: dict[str, tuple[str, ...]] = {
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

#: How to write an equivalent whose value has a form of its own.
_FORMS = {
    "key": "key=(seed, step), such as key=(0, 0)",
    "layout": 'layout=, such as layout="nchw"',
    "rule": 'rule="maximum" or rule="visible"',
}

_CHANCE = "to mix with a probability wrap the recipe, ma.sometimes(0.5, ma.CutMix())"
_CHOICE = "to choose among recipes write ma.one_of(ma.MixUp(), ma.CutMix(), weights=(1, 1))"
_CALL = "pass it to the call, ma.CutMix()(images, labels, num_classes=10, key=(0, 0)), or to an adapter"
_MIX_BATCH = "pass it to ma.mix_batch(recipe, batch, ...), which mixes one batch"
_SMOOTH = "smooth the mixed labels with ma.losses.smooth(labels, 0.1)"
_PER_BATCH = "ma.per_batch(ma.CutMix()) draws once for a whole batch; by default each sample has its own draw"
_CORRECT = "leave it out: labels follow the pixels"
_MULTI_LABEL = 'write fields={"labels": ma.Labels(rule="maximum")}'

#: What to do instead of an option that has no equivalent.
_ADVICE: dict[str, str] = {
    **dict.fromkeys(("p", "prob", "probability", "cutmix_prob", "mixup_prob", "apply_prob", "always_apply"), _CHANCE),
    **dict.fromkeys(("probs", "switch_prob", "transforms"), _CHOICE),
    **dict.fromkeys(("mode", "same_on_batch", "same_lambda", "elementwise"), _PER_BATCH),
    **dict.fromkeys(("num_classes", "n_classes", "num_labels", "key", "seed", "rng", "fields", "return_mix"), _CALL),
    **dict.fromkeys(("labels_getter", "data_keys"), _CALL),
    **dict.fromkeys(("label_smoothing", "smoothing"), _SMOOTH),
    **dict.fromkeys(("correct_lam", "use_correct_lambda"), _CORRECT),
    **dict.fromkeys(("inplace", "in_place", "copy"), "leave it out: inputs are never written to"),
    **dict.fromkeys(("stack_y", "interpolate_loss"), 'write fields={"labels": "per_source"}'),
    **dict.fromkeys(("dtype", "scale", "mean", "std"), 'write fields={"images": ma.Images(dtype="float32")}'),
    **dict.fromkeys(("channels", "data_format", "layout"), 'write fields={"images": ma.Images(layout="nchw")}'),
    **dict.fromkeys(("union", "rule"), _MULTI_LABEL),
    **dict.fromkeys(("cutmix_minmax", "minmax"), "write ma.CutMixMinMax(low=0.2, high=0.8)"),
    **dict.fromkeys(("parents", "sources", "num_mix"), "pass it to the recipe, ma.MixUp(sources=3)"),
    **dict.fromkeys(("alpha", "lam", "beta"), "pass it to the recipe, ma.CutMix(alpha=1.0)"),
}

_MIX_BATCH_OPTIONS = ("pairing", "bank", "copies", "include_clean", "repeat", "keep_clean")

#: Names of other libraries: what to write here, after `ma.`.
_NAMES: dict[str, str] = {
    "randomchoice": "one_of(ma.MixUp(), ma.CutMix())",
    "oneof": "one_of(ma.MixUp(), ma.CutMix())",
    "someof": "one_of(ma.MixUp(), ma.CutMix())",
    "compose": "one_of(ma.MixUp(), ma.CutMix()), because a batch is mixed once",
    "sequential": "one_of(ma.MixUp(), ma.CutMix()), because a batch is mixed once",
    "augmentationsequential": "one_of(ma.MixUp(), ma.CutMix()), because a batch is mixed once",
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


def known_options(*takers: Any) -> Callable[[F], F]:
    """Decorate a function to raise a helpful TypeError for unknown options and for too many positional arguments.

    Args:
        takers: what further options the function accepts: typed dicts of options, or functions that it passes them to.
    """

    def decorate(function: F) -> F:
        name = function.__qualname__.removesuffix(".__init__").rpartition(".")[2].replace("__call__", "recipe")
        options = {option for taker in (function, *takers) for option in _options(taker)}
        parameters = signature(function).parameters.values()
        positional = [
            parameter.name
            for parameter in parameters
            if parameter.kind is not parameter.KEYWORD_ONLY and parameter.kind is not parameter.VAR_KEYWORD
        ]
        takes_any = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
        most = inf if takes_any else len(positional)

        @wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            if len(args) > most:
                raise TypeError(_too_many(name, positional, options, len(args)))
            for option in kwargs:
                if option not in options:
                    raise TypeError(unknown_option(name, option, options))
            return function(*args, **kwargs)

        checked.__signature__ = signature(function)  # type: ignore[attr-defined] # Keras does not follow __wrapped__
        return cast(F, checked)

    return decorate


def split_options(options: Mapping[str, Any], kind: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split options into those of a typed dict and the others."""
    names = _options(kind)
    return (
        {name: value for name, value in options.items() if name in names},
        {name: value for name, value in options.items() if name not in names},
    )


def _too_many(function: str, positional: Sequence[str], options: Iterable[str], count: int) -> str:
    """The error for more positional arguments than a function takes."""
    named = [name for name in positional if name != "self"]
    count -= len(positional) - len(named)
    others = ", ".join(f"{name}=" for name in sorted(set(options) - set(positional)))
    way_out = f"pass the others by name, {others}" if others else "leave the others out"
    most = f"{len(named)} positional argument{'s' * (len(named) != 1)}" + (f", {', '.join(named)}" if named else "")
    return f"{function}: expected at most {most}, got {count}; {way_out}"


def unknown_option(function: str, option: str, options: Iterable[str]) -> str:
    """The error for an option that a function does not take."""
    names = sorted(set(options) - {"self"})
    return (
        f"{function}: expected options among {', '.join(names) or 'none'}, got {option}=; "
        f"{suggested_option(option, names)}"
    )


def suggested_option(option: str, options: Iterable[str]) -> str:
    """What to write instead of an unknown option, if these options exist."""
    options = list(options)
    equivalent = next((name for name in _EQUIVALENTS.get(option, ()) if name in options), None)
    if equivalent is not None:
        return f"write {_FORMS.get(equivalent, equivalent + '=')}"
    if option in _MIX_BATCH_OPTIONS:
        return _MIX_BATCH if "num_classes" in options else _CALL
    if option in _ADVICE:
        return _ADVICE[option]
    close = get_close_matches(option, options, n=1, cutoff=0.7)
    return f"did you mean {close[0]}=?" if close else "leave it out"


def suggested_name(name: str) -> str:
    """What to write here for a name of another library; an empty string if it is not known."""
    return _NAMES.get(_normalized(name), "")


def unknown_name(name: str, names: Iterable[str]) -> str:
    """The error for a name that the package does not have."""
    by_normalized = {_normalized(known): known for known in names}
    close = get_close_matches(_normalized(name), [*by_normalized], n=1, cutoff=0.75)
    suggestion = (
        by_normalized.get(_normalized(name)) or suggested_name(name) or (by_normalized[close[0]] if close else None)
    )
    return f"mixaug has no {name!r}" + (
        f", did you mean ma.{suggestion}?" if suggestion else f"; it has {', '.join(names)}"
    )


def _options(taker: Any) -> Iterable[str]:
    """The options that a typed dict or a function names."""
    if is_typeddict(taker):
        return tuple(taker.__annotations__)
    parameters = signature(taker).parameters.values()
    return [
        parameter.name
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY)
    ]


def _normalized(name: str) -> str:
    return name.lower().replace("_", "")


def short(value: object) -> str:
    """The repr of a value for an error message: on one line, truncated if it is long."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # an int of more digits than Python converts to text
        return f"an integer of {value.bit_length()} bits" if isinstance(value, int) else type(value).__name__
    return text if len(text) <= 200 else f"{text[:150]} ... ({len(text)} characters)"
