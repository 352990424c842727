"""Where in a UNet an attention lies."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel


class Place(NamedTuple):
    """One attention of a UNet. name: of its module, as in `unet.named_modules()`. kind: what it attends to,
    the prompt ('cross') or the picture itself ('self')."""

    name: str
    kind: Literal["cross", "self"]


def halved(side: int, times: int) -> int:
    """A side after so many downsamplings, which round up."""
    return -(-side // 2**times)


@cache
def level(latent: tuple[int, int], tokens: int) -> int:
    """How often a network that sees latents (h, w) has halved them where a place has this many queries.

    A UNet halves both sides from level to level, so that their product tells the level. Raises ValueError for
    a number that no level has.
    """
    for times in range(max(latent).bit_length() + 1):
        if halved(latent[0], times) * halved(latent[1], times) == tokens:
            return times
    raise ValueError(f"no level of a latent of {latent[0]} x {latent[1]} has {tokens} places")


def levels(unet: UNet2DConditionModel) -> tuple[int, ...]:
    """The levels that have cross-attention: 0 sees the latent as it is, 1 halved once, and so on."""
    names = [name for name, _ in unet.named_modules() if name.endswith(".attn2")]
    downs = {int(name.split(".")[1]) for name in names if name.startswith("down_blocks.")}
    last = len(unet.config.block_out_channels) - 1
    ups = {last - int(name.split(".")[1]) for name in names if name.startswith("up_blocks.")}
    middle = {last} if any(name.startswith("mid_block.") for name in names) else set()
    return tuple(sorted(downs | ups | middle))
