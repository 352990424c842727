"""The families of models that Velatura loads: their parts, titles and defaults. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from .family_settings import FEW, FLUX1_FLOW, OF_JOINT, SD3_FLOW
from .traits import EMBEDDED_GUIDANCE, FEW_STEPS, INPAINTING, INSTRUCTS, NO_GUIDANCE


@dataclass(frozen=True)
class Family:
    """A family of models.

    Args:
        id: its key in `FAMILIES`.
        title: for the person.
        module: with `load(found, id, digest, device, dtype)` and `configurations(header)`.
        parts: that it cannot do without, by their names in diffusers' pipeline, with the title of each.
        tokenizers: kinds of the tokenizers among the parts.
        optional: parts that it uses where they are there.
        joint: whether the words and the picture attend to each other in one softmax.
        settings: defaults of parameters for a trait ('' for all), a later one in place of an earlier one; the
            names are those of `velatura_protocol.schema.own_defaults`.
        relatives: families with the same layers, whose adapters it wears too.
        reads_words: whether its network attends to each token of a prompt, and not to a text as a whole.
    """

    id: str
    title: str
    module: str
    parts: Mapping[str, str]
    tokenizers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    optional: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    joint: bool = False
    settings: tuple[tuple[str, Mapping[str, float]], ...] = ()
    relatives: tuple[str, ...] = ()
    reads_words: bool = True

    def wears(self, family: str) -> bool:
        """Whether adapters that were made for a family have layers in this one."""
        return family in (self.id, *self.relatives)

    def defaults(self, traits: Iterable[str]) -> dict[str, float]:
        """Defaults of parameters by their names, for a model with these traits."""
        held = {"", *traits}
        return {name: value for trait, some in self.settings if trait in held for name, value in some.items()}


_T5, _CLIP_L, _CLIP_G = "the text encoder T5-XXL", "the text encoder CLIP-L", "the text encoder CLIP-G"
_VAE = {"vae": "the autoencoder (VAE)"}


def _family(
    id: str,
    title: str,
    parts: Mapping[str, str],
    settings: Sequence[tuple[str, Mapping[str, float]]],
    *,
    tokenizers: Mapping[str, str] = MappingProxyType({}),
    optional: Mapping[str, str] = MappingProxyType({}),
    network: str = "transformer",
    relatives: tuple[str, ...] = (),
    reads_words: bool = True,
) -> Family:
    joint = network == "transformer"
    module = f"velatura.models.families.{id.replace('-', '_')}"
    needed = {network: "the network itself", **({} if "movq" in parts else _VAE), **parts}
    own = [("", OF_JOINT), *settings] if joint else settings
    return Family(id, title, module, needed, tokenizers, optional, joint, tuple(own), relatives, reads_words)


_ALL = (
    _family(
        "sd",
        "Stable Diffusion 1 and 2",
        {"text_encoder": "the text encoder CLIP"},
        [("", {"guidance": 7.5}), (FEW_STEPS, FEW), (EMBEDDED_GUIDANCE, {"guidance": 8.5, "steps": 4})],
        network="unet",
    ),
    _family(
        "sdxl",
        "Stable Diffusion XL",
        {"text_encoder": _CLIP_L, "text_encoder_2": _CLIP_G},
        [
            ("", {"guidance": 5.0}),
            (INSTRUCTS, {"guidance": 3.0}),
            (FEW_STEPS, FEW),
            (EMBEDDED_GUIDANCE, {"guidance": 8.0, "steps": 4}),
        ],
        network="unet",
    ),
    _family(
        "kandinsky2",
        "Kandinsky 2.2",
        {
            "movq": "the autoencoder (MoVQ)",
            "prior": "the prior, which imagines a picture from the words",
            "text_encoder": _CLIP_G,
            "image_encoder": "the image encoder CLIP-G",
        },
        [("", {"guidance": 4.0, "steps": 50})],
        network="unet",
        reads_words=False,
    ),
    _family(
        "sd3",
        "Stable Diffusion 3",
        {"text_encoder": _CLIP_L, "text_encoder_2": _CLIP_G},
        [("", {"guidance": 4.5, "steps": 28, **SD3_FLOW}), (FEW_STEPS, FEW)],
        tokenizers={"tokenizer_3": "t5"},
        optional={"text_encoder_3": _T5, "tokenizer_3": "the tokenizer of T5"},
    ),
    _family(
        "flux1",
        "FLUX.1",
        {"text_encoder": _CLIP_L, "text_encoder_2": _T5, "tokenizer_2": "the tokenizer of T5"},
        [
            ("", {"guidance": 3.5, "steps": 28, **FLUX1_FLOW}),
            (INPAINTING, {"guidance": 30.0, "steps": 50, "kv-edit.guidance": 30.0}),
            (INSTRUCTS, {"guidance": 2.5}),
            (NO_GUIDANCE, {**FEW, "kv-edit.guidance": 1.0}),
        ],
        tokenizers={"tokenizer_2": "t5"},
    ),
    _family(
        "chroma",
        "Chroma",
        {"text_encoder": _T5, "tokenizer": "the tokenizer of T5"},
        [("", {"guidance": 5.0, "steps": 35}), (FEW_STEPS, {"guidance": 1.0, "steps": 8})],
        tokenizers={"tokenizer": "t5"},
        relatives=("flux1",),
    ),
    _family(
        "flux2",
        "FLUX.2",
        {"text_encoder": "the text encoder (Qwen3 for klein, Mistral for dev)", "tokenizer": "its tokenizer"},
        [("", {"guidance": 4.0, "steps": 50}), (NO_GUIDANCE, FEW)],
        tokenizers={"tokenizer": "qwen"},
    ),
    _family(
        "z-image",
        "Z-Image",
        {"text_encoder": "the text encoder Qwen3-4B", "tokenizer": "the tokenizer of Qwen"},
        [  # its pipeline counts guidance from 0; second thoughts of LanPaint's usual size diverge
            ("", {"guidance": 5.0, "steps": 40, "lanpaint.size": 0.1}),
            (NO_GUIDANCE, {**FEW, "steps": 9}),
        ],
        tokenizers={"tokenizer": "qwen"},
    ),
    _family(
        "qwen-image",
        "Qwen-Image",
        {"text_encoder": "the text encoder Qwen2.5-VL", "tokenizer": "the tokenizer of Qwen"},
        [("", {"guidance": 4.0, "steps": 50}), (NO_GUIDANCE, {**FEW, "steps": 8})],
        tokenizers={"tokenizer": "qwen"},
        optional={"processor": "the processor of Qwen2.5-VL"},
    ),
    _family(
        "krea2",
        "Krea 2",
        {"text_encoder": "the text encoder Qwen3-VL-4B", "tokenizer": "the tokenizer of Qwen"},
        [("", {"guidance": 5.5, "steps": 28}), (NO_GUIDANCE, {**FEW, "steps": 8})],
        tokenizers={"tokenizer": "qwen"},
    ),
)
FAMILIES: Mapping[str, Family] = MappingProxyType({family.id: family for family in _ALL})
