"""FLUX.2: klein (4B and 9B, with and without distillation to few steps) and dev.

Black Forest Labs 2025, FLUX.2; 2026, FLUX.2 klein.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from diffusers.pipelines.flux2.system_messages import SYSTEM_MESSAGE
from torch import Tensor, nn
from transformers import AutoTokenizer, Mistral3ForConditionalGeneration, MistralConfig, MistralModel

from velatura.attention.places import Attend
from velatura.diffusion.condition import Condition
from velatura.diffusion.network import Tokenized
from velatura.models.headers import Header, read_header
from velatura.models.recognition import Found
from velatura.models.traits import FEW_STEPS

from . import found_parts, parts
from .joint import JointModel, pack, positions, unpack
from .qwen3 import chat, qwen3
from .templates import Template, hidden_states

LONGEST = 512
"""Tokens of a prompt, with its template and padding; the padding's states count."""
_KLEIN, _DEV = (9, 18, 27), (10, 20, 30)  # the layers of the text encoder that are read
_GUIDANCE = "time_guidance_embed.guidance_embedder."
_MISTRAL_HEAD = 128  # channels of a head
SCHEDULER = {"use_dynamic_shifting": True, "time_shift_type": "exponential"}
"""diffusers' configuration of its noise levels, for files that come without one."""
_APART = 10  # the first coordinates of reference pictures are 10, 20, 30 …


@dataclass(kw_only=True, eq=False)
class Flux2(JointModel):
    """FLUX.2 on its device.

    Its latents are those of an autoencoder of factor 8, of which each square of 2 x 2 is one of factor 16.
    They are normalised by the running statistics of a batch normalisation.

    Args:
        text_encoder: a language model without its head.
        template: the text around a prompt.
        layers_read: the layers whose states are the prompt's, beside each other.
    """

    text_encoder: nn.Module
    template: Template
    layers_read: tuple[int, ...]

    patch: ClassVar[int] = 1

    @property
    def encoders(self) -> dict[str, nn.Module]:
        """See `JointModel`."""
        return {"text_encoder": self.text_encoder}

    @property
    def factor(self) -> int:
        """The side of one latent pixel in pixels."""
        return 2 * super().factor

    @property
    def latent_channels(self) -> int:
        """C of its latents [N, C, h, w]."""
        return 4 * super().latent_channels

    @property
    def most_references(self) -> int:
        """See `LatentDiffusion`. Black Forest Labs name ten for dev and four for klein."""
        return 10 if self.embeds_guidance else 4

    def mu(self, tokens: int) -> float:
        """The logarithm of the shift, linear in the steps between 10 and 200 and in the tokens of the
        picture: the fit in FLUX.2's own sampling code. The fit for 10 steps is left at 4,300 tokens."""
        at_200 = 0.00016927 * tokens + 0.45666666
        if tokens > 4300:
            return at_200
        at_10 = 8.73809524e-05 * tokens + 1.89833333
        return at_200 + (at_10 - at_200) / 190.0 * (200.0 - self.steps)

    def tokens_of(self, prompt: str) -> tuple[int, int]:
        """See `LatentModel`."""
        return self.template.count(prompt), self.template.longest

    def tokenized(self, prompt: str) -> Tokenized:
        """See `LatentDiffusion`."""
        return self.template.tokenized(prompt)

    def _condition(self, prompt: str) -> Condition:
        """The states of some layers beside each other, [1, 512, 3 d]."""
        states = hidden_states(self.text_encoder, self.template.read(prompt))
        return Condition(torch.cat([states[i] for i in self.layers_read], -1).float())

    def reference_picture(self, picture: Tensor) -> Tensor:
        """See `JointModel`. A picture that is smaller than the model's own is not enlarged."""
        height, width = picture.shape[-2:]
        scale = min(1.0, self.size / math.sqrt(height * width))
        sides = [max(1, round(side * scale / self.multiple)) * self.multiple for side in (height, width)]
        if sides == [height, width]:
            return picture
        return F.interpolate(picture, sides, mode="bicubic", antialias=True).clamp(-1.0, 1.0)

    def velocity(self, x: Tensor, time: Tensor, condition: Condition, attend: Attend | None) -> Tensor:
        """See `JointModel`."""
        height, width = x.shape[-2:]
        tokens, length, states = pack(x, 1), condition.states.shape[1], condition.states.to(self.computing)
        places = [positions(height, width, axes=4)]
        references = self.reference_tokens(len(x))
        for i, z in enumerate(self.references):
            places.append(positions(*z.shape[-2:], first=_APART * (i + 1), axes=4))
        words = torch.zeros(length, 4)
        words[:, 3] = torch.arange(length)
        with self.attending(attend, (0, length), (length, length + height * width)):
            out = self.transformer(
                tokens if references is None else torch.cat([tokens, references], 1),
                encoder_hidden_states=states,
                timestep=time,
                img_ids=torch.cat(places).to(self.device),
                txt_ids=words.to(self.device),
                guidance=self.scales(len(x)),
                return_dict=False,
            )[0]
        return unpack(out[:, : height * width], height, width, 1)

    def _encode(self, image: Tensor) -> Tensor:
        mean, deviation = self._statistics
        latents = self.autoencoder.encode(self._laid_out(image), return_dict=False)[0].mode().float()
        return (F.pixel_unshuffle(latents, 2) - mean) / deviation

    def _unscaled(self, z: Tensor) -> Tensor:
        mean, deviation = self._statistics
        return F.pixel_shuffle(z * deviation + mean, 2)

    @property
    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latents, each [1, C, 1, 1]."""
        bn, epsilon = self.autoencoder.bn, self.autoencoder.config["batch_norm_eps"]
        mean, variance = (x.float().view(1, -1, 1, 1) for x in (bn.running_mean, bn.running_var))
        return mean, (variance + epsilon).sqrt()


def load(found: Found, id: str, digest: str, device: torch.device, dtype: torch.dtype) -> Flux2:
    """Loads the model."""
    part = found_parts.Parts(found)
    path, vae, encoder = part["transformer"], part["vae"], part["text_encoder"]
    config = None if path.is_dir() else configurations(read_header(path))["transformer"]
    transformer = parts.transformer(Flux2Transformer2DModel, path, dtype, config)
    is_dev = bool(transformer.config["guidance_embeds"])
    tokenizer = AutoTokenizer.from_pretrained(part["tokenizer"], local_files_only=True)
    text = _dev_text(tokenizer) if is_dev else chat(tokenizer, thinking=False)
    return Flux2(
        id=id,
        digest=digest,
        transformer=transformer,
        autoencoder=parts.autoencoder(
            AutoencoderKLFlux2,
            vae,
            dtype,
            None if vae.is_dir() else found_parts.autoencoder_configuration(vae),
        ),
        text_encoder=_mistral(encoder, dtype) if is_dev else qwen3(encoder, dtype, max(_KLEIN)),
        template=Template(tokenizer, text, LONGEST, padded=True),
        layers_read=_DEV if is_dev else _KLEIN,
        steps=4 if FEW_STEPS in found.traits else 50,
        scheduler=part.scheduler(SCHEDULER),
        side=found.size,
        takes_guidance=found.takes_guidance,
        guidance=4.0,
        device=device,
        dtype=dtype,
    )


def configurations(header: Header) -> dict[str, dict[str, Any]]:
    """diffusers' configuration of the transformer in a file, in the authors' layout or in diffusers'."""
    return {"transformer": _transformer(parts.shapes(header.shapes, parts.NETWORK_PREFIXES, "single_"))}


def _transformer(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    def shape(*names: str) -> tuple[int, ...]:
        return next(shapes[name] for name in names if name in shapes)

    width, channels = shape("img_in.weight", "x_embedder.weight")
    head = shape("double_blocks.0.img_attn.norm.query_norm.scale", "transformer_blocks.0.attn.norm_q.weight")[
        0
    ]
    wide = shape("double_blocks.0.img_mlp.0.weight", "transformer_blocks.0.ff.linear_in.weight")[0]
    return {
        "in_channels": channels,
        "num_layers": parts.count(shapes, "double_blocks.", "transformer_blocks."),
        "num_single_layers": parts.count(shapes, "single_blocks.", "single_transformer_blocks."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shape("txt_in.weight", "context_embedder.weight")[1],
        "mlp_ratio": wide / 2 / width,
        "axes_dims_rope": [head // 4] * 4,
        "guidance_embeds": any(name.startswith(("guidance_in.", _GUIDANCE)) for name in shapes),
    }


def _mistral(path: Path, dtype: torch.dtype) -> nn.Module:
    """The text encoder of FLUX.2 dev, without its eyes and its head."""
    if path.is_dir():
        whole = parts.language_model(Mistral3ForConditionalGeneration, path, dtype)
        return parts.shortened(whole.model.language_model, max(_DEV))
    shapes = {name: tuple(value) for name, value in read_header(path).shapes.items()}
    sizes = parts.sizes(shapes, "model.layers.")
    config = MistralConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.hidden,
        intermediate_size=sizes.inner,
        num_hidden_layers=sizes.layers,
        head_dim=_MISTRAL_HEAD,
        num_attention_heads=sizes.query // _MISTRAL_HEAD,
        num_key_value_heads=sizes.key // _MISTRAL_HEAD,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 1e9},
        sliding_window=None,
    )
    return parts.shortened(parts.language_model(MistralModel, path, dtype, config), max(_DEV))


def _dev_text(tokenizer: Any) -> Callable[[str], str]:
    """The text around a prompt of FLUX.2 dev."""

    def text(prompt: str) -> str:
        words = prompt.replace("[IMG]", "")
        system = {"role": "system", "content": [{"type": "text", "text": SYSTEM_MESSAGE}]}
        user = {"role": "user", "content": [{"type": "text", "text": words}]}
        if tokenizer.chat_template:
            return tokenizer.apply_chat_template([system, user], tokenize=False, add_generation_prompt=False)
        return f"<s>[SYSTEM_PROMPT]{SYSTEM_MESSAGE}[/SYSTEM_PROMPT][INST]{words}[/INST]"

    return text
