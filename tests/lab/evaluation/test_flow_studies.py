"""The studies of editing by a flow on a tiny random model: their rows, and what follows from figures."""

import numpy as np
import pytest

from tests.tiny import tiny_model
from velatura.methods.registry import registry
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura_lab.evaluation import dials, flows, sliders
from velatura_lab.evaluation.dials import SHARES, Dialled
from velatura_lab.evaluation.encoders import home_made
from velatura_lab.evaluation.session import Options
from velatura_protocol.errors import VelaturaError


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A tiny model that reads whole captions."""
    folder = tiny_model(tmp_path_factory.mktemp("reader"), vae="tiny", words=250)
    return ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64)])


@pytest.fixture(scope="module")
def slide():
    edit = next(edit for edit in sliders.graded("portrait") if "hair" in edit.name)
    return sliders.slides("portrait", edit, 1, 7, 64)[0]


def test_every_row_says_its_settings_itself_and_no_two_are_the_same(reader):
    every = flows.editors(reader)
    settings = [repr((editor.id.split(":")[0], editor.settings)) for editor in every]
    assert len(set(settings)) == len(settings)
    assert flows.BASE.items() <= registry()[flows.METHOD].Parameters().model_dump().items(), (
        "what ships has changed: vary the rows around that"
    )
    for row, changes in flows.SETTINGS.items():
        assert (changes.keys() >= flows.BASE.keys()) == (row not in (flows.SHIPPED, flows.BY_WORDS)), row
    assert not any(editor.masked for editor in every if not editor.baseline)
    with pytest.raises(VelaturaError, match="no settings 'k 9'"):
        flows.editors(reader, rows=("k 9",))
    with pytest.raises(VelaturaError, match="no settings 'k 9'"):
        dials.editors(reader, Options(methods=["k 9"]), {})


def test_the_rule_takes_the_most_success_of_those_that_keep_the_rest():
    def found(**rows):
        figures = {
            title: {
                name: {"mean": value}
                for name, value in zip(("success", "kept", "leakage", "outside-psnr"), row, strict=True)
            }
            for title, row in rows.items()
        }
        editors = {title: {"title": title, "baseline": title == "naive"} for title in rows}
        return {"figures": figures, "editors": editors, "measures": {"success": {}}}

    (sentence,) = flows.conclude(
        found(
            naive=(1.0, 1.0, 0.0, 50.0),
            loose=(1.0, 0.9, 0.0, 50.0),
            far=(1.0, 1.0, 0.0, 30.0),
            a=(0.8, 0.95, 2.0, 40.0),
            b=(0.8, 0.97, 1.0, 40.0),
        )
    )
    assert sentence.endswith("It chooses: b.")
    assert flows.conclude(found(loose=(1.0, 0.5, 0.0, 50.0)))[0].endswith("There are none.")


def test_a_dial_is_turned_to_every_share_and_at_0_is_the_layer(reader, slide):
    rows = dials.editors(
        reader, Options(methods=["not even", "weights"]), {"steps": 4, "only_changes": False}
    )
    case = dials.replace(slide, weights=SHARES)
    dialled = rows[0].edit(case, [3])
    assert dialled.pictures.shape == (len(SHARES), 64, 64, 3)
    assert np.array_equal(dialled.pictures[0], case.source)
    assert (dialled.pictures[-1] != dialled.pictures[1]).any()
    weighed = rows[1].edit(case, [3])
    assert weighed.pictures.shape == dialled.pictures.shape


@pytest.mark.parametrize("row", ["concepts", "added"])
def test_concepts_are_turned_as_dials_are(reader, slide, row):
    (turned,) = dials.editors(reader, Options(methods=[row]), {"steps": 4, "only_changes": False})
    case = dials.replace(slide, weights=(0.0, 50.0, 100.0))
    pictures = turned.edit(case, [3]).pictures
    asked = turned.changed(concepts=[turned.entry(case, 50.0)])
    request, _ = asked.request(dials.replace(case, target_prompt=""), [3])
    (entry,) = request["parameters"]["concepts"]
    assert request["prompt"] == "" and request["inputs"]["mask"] is None
    if row == "concepts":
        assert (entry["more"], entry["strength"]) == (case.target_prompt, 50.0)
    else:
        assert (entry["text"], entry["scale"]) == (case.new_thing, 4.0) and "long" in entry["text"]
    off = [np.abs(picture.astype(float) - pictures[0]).mean() for picture in pictures]
    assert 0.0 < off[1] < off[2]


def test_measures_of_a_dial(slide):
    case = dials.replace(slide, weights=SHARES)
    pictures = np.repeat(case.source[None], len(SHARES), 0)
    for i in range(len(SHARES)):
        pictures[i, :, : 10 * i] = 255 - pictures[i, :, : 10 * i]
    turned = Dialled(case, pictures, home_made())
    figures = {name: measure.of(turned) for name, measure in dials.MEASURES.items()}
    assert figures["layer"] == 0.0 and figures["leakage"] > 0.0 and figures["evenness"] >= 1.0
    assert len(turned.moves) == len(SHARES) - 1 and min(turned.moves) > 0.0
    assert 0.0 <= figures["kept"] <= 1.0
    still = Dialled(case, np.repeat(case.source[None], len(SHARES), 0), home_made())
    assert np.isnan(dials.MEASURES["evenness"].of(still)) and abs(dials.MEASURES["travel"].of(still)) < 1e-6
    assert [title for title, _, _ in turned.shown()] == ["at 20 %", "at 60 %", "at 100 %"]
