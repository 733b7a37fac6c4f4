"""Arrays on a GPU: the same mixes as on the host, without synchronization. Run by test_gpu.py if there is a GPU."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch

import mixaug as ma
from mixaug import backends

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="these are for a GPU")

KEY, N, SIZE, CLASSES = (2**65 + 7, 3, 11), 6, (37, 24), 9
RECIPES = [
    *(ma.recipe(entry.defaults) for entry in ma.recipes()),
    ma.MixUp(sources=5),
    ma.one_of(ma.CutMix(), ma.MixUp(sources=3)),
    ma.one_of(ma.FMix(), ma.ResizeMix(), ma.RandomErasing(noise=3)),
    ma.per_batch(ma.CowMix()),
    ma.schedule({0: ma.CutMix(), 3: ma.GridMix()}),
]
SOFT = ("SmoothMix", "GMix(")


@pytest.fixture(params=RECIPES, ids=repr)
def recipe(request):
    return request.param


@contextmanager
def no_waiting():
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def pixels(dtype=torch.uint8, n=N):
    values = np.random.default_rng(0).integers(0, 256, (n, 3, *SIZE))
    return torch.from_numpy(values).to(dtype)


def apart(recipe):
    return 1e-6 if any(name in repr(recipe) for name in SOFT) else 0


def assert_same_mix(got, want, atol=0.0):
    (structure, arrays), (expected, wanted) = got.flatten(), want.flatten()
    assert structure == expected
    for name, array, host in zip(("index", "lam", *structure[1]), arrays, wanted, strict=True):
        on_host = array.cpu().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)
        assert on_host.dtype == host.dtype
        np.testing.assert_allclose(on_host, host, rtol=0, atol=atol, err_msg=name)


def test_integers_draw_the_same_mix_and_wait_for_nothing(recipe):
    x = pixels().cuda()
    recipe.draw(N, SIZE, key=KEY, like=x)  # tables are copied once
    with no_waiting():
        mix = recipe.draw(N, SIZE, key=KEY, like=x)
    assert all(array.is_cuda for array in mix.flatten()[1])
    assert_same_mix(mix, recipe.draw(N, SIZE, key=KEY), apart(recipe))


def test_numbers_on_the_device_draw_the_same_mix(recipe):
    x, step = pixels().cuda(), torch.tensor(KEY[2], device="cuda")
    recipe.draw(N, SIZE, key=(*KEY[:2], step), like=x)
    with no_waiting():
        mix = recipe.draw(N, SIZE, key=(*KEY[:2], step), like=x)
    assert_same_mix(mix, recipe.draw(N, SIZE, key=KEY), apart(recipe))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_a_batch_is_mixed_as_on_the_host_and_waits_for_nothing(recipe, dtype):
    host = {"images": pixels(dtype), "labels": torch.arange(N) % CLASSES, "weights": torch.rand(N)}
    fields = {"weights": "values"}
    there = {name: x.cuda() for name, x in host.items()}
    ma.mix_batch(recipe, there, key=KEY, num_classes=CLASSES, fields=fields)
    with no_waiting():
        got = ma.mix_batch(recipe, there, key=KEY, num_classes=CLASSES, fields=fields)
    want = ma.mix_batch(recipe, host, key=KEY, num_classes=CLASSES, fields=fields)
    for name in host:
        assert got[name].is_cuda
        close = 1.01 if dtype == torch.uint8 and apart(recipe) and name == "images" else 3e-4 if apart(recipe) else 1e-4
        torch.testing.assert_close(
            got[name].cpu(), want[name], rtol=0, atol=close if apart(recipe) or dtype != torch.uint8 else 1e-6
        )


def test_a_mix_of_numpy_mixes_arrays_on_the_gpu(recipe):
    mix, x, y = recipe.draw(N, SIZE, key=KEY), pixels(), torch.arange(N)
    masks = torch.from_numpy(np.random.default_rng(1).integers(0, 5, (N, *SIZE)))
    there = x.cuda(), y.cuda(), masks.cuda()

    def run():
        return mix.images(there[0]), mix.labels(there[1], N), mix.masks(there[2])

    run()
    with no_waiting():
        images, labels, mixed = run()
    assert torch.equal(images.cpu(), mix.images(x))
    assert torch.equal(labels.cpu(), mix.labels(y, N))
    assert torch.equal(mixed.cpu(), mix.masks(masks))


def test_a_step_is_one_graph_of_cuda():
    """With a step on the device, each replay of a CUDA graph draws another mix."""
    x, y, step = pixels().cuda(), torch.arange(N, device="cuda"), torch.zeros((), dtype=torch.int64, device="cuda")

    def run():
        mix = ma.CutMix().draw(N, SIZE, key=(1, step), like=x)
        return mix.images(x, dtype="bfloat16", scale=1 / 255), mix.labels(y, N)

    with torch.cuda.stream(torch.cuda.Stream()):
        run()
        run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        images, labels = run()
    for number in (0, 5):
        step.fill_(number)
        graph.replay()
        mix = ma.CutMix().draw(N, SIZE, key=(1, number), like=x)
        assert torch.equal(images, mix.images(x, dtype="bfloat16", scale=1 / 255))
        assert torch.equal(labels, mix.labels(y, N))


def test_a_module_on_the_gpu_counts_steps_without_waiting():
    mixed, x, y = ma.torch.Mixed(ma.CutMix(), num_classes=N).cuda(), pixels().cuda(), torch.arange(N, device="cuda")

    def assert_is_step(labels, step):
        assert torch.equal(labels, ma.CutMix().draw(N, SIZE, key=(0, step), like=x).labels(y, N))

    assert_is_step(mixed(x, y)[1], 0)
    with no_waiting():
        labels = mixed(x, y)[1]
    assert_is_step(labels, 1)
    mixed.load_state_dict({"step": torch.tensor(40)})
    assert_is_step(mixed(x, y)[1], 40)


def test_a_module_in_a_graph_of_cuda_is_told_the_step():
    mixed, x, y = ma.torch.Mixed(ma.CutMix(), num_classes=N).cuda(), pixels().cuda(), torch.arange(N, device="cuda")
    step = torch.zeros((), dtype=torch.int64, device="cuda")
    with torch.cuda.stream(torch.cuda.Stream()):
        mixed(x, y, step=step)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        with pytest.raises(ValueError, match=r"expected step= a tensor .* every replay has the same step"):
            mixed(x, y)
        _, labels = mixed(x, y, step=step)
    step.fill_(3)
    graph.replay()
    assert torch.equal(labels, ma.CutMix().draw(N, SIZE, key=(0, 3), like=x).labels(y, N))


def test_compiled_code_gives_the_same():
    x, y = pixels().cuda(), torch.arange(N, device="cuda")

    def run(x, y, step):
        return ma.mix_batch(ma.CutMix(), (x, y), key=(1, step), num_classes=N)

    images, labels = torch.compile(run, fullgraph=True)(x, y, torch.tensor(4, device="cuda"))
    want = run(x, y, 4)
    assert torch.equal(images, want[0])
    torch.testing.assert_close(labels, want[1], rtol=0, atol=1e-6)


def test_gradients_pass_through():
    mix = ma.MixUp().draw(N, SIZE, key=KEY, like=torch.zeros(1, device="cuda"))
    x = pixels(torch.float32).cuda().requires_grad_()
    mix.images(x).sum().backward()
    got = x.grad.clone()
    host = pixels(torch.float32).requires_grad_()
    ma.MixUp().draw(N, SIZE, key=KEY).images(host).sum().backward()
    torch.testing.assert_close(got.cpu(), host.grad)
    scale = torch.tensor([1.0, 2, 3], device="cuda", requires_grad=True)
    mix.images(pixels().cuda(), dtype="float32", scale=scale).sum().backward()
    assert scale.grad is not None


def test_tangents_pass_through():
    mix = ma.MixUp().draw(N, SIZE, key=KEY, like=torch.zeros(1, device="cuda"))
    x = pixels(torch.float32).cuda()
    _, tangent = torch.func.jvp(mix.images, (x,), (torch.ones_like(x),))
    torch.testing.assert_close(tangent, torch.ones_like(x))


def test_out_is_separate_memory_and_its_version_increases():
    x, mix = pixels().cuda(), ma.CutMix().draw(N, SIZE, key=KEY)
    buffer = torch.empty((2 * N, 3, *SIZE), dtype=torch.uint8, device="cuda")
    out, version = buffer[:N], buffer._version
    assert mix.images(x, out=out) is out
    assert buffer._version > version
    for own in (buffer[:N], buffer[1 : N + 1]):
        with pytest.raises(ValueError, match="memory of its own"):
            mix.images(own, out=out)
    mix.images(buffer[N:], out=out)


def test_other_streams_and_pinned_memory():
    """Many batches on a separate stream: data in transfer is not overwritten."""
    stream, x, y = torch.cuda.Stream(), pixels().cuda(), torch.arange(N, device="cuda")
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(20_000_000)
        made = [ma.mix_batch(ma.CutMix(), (x, y), key=(0, step), num_classes=N) for step in range(200)]
    stream.synchronize()
    for step, (images, labels) in enumerate(made):
        mix = ma.CutMix().draw(N, SIZE, key=(0, step))
        assert torch.equal(labels.cpu(), mix.labels(torch.arange(N), N))
        assert torch.equal(images.cpu(), mix.images(pixels()))


def test_jax_draws_the_same_mix_on_the_gpu(recipe):
    jax = pytest.importorskip("jax")
    if jax.default_backend() == "cpu":
        pytest.skip("JAX has no GPU")
    x = jax.numpy.asarray(pixels().numpy().transpose(0, 2, 3, 1))
    want = recipe.draw(N, SIZE, key=KEY)
    assert_same_mix(recipe.draw(N, SIZE, key=KEY, like=x), want, apart(recipe))

    def run(x, step):
        mix = recipe.draw(N, SIZE, key=(*KEY[:2], step), like=x)
        return mix, mix.images(x)

    mix, images = jax.jit(run)(x, np.int32(KEY[2]))
    assert {device.platform for device in images.devices()} != {"cpu"}
    assert_same_mix(mix, want, apart(recipe))
    off = np.abs(np.asarray(images).astype(int) - want.images(np.asarray(x)))
    assert off.max() <= (1 if apart(recipe) else 0)


def test_arrays_on_the_gpu_are_on_an_accelerator():
    x = torch.zeros(1, device="cuda")
    xp = backends.of(x)
    assert xp.on_accelerator(x)
    assert not backends.of(x.cpu()).on_accelerator(x.cpu())
