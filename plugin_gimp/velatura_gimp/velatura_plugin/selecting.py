"""Selecting one word of the prompt while a dialog is open.

The daemon is spoken to in a thread of its own, so that the dialog stays alive; GIMP in the main one alone.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable

from gi.repository import Gimp, GLib

from velatura_protocol.errors import VelaturaError
from velatura_protocol.words import Word

from . import edit, recipe
from .capture import Capture, capture_whole
from .catalogue import MethodInfo
from .masks import Mask, insert_masks
from .session import Session


class Selector:
    """Selects words of `layer` with `method`, which finds masks of words; one at a time."""

    def __init__(self, image: Gimp.Image, layer: Gimp.Layer, method: MethodInfo) -> None:
        self._image, self._layer, self._method = image, layer, method
        self._stop = threading.Event()

    def start(
        self,
        word: Word,
        prompt: str,
        model: str,
        on_progress: Callable[[str, float | None], None],
        on_end: Callable[[str], None],
    ) -> None:
        """Looks for a word of the prompt in the whole layer, whatever is selected now, and selects it.

        on_progress(text, fraction) and then, once, on_end(sentence) are called in the main thread. model: an
        id; empty: the daemon's default. Raises VelaturaError where the layer cannot be sent.
        """
        entry = {"text": word.text, "which": word.which}
        parameters = {self._method.words.key: [entry]}
        request = recipe.request(self._method.id, prompt, -1, 1, parameters, model=model)
        captured = capture_whole(self._image, self._layer)
        self._stop.clear()

        def report(text: str, fraction: float | None = None) -> None:
            GLib.idle_add(lambda: on_progress(text, fraction))

        session = Session(edit.FOLDER, f"gimp {Gimp.version()}", report)
        work = (session, request, captured, lambda end: GLib.idle_add(lambda: on_end(end())))
        # A daemon thread: closing the dialog ends the process, and the job, which is a lease, with it.
        threading.Thread(target=self._find, args=work, daemon=True).start()

    def stop(self) -> None:
        """Cancels what is under way; `on_end` follows."""
        self._stop.set()

    def _find(self, session: Session, request: dict, captured: Capture, end: Callable) -> None:
        try:
            with session:
                edit.refresh(session)
                masks, note = edit.find_masks(session, request, captured, self._stop.is_set)
        except VelaturaError as error:
            sentence = f"{error.message} {error.hint}".strip()
            end(lambda: sentence)
        except Exception as error:
            traceback.print_exc()
            sentence = f"Velatura's plug-in met a fault; save your picture and try again. ({error!r})"
            end(lambda: sentence)
        else:
            end(lambda: self._insert(masks, note))

    def _insert(self, masks: list[Mask], note: str) -> str:
        try:
            insert_masks(self._image, self._layer, masks)
        except VelaturaError as error:
            return error.message
        except Exception as error:
            print(f"velatura: {error!r}", file=sys.stderr)
            return "The selection could not be made; save your picture and try again."
        Gimp.displays_flush()
        return note or f"“{masks[0].title}” is selected, and kept in the Channels dialog."
