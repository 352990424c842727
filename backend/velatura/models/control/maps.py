"""Reads maps from pictures: edges, lines, depth, colours, light. Pictures are [h, w, 3] float32 in [0, 1]."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter

from velatura.weights.json_files import read_object
from velatura_protocol.errors import VelaturaError

from . import refusals
from .kinds import KINDS, KindName

_CANNY = (100, 200)  # the thresholds of ControlNet's authors and of diffusers' guide
_LUMA = np.array((0.299, 0.587, 0.114), np.float32)
_LINE = 0.01  # of a picture's shorter side: the lines that are read are thinner
_FAINTEST = 8.0 / 255.0  # a line is darker than its surroundings by this at least
_SEE_THROUGH = 0.02  # of a layer: with so much of it empty it is paint on nothing


def read(
    picture: np.ndarray, alpha: np.ndarray | None, kind: KindName, depth: Path | None, device: torch.device
) -> np.ndarray:
    """The map of a picture, [h, w, 3] float32 in [0, 1].

    Args:
        picture: as it is seen over the mean of its visible part.
        alpha: its opacity [h, w, 1]; None for an opaque one.
        kind: of the map.
        depth: the folder of a network that estimates depth; None if there is none.
        device: for that network.

    Raises:
        VelaturaError: `bad-request` for a kind that cannot be read, `unknown-model` where what reads it is
            missing.
    """
    reader = KINDS[kind].reader
    if reader == "edges":
        return _edges(picture)
    if reader == "lines":
        return _lines(picture, alpha)
    if reader == "depth":
        return _depth(picture, depth, device)
    if reader == "grey":
        return np.repeat((picture @ _LUMA)[..., None], 3, axis=2)
    if reader == "colours":
        return picture
    raise refusals.unreadable(kind)


def as_map(picture: np.ndarray, alpha: np.ndarray | None, kind: KindName) -> np.ndarray:
    """A picture that already is a map, over black. Lines are turned to white on black, as networks read
    them."""
    shown = picture if alpha is None else picture * alpha
    if not KINDS[kind].is_drawn:
        return shown
    if _is_paint(alpha):
        assert alpha is not None
        return np.repeat(alpha, 3, axis=2)
    return 1.0 - shown if float((shown @ _LUMA).mean()) > 0.5 else shown


def _is_paint(alpha: np.ndarray | None) -> bool:
    return alpha is not None and float((alpha < 0.5).mean()) > _SEE_THROUGH


def _edges(picture: np.ndarray) -> np.ndarray:
    """Canny's edges (1986), white on black."""
    try:
        import cv2
    except ImportError as error:
        raise refusals.without_edges() from error
    grey: Any = np.rint((picture @ _LUMA).clip(0.0, 1.0) * 255.0).astype(np.uint8)
    found: Any = cv2.Canny(grey, *_CANNY)
    return np.repeat((found.astype(np.float32) / 255.0)[..., None], 3, axis=2)


def _lines(picture: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Lines as a pen draws them, white on black: paint on an empty layer, else what is darker than its
    surroundings."""
    if _is_paint(alpha):
        assert alpha is not None
        return np.repeat(alpha, 3, axis=2)
    luma = (picture @ _LUMA).clip(0.0, 1.0)
    grey = Image.fromarray(np.rint(luma * 255.0).astype(np.uint8))
    around = grey.filter(ImageFilter.GaussianBlur(max(1.0, _LINE * min(grey.size))))
    darker = (np.asarray(around, np.float32) / 255.0 - luma).clip(0.0)
    lines = darker[darker > _FAINTEST]
    strong = float(np.quantile(lines, 0.75)) if lines.size else 1.0
    drawn = np.where(darker > _FAINTEST, darker / strong, 0.0).clip(0.0, 1.0).astype(np.float32)
    return np.repeat(drawn[..., None], 3, axis=2)


@torch.inference_mode(False)
@torch.no_grad()
def _depth(picture: np.ndarray, folder: Path | None, device: torch.device) -> np.ndarray:
    """Depth as ControlNets read it: near is white. The network is loaded for this one picture."""
    if folder is None:
        raise refusals.without_depth()
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    try:
        processor: Any = AutoImageProcessor.from_pretrained(folder, local_files_only=True, use_fast=False)
        network: Any = AutoModelForDepthEstimation.from_pretrained(folder, local_files_only=True).to(device)
        told = read_object(folder / "config.json")
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise VelaturaError(
            "unknown-model",
            f"The network that reads depth cannot be loaded from {folder}; fetch it again, or choose a layer "
            "that shows depth and switch on “Is a map”.",
            detail=f"{type(error).__name__}: {error}",
        ) from error
    shown = Image.fromarray(np.rint(picture.clip(0.0, 1.0) * 255.0).astype(np.uint8))
    inputs = {name: value.to(device) for name, value in processor(shown, return_tensors="pt").items()}
    read: Any = network.eval()(**inputs).predicted_depth.float()[None]
    height, width = picture.shape[:2]
    sized = torch.nn.functional.interpolate(read, (height, width), mode="bicubic")[0, 0].cpu().numpy()
    # networks of relative depth say its inverse, those in metres the distance itself
    is_distance = told.get("depth_estimation_type") == "metric" or told.get("model_type") == "zoedepth"
    near = -sized if is_distance else sized
    low, high = float(near.min()), float(near.max())
    spread = high - low or 1.0
    return np.repeat(((near - low) / spread).astype(np.float32)[..., None], 3, axis=2)
