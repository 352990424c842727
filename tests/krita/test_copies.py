"""Recipes stay with copies of their layers, and leave the file with a layer that is gone."""

from __future__ import annotations

import pytest

from tests.krita.desk import JOB, entry, named, result_layer
from tests.krita.fake_krita import SRGB, Document
from tests.krita.turns import finish


@pytest.fixture
def result(krita, stack):
    from velatura_krita.insert import insert

    finish(insert(krita, entry(stack), "hat", [result_layer("v", bytes(range(24)), profile=SRGB)]))
    return named(stack, "hat").childNodes()[0]


@pytest.fixture
def look(krita):
    """Looks once for copies."""
    from velatura_krita.copies import Copies

    class Session:
        host = krita

        class stepper:
            @staticmethod
            def start(steps, done, _failed):
                done(finish(steps))

    return Copies(Session()).look


def recipe(document, node):
    from velatura_krita import recipes

    return recipes.read(document, node)


def test_a_duplicate_that_was_moved_has_the_recipe(stack, result, look):
    copy = result.clone()
    copy.move(9, 9)
    stack.rootNode().addChildNode(copy, None)
    assert recipe(stack, copy) is None
    look()
    found = recipe(stack, copy)
    assert found.request["job"] == JOB and found.kept  # the person's own: no later run hides it
    assert found.evidence.rect[:2] != recipe(stack, result).evidence.rect[:2]


def test_a_copy_in_another_picture_has_the_recipe(krita, stack, result, look):
    other = Document(40, 40, "other", "RGBA", "U8", SRGB)
    krita.open.append(other)
    group = named(stack, "hat").clone()
    other.rootNode().addChildNode(group, None)
    look()
    assert recipe(other, group.childNodes()[0]).request["job"] == JOB


def test_a_layer_of_the_same_size_with_other_pixels_has_none(stack, result, look):
    copy = result.clone()
    stack.rootNode().addChildNode(copy, None)
    copy.setPixelData(bytes(reversed(range(24))), *result.bounds().getRect())
    look()
    assert recipe(stack, copy) is None


def test_a_recipe_goes_with_its_layer_and_comes_back_with_it(stack, result):
    from velatura_krita import recipes

    group, before = named(stack, "hat"), dict(stack.annotations)
    stack.rootNode().take(group)
    recipes.tidy(stack)
    assert not stack.annotations and recipes.inserted(stack, JOB)
    stack.rootNode().addChildNode(group, None)
    assert recipe(stack, result) is not None
    recipes.tidy(stack)
    assert stack.annotations == before
    stack.rootNode().take(group)
    recipes.tidy(stack)
    recipes.let_go([])
    assert not recipes.inserted(stack, JOB)
