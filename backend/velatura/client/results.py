"""What came of an edit: layers as arrays with their recipes, or texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from velatura.client.outputs import WRITERS, Output, check_format, check_out
from velatura.files.compare import eight_bit
from velatura.files.composite import over
from velatura.files.images import Image, Layer
from velatura.files.masks import as_paint
from velatura_protocol.errors import VelaturaError


@dataclass(frozen=True, eq=False)
class ResultLayer:
    """One variation of an edit, or one mask of a selection.

    Args:
        pixels: [height, width, channels] at the picture's own depth: gray or RGB with straight alpha for an
            edit, one channel whose maximum means selected for a mask.
        x: column of the picture at which its left column lies.
        y: row of the picture at which its first row lies.
        title: for a person.
        recipe: JSON from which it can be made again.
        score: the ranking's, in [0, 1]; None where the result is not ranked.
        why: the reason why it is the best, in a few words; '' for others.
    """

    pixels: np.ndarray
    x: int
    y: int
    title: str
    recipe: Mapping[str, Any]
    score: float | None
    why: str


class Result:
    """The outcome of an edit.

    Attributes:
        layers: the best first; empty for a method that describes.
        texts: of a method that describes, the likeliest first; else empty.
        note: a sentence for the person, or ''.
        seconds: that the edit took in the daemon.
        job: its id in the daemon.
        title: for a person.
    """

    def __init__(
        self,
        job: Mapping[str, Any],
        kind: str,
        pictures: tuple[Image, Image | None],
        drawn: Sequence[tuple[Mapping[str, Any], Layer]],
        texts: Sequence[str],
    ) -> None:
        """For `velatura.client.jobs`.

        Args:
            job: as the daemon sends it, done.
            kind: how its layers are inserted: a key of `outputs.WRITERS`, or `texts`.
            pictures: the edited picture and its mask.
            drawn: the job's layers as the daemon sends them, the best first, and with their pixels.
            texts: of the job.
        """
        self._kind = kind
        self._source, self._mask = pictures
        self._drawn = [layer for _, layer in drawn]
        self.layers = tuple(_layer(told, layer) for told, layer in drawn)
        self.texts = tuple(texts)
        self.note = str(job["result"].get("note", ""))
        self.seconds = float(job["result"]["seconds"])
        self.job = str(job["job"])
        self.title = str(job["title"])

    def __repr__(self) -> str:
        what = f"{len(self.texts)} texts" if self._kind == "texts" else f"{len(self.layers)} layers"
        return f"<Result {self.title!r}: {what} in {self.seconds:.1f} s>"

    @property
    def best(self) -> ResultLayer:
        """The layer that the ranking puts first. Raises ValueError where there is none."""
        if not self.layers:
            raise ValueError("this result has no layers; look at its texts")
        return self.layers[0]

    def picture(self, index: int = 0) -> np.ndarray:
        """The edited picture with a layer over it, in the picture's channels and depth.

        index: of the layer; 0 is the best. A mask lies over it as white paint. Raises IndexError.
        """
        return self._composite(index).pixels

    def shown(self, index: int = 0) -> np.ndarray:
        """As `picture`, to look at: uint8 sRGB [height, width, 3] over white, from any depth and colours."""
        return eight_bit(self._composite(index))

    def save(self, path: str | Path) -> list[Path]:
        """Write the result as `velatura edit --out` does; return the files.

        path: `.ora` or `.psd` for the picture and every layer; `.png`, `.tif`, `.exr`, `.jpg` or `.webp` for
        the picture with the best one; `.png` for the masks. Raises `bad-request` for another ending, a format
        that cannot hold the pixels, a method that describes, and a folder that is not there; OSError.
        """
        path = Path(path)
        if self._kind not in WRITERS:
            raise VelaturaError("bad-request", "This result is text; read `texts`.")
        check_out(path, ())
        check_format(path, self._source, self._kind)
        return WRITERS[self._kind](Output(path, None, ()), self._source, self._mask, self._drawn, self.title)

    def _composite(self, index: int) -> Image:
        layer = self._drawn[index]
        shown = as_paint(layer, self._source) if self._kind == "selections" else layer
        return over(self._source, shown)


def _layer(told: Mapping[str, Any], layer: Layer) -> ResultLayer:
    score, why = told.get("score"), told.get("why")
    return ResultLayer(
        layer.image.pixels,
        layer.x,
        layer.y,
        layer.title,
        layer.recipe,
        float(score) if isinstance(score, int | float) else None,
        why if isinstance(why, str) else "",
    )
