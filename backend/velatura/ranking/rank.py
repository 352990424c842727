"""The order of several variations: first by the prompt, then by the border. See DESIGN.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: The weight of each part. A part that a run lacks is left out; the others keep their proportions.
WEIGHTS = {"asked": 0.95, "seam": 0.05}
#: A variation that is more than this below the best in the part `asked` probably misses the prompt.
DOUBTFUL = 0.1
#: Decimal places; scores that differ only in later ones are equal.
DIGITS = 4

CLOSEST, CLEANEST = "closest to the prompt", "cleanest edge"
GOOD = "close to the prompt, clean edge"
MISSES = "may miss the prompt"


@dataclass(frozen=True)
class Place:
    """The place of one variation.

    Args:
        rank: from 0, the best.
        score: the weighted mean of the scores, in [0, 1]; more is better.
        scores: the parts that were used, each in [0, 1].
        why: the reason in a few words, for the person; mostly ''.
    """

    rank: int
    score: float
    scores: dict[str, float]
    why: str = ""

    @property
    def label(self) -> str:
        """The text for the layer's name."""
        return f"best, {self.why}" if self.why and not self.rank and "asked" in self.scores else self.why


@dataclass(frozen=True)
class Ranking:
    """places: one a variation, in the variations' own order; empty if they could not be ranked. note: a
    sentence that names the unused parts and the reason, or ''."""

    places: Sequence[Place] = ()
    note: str = ""


def order(parts: Mapping[str, Sequence[float]]) -> list[Place]:
    """Places from the parts' values: score_i = sum_k w_k x_ki / sum_k w_k over the present parts k.

    Equal scores keep their order. The best is praised only if its score is higher than all others.
    """
    total = sum(WEIGHTS[name] for name in parts)
    rows = list(zip(*parts.values(), strict=True))
    weights = [WEIGHTS[name] / total for name in parts]
    scores = [round(sum(w * x for w, x in zip(weights, row, strict=True)), DIGITS) for row in rows]
    by_score = sorted(range(len(scores)), key=lambda i: -scores[i])
    stands_out = len(scores) > 1 and scores[by_score[0]] > scores[by_score[1]]
    return [
        Place(
            rank=by_score.index(i),
            score=scores[i],
            scores={name: round(value, DIGITS) for name, value in zip(parts, row, strict=True)},
            why=(_praise(parts, i) if stands_out else "") if i == by_score[0] else _doubt(parts, i),
        )
        for i, row in enumerate(rows)
    ]


def _praise(parts: Mapping[str, Sequence[float]], best: int) -> str:
    """The parts in which no other is better than the best one."""
    words = {"asked": CLOSEST, "seam": CLEANEST}
    leads = [words[name] for name, values in parts.items() if values[best] >= max(values)]
    return ", ".join(leads) or GOOD


def _doubt(parts: Mapping[str, Sequence[float]], i: int) -> str:
    asked = parts.get("asked")
    return MISSES if asked is not None and asked[i] < max(asked) - DOUBTFUL else ""
