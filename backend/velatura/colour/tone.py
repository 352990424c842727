"""The curve between light beyond white and a display's range, in which models are trained.

    T(x) = x                                            for x <= k
    T(x) = k + (1 - k) log(1 + mu v) / log(1 + mu)      above, with v = (x - k) / (peak - k)

The upper part is the range compressor of Kalantari & Ramamoorthi 2017 (Deep High Dynamic Range Imaging of
Dynamic Scenes, equation 5). mu makes its slope at the knee k that of the straight part, 1, so T has no
corner; T(peak) = 1. It works on each channel of extended sRGB, so it can be inverted exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

KNEE = 0.8


@dataclass(frozen=True)
class Tone:
    """peak: the brightest value; up to 1.0 the curve is the identity."""

    peak: float = 1.0
    _mu: float = 0.0

    @classmethod
    def of(cls, peak: float) -> Tone:
        """The curve for values up to `peak`, in extended sRGB."""
        return cls(peak, _mu((peak - KNEE) / (1 - KNEE))) if peak > 1.0 else cls()

    @property
    def is_identity(self) -> bool:
        """Whether it changes no value."""
        return self.peak <= 1.0

    def compress(self, rgb: np.ndarray) -> np.ndarray:
        """Extended sRGB as values in the same shape, of which those up to `peak` are at most 1; float32."""
        if self.is_identity:
            return rgb
        v = (np.maximum(rgb, KNEE) - KNEE) / np.float32(self.peak - KNEE)
        upper = KNEE + np.log1p(np.float32(self._mu) * v) * np.float32((1 - KNEE) / math.log1p(self._mu))
        return np.where(rgb <= KNEE, rgb, upper).astype(np.float32)

    def expand(self, values: np.ndarray) -> np.ndarray:
        """The inverse of `compress`."""
        if self.is_identity:
            return values
        share = (np.maximum(values, KNEE) - KNEE) * np.float32(math.log1p(self._mu) / (1 - KNEE))
        upper = KNEE + np.expm1(share) * np.float32((self.peak - KNEE) / self._mu)
        return np.where(values <= KNEE, values, upper).astype(np.float32)


IDENTITY = Tone()


def _mu(reach: float) -> float:
    """mu with mu / log(1 + mu) = reach, for a reach above 1, by bisection."""
    low, high = 1e-9, 4.0 * reach * reach + 4.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle / math.log1p(middle) < reach:
            low = middle
        else:
            high = middle
    return (low + high) / 2
