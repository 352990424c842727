"""Small convolutional encoders of Velatura's own pictures."""

from __future__ import annotations

from torch import Tensor, nn

CHANNELS = (32, 64, 128, 192)


class Residual(nn.Module):
    """x + two convolutions of x, with batch normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.silu(x + self.body(x))


def convolutions(channels: tuple[int, ...]) -> nn.Sequential:
    """Pictures (N, 3, s, s) -> features (N, channels[-1], s / 2^n, s / 2^n)."""
    layers: list[nn.Module] = []
    for before, after in zip((3, *channels), channels, strict=False):
        layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.SiLU()]
    return nn.Sequential(*layers)
