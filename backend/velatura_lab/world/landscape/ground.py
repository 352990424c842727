"""The plain, its hill, and the path between the mountains: river, street, lake, desert, meadow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

import numpy as np

from ..raster import Canvas, Field, blob, mix, smoothstep
from .backdrop import Ridge, paint_clouds, paint_mountains, paint_sky, paint_sun, sun_place
from .field import LINE, Noise, Profile, line_noise
from .light import GRASS, SAND, SNOW, Light
from .scene import ELEMENTS, Landscape, Layout


@overload
def course(p: Layout, t: float) -> float: ...
@overload
def course(p: Layout, t: Field) -> Field: ...
def course(p: Layout, t: Field | float) -> Field | float:
    """The course of river or street: x at the distance t (0 the plain's far edge, 1 the viewer)."""
    swing = 0.30 * p.bend * t**0.7 * np.sin(5.2 * t**0.55 + p.bend_phase)
    return p.valley * (1.0 - t) + 0.30 * p.drift * t + swing


@overload
def course_width(p: Layout, t: float) -> float: ...
@overload
def course_width(p: Layout, t: Field) -> Field: ...
def course_width(p: Layout, t: Field | float) -> Field | float:
    """Half the width of the course at the distance t."""
    return 0.012 + (0.25 + 0.05 * p.width) * t**1.2


@overload
def lake_width(p: Layout, t: float) -> float: ...
@overload
def lake_width(p: Layout, t: Field) -> Field: ...
def lake_width(p: Layout, t: Field | float) -> Field | float:
    """Half the width of the lake at the distance t, 0 outside it."""
    return (0.66 + 0.10 * p.width) * np.sqrt(np.maximum(1.0 - ((t - 0.33) / 0.27) ** 2, 0.0))


def lake_middle(p: Layout) -> float:
    return 0.6 * p.valley - 0.16 * p.side


@dataclass(frozen=True)
class Ground:
    """The shape of the land: its edge against the mountains, the hill's foot, the depth of each pixel."""

    top: Profile
    slope: Profile
    hill_x: float
    hill_y: float  # of the hill's top
    rng_seed: int

    @staticmethod
    def of(scene: Landscape) -> Ground:
        p = scene.layout
        rng = np.random.default_rng([p.texture, 31])
        x = p.side * p.hill
        high = 0.15 + 0.05 * p.mound
        bump = np.exp(-(np.abs((LINE - x) / (0.42 + 0.04 * p.mound)) ** 2.7))
        top = p.horizon - high * bump - 0.035 * line_noise(rng, 2.0, False, 3)
        profile = Profile(top)
        y = float(np.interp(x, LINE, top))
        return Ground(profile, profile.slope(0.25), x, y, p.texture + 4)


def distance(scene: Landscape, y: Field) -> Field:
    """0 at the horizon, 1 at the lower edge."""
    h = scene.layout.horizon
    return np.clip((y - h) / (1.0 - h), 0.0, 1.0)


def paint_ground(canvas: Canvas, scene: Landscape, light: Light, ground: Ground) -> None:
    p, x, y = scene.layout, canvas.x, canvas.y
    noise = Noise(ground.rng_seed)
    t = distance(scene, y)
    away = 1.0 / (t + 0.14)
    u = x * away
    away = away + 9.0 * np.maximum(p.horizon - y, 0.0)  # up the hill
    broad = noise.fractal(u * 1.6, away * 2.6, 3)
    tufts = x + 0.35 * y + 0.02 * broad
    blades = noise(tufts * (46.0 - 14.0 * t), (y - 0.2 * x) * 15.0 + 3.0 * broad) * (0.35 + 0.65 * t)
    inside = canvas.cover(ground.top(x) - y)
    dry, fresh = GRASS[scene.season]
    albedo = mix(dry, fresh, np.clip(0.5 + 0.9 * broad, 0.0, 1.0))
    if scene.path == "desert":
        albedo = mix(albedo, (0.66, 0.50, 0.30), np.full_like(t, 0.6))
    fall = np.clip(1.0 - 5.0 * t, 0.0, 1.0)  # the crest's slope counts on the hill only
    lit = 0.62 + 0.22 * broad + 0.17 * blades + 0.45 * p.light * ground.slope(x) * fall - 0.16 * t**2
    lit = np.clip(lit, 0.05, 1.0)
    colour = light.on(albedo, lit)
    mist = 0.34 * np.exp(-9.0 * t) * smoothstep(-0.16, 0.0, y - p.horizon)
    canvas.paint(mix(colour, light.haze, mist), inside, "ground")
    if scene.path == "desert":
        _paint_desert(canvas, scene, light, ground, inside, broad)
    if scene.path == "meadow":
        _paint_flowers(canvas, scene, light, noise, inside, t, u, away)
    if scene.snow > 0.12:
        amount = (scene.snow - 0.12) / 0.88
        level = 0.62 - 1.75 * amount
        white = smoothstep(level, level + 0.22, broad + 0.30 * blades + 0.10 * fall) * inside
        shaded = light.on(SNOW, np.clip(0.10 + 0.85 * lit, 0.0, 0.76))
        canvas.paint(mix(shaded, light.haze, 0.6 * mist), white, "snow")


def _paint_flowers(
    canvas: Canvas,
    scene: Landscape,
    light: Light,
    noise: Noise,
    inside: Field,
    t: Field,
    u: Field,
    away: Field,
) -> None:
    """A meadow: tall grass in bands, strewn with flowers while it grows."""
    bent = canvas.x + 0.45 * canvas.y + 0.05 * noise(u * 3.0, away * 8.0)
    tall = noise(bent * 30.0, (canvas.y - 0.3 * canvas.x) * 13.0)
    pale = {"spring": (0.72, 0.84, 0.34), "summer": (0.66, 0.70, 0.26), "autumn": (0.84, 0.66, 0.32)}
    blade = pale.get(scene.season, (0.70, 0.66, 0.58))
    canvas.paint(light.on(blade, 0.75), 0.5 * inside * smoothstep(0.1, 0.6, tall) * smoothstep(0.0, 0.3, t))
    if scene.season in ("spring", "summer"):
        petals = ((1.0, 0.86, 0.22), (0.92, 0.26, 0.32), (0.60, 0.42, 0.86))
        drift = noise.fractal(u * 1.3 + 17.0, away * 2.2, 2)
        for index, petal in enumerate(petals):
            # at most one flower in a cell of a lattice in perspective, off its middle
            a = (6.5 + index) * u + 0.37 * index + 2.5 * np.sin(9.0 * away)
            b = 20.0 * np.log(away + 0.1) + 0.61 * index + 0.9 * np.sin(5.0 * u)
            cell = np.floor(a) * 12.9 + np.floor(b) * 78.2 + 9.0 * index
            luck = np.sin(cell) * 437.5
            luck -= np.floor(luck)
            across, along = a - np.floor(a) - 0.3 - 0.4 * luck, b - np.floor(b) - 0.5
            spots = (
                smoothstep(0.26, 0.12, np.hypot(across, 1.1 * along))
                * (luck > 0.55 - 0.7 * (drift + 0.25 * index - 0.25))
                * smoothstep(0.02, 0.1, t)
            )
            canvas.paint(light.on(petal, 0.85), inside * spots)


def _paint_desert(
    canvas: Canvas, scene: Landscape, light: Light, ground: Ground, inside: Field, broad: Field
) -> None:
    """Dunes: crests one behind the other with a lit and a shaded flank and wind ripples."""
    p, x, y = scene.layout, canvas.x, canvas.y
    t = distance(scene, y)
    foot = np.clip(1.3 - np.abs(x - ground.hill_x) / 0.5, 0.0, 1.0) * 0.13
    area = inside * smoothstep(-0.02, 0.02, y - p.horizon - foot)
    ripples = np.sin(70.0 * t**0.5 + 9.0 * broad + 3.0 * x)
    lit = np.clip(0.60 + 0.10 * broad + 0.07 * ripples, 0.0, 1.0)
    colour = mix(
        light.on(mix(*SAND, np.clip(0.5 + broad, 0.0, 1.0)), lit), light.haze, 0.30 * np.exp(-7.0 * t)
    )
    canvas.paint(colour, area, "desert")
    for index, near in enumerate((0.05, 0.15, 0.30, 0.52)):
        rng = np.random.default_rng([p.texture, 60 + index])
        line = p.horizon + (1.0 - p.horizon) * near
        swell = Profile(line - (0.06 + 0.34 * near) * line_noise(rng, 1.5 - 0.9 * near, True, 2))
        under = y - swell(x)
        lee = 1.5 * p.light * swell.slope(0.12)(x + 0.25 * broad * under + 0.4 * under * p.bend)
        body = (0.05 + 0.55 * near) * 1.2
        fade = smoothstep(body, 0.0, under) * canvas.cover(-under) * area
        bright = np.clip(0.55 + 1.9 * lee / (0.6 + near) + 0.06 * ripples, 0.02, 1.0)
        dune = mix(light.on(mix(*SAND, bright), 0.1 + 0.85 * bright), light.haze, 0.25 * np.exp(-7.0 * t))
        canvas.paint(dune, fade)


def mirrored(
    canvas: Canvas, scene: Landscape, light: Light, ridges: tuple[Ridge, ...], ground: Ground
) -> Canvas:
    """The reflection in still water at these pixels: the scene beyond the shore, upside down and rippled."""
    p = scene.layout
    t = distance(scene, canvas.y)
    noise = Noise(p.texture + 7)
    ripple = noise(canvas.x * 3.0 / (t + 0.2), 9.0 / (t + 0.10)) + 0.6 * noise(canvas.x * 9.0, 46.0 * t**0.6)
    mirror = object.__new__(Canvas)
    mirror.pixel, mirror.elements = canvas.pixel, ELEMENTS
    mirror.x = canvas.x + 0.012 * ripple
    mirror.y = 2.0 * p.horizon - canvas.y + (0.010 + 0.05 * t) * ripple
    mirror.rgb = np.zeros_like(canvas.rgb)
    mirror.shares = np.zeros((len(ELEMENTS), 1, 1), np.float32) + np.zeros_like(canvas.shares)
    paint_sky(mirror, scene, light)
    paint_clouds(mirror, scene, light, 2)
    paint_sun(mirror, scene)
    paint_mountains(mirror, scene, light, ridges)
    bank = mirror.cover(ground.top(mirror.x) - mirror.y)
    mirror.paint(light.on(GRASS[scene.season][0], 0.25), 0.85 * bank)
    sx, _ = sun_place(scene)
    strength = {"day": 0.15, "sunset": 0.75, "night": 0.55, "dawn": 0.45}[scene.time]
    track = blob(canvas.x, t, sx, 0.4, 0.10 + 0.05 * p.width, 9.0) * smoothstep(0.1, 0.7, ripple)
    mirror.rgb += (strength * track)[..., None] * (np.asarray(light.glow, np.float32) - mirror.rgb)
    return mirror


def paint_water(
    canvas: Canvas, scene: Landscape, light: Light, ridges: tuple[Ridge, ...], ground: Ground
) -> None:
    """River or lake, with a shore; nearer water reflects less."""
    p = scene.layout
    t = distance(scene, canvas.y)
    wander = Noise(p.texture + 8).fractal(canvas.x * 4.0, t * 13.0, 2)
    if scene.path == "river":
        f = np.abs(canvas.x - course(p, t)) - course_width(p, t) * (1.0 + 0.16 * wander)
    else:
        f = np.abs(canvas.x - lake_middle(p)) - lake_width(p, t) * (1.0 + 0.22 * wander)
        f = np.where(np.abs(t - 0.33) < 0.27, f, 0.5)
    f = np.where(canvas.y > p.horizon, f, 0.5).astype(np.float32)
    shore = canvas.cover(f - 0.006 - 0.04 * t)
    canvas.paint(light.on((0.50, 0.43, 0.33), 0.5), 0.75 * shore)
    inside = canvas.cover(f)
    seen = np.flatnonzero(inside.max(1) > 0)
    if len(seen) < 2:
        return
    water = canvas.window(slice(seen[0], seen[-1] + 1), slice(None))
    inside, t = inside[seen[0] : seen[-1] + 1], t[seen[0] : seen[-1] + 1]
    reflection = mirrored(water, scene, light, ridges, ground).rgb
    depth = light.on((0.10, 0.34, 0.42), 0.55)
    colour = mix(reflection * np.asarray((0.84, 0.92, 0.97), np.float32), depth, 0.16 + 0.44 * t)
    edge = smoothstep(0.0, -0.03, f[seen[0] : seen[-1] + 1])
    water.paint(colour * (0.72 + 0.28 * edge)[..., None], inside, scene.path)


def paint_street(canvas: Canvas, scene: Landscape, light: Light) -> None:
    """Asphalt with a dashed line, white edges and dusty verges, on the river's course."""
    p = scene.layout
    t = distance(scene, canvas.y)
    width = course_width(p, t) * 1.08
    across = (canvas.x - course(p, t)) / width
    below = canvas.y > p.horizon
    f = np.where(below, (np.abs(across) - 1.0) * width, 0.5).astype(np.float32)
    canvas.paint(light.on((0.60, 0.52, 0.40), 0.6), 0.8 * canvas.cover(f - 0.01 - 0.05 * t))
    noise = Noise(p.texture + 9)
    wear = noise(across * 5.0, 9.0 / (t + 0.2)) + 0.7 * noise(canvas.x * 60.0, canvas.y * 60.0)
    lit = np.clip(0.58 + 0.10 * wear - 0.25 * np.exp(-(((np.abs(across) - 0.5) / 0.16) ** 2)) * 0.4, 0.0, 1.0)
    asphalt = mix(light.on((0.40, 0.40, 0.43), lit), light.haze, 0.35 * np.exp(-9.0 * t))
    canvas.paint(asphalt, canvas.cover(f), "street")
    paint = light.on((0.97, 0.95, 0.88), 0.85)
    edges = canvas.cover(
        np.where(below, (np.abs(np.abs(across) - 0.90) - 0.030) * width, 0.5).astype(np.float32)
    )
    canvas.paint(paint, 0.85 * edges)
    dash = smoothstep(-0.15, 0.15, np.sin(15.0 / (t + 0.16)))
    line = canvas.cover(np.where(below, (np.abs(across) - 0.045) * width, 0.5).astype(np.float32))
    canvas.paint(light.on((0.98, 0.80, 0.22), 0.9), line * dash)
