"""The functions of `Library` for PyTorch: eager and compiled, on the device of the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate
from operator import mul
from typing import Any

import numpy as np
import torch
from torch.autograd import forward_ad
from torch.utils import _pytree
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from . import TREES, Array, Dim, F, span

_MASK = 0xFFFFFFFF
_PROXY = torch._C._TorchDispatchModeKey.PROXY
_ALIGNMENT = 16  # bytes
_MAX_TABLES = 256
_TABLES: dict[tuple[int, torch.device], tuple[Any, Array]] = {}  # (NumPy array, tensor), by the id of the former
_NAMES = {x: str(x).removeprefix("torch.") for x in vars(torch).values() if isinstance(x, torch.dtype)}
_SIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}


@dataclass(frozen=True)
class Torch:
    """The functions of `Library` on one device. uint32 values are stored in int64, whose sums cannot overflow."""

    device: torch.device

    name = "torch"
    layout = "nchw"
    stack, where, broadcast, reshape = map(staticmethod, (torch.stack, torch.where, torch.broadcast_to, torch.reshape))
    floor, rint, exp, log1p = map(staticmethod, (torch.floor, torch.round, torch.exp, torch.log1p))
    ratio = staticmethod(torch.div)

    @property
    def display_name(self) -> str:
        return "PyTorch" if self.device.type == "cpu" else f"PyTorch on {self.device}"

    def compiled(self, function: F) -> F:  # PyTorch's compilers do not change rounding
        return function

    def draw_kernels(self) -> Any:
        return None

    def constant(self, x: Any) -> Array:
        if isinstance(x, (int, float)):
            return torch.full((), x, device=self.device)  # no copy from the host, so no synchronization
        if isinstance(x, np.ndarray) and self.device.type == "cuda":
            return self.constants([x])[0]
        return torch.as_tensor(x, device=self.device)

    def constants(self, xs: Sequence[Any]) -> list[Array]:
        """Convert with a single asynchronous copy through pinned memory."""
        if self.device.type != "cuda" or _is_recorded():
            return [torch.as_tensor(x, device=self.device) for x in xs]
        if torch.cuda.is_current_stream_capturing():
            raise ValueError(
                "expected all arrays on the device while a CUDA graph is captured, got arrays on the host; use a key "
                "whose step is a tensor on the device, and mix one batch before capturing"
            )
        xs = [np.asarray(x) for x in xs]
        starts = list(accumulate((-(-x.nbytes // _ALIGNMENT) * _ALIGNMENT for x in xs), initial=0))
        packed = torch.empty(starts.pop(), dtype=torch.uint8, device="cpu", pin_memory=True)
        memory = packed.numpy()
        for x, start in zip(xs, starts, strict=True):
            memory[start : start + x.nbytes].view(x.dtype)[:] = x.reshape(-1)
        on_device = packed.to(self.device, non_blocking=True)
        as_dtype = {x.dtype: on_device.view(_of_numpy(x.dtype)) for x in xs}
        return [
            as_dtype[x.dtype].as_strided(x.shape, _strides(x.shape), start // x.itemsize)
            for x, start in zip(xs, starts, strict=True)
        ]

    def table(self, x: Any) -> Array:
        if self.device.type == "cpu" or _is_recorded():
            return torch.as_tensor(x, device=self.device)
        entry = _TABLES.get((id(x), self.device))
        if entry is None:
            if len(_TABLES) == _MAX_TABLES:
                _TABLES.pop(next(iter(_TABLES)))
            # holding on to x keeps its id valid; the copy is synchronous, as other streams may read it
            entry = _TABLES[id(x), self.device] = x, torch.as_tensor(x, device=self.device)
        return entry[1]

    def uint32(self, bits: int) -> Array:
        return torch.full((), bits, dtype=torch.int64, device=self.device)

    def cast(self, x: Array, dtype: Any) -> Array:
        if dtype == "uint32":
            return x.to(torch.int64) & _MASK
        return x.to(_dtype(dtype))

    def copy(self, x: Array) -> Array:
        return x.clone()

    def dtype(self, x: Array) -> str:
        return _NAMES[x.dtype]

    def shape(self, x: Array) -> tuple[Dim, ...]:
        return tuple(x.shape)

    def concrete(self, x: Array) -> Any:
        """Return the values as a NumPy array; None while compiling, under vmap or on an accelerator."""
        if torch.compiler.is_compiling() or x.device.type != "cpu" or not is_plain(x):
            return None
        x = x.detach()
        return (x.float() if x.dtype == torch.bfloat16 else x).numpy()

    def on_accelerator(self, x: Array) -> bool:
        return x.device.type not in ("cpu", "meta") and not _is_recorded() and is_plain(x)

    def form(self, x: Array) -> Any:
        return (x.dtype, x.shape, x.device) if type(x) is torch.Tensor else None

    def as_numpy(self, x: Array) -> Any:
        """Return a NumPy view of the memory; None while compiling, under vmap, on an accelerator or with gradients."""
        if x.device.type != "cpu" or not is_bare(x):
            return None
        x = x.detach()
        return (x.view(torch.int16) if x.dtype == torch.bfloat16 else x).numpy()

    def memory_span(self, x: Array) -> tuple[int, int] | None:
        if not is_plain(x) or x.layout != torch.strided or is_traceable_wrapper_subclass(x) or x.is_meta:
            return None
        size = x.element_size()
        return span(x.data_ptr(), x.shape, [stride * size for stride in x.stride()], size)

    def from_numpy(self, x: Any, dtype: str) -> Array:
        if dtype == "bfloat16":
            return torch.from_numpy(x.view("int16")).view(torch.bfloat16)
        return torch.from_numpy(x)

    def written(self, out: Array) -> Array:
        torch.autograd.graph.increment_version(out)
        return out

    def write(self, x: Array, out: Array) -> Array:
        return out.copy_(x)

    def is_key(self, x: Array) -> bool:  # noqa: ARG002
        return False

    def arange(self, n: Dim) -> Array:
        return torch.arange(n, dtype=torch.int32, device=self.device)

    def full(self, shape: Sequence[Dim], value: Any, dtype: str) -> Array:
        return torch.full(tuple(shape), value, dtype=_dtype(dtype), device=self.device)

    def transpose(self, x: Array, axes: Sequence[int] | None = None) -> Array:
        return x.T if axes is None else x.permute(*axes)

    def concat(self, xs: Sequence[Array], axis: int = 0) -> Array:
        return torch.cat(tuple(xs), axis)

    def take(self, x: Array, index: Array, axis: int = 0) -> Array:
        if x.dtype in _SIGNED:  # PyTorch does not gather wide unsigned integers
            return self.take(x.view(_SIGNED[x.dtype]), index, axis).view(x.dtype)
        taken = torch.index_select(x, axis, index.reshape(-1))
        return taken.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])

    def matmul(self, x: Array, y: Array) -> Array:
        if self.device.type == "cpu":
            return torch.matmul(x, y)
        return torch.matmul(x.to(torch.float64), y.to(torch.float64)).to(torch.int32)  # GPUs do not multiply integers

    def inner(self, x: Array, y: Array) -> Array:  # autocast does not change float64
        return torch.matmul(x.to(torch.float64), y.to(torch.float64).mT).to(x.dtype)

    def argsort(self, x: Array) -> Array:
        return torch.argsort(x, stable=True).to(torch.int32)

    def argmax(self, x: Array) -> Array:
        return torch.argmax(x, -1)

    def take_each(self, x: Array, index: Array, axis: int) -> Array:
        if x.dtype in _SIGNED:
            return self.take_each(x.view(_SIGNED[x.dtype]), index, axis).view(x.dtype)
        pad = (slice(None), *(slice(None) if a == axis else None for a in range(1, x.ndim)))
        shape = [-1 if a == axis else length for a, length in enumerate(x.shape)]
        return torch.gather(x, axis, index.to(torch.int64)[pad].expand(shape))

    def present(self, x: Array, count: int) -> Array:
        there = torch.zeros((x.shape[0], count), dtype=torch.bool, device=self.device)
        return there.scatter(1, x.to(torch.int64), True)

    def total(self, x: Array, axes: tuple[int, ...]) -> Array:
        return torch.sum(x, axes, dtype=torch.int64 if x.dtype == torch.bool else torch.float64).to(torch.float32)

    def highest(self, x: Array) -> Array:
        return torch.amax(x, -1, keepdim=True)

    def summed(self, x: Array) -> Array:
        return torch.sum(x, -1)

    def log_softmax(self, x: Array) -> Array:
        return torch.log_softmax(x, -1)

    def maximum(self, x: Array, y: Any) -> Array:  # clamping by a scalar tensor on a device would synchronize
        return torch.maximum(x, y) if isinstance(y, torch.Tensor) else torch.clamp(x, min=y)

    def minimum(self, x: Array, y: Any) -> Array:
        return torch.minimum(x, y) if isinstance(y, torch.Tensor) else torch.clamp(x, max=y)

    def add(self, x: Array, y: Any) -> Array:
        return (x + y) & _MASK

    def rotate_left(self, x: Array, bits: int) -> Array:
        return (x << bits | x >> (32 - bits)) & _MASK

    def shift_right(self, x: Array, bits: int) -> Array:
        return x >> bits

    def split(self, number: Array) -> tuple[Array, Array]:
        bits = number.to(torch.int64)
        return bits & _MASK, bits >> 32 & _MASK


def is_tracing() -> bool:
    """Whether operations are being compiled, traced, captured in a CUDA graph, or run under vmap or the like."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return True
    if torch._C._functorch.peek_interpreter_stack() is not None or torch._C._get_dispatch_mode(_PROXY) is not None:
        return True
    return bool(torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing())


def example() -> Array:
    return torch.zeros(1)


def at(x: object) -> Torch | None:
    if not isinstance(x, torch.Tensor):
        return None
    return _CPU if x.is_cpu else Torch(x.device)


_CPU = Torch(torch.device("cpu"))


@cache
def _of_numpy(dtype: Any) -> torch.dtype:
    return torch.from_numpy(np.zeros(0, dtype)).dtype


@lru_cache(maxsize=256)
def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(accumulate(reversed(shape[1:]), mul, initial=1))[::-1][: len(shape)]


def _dtype(dtype: Any) -> torch.dtype:
    return getattr(torch, dtype) if isinstance(dtype, str) else dtype


def is_plain(x: Array) -> bool:
    """Whether a tensor holds concrete values: it is not fake, and no functorch transform (vmap, grad) is active."""
    if torch._C._functorch.peek_interpreter_stack() is not None or torch._C._functorch.is_functorch_wrapped_tensor(x):
        return False
    return not isinstance(x, torch._subclasses.FakeTensor)


def _is_recorded() -> bool:
    """Whether operations are being compiled or intercepted by a dispatch mode or a functorch transform."""
    if torch.compiler.is_compiling():
        return True
    return bool(torch._C._len_torch_dispatch_stack()) or torch._C._functorch.peek_interpreter_stack() is not None


def is_bare(x: Array) -> bool:
    """Whether the memory of a tensor may be read directly: nothing is traced, intercepted or needs a gradient."""
    if _is_recorded() or x.layout != torch.strided or torch._C._functorch.is_functorch_wrapped_tensor(x):
        return False
    if type(x) is not torch.Tensor and (not is_plain(x) or is_traceable_wrapper_subclass(x)):
        return False
    return not (x.requires_grad and torch.is_grad_enabled()) and forward_ad._current_level < 0 and not x.is_neg()


for _tree in TREES:
    _pytree.register_pytree_node(
        _tree,
        lambda value: value.flatten()[::-1],
        lambda arrays, structure, tree=_tree: tree.unflatten(structure, tuple(arrays)),
        serialized_type_name=f"mixaug.{_tree.__name__}",
    )
