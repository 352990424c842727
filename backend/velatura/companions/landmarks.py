"""Finds faces and their landmarks with OpenCV's YuNet, for generators with aligned pictures.

Wu, Peng & Yu 2023, YuNet: A Tiny Millisecond-level Face Detector.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from velatura_protocol.errors import VelaturaError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_SURE = 0.6  # of a face
_FEW = 5000  # candidates that are compared
_OVERLAP = 0.3  # from which two candidates are one face
_SIDE = 640  # larger pictures are looked at in this size, in which the network was trained


class Landmarks:
    """Faces by YuNet. detector: OpenCV's `FaceDetectorYN`."""

    def __init__(self, detector: Any) -> None:
        self._detector = detector

    def faces(self, picture: Tensor) -> list[Tensor]:
        """The landmarks [5, 2] of each face in a picture [1, 3, h, w] in [-1, 1], the surest first.

        They are x and y, in pixels, of the eye on the picture's left, that on its right, the nose, and both
        corners of the mouth, from left to right.
        """
        import torch
        import torch.nn.functional as F

        h, w = picture.shape[-2:]
        shrunk = min(1.0, _SIDE / max(h, w))
        size = (max(1, round(h * shrunk)), max(1, round(w * shrunk)))
        small = picture if shrunk == 1.0 else F.interpolate(picture, size, mode="area")
        rgb = ((small[0].movedim(0, -1).float().cpu() + 1.0) * 127.5).round().clamp(0.0, 255.0)
        bgr = np.ascontiguousarray(rgb.numpy().astype(np.uint8)[..., ::-1])
        self._detector.setInputSize((size[1], size[0]))
        _, found = self._detector.detect(bgr)
        if found is None:
            return []
        ordered = sorted(found, key=lambda row: -float(row[14]))
        scale = torch.tensor([w / size[1], h / size[0]])
        return [torch.from_numpy(row[4:14].reshape(5, 2).astype(np.float32)) * scale for row in ordered]


def load_landmarks(path: str | Path, device: torch.device | str, dtype: torch.dtype) -> Landmarks:
    """Loads YuNet.

    Args:
        path: its .onnx file.
        device, dtype: not used: it takes milliseconds on the CPU.

    Raises:
        VelaturaError: `unknown-model` without OpenCV, or for a file that is not YuNet's.
    """
    try:
        import cv2
    except ImportError as error:
        raise VelaturaError(
            "unknown-model",
            "Finding faces by their landmarks needs OpenCV; install it with `pip install velatura[faces]`.",
        ) from error
    try:
        detector = cv2.FaceDetectorYN.create(str(path), "", (64, 64), _SURE, _OVERLAP, _FEW)
        detector.detect(np.zeros((64, 64, 3), np.uint8))
    except (cv2.error, AttributeError) as error:
        raise VelaturaError(
            "unknown-model",
            f"{path} is no face detector that can be read; name a YuNet file (.onnx) of OpenCV's model zoo.",
            detail=str(error),
        ) from error
    return Landmarks(detector)
