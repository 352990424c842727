"""The interface of a guide to the model that it leads."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import nn

    from velatura.attention.places import Attend
    from velatura.diffusion.condition import Condition

    from ..latent import LatentModel


class Guide(Protocol):
    """Leads every pass of a model's denoising network by a picture (`velatura.models.control`)."""

    in_place: bool
    """Whether it leads by places: then it holds for the picture of the run only, not for parts of it."""

    @property
    def networks(self) -> list[nn.Module]:
        """Its own networks that take part in a pass."""
        ...

    def during(
        self, model: LatentModel, begun: float, condition: Condition, attend: Attend | None
    ) -> AbstractContextManager[Attend | None]:
        """The context of one pass of the denoising network; it gives the `attend` of that pass.

        Args:
            model: whose network is called.
            begun: the share of a run that lies before this pass, in [0, 1).
            condition: of the pass.
            attend: of the call.
        """
        ...

    def mark(self, prompt: str, condition: Condition) -> Condition:
        """The condition of a prompt, with what the guide has to know of it."""
        ...
