"""SAM 3 as it is used: as transformers has it, behind the interface of every segmenter."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from transformers import CLIPTokenizer, Sam3Model

from tests.tiny import tiny_clip, tiny_clipseg, tiny_sam3
from velatura.companions.clipseg import ClipSeg
from velatura.companions.sam3 import Sam3
from velatura.companions.segmenter import load_segmenter
from velatura_protocol.errors import VelaturaError

PHRASES = ["a hat", "the sky", "a hat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_sam3(tmp_path_factory.mktemp("sam3"))


def load(folder, dtype=torch.float32):
    return load_segmenter(folder, "cpu", dtype)


def picture(height, width, seed=0):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def test_masks_are_those_of_transformers(folder):
    """The whole network at once, with the tokens and the post-processing of its processor."""
    network = Sam3Model.from_pretrained(folder).eval()
    tokens = CLIPTokenizer.from_pretrained(folder)(
        PHRASES, padding="max_length", max_length=32, return_tensors="pt"
    )
    image = picture(56, 56)
    std = torch.tensor(
        json.loads((folder / "processor_config.json").read_text())["image_processor"]["image_std"]
    )
    pixels = ((image - 0.5) / std.view(3, 1, 1)).expand(3, -1, -1, -1)
    with torch.inference_mode():
        out = network(pixel_values=pixels, **tokens)
    scores = out.pred_logits.sigmoid() * out.presence_logits.sigmoid()
    masks = out.pred_masks.sigmoid()
    expected = torch.stack([(s[:, None, None] * m).amax(0) for s, m in zip(scores, masks, strict=True)])
    found = load(folder).find(image, PHRASES)
    assert found.shape == (3, 56, 56) and found.min() >= 0.0 and found.max() <= 1.0
    whole = F.interpolate(expected[:, None], (56, 56), mode="bilinear")[:, 0]
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[0], found[2])
    assert not torch.allclose(found[0], found[1], rtol=1e-3)


def test_the_published_form_with_its_tracker_is_the_same_network(folder, tmp_path):
    whole = load(tiny_sam3(tmp_path, with_tracker=True))
    assert isinstance(whole, Sam3)
    assert torch.equal(whole.find(picture(40, 64), PHRASES), load(folder).find(picture(40, 64), PHRASES))


def test_a_picture_is_stretched_to_its_square(folder):
    segmenter, image = load(folder), picture(40, 64)
    square = F.interpolate(image[None], (56, 56), mode="bilinear", antialias=True)[0]
    found = segmenter.find(image, ["a hat"])
    assert found.shape == (1, 40, 64)
    back = F.interpolate(segmenter.find(square, ["a hat"])[None], (40, 64), mode="bilinear", antialias=True)
    torch.testing.assert_close(found, back[0], atol=0.02, rtol=0)


def test_it_says_what_it_reads_whole(folder):
    segmenter = load(folder)
    assert segmenter.longest == 32
    assert segmenter.reads("x" * 30) and not segmenter.reads("x" * 31)  # a token a letter, and the two marks
    assert torch.isfinite(segmenter.find(picture(56, 56), ["x" * 40])).all()


def test_half_precision_is_nearly_the_same(folder):
    exact, rough = load(folder), load(folder, torch.bfloat16)
    found = rough.find(picture(40, 64), PHRASES)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact.find(picture(40, 64), PHRASES), atol=0.05, rtol=0)


def test_the_folder_tells_which_segmenter_it_is(folder, tmp_path):
    assert isinstance(load(folder), Sam3)
    assert isinstance(load(tiny_clipseg(tmp_path)), ClipSeg)


@pytest.mark.parametrize("wrong", ["empty", "another kind", "no weights", "another side"])
def test_what_is_no_segmenter_is_refused(folder, tmp_path, wrong):
    if wrong == "another kind":
        tiny_clip(tmp_path)
    if wrong == "no weights":
        (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    if wrong == "another side":
        tiny_sam3(tmp_path)
        (tmp_path / "processor_config.json").write_text('{"size": {"height": 9, "width": 8}}')
    with pytest.raises(VelaturaError) as refusal:
        load(tmp_path)
    assert refusal.value.code == "unknown-model" and str(tmp_path) in refusal.value.message
