"""One request at work, from which a kind of result (`kinds`) makes the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from velatura.canvas.masks import mask_of_layer
from velatura.canvas.paste import Finer, Pasted, limits, paste
from velatura.canvas.region import Seen
from velatura.canvas.selection import Layer, Selection
from velatura.generators.protocol import DIFFUSION
from velatura.ranking.asked import Asked
from velatura.ranking.by_both import AskedOfBoth
from velatura.ranking.by_clip import AskedOfClip, Encoder
from velatura.ranking.reader import Reader
from velatura.ranking.views import Scene
from velatura_protocol.rasters import Raster

from . import detailing
from .base import Legend, Method
from .results import ResultLayer, mask_layer, ranked, result_layer
from .run import Run, as_arrays

_LIMITED = "Light beyond white is limited to white where the picture changed; it is kept everywhere else."


@dataclass(frozen=True)
class Work:
    """A request whose pixels have been read and whose model is loaded, before the method runs.

    Args:
        run: of the method.
        layer: the source.
        selection: on the layer.
        seen: the part of the layer that the model sees.
        source: the layer's description.
        recipe: the request as it is run.
        seeds: one a variation; for a draft only the first.
    """

    run: Run
    layer: Layer
    selection: Selection
    seen: Seen
    source: Raster
    recipe: dict[str, Any]
    seeds: list[int]

    @property
    def method(self) -> Method:
        """The method that is run."""
        return self.run.method

    @property
    def is_draft(self) -> bool:
        """Whether the run returns only a preview."""
        return self.run.is_draft

    def output(self) -> Any:
        """The output of `Method.run` for the first seed."""
        return self.run.once(self.seeds[0])

    def pictures(self) -> list[np.ndarray]:
        """The pictures [h, w, 3 or 4] in [0, 1] of a method that makes pictures, one a seed."""
        share = detailing.SHARE if detailing.is_wanted(self) else 1.0
        return self.run.variations(self.seeds, share)

    def show(self, picture: np.ndarray) -> None:
        """Shows a finished picture [h, w, 3 or 4] in [0, 1] as the last preview."""
        self.run.show(picture)

    def show_mask(self, map: np.ndarray) -> None:
        """Shows a finished map [h, w] in [0, 1] as the last preview, white on black."""
        self.run.show_mask(map)

    def paste(self, pictures: Sequence[np.ndarray], title: Callable[[int, int], str]) -> list[ResultLayer]:
        """The pictures as layers over the source, with the layer's own detail where that is wanted, and not
        ranked. title: from an index and a seed."""
        run = self.run
        if not detailing.is_wanted(self):
            run.hooks.progress("Finishing", 0, 0, run.edits)
        reach = max(1, run.generator.factor // 4)
        compared = run.method.compared_with(run.params)
        unedited = None
        if compared != "nothing":
            unedited = self.seen.image if compared == "layer" else as_arrays(run.reconstruction)[0]
        finer: list[Finer | None] = [None] * len(pictures)
        if detailing.is_wanted(self):
            finer = [*detailing.detailed(self, pictures, unedited, reach)]
            run.hooks.progress("Finishing", 0, 0, run.edits)

        def pasted(picture: np.ndarray, finer: Finer | None) -> Pasted:
            return paste(
                self.layer,
                self.selection,
                run.region,
                self.seen,
                picture,
                unedited,
                reach,
                flat=run.method.flat,
                finer=finer,
            )

        def result(i: int, seed: int, picture: np.ndarray, finer: Finer | None) -> ResultLayer:
            made = pasted(picture, finer)
            if limits(self.layer, made):
                run.remarks.add(_LIMITED)
            return result_layer(self.recipe, i, title(i, seed), seed, self.source, made)

        return [
            result(i, seed, picture, detail)
            for i, (seed, picture, detail) in enumerate(zip(self.seeds, pictures, finer, strict=True))
        ]

    def legend(self) -> Legend | None:
        """The meaning of the result's colours, if the method says it."""
        return self.method.legend(self.run)

    def masks(self, titles: Sequence[str], maps: Sequence[np.ndarray]) -> list[ResultLayer]:
        """Maps [h, w] in [0, 1], at the model's size, as masks of the source."""
        self.run.hooks.progress("Finishing", 0, 0, 1.0)
        return [
            mask_layer(
                self.recipe,
                i,
                title,
                self.seeds[0],
                self.source,
                mask_of_layer(self.layer, self.selection, self.run.region, map),
            )
            for i, (title, map) in enumerate(zip(titles, maps, strict=True))
        ]

    def rank(
        self,
        layers: list[ResultLayer],
        pictures: Sequence[np.ndarray],
        title: Callable[[int, int, str], str],
    ) -> list[ResultLayer]:
        """The layers with their places; see `results.ranked`. title: from index, seed and a place's label."""
        run = self.run
        scene = Scene(self.layer, self.selection, self.seen.backdrop)
        image = self.seen.image
        opaque = [
            image + picture[..., 3:].prod(2, keepdims=True) * (picture[..., :3] - image)
            for picture in pictures
        ]
        return ranked(layers, opaque, scene, self._reader(), run.rank, title)

    def _of_clip(self, clip: Encoder, wanted: str) -> AskedOfClip:
        return AskedOfClip(clip, self.seen, wanted, self.run.generator.device)

    def _reader(self) -> Reader:
        """The networks that rank: the model, with its CLIP where it has one; CLIP alone where it leads a
        method on a model that reads no text."""
        run, method = self.run, self.method
        wanted = method.wanted(run.prompt, run.params)
        if run.generator.kind == DIFFUSION:
            asked = Asked(run.model.without_places, self.seen, wanted, method.before(run.params))
            clip = run.own_clip
            return asked if clip is None else AskedOfBoth(asked, self._of_clip(clip, wanted))
        if method.needs == "clip":
            return self._of_clip(run.clip, wanted)
        return Asked(run.model, self.seen, "")  # a generator of another package: nothing reads its pictures
