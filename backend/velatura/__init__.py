"""Velatura: semantic image editing for artists, inside the editors they already use.

From Python:

    import velatura

    with velatura.connect() as session:
        result = session.edit("portrait.png", "a woman with red hair", mask="hair.png", variations=4)
        result.save("portrait.ora")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from velatura.client import Job, Progress, Result, ResultLayer, Session, connect

__version__ = "0.1.0"
__all__ = ["Job", "Progress", "Result", "ResultLayer", "Session", "__version__", "connect"]


def __getattr__(name: str) -> Any:
    """Import the client when it is asked for: the package itself imports no picture library."""
    if name not in __all__:
        raise AttributeError(f"module 'velatura' has no attribute {name!r}")
    from velatura import client

    return getattr(client, name)
