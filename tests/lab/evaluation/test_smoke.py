"""Editing still means what it should: a few pairs on the model we ship, and broken methods that must fail."""

import math
from dataclasses import dataclass, replace

import pytest

from velatura.generators.styles import STYLE
from velatura.methods.registry import registry
from velatura.models.catalogue import EMBEDDED_ID, entries
from velatura_lab.evaluation import editors, session, smoke

BLD = "blended-latent-diffusion"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass
class PromptIgnored(editors.MethodEditor):
    """A method that paints what is there already: it takes the source's prompt for the person's."""

    def edit(self, case, seeds):
        return super().edit(replace(case, target_prompt=case.source_prompt), seeds)


@dataclass
class SelectionIgnored(editors.MethodEditor):
    """A method that repaints the whole picture, though it says that it takes a selection."""

    def edit(self, case, seeds):
        return super().edit(replace(case, mask=case.mask | 255), seeds)


def with_broken(models, model, methods, defaults):
    """The methods in order, the baselines, and one of the methods broken in two ways."""
    made = editors.editors(models, model, methods, defaults)
    cache = editors.shared_cache()  # as the daemon has one: methods share inversions, to the byte
    for editor in made:
        if isinstance(editor, editors.MethodEditor):
            editor.cache = cache
    whole = next(editor for editor in made if editor.id == BLD)
    for cls in (PromptIgnored, SelectionIgnored):
        id = cls.__name__
        made.append(cls(whole.method, models, model, defaults, id=id, title=id))
    return made


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    entry = next(entry for entry in entries(tmp_path_factory.mktemp("state")) if entry.id == EMBEDDED_ID)
    models = session.store(entry, "cpu")
    options = replace(session.SMOKE, model=EMBEDDED_ID, methods=editors.quick_methods(), quiet=True)
    defaults = {**entry.defaults, **session.SMOKE_DEFAULTS}
    made = session.prepare(options, models, with_broken, defaults=defaults)
    return session.evaluate(made, models, tmp_path_factory.mktemp("work"))


def test_what_is_asked_for_is_there_and_less_leaks_than_without_a_method(figures):
    methods = [id for id, editor in figures["editors"].items() if not editor["baseline"]]
    assert smoke.problems(figures, methods[:-2]) == []
    edited = {
        id
        for id, method in registry().items()
        if method.result == "layer" and method.generator != STYLE and not method.trait
    }
    assert edited == set(methods[:-2])


def test_a_method_that_ignores_the_prompt_is_found_out(figures):
    (problem,) = smoke.problems(figures, ["PromptIgnored"])
    assert "does what the prompt asks" in problem


def test_a_method_that_ignores_the_selection_is_found_out(figures):
    assert any("was not selected" in problem for problem in smoke.problems(figures, ["SelectionIgnored"]))


def test_the_judge_is_sure_of_the_exact_targets_and_of_the_sources(figures):
    assert figures["figures"]["target"]["success"]["mean"] == 1.0
    assert figures["figures"]["nothing"]["success"]["mean"] == 0.0


def test_without_a_judge_nothing_passes(figures):
    assert smoke.problems(figures, []) == ["No method was named, so nothing was checked."]
    assert smoke.problems(figures, ["magic"]) == ["The method 'magic' made no edits."]
    blind = figures | {"encoders": {}}
    assert len(smoke.problems(blind, [BLD])) == 1
    empty = figures | {"figures": {}}
    assert smoke.problems(empty, [BLD]) == ["Fill the selection made nothing that can be judged."]
    assert not math.isnan(figures["figures"][BLD]["leakage"]["mean"])
