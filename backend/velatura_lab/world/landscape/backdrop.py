"""Sky, sun or moon, clouds and mountains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..raster import Canvas, Field, blob, ellipse, mix, smoothstep
from .field import LINE, Noise, Profile, cover_with_snow, line_noise, part
from .light import GRASS, NEEDLES, ROCK, SNOW, Light
from .scene import Landscape

SUN_SIZES = {"day": 0.085, "sunset": 0.125, "night": 0.10, "dawn": 0.105}


def sun_place(scene: Landscape) -> tuple[float, float]:
    """Place (x, y) of the sun or the moon: low in the valley at sunset and dawn, else high."""
    p = scene.layout
    if scene.time == "sunset":
        return p.valley + 0.45 * (p.sun_x - p.valley), p.horizon - 0.30 - 0.05 * p.sun_y
    if scene.time == "dawn":
        return p.valley + 0.60 * (p.sun_x - p.valley), p.horizon - 0.38 - 0.06 * p.sun_y
    return 0.35 * p.light + 0.6 * p.sun_x, -0.70 - 0.10 * p.sun_y


def paint_sky(canvas: Canvas, scene: Landscape, light: Light) -> None:
    h = scene.layout.horizon
    up = np.clip((h - canvas.y) / (1.0 + h), 0.0, 1.0)
    colour = mix(
        mix(light.low, light.middle, smoothstep(0.0, 0.50, up)), light.zenith, smoothstep(0.3, 1.1, up)
    )
    if scene.clouds:  # an overcast sky is greyer
        colour = mix(colour, light.cloud_shade, np.full_like(up, 0.40 * scene.clouds**2))
    sx, sy = sun_place(scene)
    wide = 0.50 if scene.time in ("day", "night") else 0.95
    halo = 0.50 * blob(canvas.x, canvas.y, sx, sy, wide, 0.75 * wide)
    halo += 0.24 * blob(canvas.x, canvas.y, sx, sy, 0.24, 0.24)
    canvas.rgb[:] = mix(colour, light.glow, halo)


def paint_stars(canvas: Canvas, scene: Landscape) -> None:
    rng = np.random.default_rng(scene.layout.texture + 11)
    for _ in range(46):
        x, y, bright = (
            rng.uniform(-1, 1),
            rng.uniform(-1, scene.layout.horizon - 0.1),
            rng.uniform(0.25, 1) ** 2,
        )
        if window := part(canvas, x - 0.02, y - 0.02, x + 0.02, y + 0.02):
            radius = 0.007 + 0.006 * bright
            spread = max(radius, 0.7 * canvas.pixel)
            window.glow(bright * (radius / spread), blob(window.x, window.y, x, y, spread, spread))


def paint_sun(canvas: Canvas, scene: Landscape) -> None:
    sx, sy = sun_place(scene)
    size = SUN_SIZES[scene.time]
    disc = ellipse(canvas.x, canvas.y, sx, sy, size, size)
    cover = canvas.cover(disc)
    if scene.time == "night":
        phase = 0.55 + 0.45 * np.tanh(2.0 * scene.layout.sun_y)
        shadow = ellipse(canvas.x, canvas.y, sx - 1.6 * size * phase, sy - 0.4 * size * phase, size, size)
        cover *= 1.0 - 0.92 * canvas.cover(shadow)
        seas = blob(canvas.x, canvas.y, sx + 0.3 * size, sy + 0.1 * size, 0.4 * size, 0.3 * size)
        canvas.paint(mix((0.97, 0.96, 0.88), (0.80, 0.80, 0.76), seas), cover, "moon")
        return
    rim = {"day": (1.0, 0.95, 0.62), "sunset": (1.0, 0.80, 0.34), "dawn": (1.0, 0.90, 0.70)}[scene.time]
    core = {"day": (1.0, 1.0, 0.92), "sunset": (1.0, 0.95, 0.72), "dawn": (1.0, 1.0, 0.95)}[scene.time]
    canvas.paint(mix(core, rim, np.clip(disc + 1.0, 0.0, 1.0) ** 3), cover, "sun")


def paint_clouds(canvas: Canvas, scene: Landscape, light: Light, octaves: int = 4) -> None:
    """Clouds on a plane overhead, small and flat towards the horizon; their degree is the covered share."""
    if not scene.clouds:
        return
    noise = Noise(scene.layout.texture + 1)

    def overhead(x: Field, height: Field) -> tuple[Field, Field]:
        near = 1.0 / (height + 0.30)
        return x * (0.75 + 0.25 * near) * 1.7 + 9.0 * scene.layout.sun_x, near * 2.6

    # a quantile of the density over the whole sky: the same degree covers the same share of any sky
    every = np.meshgrid(np.linspace(-1.0, 1.0, 28), np.linspace(0.12, 1.0 + scene.layout.horizon, 20))
    whole = noise.fractal(*overhead(*every), 3)
    threshold = float(np.quantile(whole, 1.0 - (0.06 + 0.84 * scene.clouds))) - 0.10
    height = np.maximum(scene.layout.horizon - canvas.y, 0.0)
    u, v = overhead(canvas.x, height)
    density = noise.fractal(u, v, octaves)
    cover = smoothstep(threshold, threshold + 0.30, density) * smoothstep(0.02, 0.14, height)
    above = noise.fractal(u + 0.22 * scene.layout.light, v - 0.30, 2)
    lit = np.clip(
        0.62 + 0.75 * (density - above) - 0.35 * scene.clouds * smoothstep(0.0, 0.8, density), 0.0, 1.0
    )
    canvas.paint(mix(light.cloud_shade, light.cloud, lit), 0.96 * cover, "clouds")


@dataclass(frozen=True)
class Ridge:
    line: Profile
    slope: Profile
    haze: float


def make_ridges(scene: Landscape) -> tuple[Ridge, ...]:
    """Three ridges, far to near; a nearer one leaves a wider valley."""
    p, rocky = scene.layout, scene.mountains == "rocky"
    tall = (0.28 + 0.62 * scene.height) * (1.0 if rocky else 0.60)
    apart = np.abs(LINE - p.valley)
    ridges = []
    shapes = ((0.66, 0.42, 0.05, 0.70, 0.50), (1.0, 0.10, 0.08, 0.72, 0.26), (0.50, 0.0, 0.22, 1.05, 0.10))
    for index, (size, floor, near, far, haze) in enumerate(shapes):
        rng = np.random.default_rng([p.texture, 20 + index])
        if rocky:
            crest = line_noise(rng, 2.3 + 0.4 * index, True, 5)
        else:
            crest = line_noise(rng, 1.5 + 0.5 * index, False, 2)
        t = np.clip((apart - near) / (far - near), 0.0, 1.0)
        rise = floor + (1.0 - floor) * t * t * (3.0 - 2.0 * t)
        line = p.horizon + 0.02 - tall * size * rise * (0.42 + 0.85 * crest)
        profile = Profile(line)
        ridges.append(Ridge(profile, profile.slope(0.07 if rocky else 0.16), haze))
    return tuple(ridges)


def paint_mountains(canvas: Canvas, scene: Landscape, light: Light, ridges: tuple[Ridge, ...]) -> None:
    """Flanks lit or shaded by the slope of the crest above them, along spurs that wind downhill."""
    p, rocky = scene.layout, scene.mountains == "rocky"
    x, y = canvas.x, canvas.y
    noise = Noise(p.texture + 2)
    rough = noise.fractal(x * 5.0, y * 6.0, 3)
    grain = noise(x * 22.0 + 3.0 * rough, y * 26.0) if rocky else noise(x * 30.0, y * 44.0)
    tall = (0.28 + 0.62 * scene.height) * (1.0 if rocky else 0.60)
    altitude = (p.horizon - y) / tall
    steep = 0.55 / (0.35 + tall)
    grass, wood = GRASS[scene.season], NEEDLES[scene.season]
    haze = np.asarray(light.haze, np.float32)
    for index, ridge in enumerate(ridges):
        crest = ridge.line(x)
        depth = y - crest
        inside = canvas.cover(-depth)
        spur = x + (1.0 - 2.0 * (index % 2)) * 0.55 * depth * rough + 0.10 * rough * depth
        lit = 0.46 + steep * p.light * ridge.slope(spur) * 0.9
        if rocky:
            lit = np.clip(lit, 0.0, 1.0) * 0.80 + 0.16 * grain + 0.34 * (0.30 - np.abs(rough)) + 0.06
            green = smoothstep(0.42, 0.05, altitude + 0.25 * rough) * (0.75 if index else 0.45)
            albedo = mix(ROCK, mix(wood, grass[0], np.clip(0.4 + rough, 0, 1)), green)
        else:
            lit = np.clip(lit, 0.1, 1.0) * 0.75 + 0.16 + 0.10 * rough
            woods = smoothstep(0.05, 0.3, rough + 0.4 * grain - 0.1 * index)
            albedo = mix(mix(grass[0], grass[1], np.clip(0.5 + rough, 0.0, 1.0)), wood, 0.75 * woods)
        lit = np.clip(lit, 0.0, 1.0)
        mist = np.clip(ridge.haze + 0.30 * smoothstep(0.35, 0.0, altitude) * (1.0 - 0.25 * index), 0.0, 0.9)
        colour = mix(light.on(albedo, lit), haze, mist)
        if not scene.snow:
            canvas.paint(colour, inside, "mountains")
        else:
            level = 0.80 - 1.05 * scene.snow
            white = smoothstep(level - 0.07, level + 0.07, altitude + 0.20 * rough + 0.14 * grain)
            drift = mix(light.on(SNOW, 0.12 + 0.72 * lit), haze, 0.75 * mist)
            canvas.paint(mix(colour, drift, white), inside, "mountains")
            cover_with_snow(canvas, "mountains", inside * white)
