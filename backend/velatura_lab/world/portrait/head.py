"""The head's coordinates and measures, shared by all parts of a portrait."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..raster import Canvas, Field, ellipse


@dataclass(frozen=True)
class Head:
    """Head-space coordinates of every pixel, and the measures of the head.

    (u, v) run to the right and down in half head heights, tilted with the head.  (f, g) are the same for the
    features, moved a little by the head's turn.  `lit` is the light on the head in 0..1; `worn` is the age of
    the skin in 0..1.
    """

    u: Field
    v: Field
    f: Field
    g: Field
    width: float
    chin: float
    jaw: float
    light: float
    lit: Field
    worn: float

    def outline(self, grow: float = 0.0) -> Field:
        """Implicit outline of the face, enlarged by `grow`."""
        upper = ellipse(self.u, self.v, 0.0, 0.0, self.width + grow, 1.0 + grow)
        lower = ellipse(self.u, self.v, 0.0, 0.0, self.width + grow, self.chin + grow, self.jaw)
        return np.where(self.v < 0.0, upper, lower)

    def window(
        self, canvas: Canvas, low: float, high: float, reach: float = 0.85
    ) -> tuple[Canvas, Head] | None:
        """Canvas and head cut to the features between two heights g; None if these are off the canvas."""
        near = (np.abs(self.f) < reach) & (self.g > low) & (self.g < high)
        rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
        if len(rows) < 2 or len(columns) < 2:
            return None
        cut = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        fields = {name: getattr(self, name)[cut] for name in ("u", "v", "f", "g", "lit")}
        return canvas.window(*cut), replace(self, **fields)
