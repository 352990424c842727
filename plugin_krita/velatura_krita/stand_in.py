"""A result in the place of a layer that is composed in a way of its own: blend mode, opacity, masks.

Above such a layer, a result would be composed a second time. So its group gets a copy of the layer beneath
the variations, and the layer's own blend mode, opacity and inheritance of alpha; the layer itself is hidden.
Then nothing changes outside the selection, and inside nothing is composed twice.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from .rest import idle

NORMAL, OPAQUE = "normal", 255
MASK = "transparencymask"
NOTE = "'{}' is hidden: the result stands in its place, composed as it was."


def is_needed(node: Any | None) -> bool:
    """Whether a layer is composed otherwise than by lying over those below it."""
    if node is None:
        return False
    is_plain = node.blendingMode() == NORMAL and node.opacity() == OPAQUE and not node.inheritAlpha()
    return not is_plain or _is_masked(node)


def stand_in(workshop: Any, group: Any, node: Any) -> Generator[int, None, Any]:
    """A group of `workshop` with a copy of the layer and, above it, the variations of `group`; see
    `steps.Steps`.

    Where the layer has a mask, the variations show only where the copy shows.
    """
    made = workshop.createGroupLayer(group.name())
    workshop.rootNode().addChildNode(made, None)
    made.addChildNode(node.clone(), None)
    for child in group.childNodes():
        made.addChildNode(child.clone(), None)
    yield from idle(workshop)
    # Looked up anew: Krita 5.2 dies of `setBlendingMode` on what `clone` gives, which knows no picture.
    base, *variations = made.childNodes()
    _compose(base, NORMAL, OPAQUE, False)
    base.setVisible(True)
    for variation in variations:
        variation.setInheritAlpha(_is_masked(node))
    _compose(made, node.blendingMode(), node.opacity(), node.inheritAlpha())
    yield from idle(workshop)
    return made


def _compose(node: Any, mode: str, opacity: int, inherits: bool) -> None:
    if node.blendingMode() != mode:
        node.setBlendingMode(mode)
    node.setOpacity(opacity)
    node.setInheritAlpha(inherits)


def _is_masked(node: Any) -> bool:
    return any(child.type() == MASK and child.visible() for child in node.childNodes())
