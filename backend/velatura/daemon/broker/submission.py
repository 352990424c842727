"""A submitted request, checked and completed before any work: a request that cannot run is refused."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from velatura.daemon.outgoing import Message
from velatura.methods import adapting, controlling, shelving
from velatura.methods.base import Method
from velatura.methods.checks import check
from velatura.methods.kinds import KINDS
from velatura.methods.shelving import Choice
from velatura.models.adapters.listing import AdapterFile
from velatura.models.catalogue import ModelEntry, entry_of
from velatura.models.control.listing import Listed
from velatura_protocol.dials import about_edit
from velatura_protocol.errors import VelaturaError
from velatura_protocol.inputs import OWN
from velatura_protocol.messages import MAX_JSON, canonical, is_job_id
from velatura_protocol.requests import MAX_SEED, Request
from velatura_protocol.results import MAX_LAYERS, MAX_TITLE
from velatura_protocol.schema import fields_from_schema

_MAX_RECIPES = MAX_JSON - 32 * 1024  # a result holds one for each layer, and travels in one message
_BESIDE = 1792  # bytes of a layer besides its request: digests, titles, raster, thumbnail, place


def job_id(value: object) -> str:
    """Raises `bad-request` unless it is a lower-case UUID."""
    if not is_job_id(value):
        sentence = "An edit was named wrongly; update the plugin."
        raise VelaturaError("bad-request", sentence, detail=f"{value!r:.80}")
    return value


def complete_request(
    request: object,
    methods: Mapping[str, Method],
    models: Sequence[ModelEntry],
    dials: Callable[[], Sequence[Choice]] = tuple,
    adapters: Callable[[], Sequence[AdapterFile]] = tuple,
    guides: Callable[[], Listed] = lambda: Listed([]),
) -> tuple[Message, str]:
    """The request as it will run, and its title for the person.

    Defaults are filled in; the seed and the model are chosen; the textual inversions whose words are in the
    prompts are added to the adapters.

    Args:
        methods: by id.
        models: the default one first.
        dials: gives the kept dials of these models.
        adapters: gives the adapters on this computer.
        guides: gives the guides on this computer.

    Raises:
        VelaturaError: those of `Request.from_wire` and of `velatura.methods.checks.check`; `too-large`; and
            `bad-request` for more masks than one result holds, and for a dial or adapter that is not there.
    """
    asked = Request.from_wire(request)
    checked = check(asked, methods, partial(entry_of, models))
    method = checked.method
    if shelving.names_dials(checked.form):
        shelving.check(checked.params, checked.form, dials())
    values = checked.values
    if adapting.KEY in checked.form["properties"]:
        read = adapting.texts(checked.prompt, checked.params)
        values = adapting.with_words(values, read, checked.model, adapters)
    if values.get(adapting.KEY):
        adapting.wanted(checked.params, checked.model, adapters())
    if checked.values.get(controlling.GUIDES) or checked.values.get(controlling.LOOKS):
        controlling.wanted(checked.params, checked.model, guides())
    own = {name: asked.inputs[name] for name in OWN}
    whole = replace(
        asked,
        method_version=method.version,
        model=checked.model.id,
        seed=secrets.randbelow(MAX_SEED + 1) if asked.seed == -1 else asked.seed,
        parameters=values,
        inputs=own | checked.rasters,
        lease=False,
    ).to_wire()
    kind = KINDS[method.result]
    layers, many = kind.most_layers(checked.form, whole), kind.noun
    if layers > MAX_LAYERS:
        sentence = f"“{method.title}” selects at most {MAX_LAYERS} {many} at once, not {layers}; name fewer."
        raise VelaturaError("bad-request", sentence)
    if (len(canonical(whole)) + _BESIDE) * layers > _MAX_RECIPES:
        raise VelaturaError("too-large", f"The parameters are too long for so many {many}; shorten them.")
    about = about_edit(fields_from_schema(checked.form), checked.prompt, checked.values)
    return dict(whole), _title(about, method.title)


def _title(about: str, method: str) -> str:
    """The subject, cut where it is long, then the method: a narrow docker shows the beginning."""
    if not about:
        return method[:MAX_TITLE]
    room = max(1, MAX_TITLE - len(method) - len(" · "))
    return f"{about if len(about) <= room else about[: room - 1] + '…'} · {method}"
