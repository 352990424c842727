"""Text2LIVE: a layer of paint with its own alpha, made for this picture by a network that learns from it.

Bar-Tal et al. 2022, Text2LIVE, section 3.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from . import fields
from .base import Compared, Context, Method, MethodInputs, Parameters
from .clip_guided import LedByClip

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.clip_guidance.edit_layer import Step, Wanted
    from velatura.companions.clip import Encoder

SCREEN = "{} over a green screen"


def _text(title: str, description: str) -> Any:
    extra: Any = {"x-prompt": True, "x-multiline": True}
    return Field("", max_length=2000, title=title, description=description, json_schema_extra=extra)


class Text2LiveParameters(Parameters):
    source_prompt: str = fields.source_prompt(
        "A caption of the layer as it is now. With it the paint follows the difference to the prompt."
    )
    paint: str = _text("Paint", "What the paint alone shows, such as “fire”; empty: the prompt.")
    place: str = _text(
        "On", "The thing in the layer that is painted on, in words; empty: anywhere in the selection."
    )
    steps: int = fields.whole(150, 4, 2000, "Steps", "How long it learns to paint. More takes longer.")
    shapes: float = fields.slider(
        2.0, 0.0, 10.0, 0.5, "Shapes kept", "How firmly the layout of what is there is kept."
    )
    sparing: float = fields.slider(
        6.0, 0.0, 40.0, 1.0, "Sparing", "How much less paint is better; high values leave only what matters."
    )
    context: float = fields.context(1.0)
    views: int = fields.whole(
        4,
        1,
        32,
        "Looks",
        "In how many views each step looks at the picture. More is slower and steadier.",
        advanced=True,
    )
    screen: float = fields.slider(
        1.0,
        0.0,
        4.0,
        0.25,
        "Paint by itself",
        "How much it matters that the paint alone shows its words too.",
        advanced=True,
    )
    bootstrap: float = fields.slider(
        10.0,
        0.0,
        20.0,
        1.0,
        "Drawn to its place",
        "How strongly the paint is drawn at first to the thing that it is to cover.",
        advanced=True,
    )
    rate: float = fields.slider(
        0.0025,
        0.0005,
        0.02,
        0.0005,
        "Stride",
        "How fast it learns. Fast learning is less even.",
        advanced=True,
    )


class Text2Live(LedByClip, Method):
    id = "text2live"
    version = 1
    title = "A layer of paint"
    summary = "Paints the prompt over the layer, as paint with a transparency of its own."
    source = "Bar-Tal et al. 2022, Text2LIVE, arXiv:2204.02491, section 3.1"
    generator: ClassVar = ""
    reads_prompt = "clip"
    Parameters = Text2LiveParameters

    def compared_with(self, params: Text2LiveParameters) -> Compared:
        """Paint keeps its own colours: the layer lies beneath it."""
        return "nothing"

    def run(self, inputs: MethodInputs, params: Text2LiveParameters, context: Context) -> Tensor:
        import torch

        from velatura.cache.keys import key_of
        from velatura.clip_guidance.edit_layer import Weights, paint
        from velatura.clip_guidance.latent_optimisation import views

        clip = context.clip
        image, mask = (inputs.image.clone() + 1.0) / 2.0, inputs.mask.clone()
        wanted = _wanted(clip, inputs.prompt, params)
        seen = views(params.views, clip.side)
        weights = Weights(params.screen, params.shapes, params.sparing, params.bootstrap)
        of = len(inputs.seeds)

        def one(number: int, seed: int) -> Tensor:
            def after_step(step: Step) -> None:
                context.step(
                    number * step.n + step.i + 1,
                    of * step.n,
                    lambda: step.composite() * 2.0 - 1.0,
                )

            def make(begun: list[Any]) -> Tensor:
                return paint(
                    clip,
                    image,
                    mask,
                    wanted,
                    seen,
                    seed,
                    steps=params.steps,
                    rate=params.rate,
                    weights=weights,
                    after_step=after_step,
                    begun=begun,
                )

            made_of = params.model_dump(exclude={"context", "source_prompt", "paint", "place"})
            texts = [wanted.composite, wanted.layer, wanted.source, wanted.place]
            key = key_of(
                context.generator,
                text2live=[made_of, seed],
                texts=[text for text in texts if text is not None],
                given=[text is not None for text in texts],
                image=inputs.image,
                mask=inputs.mask,
            )
            return context.kept(key, make, on_disk=True)

        layers = torch.cat([one(number, seed) for number, seed in enumerate(inputs.seeds)])
        return torch.cat([layers[:, :3] * 2.0 - 1.0, layers[:, 3:]], dim=1)


def _wanted(clip: Encoder, prompt: str, params: Text2LiveParameters) -> Wanted:
    """CLIP's vectors of the texts. Raises `prompt-too-long`."""
    import torch

    from velatura.clip_guidance.edit_layer import Wanted
    from velatura.clip_guidance.loss import wanted

    def vector(field: str) -> Tensor | None:
        text = getattr(params, field).strip()
        return wanted(clip, text, named(field)).clone() if text else None

    def named(field: str) -> str:
        return f"“{type(params).model_fields[field].title}”"

    paint = params.paint.strip()
    with torch.inference_mode(False), torch.no_grad():
        painted = SCREEN.format(paint or prompt), named("paint") if paint else "The prompt"
        layer = wanted(clip, *painted).clone()
        return Wanted(wanted(clip, prompt).clone(), layer, vector("source_prompt"), vector("place"))
