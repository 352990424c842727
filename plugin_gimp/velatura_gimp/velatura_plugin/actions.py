"""What the procedures do when they are run: ask where there is a window, edit, hand the result back."""

from __future__ import annotations

from collections.abc import Sequence

from gi.repository import Gimp, GObject

from . import catalogue, edit, form, recipe
from .capture import capture, look, source_layer
from .catalogue import Catalogue, MethodInfo
from .drafting import Live
from .form import Argument
from .proposing import Proposer
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
    method, known = data
    layer = source_layer(image, drawables)
    arguments = form.arguments(method, known)

    def model() -> str:
        chosen = config.get_property("model")
        return "" if chosen == form.DEFAULT_MODEL else chosen

    def request() -> dict:
        return recipe.request(
            method.id,
            config.get_property("prompt") or "",
            config.get_property("seed"),
            config.get_property("variations"),
            form.parameters(arguments, config.get_property, method),
            model=model(),
        )

    live = Live(
        lambda: capture(image, layer), request, model, method.needs_prompt, **helpers(image, layer, method)
    )
    if mode == Gimp.RunMode.INTERACTIVE:
        if live.proposer and live.proposer.can(model()):
            forget_others(image, config, arguments)
        if method.dials and live.waiting:
            live.waiting.put_into(config, arguments)
        if not ask(procedure, config, method.title, arguments, known, live):
            return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
        if method.dials and live.waiting:
            live.waiting.drop()
    Gimp.progress_init(f"Velatura: {method.title}")
    return success(procedure, mode, edit.edit(image, layer, live.settle(request())))


def run_refresh(procedure: Gimp.Procedure, *_: object) -> Gimp.ValueArray:
    """Asks the daemon for its methods and says what came of it."""
    Gimp.progress_init("Velatura")
    with edit.open_session() as session:
        new = edit.refresh(session)
    titles = ", ".join(method.title for method in catalogue.registered(edit.FOLDER).offered)
    when = "Start GIMP again to have them in the menu" if new else "All are in the menu"
    Gimp.message(f"Velatura's daemon is running. {when}: {titles}.")
    return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)


def helpers(image: Gimp.Image, layer: Gimp.Layer, method: MethodInfo) -> dict:
    """Of `Live`, what looks at a layer: what the daemon last offered may be newer than the menu."""
    known = catalogue.newest(edit.FOLDER)
    finder, teller = known.word_masks(), known.proposing()
    dialled = catalogue.dialling(catalogue.registered(edit.FOLDER))
    has_caption = any(field.source_prompt for field in method.fields)
    return {
        "look": lambda rect: look(layer, rect),
        "selector": Selector(image, layer, finder) if finder and method.words else None,
        "proposer": Proposer(image, layer, teller, known) if teller and has_caption else None,
        "waiting": Waiting(image, dialled) if dialled else None,
    }


def forget_others(image: Gimp.Image, config: Gimp.ProcedureConfig, arguments: Sequence[Argument]) -> None:
    """Takes out what another picture shows: an image without last values of its own begins with those of the
    image before."""
    if image.get_parasite(f"{config.__gtype__.name}-last") is None:
        for argument in arguments:
            if argument.field.source_prompt:
                config.set_property(argument.name, "")


def success(procedure: Gimp.Procedure, mode: Gimp.RunMode, item: Gimp.Item) -> Gimp.ValueArray:
    """What a procedure returns that has made `item`."""
    if mode != Gimp.RunMode.NONINTERACTIVE:
        Gimp.displays_flush()
    Gimp.progress_end()
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
    live: Live | None = None,
) -> bool:
    """Whether the person has chosen to run in the procedure's dialog; `config` then has the values."""
    from . import dialog  # needs a window

    hidden = [a.name for a in arguments if a.field.kind == "integer" and a.field.minimum == a.field.maximum]
    if len(known.models) < 2:
        hidden.append("model")
    return dialog.ask(procedure, config, title, arguments, hidden, live)
