"""What the picture shows, proposed by the model's captioner where a method asks and nobody has said it."""

from __future__ import annotations

from typing import NamedTuple

from velatura_protocol.errors import VelaturaError
from velatura_protocol.results import NOTHING_SAID, texts
from velatura_protocol.schema import Field, fields_from_schema


class Proposal(NamedTuple):
    """key: of the parameter that says what the picture shows. title: its title. request: the draft that
    proposes a text for it (SPEC section 4)."""

    key: str
    title: str
    request: dict


def proposal(request: dict, method: dict, offered: dict) -> Proposal | None:
    """What to ask before `request` is submitted; None where it says everything, or nobody can tell.

    offered: the daemon's answer to `methods`. A request without the prompt that its method needs is left to
    be refused.
    """
    field = _unsaid(request, method)
    teller = next((m for m in offered["methods"] if m.get("result") == "text"), None)
    if field is None or teller is None:
        return None
    if _lacks_prompt(request, method):
        return None
    name = request["model"]["id"]
    model = next((m for m in offered["models"] if name in ("", m["id"])), {})
    if teller["id"] in model.get("lacks", ()):
        return None
    draft = {
        "method": teller["id"],
        "method_version": teller["version"],
        "prompt": "",
        "variations": 1,
        "parameters": {},
        "inputs": {**request["inputs"], "mask": None},
        "draft": True,
    }
    return Proposal(field.key, field.title, {**request, **draft})


def proposed(job: dict, key: str) -> str:
    """The likeliest text of the draft. key: of the parameter it is for. Raises `internal` for no text."""
    said = texts(job["result"])
    if not said:
        raise VelaturaError("internal", NOTHING_SAID.format("picture"), hint=f'--set {key}="…"')
    return said[0]


def with_a_hint(error: VelaturaError, request: dict, method: dict) -> VelaturaError:
    """The error; of a caption that is missing, with what to write on the command line."""
    field = _unsaid(request, method)
    if error.code == "empty-prompt" and field is not None and not _lacks_prompt(request, method):
        error.hint = f'--set {field.key}="…"; a model with a captioner proposes it, see `velatura models`'
    return error


def _unsaid(request: dict, method: dict) -> Field | None:
    """The method's field for what the picture shows, if nothing is said in it."""
    fields, values = fields_from_schema(method["parameters"]), request["parameters"]
    return next((f for f in fields if f.source_prompt and not values.get(f.key, "").strip()), None)


def _lacks_prompt(request: dict, method: dict) -> bool:
    return method["inputs"].get("prompt") == "required" and not request["prompt"].strip()
