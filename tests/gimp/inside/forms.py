"""In the open window: notes which forms are kept, changes what is kept, or makes a copy of the source."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pictures
from gi.repository import Gimp

PREFIX = "velatura-form-"


def run(t):
    (image,) = Gimp.get_images()
    if t.args.get("clean"):
        image.clean_all()
    for name, values in t.args.get("change", {}).items():
        form = {**kept(image, PREFIX + name), **values}
        data = json.dumps(form).encode()
        image.attach_parasite(Gimp.Parasite.new(PREFIX + name, Gimp.PARASITE_PERSISTENT, data))
    if t.args.get("copy"):
        source = image.get_layers()[-1]
        copy = source.copy()
        image.insert_layer(copy, None, len(image.get_layers()))
        copy.set_name("backup")
        pictures.fill(source, "R'G'B'A u8", b"\x40\x80\xc0\xff", (0, 0, 40, 40))
        Gimp.displays_flush()
    names = [name for name in image.get_parasite_list() if name.startswith(PREFIX)]
    t.note(forms={name[len(PREFIX) :]: kept(image, name) for name in names}, dirty=image.is_dirty())


def kept(image, name):
    parasite = image.get_parasite(name)
    return json.loads(bytes(parasite.get_data())) if parasite else {}
