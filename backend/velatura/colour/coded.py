"""Colour spaces of code points (ITU-T H.273), as cICP has them: Display P3, BT.2020, PQ, HLG and others."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from velatura.pixels import srgb

from .lcms import BT709, D65, linear_rgb, transform
from .spaces import LINEAR, SRGB, Space, Unsupported, neutral

Curve = Callable[[np.ndarray], np.ndarray]

_DCI = (0.314, 0.351)
# Chromaticities x, y of white, and of red, green and blue (H.273, table 2).
_PRIMARIES = {
    1: (D65, BT709),
    9: (D65, (0.708, 0.292, 0.170, 0.797, 0.131, 0.046)),  # BT.2020, BT.2100
    11: (_DCI, (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),  # DCI P3
    12: (D65, (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),  # Display P3
}
PQ, HLG = 16, 18
WHITE = 203.0  # cd/m2 of diffuse white in PQ (ITU-R BT.2408-7, section 2.2)
_HLG_WHITE = 0.75  # the signal of diffuse white in HLG (the same section)


def _pq_to_light(signal: np.ndarray) -> np.ndarray:
    """The EOTF of SMPTE ST 2084 (ITU-R BT.2100-2, table 4); 1.0 is diffuse white."""
    power = np.clip(signal, 0.0, 1.0) ** (1 / _M2)
    return (np.maximum(power - _C1, 0.0) / (_C2 - _C3 * power)) ** (1 / _M1) * (10_000.0 / WHITE)


def _light_to_pq(light: np.ndarray) -> np.ndarray:
    power = (np.clip(light, 0.0, None) * (WHITE / 10_000.0)) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def _hlg_to_scene(signal: np.ndarray) -> np.ndarray:
    """The inverse OETF of ITU-R BT.2100-2, table 5, in [0, 1]."""
    x = np.clip(signal, 0.0, 1.0)
    return np.where(x <= 0.5, x * x / 3, (np.exp((np.maximum(x, 0.5) - _C) / _A) + _B) / 12)


def _scene_to_hlg(light: np.ndarray) -> np.ndarray:
    x = np.clip(light, 0.0, None)
    return np.where(x <= 1 / 12, np.sqrt(3 * x), _A * np.log(np.maximum(12 * x - _B, 1e-6)) + _C)


_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_HLG_LIGHT = float(_hlg_to_scene(np.array(_HLG_WHITE)))


def _bt709_to_light(signal: np.ndarray) -> np.ndarray:
    """The inverse OETF of ITU-R BT.709-6, item 1.2; odd below 0."""
    x = np.abs(signal)
    return np.copysign(np.where(x < 0.081, x / 4.5, ((x + 0.099) / 1.099) ** (1 / 0.45)), signal)


def _light_to_bt709(light: np.ndarray) -> np.ndarray:
    x = np.abs(light)
    return np.copysign(np.where(x < 0.018, 4.5 * x, 1.099 * x**0.45 - 0.099), light)


def _power(values: np.ndarray, exponent: float) -> np.ndarray:
    return np.copysign(np.abs(values) ** np.float32(exponent), values)


def _same(values: np.ndarray) -> np.ndarray:
    return values


# To linear light and back, by H.273's table 3.
_TRANSFERS: dict[int, tuple[Curve, Curve]] = {
    **dict.fromkeys((1, 6, 14, 15), (_bt709_to_light, _light_to_bt709)),
    4: (partial(_power, exponent=2.2), partial(_power, exponent=1 / 2.2)),
    5: (partial(_power, exponent=2.8), partial(_power, exponent=1 / 2.8)),
    8: (_same, _same),
    13: (srgb.decode, srgb.encode),
    PQ: (_pq_to_light, _light_to_pq),
    HLG: (lambda s: _hlg_to_scene(s) / _HLG_LIGHT, lambda light: _scene_to_hlg(light * _HLG_LIGHT)),
}


@dataclass(frozen=True)
class Coded:
    """The space of two code points. HLG is taken as light of the scene, without a display's system gamma."""

    primaries: int
    transfer: int
    icc = b""

    @property
    def profile(self) -> str:
        """The name on the wire, which `of_name` reads."""
        return f"cICP {self.primaries}/{self.transfer}"

    @property
    def bright(self) -> bool:
        """See `Space`."""
        return self.transfer in (PQ, HLG)

    def to_srgb(self, values: np.ndarray) -> np.ndarray:
        """See `Space`."""
        light = _TRANSFERS[self.transfer][0](values).astype(np.float32)
        if light.shape[-1] == 1:
            return srgb.encode(np.repeat(light, 3, axis=-1))
        if self.primaries != 1:
            light = transform(light, linear_rgb(*_PRIMARIES[self.primaries]), linear_rgb())
        return srgb.encode(light)

    def from_srgb(self, rgb: np.ndarray, channels: int = 3) -> np.ndarray:
        """See `Space`."""
        light = srgb.decode(neutral(rgb) if channels == 1 else rgb)
        if channels == 3 and self.primaries != 1:
            light = transform(light, linear_rgb(), linear_rgb(*_PRIMARIES[self.primaries]))
        return _TRANSFERS[self.transfer][1](light).astype(np.float32)


def white_and_primaries(space: Coded) -> tuple[tuple[float, float], tuple[float, ...]]:
    """Chromaticities x, y of a space's white, and of its red, green and blue."""
    return _PRIMARIES[space.primaries]


def of_cicp(primaries: int, transfer: int, matrix: int = 0, full: bool = True) -> Space:
    """The space of code points. Raises Unsupported for those of no RGB picture, or unknown ones.

    Args:
        primaries: ColourPrimaries; 2 (unspecified) is taken for BT.709's.
        transfer: TransferCharacteristics; 2 is taken for sRGB's.
        matrix: MatrixCoefficients; 0 means RGB.
        full: whether the values have their full range.
    """
    primaries, transfer = (1 if primaries == 2 else primaries), (13 if transfer == 2 else transfer)
    if matrix != 0 or not full or primaries not in _PRIMARIES or transfer not in _TRANSFERS:
        raise Unsupported(
            "has a cICP colour space that is not known here",
            f"code points {primaries}/{transfer}/{matrix}/{full}",
        )
    if primaries == 1 and transfer in (8, 13):
        return LINEAR if transfer == 8 else SRGB
    return Coded(primaries, transfer)


def of_name(profile: str) -> Space | None:
    """The space that `Coded.profile` names; None for any other name."""
    kind, _, points = profile.partition(" ")
    primaries, slash, transfer = points.partition("/")
    if kind != "cICP" or not slash or not (primaries + transfer).isascii() or len(points) > 7:
        return None
    if not (primaries.isdigit() and transfer.isdigit()):
        return None
    return of_cicp(int(primaries), int(transfer))


def of_tag(icc: bytes) -> Space | None:
    """The space of PQ or HLG that a profile's cicp tag names (ICC.1:2022, section 9.2.17); else None.

    The tables of such a profile map the light to a display without light beyond white.
    """
    count = min(struct.unpack_from(">I", icc, 128)[0], 100)
    for at in range(132, min(132 + 12 * count, len(icc) - 11), 12):
        name, start, size = struct.unpack_from(">4sII", icc, at)
        if name == b"cicp" and size >= 12 and start + 12 <= len(icc):
            primaries, transfer, matrix, full = icc[start + 8 : start + 12]
            if transfer in (PQ, HLG):
                return of_cicp(primaries, transfer, matrix, bool(full))
    return None
