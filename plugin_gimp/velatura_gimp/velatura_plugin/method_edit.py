"""A method's edit of a layer, from the values of its procedure's configuration."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gimp

from velatura_protocol.catalogue import PROMPT, Catalogue, MethodInfo
from velatura_protocol.choices import Wanted, resolve
from velatura_protocol.model_choice import ModelChoice, choose_model, first_able
from velatura_protocol.requests import Edit

from . import catalogue, edit, form
from .capture import Capture, Steps, capture, look
from .drafting import Live
from .proposing import Proposer
from .rasters import with_rasters
from .selecting import Selector
from .sight import Sight
from .waiting import Waiting


class MethodEdit:
    """The edit that a method's form describes.

    Args:
        image: the picture.
        layer: the layer to edit, asked for whenever pixels are read.
        method: of the form.
        known: the catalogue, for the form's models.
        config: the procedure's configuration, which has the values.
    """

    def __init__(
        self,
        image: Gimp.Image,
        layer: Callable[[], Gimp.Layer],
        method: MethodInfo,
        known: Catalogue,
        config: Gimp.ProcedureConfig,
    ) -> None:
        self._image, self._layer, self.method, self._config = image, layer, method, config
        self._newest = catalogue.newest(edit.FOLDER)
        self.arguments = form.arguments(method, known)
        #: The name of the argument for what the model sees.
        self.sees = next(a.name for a in reversed(self.arguments) if a.field.key == form.SEES)
        self.is_scripted = False  #: a script gets the model that it names

    def own_model(self) -> str:
        """The id of the model that the person has chosen; "" for none."""
        chosen = self._config.get_property("model")
        return "" if chosen == form.DEFAULT_MODEL else chosen

    def model(self) -> ModelChoice:
        """The model of the edit."""
        own = self.own_model()
        return ModelChoice(own) if self.is_scripted and own else choose_model(self._newest, self.method, own)

    def teller(self) -> str:
        """The id of the model that captions."""
        return first_able(self._newest, self._newest.proposer, self.model().model, self.own_model())

    def resolved(self) -> tuple[dict, list[Wanted]]:
        """The parameters, and the rasters to read for them. Raises VelaturaError for an unfit form."""
        values = form.parameters(self.arguments, self._config.get_property, self.method)
        return resolve(self.method.title, self.method.form, values)

    def sight(self) -> Sight:
        """The part of the picture that the model is shown."""
        return Sight(self._image, self._layer(), form.checked_sees(self._config.get_property(self.sees)))

    def read(self) -> Steps[Capture]:
        """Captures the pixels, the selection, and the form's rasters."""
        return with_rasters(self._image, capture(self.sight()), self.resolved()[1])

    def request(self) -> Edit:
        """The form as a request, by the newest version of the method: the form may be older than the daemon
        until GIMP's next start."""
        get = self._config.get_property
        return Edit(
            self.method.id,
            model=self.model().model,
            prompt=get("prompt") or "",
            seed=get("seed"),
            variations=get("variations"),
            parameters=self.resolved()[0],
        )

    def live(self, target: edit.Target) -> Live:
        """The services of a dialog with this form. target: the place of its result."""
        return Live(
            target,
            self.read,
            self.request,
            self.teller,
            self.method.need(PROMPT) == "required",
            chosen=lambda: (self._config.get_property(self.sees), *self.resolved()[1]),
            gives_drafts=self.method.drafts,
            note=lambda: self.model().note,
            painter=lambda: self.model().model,
            **helpers(self._image, self.sight, self.method),
        )


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
