"""The Velatura window of a picture: the methods' forms, the runs, their strip and the picture's history.

It stays open while the person paints. Everything in it is what the dialogs use too. Imported only when GIMP
has a window.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")

from gi.repository import Gdk, Gimp, GimpUi, GLib, Gtk  # noqa: E402

from velatura_protocol.candidates import Candidate  # noqa: E402
from velatura_protocol.catalogue import Catalogue, MethodInfo  # noqa: E402
from velatura_protocol.errors import VelaturaError  # noqa: E402
from velatura_protocol.history_entries import Entry, Key, Relation  # noqa: E402
from velatura_protocol.preset_shelves import SettingsShelf  # noqa: E402
from velatura_protocol.requests import Edit, Recipe  # noqa: E402
from velatura_protocol.settings_presets import Settings  # noqa: E402
from velatura_protocol.strip import Strip  # noqa: E402

from . import catalogue, edit  # noqa: E402
from .capture import Capture, Steps, source_layer  # noqa: E402
from .document_history import DocumentHistory  # noqa: E402
from .folding import Folding  # noqa: E402
from .follow_up import more_like, recipe_of, run_of  # noqa: E402
from .history_view import HistoryView  # noqa: E402
from .jobs import Job, Order  # noqa: E402
from .method_form import MethodForm  # noqa: E402
from .offering import remember  # noqa: E402
from .presence import LOOK, is_open, is_wanted  # noqa: E402
from .preset_menu import PresetMenu, state_dir  # noqa: E402
from .queue_view import QueueView  # noqa: E402
from .sources import every_layer  # noqa: E402
from .strip_view import Shelf, StripView  # noqa: E402

LAST = "velatura-window-method"  # a global parasite: the method that the next window begins with
GONE = "Its method is not here any more; edit anew."
GOES_ON = "A run goes on. Close the window once more to stop it; finished results stay in the history."
WIDTH, HEIGHT = 1140, 640  # pixels, within a screen of 1366 by 768
HISTORY_WIDTH = 290
PATIENCE = 3.0  # seconds for telling the daemon at the end


def show(image: Gimp.Image, known: Catalogue) -> None:
    """Shows the window of a picture until the person closes it, or brings the open one to the front."""
    GimpUi.init("velatura_gimp")
    if not is_open(image):
        Window(image, known).run()


class Window:
    """The window of one picture."""

    def __init__(self, image: Gimp.Image, known: Catalogue) -> None:
        self._image, self._known = image, known
        self._history = DocumentHistory(image)
        self._shelves: dict[str, Shelf] = {}
        self._waiting: list[Shelf] = []  # of newer runs, while the person is in the strip
        self._form: MethodForm | None = None
        self._origin: tuple[Key, Relation] | None = None  # of a form that was filled from a result
        self._placed: dict[Key, Gimp.Layer] = {}  # kept candidates
        self._is_closing = False
        self.window = window = Gtk.Window(title=f"Velatura: {image.get_name()}")
        window.set_default_size(WIDTH, HEIGHT)
        window.set_role("velatura")
        self._methods = Gtk.ComboBoxText()
        for method in known.offered:
            self._methods.append(method.id, method.title)
        self._run = Gtk.Button(label="R_un", use_underline=True, can_default=True)
        self._run.connect("clicked", lambda _: self.submit())
        self._said = Gtk.Label(xalign=0.0, wrap=True, selectable=True, can_focus=False)
        self._room = Gtk.Box()
        self._queue = QueueView()
        self._strip = StripView(self._preview, self._compare, self._keep, self._mark, self._more_of_candidate)
        self._next = Gtk.Button(label="Show the results of the next run", no_show_all=True)
        self._next.connect("clicked", lambda _: self._show_next())
        self._list = HistoryView(self._history, self._again, self._edit_again, self._more)
        self._folding = self._laid_out()
        window.add(self._folding)
        window.set_default(self._run)
        window.connect("delete-event", lambda *_: self._close())
        window.connect("key-press-event", self._on_key)
        window.connect("focus-in-event", lambda *_: self._look_for_undone())
        self._methods.connect("changed", lambda _: self._choose_method(self._methods.get_active_id()))

    def run(self) -> None:
        """Shows the window until it is closed."""
        self.window.show_all()
        GimpUi.window_set_transient(self.window)
        last = Gimp.get_parasite(LAST)
        if last is None or not self._methods.set_active_id(bytes(last.get_data()).decode("ascii", "replace")):
            self._methods.set_active(0)
        self.window.present()
        GLib.timeout_add(LOOK, self._look)
        Gtk.main()

    def submit(self) -> None:
        """Begins a run of the form."""
        if self._form is None or not self._run.get_sensitive():
            return
        self._form.keep()
        try:
            layer = self._layer()
            request = self._form.request()
        except Exception as error:
            self._say(edit.sentence(error))
            return
        remember(request.prompt)
        self._begin(self._form.method, request, layer, self._form.read(), *(self._origin or ((), "")))

    # the parts ------------------------------------------------------------

    def _laid_out(self) -> Folding:
        top = Gtk.Box(spacing=6)
        label = Gtk.Label(label="_Method", use_underline=True)
        label.set_mnemonic_widget(self._methods)
        top.pack_start(label, False, False, 0)
        top.pack_start(self._methods, True, True, 0)
        shelf = SettingsShelf(state_dir(), self._with_models, self._settings, self._put)
        top.pack_end(PresetMenu(shelf, self._say), False, False, 0)
        left = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8)
        bottom = Gtk.Box(spacing=6)
        bottom.pack_start(self._said, True, True, 0)
        bottom.pack_end(self._run, False, False, 0)
        for part in (top, self._room, self._strip, self._next):
            left.pack_start(part, part is self._room, part is self._room, 0)
        right = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8, width_request=HISTORY_WIDTH)
        right.pack_start(self._queue, False, False, 0)
        right.pack_start(self._list, True, True, 0)
        return Folding(left, right, bottom, 2, lambda: self._form.both if self._form is not None else None)

    def _choose_method(self, name: str | None) -> None:
        method = self._known.method(name or "")
        if method is None:
            return
        if self._form is not None:
            self._form.close()
        Gimp.attach_parasite(Gimp.Parasite.new(LAST, Gimp.PARASITE_PERSISTENT, method.id.encode("ascii")))
        self._origin = None
        self._form = MethodForm(
            self._image, self._layer, method, self._known, self.window, self._run.set_sensitive, self.submit
        )
        self._form.drafts.is_held = lambda: bool(self._queue.running)
        self._room.pack_start(self._form.widget, True, True, 0)
        self._folding.fold()
        self._form.begin()

    def _with_models(self) -> Catalogue:
        """The methods that GIMP knows, and the models that the daemon has now."""
        return replace(self._known, models=catalogue.newest(edit.FOLDER).models or self._known.models)

    def _settings(self) -> Settings:
        """The form's, for a preset."""
        if self._form is None:
            raise VelaturaError("bad-request", "Choose a method first.")
        return self._form.settings()

    def _put(self, settings: Settings) -> str:
        """Takes a preset into the form of its method."""
        self._methods.set_active_id(settings.method)
        if self._form is not None:
            self._form.put(settings)
        self._origin = None
        return ""

    def _layer(self) -> Gimp.Layer:
        if not self._image.is_valid():
            raise VelaturaError("bad-request", "The picture was closed; open it, and this window, again.")
        return source_layer(self._image, self._image.get_selected_drawables())

    def _say(self, sentence: str) -> None:
        self._said.set_text(sentence)

    # runs -----------------------------------------------------------------

    def _begin(
        self,
        method: MethodInfo,
        request: Edit,
        layer: Gimp.Layer,
        read: Steps[Capture],
        parent: Key | tuple[()] = (),
        relation: Relation = "",
    ) -> None:
        self._say("")
        title = f"{request.prompt} · {method.title}" if request.prompt else method.title
        order = Order(title, method.title, request, layer, parent or None, relation)
        job = Job(order, self._changed, self._found, self._previewed)
        self._shelves[job.id] = Shelf(Strip(job.id, request.variations))
        self._queue.add(job)
        job.begin(read)

    def _changed(self, job: Job) -> None:
        self._queue.draw(job)
        if job.state == "running":
            return
        shelf = self._shelves[job.id]
        shelf.strip.end(job.state)
        if self._strip.shelf is shelf:
            self._strip.draw()

    def _found(self, job: Job, found: list[tuple[Candidate, bytes]]) -> None:
        shelf, order = self._shelves[job.id], job.order
        is_first = not shelf.strip.cells
        for candidate, picture in found:
            shelf.add(candidate, picture)
        self._history.record(found, job.title, order.method, order.parent, order.relation)
        self._list.draw()
        if self._strip.shelf is shelf:
            self._strip.draw()
        elif is_first:
            if self._strip.has_keys:
                self._waiting.append(shelf)
                self._next.show()
            else:
                self._strip.begin(shelf)
                self._strip.take_focus()

    def _show_next(self) -> None:
        if self._waiting:
            self._strip.begin(self._waiting.pop(0))
            self._strip.take_focus()
        self._next.set_visible(bool(self._waiting))

    def _previewed(self, job: Job, png: bytes, rect: tuple | None) -> None:
        if self._form is not None and job in self._queue.running:
            self._form.side.preview(png, rect)

    def _job(self, name: str) -> Job:
        return next(job for job in self._queue.jobs if job.id == name)

    # the strip ------------------------------------------------------------

    def _preview(self, candidate: Candidate | None, picture: bytes) -> None:
        if self._form is None:
            return
        if candidate is None or not picture:
            self._form.side.clear()
        else:
            self._form.side.preview(picture, candidate.thumbnail.rect if candidate.thumbnail else None)

    def _compare(self, is_before: bool) -> None:
        if self._form is not None:
            self._form.side.compare(is_before)

    def _keep(self, candidate: Candidate) -> None:
        key = candidate.job, candidate.index
        strip = self._shelves[candidate.job].strip

        def done(placed: edit.Placed) -> None:
            self._history.mark(key, "kept")
            self._placed[key] = placed.items[0]
            self._list.draw()
            self._say(placed.note or "It is in the picture, as a layer of its own.")
            Gimp.displays_flush()

        def failed(sentence: str) -> None:
            strip.unkeep(candidate.index)
            self._strip.draw()
            self._say(sentence)

        self._job(candidate.job).keep(candidate, done, failed)

    def _mark(self, candidate: Candidate) -> None:
        """The person has dropped, brought back or starred a candidate."""
        strip, key = self._shelves[candidate.job].strip, (candidate.job, candidate.index)
        cell = next((cell for cell in strip.cells if cell.candidate.index == candidate.index), None)
        if cell is None or not cell.kept:
            self._history.mark(key, "candidate" if cell else "dropped")
        if cell is not None:
            self._history.star(key, cell.starred)
        self._list.draw()

    def _look_for_undone(self) -> bool:
        """A kept layer that was undone, or deleted, may be kept once more."""
        for key, layer in list(self._placed.items()):
            if not layer.is_valid() or not _is_in(layer, self._image):
                del self._placed[key]
                self._shelves[key[0]].strip.unkeep(key[1])
                self._history.mark(key, "candidate")
                self._strip.draw()
                self._list.draw()
        return False

    # the history ----------------------------------------------------------

    def _again(self, entry: Entry) -> None:
        self._from_entry(entry, "again", lambda kept, _method: {})

    def _more_of_candidate(self, candidate: Candidate) -> None:
        entry = self._history.results.get((candidate.job, candidate.index))
        if entry is not None:
            self._more(entry)

    def _more(self, entry: Entry) -> None:
        self._from_entry(entry, "more", more_like)

    def _from_entry(
        self, entry: Entry, relation: Relation, changes: Callable[[Recipe, MethodInfo], dict]
    ) -> None:
        """Runs the recipe of a result with some changes, on the chosen layer and the present selection."""
        try:
            kept = recipe_of(entry)
            method = self._known.method(kept.request.method)
            if method is None or self._form is None:
                raise VelaturaError("bad-request", GONE)
            layer = self._layer()
            request, read = run_of(self._image, self._form.sight(), kept, changes(kept, method))
        except Exception as error:
            self._say(edit.sentence(error))
            return
        self._begin(method, request, layer, read, entry.key, relation)

    def _edit_again(self, entry: Entry) -> None:
        """Fills the form with a result's settings."""
        try:
            kept = recipe_of(entry)
        except VelaturaError as error:
            self._say(edit.sentence(error))
            return
        self._methods.set_active_id(kept.request.method)
        if self._form is None or self._form.method.id != kept.request.method:
            self._say(GONE)
            return
        self._say(self._form.fill(kept))
        self._origin = entry.key, "changed"

    # the window -----------------------------------------------------------

    def _on_key(self, window: Gtk.Window, event: Gdk.EventKey) -> bool:
        if event.keyval == Gdk.KEY_Escape:  # a list below the prompt takes it first
            return window.propagate_key_event(event) or self._close()
        if event.keyval in (Gdk.KEY_Return, Gdk.KEY_KP_Enter) and event.state & Gdk.ModifierType.CONTROL_MASK:
            self.submit()
            return True
        return False

    def _look(self) -> bool:
        """Whether the picture is still there, and whether its menu has asked for this window."""
        if self._is_closing:
            return False
        if not self._image.is_valid():
            self._end()
            return False
        if is_wanted(self._image):
            self.window.present()
        return True

    def _close(self) -> bool:
        """Closes the window; returns True where it stays."""
        if self._queue.running and self._said.get_text() != GOES_ON:
            self._say(GOES_ON)
            return True
        self._end()
        return True

    def _end(self) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        self._queue.stop()
        if self._form is not None:
            self._form.close()
        self.window.hide()
        jobs = [job for job in self._queue.jobs if job.state != "failed"]
        end = threading.Thread(target=lambda: [job.acknowledge() for job in jobs], daemon=True)
        end.start()
        end.join(PATIENCE)
        self.window.destroy()
        Gtk.main_quit()


def _is_in(layer: Gimp.Layer, image: Gimp.Image) -> bool:
    """Whether a layer is in the stack; an undone one is valid still."""
    return any(one.get_id() == layer.get_id() for one in every_layer(image))
