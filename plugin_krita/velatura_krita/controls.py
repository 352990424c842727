"""The docker's controls: method, model, prompt, numbers, and the form of the method's parameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .choosers import MethodBox, ModelBox
from .edges import edge
from .fields import Combo, guard_wheel
from .form import Form
from .presets import PresetButton
from .prompts import Prompts
from .qt import QtWidgets, Signal
from .rasters import layers
from .recipes import bare
from .state import Daemon, State
from .velatura_protocol import dials, sights
from .velatura_protocol.catalogue import PROMPT, MethodInfo
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.model_choice import choose_model, first_able
from .velatura_protocol.preset_shelves import SettingsShelf
from .velatura_protocol.requests import MAX_PROMPT, MAX_SEED, Edit
from .velatura_protocol.settings_presets import Settings
from .velatura_protocol.words import Word
from .wish import Wish

SETTINGS = "velatura"
LACK = "'{}' has no network that describes pictures; `velatura models change --help` says how to name one."


def name_widget(widget: QtWidgets.QWidget, name: str, title: str, tip: str) -> None:
    """Name a control for scripts (`name`), for people and for screen readers."""
    widget.setObjectName(name)
    widget.setAccessibleName(title)
    widget.setAccessibleDescription(tip)
    widget.setToolTip(tip)


class Controls(QtWidgets.QWidget):
    """The controls. They keep their values while the daemon is away, and from one start of Krita to the
    next."""

    entered = Signal()  #: Ctrl+Enter in the prompt
    slid = Signal()  #: a number of the form is being moved
    wished = Signal(object)  #: a `Wish` other than that of the Run button
    wondered = Signal(object, bool)  #: a `Wish` for a caption of the layer, and whether nobody asked for it

    def __init__(
        self,
        state: State,
        host: Any,
        folder: Path | None = None,
        parent: QtWidgets.QWidget | None = None,
    ) -> None:
        """folder: the state directory, where presets are."""
        super().__init__(parent)
        self.state, self.host, self.folder = state, host, folder
        self.form: Form | None = None
        self._parameters: dict[str, dict] = {}  #: by method, as last left
        self._wondered: set[tuple] = set()  #: layers and methods that had a caption proposed unasked
        self._build()
        self._last = self._restore()
        self._show_previews()
        self.method.currentIndexChanged.connect(self._on_chosen)
        self.model.currentIndexChanged.connect(self._on_model)
        state.methodsChanged.connect(self._on_methods)
        state.daemonChanged.connect(self._show_proposal)
        self._on_methods()

    # The entered values

    def wish(self) -> Wish | None:
        """The wish to run; None while no method is known. The values are stored for the next start."""
        method = self._method()
        if method is None or self.form is None:
            return None
        self._keep()
        self._remember()
        return Wish(
            method=method,
            model=self._model(),
            prompt=self.prompt.toPlainText()[:MAX_PROMPT],
            seed=self.seed.value(),
            variations=self.variations.value(),
            parameters=self.form.values(),
            sees=sights.known(self.sees.currentData()),
        )

    def _settings(self) -> Settings:
        """The form for a preset. Raises VelaturaError while no method is known."""
        wish = self.wish()
        if wish is None:
            raise VelaturaError("busy", "Start the daemon first: it brings the methods.")
        fields = {"prompt": wish.prompt, "seed": wish.seed, "variations": wish.variations}
        return Settings(
            wish.method.id, model=self.model.own or "", sees=wish.sees, parameters=wish.parameters, **fields
        )

    def _put(self, settings: Settings) -> str:
        """Fills in a preset; the caption of the layer stays."""
        caption = self.prompts.caption()
        edit = Edit(
            method=settings.method,
            parameters=settings.parameters,
            model=settings.model,
            prompt=settings.prompt,
            seed=settings.seed,
            variations=settings.variations,
        )
        self.show_recipe(edit, settings.sees)
        if self.prompts.source is not None and caption.strip():
            self.prompts.source.set_value(caption)
        return ""

    def show_recipe(self, recipe: Edit, seen: str = sights.LAYER) -> bool:
        """Enters the values of a recipe; False if its method is not offered. seen: see `sights.TITLES`."""
        index = self.method.findData(recipe.method)
        if index < 0:
            return False
        self._choose(index)
        row = self.model.findData(recipe.model)
        if row >= 0:
            self.model.setCurrentIndex(row)  # the person's own from now on, unless it is the shown one anyway
        self.prompt.setPlainText(recipe.prompt)
        self.seed.setValue(recipe.seed)
        self.variations.setValue(recipe.variations)
        self.sees.setCurrentIndex(self.sees.findData(seen))
        self.form.reset()
        self.form.set_values(recipe.parameters)
        return True

    # Building

    def _build(self) -> None:
        self.method, self.model = MethodBox(), ModelBox()
        name_widget(self.method, "method", "Method", "How the picture is edited")
        name_widget(self.model, "model", "Model", "The network that paints")
        self.prompts = Prompts(self.folder, self._layers)
        self.prompts.entered.connect(self.entered)
        self.prompts.asked.connect(self._on_asked)
        if self.prompts.offers is not None:
            self.prompts.offers.words = lambda: self.state.words.get(self._model(), ())
            self.prompts.offers.entered.connect(lambda: self.state.want_words(self._model()))
        self.prompt = self.prompts.edit
        name_widget(self.prompt, "prompt", "Prompt", "What should be there, in words")
        self.variations, self.seed = QtWidgets.QSpinBox(), QtWidgets.QSpinBox()
        name_widget(self.variations, "variations", "Variations", "How many to paint, each with its own seed")
        self.variations.setRange(1, 1)
        self.variations.setMinimumWidth(48)
        tip = "The same seed paints the same picture; random takes a new one each time"
        name_widget(self.seed, "seed", "Seed", tip)
        self.seed.setRange(-1, MAX_SEED)
        self.seed.setSpecialValueText("random")
        self.seed.setMinimumWidth(72)
        self.seed.setValue(-1)

        choices = QtWidgets.QGridLayout()
        choices.setHorizontalSpacing(8)
        choices.setVerticalSpacing(6)
        choices.setColumnStretch(1, 1)
        self.model_label = QtWidgets.QLabel("Model")
        method_label = QtWidgets.QLabel("Method")
        for row, (label, combo) in enumerate(((method_label, self.method), (self.model_label, self.model))):
            label.setBuddy(combo)
            choices.addWidget(label, row, 0)
            choices.addWidget(combo, row, 1)
        choices.addWidget(self.model.note, 2, 1)
        self.sees = Combo()
        name_widget(self.sees, "sees", sights.TITLE, sights.TIP)
        for value, title in sights.TITLES.items():
            self.sees.addItem(title, value)
        label = QtWidgets.QLabel(sights.TITLE)
        label.setBuddy(self.sees)
        choices.addWidget(label, 3, 0)
        choices.addWidget(self.sees, 3, 1)

        counts = QtWidgets.QHBoxLayout()
        counts.setSpacing(6)
        for title, spin, stretch in (("Variations", self.variations, 0), ("Seed", self.seed, 1)):
            guard_wheel(spin)
            label = QtWidgets.QLabel(title)
            label.setBuddy(spin)
            counts.addWidget(label)
            counts.addWidget(spin, stretch)

        self.previews = QtWidgets.QCheckBox("Preview while sliding")
        tip = "Show below what the settings would give while a slider is moved; nothing of it is kept"
        name_widget(self.previews, "previews", "Preview while sliding", tip)
        self.previews.setChecked(True)
        self.previews.toggled.connect(self.state.want_previews)
        self.state.previewsChanged.connect(self._show_previews)

        self.form_place = QtWidgets.QVBoxLayout()
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(choices)
        column.addWidget(self.prompts)
        column.addLayout(counts)
        column.addLayout(self.form_place)
        last = QtWidgets.QHBoxLayout()
        last.setSpacing(6)
        last.addWidget(self.previews)
        last.addStretch(1)
        if self.folder is not None:
            shelf = SettingsShelf(self.folder, lambda: self.state.known, self._settings, self._put)
            self.presets = PresetButton(shelf, "presets")
            self.presets.said.connect(self.state.say)
            last.addWidget(self.presets)
        column.addLayout(last)

    @edge
    def _show_previews(self) -> None:
        self.previews.setVisible(self.state.can_draft)
        self.previews.setChecked(self.state.wants_previews)

    # The daemon's methods and models

    @edge
    def _on_methods(self) -> None:
        """Fills the combo boxes again and keeps the choices."""
        known = self.state.known
        for combo in (self.method, self.model):
            combo.blockSignals(True)
        self.method.offer(known, self.method.currentData() or self._last.get("method"))
        self.model.offer(known, self.model.own or self._last.get("model"))
        for combo in (self.method, self.model):
            combo.blockSignals(False)
        for widget in (self.model_label, self.model):
            widget.setVisible(self.model.count() > 1)
        self._on_method()

    @edge
    def _on_chosen(self, *_: object) -> None:
        self._on_method()
        self._wondered.clear()
        self.wonder()

    @edge
    def _on_model(self, *_: object) -> None:
        """The person has chosen a model, which has defaults of its own."""
        self.model.own = self._model()
        self._on_method()

    def _choose(self, index: int) -> None:
        """Chooses the method in this row without a proposal of a caption."""
        self.method.blockSignals(True)
        self.method.setCurrentIndex(index)
        self.method.blockSignals(False)
        self._on_method()

    @edge
    def _on_method(self, *_: object) -> None:
        self._keep()
        if self.form is not None:
            self.form.setParent(None)  # its fields' names are free at once
            self.form.deleteLater()
            self.form = None
        method, known = self._method(), self.state.known
        self.prompt.setEnabled(method is None or method.need(PROMPT) != "none")
        if method is None:
            return
        self.model.blockSignals(True)
        self.model.fit(known, method)
        self.model.blockSignals(False)
        self.state.set_gives_drafts(method.drafts)
        self.method.setToolTip(f"{method.summary}\n{method.source}".strip())
        self.variations.setMaximum(method.max_variations)
        fields = list(known.for_model(method, self._model()).form)
        optional = method.need(PROMPT) != "required"
        elsewhere = self.prompts.show_fields(fields, optional)
        self.form = Form(fields, elsewhere, self._layers)
        self.form.slid.connect(self.slid)
        if self.prompts.words is not None:
            self.prompts.words.offer("select", known.word_finder is not None)
            self.prompts.words.offer("dial", known.dialler is not None)
            self.prompts.words.selected.connect(self._on_select)
            self.prompts.words.dialled.connect(self._on_dialled)
            self.prompts.words.said.connect(self.state.say)
        if self.prompts.dials is not None:
            self.prompts.dials.said.connect(self.state.say)
        self._show_proposal()
        self.form.setObjectName(method.id)
        self.form.set_values(self._parameters.get(method.id, {}))
        self.form_place.addWidget(self.form)

    @edge
    def _on_select(self, text: str, which: int) -> None:
        """Selects this word in the whole layer: the present selection may be of another word."""
        finder = self.state.known.word_finder
        if finder is not None and finder.words is not None:
            parameters = {finder.words.key: [{"text": text, "which": which}]}
            prompt = self.prompt.toPlainText()[:MAX_PROMPT]
            model = choose_model(self.state.known, finder, self.model.own).model
            self.wished.emit(Wish(finder, model, prompt, self.seed.value(), 1, parameters, whole=True))

    @edge
    def _on_dialled(self, word: Word) -> None:
        """Make a dial of the word, by the first method that has dials; the caption stays."""
        method, caption = self.state.known.dialler, self.prompts.caption()
        prompt = self.prompt.toPlainText()
        if method is None:
            return
        self._choose(self.method.findData(method.id))
        if self.prompts.source is not None and caption.strip():
            self.prompts.source.set_value(caption)
        less, more = dials.of_word(caption, prompt, word)
        if dials.says_all(less, more, caption, prompt):
            self.prompts.write("")  # it asks for nothing beside the dial
        self.prompts.dials.add_word(more, less)

    @edge
    def _show_proposal(self) -> None:
        """Whether a caption can be proposed: by a method of the daemon's, with the chosen model."""
        known = self.state.known
        found, model = known.proposer, known.model(self._teller())
        lacks = found is not None and model is not None and found.id in model.lacks
        lack = LACK.format(model.title) if lacks else ""
        self.prompts.offer_proposal(found is not None, lack, self.state.daemon is Daemon.CONNECTED)

    @edge
    def wonder(self) -> None:
        """Asks for a caption unasked, once for each layer, method and model."""
        document = self.host.activeDocument() if self.prompts.wants_proposal else None
        node = document.activeNode() if document is not None else None
        if node is None:
            return
        about = (bare(node.uniqueId()), self.method.currentData(), self._teller())
        if about not in self._wondered:
            self._wondered.add(about)
            self._ask(quietly=True)

    @edge
    def _on_asked(self) -> None:
        self._ask(quietly=False)

    def _ask(self, quietly: bool) -> None:
        found = self.state.known.proposer
        if found is not None:
            self.wondered.emit(Wish(found, self._teller(), "", -1, 1, {}, whole=True), quietly)

    def _layers(self) -> list[tuple[str, str]]:
        return layers(self.host.activeDocument())

    def _method(self) -> MethodInfo | None:
        """The chosen method."""
        return self.state.known.method(self.method.currentData())

    def _model(self) -> str:
        """The id of the chosen model; empty while none is known."""
        return self.model.currentData() or ""

    def _teller(self) -> str:
        """The id of the model that says what a layer shows: the chosen one, or the person's own where that
        lacks it."""
        known = self.state.known
        return first_able(known, known.proposer, self._model(), self.model.own)

    def _keep(self) -> None:
        """Stores the changed values; the others follow the model's defaults."""
        if self.form is not None:
            defaults = {f.key: f.default for f in self.form.fields}
            entered = {key: value for key, value in self.form.values().items() if value != defaults[key]}
            self._parameters[self.form.objectName()] = entered

    # From one start of Krita to the next

    def _remember(self) -> None:
        last = {
            "method": self.method.currentData(),
            "model": self.model.own,
            "prompt": self.prompt.toPlainText()[:MAX_PROMPT],
            "variations": self.variations.value(),
            "seed": self.seed.value(),
            "sees": self.sees.currentData(),
            "parameters": self._parameters,
            "previews": self.previews.isChecked(),
        }
        self.host.writeSetting(SETTINGS, "last", json.dumps(last))

    def _restore(self) -> dict:
        try:
            last = json.loads(self.host.readSetting(SETTINGS, "last", "{}"))
            self._parameters = dict(last.get("parameters", {}))
            self.prompt.setPlainText(str(last.get("prompt", "")))
            self.seed.setValue(last.get("seed", -1))
            self.sees.setCurrentIndex(self.sees.findData(sights.known(last.get("sees"))))
            self.previews.setChecked(bool(last.get("previews", True)))
            self.variations.setMaximum(max(1, last.get("variations", 1)))
            self.variations.setValue(last.get("variations", 1))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return {}
        return last
