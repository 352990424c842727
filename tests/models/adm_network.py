"""The network of guided diffusion in the layout of its checkpoints, written plainly from the paper: the
oracle of its converter."""

import math

import torch
import torch.nn.functional as F
from torch import nn


def norm(channels):
    return nn.GroupNorm(32, channels)


class Residual(nn.Module):
    def __init__(self, channels, out, width, resample=""):
        super().__init__()
        self.resample = resample
        self.in_layers = nn.Sequential(norm(channels), nn.SiLU(), nn.Conv2d(channels, out, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * out))
        self.out_layers = nn.Sequential(
            norm(out), nn.SiLU(), nn.Identity(), nn.Conv2d(out, out, 3, padding=1)
        )
        self.skip_connection = nn.Identity() if channels == out else nn.Conv2d(channels, out, 1)

    def resized(self, x):
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2, mode="nearest") if self.resample == "up" else x

    def forward(self, x, emb):
        h = self.in_layers[2](self.resized(self.in_layers[1](self.in_layers[0](x))))
        scale, shift = self.emb_layers(emb)[..., None, None].chunk(2, dim=1)
        h = self.out_layers[0](h) * (1 + scale) + shift
        return self.skip_connection(self.resized(x)) + self.out_layers[3](self.out_layers[1](h))


class Attention(nn.Module):
    def __init__(self, channels, together):
        super().__init__()
        self.together, self.heads = together, channels // 64
        self.norm, self.qkv = norm(channels), nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x, emb):
        flat = x.flatten(2)
        N, _, L = flat.shape
        qkv = self.qkv(self.norm(flat))
        if self.together:
            q, k, v = (y.reshape(N * self.heads, 64, L) for y in qkv.chunk(3, dim=1))
        else:
            q, k, v = qkv.reshape(N * self.heads, 3 * 64, L).chunk(3, dim=1)
        weight = torch.softmax(torch.einsum("bct,bcs->bts", q, k) / math.sqrt(64), dim=-1)
        h = torch.einsum("bts,bcs->bct", weight, v).reshape(N, -1, L)
        return x + self.proj_out(h).reshape(x.shape)


class ADM(nn.Module):
    """channels: of each level. attends: whether each level does. together: the newer order of attention."""

    def __init__(self, channels, attends, blocks=1, classes=0, out=6, together=False):
        super().__init__()
        self.first, width = channels[0], 4 * channels[0]
        self.time_embed = nn.Sequential(nn.Linear(channels[0], width), nn.SiLU(), nn.Linear(width, width))
        if classes:
            self.label_emb = nn.Embedding(classes, width)
        self.input_blocks = nn.ModuleList([nn.ModuleList([nn.Conv2d(3, channels[0], 3, padding=1)])])
        held, now = [channels[0]], channels[0]
        for level, c in enumerate(channels):
            for _ in range(blocks):
                parts = [Residual(now, c, width), *([Attention(c, together)] if attends[level] else [])]
                self.input_blocks.append(nn.ModuleList(parts))
                now = c
                held.append(c)
            if level < len(channels) - 1:
                self.input_blocks.append(nn.ModuleList([Residual(c, c, width, "down")]))
                held.append(c)
        self.middle_block = nn.ModuleList(
            [Residual(now, now, width), Attention(now, together), Residual(now, now, width)]
        )
        self.output_blocks = nn.ModuleList()
        for level in reversed(range(len(channels))):
            c = channels[level]
            for i in range(blocks + 1):
                parts = [
                    Residual(now + held.pop(), c, width),
                    *([Attention(c, together)] if attends[level] else []),
                ]
                now = c
                if level and i == blocks:
                    parts.append(Residual(c, c, width, "up"))
                self.output_blocks.append(nn.ModuleList(parts))
        self.out = nn.Sequential(norm(now), nn.SiLU(), nn.Conv2d(now, out, 3, padding=1))

    def forward(self, x, t, y=None):
        half = self.first // 2
        angles = t[:, None].float() * torch.exp(-math.log(10000) * torch.arange(half) / half)
        emb = self.time_embed(torch.cat([angles.cos(), angles.sin()], dim=-1))
        if y is not None:
            emb = emb + self.label_emb(y)
        held = []
        h = self.input_blocks[0][0](x)
        held.append(h)
        for parts in self.input_blocks[1:]:
            for part in parts:
                h = part(h, emb)
            held.append(h)
        for part in self.middle_block:
            h = part(h, emb)
        for parts in self.output_blocks:
            h = torch.cat([h, held.pop()], dim=1)
            for part in parts:
                h = part(h, emb)
        return self.out(h)
