"""Trees: leafy (bare or in blossom too) and pines, single or as a forest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..raster import Canvas, Field, blob, ellipse, mix, smoothstep
from .field import Noise, part
from .ground import Ground, course, course_width, lake_middle, lake_width
from .light import BARK, LEAVES, NEEDLES, PETALS, SNOW, Light
from .scene import Landscape

MOST_TREES = 16


@dataclass(frozen=True)
class Tree:
    x: float
    y: float  # of its foot
    size: float
    t: float  # its distance, 0..1 from the horizon to the viewer
    seed: int


@dataclass(frozen=True)
class Stand:
    """Coordinates of one tree, or of a row of trees, at each pixel: foot (0, 0), top (0, 1)."""

    u: Field
    v: Field
    size: float
    t: float
    seed: int
    which: Field | None = None  # in a row: a number in 0..1 that differs from tree to tree
    there: Field | float = 1.0  # in a row: whether a tree grows here


def plant_trees(scene: Landscape, ground: Ground) -> list[Tree]:
    """The scene's trees: the first places of a fixed row, clear of the course, the lake and the building."""
    p = scene.layout
    rng = np.random.default_rng([p.texture, 41])
    places: list[Tree] = []
    for index in range(MOST_TREES):
        for _ in range(12):
            t = float(0.05 + 0.60 * rng.random() ** 1.4) if index else float(rng.uniform(0.60, 0.74))
            side = (1.0 if rng.random() < 0.5 else -1.0) if index else -p.side
            lake = lake_width(p, t)
            left = min(course(p, t) - 0.16 - 0.30 * t, lake_middle(p) - lake - 0.03 if lake else 1.0)
            right = max(course(p, t) + 0.16 + 0.30 * t, lake_middle(p) + lake + 0.03 if lake else -1.0)
            edge = left if side < 0 else right
            x = (
                edge + side * abs(float(rng.normal(0.0, 0.30)))
                if index
                else float(np.clip(edge, -0.80, 0.80))
            )
            size = (0.16 + 0.68 * t) * float(rng.uniform(0.85, 1.15))
            y = p.horizon + (1.0 - p.horizon) * t
            seed = int(rng.integers(2**31))
            before = abs(x - ground.hill_x) < 0.20 + 0.3 * size and y - size < ground.hill_y
            crowd = any(abs(x - o.x) < 0.45 * min(size, o.size) and abs(t - o.t) < 0.1 for o in places)
            if abs(x) < 1.05 and (not index or not (before or crowd)):
                break
        else:
            continue
        places.append(Tree(x, y, size, t, seed))
    count = 2 + round((len(places) - 2) * scene.tree_count)
    return sorted(places[:count], key=lambda tree: tree.t)


def paint_boulders(canvas: Canvas, scene: Landscape, light: Light) -> None:
    """Stones beside the course; on the plain where there is no course."""
    p = scene.layout
    rng = np.random.default_rng([p.texture, 71])
    for _ in range(7):
        t, side, away = rng.uniform(0.08, 0.85), rng.choice((-1.0, 1.0)), abs(rng.normal(0.05, 0.16))
        size = float((0.018 + 0.085 * t) * rng.uniform(0.6, 1.1))
        x = float(course(p, t) + side * (course_width(p, t) * 1.2 + 0.03 + away + size))
        y = p.horizon + (1.0 - p.horizon) * float(t)
        lean, flat = rng.uniform(-0.3, 0.3), rng.uniform(0.55, 0.8)
        if scene.path == "lake" and abs(x - lake_middle(p)) < lake_width(p, t) + 0.12:
            continue
        window = part(canvas, x - 2.0 * size, y - 1.3 * size, x + 2.0 * size, y + 0.8 * size)
        if window is None:
            continue
        shadow = blob(window.x, window.y, x - 0.5 * p.light * size, y + 0.25 * size, 1.3 * size, 0.35 * size)
        window.shade((0.45, 0.47, 0.56), 0.8 * shadow)
        u, v = (window.x - x) / size, (y - window.y) / size
        bumps = Noise(p.texture + 13)(u * 1.9 + 9.0 * t, v * 2.3)
        f = ellipse(u + lean * v, v, 0.0, 0.1, 1.0, flat, 2.6) + 0.16 * bumps
        f = np.maximum(f, -0.35 - 0.1 * bumps - v)
        facet = np.clip(0.42 + 0.38 * p.light * (u + 0.5 * bumps) + 0.35 * v, 0.05, 1.0)
        inside = window.cover((f * size).astype(np.float32))
        window.paint(_haze(light, light.on((0.50, 0.48, 0.46), facet), t), inside)
        if scene.snow:
            white = inside * smoothstep(0.9 - 1.3 * scene.snow, 1.1 - 1.3 * scene.snow, v + 0.3 * bumps)
            window.paint(light.on(SNOW, 0.2 + 0.6 * facet), white, "snow")


def paint_trees(canvas: Canvas, scene: Landscape, light: Light, trees: list[Tree]) -> None:
    for tree in trees:
        s, drop = tree.size, -scene.layout.light
        if window := part(canvas, tree.x - 0.9 * s, tree.y - 0.12 * s, tree.x + 0.9 * s, tree.y + 0.12 * s):
            shadow = blob(window.x, window.y, tree.x + 0.26 * drop * s, tree.y, 0.36 * s, 0.055 * s)
            window.shade((0.50, 0.52, 0.62), 0.85 * shadow)
        if window := part(canvas, tree.x - 0.5 * s, tree.y - 1.08 * s, tree.x + 0.5 * s, tree.y + 0.04 * s):
            if scene.trees == "pine":
                paint_pine(window, scene, light, _single(window, tree), "trees")
            else:
                paint_leafy(window, scene, light, _single(window, tree), "trees", scene.blossom)


def _single(canvas: Canvas, tree: Tree) -> Stand:
    u, v = (canvas.x - tree.x) / tree.size, (tree.y - canvas.y) / tree.size
    return Stand(u, v, tree.size, tree.t, tree.seed)


def _row(canvas: Canvas, scene: Landscape, row: Tree, half: float, gap: float, offset: float) -> Stand:
    """Every other tree of a row, one in a cell, `half` wide to either side; the others are a second row."""
    at = (canvas.x - row.x) / (2.0 * gap * row.size) + offset
    cell = np.floor(at)
    luck = np.sin(cell * 12.99 + row.seed % 97) * 437.58
    luck -= np.floor(luck)
    grown = 0.80 + 0.40 * luck
    middle = (cell + 0.5 - offset) * 2.0 * gap * row.size
    there = (np.abs(middle) < half).astype(np.float32)
    u = (at - cell - 0.5 + 0.16 * (luck - 0.5)) * 2.0 * gap / grown
    v = ((row.y - canvas.y) / row.size + 0.12 * (luck - 0.5)) / grown
    return Stand(
        u.astype(np.float32), v.astype(np.float32), row.size, row.t, row.seed, luck.astype(np.float32), there
    )


def _haze(light: Light, colour: Field, t: float) -> Field:
    return mix(colour, light.haze, np.full(colour.shape[:-1], 0.30 * np.exp(-6.0 * t), np.float32))


def paint_pine(canvas: Canvas, scene: Landscape, light: Light, tree: Stand, element: str) -> None:
    """Tiers of drooping branches on a short trunk."""
    u, v = tree.u, tree.v
    rng = np.random.default_rng(tree.seed)
    slim, tiers = rng.uniform(0.85, 1.15), rng.uniform(5.2, 7.0)
    noise = Noise(scene.layout.texture + 3)
    needles = noise(u * 24.0 + tree.seed % 50, v * 16.0)
    trunk = np.maximum(np.abs(u) - 0.035, np.maximum(v - 0.3, -v))
    canvas.paint(light.on(BARK, 0.4), tree.there * canvas.cover(trunk * tree.size), element)
    up = np.clip((v - 0.10) / 0.90, 0.0, 1.0)
    phase = up * tiers - np.floor(up * tiers)
    wide = 0.29 * slim * (1.0 - up) * (1.18 - 0.42 * phase) + 0.010 + 0.030 * needles * (1.0 - up)
    f = np.maximum(np.abs(u) - wide, np.maximum(0.10 + 0.04 * np.abs(u) - v, v - 1.0))
    inside = tree.there * canvas.cover((f * tree.size).astype(np.float32), 0.012)
    side = scene.layout.light * u / (0.29 * slim * (1.05 - up))
    lit = np.clip(0.42 + 0.36 * side + 0.28 * needles - 0.30 * phase + 0.10 * up, 0.0, 1.0)
    needle = np.asarray(NEEDLES[scene.season]) * rng.uniform(0.85, 1.2)
    canvas.paint(_haze(light, light.on(needle, lit), tree.t), inside, element)
    if scene.snow:
        level = 1.05 - 1.55 * scene.snow
        white = inside * smoothstep(level, level + 0.25, 0.75 * (1.0 - phase) + 0.3 * needles + 0.1 * side)
        canvas.paint(light.on(SNOW, 0.22 + 0.60 * lit), 0.95 * white, "snow")


def _branch(u: Field, v: Field, ax: float, ay: float, bx: float, by: float, thick: float) -> Field:
    """A branch from a to b that tapers."""
    dx, dy = bx - ax, by - ay
    along = np.clip(((u - ax) * dx + (v - ay) * dy) / (dx * dx + dy * dy), 0.0, 1.0)
    return np.hypot(u - ax - along * dx, v - ay - along * dy) - thick * (1.0 - 0.65 * along)


def paint_leafy(
    canvas: Canvas, scene: Landscape, light: Light, tree: Stand, element: str, blossom: float = 0.0
) -> None:
    """A trunk, boughs and a crown of rounded masses; bare in winter, with flowers by their degree."""
    u, v = tree.u, tree.v
    rng = np.random.default_rng(tree.seed)
    bare = scene.season == "winter"
    noise = Noise(scene.layout.texture + 3)
    shift = tree.seed % 57
    wood = _branch(u, v, 0.0, -0.01, 0.02, 0.50, 0.042)
    boughs = [(-0.30, 0.72), (0.30, 0.74), (-0.12, 0.93), (0.15, 0.94), (-0.36, 0.56), (0.36, 0.57)]
    for bx, by in boughs if bare else boughs[: 2 * (tree.which is None)]:
        bx, by = bx * rng.uniform(0.8, 1.05), by * rng.uniform(0.95, 1.04)
        wood = np.minimum(wood, _branch(u, v, 0.01, 0.30 + 0.25 * (by - 0.5), bx, by, 0.020))
        if bare:
            wood = np.minimum(
                wood, _branch(u, v, 0.5 * bx, 0.45 * by + 0.18, 0.55 * bx + 0.10, by + 0.02, 0.011)
            )
    bark = light.on(BARK, np.clip(0.45 + 7.0 * scene.layout.light * u, 0.1, 0.9))
    stem = tree.there * canvas.cover((wood * tree.size).astype(np.float32))
    canvas.paint(_haze(light, bark, tree.t), stem, element)
    crown = ellipse(u, v, 0.0, 0.66, 0.25, 0.24)
    for _ in range(6 if tree.which is None else 4):
        angle, far, size = rng.uniform(0.0, 6.283), rng.uniform(0.14, 0.20), rng.uniform(0.12, 0.17)
        mass = ellipse(u, v, far * 1.25 * np.cos(angle), 0.67 + far * np.sin(angle), size, size)
        crown = np.minimum(crown, mass * (size / 0.25))
    clumps = noise.fractal(u * 9.0 + shift, v * 9.0, 2)
    leaves = noise(u * 22.0 + shift, v * 22.0)
    f = (crown * 0.25 + 0.045 * clumps + 0.020 * leaves) * tree.size
    inside = tree.there * canvas.cover(f.astype(np.float32), 0.010)
    lit = np.clip(
        0.40 + 0.75 * scene.layout.light * u + 0.95 * (v - 0.66) + 0.30 * clumps + 0.18 * leaves, 0.0, 1.0
    )
    if bare:
        twigs = smoothstep(0.05, 0.45, np.abs(leaves)) * 0.30
        canvas.paint(_haze(light, light.on((0.40, 0.33, 0.29), lit), tree.t), inside * twigs, element)
    else:
        palette = LEAVES[scene.season]
        leaf = np.asarray(palette[int(rng.integers(len(palette)))], np.float32) * rng.uniform(0.92, 1.08)
        if tree.which is not None:
            leaf = np.asarray(palette, np.float32)[
                (tree.which * 9.99 * len(palette)).astype(int) % len(palette)
            ]
        canvas.paint(_haze(light, light.on(leaf, 0.05 + 0.95 * lit), tree.t), inside, element)
    if blossom:
        level = 0.46 - 1.30 * blossom
        full = smoothstep(level, level + 0.18, 0.75 * leaves + 0.55 * clumps) * inside
        petal = PETALS[tree.seed % len(PETALS)]
        canvas.paint(light.on(petal, 0.42 + 0.58 * lit), full, "blossom")
    if scene.snow:
        level = 1.10 - 1.20 * scene.snow
        white = inside * smoothstep(level, level + 0.3, lit + 0.2 * leaves) * (0.55 if bare else 0.95)
        canvas.paint(light.on(SNOW, 0.25 + 0.55 * lit), white, "snow")


def paint_forest(canvas: Canvas, scene: Landscape, light: Light, ground: Ground) -> None:
    """Rows of trees, back to front, in the valley, in place of river or street."""
    p = scene.layout
    rng = np.random.default_rng([p.texture, 51])
    for t in (0.01, 0.08, 0.17, 0.29, 0.45):
        half, size = 0.90 - 0.30 * t, 0.16 + 0.56 * t
        middle, seed = course(p, t) * 0.7 - 0.14 * p.side, int(rng.integers(2**31))
        row = Tree(middle, p.horizon + (1.0 - p.horizon) * t, size, t, seed)
        left, right = middle - half - 0.4 * size, middle + half + 0.4 * size
        window = part(canvas, left, row.y - 1.3 * size, right, row.y + 0.2 * size)
        if window is None:
            continue
        floor = ellipse(window.x, window.y, middle, row.y - 0.05 * size, 0.96 * half, 0.13 * size, 4.0)
        shade = light.on(np.asarray(NEEDLES[scene.season]) * 0.7, 0.12)
        window.paint(shade, 0.9 * window.cover(floor, 0.10), "forest")
        for offset in (0.0, 0.5):
            stand = _row(window, scene, row, half, 0.40, offset)
            if scene.trees == "pine" or (scene.trees == "none" and offset):
                paint_pine(window, scene, light, stand, "forest")
            else:
                paint_leafy(window, scene, light, stand, "forest")
