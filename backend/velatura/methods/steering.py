"""The common part of the methods that are steered by concepts: fields, and the guidance of one run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import Field

from velatura_protocol.errors import VelaturaError

from . import fields, flowing
from .base import Context, MethodInputs, Stage

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.diffusion.network import LatentDiffusion
    from velatura.inversion.trajectory import Trajectory
    from velatura.semantic.guidance import Concept, Semantic
    from velatura.semantic.source import Prompts

Words = Literal["caption", "alone"]
"""How a concept is read: the picture's caption with and without it, or its words alone, as published."""

FARTHEST: Mapping[Words, float] = {"caption": 2.5, "alone": 10.0}
"""s_e at 100 %. Within the caption, the picture follows the caption with the concept at 1; alone, it is twice
the published scale."""


class ConceptSettings(fields.DialSettings):
    where: str | None = fields.raster(
        "mask", "Where", "Where it may change the picture; everywhere if nothing is chosen."
    )
    reach: float = fields.slider(
        0.5,
        0.01,
        1.0,
        0.01,
        "Reach",
        "How much of the picture it may change: a little keeps it to where it matters most. It fills a "
        "selection, or a painted place, that is smaller than this.",
    )
    begin: float = fields.slider(
        0.3,
        0.0,
        0.95,
        0.05,
        "Begins",
        "After which share of the steps it begins: early it may move shapes, late it changes surfaces.",
    )
    end: float = fields.slider(1.0, 0.05, 1.0, 0.05, "Ends", "At which share of the steps it ends.")
    weight: float = fields.slider(1.0, 0.0, 2.0, 0.1, "Weight", "How much it counts beside the others.")


class Steered(Protocol):
    """The settings of concepts, part of a method's parameters."""

    concepts: list[ConceptSettings]
    words_of_concepts: Words
    momentum: float
    momentum_kept: float


def concepts() -> Any:
    """The group of concepts."""
    return fields.dials(
        "Concepts", "Each is something that there should be more of, or less; their sliders work together."
    )


def words_of_concepts() -> Any:
    """How concepts are read, for a field `Words`."""
    return Field(
        "caption",
        title="Concepts are read",
        description="Within the caption, beside the rest of the picture, or as words alone, as published.",
        json_schema_extra={**fields.ADVANCED, "x-enum-titles": ["Within the caption", "Alone"]},
    )


def momentum() -> Any:
    """s_m of SEGA."""
    return fields.slider(0.0, 0.0, 0.6, 0.05, "Momentum", "How much earlier steps push on.", advanced=True)


def momentum_kept() -> Any:
    """beta of SEGA."""
    return fields.slider(
        0.4, 0.0, 0.95, 0.05, "Momentum, memory", "How long earlier steps count.", advanced=True
    )


def check(caption: str, concepts: Sequence[ConceptSettings]) -> None:
    """Raises `bad-request` for a concept without words, and for one that ends before it begins."""
    for concept in concepts:
        flowing.texts(caption, concept)
        check_window(concept.name or concept.more or concept.less, concept.begin, concept.end)


def check_window(title: str, begin: float, end: float) -> None:
    """Raises `bad-request` if a concept of this title ends before it begins, or where it begins."""
    if begin >= end:
        raise VelaturaError(
            "bad-request", f"“{title.strip():.40}” ends before it begins; let “Ends” be above “Begins”."
        )


def window(begin: float, end: float, n: int) -> tuple[int, int]:
    """The first of n steps in which a concept acts, and the first in which it no longer does.

    It acts in one step at least: rounding loses neither a short window nor a late one in a run of few steps.

    Args:
        begin, end: shares of the steps, with begin < end.
        n: the steps of the run.
    """
    first = min(math.floor(begin * n + 0.5), n - 1)
    return first, max(math.floor(end * n + 0.5), first + 1)


def check_place(title: str, where: Tensor, m_latent: Tensor) -> None:
    """Raises `bad-request` if a concept's painted place has no part in the selection.

    Args:
        title: of the concept.
        where: its place, [1, 1, h, w] in [0, 1].
        m_latent: the selection, likewise.
    """
    if not ((where > 0.0) & (m_latent > 0.0)).any():
        sentence = (
            f"The place of “{title.strip():.40}” is outside the selection; paint it inside, or select it."
        )
        raise VelaturaError("bad-request", sentence)


def quantile(reach: float, m_latent: Tensor, where: Tensor | None = None) -> float:
    """lambda, the share of the places that may change which a concept leaves alone, in [0, 1).

    A person says a concept's reach as a share of the picture. In a selection or painted place that is smaller
    than this share the concept reaches all of it: who has drawn the place need not be asked for it again.

    Args:
        reach: the share of the picture, in (0, 1].
        m_latent: the selection, [1, 1, h, w] in [0, 1].
        where: a concept's painted place, likewise; None: everywhere.
    """
    inside = m_latent > 0.0 if where is None else (m_latent > 0.0) & (where > 0.0)
    return max(0.0, 1.0 - reach * inside.numel() / max(1, int(inside.sum())))


def scales(params: Steered) -> list[float]:
    """s_e of each concept, in proportion to its slider."""
    return [FARTHEST[params.words_of_concepts] * concept.strength / 100.0 for concept in params.concepts]


def semantic(
    model: LatentDiffusion,
    params: Steered,
    scales: Sequence[float],
    caption: str,
    rasters: Mapping[str, Tensor],
    m_latent: Tensor,
    n: int,
) -> Semantic:
    """The concepts of one run.

    Args:
        model: reads the texts.
        params: the settings.
        scales: s_e of each concept.
        caption: of the picture that the concepts change.
        rasters: those of the request, [1, 1, H, W] by name.
        m_latent: the selection, [1, 1, h, w].
        n: the steps of the run.

    Raises `bad-request` for a concept whose painted place is outside of the selection.
    """
    from velatura.semantic.guidance import Momentum, Semantic

    alone = params.words_of_concepts == "alone"
    found = [
        _concept(model, settings, scale, None if alone else caption, rasters, m_latent, n)
        for settings, scale in zip(params.concepts, scales, strict=True)
    ]
    everywhere = bool((m_latent > 0.0).all())
    return Semantic(found, Momentum(params.momentum, params.momentum_kept), None if everywhere else m_latent)


def _concept(
    model: LatentDiffusion,
    settings: ConceptSettings,
    scale: float,
    caption: str | None,
    rasters: Mapping[str, Tensor],
    m_latent: Tensor,
    n: int,
) -> Concept:
    import torch.nn.functional as F

    from velatura.semantic.guidance import Concept

    if caption is not None:
        less, more = flowing.texts(caption, settings)
    else:
        less, more = settings.less.strip(), settings.more.strip()
        if not more:  # a concept that there should be less of is that concept, led away from
            less, more, scale = "", less, -scale
    where = None
    if settings.where is not None:
        where = F.adaptive_max_pool2d(rasters[settings.where], (m_latent.shape[-2], m_latent.shape[-1]))
        check_place(settings.name or settings.more or settings.less, where, m_latent)
    first, last = window(settings.begin, settings.end, n)
    return Concept(
        model.encode_prompt(more),
        model.encode_prompt(less) if less else None,
        scale,
        quantile(settings.reach, m_latent, where),
        first,
        last,
        settings.weight,
        where,
    )


class Started(Protocol):
    """The settings of a run's start, part of a method's parameters."""

    start: Literal["layer", "new"]
    inversion: Literal["direct", "edit-friendly"]


def trajectory(
    model: LatentDiffusion,
    inputs: MethodInputs,
    params: Started,
    context: Context,
    sigmas: Sequence[float],
    places: tuple[int, int],
    prompts: Prompts,
) -> Trajectory:
    """The layer's inversion, or the start of new pictures.

    Args:
        model: inverts.
        inputs: of the run.
        params: its settings.
        context: keeps inversions and shows progress.
        sigmas: the levels.
        places: (h, w) of the latents.
        prompts: of the source.
    """
    from velatura.prompt_to_prompt import source as inversions
    from velatura.semantic import source

    seeds = inputs.seeds
    if params.start == "new":
        return source.imagined(model, (model.latent_channels, *places), sigmas, seeds)

    def after_step(i: int, n: int) -> None:
        context.step(i, n, stage=Stage("Reading the layer", 0.1))

    if params.inversion == "edit-friendly":
        return source.edit_friendly(context.cache, model, inputs.image, prompts, sigmas, seeds, after_step)
    wanted = inversions.Wanted(prompts.prompt, prompts.negative, sigmas, prompts.guidance)
    return inversions.inverted(
        model, context.cache, inputs.image, wanted, "direct", seeds, after_step
    ).trajectory
