"""Reads variations one at a time, as they are done, and ranks them at the end."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import numpy as np

from velatura.canvas.paste import Pasted

from .rank import Place, Ranking, order
from .reader import Reader
from .seam import Border
from .views import Scene

log = logging.getLogger(__name__)

FAILED = "Not ranked: comparing the variations failed; the worker's log says why."
NO_PROMPT = "there is no prompt to compare with, or the model reads none."


class Judge:
    """Reads the variations of one run.

    A fault ends the reading, and the run is not ranked: the pictures are worth more than their order.

    Args:
        scene: the source and the selection.
        reader: reads how well each picture shows the prompt.
        cancelled: the errors that end the run and not the reading alone.
    """

    def __init__(self, scene: Scene, reader: Reader, cancelled: type[BaseException]) -> None:
        self._scene, self._reader, self._cancelled = scene, reader, cancelled
        self._border = Border(scene.border(None), scene.border_mask()) if scene.masked else None
        self._read: list[dict[str, float]] = []
        self._has_failed = False

    @property
    def looks(self) -> int:
        """The number of looks at each picture."""
        return self._reader.looks + (self._border is not None)

    def read(self, result: Pasted, picture: np.ndarray, check: Callable[[], None]) -> Place | None:
        """The variation's score, as it will be in the ranking; its rank is 0 so far. None without a score.

        Args:
            result: the variation.
            picture: from which it was made, [h, w, 3] in [0, 1] at the model's size.
            check: called before each look; it raises to cancel.
        """
        if self._has_failed:
            return None
        try:
            parts = self._parts(result, picture, check)
            if not all(map(math.isfinite, parts.values())):
                raise ValueError("a score is no number")
        except self._cancelled:
            raise
        except Exception as error:
            log.warning("not ranked", exc_info=error)
            self._has_failed = True
            return None
        self._read.append(parts)
        return order({name: [value] for name, value in parts.items()})[0] if parts else None

    def _parts(self, result: Pasted, picture: np.ndarray, check: Callable[[], None]) -> dict[str, float]:
        parts: dict[str, float] = {}
        if self._border is not None:
            check()
            seam = self._border.seam(self._scene.border(result))
            if seam is not None:
                parts["seam"] = seam
        asked = self._reader.read([picture], check)
        return parts if asked is None else {"asked": asked[0], **parts}

    def ranking(self) -> Ranking:
        """The places of all that were read, in the order of reading."""
        if self._has_failed:
            return Ranking((), FAILED)
        names = [name for name in ("asked", "seam") if self._read and all(name in one for one in self._read)]
        places = order({name: [one[name] for one in self._read] for name in names}) if names else ()
        if "asked" in names:
            return Ranking(places)
        if not names:
            return Ranking((), f"Not ranked: {NO_PROMPT}")
        return Ranking(places, f"Ranked by the edge of the selection alone: {NO_PROMPT}")
