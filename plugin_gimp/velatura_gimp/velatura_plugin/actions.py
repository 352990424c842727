"""The runs of the procedures: ask where there is a window, edit, return the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

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
from .sight import Sight
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
    known = replace(data[1], models=newest.models or data[1].models)
    method = catalogue.with_newest_choices(data[0], newest)
    layer = source_layer(image, drawables)
    arguments = form.arguments(method, known)
    sees = next(argument.name for argument in reversed(arguments) if argument.field.key == form.SEES)

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

    def sight() -> Sight:
        return Sight(image, layer, form.checked_sees(config.get_property(sees)))

    def read() -> Steps[Capture]:
        return with_rasters(image, capture(sight()), resolved()[1])

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
        chosen=lambda: (config.get_property(sees), *resolved()[1]),
        gives_drafts=method.drafts,
        note=lambda: model().note,
        **helpers(image, sight, method),
    )
    keeper.forget_others(config, captions=bool(live.proposer and live.proposer.can(teller())))
    waiting = live.waiting if method.dials else None
    if waiting:
        waiting.put_into(config, arguments)
    made = ask(procedure, config, method.title, arguments, known, live, keeper)
    if waiting:
        waiting.drop()
    return success(procedure, mode, made)


def run_refresh(procedure: Gimp.Procedure, mode: Gimp.RunMode, *_: object) -> Gimp.ValueArray:
    """Asks the daemon for its methods and reports the outcome."""
    Gimp.progress_init("Velatura")
    with edit.open_session() as session:
        new = edit.refresh(session)
    methods = catalogue.registered(edit.FOLDER).offered
    when = "Start GIMP again to have them in the menu" if new else "All are in the menu"
    _tell(f"Velatura's daemon is running. {when}: {', '.join(method.title for method in methods)}.", mode)
    values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
    values.truncate(1)
    values.append(GObject.Value(GObject.TYPE_BOOLEAN, new))
    values.append(GObject.Value(GObject.TYPE_STRV, [form.procedure_name(method) for method in methods]))
    return values


def helpers(image: Gimp.Image, sight: Callable[[], Sight], method: MethodInfo | None) -> dict:
    """The parts of `Live` that read a layer; they use the daemon's last answer, which may be newer than the
    menu.

    sight: what the model sees. method: None where it is not known.
    """
    known = catalogue.newest(edit.FOLDER)
    finder, teller = known.word_finder, known.proposer
    dialled = catalogue.registered(edit.FOLDER).dialler
    has_caption = method is not None and method.caption is not None
    return {
        "look": lambda rect: look(sight(), rect),
        "selector": Selector(sight, finder, known) if finder and method and method.words else None,
        "proposer": Proposer(sight, teller, known) if teller and has_caption else None,
        "waiting": Waiting(image, dialled) if dialled else None,
    }


def run_now(target: edit.Target, read: Steps[Capture], request: Edit, title: str) -> edit.Placed:
    """Runs a request without a dialog; GIMP's progress bar shows the progress."""
    Gimp.progress_init(f"Velatura: {title}")
    try:
        return edit.edit(target, read, request)
    finally:
        Gimp.progress_end()


def success(procedure: Gimp.Procedure, mode: Gimp.RunMode, placed: edit.Placed | None) -> Gimp.ValueArray:
    """The return values of a procedure that has put a result into the image, or was cancelled."""
    if placed is None:
        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
    if mode != Gimp.RunMode.NONINTERACTIVE:
        Gimp.displays_flush()
    if placed.note:
        _tell(placed.note, mode)
    values = _array(placed.items)
    values.insert(1, GObject.Value(type(placed.item), placed.item))
    return values


def _tell(sentence: str, mode: Gimp.RunMode) -> None:
    """Tells the person something that is no fault; a script has it on its console."""
    if mode == Gimp.RunMode.NONINTERACTIVE:
        Gimp.message(sentence)
        return
    from . import telling  # needs a window

    telling.show(sentence)


def _array(items: list[Gimp.Item]) -> Gimp.ValueArray:
    """The return values of a success, with an array of these items.

    Python cannot make such an array in GIMP 3.0, but one of GIMP's own procedures can: that which returns the
    chosen items, in an order of GIMP's own. The person's choice is restored.
    """
    image, kind = items[0].get_image(), "layers" if items[0].is_layer() else "channels"
    layers, channels = image.get_selected_layers(), image.get_selected_channels()
    try:
        getattr(image, f"set_selected_{kind}")(items)
        get = Gimp.get_pdb().lookup_procedure(f"gimp-image-get-selected-{kind}")
        config = get.create_config()
        config.set_property("image", image)
        return get.run(config)
    finally:
        if channels:  # GIMP takes no empty list
            image.set_selected_channels(channels)
        if layers:
            image.set_selected_layers(layers)


def ask(
    procedure: Gimp.Procedure,
    config: Gimp.ProcedureConfig,
    title: str,
    arguments: Sequence[Argument],
    known: Catalogue,
    live: Live,
    keeper: Keeper,
) -> edit.Placed | None:
    """The result of the run in the procedure's dialog, or None; see `dialog.ask`."""
    from . import dialog  # needs a window

    hidden = [a.name for a in arguments if a.field.kind == "integer" and a.field.minimum == a.field.maximum]
    if len(known.models) < 2:
        hidden.append("model")
    return dialog.ask(procedure, config, title, arguments, hidden, live, keeper)
