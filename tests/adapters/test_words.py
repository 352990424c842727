"""Words of textual inversions, against diffusers' own loading of the same vectors, and in edits."""

from __future__ import annotations

import os
import pickle

import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from tests.adapters.files import kohya, random
from tests.methods.requests import Edit, Recorded, box, picture
from tests.tiny import tiny_model
from tests.tiny_flux1 import tiny_flux1
from tests.tiny_sd3 import tiny_sd3
from tests.tiny_sdxl import tiny_sdxl, with_unet
from tests.tiny_t5 import t5_encoder, t5_tokenizer
from velatura.cli.values import parse_adapter, parse_values
from velatura.daemon.broker.submission import complete_request
from velatura.methods.execute import execute
from velatura.methods.registry import describe, offer, registry
from velatura.models import model_files
from velatura.models.adapters import inversions, listing, words
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura.prompt_to_prompt import align, prompt
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.timeout(240)
TEXT = "a photo of oilpaint, blue"


def entry_of(path):
    return ModelEntry("tiny", "Tiny", "diffusers", str(path), 64, found=model_files.found({}, path))


def saved(path, **tensors):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return path


def wearing(model, *paths):
    read = [words.read(path, path.stem, model.networks) for path in paths]
    return model.wearing({}, "words", read)


@pytest.mark.parametrize("count", [1, 3])
def test_the_states_of_a_prompt_are_those_of_diffusers(tmp_path, count):
    folder = tiny_model(tmp_path / "tiny", vae="tiny")
    vectors = random(count, 64)
    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, safety_checker=None, scheduler=EulerDiscreteScheduler(steps_offset=1)
    )
    pipeline.load_textual_inversion({"oilpaint": vectors}, token="oilpaint")
    expected, _ = pipeline.encode_prompt(TEXT, "cpu", 1, do_classifier_free_guidance=False)
    model = ModelStore([entry_of(folder)]).get()
    plain = model.encode_prompt(TEXT).states
    with wearing(model, saved(tmp_path / "oilpaint.safetensors", emb_params=vectors)) as worn:
        torch.testing.assert_close(worn.encode_prompt(TEXT).states, expected, rtol=1e-5, atol=1e-5)
        for text in ("a photo of <OilPaint>, blue", "a photo of embedding:oilpaint.pt, blue"):
            assert worn.encode_prompt(text).states.equal(worn.encode_prompt(TEXT).states)
        assert worn.encode_prompt("a hat").states.equal(model.encode_prompt("a hat").states)
        assert worn.digest != model.digest
        assert worn.tokens_of(TEXT)[0] == model.tokens_of("a photo of , blue")[0] + count
    model._prompts.clear()
    assert model.encode_prompt(TEXT).states.equal(plain)
    assert not plain.allclose(expected, atol=1e-2)
    table = model.text_encoder.get_input_embeddings()
    assert not table._forward_hooks and not table._forward_pre_hooks and table.num_embeddings == 514


def test_both_encoders_of_stable_diffusion_xl_see_their_vectors(tmp_path):
    folder = tiny_sdxl(tmp_path / "xl")
    first, second = random(2, 64), random(2, 128, seed=1)
    pipeline = StableDiffusionXLPipeline.from_pretrained(folder)
    for vectors, encoder, tokenizer in (
        (first, pipeline.text_encoder, pipeline.tokenizer),
        (second, pipeline.text_encoder_2, pipeline.tokenizer_2),
    ):
        pipeline.load_textual_inversion(
            {"oilpaint": vectors}, token="oilpaint", text_encoder=encoder, tokenizer=tokenizer
        )
    states, _, pooled, _ = pipeline.encode_prompt(TEXT, device="cpu", do_classifier_free_guidance=False)
    model = ModelStore([entry_of(folder)]).get()
    with wearing(model, saved(tmp_path / "oilpaint.safetensors", clip_l=first, clip_g=second)) as worn:
        condition = worn.encode_prompt(TEXT)
        torch.testing.assert_close(condition.states, states, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(condition.parts["pooled"], pooled, rtol=1e-5, atol=1e-5)
    for tensors in ({"clip_l": first}, {"clip_l": first, "clip_g": random(3, 128)}, {"x": random(2, 48)}):
        with pytest.raises(VelaturaError, match="was made for other text encoders"):
            words.read(saved(tmp_path / "other.safetensors", **tensors), "other", model.networks)


def test_t5_gives_the_vectors_of_a_word_its_own_place():
    encoder, tokenizer = t5_encoder().eval().requires_grad_(False), t5_tokenizer()
    vectors = random(2, 128, size=1.0)
    word = words.Vectors("oilpaint", {"text_encoder": vectors})
    before = tokenizer("a photo of").input_ids[:-1]
    after = tokenizer(", blue").input_ids
    table = encoder.get_input_embeddings()
    rows = torch.cat([table(torch.tensor(before)), vectors, table(torch.tensor(after))])[None]
    with (
        words.known([word], {"text_encoder": encoder}, {"text_encoder": tokenizer}) as readers,
        torch.no_grad(),
    ):
        ids = readers["text_encoder"](TEXT, return_tensors="pt").input_ids
        found = encoder(ids)[0]
    torch.testing.assert_close(found, encoder(inputs_embeds=rows)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["sd3", "flux1"])
def test_families_with_clip_beside_t5_read_words_and_keep_the_places_of_others(tmp_path, family):
    folder = {"sd3": tiny_sd3, "flux1": tiny_flux1}[family](tmp_path / family)
    model = ModelStore([entry_of(folder)]).get()
    first, second, third = random(2, 64), random(2, 64, seed=1), random(3, 128, seed=2)
    tensors = {"clip_l": first, "clip_g": second, "t5xxl": third}
    if family == "flux1":
        del tensors["clip_g"]
    plain = model.encode_prompt(TEXT)
    with wearing(model, saved(tmp_path / "oilpaint.safetensors", **tensors)) as worn:
        condition = worn.encode_prompt(TEXT)
        for name, part in plain.parts.items():
            assert not part.allclose(condition.parts[name], atol=1e-3)
        assert not condition.states.allclose(plain.states, atol=1e-3)
        tokens = prompt.tokens(worn.tokenized(TEXT), TEXT)
    counts = [3] if family == "flux1" else [2, 3]
    for part, count in zip(tokens.parts, counts, strict=True):
        span = TEXT.index("oilpaint"), TEXT.index(",")
        assert [part.spans[i] for i in part.content if part.ids[i] < 0] == [span] * count
        blue = [i for i in part.content if part.spans[i][0] >= TEXT.index("blue")]
        assert blue and min(blue) > max(i for i in part.content if part.ids[i] < 0)


def test_words_keep_their_maps_where_a_prompt_gets_a_word_of_several_vectors(tmp_path):
    model = ModelStore([entry_of(tiny_model(tmp_path / "tiny", vae="tiny"))]).get()
    before, after = "a red hat", "a <oil-paint> hat"
    path = saved(tmp_path / "a.safetensors", **{"<oil-paint>": random(4, 64)})
    with wearing(model, path) as worn:
        s, t = (prompt.tokens(worn.tokenized(text), text) for text in (before, after))
        own = prompt.indices(t, (2, 13))
        assert own == prompt.indices(t, (3, 6)) and len(own) == 4 and {t.spans[i] for i in own} == {(2, 13)}
        alignment = align.align(before, s, after, t)
    assert alignment.replaced == [((2, 5), (2, 13))]
    red, hat = prompt.indices(s, (2, 5)), prompt.indices(s, (6, 9))
    assert alignment.A[red][:, own].sum(0).tolist() == pytest.approx([len(red) / 4] * 4)
    assert [t.spans[i] for i in prompt.indices(t, (14, 17))] == [(14, 15), (15, 16), (16, 17)]
    assert alignment.A[hat][:, prompt.indices(t, (14, 17))].equal(torch.eye(3))


@pytest.mark.parametrize(
    ("word", "text", "places"),
    [
        ("oilpaint", "an OilPaint, oilpainting, my-oilpaint", ["OilPaint"]),
        ("bad-hands", "bad-hands-5, bad-hands", ["bad-hands"]),
        ("<dog>", "a dog, a <dog> and embedding:dog", ["<dog>", "embedding:dog"]),
        ("a.b", "a.b axb embedding:a.b.safetensors", ["a.b", "embedding:a.b.safetensors"]),
    ],
)
def test_a_word_is_found_whole_and_never_within_another(word, text, places):
    assert [text[start:end] for start, end, _ in inversions.places([word, "bad-hands-5"], text)] == [
        *(["bad-hands-5"] if "hands-5" in text else []),
        *places,
    ]


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A program's folders with textual inversions in each form."""
    folder = tmp_path_factory.mktemp("program")
    own, hub = folder / "embeddings" / "styles", folder / "models--x--cat" / "snapshots" / "1"
    saved(own / "EasyNegative.safetensors", emb_params=random(8, 768))
    saved(own / "photoreal xl.safetensors", clip_l=random(2, 768), clip_g=random(2, 1280))
    saved(own / "dog.safetensors", emb_params=random(1, 768, seed=1))
    saved(own / "a lora.safetensors", **{"lora_unet_x.lora_up.weight": random(4, 2)})
    saved(own / "wide.safetensors", emb_params=random(1, 1000))
    a1111 = {"string_to_token": {"*": 265}, "string_to_param": {"*": random(2, 768, seed=3)}, "name": "grain"}
    torch.save(a1111, own / "grain5.pt")
    torch.save(a1111 | {"step": 7}, own / "older3.pt", _use_new_zipfile_serialization=False)
    hub.mkdir(parents=True)
    torch.save({"<cat-toy>": random(1024, seed=2)}, hub / "learned_embeds.bin")
    torch.save({"<cat-toy>": Evil()}, own / "evil.pt")
    (own / "evil.bin").write_bytes(pickle.dumps(Evil()))
    return folder


def test_textual_inversions_of_every_form_are_found_and_none_runs_code(shelf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = listing.refresh(tmp_path, [shelf])
    assert {one.title: (one.word, one.family, one.width) for one in found} == {
        "EasyNegative": ("EasyNegative", "sd", 768),
        "photoreal xl": ("photoreal xl", "sdxl", 768),
        "dog": ("<dog>", "sd", 768),
        "grain5": ("grain5", "sd", 768),
        "older3": ("older3", "sd", 768),
        "<cat-toy>": ("<cat-toy>", "sd", 1024),
    }
    assert listing.listed(tmp_path) == found
    assert not (tmp_path / "evil").exists()


@pytest.fixture(scope="module")
def place(tmp_path_factory, shelf):
    """A model with a text encoder of CLIP's width, and the list of adapters."""
    folder = tmp_path_factory.mktemp("words")
    path = with_unet(tiny_model(folder / "tiny", vae="tiny"), cross_attention_dim=768)
    config = CLIPTextConfig.from_pretrained(path / "text_encoder")
    config.update({"hidden_size": 768, "num_attention_heads": 12})
    torch.manual_seed(0)
    CLIPTextModel(config).save_pretrained(path / "text_encoder")
    kohya(shelf / "loras" / "film.safetensors", {}, ss_base_model_version="sd_v1")
    listing.refresh(folder, [shelf])
    entry = entry_of(path)
    return folder, entry, ModelStore([entry], adapters=lambda: listing.listed(folder))


def completed(place, prompt="a hat", **parameters):
    folder, entry, _ = place
    asked = Edit(
        picture(),
        box(64, 64, (16, 48), (16, 48)),
        method="blended-latent-diffusion",
        prompt=prompt,
        parameters={"steps": 4, "guidance": 2.0, **parameters},
    )
    listed = {"adapters": lambda: listing.listed(folder)}
    return complete_request(asked.request, registry(), [entry], **listed)[0], asked.blobs


def ran(place, request):
    whole, blobs = request
    hooks = Recorded()
    (layer,) = execute(whole, blobs.__getitem__, place[2], hooks)
    return layer


def chosen(whole):
    return [entry["file"].partition(":")[2] for entry in whole["parameters"].get("adapters", [])]


def test_words_in_any_prompt_become_part_of_the_request(place):
    assert chosen(completed(place)[0]) == []
    assert chosen(completed(place, "a dog with a hat")[0]) == []
    assert chosen(completed(place, "a <dog> in grain5")[0]) == ["dog", "grain5"]
    assert chosen(completed(place, negative_prompt="easynegative, blurry")[0]) == ["EasyNegative"]
    assert chosen(completed(place, "photoreal xl <cat-toy>")[0]) == []  # of other text encoders
    listed = {one.title: one for one in listing.listed(place[0])}
    given = [{"file": listed["grain5"].value, "strength": 60.0}]
    assert completed(place, "grain5", adapters=given)[0]["parameters"]["adapters"] == given
    with pytest.raises(VelaturaError, match=r"at most 8 adapters .* not 9; leave some out: <dog>"):
        completed(place, "a <dog>", adapters=given * 8)


def test_a_word_changes_the_edit_by_its_digest_and_leaves_nothing_behind(place):
    plain = ran(place, completed(place, "a hat in oil"))
    request = completed(place, "a hat in grain5")
    one = ran(place, request)
    assert one.data != plain.data and one.recipe["adapters"][0]["title"] == "grain5"
    assert one.recipe["adapters"][0]["digest"].startswith("blake2b:")
    assert ran(place, completed(place, "a hat in oil")).data == plain.data
    assert ran(place, request).data == one.data
    half = ran(place, completed(place, "a hat in grain5", adapters=[{**_first(request), "strength": 50.0}]))
    assert half.data != one.data
    letters = ran(
        place, (request[0] | {"parameters": request[0]["parameters"] | {"adapters": []}}, request[1])
    )
    assert letters.data not in (one.data, half.data)


def _first(request):
    return request[0]["parameters"]["adapters"][0]


def test_vectors_that_are_no_numbers_are_refused_before_the_model_sees_them(tmp_path):
    model = ModelStore([entry_of(tiny_model(tmp_path / "tiny", vae="tiny"))]).get()
    with pytest.raises(VelaturaError, match="cannot be read from"):
        words.read(
            saved(tmp_path / "grain.safetensors", emb_params=random(2, 64) / 0.0), "grain", model.networks
        )


def test_a_word_that_no_prompt_has_is_told(place):
    listed = {one.title: one for one in listing.listed(place[0])}
    given = [{"file": listed["dog"].value, "strength": 100.0}]
    sentence = "The word “<dog>” changed nothing: write it into the prompt where it should act."
    assert ran(place, completed(place, "a dog", adapters=given)).note == sentence
    assert ran(place, completed(place, "a <dog>", adapters=given)).note == ""


def test_forms_offer_words_as_they_are_written(place):
    folder, entry, _ = place
    methods = [describe(registry()["sdedit"])]
    info = MethodInfo.from_wire(offer(methods, [entry], (), listing.listed(folder))["methods"][0])
    (group,) = [field for field in info.fields if field.key == "adapters"]
    titles = [title for _, title in group.fields[0].choices]
    assert {"dog: write <dog>", "EasyNegative: write EasyNegative"} <= set(titles)
    values = parse_values(info, [], items=[parse_adapter(info, "easynegative:60")])
    value = next(one.value for one in listing.listed(folder) if one.title == "EasyNegative")
    assert values["adapters"] == [{"file": value, "strength": 60.0}]
