"""The column beside a form: a preview, and the progress of the daemon's work. Needs a window."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import GdkPixbuf, Gimp, GLib, Gtk, Pango

from .capture import Look
from .conversation import Question, steadily
from .drafting import Live
from .style import weigh

WIDTH = 292  # pixels of the column, and a side of the preview where there is room for it
_CHECKS = 8, 0x999999, 0x666666  # size and colours of the checkerboard beneath transparency
_OFF = "velatura-previews-off"  # a global parasite, which GIMP keeps for its next start


class Side(Gtk.Box):
    """A `conversation.Window`.

    Args:
        live: the dialog's services.
        holds_run: called with whether Run has to wait for the present question.
        size: pixels of a side of the preview.
    """

    def __init__(self, live: Live, holds_run: Callable[[bool], None], size: int) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._live, self._holds_run, self._size = live, holds_run, size
        self._rect: tuple | None = None
        self._before: GdkPixbuf.Pixbuf | None = None
        self._after: GdkPixbuf.Pixbuf | None = None
        self._is_gone = False
        self._picture = Gtk.Image()
        self._picture.set_size_request(WIDTH, size)
        pressed = Gtk.EventBox()
        pressed.add(self._picture)
        pressed.connect("button-press-event", lambda *_: self._show(True))
        pressed.connect("button-release-event", lambda *_: self._show(False))
        frame = Gtk.Frame()
        frame.add(pressed)
        self._state = Gtk.Label(xalign=0.0)
        self._state.get_style_context().add_class("dim-label")
        self.wanted = Gtk.CheckButton(label="Previe_w while sliding", use_underline=True)
        weigh(self.wanted.get_child(), Pango.Weight.NORMAL)
        self.wanted.set_active(Gimp.get_parasite(_OFF) is None)
        self.wanted.connect("toggled", _keep)
        self.wanted.set_no_show_all(not live.gives_drafts)
        self._bar = Gtk.ProgressBar(show_text=True, opacity=0.0)
        self._note = Gtk.Label(xalign=0.0, wrap=True, max_width_chars=32, no_show_all=True)
        self._said = Gtk.Label(xalign=0.0, wrap=True, max_width_chars=32, selectable=True, can_focus=False)
        #: Widgets of the form below the preview.
        self.below = Gtk.Box(orientation=Gtk.Orientation.VERTICAL)
        for part in (frame, self._state, self.wanted, self.below, self._note, self._bar, self._said):
            self.pack_start(part, False, False, 0)
        self.connect("destroy", lambda _: self._leave())
        self.show_all()
        self._look(None)

    def forget(self) -> None:
        """The picture may change from now on."""
        self._rect = None

    def look_again(self) -> None:
        """The model sees another part of the picture from now on."""
        self.forget()
        self._look(None)

    # the conversation's window ---------------------------------------------

    def begin(self, question: Question) -> None:
        """See `conversation.Window`."""
        self._said.set_text("")
        self._bar.set_opacity(1.0)
        self.progress("Reading the layer…", 0.0)
        self._holds_run(question.holds_run)

    def progress(self, text: str, fraction: float | None = None) -> None:
        """See `conversation.Window`."""
        self._bar.set_text(text)
        if fraction is None:
            self._bar.pulse()
        else:
            self._bar.set_fraction(min(1.0, max(0.0, fraction)))

    def preview(self, png: bytes, rect: tuple | None) -> None:
        """See `conversation.Window`."""
        picture = decoded(png)
        if picture is None:
            return
        self._after = fitted(picture, picture.get_width(), picture.get_height(), self._size)
        if rect is None:
            self._before = None  # the place is not known
        elif rect != self._rect:
            self._rect, self._before = rect, None
            self._look(rect)
        self._show(False)

    def compare(self, is_before: bool) -> None:
        """Shows the picture before the edit for as long as a key is held."""
        self._show(is_before)

    def clear(self) -> None:
        """See `conversation.Window`."""
        self._after = None
        self._show(False)

    def note(self, sentence: str) -> None:
        """Shows a sentence until the next one; none for ''."""
        self._note.set_text(sentence)
        self._note.set_visible(bool(sentence))

    def say(self, sentence: str) -> None:
        """Shows a sentence, also during a question."""
        self._said.set_text(sentence)

    def end(self, sentence: str) -> None:
        """See `conversation.Window`."""
        self._bar.set_opacity(0.0)
        self._said.set_text(sentence)
        self._holds_run(False)

    # the picture ----------------------------------------------------------

    def _look(self, rect: tuple | None) -> None:
        def is_over() -> bool:
            return self._is_gone or rect != self._rect

        steadily(self._live.look(rect), self._looked, lambda _: None, is_over)

    def _looked(self, found: Look | None) -> None:
        if found is not None:
            self._before = fitted(pixbuf(found), *found.rect[2:], self._size)
            self._show(False)

    def _show(self, is_before: bool) -> None:
        picture = self._after if self._after is not None and not is_before else self._before
        self._picture.set_from_pixbuf(picture or self._after)
        if self._after is None:
            self._state.set_text("As it is now")
        elif is_before and self._before is not None:
            self._state.set_text("Before")
        else:
            self._state.set_text(
                "What it would give. Press it to compare." if self._before else "What it would give"
            )

    def _leave(self) -> None:
        self._is_gone = True


def decoded(data: bytes) -> GdkPixbuf.Pixbuf | None:
    """A PNG or a JPEG as a picture; None for a damaged one."""
    loader = GdkPixbuf.PixbufLoader()
    try:
        loader.write(data)
        loader.close()
    except GLib.Error:
        return None
    return loader.get_pixbuf()


def pixbuf(found: Look) -> GdkPixbuf.Pixbuf:
    """A look as a picture."""
    return GdkPixbuf.Pixbuf.new_from_bytes(
        GLib.Bytes.new(found.data), GdkPixbuf.Colorspace.RGB, True, 8,
        found.width, found.height, 4 * found.width,
    )  # fmt: skip


def fitted(picture: GdkPixbuf.Pixbuf, width: int, height: int, most: int) -> GdkPixbuf.Pixbuf:
    """The picture scaled to fit a square of `most` pixels, over a checkerboard. width, height: of its
    subject."""
    scale = most / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return picture.composite_color_simple(*size, GdkPixbuf.InterpType.BILINEAR, 255, *_CHECKS)


def _keep(wanted: Gtk.CheckButton) -> None:
    """Keeps the choice for later dialogs, also after GIMP's next start."""
    if wanted.get_active():
        Gimp.detach_parasite(_OFF)
    else:
        Gimp.attach_parasite(Gimp.Parasite.new(_OFF, Gimp.PARASITE_PERSISTENT, b"off"))
