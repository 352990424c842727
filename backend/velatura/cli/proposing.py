"""Proposes a caption by the model's captioner, for a method that needs one and where none was given."""

from __future__ import annotations

from typing import Any, NamedTuple

from velatura_protocol.catalogue import Catalogue, MethodInfo
from velatura_protocol.errors import VelaturaError
from velatura_protocol.requests import Edit
from velatura_protocol.results import NOTHING_SAID, texts
from velatura_protocol.schema import Field


class Proposal(NamedTuple):
    """A draft that proposes a caption.

    key: the parameter for the caption. title: its title. edit: the draft, whose only input is the source
    (SPEC section 4).
    """

    key: str
    title: str
    edit: Edit


def proposal(edit: Edit, method: MethodInfo, known: Catalogue) -> Proposal | None:
    """The draft to run before `edit` is submitted; None where no caption is missing or none can be proposed.

    Also None for an edit without the prompt that its method needs: the daemon will refuse it.
    """
    field, proposer = _missing_caption(edit, method), known.proposer
    if field is None or proposer is None or method.lacks_prompt(edit.prompt):
        return None
    if known.lacks(edit.model, proposer):
        return None
    return Proposal(field.key, field.title, proposer.edit(model=edit.model, seed=edit.seed))


def proposed(job: dict[str, Any], key: str) -> str:
    """The most likely text of the draft. key: the parameter for it. Raises `internal` for no text."""
    captions = texts(job["result"])
    if not captions:
        raise VelaturaError("internal", NOTHING_SAID.format("picture"), hint=f'--set {key}="…"')
    return captions[0]


def with_a_hint(error: VelaturaError, edit: Edit, method: MethodInfo) -> VelaturaError:
    """The error with the options that it asks for as its hint: it names fields by their titles in a form."""
    field = _missing_caption(edit, method)
    if error.code == "empty-prompt" and field is not None and not method.lacks_prompt(edit.prompt):
        error.hint = f'--set {field.key}="…"; a model with a captioner proposes it, see `velatura models`'
    elif not error.hint:
        error.hint = ", ".join(_options(error.message, method))
    return error


def _options(sentence: str, method: MethodInfo) -> list[str]:
    """The options for the fields whose titles a sentence has in quotation marks, as in “Steps”."""
    fields = [field for field in method.form if f"“{field.title}”" in sentence]
    return [_option(field, sentence) for field in fields]


def _option(field: Field, sentence: str) -> str:
    if field.kind == "raster":
        return f"--input {field.key.rpartition('.')[2]}=FILE"
    values = [value for value, title in field.choices if f"“{title}”" in sentence]
    return f"--set {field.key}={values[0] if len(values) == 1 else '…'}"


def _missing_caption(edit: Edit, method: MethodInfo) -> Field | None:
    """The method's field for a caption of the picture, if it is empty; otherwise None."""
    field = method.caption
    return field if field is not None and not str(edit.parameters.get(field.key, "")).strip() else None
