"""Requests and hooks for `execute`, made of arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from velatura.methods.registry import describe, registry
from velatura_protocol.messages import digest
from velatura_protocol.schema import complete

DTYPES = {"u8": "<u1", "u16": "<u2", "f16": "<f2", "f32": "<f4"}


@dataclass
class Recorded:
    """Hooks that note what they are told; cancels after so many steps."""

    cancel_after: int | None = None
    stages: list = field(default_factory=list)
    steps: list = field(default_factory=list)
    during: list = field(default_factory=list)  # the stage of each step
    fractions: list = field(default_factory=list)
    previews: list = field(default_factory=list)
    rects: list = field(default_factory=list)

    def progress(self, stage, step, steps, fraction):
        self.stages.append(stage)
        self.fractions.append(fraction)
        if stage not in ("Loading the model", "Ranking", "Finishing"):
            self.during.append(stage)
            self.steps.append((step, steps))

    def preview(self, step, rgb, rect):
        self.previews.append((step, rgb))
        self.rects.append(rect)

    def cancelled(self):
        return self.cancel_after is not None and len(self.steps) >= self.cancel_after


class Edit:
    """A request and its blobs. `request` may be changed before `run`."""

    def __init__(self, source, mask=None, *, channels="RGBA", profile="sRGB", method="sdedit", **fields):
        self.blobs = {}
        height, width = source.shape[:2]
        origin, at = fields.pop("origin", (0, 0)), fields.pop("at", (0, 0))
        parameters = fields.pop("parameters", {"steps": 4})
        form = describe(registry()[method])["parameters"] if method in registry() else {"properties": {}}
        self.request = {
            "velatura": 1,
            "method": method,
            "method_version": registry()[method].version if method in registry() else 1,
            "model": {"id": "", "digest": ""},
            "prompt": "a hat",
            "seed": 7,
            "variations": 1,
            "parameters": complete(form, parameters) if method in registry() else parameters,
            "inputs": {
                "source": self._raster(source, channels, profile, origin),
                "mask": None if mask is None else self._raster(mask[..., None], "A", "", at),
            },
            "canvas": [width, height],
        } | fields

    def _raster(self, pixels, channels, profile, origin):
        data = pixels.tobytes()
        self.blobs[digest(data)] = data
        height, width = pixels.shape[:2]
        dtype = next(name for name, code in DTYPES.items() if np.dtype(code) == pixels.dtype)
        rect = [*origin, width, height]
        described = {"digest": digest(data), "width": width, "height": height, "channels": channels}
        return described | {"dtype": dtype, "profile": profile, "rect": rect}

    def run(self, models, hooks=None, arrived=lambda layer: None):
        from velatura.methods.execute import execute

        hooks = hooks or Recorded()
        return execute(self.request, self.blobs.__getitem__, models, hooks, arrived=arrived)


def pixels(result):
    """A result layer as an array [height, width, channels]."""
    raster = result.raster
    flat = np.frombuffer(result.data, DTYPES[raster["dtype"]])
    return flat.reshape(raster["height"], raster["width"], len(raster["channels"]))


def picture(height=64, width=64, channels="RGBA", dtype="u8", seed=0):
    """A soft random picture, opaque."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((8, 8, len(channels)))
    soft = np.kron(coarse, np.ones((-(-height // 8), -(-width // 8), 1)))[:height, :width]
    if "A" in channels:
        soft[..., channels.index("A")] = 1.0
    if dtype in ("u8", "u16"):
        return np.rint(soft * np.iinfo(DTYPES[dtype]).max).astype(DTYPES[dtype])
    return soft.astype(DTYPES[dtype])


def box(height, width, rows, columns, value=255):
    """A mask with one rectangle."""
    mask = np.zeros((height, width), np.uint8)
    mask[slice(*rows), slice(*columns)] = value
    return mask
