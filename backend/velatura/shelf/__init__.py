"""Dials that methods have found for a generator, kept until a person removes them. Importing it imports no
torch.

`dial` is a dial and its description, `packing` its file, `listing` a list of files, `shelf` the store.
"""

from .dial import Dial, Entry
from .shelf import Shelf

__all__ = ["Dial", "Entry", "Shelf"]
