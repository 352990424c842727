"""The wall, the table, and the cloth on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..raster import Canvas, Colour, Field, blob, mix, smoothstep, waves
from .scene import Table
from .solids import TILT, Light

WALL_PAINT: dict[str, Colour] = {
    "grey": (0.60, 0.60, 0.60),
    "white": (0.86, 0.85, 0.82),
    "blue": (0.40, 0.58, 0.80),
    "green": (0.50, 0.66, 0.50),
    "pink": (0.92, 0.66, 0.70),
    "yellow": (0.94, 0.82, 0.46),
}
TABLE_PAINT: dict[str, Colour] = {
    "brown": (0.60, 0.40, 0.24),
    "white": (0.84, 0.83, 0.81),
    "black": (0.17, 0.155, 0.15),
}
CLOTH_PAINT: dict[str, Colour] = {
    "red": (0.76, 0.13, 0.13),
    "blue": (0.16, 0.34, 0.68),
    "green": (0.20, 0.50, 0.27),
    "yellow": (0.94, 0.78, 0.28),
    "white": (0.95, 0.94, 0.91),
}


@dataclass(frozen=True)
class Ground:
    """The plane of the table; its coordinates `across` and `deep` are in picture units at its middle."""

    edge: Field  # picture y of the far edge
    across: Field
    deep: Field
    inside: Field


def make_ground(canvas: Canvas, scene: Table) -> Ground:
    a = scene.arrangement
    edge = (0.06 + 0.15 * a.horizon + 0.012 * a.tilt * canvas.x).astype(np.float32)
    far = np.maximum(canvas.y - edge + 1.15, 0.3)  # lines into depth meet 1.15 above the edge
    across = canvas.x * 1.55 / far
    deep = -(1.55 * 1.55 / TILT) / far
    inside = np.clip(0.5 + (canvas.y - edge) / canvas.pixel, 0.0, 1.0)
    return Ground(edge, across, deep, inside)


def paint_wall(canvas: Canvas, scene: Table, light: Light) -> None:
    """A painted wall, out of focus: a pool of light, and the blurred shape of a window."""
    a = scene.arrangement
    x, y = canvas.x, canvas.y
    side = np.sign(light.x)
    pool = blob(x, y, 0.75 * light.x, -0.45, 1.25, 1.05)
    rng = np.random.default_rng(a.texture + 6)
    level = 0.72 + 0.28 * pool + 0.018 * waves(x, y, rng, 4.0, 4.0)
    # slanted panes of sunlight, out of focus
    px = (x - 0.35 * a.window + 0.30 * side * (y + 0.4)) / 0.55
    py = (y + 0.50 - 0.12 * a.window) / 0.62
    soft = 0.12 + 0.25 * (1.0 - a.hardness)
    panes = smoothstep(1.0 + soft, 1.0 - soft, np.abs(px)) * smoothstep(1.0 + soft, 1.0 - soft, np.abs(py))
    bars = np.minimum(np.abs(px), np.abs(py + 0.1))
    panes *= 1.0 - 0.6 * smoothstep(0.05 + 0.8 * soft, 0.02, bars)
    level += 0.24 * max(0.0, a.hardness - 0.25) * panes
    level -= 0.16 * smoothstep(0.85, 1.5, np.hypot(x, y + 0.2))
    level = level - 0.5 * np.maximum(level - 1.02, 0.0)  # bright tones saturate slowly
    base = np.asarray(WALL_PAINT[scene.wall], np.float32)
    cool = np.stack([level**1.06, level, level**0.92], axis=-1)
    canvas.rgb[:] = np.clip(base * cool, 0.0, 1.0)


def paint_table(canvas: Canvas, scene: Table, light: Light, ground: Ground) -> None:
    a = scene.arrangement
    rng = np.random.default_rng(a.texture + 7)
    u, v = ground.across, ground.deep
    near = smoothstep(0.0, 0.5, canvas.y - ground.edge)
    # boards run from left to right with their grain along them
    row = v / 1.15 + 0.5 * a.window
    board = np.floor(row)
    shift = np.sin(board * 12.9898 + a.texture % 97) * 3.0
    bend = 0.10 * np.sin(2.1 * u + shift) + 0.05 * np.sin(4.7 * u + 2.0 * shift)
    lines = 0.6 * np.sin(21.0 * (v + bend) + shift) + 0.4 * np.sin(43.0 * (v + 0.6 * bend) + 2.0 * shift)
    lines = lines * (0.55 + 0.45 * waves(u, v, rng, 3.0, 2.0, 3)) * (0.3 + 0.7 * near)
    base = np.asarray(TABLE_PAINT[scene.table], np.float32)
    strength = {"brown": 0.17, "white": 0.05, "black": 0.12}[scene.table]
    level = 0.92 + 0.34 * blob(canvas.x, canvas.y, 0.7 * light.x, 0.35, 1.1, 0.8) + strength * lines
    level = level + 0.05 * np.sin(board * 7.31 + a.texture % 31)
    crack = np.abs(row - np.round(row)) * 1.15
    level = level * (1.0 - (0.45 if scene.table != "white" else 0.22) * smoothstep(0.035, 0.0, crack) * near)
    rgb = np.clip(base * level[..., None], 0.0, 1.0)
    # varnish reflects the wall at a low angle
    wall = np.asarray(WALL_PAINT[scene.wall], np.float32)
    sheen = (0.26 - 0.20 * near) * (0.8 + 0.4 * blob(canvas.x, canvas.y, 0.5 * light.x, 0.2, 0.6, 0.5))
    rgb = mix(rgb, 0.95 * wall, sheen)
    canvas.paint(rgb, ground.inside, "table")
    canvas.shade((0.55, 0.52, 0.52), 0.55 * ground.inside * smoothstep(0.03, 0.0, canvas.y - ground.edge))
    canvas.shade(
        (0.62, 0.60, 0.62), 0.5 * (1 - ground.inside) * smoothstep(-0.16, 0.0, canvas.y - ground.edge)
    )


def paint_cloth(canvas: Canvas, scene: Table, light: Light, ground: Ground) -> None:
    """A cloth over most of the table, slightly wavy, with a hem."""
    a = scene.arrangement
    rng = np.random.default_rng(a.texture + 8)
    u, v = ground.across, ground.deep
    side = 1.0 if a.window > 0.0 else -1.0
    back = ground.edge + 0.055 + 0.012 * np.sin(4.0 * u + 3.0 * a.depth) + 0.03 * side * u
    end = side * u - 1.05 - 0.08 * a.tilt + 0.02 * np.sin(3.0 * v)
    f = np.maximum(back - canvas.y, end)
    inside = canvas.cover(f)
    canvas.shade((0.35, 0.32, 0.33), 0.38 * smoothstep(0.06, -0.01, f) * ground.inside * (1.0 - inside))
    white = np.asarray((0.95, 0.94, 0.91), np.float32)
    paint = np.asarray(CLOTH_PAINT[scene.cloth_colour], np.float32)
    # white cloth is patterned in grey blue, every other colour in white
    other = np.asarray((0.50, 0.58, 0.68), np.float32) if scene.cloth_colour == "white" else white
    folds = waves(u, v, rng, 3.5, 1.6, 3)
    slip = 0.012 * folds
    if scene.cloth == "striped":
        rgb = mix(paint, other, _bands(canvas, u + slip, 0.30))
    elif scene.cloth == "checked":
        one, two = _bands(canvas, u + slip, 0.30), _bands(canvas, v + 1.3 + slip, 0.30)
        rgb = mix(paint, other, 0.5 * (one + two))  # gingham: threads of both colours cross
    else:
        rgb = np.broadcast_to(paint, canvas.rgb.shape)
    level = 0.85 + 0.09 * folds + 0.16 * blob(canvas.x, canvas.y, 0.7 * light.x, 0.4, 1.1, 0.8)
    hem = smoothstep(0.012, 0.0, np.abs(f + 0.03))
    level = level * (1.0 - 0.09 * hem)
    canvas.paint(np.clip(rgb * level[..., None], 0.0, 1.0), inside, "tablecloth")


def _bands(canvas: Canvas, w: Field, period: float) -> Field:
    """Anti-aliased bands along w: 1 on every other band, else 0."""
    wave = np.abs((w / period) % 2.0 - 1.0) - 0.5
    dy, dx = np.gradient(w / period)
    # the slope of w; that of the wave jumps at its corners
    slope = np.hypot(dx, dy) + 1e-6
    return np.clip(0.5 - wave / np.maximum(slope, 1e-4), 0.0, 1.0)
