"""Captions pictures, by BLIP or by captioners that other packages offer (`captioners`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from velatura.weights.precision import Overflow

from . import captioners
from .opening import check_kind, opened, place, section
from .processing import Processing, read_processing

if TYPE_CHECKING:
    from transformers import BertTokenizer, BlipForConditionalGeneration

Step = Callable[[int, int], None]

_BEAMS = 4
_CAPTIONS = 3  # the most likely of the beams
_MOST_TOKENS = 40


class Captioner(Protocol):
    """A network that captions pictures."""

    def captions(self, picture: Tensor, step: Step) -> list[str]:
        """Sentences about a picture [1, 3, h, w] in [0, 1], at least one, the most likely first.

        step(i, n) is called after step i, from 1, of at most n; an exception that it raises ends the work.
        """
        ...


class Blip:
    """A BLIP (Li et al. 2022, arXiv:2201.12086), by beam search.

    It stretches the picture to the network's square, as in the network's training.
    """

    def __init__(
        self, network: BlipForConditionalGeneration, tokenizer: BertTokenizer, processing: Processing
    ) -> None:
        self.network, self.tokenizer, self.processing = network, tokenizer, processing

    @torch.no_grad()
    def captions(self, picture: Tensor, step: Step) -> list[str]:
        """See `Captioner`."""
        try:
            return self._captions(picture, step)
        except Overflow:
            return self._captions(picture, step)  # in float32 now

    def _captions(self, picture: Tensor, step: Step) -> list[str]:
        from transformers import StoppingCriteriaList

        def word(tokens: Tensor, _scores: Any, **_: Any) -> Tensor:
            step(min(tokens.shape[1], _MOST_TOKENS), _MOST_TOKENS)
            return torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)

        beams = self.network.generate(
            self.processing(picture).to(self.network.dtype),
            num_beams=_BEAMS,
            num_return_sequences=_CAPTIONS,
            max_length=_MOST_TOKENS,
            do_sample=False,
            stopping_criteria=StoppingCriteriaList([word]),
        )
        # the first token marks the start of a caption; published tokenizers do not know it
        texts: list[str] = self.tokenizer.batch_decode(beams[:, 1:], skip_special_tokens=True)
        return [text for text in dict.fromkeys(" ".join(text.split()) for text in texts) if text]


def load_captioner(path: str, device: torch.device, dtype: torch.dtype) -> Captioner:
    """Loads a captioner.

    Args:
        path: a folder or hub id of transformers' BlipForConditionalGeneration with its processor, or of a
            kind that another package reads. Weights are read from .safetensors only.
        device: the device to run on.
        dtype: of BLIP's weights.

    Raises `unknown-model`.
    """
    with opened("captioner", path) as (folder, config):
        if loader := captioners.loader(config):
            return loader.load(folder, device)
        check_kind(config, "blip")
        return _blip(folder, device, dtype)


def _blip(folder: Path, device: torch.device, dtype: torch.dtype) -> Blip:
    from transformers import BertTokenizer, BlipForConditionalGeneration  # slow to import

    network = BlipForConditionalGeneration.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, dtype=dtype
    )
    place(network, device, "captioner", repeat=False)
    tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True)
    side = section(network.config, "vision_config").image_size
    return Blip(network, tokenizer, read_processing(folder, side, device))
