"""Nose, eyes, brows and mouth."""

from __future__ import annotations

import numpy as np

from ..raster import Canvas, Colour, blob, each, ellipse, mix, smoothstep
from .age import paint_eye_lines
from .face import HAIR_PAINT, skin_base
from .head import Head
from .scene import Portrait

IRISES: tuple[Colour, ...] = ((0.30, 0.17, 0.08), (0.25, 0.42, 0.58), (0.30, 0.42, 0.24), (0.42, 0.30, 0.12))


def paint_nose(canvas: Canvas, scene: Portrait, head: Head) -> None:
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


def paint_eyes(canvas: Canvas, scene: Portrait, head: Head) -> None:
    i, man = scene.identity, scene.person == "man"
    wide, high = 0.165 + 0.015 * i.eye_size, (0.098 if man else 0.112) + 0.012 * i.eye_size
    high *= 1.0 - 0.24 * head.worn  # the lids come down with age
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
            mix(each(lambda c: min(1.0, 1.35 * c), iris), each(lambda c: 0.45 * c, iris), ring**3),
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
        if head.worn > 0.02:
            paint_eye_lines(canvas, head, side, apart, wide, level)
        _paint_brow(canvas, scene, head, side, apart, man)


def _paint_brow(canvas: Canvas, scene: Portrait, head: Head, side: float, apart: float, man: bool) -> None:
    i = scene.identity
    du = (head.f - side * apart) * side
    arch = 0.05 + 0.025 * i.brow_arch
    line = -0.30 - 0.025 * i.brow_height - arch * (1.0 - ((du - 0.02) / 0.22) ** 2) + 0.02 * du / 0.2
    taper = (0.050 if man else 0.032) * np.clip(1.15 - np.abs(du + 0.08) * 2.2, 0.25, 1.0)
    shape = np.maximum(np.abs(head.g - line) - taper, np.abs(du - 0.01) - 0.225)
    base = HAIR_PAINT[scene.hair_colour]
    dark = each(lambda c: c * (0.62 if scene.hair_colour != "black" else 0.8), base)
    canvas.paint(dark, canvas.cover(shape, 0.018) * 0.88)


def paint_mouth(canvas: Canvas, scene: Portrait, head: Head) -> None:
    i, man, base = scene.identity, scene.person == "man", skin_base(scene)
    lip = (
        base[0] * (0.86 if man else 0.88),
        base[1] * (0.60 if man else 0.47),
        base[2] * (0.62 if man else 0.52),
    )
    level = 0.535
    full = (1.0 + 0.18 * i.lip_fullness) * (1.0 - 0.50 * head.worn)  # lips thin and pale with age
    lip = each(lambda c, b: c + 0.35 * head.worn * (b - c), lip, base)
    if scene.smile:
        _paint_smile(canvas, scene, head, lip, full, level)
    else:
        _paint_rest(canvas, scene, head, lip, full, level)


def _paint_smile(canvas: Canvas, scene: Portrait, head: Head, lip: Colour, full: float, level: float) -> None:
    i, du = scene.identity, head.f
    broad = scene.smile_width
    wide = 0.265 + 0.14 * broad + 0.02 * i.mouth_width
    arch = np.clip(1.0 - (du / wide) ** 2, -1.0, 1.0)
    rise = 0.055 + 0.09 * broad
    dv = head.g - level + 0.055 - rise * arch  # corners rise
    gape = 0.006 + 0.225 * broad**1.25
    top, bottom = -(0.005 + 0.06 * broad) * arch, gape * arch
    opening = np.maximum(top - dv, dv - bottom)
    lips = np.maximum(
        top - 0.042 * full * np.sqrt(np.maximum(arch, 0)) * (1.0 - 0.35 * np.exp(-((du / 0.05) ** 2))) - dv,
        dv - bottom - 0.060 * full * np.sqrt(np.maximum(arch, 0)),
    )
    lips = np.maximum(lips, np.abs(du) - wide)
    canvas.paint(
        mix(each(lambda c: 0.82 * c, lip), lip, smoothstep(-0.05, 0.15, dv)), canvas.cover(lips), "mouth"
    )
    inner = canvas.cover(opening)
    canvas.paint((0.24, 0.07, 0.07), inner, "mouth")
    teeth = np.maximum(opening + 0.004, dv - 0.78 * gape * arch)
    canvas.paint(
        mix((0.98, 0.97, 0.94), (0.78, 0.74, 0.70), smoothstep(0.35, 1.0, np.abs(du) / wide)),
        canvas.cover(teeth) * smoothstep(0.005, 0.045, np.float32(gape)),  # slight: lips closed
        "mouth",
    )
    canvas.glow(0.30, canvas.cover(lips) * blob(du, dv, 0.06 * head.light, gape + 0.030, 0.09, 0.018))
    for side in (-1.0, 1.0):
        fold = np.abs(du * side - (wide - 0.025) - 0.05 * np.sin((head.g - 0.28) * 7.0)) - 0.008
        fold = np.maximum(fold, np.abs(head.g - 0.40) - 0.13)
        canvas.shade((0.76, 0.63, 0.60), canvas.cover(fold, 0.07) * (0.35 + 0.8 * broad))


def _paint_rest(canvas: Canvas, scene: Portrait, head: Head, lip: Colour, full: float, level: float) -> None:
    i, du = scene.identity, head.f
    wide = 0.245 + 0.02 * i.mouth_width
    arch = np.clip(1.0 - (du / wide) ** 2, 0.0, 1.0)
    dv = head.g - level + 0.030 * np.clip(du / wide, -1.2, 1.2) ** 2 - 0.010
    cupid = 1.0 - 0.30 * np.exp(-((du / 0.045) ** 2))
    lips = np.maximum(
        np.maximum(-0.060 * full * arch**0.8 * cupid - dv, dv - 0.080 * full * arch**0.6), np.abs(du) - wide
    )
    canvas.paint(
        mix(each(lambda c: 0.80 * c, lip), lip, smoothstep(-0.04, 0.03, dv)), canvas.cover(lips), "mouth"
    )
    canvas.paint(
        each(lambda c: 0.40 * c, lip),
        canvas.cover(np.maximum(np.abs(dv) - 0.011, np.abs(du) - wide)) * 0.9,
        "mouth",
    )
    canvas.glow(0.28, canvas.cover(lips) * blob(du, dv, 0.05 * head.light, 0.045, 0.08, 0.018))
    canvas.shade((0.80, 0.68, 0.65), 0.8 * blob(du, head.g, 0.0, level + 0.13, 0.14, 0.035))
