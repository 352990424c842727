"""The interface of a diffusion model to the editing mathematics, which imports no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, TypeAlias

from velatura.generators.protocol import Generator
from velatura_protocol.errors import VelaturaError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from velatura.attention.joint import Blocks
    from velatura.attention.places import Attend

    from .condition import Condition


@dataclass(frozen=True)
class OfOutput:
    """A summand of a layer's output that depends on that output too.

    of: gives it for the layer's input x and its own output y, which has no summand yet.
    """

    of: Callable[[Tensor, Tensor], Tensor]


Adapter: TypeAlias = "Mapping[str, Callable[[Tensor], Tensor] | OfOutput]"
"""Functions from the input of a layer to a summand of its output, by the layers' names."""

Bottleneck: TypeAlias = "Callable[[Tensor], Tensor]"
"""A function from h to the h that a pass goes on with, both [N, C, h, w] in the network's dtype, with a row
for each of the pass."""


class Layer(NamedTuple):
    """A linear layer that an adapter can change: the numbers of its outputs and inputs."""

    outputs: int
    inputs: int


class Tokenized(NamedTuple):
    """A prompt as its text encoder reads it, L tokens.

    Args:
        ids: of all L tokens.
        offsets: the characters [start, end) of the prompt that each token was read from; (0, 0) for none.
        content: the indices of the tokens that come from the prompt. Before and behind them there may be
            marks and the words of a template, then padding, which repeats one token.
        further: the prompt as the model's other text encoders read it, whose tokens follow these in the
            condition's states. Encoders that share rows, as both of SDXL do, are one.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]
    content: range
    further: tuple[Tokenized, ...] = ()

    @property
    def words(self) -> list[int]:
        """The indices of the tokens that come from the prompt, among those of all encoders."""
        found, first = [], 0
        for part in (self, *self.further):
            found += [first + i for i in part.content]
            first += len(part.ids)
        return found


class Network(Protocol):
    """The part of a model that denoising needs."""

    training_sigmas: np.ndarray
    """The noise levels that it was trained at, increasing, float64 [T]."""
    prediction: str
    """The type of its prediction: 'epsilon', 'v_prediction', 'sample' or 'flow' (`denoiser.FLOW`)."""
    guidance_rescale: float
    """phi of `denoiser.guide`."""

    def network(self, x: Tensor, t: float, condition: Condition, attend: Attend | None = None) -> Tensor:
        """F(x, t, c) [N, C, h, w] float32.

        Args:
            x: [N, C, h, w] float32 of unit variance; for a flow (1 - t) z + t n.
            t: the training time, in [0, T-1]; for a flow t in [0, 1].
            condition: of N rows.
            attend: replaces every attention in this one call; None: plain attention.
        """
        ...

    def encode_prompt(self, prompt: str) -> Condition:
        """The condition of a text, one row. Raises `prompt-too-long`."""
        ...


class Decoder(Protocol):
    """A decoder D_theta for tuning."""

    weights: Mapping[str, Tensor]
    """theta by name, float32. They may be the model's own; tune copies."""

    def picture(self, z: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """The picture [N, 3, H, W] float32 of latents [N, C, h, w] for these weights, about [-1, 1] and not
        clamped. It has a gradient with respect to both. The model's own weights do not change."""
        ...


class LatentDiffusion(Network, Generator, Protocol):
    """The part of a model that editing pictures needs."""

    @property
    def latent_channels(self) -> int:
        """C of its latents [N, C, h, w]."""
        ...

    @property
    def latent_size(self) -> int:
        """Side of the square latents that it was trained on."""
        ...

    @property
    def attention_levels(self) -> tuple[int, ...]:
        """The levels at which it attends to the prompt: 0 sees the latent as it is, 1 halved once, and so on
        (`velatura.attention.places`)."""
        ...

    takes_guidance: bool = True
    """Whether classifier-free guidance, and so a negative prompt, means anything to it. A network that was
    distilled to do without gives burnt colours under it."""

    guidance_patch: ClassVar[int] = 0
    """If not 0: a guided prediction keeps, within each square of so many latent pixels a side, the norm of
    the conditional one (Qwen-Image's "true" guidance)."""

    @property
    def joint_blocks(self) -> Blocks | None:
        """The joint attentions in which edits inject and read (`velatura.attention.joint`), each choice with
        its source; None if it has no joint attention."""
        return None

    @property
    def embeds_guidance(self) -> bool:
        """Whether its network takes the scale of guidance as an input (`at_guidance`): it was distilled from
        a guided one, so one pass has the effect of two."""
        return False

    def at_guidance(self, scale: float) -> LatentDiffusion:
        """The model whose network gets this scale of guidance as its input. It shares all weights; its digest
        depends on the scale. Raises `unknown-model` unless `embeds_guidance`."""
        raise VelaturaError(
            "unknown-model", f"{self.id!r} takes no strength of guidance; choose another model."
        )

    def for_steps(self, steps: int) -> LatentDiffusion:
        """The model whose noise levels are those of a run of so many steps; itself where they do not depend
        on that. It shares all weights; its digest depends on the steps."""
        return self

    @property
    def without_places(self) -> LatentDiffusion:
        """The model without guides that lead by places, for other pictures than that of the run, such as
        tiles of a larger one. It shares all weights."""
        return self

    @property
    def most_references(self) -> int:
        """How many reference pictures its network takes (`referring`); 0 for most models."""
        return 0

    def referring(self, pictures: Sequence[Tensor]) -> LatentDiffusion:
        """The model with reference pictures, each [1, 3, h, w] in [-1, 1] and of any size: its prompts are
        instructions what to do with them. It shares all weights; its digest depends on the pictures.

        Raises `unknown-model` if the model takes none, or not so many.
        """
        raise VelaturaError(
            "unknown-model", f"{self.id!r} takes no instructions; choose a model that edits by instruction."
        )

    @property
    def picture_guidance(self) -> float | None:
        """The scale of its guidance by reference pictures, which is apart from that by the prompt; None for a
        model without such guidance."""
        return None

    def at_picture_guidance(self, scale: float) -> LatentDiffusion:
        """The model with this scale of guidance by reference pictures, 1 being none: the larger, the more its
        pictures look like them. It shares all weights; its digest depends on the scale.

        Raises `unknown-model` if `picture_guidance` is None.
        """
        raise VelaturaError(
            "unknown-model", f"{self.id!r} is not guided by pictures; leave that strength out."
        )

    def tunable_decoder(self) -> Decoder:
        """Its decoder for tuning. Raises `unknown-model` if it has none."""
        raise VelaturaError(
            "unknown-model", f"The decoder of {self.id!r} cannot be tuned; choose another reconstruction."
        )

    def decode_through(self, z: Tensor) -> Tensor:
        """As `decode`, but differentiable, and not bounded to [-1, 1]: for losses of the picture."""
        ...

    def tokenized(self, prompt: str) -> Tokenized:
        """The prompt as `encode_prompt` reads it; token j is row j of the condition's states. The prompt must
        pass `check_prompt`."""
        ...

    @property
    def layers(self) -> Mapping[str, Layer]:
        """The layers that an adapter can change, by their names in a LoRA's file (`unet.….to_q`)."""
        ...

    def adapted(self, adapter: Adapter, *, gradients: bool = False) -> AbstractContextManager[None]:
        """A context in which the output y(x) of each layer that the adapter names is y(x) + adapter[name](x).

        Behind the context, also after an error, the network is what it was, bit for bit. A value that is made
        within it is not one of the model's digest alone: its key must name the adapter too.

        Args:
            adapter: {} changes nothing.
            gradients: whether gradients are taken within the context. A large network then recomputes its
                activations instead of keeping them all.

        Raises:
            ValueError: the model has no layer of such a name.
        """
        ...

    @property
    def can_skip(self) -> bool:
        """Whether `skipping` does anything."""
        return False

    def skipping(self, tolerance: float) -> AbstractContextManager[None]:
        """A context for one run of a sampler, with one pass a step, in which a pass is computed in part only
        where it hardly differs from the one before.

        The result of a row then depends on the other rows of its batch. Behind the context, also after an
        error, the network is what it was.

        Args:
            tolerance: the largest difference, as a share; 0 computes every pass in full.
        """
        return nullcontext()

    def bottleneck(self, change: Bottleneck) -> AbstractContextManager[None]:
        """A context in which every pass of the network goes on with change(h) in place of h, the output of
        the U-Net's bottleneck.

        Behind the context, also after an error, the network is what it was.

        Raises `unknown-model` if the model is no U-Net.
        """
        raise VelaturaError(
            "unknown-model",
            f"{self.id!r} is no U-Net, and this method edits inside of one; choose another model or method.",
        )
