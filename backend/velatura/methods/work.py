"""One request at work, from which a kind of result (`kinds`) makes the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from velatura.canvas.masks import mask_of_layer
from velatura.canvas.paste import Finer, Pasted, paste
from velatura.canvas.region import Seen
from velatura.canvas.selection import Layer, Selection
from velatura.diffusion.noise import own
from velatura.generators.protocol import DIFFUSION
from velatura.ranking.asked import Asked
from velatura.ranking.by_both import AskedOfBoth
from velatura.ranking.by_clip import AskedOfClip, Encoder
from velatura.ranking.judge import Judge
from velatura.ranking.reader import Reader
from velatura.ranking.views import Scene
from velatura_protocol.rasters import Raster

from . import detailing
from .base import Cancelled, Legend, Method
from .results import Looks, ResultLayer, mask_layer, ranked, result_layer
from .run import Run, as_arrays
from .thumbnails import thumbnail

_TONED = (
    "The layer has light beyond white: it was dimmed for the model, and the result has its brightness back."
)


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
        arrived: called with each of several variations as soon as it is done.
    """

    run: Run
    layer: Layer
    selection: Selection
    seen: Seen
    source: Raster
    recipe: dict[str, Any]
    seeds: list[int]
    arrived: Callable[[ResultLayer], None]

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

    def batches(self) -> Iterator[tuple[list[int], list[np.ndarray]]]:
        """The seeds and the pictures [h, w, 3 or 4] in [0, 1] of a method that makes pictures, as batches of
        them are done."""
        done = 0
        for pictures in self.run.variations(
            self.seeds, detailing.SHARE if detailing.is_wanted(self) else 1.0
        ):
            yield self.seeds[done : done + len(pictures)], pictures
            done += len(pictures)

    def show(self, picture: np.ndarray) -> None:
        """Shows a finished picture [h, w, 3 or 4] in [0, 1] as the last preview."""
        self.run.show(picture)

    def show_mask(self, map: np.ndarray) -> None:
        """Shows a finished map [h, w] in [0, 1] as the last preview, white on black."""
        self.run.show_mask(map)

    @cached_property
    def _unedited(self) -> np.ndarray | None:
        """The picture [h, w, 3] in [0, 1] with which a result is compared; see `Method.compared_with`."""
        compared = self.run.method.compared_with(self.run.params)
        if compared == "nothing":
            return None
        return self.seen.image if compared == "layer" else as_arrays(self.run.reconstruction)[0]

    def paste(self, seeds: Sequence[int], pictures: Sequence[np.ndarray]) -> list[Pasted]:
        """The pictures of a batch as layers over the source, with the layer's own detail where that is
        wanted."""
        run = self.run
        reach = max(1, run.generator.factor // 4)
        finer: list[Finer | None] = [None] * len(pictures)
        if detailing.is_wanted(self):
            finer = [*detailing.detailed(self, seeds, pictures, self._unedited, reach)]
        run.finish()
        made: list[Pasted] = []
        for picture, one in zip(pictures, finer, strict=True):
            run.check()  # pasting eight large pictures takes longer than a cancel may
            made.append(
                paste(
                    self.layer,
                    self.selection,
                    run.region,
                    self.seen,
                    picture,
                    self._unedited,
                    reach,
                    flat=run.method.flat,
                    finer=one,
                )
            )
        if not self.layer.encoding.tone.is_identity:
            run.remarks.add(_TONED)
        return made

    def layer_of(
        self, index: int, seed: int, picture: np.ndarray, pasted: Pasted, title: Callable[[int, int], str]
    ) -> ResultLayer:
        """A pasted picture as a layer of the result, not ranked. title: from an index and a seed."""
        seed = own(seed)
        self.run.check()
        made = result_layer(self.recipe, index, title(index, seed), seed, self.source, pasted)
        return replace(made, thumbnail=thumbnail(self.run.shown(picture), self.run.rect))

    def looks(self, judge: Judge | None, pictures: int) -> Looks:
        """Counts the judge's looks at the pictures of a batch."""
        return Looks(self.run.rank, pictures * (judge.looks if judge else 0))

    def ranked(
        self, layers: list[ResultLayer], judge: Judge, title: Callable[[int, int, str], str]
    ) -> list[ResultLayer]:
        """See `results.ranked`."""
        return ranked(layers, judge, title)

    def legend(self) -> Legend | None:
        """The meaning of the result's colours, if the method says it."""
        return self.method.legend(self.run)

    def masks(self, titles: Sequence[str], maps: Sequence[np.ndarray]) -> list[ResultLayer]:
        """Maps [h, w] in [0, 1], at the model's size, as masks of the source."""
        run = self.run
        run.hooks.progress("Finishing", 0, 0, 1.0)
        made: list[ResultLayer] = []
        for i, (title, map) in enumerate(zip(titles, maps, strict=True)):
            run.check()
            mask = mask_of_layer(self.layer, self.selection, run.region, map)
            layer = mask_layer(self.recipe, i, title, self.seeds[0], self.source, mask)
            made.append(replace(layer, thumbnail=thumbnail(run.shown_mask(map), run.rect)))
        return made

    def judge(self) -> Judge:
        """Reads the variations as they are done, and ranks them."""
        return Judge(Scene(self.layer, self.selection, self.seen.backdrop), self._reader(), Cancelled)

    def opaque(self, picture: np.ndarray) -> np.ndarray:
        """A picture [h, w, 3 or 4] over the layer by its own opacity, [h, w, 3]; all in [0, 1]."""
        image = self.seen.image
        return image + picture[..., 3:].prod(2, keepdims=True) * (picture[..., :3] - image)

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
