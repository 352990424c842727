"""An edit of the part of a layer that a client sends gives the bytes of an edit of the whole layer."""

from __future__ import annotations

import numpy as np
import pytest

from tests.methods.requests import Edit, Recorded, box, picture
from tests.methods.test_edits import ASKED
from velatura.methods.registry import describe, offer, registry
from velatura_protocol.catalogue import Catalogue
from velatura_protocol.crops import to_send
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Pixels
from velatura_protocol.requests import Request, blobs

#: One for each use of what lies around the selection, with its number of cases: colours, detail at the
#: layer's size, ranking and concepts, a place that is sought, a mask of the whole layer.
METHODS = {
    "sdedit": ({"steps": 4, "strength": 0.8}, 3),
    "blended-latent-diffusion": ({"steps": 4, "detail": "detailed"}, 2),
    "sega": (ASKED["sega"] | {"steps": 4}, 1),
    "diffedit": (ASKED["diffedit"] | {"steps": 4}, 1),
    "clipseg-mask": ({}, 3),
}
KINDS = (("u8", "BGRA"), ("u16", "RGBA"), ("f32", "GA"))


def known(entries):
    return Catalogue.from_wire(offer([describe(method) for method in registry().values()], entries))


def sent(edit, known):
    """What a client sends of a request's inputs; the request then has it."""
    request = Request.from_wire(edit.request)
    given = {
        name: raster
        and Pixels(edit.blobs[raster.digest], raster.rect, raster.channels, raster.dtype, raster.profile)
        for name, raster in request.inputs.items()
    }
    inputs = to_send(known, request, given)
    edit.blobs = {digest: bytes(data) for digest, data in blobs(inputs).items()}
    edit.request["inputs"] = {name: one and dict(one.raster.to_wire()) for name, one in inputs.items()}
    return edit


def made(edit, models):
    """All that a person could see of the results, and the places of the previews on the way."""
    hooks = Recorded()
    results = edit.run(models, hooks)
    told = [
        (one.data, one.raster, one.title, one.note, one.place, one.thumbnail and one.thumbnail.data)
        for one in results
    ]
    return told, set(hooks.rects)  # how many there are depends on the clock


@pytest.mark.parametrize("method", METHODS)
def test_a_part_gives_the_bytes_of_the_whole(method, models, entries):
    rng = np.random.default_rng(list(METHODS).index(method))
    values, cases = METHODS[method]
    for dtype, channels in KINDS[:cases]:
        height, width = (int(side) for side in rng.integers(230, 330, 2))
        y, x = (int(rng.integers(0, side - 50)) for side in (height, width))
        mask = box(height, width, (y, y + int(rng.integers(1, 50))), (x, x + int(rng.integers(1, 50))))
        mask[mask > 0] = rng.integers(0, 256, (mask > 0).sum())
        mask[y, x] = 9
        context = float(rng.choice([0.0, 0.3, 1.0]))
        form = registry()[method].Parameters.model_fields
        edit = Edit(
            picture(height, width, channels, dtype, seed=x),
            mask,
            channels=channels,
            method=method,
            origin=(40, -7),
            at=(40, -7),
            variations=2 if registry()[method].result == "layer" else 1,
            parameters=values | ({"context": context} if "context" in form else {}),
        )
        whole, source = made(edit, models), edit.request["inputs"]["source"]
        part = sent(edit, known(entries)).request["inputs"]["source"]
        assert part["width"] * part["height"] < 0.8 * height * width
        assert (part["whole"], part["whole_digest"]) == (source["rect"], source["digest"])
        assert made(edit, models) == whole


def test_where_the_rest_changes_or_the_method_takes_no_selection_all_of_it_is_sent(models, entries):
    mask, values = box(200, 220, (20, 40), (30, 60)), {"steps": 4, "change": "rest"}
    edit = Edit(picture(200, 220), mask, method="blended-latent-diffusion", parameters=values)
    whole, before = edit.run(models)[0].data, dict(edit.request["inputs"])
    assert sent(edit, known(entries)).request["inputs"] == before and edit.run(models)[0].data == whole
    methods = [describe(method) for method in registry().values()]
    assert {m["id"] for m in methods if not m["crops"]} == {
        m["id"] for m in methods if m["inputs"]["mask"] == "none"
    }


def test_too_small_a_part_is_refused(models, entries):
    edit = Edit(picture(200, 220), box(200, 220, (20, 40), (30, 60)), parameters={"steps": 4, "context": 0.0})
    sent(edit, known(entries)).request["parameters"]["context"] = 2.0
    with pytest.raises(VelaturaError, match="Too small a part") as refused:
        edit.run(models)
    assert refused.value.code == "bad-layer"
