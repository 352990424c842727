"""Dials that methods have found for a generator, kept until a person removes them. Imports no torch.

`dial` is a dial and its file, `shelf` the folder.
"""

from .dial import Dial, Entry
from .shelf import Shelf

__all__ = ["Dial", "Entry", "Shelf"]
