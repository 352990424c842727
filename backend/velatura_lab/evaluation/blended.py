"""`velatura evaluate --study joins`, `thin` and `precision`: Blended Latent Diffusion's ablations and tables.

Avrahami et al. 2023, figures 4 and 20 (joins), 7 (thin), tables 1 and 2 (precision), on the drawn world and
with its judge in place of their classifier. The figures are of other pictures and other networks than the
paper's, so they never stand beside its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from velatura.methods.registry import registry
from velatura.models.store import ModelStore
from velatura_lab.world.pairs import pairs

from . import session
from .batch import Batch
from .cases import Case, of_pair
from .editors import Editor, MethodEditor, check_rows, noise_and_denoise
from .measure import NAN, Measure, chosen_measures, measure
from .measures import MEASURES
from .records import Figures
from .session import Options, Session, kinds_of

METHOD = "blended-latent-diffusion"
Rows = Mapping[str, Mapping[str, Any]]
JOINS: Rows = {
    "as decoded": {"reconstruction": "none"},
    "the layer's own detail": {"reconstruction": "detail"},
    "seam band": {"reconstruction": "band"},
    "Poisson": {"reconstruction": "poisson"},
    "fitted latents": {"reconstruction": "latents"},
    "fitted decoder": {"reconstruction": "decoder"},
    "fitted decoder, background alone": {"reconstruction": "decoder", "background": 1e6},
}
"""Figure 4, and in the last row figure 20: with so large a lambda, the term of the foreground vanishes."""
THIN: Rows = {
    "the selection at every step": {"progressive_shrinking": False},
    "shrinking": {"progressive_shrinking": True},
}
PRECISION: Rows = {
    "shipped": {},
    "shrinking": {"progressive_shrinking": True},
    "fitted decoder": {"reconstruction": "decoder"},
}
JOINS_COLUMNS = ("success", "leakage", "background-psnr", "background-perceptual", "inner-psnr", "seconds")
THIN_COLUMNS = ("edited", "success", "closeness", "leakage")
PRECISION_COLUMNS = ("batch-precision", "best-precision", "diversity", "seconds")

THIN_SIDE = 8
"""Pixels, of 128 a side: everything that an element of `thin` selections covers is narrower."""
CHANGED = 0.1
"""A pixel is edited if a channel moved by more than this, of [0, 1]."""
_TRIES = 60  # pairs that are drawn for each thin one

OWN: dict[str, Measure] = {}


@measure("edited", "Edited area", "%", "asked", "higher", digits=0, into=OWN)
def edited(batch: Batch) -> Sequence[float]:
    """Share of the selected pixels of which a colour moved by more than a tenth of the range. A measure of
    this project, for Avrahami et al. 2023, figure 7, where thin selections stay as they were."""
    moved = (batch.results - batch.case.source_image).abs().amax(1, keepdim=True) > CHANGED
    selected = (batch.case.mask_weight > 0.5).expand_as(moved)
    if not selected.any():
        return [NAN]
    return [float(one[where].float().mean()) for one, where in zip(moved, selected, strict=True)]


@measure("inner-psnr", "PSNR inside the selection's edge", "dB", "rest", "higher", digits=1, into=OWN)
def inner_psnr(batch: Batch) -> Sequence[float]:
    """PSNR against the source of the selected pixels that the exact edit leaves as they are: the background
    that a method decoded. A measure of this project, for Avrahami et al. 2023, figure 4."""
    place = (batch.case.mask_weight > 0.0) & (batch.case.region_weight < 0.01)
    if not place.any():
        return [NAN]
    error = (batch.results - batch.case.source_image).square().mean(1, keepdim=True)
    return [float(-10.0 * one[place[0]].mean().clamp(min=1e-10).log10()) for one in error]


def prepare_joins(options: Options, models: ModelStore, defaults: Mapping[str, Any]) -> Session:
    """The ways of reconstructing the background. `options.methods` names rows; all where empty."""
    return _prepared(options, models, defaults, JOINS, JOINS_COLUMNS)


def prepare_precision(options: Options, models: ModelStore, defaults: Mapping[str, Any]) -> Session:
    """Precision, batch precision, diversity and time. `options.methods` names rows; all where empty."""
    asked = replace(options, seeds=max(options.seeds, 8))
    return _prepared(asked, models, defaults, PRECISION, PRECISION_COLUMNS)


def prepare_thin(options: Options, models: ModelStore, defaults: Mapping[str, Any]) -> Session:
    """Shrinking on thin selections. `options.methods` names rows; all where empty."""
    made = _prepared(options, models, defaults, THIN, THIN_COLUMNS)
    size = models.get(options.model).size
    made.cases = [
        case for kind in kinds_of(options) for case in thin(kind, options.per_kind, options.seed, size)
    ]
    return made


def thin(kind: str, count: int, seed: int, size: int) -> list[Case]:
    """Up to `count` pairs of a kind with a thin exact region, which is the selection, size x size."""
    found: list[Case] = []
    for index, pair in enumerate(pairs(kind, count * _TRIES, seed)):
        if len(found) == count:
            break
        region = pair.region(size)
        if is_thin(region):
            mask = (region * 255.0).round().astype(np.uint8)
            found.append(replace(of_pair(pair, f"thin-{kind}-{index:04d}", size), mask=mask))
    return found


def is_thin(region: np.ndarray) -> bool:
    """Whether a region [h, w] holds no square of `THIN_SIDE`, in proportion to its size, but something."""
    side = max(2, round(THIN_SIDE * region.shape[0] / 128))
    inside = (torch.from_numpy(region)[None, None] > 0.5).float()
    return bool(inside.any()) and not bool((-F.max_pool2d(-inside, side, 1)).any())


def _prepared(
    options: Options, models: ModelStore, defaults: Mapping[str, Any], rows: Rows, columns: Sequence[str]
) -> Session:
    check_rows(options.methods, rows)
    known = {**MEASURES, **OWN}
    measures = chosen_measures(options.measures or [name for name in columns if name in known], known)

    def editors(*_: Any) -> list[Editor]:
        return _editors(models, options, defaults, rows)

    def conclude(figures: Figures) -> list[str]:
        figures["columns"] = [name for name in columns if name in figures["measures"]]
        return []

    asked = replace(options, measures=(), survey=0)
    made = session.prepare(asked, models, editors, defaults=defaults, conclude=conclude)
    made.options, made.measures = options, measures
    made.by_type = (next(iter(measures)), "type of edit")
    return made


def _editors(models: ModelStore, options: Options, defaults: Mapping[str, Any], rows: Rows) -> list[Editor]:
    method = registry()[METHOD]
    made: list[Editor] = [
        MethodEditor(
            method, models, options.model, {**defaults, **rows[row]}, id=f"{METHOD}: {row}", title=row
        )
        for row in options.methods or rows
    ]
    return [*made, noise_and_denoise(models, options.model, defaults)]
