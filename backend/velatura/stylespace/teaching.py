"""Teaching a segmentation branch the parts of a generator's pictures, from a few that a person labelled.

Zhang et al. 2021, DatasetGAN, and Ling et al. 2021, EditGAN, section 3.1: the generator's features say so
much about each pixel that 16 labelled pictures are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from velatura.generators.styles import StyleGenerator

UNLABELLED = -1
"""The label of a pixel that nobody labelled; it teaches nothing."""

RATE = 2e-3
"""Adam's, at first; it falls evenly to 0."""

_BATCH = 2
_RAREST = 0.002  # the share below which a part's weight grows no more
_DECAY = 0.01  # of the weights, against learning a few pictures by heart


@dataclass(frozen=True)
class Lesson:
    """A labelled picture.

    Args:
        features: of the synthesis' blocks, [1, C_b, s_b, s_b].
        picture: [1, 3, s, s], as the generator makes it.
        labels: [1, s, s], int64; `UNLABELLED` where there is none.
    """

    features: list[Tensor]
    picture: Tensor
    labels: Tensor


def lesson(model: StyleGenerator, ws: Tensor, labels: Tensor) -> Lesson:
    """The lesson of a picture whose code is ws [1, num_ws, w_dim], with its labels [1, s, s]."""
    with torch.inference_mode(False), torch.no_grad():
        made = model.synthesise(model.styles(ws.clone()))
        return Lesson(
            [x.clone() for x in made.features], made.pictures.clone(), labels.to(made.pictures.device)
        )


def balance(labels: Sequence[Tensor], classes: int) -> Tensor:
    """Weights [K] of the parts, by one over the root of their share, 1 on average over the pixels: a thin
    part counts for more than its pixels, yet less than a large one."""
    counts = torch.stack([y[y >= 0].flatten().bincount(minlength=classes) for y in labels]).sum(0)
    shares = counts / counts.sum().clamp(min=1)
    raw = shares.clamp(min=_RAREST).rsqrt()
    return raw / (raw * shares).sum().clamp(min=1e-6)


def teach(
    branch: nn.Module,
    lessons: Sequence[Lesson],
    classes: int,
    steps: int,
    after_step: Callable[[int], None],
    seed: int = 0,
) -> None:
    """Trains a branch, called as `branch(features, pictures)`, in place: balanced cross-entropy by AdamW.

    Args:
        branch: with fresh weights.
        lessons: one or more.
        classes: K, the number of parts.
        steps: of training.
        after_step: called with the number of each step, from 1. It may raise to stop.
        seed: of the order of the lessons.
    """
    weights = balance([one.labels for one in lessons], classes)
    order = torch.Generator().manual_seed(seed)
    with torch.inference_mode(False), torch.enable_grad():
        branch.requires_grad_(True)
        adam = torch.optim.AdamW(branch.parameters(), lr=RATE, weight_decay=_DECAY)
        for i in range(steps):
            chosen = torch.randint(len(lessons), (_BATCH,), generator=order).tolist()
            losses = [
                F.cross_entropy(
                    branch(lessons[k].features, lessons[k].picture),
                    lessons[k].labels,
                    weights,
                    ignore_index=UNLABELLED,
                )
                for k in chosen
                if bool((lessons[k].labels >= 0).any())
            ]
            if losses:
                adam.zero_grad()
                adam.param_groups[0]["lr"] = RATE * (1.0 - i / steps)
                torch.stack(losses).mean().backward()
                adam.step()
            after_step(i + 1)
        branch.requires_grad_(False)


@torch.no_grad()
def agreement(branch: nn.Module, lessons: Sequence[Lesson], classes: int) -> list[float]:
    """Intersection over union of each part, over all labelled pixels; NaN for a part that is nowhere."""
    both, either = torch.zeros(classes), torch.zeros(classes)
    for one in lessons:
        known = one.labels >= 0
        found = branch(one.features, one.picture).argmax(1)
        for k in range(classes):
            a, b = (found == k) & known, one.labels == k
            both[k] += float((a & b).sum())
            either[k] += float((a | b).sum())
    return (both / either).tolist()
