"""Four styles of the same picture: a photograph, a watercolour, an ink drawing, a child's drawing.

Every kind of scene is painted as a photograph.  Another style first bends the plane a little (`warp`),
so that outlines and masks wobble together, and then reworks the finished painting (`finish`) from its
colours and its elements' shares.  Everything is measured in picture units: lines and textures keep their
width at every resolution.

Strokes are wide and grain is faint on purpose: finer or stronger texture at 128 pixels takes most of a small
autoencoder's error and is lost nonetheless.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .raster import Canvas, Field, smoothstep, waves

STYLES = ("photo", "watercolour", "ink", "child")
WEIGHTS = (0.7, 0.1, 0.1, 0.1)

Image = NDArray[np.floating[Any]]  # (H, W) or (H, W, C)

#: style -> (amplitude, frequency) of the slow and of the quick bend
WOBBLE = {
    "watercolour": ((0.008, 7.0), (0.003, 26.0)),
    "ink": ((0.007, 6.0), (0.002, 30.0)),
    "child": ((0.022, 6.0), (0.006, 21.0)),
}
#: One direction in eight dimensions for each of sixteen elements.  Any two are orthogonal or opposite, so
#: that eight blurred channels show where two elements meet.
CODES = np.concatenate((np.eye(8), -np.eye(8))).astype(np.float32)
LUMA = np.array((0.30, 0.59, 0.11), np.float32)


def sample_style(rng: np.random.Generator) -> str:
    return STYLES[int(rng.choice(len(STYLES), p=WEIGHTS))]


def warp(canvas: Canvas, style: str, seed: int) -> None:
    """Bend the plane before painting, as a hand's unsteadiness does."""
    if style == "photo":
        return
    rng = np.random.default_rng((seed, 1))
    x, y = canvas.x, canvas.y
    moved_x, moved_y = x, y
    for amplitude, frequency in WOBBLE[style]:
        moved_x = moved_x + np.float32(amplitude) * waves(x, y, rng, frequency, frequency, 3)
        moved_y = moved_y + np.float32(amplitude) * waves(y, x, rng, frequency, frequency, 3)
    canvas.x, canvas.y = moved_x, moved_y


def finish(canvas: Canvas, style: str, seed: int) -> Image:
    """The painted canvas in a style, (H, W, 3) in 0..1."""
    if style == "photo":
        return np.clip(canvas.rgb, 0.0, 1.0)
    rng = np.random.default_rng((seed, 2))
    work = {"watercolour": _watercolour, "ink": _ink, "child": _child}[style]
    return np.clip(work(canvas, np.clip(canvas.rgb, 0.0, 1.0), rng), 0.0, 1.0).astype(np.float32)


# --- shared tools ---------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def _kernel(size: int, sigma: float) -> Image:
    """Gaussian blur along one axis as a (size, size) matrix; sigma in pixels."""
    line = np.arange(size, dtype=np.float64)
    weights = np.exp(-0.5 * ((line[:, None] - line[None]) / max(sigma, 0.2)) ** 2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _blur(canvas: Canvas, image: Image, radius: float) -> Image:
    """Gaussian blur of (H, W) or (H, W, C) with a standard deviation in picture units."""
    height, width = image.shape[:2]
    # a pixel is a mean over its area, which is part of the blur
    sigma = round(float(np.sqrt(max((radius / canvas.pixel) ** 2 - 1.0 / 12.0, 0.04))), 4)
    down = (_kernel(height, sigma) @ image.reshape(height, -1)).reshape(image.shape)
    if image.ndim == 2:
        return down @ _kernel(width, sigma).T
    return np.matmul(_kernel(width, sigma), down)


def _edges(canvas: Canvas, radius: float) -> Field:
    """0 inside elements, up to 1 where two meet; falls off over `radius`."""
    code = np.tensordot(canvas.shares, CODES[: len(canvas.elements)], ((0,), (0,)))
    mean = _blur(canvas, code, radius)
    # elements mixed over a wide area (a lens, a thin cloud) have no edge there
    mixed = _blur(canvas, 1.0 - (code * code).sum(-1), 0.05)
    return np.clip(1.6 * (1.0 - (mean * mean).sum(-1) - 1.2 * mixed), 0.0, 1.0)


def _creases(canvas: Canvas, tone: Field, radius: float) -> Field:
    """Where the picture is darker than around it: lines and the dark side of edges (Winnemoeller 2011)."""
    return _blur(canvas, tone, 1.8 * radius) - _blur(canvas, tone, radius)


def _strokes(canvas: Canvas, along: Field, spacing: float, cover: Field) -> Field:
    """Parallel strokes across the field `along` that cover the share `cover` (0..1) of the paper.

    Anti-aliased by the width of a pixel, hence the same at every resolution.
    """
    phase = along / np.float32(spacing)
    distance = np.abs(phase - np.floor(phase) - 0.5) * 2.0  # 0 in the middle of a stroke, 1 between two
    soft = min(max(2.0 * canvas.pixel / spacing, 0.15), 0.9)
    # a stroke or gap thinner than a pixel fades instead, so that the mean is `cover` at any size
    cover = np.clip(cover, 0.0, 1.0)
    wide = np.clip(cover, 0.5 * soft, 1.0 - 0.5 * soft)
    stroke = np.clip((wide - distance) / soft + 0.5, 0.0, 1.0)
    return np.where(
        cover < wide,
        stroke * cover / wide,
        1.0 - (1.0 - stroke) * (1.0 - cover) / np.maximum(1.0 - wide, 1e-6),
    )


def _saturate(rgb: Image, amount: float) -> Image:
    grey = (rgb @ LUMA)[..., None]
    return np.clip(grey + amount * (rgb - grey), 0.0, 1.0)


def _steps(value: Image, count: int, soft: float) -> Image:
    """Tone in `count` steps; `soft` (0..1) is the part of a step that its transition takes."""
    scaled = value * count
    whole = np.floor(scaled)
    return (whole + smoothstep(0.5 - 0.5 * soft, 0.5 + 0.5 * soft, scaled - whole)) / count


# --- the styles -----------------------------------------------------------------------------------


def _watercolour(canvas: Canvas, rgb: Image, rng: np.random.Generator) -> Image:
    """Transparent washes on rough paper: pigment gathers at rims and in the paper's hollows.

    Density modulation after Bousseau et al., "Interactive watercolor rendering" (2006).
    """
    x, y = canvas.x, canvas.y
    soft = 0.35 * rgb + 0.65 * _blur(canvas, rgb, 0.022)
    tone = np.clip(soft @ LUMA, 0.02, 1.0)
    wash = soft * (0.25 + 0.75 * _steps(tone, 5, 0.45) / tone)[..., None]
    wash = 0.13 + 0.87 * np.clip(_saturate(wash, 1.25), 0.0, 1.0)
    flow = waves(x, y, rng, 5.0, 5.0) + 0.6 * waves(x, y, rng, 14.0, 14.0)
    grain = waves(x, y, rng, 95.0, 95.0, 5) + waves(y, x, rng, 70.0, 70.0, 4)
    edge = _edges(canvas, 0.016)
    rim = edge * (0.75 + 0.45 * waves(x, y, rng, 9.0, 9.0, 3))
    crease = np.clip(9.0 * _creases(canvas, tone, 0.014), -0.4, 0.8)
    density = 0.95 + 0.20 * flow + 0.03 * grain + 0.95 * rim + crease
    painted = wash * (1.0 - (1.0 - wash) * (density[..., None] - 1.0))
    # dry brush: the paper shines through empty hollows; the wash ends short of the margin
    margin = np.maximum(np.abs(x), np.abs(y)) + 0.022 * waves(x, y, rng, 8.0, 8.0, 3)
    bare = np.maximum(
        0.30 * smoothstep(1.5, 2.3, 0.5 * grain + 0.8 * flow), smoothstep(0.93, 0.965, margin) * 0.92
    )
    paper = np.array((0.975, 0.965, 0.94), np.float32) * (1.0 - 0.008 * grain)[..., None]
    return painted + bare[..., None] * (paper - painted)


def _ink(canvas: Canvas, rgb: Image, rng: np.random.Generator) -> Image:
    """Pen lines and hatching over a faint wash of the local colour."""
    x, y = canvas.x, canvas.y
    tone = rgb @ LUMA
    pressure = 0.85 + 0.35 * waves(x, y, rng, 7.0, 7.0, 3)
    outline = smoothstep(0.22, 0.52, _edges(canvas, 0.012) * pressure)
    detail = smoothstep(0.016, 0.055, _creases(canvas, tone, 0.012) * pressure)
    bend = 0.02 * waves(x, y, rng, 5.0, 5.0, 3)
    shade = 1.0 - _blur(canvas, tone, 0.012)
    first = _strokes(canvas, 0.72 * x + 0.70 * y + bend, 0.110, 0.44 * smoothstep(0.38, 0.90, shade))
    second = _strokes(canvas, 0.60 * x - 0.80 * y - bend, 0.118, 0.62 * smoothstep(0.62, 1.0, shade))
    third = _strokes(canvas, 0.10 * x + 0.99 * y + bend, 0.105, 0.62 * smoothstep(0.80, 1.0, shade))
    ink = 1.0 - (1.0 - np.maximum(outline, detail)) * (1.0 - 0.32 * first) * (1.0 - 0.32 * second) * (
        1.0 - 0.32 * third
    )
    colour = _saturate(_blur(canvas, rgb, 0.012), 1.2)
    light = colour / np.maximum(colour.max(-1, keepdims=True), 0.45)
    pale = 0.46 + 0.54 * light * (0.72 + 0.28 * tone)[..., None]
    fibre = 0.005 * waves(x, y, rng, 80.0, 80.0, 4)
    paper = pale * np.array((0.985, 0.97, 0.935), np.float32) + fibre[..., None]
    return paper + (0.94 * ink)[..., None] * (np.array((0.10, 0.09, 0.13), np.float32) - paper)


def _child(canvas: Canvas, rgb: Image, rng: np.random.Generator) -> Image:
    """Wax crayon: flat bright colours in scribbled strokes, thick outlines, white paper in between."""
    x, y = canvas.x, canvas.y
    smooth = _blur(canvas, rgb, 0.016)
    tone = np.clip(smooth @ LUMA, 0.02, 1.0)
    flat = smooth * (_steps(tone, 4, 0.35) * 0.8 / tone + 0.2)[..., None]
    flat = _saturate(np.clip(flat * 1.08 + 0.03, 0.0, 1.0), 1.45)
    # each element is filled in with strokes of one of three directions
    tooth = waves(x, y, rng, 85.0, 85.0, 5)
    fill = 0.66 + 0.16 * waves(x, y, rng, 5.0, 5.0, 3) + 0.06 * tooth
    wobble = 0.012 * waves(x, y, rng, 8.0, 8.0, 3)
    turned = rng.permutation(len(canvas.elements)) % 3
    strokes = np.zeros_like(x)
    for turn, angle in enumerate(rng.uniform(-0.25, 0.25) + np.array((0.55, 1.2, 2.4), np.float32)):
        here = canvas.shares[turned == turn].sum(0)
        if here.any():
            across = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)) + wobble
            strokes += here * _strokes(canvas, across, 0.120, fill)
    wax = (0.80 + 0.20 * strokes) * (0.92 - 0.04 * smoothstep(0.3, 1.2, tooth))
    paper = np.array((0.99, 0.985, 0.965), np.float32)
    picture = paper + wax[..., None] * (flat - paper)
    # outlines in a darker crayon of the colour they enclose, pressed unevenly
    edge = _edges(canvas, 0.017) * (0.95 + 0.25 * waves(x, y, rng, 9.0, 9.0, 3))
    detail = smoothstep(0.022, 0.07, _creases(canvas, rgb @ LUMA, 0.017))
    line = np.maximum(smoothstep(0.30, 0.55, edge), detail) * (0.86 - 0.06 * smoothstep(0.2, 1.2, tooth))
    pen = 0.42 * _saturate(flat, 1.2)
    return picture + line[..., None] * (pen - picture)
