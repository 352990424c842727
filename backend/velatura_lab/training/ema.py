"""The moving average of a network's parameters over its training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Ema:
    """Exponential moving average of parameters, warming up as (1 + n)/(10 + n) (Tarvainen & Valpola 2017)."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay, self.count = decay, 0
        self.network = network
        self.state = {name: value.detach().clone().float() for name, value in network.named_parameters()}

    def update(self) -> None:
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        average = get_ema_multi_avg_fn(decay)
        average(list(self.state.values()), [p.detach() for p in self.network.parameters()], self.count)

    def restore(self, state: Mapping[str, torch.Tensor], count: int) -> None:
        """Resume from averages that `full_state` gave, after `count` updates."""
        self.state = {name: state[name].to(value.device) for name, value in self.state.items()}
        self.count = count

    def full_state(self) -> dict[str, torch.Tensor]:
        """The network's state dictionary with the averaged parameters in place of the current ones."""
        return {**{k: v.clone() for k, v in self.network.state_dict().items()}, **self.state}
