"""Adapters in edits: part of form, request and recipe; nothing is left behind, nothing kept is mixed up."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tests.adapters.files import kohya
from tests.methods.requests import Edit, Recorded, box, picture
from tests.tiny import tiny_model
from velatura.cache.cache import Cache
from velatura.cli.values import parse_adapter, parse_values
from velatura.daemon.broker.submission import complete_request
from velatura.methods import adapting
from velatura.methods.execute import execute
from velatura.methods.registry import describe, offer, registry
from velatura.models import model_files
from velatura.models.adapters import listing
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import MAX_JSON, canonical

pytestmark = pytest.mark.timeout(240)
METHOD = "blended-latent-diffusion"
PARAMETERS = {"steps": 4, "guidance": 2.0}
NOTE = {"ss_base_model_version": "sd_v1"}
UNET = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
TEXT = "encoder.layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model, a folder with an adapter of its network and one of its text encoder, and their list."""
    folder = tmp_path_factory.mktemp("adapters")
    path = tiny_model(folder / "tiny", vae="tiny")
    entry = ModelEntry("tiny", "Tiny", "diffusers", str(path), 64, found=model_files.found({}, path))
    model = ModelStore([entry]).get("tiny")
    layer = next(
        module
        for name, module in model.unet.named_modules()
        if name.endswith("transformer_blocks.0.attn2.to_k")
    )
    name = next(name for name, module in model.unet.named_modules() if module is layer)
    encoder = next(m for n, m in model.text_encoder.named_modules() if n.endswith(TEXT))
    loras = folder / "shelf" / "loras"
    kohya(loras / "film.safetensors", {f"lora_unet_{name.replace('.', '_')}": layer}, alpha=8.0, **NOTE)
    text = f"lora_te_text_model_{TEXT.replace('.', '_')}"
    kohya(loras / "words.safetensors", {text: encoder}, alpha=8.0, **NOTE)
    kohya(loras / "unknown.safetensors", {"lora_unet_mystery": layer})
    listing.refresh(folder, [folder / "shelf"])
    return folder, entry


@pytest.fixture
def models(place):
    folder, entry = place
    return ModelStore([entry], adapters=lambda: listing.listed(folder))


def files(place):
    return {one.title: one for one in listing.listed(place[0])}


def edit(models, chosen=(), cache=None, method=METHOD, **parameters):
    settings = PARAMETERS if method == METHOD else {}
    made = asked(method, **settings, **parameters, adapters=list(chosen))
    (layer,) = execute(made.request, made.blobs.__getitem__, models, Recorded(), cache)
    return layer


def asked(method, **parameters):
    return Edit(picture(), box(64, 64, (16, 48), (16, 48)), method=method, parameters=parameters)


def worn(place, title="film", strength=100.0):
    return {"file": files(place)[title].value, "strength": strength}


def test_adapters_in_folders_of_other_programs_are_found_by_their_family(place):
    assert {title: one.family for title, one in files(place).items()} == {"film": "sd", "words": "sd"}


@pytest.mark.parametrize("title", ["film", "words"])
def test_on_off_and_on_again_are_the_same_to_the_byte(models, place, title):
    plain = edit(models)
    one = edit(models, [worn(place, title)])
    assert edit(models).data == plain.data != one.data
    assert edit(models, [worn(place, title)]).data == one.data
    assert edit(models, [worn(place, title, 0.0)]).data == plain.data
    other_way = edit(models, [worn(place, title, -100.0)])
    assert other_way.data not in (one.data, plain.data)


def test_values_that_are_kept_for_a_layer_depend_on_the_adapters(place, models):
    cache = Cache()
    method, settings = "prompt-to-prompt", {"steps": 4, "source_prompt": "a coat"}
    plain = edit(models, cache=cache, method=method, **settings)
    film = edit(models, [worn(place)], cache=cache, method=method, **settings)
    assert film.data == edit(models, [worn(place)], method=method, **settings).data
    assert plain.data == edit(models, cache=cache, method=method, **settings).data != film.data


def test_a_recipe_names_each_adapter_by_title_and_digest_and_runs_again(place, models):
    layer = edit(models, [worn(place, strength=50.0)])
    (named,) = layer.recipe["adapters"]
    assert named["title"] == "film" and named["strength"] == 0.5 and named["digest"].startswith("blake2b:")
    assert layer.recipe["parameters"]["adapters"] == [worn(place, strength=50.0)]
    plain = edit(models)
    assert "adapters" not in plain.recipe
    assert layer.recipe["model"] == plain.recipe["model"]


def test_a_missing_or_changed_file_and_one_for_another_family_are_refused(place, tmp_path):
    _, entry = place
    film = files(place)["film"]
    chosen = {"adapters": [{"file": film.value, "strength": 100.0}]}
    wire = asked(METHOD, **PARAMETERS, **chosen).request
    complete_request(wire, registry(), [entry], adapters=lambda: [film])
    for there in ([], [film._replace(id="0" * 32)]):
        with pytest.raises(VelaturaError, match=r"'film' is not on this computer, or its file has changed"):
            complete_request(wire, registry(), [entry], adapters=lambda there=there: there)
    with pytest.raises(VelaturaError, match=r"is for Stable Diffusion XL"):
        complete_request(wire, registry(), [entry], adapters=lambda: [film._replace(family="sdxl")])
    path = tmp_path / "film.safetensors"
    path.write_bytes(film.path.read_bytes())
    same = listing.described(path)
    assert same is not None and same.id == film.id
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))
    changed = listing.described(path)
    assert changed is not None and changed.id != film.id


def test_a_file_that_changes_after_the_search_is_read_again(place, tmp_path):
    film = files(place)["film"]
    path = tmp_path / "shelf" / "Lora" / "a.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(film.path.read_bytes())
    assert [one.id for one in listing.refresh(tmp_path, [tmp_path / "shelf"])] == [film.id]
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    assert [one.id for one in listing.listed(tmp_path)] != [film.id]
    path.unlink()
    assert listing.listed(tmp_path) == []


def forms(place, adapters):
    methods = [describe(registry()[METHOD])]
    return offer(methods, [place[1]], (), adapters)["methods"][0]


def test_forms_offer_the_adapters_by_title_and_nothing_where_there_are_none(place):
    assert adapting.KEY not in forms(place, [])["parameters"]["properties"]
    assert (
        adapting.KEY
        not in forms(place, [files(place)["film"]._replace(family="sdxl")])["parameters"]["properties"]
    )
    info = MethodInfo.from_wire(forms(place, [*files(place).values()]))
    assert info is not None
    (group,) = [field for field in info.fields if field.key == adapting.KEY]
    assert [title for _, title in group.fields[0].choices] == [adapting.NOTHING, "film", "words"]
    values = parse_values(info, [], items=[parse_adapter(info, "Film:-60"), parse_adapter(info, "words")])
    assert values == {
        "adapters": [
            {"file": files(place)["film"].value, "strength": -60.0},
            {"file": files(place)["words"].value},
        ]
    }
    with pytest.raises(VelaturaError, match=r"no adapter 'grain'; there are: film, words"):
        parse_adapter(info, "grain")


def test_every_method_of_a_diffusion_model_takes_adapters_and_no_other():
    for method in registry().values():
        takes = adapting.KEY in describe(method)["parameters"]["properties"]
        kinds = method.generator if isinstance(method.generator, tuple) else (method.generator,)
        assert takes == ("diffusion" in kinds and method.result != "text"), method.id
    assert np.any([adapting.KEY in describe(m)["parameters"]["properties"] for m in registry().values()])


@pytest.mark.parametrize("long", [False, True])
def test_as_many_adapters_are_offered_as_a_message_holds_and_the_rest_is_told(place, long):
    (film,) = (one for one in files(place).values() if one.title == "film")
    name = "a name of many letters, as people give them {:03}" if long else "{:03}"
    many = [film._replace(id=f"{i:032x}", title=name.format(i)) for i in range(listing.MOST)]
    words = [one._replace(id=f"w{one.id[1:]}", word=f"word{i}") for i, one in enumerate(many)]
    methods = [describe(method) for method in registry().values()]
    answer = offer(methods, [place[1]], (), [*words[:250], *many[:250]])
    assert len(canonical({"type": "methods", "seq": 2**53, **answer})) < MAX_JSON
    group = next(m for m in answer["methods"] if m["id"] == METHOD)["parameters"]["properties"]["adapters"]
    values = group["items"]["properties"]["file"]["enum"][1:]
    assert 20 < len(values) < 500 and not any(value.startswith("w") for value in values)
    assert f"{500 - len(values)} more do not fit into the list" in group["description"]
