"""The runs of the procedures: ask where there is a window, edit, return the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gi.repository import Gimp, GObject

from velatura_protocol.catalogue import Catalogue, MethodInfo
from velatura_protocol.errors import VelaturaError
from velatura_protocol.requests import Edit

from . import catalogue, edit, form
from .capture import Capture, Steps, refuse_image, source_layer
from .drafting import Live
from .form import Argument
from .keeping import Keeper
from .method_edit import MethodEdit


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
    own = MethodEdit(image, lambda: layer, method, known, config)
    own.is_scripted = mode == Gimp.RunMode.NONINTERACTIVE
    target = edit.first(image, layer)
    keeper = Keeper(image, form.procedure_name(method), own.arguments, is_everywhere=True)
    if mode != Gimp.RunMode.NONINTERACTIVE:
        keeper.fill(config)
    if mode != Gimp.RunMode.INTERACTIVE:
        return success(procedure, mode, run_now(target, own.read(), own.request(), method.title))
    live = own.live(target)
    keeper.forget_others(config, captions=bool(live.proposer and live.proposer.can(own.teller())))
    waiting = live.waiting if method.dials else None
    if waiting:
        waiting.put_into(config, own.arguments)
    made = ask(procedure, config, method.title, own.arguments, known, live, keeper)
    if waiting:
        waiting.drop()
    return success(procedure, mode, made)


def run_window(
    procedure: Gimp.Procedure, mode: Gimp.RunMode, image: Gimp.Image, *_: object
) -> Gimp.ValueArray:
    """Shows the Velatura window of a picture until it is closed."""
    if mode == Gimp.RunMode.NONINTERACTIVE:
        raise VelaturaError("bad-request", "The window is for people; call a method's own procedure.")
    refuse_image(image)
    known = catalogue.registered(edit.FOLDER)
    if not known.offered:
        raise VelaturaError("bad-request", "No method is known yet; choose Look for New Methods first.")
    from . import window  # needs a window

    window.show(image, known)
    return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)


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

    hidden = form.hidden(arguments, known)
    return dialog.ask(procedure, config, title, arguments, hidden, live, keeper)
