"""Imagic learns a layer once for each prompt, in two stages that can be cancelled, and then only samples."""

import numpy as np
import pytest

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from velatura.cache.cache import Cache
from velatura.methods.base import Cancelled
from velatura.methods.execute import execute

WORDS, LAYER = "Finding words for the layer", "Learning the layer"
LEARNED = {"text_steps": 5, "layer_steps": 6, "steps": 4}


def asked(**parameters):
    mask = box(64, 96, (16, 48), (16, 64))
    return Edit(picture(64, 96), mask, method="imagic", parameters=LEARNED | parameters)


def run(edit, models, cache=None, hooks=None):
    return execute(edit.request, edit.blobs.__getitem__, models, hooks or Recorded(), cache)[0]


def cache(folder):
    return Cache(folder, memory=1 << 26, disk=1 << 26)


def test_cancelled_in_each_stage_it_resumes_to_the_same_bytes(models, tmp_path):
    alone, seen = run(asked(), models).data, []
    for stop in (2, 4, 5, 2, None, None):
        hooks = Recorded(cancel_after=stop)
        kept = cache(tmp_path)  # of another process each time
        if stop is None:
            assert run(asked(), models, kept, hooks).data == alone
        else:
            with pytest.raises(Cancelled):
                run(asked(), models, kept, hooks)
        seen.append([hooks.during.count(stage) for stage in (WORDS, LAYER, "Editing")])
        assert hooks.fractions == sorted(hooks.fractions)
    # a step that is cancelled has been done: it is not told, and not done again
    assert seen == [[2, 0, 0], [2, 2, 0], [0, 3, 2], [0, 0, 2], [0, 0, 4], [0, 0, 4]]


def test_only_what_is_learned_is_learned_anew(models, tmp_path):
    kept = cache(tmp_path)

    def stages(**parameters):
        hooks, prompt = Recorded(), parameters.pop("prompt", "a hat")
        edit = asked(**parameters)
        edit.request["prompt"] = prompt
        run(edit, models, kept, hooks)
        return list(dict.fromkeys(hooks.during))

    assert stages() == [WORDS, LAYER, "Editing"]
    assert stages(amount=20.0, strength=0.5, guidance=2.0, negative_prompt="fog") == ["Editing"]
    assert stages(rank=2) == stages(layer_steps=7) == [LAYER, "Editing"]
    assert stages(text_steps=6) == stages(prompt="a beard") == [WORDS, LAYER, "Editing"]


def test_the_slider_leads_from_the_optimised_words_to_the_prompt(models, tmp_path):
    kept = cache(tmp_path)
    at = {
        amount: pixels(run(asked(amount=amount), models, kept)).astype(int) for amount in (0.0, 50.0, 100.0)
    }
    assert all(np.abs(at[a] - at[b]).max() > 0 for a, b in ((0.0, 50.0), (50.0, 100.0)))


def test_the_model_is_the_same_behind_it(models):
    other = Edit(picture(), box(64, 64, (16, 48), (16, 48)))
    before = run(other, models).data
    run(asked(), models)
    with pytest.raises(Cancelled):
        run(asked(), models, None, Recorded(cancel_after=7))
    assert run(other, models).data == before
