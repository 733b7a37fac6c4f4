"""Damaged batches and options, and unusual but valid ones, as text."""

from __future__ import annotations

import random
from dataclasses import replace

from fuzz_cases import Case, Part

#: Other memory layouts with the same values.
HARMLESS = {
    "numpy": [
        "np.repeat({}, 2, 0)[::2]",
        "np.ascontiguousarray(({})[::-1])[::-1]",
        "read_only({})",
        "np.asfortranarray({})",
        "swapped_bytes({})",
        "({}).view(Sub)",
        "np.repeat({}, 2, -1)[..., ::2]",
        "unaligned({})",
    ],
    "torch": [
        "array({}).flip(0).flip(0)",
        "array(np.repeat({}, 2, 0))[::2]",
        "array(np.repeat({}, 2, -1))[..., ::2]",
        "array(np.ascontiguousarray(np.swapaxes({}, 0, -1))).swapaxes(0, -1)",
        "with_gradient(array({}))",
    ],
    "tensorflow": ["tf.Variable({})", "array({})"],
    "jax": ["array({})"],
}  #: fmt: skip

#: Arrays that are invalid, or may be.
ARRAYS = [
    "({})[:-1]",
    "({})[:0]",
    "np.swapaxes({}, 1, -1)",
    "({})[..., None]",
    "({})[:, None]",
    "({})[:, 0]",
    "({})[0]",
    "({}).reshape(len({}), -1)",
    "with_number({}, np.nan)",
    "with_number({}, np.inf)",
    "with_number({}, -1)",
    "with_number({}, 9999)",
    "with_number({}, 0.5)",
    "np.concatenate([{}, {}])",
    "({}).sum()",
    *(
        f"({{}}).astype({dtype!r})"
        for dtype in (
            "complex64",
            "object",
            "str",
            "datetime64[s]",
            "longdouble",
            "uint32",
            "uint64",
            "int64",
            "int8",
            "bool",
            "float16",
            "uint16",
            "int16",
            "float64",
            "S3",
            "timedelta64[s]",
        )
    ),
]  #: fmt: skip

#: Objects that are not arrays of this library.
OTHERS = [
    "np.ma.masked_array({})",
    "({}).tolist()",
    "None",
    "'cat'",
    "3",
    "[]",
    "{{}}",
    "()",
    "iter({})",
    "set()",
    "b'bytes'",
    "[None] * 3",
    "np.float32(3)",
    "np.empty(3, object)",
    "np.array('cat')",
    "lambda: 0",
    "1j",
    "[{}]",
    "({}, {})",
    "MAKERS['torch']({})",
    "MAKERS['numpy']({})",
    "MAKERS['jax']({})",
    "np.matrix([[1.0]])",
    "{{'a': {}}}",
    "[[]]",
    "range(3)",
    "np.rec.array([(1, 2.0)])",
    "[1, 2, 'a']",
    "type",
]  #: fmt: skip

OPTIONS = {
    "num_classes": [
        "0",
        "-1",
        "2.5",
        "'3'",
        "True",
        "10**9",
        "None",
        "[3]",
        "np.int64(3)",
        "1",
        "2**70",
        "float('nan')",
    ],
    "key": [
        "'a'",
        "(0,)",
        "(0.5, 1)",
        "()",
        "True",
        "-3",
        "(1, 2, 3, 4, 5)",
        "2**70",
        "np.int32(4)",
        "(None, 0)",
        "{}",
        "0.0",
        "[0, 1]",
        "np.arange(2)",
        "(0, True)",
        "('a', 'b')",
        "np.zeros((2, 2), int)",
        "(np.arange(3), 0)",
    ],
    "copies": ["0", "-1", "1.5", "'2'", "True", "None", "float('nan')", "2**70"],
    "include_clean": ["2", "'yes'", "None", "np.ones(3)"],
    "return_mix": ["1", "'yes'", "np.ones(3)"],
    "class_weights": [
        "[1.0]",
        "{0: 1.0}",
        "[float('nan')] * 3",
        "[-1.0] * 3",
        "'balanced'",
        "2.0",
        "{'nope': [1.0]}",
        "[]",
        "{}",
        "np.ones((3, 1))",
        "[None, 1, 2]",
        "{'a': 1, 'b': 2}",
        "np.ones(3)",
        "[1e400] * 3",
        "{1: 1.0, 2: 1.0}",
        "[1, 2, 'a']",
        "{0: 1, 1: 'a', 2: 3}",
        "[True] * 3",
        "1j",
    ],
    "pairing": [
        "'same'",
        "ma.pairing.SameClass",
        "ma.pairing.SameClass(field='nope')",
        "3",
        "ma.pairing.Near(1.0)",
        "[]",
        "ma.pairing.OtherClass(field='images')",
        "ma.pairing.Near(1.0, field='labels')",
        "ma.CutMix()",
    ],
    "bank": ["3", "()", "{}", "batch", "(batch,)", "'bank'", "[batch, batch]", "np.zeros(3)", "({}, {})"],
    "fields": [
        "'images'",
        "{}",
        "()",
        "{'nope': 'images'}",
        "('images',)",
        "{'labels': 'image'}",
        "{'labels': ma.Labels}",
        "[None, None]",
        "3",
        "{'images': None}",
        "'nope'",
        "ma.Labels",
        "{0: 'images'}",
        "{'images': 3}",
        "('images', 'labels')",
        "('images', 'masks')",
        "{'labels': 'masks'}",
        "{'images': 'labels'}",
        "{'labels': 'boxes'}",
        "{'labels': 'keypoints'}",
        "{'images': 'keep'}",
        "{'labels': 'per_source'}",
        "{'labels': 'values'}",
        "{'images': 'boxes'}",
        "{'images': 'masks'}",
        *(
            f"{{'images': ma.Images({text})}}"
            for text in (
                "layout='nxyz'",
                "layout='hwc'",
                "layout='nhwc', spatial='c'",
                "layout='nn'",
                "layout=''",
                "layout=3",
                "dtype='int8'",
                "scale='a'",
                "scale=(1, 2, 3, 4, 5, 6)",
                "dtype='float32', scale=float('nan')",
                "spatial='z'",
                "dtype=3",
                "offset=[]",
                "dtype='float32', offset=np.ones((2, 2))",
                "layout='nchw', spatial=''",
                "layout='n'",
                "layout='nhw', spatial='hh'",
            )
        ),
        *(
            f"{{'labels': ma.Masks({text})}}"
            for text in (
                "ignore_index=1.5",
                "num_classes=-1",
                "soft=True",
                "layout='nhwq'",
                "num_classes=2, soft=True",
                "ignore_index=10**9",
                "num_classes='a'",
                "soft=True, num_classes=0",
            )
        ),
        *(
            f"{{'labels': ma.Labels({text})}}"
            for text in ("rule='sum'", "'a'", "rule=3", "binary=True", "0", "rule='visible'")
        ),
        *(
            f"{{'labels': ma.Boxes({text})}}"
            for text in (
                "format='abc'",
                "min_visibility=2",
                "max_boxes=-1",
                "max_boxes=1.5",
                "format=3",
                "min_visibility='a'",
                "max_boxes=10**9",
            )
        ),
    ],
    "num_class": ["3"],
    "beta": ["1.0"],
    "p": ["0.5"],
    "nonsense": ["1"],
}  #: fmt: skip

RECIPES = [
    "ma.CutMix",
    "'cutmx'",
    "None",
    "3",
    "ma",
    "'cutmix('",
    "lambda x: x",
    "ma.CutMix(alpha=-1)",
    "'one_of()'",
    "ma.one_of()",
    "ma.MixUp(sources=1)",
    "ma.sometimes(2, 'mixup')",
    "ma.schedule({1: 'mixup'})",
    "''",
    "'mixup'",
    "' CutMix '",
    "b'mixup'",
    "['mixup']",
    "ma.one_of('mixup', 3)",
    "'mixup(alpha=)'",
    "'mixup(1, 2, 3, 4)'",
    "ma.per_batch(None)",
    "ma.MixUp('a')",
    "ma.MixUp(alpha=float('nan'))",
    "ma.Mosaic(tiles=0)",
    "ma.Mosaic(tiles=(1, 1))",
    "ma.GridMix(cells=0)",
    "ma.TokenMix(token=2.5)",
    "ma.one_of('mixup', 'cutmix', weights=(1,))",
    "ma.one_of('mixup', weights=(0,))",
    "ma.one_of('mixup', weights=(-1,))",
    "ma.schedule({})",
    "ma.schedule({0: 'mixup', 1.5: 'cutmix'})",
    "ma.schedule([('mixup', 0)])",
    "ma.CutMix(lam=2)",
    "ma.CutMix(lam=(0.5, 0.2))",
    "ma.CutMix(alpha=1, lam=0.5)",
    "ma.CutMix(placement='middle')",
    "ma.MixUp(sources=10**6)",
    "ma.MixUp(alpha=(1, 2, 3))",
    "ma.Cutout(side=2)",
    "ma.Cutout(fill='a')",
    "ma.FMix(decay=-1)",
    "ma.CowMix(low=0)",
    "ma.NWayCutMix(alpha=(1, 2))",
    "ma.sometimes('a', 'mixup')",
    "'sometimes(0.5)'",
    "ma.one_of('cutmix', weights='a')",
    "ma.RandomErasing(area=(0.5, 0.1))",
    "ma.ResizeMix(low=0)",
    "ma.BoxMix(aspect=0.5)",
    "ma.HMix(ratio=2)",
    "ma.recipe('nope')",
    "ma.recipe(3)",
    "ma.CutMix(dominant=2)",
    "ma.TokenMix(token=10**9)",
    "ma.SmoothMix(low=1, high=0.5)",
    "ma.sometimes(0.5, ma.CutMix)",
]  #: fmt: skip


def damaged(case: Case) -> Case:
    """The case, damaged in four of ten cases, and in one of ten with another memory layout."""
    rng = random.Random(case.seed * 7919 + 13)  # noqa: S311
    how = rng.random()
    if how < 0.1:
        return _elsewhere(case, rng)
    if how > 0.5 or case.door in ("tf.function", "jax.jit", "torch.compile"):
        return case
    case = _once(case, rng)
    return _once(case, rng) if rng.random() < 0.15 else case


def _elsewhere(case: Case, rng: random.Random) -> Case:
    """The same arrays in another memory layout."""
    part = rng.choice(case.parts)
    if part.is_list or part.kind == "boxes" or case.door in ("jax.jit", "torch.compile", "tf.mixed"):
        return case
    text = rng.choice(HARMLESS[case.library]).replace("{}", part.text)
    if case.library == "torch" and part.kind in ("keypoints",):
        return case
    return _with(case, part, replace(part, text=text, whole=case.library != "numpy"))


def _once(case: Case, rng: random.Random) -> Case:
    """Add one more kind of damage."""
    part, what = rng.choice(case.parts), rng.random()
    if what < 0.45 and not part.is_list:
        text = rng.choice(ARRAYS)
        if part.kind == "boxes":
            return case
        return _with(case, part, replace(part, text=text.replace("{}", part.text)), text)
    if what < 0.6:
        text = rng.choice(OTHERS)
        of = part.text if part.kind != "boxes" else "np.zeros((3, 2, 4))"
        case = replace(case, is_verified=case.is_verified and not text.startswith(("[{", "({", "{{", "MAKERS")))
        return _with(case, part, replace(part, text=text.format(*[of] * 2), whole=True, is_list=False), text)
    if what < 0.85:
        name = rng.choice([name for name in OPTIONS if name != "key" or case.door in ("mix_batch", "recipe")])
        text = rng.choice(OPTIONS[name])
        said = {**case.options, name: text}
        verified = case.is_verified and name not in ("fields", "pairing", "num_classes", "bank")
        bank = 0 if name == "bank" else case.bank
        return replace(case, options=said, damage=f"{name}={text}", bank=bank, is_verified=verified)
    if what < 0.93:
        text = rng.choice(RECIPES)
        door = "mix_batch" if case.door == "recipe" else case.door
        return replace(case, recipe=text, door=door, damage=f"the recipe {text}")
    if what < 0.95:
        return replace(case, parts=[_emptied(one) for one in case.parts], damage="no rows")
    name = (*part.path[:-1], "unknown") if part.path and case.container in ("dict", "nested") else part.path
    return _with(case, part, replace(part, path=name), "another name")


def _emptied(part: Part) -> Part:
    if part.is_list:
        return replace(part, text="[]")
    return replace(part, text=part.text if part.kind == "boxes" else f"({part.text})[:0]")


def _with(case: Case, part: Part, other: Part, damage: str | None = None) -> Case:
    parts = [other if one is part else one for one in case.parts]
    return replace(case, parts=parts, damage=case.damage if damage is None else damage)
