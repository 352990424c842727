"""The runs of the procedures: ask where there is a window, edit, return the result."""

from __future__ import annotations

from collections.abc import Sequence

from gi.repository import Gimp, GObject

from velatura_protocol.catalogue import PROMPT, Catalogue, MethodInfo
from velatura_protocol.choices import Wanted, resolve
from velatura_protocol.model_choice import ModelChoice, choose_model, first_able
from velatura_protocol.requests import Edit

from . import catalogue, edit, form
from .capture import Capture, Steps, capture, look, source_layer
from .drafting import Live
from .form import Argument
from .keeping import Keeper
from .proposing import Proposer
from .rasters import with_rasters
from .selecting import Selector
from .waiting import Waiting


def run_method(
    procedure: Gimp.Procedure,
    mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: list,
    config: Gimp.ProcedureConfig,
    data: tuple[MethodInfo, Catalogue],
) -> Gimp.ValueArray:
    """Runs a method's procedure."""
    newest = catalogue.newest(edit.FOLDER)
    known = data[1]
    method = catalogue.with_newest_choices(data[0], newest)
    layer = source_layer(image, drawables)
    arguments = form.arguments(method, known)

    def own() -> str:
        chosen = config.get_property("model")
        return "" if chosen == form.DEFAULT_MODEL else chosen

    def model() -> ModelChoice:
        is_named = mode == Gimp.RunMode.NONINTERACTIVE and own()  # a script gets the model that it names
        return ModelChoice(own()) if is_named else choose_model(newest, method, own())

    def teller() -> str:
        return first_able(newest, newest.proposer, model().model, own())

    def resolved() -> tuple[dict, list[Wanted]]:
        values = form.parameters(arguments, config.get_property, method)
        return resolve(method.title, method.form, values)

    def read() -> Steps[Capture]:
        return with_rasters(image, capture(image, layer), resolved()[1])

    def request() -> Edit:
        return Edit(  # by the newest version: the form may be older than the daemon until GIMP's next start
            method.id,
            model=model().model,
            prompt=config.get_property("prompt") or "",
            seed=config.get_property("seed"),
            variations=config.get_property("variations"),
            parameters=resolved()[0],
        )

    target = edit.first(image, layer)
    keeper = Keeper(image, form.procedure_name(method), arguments, is_everywhere=True)
    if mode != Gimp.RunMode.NONINTERACTIVE:
        keeper.fill(config)
    if mode != Gimp.RunMode.INTERACTIVE:
        return success(procedure, mode, run_now(target, read(), request(), method.title))
    live = Live(
        target,
        read,
        request,
        teller,
        method.need(PROMPT) == "required",
        chosen=lambda: tuple(resolved()[1]),
        gives_drafts=method.drafts,
        note=lambda: model().note,
        **helpers(image, layer, method),
    )
    keeper.forget_others(config, captions=bool(live.proposer and live.proposer.can(teller())))
    waiting = live.waiting if method.dials else None
    if waiting:
        waiting.put_into(config, arguments)
    made = ask(procedure, config, method.title, arguments, known, live, keeper)
    if waiting:
        waiting.drop()
    return success(procedure, mode, made)


def run_refresh(procedure: Gimp.Procedure, *_: object) -> Gimp.ValueArray:
    """Asks the daemon for its methods and reports the outcome."""
    Gimp.progress_init("Velatura")
    with edit.open_session() as session:
        new = edit.refresh(session)
    titles = ", ".join(method.title for method in catalogue.registered(edit.FOLDER).offered)
    when = "Start GIMP again to have them in the menu" if new else "All are in the menu"
    Gimp.message(f"Velatura's daemon is running. {when}: {titles}.")
    return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)


def helpers(image: Gimp.Image, layer: Gimp.Layer, method: MethodInfo | None) -> dict:
    """The parts of `Live` that read a layer; they use the daemon's last answer, which may be newer than the
    menu.

    method: None where it is not known.
    """
    known = catalogue.newest(edit.FOLDER)
    finder, teller = known.word_finder, known.proposer
    dialled = catalogue.registered(edit.FOLDER).dialler
    has_caption = method is not None and method.caption is not None
    return {
        "look": lambda rect: look(layer, rect),
        "selector": Selector(image, layer, finder, known) if finder and method and method.words else None,
        "proposer": Proposer(image, layer, teller, known) if teller and has_caption else None,
        "waiting": Waiting(image, dialled) if dialled else None,
    }


def run_now(target: edit.Target, read: Steps[Capture], request: Edit, title: str) -> Gimp.Item:
    """Runs a request without a dialog; GIMP's progress bar shows the progress."""
    Gimp.progress_init(f"Velatura: {title}")
    try:
        return edit.edit(target, read, request)
    finally:
        Gimp.progress_end()


def success(procedure: Gimp.Procedure, mode: Gimp.RunMode, item: Gimp.Item | None) -> Gimp.ValueArray:
    """The return values of a procedure that has made `item`, or was cancelled."""
    if item is None:
        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
    if mode != Gimp.RunMode.NONINTERACTIVE:
        Gimp.displays_flush()
    values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
    values.remove(1)
    values.insert(1, GObject.Value(type(item), item))
    return values


def ask(
    procedure: Gimp.Procedure,
    config: Gimp.ProcedureConfig,
    title: str,
    arguments: Sequence[Argument],
    known: Catalogue,
    live: Live,
    keeper: Keeper,
) -> Gimp.Item | None:
    """The result of the run in the procedure's dialog, or None; see `dialog.ask`."""
    from . import dialog  # needs a window

    hidden = [a.name for a in arguments if a.field.kind == "integer" and a.field.minimum == a.field.maximum]
    if len(known.models) < 2:
        hidden.append("model")
    return dialog.ask(procedure, config, title, arguments, hidden, live, keeper)
