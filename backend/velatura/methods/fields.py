"""Parameters that several methods share. Each function makes a field to assign in a parameter class."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from pydantic.config import JsonDict

from velatura_protocol.errors import VelaturaError

from .base import Parameters

ADVANCED: JsonDict = {"x-advanced": True}
Detail = Literal["fast", "detailed"]


def slider(
    default: float,
    low: float,
    high: float,
    step: float,
    title: str,
    description: str,
    *,
    advanced: bool = False,
    marks: JsonDict | None = None,
) -> Any:
    """A number on a slider.

    Args:
        default: its value at first.
        low: the least value.
        high: the greatest value.
        step: of the slider; values between are accepted.
        title: for the person.
        description: for the person.
        advanced: whether it stands among the advanced settings.
        marks: further keys of its form.
    """
    extra: JsonDict = {"multipleOf": step, **(ADVANCED if advanced else {}), **(marks or {})}
    return Field(default, ge=low, le=high, title=title, description=description, json_schema_extra=extra)


def whole(default: int, low: int, high: int, title: str, description: str, *, advanced: bool = False) -> Any:
    """A whole number between low and high."""
    extra: JsonDict = ADVANCED if advanced else {}
    return Field(default, ge=low, le=high, title=title, description=description, json_schema_extra=extra)


def strength(default: float, description: str) -> Any:
    """The noise level to start from, as a fraction of the model's training times."""
    return slider(default, 0.05, 1.0, 0.05, "Strength", description)


def guidance(default: float) -> Any:
    """The scale of classifier-free guidance."""
    return slider(
        default,
        1.0,
        30.0,
        0.5,
        "Prompt strength",
        "How strictly the prompt is followed. High values give harder, more saturated pictures.",
    )


def haste() -> Any:
    """The tolerance of `LatentDiffusion.skipping`. A method has this field, by the name `haste`, only if its
    sampler makes one pass a step and reads nothing inside of the network (`Run`)."""
    return slider(
        0.0,
        0.0,
        0.3,
        0.02,
        "Haste",
        "Passes over steps in which little changes: faster, and less exact. With FLUX.1 and Qwen-Image only.",
        advanced=True,
    )


def context(default: float) -> Any:
    """How much of the surroundings the model sees; see `velatura.canvas.region`."""
    return slider(
        default,
        0.0,
        4.0,
        0.25,
        "Surroundings",
        "How much of the picture around the selection the model sees, in sizes of the selection.",
        marks={"x-context": True},
    )


def certainty() -> Any:
    """How sure a segmenter must be that a thing is somewhere."""
    return slider(
        0.4,
        0.0,
        1.0,
        0.05,
        "Threshold",
        "How sure it must be that a thing is somewhere; lower reaches wider.",
    )


def thing(title: str, description: str) -> Any:
    """The name of a thing in the source, for a method that finds it. A companion reads it, not the model."""
    return Field(
        "", max_length=200, title=title, description=description, json_schema_extra={"x-thing": True}
    )


def instead() -> Any:
    """Whether the selection or everything else changes, for a field `Literal["selection", "rest"]`; see
    `Method.inverts`."""
    return Field(
        "selection",
        title="Change",
        description="What changes: the selection, or everything around it, as for another background.",
        json_schema_extra={"x-enum-titles": ["The selection", "Everything else"]},
    )


def detail() -> Any:
    """Whether a result has the layer's own detail, for a field `detail` of type `Detail`; see `detailing`."""
    return Field(
        "fast",
        title="Detail",
        description="The model paints small pictures, so a large selection comes out soft. Fast leaves it "
        "soft. Detailed sharpens the result and then paints its lines and textures piece by piece at the "
        "layer's own size; the larger the selection, the longer it takes.",
        json_schema_extra={**ADVANCED, "x-order": 90, "x-enum-titles": ["Fast", "Detailed"]},
    )


def softness() -> Any:
    """How wide the edge of a mask is."""
    return slider(0.2, 0.0, 1.0, 0.05, "Softness", "How gently the selection's edge fades.")


def steps(default: int) -> Any:
    """The steps of a run from the highest noise level."""
    return Field(
        default,
        ge=4,
        le=150,
        title="Steps",
        description="How finely a whole run from pure noise is divided. More is slower and a little cleaner.",
        json_schema_extra=ADVANCED,
    )


def negative_prompt() -> Any:
    """The text that guidance leads away from, in place of the empty prompt."""
    return Field(
        "",
        max_length=2000,
        title="Avoid",
        description="What should not appear.",
        json_schema_extra={**ADVANCED, "x-multiline": True, "x-prompt": True},
    )


def source_prompt(description: str = "A caption of the layer as it is now.") -> Any:
    """A caption of the source, for methods that compare it with the prompt."""
    return Field(
        "",
        max_length=2000,
        title="Shown now",
        description=description,
        json_schema_extra={"x-source-prompt": True, "x-multiline": True},
    )


def shown_now(text: str) -> str:
    """The text of a `source_prompt`, for methods that need one. Raises `empty-prompt`."""
    if not text.strip():
        raise VelaturaError("empty-prompt", "Describe what the layer shows now, to compare with.")
    return text.strip()


def caption(prompt: str, start: str, source_prompt: str) -> str:
    """The caption of the picture that is edited. Raises `empty-prompt` and what `shown_now` raises.

    Args:
        prompt: the text; of a new picture without a caption it is the caption.
        start: 'new' for a picture that the seed makes.
        source_prompt: the caption that the person has written.
    """
    if start == "new" and not source_prompt.strip():
        if not prompt.strip():
            raise VelaturaError("empty-prompt", "Describe the new picture.")
        return prompt.strip()
    return shown_now(source_prompt)


def start() -> Any:
    """Whether an edit starts from the layer or from a new picture, for a field `Literal["layer", "new"]`."""
    return Field(
        "layer",
        title="Starts from",
        description="The layer, or a new picture that the seed and the caption make.",
        json_schema_extra={**ADVANCED, "x-enum-titles": ["The layer", "A new picture"]},
    )


def inversion() -> Any:
    """The way in which a layer is read, for a field `Literal["direct", "edit-friendly"]`."""
    return Field(
        "direct",
        title="The layer is read",
        description="How the layer is read as the model's own picture. Only edit-friendly noise gives "
        "variations.",
        json_schema_extra={**ADVANCED, "x-enum-titles": ["Directly", "As edit-friendly noise"]},
    )


def raster(kind: str, title: str, description: str) -> Any:
    """A raster of a group's entry, for a field `str | None`: its name among `MethodInputs.rasters`, or None.

    kind: a key of `velatura_protocol.kinds.RASTERS`.
    """
    return Field(None, title=title, description=description, json_schema_extra={"x-raster": kind})


def text(title: str, description: str, most: int = 200) -> Any:
    """A line of text of at most `most` characters."""
    return Field("", max_length=most, title=title, description=description)


def group(title: str, description: str, most: int) -> Any:
    """A list of at most `most` entries, for a field `list[…]` of a class of parameters."""
    return Field([], max_length=most, title=title, description=description)


class WordSettings(Parameters):
    """An entry of `word_settings`: the word it is about. Subclasses add the settings.

    A method ignores an entry whose text is empty.
    """

    text: str = Field("", max_length=200, title="Word", description="A word as it stands in the prompt.")
    which: int = Field(
        1, ge=1, le=1000, title="Which", description="Which of several equal words, counted from the left."
    )


def word_settings(title: str, description: str) -> Any:
    """A group about words of the prompt, for a field `list[…]` of a subclass of `WordSettings`."""
    extra: JsonDict = {"x-words": "prompt"}
    return Field([], max_length=64, title=title, description=description, json_schema_extra=extra)


class DialSettings(Parameters):
    """An entry of `dials`: a direction between two texts, and how far to go along it.

    The name is for the person only.
    """

    name: str = Field(
        "", max_length=60, title="Name", description="What you call the dial; empty: what it leads to."
    )
    less: str = Field(
        "",
        max_length=500,
        title="From",
        description="What there should be less of: words of the caption, others, or nothing.",
    )
    more: str = Field(
        "",
        max_length=500,
        title="To",
        description="What there should be more of: words in their place, something new, or nothing.",
    )
    strength: float = slider(
        60.0,
        -100.0,
        100.0,
        5.0,
        "How much",
        "How far to go, in per cent; below 0 it goes the other way, at 0 nothing changes.",
    )


def dials(title: str, description: str) -> Any:
    """A group of dials, for a field `list[DialSettings]` or of a subclass."""
    extra: JsonDict = {"x-dials": True}
    return Field([], max_length=16, title=title, description=description, json_schema_extra=extra)
