"""PIE-Bench (Ju et al. 2024, Direct Inversion, section 6): its layout on disk, its metrics, their quirks.

The layout is as published: `mapping_file.json` and `annotation_images/`. The metrics repeat the published
evaluation, so that their figures can stand beside the paper's table:

- a border of one pixel counts as edited ("to avoid annotation errors in boundary");
- background metrics take whole pictures times (1 - mask), so the zeroed area counts as perfect, and a mask
  that covers everything gives no value;
- the structure network is fed pixels of 0..255 where it was trained on 0..1;
- CLIP similarity of the edited part takes a picture that is black elsewhere;
- prompts lose their square brackets.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from velatura_protocol.errors import VelaturaError

from . import metrics
from .batch import Batch
from .cases import Case
from .editors import Editor, MethodEditor
from .encoders import required
from .measure import Measure, measure

SIDE = 512
MEASURES: dict[str, Measure] = {}
#: `editing_type_id` -> kind of edit.
TYPES = {
    "0": "random",
    "1": "change object",
    "2": "add object",
    "3": "delete object",
    "4": "change content",
    "5": "change pose",
    "6": "change colour",
    "7": "change material",
    "8": "change background",
    "9": "change style",
}
_COLUMNS = ("pie-structure", "pie-psnr", "pie-lpips", "pie-mse", "pie-ssim", "pie-clip", "pie-clip-edited")
#: Figures of the paper's tables, and of later papers with the same code: method -> measure -> value.
PUBLISHED: dict[str, dict[str, float]] = {
    name: dict(zip(_COLUMNS, row, strict=True))
    for name, row in {
        "DDIM + Prompt-to-Prompt": (69.4, 17.87, 208.8, 219.9, 71.1, 25.01, 22.44),
        "Null-text + Prompt-to-Prompt": (13.4, 27.03, 60.7, 35.9, 84.1, 24.75, 21.86),
        "Negative-prompt + Prompt-to-Prompt": (16.2, 26.21, 69.0, 39.7, 83.4, 24.61, 21.87),
        "Direct inversion + Prompt-to-Prompt": (11.65, 27.22, 54.6, 32.9, 84.8, 25.02, 22.10),
        "InstructPix2Pix": (107.0, 16.69, 271.0, math.nan, math.nan, 23.5, 22.2),
        "LEdits++": (41.4, 20.59, 100.0, 120.0, 82.0, 26.2, 23.3),
    }.items()
}


def decode_mask(runs: Sequence[int], side: int = SIDE) -> NDArray[np.uint8]:
    """[start, length, start, length, …] along rows -> uint8 [side, side], 1 in the edited part."""
    mask = np.zeros(side * side, np.uint8)
    for start, length in zip(runs[::2], runs[1::2], strict=True):
        mask[start : start + length] = 1
    return mask.reshape(side, side)


def with_border(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mask with a border of one pixel that counts as edited, as PIE-Bench measures with it."""
    mask = mask.copy()
    mask[[0, -1]] = 1
    mask[:, [0, -1]] = 1
    return mask


def read_cases(folder: Path, kinds: Sequence[str] = (), count: int | None = None) -> list[Case]:
    """The cases of a PIE-Bench folder in the file's order; the first `count` of each kind.

    Args:
        folder: with `mapping_file.json` and `annotation_images/`.
        kinds: numbers or names of editing types; all where empty.
        count: of each kind; None for all.

    Raises:
        VelaturaError: `bad-request` where the folder has another layout.
        OSError: a picture cannot be read.
    """
    try:
        mapping = json.loads((folder / "mapping_file.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VelaturaError(
            "bad-request",
            f"{folder} holds no readable mapping_file.json; give the folder of PIE-Bench itself.",
            detail=str(error),
        ) from error
    found: list[Case] = []
    taken: dict[str, int] = {}
    for id, item in mapping.items():
        type_id = str(item["editing_type_id"])
        kind = TYPES.get(type_id, f"type {type_id}")
        if kinds and type_id not in kinds and kind not in kinds:
            continue
        taken[kind] = taken.get(kind, 0) + 1
        if count is None or taken[kind] <= count:
            found.append(_case(folder, id, item, kind))
    if not found:
        raise VelaturaError("bad-request", f"{folder} has no edits of the kinds asked for.")
    return found


def _case(folder: Path, id: str, item: dict[str, Any], kind: str) -> Case:
    with Image.open(folder / "annotation_images" / item["image_path"]) as image:
        source = np.array(image.convert("RGB"))
    if source.shape[:2] != (SIDE, SIDE):
        source = np.array(Image.fromarray(source).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    mask = decode_mask(item["mask"])
    prompts = (item["original_prompt"], item["editing_prompt"])
    before, after = (prompt.replace("[", "").replace("]", "") for prompt in prompts)
    blended = (item.get("blended_word") or "").split()
    half = len(blended) // 2
    return Case(
        id=id,
        kind=kind,
        edit=kind,
        source=source,
        target=None,
        source_prompt=before,
        target_prompt=after,
        source_words=" ".join(blended[:half]),
        target_words=" ".join(blended[half:]),
        thing=" ".join(blended[:half]),
        new_thing=" ".join(blended[half:]),
        region=with_border(mask).astype(np.float32),
        mask=mask * np.uint8(255),
    )


def editors_of(made: Sequence[Editor], masked: bool) -> list[Editor]:
    """The editors without the benchmark's masks, as its authors run methods.

    Methods that require a mask get it, and their titles say so. A baseline that equals a method without its
    selection is left out.

    Args:
        made: the editors of the world.
        masked: whether methods that do not require a mask get it too.
    """
    found: list[Editor] = []
    for editor in made:
        if isinstance(editor, MethodEditor) and editor.masked:
            if masked or editor.method.inputs.mask == "required":
                editor = replace(editor, title=f"{editor.title} (given the mask)")
            else:
                editor = replace(editor, masked=False)
        if not (editor.baseline and any(_does_the_same(editor, other) for other in found)):
            found.append(editor)
    return found


def _does_the_same(one: Editor, other: Editor) -> bool:
    methods = [getattr(editor, "method", None) for editor in (one, other)]
    return methods[0] is not None and methods[0] is methods[1] and one.settings == other.settings


def _outside(batch: Batch) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Results and sources times (1 - mask), or None if the mask covers everything."""
    if not batch.background.any():
        return None
    return batch.results * batch.background, batch.origins * batch.background


def _of_outside(
    batch: Batch, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], scale: float
) -> list[float]:
    outside = _outside(batch)
    return [math.nan] * len(batch) if outside is None else (scale * function(*outside)).tolist()


@measure("pie-structure", "Structure distance", "x 1000", "pie-bench", "lower", "features", into=MEASURES)
def structure(batch: Batch) -> Sequence[float]:
    """Mean squared difference of the cosine self-similarities of the keys in the last layer of DINO ViT-B/8,
    at 224 pixels fed as 0..255, times 1000 (Tumanyan et al. 2022, eq. 4; PIE-Bench)."""
    before, after = (required(batch.encoders.features).places(x) for x in (batch.origins, batch.results))
    return (1000.0 * metrics.structure_distance(before, after)).tolist()


@measure("pie-psnr", "Background PSNR", "dB", "pie-bench", "higher", into=MEASURES)
def psnr(batch: Batch) -> Sequence[float]:
    """PSNR of pictures times (1 - mask): the zeroed area counts as perfect (PIE-Bench). For an
    untouched background, where the published code gives infinity, the error of rounding to 8 bits is counted:
    58.9 dB."""
    return _of_outside(batch, lambda a, b: metrics.psnr(a, b, floor=metrics.ROUNDING), 1.0)


@measure("pie-lpips", "Background LPIPS", "x 1000", "pie-bench", "lower", "lpips", digits=1, into=MEASURES)
def lpips(batch: Batch) -> Sequence[float]:
    """LPIPS with SqueezeNet (Zhang et al. 2018) of pictures times (1 - mask), times 1000 (PIE-Bench)."""
    return _of_outside(batch, required(batch.encoders.lpips), 1000.0)


@measure("pie-mse", "Background MSE", "x 10000", "pie-bench", "lower", digits=1, into=MEASURES)
def mse(batch: Batch) -> Sequence[float]:
    """Mean squared error of pictures times (1 - mask), times 10,000 (PIE-Bench)."""
    return _of_outside(batch, metrics.mse, 1e4)


@measure("pie-ssim", "Background SSIM", "x 100", "pie-bench", "higher", digits=1, into=MEASURES)
def ssim(batch: Batch) -> Sequence[float]:
    """SSIM (Wang et al. 2004) of pictures times (1 - mask), times 100 (PIE-Bench)."""
    return _of_outside(batch, metrics.ssim, 100.0)


@measure("pie-clip", "CLIP similarity, whole", "x 100", "pie-bench", "higher", "clip", into=MEASURES)
def clip(batch: Batch) -> Sequence[float]:
    """100 max(0, cos) of CLIP ViT-L/14 between result and target prompt (Hessel et al. 2021; PIE-Bench)."""
    return (100.0 * (batch.embeddings @ batch.texts[1]).clamp_min(0.0)).tolist()


@measure(
    "pie-clip-edited", "CLIP similarity, edited part", "x 100", "pie-bench", "higher", "clip", into=MEASURES
)
def clip_edited(batch: Batch) -> Sequence[float]:
    """100 max(0, cos) of CLIP ViT-L/14 between target prompt and the result times the mask (PIE-Bench)."""
    with torch.no_grad():
        inside = required(batch.encoders.clip).images(batch.results * batch.case.region_weight)
    return (100.0 * (inside @ batch.texts[1]).clamp_min(0.0)).tolist()
