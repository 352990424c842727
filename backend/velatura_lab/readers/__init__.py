"""Networks that look at a picture: what is in it, what it fits, where things are, whose face it is.

They rank variations, measure edits and guide methods.  Everything takes pictures (N, 3, H, W) in 0..1 of
any size, and everything but `Judge.read` can be differentiated with respect to them.
"""

from velatura.companions.clipseg import Segmenter, load_segmenter

from .clip import load_clip
from .identity import IdentityEncoder, load_identity, same_person_threshold
from .judge import Judge, Reading, load_judge, matches

__all__ = [
    "IdentityEncoder",
    "Judge",
    "Reading",
    "Segmenter",
    "load_clip",
    "load_identity",
    "load_judge",
    "load_segmenter",
    "matches",
    "same_person_threshold",
]
