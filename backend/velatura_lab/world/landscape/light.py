"""Light and colours of a landscape by time of day and season."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..raster import RGB, Colour, Field, each
from .scene import Landscape


@dataclass(frozen=True)
class Light:
    """The colours of an hour: sky from zenith to horizon, direct light, shadow, distant haze."""

    zenith: Colour
    middle: Colour
    low: Colour
    key: Colour
    ambient: Colour
    haze: Colour
    glow: Colour  # around the sun or moon
    cloud: Colour  # lit side of the clouds
    cloud_shade: Colour

    def on(self, albedo: Colour | RGB, lit: Field | float) -> RGB:
        """Colour of a surface in the share `lit` (0..1) of the direct light."""
        amount = np.asarray(lit, np.float32)[..., None]
        light = np.asarray(self.ambient, np.float32) + amount * np.asarray(self.key, np.float32)
        return np.clip(np.asarray(albedo, np.float32) * light, 0.0, 1.0)


LIGHTS: dict[str, Light] = {
    "day": Light(
        zenith=(0.22, 0.47, 0.80),
        middle=(0.48, 0.70, 0.91),
        low=(0.83, 0.91, 0.96),
        key=(0.92, 0.84, 0.70),
        ambient=(0.34, 0.40, 0.50),
        haze=(0.72, 0.82, 0.92),
        glow=(1.0, 0.97, 0.86),
        cloud=(1.0, 0.99, 0.97),
        cloud_shade=(0.66, 0.72, 0.80),
    ),
    "sunset": Light(
        zenith=(0.27, 0.22, 0.46),
        middle=(0.85, 0.42, 0.38),
        low=(1.0, 0.72, 0.32),
        key=(1.0, 0.60, 0.30),
        ambient=(0.32, 0.27, 0.40),
        haze=(0.93, 0.54, 0.38),
        glow=(1.0, 0.78, 0.36),
        cloud=(1.0, 0.64, 0.40),
        cloud_shade=(0.50, 0.28, 0.42),
    ),
    "night": Light(
        zenith=(0.025, 0.035, 0.11),
        middle=(0.06, 0.09, 0.22),
        low=(0.14, 0.20, 0.36),
        key=(0.30, 0.37, 0.52),
        ambient=(0.14, 0.18, 0.30),
        haze=(0.13, 0.18, 0.34),
        glow=(0.50, 0.60, 0.82),
        cloud=(0.36, 0.41, 0.55),
        cloud_shade=(0.10, 0.13, 0.24),
    ),
    "dawn": Light(
        zenith=(0.46, 0.60, 0.80),
        middle=(0.86, 0.76, 0.84),
        low=(1.0, 0.86, 0.76),
        key=(0.74, 0.56, 0.50),
        ambient=(0.42, 0.40, 0.52),
        haze=(0.90, 0.79, 0.84),
        glow=(1.0, 0.90, 0.78),
        cloud=(1.0, 0.84, 0.82),
        cloud_shade=(0.66, 0.62, 0.76),
    ),
}

GRASS: dict[str, tuple[Colour, Colour]] = {  # the two tones of the ground
    "spring": ((0.42, 0.68, 0.22), (0.62, 0.78, 0.28)),
    "summer": ((0.22, 0.46, 0.14), (0.40, 0.56, 0.18)),
    "autumn": ((0.62, 0.46, 0.16), (0.74, 0.52, 0.20)),
    "winter": ((0.50, 0.47, 0.40), (0.60, 0.58, 0.52)),
}
LEAVES: dict[str, tuple[Colour, ...]] = {  # one for each tree
    "spring": ((0.48, 0.72, 0.22), (0.56, 0.76, 0.28), (0.42, 0.66, 0.24)),
    "summer": ((0.17, 0.42, 0.13), (0.22, 0.47, 0.14), (0.26, 0.44, 0.12)),
    "autumn": ((0.85, 0.36, 0.08), (0.88, 0.58, 0.10), (0.72, 0.20, 0.08), (0.80, 0.46, 0.10)),
    "winter": ((0.42, 0.36, 0.32), (0.38, 0.34, 0.31)),
}
NEEDLES: dict[str, Colour] = {
    "spring": (0.16, 0.42, 0.22),
    "summer": (0.10, 0.33, 0.18),
    "autumn": (0.20, 0.34, 0.15),
    "winter": (0.14, 0.29, 0.24),
}
ROCK: Colour = (0.47, 0.44, 0.44)
BARK: Colour = (0.30, 0.21, 0.15)
SAND: tuple[Colour, Colour] = ((0.86, 0.66, 0.38), (0.95, 0.78, 0.50))
SNOW: Colour = (0.96, 0.98, 1.0)
PETALS: tuple[Colour, ...] = ((1.0, 0.68, 0.80), (1.0, 0.78, 0.86), (0.98, 0.60, 0.74))


def light_of(scene: Landscape) -> Light:
    """The hour's light; clouds make it even from all sides."""
    light = LIGHTS[scene.time]
    veil = 0.30 * scene.clouds**2
    key = each(lambda c: (1.0 - veil) * c, light.key)
    ambient = each(lambda c, k: c + 0.35 * veil * k, light.ambient, light.key)
    return replace(light, key=key, ambient=ambient)
