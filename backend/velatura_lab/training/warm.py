"""Warm start: networks begin with a bundle's weights, also if they are larger than the bundle's.

Latents may have more channels, the vocabulary more words and the judge's questions more answers.  New
weights start so small that the network first computes the same as the old one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPModel, CLIPTextModel

from velatura_lab.readers.judge import STEPS, Judge, Question, load_judge

Grow = Mapping[str, float]

#: Parameter that may grow -> size of its new entries, relative to the standard deviation of the old ones.
UNET_GROW: Grow = {"conv_in.weight": 0.0, "conv_out.weight": 0.1, "conv_out.bias": 0.0}


#: Size of the decoder's weights for new latent channels, relative to the standard deviation of the old ones.
NEW_LATENTS = 0.05


def encoder_grow(encoder: nn.Module) -> Grow:
    """For the last convolution: new latent channels begin as random maps of features, of the old size."""
    last = sum(1 for _ in encoder.get_submodule("layers").children()) - 1
    return {f"layers.{last}.weight": 1.0, f"layers.{last}.bias": 0.0}


def fitted(old: Mapping[str, Tensor], network: nn.Module, grow: Grow) -> dict[str, Tensor] | None:
    """`old` weights in the shapes of `network`; None if they are not of a smaller network of its kind."""
    result: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        if name not in old:
            return None
        source = old[name].float()
        if source.shape == value.shape:
            result[name] = source
            continue
        larger = source.dim() == value.dim() and all(
            a <= b for a, b in zip(source.shape, value.shape, strict=True)
        )
        if name not in grow or not larger:
            return None
        wide = torch.randn(value.shape) * float(source.std()) * grow[name]
        wide[tuple(slice(n) for n in source.shape)] = source
        result[name] = wide
    return result


def fitted_autoencoder(old: Mapping[str, Tensor], vae: nn.Module) -> dict[str, Tensor] | None:
    """`old` weights in the shapes of an autoencoder; None if they do not fit.

    It may have more latent channels and a larger decoder than the old one.
    """
    parts: dict[str, Tensor] = {}
    for name in ("encoder", "decoder"):
        prefix = f"{name}."
        own = {key.removeprefix(prefix): value for key, value in old.items() if key.startswith(prefix)}
        part = getattr(vae, name)
        state = fitted_decoder(own, part) if name == "decoder" else fitted(own, part, encoder_grow(part))
        if state is None:
            return None
        parts |= {prefix + key: value for key, value in state.items()}
    return parts


def fitted_decoder(old: Mapping[str, Tensor], decoder: nn.Module) -> dict[str, Tensor] | None:
    """`old` weights of a DecoderTiny in a larger one; None if it is narrower or, at a resolution, less deep.

    The larger one computes the same as the old one (Chen et al. 2016, "Net2Net").  Old channels have weight
    0 for the new channels, which begin at random, and new blocks add 0 to their input.  New latent channels
    have small weights (NEW_LATENTS).
    """
    new = decoder.state_dict()
    before, after = _levels(old), _levels(new)
    if len(before) != len(after):
        return None
    if any(len(level) > len(other) for level, other in zip(before, after, strict=True)):
        return None
    result = {name: value.float().clone() for name, value in new.items()}
    for level, other in zip(before, after, strict=True):
        for source, target in zip(level, other, strict=False):
            for name in (key for key in new if key.startswith(f"layers.{target}.")):
                value = old.get(f"layers.{source}.{name.removeprefix(f'layers.{target}.')}")
                if value is None or any(a > b for a, b in zip(value.shape, new[name].shape, strict=True)):
                    return None
                rows = result[name][: len(value)]
                if value.dim() > 1:
                    rows.zero_()
                    if target == 0:
                        rows.copy_(NEW_LATENTS * value.float().std() * torch.randn(rows.shape))
                rows[tuple(slice(n) for n in value.shape)] = value.float()
        for target in other[len(level) :]:
            last = max(key for key in new if key.startswith(f"layers.{target}.") and key.endswith(".weight"))
            result[last].zero_()
            result[last.replace("weight", "bias")].zero_()
    return result


def _levels(state: Mapping[str, Tensor]) -> list[list[int]]:
    """Numbers of a DecoderTiny's layers with weights, for each resolution: a convolution, then blocks."""
    levels: list[list[int]] = []
    for number in sorted({int(name.split(".")[1]) for name in state}):
        if f"layers.{number}.weight" in state:
            levels.append([])
        levels[-1].append(number)
    return levels


def warm_start(network: nn.Module, bundle: Path | None, part: str, grow: Grow) -> bool:
    """Load the weights of one part of a bundle into a network; False if it has none that fit."""
    old = _weights(bundle, part)
    return _take(network, None if old is None else fitted(old, network, grow))


def warm_start_autoencoder(vae: nn.Module, bundle: Path | None) -> bool:
    """Load a bundle's autoencoder, also into a larger one; False if it has none that fits."""
    old = _weights(bundle, "vae")
    return _take(vae, None if old is None else fitted_autoencoder(old, vae))


def _weights(bundle: Path | None, part: str) -> dict[str, Tensor] | None:
    path = None if bundle is None else bundle / part / "diffusion_pytorch_model.safetensors"
    return load_file(path) if path is not None and path.exists() else None


def _take(network: nn.Module, state: Mapping[str, Tensor] | None) -> bool:
    if state is not None:
        network.load_state_dict(state)
    return state is not None


def warm_start_text(encoder: CLIPTextModel, ids: Mapping[str, int], bundle: Path | None) -> bool:
    """Load a bundle's text encoder; False if it has none that fits.

    Each token keeps its embedding, and new tokens begin at random.  `ids` is the new tokenizer's vocabulary.
    """
    if bundle is None or not (bundle / "text_encoder" / "config.json").exists():
        return False
    old = CLIPTextModel.from_pretrained(bundle / "text_encoder").float().state_dict()
    return _take(
        encoder, fitted(_with_tokens(old, encoder.state_dict(), ids, bundle / "tokenizer"), encoder, {})
    )


def warm_start_clip(clip: CLIPModel, ids: Mapping[str, int], bundle: Path | None) -> bool:
    """Load a bundle's CLIP, or a CLIPSeg's towers; False if it has none that fits.

    Each token keeps its embedding, and new tokens begin at random.  `ids` is the new tokenizer's vocabulary.
    """
    if bundle is None or not (bundle / "model.safetensors").exists():
        return False
    old = {
        name.removeprefix("clip."): value.float()
        for name, value in load_file(bundle / "model.safetensors").items()
    }
    return _take(clip, fitted(_with_tokens(old, clip.state_dict(), ids, bundle), clip, {}))


def _with_tokens(
    old: Mapping[str, Tensor], state: Mapping[str, Tensor], ids: Mapping[str, int], folder: Path
) -> dict[str, Tensor]:
    """`old` weights with the rows of the token embedding in the order of a new vocabulary."""
    known = json.loads((folder / "vocab.json").read_text())
    name = next(key for key in state if key.endswith("token_embedding.weight"))
    before = old[name]
    table = torch.randn(state[name].shape) * before.std()
    shared = [token for token in ids if token in known]
    table[[ids[token] for token in shared]] = before[[known[token] for token in shared]]
    return {**old, name: table}


def warm_start_judge(judge: Judge, bundle: Path | None) -> bool:
    """Load a bundle's judge, with questions and answers matched by name; False if it has none that fits.

    A new answer begins as the mean of the known answers to its question, so it is never the likeliest.  A new
    question keeps its random weights.
    """
    if bundle is None or not (bundle / "judge.safetensors").exists():
        return False
    known, state = load_judge(bundle), judge.state_dict()
    old = known.state_dict()
    keys = [question.key for question in known.questions]
    before, now = _answers(known.questions), _answers(judge.questions)
    per_question, per_answer = ("query", "place"), ("whole.weight", "whole.bias", "part")
    if any(
        value.shape[1:] != state[name].shape[1:]
        if name in per_question + per_answer
        else value.shape != state[name].shape
        for name, value in old.items()
    ):
        return False
    state |= {name: value for name, value in old.items() if name not in per_question + per_answer}
    for name in per_question:
        for row, question in enumerate(judge.questions):
            if question.key in keys:
                state[name][row] = old[name][keys.index(question.key)]
    for name in per_answer:
        for row, answer in enumerate(now):
            if answer in before:
                state[name][row] = old[name][before.index(answer)]
            elif answer[0] in keys:
                own = [place for place, (key, _) in enumerate(before) if key == answer[0]]
                state[name][row] = old[name][own].mean(0)
    judge.load_state_dict(state)
    return True


def _answers(questions: list[Question]) -> list[tuple[str, str]]:
    """(question, value) of each row of a judge's last layer; a degree's values are its steps."""
    return [(question.key, str(value)) for question in questions for value in question.values or range(STEPS)]
