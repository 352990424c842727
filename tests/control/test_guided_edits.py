"""Guides in edits: part of form, request and recipe; every method; nothing is left behind or mixed up."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel

from tests.control.nets import guide, randomised
from tests.control.test_looks import encoder, ip_adapter
from tests.methods.requests import Edit, Recorded, box, picture
from tests.tiny import tiny_model
from velatura.cache.cache import Cache
from velatura.daemon.broker.submission import complete_request
from velatura.diffusion import schedule
from velatura.methods import controlling
from velatura.methods.execute import execute
from velatura.methods.registry import describe, offer, registry
from velatura.models import model_files
from velatura.models.catalogue import ModelEntry
from velatura.models.control.listing import CONTROL, Listed, content_id
from velatura.models.control.using import Use, led
from velatura.models.store import ModelStore
from velatura.weights.digests import Digests
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.timeout(240)
METHOD = "blended-latent-diffusion"
PARAMETERS = {"steps": 4, "guidance": 2.0}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model, a ControlNet and an IP-Adapter of it."""
    folder = tmp_path_factory.mktemp("guides")
    path = tiny_model(folder / "tiny", vae="tiny")
    entry = ModelEntry("tiny", "Tiny", "diffusers", str(path), 64, found=model_files.found({}, path))
    model = ModelStore([entry]).get("tiny")
    randomised(ControlNetModel.from_unet(model.unet), 3.0).save_pretrained(folder / "net")
    canny = folder / "canny.safetensors"
    next((folder / "net").glob("*.safetensors")).rename(canny)
    look = ip_adapter(folder / "ip-adapter.safetensors", model.unet, plus=False)
    files = [guide(canny, "sd"), guide(look, "sd", encoder=encoder(folder, single=False)[0])]
    files = [one._replace(id=content_id(one.path, os.path.getsize(one.path))) for one in files]
    return entry, Listed(files)


@pytest.fixture
def models(place):
    entry, listed = place
    return ModelStore([entry], guides=lambda: listed)


def asked(method=METHOD, layer=None, **parameters):
    """A request; layer: pixels of a further layer, the input 'lead'."""
    settings = PARAMETERS if method == METHOD else {}
    made = Edit(
        picture(), box(64, 64, (16, 48), (16, 48)), method=method, parameters={**settings, **parameters}
    )
    if layer is not None:
        made.request["inputs"]["lead"] = made._raster(layer, "RGBA", "sRGB", (0, 0))
    return made


def edit(models, cache=None, method=METHOD, layer=None, **parameters):
    made = asked(method, layer, **parameters)
    return execute(made.request, made.blobs.__getitem__, models, Recorded(), cache)[0]


def guided(place, **settings):
    return {"guides": [{"file": place[1].guides[0].value, **settings}]}


def looking(place, **settings):
    return {"image_prompts": [{"file": place[1].guides[1].value, **settings}]}


def ink(seed=3):
    layer = picture(seed=seed)
    layer[..., 3] = 0
    layer[20:40, 24:28, 3] = 255
    return layer


@pytest.mark.parametrize("which", [guided, looking], ids=["guide", "look"])
def test_on_off_and_on_again_are_the_same_to_the_byte(models, place, which):
    plain = edit(models)
    one = edit(models, **which(place))
    assert edit(models).data == plain.data != one.data
    assert edit(models, **which(place)).data == one.data
    assert edit(models, **which(place, strength=0.0)).data == plain.data
    late = edit(models, **which(place, begin=50.0))
    assert late.data not in (one.data, plain.data)


@pytest.mark.parametrize("which", [guided, looking], ids=["guide", "look"])
def test_the_layer_or_a_chosen_one_leads(models, place, which):
    own = edit(models, **which(place)).data
    chosen = edit(models, layer=ink(), **which(place, picture="lead")).data
    assert chosen != own
    if which is guided:
        as_lines = edit(models, layer=ink(), **which(place, picture="lead", kind="lines")).data
        as_map = edit(models, layer=ink(), **which(place, picture="lead", kind="lines", is_map=True)).data
        assert as_lines == as_map != chosen


def test_values_that_are_kept_for_a_layer_depend_on_the_guides(models, place):
    cache = Cache()
    settings = {"method": "prompt-to-prompt", "steps": 4, "source_prompt": "a coat"}
    plain = edit(models, cache=cache, **settings).data
    led = edit(models, cache=cache, **settings, **guided(place)).data
    assert led == edit(models, **settings, **guided(place)).data
    assert plain == edit(models, cache=cache, **settings).data != led


METHODS = {
    "sdedit": {"steps": 4},
    "differential": {"steps": 4},
    "flow-align": {"steps": 4, "source_prompt": "a cat", "only_changes": False},
    "sega": {"steps": 4, "source_prompt": "a cat", "concepts": [{"more": "a red hat", "strength": 50.0}]},
    "prompt-to-prompt": {"steps": 4, "source_prompt": "a coat"},
    "kv-edit": {"steps": 4},
    "lanpaint": {"steps": 4},
}


@pytest.mark.parametrize("method", METHODS)
def test_guides_and_looks_go_with_methods(models, place, method):
    plain = edit(models, method=method, **METHODS[method]).data
    both = {**guided(place), **looking(place, strength=150.0)}
    led = edit(models, method=method, **METHODS[method], **both).data
    assert plain != led
    assert edit(models, method=method, **METHODS[method]).data == plain


def test_a_recipe_names_each_guide_by_title_and_digest_and_runs_again(models, place):
    made = asked(layer=ink(), **guided(place, picture="lead", strength=50.0), **looking(place))
    (layer,) = execute(made.request, made.blobs.__getitem__, models, Recorded())
    canny, look = layer.recipe["guides"]
    assert canny["title"] == "canny" and canny["strength"] == 0.5 and canny["digest"].startswith("blake2b:")
    assert look["title"] == "ip-adapter" and look["digest"] != canny["digest"]
    assert execute(layer.recipe, made.blobs.__getitem__, models, Recorded())[0].data == layer.data
    plain = edit(models)
    assert "guides" not in plain.recipe and layer.recipe["model"] == plain.recipe["model"]
    whole, _ = complete_request(asked().request, registry(), [place[0]], guides=lambda: place[1])
    assert not {"guides", "image_prompts"} & whole["parameters"].keys()


def test_a_batch_of_two_is_that_of_one_and_one(models, place):
    made = asked(**guided(place), **looking(place))
    made.request["variations"] = 2
    pair = execute(made.request, made.blobs.__getitem__, models, Recorded())
    first = edit(models, **guided(place), **looking(place))
    assert first.data in [one.data for one in pair]


def refused(place, match, listed=None, **parameters):
    entry, own = place
    with pytest.raises(VelaturaError, match=match):
        wire = asked(**parameters).request
        complete_request(wire, registry(), [entry], guides=lambda: own if listed is None else listed)


def test_bad_requests_are_refused_before_a_job(place):
    canny, look = place[1].guides
    refused(place, r"'canny' is not on this computer, or its file has changed", Listed([]), **guided(place))
    other = Listed([canny._replace(family="sdxl")])
    refused(place, r"is for Stable Diffusion XL", other, **guided(place))
    refused(place, r"ends before it begins", **guided(place, begin=60.0, end=40.0))
    refused(place, r"“Pose” cannot be read from a picture", **guided(place, kind="pose"))
    refused(place, r"Depth is read by a network", **guided(place, kind="depth"))
    union = Listed([canny._replace(kinds=6, family="sd")])
    refused(place, r"does not follow “light and dark”", union, **guided(place, kind="grey"))
    refused(place, r"not on this computer", guides=[{"file": look.value}])
    wire = asked(**guided(place, kind="pose", is_map=True)).request
    complete_request(wire, registry(), [place[0]], guides=lambda: place[1])


def test_what_is_missing_is_said_before_a_job(place, monkeypatch):
    look = place[1].guides[1]
    refused(place, r"lacks its image encoder", Listed([look._replace(encoder=None)]), **looking(place))
    monkeypatch.setattr("velatura.models.control.refusals.find_spec", lambda name: None)
    refused(place, r"run `pip install velatura\[guides\]`", **guided(place, kind="edges"))
    complete_request(
        asked(**guided(place, kind="edges", is_map=True)).request,
        registry(),
        [place[0]],
        guides=lambda: place[1],
    )


def forms(place, guides):
    return offer([describe(registry()[METHOD])], [place[0]], guides=guides)["methods"][0]


def test_forms_offer_guides_by_title_and_nothing_where_there_are_none(place):
    keys = {controlling.GUIDES, controlling.LOOKS}
    assert not keys & forms(place, [])["parameters"]["properties"].keys()
    others = [one._replace(family="sdxl") for one in place[1].guides]
    assert not keys & forms(place, others)["parameters"]["properties"].keys()
    controls = [one for one in place[1].guides if one.kind == CONTROL]
    assert keys & forms(place, controls)["parameters"]["properties"].keys() == {controlling.GUIDES}
    info = MethodInfo.from_wire(forms(place, place[1].guides))
    assert info is not None
    by_key = {field.key: field for field in info.fields}
    group, looks = by_key[controlling.GUIDES], by_key[controlling.LOOKS]
    inner = {field.key: field for field in group.fields}
    assert [title for _, title in inner["file"].choices] == ["(choose a guide)", "canny"]
    assert inner["picture"].raster == "picture" and inner["kind"].choices[0][0] == "auto"
    assert [title for _, title in looks.fields[0].choices] == ["(choose what reads looks)", "ip-adapter"]


def test_every_method_of_a_diffusion_model_takes_guides_and_no_other():
    for method in registry().values():
        keys = describe(method)["parameters"]["properties"].keys() & {"adapters", "guides", "image_prompts"}
        assert len(keys) in (0, 3), method.id


def test_detail_in_tiles_is_not_led_by_the_map_of_the_whole(models, place):
    model = models.get("tiny")
    both = [Use(one, torch.zeros(1, 3, 64, 64)) for one in place[1].guides]
    whole = led(model, both, {}, Digests())[0]
    assert [type(one).__name__ for one in whole.guides] == ["ControlGuide", "LookGuide"]
    assert [type(one).__name__ for one in whole.without_places.guides] == ["LookGuide"]
    assert whole.without_places.digest != whole.digest and model.without_places is model


def test_the_run_is_counted_as_by_a_sampler(models):
    model = models.get("tiny")
    times = [schedule.time(model.training_sigmas, s) for s in schedule.sigmas(model.training_sigmas, 4)[:-1]]
    np.testing.assert_allclose([model.begun(t) for t in times], [0.0, 0.25, 0.5, 0.75], atol=0.01)
