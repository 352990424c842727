"""Converts checkpoints of StyleGAN2 to the folder of a style-based generator.

Layouts: stylegan2-ada-pytorch's (its .pkl, also of networks that its legacy.py has converted from TensorFlow,
and its state dicts), whose names the networks here have; and that of rosinality's stylegan2-pytorch. The
weights of convolutions that upsample have the same orientation in both: each gives them unflipped to a
transposed convolution and filters its result with [1, 3, 3, 1]. Differences of rosinality's:

- weights are scaled by 1 / sqrt(I k^2) also where they are demodulated, which only the 1e-8 in the
  demodulation notices;
- a bias, a constant and noises have dimensions of 1 in front;
- the mean of w stands beside the weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from velatura_protocol.errors import VelaturaError

from . import style_files
from .stylegan2 import BLUR, Shape, StyleGAN2

ADA = "synthesis.b4.const"
ROSINALITY = "input.input"
_MEAN = "latent_avg"
_STYLEGAN3 = re.compile(r"synthesis\.L0_\d+_\d+\.weight")
_SAMPLES = 10_000  # for the mean of w where a checkpoint has none
_LR_MULTIPLIER = 0.01  # of the mapping in all published networks; state dicts do not tell it
_CLAMP = 256.0  # in all networks that stylegan2-ada-pytorch trains; its state dicts do not tell it


def is_style_generator(weights: Mapping[str, Tensor]) -> bool:
    """Whether a checkpoint has the names of a style-based generator, of StyleGAN3 among them."""
    return ADA in weights or ROSINALITY in weights or any(map(_STYLEGAN3.fullmatch, weights))


def convert(
    checkpoint: Path, folder: Path, weights: Mapping[str, Tensor], about: Mapping[str, Any], label: int | None
) -> None:
    """Writes the folder of a checkpoint.

    Args:
        checkpoint: the file, for messages.
        folder: the new folder.
        weights: the checkpoint's.
        about: plain attributes of its modules, where it tells them (`pickles.Checkpoint`).
        label: the class that random pictures of a network with classes show; None: all classes.

    Raises:
        VelaturaError: `unknown-model` for another network; `bad-request` for a class that it does not know.
    """
    if any(map(_STYLEGAN3.fullmatch, weights)):
        raise VelaturaError(
            "unknown-model", f"{checkpoint} is a StyleGAN3, which cannot be converted; choose a StyleGAN2."
        )
    try:
        shape, renamed = _rosinality(weights) if ROSINALITY in weights else _ada(weights, about)
        with torch.device("meta"):
            network = StyleGAN2(shape)
        network.load_state_dict(renamed, assign=True)
        network.requires_grad_(False)
        if _MEAN not in weights and ROSINALITY in weights:
            network.mapping.w_avg.copy_(_mean(network))
        parts = style_files.Parts(shape, shape.resolution, network, _labels(shape, label))
        style_files.write(folder, parts)
    except (ArithmeticError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise VelaturaError(
            "unknown-model",
            f"{checkpoint} is no StyleGAN2 with skip connections that can be converted; choose another one.",
            detail=f"{type(error).__name__}: {error}"[:2000],
        ) from error


def _labels(shape: Shape, label: int | None) -> Tensor | None:
    """The bank of labels for one class, [1, c_dim]; None for all classes."""
    if label is None:
        return None
    if not shape.c_dim:
        raise VelaturaError("bad-request", "This network knows no classes; leave the class out.")
    if not 0 <= label < shape.c_dim:
        raise VelaturaError(
            "bad-request", f"This network knows the classes 0 to {shape.c_dim - 1}; name one."
        )
    return torch.eye(shape.c_dim)[label : label + 1]


@torch.no_grad()
def _mean(network: StyleGAN2) -> Tensor:
    """The mean of w [w_dim] over random z."""
    z = torch.randn(_SAMPLES, network.shape.z_dim, generator=torch.Generator().manual_seed(0))
    return network.mapping(z).mean(0)


def _ada(weights: Mapping[str, Tensor], about: Mapping[str, Any]) -> tuple[Shape, dict[str, Tensor]]:
    """Shape and weights of a network of stylegan2-ada-pytorch. Raises ValueError or KeyError for another."""
    result = {name: value.float() for name, value in weights.items()}
    blocks = sorted(int(found[1]) for name in weights if (found := _BLOCK.fullmatch(name)))
    for name in [name for name in result if name.endswith("resample_filter")]:
        _check_blur(result.pop(name), 1.0)
    for side in blocks:
        for layer in ("conv0", "conv1"):
            name = f"synthesis.b{side}.{layer}"
            if f"{name}.weight" in result and f"{name}.noise_strength" not in result:  # made without noise
                result[f"{name}.noise_strength"] = torch.zeros(())
                result[f"{name}.noise_const"] = torch.zeros(side, side)
    layers = sum(1 for name in weights if re.fullmatch(r"mapping\.fc\d+\.weight", name))
    w_dim = weights["synthesis.b4.conv1.affine.weight"].shape[1]
    c_dim = weights["mapping.embed.weight"].shape[1] if "mapping.embed.weight" in weights else 0
    for name, module in about.items():
        if module.get("activation", "lrelu") not in ("lrelu", "linear") or (
            module.get("activation") == "linear" and re.fullmatch(r"mapping\.fc\d+", name)
        ):
            raise ValueError(f"{name} has the activation {module['activation']!r:.40}")
        if module.get("architecture", "skip") != "skip":
            raise ValueError(f"{name} has the architecture {module['architecture']!r:.40}")
    first = about.get("mapping.fc0", {})
    clamp = about.get("synthesis.b4.conv1", {"conv_clamp": _CLAMP}).get("conv_clamp")
    shape = Shape(
        z_dim=weights["mapping.fc0.weight"].shape[1] - (w_dim if c_dim else 0),
        c_dim=c_dim,
        w_dim=w_dim,
        channels=tuple(weights[f"synthesis.b{side}.conv1.weight"].shape[0] for side in blocks),
        img_channels=weights["synthesis.b4.torgb.weight"].shape[0],
        mapping_layers=layers,
        lr_multiplier=float(first.get("bias_gain", _LR_MULTIPLIER)),
        clamp=None if clamp is None else float(clamp),
    )
    return shape, result


_BLOCK = re.compile(r"synthesis\.b(\d+)\.conv1\.weight")


def _rosinality(weights: Mapping[str, Tensor]) -> tuple[Shape, dict[str, Tensor]]:
    """Shape and weights of a network of rosinality's. Raises ValueError or KeyError for another."""
    layers = sum(1 for name in weights if re.fullmatch(r"style\.\d+\.weight", name))
    ups = sum(1 for name in weights if re.fullmatch(r"to_rgbs\.\d+\.conv\.weight", name))
    result: dict[str, Tensor] = {"synthesis.b4.const": weights[ROSINALITY][0].float()}

    def take(new: str, old: str, *, noise: int | None) -> None:
        """A convolution with a modulation; noise: the number of its noise, None for one of colours."""
        weight = weights[f"{old}.conv.weight"][0].float()
        for kind in ("weight", "bias"):
            result[f"{new}.affine.{kind}"] = weights[f"{old}.conv.modulation.{kind}"].float()
        if noise is None:
            result[f"{new}.weight"] = weight
            result[f"{new}.bias"] = weights[f"{old}.bias"].flatten().float()
            return
        result[f"{new}.weight"] = weight / sqrt(weight[0].numel())
        result[f"{new}.bias"] = weights[f"{old}.activate.bias"].flatten().float()
        result[f"{new}.noise_strength"] = weights[f"{old}.noise.weight"].reshape(()).float()
        result[f"{new}.noise_const"] = _noise(weights, noise)

    for i in range(layers):
        for kind in ("weight", "bias"):
            result[f"mapping.fc{i}.{kind}"] = weights[f"style.{i + 1}.{kind}"].float()
    take("synthesis.b4.conv1", "conv1", noise=0)
    take("synthesis.b4.torgb", "to_rgb1", noise=None)
    for i in range(ups):
        block = f"synthesis.b{8 * 2**i}"
        take(f"{block}.conv0", f"convs.{2 * i}", noise=2 * i + 1)
        take(f"{block}.conv1", f"convs.{2 * i + 1}", noise=2 * i + 2)
        take(f"{block}.torgb", f"to_rgbs.{i}", noise=None)
    for name, value in weights.items():
        if name.endswith(".kernel"):
            _check_blur(value.float(), 4.0)
    convs = ["conv1", *(f"convs.{2 * i + 1}" for i in range(ups))]
    w_dim, z_dim = weights["style.1.weight"].shape
    mean = weights.get(_MEAN)
    result["mapping.w_avg"] = (
        torch.zeros(w_dim) if mean is None else mean.float().reshape(-1, w_dim)[0].clone()
    )
    shape = Shape(
        z_dim=z_dim,
        c_dim=0,
        w_dim=w_dim,
        channels=tuple(weights[f"{name}.conv.weight"].shape[1] for name in convs),
        img_channels=weights["to_rgb1.conv.weight"].shape[1],
        mapping_layers=layers,
        lr_multiplier=_LR_MULTIPLIER,
    )
    return shape, result


def _noise(weights: Mapping[str, Tensor], number: int) -> Tensor:
    """The stored noise of a convolution [side, side]; older checkpoints have none, and get one by a seed."""
    name = f"noises.noise_{number}"
    if name in weights:
        return weights[name][0, 0].float()
    side = 2 ** ((number + 5) // 2)
    return torch.randn(side, side, generator=torch.Generator().manual_seed(number))


def _check_blur(kernel: Tensor, gain: float) -> None:
    """Raises ValueError for a filter other than [1, 3, 3, 1] by [1, 3, 3, 1], of this sum."""
    line = torch.tensor(BLUR)
    if kernel.shape != (4, 4) or not torch.allclose(kernel, torch.outer(line, line) / 64.0 * gain, atol=1e-5):
        raise ValueError("it filters with another kernel than [1, 3, 3, 1]")
