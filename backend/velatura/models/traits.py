"""The words in which the recognition of models speaks. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

INPAINTING = "inpainting"  #: its network takes a mask and the picture under it as further channels
INSTRUCTS = "instructs"  #: its prompts are instructions about pictures that it is shown
FEW_STEPS = "few-steps"  #: distilled to a few steps
NO_GUIDANCE = "no-guidance"  #: distilled so that neither guidance nor a negative prompt means anything
EMBEDDED_GUIDANCE = "embedded-guidance"  #: the scale of guidance is an input of its network
CONTROL = "control"  #: its network takes a map of depth or edges as further channels
JOINT = "joint"  #: the words and the picture attend to each other in one softmax; follows from the family
V_PREDICTION = "v-prediction"
FLOW = "flow"
ZERO_SNR = "zero-snr"  #: its last level is pure noise
SCALED_FP8 = "scaled-fp8"  #: weights of 8 bits with a scale beside each tensor
PACKED = "packed"  #: weights packed for one kind of card, which diffusers' file readers do not read

NEEDED: Mapping[str, str] = MappingProxyType(
    {
        INSTRUCTS: "a model that follows instructions, as FLUX.1 Kontext, FLUX.2, Qwen-Image-Edit and"
        " InstructPix2Pix do",
        JOINT: "a model that reads words and picture together, as Stable Diffusion 3, FLUX, Z-Image and"
        " Qwen-Image do",
    }
)
"""Traits that a method may need (`Method.trait`): the models that have one, in a sentence."""


@dataclass(frozen=True)
class Part:
    """A network in a file.

    Args:
        kind: 'sd', 'flux1', ... for the network that denoises (a key of FAMILIES); 'vae', 'clip', 't5',
            'qwen3', 'qwen2.5-vl', 'mistral', 'clip-vision', 'prior' or 'tokenizer' for others.
        width: features of a text encoder, or channels of an autoencoder's latents.
        of: the family for which an autoencoder was trained, or the encoder of a tokenizer; '' for unknown.
    """

    kind: str
    width: int = 0
    of: str = ""


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Args:
        title: in a sentence, with its article: 'an adapter (LoRA)'.
        family: a key of FAMILIES, where the file has a network that denoises; else ''.
        parts: by their names in the family; of a file with one part its own name, as 'vae'.
        wants: the parts that the family's network was trained with, by their names.
        traits: see the constants of this module.
        prediction: 'epsilon', 'v_prediction', 'sample' or 'flow'; '' where the file does not say.
        size: side of its pictures in pixels.
    """

    title: str
    family: str = ""
    parts: Mapping[str, Part] = field(default_factory=lambda: MappingProxyType({}))
    wants: Mapping[str, Part] = field(default_factory=lambda: MappingProxyType({}))
    traits: frozenset[str] = frozenset()
    prediction: str = ""
    size: int = 0


def words(path: Path, metadata: Mapping[str, str] = MappingProxyType({})) -> str:
    """All names that people gave to a model, in small letters.

    They are of the file, the folder and the hub's repository, and those in the file's notes."""
    hub = next((part for part in path.parts if part.startswith("models--")), "")
    notes = (
        "modelspec.title",
        "modelspec.architecture",
        "general.name",
        "general.basename",
        "general.finetune",
    )
    return " ".join([hub, path.parent.name, path.name, *(metadata.get(note, "") for note in notes)]).lower()


class Names:
    """Shapes of the tensors whose names start with a prefix."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], prefix: str) -> None:
        self.shapes, self.prefix = shapes, prefix

    def __contains__(self, name: str) -> bool:
        return self.prefix + name in self.shapes

    def dim(self, name: str, axis: int) -> int:
        """A dimension of a tensor; 0 where there is no such one."""
        shape = self.shapes.get(self.prefix + name, ())
        return shape[axis] if -len(shape) <= axis < len(shape) else 0

    def first(self, *names: str) -> str:
        """The first of these names that is there, or ''."""
        return next((name for name in names if name in self), "")


def has_word(names: str, *parts: str) -> bool:
    """Whether one of the patterns begins a word of the names."""
    return any(re.search(rf"(?<![a-z]){part}", names) for part in parts)


def few_steps(names: str) -> bool:
    """Whether the names say that the model is distilled to a few steps."""
    return has_word(
        names, "turbo", "lightning", "lcm", "hyper-?sd", "dmd", "schnell", r"(?<!\d)[1248][-_ ]?steps?"
    )


def network(
    family: str, title: str, wants: Mapping[str, Part], traits: Iterable[str], prediction: str, size: int
) -> Contents:
    """The contents of a file or folder with a network that denoises.

    Args:
        family: a key of `FAMILIES`.
        title: of the model, with its article: 'a FLUX.1'.
        wants, traits, prediction, size: see `Contents`. The network itself is added to the parts where they
            do not name it.
    """
    traits = {*traits, *([FLOW] if prediction == "flow" else [])}
    own = {} if "unet" in wants else {"transformer": Part(family)}
    return Contents(f"{title} model", family, {}, {**own, **wants}, frozenset(traits), prediction, size)
