"""What the picture shows, proposed by the model's captioner where a method asks and nobody has said it."""

from __future__ import annotations

from typing import NamedTuple

from velatura_protocol.catalogue import Catalogue, MethodInfo
from velatura_protocol.errors import VelaturaError
from velatura_protocol.requests import Edit
from velatura_protocol.results import NOTHING_SAID, texts
from velatura_protocol.schema import Field


class Proposal(NamedTuple):
    """key: of the parameter that says what the picture shows. title: its title. edit: the draft that
    proposes a text for it, of the source alone (SPEC section 4)."""

    key: str
    title: str
    edit: Edit


def proposal(edit: Edit, method: MethodInfo, known: Catalogue) -> Proposal | None:
    """What to ask before `edit` is submitted; None where it says everything, or nobody can tell.

    An edit without the prompt that its method needs is left to be refused.
    """
    field, teller = _unsaid(edit, method), known.proposer
    if field is None or teller is None or method.lacks_prompt(edit.prompt):
        return None
    if known.lacks(edit.model, teller):
        return None
    return Proposal(field.key, field.title, teller.edit(model=edit.model, seed=edit.seed))


def proposed(job: dict, key: str) -> str:
    """The likeliest text of the draft. key: of the parameter it is for. Raises `internal` for no text."""
    said = texts(job["result"])
    if not said:
        raise VelaturaError("internal", NOTHING_SAID.format("picture"), hint=f'--set {key}="…"')
    return said[0]


def with_a_hint(error: VelaturaError, edit: Edit, method: MethodInfo) -> VelaturaError:
    """The error; of a caption that is missing, with what to write on the command line."""
    field = _unsaid(edit, method)
    if error.code == "empty-prompt" and field is not None and not method.lacks_prompt(edit.prompt):
        error.hint = f'--set {field.key}="…"; a model with a captioner proposes it, see `velatura models`'
    return error


def _unsaid(edit: Edit, method: MethodInfo) -> Field | None:
    """The method's field for what the picture shows, if nothing is said in it."""
    field = method.caption
    return field if field is not None and not str(edit.parameters.get(field.key, "")).strip() else None
