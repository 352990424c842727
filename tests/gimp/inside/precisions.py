"""Edits a soft selection in each precision of `t.args["cases"]` and notes what became of it."""

import array
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pictures


def run(t):
    for name, precision, gray, alpha, compared_as in t.args["cases"]:
        t.step(name)
        image, layer = pictures.picture(precision, gray, alpha)
        pictures.select(image, 10, 8, 30, 25)
        before = pictures.pixels(layer)
        status, group, error = pictures.call(
            "velatura-sdedit", image, layer, prompt="a hat", seed=7, steps=4, strength=0.5
        )
        if group is None:
            t.note(**{name: {"error": f"{status}: {error}"}})
            continue
        (result,) = group.get_children()
        mask = result.get_mask()
        _, x, y = result.get_offsets()
        place = (x, y, result.get_width(), result.get_height())
        selected = pictures.pixels(image.get_selection(), compared_as, place)
        shown = pictures.pixels(result, "R'G'B'A u8")
        inside = pictures.pixels(mask, "Y float")
        t.note(
            **{
                name: {
                    "error": "",
                    "mask_is_selection": pictures.pixels(mask, compared_as) == selected,
                    "mask_difference": _difference(mask, image.get_selection(), place),
                    "soft": len(set(selected)) > 8,
                    "whole_selection_covered": _sum(image.get_selection()) == _sum(mask),
                    "opaque_inside": all(
                        (shown[4 * i + 3] == 255) == (inside[4 * i : 4 * i + 4] != bytes(4))
                        for i in range(len(shown) // 4)
                    ),
                    "changed": any(shown[0::4]),
                    "source_unchanged": pictures.pixels(layer) == before,
                    "place": place,
                }
            }
        )
        image.delete()


def _difference(mask, selection, place):
    """The greatest difference of a mask to the selection, as fractions."""
    ours = array.array("f", pictures.pixels(mask, "Y float"))
    theirs = array.array("f", pictures.pixels(selection, "Y float", place))
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=True))


def _sum(drawable):
    return sum(value > 0 for value in pictures.pixels(drawable, "Y u8"))
