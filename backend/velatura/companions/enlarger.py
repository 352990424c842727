"""Enlarges pictures: Velatura's own small network, or any that spandrel knows (ESRGAN, SPAN, DAT, SwinIR)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from velatura.weights.out_of_memory import is_out_of_memory
from velatura_protocol.errors import VelaturaError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_COMPACT = "body.0.weight"  # and nothing but a body: the layout of `compact`


class Enlarger:
    """A network that enlarges pictures by a whole factor.

    Args:
        network: [N, 3, h, w] in [0, 1] -> [N, 3, scale h, scale w].
        scale: the factor.
        multiple: the number of pixels that sides of its pictures must be multiples of.
        device, dtype: of the network.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        scale: int,
        multiple: int,
        device: torch.device | str,
        dtype: torch.dtype,
    ) -> None:
        self._network, self.scale, self._multiple = network, scale, multiple
        self._device, self._dtype = device, dtype

    def enlarge(self, pictures: Tensor) -> Tensor:
        """Pictures [N, 3, h, w] in [-1, 1] at `scale` times their size, float32 in [-1, 1]."""
        from torch.nn import functional as F

        height, width = pictures.shape[-2:]
        pads = -width % self._multiple, -height % self._multiple
        x = F.pad(pictures, (0, pads[0], 0, pads[1]), mode="replicate").to(self._device, self._dtype)
        y = self._network(((x + 1.0) / 2.0).clamp(0.0, 1.0)).float()
        y = y[..., : self.scale * height, : self.scale * width]
        return (y * 2.0 - 1.0).clamp(-1.0, 1.0).to(pictures.device)


def load_enlarger(path: str | Path, device: torch.device | str, dtype: torch.dtype) -> Enlarger:
    """Loads a network that enlarges.

    Args:
        path: a .safetensors file, or a folder with one. Pickled weights (.pth) are not read.
        device: the device to run on.
        dtype: of the weights.

    Raises:
        VelaturaError: `unknown-model` for other files, and for a network that only spandrel knows if spandrel
            is not installed.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        file = min(file.glob("*.safetensors"), default=file)
    if file.suffix != ".safetensors" or not file.is_file():
        raise VelaturaError(
            "unknown-model",
            f"There is no .safetensors file of an enlarging network at {path}; name one. Pickled files "
            "(.pth) are not read, because they could run code.",
        )
    try:
        return _read(file, device, dtype)
    except VelaturaError:
        raise
    except Exception as error:  # the libraries that read these files raise exceptions of any class
        if is_out_of_memory(error):
            raise
        raise VelaturaError(
            "unknown-model",
            f"The enlarging network at {path} cannot be read; fetch it again or name another one.",
            detail=f"{type(error).__name__}: {error}",
        ) from error


def _read(file: Path, device: torch.device | str, dtype: torch.dtype) -> Enlarger:
    from safetensors.torch import load_file

    from .compact import Compact

    weights = load_file(file)
    if _COMPACT in weights and all(name.startswith("body.") and name.count(".") == 2 for name in weights):
        network = Compact.of(weights).to(device, dtype).eval().requires_grad_(False)
        return Enlarger(network, network.scale, 1, device, dtype)
    return _by_spandrel(weights, device, dtype)


def _by_spandrel(weights: dict[str, Tensor], device: torch.device | str, dtype: torch.dtype) -> Enlarger:
    import torch

    try:
        from spandrel import ImageModelDescriptor, ModelLoader  # pyright: ignore[reportMissingImports] - optional
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision is of another build than torch
        raise VelaturaError(
            "unknown-model",
            "This enlarging network needs the packages spandrel and torchvision; install them with "
            "`pip install velatura[enlarge]` from where torch came, or name a network of the compact kind.",
            detail=str(error),
        ) from error
    found: Any = ModelLoader().load_from_state_dict(weights)
    if not isinstance(found, ImageModelDescriptor) or found.scale < 2 or found.input_channels != 3:
        raise ValueError("the network does not enlarge pictures of three channels")
    if (dtype == torch.float16 and not found.supports_half) or (
        dtype == torch.bfloat16 and not found.supports_bfloat16
    ):
        dtype = torch.float32
    found.to(device, dtype).eval()
    needs = found.size_requirements
    return Enlarger(found, found.scale, max(1, needs.multiple_of), device, dtype)
