"""Layers of a network whose outputs can be changed for a while, and its bottleneck; gradients in little
memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import cast

from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from velatura.diffusion.network import Adapter, Bottleneck, Layer, OfOutput
from velatura_protocol.errors import VelaturaError

CHECKPOINTED = 1 << 28
"""A network of so many parameters recomputes its activations for gradients instead of keeping them all. That
takes about a third more time and saves gibibytes at 512 pixels."""


def layers(network: nn.Module, prefix: str) -> dict[str, Layer]:
    """The linear layers of a network, by their names behind the prefix and a dot."""
    return {
        f"{prefix}.{name}": Layer(module.out_features, module.in_features)
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
    }


@contextmanager
def adapted(
    networks: Mapping[str, nn.Module], denoiser: str, adapter: Adapter, *, gradients: bool
) -> Generator[None, None, None]:
    """See `LatentDiffusion.adapted`.

    Args:
        networks: by the prefixes of their layers' names.
        denoiser: the prefix of the one that gradients are taken of.
        adapter: functions by the layers' names.
        gradients: whether gradients are taken.
    """
    network = networks[denoiser]
    named = {name.partition(".")[0] for name in adapter} & networks.keys()
    modules = {f"{key}.{name}": module for key in named for name, module in networks[key].named_modules()}
    if unknown := adapter.keys() - modules.keys():
        raise ValueError(f"the network has no layer {min(unknown)!r}")
    with ExitStack() as stack:
        for name, added in adapter.items():
            stack.callback(modules[name].register_forward_hook(partial(_add, added)).remove)
        large = (
            network if isinstance(network, ModelMixin) and network.num_parameters() >= CHECKPOINTED else None
        )
        if gradients and large is not None and not large.is_gradient_checkpointing:
            large.enable_gradient_checkpointing()
            stack.callback(large.disable_gradient_checkpointing)
        yield


def _add(
    added: Callable[[Tensor], Tensor] | OfOutput, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor
) -> Tensor:
    more = added.of(inputs[0], output) if isinstance(added, OfOutput) else added(inputs[0])
    return output + more


@contextmanager
def bottleneck(unet: UNet2DConditionModel, change: Bottleneck) -> Generator[None, None, None]:
    """See `LatentDiffusion.bottleneck`. Raises `unknown-model` for a UNet without a middle block."""
    middle = cast("nn.Module | None", unet.mid_block)  # diffusers' type lacks UNets without one
    if middle is None:
        raise VelaturaError(
            "unknown-model",
            "This model's U-Net has no middle, where this method edits; choose another model or method.",
        )

    def changed(_: nn.Module, __: tuple[Tensor, ...], h: Tensor) -> Tensor:
        return change(h)

    handle = middle.register_forward_hook(changed)
    try:
        yield
    finally:
        handle.remove()
