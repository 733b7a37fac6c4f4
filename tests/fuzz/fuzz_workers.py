"""Fuzzing beyond one process: workers of PyTorch, Keras and Grain, forks beside a thread that mixes, damaged caches.

    python tests/fuzz/fuzz_workers.py --seed 0 [--kind loader --cases 3]

Each case is one of `fuzz_doors.py`; the results of workers must equal those of one process, bit for bit.
Without `--cases` it runs 300 of all kinds.
"""

from __future__ import annotations

import argparse
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import fuzz_doors
import numpy as np
from fuzz_cases import Case, draw
from fuzz_doors import call_text, each, lines, names, options_of, values

import mixaug as ma


def flat(out: Any) -> list[Any]:
    """The result as NumPy arrays and texts; a mix as its arrays."""
    found: list[Any] = []

    def add(x: Any) -> None:
        if isinstance(x, ma.Mix):
            found.extend([values(x.index), values(x.lam), *map(values, x.region.arrays().values())])
        else:
            found.append(x if isinstance(x, (list, str)) else values(x))

    each(out, add)
    return found


def assert_same(got: Any, want: Any) -> None:
    """Assert that two outputs are the same bits."""
    some, others = flat(got), flat(want)
    assert len(some) == len(others) > 0
    for a, b in zip(some, others, strict=True):
        same = a == b if isinstance(a, (list, str)) else (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())
        assert same, f"expected {b!r}, got {a!r}"


def cases(seed: int, library: str, door: str, mix: bool = True) -> Iterator[Case]:
    """An infinite stream of cases of an adapter that are right in one process."""
    while True:
        seed += 1
        case = draw(seed, [library], [door])
        if not mix:
            case.options.pop("return_mix", None)
        if fuzz_doors.run(case).how == "right":
            yield case


def evaluated(case: Case, text: str) -> Any:
    """The value of a text in the names of a case."""
    space = names(case.library)
    exec("\n".join(lines(case)), space)  # noqa: S102 - of our own making
    return eval(text, space)  # noqa: S307


def whole(case: Case, more: str = "") -> str:
    """The call of a case as a list of all batches, with more options."""
    text = call_text(case, options_of(case)).removeprefix("next(iter(").removesuffix("))")
    return f"list({text[:-1]}{more}))"


def loader(case: Case, context: str = "fork") -> None:
    """`ma.torch.loader` gives the same batches with and without workers."""
    more = f", num_workers=2, multiprocessing_context={context!r}"
    assert_same(evaluated(case, whole(case, more)), evaluated(case, whole(case)))


def items(case: Case) -> None:
    """`ma.torch.MixedDataset` gives the same items in a DataLoader with workers."""
    text = call_text(case, options_of(case)).rpartition("[")[0]
    wrapped = f"list(torch.utils.data.DataLoader({text}, batch_size=None, num_workers=2, collate_fn=lambda x: x))"
    assert_same(evaluated(case, wrapped), evaluated(case, f"[{text}[i] for i in range({case.n})]"))


def collate(case: Case) -> None:
    """`MixingCollate` in workers gives batches that equal the definition."""
    said = {**options_of(case), "return_mix": "True"}
    text = call_text(case, said).partition("([*Rows(")[0]
    made = evaluated(
        case, f"list(torch.utils.data.DataLoader(Rows(batch), {case.n}, collate_fn={text}, num_workers=1))"
    )
    batch = evaluated(case, "batch")
    bank = evaluated(case, "bank") if case.bank else None
    out, mix = fuzz_doors.split(case, batch, made[0])
    fuzz_doors.verify(case, batch, bank, out, mix)


def keras_workers(case: Case, processes: bool = False) -> None:
    """`ma.keras.MixedDataset` gives the same batches in Keras' workers as by index."""
    from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

    text = call_text(case, options_of(case)).rpartition("[")[0]
    ds = evaluated(case, f"{text[:-1]}, workers=2, use_multiprocessing={processes})")
    adapter = PyDatasetAdapter(ds, class_weight=None, shuffle=False)
    adapter.on_epoch_begin()
    got = list(adapter._get_iterator())
    plain = evaluated(case, text)
    assert_same([list(one) for one in got], [list(plain[i]) for i in range(len(plain))])


def grain_threads(case: Case) -> None:
    """`ma.grain.mixed` gives the same elements with several threads as by index."""
    text = call_text(case, options_of(case)).rpartition("[")[0]
    got = evaluated(case, f"list({text}.to_iter_dataset(grain.ReadOptions(num_threads=3, prefetch_buffer_size=4)))")
    assert_same(got, evaluated(case, f"[{text}[i] for i in range({case.n})]"))


def grain_processes(case: Case) -> None:
    """`ma.grain.mixed` gives the same elements with several processes as by index."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    text = call_text(case, options_of(case)).rpartition("[")[0]
    processes = "grain.MultiprocessingOptions(num_workers=2)"
    got = evaluated(case, f"list({text}.to_iter_dataset().mp_prefetch({processes}))")
    assert_same(got, evaluated(case, f"[{text}[i] for i in range({case.n})]"))


def fork(case: Case) -> None:
    """A forked child gives the same results as its parent, although another thread was mixing."""
    want = evaluated(case, call_text(case, options_of(case)))
    stop = threading.Event()

    def busy() -> None:
        seed = case.seed
        while not stop.is_set():
            seed += 1
            fuzz_doors.run(draw(seed, ["numpy"], ["mix_batch"]))

    thread = threading.Thread(target=busy)
    thread.start()
    reader, writer = os.pipe()
    time.sleep(random.Random(case.seed).random() / 50)  # noqa: S311
    if not (child := os.fork()):
        try:
            with os.fdopen(writer, "wb") as file:
                pickle.dump(flat(evaluated(case, call_text(case, options_of(case)))), file)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        data = file.read()
    os.waitpid(child, 0)
    stop.set()
    thread.join()
    assert data, "the child gave nothing"
    assert_same(pickle.loads(data), flat(want))  # noqa: S301 - of our own child


# --- caches ---

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda data: data[: len(data) // 3],
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "other bytes": lambda data: data[:-40] + bytes(40),
    "another pickle": lambda data: pickle.dumps({"a": 1}),
}
RUN = """
import pickle, sys
sys.path[:0] = {path!r}
from fuzz_workers import flat, evaluated
from fuzz_cases import draw
from fuzz_doors import call_text, options_of
cases = [draw(seed, ["numpy"], ["mix_batch"]) for seed in {seeds!r}]
made = [flat(evaluated(case, call_text(case, options_of(case)))) for case in cases]
with open({out!r}, "wb") as file:
    pickle.dump(made, file)
"""


def copy_of_caches(folder: Path) -> list[Path]:
    """The files of compiled kernels, as a process with `NUMBA_CACHE_DIR` looks for them."""
    from numba.core.caching import UserProvidedCacheLocator as Locator

    kernels = fuzz_doors.OURS / "kernels"
    copied = folder / Locator.get_suitable_cache_subpath(str(kernels / "any.py"))
    copied.mkdir(parents=True)
    for path in (kernels / "__pycache__").glob("*.nb[ic]"):
        shutil.copy2(path, copied)
    return sorted(folder.rglob("*.nb[ic]"))


def damaged_cache(case: Case) -> None:
    """Processes with damaged caches give the same results, with one warning."""
    rng, some = random.Random(case.seed), [case]  # noqa: S311
    for other in cases(case.seed, "numpy", "mix_batch"):
        some.append(other)
        if len(some) == 3:
            break
    want = [flat(evaluated(one, call_text(one, options_of(one)))) for one in some]
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name) / "cache", Path(name) / "out"
        files = copy_of_caches(folder)
        kind = rng.choice([*DAMAGES, "no folder", "full"])
        loops = [path for path in files if "loops" not in path.name]  # those of the draw compile in a second
        if kind == "no folder":
            for path in folder.iterdir():
                if path.name.startswith("kernels"):
                    shutil.rmtree(path)
                    path.write_text("a file")
        elif kind == "full":
            for path in loops:
                if path.suffix == ".nbc" and rng.random() < 0.3:
                    path.unlink()
                    path.mkdir()
        else:
            for path in rng.sample(loops, 3):
                path.write_bytes(DAMAGES[kind](path.read_bytes()))
        code = RUN.format(path=sys.path, seeds=[one.seed for one in some], out=str(out))
        env = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-800:]
        said = re.findall(r"mixaug: the cache of compiled kernels", done.stderr)
        assert len(said) <= 1, done.stderr[-800:]
        for a, b in zip(pickle.loads(out.read_bytes()), want, strict=True):  # noqa: S301 - of our own child
            assert_same(a, b)


#: For each kind: the number of cases of 300, their library and adapter, and the test.
KINDS: dict[str, tuple[int, str, str, Callable[[Case], None]]] = {
    "loader": (55, "torch", "loader", loader),
    "spawn": (8, "torch", "loader", lambda case: loader(case, "spawn")),
    "items": (40, "torch", "torch.MixedDataset", items),
    "collate": (40, "torch", "collate", collate),
    "keras threads": (30, "numpy", "keras.MixedDataset", keras_workers),
    "keras processes": (20, "numpy", "keras.MixedDataset", lambda case: keras_workers(case, True)),
    "grain threads": (25, "numpy", "grain", grain_threads),
    "grain processes": (4, "numpy", "grain", grain_processes),
    "fork": (60, "numpy", "mix_batch", fork),
    "cache": (18, "numpy", "mix_batch", damaged_cache),
}


def _too_long(*_: Any) -> None:
    raise AssertionError("a case that does not end")


def main() -> None:
    """Run cases of every kind and report the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=[*KINDS], action="append")
    parser.add_argument("--cases", type=int, help="so many of each kind")
    asked = parser.parse_args()
    np.seterr(all="ignore")
    signal.signal(signal.SIGALRM, _too_long)
    ends: Counter[str] = Counter()
    for kind in asked.kind or KINDS:
        count, library, door, check = KINDS[kind]
        begun, found = time.time(), cases(asked.seed, library, door, not kind.startswith("keras"))
        for _ in range(asked.cases or count):
            case = next(found)
            signal.alarm(300)
            try:
                check(case)
                ends["right"] += 1
            except Exception as error:
                ends["wrong"] += 1
                print(f"\n{kind}: {type(error).__name__}: {error}\n{fuzz_doors.snippet(case)}", flush=True)
            signal.alarm(0)
        print(f"{kind}: {asked.cases or count} cases in {time.time() - begun:.0f} s, {dict(ends)} so far", flush=True)
    sys.exit(bool(ends["wrong"]))


if __name__ == "__main__":
    main()
