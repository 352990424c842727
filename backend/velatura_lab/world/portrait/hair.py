"""Hair: an outer shape and a hairline for each style, and strands along the shape."""

from __future__ import annotations

import numpy as np

from ..raster import RGB, Canvas, Field, blob, ellipse, smoothstep, waves
from .face import HAIR_PAINT
from .head import Head
from .scene import Portrait


def _size(scene: Portrait) -> tuple[float, float, float]:
    """Height of the crown, distance of the sides from the head, and lower end of the hair."""
    length, volume = scene.hair_length, 0.03 * scene.identity.hair_volume
    if scene.hair_style == "long":
        return 1.13 + volume, 0.15 + volume, 0.96 + 0.80 * length
    if scene.hair_style == "curly":
        return 1.18 + 0.12 * length + volume, 0.19 + 0.20 * length + volume, 0.14 + 1.36 * length
    if scene.hair_style == "bob":
        return 1.12 + volume, 0.17 + volume, 0.80
    return 1.10 + volume, 0.07 + volume, 0.12


def _half_width(scene: Portrait, head: Head) -> Field:
    """Half-width of the hair's mass at each height (0 above the crown)."""
    top, side, end = _size(scene)
    side += head.width
    cap = side * np.clip(1.0 - np.abs(np.minimum(head.v, 0.0) / top) ** 2.25, 0.0, 1.0) ** 0.45
    if scene.hair_style == "long":
        return cap + 0.16 * smoothstep(0.1, 1.3, head.v)
    if scene.hair_style == "bob":
        return cap + 0.07 * smoothstep(-0.1, 0.5, head.v) - 0.10 * smoothstep(0.55, 0.85, head.v)
    if scene.hair_style == "curly":
        return cap - 0.22 * smoothstep(end - 0.55, end + 0.25, head.v)
    return cap


def _outer(scene: Portrait, head: Head) -> Field:
    """Implicit outer shape of the hair."""
    rng = np.random.default_rng(scene.identity.texture + 2)
    top, side, end = _size(scene)
    side += head.width
    crown = ellipse(head.u, head.v, 0.0, 0.0, side, top, 2.25)
    shape = np.where(head.v < 0.0, crown, (np.abs(head.u) - _half_width(scene, head)) / side)
    shape = np.maximum(shape, head.v - end - 0.05 * np.cos(head.u * 3.0))
    if scene.hair_style == "curly":
        shape = shape + 0.065 * waves(head.u, head.v, rng, 15.0, 15.0, 6) - 0.03
        if scene.hat == "none":
            return shape
        # a hat presses curls to the head
        dome = np.sqrt(np.clip(1.0 - (np.minimum(head.v + 0.40, 0.0) / 0.72) ** 2, 0.0, 1.0))
        half = (head.width + 0.07) * dome + 1.4 * np.maximum(head.v + 0.50, 0.0)
        return np.maximum(shape, np.abs(head.u) - half)
    return shape + 0.012 * waves(head.u, head.v, rng, 9.0, 9.0)


def _hairline(scene: Portrait, head: Head) -> Field:
    """Negative where hair lies over the forehead and temples."""
    part = 0.16 * scene.identity.hair_part
    off = np.abs(head.u - part * smoothstep(0.0, -0.9, head.v))
    if scene.hair_style == "short":
        rng = np.random.default_rng(scene.identity.texture + 3)
        line = -0.60 + 0.06 * scene.identity.hair_part * head.u + 0.72 * (np.abs(head.u) / head.width) ** 7
        return head.v - line + 0.03 * waves(head.u, head.v, rng, 14.0, 3.0)
    if scene.hair_style == "curly":
        rng = np.random.default_rng(scene.identity.texture + 3)
        line = -0.52 + 1.3 * (np.abs(head.u) / (head.width + 0.10)) ** 6
        return head.v - line + 0.06 * waves(head.u, head.v, rng, 14.0, 12.0, 6)
    if scene.hair_style == "bob":  # a straight fringe
        rng = np.random.default_rng(scene.identity.texture + 3)
        line = (
            -0.40
            + 0.02 * waves(head.u, head.v, rng, 30.0, 2.0)
            + 2.4 * smoothstep(head.width * 0.80, head.width * 1.12, np.abs(head.u))
        )
        return head.v - line
    line = (
        -0.74
        + 1.0 * (off / 0.70) ** 2.2
        + 2.0 * smoothstep(head.width * 0.82, head.width * 1.15, np.abs(head.u))
    )
    return head.v - line


def _tone(scene: Portrait, head: Head, depth: float) -> RGB:
    rng = np.random.default_rng(scene.identity.texture + 4)
    base = np.asarray(HAIR_PAINT[scene.hair_colour], np.float32)
    if scene.hair_style == "curly":
        grain = 0.9 * waves(head.u, head.v, rng, 26.0, 26.0, 6)
    else:
        half = _half_width(scene, head)
        flow = head.u / np.maximum(half, 0.25)
        grain = waves(flow, head.v * 0.5, rng, 34.0, 3.0, 5) + 0.35 * waves(
            flow, head.v * 0.5, rng, 80.0, 3.0, 3
        )
    radius = np.sqrt(head.u**2 + head.v**2)
    sheen = np.exp(-(((radius - 0.92) / 0.13) ** 2)) * smoothstep(-0.1, -0.6, head.v)
    tone = 0.50 + 0.58 * head.lit + 0.11 * grain + depth
    warmth = (1.0, 1.0, 1.0) if scene.hair_colour == "grey" else (0.90, 1.02, 1.08)
    colour = base * np.clip(tone, 0.15, 1.4)[..., None] ** np.asarray(warmth, np.float32)
    lift = 0.20 * sheen * np.clip(head.lit + 0.3 * grain, 0.0, 1.0)
    return np.clip(colour + lift[..., None] * (np.sqrt(base) - 0.3 * base), 0.0, 1.0)


def paint_hair_behind(canvas: Canvas, scene: Portrait, head: Head) -> None:
    """The mass of hair behind neck and face."""
    if scene.hair_style in ("none", "short"):
        return
    canvas.paint(_tone(scene, head, -0.20), canvas.cover(_outer(scene, head)), "hair")


def paint_hair_front(canvas: Canvas, scene: Portrait, head: Head) -> None:
    """The hair over forehead and temples, long hair over the shoulders too, and its shadow on the face."""
    outer, line = _outer(scene, head), _hairline(scene, head)
    if scene.hair_style == "long":  # locks over the shoulders, outside face and neck
        lock = head.width * 0.86 - 0.10 * smoothstep(0.3, 1.0, head.v) + 0.03 * np.sin(head.v * 5.0)
        line = np.where(head.v < 0.15, line, np.maximum(line, lock - np.abs(head.u)))
    elif scene.hair_style == "curly":
        lock = head.width * 1.02 - 0.10 * smoothstep(0.4, 1.0, head.v)
        line = line + smoothstep(0.05, 0.40, head.v) * (lock - np.abs(head.u) - line)
    shape = np.maximum(outer, line)
    cast = canvas.cover(np.maximum(head.outline(), line - 0.10), 0.10) * (1.0 - canvas.cover(shape))
    canvas.shade((0.72, 0.60, 0.57), 0.55 * cast * canvas.share("face"))
    canvas.paint(_tone(scene, head, 0.0), alpha := canvas.cover(shape), "hair")
    # strands turn away from the light at the edge; the dark edge separates hair from skin and backdrop
    canvas.shade((0.70, 0.68, 0.67), 0.7 * alpha * smoothstep(-0.06, 0.0, shape))
    if scene.hair_style == "short":
        canvas.shade(
            (0.8, 0.76, 0.74),
            0.5 * canvas.cover(shape) * blob(head.u, head.v, -0.5 * head.light, -0.5, 0.5, 0.5),
        )


def paint_scalp(canvas: Canvas, head: Head) -> None:
    """Light on a head without hair: a shine on top, shadow where the skull turns away at the sides."""
    inside = canvas.cover(head.outline()) * canvas.share("face")
    for side in (-1.0, 1.0):
        temple = blob(head.u, head.v, side * head.width, -0.50, 0.16, 0.42)
        canvas.shade((0.80, 0.72, 0.70), 0.6 * inside * temple)
    canvas.glow(0.22, inside * blob(head.u, head.v, 0.30 * head.light, -0.74, 0.26, 0.13))
