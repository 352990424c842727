"""CLIPSeg as it is used: as transformers has it, at its own processor's size, on pictures of any shape."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from transformers import CLIPSegForImageSegmentation, CLIPTokenizer

from tests.tiny import tiny_clip, tiny_clipseg
from velatura.companions.clipseg import mirrored_square
from velatura_lab.readers import load_clipseg
from velatura_protocol.errors import VelaturaError

PHRASES = ["a hat", "the sky", "a hat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_clipseg(tmp_path_factory.mktemp("clipseg"), words=20, side=32)


def picture(height, width, seed=0):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def test_masks_are_those_of_transformers_at_the_processors_size(folder):
    """Its places are for 16 pixels a side; the processor says 32, and colours of its own."""
    network = CLIPSegForImageSegmentation.from_pretrained(folder).eval()
    tokens = CLIPTokenizer.from_pretrained(folder)(PHRASES, padding=True, return_tensors="pt")
    said = json.loads((folder / "preprocessor_config.json").read_text())
    mean, std = (torch.tensor(said[key]).view(3, 1, 1) for key in ("image_mean", "image_std"))
    image = picture(32, 32)
    with torch.inference_mode():
        logits = network(pixel_values=((image - mean) / std).expand(3, -1, -1, -1), **tokens).logits
    found = load_clipseg(folder).find(image, PHRASES)
    assert found.shape == (3, 32, 32)
    torch.testing.assert_close(found, logits.sigmoid())
    torch.testing.assert_close(found[0], found[2])
    assert not torch.allclose(found[0], found[1])


def test_one_picture_and_many_phrases_is_as_many_pictures(folder):
    segmenter, image = load_clipseg(folder), picture(48, 48)
    torch.testing.assert_close(
        segmenter.find(image, PHRASES), segmenter.read(image.expand(3, -1, -1, -1), PHRASES)
    )


def test_a_picture_that_is_not_square_keeps_its_proportions(folder):
    """It is seen in the middle of a square, and the square's margins are cut away again."""
    segmenter, image = load_clipseg(folder), picture(40, 64)
    square, (top, left) = mirrored_square(image)
    assert (square.shape, top, left) == ((3, 64, 64), 12, 0)
    torch.testing.assert_close(segmenter.find(image, ["a hat"]), segmenter.find(square, ["a hat"])[:, 12:52])
    squashed = F.interpolate(image[None], (32, 32), mode="bilinear", antialias=True)[0]
    other = F.interpolate(segmenter.find(squashed, ["a hat"])[None], (40, 64), mode="bilinear")[0]
    assert not torch.allclose(segmenter.find(image, ["a hat"]), other, atol=1e-3)


@given(st.integers(1, 12), st.integers(1, 12))
def test_the_square_holds_the_picture_and_only_its_mirror_images(height, width):
    image = torch.arange(height * width).view(1, height, width)
    square, (top, left) = mirrored_square(image)
    side = max(height, width)
    assert square.shape == (1, side, side)
    assert torch.equal(square[:, top : top + height, left : left + width], image)
    if top:  # the first line outside is the first inside
        assert torch.equal(square[:, top - 1], square[:, top])
    if left + width < side:
        assert torch.equal(square[..., left + width], square[..., left + width - 1])
    assert set(square.flatten().tolist()) == set(image.flatten().tolist())


def test_it_says_what_it_reads_whole(folder):
    segmenter = load_clipseg(folder)
    assert segmenter.reads("x" * 18) and not segmenter.reads("x" * 19)  # a token a letter, and the two marks


def test_half_precision_is_nearly_the_same(folder):
    exact, rough = (load_clipseg(folder, "cpu", d) for d in (torch.float32, torch.bfloat16))
    image = picture(40, 64)
    found = rough.find(image, PHRASES)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact.find(image, PHRASES), atol=0.05, rtol=0)


@pytest.mark.parametrize("wrong", ["empty", "another kind", "no weights"])
def test_what_is_no_segmenter_is_refused(folder, tmp_path, wrong):
    if wrong == "another kind":
        tiny_clip(tmp_path)
    if wrong == "no weights":
        (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(VelaturaError) as refusal:
        load_clipseg(tmp_path)
    assert refusal.value.code == "unknown-model" and str(tmp_path) in refusal.value.message
