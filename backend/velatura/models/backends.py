"""Other kernels for attention, through the dispatcher of diffusers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from diffusers.models.attention_dispatch import AttentionBackendName, attention_backend
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from velatura.weights.out_of_memory import is_out_of_memory
from velatura_protocol.errors import VelaturaError

log = logging.getLogger(__name__)

NATIVE = "native"
KERNELS: dict[str, str] = {
    NATIVE: "native",
    "cudnn": "_native_cudnn",
    "flex": "flex",
    "flash": "flash",
    "flash-3": "_flash_3",
    "sage": "sage",
    "xformers": "xformers",
    "math": "_native_math",
}
"""The names that a person may set, and diffusers'. Those that download code from a hub are left out."""


def check(name: str) -> None:
    """Raises `bad-request` where the package with these kernels is missing. name: a key of `KERNELS`."""
    try:
        with attention_backend(KERNELS[name]):
            pass
    except (RuntimeError, ImportError, ValueError) as error:
        raise VelaturaError(
            "bad-request",
            f"The package with the attention kernels {name!r} is missing; install it, or set attention to"
            f' "{NATIVE}" in settings.toml.',
            detail=str(error)[:500],
        ) from error


def use(network: nn.Module, name: str) -> None:
    """Makes a denoising network compute its attention by other kernels.

    A call that `attend` replaces does without them. Processors that do not ask the dispatcher keep torch's.

    Args:
        network: of diffusers.
        name: a key of `KERNELS`, which `check` accepts.
    """
    if name != NATIVE and isinstance(network, ModelMixin):
        with attention_backend(NATIVE):  # diffusers would use the other kernels for every network from now on
            network.set_attention_backend(KERNELS[name])


def computed(processor: Any, call: Callable[[], Tensor]) -> Any:
    """The result of a processor's call, by torch's own kernels where the others cannot: they know some
    dtypes, sizes of heads and masks only. From then on that processor keeps torch's."""
    if getattr(processor, "_attention_backend", None) in (None, AttentionBackendName.NATIVE):
        return call()
    try:
        return call()
    except Exception as error:  # each package raises its own
        if is_out_of_memory(error):
            raise
        log.info("attention by %s fails, torch's is used: %s", processor._attention_backend, error)
        processor._attention_backend = AttentionBackendName.NATIVE
        return call()
