"""Runs one job of the daemon, fetches its layers, and proposes a caption where a method needs one."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from velatura.files.images import Layer
from velatura_protocol.catalogue import Catalogue, MethodInfo
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Pixels
from velatura_protocol.requests import Edit, Request, blobs
from velatura_protocol.results import NOTHING_SAID, texts
from velatura_protocol.schema import Field
from velatura_protocol.session import OnEvent, ShouldStop
from velatura_protocol.transfers import OnBytes

CANCELLED = "The edit was cancelled."


class Proposal(NamedTuple):
    """A draft that proposes a caption.

    key: the parameter for the caption. title: its title. edit: the draft, whose only input is the source
    (SPEC section 4).
    """

    key: str
    title: str
    edit: Edit


def run(
    client: Client,
    request: Request,
    inputs: Mapping[str, Pixels | None],
    *,
    on_bytes: OnBytes | None = None,
    on_event: OnEvent | None = None,
    should_cancel: ShouldStop | None = None,
) -> dict[str, Any]:
    """Submit a job and wait for it; return it, done.

    Args:
        client: connected.
        request: SPEC section 5.
        inputs: the pixels of the request.
        on_bytes: called as the pixels are sent.
        on_event: called with the events of the job and of the connection.
        should_cancel: once it is true, the job is cancelled.

    Raises the job's error, or `cancelled`.
    """
    identifier = str(uuid.uuid4())
    try:
        client.submit(
            identifier, request.to_wire(), blobs(inputs), on_bytes=on_bytes, should_stop=should_cancel
        )
    except VelaturaError as error:
        if error.code == "cancelled":
            with contextlib.suppress(VelaturaError):  # the daemon may not have it yet
                client.cancel(identifier)
        raise
    job = client.wait(identifier, on_event=on_event, should_cancel=should_cancel)
    if job["state"] == "failed":
        raise VelaturaError.from_wire(job["error"])
    if job["state"] == "cancelled":
        raise VelaturaError("cancelled", CANCELLED)
    return job


def fetch(client: Client, layer: dict[str, Any], should_stop: ShouldStop | None = None) -> Layer:
    """The pixels of a result's layer, from the daemon. Raises `cancelled`."""
    return Layer.from_result(layer, client.fetch(layer["raster"]["digest"], should_stop=should_stop))


def proposal(edit: Edit, method: MethodInfo, known: Catalogue) -> Proposal | None:
    """The draft to run before `edit` is submitted; None where no caption is missing or none can be proposed.

    Also None for an edit without the prompt that its method needs: the daemon will refuse it.
    """
    field, proposer = missing_caption(edit, method), known.proposer
    if field is None or proposer is None or method.lacks_prompt(edit.prompt):
        return None
    if known.lacks(edit.model, proposer):
        return None
    return Proposal(field.key, field.title, proposer.edit(model=edit.model, seed=edit.seed))


def proposed(job: dict[str, Any], hint: str) -> str:
    """The most likely text of the draft. Raises `internal`, with the hint, for no text."""
    captions = texts(job["result"])
    if not captions:
        raise VelaturaError("internal", NOTHING_SAID.format("picture"), hint=hint)
    return captions[0]


def missing_caption(edit: Edit, method: MethodInfo) -> Field | None:
    """The method's field for a caption of the picture, if it is empty; otherwise None."""
    field = method.caption
    return field if field is not None and not str(edit.parameters.get(field.key, "")).strip() else None
