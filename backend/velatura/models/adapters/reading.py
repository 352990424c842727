"""Reads files of adapters: LoRA of diffusers, peft and kohya's trainer, LyCORIS' LoHa, LoKr and full, each
also with DoRA's magnitudes, and (IA)³."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from velatura.diffusion.network import Adapter, OfOutput
from velatura_protocol.errors import VelaturaError

from . import names
from .changes import change_of
from .names import Target
from .summands import Change, fits, outputs, rows, strengthened, summand

_WEIGHTS = (  # the ends of tensors' names, and what they are
    (r"[._]lora\.down\.weight|\.lora_linear_layer\.down\.weight|\.lora_down\.weight", "A"),
    (r"[._]lora\.up\.weight|\.lora_linear_layer\.up\.weight|\.lora_up\.weight", "B"),
    (r"\.lora_A(\.\w+)?\.weight", "A"),
    (r"\.lora_B(\.\w+)?\.weight", "B"),
    (r"\.lora_mid\.weight", "mid"),
    (r"\.alpha", "alpha"),
    (r"\.(hada_w1_a|hada_w1_b|hada_w2_a|hada_w2_b|hada_t1|hada_t2)", ""),
    (r"\.(lokr_w1|lokr_w1_a|lokr_w1_b|lokr_w2|lokr_w2_a|lokr_w2_b|lokr_t2)", ""),
    (r"\.(diff|diff_b)", ""),
    (r"\.(dora_scale|ia3_l|on_input)", ""),
    (r"\.lora_magnitude_vector(\.\w+)?(\.weight)?", "magnitude"),
    (r"\.weight", "weight"),
)
_ENDS = tuple((re.compile(f"(?:{pattern})$"), name) for pattern, name in _WEIGHTS)
_PREFIXES: tuple[
    tuple[str, str], ...
] = (  # beginnings of names, and the network; "" for the one that denoises
    ("base_model.model.", ""),
    ("lora_unet_", ""),
    ("lora_transformer_", ""),
    ("lycoris_", ""),
    ("diffusion_model.", ""),
    ("model.diffusion_model.", ""),
    ("transformer.", ""),
    ("unet.", ""),
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
    ("lora_te3_", "text_encoder_3"),
    ("lora_te_", "text_encoder"),
    ("text_encoder_2.", "text_encoder_2"),
    ("text_encoder_3.", "text_encoder_3"),
    ("text_encoder.", "text_encoder"),
)
_Key = tuple[str, str]  # of a network and a layer


@dataclass(frozen=True, eq=False)
class Loaded:
    """An adapter in memory. changes: by the names of the model's layers. unread: tensors that it does not
    use."""

    changes: Mapping[str, Change]
    unread: int


def read(path: Path, title: str, networks: Mapping[str, nn.Module], denoiser: str) -> Loaded:
    """The adapter in a .safetensors file, for the networks of a model.

    Args:
        path: of the file.
        title: of the adapter, for messages.
        networks: by their names, as `LatentModel.networks` has them.
        denoiser: the name of the denoising network.

    Raises:
        VelaturaError: `unknown-model` for a file that is damaged, or for other networks.
    """
    try:
        parts, ranks, unread = _parts(path)
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise VelaturaError(
            "unknown-model",
            f"The adapter {title!r} cannot be read from {path}; fetch it again or leave it out.",
            detail=f"{type(error).__name__}: {error}",
        ) from error
    tables = {name: names.table(network) for name, network in networks.items() if name != "vae"}
    changes: dict[str, Change] = {}
    for (part, layer), tensors in parts.items():
        network = part or denoiser
        targets = tables.get(network, {}).get(layer, ())
        if not targets:
            unread += len(tensors)
            continue
        modules = [networks[network].get_submodule(target.layer) for target in targets]
        first, last = targets[0], targets[-1]
        name = f"{network}.{first.layer}"
        whole = change_of(tensors, ranks, modules, name, is_swapped=first.is_swapped)
        if whole is not None and last.rows is not None and outputs(whole) != last.rows[1]:
            raise _other(title)
        for target, module in zip(targets, modules, strict=True):
            change = _own(whole, target, module)
            if change is None or not fits(change, module):
                raise _other(title)
            changes[f"{network}.{target.layer}"] = change
    if not changes:
        raise _other(title)
    return Loaded(changes, unread)


def adapter(
    worn: list[tuple[Loaded, float]], networks: Mapping[str, nn.Module], device: torch.device
) -> Adapter:
    """Several adapters at their strengths (1 as trained, negative for the other way) as one."""
    by_layer: dict[str, list[Change]] = defaultdict(list)
    for loaded, strength in worn:
        for name, change in loaded.changes.items():
            by_layer[name].append(strengthened(change, strength))
    made: dict[str, Callable[[Tensor], Tensor] | OfOutput] = {}
    for name, changes in by_layer.items():
        network, _, layer = name.partition(".")
        made[name] = summand(networks[network].get_submodule(layer), changes, device)
    return made


def _own(whole: Change | None, target: Target, layer: nn.Module) -> Change | None:
    """A layer's part of the change that a file has for a name; None where there is none."""
    change = whole if whole is None or target.rows is None else rows(whole, range(*target.rows))
    if change is None or not target.is_swapped or not isinstance(layer, nn.Linear):
        return change
    if outputs(change) != layer.out_features:
        return None
    half = layer.out_features // 2
    return rows(change, [*range(half, 2 * half), *range(half)])


def _other(title: str) -> VelaturaError:
    return VelaturaError(
        "unknown-model",
        f"The adapter {title!r} was made for another model; choose one for this model, or leave it out.",
    )


def _parts(path: Path) -> tuple[dict[_Key, dict[str, Tensor]], Callable[[str], float | None], int]:
    """The tensors of each layer, what a name's alpha is in the file's notes, and the number of tensors of no
    known kind."""
    parts: dict[_Key, dict[str, Tensor]] = defaultdict(dict)
    unread = 0
    with safe_open(path, "pt") as file:
        alphas = _alphas((file.metadata() or {}).get("lora_adapter_metadata", ""))
        for key in file.keys():  # noqa: SIM118 - no mapping
            read = _read_name(key)
            if read is None:
                unread += 1
                continue
            network, layer, kind = read
            parts[network, layer][kind] = tensor = file.get_tensor(key).float()
            if not bool(tensor.isfinite().all()):
                raise ValueError(f"{key} has values that are no numbers")
    for key in [key for key, tensors in parts.items() if tensors.keys() == {"weight"}]:
        del parts[key]  # of no adapter's form
        unread += 1
    return parts, alphas, unread


def _read_name(key: str) -> tuple[str, str, str] | None:
    """The network, the layer with "_" for points, and the kind of a tensor."""
    for pattern, kind in _ENDS:
        if match := pattern.search(key):
            start, kind = key[: match.start()], kind or match[1]
            break
    else:
        return None
    network = ""
    for _ in range(2):  # peft's own prefix stands before another one
        for prefix, name in _PREFIXES:
            if start.startswith(prefix):
                start, network = start[len(prefix) :], network or name
                break
    start = start.replace(".processor.", ".")
    layer = names.plain(start.replace("to_out_lora", "to_out_0").removesuffix("_lora"))
    return network, layer, kind


def _alphas(notes: str) -> Callable[[str], float | None]:
    """The alpha of a layer as diffusers notes it beside peft's tensors; None where it notes none."""
    try:
        noted = json.loads(notes) if notes else {}
    except ValueError:
        noted = {}
    noted = noted if isinstance(noted, dict) else {}

    def alpha(name: str) -> float | None:
        network, _, layer = name.partition(".")
        patterns = noted.get(f"{network}.alpha_pattern")
        if isinstance(patterns, dict):
            for pattern, value in patterns.items():
                if layer.endswith(pattern) and isinstance(value, int | float):
                    return float(value)
        value = noted.get(f"{network}.lora_alpha")
        return float(value) if isinstance(value, int | float) else None

    return alpha
