"""One loaded style-based generator: codes to pictures and back, with the spaces W, W+ and S."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import ClassVar

import torch
from torch import Tensor, nn

from velatura.generators.styles import STYLE, Made, StyleGenerator, TunedGenerator
from velatura_protocol.errors import VelaturaError

from .frozen_convolutions import FAST_BFLOAT16, frozen
from .style_files import Parts
from .stylegan2 import Synthesis

_TUNED = (".weight", ".bias", ".const")  # ends of the names of weights that are tuned to a picture
_KEPT = (".affine.",)  # W+ to S stays, so that a direction of S means the same in a tuned generator


class Styled(StyleGenerator):
    """A StyleGAN2 on its device. All its operations but `sample`, `encode` and `decode` can take part in a
    gradient.

    The weights are float32 on every device. Only the convolutions of the synthesis compute in `dtype`, and in
    float32 where a gradient is wanted and `dtype` is float16, whose range ends above the gradient of a mean
    over a picture.

    Args:
        id: of the model's entry.
        digest: of its weights.
        parts: its networks; they are moved to the device.
        device, dtype: of the networks; pictures, codes and features are float32.
    """

    kind: ClassVar[str] = STYLE

    def __init__(
        self, id: str, digest: str, parts: Parts, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self.id, self.digest, self.device, self.dtype = id, digest, device, dtype
        self._parts = parts
        networks = (parts.generator, parts.decoder, parts.encoder, parts.segmentation)
        for network in networks:
            if network is not None:
                nn.Module.to(network, device, torch.float32).eval().requires_grad_(False)
        self._mapping, self._synthesis = parts.generator.mapping, parts.generator.synthesis
        self._decoder: nn.Module | None = None if parts.decoder is None else parts.decoder.decoder
        self._searching: Searching | None = None
        if device.type == "cpu":
            self._synthesis.freeze()
            if self._decoder is not None:
                self._decoder = frozen(self._decoder)
        self._mean, self._std = (
            None if row is None else row.to(device, torch.float32).reshape(1, -1, 1, 1)
            for row in (parts.mean, parts.std)
        )

    @property
    def loaded(self) -> Parts:
        """The networks that it was made of, as they were loaded."""
        return self._parts

    @property
    def size(self) -> int:
        """See `Generator`."""
        return self._parts.size

    @property
    def multiple(self) -> int:
        """1: a method fits the picture into the generator's size itself."""
        return 1

    @property
    def num_ws(self) -> int:
        """See `StyleGenerator`."""
        return self._parts.shape.num_ws

    @property
    def w_dim(self) -> int:
        """See `StyleGenerator`."""
        return self._parts.shape.w_dim

    @property
    def w_avg(self) -> Tensor:
        """See `StyleGenerator`."""
        return self._mapping.w_avg

    @property
    def has_encoder(self) -> bool:
        """See `StyleGenerator`."""
        return self._parts.encoder is not None

    @property
    def parts(self) -> tuple[str, ...]:
        """See `StyleGenerator`."""
        return self._parts.parts

    @property
    def convolutions(self) -> tuple[int, ...]:
        """See `StyleGenerator`."""
        kinds = [kind for block in self._synthesis.blocks for kind in (*block.layers, block.torgb)]
        colours = [block.torgb for block in self._synthesis.blocks]
        return tuple(i for i, layer in enumerate(kinds) if layer not in colours)

    @torch.inference_mode()
    def sample(self, seeds: Sequence[int], psi: float = 1.0) -> Tensor:
        """See `StyleGenerator`. Random numbers come from a generator on the CPU for each seed, first z, then
        the label, and each seed is mapped alone, so that the result is the same to the bit in any batch."""
        codes: list[Tensor] = []
        for seed in seeds:
            random = torch.Generator().manual_seed(seed)
            shape, z, c = self._parts.shape, None, None
            if shape.z_dim:
                z = torch.randn(1, shape.z_dim, generator=random).to(self.device)
            if shape.c_dim:
                c = self._label(random).to(self.device)
            codes.append(self._mapping.truncated(self._mapping(z, c), psi))
        return torch.cat(codes) if codes else self.w_avg.new_zeros(0, self.w_dim)

    def _label(self, random: torch.Generator) -> Tensor:
        """A random label [1, c_dim]: a row of the bank, or one of the classes."""
        bank = self._parts.labels
        count = self._parts.shape.c_dim if bank is None else len(bank)
        row = torch.randint(count, (1,), generator=random)
        if bank is None:
            return nn.functional.one_hot(row, count).to(torch.float32)
        return bank[row].to(torch.float32)

    def wplus(self, w: Tensor) -> Tensor:
        """See `StyleGenerator`."""
        return w[:, None].expand(-1, self.num_ws, -1)

    def styles(self, ws: Tensor) -> list[Tensor]:
        """See `StyleGenerator`."""
        return self._synthesis.styles(ws)

    def synthesise(self, styles: Sequence[Tensor]) -> Made:
        """See `StyleGenerator`."""
        gradient = torch.is_grad_enabled() and self._takes_gradient(styles)
        dtype = torch.float32 if gradient and self.dtype == torch.float16 else self.dtype
        made = self._synthesis(styles, dtype=dtype)
        features = [x.float() for x in made.features]
        if self._mean is None or self._std is None or self._decoder is None:
            return Made(made.picture, features)
        z = made.picture * self._std + self._mean
        return Made(self._decoder(z).contiguous(), features)

    def _takes_gradient(self, styles: Sequence[Tensor]) -> bool:
        return any(s.requires_grad for s in styles)

    @torch.inference_mode()
    def encode(self, image: Tensor) -> Tensor:
        """W+ codes [N, num_ws, w_dim] of pictures [N, 3, size, size] in [-1, 1]. Raises `unknown-model`
        without an encoder."""
        if self._parts.encoder is None:
            raise VelaturaError(
                "unknown-model", f"The model {self.id} cannot read a picture; choose another model."
            )
        return self._parts.encoder(image.to(self.device, torch.float32)) + self.w_avg

    @torch.inference_mode()
    def decode(self, z: Tensor) -> Tensor:
        """Pictures [N, 3, size, size] in [-1, 1] of W+ codes [N, num_ws, w_dim]."""
        return self.synthesise(self.styles(z)).pictures.clamp(-1.0, 1.0)

    def segment(self, made: Made) -> Tensor:
        """See `StyleGenerator`."""
        if self._parts.segmentation is None:
            raise VelaturaError(
                "unknown-model",
                f"The model {self.id} does not know the parts of its pictures; teach it with"
                " `velatura models teach`, or choose another model.",
            )
        return self._parts.segmentation(made.features, made.pictures)

    @torch.inference_mode(False)
    def for_search(self) -> StyleGenerator:
        """See `StyleGenerator`."""
        decoder = self._parts.decoder
        if self.device.type != "cpu" or decoder is None or not FAST_BFLOAT16:
            return self
        if self._searching is None:
            self._searching = Searching(self, deepcopy(decoder.decoder))
        return self._searching

    @torch.inference_mode(False)  # weights made in inference mode can take part in no gradient
    def tuned(self) -> TunedGenerator:
        """See `StyleGenerator`."""
        return Tuned(self)


class Searching(Styled):
    """A generator whose decoder computes in bfloat16, for processors that have it."""

    def __init__(self, of: Styled, decoder: nn.Module) -> None:
        self.__dict__.update(of.__dict__)
        self._decoder = Rounded(frozen(decoder.to(torch.bfloat16)))

    def for_search(self) -> StyleGenerator:
        """See `StyleGenerator`."""
        return self


class Rounded(nn.Module):
    """A network of bfloat16 between float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network = network

    def forward(self, x: Tensor) -> Tensor:
        return self._network(x.to(torch.bfloat16)).float()


class Tuned(Styled, TunedGenerator):
    """A generator whose synthesis has weights of its own: those of the convolutions and colours, their biases
    and the constant. It shares all else with the generator that it was made of, and has its digest, since the
    directions of that generator hold for it (Roich et al. 2022, Pivotal Tuning, section 4.3)."""

    def __init__(self, of: Styled) -> None:
        self.__dict__.update(of.__dict__)
        self._synthesis: Synthesis = deepcopy(of._synthesis)
        self._synthesis.thaw()
        self._searching = None
        self._own = {
            name: value.requires_grad_()
            for name, value in self._synthesis.named_parameters()
            if f".{name}".endswith(_TUNED) and not any(part in name for part in _KEPT)
        }

    def _takes_gradient(self, styles: Sequence[Tensor]) -> bool:
        return any(value.requires_grad for value in (*styles, *self._own.values()))

    def parameters(self) -> list[Tensor]:
        """See `TunedGenerator`."""
        return list(self._own.values())

    def weights(self) -> dict[str, Tensor]:
        """See `TunedGenerator`."""
        return {name: value.detach().clone() for name, value in self._own.items()}

    @torch.inference_mode(False)
    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """See `TunedGenerator`."""
        if {name: value.shape for name, value in weights.items()} != {
            name: value.shape for name, value in self._own.items()
        }:
            raise ValueError("weights of another network")
        with torch.no_grad():
            for name, value in self._own.items():
                value.copy_(weights[name])
