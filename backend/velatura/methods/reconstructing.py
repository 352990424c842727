"""The settings of the reconstruction of the background, and its stage of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from velatura_protocol.errors import VelaturaError

from . import fields
from .base import Compared, Context, MethodInputs, Stage

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.reconstruction.fitting import AfterStep, Target

Way = Literal["detail", "none", "band", "poisson", "latents", "decoder"]
SLOW: tuple[Way, ...] = ("latents", "decoder")
"""The ways that fit something for each variation."""
DECODERS_FASTEST = 1e-3
"""The largest rate for the decoder's weights, ten times the published one. At 0.1 the picture turns white."""

FITTING = Stage("Joining to the layer")
_ON_DISK = 2**26  # bytes of weights; the state of a stopped fit has three times as many


class Settings(NamedTuple):
    """The settings of a reconstruction.

    Args:
        way: of reconstructing.
        seam: width of the band in pixels of the picture that the model sees.
        background: lambda of Avrahami et al. 2023, equations 1 and 2.
        steps: of Adam.
        rate: of Adam.
    """

    way: Way
    seam: int
    background: float
    steps: int
    rate: float


def reconstruction() -> Any:
    """How the background is reconstructed, for a field of type `Way`."""
    return Field(
        "detail",
        title="Joins to the layer",
        description="How the new part meets the layer. Its own detail is quick and mostly best; Even colours "
        "takes over the layer's colours; the fitted ones take much longer.",
        json_schema_extra={
            "x-enum-titles": [
                "With the layer's own detail",
                "As the model paints it",
                "Softly, in a narrow band",
                "With even colours (Poisson)",
                "Fitted picture (latents)",
                "Fitted brush (decoder)",
            ]
        },
    )


def seam() -> Any:
    """The width of the seam band."""
    return fields.whole(
        6,
        1,
        64,
        "Band",
        "How wide the soft band is, in pixels of the picture that the model sees.",
        advanced=True,
    )


def background() -> Any:
    """lambda."""
    return Field(
        100.0,
        ge=1.0,
        le=1e6,
        title="Hold the surroundings",
        description="For the fitted ways: how much the surroundings count beside the new part.",
        json_schema_extra=fields.ADVANCED,
    )


def fit_steps() -> Any:
    """Steps of Adam."""
    return fields.whole(
        75, 1, 1000, "Fitting steps", "For the fitted ways: more is closer and slower.", advanced=True
    )


def fit_rate() -> Any:
    """Rate of Adam."""
    return Field(
        1e-4,
        ge=1e-6,
        le=0.1,
        title="Fitting speed",
        description="For the fitted ways: how large a step is.",
        json_schema_extra=fields.ADVANCED,
    )


def check(way: Way, rate: float) -> None:
    """Raises `bad-request` for a rate of Adam at which the decoder's weights diverge. Latents stand more."""
    if way == "decoder" and rate > DECODERS_FASTEST:
        raise VelaturaError(
            "bad-request", f"The decoder breaks at this “Fitting speed”; set {DECODERS_FASTEST:g} or less."
        )


def compared_with(way: Way) -> Compared:
    """See `Method.compared_with`."""
    if way == "detail":
        return "reconstruction"
    return "nothing" if way == "none" else "layer"


def share(way: Way, variations: int) -> float:
    """The share of editing in a run; the rest is fitting."""
    return 1.0 / (1.0 + variations) if way in SLOW else 1.0


def reconstructed(z0: Tensor, inputs: MethodInputs, settings: Settings, context: Context) -> Tensor:
    """The pictures [N, 3, h, w] in [-1, 1] of edited latents [N, C, h', w']. Raises `Cancelled`.

    A draft is only decoded, for it has no time to be fitted.
    """
    from velatura.reconstruction import band, membrane

    edited = context.decode(z0)
    x, m, way = inputs.image, inputs.mask, settings.way
    if context.is_draft or way in ("detail", "none"):
        return edited
    if way == "band":
        return band.banded(edited, x, m, settings.seam)
    if way == "poisson":
        return membrane.poisson(edited, x, m > 0.0)
    return _fitted(z0, edited, inputs, settings, context)


def _fitted(z0: Tensor, edited: Tensor, inputs: MethodInputs, settings: Settings, context: Context) -> Tensor:
    """The pictures themselves are kept, and not the weights, which serve these latents alone."""
    import torch

    from velatura.cache.keys import key_of
    from velatura.reconstruction.fitting import Target, fitted_latents, tuned_decoder

    model, x, m = context.model, inputs.image, inputs.mask
    decoder = model.tunable_decoder()
    n = settings.steps * len(z0)
    small = sum(weight.nbytes for weight in decoder.weights.values()) <= _ON_DISK

    def picture(z: Tensor, target: Target, after: AfterStep, begun: list[Any]) -> Tensor:
        if settings.way == "latents":
            return model.decode(
                fitted_latents(decoder, z, target, settings.steps, settings.rate, after, begun)
            )
        theta = tuned_decoder(decoder, z, target, settings.steps, settings.rate, after, begun)
        with torch.no_grad():
            return decoder.picture(z, theta).clamp(-1.0, 1.0)

    pictures: list[Tensor] = []
    for i, (z, one) in enumerate(zip(z0.split(1), edited.split(1), strict=True)):
        target = Target(one, x, m, settings.background)

        def after(step: int, done: int = i * settings.steps) -> None:
            context.step(done + step, n, stage=FITTING)

        made = context.kept(
            key_of(model, reconstruction=settings._asdict(), z=z, x=x, m=m),
            lambda begun, z=z, target=target, after=after: picture(z, target, after, begun),
            on_disk=small,
        )
        pictures.append(made)
    return torch.cat(pictures)
