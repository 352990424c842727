"""PIE-Bench's layout and its metrics' quirks, on a folder of the same shape; published networks, tiny."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import ViTConfig, ViTModel

from tests.tiny import tiny_clip
from velatura_lab.evaluation import metrics, pie_bench, published, report, session, tables
from velatura_lab.evaluation.batch import Batch
from velatura_lab.evaluation.encoders import Encoders
from velatura_lab.evaluation.session import Options
from velatura_protocol.errors import VelaturaError


def picture(seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    return np.array(Image.fromarray(coarse).resize((512, 512), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two edits: a square of 10 by 20 in the middle, and a mask that covers everything."""
    root = tmp_path_factory.mktemp("pie")
    items = {}
    square = [number for row in range(200, 210) for number in (row * 512 + 100, 20)]
    for index, (kind, runs) in enumerate((("1", square), ("9", [0, 512 * 512]))):
        path = f"{kind}_kind/{index:012d}.jpg"
        (root / "annotation_images" / path).parent.mkdir(parents=True)
        Image.fromarray(picture(index)).save(root / "annotation_images" / path, quality=95)
        items[f"{index:012d}"] = {
            "image_path": path,
            "original_prompt": "a [cat] on a wall",
            "editing_prompt": "a [dog] on a wall",
            "editing_type_id": kind,
            "blended_word": "cat dog",
            "mask": runs,
        }
    (root / "mapping_file.json").write_text(json.dumps(items))
    return root


def test_the_layout_is_read(folder):
    first, second = pie_bench.read_cases(folder)
    assert (first.source_prompt, first.target_prompt) == ("a cat on a wall", "a dog on a wall")
    assert (first.source_words, first.target_words, first.kind) == ("cat", "dog", "change object")
    assert first.mask[200:210, 100:120].min() == 255 and (first.mask > 0).sum() == 200
    assert first.region[0].min() == first.region[:, -1].min() == 1.0
    assert second.region.min() == 1.0
    assert [case.kind for case in pie_bench.read_cases(folder, kinds=("9",))] == ["change style"]
    assert len(pie_bench.read_cases(folder, kinds=("change object",), count=1)) == 1


def test_a_run_past_the_end_is_cut():
    assert pie_bench.decode_mask([512 * 512 - 2, 10]).sum() == 2


@pytest.mark.parametrize("content", [None, "not json"])
def test_another_folder_is_refused_in_a_sentence(tmp_path, content):
    if content:
        (tmp_path / "mapping_file.json").write_text(content)
    with pytest.raises(VelaturaError, match=r"mapping_file\.json"):
        pie_bench.read_cases(tmp_path)


def test_no_edits_of_a_kind_is_said(folder):
    with pytest.raises(VelaturaError, match="no edits"):
        pie_bench.read_cases(folder, kinds=("cars",))


def test_the_zeroed_area_counts_as_perfect_and_a_full_mask_gives_nothing(folder):
    first, second = pie_bench.read_cases(folder)
    result = np.clip(first.source.astype(int) + 10, 0, 255).astype(np.uint8)
    batch = Batch(first, result[None], Encoders())
    keep = (1.0 - first.region)[..., None]
    error = ((result / 255.0 - first.source / 255.0) * keep) ** 2  # over all pixels, the zeroed ones too
    assert pie_bench.MEASURES["pie-psnr"].of(batch) == pytest.approx(-10 * math.log10(error.mean()), abs=1e-4)
    assert pie_bench.MEASURES["pie-mse"].of(batch) == pytest.approx(1e4 * error.mean(), rel=1e-4)
    weighted = metrics.mse(batch.results, batch.origins, batch.background)[0]
    assert 1e-4 * pie_bench.MEASURES["pie-mse"].of(batch) < weighted
    everything = Batch(second, result[None], Encoders())
    for name in ("pie-psnr", "pie-mse", "pie-ssim"):
        assert math.isnan(pie_bench.MEASURES[name].of(everything))


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Networks of the published classes with random weights, in folders of the published names."""
    root = tmp_path_factory.mktemp("encoders")
    tiny_clip(root / "clip-vit-large-patch14")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ViTModel(ViTConfig(**sizes, image_size=32, patch_size=8), add_pooling_layer=False)
    model.save_pretrained(root / "dino-vitb8")
    return root


def test_published_networks_are_found_and_what_is_missing_is_named(networks, folder, monkeypatch):
    monkeypatch.setenv("VELATURA_ENCODERS", str(networks))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = published.load_published(torch.device("cpu"))
    assert found.published
    assert {"clip", "features"} <= found.names.keys()
    assert len(found.missing) == (0 if found.lpips else 1)
    case = pie_bench.read_cases(folder)[0]
    batch = Batch(case, np.stack([case.source, picture(9)]), found)
    same, other = pie_bench.MEASURES["pie-structure"].function(batch)
    assert same == pytest.approx(0.0, abs=1e-6) and other > 0.0
    assert 0.0 <= pie_bench.MEASURES["pie-clip"].of(batch) <= 100.0
    assert 0.0 <= pie_bench.MEASURES["pie-clip-edited"].of(batch) <= 100.0


def test_the_structure_network_is_fed_pixels_of_255_and_its_last_keys_are_taken(networks):
    keys = published.DinoKeys(str(networks / "dino-vitb8"), torch.device("cpu"))
    network = keys._model
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    places = keys.places(image)
    assert places.shape == (1, 17, 16)  # 4 x 4 places and the class token
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = (image * 255.0 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    with torch.no_grad():
        hidden = network(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
        last = network.layers[-1]
        by_hand = last.attention.k_proj(last.layernorm_before(hidden))
    torch.testing.assert_close(places, by_hand)


def test_methods_run_without_the_masks_unless_these_are_asked_for(folder, models):
    options = Options(methods=("sdedit", "prompt-to-prompt"), seeds=1, survey=0, dataset=folder, quiet=True)
    made = session.prepare(options, models, encoders=Encoders())
    ids = {editor.id: editor for editor in made.editors}
    assert list(ids) == ["prompt-to-prompt", "sdedit", "same-seed"]  # the baseline is sdedit without a mask
    assert not ids["sdedit"].masked and ids["sdedit"].settings["masked"] is False
    assert ids["sdedit"].request(made.cases[0], [1])[0]["inputs"]["mask"] is None
    given = session.prepare(replace(options, masked=True), models, encoders=Encoders())
    titles = [editor.title for editor in given.editors]
    assert titles[1:] == [
        "Repaint from its colours (given the mask)",
        "Same seed, new prompt",
        "Noise and denoise the whole",
    ]
    assert given.editors[1].request(made.cases[0], [1])[0]["inputs"]["mask"]


def test_beside_published_figures_stand_only_methods_that_had_no_mask():
    names = pie_bench.MEASURES
    row = {"pie-psnr": {"mean": 20.0, "low": None, "high": None, "n": 2}}
    told = {id: {"title": f"Method {id}", "baseline": False} for id in ("told", "blind")}
    told["told"]["settings"], told["blind"]["settings"] = {"masked": True}, {"masked": False}
    shown = {
        name: {"title": m.title, "unit": m.unit, "digits": m.digits, "better": m.better}
        for name, m in names.items()
    }
    figures = {"measures": shown, "editors": told, "figures": {"told": row, "blind": row}}
    text = tables.of_published(figures, pie_bench.PUBLISHED)
    assert "Method blind" in text and "Method told" not in text and "LEdits++" in text


def test_a_run_on_the_dataset(networks, folder, models, monkeypatch, tmp_path):
    monkeypatch.setenv("VELATURA_ENCODERS", str(networks))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    options = Options(methods=("sdedit",), pairs=None, seeds=1, survey=0, dataset=folder, quiet=True)
    made = session.prepare(options, models)
    figures = session.evaluate(made, models, tmp_path / "work")
    assert list(figures["kinds"]) == ["change object", "change style"]
    row = figures["figures"]["sdedit"]
    assert row["pie-psnr"]["n"] == 1 and row["pie-clip"]["n"] == 2
    assert figures["figures"]["nothing"]["pie-structure"]["mean"] == pytest.approx(0.0, abs=1e-6)
    assert "judge" not in figures["encoders"]
    session.write_json(figures, tmp_path / "figures.json")
    made.encoders.lpips = made.encoders.lpips or (lambda a, b: (a - b).abs().mean((1, 2, 3)))
    for missing, shown in ((["LPIPS is not here."], False), ([], True)):
        made.encoders.missing = missing
        session.evaluate(made, models, tmp_path / "work")
        report.write_report(made, tmp_path / "report.html")
        text = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert ("Null-text + Prompt-to-Prompt" in text) == shown
