"""Masks as files: their names, their values, and what they look like as paint."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura.files.composite import over
from velatura.files.images import Image, Layer
from velatura.files.masks import as_paint, paths_for, write_mask
from velatura.files.reading import read_mask

VALUES = np.arange(0, 240, 10, np.uint8).reshape(4, 6, 1)


def mask(x=0, y=0):
    return Layer(Image(VALUES, "A", ""), x, y, "cat", {"velatura": 1})


def test_one_mask_has_the_name_that_was_given_and_several_have_their_words():
    assert paths_for(Path("a/out.png"), ["cat"]) == [Path("a/out.png")]
    titles = ["cat", "Cat", "l'été", "red, /dress", "…", "cat-2"]
    assert [path.name for path in paths_for(Path("a/out.png"), titles)] == [
        "out-cat.png",
        "out-Cat-2.png",
        "out-l'été.png",
        "out-red-dress.png",
        "out-mask.png",
        "out-cat-2-2.png",
    ]


@given(st.lists(st.text(max_size=80), min_size=2, max_size=8))
def test_any_titles_have_files_of_their_own_in_that_folder(titles):
    paths = paths_for(Path("there/out.png"), titles)
    assert len({path.name.casefold() for path in paths}) == len(titles)
    assert all(path.parent == Path("there") and path.suffix == ".png" for path in paths)


def test_a_mask_is_written_as_grey_and_read_as_it_was(tmp_path):
    write_mask(tmp_path / "mask.png", mask())
    pixels = imagecodecs.png_decode((tmp_path / "mask.png").read_bytes())
    assert pixels.dtype == np.uint8 and np.array_equal(pixels, VALUES[..., 0])
    assert np.array_equal(read_mask(tmp_path / "mask.png").pixels, VALUES)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", ["G", "GA", "RGB", "RGBA"])
def test_as_paint_it_is_white_in_the_sources_own_kind(dtype, channels):
    source = Image(np.zeros((8, 9, len(channels)), dtype), channels)
    paint = as_paint(mask(2, 3), source)
    full = np.iinfo(dtype).max
    assert (paint.image.pixels[..., :-1] == full).all()
    assert np.array_equal(paint.image.pixels[..., -1:] * 255.0 / full, VALUES)
    assert (paint.x, paint.y, paint.title, paint.recipe) == (2, 3, "cat", {"velatura": 1})
    assert over(source, paint).pixels.any()
