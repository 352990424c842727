"""The record of a part's training in its checkpoint, for its card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from velatura_lab.training.parts import SCRATCH

if TYPE_CHECKING:
    from velatura_lab.training.options import Options


def named_options(options: Options, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options of a part, by name on the command line, that a checkpoint does not hold otherwise.

    `before` is the checkpoint that this run resumes, None for a fresh run.  The bundle of the first weights
    is that of the first call; it is left out if a checkpoint does not have it.
    """
    named = {
        "profile": options.profile.name,
        "device": options.profile.device,
        "batch": options.batch,
        "rate": options.rate,
        "school": options.school,
    }
    if before is None:
        return named | {"from": SCRATCH if options.start is None else options.start.name}
    first = before.get("options", {})
    return named | ({"from": first["from"]} if "from" in first else {})
