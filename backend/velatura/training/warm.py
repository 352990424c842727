"""Beginning from a bundle's weights instead of random ones, also where the new networks are larger.

Latents may get more channels, the vocabulary more words and the judge's questions more answers.  What is new
starts so small that the network first does what the old one did.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPTextModel

from velatura.readers.judge import STEPS, Judge, Question, load_judge

Grow = Mapping[str, float]

#: Parameters that may grow, and how large their new entries are, relative to the old ones' deviation.
UNET_GROW: Grow = {"conv_in.weight": 0.0, "conv_out.weight": 0.1, "conv_out.bias": 0.0}


def autoencoder_grow(vae: nn.Module) -> Grow:
    """The encoder's last and the decoder's first convolution.

    New latent channels begin as random readings of the encoder's features, as large as the old channels; the
    decoder gives them little weight.
    """
    last = len(vae.encoder.layers) - 1
    return {
        f"encoder.layers.{last}.weight": 1.0,
        f"encoder.layers.{last}.bias": 0.0,
        "decoder.layers.0.weight": 0.05,
    }


def fitted(old: Mapping[str, Tensor], network: nn.Module, grow: Grow) -> dict[str, Tensor] | None:
    """`old` weights in the shapes of `network`; None if they are not a smaller network's of its kind."""
    result = {}
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


def warm_start(network: nn.Module, bundle: Path | None, part: str, grow: Grow) -> bool:
    """Load the weights of one part of a bundle into a network; False if there are none that fit."""
    path = None if bundle is None else bundle / part / "diffusion_pytorch_model.safetensors"
    if path is None or not path.exists():
        return False
    state = fitted(load_file(path), network, grow)
    if state is not None:
        network.load_state_dict(state)
    return state is not None


def warm_start_text(encoder: CLIPTextModel, ids: Mapping[str, int], bundle: Path | None) -> bool:
    """Load a bundle's text encoder; each token keeps its embedding, new tokens begin at random.

    ids: the new tokenizer's vocabulary.
    """
    if bundle is None or not (bundle / "text_encoder" / "config.json").exists():
        return False
    old = CLIPTextModel.from_pretrained(bundle / "text_encoder").float().state_dict()
    known = json.loads((bundle / "tokenizer" / "vocab.json").read_text())
    state = encoder.state_dict()
    name = next(key for key in state if key.endswith("token_embedding.weight"))
    before = old.pop(name)
    table = torch.randn(state[name].shape) * before.std()
    shared = [token for token in ids if token in known]
    table[[ids[token] for token in shared]] = before[[known[token] for token in shared]]
    state = fitted({**old, name: table}, encoder, {})
    if state is not None:
        encoder.load_state_dict(state)
    return state is not None


def warm_start_judge(judge: Judge, bundle: Path | None) -> bool:
    """Load a bundle's judge; questions and answers are matched by name, whatever their number.

    A new answer begins as the mean of the known ones to its question and hence is never the likeliest; a new
    question keeps its random weights.  False if there is no judge in the bundle or its layers are others.
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
    """Question and value (of a degree: its step) of each row of a judge's last layer."""
    return [(question.key, str(value)) for question in questions for value in question.values or range(STEPS)]
