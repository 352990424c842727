"""Says which options of the command line an error asks for."""

from __future__ import annotations

from velatura.client.running import missing_caption
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.errors import VelaturaError
from velatura_protocol.requests import Edit
from velatura_protocol.schema import Field


def with_a_hint(error: VelaturaError, edit: Edit, method: MethodInfo) -> VelaturaError:
    """The error with the options that it asks for as its hint: it names fields by their titles in a form."""
    field = missing_caption(edit, method)
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
