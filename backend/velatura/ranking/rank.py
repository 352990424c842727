"""The order of several variations: first by what was asked for, then by the border. See DESIGN.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from velatura.canvas.paste import Pasted

from .seam import Border
from .views import Scene

#: How much each part counts. Those that a run lacks are left out, the others keep their proportions.
WEIGHTS = {"asked": 0.95, "seam": 0.05}
#: So far below the best, by the part `asked`, a variation probably lacks what was asked for.
DOUBTFUL = 0.1
#: After the point; scores that differ only beyond them are equal.
DIGITS = 4

CLOSEST, CLEANEST = "closest to the prompt", "cleanest edge"
GOOD = "close to the prompt, clean edge"
MISSES = "may miss the prompt"


@dataclass(frozen=True)
class Place:
    """Of one variation. rank: from 0, the best. score, scores: in [0, 1], more is better; scores has the
    parts that were used. why: the place in a few words, for the person; mostly ''."""

    rank: int
    score: float
    scores: dict[str, float]
    why: str = ""

    @property
    def label(self) -> str:
        """For the layer's name."""
        return f"best, {self.why}" if self.why and not self.rank and "asked" in self.scores else self.why


@dataclass(frozen=True)
class Ranking:
    """places: one a variation, in the variations' own order; none where they could not be ranked.
    note: a sentence on what was not used and why, or ''."""

    places: Sequence[Place] = ()
    note: str = ""


def rank(
    scene: Scene,
    results: Sequence[Pasted],
    asked: Callable[[], Sequence[float] | None],
    check: Callable[[], None],
) -> Ranking:
    """Ranks the variations of one run.

    asked: how much each shows what was asked for, in [0, 1]; None where nothing was said. check: called
    before each look at a picture; it raises to cancel.
    """
    parts: dict[str, Sequence[float]] = {}
    if scene.masked:
        border = Border(scene.border(None), scene.border_mask())
        seams = []
        for result in results:
            check()
            seams.append(border.seam(scene.border(result)))
        if None not in seams:
            parts["seam"] = seams
    found = asked()
    if found is not None:
        return Ranking(order({"asked": found} | parts))
    note = "there is no prompt to compare with, or the model reads none."
    if not parts:
        return Ranking((), f"Not ranked: {note}")
    return Ranking(order(parts), f"Ranked by the edge of the selection alone: {note}")


def order(parts: Mapping[str, Sequence[float]]) -> list[Place]:
    """Places from the parts' values: score_i = sum_k w_k x_ki / sum_k w_k over the parts k that there are.

    Equal scores keep their order, and none is said to be better unless all others fall behind it.
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
    """In which parts the best one is behind no other."""
    words = {"asked": CLOSEST, "seam": CLEANEST}
    leads = [words[name] for name, values in parts.items() if values[best] >= max(values)]
    return ", ".join(leads) or GOOD


def _doubt(parts: Mapping[str, Sequence[float]], i: int) -> str:
    asked = parts.get("asked")
    return MISSES if asked is not None and asked[i] < max(asked) - DOUBTFUL else ""
