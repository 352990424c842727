"""A method's form within the Velatura window: that of its dialog. Imported only when GIMP has a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gi.repository import Gimp, Gtk

from velatura_protocol.catalogue import Catalogue, MethodInfo
from velatura_protocol.requests import Edit, Recipe
from velatura_protocol.settings_presets import Settings

from . import catalogue, edit, form, rerun
from .capture import Capture, Steps, capture
from .dialog import Sheet
from .drafting import Drafts
from .keeping import Keeper
from .method_edit import MethodEdit
from .side import Side
from .sight import Sight
from .sources import every_layer


class MethodForm:
    """The form of one method.

    Args:
        image: the picture.
        layer: the layer to edit, asked for whenever pixels are read.
        method: as GIMP knows it.
        known: the catalogue that GIMP knows.
        window: the window that shows the form.
        allow_run: called with whether Run may begin.
        run: called where Return begins a run.
    """

    def __init__(
        self,
        image: Gimp.Image,
        layer: Callable[[], Gimp.Layer],
        method: MethodInfo,
        known: Catalogue,
        window: Gtk.Window,
        allow_run: Callable[[bool], None],
        run: Callable[[], None],
    ) -> None:
        newest = catalogue.newest(edit.FOLDER)
        known = replace(known, models=newest.models or known.models)
        self.method = catalogue.with_newest_choices(method, newest)
        self._image = image
        procedure = Gimp.get_pdb().lookup_procedure(form.procedure_name(method))
        self._config = config = procedure.create_config()
        self._edit = MethodEdit(image, layer, self.method, known, config)
        arguments = self._edit.arguments
        self._keeper = Keeper(image, procedure.get_name(), arguments, is_everywhere=True)
        self._keeper.fill(config)
        first = every_layer(image)[-1]
        live = self._edit.live(edit.Target(image, first, first))  # the window places its results itself
        captions = bool(live.proposer and live.proposer.can(self._edit.teller()))
        self._keeper.forget_others(config, captions)
        self._waiting = live.waiting if method.dials else None
        if self._waiting:
            self._waiting.put_into(config, arguments)
        hidden = form.hidden(arguments, known)
        self._around: dict[str, object] = {}  # see `fill`
        self._around_seed = -1

        def hold(held: bool) -> None:
            allow_run(not held)
            self._sheet.dialog.set_response_sensitive(Gtk.ResponseType.OK, not held)

        self._sheet = Sheet(procedure, config, method.title, arguments, hidden, live, window, hold)
        self._sheet.dialog.connect("response", lambda _, r: run() if r == Gtk.ResponseType.OK else None)
        self.widget = self._sheet.take_out()

    @property
    def side(self) -> Side:
        """The preview and its sentences."""
        return self._sheet.beside.side

    @property
    def both(self) -> Gtk.Widget:
        """The box of the form and its column."""
        return self.widget

    @property
    def drafts(self) -> Drafts:
        """The form's drafts."""
        return self._sheet.beside.drafts

    def begin(self) -> None:
        """The form is in its window."""
        self._sheet.begin()

    def request(self) -> Edit:
        """The form as a request, with the seed that its drafts have shown. Raises VelaturaError."""
        self.drafts.stop()
        request = self.drafts.with_draft_seed(self._edit.request())
        if self._around and request.seed == self._around_seed:
            request = replace(request, parameters={**request.parameters, **self._around})
        return request

    def read(self) -> Steps[Capture]:
        """Captures the pixels of a run."""
        return self._edit.read()

    def sight(self) -> Sight:
        """The part of the picture that the model is shown. Raises VelaturaError."""
        return self._edit.sight()

    def fill(self, kept: Recipe) -> str:
        """Takes a recipe's settings over; returns a sentence on those that are lost, or "".

        A place among the seeds of `more like this` is in no form: it counts as long as the seed is the
        recipe's.
        """
        again = rerun.Again(self._image, kept, lambda: capture(self.sight()))
        arguments = [a for a in self._edit.arguments if a.field.key != form.SEES]
        rerun.fill(self._config, arguments, kept, again.restored.values)
        group = self.method.around
        steps = kept.request.parameters.get(group.key) if group else None
        self._around = {group.key: steps} if group and steps else {}
        self._around_seed = kept.request.seed
        return again.restored.lost

    def settings(self) -> Settings:
        """The form's values as a preset has them. Raises VelaturaError for an unfit form."""
        get = self._config.get_property
        return Settings(
            method=self.method.id,
            prompt=get("prompt") or "",
            seed=get("seed"),
            variations=get("variations"),
            model=self._edit.own_model(),
            sees=get(self._edit.sees),
            parameters=form.parameters(self._edit.arguments, get, self.method),
        )

    def put(self, settings: Settings) -> None:
        """Takes a preset over. Choices of layers and the caption stay: they belong to the picture."""
        own = {
            "prompt": settings.prompt,
            "seed": settings.seed,
            "variations": settings.variations,
            "model": settings.model or form.DEFAULT_MODEL,
            form.SEES: settings.sees,
        }
        for argument in self._edit.arguments:
            values = settings.parameters if argument.field in self.method.form else own
            if argument.field.key in values:
                value = form.to_gimp(argument.field, values[argument.field.key])
                self._config.set_property(argument.name, value)
        self._around = {}

    def keep(self) -> None:
        """Keeps the form's values for the next time."""
        self._keeper.keep(self._config)

    def close(self) -> None:
        """Ends the form's questions, and keeps its values."""
        self._sheet.beside.stop()
        self.keep()
        if self._waiting:
            self._waiting.drop()
        self.widget.destroy()
        self._sheet.dialog.destroy()
