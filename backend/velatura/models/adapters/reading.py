"""Reads files of adapters: LoRA of diffusers, peft and kohya's trainer, and LyCORIS' LoHa, LoKr and full."""

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

from velatura.diffusion.network import Adapter
from velatura_protocol.errors import VelaturaError

from . import names
from .summands import Change, Dense, Kronecker, LowRank, fits, rows, strengthened, summand

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
    (r"\.dora_scale|\.lora_magnitude_vector(\.\w+)?(\.weight)?", "dora"),
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
        VelaturaError: `unknown-model` for a file that is damaged, of a form that is not read (DoRA), or for
            other networks.
    """
    try:
        parts, ranks, unread = _parts(path)
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise VelaturaError(
            "unknown-model",
            f"The adapter {title!r} cannot be read from {path}; fetch it again or leave it out.",
            detail=f"{type(error).__name__}: {error}",
        ) from error
    if any("dora" in tensors for tensors in parts.values()):
        raise VelaturaError(
            "unknown-model",
            f"The adapter {title!r} is of the form DoRA, which is not read; choose a LoRA, LoHa or LoKr.",
        )
    tables = {name: names.table(network) for name, network in networks.items() if name != "vae"}
    changes: dict[str, Change] = {}
    for (part, layer), tensors in parts.items():
        network = part or denoiser
        targets = tables.get(network, {}).get(layer, ())
        if not targets:
            unread += len(tensors)
            continue
        for target in targets:
            name = f"{network}.{target.layer}"
            module = networks[network].get_submodule(target.layer)
            change = _change(tensors, ranks, module, name, split=target.rows is not None)
            if change is not None and target.rows is not None:
                change = rows(change, *target.rows)
            if change is None or not fits(change, module):
                raise _other(title)
            changes[name] = change
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
    made: dict[str, Callable[[Tensor], Tensor]] = {}
    for name, changes in by_layer.items():
        network, _, layer = name.partition(".")
        made[name] = summand(networks[network].get_submodule(layer), changes, device)
    return made


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
            parts[network, layer][kind] = file.get_tensor(key).float()
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


def _change(
    tensors: Mapping[str, Tensor],
    noted: Callable[[str], float | None],
    layer: nn.Module,
    name: str,
    *,
    split: bool,
) -> Change | None:
    """The change that tensors make to a layer; None where some are missing or do not fit each other."""
    kernel = tuple(layer.kernel_size) if isinstance(layer, nn.Conv2d) else ()

    def shaped(weight: Tensor) -> Tensor:
        """[outputs, inputs …] for the kernel of the layer."""
        inputs = layer.in_channels if isinstance(layer, nn.Conv2d) else weight[0].numel()
        return weight.reshape(weight.shape[0], inputs, *kernel)

    def scale(rank: int) -> float:
        alpha = tensors["alpha"].item() if "alpha" in tensors else noted(name)
        return 1.0 if alpha is None else alpha / rank

    try:
        if "A" in tensors:
            down, up = tensors["A"], scale(len(tensors["A"])) * tensors["B"].flatten(1)
            if "mid" in tensors:
                return Dense(shaped(torch.einsum("ijkl,jr,pi->prkl", tensors["mid"], down.flatten(1), up)))
            return LowRank(shaped(down), up)
        if "hada_w1_b" in tensors:
            rank = tensors["hada_w1_b"].shape[0]
            return Dense(shaped(scale(rank) * _hadamard(tensors)))
        if "lokr_w1" in tensors or "lokr_w1_a" in tensors:
            first, second, rank = _kronecker(tensors)
            first = first * (scale(rank) if rank else 1.0)
            if second.ndim == 2 and not kernel:
                return Kronecker(first, second)
            second = second if second.ndim > 2 else second.reshape(len(second), -1, *kernel)
            return Dense(shaped(torch.kron(first.reshape(*first.shape, *[1] * (second.ndim - 2)), second)))
        W, b = tensors.get("diff"), tensors.get("diff_b")
        return Dense(None if W is None else shaped(W), b) if W is not None or b is not None else None
    except (KeyError, RuntimeError, ValueError):
        return None


def _hadamard(t: Mapping[str, Tensor]) -> Tensor:
    """(w1_a w1_b) * (w2_a w2_b) (LoHa; Hyeon-Woo et al. 2022, FedPara, arXiv:2108.06098, eq. 3)."""
    first = _product(t["hada_w1_a"], t["hada_w1_b"], t.get("hada_t1"))
    return first * _product(t["hada_w2_a"], t["hada_w2_b"], t.get("hada_t2"))


def _kronecker(t: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, int]:
    """The two factors of LoKr, and the rank by which alpha is divided; 0 where both are whole."""
    rank, first, second = 0, t.get("lokr_w1"), t.get("lokr_w2")
    if first is None:
        first, rank = t["lokr_w1_a"] @ t["lokr_w1_b"], t["lokr_w1_b"].shape[0]
    if second is None:
        second = _product(t["lokr_w2_a"], t["lokr_w2_b"], t.get("lokr_t2"))
        rank = t["lokr_w2_b"].shape[0]
    return first, second, rank


def _product(a: Tensor, b: Tensor, core: Tensor | None) -> Tensor:
    """a b, or Tucker's decomposition of a convolution with a core [r, r, k, k] between them."""
    return a @ b if core is None else torch.einsum("ijkl,jr,ip->prkl", core, b, a)
