"""The beard, from stubble to chest length."""

from __future__ import annotations

import numpy as np

from ..raster import Canvas, Colour, blob, ellipse, smoothstep, waves
from .head import Head
from .scene import Portrait

#: Beards are darker and duller than the hair above them; a red one is copper, not orange.
BEARD_PAINT: dict[str, Colour] = {
    "black": (0.095, 0.080, 0.080),
    "brown": (0.30, 0.175, 0.10),
    "blond": (0.72, 0.56, 0.29),
    "red": (0.60, 0.235, 0.085),
    "grey": (0.63, 0.63, 0.64),
}


def paint_beard(canvas: Canvas, scene: Portrait, head: Head) -> None:
    """Beard and moustache, drawn before the mouth so that the lips lie on top."""
    rng = np.random.default_rng(scene.identity.texture + 1)
    length = scene.beard_length
    rough = waves(head.u, head.v, rng, 42.0, 16.0) * 0.018
    au = np.abs(head.f)
    cheek = 0.425 - 0.47 * smoothstep(0.34, 0.80, au) - 0.045 * np.exp(-((au / 0.16) ** 2))
    # the face's outline, extended below the chin and outwards
    drop = 0.62 * max(length - 0.08, 0.0) ** 1.5
    grow = 0.09 * smoothstep(0.0, 0.7, np.float32(length))
    taper = head.jaw - 0.55 * smoothstep(0.4, 1.0, np.float32(length))
    mass = ellipse(head.u, head.v, 0.0, 0.0, head.width + grow, head.chin + grow + drop, taper)
    locks = waves(head.u, 0.3 * head.v, rng, 26.0, 6.0) * 0.05 * length * smoothstep(0.7, 1.3, head.v)
    outer = mass + 0.02 + (0.6 + 1.2 * length) * rough + locks
    shape = np.maximum(outer, (cheek - head.g) * 1.6 + 1.6 * rough)
    shape = np.maximum(shape, -0.05 - head.v)
    thick = float(0.58 + 0.40 * smoothstep(0.0, 0.34, np.float32(length)))
    edge = canvas.cover(shape, 0.03 * (1.0 - length) ** 2)
    strands = waves(head.f * (1.0 + 0.5 * (head.g - 0.4)), head.g, rng, 70.0, 14.0, 5)
    alpha = edge * np.clip(thick + 0.30 * (1.0 - thick) * strands, 0.0, 1.0)
    below = canvas.cover(shape - 0.02, 0.10) * (1.0 - edge) * smoothstep(0.7, 1.0, head.v)
    canvas.shade((0.60, 0.54, 0.54), 0.7 * length * below * (1.0 - canvas.share("background")))
    tone = 0.40 + 0.62 * head.lit + 0.17 * strands - 0.20 * smoothstep(0.85, 1.10, head.g)
    tone = tone + 0.14 * smoothstep(1.05, 1.6, head.v) + 0.10 * np.sign(head.light) * head.u * length
    # darker hair is warmer, not greener; grey stays grey
    warmth = (1.0, 1.0, 1.0) if scene.hair_colour == "grey" else (0.88, 1.04, 1.12)
    base = np.asarray(BEARD_PAINT[scene.hair_colour], np.float32)
    colour = base * np.clip(tone, 0.2, 1.35)[..., None] ** np.asarray(warmth, np.float32)
    canvas.paint(np.clip(colour, 0.0, 1.0), alpha, "beard", edge * min(1.0, thick + 0.05))
    canvas.shade((0.72, 0.70, 0.69), alpha * 0.55 * blob(head.f, head.g, 0.0, 0.66, 0.20, 0.05))
    rim = smoothstep(-0.10, 0.0, outer) * edge
    canvas.shade((0.80, 0.78, 0.77), 0.6 * rim * thick)
