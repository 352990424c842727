"""Parts of a model in the forms in which people have them: folders of diffusers and transformers, single
.safetensors files in the layouts of diffusers, of the authors and of ComfyUI, and .gguf files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint, convert_wan_vae_to_diffusers
from diffusers.models.model_loading_utils import load_gguf_checkpoint
from diffusers.utils.import_utils import is_accelerate_available, is_gguf_available
from safetensors import safe_open
from torch import Tensor

from velatura_protocol.errors import VelaturaError

from . import folder_weights

NETWORK_PREFIXES = ("model.diffusion_model.", "diffusion_model.", "transformer.", "")
VAE_PREFIXES = ("first_stage_model.", "vae.", "")
_FLOAT8 = (torch.float8_e4m3fn, torch.float8_e5m2)
_SCALES = (".scale_weight", ".weight_scale")  # ComfyUI's names, the older first
_NO_WEIGHTS = (".scale_input", ".input_scale", ".comfy_quant", "scaled_fp8", "tekken_model", "spiece_model")


def tensors(path: Path, prefixes: Sequence[str] = ("",), dtype: torch.dtype | None = None) -> dict[str, Any]:
    """The tensors of a .safetensors or .gguf file, by their names without a prefix.

    Weights in float8 with a scale beside them are multiplied by it.

    Args:
        path: of the file.
        prefixes: of names. The first that any name starts with is taken, and other names are left out.
        dtype: of weights that are not GGUF's and not float32; None: as they are.

    Raises `unknown-model` for a .gguf file where the package that reads it is missing.
    """
    if path.suffix.lower() == ".gguf":
        return _without(gguf(path), prefixes)
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
        prefix = _first(names, prefixes)
        found = {name[len(prefix) :]: file.get_tensor(name) for name in names if name.startswith(prefix)}
    found = {name: _unscaled(name, value, found, dtype) for name, value in found.items()}
    return {name: value for name, value in found.items() if not name.endswith((*_SCALES, *_NO_WEIGHTS))}


def gguf(path: Path) -> dict[str, Any]:
    """The tensors of a .gguf file, matrices still quantised, others not: only layers compute with such.

    Raises `unknown-model` where the packages that read it are missing.
    """
    if not (is_gguf_available() and is_accelerate_available()):
        raise VelaturaError(
            "unknown-model",
            f"{path.name} is a GGUF file, which needs two more packages; install velatura[gguf].",
        )
    from diffusers.quantizers.gguf.utils import GGUFParameter, dequantize_gguf_tensor

    found = load_gguf_checkpoint(str(path))
    return {
        name: dequantize_gguf_tensor(value)
        if isinstance(value, GGUFParameter) and not name.endswith("weight")
        else value
        for name, value in found.items()
    }


def _unscaled(name: str, value: Tensor, beside: Mapping[str, Tensor], dtype: torch.dtype | None) -> Tensor:
    if value.dtype in _FLOAT8 and name.endswith(".weight"):
        stem = name.removesuffix(".weight")
        scale = next((beside[stem + end] for end in _SCALES if stem + end in beside), None)
        if scale is not None:
            return (value.float() * scale.float()).to(dtype or torch.bfloat16)
    return value if dtype is None or value.dtype == torch.float32 else value.to(dtype)


def _first(names: Iterable[str], prefixes: Sequence[str]) -> str:
    names = list(names)
    return next((p for p in prefixes if any(name.startswith(p) for name in names)), "")


def _without(found: Mapping[str, Any], prefixes: Sequence[str]) -> dict[str, Any]:
    prefix = _first(found, prefixes)
    return {name[len(prefix) :]: value for name, value in found.items() if name.startswith(prefix)}


def transformer(
    cls: Any,
    path: Path,
    dtype: torch.dtype,
    config: Mapping[str, Any] | None,
    converted: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> Any:
    """A denoising network of diffusers.

    Args:
        cls: its class.
        path: a folder, a .safetensors file or a .gguf file, whose weights stay quantised.
        dtype: in which it computes.
        config: of a file; a folder has its own.
        converted: gives the tensors of a file with diffusers' names; None: diffusers does it.
    """
    lean = is_accelerate_available()
    if path.is_dir():
        return folder_weights.network(cls, path, dtype)
    more: dict[str, Any] = {}
    if path.suffix.lower() == ".gguf":
        from diffusers.quantizers.quantization_config import GGUFQuantizationConfig

        more["quantization_config"] = GGUFQuantizationConfig(compute_dtype=dtype)
    found = tensors(path, NETWORK_PREFIXES, dtype)
    if converted is not None:
        found = converted(found)
    with tempfile.TemporaryDirectory(prefix="velatura-") as folder:
        written = {"_class_name": cls.__name__, **(config or {})}
        (Path(folder) / "config.json").write_text(json.dumps(written), encoding="utf-8")
        return cls.from_single_file(
            found, config=folder, local_files_only=True, torch_dtype=dtype, low_cpu_mem_usage=lean, **more
        )


def autoencoder(cls: Any, path: Path, dtype: torch.dtype, config: Mapping[str, Any] | None) -> Any:
    """An autoencoder of diffusers, from a folder or a .safetensors file in the layout of diffusers, of LDM or
    of Wan. Arguments: as those of `transformer`."""
    if path.is_dir():
        return transformer(cls, path, dtype, None)
    found = tensors(path, VAE_PREFIXES, dtype)
    network = cls.from_config({"_class_name": cls.__name__, **(config or {})})
    if not network.state_dict().keys() <= found.keys():
        extra = {name: value for name, value in found.items() if name.startswith("bn.")}
        if "decoder.conv1.weight" in found:
            found = convert_wan_vae_to_diffusers(found)
        else:
            found = convert_ldm_vae_checkpoint(found, network.config) | extra
    network.load_state_dict(found)
    return torch.nn.Module.to(network, dtype)  # diffusers' own warns


def language_model(
    cls: Any,
    path: Path,
    dtype: torch.dtype,
    config: Any = None,
    renamed: Callable[[str], str] = lambda name: name,
) -> Any:
    """A text encoder of transformers.

    Args:
        cls: its class.
        path: a folder, or a .safetensors file with the names that transformers gives its tensors.
        dtype: of the network.
        config: of a file, in transformers' form; a folder has its own.
        renamed: the network's name for a tensor of a file.
    """
    if path.is_dir():
        return folder_weights.encoder(cls, path, dtype)
    found = tensors(path, dtype=dtype)
    found.pop("lm_head.weight", None)
    found = {renamed(name): value for name, value in found.items()}
    return cls.from_pretrained(None, config=config, state_dict=found, dtype=dtype)


def shortened(encoder: Any, layers: int) -> Any:
    """The language model without the layers behind number `layers`, whose states nobody reads.

    One layer more stays: the state after the last layer is a normalised one.
    """
    del encoder.layers[layers + 1 :]
    return encoder


def shapes(
    of: Mapping[str, tuple[int, ...]], prefixes: Sequence[str], mark: str
) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's tensors, by their names without a prefix; {} if no name starts with any of
    the prefixes and then the mark."""
    for prefix in prefixes:
        if any(name.startswith(prefix + mark) for name in of):
            return {name[len(prefix) :]: tuple(of[name]) for name in of if name.startswith(prefix)}
    return {}


def count(of: Iterable[str], *starts: str) -> int:
    """The number of layers, each with a number behind one of these starts of names."""
    return len(
        {name.removeprefix(start).split(".")[0] for start in starts for name in of if name.startswith(start)}
    )


@dataclass(frozen=True)
class Sizes:
    """Sizes of a language model. query, key: the channels of all heads of the queries, and of the keys."""

    vocabulary: int
    hidden: int
    inner: int
    layers: int
    query: int
    key: int


def sizes(shapes: Mapping[str, Sequence[int]], layers: str) -> Sizes:
    """Sizes of a language model of transformers' Llama kind, from the shapes of its tensors.

    layers: what the names of its layers start with, `model.layers.`.
    """
    first = f"{layers}0."
    table = next(name for name in shapes if name.endswith("embed_tokens.weight"))
    return Sizes(
        vocabulary=shapes[table][0],
        hidden=shapes[table][1],
        inner=shapes[first + "mlp.gate_proj.weight"][0],
        layers=count(shapes, layers),
        query=shapes[first + "self_attn.q_proj.weight"][0],
        key=shapes[first + "self_attn.k_proj.weight"][0],
    )
