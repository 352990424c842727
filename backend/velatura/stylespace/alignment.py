"""The square of a face from five landmarks: FFHQ's alignment.

Karras, Laine & Aila 2019, A Style-Based Generator Architecture for Generative Adversarial Networks, appendix
A, as their published code has it. A generator with another alignment has another square at the same
landmarks, so its square is measured in its own pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.cache.values import storable

from .frames import Frame

Find = Callable[[Tensor], Sequence[Tensor]]
"""The landmarks [5, 2] of each face in a picture [1, 3, h, w] in [-1, 1]; see `square`."""


@dataclass(frozen=True)
class Square:
    """A square in pixels: its middle, half its side, and its tilt in radians, above 0 clockwise."""

    x: float
    y: float
    half: float
    angle: float


@storable("alignment")
@dataclass(frozen=True)
class Alignment:
    """Where FFHQ's square lies in a generator's pictures, whose sides are 2 and whose middle is (0, 0).

    Args:
        x, y: its middle.
        half: half its side; 1 for a generator with FFHQ's own alignment.
        angle: its tilt.
    """

    x: float
    y: float
    half: float
    angle: float


def square(landmarks: Tensor) -> Square:
    """FFHQ's square around a face.

    landmarks: [5, 2], x and y in pixels: the eye and, fourth, the mouth's corner on the picture's left; the
    eye on its right, second, and the mouth's corner, fifth; the nose is third and does not count.
    """
    eye_left, eye_right, _, mouth_left, mouth_right = landmarks.double().cpu()
    eyes, mouth = (eye_left + eye_right) / 2.0, (mouth_left + mouth_right) / 2.0
    across, down = eye_right - eye_left, mouth - eyes
    x = across + torch.stack([down[1], -down[0]])
    half = max(2.0 * float(across.norm()), 1.8 * float(down.norm()))
    middle = eyes + 0.1 * down
    return Square(float(middle[0]), float(middle[1]), half, math.atan2(float(x[1]), float(x[0])))


def measured(find: Find, pictures: Tensor) -> Alignment | None:
    """The alignment of a generator's pictures [N, 3, s, s]; None where less than half of them show a face."""
    half = pictures.shape[-1] / 2.0
    found = [square(max(faces, key=_size)) for one in pictures.split(1) if (faces := find(one))]
    if 2 * len(found) < max(len(pictures), 1):
        return None
    rows = [(one.x / half - 1.0, one.y / half - 1.0, one.half / half, one.angle) for one in found]
    return Alignment(*(float(value) for value in torch.tensor(rows).median(0).values))


def aligned(find: Find, image: Tensor, mask: Tensor, alignment: Alignment) -> Frame | None:
    """The frame in which a generator sees the face of a picture; None where there is no face.

    Args:
        find: the landmarks.
        image: [1, 3, h, w] in [-1, 1].
        mask: [1, 1, h, w] in [0, 1]; the face that is most selected counts, of those the largest.
        alignment: of the generator.
    """
    faces = find(image)
    if not faces:
        return None
    own = square(max(faces, key=lambda face: (round(_selected(face, mask), 2), _size(face))))
    half, angle = own.half / alignment.half, own.angle - alignment.angle
    c, s = half * math.cos(angle), half * math.sin(angle)
    x = own.x - c * alignment.x + s * alignment.y
    y = own.y - s * alignment.x - c * alignment.y
    return Frame(x - half, y - half, 2.0 * half, angle)


def _size(landmarks: Tensor) -> float:
    return square(landmarks).half


def _selected(landmarks: Tensor, mask: Tensor) -> float:
    """How far the landmarks are selected, in [0, 1]."""
    h, w = mask.shape[-2:]
    at = landmarks.to(mask) / mask.new_tensor([w, h]) * 2.0 - 1.0
    return float(F.grid_sample(mask, at[None, None], align_corners=False).mean())
