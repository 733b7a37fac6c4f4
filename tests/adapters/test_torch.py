"""PyTorch: the module, the loader, the dataset and the collate function, under workers, resumes and shards."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
import torch._dynamo.testing
from torch.utils import _pytree
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import tv_tensors
from torchvision.transforms import v2

import mixaug as ma
import ways
from mixaug.epoch import Epoch
from mixaug.recipes.recipe import DrawArgs

N, BATCH = 22, 4
RECIPE = ma.one_of(ma.MixUp(alpha=1.0, sources=3), ma.CutMix())
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (N, 3, 8, 6), np.uint8))
LABELS = torch.arange(N)
PAIRS = TensorDataset(IMAGES, LABELS)


def mixed_by_numpy(key: tuple[int, ...], rows=slice(None), recipe: ma.Recipe = RECIPE) -> list[np.ndarray]:
    batch = {"images": IMAGES.numpy()[rows], "labels": LABELS.numpy()[rows]}
    mixed = ma.mix_batch(recipe, batch, key=key, num_classes=N, fields={"images": ma.Images("nchw")})
    return [mixed["images"], mixed["labels"]]


def assert_batch(got, want) -> None:
    assert len(got) == len(want)
    ways.assert_same(got[0], np.asarray(want[0]), torch.Tensor)
    ways.assert_same(got[1], np.asarray(want[1]), torch.Tensor, atol=1e-7)


def assert_batches(got, want) -> None:
    got, want = list(got), list(want)
    assert len(got) == len(want) > 0
    for one, other in zip(got, want, strict=True):
        assert_batch(one, other)


# --- the module


def test_the_module_counts_its_calls_in_its_state():
    mixed = ma.torch.Mixed(RECIPE, num_classes=N, seed=3)
    for step in range(3):
        assert_batch(mixed(IMAGES, LABELS), mixed_by_numpy((3, step)))
    resumed = ma.torch.Mixed(RECIPE, num_classes=N, seed=3)
    resumed.load_state_dict(mixed.state_dict())
    assert_batch(resumed(IMAGES, LABELS), mixed_by_numpy((3, 3)))
    assert repr(mixed) == f"Mixed({RECIPE!r}, num_classes={N})"


def test_the_count_is_that_of_the_buffer_whoever_changes_it():
    """The host counts along, so that no device is waited for: it must see what is done to the buffer elsewhere."""
    mixed = ma.torch.Mixed(RECIPE, num_classes=N)

    def assert_next(mixed, step):
        assert_batch(mixed(IMAGES, LABELS), mixed_by_numpy((0, step)))
        assert int(mixed.step) == step + 1

    assert_next(mixed, 0)
    assert_next(mixed, 1)
    mixed.load_state_dict({"step": torch.tensor(40)})
    assert_next(mixed, 40)
    mixed.step.fill_(7)
    assert_next(mixed, 7)
    mixed.step = torch.tensor(3)
    assert_next(mixed, 3)
    assert_next(copy.deepcopy(mixed), 4)
    assert_next(mixed, 4)
    torch.compile(mixed, backend="eager")(IMAGES, LABELS)
    assert_next(mixed, 6)
    mixed.to(torch.device("cpu"), torch.float64)  # integers stay what they are
    assert_next(mixed, 7)


def test_step_and_epoch_override_the_count():
    mixed = ma.torch.Mixed(RECIPE, num_classes=N)
    assert_batch(mixed(IMAGES, LABELS, step=41), mixed_by_numpy((0, 41)))
    assert_batch(mixed(IMAGES, LABELS, step=torch.tensor(4), epoch=7), mixed_by_numpy((0, 7, 4)))
    assert int(mixed.step) == 0
    assert_batch(mixed(IMAGES, LABELS, epoch=7), mixed_by_numpy((0, 7, 0)))
    assert int(mixed.step) == 1


@pytest.mark.parametrize("kind", [tuple, list, dict])
def test_the_module_takes_one_batch_of_any_form(kind):
    batch = {"images": IMAGES, "labels": LABELS} if kind is dict else kind((IMAGES, LABELS))
    out = ma.torch.Mixed(RECIPE, num_classes=N)(batch)
    assert type(out) is kind
    assert_batch(list(out.values()) if kind is dict else out, mixed_by_numpy((0, 0)))


def test_eval_passes_everything_unmixed():
    mixed = ma.torch.Mixed(RECIPE, num_classes=N).eval()
    batch = (IMAGES, LABELS)
    assert mixed(batch) is batch
    assert all(out is x for out, x in zip(mixed(IMAGES, LABELS), batch, strict=True))
    assert int(mixed.step) == 0


def test_in_a_compose_and_with_tv_tensors():
    steps = v2.Compose(
        [ma.torch.Mixed(RECIPE, num_classes=N), v2.ToDtype(torch.float32), v2.Normalize([127.5] * 3, [127.5] * 3)]
    )
    images, labels = steps(tv_tensors.Image(IMAGES), LABELS)
    assert type(images) is tv_tensors.Image
    assert type(labels) is torch.Tensor
    want = mixed_by_numpy((0, 0))
    np.testing.assert_allclose(images.numpy(), want[0] / 127.5 - 1, atol=1e-6)
    np.testing.assert_allclose(labels, want[1], atol=1e-7)
    video = ma.torch.Mixed(ma.CutMix(), fields={"video": "images"})(
        {"video": tv_tensors.Video(torch.zeros(2, 5, 3, 8, 8).movedim(1, 2))}
    )
    assert type(video["video"]) is tv_tensors.Video


def test_tv_tensors_of_masks_and_boxes():
    """Masks and boxes stay what they are, with the format and the canvas of the boxes, padded or in a list of dicts."""
    xywh, size = {"format": "XYWH", "canvas_size": (8, 6)}, torch.tensor([[0.0, 0, 6, 8]])
    batch = {
        "images": tv_tensors.Image(IMAGES[:2]),
        "masks": tv_tensors.Mask(torch.arange(2, dtype=torch.uint8)[:, None, None].expand(2, 8, 6)),
        "targets": [{"boxes": tv_tensors.BoundingBoxes(size, **xywh), "labels": torch.tensor([i])} for i in range(2)],
    }
    mixed = ma.torch.Mixed(ma.CutMix(), fields={"targets": ma.Boxes(format="xywh")}, copies=2)(batch)
    assert type(mixed["masks"]) is tv_tensors.Mask
    assert len(mixed["targets"]) == 4
    for row in mixed["targets"]:
        assert type(row["boxes"]) is tv_tensors.BoundingBoxes
        assert (row["boxes"].format.value, row["boxes"].canvas_size) == ("XYWH", (8, 6))
        assert type(row["labels"]) is torch.Tensor
    with pytest.raises(
        ValueError, match=r"'xyxy' that the field says, got boxes of XYWH; pass ma.Boxes\(format='xywh'"
    ):
        ma.torch.Mixed(ma.CutMix(), fields={"targets": "boxes"})(batch)


def test_other_types_of_the_module_leave_the_count_whole():
    mixed = ma.torch.Mixed(RECIPE, num_classes=N).half()
    assert mixed.step.dtype == torch.int64


@pytest.mark.parametrize("given", [{}, pytest.param({"step": True}, marks=pytest.mark.full)], ids=["counted", "said"])
def test_compiles_once_for_all_steps(given):
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(ma.torch.Mixed(RECIPE, num_classes=N), fullgraph=True, backend=counter)
    for step in range(4):
        options = {"step": torch.tensor(step), "epoch": torch.tensor(step + 1)} if given else {}
        key = (0, step + 1, step) if given else (0, step)
        assert_batch(compiled(IMAGES, LABELS, **options), mixed_by_numpy(key))
    assert counter.frame_count == 1


@pytest.mark.full
def test_a_first_use_inside_a_compiled_function():
    """A program whose first call of mixaug is traced, so that the backend is loaded during tracing."""
    code = """
import mixaug as ma, torch
def run(x, y):
    return ma.mix_batch(ma.CutMix(), (x, y), key=(0, 0), num_classes=3)
mix = torch.compile(run, fullgraph=True, backend="eager")
print(mix(torch.zeros(3, 1, 8, 8), torch.arange(3))[1].shape)
"""
    assert in_a_fresh_process(code).strip() == "torch.Size([3, 3])"


@pytest.mark.full
@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.SmoothMix()], ids=["Paste", "Dense"])
def test_inductor_makes_the_same_mix(recipe):
    torch._dynamo.reset()

    def run(images, labels, step):
        mix = recipe.draw(N, (8, 6), key=(0, step), like=images)
        return mix, mix.images(images), mix.labels(labels, N)

    compiled = torch.compile(run, fullgraph=True)
    for step in range(2):
        mix, images, labels = compiled(IMAGES.float(), LABELS, torch.tensor(step))
        want = recipe.draw(N, (8, 6), key=(0, step))
        atol = 1e-6 if isinstance(recipe, ma.SmoothMix) else 0
        for one, other in zip(mix.flatten()[1], want.flatten()[1], strict=True):
            ways.assert_same(one, other, torch.Tensor, atol=atol)
        expected = want.images(IMAGES.numpy().astype(np.float32), "nchw")
        ways.assert_same(images, expected, torch.Tensor, atol=atol * 255)
        ways.assert_same(labels, want.labels(LABELS.numpy(), N), torch.Tensor, atol=1e-6)


def test_gradients_flow():
    x = torch.randn(5, 2, 6, 6, requires_grad=True)
    mix = ma.one_of(ma.MixUp(), ma.CutMix(), ma.SmoothMix()).draw(5, (6, 6), key=(0, 0), like=x)
    mix.images(x).sum().backward()
    weights = np.zeros((5, 6, 6))
    for rows, dense in zip(mix.index.numpy(), mix.pixel_weights().numpy(), strict=True):
        np.add.at(weights, rows, dense)
    np.testing.assert_allclose(x.grad[:, 0], weights, atol=1e-6)


def test_vmap_over_steps_is_the_loop():
    shares = torch.func.vmap(lambda step: RECIPE.draw(N, (8, 6), key=(0, step), like=IMAGES).lam)(torch.arange(3))
    for step, lam in enumerate(shares):
        np.testing.assert_array_equal(lam, RECIPE.draw(N, (8, 6), key=(0, step)).lam)


def test_a_mix_is_a_pytree():
    mix = RECIPE.draw(N, (8, 6), key=(0, 0), like=IMAGES)
    doubled = _pytree.tree_map(lambda x: x * 2, mix)
    assert isinstance(doubled, ma.Mix)
    np.testing.assert_array_equal(doubled.lam, mix.lam * 2)
    assert len(_pytree.tree_leaves(RECIPE.draw(N, (8, 6), key=(0, 0)))) == len(mix.flatten()[1])


def test_inputs_stay_and_outputs_are_fresh():
    images = IMAGES.clone()
    for recipe in ways.RECIPE_ROWS:
        out = ma.torch.Mixed(recipe, num_classes=N)(images, LABELS)[0]
        assert out.data_ptr() != images.data_ptr()
    assert (images == IMAGES).all()


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_any_arrangement_in_memory(memory):
    arranged = IMAGES.contiguous(memory_format=memory)
    assert_batch(ma.torch.Mixed(RECIPE, num_classes=N)(arranged, LABELS), mixed_by_numpy((0, 0)))
    strided = IMAGES.repeat_interleave(2, dim=-1)[..., ::2]
    assert_batch(ma.torch.Mixed(RECIPE, num_classes=N)(strided, LABELS), mixed_by_numpy((0, 0)))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32])
def test_class_ids_of_any_integer_dtype(dtype):
    _, labels = ma.torch.Mixed(RECIPE, num_classes=N)(IMAGES, LABELS.to(dtype))
    np.testing.assert_allclose(labels, mixed_by_numpy((0, 0))[1], atol=1e-7)


def test_ids_out_of_range_are_refused_eagerly_and_nan_in_compiled_code():
    mixed = ma.torch.Mixed(ma.MixUp(), num_classes=3)
    with pytest.raises(ValueError, match=r"expected class ids in 0\.\.2, got 0\.\.7"):
        mixed(torch.zeros(3, 1, 2, 2), torch.tensor([0, 7, 2]))
    torch._dynamo.reset()
    labels = torch.compile(mixed, fullgraph=True, backend="aot_eager")(
        torch.zeros(3, 1, 2, 2), torch.tensor([0, 7, 2])
    )[1]
    assert labels.isnan().any()


def test_devices_that_differ_are_refused():
    with pytest.raises(TypeError, match="got PyTorch for 'images' and PyTorch on meta for 'labels'; convert one"):
        ma.mix_batch(RECIPE, (IMAGES, LABELS.to("meta")), key=(0, 0), num_classes=N)


# --- the loader


def expected(epochs=(0,), sources: str = "batch", seed: int = 0, batch: int = BATCH, shuffle: bool = True):
    """What the loader has to give: batches in the epoch's order, mixed as the core mixes them."""
    for epoch in epochs:
        this = Epoch(N, seed, epoch, shuffle)
        for step, start in enumerate(range(0, N, batch)):
            rows, key = this.rows(start, start + batch), (seed, epoch, step)
            if sources == "batch":
                yield mixed_by_numpy(key, rows)
            else:
                index = this.sources(start, start + batch, RECIPE.sources)
                mix = RECIPE.draw(len(rows), (8, 6), key=key, index=index)
                images, labels = IMAGES.numpy(), LABELS.numpy()
                yield mix.images(images[rows], "nchw", source=images), mix.labels(labels[rows], N, source=labels)


def make(dataset: Dataset = PAIRS, recipe: ma.Recipe = RECIPE, **options):
    return ma.torch.loader(recipe, dataset, options.pop("batch_size", BATCH), num_classes=N, **options)


WORKERS = [
    {"num_workers": 0},
    {"num_workers": 1, "persistent_workers": True},
    {"num_workers": 2, "multiprocessing_context": "fork"},
    {"num_workers": 2, "multiprocessing_context": "spawn", "persistent_workers": True},
    {"num_workers": 4, "multiprocessing_context": "fork", "persistent_workers": True, "prefetch_factor": 4},
]


@pytest.mark.parametrize("workers", WORKERS, ids=lambda options: "-".join(map(str, options.values())))
@pytest.mark.parametrize("partners", [pytest.param("batch", marks=pytest.mark.full), "dataset"])
def test_batches_do_not_depend_on_the_workers(workers, partners):
    loader = make(partners=partners, **workers)
    for epoch in range(2):
        assert loader.sampler.epoch == epoch
        assert_batches(loader, expected([epoch], partners))
    assert len(loader) == 6


def test_parents_from_the_dataset_are_those_of_ma_batches():
    x, y = IMAGES.permute(0, 2, 3, 1).numpy(), LABELS.numpy()
    stream = ma.batches(RECIPE, x, y, BATCH, seed=9, epochs=2, num_classes=N)
    loader = make(partners="dataset", seed=9)
    assert_batches([*loader, *loader], ((images.transpose(0, 3, 1, 2), labels) for images, labels in stream))


@pytest.mark.parametrize("workers", [{}, {"num_workers": 2, "persistent_workers": True}], ids=str)
def test_a_resume_in_the_middle_of_an_epoch_goes_on(workers):
    whole = list(expected([0, 1, 2]))
    loader = make(**workers)
    seen = []
    for epoch in range(2):
        for step, batch in enumerate(loader):
            seen.append(batch)
            if (epoch, step) == (1, 2):
                state = loader.state_dict()
                break
    assert state == {"epoch": 1, "step": 3}  # what was handed over, not what workers have fetched ahead
    resumed = make(**workers)
    resumed.load_state_dict(state)
    resumed.sampler.set_epoch(1)  # as trainers do before each pass
    seen += [*resumed, *resumed]
    assert_batches(seen, whole)


def test_a_pass_that_was_left_is_an_epoch_of_its_own():
    loader = make()
    next(iter(loader))
    assert_batches(loader, expected([1]))
    loader.sampler.set_epoch(5)
    assert_batches(loader, expected([5]))
    next(iter(loader))
    loader.sampler.set_epoch(6)
    assert_batches(loader, expected([6]))


@pytest.mark.parametrize("world", [2, 3, 5])
@pytest.mark.parametrize("partners", ["batch", "dataset"])
@pytest.mark.parametrize("recipe", [RECIPE, ma.per_batch(RECIPE), ma.GridMix()], ids=repr)
def test_shards_are_what_one_process_would_draw(world, partners, recipe):
    options = {"partners": partners, "recipe": recipe, "seed": 4}
    one = list(make(batch_size=2 * world, **options))
    ranks = [list(make(batch_size=2, rank=rank, world_size=world, **options)) for rank in range(world)]
    assert {len(rank) for rank in ranks} == {len(one)}
    for step, (images, labels) in enumerate(one):
        parts = [rank[step] for rank in ranks]
        if sum(len(part[1]) for part in parts) == len(labels):
            assert torch.equal(torch.cat([part[0] for part in parts]), images)
            assert torch.equal(torch.cat([part[1] for part in parts]), labels)
        else:  # fewer rows than ranks: none is empty, and all rows are there
            assert step == len(one) - 1
            assert {tuple(row.tolist()) for part in parts for row in part[1]} == {tuple(r.tolist()) for r in labels}


def as_a_rank(rank: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    batches = ma.torch.loader(RECIPE, PAIRS, BATCH, num_classes=N)
    torch.save([labels for _, labels in batches], f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_processes_that_train_together_are_asked_who_they_are(tmp_path):
    halves = ways.on_two_ranks("fork", as_a_rank, tmp_path)
    for first, second, (_, whole) in zip(*halves, make(batch_size=2 * BATCH), strict=True):
        assert torch.equal(torch.cat([first, second]), whole)


def test_the_order_and_the_end_as_asked():
    assert_batches(make(shuffle=False), expected(shuffle=False))
    dropped = make(drop_last=True)
    assert len(dropped) == len(list(dropped)) == 5
    assert_batches(dropped, list(expected([1]))[:5])


class Photos(Dataset):
    """Samples as dicts, read a list at a time."""

    def __init__(self):
        self.read = []

    def __len__(self):
        return N

    def __getitems__(self, rows):
        self.read.append(rows)
        return [{"pixel_values": IMAGES[row], "label": row} for row in rows]

    def __getitem__(self, row):
        raise AssertionError("expected a list of rows to be asked for")


def test_dicts_are_read_a_list_at_a_time_and_each_sample_once():
    photos = Photos()
    for batch, want in zip(make(photos), expected(), strict=True):
        assert list(batch) == ["pixel_values", "label"]
        assert_batch(list(batch.values()), want)
    assert sorted(row for rows in photos.read for row in rows) == list(range(N))


def test_labels_in_parts():
    _, (parts, lam) = ma.torch.Mixed(RECIPE, fields={"labels": ma.PerSource()})(IMAGES, LABELS)
    mix = RECIPE.draw(N, (8, 6), key=(0, 0), like=IMAGES)
    assert torch.equal(parts, mix.per_source(LABELS)[0])
    assert torch.equal(lam, mix.lam)
    loader = make(recipe=ma.CutMix(), fields={"labels": ma.PerSource()})
    for (_, (parts, lam)), (_, labels) in zip(loader, make(recipe=ma.CutMix()), strict=True):
        dense = (torch.nn.functional.one_hot(parts, N) * lam[..., None]).sum(0)
        torch.testing.assert_close(dense, labels)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"dataset": iter([])}, TypeError, "dataset: expected samples by index and a length, got list_iterator"),
        ({"dataset": TensorDataset(IMAGES[:0])}, ValueError, "dataset: expected one sample or more, got none"),
        ({"sampler": [1], "shuffle": True}, ValueError, r"loader: expected no shuffle=True with sampler="),
        (
            {"sampler": iter([1])},
            TypeError,
            "sampler: expected rows that can be iterated over once an epoch, got list_",
        ),
        ({"partners": "any"}, ValueError, 'partners: expected "batch" or "dataset", got \'any\''),
        ({"batch_size": 0}, ValueError, "batch_size: expected a whole number of 1 or more, got 0"),
        ({"rank": 2, "world_size": 2}, ValueError, r"rank: expected 0\.\.1, because world_size is 2, got 2"),
        ({"batch_size": 23, "drop_last": True}, ValueError, "expected 23 rows or more for one step of 1 x 23, got 22"),
        ({"recipe": 3}, TypeError, "expected a recipe first, before the data, got 3"),
    ],
)
def test_loaders_that_are_refused(options, error, sentence):
    with pytest.raises(error, match=sentence):
        make(**options)


@pytest.mark.parametrize("state", [{}, {"epoch": 0, "step": 6}, {"epoch": -1, "step": 0}, {"epoch": 0}])
def test_states_that_are_refused(state):
    with pytest.raises(ValueError, match=r"expected an epoch and a step in 0\.\.5, got .*; load the state of a loader"):
        make().load_state_dict(state)


# --- the dataset


def item_by_core(row: int, epoch: int, recipe: ma.Recipe = RECIPE):
    index = Epoch(N, 7, epoch, shuffle=False).sources(row, row + 1, recipe.sources)
    mix = recipe.draw(1, (8, 6), key=ma.core.keys.make((7, epoch)), index=index, rows=np.array([row]))
    images, labels = IMAGES.numpy(), LABELS.numpy()
    return [
        mix.images(images[[row]], "nchw", source=images)[0],
        mix.labels(labels[[row]], N, source=labels)[0],
    ]


ITEM_RECIPES = [recipe for recipe in ways.RECIPE_ROWS if "per_batch" not in repr(recipe)]


@pytest.mark.parametrize("recipe", [recipe for recipe in ways.RECIPE_ROWS if recipe not in ITEM_RECIPES], ids=repr)
def test_items_have_no_batch_to_draw_once_for(recipe):
    with pytest.raises(ValueError, match="per_batch"):
        ma.torch.MixedDataset(recipe, PAIRS, num_classes=N)


@pytest.mark.parametrize("recipe", ITEM_RECIPES, ids=repr)
def test_item_i_is_mixed_with_its_parents_of_this_epoch(recipe):
    x = torch.from_numpy(ways.own_class_everywhere(N, (5, 6))).movedim(-1, 1)
    ds = ma.torch.MixedDataset(recipe, TensorDataset(x, LABELS), num_classes=N)
    for row in (0, 21, 9, -1):
        image, label = ds[row]
        ways.assert_label_is_the_pixels(image, label, channels=0)
        assert label.dtype == torch.float32
        mostly = torch.stack([ds[row][1] for _ in range(2)])
        assert torch.equal(mostly[0], mostly[1])


def test_items_and_the_draw_of_a_whole_batch_agree():
    ds = ma.torch.MixedDataset(RECIPE, PAIRS, seed=7, num_classes=N)
    ds.epoch = 3
    for row in range(N):
        assert_batch(ds[row], item_by_core(row, 3))
    mix = RECIPE.draw(N, (8, 6), key=ma.core.keys.make((7, 3)), index=Epoch(N, 7, 3, shuffle=False).sources(0, N, 3))
    np.testing.assert_allclose(torch.stack([ds[row][1] for row in range(N)]), mix.labels(LABELS.numpy(), N), atol=1e-7)


@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.full)])
def test_workers_that_have_started_see_the_epoch(context):
    ds = ma.torch.MixedDataset(RECIPE, PAIRS, seed=7, num_classes=N)
    loader = DataLoader(ds, 5, num_workers=2, persistent_workers=True, multiprocessing_context=context)
    for epoch in (0, 1, 5):
        ds.set_epoch(epoch)
        labels = torch.cat([labels for _, labels in loader])
        np.testing.assert_allclose(labels, [item_by_core(row, epoch)[1] for row in range(N)], atol=1e-7)


def test_items_that_are_refused():
    ds = ma.torch.MixedDataset(RECIPE, PAIRS, num_classes=N)
    with pytest.raises(IndexError, match=r"expected a row in 0\.\.21, got 22"):
        ds[22]
    with pytest.raises(ValueError, match="epoch: expected a whole number of 0 or more, got -1"):
        ds.epoch = -1
    with pytest.raises(TypeError, match="dataset: expected samples by index and a length, got generator"):
        ma.torch.MixedDataset(RECIPE, (i for i in range(3)))


# --- the collate function


@pytest.mark.parametrize("workers", [0, 2])
def test_the_collate_function_draws_anew_each_epoch_and_is_right(workers):
    x = torch.from_numpy(ways.own_class_everywhere(N, (5, 6))).movedim(-1, 1)
    mixing = ma.torch.MixingCollate(ma.CutMix(), num_classes=N)
    loader = DataLoader(TensorDataset(x, LABELS), BATCH, collate_fn=mixing, num_workers=workers)
    epochs = [list(loader) for _ in range(2)]
    for images, labels in epochs[0] + epochs[1]:
        np.testing.assert_allclose(images.mean(dim=(2, 3)), labels, atol=1e-6)
    assert any((a[1] != b[1]).any() for a, b in zip(*epochs, strict=True))
    first, second = (labels.amax(1) for _, labels in epochs[0][:2])  # of two workers, where there are two
    assert not torch.equal(first, second)


def in_a_fresh_process(code: str) -> str:
    from test_structure import in_a_fresh_process

    return in_a_fresh_process(code)


@pytest.mark.parametrize("partners", ["batch", "dataset"])
def test_a_dataset_in_memory_is_mixed_as_it_lies(partners):
    class Wrapped(torch.utils.data.Dataset):
        def __init__(self, dataset):
            self.dataset = dataset

        def __len__(self):
            return len(self.dataset)

        def __getitem__(self, row):
            return self.dataset[row]

    in_memory = torch.utils.data.TensorDataset(torch.rand(22, 3, 8, 8), torch.arange(22) % 5)
    recipe = ma.one_of(ma.CutMix(), ma.MixUp(sources=3))
    for one, other in zip(
        ma.torch.loader(recipe, in_memory, 8, num_classes=5, partners=partners),
        ma.torch.loader(recipe, Wrapped(in_memory), 8, num_classes=5, partners=partners),
        strict=True,
    ):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_tables_of_a_device_are_those_of_the_host_and_not_kept_for_ever(monkeypatch):
    """The "device" that is here beside the host holds no values, but keeps count of what is brought to it."""
    from mixaug.backends import torch as xp

    monkeypatch.setattr(xp, "_MAX_TABLES", 16)
    xp._TABLES.clear()
    like = torch.zeros(1, device="meta")
    for alpha in range(1, 30):
        ma.CutMix(alpha=alpha / 7).draw(
            4, (8, 6), key=(0, torch.zeros((), dtype=torch.int64, device="meta")), like=like
        )
    assert len(xp._TABLES) <= xp._MAX_TABLES
    with torch._subclasses.FakeTensorMode():
        fake = torch.zeros((4, 3, 8, 6))
        assert ma.CutMix().draw(4, (8, 6), key=(0, 0), like=fake).images(fake).shape == fake.shape
    assert not any(isinstance(kept, torch._subclasses.FakeTensor) for _, kept in xp._TABLES.values())


@pytest.mark.parametrize("recipe", ways.RECIPE_ROWS, ids=repr)
def test_words_of_the_host_draw_the_same_weights_in_another_library(recipe):
    """As on a GPU, where weights of pixels are made from words that NumPy drew."""
    made = ma.core.keys.make((5, 1, 2))
    args = DrawArgs(N, ma.core.regions.Sizes((8, 6), (8, 6)), made)
    got = recipe.draw_in(ma.backends.of(torch.zeros(1)), ma.backends.common(), args)
    want = recipe.draw(N, (8, 6), key=(5, 1, 2))
    for array, host in zip(got.flatten()[1], want.flatten()[1], strict=True):
        assert isinstance(array, torch.Tensor)
        np.testing.assert_allclose(array.numpy(), host, rtol=0, atol=1e-6 if host.dtype == np.float32 else 0)


def test_a_recipe_is_asked_whether_it_draws_weights():
    from mixaug.recipes.recipe import _has_weights

    phases = ma.schedule({0: ma.CutMix(), 2: ma.FMix()})
    for recipe in ways.RECIPE_ROWS:
        assert _has_weights(recipe, 2, None) == isinstance(recipe.draw(2, (8, 6), key=(0, 0)).region, ma.Dense)
    assert [_has_weights(phases, 2, np.int64(epoch)) for epoch in (0, 1, 2)] == [False, False, True]

    @dataclass(frozen=True)
    class Unhashable(ma.CutMix):
        notes: list = field(default_factory=list)

    assert not _has_weights(Unhashable(), 2, None)
