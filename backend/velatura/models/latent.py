"""The part that all models of latents share: prompts, the autoencoder, adapters, faults of precision."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from velatura.attention.places import Attend
from velatura.diffusion.condition import Condition
from velatura.diffusion.denoiser import FLOW
from velatura.diffusion.network import Adapter, Decoder, LatentDiffusion, Layer
from velatura.diffusion.tiles import over_tiles
from velatura.generators.protocol import DIFFUSION
from velatura.weights.precision import checked
from velatura_protocol.errors import VelaturaError

from . import placing
from .adapters.words import Vectors, known
from .adapting import adapted, layers
from .decoder import TunableDecoder

if TYPE_CHECKING:
    from .control.guide import Guide

_PROMPTS_KEPT = 64
_OVERLAP = 4  # of a tile's side, the share that neighbours have in common is one in so many
_SDXL_SCALE = 0.13025  # scaling_factor of its autoencoder


class LatentModel(LatentDiffusion):
    """A model on its device: a network that denoises latents of an autoencoder, conditioned by text encoders.

    A family of networks is a subclass in `velatura.models.families`. It defines `_condition`, `tokenized`,
    `tokens_of`, `predict`, and its sizes; the editing code does not change. A subclass is a dataclass with at
    least the fields that are named here.

    Args:
        id: of the model's entry.
        digest: of its weights.
        autoencoder: of diffusers, with `encode` and `decode`.
        training_sigmas, prediction, guidance_rescale: see `velatura.diffusion.network.Network`.
        device, dtype: of the networks; the autoencoder may have another dtype.
    """

    id: str
    digest: str
    autoencoder: Any
    device: torch.device
    dtype: torch.dtype
    _prompts: OrderedDict[str, Condition]
    guides: tuple[Guide, ...] = ()
    """Guides that lead this copy (`guided`)."""

    kind: ClassVar[str] = DIFFUSION
    denoiser: ClassVar[str] = "unet"
    """The denoising network's name in `networks` and in the names of its layers."""

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Its networks, by their names in a diffusers folder; the denoising one by `denoiser`."""
        raise NotImplementedError

    def place(self) -> None:
        """Moves the networks to the device, frozen, convolutions in the layout that is fast."""
        if self.autoencoder.dtype == torch.float16 and _overflows(self.autoencoder.config):
            self.autoencoder.float()
        for network in self.networks.values():
            network.eval().requires_grad_(False)
        placing.place(self.networks, self.denoiser, self.device)
        for name in {self.denoiser, "vae"}:
            for module in self.networks[name].modules():
                if isinstance(module, nn.Conv2d):  # three-dimensional ones have no faster layout
                    module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - torch lacks it

    @property
    def rung(self) -> str:
        """How its weights were made to fit (`placing.REMARKS`)."""
        return placing.rung_of(self.denoising)

    @property
    def denoising(self) -> nn.Module:
        """The network that denoises."""
        return self.networks[self.denoiser]

    @property
    def factor(self) -> int:
        """The side of one latent pixel in pixels."""
        config = self.autoencoder.config
        channels = config.get("block_out_channels") or config["encoder_block_out_channels"]
        return 2 ** (len(channels) - 1)

    @property
    def size(self) -> int:
        """Side of the square pictures it was trained on, in pixels."""
        return self.latent_size * self.factor

    @property
    def layers(self) -> dict[str, Layer]:
        """See `LatentDiffusion`."""
        return layers(self.networks[self.denoiser], self.denoiser)

    def adapted(self, adapter: Adapter, *, gradients: bool = False) -> AbstractContextManager[None]:
        """See `LatentDiffusion`. The layers of text encoders have names too (`text_encoder.….q_proj`)."""
        return adapted(self.networks, self.denoiser, adapter, gradients=gradients)

    @contextmanager
    def wearing(self, adapter: Adapter, name: str, words: Sequence[Vectors] = ()) -> Generator[Self]:
        """A context that gives a copy which shares all weights, in which the adapter changes them, and whose
        prompts may have further words.

        Behind the context the networks are what they were, bit for bit.

        Args:
            adapter: see `LatentDiffusion.adapted`; it may name layers of text encoders.
            name: goes into the copy's digest, so that values kept for it are no other model's.
            words: of textual inversions.
        """
        worn = copy.copy(self)
        worn.digest = f"{self.digest} wearing {name}"
        worn._prompts = OrderedDict()
        encoders = [name for name in self.networks if name.startswith("text_encoder")]
        tokenizers = {name: getattr(self, _tokenizer(name), None) for name in encoders}
        with self.adapted(adapter), known(words, self.networks, tokenizers) as readers:
            for encoder, reader in readers.items():
                setattr(worn, _tokenizer(encoder), reader)
            yield worn

    def guided(self, guides: Sequence[Guide], name: str) -> Self:
        """A copy that shares all weights, every pass of whose network these guides lead.

        The network itself does not change. name: goes into the copy's digest, so that values kept for it are
        no other model's.
        """
        led = copy.copy(self)
        led.digest = f"{self.digest} guided by {name}"
        led.guides, led._prompts = (*self.guides, *guides), OrderedDict()
        return led

    @property
    def without_places(self) -> Self:
        """The copy without guides that lead by places, for other pictures than that of the run."""
        kept = tuple(guide for guide in self.guides if not guide.in_place)
        if len(kept) == len(self.guides):
            return self
        other = copy.copy(self)
        other.digest, other.guides = f"{self.digest} not by places", kept
        return other

    def begun(self, t: float) -> float:
        """The share of a run of even steps that lies before the time t of `network`, in [0, 1)."""
        times = len(self.training_sigmas)
        index = t
        if self.prediction == FLOW:
            levels = self.training_sigmas / (1.0 + self.training_sigmas)
            index = float(np.interp(t, levels, np.arange(times)))
        return min(1.0, max(0.0, 1.0 - (index + 1.0) / times))

    def tokens_of(self, prompt: str) -> tuple[int, int]:
        """The number of tokens of a prompt, and the largest number that the model reads of it."""
        raise NotImplementedError

    def excess(self, prompt: str) -> int:
        """The number of tokens at the prompt's end that the model does not read."""
        tokens, most = self.tokens_of(prompt)
        return max(0, tokens - most)

    def check_prompt(self, prompt: str, name: str = "The prompt") -> None:
        """Raises `prompt-too-long` if the model does not read the prompt to its end. name: the prompt's name
        in the message."""
        if excess := self.excess(prompt):
            tokens, most = self.tokens_of(prompt)
            raise VelaturaError(
                "prompt-too-long",
                f"{name} is about {_words(prompt, excess / tokens)} too long for this model; shorten it.",
                detail=f"{tokens} tokens, {most} read",
            )

    @torch.inference_mode()
    def encode_prompt(self, prompt: str) -> Condition:
        """The prompt's condition, one row, its states float32. The last prompts are cached.

        Raises `prompt-too-long`.
        """
        if prompt not in self._prompts:
            self.check_prompt(prompt)
            readers = [
                network for name, network in self.networks.items() if name not in (self.denoiser, "vae")
            ]
            condition = checked(lambda: self._condition(prompt), readers, self._title)
            for guide in self.guides:
                condition = guide.mark(prompt, condition)
            self._prompts[prompt] = condition
            if len(self._prompts) > _PROMPTS_KEPT:
                self._prompts.popitem(last=False)
        self._prompts.move_to_end(prompt)
        return self._prompts[prompt]

    def _condition(self, prompt: str) -> Condition:
        """The condition of a prompt that is not too long."""
        raise NotImplementedError

    def network(self, x: Tensor, t: float, condition: Condition, attend: Attend | None = None) -> Tensor:
        """See `Network`. A network that overflows in half precision computes in float32 from then on."""
        networks = [self.networks[self.denoiser], *(n for guide in self.guides for n in guide.networks)]
        with ExitStack() as stack:
            for guide in self.guides:
                attend = stack.enter_context(guide.during(self, self.begun(t), condition, attend))
            return checked(lambda: self.predict(x, t, condition, attend), networks, self._title, x, condition)

    def predict(self, x: Tensor, t: float, condition: Condition, attend: Attend | None) -> Tensor:
        """As `network`, by the denoising network itself, in its dtype and without a look at the result."""
        raise NotImplementedError

    @property
    def _title(self) -> str:
        return f"the model {self.id!r}"

    @torch.inference_mode()
    def encode(self, image: Tensor) -> Tensor:
        """E(x): [N, 3, h, w] in [-1, 1] to latents [N, C, h/factor, w/factor] float32, of variance about 1.

        The mean of the posterior, not a sample: the seed is an edit's only source of randomness.
        """
        return self._finite(self._encode, image)

    _tile: int = 0  # side of the tiles that are decoded, in latents; 0: pictures are decoded whole

    @torch.inference_mode()
    def decode(self, z: Tensor) -> Tensor:
        """D(z): latents to pictures [N, 3, h, w] float32 in [-1, 1].

        Decode one at a time where possible: the decoder needs more memory than the denoising network and
        gains little from a batch.
        """
        if not self._tile:
            return self._finite(self._decode, z).clamp(-1.0, 1.0)
        overlap = self._tile // _OVERLAP
        whole = over_tiles(partial(self._finite, self._decode), z, self._tile, overlap, self.factor)
        return whole.clamp(-1.0, 1.0)

    def tunable_decoder(self) -> Decoder:
        """See `LatentDiffusion`."""
        return TunableDecoder(self.autoencoder, self._unscaled)

    def decode_through(self, z: Tensor) -> Tensor:
        """As `decode`, but differentiable, and not bounded to [-1, 1]."""
        return self._finite(self._decode, z)

    def tile_decoding(self, on: bool) -> int:
        """Whether pictures are decoded in overlapping tiles from now on, which takes less memory.

        Returns the side of a tile in latents, which is that of the model's own pictures: smaller ones are
        decoded whole. 0 if off.
        """
        self._tile = self.latent_size if on else 0
        return self._tile

    def decode_unchecked(self, z: Tensor) -> Tensor:
        """As `decode_through`, without a look at the values."""
        return self._decode(z)

    def _encode(self, image: Tensor) -> Tensor:
        config = self.autoencoder.config
        encoded = self.autoencoder.encode(self._laid_out(image), return_dict=False)[0]
        latents = encoded if isinstance(encoded, Tensor) else encoded.mode()  # of a posterior
        return (latents.float() - _shift(config)) * config["scaling_factor"]

    def _decode(self, z: Tensor) -> Tensor:
        decoded = self.autoencoder.decode(self._laid_out(self._unscaled(z)), return_dict=False)
        return decoded[0].float()

    def _unscaled(self, z: Tensor) -> Tensor:
        """The decoder's input for latents."""
        config = self.autoencoder.config
        return z / config["scaling_factor"] + _shift(config)

    def _laid_out(self, x: Tensor) -> Tensor:
        return x.to(self.device, self.autoencoder.dtype, memory_format=torch.channels_last)

    def _finite(self, operation: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """The result of the operation; see `network`."""
        return checked(lambda: operation(x), [self.autoencoder], self._title, x)


def _tokenizer(encoder: str) -> str:
    """The field with a text encoder's tokenizer."""
    return encoder.replace("text_encoder", "tokenizer")


def _overflows(config: Mapping[str, Any]) -> bool:
    """Whether an autoencoder is the one of Stable Diffusion XL, which overflows in float16 (its model card);
    others that do are found when they do, at the price of one decoding."""
    return config.get("scaling_factor") == _SDXL_SCALE and bool(config.get("force_upcast", True))


def _shift(config: Mapping[str, Any]) -> float:
    return config.get("shift_factor") or 0.0


def _words(prompt: str, share: float) -> str:
    words = max(1, math.ceil(len(prompt.split()) * share))
    return "1 word" if words == 1 else f"{words} words"
