"""The order of several variations: four parts, each in [0, 1], and their weighted mean. See DESIGN.md."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from velatura.canvas.paste import Pasted
from velatura.models.encoder import Encoder
from velatura_protocol.errors import VelaturaError

from .seam import Border
from .views import Scene

log = logging.getLogger(__name__)

#: How much each part counts. Those that a run lacks are left out, the others keep their proportions.
WEIGHTS = {"prompt": 0.4, "whole": 0.3, "likeness": 0.1, "seam": 0.2}
#: Divides CLIP's log odds, see `gain`.
TEMPERATURE = 4.0
#: After the point; scores that differ only beyond them are equal.
DIGITS = 4


@dataclass(frozen=True)
class Place:
    """Of one variation. rank: from 0, the best. score, scores: in [0, 1], more is better; scores has the
    parts that were used. label: a word or two for the layer's name, mostly none."""

    rank: int
    score: float
    scores: dict[str, float]
    label: str = ""


@dataclass(frozen=True)
class Ranking:
    """places: one a variation, in the variations' own order; none where they could not be ranked.
    note: a sentence on what was not used and why, or ''."""

    places: Sequence[Place] = ()
    note: str = ""


def rank(
    scene: Scene,
    results: Sequence[Pasted],
    prompt: str,
    encoder: Callable[[], Encoder | None],
    check: Callable[[], None],
) -> Ranking:
    """Ranks the variations of one run.

    encoder: loads the CLIP that belongs to the model, or gives None; what it raises as VelaturaError leaves
    CLIP out. check: called before each look at a picture; it raises to cancel.
    """
    parts: dict[str, Sequence[float]] = {}
    note = ""
    try:
        parts |= _by_clip(scene, results, prompt, encoder, check)
    except _WithoutClipError as reason:
        note = str(reason)
    if scene.masked:
        border = Border(scene.border(None), scene.border_mask())
        seams = []
        for result in results:
            check()
            seams.append(border.seam(scene.border(result)))
        if None not in seams:
            parts["seam"] = seams
    if not parts:
        return Ranking((), f"Not ranked: {note}")
    return Ranking(order(parts), f"Ranked by the edge of the selection alone: {note}" if note else "")


def order(parts: Mapping[str, Sequence[float]]) -> list[Place]:
    """Places from the parts' values: score_i = sum_k w_k x_ki / sum_k w_k over the parts k that there are.

    Equal scores keep their order, and none is called the best unless all others fall behind it.
    """
    total = sum(WEIGHTS[name] for name in parts)
    rows = list(zip(*parts.values(), strict=True))
    weights = [WEIGHTS[name] / total for name in parts]
    scores = [round(sum(w * x for w, x in zip(weights, row, strict=True)), DIGITS) for row in rows]
    by_score = sorted(range(len(scores)), key=lambda i: -scores[i])
    stands_out = len(scores) > 1 and scores[by_score[0]] > scores[by_score[1]]
    word = "cleanest edge" if list(parts) == ["seam"] else "best"
    return [
        Place(
            rank=by_score.index(i),
            score=scores[i],
            scores={name: round(value, DIGITS) for name, value in zip(parts, row, strict=True)},
            label=word if stands_out and i == by_score[0] else "",
        )
        for i, row in enumerate(rows)
    ]


def gain(results: Tensor, source: Tensor, text: Tensor, scale: float) -> Tensor:
    """How much better than the source each result fits the text: [N] in [0, 1], 0.5 no better.

    results [N, d], source [d], text [d]: unit vectors. With cosines c and CLIP's learnt scale tau,
    tau (c_result - c_source) are the log odds by which CLIP gives the text to the result rather than to the
    source; here sigmoid(tau (c_result - c_source) / `TEMPERATURE`). It increases with c_result, so by this
    part alone the order is that of Avrahami et al. 2023, section 4.4.
    """
    return torch.sigmoid(scale * ((results - source) @ text) / TEMPERATURE)


class _WithoutClipError(Exception):
    """Why CLIP is left out: a clause that ends with a full stop."""


def _by_clip(
    scene: Scene,
    results: Sequence[Pasted],
    prompt: str,
    encoder: Callable[[], Encoder | None],
    check: Callable[[], None],
) -> dict[str, list[float]]:
    """The parts `prompt` (where something is selected), `whole` and `likeness`. Raises _WithoutClipError."""
    if not prompt:
        raise _WithoutClipError("there is no prompt to compare with.")
    check()
    try:
        clip = encoder()
    except VelaturaError as error:
        log.warning("%s %s", error.message, error.detail)
        raise _WithoutClipError(error.message[:1].lower() + error.message[1:]) from error
    if clip is None:
        raise _WithoutClipError("no CLIP is named for this model; see `velatura models change --clip`.")
    text = clip.text(prompt)
    if text is None:
        raise _WithoutClipError("the prompt is longer than this model's CLIP reads.")

    def vectors(view: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
        found = []
        for picture in (None, *results):
            check()
            found.append(clip.images(view(picture, clip.processing.side, clip.processing.mean)[None])[0])
        return torch.stack(found[1:]), found[0]

    parts: dict[str, list[float]] = {}
    if scene.masked:
        parts["prompt"] = gain(*vectors(scene.selected), text, clip.scale).tolist()
    whole, source = vectors(scene.whole)
    parts["whole"] = gain(whole, source, text, clip.scale).tolist()
    parts["likeness"] = (whole @ source).clamp(0.0, 1.0).tolist()
    return parts
