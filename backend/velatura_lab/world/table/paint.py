"""A still life from back to front."""

from __future__ import annotations

import numpy as np

from ..raster import RGB, Canvas
from .food import paint_apple, paint_basket, paint_cake, paint_pear
from .room import make_ground, paint_cloth, paint_table, paint_wall
from .scene import PLAIN_MATERIAL, WARES, Table
from .soft import paint_bear, paint_flowers
from .solids import Light
from .wares import Item, paint_ball, paint_cube, paint_vessel, shadow_of


def make_light(scene: Table) -> Light:
    a = scene.arrangement
    direction = np.asarray((1.05 * a.light, 0.95 + 0.22 * a.light_height, 0.62))
    x, y, z = direction / np.linalg.norm(direction)
    return Light(float(x), float(y), float(z), a.hardness)


def items(scene: Table) -> list[Item]:
    """The things on the table, from back to front.

    The first thing does not depend on the second, so that an edit can add or remove the second.
    """
    a = scene.arrangement
    side = -1.0 if scene.side == "left" else 1.0
    main = Item(
        scene.thing,
        x=side * (0.45 + 0.04 * a.apart) if a.room else side * (0.16 + 0.12 * a.place),
        y=0.62 + 0.05 * a.depth + 0.16 * (scene.size - 0.5),
        scale=(0.56 + 0.74 * scene.size) * (0.94 if a.room else 1.2),
        colour=scene.colour,
        material=scene.material if scene.thing in WARES else "",
        turn=a.turn,
        seed=a.texture + 100,
        fluff=scene.fluff,
        fullness=scene.fullness,
        flowers=scene.flowers,
    )
    if scene.second == "none":
        return [main]
    second = Item(
        scene.second,
        x=-side * (0.47 if a.room else 0.62) + 0.03 * a.place,
        y=0.53 + 0.09 * a.second_depth if a.room else 0.38 + 0.05 * a.second_depth,
        scale=(0.86 if a.room else 0.70) + 0.07 * a.second_size,
        colour=scene.second_colour,
        material=PLAIN_MATERIAL.get(scene.second, "ceramic") if scene.second in WARES else "",
        turn=a.second_turn,
        seed=a.texture + 200,
        fluff=scene.fluff,
        fullness=scene.fullness,
        flowers=scene.flowers,
    )
    return sorted((main, second), key=lambda item: item.y)


def paint(canvas: Canvas, scene: Table) -> None:
    """Paint the picture and the shares of its elements."""
    light = make_light(scene)
    ground = make_ground(canvas, scene)
    paint_wall(canvas, scene, light)
    paint_table(canvas, scene, light, ground)
    if scene.cloth != "none":
        paint_cloth(canvas, scene, light, ground)
    things = items(scene)
    under = canvas.rgb.copy()
    for item in things:
        shadow_of(canvas, item, light)
    # shadows fall on the table only
    canvas.rgb[:] = under + ground.inside[..., None] * (canvas.rgb - under)
    for item in things:
        _paint_item(canvas, item, light)
    canvas.rgb[:] = _develop(canvas.rgb, scene)


def _paint_item(canvas: Canvas, item: Item, light: Light) -> None:
    if item.thing == "apple":
        paint_apple(canvas, item.x, item.y, 0.31 * item.scale, item.colour, light, item.seed)
    elif item.thing == "ball":
        paint_ball(canvas, item, light)
    elif item.thing == "cube":
        paint_cube(canvas, item, light)
    elif item.thing == "pear":
        paint_pear(canvas, item, light)
    elif item.thing == "cake":
        paint_cake(canvas, item, light)
    elif item.thing == "basket":
        paint_basket(canvas, item, light)
    elif item.thing == "bear":
        paint_bear(canvas, item, light)
    else:
        paint_vessel(canvas, item, light)
        if item.thing == "vase" and item.flowers != "none":
            paint_flowers(canvas, item, light)


def _develop(rgb: RGB, scene: Table) -> RGB:
    """White balance, exposure and a gentle contrast curve, as a camera applies them."""
    a = scene.arrangement
    balance = np.asarray((1.0 + 0.025 * a.warmth, 1.0, 1.0 - 0.03 * a.warmth), np.float32)
    graded = np.clip(rgb * (balance * np.float32(1.02 + 0.06 * a.exposure)), 0.0, 1.0)
    curve = graded * graded * (3.0 - 2.0 * graded)
    return np.clip(0.75 * graded + 0.25 * curve, 0.0, 1.0)
