"""Requests and pixels that tests of the daemon share."""

from __future__ import annotations

import uuid

from velatura_protocol.messages import digest


def new_job() -> str:
    return str(uuid.uuid4())


def pixels(width: int = 32, height: int = 32, seed: int = 0) -> bytes:
    """Opaque RGBA, 8 bits, of a colour that depends on `seed`."""
    return bytes([seed * 37 % 256, seed * 101 % 256, seed // 256 % 256, 255]) * (width * height)


def raster(data: bytes, width: int = 32, height: int = 32, channels: str = "RGBA") -> dict:
    return {
        "digest": digest(data),
        "width": width,
        "height": height,
        "channels": channels,
        "dtype": "u8",
        "profile": "sRGB",
        "rect": [0, 0, width, height],
    }


def request(data: bytes | None = None, *, steps: int = 4, **changes: object) -> dict:
    """An SDEdit of 32x32 pixels; `changes` replace its fields."""
    data = pixels() if data is None else data
    return {
        "velatura": 1,
        "method": "sdedit",
        "method_version": 0,
        "model": {"id": "", "digest": ""},
        "prompt": "a hat",
        "seed": 417,
        "variations": 1,
        "parameters": {"steps": steps},
        "inputs": {"source": raster(data), "mask": None},
        "canvas": [32, 32],
        **changes,
    }


ENDLESS = {"method": "until-told", "parameters": {}}
"""Makes a request run until it is cancelled: changes for `request`. The daemon has `tests.more_methods`."""
