"""Qwen-Image, and its editors Qwen-Image-Edit and -Edit-2509 and later ones ("Plus").

Qwen Team 2025, Qwen-Image Technical Report, arXiv:2508.02324.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.transformers.transformer_qwenimage import QwenImageTransformer2DModel
from torch import Tensor, nn
from transformers import AutoTokenizer

from velatura.attention.places import Attend
from velatura.diffusion.condition import Condition
from velatura.diffusion.network import Tokenized
from velatura.models.headers import Header, read_header
from velatura.models.recognition import Found
from velatura.models.traits import FEW_STEPS, INSTRUCTS
from velatura.weights.json_files import read_object

from . import found_parts, parts
from .joint import Shift, pack, unpack
from .qwen_latents import CHAT, DESCRIBED, DESCRIBED_TOKENS, QwenLatents, autoencoder
from .qwen_vision import IMAGE, Seen, encoder, seen
from .templates import Template, hidden_states

LONGEST = 1024
"""Tokens of a prompt and of the template behind it."""
_INSTRUCTED = (
    "Describe the key features of the input image (color, shape, size, texture, objects, background), then"
    " explain how the user's text instruction should alter or modify the image. Generate a new image that"
    " meets the user's requirements while maintaining consistency with the original input where appropriate."
)
_SKIPPED = {DESCRIBED: DESCRIBED_TOKENS, _INSTRUCTED: 64}  # the template's tokens before the person's message
_PICTURE = f"<|vision_start|>{IMAGE}<|vision_end|>"
_DYNAMIC = {
    "use_dynamic_shifting": True,
    "base_shift": 0.5,
    "max_shift": 0.9,
    "base_image_seq_len": 256,
    "max_image_seq_len": 8192,
    "shift_terminal": 0.02,
}
_SMALL = (
    384 / 1024
)  # the side of a picture that the text encoder of the later editors sees, of the model's size


@dataclass(kw_only=True, eq=False)
class QwenImage(QwenLatents):
    """Qwen-Image on its device.

    Args:
        text_encoder: Qwen2.5-VL without its head.
        tokenizer: the text encoder's.
        processor: of the pictures that the text encoder sees.
        pictures: the most reference pictures: 0 for Qwen-Image, 1 for its first editor, 3 for later ones.
        shown: the reference pictures as the text encoder sees them.
    """

    text_encoder: nn.Module
    tokenizer: Any
    processor: Any
    pictures: int = 0
    shown: Seen | None = None

    guidance_patch: ClassVar[int] = 2
    caches: ClassVar[bool] = True

    @property
    def encoders(self) -> dict[str, nn.Module]:
        """See `JointModel`."""
        return {"text_encoder": self.text_encoder}

    @property
    def most_references(self) -> int:
        """See `LatentDiffusion`."""
        return self.pictures

    def referring(self, pictures: Sequence[Tensor]) -> Self:
        """See `LatentDiffusion`. The text encoder sees the pictures too."""
        other = super().referring(pictures)
        scale = _SMALL if self.pictures > 1 else 1.0
        sizes = [self._sides(p, scale) for p in pictures]
        other.shown = seen(self.processor, pictures, sizes, self.device)
        return other

    def reference_picture(self, picture: Tensor) -> Tensor:
        """See `JointModel`."""
        sides = self._sides(picture, 1.0)
        if sides == picture.shape[-2:]:
            return picture
        return F.interpolate(picture, sides, mode="bicubic", antialias=True).clamp(-1.0, 1.0)

    def _sides(self, picture: Tensor, scale: float) -> tuple[int, int]:
        """Height and width of a picture of the model's size times the scale, in multiples of two tokens."""
        height, width = picture.shape[-2:]
        wide, step = self.size * scale * (width / height) ** 0.5, 2 * self.multiple
        tall = wide * height / width
        return max(1, round(tall / step)) * step, max(1, round(wide / step)) * step

    def shift(self, tokens: int) -> Shift:
        """See `JointModel`. The times are stretched so that the last step of the run is at
        `shift_terminal`."""
        shifted, terminal = super().shift(tokens), self.scheduler.get("shift_terminal")
        if not terminal:
            return shifted
        last = 1.0 / self.steps
        scale = (1.0 - terminal) / (1.0 - float(shifted(np.array(last))))

        def stretched(u: np.ndarray) -> np.ndarray:
            return np.where(u < last, terminal * u / last, 1.0 - (1.0 - shifted(u)) * scale)

        return stretched

    @property
    def template(self) -> Template:
        """The text around a prompt; with reference pictures it is an instruction about them."""
        if self.shown is None:
            return self._template(DESCRIBED, "")
        counts, later = self.shown.counts, self.pictures > 1
        before = "".join(
            (f"Picture {i + 1}: " if later else "") + _PICTURE.replace(IMAGE, IMAGE * count)
            for i, count in enumerate(counts)
        )
        return self._template(_INSTRUCTED, before)

    def _template(self, system: str, before: str) -> Template:
        return Template(
            self.tokenizer,
            lambda prompt: CHAT.format(system, before + prompt),
            LONGEST + (0 if self.shown is None else sum(self.shown.counts)),
            skipped=_SKIPPED[system],
        )

    def tokens_of(self, prompt: str) -> tuple[int, int]:
        """See `LatentModel`."""
        template = self.template
        return template.count(prompt), template.longest

    def tokenized(self, prompt: str) -> Tokenized:
        """See `LatentDiffusion`."""
        return self.template.tokenized(prompt)

    def _condition(self, prompt: str) -> Condition:
        """The states after the last layer, [1, L, d]."""
        template = self.template
        inputs = dict(template.read(prompt))
        if self.shown is not None:
            inputs |= self.shown.inputs(inputs["input_ids"], self.tokenizer)
        return Condition(hidden_states(self.text_encoder, inputs)[-1][:, template.skipped :].float())

    def velocity(self, x: Tensor, time: Tensor, condition: Condition, attend: Attend | None) -> Tensor:
        """See `JointModel`."""
        tokens, length = pack(x, self.patch), condition.states.shape[1]
        sizes = [x.shape[-2:], *(z.shape[-2:] for z in self.references)]
        grids = [(1, height // self.patch, width // self.patch) for height, width in sizes]
        references = self.reference_tokens(len(x))
        count = tokens.shape[1]
        with self.attending(attend, (0, length), (length, length + count)):
            out = self.transformer(
                tokens if references is None else torch.cat([tokens, references], 1),
                encoder_hidden_states=condition.states.to(self.computing),
                encoder_hidden_states_mask=condition.valid,
                timestep=time,
                img_shapes=[grids] * len(x),
                return_dict=False,
            )[0]
        return unpack(out[:, :count], x.shape[-2], x.shape[-1], self.patch)


def load(found: Found, id: str, digest: str, device: torch.device, dtype: torch.dtype) -> QwenImage:
    """Loads the model."""
    part = found_parts.Parts(found)
    path = part["transformer"]
    config = None if path.is_dir() else configurations(read_header(path))["transformer"]
    text, processor = encoder(part["text_encoder"], dtype, part.find("processor"))
    return QwenImage(
        id=id,
        digest=digest,
        transformer=parts.transformer(QwenImageTransformer2DModel, path, dtype, config),
        autoencoder=autoencoder(part["vae"], dtype),
        text_encoder=text,
        tokenizer=AutoTokenizer.from_pretrained(part["tokenizer"], local_files_only=True),
        processor=processor,
        scheduler=part.scheduler(_DYNAMIC),
        steps=8 if FEW_STEPS in found.traits else 50,
        pictures=_pictures(found),
        side=found.size,
        takes_guidance=found.takes_guidance,
        device=device,
        dtype=dtype,
    )


def _pictures(found: Found) -> int:
    """The most reference pictures. The editors' tensors are the same, so only names tell them apart."""
    if INSTRUCTS not in found.traits:
        return 0
    name = found.path.name
    if found.form == "folder":
        name += str(read_object(found.path / "model_index.json").get("_class_name", ""))
    return 3 if re.search(r"plus|25\d\d(?!\d)|26\d\d(?!\d)", name, re.IGNORECASE) else 1


def configurations(header: Header) -> dict[str, dict[str, Any]]:
    """diffusers' configuration of the transformer in a file."""
    shapes = parts.shapes(header.shapes, parts.NETWORK_PREFIXES, "txt_norm.")
    width, channels = shapes["img_in.weight"]
    head = shapes["transformer_blocks.0.attn.norm_q.weight"][0]
    axis = (head - head // 8) // 4 * 2
    return {
        "transformer": {
            "in_channels": channels,
            "out_channels": shapes["proj_out.weight"][0] // 4,
            "num_layers": parts.count(shapes, "transformer_blocks."),
            "attention_head_dim": head,
            "num_attention_heads": width // head,
            "joint_attention_dim": shapes["txt_norm.weight"][0],
            "axes_dims_rope": [head - 2 * axis, axis, axis],
            # its later editors modulate reference pictures as clean ones, and their files say so
            "zero_cond_t": "__index_timestep_zero__" in shapes,
        }
    }
