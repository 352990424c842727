"""Maps of concepts against the same written out, with the concepts as rows of the picture's own pass."""

from __future__ import annotations

import math

import pytest
import torch

from tests.joint import Joint
from velatura.attention.joint import Blocks
from velatura.diffusion import noise
from velatura.diffusion.denoiser import denoise
from velatura.prompt_to_prompt.concepts import concept_maps

CAPTION, CONCEPTS, SIGMA = "a red cat on grass", ["cat", "grass", "elephant"], 1.5
KINDS = {
    "text first": {},
    "picture first": {"text_first": False, "references": 3},
    "masked": {"padded": False},
    "chosen blocks": {"blocks": Blocks(read=frozenset({"blocks.1"}))},
}


@pytest.fixture(params=KINDS, name="model")
def a_model(request):
    return Joint(**KINDS[request.param])


def token(model, word):
    n = len(model.tokenized(word).content)
    return model.encode_prompt(word).states[:, :n].mean(1)


def written_out(model, z0, n):
    """The concepts go through the text's layers of each block by hand; the picture is a plain pass."""
    outputs = []

    def look(place, q, k, v):
        out = ((q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)) @ v
        a, b = place.image
        outputs.append((out[0, :, a:b], k[:, :, a:b, : v.shape[-1]], v[:, :, a:b]))
        return out

    denoise(model, z0 + SIGMA * n, SIGMA, model.encode_prompt(CAPTION), look)
    t = SIGMA / (1.0 + SIGMA)
    y = model.net.time(torch.tensor([[t, 1.0]])) + model.net.pooled(torch.zeros(1, 32))
    states, maps = torch.cat([token(model, word) for word in CONCEPTS])[None], []
    for block, (of_picture, k_image, v_image) in zip(model.net.blocks, outputs, strict=True):
        normed = torch.nn.functional.layer_norm(states + block.shift(y)[:, None], (32,))
        q, k, v = block.qkv[0](normed).unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        keys, values = torch.cat([k, k_image], 2), torch.cat([v, v_image], 2)
        out = (q @ keys.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1) @ values
        if model.joint_blocks.reads(block.name):
            maps.append(torch.einsum("hpd,hcd->cp", of_picture, out[0]).softmax(0))
        states = states + block.out[0](out.transpose(1, 2).flatten(2))
    return torch.stack(maps).mean(0).unflatten(-1, (3, 5))


@torch.inference_mode()
def test_equals_the_same_written_out(model):
    z0, n = noise.standard_normal([3], (4, 6, 10)), noise.standard_normal([4], (4, 6, 10))
    maps = concept_maps(model, z0, CAPTION, CONCEPTS, SIGMA, [n], lambda _: None)
    torch.testing.assert_close(maps, written_out(model, z0, n), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(maps.sum(0), torch.ones(3, 5))
    assert maps.std(0).max() > 1e-3, "these maps say nothing"
    both = concept_maps(model, z0, CAPTION, CONCEPTS, SIGMA, [n, z0], lambda _: None)
    other = concept_maps(model, z0, CAPTION, CONCEPTS, SIGMA, [z0], lambda _: None)
    torch.testing.assert_close(both, (maps + other) / 2, rtol=1e-5, atol=1e-6)
