"""Segments a picture by words: SAM 3 (Carion et al. 2025, arXiv:2511.16719) in transformers' format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .opening import place, section
from .processing import Processing, read_processing

if TYPE_CHECKING:
    from transformers import CLIPTokenizer, Sam3Model

KINDS = ("sam3", "sam3_video")
"""The `model_type` of the folders it reads: the network alone, and the published one with its tracker."""

_HALF = (0.5, 0.5, 0.5)  # mean and deviation of its pictures where a folder states none


class Sam3:
    """A SAM 3; see `velatura.companions.segmenter.Segmenter`.

    It stretches the picture to the network's square, as in the network's training.
    """

    def __init__(self, network: Sam3Model, tokenizer: CLIPTokenizer, processing: Processing) -> None:
        self.network, self.tokenizer, self.processing = network, tokenizer, processing

    @property
    def longest(self) -> int:
        """The largest number of tokens it reads, including the start and end tokens."""
        return int(section(self.network.config, "text_config").max_position_embeddings)

    def reads(self, phrase: str) -> bool:
        """Whether a phrase has at most `longest` tokens."""
        return len(self.tokenizer(phrase, verbose=False).input_ids) <= self.longest

    @torch.no_grad()
    def find(self, image: Tensor, phrases: Sequence[str]) -> Tensor:
        """See `Segmenter`. The picture is looked at once, and all things of one name share a mask.

        SAM 3 proposes Q instances, each with logits of a mask, and gives the probabilities p that the thing
        is in the picture at all and p_q that instance q is one. The mask is max_q p p_q sigmoid(mask_q). The
        published procedure cuts p p_q and the masks at fixed thresholds instead; the product leaves
        the cut to the person.
        """
        x = self.processing(image[None]).to(self.network.dtype)
        vision = self.network.get_vision_features(pixel_values=x)
        masks = torch.stack([self._mask(vision, phrase) for phrase in phrases])
        size = image.shape[-2], image.shape[-1]
        return F.interpolate(masks[:, None], size, mode="bilinear", antialias=True)[:, 0]

    def _mask(self, vision: Any, phrase: str) -> Tensor:
        """The mask [h', w'] of one phrase at the network's own resolution, float32."""
        tokens = self.tokenizer(
            phrase, padding="max_length", truncation=True, max_length=self.longest, return_tensors="pt"
        ).to(self.network.device)
        out = self.network(
            vision_embeds=vision, input_ids=tokens.input_ids, attention_mask=tokens.attention_mask
        )
        p = out.presence_logits.float().sigmoid() * out.pred_logits.float().sigmoid()  # [1, Q]
        return (p[0, :, None, None] * out.pred_masks[0].float().sigmoid()).amax(0)


def sam3(folder: Path, device: torch.device | str, dtype: torch.dtype) -> Sam3:
    """The SAM 3 in a folder. The libraries that read it raise exceptions of any class."""
    from transformers import CLIPTokenizer, Sam3Model  # slow to import

    network = Sam3Model.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=dtype)
    place(network, device, "segmenter")
    tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    side = section(section(network.config, "vision_config"), "backbone_config").image_size
    if not isinstance(side, int):
        raise ValueError(f"pictures of {side}")
    # the positions of its places fit this side only, whatever the processor's file says
    processing = replace(read_processing(folder, side, device, _HALF, _HALF), side=side)
    return Sam3(network, tokenizer, processing)
