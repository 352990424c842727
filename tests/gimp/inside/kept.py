"""In the open window: notes what the image holds, and its history; saves it and opens it again."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import look
from gi.repository import Gimp, Gio


def run(t):
    sys.path.insert(0, t.args["plugin"])
    from velatura_protocol import history

    if t.args.get("method"):  # the window begins with it
        data = t.args["method"].encode()
        Gimp.attach_parasite(Gimp.Parasite.new("velatura-window-method", Gimp.PARASITE_PERSISTENT, data))
    look.run(t)
    (image,) = Gimp.get_images()
    t.note(history=_history(image, history), dirty=image.is_dirty())
    if t.args.get("save"):
        file = Gio.File.new_for_path(t.args["save"])
        Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, file, None)
        opened = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
        t.note(saved=_history(opened, history), size=Path(t.args["save"]).stat().st_size)
        opened.delete()


def _history(image, history):
    parasite = image.get_parasite(history.NAME)
    if parasite is None:
        return []
    kept = history.History.from_bytes(bytes(parasite.get_data()))
    return [
        {
            "prompt": entry.prompt,
            "fate": entry.fate,
            "starred": entry.starred,
            "relation": entry.relation,
            "parent": list(entry.parent) if entry.parent else None,
            "job": entry.job,
            "variation": entry.variation,
            "seed": entry.seed,
            "picture": entry.thumbnail[:2] == b"\xff\xd8",
        }
        for entry in kept.entries
    ]
