"""Solids under one light: their surfaces, normals and shadows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..raster import Canvas, Field, smoothstep

#: Foreshortening by the camera's tilt: of the height of things, and of the depth of the table.
UPRIGHT, TILT = 0.95, 0.30


@dataclass(frozen=True)
class Light:
    """A window to one side: unit direction towards it (x right, y up, z to the camera), and its hardness."""

    x: float
    y: float
    z: float
    hardness: float

    @property
    def slide(self) -> tuple[float, float]:
        """Displacement on the table, (right, back), of the shadow of a point one unit up."""
        return -0.95 * self.x / self.y, -0.75 * self.z / self.y


@dataclass(frozen=True)
class Surface:
    """The visible surface of a solid in a window, as fields (H, W).

    `alpha` is its coverage, (nx, ny, nz) its unit normal with y up, (u, v) are coordinates on it in picture
    units (u around it, v up).  `round` is 0 where it is seen edge-on, 1 face-on.
    """

    alpha: Field
    nx: Field
    ny: Field
    nz: Field
    u: Field
    v: Field
    #: strength of highlights: low on a flat face, which mirrors one direction only
    shine: float = 1.0

    @property
    def round(self) -> Field:
        return np.clip(self.nz + 0.2 * np.maximum(self.ny, 0.0), 0.0, 1.0)

    def lit(self, light: Light, wrap: float = 0.25) -> Field:
        """Light on the surface in 0..1; `wrap` is the part that reaches around it, as from a wide window."""
        cosine = self.nx * light.x + self.ny * light.y + self.nz * light.z
        return np.clip((cosine + wrap) / (1.0 + wrap), 0.0, 1.0)

    def gloss(self, light: Light, sharpness: float) -> Field:
        """Blinn-Phong highlight (Blinn 1977): the half vector lies between light and camera."""
        hx, hy, hz = light.x, light.y + 0.30, light.z + 0.95
        length = (hx * hx + hy * hy + hz * hz) ** 0.5
        cosine = np.maximum(self.nx * hx + self.ny * hy + self.nz * hz, 0.0) / length
        return self.shine * cosine**sharpness


def window(canvas: Canvas, left: float, top: float, right: float, bottom: float) -> Canvas | None:
    """The part of the canvas in a box of scene coordinates; None where it is out of view."""
    x, y = canvas.x[0], canvas.y[:, 0]
    margin = 2.0 * canvas.pixel + 0.05  # most that a style moves outlines
    columns = slice(int(np.searchsorted(x, left - margin)), int(np.searchsorted(x, right + margin)))
    rows = slice(int(np.searchsorted(y, top - margin)), int(np.searchsorted(y, bottom + margin)))
    if columns.stop - columns.start < 2 or rows.stop - rows.start < 2:
        return None
    return canvas.window(rows, columns)


def profile(points: tuple[tuple[float, float], ...]) -> tuple[Field, Field, Field]:
    """(heights in 0..1, radii, slopes) of a turned body, smoothed from (height, radius) points."""
    heights = np.linspace(0.0, 1.0, 121)
    h, r = np.asarray(points).T
    padded = np.pad(np.interp(heights, h, r), 6, mode="edge")
    kernel = np.hanning(15)[1:-1]
    radii = np.convolve(padded, kernel / kernel.sum(), mode="valid")
    return heights, radii.astype(np.float32), np.gradient(radii, heights).astype(np.float32)


@dataclass(frozen=True)
class Turned:
    """A body of revolution on the foot (x, y); its profile is in units of its height."""

    x: float
    y: float
    height: float
    shape: tuple[tuple[float, float], ...]

    def radius(self, t: float) -> float:
        h, r, _ = profile(self.shape)
        return float(np.interp(t, h, r)) * self.height

    def level(self, t: float) -> float:
        """Picture y of the axis at a height 0..1."""
        return self.y - t * self.height * UPRIGHT

    def box(self, grow: float = 0.0) -> tuple[float, float, float, float]:
        wide = max(r for _, r in self.shape) * self.height
        return (
            self.x - wide - grow,
            self.level(1.0) - TILT * wide - grow,
            self.x + wide + grow,
            self.y + TILT * wide + grow,
        )

    def surface(self, canvas: Canvas, low: float = 0.0, high: float = 1.0) -> Surface:
        """The near side between two heights.

        A point at height t and angle p from the camera appears at x + r(t) sin p, level(t) + TILT r(t) cos p.
        Three steps of a fixed-point iteration find t from the pixel.
        """
        heights, radii, slopes = profile(self.shape)
        rise = self.height * UPRIGHT
        dx = canvas.x - self.x
        straight = (self.y - canvas.y) / rise
        t = straight
        for _ in range(3):
            r = np.interp(t, heights, radii).astype(np.float32) * self.height
            front = np.sqrt(np.clip(1.0 - (dx / np.maximum(r, 1e-4)) ** 2, 0.0, 1.0))
            t = straight + TILT * r * front / rise
        r = np.maximum(np.interp(t, heights, radii).astype(np.float32) * self.height, 1e-4)
        slope = np.interp(t, heights, slopes).astype(np.float32)
        sine = np.clip(dx / r, -1.0, 1.0)
        front = np.sqrt(1.0 - sine * sine)
        side = canvas.cover(np.abs(dx) - r)
        # the front edge of a rim runs along t = low and t = high; a pixel spans 1 / rise of t
        ends = np.clip(0.5 + (t - low) * rise / canvas.pixel, 0.0, 1.0)
        ends *= np.clip(0.5 + (high - t) * rise / canvas.pixel, 0.0, 1.0)
        norm = 1.0 / np.sqrt(1.0 + slope * slope)
        u = np.arcsin(sine) * r
        return Surface(side * ends, sine * norm, -slope * norm, front * norm, u, t * self.height)

    def rim(self, canvas: Canvas, t: float, scale: float = 1.0) -> Field:
        """The circle at a height, seen as an ellipse: a field in units of its radius, negative inside."""
        r = self.radius(t) * scale
        return np.hypot((canvas.x - self.x) / r, (canvas.y - self.level(t)) / (r * TILT)) - 1.0


def inflate(canvas: Canvas, f: Field, x: float, y: float, bulge: float = 1.0, soft: float = 0.0) -> Surface:
    """A rounded solid over an outline f, which is -1 in the middle and 0 at the edge."""
    dy, dx = np.gradient(f)
    length = np.hypot(dx, dy) + 1e-9
    out = np.clip(1.0 + f, 0.0, 1.0)
    nz = np.sqrt(1.0 - out * out) * bulge + (1.0 - bulge)
    flat = np.sqrt(np.maximum(1.0 - nz * nz, 0.0))
    return Surface(
        canvas.cover(f, soft), flat * dx / length, -flat * dy / length, nz, canvas.x - x, y - canvas.y
    )


def cast(
    canvas: Canvas, light: Light, x: float, y: float, radius: float, height: float, dark: float = 1.0
) -> None:
    """The shadow of a round thing on the table, and the darkness at its foot."""
    sx, sy = light.slide
    reach = height * 0.9
    ex, ey = sx * reach, sy * reach * TILT - 0.02 * height
    # distance on the table from the line between foot and tip of the shadow
    px, py, qx, qy = canvas.x - x, (canvas.y - y) / TILT, ex, ey / TILT
    along = np.clip((px * qx + py * qy) / (qx * qx + qy * qy + 1e-6), 0.0, 1.0)
    distance = np.hypot(px - along * qx, py - along * qy) / radius
    blur = (0.30 + 0.9 * along) * (1.25 - light.hardness)
    shadow = smoothstep(1.0, -1.0, (distance - 0.95 + 0.12 * along) / np.maximum(blur, 0.05))
    strength = dark * (0.55 + 0.25 * light.hardness) * (1.0 - 0.50 * along)
    canvas.shade((0.30, 0.28, 0.32), shadow * strength)
    touch = np.hypot(px, py) / (radius * 1.12)
    canvas.shade((0.22, 0.19, 0.20), dark * 0.62 * smoothstep(1.16, 0.70, touch))
