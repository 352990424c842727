"""A person who goes back to a result learns what has changed since."""

from __future__ import annotations

import pytest

from tests.krita.desk import entry, named, result_layer
from tests.krita.fake_krita import SRGB
from tests.krita.turns import finish

SIZE = (32, 24)


@pytest.fixture
def result(krita, stack):
    """A result of 'source', whose pixels are those of the recipe."""
    from velatura_krita.insert import Layer, insert
    from velatura_krita.velatura_protocol.messages import digest
    from velatura_krita.velatura_protocol.rasters import Raster

    source = named(stack, "source")
    pixels = bytes(range(256)) * 12
    source.setPixelData(pixels, 0, 0, *SIZE)
    raster = Raster(digest(pixels), *SIZE, "BGRA", "u8", SRGB, (0, 0, *SIZE))
    made = result_layer("v", bytes(range(24)), profile=SRGB)
    recipe = {"job": "j", "method": "m", "inputs": {"source": raster.to_wire(), "mask": None}}
    finish(insert(krita, entry(stack), "hat", [Layer(made.title, made.raster, recipe, made.data)]))
    return named(stack, "hat").childNodes()[0]


def said(krita, stack, result, **known):
    from velatura_krita import again
    from velatura_krita.velatura_protocol.comparison import Changes

    stack.setActiveNode(result)
    return finish(again.go_back(krita, again.selected(krita), known=Changes(**known)))


SAME = "These are the result's settings and selection; run them again on 'source'."


def test_nothing_is_said_where_nothing_has_changed(krita, stack, result):
    assert said(krita, stack, result) == SAME


def test_a_source_that_was_painted_on(krita, stack, result):
    named(stack, "source").setPixelData(bytes(4), 3, 3, 1, 1)
    assert said(krita, stack, result) == f"{SAME} 'source' was changed since: Run takes it as it is now."


def test_a_result_that_was_moved_or_erased(krita, stack, result):
    result.move(5, 5)
    assert "was moved since" in said(krita, stack, result)
    result.setPixelData(bytes(8), *result.bounds().getRect()[:2], 2, 1)
    assert "painted on or erased since" in said(krita, stack, result)


def test_a_newer_method_and_a_model_that_is_gone(krita, stack, result):
    found = said(krita, stack, result, is_method_newer=True, lacks_model=True)
    assert "method is newer" in found and "model is not there any more" in found
