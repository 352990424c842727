"""The training loop of all parts: processes, time budget, learning rate, moving averages, checkpoints.

Data parallelism is one process a core, each on its own share of the pictures; gloo averages the gradients
after every step.  For small networks this is faster than one process with many threads.  A single process
drives an accelerator.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.spawn import spawn
from tqdm import tqdm

from velatura.weights.device import name as device_name
from velatura_lab.training.provenance import named_options

from .ema import Ema
from .options import Options

Worker = Callable[[Options, int], None]
#: Set by SIGINT, from a terminal or from the system: `spawn` has the system send it to the processes of a
#: killed command.
_interrupted = threading.Event()


def _enter(rank: int, worker: Worker, options: Options, port: int) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=options.processes)
    _interrupted.clear()
    before = signal.signal(signal.SIGINT, lambda *_: _interrupted.set())  # the run saves before it ends
    try:
        torch.set_num_threads(1)
        torch.manual_seed(options.seed * 1000 + rank)
        worker(options, rank)
    finally:
        signal.signal(signal.SIGINT, before)
        dist.destroy_process_group()


def launch(worker: Worker, options: Options) -> None:
    """Run `worker(options, rank)` in `options.processes` processes of one process group."""
    if options.processes == 1:
        _enter(0, worker, options, _free_port())
        return
    # Without these, half of a training step on the CPU is allocating and freeing memory.
    os.environ.update(
        MALLOC_MMAP_MAX_="0",
        MALLOC_TRIM_THRESHOLD_="100000000000",
        MALLOC_TOP_PAD_="536870912",
        OMP_NUM_THREADS="1",
    )
    spawn(_enter, (worker, options, _free_port()), nprocs=options.processes)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Progress:
    """The progress of a training run, agreed between its processes, and running means of its losses."""

    def __init__(self, options: Options, rank: int, samples: int = 0, seconds: float = 0.0) -> None:
        self.options, self.rank = options, rank
        self.samples, self.stopped = samples, False
        self._before, self._start = seconds, time.monotonic()
        self._last_save = self._start
        self.averages: dict[str, float] = {}
        self.bar = tqdm(
            total=100.0, disable=rank != 0, mininterval=5.0, bar_format="{l_bar}{bar}| {elapsed} {postfix}"
        )
        self.fraction = self._own_fraction()

    @property
    def seconds(self) -> float:
        """Training time of all calls together."""
        return self._before + time.monotonic() - self._start

    def _own_fraction(self) -> float:
        if self.options.samples is not None:
            return self.samples / self.options.samples if self.options.samples else 1.0
        return self.seconds / (60.0 * self.options.minutes)

    def _own_stop(self) -> bool:
        """Whether this call's time is over or it was interrupted."""
        limit = self.options.stop_after
        return _interrupted.is_set() or (limit is not None and time.monotonic() - self._start >= 60.0 * limit)

    @property
    def running(self) -> bool:
        return self.fraction < 1.0 and not self.stopped

    def save_due(self, every: float = 120.0) -> bool:
        """Whether to save now: on rank 0, once in `every` seconds."""
        if self.rank == 0 and time.monotonic() - self._last_save > every:
            self._last_save = time.monotonic()
            return True
        return False

    def rate(self, warmup: float = 0.01, decay_from: float = 0.55) -> float:
        """Learning-rate factor: a short warm-up, a constant, half a cosine down to 0.02."""
        f = min(self.fraction, 1.0)
        if self.samples < 4000 and f < warmup:
            return max(f / warmup, 0.05)
        if f < decay_from:
            return 1.0
        return 0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * (f - decay_from) / (1.0 - decay_from)))

    def step(self, parameters: Iterable[nn.Parameter], losses: dict[str, torch.Tensor]) -> None:
        """Average gradients, losses and progress over the processes, and show them."""
        self.samples += self.options.batch * self.options.processes
        extra = torch.tensor([self._own_fraction(), self._own_stop(), *(float(v) for v in losses.values())])
        if dist.get_world_size() > 1:
            # One row of dense memory in any layout: channels-last gradients need no copy.
            grads = [p.grad.as_strided((p.grad.numel(),), (1,)) for p in parameters if p.grad is not None]
            flat = torch.cat([*grads, extra])
            dist.all_reduce(flat)
            flat /= dist.get_world_size()
            for grad, mean in zip(grads, flat[: -len(extra)].split([g.numel() for g in grads]), strict=True):
                grad.copy_(mean)
            extra = flat[-len(extra) :]
        self.fraction, stop, *values = extra.tolist()
        self.stopped = stop > 0.0  # the first process to stop stops all
        for name, value in zip(losses, values, strict=True):
            self.averages[name] = (
                value if name not in self.averages else 0.98 * self.averages[name] + 0.02 * value
            )
        self.bar.n = round(min(100.0, 100.0 * self.fraction), 1)
        shown = " ".join(f"{name} {value:.4f}" for name, value in self.averages.items())
        self.bar.set_postfix_str(f"{self.samples} samples, {shown}", refresh=False)
        self.bar.update(0)


class Trainer:
    """One part's run: network, optimiser, moving averages and progress.

    The run is saved as `<part>.pt` and resumes from it.

    Each step has its own generator of random numbers.  A run that ends after a number of samples, with the
    same number of processes in all calls, therefore resumes to the same weights, bit for bit.  A run that
    ends after minutes does not, since its learning rate follows the clock.

    Args:
        part: The part's name.
        network: The trained network.
        options: Options of the part.
        rank: Number of this process.
        averaged: The module of the network that has a moving average; by default all of it.
        groups: Parameter groups for AdamW.  "scale" is a group's learning rate relative to `options.rate`.
        decay: Decay of the moving average.
        beta2: AdamW's second beta.
        weight_decay: AdamW's weight decay.
        record: Further content of the checkpoint.

    Raises:
        ValueError: The checkpoint is of another network.
    """

    def __init__(
        self,
        part: str,
        network: nn.Module,
        options: Options,
        rank: int,
        *,
        averaged: nn.Module | None = None,
        groups: list[dict[str, Any]] | None = None,
        decay: float = 0.998,
        beta2: float = 0.98,
        weight_decay: float = 1e-4,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        self.network, self.options, self.rank = network, options, rank
        self.path = options.work / f"{part}.pt"
        self.record = dict(record or {})
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            groups or [{"params": self.parameters}],
            options.rate,
            betas=(0.9, beta2),
            weight_decay=weight_decay,
            fused=True,
        )
        state = load_checkpoint(self.path) or {"samples": 0, "seconds": 0.0}
        if "model" in state:
            try:
                network.load_state_dict(state["model"])
            except RuntimeError as error:
                raise ValueError(
                    f"{self.path} is of another network, since the profile or the world has changed; "
                    "move it elsewhere to begin anew"
                ) from error
            self.optimiser.load_state_dict(state["optimiser"])
        elif options.processes > 1:
            for parameter in network.parameters():
                dist.broadcast(parameter.data, 0)
        self.ema = Ema(averaged or network, decay)
        if "ema" in state:
            self.ema.restore(state["ema"], state["count"])
        self.progress = Progress(options, rank, state["samples"], state["seconds"])
        self.named_options = named_options(options, state if "model" in state else None)

    def random(self) -> np.random.Generator:
        """This step's generator of random numbers; it also seeds torch's."""
        rng = np.random.default_rng([self.options.seed, self.rank, self.progress.samples])
        torch.manual_seed(int(rng.integers(2**63)))
        return rng

    def step(self, loss: torch.Tensor, losses: dict[str, torch.Tensor], decay_from: float = 0.55) -> None:
        """Take one step down the gradient of `loss`.

        Args:
            loss: The total loss.
            losses: Its parts by name, for the progress bar.
            decay_from: Progress in 0..1 at which the learning rate begins to fall.
        """
        self.optimiser.zero_grad()
        loss.backward()
        rate = self.options.rate * self.progress.rate(decay_from=decay_from)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        self.progress.step(self.parameters, {name: value.detach() for name, value in losses.items()})
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.ema.update()
        if self.progress.save_due():
            self.save()

    def save(self) -> None:
        """Write the checkpoint, in the first process only."""
        if self.rank == 0:
            content = {
                "model": self.network.state_dict(),
                "ema": self.ema.full_state(),
                "count": self.ema.count,
                "optimiser": self.optimiser.state_dict(),
                "samples": self.progress.samples,
                "seconds": self.progress.seconds,
                "profile": asdict(self.options.profile),
                "processes": self.options.processes,
                "seed": self.options.seed,
                "pictures": self.options.pictures,
                "counted": self.options.samples is not None,
                "options": self.named_options,
                "hardware": device_name(self.options.device),
            }
            save_checkpoint(self.path, {**self.record, **content})


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(content, part)
    part.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The content of a checkpoint, or None if there is none."""
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None
