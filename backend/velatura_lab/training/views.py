"""Views: the part of its scene that a picture of the training set shows.

An editor gives the model a part of a picture, the crop around a selection.  Some views therefore zoom in on
the middle, and others frame one element as a crop around its selection does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from velatura_lab.world import View, render

MAP = 48  # side of the small picture that locates the elements of a scene
SELECTED = 0.2  # share of the views that frame an element
CONTEXT = (0.2, 0.8)  # margin of such a view on each side, in sizes of the element
NEAREST = 3.0  # largest zoom: the smallest usual crop at this model's size
LEAST = 0.003  # least share of the picture of a framed element
LONGEST = 0.5  # largest length of a framed element, in sides; a crop around a longer one is nearly the whole


def sample_view(rng: np.random.Generator, scene: Any) -> View:
    """A view of a scene: mostly the whole, sometimes zoomed in, sometimes the frame of one element.

    Zoomed views of landscapes and tables zoom less than those of portraits, since their composition matters
    more.
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
    """The crop around one element, as the editor cuts it around a selection.

    The element is drawn evenly among those that are neither tiny nor large.  Without one, the view is the
    whole scene.  `masks` (E, s, s) are the exact masks of the whole scene.
    """
    boxes = [item for item in map(bounds, masks) if item is not None]
    if not boxes:
        return View()
    box = boxes[int(rng.integers(len(boxes)))]
    side = (box[:, 1] - box[:, 0]).max() * (1.0 + 2.0 * rng.uniform(*CONTEXT))
    zoom = float(np.clip(1.0 / side, 1.0, NEAREST))
    reach = 1.0 - 1.0 / zoom
    y, x = (float(value) for value in np.clip(box.sum(1) - 1.0, -reach, reach))
    return View(x, y, zoom)


def bounds(mask: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """An element's bounding box [[top, bottom], [left, right]] in 0..1; None if it is too small or long."""
    inside = mask > 0.5
    if mask.mean() < LEAST or not inside.any():
        return None
    covered = [np.flatnonzero(inside.any(axis)) for axis in (1, 0)]
    box = np.array([(line[0], line[-1] + 1) for line in covered]) / len(mask)
    return box if (box[:, 1] - box[:, 0]).max() <= LONGEST else None
