"""The study of five ways to edit a person: its rows, their words, and its table."""

import json

import pytest

from tests.tiny import tiny_clip, tiny_clipseg, tiny_model
from tests.tiny_styles import tiny_styles
from velatura.generators.styles import STYLE
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura_lab.evaluation import faces, markdown
from velatura_lab.evaluation.session import Options, evaluate
from velatura_lab.evaluation.study import STUDIES
from velatura_protocol.errors import VelaturaError

QUICK = {"steps": 4, "place": "selection", "refine": 0, "faces": 4}
QUICK |= {"styleclip-optimize.steps": 2, "styleclip-mapper.steps": 2, "styleclip-mapper.batch": 1}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("face-study"), vae="tiny", words=250)
    companions = {"clip": str(tiny_clip(folder / "clip", words=250))}
    companions["segmenter"] = str(tiny_clipseg(folder / "segmenter"))
    styles = str(tiny_styles(folder / "styles"))
    return ModelStore(
        [
            ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64, companions),
            ModelEntry("styles", "Styles", "style", styles, 32, companions, generator=STYLE),
        ]
    )


def test_each_row_is_a_method_of_the_experiment_with_a_cache_of_its_own(models):
    rows = {row.title: row for row in faces.editors(models, Options(), {})}
    assert list(rows) == list(faces.ROWS)
    assert {title: row.method.id for title, row in rows.items()} == faces.ROWS
    assert len({id(row.cache) for row in rows.values()}) == len(rows)
    assert not any(row.masked for row in rows.values())
    led = {title for title, row in rows.items() if row.words}
    assert led == {"latent optimisation", "latent mapper", "global directions"}
    assert all(rows[title].settings["model"].startswith("styles ") for title in led)
    with pytest.raises(VelaturaError, match="no settings 'magic'"):
        faces.editors(models, Options(methods=["magic"]), {})


def test_without_a_generator_its_rows_are_left_out_unless_they_are_named(models):
    alone = ModelStore([models.entry("tiny")])
    assert [row.title for row in faces.editors(alone, Options(), {})] == ["Prompt-to-Prompt", "SEGA"]
    with pytest.raises(VelaturaError, match="needs a style-based generator"):
        faces.editors(alone, Options(methods=["latent mapper"]), {})


def test_all_persons_get_the_same_words_and_the_neutral_ones(models, monkeypatch):
    session = STUDIES["faces"](Options(pairs=1, seeds=1), models, defaults=QUICK)
    asked = []
    monkeypatch.setattr(
        faces.MethodEditor,
        "edit",
        lambda self, case, seeds: asked.append((self.settings, case.target_prompt)),
    )
    for editor in session.editors:
        for case in session.cases:
            editor.edit(case, [1])
    by_method = {}
    for (settings, prompt), editor in zip(
        asked, [e for e in session.editors for _ in session.cases], strict=True
    ):
        by_method.setdefault(editor.title, []).append((prompt, settings["parameters"].get("neutral")))
    assert [prompt for prompt, _ in by_method["latent mapper"]] == list(faces.WORDS.values())
    assert by_method["global directions"] == list(
        zip(faces.WORDS.values(), faces.NEUTRAL.values(), strict=True)
    )
    assert [prompt for prompt, _ in by_method["SEGA"]] == [case.target_prompt for case in session.cases]


def test_the_table_has_both_prompts_and_the_seconds(models, tmp_path):
    asked = Options(
        pairs=1, seeds=1, survey=0, timed=False, quiet=True, methods=["global directions", "SEGA"]
    )
    session = STUDIES["faces"](asked, models, defaults=QUICK)
    figures = evaluate(session, models, tmp_path / "work")
    assert {title.split(" (")[0] for title in figures["types"]} == {
        "portrait: person with beard",
        "portrait: person with glasses",
    }
    assert figures["columns"][0] == "acceptable" and len(figures["conclusions"]) == 2
    assert all(" for one edit" in sentence for sentence in figures["conclusions"])
    told = markdown.write(figures, "velatura evaluate --study faces")
    assert "| SEGA |" in told and "| portrait: person with glasses (1) |" in told
    json.dumps(figures, allow_nan=False)
