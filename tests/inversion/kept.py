"""A small memory and something to keep in it."""

import torch

from velatura.diffusion.condition import Condition
from velatura.inversion.cache import Memory
from velatura.inversion.trajectory import Trajectory

MiB = 1024 * 1024


def memory(folder, trajectories=MiB, features=MiB, disk=MiB):
    return Memory(folder, trajectories=trajectories, features=features, disk=disk)


def trajectory(seed=0, values=256):
    """Two steps, residuals, one embedding for both steps, and a level that is not known yet."""
    x = torch.randn(2, 1, values // 2, 1, generator=torch.Generator().manual_seed(seed))
    c = Condition(torch.full((1, 3, 5), float(seed)))
    return Trajectory([14.6, 0.1, 0.0], [x, None, x + 1], [x * 2, x.narrow(0, 1, 1) * 3], 1.0, [c, c])


def same(one, other):
    for ours, theirs in zip((*one.x, *one.residuals), (*other.x, *other.residuals), strict=True):
        assert (ours is None) == (theirs is None)
        assert ours is None or (torch.equal(ours, theirs) and ours.dtype == theirs.dtype)
    for ours, theirs in zip(one.uncond, other.uncond, strict=True):
        assert ours.equal(theirs) and ours.states.dtype == theirs.states.dtype
    assert (one.sigmas, one.eta) == (other.sigmas, other.eta)
    return True
