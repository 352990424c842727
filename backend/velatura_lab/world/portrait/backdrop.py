"""The background of a portrait: a studio backdrop, or a place out of focus."""

from __future__ import annotations

import numpy as np

from ..raster import RGB, Canvas, Colour, Field, blob, mix, smoothstep, waves
from .scene import Portrait

BACKDROPS: dict[str, Colour] = {
    "grey": (0.55, 0.55, 0.54),
    "blue": (0.38, 0.60, 0.84),
    "green": (0.42, 0.62, 0.42),
    "pink": (0.93, 0.62, 0.70),
    "orange": (0.93, 0.58, 0.26),
    "white": (0.93, 0.92, 0.90),
}
SPINES = np.asarray(
    (
        (0.45, 0.14, 0.12),
        (0.16, 0.24, 0.38),
        (0.62, 0.50, 0.30),
        (0.20, 0.32, 0.22),
        (0.70, 0.64, 0.54),
        (0.34, 0.20, 0.14),
    ),
    np.float32,
)


def paint_backdrop(canvas: Canvas, scene: Portrait) -> None:
    """Fill the canvas, with a soft pool of light on the lit side and darker corners."""
    s = scene.setting
    rng = np.random.default_rng(scene.identity.texture + 6)
    pool = blob(canvas.x, canvas.y, -0.55 * s.light, -0.15, 0.9, 1.0)
    mottle = waves(canvas.x, canvas.y, rng, 3.5, 3.5)
    tone = 0.84 + 0.22 * pool + 0.025 * mottle - 0.10 * smoothstep(0.9, 1.6, np.hypot(canvas.x, canvas.y))
    if scene.background in BACKDROPS:
        base = np.asarray(BACKDROPS[scene.background], np.float32)
    else:
        base = {"brick wall": _bricks, "bookshelf": _books, "park": _park}[scene.background](canvas, rng)
    canvas.rgb[:] = np.clip(base * tone[..., None], 0.0, 1.0)


def _number(row: Field, column: Field, seed: float) -> Field:
    """A fixed number in 0..1 for each cell of a grid."""
    t = np.sin(row * 127.1 + column * 311.7 + seed) * 437.58
    return (t - np.floor(t)).astype(np.float32)


def _bricks(canvas: Canvas, rng: np.random.Generator) -> RGB:
    seed, high, wide = rng.uniform(0.0, 6.0), 0.165, 0.40
    row = np.floor(canvas.y / high)
    along = canvas.x / wide + 0.5 * (row % 2)
    column = np.floor(along)
    # distance to the nearest joint, in picture units
    joint = np.minimum(
        (0.5 - np.abs(canvas.y / high - row - 0.5)) * high, (0.5 - np.abs(along - column - 0.5)) * wide
    )
    tone = 0.80 + 0.34 * _number(row, column, seed)
    brick = np.stack([0.60 * tone, 0.31 * tone, 0.24 * tone], -1)
    return mix((0.70, 0.64, 0.58), brick, smoothstep(-0.006, 0.034, joint))


def _books(canvas: Canvas, rng: np.random.Generator) -> RGB:
    """Shelves of spines, softly out of focus."""
    seed, high, wide = rng.uniform(0.0, 6.0), 0.62, 0.15
    shelf = np.floor((canvas.y + 0.1) / high)
    below = (canvas.y + 0.1) - shelf * high  # 0 at the shelf's top
    x = canvas.x + 0.035 * np.sin(9.0 * canvas.x + 4.0 * shelf + seed) + 0.03 * shelf
    book = np.floor(x / wide)
    inside = (x / wide - book - 0.5) * 2.0
    pick = _number(shelf, book, seed)
    spine = SPINES[np.minimum((pick * len(SPINES)).astype(int), len(SPINES) - 1)]
    spine = spine * (1.0 - 0.35 * inside**4)[..., None]
    band = np.exp(-(((below - 0.24 - 0.1 * _number(shelf, book, seed + 1.0)) / 0.030) ** 2))
    spine = spine + (0.18 * band)[..., None]
    top = 0.10 + 0.12 * _number(shelf, book, seed + 2.0)
    solid = smoothstep(-0.05, 0.05, below - top) * smoothstep(1.10, 0.40, np.abs(inside))
    back = mix((0.20, 0.145, 0.115), spine, solid)
    wood = smoothstep(0.525, 0.575, below) * smoothstep(0.0, 0.04, high - below)
    return mix(back, (0.50, 0.34, 0.20), wood)


def _park(canvas: Canvas, rng: np.random.Generator) -> RGB:
    """Foliage far out of focus: discs of light between leaves, a lawn below."""
    x, y = canvas.x, canvas.y
    leaves = 0.5 + 0.5 * waves(x, y, rng, 5.0, 5.0, 5)
    paint = mix((0.15, 0.30, 0.13), (0.42, 0.58, 0.24), np.clip(leaves, 0.0, 1.0))
    paint = mix(paint, (0.47, 0.66, 0.26), smoothstep(0.25, 0.55, y))
    sky = smoothstep(-0.35, -1.15, y + 0.25 * waves(x, y, rng, 4.0, 2.0))
    paint = mix(paint, (0.80, 0.90, 0.90), 0.75 * sky)
    for _ in range(12):
        cx, cy, radius = rng.uniform(-1.0, 1.0), rng.uniform(-1.0, 0.2), rng.uniform(0.07, 0.17)
        bright = rng.uniform(0.12, 0.38)
        disc = smoothstep(radius, radius * 0.86, np.hypot(x - cx, y - cy))
        paint = paint + (bright * disc)[..., None] * (np.asarray((0.95, 1.0, 0.70), np.float32) - paint)
    return paint
