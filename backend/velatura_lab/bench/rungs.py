"""The most memory on a device for each rung of the ladder on which a model's weights fit."""

from __future__ import annotations

import torch

from velatura.diffusion import noise
from velatura.models import placing
from velatura.models.latent import LatentModel
from velatura.weights.counting import counted as allocated

from .networks import CAPTION, Shape, Size
from .observe import peak

_META, _DTYPE = torch.device("meta"), torch.bfloat16


def counted(shape: Shape, size: Size) -> dict[str, int]:
    """Bytes for each rung, of a pass of one row and of the picture's decoding, in bfloat16. They are counted
    on networks without values, so that any depth has room.

    A text encoder is there before the first pass, and elsewhere in the passes but for the rung 'whole'.
    """
    with placing.wanted(placing.WHOLE):  # and not by the memory that is free just now
        model = shape.made(size, _META, _DTYPE)
    network, vae = model.networks[model.denoiser], placing.nbytes(model.networks["vae"])
    readers = [int(millions * 1e6) * _DTYPE.itemsize for millions in shape.readers]
    activations, whole = _activations(model, size.pixels), placing.nbytes(network)
    offloaded = _apart(network)
    placing.store_in_8_bits(network)  # the last use of the network
    passes = {
        placing.WHOLE: whole + sum(readers),
        placing.ENCODERS: whole,
        placing.EIGHT_BITS: placing.nbytes(network) + _DTYPE.itemsize * _largest(network),
        placing.OFFLOAD: offloaded,
    }
    idle = passes | {placing.EIGHT_BITS: placing.nbytes(network)}
    return {
        rung: vae + max(need + activations, 0 if rung == placing.WHOLE else idle[rung] + max(readers))
        for rung, need in passes.items()
    }


def _activations(model: LatentModel, pixels: int) -> int:
    """Bytes of the tensors of a pass of one row, or of decoding if they are more."""
    side = pixels // model.factor
    shape, condition = (1, model.latent_channels, side, side), model.encode_prompt(CAPTION)
    with torch.inference_mode(False):  # fake tensors cannot be made in it
        x = torch.empty(shape, device=model.device)
        condition = condition.clone()
        return max(
            allocated(lambda: model.predict(x.clone(), 0.5, condition, None)),
            allocated(lambda: model.decode_unchecked(x.clone())),
        )


def _apart(network: torch.nn.Module) -> int:
    """Bytes of the weights that lie on the device where those of the blocks do not, and of the largest
    block."""
    sizes = [placing.nbytes(block) for block in placing.blocks(network)]
    return placing.nbytes(network) - sum(sizes) + max(sizes)


def _largest(network: torch.nn.Module) -> int:
    """The number of values of the largest matrix in 8 bits, which a layer's call casts."""
    return max((w.numel() for w in network.parameters() if w.dtype == torch.float8_e4m3fn), default=0)


def measured(shape: Shape, size: Size, device: torch.device, dtype: torch.dtype) -> dict[str, int]:
    """Bytes for each rung, of a model without text encoders that is made, samples one step and decodes."""

    @torch.inference_mode()
    def run() -> None:
        model = shape.made(size, device, dtype)
        side = size.pixels // model.factor
        x = noise.standard_normal([0], (model.latent_channels, side, side)).to(device)
        model.network(x, 0.5, model.encode_prompt(CAPTION))
        float(model.decode(x).sum())

    found: dict[str, int] = {}
    for rung in placing.PLACED:
        with placing.wanted(rung):
            found[rung] = peak(run, device)
    return found
