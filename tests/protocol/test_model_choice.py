"""The model that runs a method: the person's own, or the first that can."""

import pytest

from velatura_protocol.catalogue import Catalogue
from velatura_protocol.model_choice import NO_MODEL, ModelChoice, able_models, choose_model, first_able

from .test_catalogue import PLAIN, read

DRAWS, PAINTS = (PLAIN | {"id": id, "title": id.title()} for id in ("draws", "paints"))
OWN = {"id": "own", "title": "Mine", "lacks": ["draws"]}
FIRST = {"id": "first", "title": "First", "lacks": ["draws", "paints"]}
ABLE = {"id": "able", "title": "Able", "lacks": ["paints"]}
ALSO = {"id": "also", "title": "Also", "lacks": []}
INSTEAD = "“Mine” cannot do this, so “Able” does it."


def known(*models: dict) -> Catalogue:
    return read(DRAWS, PAINTS, models=models)


@pytest.mark.parametrize(
    ("method", "own", "model", "note"),
    [
        ("paints", "own", "own", ""),
        ("draws", "own", "able", INSTEAD),
        ("draws", "also", "also", ""),
        ("draws", "", "able", "“First” cannot do this, so “Able” does it."),
        ("paints", "", "own", "“First” cannot do this, so “Mine” does it."),
        ("draws", "gone", "gone", ""),  # the daemon refuses it and names the others
    ],
)
def test_the_persons_own_model_or_the_first_that_can(method, own, model, note):
    found = known(FIRST, OWN, ABLE, ALSO)
    info = found.method(method)
    assert info is not None and choose_model(found, info, own) == ModelChoice(model, note)


def test_the_default_model_stays_the_default_where_it_can():
    """The daemon may have another default by the time of the request."""
    found = known(ALSO, OWN)
    info = found.method("draws")
    assert info is not None and choose_model(found, info, "") == ModelChoice("")
    assert able_models(found, info) == ("also",)


@pytest.mark.parametrize("own", ["own", ""])
def test_where_no_model_can_the_choice_stays_and_is_told(own):
    found = known(OWN, FIRST)
    info = found.method("draws")
    assert info is not None and choose_model(found, info, own) == ModelChoice(own, NO_MODEL)
    assert able_models(found, info) == ()


def test_without_models_nothing_is_chosen():
    found = known()
    info = found.method("draws")
    assert info is not None and choose_model(found, info, "") == ModelChoice("")


@pytest.mark.parametrize(
    ("models", "chosen"),
    [(("able", "own"), "able"), (("own", "able"), "able"), (("own", "first"), "own"), (("", "also"), "also")],
)
def test_a_method_that_serves_another_takes_one_of_these_models_only(models, chosen):
    found = known(FIRST, OWN, ABLE, ALSO)
    assert first_able(found, found.method("draws"), *models) == chosen
    assert first_able(found, None, *models) == models[0]
