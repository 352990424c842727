"""Even dials of any method: each direction of a dial is tried out once a layer; see `velatura.flow.even`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from .base import Context, Stage

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.diffusion.network import Network
    from velatura.flow.even import Curve, Probe

STEPS, SEED = 8, 0
"""Steps of a probe, and the seed of its noises, whatever the seeds of the request: a seed gives the same
picture in any batch."""


class Way(Hashable, Protocol):
    """A direction of a dial: the texts that the model reads in the pictures, and whatever else tells it from
    other directions."""

    @property
    def away(self) -> str:
        """The text that it leads away from."""
        ...

    @property
    def toward(self) -> str:
        """The text that it leads towards."""
        ...


W = TypeVar("W", bound=Way)
AfterStep = Callable[[int], None]
"""after_step(i): step i of the `STEPS` of a probe, from 0, is done. It may raise to stop the run."""


@dataclass(frozen=True)
class Probes:
    """The parts of a method that its probes need.

    Args:
        context: of the run.
        model: reads the pictures.
        z0: makes the unedited latents [1, C, h, w]; called where a curve is not known yet.
        rest: the steps of the edit that follows.
        shown: the visible picture [1, 3, h, w] of latents.
    """

    context: Context
    model: Network
    z0: Callable[[], Tensor]
    rest: int
    shown: Callable[[Tensor], Tensor]

    def strengths(
        self,
        asked: Sequence[tuple[W, float]],
        edited: Callable[[W, float, AfterStep], Tensor],
        key: Callable[[W], str],
    ) -> list[float]:
        """The strength of each dial, at least 0.

        The layer is part of a curve's key, though other layers have similar curves: so a recipe gives the
        same bytes after any earlier edits.

        Args:
            asked: the direction of each dial, and the share of its way in [0, 1].
            edited: returns the latents [1, C, h, w] of a direction at a strength.
            key: names all that a direction's curve depends on.
        """
        apart = list(dict.fromkeys(way for way, _ in asked))
        curves = {way: self._curve(way, i, len(apart), edited, key) for i, way in enumerate(apart)}
        return [curves[way].strength(share) for way, share in asked]

    def _curve(
        self,
        way: W,
        number: int,
        of: int,
        edited: Callable[[W, float, AfterStep], Tensor],
        key: Callable[[W], str],
    ) -> Curve:
        """The curve of a direction. number: of the direction, from 0. of: how many directions there are."""
        from velatura.flow import even

        whole = STEPS * len(even.PROBES)
        stage = Stage("Trying out the dials", of * whole / (of * whole + self.rest))

        def at(strength: float) -> Tensor:
            before = number * whole + even.PROBES.index(strength) * STEPS
            return edited(way, strength, lambda i: self.context.step(before + i + 1, of * whole, stage=stage))

        def make(begun: list[Probe]) -> Curve:
            return even.probe(self.model, at, self.shown, self.z0(), way.away, way.toward, SEED, begun)

        return self.context.kept(key(way), make, on_disk=True)
