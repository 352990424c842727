"""Head, neck, features and beard."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .raster import Canvas, Colour, Field, blob, ellipse, mix, smoothstep, waves
from .scene import Scene

SKIN_COLOURS: dict[str, Colour] = {
    "light": (0.96, 0.79, 0.69),
    "tan": (0.83, 0.61, 0.45),
    "dark": (0.52, 0.34, 0.24),
}
HAIR_PAINT: dict[str, Colour] = {
    "black": (0.11, 0.09, 0.09),
    "brown": (0.38, 0.22, 0.12),
    "blond": (0.90, 0.72, 0.38),
    "red": (0.73, 0.28, 0.10),
    "grey": (0.72, 0.70, 0.67),
}
IRISES: tuple[Colour, ...] = ((0.30, 0.17, 0.08), (0.25, 0.42, 0.58), (0.30, 0.42, 0.24), (0.42, 0.30, 0.12))


@dataclass(frozen=True)
class Head:
    """Head-space coordinates of every pixel, and the measures the parts share.

    u runs to the right and v down, both in half head heights, tilted with the head; (f, g) are the
    same for features, moved a little by the head's turn.  `lit` is 0..1, brighter towards the light.
    """

    u: Field
    v: Field
    f: Field
    g: Field
    width: float
    chin: float
    jaw: float
    light: float
    lit: Field

    def outline(self, grow: float = 0.0) -> Field:
        """Implicit outline of the face, enlarged by `grow`."""
        upper = ellipse(self.u, self.v, 0.0, 0.0, self.width + grow, 1.0 + grow)
        lower = ellipse(self.u, self.v, 0.0, 0.0, self.width + grow, self.chin + grow, self.jaw)
        return np.where(self.v < 0.0, upper, lower)

    def window(self, canvas: Canvas, low: float, high: float) -> tuple[Canvas, Head] | None:
        """Canvas and head cut to where features between two heights can lie; None if off the canvas."""
        near = (np.abs(self.f) < 0.85) & (self.g > low) & (self.g < high)
        rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
        if len(rows) < 2 or len(columns) < 2:
            return None
        cut = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        fields = {name: getattr(self, name)[cut] for name in ("u", "v", "f", "g", "lit")}
        return canvas.window(*cut), replace(self, **fields)


def make_head(canvas: Canvas, scene: Scene) -> Head:
    s, i = scene.setting, scene.identity
    man = scene.person == "man"
    dx, dy = canvas.x - s.centre_x, canvas.y - s.centre_y
    cos, sin = np.cos(s.tilt) / s.scale, np.sin(s.tilt) / s.scale
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    width = (0.755 if man else 0.715) + 0.035 * i.head_width
    nx, ny = np.clip(u / 0.95, -1.0, 1.0), np.clip(v / 1.25, -1.0, 1.0)
    nz = np.sqrt(np.clip(1.0 - 0.8 * nx * nx - 0.6 * ny * ny, 0.05, 1.0))
    norm = np.sqrt(s.light**2 + s.light_height**2 + 1.0)
    lit = np.clip((nx * s.light - ny * s.light_height + nz) / norm, 0.0, 1.0)
    return Head(
        u=u,
        v=v,
        f=u - s.turn,
        g=v,
        width=width,
        chin=1.0 + 0.035 * i.chin + (0.03 if man else 0.0),
        jaw=(2.35 if man else 2.02) + 0.22 * i.jaw,
        light=s.light,
        lit=lit,
    )


def skin_base(scene: Scene) -> Colour:
    shift = 0.035 * scene.identity.skin_shift
    red, green, blue = SKIN_COLOURS[scene.skin]
    return red + shift, green + shift, blue + 0.8 * shift


def skin_paint(scene: Scene, lit: Field) -> NDArray[np.float32]:
    """Skin under the light: shadows warm and saturated, as light scatters beneath the skin."""
    red, green, blue = skin_base(scene)
    shadow = (red * 0.60, green * 0.46, blue * 0.43)
    bright = tuple(c + 0.32 * (1.0 - c) * c for c in (red, green, blue))
    dim = mix(shadow, (red, green, blue), smoothstep(0.10, 0.72, lit))
    return dim + smoothstep(0.70, 1.0, lit)[..., None] * (np.asarray(bright, np.float32) - dim)


def paint_neck(canvas: Canvas, scene: Scene, head: Head) -> None:
    s = scene.setting
    half = (0.44 if scene.person == "man" else 0.35) * s.scale
    x = canvas.x - s.centre_x - 0.3 * np.float32(np.sin(-s.tilt)) * s.scale
    y = canvas.y - s.centre_y
    flare = half + 0.5 * np.maximum(y - 1.12 * s.scale, 0.0)
    shape = np.maximum(np.abs(x) - flare, 0.35 * s.scale - y)
    roundness = np.clip(1.0 - (x / (half * 1.05)) ** 2, 0.0, 1.0)
    lit = np.clip(0.30 + 0.42 * roundness + 0.55 * s.light * x / half * 0.5, 0.0, 1.0)
    canvas.paint(skin_paint(scene, lit), canvas.cover(shape), "face")
    under = blob(
        canvas.x,
        canvas.y,
        s.centre_x - 0.06 * s.light,
        s.centre_y + 0.98 * s.scale,
        0.62 * s.scale,
        0.30 * s.scale,
    )
    canvas.shade((0.66, 0.55, 0.52), under * canvas.cover(shape))


def paint_head(canvas: Canvas, scene: Scene, head: Head) -> None:
    paint = skin_paint(scene, head.lit)
    for side in (-1.0, 1.0):
        ear = ellipse(head.u, head.v, side * (head.width + 0.015), 0.02, 0.115, 0.20)
        canvas.paint(paint * 0.93, canvas.cover(ear), "face")
        canvas.shade(
            (0.72, 0.60, 0.58), 0.8 * blob(head.u, head.v, side * (head.width + 0.03), 0.02, 0.05, 0.11)
        )
    inside = canvas.cover(head.outline())
    canvas.paint(paint, inside, "face")
    f, g, man = head.f, head.g, scene.person == "man"
    canvas.shade((0.78, 0.66, 0.64), inside * smoothstep(0.84, 1.0, head.outline() + 1.0) * 0.75)
    for side in (-1.0, 1.0):
        canvas.shade(
            (1.0, 0.84, 0.82), (0.45 if man else 0.8) * inside * blob(f, g, side * 0.42, 0.24, 0.20, 0.17)
        )
        canvas.shade((0.80, 0.70, 0.68), 0.8 * inside * blob(f, g, side * 0.29, -0.10, 0.23, 0.15))
    canvas.glow(0.16, inside * blob(f, g, 0.25 * head.light, -0.48, 0.30, 0.20))
    canvas.glow(0.14, inside * blob(f, g, 0.40 * np.sign(head.light), 0.13, 0.13, 0.12))


def paint_nose(canvas: Canvas, scene: Scene, head: Head) -> None:
    i, f, g = scene.identity, head.f + 0.4 * scene.setting.turn * -1.0, head.g
    wide, tip = 0.125 + 0.022 * i.nose_width, 0.245 + 0.03 * i.nose_length
    away = -np.sign(head.light)
    canvas.shade((0.80, 0.68, 0.64), 0.75 * blob(f, g, away * 0.11, 0.06, 0.055, 0.22))
    canvas.glow(0.20, blob(f, g, -away * 0.015, 0.02, 0.035, 0.20))
    canvas.shade((0.76, 0.60, 0.56), 0.8 * blob(f, g, 0.0, tip + 0.075, wide * 1.05, 0.045))
    for side in (-1.0, 1.0):
        canvas.shade((0.80, 0.66, 0.62), 0.6 * blob(f, g, side * (wide + 0.02), tip + 0.01, 0.035, 0.06))
        canvas.shade((0.38, 0.26, 0.24), 0.9 * blob(f, g, side * wide * 0.52, tip + 0.062, 0.042, 0.026))
    canvas.glow(0.30, blob(f, g, -away * 0.02, tip - 0.02, 0.05, 0.05))


def paint_eyes(canvas: Canvas, scene: Scene, head: Head) -> None:
    i, man = scene.identity, scene.person == "man"
    wide, high = 0.165 + 0.015 * i.eye_size, (0.098 if man else 0.112) + 0.012 * i.eye_size
    apart, level = 0.305 + 0.02 * i.eye_spacing, -0.06
    iris = IRISES[int((i.iris + 1.0) * 2.0) % 4]
    gaze = 0.6 * scene.setting.turn
    for side in (-1.0, 1.0):
        du = (head.f - side * apart) * side
        dv = head.g - level + (0.05 + 0.04 * i.eye_slant) * du
        arch = np.clip(1.0 - (du / wide) ** 2, -1.0, 1.0)
        opening = np.maximum(-high * arch - dv, dv - 0.78 * high * arch)
        inside = canvas.cover(opening)
        canvas.paint(mix((0.97, 0.955, 0.94), (0.70, 0.66, 0.66), smoothstep(-0.02, -0.11, dv)), inside)
        cu = head.f - side * apart - gaze
        ball = canvas.cover(ellipse(cu, dv, 0.0, -0.012, 0.088, 0.088))
        ring = np.clip(np.sqrt(cu**2 + (dv + 0.012) ** 2) / 0.088, 0.0, 1.0)
        canvas.paint(
            mix(tuple(min(1.0, 1.35 * c) for c in iris), tuple(0.45 * c for c in iris), ring**3),
            inside * ball,
        )
        canvas.paint((0.03, 0.02, 0.02), inside * canvas.cover(ellipse(cu, dv, 0.0, -0.012, 0.043, 0.043)))
        canvas.shade((0.45, 0.42, 0.42), inside * smoothstep(-0.3 * high, -high, dv) * 0.8)
        canvas.paint(
            (1.0, 1.0, 1.0), canvas.cover(ellipse(cu, dv, 0.032 * np.sign(head.light), -0.045, 0.023, 0.023))
        )
        thick = 0.026 if man else 0.046
        lash = np.maximum(
            np.abs(dv + high * arch + 0.3 * thick) - thick * (0.55 + 0.45 * np.clip(0.5 + du / wide, 0, 1)),
            np.abs(du - 0.01) - wide * (1.02 if man else 1.12),
        )
        canvas.paint((0.10, 0.06, 0.05), canvas.cover(lash) * 0.95)
        crease = np.maximum(np.abs(dv + 1.35 * high * arch + 0.055) - 0.012, np.abs(du) - wide * 0.95)
        canvas.shade((0.60, 0.46, 0.44), canvas.cover(crease, 0.02) * 0.8)
        canvas.shade(
            (0.72, 0.58, 0.56),
            0.7
            * canvas.cover(
                np.maximum(np.abs(dv - 0.80 * high * arch) - 0.010, np.abs(du) - wide * 0.9), 0.012
            ),
        )
        _paint_brow(canvas, scene, head, side, apart, man)


def _paint_brow(canvas: Canvas, scene: Scene, head: Head, side: float, apart: float, man: bool) -> None:
    i = scene.identity
    du = (head.f - side * apart) * side
    arch = 0.05 + 0.025 * i.brow_arch
    line = -0.30 - 0.025 * i.brow_height - arch * (1.0 - ((du - 0.02) / 0.22) ** 2) + 0.02 * du / 0.2
    taper = (0.050 if man else 0.032) * np.clip(1.15 - np.abs(du + 0.08) * 2.2, 0.25, 1.0)
    shape = np.maximum(np.abs(head.g - line) - taper, np.abs(du - 0.01) - 0.225)
    base = HAIR_PAINT[scene.hair_colour]
    dark = tuple(c * (0.62 if scene.hair_colour != "black" else 0.8) for c in base)
    canvas.paint(dark, canvas.cover(shape, 0.018) * 0.88)


def paint_mouth(canvas: Canvas, scene: Scene, head: Head) -> None:
    i, man = scene.identity, scene.person == "man"
    base = skin_base(scene)
    lip = (
        base[0] * (0.86 if man else 0.88),
        base[1] * (0.60 if man else 0.47),
        base[2] * (0.62 if man else 0.52),
    )
    du, level = head.f, 0.535
    full = 1.0 + 0.18 * i.lip_fullness
    if scene.smile:
        wide = 0.335 + 0.02 * i.mouth_width
        arch = np.clip(1.0 - (du / wide) ** 2, -1.0, 1.0)
        dv = head.g - level + 0.055 - 0.10 * arch  # corners rise
        top, bottom = -0.035 * arch, 0.135 * arch
        opening = np.maximum(top - dv, dv - bottom)
        lips = np.maximum(
            top
            - 0.042 * full * np.sqrt(np.maximum(arch, 0)) * (1.0 - 0.35 * np.exp(-((du / 0.05) ** 2)))
            - dv,
            dv - bottom - 0.060 * full * np.sqrt(np.maximum(arch, 0)),
        )
        lips = np.maximum(lips, np.abs(du) - wide)
        canvas.paint(
            mix(tuple(0.82 * c for c in lip), lip, smoothstep(-0.05, 0.15, dv)), canvas.cover(lips), "mouth"
        )
        inner = canvas.cover(opening)
        canvas.paint((0.24, 0.07, 0.07), inner, "mouth")
        teeth = np.maximum(opening + 0.004, dv - 0.105 * arch)
        canvas.paint(
            mix((0.98, 0.97, 0.94), (0.78, 0.74, 0.70), smoothstep(0.35, 1.0, np.abs(du) / wide)),
            canvas.cover(teeth),
            "mouth",
        )
        canvas.glow(0.30, canvas.cover(lips) * blob(du, dv, 0.06 * head.light, 0.165, 0.09, 0.018))
        for side in (-1.0, 1.0):
            fold = np.abs(du * side - 0.31 - 0.05 * np.sin((head.g - 0.28) * 7.0)) - 0.008
            fold = np.maximum(fold, np.abs(head.g - 0.40) - 0.13)
            canvas.shade((0.76, 0.63, 0.60), canvas.cover(fold, 0.07) * 0.75)
        return
    wide = 0.245 + 0.02 * i.mouth_width
    arch = np.clip(1.0 - (du / wide) ** 2, 0.0, 1.0)
    dv = head.g - level + 0.030 * np.clip(du / wide, -1.2, 1.2) ** 2 - 0.010
    cupid = 1.0 - 0.30 * np.exp(-((du / 0.045) ** 2))
    lips = np.maximum(
        np.maximum(-0.060 * full * arch**0.8 * cupid - dv, dv - 0.080 * full * arch**0.6), np.abs(du) - wide
    )
    canvas.paint(
        mix(tuple(0.80 * c for c in lip), lip, smoothstep(-0.04, 0.03, dv)), canvas.cover(lips), "mouth"
    )
    canvas.paint(
        tuple(0.40 * c for c in lip),
        canvas.cover(np.maximum(np.abs(dv) - 0.011, np.abs(du) - wide)) * 0.9,
        "mouth",
    )
    canvas.glow(0.28, canvas.cover(lips) * blob(du, dv, 0.05 * head.light, 0.045, 0.08, 0.018))
    canvas.shade((0.80, 0.68, 0.65), 0.8 * blob(du, head.g, 0.0, level + 0.13, 0.14, 0.035))


def paint_beard(canvas: Canvas, scene: Scene, head: Head) -> None:
    """A full beard with moustache, drawn before the mouth so that the lips lie on top."""
    rng = np.random.default_rng(scene.identity.texture + 1)
    rough = waves(head.u, head.v, rng, 42.0, 16.0) * 0.018
    au = np.abs(head.f)
    cheek = 0.425 - 0.47 * smoothstep(0.34, 0.80, au) - 0.045 * np.exp(-((au / 0.16) ** 2))
    outer = head.outline(0.075) + 1.6 * rough + 0.03
    shape = np.maximum(outer, (cheek - head.g) * 1.6 + 1.6 * rough)
    alpha = canvas.cover(shape, 0.032)
    strands = waves(head.f * (1.0 + 0.5 * (head.g - 0.4)), head.g, rng, 70.0, 14.0, 5)
    base = np.asarray(HAIR_PAINT[scene.hair_colour], np.float32) * (
        0.88 if scene.hair_colour == "grey" else 0.80
    )
    tone = np.clip(0.42 + 0.62 * head.lit + 0.14 * strands - 0.20 * smoothstep(0.85, 1.10, head.g), 0.2, 1.35)
    warm = tone[..., None] ** np.asarray((0.85, 1.05, 1.15), np.float32)  # darker hair is warmer, not greener
    canvas.paint(np.clip(base * warm, 0.0, 1.0), alpha * 0.97, "beard", alpha)
    canvas.shade((0.72, 0.70, 0.69), alpha * 0.55 * blob(head.f, head.g, 0.0, 0.66, 0.20, 0.05))
