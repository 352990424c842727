"""Landscapes: exact masks, degrees that grow what they name, edits that leave the layout alone, words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from velatura_lab.world.landscape import (
    ELEMENTS,
    HELD_OUT,
    Landscape,
    Layout,
    sample,
    vocabulary,
    words,
)
from velatura_lab.world.render import View, render
from velatura_lab.world.wording import Teller

BASE = Landscape(building="castle", layout=Layout(texture=7))


def area(scene: Landscape, element: str) -> float:
    return float(render(scene, 64).mask(element).mean())


@pytest.mark.parametrize("seed", range(12))
def test_masks_sum_to_one_in_any_window(seed: int) -> None:
    rng = np.random.default_rng([8, seed])
    view = View(*rng.uniform(-0.4, 0.4, 2), rng.uniform(1.0, 2.5)) if seed % 2 else View()
    picture = render(sample(rng), 64, view)
    assert np.isfinite(picture.rgb).all() and picture.masks.min() > -1e-4
    assert np.abs(picture.masks.sum(0) - 1.0).max() < 2e-3


@pytest.mark.parametrize(
    ("field", "element"),
    [
        ("snow", "snow"),
        ("blossom", "blossom"),
        ("clouds", "clouds"),
        ("tree_count", "trees"),
        ("height", "mountains"),
    ],
)
def test_more_of_a_degree_is_more_of_its_element(field: str, element: str) -> None:
    scene = replace(BASE, clouds=0.0)
    areas = [area(replace(scene, **{field: degree}), element) for degree in (0.0, 1 / 6, 0.5, 5 / 6)]
    assert areas == sorted(areas) and areas[-1] > areas[0] + 0.01
    if field in ("snow", "blossom", "clouds"):
        assert areas[0] == 0.0 and areas[1] > 0.0


@pytest.mark.parametrize("path", ["river", "street", "forest", "desert", "lake"])
def test_what_lies_between_the_mountains_has_its_own_mask(path: str) -> None:
    assert area(replace(BASE, path=path), path) > 0.01
    assert area(replace(BASE, path="meadow"), path) == 0.0


def test_another_path_leaves_sky_mountains_and_castle_as_they_are() -> None:
    river, street = (render(replace(BASE, path=path), 64) for path in ("river", "street"))
    for element in ("sky", "mountains", "castle"):
        np.testing.assert_array_equal(river.mask(element), street.mask(element))
    far = np.s_[: int(64 * 0.45)]
    np.testing.assert_array_equal(river.rgb[far], street.rgb[far])


def test_captions_use_their_vocabulary_and_name_elements() -> None:
    known = vocabulary()
    for seed in range(300):
        rng = np.random.default_rng([9, seed])
        scene = sample(rng)
        assert not any(all(getattr(scene, k) == v for k, v in kept.items()) for kept in HELD_OUT)
        caption = words(scene, Teller(rng if seed % 10 else None, lambda element: True, scene.style))
        assert 0 < len(caption.words) <= 36
        assert {word.text for word in caption.words} <= known
        assert caption.elements() <= set(ELEMENTS)
