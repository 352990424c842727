"""Captions as tensors, and a first schooling of the text encoder before it meets pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from velatura_lab.world import KINDS, Caption, caption, elements, sample_scene, vocabulary

from .data import MASKS
from .networks import TEXT_WIDTH, TOKENS, make_text_encoder
from .tokenizer import load_tokenizer, token_elements
from .warm import warm_start_text

NO_ELEMENT = MASKS  # class of a token that is about no element
#: An element's number among its kind's.
LOCAL = {kind: {name: index for index, name in enumerate(elements(kind))} for kind in KINDS}
#: An element's number among all; kinds may share a name, which then means the same.
ALL_ELEMENTS = sorted({name for names in LOCAL.values() for name in names})


class Wording:
    """Turns captions into token ids and tells which tokens are about which element."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        self.tokenizer = tokenizer
        tokens = {word: tokenizer(word).input_ids[1:-1] for word in vocabulary()}
        self.ids = {word: own[0] for word, own in tokens.items() if len(own) == 1}
        self.start, self.end = tokenizer.bos_token_id, tokenizer.eos_token_id

    def row(self, item: Caption) -> list[int]:
        """TOKENS ids; the same as the tokenizer gives for the caption's text.

        Raises ValueError for a word that the tokenizer, built from an older vocabulary, takes for several.
        """
        if unknown := [word.text for word in item.words if word.text not in self.ids]:
            raise ValueError(
                f"{unknown[0]!r} is not in the vocabulary that the networks in --work were trained with; "
                "train them anew in another folder"
            )
        row = [self.start, *(self.ids[word.text] for word in item.words)][: TOKENS - 1]
        return row + [self.end] * (TOKENS - len(row))

    def tokens(self, captions: list[Caption]) -> torch.Tensor:
        """(B, TOKENS) ids."""
        return torch.tensor([self.row(item) for item in captions])


def element_classes(item: Caption, kind: str) -> list[int]:
    """For each of the TOKENS positions, its element's number among the kind's, or NO_ELEMENT."""
    return [LOCAL[kind].get(name, NO_ELEMENT) for name in token_elements(item)]


def word_marks(classes: torch.Tensor) -> torch.Tensor:
    """Classes (B, TOKENS) -> (B, MASKS, TOKENS): 1 where the token is about the element."""
    return F.one_hot(classes.long(), MASKS + 1)[..., :-1].transpose(1, 2)


def make_text(work: Path, start: Path | None = None) -> tuple[Wording, CLIPTextModel, bool]:
    """Tokenizer (built on first use), a text encoder for it, and whether the encoder knows anything yet."""
    wording = Wording(load_tokenizer(work / "tokenizer"))
    encoder = make_text_encoder(len(wording.tokenizer), wording.start, wording.end)
    warm = warm_start_text(encoder, wording.tokenizer.get_vocab(), start)
    return wording, encoder, warm


def school_text_encoder(
    encoder: CLIPTextModel, wording: Wording, seed: int, steps: int, rate: float = 2e-3, batch: int = 32
) -> None:
    """Teach each token its element and the words of its phrase so far ("red" at the "hat" of "a red hat").

    A minute of this spares the denoising network from learning grammar through pictures.
    """
    rng = np.random.default_rng([seed, 77])
    # of the tokens, only the captions' own words, renumbered
    known = torch.full((len(wording.tokenizer),), 0)
    known[list(wording.ids.values())] = torch.arange(1, len(wording.ids) + 1)
    size, none = len(wording.ids) + 1, len(ALL_ELEMENTS)
    number = {"": none, **{name: index for index, name in enumerate(ALL_ELEMENTS)}}
    element_head, phrase_head = nn.Linear(TEXT_WIDTH, none + 1), nn.Linear(TEXT_WIDTH, size)
    parameters = [*encoder.parameters(), *element_head.parameters(), *phrase_head.parameters()]
    optimiser = torch.optim.AdamW(parameters, rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda k: min(1.0, (k + 1) / 20) * (1.0 - k / steps)
    )
    bar = tqdm(range(steps), "text encoder", mininterval=5.0)
    for _ in bar:
        captions = [caption(sample_scene(rng), rng) for _ in range(batch)]
        tokens = wording.tokens(captions)
        of_element = torch.tensor([[number[name] for name in token_elements(item)] for item in captions])
        one_hot = F.one_hot(known[tokens], size).float()
        # same[b, t, s]: token s comes no later than t and is about the same element
        same = (of_element[:, :, None] == of_element[:, None, :]).float().tril()
        phrase = (same @ one_hot).clamp(max=1.0)
        hidden = encoder(tokens).last_hidden_state
        loss = F.cross_entropy(element_head(hidden).flatten(0, 1), of_element.flatten())
        about = of_element < none
        loss = loss + 20.0 * F.binary_cross_entropy_with_logits(phrase_head(hidden[about]), phrase[about])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        bar.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)
