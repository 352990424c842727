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


def test_the_recipe_of_a_gone_layer_stays_while_undo_reaches_it_and_goes_at_the_next_opening(
    krita, stack, result
):
    from velatura_krita import recipes

    recipes.let_go([stack])
    group, before, root = named(stack, "hat"), dict(stack.annotations), stack._root
    stack.setModified(False)
    stack.rootNode().take(group)
    stack._root = Document(1, 1, "", "RGBA", "U8", SRGB)._root  # as flattening does
    recipes.let_go([stack])
    assert stack.annotations == before and not stack.modified()
    stack._root = root
    again = Document(32, 24, "picture", "RGBA", "U8", SRGB)
    again.annotations = dict(before)
    recipes.let_go([stack, again])
    assert not again.annotations and not again.modified() and stack.annotations == before
    changed = Document(32, 24, "picture", "RGBA", "U8", SRGB)
    changed.annotations, changed.is_modified = dict(before), True
    recipes.let_go([changed])
    assert not changed.annotations and changed.modified()


def test_what_is_written_already_does_not_change_the_document(stack, result):
    from velatura_krita import recipes

    stack.setModified(False)
    recipes.bind(stack, result, recipe(stack, result))
    assert not stack.modified()
