"""How a part was trained: what its checkpoint keeps of that, for its card to tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from velatura_lab.training.parts import SCRATCH

if TYPE_CHECKING:
    from velatura_lab.training.options import Options


def named_options(options: Options, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options of a part by the names they have on the command line; the others a checkpoint keeps anyway.

    before: the checkpoint that is gone on from, None for a fresh run.  What a run began with stays what its
    first call said, and is left out where that is not known.
    """
    given = {
        "profile": options.profile.name,
        "device": options.profile.device,
        "batch": options.batch,
        "rate": options.rate,
        "school": options.school,
    }
    if before is None:
        return given | {"from": SCRATCH if options.start is None else options.start.name}
    begun = before.get("options", {})
    return given | ({"from": begun["from"]} if "from" in begun else {})
