"""Loads a ControlNet for a model that is in memory: a folder of diffusers, or a single file.

A single file has no configuration. Its network is the model's own, shortened, so its configuration is the
model's with the counts that the file's tensors tell.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.controlnets.controlnet_flux import FluxControlNetModel
from diffusers.models.controlnets.controlnet_qwenimage import QwenImageControlNetModel
from diffusers.models.controlnets.controlnet_sd3 import SD3ControlNetModel
from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel
from diffusers.models.controlnets.controlnet_z_image import ZImageControlNetModel
from diffusers.utils.import_utils import is_accelerate_available
from safetensors import SafetensorError
from torch import Tensor, nn

from velatura.weights.json_files import read_object
from velatura_protocol.errors import VelaturaError

from ..families import parts
from ..latent import LatentModel

_PREFIXES = ("control_model.", "controlnet.", "")
_PLACES = {6: range(0, 30, 5), 15: range(0, 30, 2), 10: range(0, 30, 3)}  # of Z-Image's control layers

_Tensors = Mapping[str, Tensor]


def load(path: Path, title: str, family: str, model: LatentModel) -> nn.Module:
    """The ControlNet in a .safetensors file, on the model's device and in its dtype.

    Args:
        path: of the file; a config.json beside it is read where it is one of a ControlNet.
        title: of the guide, for messages.
        family: of the model.
        model: that it will lead.

    Raises:
        VelaturaError: `unknown-model` for a file that is damaged, or was made for another model.
    """
    try:
        tensors = parts.tensors(path, _PREFIXES, model.dtype)
        if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
            raise ValueError("values that are no numbers")
        network = _made(family, model.networks[model.denoiser], tensors, path.with_name("config.json"))
    except (OSError, SafetensorError, ValueError, RuntimeError, KeyError, IndexError, TypeError) as error:
        raise VelaturaError(
            "unknown-model",
            f"The guide {title!r} does not fit {model.id!r}, or its file is damaged; choose another guide or "
            "fetch the file again.",
            detail=f"{type(error).__name__}: {error}",
        ) from error
    network.eval().requires_grad_(False)
    return nn.Module.to(network, model.device, model.dtype)  # diffusers' own warns


def _made(family: str, base: nn.Module, tensors: _Tensors, beside: Path) -> nn.Module:
    """The network by the configuration beside the file, or where that is another file's without it."""
    if told := _configuration(beside):
        with suppress(ValueError, RuntimeError, KeyError, IndexError, TypeError):
            return _MAKERS[family](base, tensors, told)
    return _MAKERS[family](base, tensors, {})


def _configuration(path: Path) -> dict[str, Any]:
    """The configuration of a ControlNet in a folder of diffusers; {} where there is none."""
    try:
        told = dict(read_object(path))
    except (OSError, ValueError):
        return {}
    return told if "ControlNet" in str(told.get("_class_name", "")) else {}


def _filled(network: Any, tensors: _Tensors) -> nn.Module:
    """The network with the tensors, every one of which it must have, and none more."""
    network.load_state_dict(dict(tensors), assign=True)
    return network


def _empty(cls: Any, config: Mapping[str, Any]) -> Any:
    """A network without weights; where accelerate is there it takes no memory for them until `_filled`."""
    with _without_weights():
        return cls.from_config(dict(config))


def _without_weights() -> AbstractContextManager[Any]:
    if not is_accelerate_available():
        return nullcontext()
    from accelerate import init_empty_weights

    return init_empty_weights()


def _shortened(cls: Any, base: Any, changed: Mapping[str, Any]) -> Any:
    """A network of this class with the model's configuration and these changes."""
    known = inspect.signature(cls.__init__).parameters
    config = {name: value for name, value in {**base.config, **changed}.items() if name in known}
    return _empty(cls, config)


def _configured(cls: Any, unet: Any) -> dict[str, Any]:
    """The configuration that diffusers makes of a U-Net's, without its notes, which would bring its defaults
    back."""
    with _without_weights():
        network = cls.from_unet(unet, load_weights_from_unet=False)
    return {name: value for name, value in network.config.items() if not name.startswith("_")}


def _count(tensors: _Tensors, start: str) -> int:
    return parts.count(tensors, start)


def _unet(base: Any, tensors: _Tensors, told: Mapping[str, Any]) -> nn.Module:
    """Of Stable Diffusion and Stable Diffusion XL, each kind by itself or a union."""
    if "task_embedding" in tensors:
        if told:
            return _filled(_empty(ControlNetUnionModel, told), tensors)
        config = _configured(ControlNetUnionModel, base)
        config["in_channels"] = base.config.out_channels  # of an inpainting network there are more
        kinds = tensors["task_embedding"].shape[0]
        embedding, step = "control_add_embedding.linear_1.weight", config["addition_time_embed_dim"]
        if tensors[embedding].shape[1] != kinds * step:
            raise ValueError(f"a union of {kinds} kinds")
        sizes = {
            "num_control_type": kinds,
            "num_trans_channel": tensors["task_embedding"].shape[1],
            "num_trans_layer": _count(tensors, "transformer_layes."),
            "num_proj_channel": tensors["spatial_ch_projs.weight"].shape[0],
        }
        return _filled(_empty(ControlNetUnionModel, config | sizes), tensors)
    if told:
        return _filled(_empty(ControlNetModel, told), tensors)
    config = _configured(ControlNetModel, base)
    config["in_channels"] = base.config.out_channels
    if "time_embedding.linear_1.weight" in tensors:
        config |= _blocks(tensors, config)
    else:
        tensors = convert_controlnet_checkpoint(dict(tensors), config)
    return _filled(_empty(ControlNetModel, config), tensors)


def _blocks(tensors: _Tensors, config: Mapping[str, Any]) -> dict[str, Any]:
    """The blocks with attention, of which smaller ControlNets of Stable Diffusion XL have fewer."""
    depths = [
        _count(tensors, f"down_blocks.{i}.attentions.0.transformer_blocks.")
        for i in range(len(config["block_out_channels"]))
    ]
    middle = _count(tensors, "mid_block.attentions.0.transformer_blocks.")
    types = ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths]
    kind = "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D"
    layers = [max(1, depth) for depth in depths]
    return {
        "down_block_types": types,
        "mid_block_type": kind,
        "transformer_layers_per_block": [*layers[:-1], middle or layers[-1]],
    }


def _sd3(base: Any, tensors: _Tensors, told: Mapping[str, Any]) -> nn.Module:
    if told:
        empty = _empty(SD3ControlNetModel, told)
    else:
        own = tensors["pos_embed_input.proj.weight"].shape[1]
        reads_text = "context_embedder.weight" in tensors
        changed = {
            "num_layers": _count(tensors, "transformer_blocks."),
            "extra_conditioning_channels": own - base.config.in_channels,
            "dual_attention_layers": _dual(tensors),
            "use_pos_embed": "pos_embed.proj.weight" in tensors,
            "joint_attention_dim": base.config.joint_attention_dim if reads_text else None,
            # the 8-billion one of Stability AI reads the pooled text, those with text of their own do not
            "force_zeros_for_pooled_projection": reads_text,
        }
        empty = _shortened(SD3ControlNetModel, base, changed)
    if empty.config.extra_conditioning_channels:
        raise ValueError("it paints into masks, which Velatura's own methods do")
    network: Any = _filled(empty, tensors)
    if network.config.use_pos_embed is False:  # it reads the model's own tokens
        network.pos_embed = network._get_pos_embed_from_transformer(base)
    return network


def _dual(tensors: _Tensors) -> list[int]:
    names = (re.match(r"transformer_blocks\.(\d+)\.attn2\.", name) for name in tensors)
    return sorted({int(name[1]) for name in names if name})


def _flux1(base: Any, tensors: _Tensors, told: Mapping[str, Any]) -> nn.Module:
    modes = tensors.get("controlnet_mode_embedder.weight")
    changed = {
        "in_channels": tensors["x_embedder.weight"].shape[1],
        "num_layers": _count(tensors, "transformer_blocks."),
        "num_single_layers": _count(tensors, "single_transformer_blocks."),
        "guidance_embeds": any(name.startswith("time_text_embed.guidance_embedder.") for name in tensors),
        "num_mode": None if modes is None else modes.shape[0],
        "conditioning_embedding_channels": _hint(tensors),
    }
    if changed["conditioning_embedding_channels"] is not None:
        changed["patch_size"] = 2  # by which it packs what it has read of the pixels
    with warnings.catch_warnings():
        # diffusers' class warns of the place from which it imports its own positions itself
        warnings.filterwarnings("ignore", message="`FluxPosEmbed`", category=FutureWarning)
        cls = FluxControlNetModel
        made = _empty(cls, told) if told else _shortened(cls, base, changed)
    return _filled(made, tensors)


def _hint(tensors: _Tensors) -> int | None:
    """The channels of the layers that read a map as pixels; None where its latents are read."""
    out = tensors.get("input_hint_block.conv_out.weight")
    return None if out is None else out.shape[0]


def _qwen_image(base: Any, tensors: _Tensors, told: Mapping[str, Any]) -> nn.Module:
    own, channels = tensors["controlnet_x_embedder.weight"].shape[1], tensors["img_in.weight"].shape[1]
    if own != channels:
        raise ValueError("it paints into masks, which Velatura's own methods do")
    changed = {"num_layers": _count(tensors, "transformer_blocks."), "in_channels": channels}
    cls = QwenImageControlNetModel
    return _filled(_empty(cls, told) if told else _shortened(cls, base, changed), tensors)


def _z_image(base: Any, tensors: _Tensors, told: Mapping[str, Any]) -> nn.Module:
    """Its tokens, times and prompts are read by the model's own layers, which both share."""
    if not told:
        layers = _count(tensors, "control_layers.")
        before = tensors.get("control_noise_refiner.0.before_proj.weight")
        refiner = before is not None and bool(before.any())  # version 2.0 has zeros there, and 2.1 has not
        both = refiner or tensors["control_all_x_embedder.2-1.weight"].shape[1] // 4 > base.config.in_channels
        kind = ("control_noise_refiner" if refiner else "control_layers") if both else None
        told = {
            "control_layers_places": [*_PLACES.get(layers, range(layers))],
            "control_refiner_layers_places": [*range(base.config.n_refiner_layers)] if both else None,
            "control_in_dim": tensors["control_all_x_embedder.2-1.weight"].shape[1] // 4,
            "add_control_noise_refiner": kind,
            **{name: base.config[name] for name in ("dim", "n_refiner_layers", "n_heads", "n_kv_heads")},
            **{name: base.config[name] for name in ("norm_eps", "qk_norm")},
        }
    network = _empty(ZImageControlNetModel, dict(told))
    if network.config.add_control_noise_refiner == "control_layers":
        tensors = {k: v for k, v in tensors.items() if not k.startswith("control_noise_refiner.")}
    return ZImageControlNetModel.from_transformer(_filled(network, tensors), base)


_MAKERS: Mapping[str, Callable[[Any, _Tensors, Mapping[str, Any]], nn.Module]] = {
    "sd": _unet,
    "sdxl": _unet,
    "sd3": _sd3,
    "flux1": _flux1,
    "qwen-image": _qwen_image,
    "z-image": _z_image,
}
