"""Networks that read a picture: its attributes, its fit to words, its elements' masks, its person.

They rank variations, measure edits and guide methods.  All take pictures (N, 3, H, W) in 0..1 of any size,
and all but `Judge.read` are differentiable with respect to them.
"""

from velatura.companions.clipseg import ClipSeg, load_clipseg

from .clip import load_clip
from .identity import IdentityEncoder, load_identity, same_person_threshold
from .judge import Judge, Reading, load_judge, matches

__all__ = [
    "ClipSeg",
    "IdentityEncoder",
    "Judge",
    "Reading",
    "load_clip",
    "load_clipseg",
    "load_identity",
    "load_judge",
    "matches",
    "same_person_threshold",
]
