"""The decision which layer a result was made from. Nothing here imports GIMP.

GIMP numbers the layers of an image (their tattoos), and numbers them anew when an image is duplicated or
opened as layers of another: there, the number alone leads to any layer. The mark that a source bears goes
with it, and with its copies. The digest of its pixels tells the source from copies that have been painted
on, unless the source has been painted on too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MOST_NAMED = 4  # layers that a sentence names


@dataclass(frozen=True)
class Candidate:
    """A layer that a result may have been made from.

    is_marked, has_number: whether it bears the mark, and has the number, that the recipe names. is_alike:
    whether it has the pixels that the recipe names; takes time, so it is asked only where the rest does not
    decide.
    """

    layer: Any
    is_marked: bool
    has_number: bool
    is_alike: Callable[[], bool]


def decide(candidates: Sequence[Candidate], is_home: bool) -> tuple[Any, list[Any]]:
    """(the source, []), or (None, the layers that it may be): an empty list where nothing speaks for any.

    is_home: whether the result has the number that its recipe says it has. If it has not, it is a copy, and
    numbers mean nothing. It may have it by chance in another image, where then another layer, without the
    mark, has the source's, as numbers there are low and without gaps.
    """
    marked = [candidate for candidate in candidates if candidate.is_marked]
    is_home = is_home and all(c.is_marked for c in candidates if c.has_number)
    numbered = [candidate for candidate in marked if is_home and candidate.has_number]
    if len(marked) == 1 and (numbered or not is_home):
        return marked[0].layer, []
    alike = [candidate for candidate in marked or candidates if candidate.is_alike()]
    if len(alike) == 1 and (not numbered or alike == numbered):
        return alike[0].layer, []
    if numbered and (not alike or numbered[0] in alike):
        return numbered[0].layer, []
    return None, [candidate.layer for candidate in marked or alike]


def named(names: Sequence[str]) -> str:
    """The names for a sentence, each once, the first few."""
    names = [f"“{name}”" for name in dict.fromkeys(names)]
    more = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    *first, last = [*names[:MOST_NAMED], *more]
    return f"{', '.join(first)} or {last}" if first else last
