"""The building on the hill, a castle or a house; windows shine at night."""

from __future__ import annotations

import numpy as np

from ..raster import Canvas, Colour, Field, blob, each, smoothstep
from .field import Noise, part
from .ground import Ground
from .light import SNOW, Light
from .scene import Landscape

STONE: Colour = (0.68, 0.63, 0.56)
SLATE: tuple[Colour, ...] = ((0.30, 0.36, 0.50), (0.56, 0.26, 0.22))
PLASTER: tuple[Colour, ...] = ((0.93, 0.89, 0.80), (0.90, 0.80, 0.62), (0.80, 0.44, 0.36))
TILES: tuple[Colour, ...] = ((0.66, 0.27, 0.18), (0.44, 0.28, 0.22))
LAMP: Colour = (1.0, 0.82, 0.42)


class Mason:
    """Paints the parts of one building in its own coordinates: u to the right, v up, the height is 1."""

    def __init__(self, canvas: Canvas, scene: Landscape, light: Light, ground: Ground) -> None:
        self.canvas, self.scene, self.light = canvas, scene, light
        self.size = 0.41 + 0.07 * scene.layout.building_size
        self.u = (canvas.x - ground.hill_x) / self.size
        self.v = (ground.hill_y + 0.040 - canvas.y) / self.size
        self.grain = Noise(scene.layout.texture + 12)(self.u * 26.0, self.v * 34.0)
        self.side = scene.layout.light
        self.dark = scene.time in ("night", "sunset")

    def lay(self, f: Field, albedo: Colour, lit: Field | float, element: bool = True) -> None:
        shade = np.clip(lit + 0.07 * self.grain, 0.0, 1.0)
        cover = self.canvas.cover((f * self.size).astype(np.float32))
        self.canvas.paint(self.light.on(albedo, shade), cover, self.scene.building if element else None)

    def box(self, left: float, bottom: float, right: float, top: float) -> Field:
        return np.maximum(
            np.abs(self.u - 0.5 * (left + right)) - 0.5 * (right - left),
            np.abs(self.v - 0.5 * (bottom + top)) - 0.5 * (top - bottom),
        )

    def wall(
        self, left: float, bottom: float, right: float, top: float, albedo: Colour, round_: bool
    ) -> None:
        """A wall lit from the side; a round tower turns from light to shadow."""
        turn = (self.u - 0.5 * (left + right)) / (0.5 * (right - left)) * self.side
        lit = 0.50 + (0.40 * np.clip(turn, -1.0, 1.0) if round_ else 0.08 * turn)
        self.lay(self.box(left, bottom, right, top), albedo, lit)

    def roof(self, middle: float, half: float, bottom: float, top: float, albedo: Colour) -> None:
        """A pointed roof; snow covers it from the ridge down, by its degree."""
        fall = (top - self.v) / (top - bottom)
        slope = half / float(np.hypot(half, top - bottom))
        f = np.maximum((np.abs(self.u - middle) - half * fall) * (1.0 - slope + 0.2), bottom - self.v)
        lit = 0.52 + 0.34 * np.clip(self.side * (self.u - middle) / half * 2.2, -1.0, 1.0)
        self.lay(f, albedo, lit)
        self.snow_on(f, fall, lit)

    def snow_on(self, f: Field, fall: Field, lit: Field) -> None:
        snow = self.scene.snow
        if snow:
            white = smoothstep(0.08, -0.08, fall - 0.12 - 1.2 * snow + 0.12 * self.grain)
            cover = self.canvas.cover((f * self.size).astype(np.float32)) * white
            self.canvas.paint(self.light.on(SNOW, 0.35 + 0.6 * np.clip(lit, 0, 1)), cover, "snow")

    def window(self, x: float, y: float, half: float, high: float) -> None:
        f = self.box(x - half, y - high, x + half, y + high)
        cover = self.canvas.cover((f * self.size).astype(np.float32))
        self.canvas.paint(LAMP if self.dark else (0.16, 0.18, 0.24), 0.95 * cover)
        if self.scene.time == "night":
            self.canvas.glow(0.35, blob(self.u, self.v, x, y, 0.10, 0.10) * np.float32(0.8))


def paint_building(canvas: Canvas, scene: Landscape, light: Light, ground: Ground) -> None:
    if scene.building == "none":
        return
    reach = 0.41 + 0.07 * scene.layout.building_size
    window = part(
        canvas,
        ground.hill_x - 0.85 * reach,
        ground.hill_y - 1.15 * reach,
        ground.hill_x + 0.85 * reach,
        ground.hill_y + 0.30 * reach,
    )
    if window is None:
        return
    drop = -scene.layout.light
    foot = blob(
        window.x,
        window.y,
        ground.hill_x + 0.3 * drop * reach,
        ground.hill_y + 0.05,
        0.55 * reach,
        0.10 * reach,
    )
    window.shade((0.50, 0.52, 0.62), 0.8 * foot)
    mason = Mason(window, scene, light, ground)
    (_castle if scene.building == "castle" else _house)(mason)


def _castle(m: Mason) -> None:
    """A keep between round towers with pointed roofs, a wall with battlements and a gate."""
    slate = SLATE[m.scene.layout.texture % 2]
    m.wall(-0.13, 0.0, 0.13, 0.72, STONE, False)
    m.roof(0.0, 0.17, 0.70, 1.02, slate)
    for x, half, top in ((-0.30, 0.075, 0.58), (0.31, 0.085, 0.66)):
        m.wall(x - half, 0.0, x + half, top, STONE, True)
        m.roof(x, half * 1.35, top - 0.01, top + 0.27, slate)
    teeth = np.where(np.sin(m.u * 62.0) > 0.0, 0.0, 0.035)
    for left, right, top in ((-0.56, 0.56, 0.27),):
        wall = np.maximum(m.box(left, -0.06, right, top + 0.035), m.v - top - teeth)
        m.lay(wall, each(lambda c: 0.95 * c, STONE), 0.48 + 0.12 * m.side * m.u)
        m.snow_on(wall, (top + 0.03 - m.v) / 0.30 + 0.25, np.full_like(m.u, 0.5))
    for x in (-0.56, 0.56):
        m.wall(x - 0.075, -0.07, x + 0.075, 0.36, STONE, True)
        m.roof(x, 0.105, 0.35, 0.56, slate)
    gate = np.maximum(np.hypot(m.u, np.maximum(m.v - 0.08, 0.0)) - 0.075, -0.06 - m.v)
    m.lay(gate, (0.20, 0.14, 0.10), 0.3)
    for x, y in ((0.0, 0.56), (-0.055, 0.42), (0.055, 0.42), (-0.30, 0.44), (0.31, 0.50), (0.31, 0.37)):
        m.window(x, y, 0.020, 0.038)
    pole = m.box(-0.008, 1.0, 0.008, 1.10)
    m.lay(pole, (0.3, 0.25, 0.2), 0.5)
    flag = m.box(0.0, 1.045, 0.12, 1.105)
    m.lay(flag, (0.86, 0.16, 0.14), 0.75)


def _house(m: Mason) -> None:
    """A cottage: gable to the front, a long roof beside it, a chimney, a door and windows."""
    texture = m.scene.layout.texture
    plaster, tile = PLASTER[texture % 3], TILES[texture // 3 % 2]
    m.wall(0.26, 0.5, 0.35, 0.88, (0.62, 0.36, 0.28), False)
    if m.scene.snow:
        m.snow_on(m.box(0.25, 0.86, 0.36, 0.90), np.zeros_like(m.u), np.full_like(m.u, 0.8))
    m.wall(-0.10, -0.04, 0.52, 0.40, plaster, False)
    fall = (0.76 - m.v) / 0.40
    lean = 0.16 * np.clip(fall, 0.0, 1.0)
    long_roof = np.maximum(np.abs(m.u - 0.22) - 0.24 - lean, np.abs(m.v - 0.56) - 0.20)
    rows = 0.10 * np.sin(m.v * 75.0)
    m.lay(long_roof, tile, 0.55 + rows + 0.10 * m.side)
    m.snow_on(long_roof, fall, np.full_like(m.u, 0.62))
    gable = np.maximum(m.box(-0.50, -0.05, 0.06, 0.82), (np.abs(m.u + 0.22) * 1.25 + m.v - 0.78) * 0.62)
    m.lay(gable, plaster, 0.62 + 0.16 * m.side)
    eave = np.abs(m.u + 0.22) * 1.25 + m.v - 0.80
    edge = np.maximum(np.abs(eave) * 0.62 - 0.038, np.maximum(0.36 - m.v, np.abs(m.u + 0.22) - 0.36))
    lit = 0.5 + 0.34 * np.clip(m.side * (m.u + 0.22) * 6.0, -1.0, 1.0)
    m.lay(edge, tile, lit)
    m.snow_on(edge, (0.82 - m.v) / 0.46, lit)
    m.lay(m.box(-0.285, -0.06, -0.155, 0.20), (0.36, 0.20, 0.12), 0.5)
    m.window(-0.22, 0.44, 0.055, 0.060)
    m.window(-0.40, 0.16, 0.050, 0.060)
    for x in (0.17, 0.37):
        m.window(x, 0.18, 0.055, 0.062)
