"""StyleCLIP's latent mapper: a small network that moves any code towards one text (Patashnik et al. 2021,
section 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from velatura.clip_guidance.augment import generators
from velatura.clip_guidance.loss import ClipLoss
from velatura.fitting.adam import State, fit, gradients_of
from velatura.generators.styles import StyleGenerator

from .clip_losses import IdentityLoss, Recogniser
from .optimisation import rate_at

LEVELS = ("coarse", "medium", "fine")
SHARE = 0.1  # of the network's output that is added to the code (published code)
LAYERS = 4
MULTIPLIER = 0.01  # of the layers' learning rate
PSI = 0.7  # truncation of the sampled codes
SEED = 424242  # of the first weights, and of the first sampled code


class Linear(nn.Module):
    """An affine map with an equalised learning rate (Karras et al. 2018, section 4.1), and leaky ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, width) / MULTIPLIER)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight * (MULTIPLIER / sqrt(x.shape[-1])), self.bias * MULTIPLIER)
        return F.leaky_relu(y, 0.2) * sqrt(2.0)


class Level(nn.Sequential):
    """M of one group of layers: the code at unit mean square, and four maps.

    The published code divides by the mean square over the group's rows and not over the features, which would
    leave nothing but signs of a group of one row.
    """

    def __init__(self, width: int) -> None:
        super().__init__(*(Linear(width) for _ in range(LAYERS)))

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input * (input.square().mean(-1, keepdim=True) + 1e-8).rsqrt())


def rows(num_ws: int) -> tuple[int, int, int]:
    """The numbers of coarse, medium and fine layers: 4, 4 and 10 of 18, and alike of others."""
    first = max(1, round(num_ws * 4 / 18))
    return first, first, num_ws - 2 * first


class Mapper(nn.Module):
    """M_t(w) = (M^c(w_c), M^m(w_m), M^f(w_f)) (eq. 3), [N, num_ws, w_dim].

    Args:
        num_ws, w_dim: of the codes.
        levels: of `LEVELS`, those that move; the others give 0.
    """

    split: Tensor

    def __init__(self, num_ws: int, w_dim: int, levels: tuple[str, ...] = LEVELS) -> None:
        super().__init__()
        self.register_buffer("split", torch.tensor(rows(num_ws), dtype=torch.float32))  # as dials have
        self._rows = rows(num_ws)
        for name in levels:
            self.add_module(name, Level(w_dim))

    def forward(self, ws: Tensor) -> Tensor:
        parts = zip(LEVELS, ws.split(self._rows, 1), strict=True)
        levels = dict(self.named_children())
        return torch.cat(
            [levels[name](part) if name in levels else torch.zeros_like(part) for name, part in parts], 1
        )


def from_tensors(tensors: Mapping[str, Tensor]) -> Mapper:
    """The mapper of `Mapper.state_dict`. Raises ValueError for other tensors."""
    try:
        levels = tuple(name for name in LEVELS if f"{name}.0.weight" in tensors)
        num_ws, w_dim = int(tensors["split"].sum()), len(tensors[f"{levels[0]}.0.bias"])
        with torch.device("meta"):  # a slider may come from anyone; no memory is taken for sizes it names
            mapper = Mapper(num_ws, w_dim, levels)
        mapper.load_state_dict({name: x.float() for name, x in tensors.items()}, assign=True)
    except (LookupError, OverflowError, RuntimeError, TypeError) as error:
        raise ValueError(f"not the tensors of a mapper: {error}") from None
    return mapper.to(tensors["split"].device).eval().requires_grad_(False)


def mapper_of(tensors: Mapping[str, Tensor]) -> Callable[[Tensor], Tensor]:
    """The whole step of a kept mapper, 0.1 M_t(w), from codes [N, num_ws, w_dim].

    tensors: of `Mapper.state_dict`. Raises ValueError for others.
    """
    mapper = from_tensors(tensors)
    return lambda ws: SHARE * mapper.to(ws.device)(ws)


@dataclass(frozen=True)
class Settings:
    """Of a training; published values in brackets.

    Args:
        steps: of Adam (50,000 of Ranger).
        batch: codes in a step (2).
        rate: Adam's (.5, of weights that are stored 100 times their size).
        hold: lambda_L2, of the mean square of 0.1 M_t(w) (.8).
        likeness: lambda_ID (.1).
        levels: of `LEVELS`, those that move.
    """

    steps: int
    batch: int
    rate: float
    hold: float
    likeness: float
    levels: tuple[str, ...] = LEVELS


def train(
    model: StyleGenerator,
    distance: ClipLoss,
    recogniser: Recogniser,
    settings: Settings,
    begun: list[State],
    after_step: Callable[[int, dict[str, Tensor]], None],
) -> dict[str, Tensor]:
    """The tensors of a mapper for one text: arg min of L_CLIP(w) + lambda_L2 |M_t(w)|^2 + lambda_ID L_ID(w)
    (eq. 5) over codes that the generator samples.

    Adam takes the place of Ranger, with the rate of the optimisation (`rate_at`). No layer's own code takes
    part, so that the same text and settings give the same mapper whatever layer is edited.

    Args:
        model: G.
        distance: D_CLIP to the text (`clip_losses.d_clip`).
        recogniser: R.
        settings: of the training.
        begun: as in `velatura.fitting.adam.fit`.
        after_step: gets the number of a finished step, from 1, and the present tensors. It may raise to
            stop.
    """
    with torch.inference_mode(False), torch.no_grad():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            mapper = Mapper(model.num_ws, model.w_dim, settings.levels)
        mapper.to(model.device)
        names = [name for name, _ in mapper.named_parameters()]

        def named(values: list[Tensor]) -> dict[str, Tensor]:
            return {**dict(zip(names, values, strict=True)), "split": mapper.split}

        def loss(i: int, values: list[Tensor]) -> Tensor:
            first = SEED + i * settings.batch
            seeds = range(first, first + settings.batch)
            ws = model.wplus(model.sample(seeds, PSI)).clone()  # out of inference mode
            moved = SHARE * functional_call(mapper, named(values), (ws,))
            pictures = model.synthesise(model.styles(ws + moved)).pictures
            total = distance(pictures, generators(seeds)).mean() + settings.hold * moved.square().mean()
            if settings.likeness:
                with torch.no_grad():
                    source = model.synthesise(model.styles(ws)).pictures
                likeness = IdentityLoss.of(recogniser, source)
                total = total + settings.likeness * likeness(pictures).mean()
            return total

        return named(
            fit(
                list(mapper.parameters()),
                gradients_of(loss),
                lambda i: rate_at(i / settings.steps, settings.rate),
                settings.steps,
                begun,
                lambda i, values: after_step(i, named(values)),
            )
        )
