"""Captions as tensors, and the pretraining of the text encoder without pictures."""

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
from .tokenizer import END, START, load_tokenizer, token_elements
from .warm import warm_start_text

NO_ELEMENT = MASKS  # class of a token that is about no element
#: kind -> element -> its number in the kind.
LOCAL = {kind: {name: index for index, name in enumerate(elements(kind))} for kind in KINDS}
#: All elements.  Kinds may share an element's name, which then means the same.
ALL_ELEMENTS = sorted({name for names in LOCAL.values() for name in names})


class Wording:
    """Turns captions into token ids."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        self.tokenizer = tokenizer
        tokens = {word: tokenizer(word).input_ids[1:-1] for word in vocabulary()}
        self.ids = {word: own[0] for word, own in tokens.items() if len(own) == 1}
        known = tokenizer.get_vocab()
        self.start, self.end = known[START], known[END]

    def row(self, item: Caption) -> list[int]:
        """TOKENS ids, the same as the tokenizer's for the caption's text.

        Raises:
            ValueError: The tokenizer, built from an older vocabulary, splits a word.
        """
        if unknown := [word.text for word in item.words if word.text not in self.ids]:
            raise ValueError(
                f"the networks in --work were trained without the word {unknown[0]!r}; "
                "train them anew in another folder"
            )
        row = [self.start, *(self.ids[word.text] for word in item.words)][: TOKENS - 1]
        return row + [self.end] * (TOKENS - len(row))

    def tokens(self, captions: list[Caption]) -> torch.Tensor:
        """Token ids (B, TOKENS)."""
        return torch.tensor([self.row(item) for item in captions])


def element_classes(item: Caption, kind: str) -> list[int]:
    """For each of the TOKENS positions, its element's number in the kind, or NO_ELEMENT."""
    return [LOCAL[kind].get(name, NO_ELEMENT) for name in token_elements(item)]


def word_marks(classes: torch.Tensor) -> torch.Tensor:
    """Classes (B, TOKENS) -> (B, MASKS, TOKENS): 1 where the token is about the element."""
    return F.one_hot(classes.long(), MASKS + 1)[..., :-1].transpose(1, 2)


def make_text(work: Path, start: Path | None = None) -> tuple[Wording, CLIPTextModel, bool]:
    """Tokenizer (built on first use), text encoder, and whether the encoder has a bundle's weights."""
    wording = Wording(load_tokenizer(work / "tokenizer"))
    encoder = make_text_encoder(len(wording.tokenizer), wording.start, wording.end)
    warm = warm_start_text(encoder, wording.tokenizer.get_vocab(), start)
    return wording, encoder, warm


def school_text_encoder(
    encoder: CLIPTextModel, wording: Wording, seed: int, steps: int, rate: float = 2e-3, batch: int = 32
) -> None:
    """Pretrain each token to tell its element and the words of its phrase so far.

    The token "hat" of "a red hat" thus tells "red".  A minute of this spares the denoising network from
    learning grammar through pictures.

    Args:
        encoder: The text encoder, which is trained in place.
        wording: Turns captions into tokens.
        seed: Of the captions.
        steps: Number of steps.
        rate: Learning rate.
        batch: Captions in a step.
    """
    rng = np.random.default_rng([seed, 77])
    # the tokens of whole words, renumbered from 1; 0 for all others
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
        # same[b, t, s]: token s is not after t and is about the same element
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
