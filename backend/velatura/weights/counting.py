"""Counts the memory that a computation allocates, without carrying it out.

The computation runs on fake tensors, which are torch's meta tensors that know their device: they have shapes,
and no values. So a network's activations are known for any size before the first real pass.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def counted(computation: Callable[[], object]) -> int:
    """The largest number of bytes that tensors of the computation hold at a time, without the tensors that
    were there before it.

    The computation sees real weights as fake tensors. Tensors that it makes are fake, so it must not look at
    their values: torch then raises an exception of its own, of several classes.
    """
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True), _Allocations() as allocations:
        computation()
    return allocations.peak


class _Allocations(TorchDispatchMode):
    """Follows the storages of all tensors that operations return.

    Attributes:
        peak: the most bytes that were held at a time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._held = 0
        self._storages: dict[int, list[int]] = {}  # by address: the number of its tensors, its bytes

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        is_view = any(returned.alias_info is not None for returned in func._schema.returns)
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._add(tensor, is_view)
        return result

    def _add(self, tensor: Tensor, is_view: bool) -> None:
        storage: Any = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._storages:
            if is_view:
                return  # of a tensor from before, as a weight
            self._storages[key] = [0, storage.nbytes()]
            self._held += storage.nbytes()
            self.peak = max(self.peak, self._held)
        self._storages[key][0] += 1
        weakref.finalize(tensor, self._drop, key)

    def _drop(self, key: int) -> None:
        storage = self._storages[key]
        storage[0] -= 1
        if not storage[0]:
            self._held -= storage[1]
            del self._storages[key]
