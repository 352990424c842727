"""Measures the operations, memory and time of a run, and the best rate of a device."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

T = TypeVar("T")


def _attention(q: torch.Size, k: torch.Size, v: torch.Size, *_: object, **__: object) -> int:
    return sdpa_flop_count(q, k, v)


# torch itself counts only the attention kernels of GPUs
_COUNTED = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}
#: Seconds that a matrix product must take to be timed reliably.
TIMED = 0.05


def operations(run: Callable[[], object]) -> int:
    """Floating-point operations of matrix products, convolutions and attention."""
    with FlopCounterMode(display=False, custom_mapping=_COUNTED) as counter:
        run()
    return counter.get_total_flops()


def peak(run: Callable[[], object], device: torch.device) -> int:
    """The most bytes of tensors at a time of a run, beyond those from before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    with _Tensors() as tensors:
        run()
    return tensors.most


class _Tensors(TorchDispatchMode):
    """Counts the memory of the living tensors that operators make. The temporary memory inside an operator is
    not counted."""

    def __init__(self) -> None:
        super().__init__()
        self.used = self.most = 0
        self.known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        with self:  # composite operators, part by part
            result = func.decompose(*args, **kwargs)
        if result is not NotImplemented:
            return result
        before = {leaf.untyped_storage() for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = func(*args, **kwargs)
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage(), before)
        return result

    def _count(self, storage: torch.UntypedStorage, before: set[torch.UntypedStorage]) -> None:
        if storage in before or storage in self.known:
            return
        self.known.add(storage)
        self.used += storage.nbytes()
        self.most = max(self.most, self.used)
        weakref.finalize(storage, self._forget, storage.nbytes())

    def _forget(self, nbytes: int) -> None:
        self.used -= nbytes


def seconds(run: Callable[[], T]) -> tuple[float, float, T]:
    """(wall time, processor time of this process, the run's result). Other programs add to the wall time; the
    processor time tells nothing where a GPU does the work."""
    clock, processors = time.perf_counter(), time.process_time()
    result = run()
    return time.perf_counter() - clock, time.process_time() - processors, result


def matrix_rate(device: torch.device, dtype: torch.dtype, repeat: int = 5) -> float:
    """Operations per second of wall time, of the best of some products of square matrices.

    The matrices grow until one product takes long enough to be timed, for a processor that emulates the dtype
    would take minutes for large ones.
    """
    side, most = 256, 8192 if device.type == "cuda" else 2048
    while True:
        a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        best = min(seconds(lambda: float((a @ b)[0, 0]))[0] for _ in range(repeat))  # noqa: B023
        if side == most or best > TIMED:
            return 2.0 * side**3 / best
        side *= 2
