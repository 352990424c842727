"""ICC profiles made of numbers, by no library, and the same colour spaces in float64."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])
D65 = (0.3127, 0.3290)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

_COLUMNS = (b"rXYZ", b"gXYZ", b"bXYZ")
Curve = Callable[[np.ndarray], np.ndarray]


def xyz(x: float, y: float) -> np.ndarray:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def to_d50(white: tuple[float, float], *primaries: float) -> np.ndarray:
    """RGB in linear light to XYZ under D50 (Lindbloom; Bradford's adaptation, ICC.1 annex E)."""
    columns = np.stack([xyz(*primaries[i : i + 2]) for i in (0, 2, 4)], axis=1)
    own = columns * np.linalg.solve(columns, xyz(*white))
    cones = (BRADFORD @ D50) / (BRADFORD @ xyz(*white))
    return np.linalg.inv(BRADFORD) @ np.diag(cones) @ BRADFORD @ own


SRGB_TO_D50 = to_d50(D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)


def srgb_encode(x: np.ndarray) -> np.ndarray:
    a = np.abs(x)
    return np.sign(x) * np.where(a <= 0.0031308, 12.92 * a, 1.055 * np.maximum(a, 1e-9) ** (1 / 2.4) - 0.055)


def srgb_decode(x: np.ndarray) -> np.ndarray:
    a = np.abs(x)
    return np.sign(x) * np.where(a <= 0.04045, a / 12.92, ((a + 0.055) / 1.055) ** 2.4)


@dataclass(frozen=True)
class Made:
    """A colour space: its profile, and its light [..., n] of values in float64."""

    name: str
    icc: bytes
    light: Curve
    matrix: np.ndarray

    @property
    def is_gray(self) -> bool:
        return self.icc[16:20] == b"GRAY"

    def srgb(self, values: np.ndarray) -> np.ndarray:
        """Extended sRGB [..., 3], by no library."""
        light = self.light(np.asarray(values, np.float64))
        if self.is_gray:
            return srgb_encode(np.repeat(light, 3, axis=-1))
        return srgb_encode(light @ (np.linalg.inv(SRGB_TO_D50) @ self.matrix).T)


def _fixed(numbers) -> bytes:
    return b"".join(struct.pack(">i", round(float(n) * 65536)) for n in numbers)


def _title(text: str, version: int) -> bytes:
    if version == 4:
        words = text.encode("utf-16-be")
        return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(words), 28) + words
    return b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text.encode() + bytes(1 + 4 + 4 + 2 + 1 + 67)


def profile(
    name: str, space: bytes, tags: dict[bytes, bytes], version: int = 2, pcs: bytes = b"XYZ "
) -> bytes:
    """An ICC profile of a display (ICC.1, section 7)."""
    tags = {b"desc": _title(name, version), b"wtpt": b"XYZ \0\0\0\0" + _fixed(D50), **tags}
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4sI4s4s4s12s4s", size, b"", version << 24, b"mntr", space, pcs, b"", b"acsp")
    return (head + bytes(28) + _fixed(D50)).ljust(128, b"\0") + table + body


def gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def parametric(*numbers: float) -> bytes:
    kind = {1: 0, 5: 3}[len(numbers)]
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + _fixed(numbers)


def sampled(curve: Curve, count: int = 4096) -> bytes:
    values = np.round(curve(np.linspace(0, 1, count)) * 65535).astype(">u2").tobytes()
    return b"curv\0\0\0\0" + struct.pack(">I", count) + values


def rgb(name: str, matrix: np.ndarray, trc: bytes, light: Curve, version: int = 2) -> Made:
    columns = {
        tag: b"XYZ \0\0\0\0" + _fixed(matrix[:, i]) for i, tag in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))
    }
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), trc)
    return Made(name, profile(name, b"RGB ", columns | curves, version), light, matrix)


def table(name: str, of: Made, points: int = 33) -> Made:
    """The same space as 16-bit tables to Lab and back (lut16Type, ICC.1 section 10.10)."""
    steps = np.linspace(0, 1, points)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)
    lab = _to_lab(of.light(grid) @ of.matrix.T)
    ends = np.stack(np.meshgrid(*3 * [np.linspace(0, 65535, points)], indexing="ij"), axis=-1) / 65280
    back = np.linalg.solve(of.matrix, _from_lab(ends * [100, 255, 255] - [0, 128, 128]).reshape(-1, 3).T).T
    inverse = np.clip(np.abs(back) ** (1 / 2.2) * (back > 0), 0, 1).reshape(ends.shape)
    code = np.clip((lab + np.array([0, 128, 128])) / [100, 255, 255] * 65280, 0, 65535)
    tags = {b"A2B0": _lut16(code, points), b"B2A0": _lut16(inverse * 65535, points)}
    return Made(name, profile(name, b"RGB ", tags, pcs=b"Lab "), of.light, of.matrix)


def _lut16(values: np.ndarray, points: int) -> bytes:
    straight = struct.pack(">2H", 0, 65535) * 3
    head = b"mft2\0\0\0\0" + bytes([3, 3, points, 0]) + _fixed(np.eye(3).ravel()) + struct.pack(">HH", 2, 2)
    return head + straight + np.round(values).astype(">u2").tobytes() + straight


def _to_lab(light: np.ndarray) -> np.ndarray:
    t = light / D50
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _from_lab(lab: np.ndarray) -> np.ndarray:
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    return np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * D50


def _power(gamma: float) -> Curve:
    return lambda x: np.sign(x) * np.abs(x) ** gamma


P3 = to_d50(D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
_ADOBE = to_d50(D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_PROPHOTO = to_d50((0.3457, 0.3585), 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
_REC2020 = to_d50(D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)
_CURVE = parametric(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

ADOBE = rgb("Adobe RGB (1998)", _ADOBE, gamma_curve(563 / 256), _power(563 / 256))
DISPLAY_P3 = rgb("Display P3", P3, _CURVE, srgb_decode, version=4)
SAMPLED = rgb("P3 by samples", P3, sampled(srgb_decode), srgb_decode)
PROPHOTO = rgb("ProPhoto RGB", _PROPHOTO, gamma_curve(461 / 256), _power(461 / 256))
REC2020 = rgb("Rec. 2020, linear", _REC2020, parametric(1.0), _power(1.0), version=4)
TABLE = table("A table", rgb("", _ADOBE, b"", _power(2.2)))
_GRAY = profile("Gray gamma 1.8", b"GRAY", {b"kTRC": gamma_curve(461 / 256)})
GRAY = Made("Gray gamma 1.8", _GRAY, _power(461 / 256), np.eye(1))

RGB = (ADOBE, DISPLAY_P3, SAMPLED, PROPHOTO, REC2020, TABLE)
ALL = (*RGB, GRAY)


def ink_profile() -> bytes:
    """A profile of CMYK in which one ink alone gives L* 50, and no ink white; all inks are alike."""
    grid = np.stack(np.meshgrid(*4 * [np.linspace(0, 1, 2)], indexing="ij"), axis=-1).sum(-1)
    lab = np.stack([100 - 50 * np.minimum(grid, 2), 0 * grid + 128, 0 * grid + 128], axis=-1)
    straight = struct.pack(">2H", 0, 65535)
    head = b"mft2\0\0\0\0" + bytes([4, 3, 2, 0]) + _fixed(np.eye(3).ravel()) + struct.pack(">HH", 2, 2)
    code = np.round(lab / [100, 255, 255] * 65280).astype(">u2").tobytes()
    return profile("Ink", b"CMYK", {b"A2B0": head + straight * 4 + code + straight * 3}, pcs=b"Lab ")
