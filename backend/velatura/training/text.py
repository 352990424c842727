"""Captions as tensors, and a first schooling of the text encoder before it meets pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from velatura.world import ELEMENTS, Caption, caption, sample_scene, vocabulary

from .networks import TEXT_WIDTH, TOKENS, make_text_encoder
from .tokenizer import load_tokenizer, token_elements

ELEMENT_INDEX = {"": len(ELEMENTS), **{name: k for k, name in enumerate(ELEMENTS)}}


class Wording:
    """Turns captions into token ids and tells which tokens are about which element."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        self.tokenizer = tokenizer
        self.ids = {word: tokenizer(word).input_ids[1] for word in vocabulary()}
        self.start, self.end = tokenizer.bos_token_id, tokenizer.eos_token_id

    def tokens(self, captions: list[Caption]) -> torch.Tensor:
        """(B, TOKENS) ids; the same as the tokenizer gives for the captions' texts."""
        rows = []
        for item in captions:
            row = [self.start, *(self.ids[word.text] for word in item.words)][: TOKENS - 1]
            rows.append(row + [self.end] * (TOKENS - len(row)))
        return torch.tensor(rows)

    def words(self, captions: list[Caption]) -> torch.Tensor:
        """(B, E, TOKENS): 1 where the token is about the element."""
        classes = torch.tensor([[ELEMENT_INDEX[name] for name in token_elements(item)] for item in captions])
        return F.one_hot(classes, len(ELEMENTS) + 1)[..., :-1].transpose(1, 2)


def make_text(work: Path) -> tuple[Wording, CLIPTextModel]:
    """Tokenizer (built on first use) and an untrained text encoder for it."""
    wording = Wording(load_tokenizer(work / "tokenizer"))
    return wording, make_text_encoder(len(wording.tokenizer), wording.start, wording.end)


def school_text_encoder(
    encoder: CLIPTextModel, wording: Wording, seed: int, steps: int, batch: int = 32
) -> None:
    """Teach each token its element and the words of its phrase so far ("red" at the "hat" of "a red hat").

    A few seconds of this spare the denoising network from learning grammar through pictures.
    """
    rng = np.random.default_rng([seed, 77])
    # of the tokens, only the captions' own words, renumbered
    known = torch.full((len(wording.tokenizer),), 0)
    known[list(wording.ids.values())] = torch.arange(1, len(wording.ids) + 1)
    size = len(wording.ids) + 1
    element_head, phrase_head = nn.Linear(TEXT_WIDTH, len(ELEMENTS) + 1), nn.Linear(TEXT_WIDTH, size)
    parameters = [*encoder.parameters(), *element_head.parameters(), *phrase_head.parameters()]
    optimiser = torch.optim.AdamW(parameters, 2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda k: min(1.0, (k + 1) / 20) * (1.0 - k / steps)
    )
    bar = tqdm(range(steps), "text encoder", mininterval=5.0)
    for _ in bar:
        captions = [caption(sample_scene(rng), rng) for _ in range(batch)]
        tokens, words = wording.tokens(captions), wording.words(captions)
        of_element = words.argmax(1).masked_fill(words.sum(1) == 0, len(ELEMENTS))  # (B, T)
        one_hot = F.one_hot(known[tokens], size).float()
        phrase = torch.zeros_like(one_hot)
        for element in range(len(ELEMENTS)):
            own = words[:, element].unsqueeze(-1).float()
            phrase += own * (one_hot * own).cumsum(1).clamp(max=1.0)
        hidden = encoder(tokens).last_hidden_state
        loss = F.cross_entropy(element_head(hidden).flatten(0, 1), of_element.flatten())
        about = of_element < len(ELEMENTS)
        loss = loss + 20.0 * F.binary_cross_entropy_with_logits(phrase_head(hidden[about]), phrase[about])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        bar.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)
