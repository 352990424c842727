"""A small network with joint attention, for methods that edit inside of it.

It reads a prompt word by word, as T5 does: no start mark, an end mark, padding (or none, and then a mask).
Rows of an attention are the prompt's tokens, then the picture's and a reference's, or the other way round.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from torch import nn

from velatura.attention.joint import Blocks
from velatura.attention.places import Place
from velatura.diffusion.condition import Condition
from velatura.diffusion.network import Tokenized
from velatura.models import noise_levels
from velatura.models.latent import LatentModel

WIDTH, HEADS, ROOM, WORDS = 32, 2, 10, 64


class Block(nn.Module):
    """One block, whose text and picture have projections of their own."""

    def __init__(self, name):
        super().__init__()
        self.name = name
        self.qkv = nn.ModuleList(nn.Linear(WIDTH, 3 * WIDTH) for _ in range(2))
        self.out = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))
        self.shift = nn.Linear(WIDTH, WIDTH)
        for layer in self.qkv:
            layer.weight.data[: 2 * WIDTH].mul_(4.0)  # maps that are not flat

    def forward(self, text, image, y, valid, model, attend):
        texts = F.layer_norm(text + self.shift(y)[:, None], (WIDTH,))
        images = F.layer_norm(image + self.shift(y)[:, None], (WIDTH,))
        pairs = (self.qkv[0](texts), text), (self.qkv[1](images), image)
        first, second = pairs if model.text_first else pairs[::-1]
        qkv = torch.cat([first[0], second[0]], 1).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = qkv
        n = text.shape[1]
        at = (0, n) if model.text_first else (image.shape[1], image.shape[1] + n)
        start = n if model.text_first else 0
        place = Place(self.name, "joint", 1, at, (start, start + image.shape[1] - model.references))
        if valid is not None:  # as families do it: see `Attend`
            d = q.shape[-1]
            masked = torch.zeros(len(q), k.shape[2]).masked_fill(
                F.pad(~valid, (0, len(k[0, 0]) - n) if model.text_first else (image.shape[1], 0)), -3e4
            )
            q = F.pad(q * math.sqrt((d + 8) / d), (0, 8))
            q[..., d] = 1.0
            k = torch.cat([k, F.pad(masked[:, None, :, None].expand(*k.shape[:3], 1), (0, 7))], -1)
        out = F.scaled_dot_product_attention(q, k, v) if attend is None else attend(place, q, k, v)
        out = out.transpose(1, 2).flatten(2)
        length = n if model.text_first else image.shape[1]
        parts = out[:, :length], out[:, length:]
        of_text, of_image = parts if model.text_first else parts[::-1]
        return text + self.out[0](of_text), image + self.out[1](of_image)


class Network(nn.Module):
    """Three blocks between linear layers."""

    def __init__(self):
        super().__init__()
        self.embedded = nn.Embedding(WORDS, WIDTH)
        self.into, self.from_ = nn.Linear(16, WIDTH), nn.Linear(WIDTH, 16)
        self.time, self.pooled = nn.Linear(2, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.blocks = nn.ModuleList(Block(f"blocks.{i}") for i in range(3))


class Joint(LatentModel):
    """A flow model of latents [N, 4, h, w] at factor 8, whose tokens are squares of 2 x 2."""

    id, digest, prediction, guidance_rescale = "joint", "joint", "flow", 0.0
    device, dtype = torch.device("cpu"), torch.float32
    latent_channels, latent_size, attention_levels, multiple = 4, 8, (1,), 16

    def __init__(self, *, text_first=True, padded=True, references=0, blocks=None):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            self.net = Network().requires_grad_(False)
            self.autoencoder = AutoencoderTiny(
                encoder_block_out_channels=(16,) * 4,
                decoder_block_out_channels=(16,) * 4,
                num_encoder_blocks=(1,) * 4,
                num_decoder_blocks=(1,) * 4,
                latent_channels=4,
            ).requires_grad_(False)
        self.training_sigmas = np.asarray(noise_levels.flow_sigmas(noise_levels.static_shift(3.0)))
        self.text_first, self.padded, self.references = text_first, padded, references
        self._blocks = blocks or Blocks()
        self._prompts = OrderedDict()

    joint_blocks = property(lambda self: self._blocks)
    denoiser = "transformer"
    networks = property(lambda self: {"transformer": self.net, "vae": self.autoencoder})

    def tokenized(self, prompt):
        found = [m.span() for m in re.finditer(r"\s?\w{1,5}", prompt)]
        ids = [2 + sum(map(ord, prompt[a:b].strip())) % (WORDS - 2) for a, b in found]
        padding = max(0, ROOM - len(ids) - 1) if self.padded else 0
        offsets = found + [(0, 0)] * (padding + 1)
        return Tokenized([*ids, 1, *[0] * padding], offsets, range(len(ids)))

    def tokens_of(self, prompt):
        return len(self.tokenized(prompt).ids), ROOM

    def _condition(self, prompt):
        states = self.net.embedded(torch.tensor([self.tokenized(prompt).ids]))
        return Condition(states, None, {"pooled": states.mean(1)})

    def predict(self, x, t, condition, attend):
        net, (h, w) = self.net, (x.shape[-2] // 2, x.shape[-1] // 2)
        tokens = (
            x.unflatten(2, (h, 2)).unflatten(4, (w, 2)).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
        )
        where = torch.linspace(0.0, 3.0, h * w)[:, None] * torch.arange(1, WIDTH + 1) / 4
        image = net.into(tokens) + where.sin()
        image = torch.cat([image, 0.5 * image[:, : self.references]], 1)
        y = net.time(torch.tensor([[t, 1.0]])) + net.pooled(condition.parts["pooled"])
        text = condition.states
        for block in net.blocks:
            text, image = block(text, image, y, condition.valid, self, attend)
        out = net.from_(image[:, : h * w]).unflatten(1, (h, w)).unflatten(-1, (4, 2, 2))
        return out.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)
