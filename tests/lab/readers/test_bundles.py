"""The readers we ship: they load everywhere and read what their cards say."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel, CLIPProcessor, CLIPSegForImageSegmentation

from velatura.bundles import BUNDLES
from velatura_lab.cards.export_readers import PARTS
from velatura_lab.exam.assess import Exam, assess_clip, assess_identity, assess_judge, assess_segmenter
from velatura_lab.readers import (
    load_clip,
    load_clipseg,
    load_identity,
    load_judge,
    matches,
    same_person_threshold,
)
from velatura_lab.world import ATTRIBUTES, KINDS, caption, edit, render, sample_scene

pytestmark = pytest.mark.slow

SEED = 7  # the cards' figures are of these scenes


@pytest.fixture(scope="module")
def exam():
    return Exam(SEED, 64)


def figures(part):
    return json.loads((BUNDLES / f"velatura-{part}" / "figures.json").read_text())["figures"]


def test_they_are_small_and_hold_no_pickles():
    files = [path for part in PARTS for path in (BUNDLES / f"velatura-{part}").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 13e6
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".txt", ".md"}


@pytest.mark.parametrize("part", PARTS)
def test_the_card_says_where_it_comes_from(part):
    card = (BUNDLES / f"velatura-{part}" / "README.md").read_text()
    for heading in ("## Data", "## Training", "## Figures", "## Limits", "## Licence"):
        assert heading in card


def test_the_judge_asks_what_the_world_knows():
    asked = {(question.kind, question.name): question.values for question in load_judge().questions}
    for kind, attributes in ATTRIBUTES.items():
        for name, attribute in attributes.items():
            assert asked["" if name == "style" else kind, name] == attribute.values


def test_the_judge_reads_held_out_pictures(exam):
    assert assess_judge(load_judge(), exam)["all"][0] >= figures("judge")["all"][0] - 0.03


def test_the_judge_reads_disturbed_pictures_nearly_as_well(exam):
    torch.manual_seed(0)
    noisy = (exam.images + 0.03 * torch.randn_like(exam.images)).clamp(0.0, 1.0)
    assert assess_judge(load_judge(), exam, noisy)["all"][0] >= figures("judge")["all"][0] - 0.06


def test_a_reading_matches_its_scene_and_not_another():
    scene = edit(
        sample_scene(np.random.default_rng(3), "landscape"), path="river", snow=0.0, time="day", style="photo"
    )
    other = edit(scene, time="night")
    image = torch.from_numpy(render(scene, 128).rgb).permute(2, 0, 1)[None]
    (reading,) = load_judge().read(image)
    assert reading.kind == "landscape"
    assert matches(reading, scene, "time") and not matches(reading, other, "time")
    assert matches(reading, scene, "kind") and matches(reading, scene, "snow")
    assert not matches(reading, sample_scene(np.random.default_rng(3), "portrait"), "style")


def test_clip_finds_the_right_caption_of_16(exam):
    told = assess_clip(load_clip(), exam, SEED)
    assert told["any"][0] >= 0.9


def test_clip_in_stock_transformers_is_the_same(exam):
    folder, images = BUNDLES / "velatura-clip", exam.pictures[:4]
    texts = [caption(scene).text for scene in exam.scenes[:4]]
    model, processor = CLIPModel.from_pretrained(folder).eval(), CLIPProcessor.from_pretrained(folder)
    inputs = processor(
        text=texts,
        images=[Image.fromarray(picture.to_bytes()) for picture in images],
        return_tensors="pt",
        padding="max_length",
    )
    with torch.no_grad():
        outputs = model(**inputs)
    cosines = outputs.logits_per_image / model.logit_scale.exp()
    torch.testing.assert_close(cosines, load_clip().similarity(exam.images[:4], texts), atol=0.02, rtol=0.0)


def test_the_segmenter_finds_what_is_there_and_nothing_else():
    exams = [Exam(SEED, 8, kind) for kind in KINDS]
    found, card = assess_segmenter(load_clipseg(), exams), figures("segmenter")
    assert found["mean over elements"] >= card["mean over elements"] - 0.1
    assert found["empty where there is none"][0] >= card["empty where there is none"][0] - 0.1


def test_the_segmenter_in_stock_transformers_is_the_same(exam):
    folder, texts = BUNDLES / "velatura-segmenter", ["the background", "the sky"]
    model, ours = CLIPSegForImageSegmentation.from_pretrained(folder).eval(), load_clipseg()
    inputs = CLIPProcessor.from_pretrained(folder)(
        text=texts,
        images=[Image.fromarray(picture.to_bytes()) for picture in exam.pictures[:2]],
        return_tensors="pt",
        padding="max_length",
    )
    with torch.no_grad():
        logits = model(input_ids=inputs.input_ids, pixel_values=inputs.pixel_values).logits
    masks = torch.nn.functional.interpolate(logits[:, None], (128, 128), mode="bilinear").sigmoid()[:, 0]
    torch.testing.assert_close(ours.read(exam.images[:2], texts), masks, atol=0.03, rtol=0.0)


def test_the_same_person_is_known_again():
    found, card = assess_identity(load_identity(), SEED, 60), figures("identity")
    assert found["verification"] >= card["verification"] - 0.03
    assert -1.0 < same_person_threshold() < 1.0
