"""The common part of the methods that lead a VQ model's latents to words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from velatura.generators.codes import VQ

from . import fields
from .base import Context, MethodInputs, Parameters
from .clip_guided import LedByClip

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.clip_guidance.latent_optimisation import Loss, Step
    from velatura.generators.codes import CodeGenerator


def rate(default: float) -> Any:
    """Adam's rate, in units of the latents' range."""
    return fields.slider(
        default,
        0.01,
        0.5,
        0.01,
        "Stride",
        "How far each step goes. Long strides change more and leave more debris.",
        advanced=True,
    )


def scatter(default: float) -> Any:
    """How far the latents start on the way to random codes."""
    return fields.slider(
        default,
        0.0,
        1.0,
        0.05,
        "Fresh start",
        "How much of the present picture is thrown away first. At 0 it grows out of what is there.",
    )


class LatentsToWords(LedByClip):
    """The declaration of a `Method` of this kind."""

    generator: ClassVar[str | tuple[str, ...]] = VQ
    reads_prompt: ClassVar[str] = "clip"


class LatentsParameters(Parameters):
    steps: int = fields.whole(
        60, 4, 500, "Steps", "How far the picture goes towards the words. More takes longer."
    )
    scatter: float = scatter(0.0)
    context: float = fields.context(1.0)
    rate: float = rate(0.03)
    views: int = fields.whole(
        12,
        1,
        64,
        "Looks",
        "In how many views each step looks at the picture. More is slower and steadier.",
        advanced=True,
    )


def run(
    inputs: MethodInputs,
    params: LatentsParameters,
    context: Context,
    loss: Callable[[CodeGenerator, Tensor, Tensor], tuple[Loss, Tensor | None]],
) -> Tensor:
    """The pictures [N, 3, h, w] in [-1, 1], one a seed.

    Args:
        inputs: of the method.
        params: of the method.
        context: of the run.
        loss: from the model, the layer's latents z0 and CLIP's vector of the prompt to the loss of a picture
            and the free places (`optimise`). It is called outside of inference mode, whose tensors can take
            part in no gradient.
    """
    import torch

    from velatura.cache.keys import key_of
    from velatura.clip_guidance.latent_optimisation import optimise
    from velatura.clip_guidance.loss import wanted

    model = cast("CodeGenerator", context.generator)
    with torch.inference_mode(False), torch.no_grad():
        z0 = model.encode(inputs.image.clone())
        lowered, free = loss(model, z0, text := wanted(context.clip, inputs.prompt).clone())
    of = len(inputs.seeds)

    def one(number: int, seed: int) -> Tensor:
        def after_step(step: Step) -> None:
            context.step(number * step.n + step.i + 1, of * step.n, step.picture)

        def make(begun: list[Any]) -> Tensor:
            return optimise(
                model,
                z0,
                lowered,
                seed,
                steps=params.steps,
                rate=params.rate,
                scatter=params.scatter,
                free=free,
                after_step=after_step,
                begun=begun,
            )

        key = key_of(
            model,
            optimised=[type(params).__name__, params.model_dump(exclude={"context"}), seed],
            image=inputs.image,
            mask=inputs.mask,
            text=text,
        )
        return context.kept(key, make, on_disk=True)

    return context.decode(torch.cat([one(number, seed) for number, seed in enumerate(inputs.seeds)]))
