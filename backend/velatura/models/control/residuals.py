"""What a ControlNet adds to a pass of the denoising network, for each family that diffusers has one for.

A ControlNet reads what the denoising network reads, and its result is added inside of that. So it is called
by a hook in front of the network, from the arguments of the very call, and no family knows of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..families.joint import JointModel, pack
from ..latent import LatentModel

_GUIDANCE = 3.5  # the input of a FLUX.1 dev's ControlNet where the model itself, schnell, has none


class Map(NamedTuple):
    """What a ControlNet is shown.

    Args:
        pixels: [1, 3, h, w] in [0, 1].
        kind: the number of its kind in a union; -1 for any other ControlNet.
    """

    pixels: Tensor
    kind: int = -1

    def at(self, height: int, width: int) -> Map:
        """The map at this size in pixels."""
        if self.pixels.shape[-2:] == (height, width):
            return self
        resized = F.interpolate(self.pixels, (height, width), mode="bilinear", antialias=True)
        return self._replace(pixels=resized)


Arguments = dict[str, Any]
"""Of a call of the denoising network, by name."""


class Control(NamedTuple):
    """The functions of a family.

    Args:
        seen: the map as the ControlNet reads it, from the model, the ControlNet and the map.
        added: the arguments of a call, with what the ControlNet adds. Arguments: the ControlNet, the model,
            `seen`'s result for one row, the map's kind, the strength, and the call's own arguments.
    """

    seen: Callable[[LatentModel, Any, Map], Tensor]
    added: Callable[[Any, LatentModel, Tensor, int, float, Arguments], Arguments]


def _sum(a: Sequence[Tensor] | None, b: Sequence[Tensor]) -> list[Tensor]:
    """Of two guides' additions to the same layers."""
    return list(b) if a is None else [x + y for x, y in zip(a, b, strict=True)]


# Stable Diffusion and Stable Diffusion XL


def _pixels(model: LatentModel, network: Any, map: Map) -> Tensor:
    return map.pixels.to(model.device, network.dtype)


def _unet(
    network: Any, model: LatentModel, seen: Tensor, kind: int, scale: float, call: Arguments
) -> Arguments:
    """Adds to the skips and to the middle. An inpainting network's further channels are not shown."""
    x = call["sample"]
    cond = seen.expand(len(x), -1, -1, -1)
    given: Arguments = {
        "encoder_hidden_states": call["encoder_hidden_states"],
        "added_cond_kwargs": call.get("added_cond_kwargs"),
        "conditioning_scale": scale,
        "return_dict": False,
    }
    if kind >= 0:
        kinds = network.config.num_control_type
        chosen = F.one_hot(torch.tensor([kind], device=x.device), kinds).to(x.dtype).expand(len(x), -1)
        given |= {"controlnet_cond": [cond], "control_type": chosen, "control_type_idx": [kind]}
    else:
        given |= {"controlnet_cond": cond}
    down, middle = network(x[:, : network.config.in_channels], call["timestep"], **given)
    before = call.get("mid_block_additional_residual")
    return {
        "down_block_additional_residuals": _sum(call.get("down_block_additional_residuals"), down),
        "mid_block_additional_residual": middle if before is None else before + middle,
    }


# Transformers


def _latents(model: LatentModel, network: Any, map: Map) -> Tensor:
    """The map's latents [1, C, h, w]. diffusers draws a sample of the posterior, which adds noise."""
    return model.encode(map.pixels.to(model.device) * 2.0 - 1.0).to(network.dtype)


def _each(samples: Sequence[Tensor], layers: int) -> list[Tensor]:
    """What is added to each of the layers, from fewer samples, each of which serves several."""
    if not samples:
        return []
    step = math.ceil(layers / len(samples))
    return [samples[i // step] for i in range(layers)]


def _sd3_latents(model: LatentModel, network: Any, map: Map) -> Tensor:
    """As `_latents`, unless the ControlNet was trained on latents that are scaled, but not moved."""
    z = _latents(model, network, map)
    if not network.config.force_zeros_for_pooled_projection:
        return z
    assert isinstance(model, JointModel)
    told = model.autoencoder.config
    return z + (told.get("shift_factor") or 0.0) * told["scaling_factor"]


def _sd3(
    network: Any, model: LatentModel, seen: Tensor, kind: int, scale: float, call: Arguments
) -> Arguments:
    x, pooled = call["hidden_states"], call["pooled_projections"]
    if network.config.force_zeros_for_pooled_projection:
        pooled = torch.zeros_like(pooled)
    reads_text = network.config.joint_attention_dim is not None
    (samples,) = network(
        hidden_states=x,
        controlnet_cond=seen.expand(len(x), -1, -1, -1),
        conditioning_scale=scale,
        encoder_hidden_states=call["encoder_hidden_states"] if reads_text else None,
        pooled_projections=pooled,
        timestep=call["timestep"],
        return_dict=False,
    )
    layers = len(_blocks(model, "transformer_blocks"))
    spread = [samples[int(i * len(samples) / layers)] for i in range(layers)]
    return {"block_controlnet_hidden_states": _sum(call.get("block_controlnet_hidden_states"), spread)}


def _flux1_seen(model: LatentModel, network: Any, map: Map) -> Tensor:
    if network.input_hint_block is not None:
        return (_pixels(model, network, map) * 2.0) - 1.0
    return pack(_latents(model, network, map))


def _flux1(
    network: Any, model: LatentModel, seen: Tensor, kind: int, scale: float, call: Arguments
) -> Arguments:
    """Tokens of reference pictures (Kontext), and channels beside the latents (Fill), are not shown."""
    x = call["hidden_states"]
    tokens = seen.shape[1] if seen.ndim == 3 else seen.shape[-2] * seen.shape[-1] // (16 * 16)
    guidance = call.get("guidance")
    if network.config.guidance_embeds and guidance is None:
        guidance = torch.full((len(x),), _GUIDANCE, device=x.device)
    double, single = network(
        hidden_states=x[:, :tokens, : network.config.in_channels],
        controlnet_cond=seen.expand(len(x), *[-1] * (seen.ndim - 1)),
        controlnet_mode=torch.full((len(x), 1), kind, device=x.device) if kind >= 0 else None,
        conditioning_scale=scale,
        encoder_hidden_states=call["encoder_hidden_states"],
        pooled_projections=call["pooled_projections"],
        timestep=call["timestep"],
        img_ids=call["img_ids"][:tokens],
        txt_ids=call["txt_ids"],
        guidance=guidance if network.config.guidance_embeds else None,
        return_dict=False,
    )
    layers = len(_blocks(model, "transformer_blocks"))
    double, single = double or (), single or ()
    if network.input_hint_block is not None and double:
        both = [double[i % len(double)] for i in range(layers)]  # XLabs' go round
    else:
        both = _each(double, layers)
    own = _each(single, len(_blocks(model, "single_transformer_blocks")))
    names = ("controlnet_block_samples", "controlnet_single_block_samples")
    return {
        name: _sum(call.get(name), _padded(samples, x.shape[1]))
        for name, samples in zip(names, (both, own), strict=True)
        if samples
    }


def _qwen_image(
    network: Any, model: LatentModel, seen: Tensor, kind: int, scale: float, call: Arguments
) -> Arguments:
    """Tokens of reference pictures are not shown."""
    x, tokens = call["hidden_states"], seen.shape[1]
    samples = network(
        hidden_states=x[:, :tokens],
        controlnet_cond=seen.expand(len(x), -1, -1),
        conditioning_scale=scale,
        encoder_hidden_states=call["encoder_hidden_states"],
        encoder_hidden_states_mask=call.get("encoder_hidden_states_mask"),
        timestep=call["timestep"],
        img_shapes=[shapes[:1] for shapes in call["img_shapes"]],
        return_dict=False,
    )
    spread = _padded(_each(samples, len(_blocks(model, "transformer_blocks"))), x.shape[1])
    return {"controlnet_block_samples": _sum(call.get("controlnet_block_samples"), spread)}


def _tokens(model: LatentModel, network: Any, map: Map) -> Tensor:
    return pack(_latents(model, network, map))


def _padded(samples: Sequence[Tensor], tokens: int) -> list[Tensor]:
    """The samples [N, L, d] with zeros for the further tokens of the pass."""
    return [F.pad(sample, (0, 0, 0, tokens - sample.shape[1])) for sample in samples]


def _z_image_seen(model: LatentModel, network: Any, map: Map) -> Tensor:
    """[1, C, 1, h, w]; the channels of a picture and a mask, which later versions have, are 0."""
    z = _latents(model, network, map)[:, :, None]
    return F.pad(z, (0, 0, 0, 0, 0, 0, 0, network.config.control_in_dim - z.shape[1]))


def _z_image(
    network: Any, model: LatentModel, seen: Tensor, kind: int, scale: float, call: Arguments
) -> Arguments:
    assert isinstance(model, JointModel)
    x = call["x"]
    with model.held.plain():  # it shares layers with the network, whose attention a method may replace
        samples: dict[int, Tensor] = network(
            x, call["t"], call["cap_feats"], [*seen.expand(len(x), -1, -1, -1, -1)], conditioning_scale=scale
        )
    before: Mapping[int, Tensor] = call.get("controlnet_block_samples") or {}
    both = {i: before[i] + s if i in before else s for i, s in samples.items()}
    return {"controlnet_block_samples": {**before, **both}}


def _blocks(model: LatentModel, name: str) -> Sequence[nn.Module]:
    return getattr(model.networks[model.denoiser], name)


CONTROLS: Mapping[str, Control] = {
    "ControlNetModel": Control(_pixels, _unet),
    "ControlNetUnionModel": Control(_pixels, _unet),
    "SD3ControlNetModel": Control(_sd3_latents, _sd3),
    "FluxControlNetModel": Control(_flux1_seen, _flux1),
    "QwenImageControlNetModel": Control(_tokens, _qwen_image),
    "ZImageControlNetModel": Control(_z_image_seen, _z_image),
}
"""By diffusers' classes of ControlNets."""
