"""The list of words and of earlier prompts below a prompt. Needs a window."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gi.repository import Gdk, Gimp, GLib, Gtk, Pango

from velatura_protocol.errors import VelaturaError
from velatura_protocol.prompt_history import PromptHistory
from velatura_protocol.prompt_offers import PromptOffers

from . import edit
from .preset_menu import state_dir
from .session import Session
from .style import add_item, dress
from .text_undo import cursor_of, on_edited, put, text_of

CHARACTERS = 60  # of an earlier prompt that are shown
EARLIER = "Earlier prompts"
DOWN, UP = (Gdk.KEY_Down, Gdk.KEY_KP_Down), (Gdk.KEY_Up, Gdk.KEY_KP_Up)
TAKES = (Gdk.KEY_Return, Gdk.KEY_KP_Enter, Gdk.KEY_Tab)

_words: dict[str, list[str]] = {}  # of each model, for all forms of this process


def remember(prompt: str) -> None:
    """Keeps the prompt of an edit for later offers."""
    PromptHistory(state_dir()).add(prompt)


class PromptList:
    """The list of `view`, a prompt. model: returns the id of the model that reads it.

    It stands in no way of typing: it takes no focus, and Down is the first key that it takes.
    """

    def __init__(self, view: Gtk.TextView, model: Callable[[], str]) -> None:
        self._view, self._model = view, model
        self._offers = PromptOffers(PromptHistory(state_dir()))
        self._takes = False  # an offer is being taken, which is no typing
        self._list = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, margin=4)
        self._list.get_accessible().set_name("Words, and earlier prompts")
        self._popover = Gtk.Popover(relative_to=view, modal=False, position=Gtk.PositionType.BOTTOM)
        self._popover.add(self._list)
        view.connect("key-press-event", self._on_key)
        view.connect("focus-in-event", lambda *_: self._enter())
        view.connect("focus-out-event", lambda *_: self._close())
        view.connect("populate-popup", self._on_menu)
        view.connect("destroy", lambda _: self._popover.destroy())
        on_edited(view.get_buffer(), self._on_edited)

    def _enter(self) -> bool:
        self._offers.enter()
        model = self._model()
        if model in _words:
            self._offers.vocabulary = _words[model]
        else:
            threading.Thread(target=self._ask, args=(model,), daemon=True).start()
        return False

    def _ask(self, model: str) -> None:
        """Asks a daemon that runs; a list of words is no reason to start one."""
        try:
            with Session(edit.FOLDER, f"gimp {Gimp.version()}", lambda *_: None) as session:
                words = session.vocabulary(model)
        except VelaturaError:
            return

        def keep() -> bool:
            _words[model] = self._offers.vocabulary = words
            return False

        GLib.idle_add(keep)

    def _on_edited(self) -> None:
        if self._view.has_focus() and not self._takes:
            buffer = self._view.get_buffer()
            self._offers.typed(text_of(buffer), cursor_of(buffer))
            self._show()

    def _on_key(self, view: Gtk.TextView, event: Gdk.EventKey) -> bool:
        offers, key = self._offers, event.keyval
        if key in DOWN and (event.state & Gdk.ModifierType.MOD1_MASK or not text_of(view.get_buffer())):
            offers.earlier(text_of(view.get_buffer()))
            offers.move(1)
        elif not offers.texts:
            return False
        elif key == Gdk.KEY_Escape:
            offers.close()
        elif key in DOWN + UP:
            offers.move(1 if key in DOWN else -1)
        elif key in TAKES and offers.chosen is not None:
            if key != Gdk.KEY_Tab and view.im_context_filter_keypress(event):
                return True  # an input method was composing, and has taken it
            self._take(offers.chosen)
        else:
            return False
        self._show()
        return True

    def _take(self, index: int) -> None:
        buffer = self._view.get_buffer()
        taken = self._offers.take(text_of(buffer), index)
        if taken is not None:
            self._takes = True
            put(buffer, taken[0])
            buffer.place_cursor(buffer.get_iter_at_offset(taken[1]))
            self._takes = False
        self._show()

    def _close(self) -> bool:
        self._offers.close()
        self._show()
        return False

    def _show(self) -> None:
        offers = self._offers
        for row in self._list.get_children():
            row.destroy()
        if offers.are_prompts:
            title = Gtk.Label(label=EARLIER, xalign=0.0)
            title.get_style_context().add_class("dim-label")
            self._list.add(title)
        for index, text in enumerate(offers.texts):
            self._list.add(self._row(index, text, index == offers.chosen))
        if not offers.texts:
            self._popover.popdown()
            return
        self._list.show_all()
        self._point()
        self._popover.popup()

    def _row(self, index: int, text: str, is_chosen: bool) -> Gtk.Widget:
        row = Gtk.Button(label=text, relief=Gtk.ReliefStyle.NONE, can_focus=False)
        label = row.get_child()
        label.set_xalign(0.0)
        label.set_ellipsize(Pango.EllipsizeMode.END)
        label.set_max_width_chars(CHARACTERS)
        dress(row, "velatura-offer")
        if is_chosen:
            dress(row, "velatura-picked")
        row.connect("clicked", lambda _: self._take(index))
        return row

    def _point(self) -> None:
        """The list stands below the cursor."""
        buffer = self._view.get_buffer()
        place = self._view.get_iter_location(buffer.get_iter_at_mark(buffer.get_insert()))
        x, y = self._view.buffer_to_window_coords(Gtk.TextWindowType.WIDGET, place.x, place.y)
        at = Gdk.Rectangle()
        at.x, at.y, at.width, at.height = x, y, max(1, place.width), place.height
        self._popover.set_pointing_to(at)

    def _on_menu(self, view: Gtk.TextView, menu: Gtk.Widget) -> None:
        """The earlier prompts are in the menu of the right button, too."""
        if not isinstance(menu, Gtk.Menu):
            return
        offers = self._offers
        menu.append(Gtk.SeparatorMenuItem())
        item = add_item(menu, EARLIER, lambda _: None)
        texts = offers.earlier("")
        inner = Gtk.Menu()
        for text in texts:
            short = text if len(text) <= CHARACTERS else text[: CHARACTERS - 1] + "…"
            add_item(inner, short, lambda _, text=text: put(view.get_buffer(), text))
        offers.close()
        item.set_submenu(inner)
        item.set_sensitive(bool(texts))
        menu.show_all()
