"""A result with the layer's own detail where the layer has more pixels than the model's picture.

The picture that the model has edited is enlarged by a network, then worked out in overlapping tiles of the
model's size: noised a little and denoised towards the method's own prompt, all tiles together at each step
(`velatura.diffusion.tiles`). Outside the selection every step returns to the layer, noised to the same level
(Avrahami et al. 2023, algorithm 1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from velatura.canvas.detail import restored, unchanged
from velatura.canvas.geometry import Box, Region
from velatura.canvas.paste import Finer
from velatura.canvas.region import flattened_at, without_margins
from velatura.canvas.resample import Resized
from velatura.diffusion import blending, denoiser, noise, samplers, schedule
from velatura.diffusion.tiles import over_tiles, tiled
from velatura.generators.protocol import DIFFUSION

from .base import Stage

if TYPE_CHECKING:
    from .run import Run
    from .work import Work

SHARE = 0.4  # approximate share of the method in a detailed run
LEAST = 1.25  # pixels of the layer for one of the model's picture, from which on detail is missing
MOST = 8.0  # largest enlargement
STRENGTH, ALONE = 0.05, 0.2  # of the refinement: after an enlarger, and of a model that has none
STEPS = 20  # of a whole run, of which the refinement takes the share of its strength
MARGIN = 0.125  # around the selection, in sides of the model's pictures
OVERLAP = 0.375  # of neighbouring tiles, in sides of the model's pictures
_ENLARGED = 256, 16  # side and overlap of the tiles that are enlarged
_AROUND = 12  # pixels around a part that is enlarged
_ENLARGING = Stage("Enlarging", 0.2)


class Place(NamedTuple):
    """The part of the layer that gets detail, and the size (height, width) at which it is worked out."""

    box: Box
    size: tuple[int, int]


def is_wanted(work: Work) -> bool:
    """Whether a run adds detail: it asks for it, is no draft, and its layer is larger than the picture."""
    run = work.run
    if getattr(run.params, "detail", "fast") != "detailed" or run.is_draft or run.generator.kind != DIFFUSION:
        return False
    crop = run.region.crop
    is_strip = 2 * min(crop.height, crop.width) < run.generator.size  # too low or narrow for a network
    return _scale(run.region) >= LEAST and not is_strip


def _scale(region: Region) -> float:
    """Pixels of the layer for one of the model's picture."""
    return min(region.crop.height / region.inner[0], region.crop.width / region.inner[1])


def place_of(bounds: Box, region: Region, side: int, multiple: int) -> Place:
    """The selection with a margin, at the layer's own size if that is at most `MOST` times the model's.

    Args:
        bounds: of the selection, within the region's crop.
        region: that the model saw.
        side: of the model's pictures.
        multiple: a divisor of both sides of what is worked at.
    """
    scale = max(1.0, _scale(region) / MOST)
    margin, least = round(MARGIN * side * scale), round(side * scale)
    crop = region.crop
    y0, y1 = _grown(bounds.y0, bounds.y1, margin, least, crop.y0, crop.y1)
    x0, x1 = _grown(bounds.x0, bounds.x1, margin, least, crop.x0, crop.x1)
    box = Box(x0, y0, x1, y1)
    height, width = (
        -(-max(1, round(length / scale)) // multiple) * multiple for length in (box.height, box.width)
    )
    return Place(box, (height, width))


def _remark(place: Place) -> str:
    """The size that detail was worked out at, for the person."""
    box, (height, width) = place
    size = f"Detail was painted at {width} × {height} pixels"
    if min(width / box.width, height / box.height) > 0.99:
        return f"{size}, the layer's own size."
    return f"{size}; the layer has {box.width} × {box.height} there."


def _grown(low: int, high: int, margin: int, least: int, start: int, end: int) -> tuple[int, int]:
    """The span [low, high) with the margin and of the least length, as far as [start, end) has room."""
    length = min(max(high - low + 2 * margin, least), end - start)
    first = min(max((low + high - length) // 2, start), end - length)
    return first, first + length


def detailed(
    work: Work, seeds: Sequence[int], pictures: Sequence[np.ndarray], unedited: np.ndarray | None, reach: int
) -> Iterator[Finer]:
    """The pictures of a batch, worked out at the layer's size. Raises `Cancelled`.

    Args:
        seeds: one a picture.
        pictures: [h, w, 3 or 4] in [0, 1], at the model's size.
        unedited: [h, w, 3], the picture of the unedited layer with which they are compared, or None.
        reach: see `canvas.detail.unchanged`.
    """
    run = work.run
    model = run.model
    box, size = place = place_of(work.selection.bounds, run.region, model.size, model.multiple)
    source = flattened_at(work.layer, box, size, work.seen.backdrop)
    mask = work.selection.covered(box, size)[..., None]
    region = Region(box, size, size, (0, 0))
    run.remarks.add(_remark(place))
    for i, (seed, picture) in enumerate(zip(seeds, pictures, strict=True)):
        run.finer(i, len(pictures), SHARE)
        with torch.inference_mode():
            x = _start(work, picture[..., :3], unedited, reach, place, source, mask)
            run.show_part(x, box, work.layer.origin)
            fine = _refined(work, x, mask, seed, place)
            run.show_part(fine, box, work.layer.origin)
        yield Finer(_array(fine), region)


def _start(
    work: Work,
    picture: np.ndarray,
    unedited: np.ndarray | None,
    reach: int,
    place: Place,
    source: np.ndarray,
    mask: np.ndarray,
) -> Tensor:
    """The edit over the layer at the place's size, before it is refined, [1, 3, h, w] in [-1, 1]."""
    run, crop = work.run, work.run.region.crop
    whole = crop.y0, crop.x0, crop.height, crop.width
    edited = without_margins(picture, run.region)
    fine = _enlarged(work, Picture(edited, *whole), place).at(place)
    if unedited is not None:
        before = without_margins(unedited, run.region)
        parts = np.concatenate([edited, before, unchanged(edited, before, reach)[..., None]], axis=2)
        coarse = Picture(parts, *whole).at(place)
        fine = restored(coarse[..., :3], coarse[..., 3:6], coarse[..., 6:].clip(0.0, 1.0), source, fine)
    return _tensor(source + mask * (fine.clip(0.0, 1.0) - source), run)


class Picture(NamedTuple):
    """A picture [h, w, c] of a part of the layer; the part is in the layer's coordinates."""

    values: np.ndarray
    top: float
    left: float
    height: float
    width: float

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the picture for one of the layer, down and across."""
        return self.values.shape[0] / self.height, self.values.shape[1] / self.width

    def at(self, place: Place) -> np.ndarray:
        """The place's part at the place's size."""
        (down, across), box = self.scale, place.box
        extent = box.height * down, box.width * across
        start = (box.y0 - self.top) * down, (box.x0 - self.left) * across
        return Resized(self.values, place.size, extent=extent, start=start).rows()

    def around(self, box: Box) -> Picture:
        """The least part of whole pixels that holds the box and _AROUND pixels around it."""
        (down, across), (height, width) = self.scale, self.values.shape[:2]
        y0, y1 = _whole((box.y0 - self.top) * down, (box.y1 - self.top) * down, height)
        x0, x1 = _whole((box.x0 - self.left) * across, (box.x1 - self.left) * across, width)
        return Picture(
            self.values[y0:y1, x0:x1],
            self.top + y0 / down,
            self.left + x0 / across,
            (y1 - y0) / down,
            (x1 - x0) / across,
        )


def _whole(low: float, high: float, limit: int) -> tuple[int, int]:
    return max(0, math.floor(low) - _AROUND), min(limit, math.ceil(high) + _AROUND)


def _enlarged(work: Work, picture: Picture, place: Place) -> Picture:
    """The picture, enlarged until it has no fewer pixels than the place; itself if there is no network."""
    run = work.run
    network = run.enlarger
    while network is not None and picture.scale[0] * place.box.height < place.size[0]:
        part = picture.around(place.box)

        def between(i: int, n: int) -> None:
            run.step(i + 1, n, stage=_ENLARGING)

        y = over_tiles(network.enlarge, _tensor(part.values, run), *_ENLARGED, network.scale, between)
        picture = part._replace(values=_array(y))
    return picture


def _refined(work: Work, x: Tensor, mask: np.ndarray, seed: int, place: Place) -> Tensor:
    """The picture x [1, 3, h, w] in [-1, 1] with the model's own detail inside the mask [h, w, 1]."""
    run, params = work.run, work.run.params
    model, side = run.model.without_places, run.model.size  # a guide's map is of the whole, not of a tile
    prompt = run.method.wanted(run.prompt, params)
    scale = getattr(params, "guidance", 1.0) if prompt else 1.0
    overlap = max(1, round(OVERLAP * side / model.factor))
    tile = side // model.factor

    def check(i: int, n: int) -> None:
        run.check()

    def decode(z: Tensor) -> Tensor:
        return over_tiles(model.decode, z, tile, overlap, model.factor, check)

    z_init = over_tiles(model.encode, x, side, overlap * model.factor, Fraction(1, model.factor), check)
    n = noise.standard_normal([seed], z_init.shape[1:]).to(z_init)
    m = blending.latent_mask(_tensor(mask, run, colours=False), (z_init.shape[-2], z_init.shape[-1]))
    D = tiled(
        denoiser.guided(model, prompt, getattr(params, "negative_prompt", ""), scale), tile, overlap, check
    )
    strength = ALONE if run.enlarger is None else STRENGTH
    sigmas = schedule.sigmas(model.training_sigmas, STEPS, strength)
    stage = Stage(f"Adding detail at {place.size[1]} × {place.size[0]}")

    def after_step(z: Tensor, step: samplers.Step) -> Tensor:
        run.step(step.i + 1, step.n, stage=stage)
        return blending.blend(z, z_init + step.sigma_next * n, m)

    z = samplers.dpmpp_2m(D, z_init + sigmas[0] * n, sigmas, after_step)
    before, after = (_array(decode(latents)) for latents in (z_init, z))
    kept = unchanged(after, before, max(1, model.factor // 4))[..., None]
    return _tensor(restored(after, before, kept, _array(x)).clip(0.0, 1.0), run)


def _array(x: Tensor) -> np.ndarray:
    """[1, 3, h, w] in [-1, 1] to [h, w, 3] in [0, 1]."""
    return ((x[0].clamp(-1.0, 1.0) + 1.0) / 2.0).permute(1, 2, 0).float().cpu().numpy()


def _tensor(picture: np.ndarray, run: Run, *, colours: bool = True) -> Tensor:
    """[h, w, c] in [0, 1] to [1, c, h, w] on the model's device; colours in [-1, 1]."""
    x = torch.from_numpy(np.ascontiguousarray(picture, np.float32)).permute(2, 0, 1)[None]
    return (x * 2.0 - 1.0 if colours else x).to(run.generator.device)
