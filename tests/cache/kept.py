"""A small store and something to keep in it."""

import torch

from velatura.cache.cache import Cache
from velatura.diffusion.condition import Condition
from velatura.inversion.trajectory import Trajectory

MiB = 1024 * 1024


def cache(folder=None, memory=MiB, disk=MiB):
    return Cache(folder, memory=memory, disk=disk)


def put(kept, key, value):
    """Keeps a value as a method does, on disk too."""
    return kept.kept(key, lambda _: value, on_disk=True)


def found(kept, key, device="cpu"):
    """What is kept under a key on disk or in memory; None if it would be made."""
    try:
        return kept.kept(key, _nothing, on_disk=True, device=device)
    except LookupError:
        return None


def _nothing(_):
    raise LookupError


def trajectory(seed=0, values=256):
    """Two steps, residuals, one embedding for both steps, and a last level that is not known yet."""
    x = torch.randn(2, 1, values // 2, 1, generator=torch.Generator().manual_seed(seed))
    c = Condition(torch.full((1, 3, 5), float(seed)))
    return Trajectory([14.6, 0.1, 0.0], [x, x + 1], [x * 2, x.narrow(0, 1, 1) * 3], 1.0, [c, c])


def same(one, other):
    for ours, theirs in zip((*one.x, *one.residuals), (*other.x, *other.residuals), strict=True):
        assert torch.equal(ours, theirs) and ours.dtype == theirs.dtype
    for ours, theirs in zip(one.uncond, other.uncond, strict=True):
        assert ours.equal(theirs) and ours.states.dtype == theirs.states.dtype
    assert (one.sigmas, one.eta) == (other.sigmas, other.eta)
    return True
