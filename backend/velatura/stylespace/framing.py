"""The square of a picture in which a generator sees its subject: found by a segmenter, or from a selection.

A generator makes pictures in one framing only, such as FFHQ's alignment (Karras et al. 2019, appendix A). The
framing of a generator is measured in its own pictures, by the segmenter that also looks at the layer. So no
framing has to be known beforehand, and a constant error of the segmenter cancels out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.cache.values import storable

from .frames import Frame

Find = Callable[[Tensor], Tensor]
"""Soft mask [h, w] in [0, 1] of the faces in a picture [1, 3, h, w] in [-1, 1]."""

_SURE = 0.5  # a map that reaches this nowhere has found nothing
_LEAST = 0.001  # the smallest share of the picture that counts as a face
_GRID = 96  # side of the maps in which a face is separated from others
_LOOKS = 4  # at one face, each in the frame that the one before has found
_SIZES, _SHRUNK = 4, 2.0 / 3.0  # of the squares that are searched
# In standard deviations of the generator's own framing: up to here no closer look is needed, no further
# square is searched, and it is a face at all.
_STILL, _CLEAR, _DEVIATIONS = 0.5, 1.5, 3.0
_CERTAIN = 0.82  # of a face that only a search has found: who looks often enough sees faces in clouds
_STEP, _FINE = 0.1, 0.02  # the first and least step of a closer fit, in sides
_FITTING, _FEW, _LARGE = 45, 24, 256  # the most looks of it; fewer for pictures with a side above `_LARGE`
_NARROW = 16.0  # pixels of the smallest square that is searched; in a strip, smaller ones are thousands
_BEYOND = 2.0  # the largest side of a frame, in shorter sides of the picture
_MOVED, _SCALED = 0.03, 0.05  # the least deviations: of the middle, in half sides, and of log side


class Place(NamedTuple):
    """The place of a face.

    Args:
        x, y: its middle, in pixels.
        spread: twice the standard deviation of its pixels across; beards, hats and open mouths change it
            less than they change the height.
        sure: the mean probability in it, in [0, 1].
    """

    x: float
    y: float
    spread: float
    sure: float


@storable("framing")
@dataclass(frozen=True)
class Framing:
    """The place of faces in a generator's pictures, whose sides are 2.

    Args:
        x, y: the mean middle; the picture's own is (0, 0).
        spread: the mean; see `Place`.
        moved, scaled: standard deviations of the middle, and of the logarithm of the spread.
    """

    x: float
    y: float
    spread: float
    moved: float
    scaled: float


def measured(find: Find, pictures: Tensor) -> Framing | None:
    """The framing of a generator's pictures [N, 3, s, s]; None where less than half of them show a face."""
    half = pictures.shape[-1] / 2.0
    found = [place for one in pictures.split(1) if (place := place_of(find(one))) is not None]
    if 2 * len(found) < max(len(pictures), 1):
        return None
    x, y, spread = (torch.tensor(values) / half for values in zip(*(p[:3] for p in found), strict=True))
    moved = torch.stack([x, y]).std(1, correction=0).norm()
    scaled = spread.log().std(correction=0)
    return Framing(
        float(x.mean() - 1), float(y.mean() - 1), float(spread.mean()), float(moved), float(scaled)
    )


def found(
    find: Find,
    image: Tensor,
    mask: Tensor,
    framing: Framing,
    s: int,
    *,
    unlikely: Callable[[Tensor], float] | None = None,
    looked: Callable[[int, int], None] = lambda i, n: None,
) -> Frame | None:
    """The frame of the face in a picture; None where there is no face.

    The face is sought in the whole picture and then again in its frame, where the segmenter sees it as in the
    generator's own pictures. Where that fails, because the face is small, smaller and smaller squares of the
    picture are searched. A square of the picture's whole height or width stands in for a frame that is near
    it, so that a portrait is seen whole.

    Args:
        find: the segmenter.
        image: [1, 3, h, w] in [-1, 1].
        mask: [1, 1, h, w] in [0, 1]; where there are several faces, the one that is most selected counts.
        framing: of the generator.
        s: the side of the generator's pictures.
        unlikely: how far a picture [1, 3, s, s] is from any that the generator makes; it decides between a
            frame and the whole picture, and the frame is fitted by it. None: the frame's place decides.
        looked: called after look i of n, from 1; it raises to cancel.
    """
    h, w = image.shape[-2:]
    place = place_of(find(image), mask)
    best = None if place is None else _settled(find, image, _framed(place, framing), framing, s)
    if best is None or best.misfit > _CLEAR:
        windows = [window for window in _windows(h, w) if _overlaps(window, mask)]
        for i, window in enumerate(windows):
            place = place_of(find(window.take(image, s)), window.take(mask, s))
            looked(i + 1, len(windows))
            if place is None:
                continue
            there = _settled(find, image, _framed(_moved(place, window, s), framing), framing, s)
            if there.misfit <= _CLEAR and there.sure >= _CERTAIN:
                best = there
                break
    if best is None or best.misfit > _DEVIATIONS:
        return None
    return _whole_or(best.frame, image, framing, s, unlikely, looked)


class _Settled(NamedTuple):
    """A frame, how far the face in it is from the framing, in standard deviations, and how sure it is."""

    frame: Frame
    misfit: float
    sure: float = 0.0


def _settled(find: Find, image: Tensor, frame: Frame, framing: Framing, s: int) -> _Settled:
    """The frame after further looks at the face in it."""
    misfit, sure = math.inf, 0.0
    for _ in range(_LOOKS):
        place = place_of(find(frame.take(image, s))) if _plausible(frame, image) else None
        if place is None:
            return _Settled(frame, math.inf)
        half, sure = s / 2.0, place.sure
        x, y = place.x / half - 1.0 - framing.x, place.y / half - 1.0 - framing.y
        scaled = abs(math.log(place.spread / half / framing.spread)) / max(framing.scaled, _SCALED)
        misfit = max(math.hypot(x, y) / max(framing.moved, _MOVED), scaled)
        if misfit <= _STILL:
            break
        frame = _framed(_moved(place, frame, s), framing)
    return _Settled(frame, misfit if _plausible(frame, image) else math.inf, sure)


def _plausible(frame: Frame, image: Tensor) -> bool:
    """Whether a frame lies on the picture: far out, mirror images look like faces of any size."""
    h, w = image.shape[-2:]
    x, y = frame.left + frame.side / 2.0, frame.top + frame.side / 2.0
    return 0.0 <= x <= w and 0.0 <= y <= h and frame.side <= _BEYOND * min(h, w)


def _moved(place: Place, window: Frame, s: int) -> Place:
    """The place in the picture of a face in a window of side s."""
    scale = window.side / s
    x, y = window.left + place.x * scale, window.top + place.y * scale
    return Place(x, y, place.spread * scale, place.sure)


def _windows(h: int, w: int) -> list[Frame]:
    """Squares that overlap by a half, the largest first."""
    windows: list[Frame] = []
    side = float(min(h, w))
    for _ in range(_SIZES):
        if side < _NARROW:
            break
        rows, columns = (max(1, math.ceil(2.0 * (length - side) / side) + 1) for length in (h, w))
        across, down = ((length - side) / max(n - 1, 1) for length, n in ((w, columns), (h, rows)))
        windows += [Frame(i * across, j * down, side) for j in range(rows) for i in range(columns)]
        side *= _SHRUNK
    return windows


def _overlaps(window: Frame, mask: Tensor) -> bool:
    top, left = int(window.top), int(window.left)
    side = math.ceil(window.side)
    return bool(mask[..., top : top + side, left : left + side].any())


def selected(mask: Tensor) -> Frame:
    """The bounding square of a selection [1, 1, h, w] in [0, 1], moved into the picture where it fits in."""
    rows, columns = (torch.nonzero(mask[0, 0].amax(d) >= mask.amax() / 2.0).flatten() for d in (1, 0))
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(columns[0]), int(columns[-1]) + 1
    side = max(bottom - top, right - left)
    h, w = mask.shape[-2:]
    return Frame(
        _inside((left + right - side) / 2, side, w), _inside((top + bottom - side) / 2, side, h), side
    )


def place_of(map: Tensor, preferred: Tensor | None = None) -> Place | None:
    """The place of one face in a soft mask [h, w]; None where there is none.

    preferred: [1, 1, h, w] in [0, 1], a selection that decides between several faces; else the largest
    counts.
    """
    h, w = map.shape
    shrunk = min(1.0, _GRID / max(h, w))
    rows, columns = max(1, round(h * shrunk)), max(1, round(w * shrunk))
    soft = F.interpolate(map[None, None].float(), (rows, columns), mode="area")
    sure = (soft >= _SURE).float()
    weight = F.avg_pool2d(soft, 9, 1, 4) * sure
    if preferred is not None:
        weight = weight * (F.interpolate(preferred.float(), (rows, columns), mode="area") + 1e-3)
    if weight.amax() <= 0.0:
        return None
    one = torch.zeros_like(sure)
    one.view(-1)[weight.argmax()] = 1.0
    while not torch.equal(wider := F.max_pool2d(one, 3, 1, 1) * sure, one):
        one = wider
    if one.mean() < _LEAST:
        return None
    soft = (soft * F.max_pool2d(one, 3, 1, 1))[0, 0].double()
    x = (torch.arange(columns, device=map.device) + 0.5).double() * (w / columns)
    y = (torch.arange(rows, device=map.device) + 0.5).double() * (h / rows)
    total, across = soft.sum(), soft.sum(0)
    middle = (across * x).sum() / total
    spread = 2.0 * ((across * (x - middle).square()).sum() / total).sqrt()
    if spread <= 0.0:
        return None
    certain = (soft * one[0, 0]).sum() / one.sum()
    return Place(float(middle), float((soft.sum(1) * y).sum() / total), float(spread), float(certain))


def _framed(place: Place, framing: Framing) -> Frame:
    half = place.spread / framing.spread
    return Frame(place.x - (framing.x + 1.0) * half, place.y - (framing.y + 1.0) * half, 2.0 * half)


def _whole_or(
    frame: Frame,
    image: Tensor,
    framing: Framing,
    s: int,
    unlikely: Callable[[Tensor], float] | None,
    looked: Callable[[int, int], None],
) -> Frame:
    """The largest square of the picture near the frame, if that is likelier; else the frame, as it fits."""
    h, w = image.shape[-2:]
    side = float(min(h, w))
    half, other = frame.side / 2.0, side / 2.0
    left, top = (
        _inside(start + half - other, side, length) for start, length in ((frame.left, w), (frame.top, h))
    )
    square = Frame(left, top, side)
    scaled = abs(math.log(side / frame.side)) / max(framing.scaled, _SCALED)
    moved = max(abs(left + other - frame.left - half), abs(top + other - frame.top - half)) / other
    misfit = max(scaled, moved / max(framing.moved, _MOVED))
    if unlikely is None:
        return square if misfit <= _DEVIATIONS else frame
    if misfit <= 2.0 * _DEVIATIONS and unlikely(square.take(image, s)) <= unlikely(frame.take(image, s)):
        return square
    return _fitted(frame, image, s, unlikely, looked)


def _fitted(
    frame: Frame,
    image: Tensor,
    s: int,
    unlikely: Callable[[Tensor], float],
    looked: Callable[[int, int], None],
) -> Frame:
    """The frame moved and scaled to where the generator explains the picture best: a segmenter is a tenth of
    the side off at times, and an edit of a code that is read so far off draws a second outline.

    The exploratory moves of Hooke & Jeeves (1961, "Direct Search"): each axis is tried one way and then the
    other, first the way that helped last, and a step that helps is taken at once. Steps are halved where none
    helps. Each look makes a picture, which takes a large generator seconds, so it has few.
    """
    step, least = _STEP, unlikely(frame.take(image, s))
    ways = {"across": 1.0, "down": 1.0, "size": 1.0}
    looks, most = 0, _FITTING if s <= _LARGE else _FEW
    while step >= _FINE and looks < most:
        helped = False
        for axis in ways:
            for way in (ways[axis], -ways[axis]):
                one = _nudged(frame, axis, way * step)
                if looks >= most or not _plausible(one, image):
                    continue
                looks += 1
                looked(looks, most)
                reached = unlikely(one.take(image, s))
                if reached < least:
                    least, frame, ways[axis], helped = reached, one, way, True
                    break
        if not helped:
            step /= 2.0
    return frame


def _nudged(frame: Frame, axis: str, by: float) -> Frame:
    """The frame moved along an axis by a share of its side, or scaled about its middle."""
    left, top, side = frame.left, frame.top, frame.side
    if axis == "size":
        wider = (1.0 + by if by > 0.0 else 1.0 / (1.0 - by)) * side
        return Frame(left - (wider - side) / 2.0, top - (wider - side) / 2.0, wider)
    return Frame(left + by * side, top, side) if axis == "across" else Frame(left, top + by * side, side)


def _inside(start: float, length: float, limit: int) -> float:
    """The start of a span moved into [0, limit]; a span longer than that keeps its middle."""
    return start if length > limit else min(max(start, 0.0), limit - length)
