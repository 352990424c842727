"""The studies of Blended Latent Diffusion: rows, thin selections, and what they measure."""

from dataclasses import replace

import numpy as np
import pytest

from tests.tiny import tiny_model
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura_lab.bench import blended as bench
from velatura_lab.evaluation import blended, cases
from velatura_lab.evaluation.batch import Batch
from velatura_lab.evaluation.encoders import Encoders
from velatura_lab.evaluation.session import Options
from velatura_lab.evaluation.study import STUDIES
from velatura_protocol.errors import VelaturaError


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("reader"), vae="tiny", words=250)
    return ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64)])


@pytest.fixture(scope="module")
def glasses():
    (case,) = cases.named_cases([("portrait", "add glasses")], 7, 64)
    return case


@pytest.mark.parametrize("study", ["joins", "precision"])
def test_rows_differ_and_the_columns_are_the_ones_asked_for(reader, study):
    asked = Options(kinds=["portrait"], pairs=1, seeds=1)
    session = STUDIES[study](asked, reader, defaults={"steps": 4})
    settings = [repr(editor.settings) for editor in session.editors]
    assert len(set(settings)) == len(settings)
    assert session.measures and session.options.measures == ()
    with pytest.raises(VelaturaError, match="no settings 'k 9'"):
        STUDIES[study](replace(asked, methods=["k 9"]), reader, defaults={})


def test_a_thin_region_holds_no_square():
    region = np.zeros((128, 128), np.float32)
    assert not blended.is_thin(region)
    region[20:27, :] = 1.0
    assert blended.is_thin(region)
    region[40:48, 40:48] = 1.0
    assert not blended.is_thin(region)


def test_the_edited_area_and_the_background_inside_the_selection_are_counted(glasses):
    pictures = glasses.source[None].copy()
    same = Batch(glasses, pictures, Encoders())
    assert list(blended.edited(same)) == [0.0] and list(blended.inner_psnr(same)) == [100.0]
    inside = glasses.mask > 127
    pictures[0][inside] = pictures[0][inside] // 2 + 128 * (pictures[0][inside] < 100)
    (share,) = blended.edited(Batch(glasses, pictures, Encoders()))
    moved = np.abs(pictures[0].astype(int) - glasses.source)[inside].max(1) > 25.5
    assert share == pytest.approx(moved.mean()) and share > 0.0
    place = (glasses.mask > 0) & (glasses.region < 0.01)
    error = np.square((pictures[0] / 255.0 - glasses.source / 255.0)[place]).mean()
    (psnr,) = blended.inner_psnr(Batch(glasses, pictures, Encoders()))
    assert psnr == pytest.approx(-10.0 * np.log10(error), abs=1e-3)


def test_the_bench_times_every_stage_of_both(reader, glasses):
    took = bench.ours(reader, glasses, 2, steps=4, fit_steps=2)
    assert {"Editing", "Ranking", "Joining to the layer"} <= took.keys()
    took = bench.published(reader, glasses, 2, steps=4, fitted=2)
    assert list(took) == ["Editing", "Decoding", "Ranking", "Reconstruction"]
    assert all(clock > 0.0 and processors >= 0.0 for clock, processors in took.values())
