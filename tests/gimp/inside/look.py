"""In the open window: selects, chooses a layer, or notes what the image holds."""

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pictures
from gi.repository import Gimp


def run(t):
    (image,) = Gimp.get_images()
    source = image.get_layers()[-1]
    if t.args.get("select"):
        pictures.select(image, *t.args["select"])
    if t.args.get("choose") == "result":
        image.set_selected_layers([image.get_layers()[0].get_children()[0]])
    elif t.args.get("choose") == "channel":
        image.set_selected_channels(image.get_channels()[:1])
    elif t.args.get("choose") == "source":
        image.set_selected_layers([source])
    Gimp.displays_flush()
    groups = [layer for layer in image.get_layers() if layer.is_group_layer() and layer.get_children()]
    results = [group.get_children() for group in groups]
    t.note(
        groups=[group.get_name() for group in groups],
        variations=[[layer.get_name() for layer in layers] for layers in results],
        recipes=[pictures.recipe(layers[0]) for layers in results],
        masks=[_hash(layers[0].get_mask()) for layers in results],
        pixels=[_hash(layers[0]) for layers in results],
        layers=len(image.get_layers()),
        visible=[layer.get_visible() for layer in image.get_layers()],
        channels=[channel.get_name() for channel in image.get_channels()],
        selected=list(Gimp.Selection.bounds(image))[1:],
        source=_hash(source),
        marks=source.get_parasite_list(),
        chosen=[layer.get_name() for layer in image.get_selected_layers()],
    )


def _hash(drawable):
    return hashlib.sha256(pictures.pixels(drawable)).hexdigest()
