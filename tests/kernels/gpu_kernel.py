"""The Triton kernel against the definition, on a GPU or in Triton's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

import mixaug as ma
from mixaug.core.rows import Rows
from mixaug.kernels import gpu

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Triton is for Linux")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
U8, F16, BF16, F32 = torch.uint8, torch.float16, torch.bfloat16, torch.float32
INTS = {torch.float16: torch.int16, torch.bfloat16: torch.int16, torch.float32: torch.int32}
ROUNDING = {
    F32: 0.0,
    F16: 2.0**-11,
    BF16: 2.0**-8 if DEVICE == "cuda" else 2.0**-7,
}  # the interpreter truncates bfloat16

RECIPES = [
    ma.identity(),
    ma.CutMix(),
    ma.MixUp(),
    ma.MixUp(sources=5),
    ma.HMix(),
    ma.NWayCutMix(sources=4),
    ma.one_of(ma.CutMix(), ma.MixUp(sources=3)),
    ma.FMix(),
    ma.SmoothMix(),
    ma.Cutout(side=0.6, fill=77.5),
    ma.RandomErasing(area=(0.3, 0.6), fill=120, noise=300),
    ma.one_of(ma.RandomErasing(area=(0.3, 0.33), fill=-3), ma.HMix()),
    ma.one_of(ma.RandomErasing(area=(0.3, 0.33), fill=9, noise=5), ma.SmoothMix()),
]
SIZES = [(9, 7), (37,), (3, 5, 6), (4, 19), (1, 1), (5, 2)]
CHANNELS = [("first", 3), ("last", 3), (None, 1), ("first", 8), ("last", 1)]
#: dtypes of images and outputs, and whether a scale and an offset are used
FORMS = [
    (U8, U8, ""), (U8, F32, "scale offset"), (U8, BF16, "scale offset"), (U8, F16, "offset"), (U8, U8, "scale"),
    (F32, F32, ""), (F32, U8, "scale offset"), (F32, U8, ""), (F16, F16, ""), (BF16, BF16, ""), (BF16, F16, "scale"),
    (U8, F32, ""),
]  # fmt: skip


@contextmanager
def interpreted():
    """Use Triton's interpreter if there is no GPU. It is fixed when a kernel is created."""
    with pytest.MonkeyPatch.context() as patch:
        if DEVICE == "cpu":
            patch.setenv("TRITON_INTERPRET", "1")
        gpu._kernel.cache_clear()
        yield
    gpu._kernel.cache_clear()


@pytest.fixture(autouse=True, scope="module")
def _kernel():
    with interpreted():
        yield


@pytest.fixture
def _small_blocks(monkeypatch):
    monkeypatch.setattr(gpu, "_BLOCK", 64)  # so that small images need several programs


def shaped(n, size, channels, c):
    return {"first": (n, c, *size), "last": (n, *size, c), None: (n, *size)}[channels]


def pixels(shape, dtype, seed=0):
    values = np.random.default_rng(seed).uniform(0, 255, shape)
    return torch.tensor(np.rint(values) if dtype == U8 else values).to(dtype).to(DEVICE)


def drawn(recipe, n, size, seed=0):
    return recipe.draw(n, size=size, key=(seed, 1), like=torch.zeros(1, device=DEVICE))


def run(x, source, mix, channels, dtype, scale=None, offset=None, out=None):
    """The output of the kernel, without waiting for the device."""
    if DEVICE == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        return gpu.images(Rows(x, source, mix.index), mix.region, channels, dtype, scale, offset, out)
    finally:
        if DEVICE == "cuda":
            torch.cuda.set_sync_debug_mode("default")


def layout(axes, channels):
    """The layout. `ways` has this function too, but imports TensorFlow, with which Triton cannot be loaded."""
    spatial = {1: "t", 2: "hw", 3: "dhw"}[axes]
    return {"first": f"nc{spatial}", "last": f"n{spatial}c", None: f"n{spatial}"}[channels]


def host(x):
    return x.cpu().double().numpy()


def defined(x, source, mix, channels, dtype, scale=None, offset=None):
    """The output, and the magnitude that float32 errors are relative to, both float64."""
    like = source if x is None else x
    source, index = host(like if source is None else source), mix.index.cpu().numpy()
    own = source[index[0]] if x is None else host(x)
    weights = host(mix.pixel_weights())
    fill = mix.region.fill
    if fill is not None:
        fill = (fill.round().clamp(0, 255) if like.dtype == U8 else fill).to(like.dtype)
        weights = np.concatenate([weights, [weights.sum(0) == 0]])
        fill = host(fill).reshape(*fill.shape, *[1] * (weights.ndim - 1 - fill.ndim))
        fill = np.broadcast_to(placed(fill, channels), own.shape)
    if (like.dtype, dtype, scale, offset) == (U8, U8, None, None):
        weights = np.rint(weights * 65536)
        weights[0] = 65536 - weights[1:].sum(0)
    weights = np.stack([placed(weight, channels) for weight in weights])
    parts = np.stack([own, *(source[rows] for rows in index[1:]), *([] if fill is None else [fill])])
    total, size = (weights * parts).sum(0), np.abs(weights * parts).sum(0)
    if (like.dtype, dtype, scale, offset) == (U8, U8, None, None):
        return (total.astype(np.int64) + 2**15 >> 16).astype(np.float64), None
    along = [-1 if axis == {"first": 1, "last": own.ndim - 1}.get(channels, 0) else 1 for axis in range(own.ndim)]
    if scale is not None:
        total, size = total * host(scale).reshape(along), size * np.abs(host(scale)).reshape(along)
    if offset is not None:
        total, size = total + host(offset).reshape(along), size + np.abs(host(offset)).reshape(along)
    return total, size


def placed(weight, channels):
    return {"first": weight[:, None], "last": weight[..., None], None: weight}[channels]


def assert_defined(got, x, source, mix, channels, dtype, scale=None, offset=None):
    want, size = defined(x, source, mix, channels, dtype, scale, offset)
    assert got is not None
    assert (got.dtype, got.device.type, got.shape) == (dtype, DEVICE, want.shape)
    if size is None:
        np.testing.assert_array_equal(host(got), want)
    elif dtype == U8:
        assert np.abs(host(got) - want.clip(0, 255)).max(initial=0) <= 0.5 + 1e-4
    else:
        cut = DEVICE == "cpu" and mix.region.fill is not None and (source if x is None else x).dtype == BF16
        within = ROUNDING[dtype] * np.abs(want) + (ROUNDING[BF16] if cut else 1e-6) * size + 1e-7
        assert (np.abs(host(got) - want) <= within).all()


# --- the definition

TABLE = list(product(RECIPES, FORMS))


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("case", range(len(TABLE)), ids=lambda case: f"{case}-{TABLE[case][0]!r:.20}")
def test_the_kernel_is_the_definition(case):
    """Every recipe and form of arguments; sizes, channels and sources alternate to cover many combinations."""
    recipe, (dtype, to, asked) = TABLE[case]
    size, (channels, c) = SIZES[case % 6], CHANNELS[case // 3 % 5]
    n = 3 + case % 2
    x = pixels(shaped(n, size, channels, c), dtype)
    source = pixels(shaped(7, size, channels, c), dtype, seed=1) if case % 4 > 1 else None
    units = {name: torch.rand(c, device=DEVICE) * 2 - 0.5 for name in asked.split()}
    mix = drawn(recipe, n, size, seed=case)
    if source is not None:
        mix = replace(
            mix, index=torch.cat([mix.index[:1], 6 - mix.index[1:]]), _checked=True
        )  # other rows, also distinct
    own = None if case % 4 == 3 else x
    before = [y.clone() for y in (x, x if source is None else source)]
    got = run(own, source, mix, channels, to, **units)
    assert_defined(got, own, source, mix, channels, to, **units)
    assert all(torch.equal(*pair) for pair in zip(before, (x, x if source is None else source), strict=True))
    if own is not None and dtype == to and not units and (dtype != BF16 or DEVICE == "cuda"):
        assert torch.equal(got, mix.images(x, layout(len(size), channels), source=source))


def test_an_image_of_several_blocks_at_their_full_size():
    for channels, dtype in (("last", U8), ("first", F32)):
        x, mix = pixels(shaped(3, (75, 50), channels, 3), dtype), drawn(ma.NWayCutMix(), 3, (75, 50))
        assert torch.equal(run(x, None, mix, channels, dtype), mix.images(x, layout(2, channels)))


def test_the_base_sample_has_the_remaining_weight():
    """Weights that are not multiples of 2^-16."""
    mix, x = drawn(ma.MixUp(sources=5), 5, (40, 30)), pixels((5, 3, 40, 30), U8)
    weight = (
        torch.from_numpy(np.random.default_rng(0).dirichlet([1] * 5, (5, 40, 30))).float().movedim(-1, 0).to(DEVICE)
    )
    for region in (ma.Dense(weight), ma.Paste(weight[:, :, 0, 0], (None,) * 5)):
        mixed = replace(mix, region=region, _checked=True)
        assert torch.equal(run(x, None, mixed, "first", U8), mixed.images(x, layout(2, "first")))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # NumPy's, of NaNs in the interpreter
@pytest.mark.parametrize("dtype", INTS)
@pytest.mark.parametrize(
    "recipe",
    [ma.CutMix(), ma.NWayCutMix(sources=3), ma.FMix(), ma.one_of(ma.HMix(), ma.CutMix()), ma.identity()],
    ids=repr,
)
def test_pixels_of_a_single_source_are_copied_bit_for_bit(recipe, dtype):
    """For any bits: all kinds of NaN, infinities, zeros of both signs."""
    wide = INTS[dtype]
    limits = torch.iinfo(wide)
    bits = torch.from_numpy(np.random.default_rng(0).integers(limits.min, limits.max + 1, (5, 2, 7, 9))).to(wide)
    bits[:, :, 3] = torch.tensor([-0.0]).to(dtype).view(wide)
    bits[:, :, 4] = torch.tensor([float("nan")]).to(dtype).view(wide)
    bits = bits.to(DEVICE)
    mix = drawn(recipe, 5, (7, 9), seed=3)
    got = run(bits.view(dtype), None, mix, "first", dtype).view(wide)
    weights, checked = mix.pixel_weights().float(), 0
    for j, index in enumerate(mix.index):
        alone = (weights[j] == 1)[:, None].expand(bits.shape)
        assert torch.equal(got[alone], bits[index.long()][alone])
        checked += int(alone.sum())
    assert checked > bits.numel() / 4


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize(
    "recipe", [ma.one_of(ma.CutMix(), ma.MixUp(sources=3)), ma.one_of(ma.FMix(), ma.SmoothMix())], ids=repr
)
@pytest.mark.parametrize("channels", ["last", "first"])
def test_a_source_with_weight_zero_adds_nothing(recipe, channels):
    """Neither as padding nor where it is hidden, although it is NaN there."""
    mix = drawn(recipe, 4, (6, 11))
    rows = torch.arange(mix.index.numel(), dtype=torch.int32, device=DEVICE).reshape(mix.index.shape)
    mix = replace(mix, index=rows, _checked=True)  # each source has its own row
    weights = torch.stack([placed(weight, channels) for weight in mix.pixel_weights().float()])
    source = pixels(shaped(len(rows) * 4, (6, 11), channels, 2), F32)
    poisoned = torch.where(weights.reshape(len(source), *weights.shape[2:]) > 0, source, float("nan"))
    assert (weights == 0).any()
    assert mix.region.arrays().keys() == {"weight"} or (mix.lam == 0).any()  # padding
    for dtype in (F32, F16):
        got = run(None, poisoned, mix, channels, dtype)
        assert torch.equal(got, run(None, source, mix, channels, dtype))
        assert not got.isnan().any()
        assert torch.equal(got, run(poisoned[:4], poisoned, mix, channels, dtype))


@pytest.mark.skipif(DEVICE != "cpu", reason="the interpreter tells what is read")
@pytest.mark.parametrize(
    "recipe", [ma.one_of(ma.CutMix(), ma.identity()), ma.NWayCutMix(), ma.FMix(), ma.Cutout()], ids=repr
)
def test_each_pixel_that_is_seen_is_read_once(recipe, monkeypatch):
    from triton.runtime.interpreter import InterpreterBuilder

    def load(self, pointers, mask, *others):
        read.append(pointers.data[mask.data])
        return masked_load(self, pointers, mask, *others)

    read, masked_load = [], InterpreterBuilder.create_masked_load
    monkeypatch.setattr(InterpreterBuilder, "create_masked_load", load)
    monkeypatch.setattr(gpu, "_VECTOR", 4)  # bytes: one pixel
    x, mix = pixels((4, 2, 6, 11), F32), drawn(recipe, 4, (6, 11))
    run(x, None, mix, "first", F32)
    of_x = np.concatenate([at[(at >= x.data_ptr()) & (at < x.data_ptr() + x.nbytes)] for at in read])
    assert len(of_x) == 2 * (mix.pixel_weights() > 0).sum()


def test_base_samples_come_from_x():
    x, source = pixels((3, 8), F32), pixels((3, 8), F32, seed=1)
    mix = replace(drawn(ma.identity(), 3, (8,)), index=torch.tensor([[2, 0, 1]], dtype=torch.int32, device=DEVICE))
    assert torch.equal(run(x, source, mix, None, F32), x)
    assert torch.equal(run(None, source, mix, None, F32), source[[2, 0, 1]])


# --- memory


@pytest.mark.parametrize("dtype", [U8, BF16])
def test_the_memory_format_is_kept(dtype):
    mix = drawn(ma.HMix(), 3, (5, 6))
    first = pixels((3, 4, 5, 6), U8)
    for x in (first, first.to(memory_format=torch.channels_last)):
        got = run(x, None, mix, "first", dtype)
        assert got.stride() == x.stride()
        assert_defined(got, x, None, mix, "first", dtype)
    moved = first.movedim(1, -1)
    got = run(None, moved, mix, "last", dtype)
    assert got.stride() == moved.stride()
    assert_defined(got, None, moved, mix, "last", dtype)


def test_out_is_written_to_and_returned():
    x, mix = pixels((3, 5, 6, 2), U8), drawn(ma.CutMix(), 3, (5, 6))
    out = torch.full((5, 5, 6, 2), 7.0, dtype=F16, device=DEVICE)
    got = run(x, None, mix, "last", F16, out=out[1:4])
    assert got.data_ptr() == out[1:].data_ptr()
    assert_defined(got, x, None, mix, "last", F16)
    assert (out[[0, 4]] == 7).all()


def test_no_rows():
    mix, x = drawn(ma.CutMix(), 0, (5, 6)), pixels((0, 3, 5, 6), U8)
    for own, source in ((x, None), (x, pixels((2, 3, 5, 6), U8)), (None, pixels((2, 3, 5, 6), U8))):
        got = run(own, source, mix, "first", F32)
        assert (got.shape, got.dtype) == ((0, 3, 5, 6), F32)


def test_rows_out_of_range_are_clamped():
    """Rows on a GPU cannot be checked on the host: the kernel must not access memory outside of the images."""
    x = pixels((9, 5, 6), U8, seed=1)
    rows = torch.tensor([[3, 3, 3, 3], [2, -1, 9, 2**31 - 1]], dtype=torch.int32, device=DEVICE)
    region = ma.Dense(torch.full((2, 4, 5, 6), 0.5, device=DEVICE))
    got = run(None, x, replace(drawn(ma.MixUp(), 4, (5, 6)), index=rows, region=region, _checked=True), None, F32)
    assert torch.equal(got, (x[3].float() + x[[2, 0, 8, 8]].float()) / 2)


# --- labels


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
@pytest.mark.parametrize("recipe", [ma.identity(), ma.CutMix(), ma.MixUp(sources=5)], ids=repr)
@pytest.mark.parametrize("classes", [1, 5, 64, 3000])
def test_labels_equal_those_of_the_library(recipe, dtype, classes):
    y = torch.arange(7, device=DEVICE).mul(3).remainder(min(classes, 200)).to(dtype)
    mix, source = drawn(recipe, 7, (8, 8)), y.flip(0)
    want = mix.to(ma.backends.common()) if DEVICE == "cpu" else None
    for other in (None, source):
        got = gpu.labels(y, other, mix.index, mix.lam, classes)
        parts = [y, *((y if other is None else other)[rows.long()] for rows in mix.index[1:])]
        hot = [torch.nn.functional.one_hot(part.long(), classes) for part in parts]
        assert torch.equal(got, sum(lam[:, None] * one for lam, one in zip(mix.lam, hot, strict=True)))
        assert (
            want is None
            or (got.numpy() == want.labels(y.numpy(), classes, source=None if other is None else other.numpy())).all()
        )


def test_labels_of_invalid_ids_are_nan():
    index = torch.tensor([[0, 1, 2, 3, 4], [1, 0, 3, 5, -1]], dtype=torch.int32, device=DEVICE)
    lam = torch.full((2, 5), 0.5, device=DEVICE)
    y = torch.tensor([2, 0, 1, 2, 7, 0, 2], device=DEVICE)[1:6]  # the neighboring memory has class ids, too
    got = gpu.labels(y, None, index, lam, 3)
    assert got.isnan().all(1).tolist() == [False, False, True, True, True]
    assert got[:2].tolist() == [[0.5, 0.5, 0]] * 2
    assert gpu.labels(y[:0], None, index[:, :0], lam[:, :0], 3).shape == (0, 3)


def test_labels_that_are_for_others():
    mix = drawn(ma.CutMix(), 4, (8, 8))
    y = torch.arange(4, device=DEVICE)
    assert gpu.labels(y[:, None], None, mix.index, mix.lam, 4) is None
    assert gpu.labels(y, None, mix.index, mix.lam, None) is None
    assert gpu.labels(y > 1, None, mix.index, mix.lam, 2) is None
    assert gpu.labels(y, None, mix.index, mix.lam.double(), 4) is None
    assert gpu.labels(y, None, mix.index, mix.lam.requires_grad_(), 4) is None


@pytest.mark.parametrize("size", [(1,), (5, 7), (120, 101)])
def test_the_lowest_values_equal_those_of_sorting(size):
    rng = np.random.default_rng(0)
    for spread in (3, 2**30 - 1):  # many equal values, and hardly any
        values = torch.from_numpy(rng.integers(-spread, spread, (6, *size), np.int32)).to(DEVICE)
        pixels = values[0].numel()
        wanted = torch.tensor([0, 1, pixels // 3, pixels - 1, pixels, pixels], dtype=torch.float32, device=DEVICE)
        got, rows = gpu.lowest(values, wanted), values.reshape(6, -1).sort().values
        for row, count, ordered, below in zip(values, wanted.long().tolist(), rows, got, strict=True):
            limit = ordered[count] if count < pixels else 2**30
            assert torch.equal(below, row < limit)


# --- the compiler

COMPILED = r"""
import re, torch, triton
from triton.backends.compiler import GPUTarget
import mixaug as ma
from mixaug.core.rows import Rows
from mixaug.kernels import gpu

class Driver:
    get_current_device = get_current_stream = staticmethod(lambda *_: 0)
    get_current_target = staticmethod(lambda: GPUTarget("cuda", 90, 32))

class Compiled:
    def __init__(self, name):
        self.kernel = kernel(name)
    def __getitem__(self, grid):
        return lambda *args, **options: made.append(self.kernel.warmup(*args, grid=grid, **options).asm["ptx"])

triton.runtime.driver.set_active(Driver())
kernel, made = gpu._kernel, []
gpu._kernel = Compiled
u8, f32, bf16, scale = torch.uint8, torch.float32, torch.bfloat16, torch.ones(3)
for recipe, size, dtype, to, channels, scale in [
    (ma.CutMix(), (64, 64), u8, u8, "last", None),
    (ma.NWayCutMix(), (64, 64), u8, bf16, "first", scale),
    (ma.one_of(ma.MixUp(), ma.CutMix()), (64, 64), f32, f32, "first", None),
    (ma.MixUp(sources=5), (1024,), u8, u8, "last", None),
    (ma.one_of(ma.SmoothMix(), ma.RandomErasing(noise=1)), (64, 64), bf16, bf16, "last", None),
    (ma.FMix(), (4, 8, 16), f32, u8, "first", scale),
    (ma.Cutout(), (1, 1), f32, f32, "first", None),
]:
    x = torch.zeros((4, 3, *size) if channels == "first" else (4, *size, 3), dtype=dtype)
    mix = recipe.draw(4, size=size, key=(0, 0), like=x)
    assert gpu.images(Rows(x, None, mix.index), mix.region, channels, to, scale, None) is not None
    assert "fma" not in made[-1]
    assert ("cvt.rn.bf16" in made[-1]) == (to == bf16)
    wider = "st" if to.itemsize > dtype.itemsize else "ld"
    assert re.search(wider + r"\.global[.:\w]*\.v4\.b32", made[-1]) or size == (1, 1)
assert gpu.labels(torch.arange(4), None, mix.index, mix.lam, 10) is not None
assert gpu.lowest(torch.zeros((4, 30, 40), dtype=torch.int32), torch.ones(4)) is not None
assert "ld.global.v4.b32" in made[-1]
assert len(made) == 9
"""


def test_it_compiles_and_reads_or_writes_16_bytes_at_once(tmp_path):
    """Compile for a GPU that need not exist, because the interpreter accepts code that the compiler does not."""
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    environment.pop("TRITON_INTERPRET", None)
    done = subprocess.run([sys.executable, "-c", COMPILED], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- what is for others


@pytest.mark.parametrize("recipe", [ma.RICAP(), ma.ResizeMix(), ma.one_of(ma.ResizeMix(), ma.SmoothMix())], ids=repr)
def test_crops_are_for_others(recipe):
    assert run(pixels((4, 3, 8, 8), U8), None, drawn(recipe, 4, (8, 8)), "first", U8) is None


def test_unsupported_inputs_are_left_to_the_library():
    mix, x = drawn(ma.CutMix(), 4, (8, 6)), pixels((4, 3, 8, 6), F32)
    last = x.to(memory_format=torch.channels_last)
    assert run(x, None, mix, "first", F32) is not None
    assert run(x.double(), None, mix, "first", torch.float64) is None
    assert run(x, None, mix, "first", torch.float64) is None
    assert run(x.int(), None, mix, "first", torch.int32) is None
    assert run(x.mT.contiguous().mT, None, mix, "first", F32) is None  # gaps
    assert run(x.repeat(1, 2, 1, 1)[:, ::2], None, mix, "first", F32) is None
    assert run(x, last, mix, "first", F32) is None  # different memory layouts
    assert run(x, x.half(), mix, "first", F32) is None
    assert run(x[:3], x, mix, "first", F32) is None  # rows
    assert run(x, None, mix, "first", F32, out=torch.empty_like(last)) is None
    assert run(x, None, mix, "first", F32, out=torch.empty_like(x, dtype=F16)) is None
    assert run(x, None, mix, "first", F32, out=torch.empty_like(x)[:3]) is None
    assert run(x[..., None, None], None, mix, "first", F32) is None  # four axes
    assert run(x.requires_grad_(), None, mix, "first", F32) is None
    with torch.no_grad():
        assert run(x, None, mix, "first", F32) is not None


def test_without_triton_the_library_is_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    gpu._kernel.cache_clear()
    assert run(pixels((4, 8), U8), None, drawn(ma.CutMix(), 4, (8,)), None, U8) is None
    gpu._kernel.cache_clear()


def test_the_module_is_imported_without_triton():
    code = "import sys, mixaug.kernels.gpu; print('triton' in sys.modules, 'torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False False\n"
    )
