"""Which part of its scene each picture of the training set shows.

An editor shows the model parts of pictures: the crop around a selection. Hence some views come nearer to the
middle, and others frame one element as a crop around its selection does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from velatura_lab.world import View, render

MAP = 48  # side of the small picture in which the elements of a scene are looked for
SELECTED = 0.2  # share of the views that frame an element
CONTEXT = (0.2, 0.8)  # what such a view shows on each side, in sizes of the element
NEAREST = 3.0  # zoom of the nearest view: a crop that an artist still selects at this model's size
LEAST = 0.003  # share of the picture: a smaller element is not framed
LONGEST = 0.5  # of the side: a longer element is not framed, since a crop round it shows nearly everything


def sample_view(rng: np.random.Generator, scene: Any) -> View:
    """A view of a scene: mostly the whole, sometimes nearer, sometimes framing one element.

    Of the views that only come nearer, those of portraits come nearer than those of landscapes and tables,
    which are known by how their parts lie together.
    """
    if rng.random() < SELECTED:
        return selected_view(rng, render(scene, MAP).masks)
    whole, nearest, low = (0.72, 1.75, 0.96) if scene.kind == "portrait" else (0.8, 1.35, 1.0)
    if rng.random() < whole:
        return View(0.0, 0.0, float(rng.uniform(low, 1.06)))
    zoom = float(rng.uniform(1.06, nearest))
    reach = 1.0 - 1.0 / zoom
    return View(float(rng.uniform(-0.7, 0.7)) * reach, float(rng.uniform(-1.0, 1.0)) * reach, zoom)


def selected_view(rng: np.random.Generator, masks: NDArray[np.float32]) -> View:
    """The crop around one element, as the canvas cuts it around a selection.

    masks (E, s, s): the exact masks of the whole scene. An element is drawn evenly among those that are
    neither tiny nor large; if there is none, the view is the whole scene.
    """
    found = [item for item in map(bounds, masks) if item is not None]
    if not found:
        return View()
    box = found[int(rng.integers(len(found)))]
    wanted = (box[:, 1] - box[:, 0]).max() * (1.0 + 2.0 * rng.uniform(*CONTEXT))
    zoom = float(np.clip(1.0 / wanted, 1.0, NEAREST))
    reach = 1.0 - 1.0 / zoom
    y, x = (float(value) for value in np.clip(box.sum(1) - 1.0, -reach, reach))
    return View(x, y, zoom)


def bounds(mask: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Where an element begins and ends, [[top, bottom], [left, right]] in 0..1; None if it is not framed."""
    inside = mask > 0.5
    if mask.mean() < LEAST or not inside.any():
        return None
    covered = [np.flatnonzero(inside.any(axis)) for axis in (1, 0)]
    box = np.array([(line[0], line[-1] + 1) for line in covered]) / len(mask)
    return box if (box[:, 1] - box[:, 0]).max() <= LONGEST else None
