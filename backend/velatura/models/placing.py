"""Where a model's weights lie and how they are stored: the first rung of a ladder on which they fit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from velatura.weights import memory

log = logging.getLogger(__name__)

AUTO, WHOLE, ENCODERS, EIGHT_BITS, OFFLOAD = "auto", "whole", "encoders", "8-bit", "offload"
PLACED = (WHOLE, ENCODERS, EIGHT_BITS, OFFLOAD)
"""The rungs by which any model's weights can be placed."""
QUANTISED = "quantised"
"""The rung of a file with weights of fewer bits in the model's place (`quantised`); before 8 bits where it
has as many, else before offloading."""
RUNGS = (AUTO, *PLACED, QUANTISED)
REMARKS: Mapping[str, str] = {
    WHOLE: "",
    ENCODERS: "Memory was short: the text encoders were kept in the computer's memory.",
    EIGHT_BITS: "Memory was short: the model's weights were kept in 8 bits, so detail may differ a little.",
    OFFLOAD: "Memory was short: the model's weights were kept in the computer's memory, which is slow.",
    QUANTISED: "Memory was short: the model's GGUF file was used, so detail may differ a little.",
}
"""The sentence that tells a person each rung."""
WEIGHTS_SHARE = 0.75  # of the free memory; the rest is for activations
_WANTED: ContextVar[str] = ContextVar("wanted", default=AUTO)
_RUNG = "_velatura_rung"


@contextmanager
def wanted(rung: str) -> Generator[None]:
    """A context in which models are placed by this rung; `AUTO` chooses by the free memory."""
    token = _WANTED.set(rung)
    try:
        yield
    finally:
        _WANTED.reset(token)


def place(networks: Mapping[str, nn.Module], denoiser: str, device: torch.device) -> None:
    """Moves networks to a device, by the first rung on which their weights fit.

    Args:
        networks: by their names; 'vae' is always on the device, since its parts are called by themselves.
        denoiser: the name of the denoising network.
        device: to compute on.
    """
    rung = _WANTED.get()
    rung = _chosen(networks, denoiser, device) if rung in (AUTO, QUANTISED) else rung
    for name, network in networks.items():
        if name == "vae":
            network.to(device)
        elif name != denoiser:
            network.to(device) if rung == WHOLE else rest(network, device)
        else:
            if rung == EIGHT_BITS:
                store_in_8_bits(network)
            rest_blocks(network, device) if rung == OFFLOAD else network.to(device)
    setattr(networks[denoiser], _RUNG, rung)
    if rung != WHOLE:
        log.info("weights are placed by the rung %r", rung)


def rung_of(network: nn.Module) -> str:
    """The rung by which a denoising network was placed."""
    return getattr(network, _RUNG, WHOLE)


def mark(network: nn.Module, rung: str) -> None:
    """Changes the rung that is told for a denoising network."""
    setattr(network, _RUNG, rung)


def _chosen(networks: Mapping[str, nn.Module], denoiser: str, device: torch.device) -> str:
    sizes = {name: nbytes(network) for name, network in networks.items()}
    return first_that_fits(sizes, _in_8_bits(networks[denoiser]), denoiser, device)


def first_that_fits(sizes: Mapping[str, int], in_8_bits: int, denoiser: str, device: torch.device) -> str:
    """The first rung on which weights fit into what a device has free.

    Args:
        sizes: bytes of the networks by their names.
        in_8_bits: bytes of the denoising network on that rung.
        denoiser: the name of the denoising network.
        device: to compute on.
    """
    there = memory.free(device)
    if device.type == "cpu" or there is None:
        return WHOLE  # they lie there already
    encoder = max((size for name, size in sizes.items() if name not in (denoiser, "vae")), default=0)
    vae, weights = sizes.get("vae", 0), sizes[denoiser]
    needed = {
        WHOLE: sum(sizes.values()),
        ENCODERS: weights + vae + encoder,
        EIGHT_BITS: in_8_bits + vae + encoder,
    }
    return next((rung for rung, size in needed.items() if size <= WEIGHTS_SHARE * there), OFFLOAD)


def nbytes(network: nn.Module) -> int:
    """Bytes of a network's weights as they are stored."""
    return sum(weight.nbytes for weight in network.parameters())


def _in_8_bits(network: nn.Module) -> int:
    return nbytes(network) - sum(weight.nbytes - weight.numel() for weight in _narrowable(network))


def _narrowable(network: nn.Module) -> list[Tensor]:
    """The weights that lie in 8 bits on the rung of that name: the matrices of the blocks. The first weight
    is none of them, since a network's dtype is read from it."""
    matrices = {
        id(part.weight): part.weight
        for block in blocks(network)
        for part in block.modules()
        if isinstance(part, nn.Linear | nn.Conv2d) and part.weight.is_floating_point()
    }
    matrices.pop(id(next(network.parameters())), None)
    return list(matrices.values())


def blocks(network: nn.Module) -> list[nn.Module]:
    """The blocks that make up most of a network, in which its weights are moved."""
    named = list(network.named_children())
    found = [block for _, child in named if isinstance(child, nn.ModuleList) for block in child]
    return (found + [child for name, child in named if name == "mid_block"]) or [child for _, child in named]


def store_in_8_bits(network: nn.Module) -> None:
    """Stores the matrices of a network's blocks as float8 (e4m3), and casts each for its layer's calls
    only."""
    narrow = {id(weight) for weight in _narrowable(network)}
    parts: list[Any] = list(network.modules())
    for part in parts:
        weight = getattr(part, "weight", None)
        if weight is not None and id(weight) in narrow:
            part.compute_dtype = weight.dtype  # which `widen` changes
            weight.data = weight.data.to(torch.float8_e4m3fn)
            _during_calls(part, lambda weight, part=part: weight.to(part.compute_dtype))


def rest(module: nn.Module, device: torch.device) -> None:
    """Keeps a module's weights in the machine's memory, and on the device during its calls only."""
    module.to("cpu")
    if device.type == "cuda":
        for weight in [*module.parameters(), *module.buffers()]:
            weight.data = weight.data.pin_memory()  # copied about twice as fast
    _during_calls(module, lambda weight: weight.to(device, non_blocking=True))


def rest_blocks(network: nn.Module, device: torch.device) -> None:
    """`rest` for each block of a network, one of which is on the device at a time; its other layers stay
    there."""
    held = {id(weight) for block in blocks(network) for weight in block.parameters()}
    held |= {id(buffer) for block in blocks(network) for buffer in block.buffers()}
    for block in blocks(network):
        rest(block, device)
    for weight in [*network.parameters(), *network.buffers()]:
        if id(weight) not in held:
            weight.data = weight.data.to(device)


def _during_calls(module: nn.Module, changed: Callable[[Tensor], Tensor]) -> None:
    """Computes with changed weights during a module's calls.

    In a call its parameters are others: the stored ones are untouched, so nothing is copied back. Gradients
    through the call are right, since autograd holds the others; diffusers' hooks replace the data of the
    parameters instead, which autograd then finds in another dtype or on another device.
    """
    stored: list[tuple[dict[str, Any], str, Any]] = []

    def arrive(_: nn.Module, __: Any) -> None:
        parts: list[Any] = list(module.modules())
        for part in parts:
            for weights in (part._parameters, part._buffers):
                for name, weight in weights.items():
                    if weight is None:
                        continue
                    stored.append((weights, name, weight))
                    there = changed(weight.detach())
                    is_parameter = isinstance(weight, nn.Parameter)
                    weights[name] = nn.Parameter(there, requires_grad=False) if is_parameter else there

    def leave(*_: Any) -> None:
        for weights, name, weight in stored:
            weights[name] = weight
        stored.clear()

    module.register_forward_pre_hook(arrive)
    module.register_forward_hook(leave, always_call=True)
