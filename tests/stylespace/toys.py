"""A style generator and encoders that are linear, so that a test can compute by hand what they do."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from velatura.generators.styles import STYLE, Made


class Linear:
    """Pictures are a linear function of S, and S is one of W+: 6 layers, places 1 and 3 of S for colours."""

    id, digest, kind = "toy", "toy", STYLE
    device, dtype = torch.device("cpu"), torch.float32
    num_ws, w_dim, size, convolutions = 6, 5, 8, (0, 2, 4)

    def __init__(self, seed=0):
        g = torch.Generator().manual_seed(seed)
        self.to_styles = [0.5 * torch.randn(self.w_dim, 4, generator=g) for _ in range(5)]
        self.to_pixels = [0.1 * torch.randn(4, 3 * self.size**2, generator=g) for _ in range(5)]
        self.w_avg = torch.randn(self.w_dim, generator=g)
        self.calls = 0

    def sample(self, seeds, psi=1.0):
        drawn = [torch.randn(self.w_dim, generator=torch.Generator().manual_seed(s)) for s in seeds]
        return self.w_avg + psi * (torch.stack(drawn) - self.w_avg)

    def wplus(self, w):
        return w[:, None].expand(-1, self.num_ws, -1)

    def styles(self, ws):
        return [ws[:, i] @ A for i, A in enumerate(self.to_styles)]

    def for_search(self):
        return self

    def synthesise(self, styles):
        self.calls += 1
        flat = sum(s @ B for s, B in zip(styles, self.to_pixels, strict=True))
        return Made(flat.view(-1, 3, self.size, self.size), [])


class Looks:
    """A CLIP of `side` pixels whose vectors are linear in the picture, and random for a text."""

    longest = 40

    def __init__(self, side=8, d=7, seed=1):
        self.side, self.d = side, d
        self.A = torch.randn(3 * side**2, d, generator=torch.Generator().manual_seed(seed))

    def images(self, pictures):
        assert pictures.shape[-2:] == (self.side, self.side)
        return F.normalize(pictures.flatten(1) @ self.A, dim=-1)

    def text(self, sentence):
        if len(sentence) > self.longest:
            return None
        seed = sum((i + 1) * ord(letter) for i, letter in enumerate(sentence))
        return F.normalize(torch.randn(self.d, generator=torch.Generator().manual_seed(seed)), dim=0)
