"""Random batches, recipes and options, as Python code that a user could write.

Each seed is a case. `draw(seed)` says what the batch is, what is called with it, and what each field is.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fuzz_definition import spatial_of

Path = tuple[Any, ...]


@dataclass
class Part:
    """A field: its path, its kind, its NumPy array as text, and its declaration in `fields=`."""

    path: Path
    kind: str  #: "images", "labels", "masks", "values", "keep", "per_source", "boxes", "keypoints"
    text: str
    say: str | None = None
    axes: str = ""
    spatial: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    is_list: bool = False  #: a list of texts, which belongs to no library
    whole: bool = False  #: the text creates an array of the library directly

    @property
    def name(self) -> str:
        """The name in `fields=`."""
        return "/".join(map(str, self.path))


@dataclass
class Case:
    """What is called with what."""

    seed: int
    library: str
    door: str
    recipe: str
    parts: list[Part]
    container: str  #: "dict", "tuple", "list", "nested", "alone"
    options: dict[str, str]
    n: int
    size: tuple[int, ...]
    like: str  #: the layout of images that are not declared
    damage: str = ""
    bank: int = 0  #: how many rows
    item: int = 0  #: which row, for adapters that return single samples
    batch_size: int = 0
    epoch: int = 0
    may_refuse: list[str] = field(default_factory=list)
    is_verified: bool = True  #: whether what each field is follows from its part

    @property
    def num_classes(self) -> int | None:
        """The option, where it is a whole number."""
        text = self.options.get("num_classes", "None")
        return int(text) if text.isdigit() else None


# --- recipes ---


class Draws(random.Random):
    """Python's generator, with words for what is drawn here."""

    few = False  #: whether shapes are few, because JAX compiles each operation for each shape

    def one(self, *things: Any) -> Any:
        """One of these."""
        return things[self.randrange(len(things))]

    def chance(self, p: float) -> bool:
        """True with this probability."""
        return self.random() < p


def lam_options(rng: Draws) -> list[str]:
    """Options of recipes that draw lam."""
    how = rng.randrange(5)
    options = [
        [f"alpha={rng.one(0.1, 0.3, 1.0, 5.0)}"], [f"alpha=({rng.one(0.5, 2.0)}, {rng.one(1.0, 3.0)})"],
        [f"lam={rng.one(0, 0.25, 0.5, 0.9, 1)}"], [f"lam=({rng.one(0.0, 0.2)}, {rng.one(0.5, 1.0)})"], [],
    ][how]  # fmt: skip
    return options + (["dominant=True"] if rng.chance(0.15) else [])


def bounds(rng: Draws, low: float, high: float) -> list[str]:
    """Options of boxes of bounded area and aspect, or height and width."""
    if rng.chance(0.3):
        return [f"height={rng.one(1, 0.5, (0.2, 0.9))}", f"width={rng.one(1, 0.3, (0.1, 0.4))}"]
    return [f"area={rng.one((low, high), high)}", f"aspect={rng.one(1, 2.0, (0.3, 3.3), (0.5, 0.5))}"]


def count(rng: Draws) -> list[str]:
    """How many holes."""
    return [f"count={rng.one(1, 2, 5, (1, 3), (2, 2))}"] if rng.chance(0.5) else []


def per_channel(rng: Draws, *numbers: float) -> Any:
    """One number, or three, for images with three channels."""
    return tuple(rng.one(*numbers) for _ in range(3)) if rng.chance(0.25) else rng.one(*numbers)


def noise(rng: Draws) -> list[str]:
    """Noise and fill."""
    return [f"noise={per_channel(rng, 0.0, 1.0)}", f"fill={per_channel(rng, 0.0, 7.4)}"]


def simple(rng: Draws) -> str:
    """A recipe of the literature, with random options."""
    name = rng.one(
        "MixUp", "MixUp", "CutMix", "CutMix", "CutMixMinMax", "BoxMix", "NWayCutMix", "HMix", "RICAP", "Mosaic",
        "ResizeMix", "Cutout", "RandomErasing", "GridMix", "TokenMix", "SmoothMix", "GMix", "FMix", "CowMix",
    )  # fmt: skip
    low, high = rng.one(0.1, 0.2), rng.one(0.5, 0.8, 0.9)
    options = {
        "MixUp": lambda: rng.one(lam_options(rng), [f"alpha={rng.one(0.3, 1.0)}", f"sources={rng.randint(2, 5)}"]),
        "CutMix": lambda: lam_options(rng) + rng.one([], [f"placement={rng.one('clipped', 'inside', 'uniform')!r}"]),
        "CutMixMinMax": lambda: [f"low={low}", f"high={high}"],
        "BoxMix": lambda: bounds(rng, low, high),
        "NWayCutMix": lambda: [f"sources={rng.randint(2, 5)}"],
        "HMix": lambda: [*lam_options(rng), f"ratio={rng.one(0, 0.3, 1)}"],
        "RICAP": lambda: [f"beta={rng.one(0.3, 1.0, (0.5, 2.0))}"],
        "Mosaic": lambda: [f"tiles={rng.one(2, 3, (1, 2), (3, 1))}", f"jitter={rng.one(0, 0.5, 1)}"],
        "ResizeMix": lambda: [f"low={low}", f"high={high}"],
        "Cutout": lambda: [f"side={rng.one(0.3, 0.5, 1.0)}", f"fill={per_channel(rng, 2.0, 300.0, -1.5)}", *count(rng)],
        "RandomErasing": lambda: [*bounds(rng, low, high), *noise(rng), *count(rng)],
        "GridMix": lambda: [*lam_options(rng), f"cells={rng.randint(1, 5)}"],
        "TokenMix": lambda: [*lam_options(rng), f"token={rng.randint(1, 5)}"],
        "SmoothMix": lambda: [f"low={low}", f"high={high}"],
        "GMix": lambda: lam_options(rng),
        "FMix": lambda: [*lam_options(rng), f"decay={rng.one(1.0, 3.0)}"],
        "CowMix": lambda: [],
    }[name]()  # fmt: skip
    return f"ma.{name}({', '.join(options if rng.chance(0.8) else [])})"


def composed(rng: Draws, epochs: bool, items: bool, depth: int = 0) -> str:
    """A recipe, possibly composed of others."""
    kinds = ["simple"] * 5 + ["one_of", "sometimes", "identity"]
    kinds += ["per_batch"] * (not items) + ["schedule"] * epochs
    kind = rng.one(*kinds) if depth < 3 else "simple"
    deeper = lambda: composed(rng, epochs, items, depth + 1)  # noqa: E731
    if kind == "one_of":
        count = rng.randint(1, 3)
        weights = f", weights={tuple(rng.randint(1, 4) for _ in range(count))}" if rng.chance(0.4) else ""
        return f"ma.one_of({', '.join(deeper() for _ in range(count))}{weights})"
    if kind == "sometimes":
        return f"ma.sometimes({rng.one(0, 0.3, 0.7, 1)}, {deeper()})"
    if kind == "schedule":
        return f"ma.schedule({{0: {deeper()}, {rng.randint(1, 3)}: {deeper()}}})"
    if kind == "per_batch":
        return f"ma.per_batch({deeper()})"
    return "ma.identity()" if kind == "identity" else simple(rng)


# --- fields ---

IMAGES = ["uint8", "uint8", "float32", "float32", "float16", "bfloat16", "float64"]
LAYOUTS = [
    "nhwc", "nchw", "NHWC", "nhw", "ntchw", "nthwc", "ncthw", "ndhwc", "ncdhw", "ntc", "nct", "nc", "nt", "nwh", "nhcw",
    "ndhw", "nhwct", "nthw", "nwhc", "nhtw", "ncwth",
]  # fmt: skip


def numbers(rng: Draws, shape: Sequence[int], dtype: str) -> str:
    """Random numbers of a shape and dtype, as text."""
    draws, shape_text = f"np.random.default_rng({rng.randrange(10**6)})", tuple(shape)
    if dtype == "bool":
        return f"({draws}.random({shape_text}) < 0.5)"
    if "int" in dtype:
        high = {"uint8": 256, "int8": 128}.get(dtype, 30000)
        return f"{draws}.integers({'-128' if dtype == 'int8' else 0}, {high}, {shape_text}).astype({dtype!r})"
    kind = "ml_dtypes.bfloat16" if dtype == "bfloat16" else repr(dtype)
    return f"{draws}.random({shape_text}).astype({kind})"


def lengths(rng: Draws, axes: str, spatial: str, size: Sequence[int], n: int) -> list[int]:
    """The shape of an array of a layout."""
    known = dict(zip(spatial, size, strict=True)) | {"n": n}
    return [known[one] if one in known else rng.one(1, 2, 3, 3) for one in axes]


def size_of(rng: Draws, spatial: str) -> tuple[int, ...]:
    """A random spatial size."""
    if rng.few:
        return (5, 4, 3, 2)[: len(spatial)]
    most = {0: 0, 1: 12, 2: 9, 3: 5, 4: 3}[len(spatial)]
    return tuple(rng.one(1, rng.randint(2, most), rng.randint(2, most), rng.randint(2, most)) for _ in spatial)


def is_ambiguous(shape: Sequence[int], like: str) -> bool:
    """Whether four axes are ambiguous."""
    here, there = (shape[-1], shape[1]) if like == "nhwc" else (shape[1], shape[-1])
    return here > 4 >= there >= 1


def images(rng: Draws, path: Path, case: Case, known: bool, axes: str, spatial: str | None, first: bool) -> Part:
    """A field of images, of the case's size or of another; `known` where its place or name says that it is images."""
    chosen = spatial_of(axes.lower()) if spatial is None else spatial
    size = case.size if first or rng.chance(0.7) else size_of(rng, chosen)
    shape = lengths(rng, axes.lower(), chosen, size, case.n)
    dtype = rng.one(*IMAGES)
    said: dict[str, str] = {}
    is_default = axes.lower() == case.like and spatial is None and not is_ambiguous(shape, case.like)
    if not is_default or rng.chance(0.2):
        said["layout"] = repr(axes)
    if spatial is not None:
        said["spatial"] = repr(spatial)
    options: dict[str, Any] = {}
    if rng.chance(0.12):
        channels = shape[axes.lower().index("c")] if "c" in axes.lower() else 1
        options["dtype"] = rng.one("float32", "float16", "uint8", "float64", "bfloat16")
        if rng.chance(0.6):
            per = rng.chance(0.5)
            options["scale"] = tuple(rng.one(0.5, 2.0, 1 / 255) for _ in range(channels)) if per else rng.one(0.25, 3.0)
            options["offset"] = tuple(rng.one(0.0, 1.0, -0.5) for _ in range(channels)) if per else rng.one(0.0, 0.5)
    if rng.chance(0.05):
        dtype = rng.one("int16", "uint16")
        options |= {"dtype": rng.one("float32", "float64", "float16"), "scale": 1 / 65535}
    said |= {name: repr(value) for name, value in options.items()}
    say = f"ma.Images({', '.join(f'{name}={text}' for name, text in said.items())})" if said else None
    if say is None and not known:
        say = rng.one("'images'", "ma.Images()")
    return Part(path, "images", numbers(rng, shape, dtype), say, axes.lower(), chosen, options)


def labels(rng: Draws, path: Path, case: Case, known: bool, classes: int) -> Part:
    """A field of labels."""
    n, draws = case.n, f"np.random.default_rng({rng.randrange(10**6)})"
    kind = rng.one("ids", "ids", "ids", "column", "float ids", "one-hot", "soft", "multi", "binary")
    options: dict[str, Any] = {"rule": "area", "binary": False, "num_classes": classes}
    ids = f"{draws}.integers(0, {classes}, {n})"
    integer = rng.one("int64", "int64", "int32", "uint8", "int8", "int16")
    texts = {
        "ids": f"{ids}.astype({integer!r})",
        "column": f"{ids}.astype({integer!r})[:, None]",
        "float ids": f"{ids}.astype({rng.one('float32', 'float64', 'float16')!r})" + rng.one("", "[:, None]"),
        "one-hot": f"np.eye({classes}, dtype={rng.one('float32', 'float64', 'uint8', 'bool', 'float16')!r})[{ids}]",
        "soft": f"{draws}.dirichlet(np.ones({classes}), {n}).astype({rng.one('float32', 'float64')!r})",
        "multi": f"{draws}.integers(0, 2, ({n}, {classes})).astype({rng.one('float32', 'int64', 'uint8', 'bool')!r})",
        "binary": f"{draws}.integers(0, 2, {n}).astype({rng.one('float32', 'int64', 'bool')!r})"
        + rng.one("", "[:, None]"),
    }  # fmt: skip
    if (classes == 1 and kind in ("one-hot", "soft", "multi")) or (kind == "binary" and "num_classes" in case.options):
        kind = "ids"
    if kind == "column" and classes == 1:
        kind = "ids"  # which may be one class, too
    said = []
    if kind == "binary":
        options |= {"binary": True, "num_classes": None}
        said.append("binary=True")
    elif "num_classes" not in case.options and kind in ("ids", "column", "float ids"):
        said.append(f"num_classes={classes}")
    if rng.chance(0.25):
        options["rule"] = rng.one("maximum", "heaviest", "area")
        said.append(f"rule={rng.one(repr(options['rule']), 'ma.label_rules.' + options['rule'].capitalize() + '()')}")
    say = f"ma.Labels({', '.join(said)})" if said else (None if known else "'labels'")
    return Part(path, "labels", texts[kind], say, options=options)


def masks(rng: Draws, path: Path, case: Case, known: bool) -> Part:
    """A field of masks, of ids or of class probabilities."""
    spatial = {1: "t", 2: "hw", 3: "dhw"}[len(case.size)]
    size = case.size if rng.chance(0.7) else size_of(rng, spatial)
    axes, classes, said = "n" + spatial, rng.randint(1, 4), []
    options: dict[str, Any] = {"num_classes": None, "ignore": None, "soft": False}
    soft = rng.one(None, None, None, "ids", "shares")
    shape = [case.n, *size]
    dtype = rng.one("uint8", "int32", "int64", "bool", "int16", "uint16", "int8")
    draws = f"np.random.default_rng({rng.randrange(10**6)})"
    if soft == "shares":
        axes = "n" + spatial + "c" if case.like == "nhwc" else "nc" + spatial
        shape = [classes if one == "c" else dict(zip("n" + spatial, (case.n, *size), strict=True))[one] for one in axes]
        text = numbers(rng, shape, rng.one("float32", "float64", "bool"))
        options |= {"soft": True, "num_classes": classes, "shares": True}
        said += ["soft=True", f"num_classes={classes}", f"layout={axes!r}"]
        return Part(path, "masks", text, f"ma.Masks({', '.join(said)})", axes, spatial, options)
    text = f"{draws}.integers(0, {min(classes, 2) if dtype == 'bool' else classes}, {tuple(shape)}).astype({dtype!r})"
    channel = ""
    if rng.chance(0.25) and not (soft and dtype == "bool"):
        at = axes.replace("n", "nc") if case.like == "nchw" else axes + "c"
        channel = "c"
        text += "[:, None]" if case.like == "nchw" else "[..., None]"
        axes = at
        said.append(f"layout={axes!r}")
    if soft or rng.chance(0.2):
        options["num_classes"] = classes
        said.append(f"num_classes={classes}")
    if rng.chance(0.25) and dtype != "bool":
        options["ignore"] = rng.one(0, 1, 100)
        said.append(f"ignore_index={options['ignore']}")
    if soft:
        options["soft"] = True
        said.append("soft=True")
    if not path and len(case.size) != 2 and not channel:
        said.append(f"layout={axes!r}")
    say = f"ma.Masks({', '.join(said)})" if said else (None if known else "'masks'")
    return Part(path, "masks", text, say, axes, spatial, options | {"channel": channel})


def others(rng: Draws, path: Path, case: Case, kind: str, known: bool) -> Part:
    """Values, kept fields, per-source labels, boxes, keypoints."""
    n = case.n
    rest = rng.one((), (1,), (3,), (2, 2))
    if kind == "values":
        if path[-1] in ("sample_weight", "sample_weights"):
            return Part(path, kind, numbers(rng, (n, *rng.one((), (), (1,))), rng.one("float32", "float64")))
        dtype = rng.one("float32", "float64", "float16", "int64", "int32", "bool", "uint8")
        return Part(path, kind, numbers(rng, (n, *rest), dtype), None if known else rng.one("'values'", "ma.Values()"))
    if kind in ("keep", "per_source"):
        if rng.chance(0.4) and case.library == "numpy" and case.door in ("mix_batch", "recipe", "mixed"):
            text = f"[f'text {{i}}' for i in range({n})]"
            return Part(path, kind, text, repr(kind), is_list=True)
        dtype = rng.one("int64", "float32", "uint8", "bool", "int32")
        return Part(
            path,
            kind,
            numbers(rng, (n, *rest), dtype),
            rng.one(repr(kind), f"ma.{'Keep' if kind == 'keep' else 'PerSource'}()"),
        )
    if kind == "boxes":
        return Part(
            path, kind, f"boxes_of({rng.randrange(10**6)}, {n}, {rng.randint(0, 3)}, {case.size})", "ma.Boxes()"
        )
    m = rng.randint(1, 3)
    text = f"points_of({rng.randrange(10**6)}, {n}, {m}, {case.size})"
    return Part(path, "keypoints", text, None if known else rng.one("'keypoints'", "ma.Keypoints()"))


# --- containers ---

NUMPY_DOORS = ("batches", "keras.MixedDataset", "grain")
DOORS: dict[str, list[tuple[str, float]]] = {
    "numpy": [("mix_batch", 50), ("recipe", 12), ("mixed", 6), ("batches", 6), ("keras.MixedDataset", 2), ("grain", 2),
              ("layer", 0.5)],
    "tensorflow": [("mix_batch", 20), ("recipe", 5), ("mixed", 3), ("layer", 5), ("tf.mixed", 1), ("tf.function", 0.5),
                   ("tf.mixed_zip", 1)],
    "torch": [("mix_batch", 20), ("recipe", 6), ("mixed", 3), ("layer", 1), ("torch.Mixed", 8), ("collate", 5),
              ("torch.MixedDataset", 4), ("loader", 4), ("torch.compile", 0.02), ("timm.Mixup", 2),
              ("timm.FastCollateMixup", 1)],
    "jax": [("mix_batch", 20), ("recipe", 5), ("mixed", 3), ("jax.jit", 0.4), ("layer", 0.3)],
}  # fmt: skip
LIBRARIES = {"numpy": 86.0, "torch": 9.0, "tensorflow": 4.6, "jax": 0.4}
ITEMS = ("torch.MixedDataset", "grain")
STACKED = ("collate", "torch.MixedDataset", "loader", "timm.FastCollateMixup")
KEYED = ("mix_batch", "recipe", "tf.function", "jax.jit", "torch.compile")


def pick(rng: Draws, weights: Any) -> str:
    """One of these by their weights."""
    names = list(dict(weights))
    return rng.choices(names, [dict(weights)[name] for name in names])[0]


def draw(seed: int, libraries: Sequence[str] = (), doors: Sequence[str] = ()) -> Case:
    """The case of a seed, optionally restricted to some libraries and adapters."""
    rng = Draws(seed)
    library = pick(rng, {name: weight for name, weight in LIBRARIES.items() if not libraries or name in libraries})
    door = pick(rng, [one for one in DOORS[library] if not doors or one[0] in doors] or DOORS[library])
    apart = Draws(seed * 31 + 7)  # for what was added later: the other choices stay what they were
    is_first = apart.chance(0.4) if door == "layer" else library == "torch"
    rng.few = library == "jax"
    case = Case(
        seed,
        library,
        door,
        "",
        [],
        "",
        {},
        4 if rng.few else rng.one(1, 2, 3, 4, 5, 6),
        (),
        "nchw" if is_first else "nhwc",
    )
    if door.startswith("timm."):
        return _timm(rng, case)
    epochs = door in ("mixed", "batches", "keras.MixedDataset", "grain", "loader", "torch.MixedDataset", "tf.mixed",
              "tf.mixed_zip")  # fmt: skip
    case.recipe = composed(rng, epochs, door in ITEMS)
    case.epoch = rng.randint(0, 3)
    axes, spatial = case.like, None
    if rng.chance(0.45):
        axes = rng.one(*LAYOUTS)
        if "t" in axes and "h" in axes and "d" not in axes and rng.chance(0.3):
            spatial = rng.one("thw", "hw", "t", "wh")
            spatial = spatial if set(spatial) <= set(axes) else None
    case.size = size_of(rng, spatial_of(axes.lower()) if spatial is None else spatial)
    if not case.size:
        case.may_refuse.append("^size: expected spatial axes for .* combines sources by place")
    if "fill=(" in case.recipe or "noise=(" in case.recipe:
        case.may_refuse.append("^images: expected 3 channels, one for each number of the recipe's fill or noise, got")
    classes = rng.one(1, 2, 3, 3, 5, 10)
    if rng.chance(0.8):
        case.options["num_classes"] = str(classes)
    if door == "tf.mixed_zip":
        case.may_refuse.append("^mixed_zip: expected a recipe of two sources, one per dataset")
    _contain(rng, case, axes, spatial, classes)
    _guide(apart, case)
    if len(case.parts) > 1:  # fields of another size, which may have that of the first one in another layout
        case.may_refuse.append("that the mix was drawn for, .* the layout '.*' has that size: pass layout=")
    _options(rng, case, classes)
    if door in KEYED and "key" not in case.options:
        _key(apart, case)
    return case


def _timm(rng: Draws, case: Case) -> Case:
    """A case of timm's classes, which have their own options."""
    is_fast, classes, n, size = case.door == "timm.FastCollateMixup", rng.randint(2, 6), case.n, size_of(rng, "hw")
    dtype = "uint8" if is_fast else rng.one(*IMAGES)
    ids = f"np.random.default_rng({rng.randrange(10**6)}).integers(0, {classes}, {n})"
    text = ids if is_fast or rng.chance(0.7) else f"np.eye({classes}, dtype='float32')[{ids}]"
    options = {"rule": "area", "binary": False, "num_classes": classes}
    case.parts = [
        Part(("images",), "images", numbers(rng, (n, 3, *size), dtype), None, "nchw", "hw"),
        Part(("labels",), "labels", text, None, options=options),
    ]
    case.size, case.container = size, "tuple"
    case.options = {
        "mixup_alpha": rng.one("0.0", "0.8", "1.0"),
        "cutmix_alpha": rng.one("0.3", "1.0"),
        "prob": rng.one("0", "0.5", "1"),
        "switch_prob": rng.one("0.0", "0.5", "1.0"),
        "mode": rng.one("'batch'", "'elem'", "'pair'"),
        "label_smoothing": "0.0",
        "num_classes": str(classes),
        "return_mix": "True",
    }
    if rng.chance(0.3):
        case.options["cutmix_minmax"] = "(0.2, 0.8)"
    return case


def _guide(rng: Draws, case: Case) -> None:
    """Let labels of a dict follow a foreground, in some cases."""
    named = [part for part in case.parts if part.kind == "labels" and part.options["rule"] == "area"]
    fits = case.container in ("dict", "nested") and 0 < len(case.size) < 4 and not case.may_refuse
    if not named or not fits or not rng.chance(0.15) or any(part.path[-1] == "foreground" for part in case.parts):
        return
    letters, part = {1: "t", 2: "hw", 3: "dhw"}[len(case.size)], named[0]
    size = case.size if rng.chance(0.7) else size_of(rng, letters)
    say = f"ma.Masks(layout={'n' + letters!r})" if len(size) != 2 or rng.chance(0.3) else "'masks'"
    options = {"num_classes": None, "ignore": None, "soft": False}
    text = numbers(rng, (case.n, *size), "bool")
    case.parts.append(Part((*part.path[:-1], "foreground"), "masks", text, say, "n" + letters, letters, options))
    part.options["rule"] = "visible"
    rule = rng.one("'visible'", "ma.label_rules.Visible()")
    before = [] if part.say is None or "(" not in part.say else [part.say[len("ma.Labels(") : -1].partition("rule=")[0]]
    said = [one.rstrip(", ") for one in before if one]
    part.say = f"ma.Labels({', '.join([*said, f'rule={rule}'])})"


def _key(rng: Draws, case: Case) -> None:
    """A key of another form than (seed, epoch, step)."""
    s, step = rng.randint(-3, 10**6), rng.randint(0, 9)
    keys = [f"({s}, {step})", str(s), f"np.int64({s})", f"(np.int32({s}), {step})", f"[{s}, {case.epoch}, {step}]"]
    of_library = {
        "jax": [f"jax.random.key({abs(s)})", f"jax.random.PRNGKey({abs(s)})", f"(jax.random.key(3), {step})"],
        "tensorflow": [f"({s}, tf.constant({step}))", f"({s}, {case.epoch}, tf.constant({step}, tf.int64))"],
        "torch": [f"({s}, torch.tensor({step}))"],
    }
    if rng.chance(0.6):
        case.options["key"] = rng.one(*keys, *of_library.get(case.library, []))


def _contain(rng: Draws, case: Case, axes: str, spatial: str | None, classes: int) -> None:
    """Put fields into a container."""
    no_masks = not case.size or len(case.size) > 3
    kinds = [kind for kind in ("labels", "masks", "values", "keep", "per_source", "keypoints", "boxes", "images")
             if not (no_masks and kind in ("masks", "keypoints", "boxes"))]  # fmt: skip
    if case.door in ITEMS:
        kinds.remove("per_source")
    if (case.door in ITEMS or case.door == "loader" or len(case.size) != 2) and "boxes" in kinds:
        kinds.remove("boxes")
    shape = rng.one("pair", "pair", "triple", "dict", "dict", "nested", "inputs", "alone", "any")
    if case.door in ("batches", "keras.MixedDataset"):
        shape = rng.one("pair", "pair", "triple", "dicts") if case.door == "batches" else rng.one("pair", "dicts")
    list_form = rng.chance(0.2) and not case.door.startswith("tf.mixed")
    image = lambda path, known, first=True: images(rng, path, case, known, axes, spatial, first)  # noqa: E731
    if shape == "alone":
        case.container = "alone"
        case.parts = [masks(rng, (), case, False) if not no_masks and rng.chance(0.2) else image((), False)]
        return
    if shape in ("pair", "triple"):
        case.container = "list" if list_form else "tuple"
        second = rng.one("labels", "labels", "labels", *kinds)
        case.parts = [
            image(("images",), True),
            _part(rng, ("labels",), case, second, second == "labels", classes, image),
        ]
        if shape == "triple":
            case.parts.append(others(rng, ("sample_weight",), case, "values", True))
        return
    if shape == "any":
        case.container = "list" if list_form else "tuple"
        count = rng.randint(2, 5)
        names: list[Any] = ["images", "labels", "sample_weight"][:count] if count <= 3 else list(range(count))
        case.parts = [image((names[0],), count <= 3)]
        for name in names[1:]:
            kind = rng.one(*kinds)
            part = _part(rng, (name,), case, kind, False, classes, image)
            case.parts.append(part)
        return
    if shape == "inputs":  # ((image, image), labels)
        case.container = "list" if list_form else "tuple"
        case.parts = [image(("images", i), rng.chance(0.0) or i == 0, i == 0) for i in range(rng.randint(1, 3))]
        case.parts.append(_part(rng, ("labels",), case, "labels", True, classes, image))
        return
    if shape == "dicts":  # a dict of inputs and one of targets
        case.container = "tuple"
        case.parts = [
            image(("images", "image"), True),
            _part(rng, ("labels", "label"), case, "labels", True, classes, image),
        ]
        if rng.chance(0.5):
            kind = rng.one(*kinds)
            case.parts.append(_part(rng, ("labels", "extra"), case, kind, False, classes, image))
        return
    names_of = {"images": ["image", "images", "pixel_values"], "labels": ["label", "labels"],
                "masks": ["mask", "masks", "segmentation_mask", "foreground"],
                "values": ["value", "values", "sample_weight"],
                "keypoints": ["keypoints"]}  # fmt: skip
    case.container = shape
    folder = (
        (lambda kind: ("inputs",) if kind == "images" else ("targets",)) if shape == "nested" else (lambda kind: ())
    )
    used: set[Path] = set()
    for kind in ["images", *[rng.one(*kinds) for _ in range(rng.randint(0, 4))]]:
        known = rng.chance(0.7) and kind in names_of
        name = rng.one(*names_of[kind]) if known else rng.one("photo", "kind", "extra", "side", "what")
        path = (*folder(kind), name)
        if path in used:
            continue
        used.add(path)
        case.parts.append(image(path, known) if len(used) == 1 else _part(rng, path, case, kind, known, classes, image))
    if len(case.parts) > 1 and rng.chance(0.5):
        first, *rest = case.parts
        rng.shuffle(rest)
        case.parts = [first, *rest]


def _part(rng: Draws, path: Path, case: Case, kind: str, known: bool, classes: int, image: Any) -> Part:
    if kind == "labels":
        return labels(rng, path, case, known, classes)
    if kind == "masks":
        return masks(rng, path, case, known)
    if kind == "images":
        return image(path, known, False)
    return others(rng, path, case, kind, known)


# --- options ---

PER_DOOR = {
    "copies": ("mix_batch", "recipe", "mixed", "batches", "keras.MixedDataset", "layer", "torch.Mixed", "collate",
               "loader", "tf.mixed", "tf.function", "jax.jit"),
    "bank": ("mix_batch", "recipe", "mixed", "torch.Mixed", "collate"),
}  # fmt: skip


def _options(rng: Draws, case: Case, classes: int) -> None:
    """Declare the fields that must be declared, and add some options."""
    options, door = case.options, case.door
    fields = _fields(rng, case)
    if fields is not None:
        options["fields"] = fields
    if door in PER_DOOR["copies"]:
        apart = any(part.kind == "per_source" for part in case.parts)
        if rng.chance(0.12) and not apart:
            options["include_clean"] = "True"
        if rng.chance(0.12) and not apart:
            options["copies"] = str(rng.randint(1, 3))
    if door in PER_DOOR["bank"]:
        what = rng.random()
        has_list = any(part.is_list for part in case.parts)
        if what < 0.1 and not has_list:
            case.bank = rng.randint(1, 4)
        elif what < 0.25:
            named = [part for part in case.parts if part.kind == "labels"]
            choices = ["Cyclic()", "Roll()", "Flip()", "Replacement()"]
            choices += ["SameClass()", "OtherClass()", "Balanced()"] if named and not named[0].options["binary"] else []
            options["pairing"] = f"ma.pairing.{rng.one(*choices)}"
    labelled = [part for part in case.parts if part.kind == "labels"]
    if len(labelled) == 1 and rng.chance(0.12) and case.container != "alone":
        part = labelled[0]
        count = 2 if part.options["binary"] else classes
        if not (part.options["binary"] and "num_classes" in options and classes > 2):
            weights = [rng.one(0.5, 1.0, 2.0, 0.0, 3.25) for _ in range(count)]
            text = rng.one(repr(weights), repr(dict(enumerate(weights))), f"np.float32({weights})")
            several = any(one.kind == "per_source" for one in case.parts)
            options["class_weights"] = f"{{{part.name!r}: {text}}}" if several or rng.chance(0.1) else text
    if case.size and door != "layer" and rng.chance(0.06):
        case.recipe = rng.one(
            "ma.Mosaic()",
            "ma.Mosaic(tiles=(2, 3))",
            "ma.one_of(ma.Mosaic(tiles=3), ma.Mosaic())",
            "ma.RICAP()",
            case.recipe,
        )
        options["size"] = repr(tuple(rng.randint(1, 12) for _ in case.size))
        case.may_refuse.append("^size: expected .*the size of the sources, for")
        if "include_clean" in options:
            case.may_refuse.append("^include_clean: expected outputs of the size of the images")
    if rng.chance(0.7):
        options["return_mix"] = "True"


def _fields(rng: Draws, case: Case) -> str | None:
    """The value of `fields=`, as text."""
    said = [part for part in case.parts if part.say is not None]
    if case.container == "alone":
        return case.parts[0].say
    if not said:
        return None
    flat = all(len(part.path) == 1 for part in case.parts)
    if case.container in ("tuple", "list") and flat and rng.chance(0.5):
        return f"({', '.join(str(part.say) for part in case.parts)},)"
    names = [part.path[-1] for part in case.parts]
    short = all(names.count(part.path[-1]) == 1 and isinstance(part.path[-1], str) for part in said)
    by_name = short and rng.chance(0.5)
    texts = [f"{(part.path[-1] if by_name else part.name)!r}: {part.say}" for part in said]
    return f"{{{', '.join(texts)}}}"
