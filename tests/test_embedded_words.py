"""Editing by words on the model we ship: the edit is there, the rest stays, sliders do what they say.

Nothing is selected. Bounds are wide: they tell settings that work from broken ones, and figures are for
`velatura evaluate --study words` and `--study sliders`.
"""

from dataclasses import replace

import numpy as np
import pytest

from velatura.models.catalogue import EMBEDDED_ID, entries
from velatura.models.store import ModelStore
from velatura_lab.evaluation import prompt_to_prompt as words
from velatura_lab.evaluation import sliders, slides
from velatura_lab.evaluation.batch import Batch
from velatura_lab.evaluation.cases import named_cases
from velatura_lab.evaluation.encoders import home_made
from velatura_lab.evaluation.measures import MEASURES
from velatura_lab.evaluation.runs import backwards
from velatura_lab.evaluation.session import Options
from velatura_lab.world.pairs import CATALOGUE

EDITS = [("portrait", "shirt to red"), ("landscape", "more snow"), ("table", "colour to red")]
NAIVE = [words.SAME_NOISE, words.SAME_SEED]
#: Graded words that the model draws in many degrees, and a thing of the same pictures.
GRADED = [("portrait", "larger glasses"), ("landscape", "more clouds")]
THINGS = [("portrait", "remove glasses"), ("portrait", "remove hat")]
WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The model we ship, and the settings it brings."""
    entry = next(entry for entry in entries(tmp_path_factory.mktemp("state")) if entry.id == EMBEDDED_ID)
    return ModelStore([entry]), entry.defaults


@pytest.fixture(scope="module")
def encoders():
    return home_made()


@pytest.fixture(scope="module")
def editors(shipped):
    """By name: the method as it ships, and the naive ways of having another prompt."""
    models, defaults = shipped
    found = words.editors(models, rows=(words.SHIPPED, words.SAME_NOISE), defaults=defaults)
    return {editor.id.removeprefix(f"{words.METHOD}: "): editor for editor in found}


@pytest.fixture(scope="module")
def edited(editors, encoders):
    """(edit, editor) -> its result."""
    found = {}
    for case in named_cases(EDITS, 5, 128):
        for name in (words.SHIPPED, *NAIVE):
            done = editors[name].edit(case, [1])
            found[case.edit, name] = Batch(case, done.pictures, encoders, done.sources)
    return found


def of(name, edited, editor):
    """A measure of every edit."""
    return [MEASURES[name].of(batch) for (_, by), batch in edited.items() if by == editor]


def test_what_the_words_say_is_there(edited):
    assert of("success", edited, words.SHIPPED) == [1.0] * len(EDITS)
    before = [batch.readings_before[0].values[batch.case.attribute] for batch in edited.values()]
    wanted = [getattr(batch.case.scenes[1], batch.case.attribute) for batch in edited.values()]
    assert all(
        abs(a - b) > 1 / 3 if isinstance(b, float) else a != b
        for a, b, batch in zip(before, wanted, edited.values(), strict=True)
        if batch.sources is None
    )


@pytest.mark.parametrize("naive", NAIVE)
def test_the_rest_changes_at_most_half_as_much_as_the_naive_way(edited, naive):
    assert np.mean(of("leakage", edited, words.SHIPPED)) <= np.mean(of("leakage", edited, naive)) / 2


def test_it_stays_the_same_person(edited):
    kept, naive = (
        MEASURES["identity"].of(edited["shirt to red", by]) for by in (words.SHIPPED, words.SAME_NOISE)
    )
    assert kept >= 0.85 and kept > naive


def test_the_way_back_ends_nearer_to_the_layer_than_the_naive_way(editors, edited):
    def back(name):
        batch = edited["colour to red", name]
        there = editors[name].edit(backwards(batch.case, batch.pictures[0]), [1])
        return MEASURES["cycle-psnr"].of(replace(batch, back=there.pictures[0]))

    assert back(words.SHIPPED) >= back(words.SAME_NOISE) + 1.5


def slid(shipped, encoders, kind, name, weights):
    """What the slider of an edit's word makes of a picture."""
    models, defaults = shipped
    edit = next(edit for edit in CATALOGUE[kind] if edit.name == name)
    case = replace(sliders.slides(kind, edit, 1, 7, 128)[0], weights=weights)
    (slider,) = sliders.editors(models, Options(methods=("shipped",)), defaults)
    return slides.Slid(case, slider.edit(case, [1]).pictures, encoders)


@pytest.mark.parametrize(("kind", "name"), GRADED)
def test_a_graded_word_rises_with_its_weight(shipped, encoders, kind, name):
    found = slid(shipped, encoders, kind, name, WEIGHTS)
    assert slides.MEASURES["spearman"].of(found) >= 0.9, found.degrees
    assert slides.MEASURES["travel"].of(found) >= 0.15, found.degrees


@pytest.mark.parametrize(("kind", "name"), THINGS)
def test_weight_0_takes_away_what_a_word_stands_for(shipped, encoders, kind, name):
    found = slid(shipped, encoders, kind, name, (0.0,))
    (before,) = encoders.judge.read(found.case.source_image)
    assert before.values[found.case.attribute] == getattr(found.case.scenes[0], found.case.attribute)
    assert found.gone(0.0) == 1.0
