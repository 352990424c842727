"""The loader: every form a model comes in, and what is refused."""

import json
import pickle
import shutil
import zipfile

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from tests.models import ldm
from tests.tiny import tiny_model
from velatura.attention.places import halved
from velatura.diffusion.condition import Condition
from velatura.models import catalogue, headers
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura.models.vocabulary import write_tokenizer
from velatura_protocol.errors import VelaturaError


def loaded(path, kind="diffusers"):
    return ModelStore([ModelEntry("m", "M", kind, str(path), 64)]).get("m")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize("vae", ["kl", "tiny"])
def test_a_diffusers_folder(tmp_path, vae):
    model = loaded(tiny_model(tmp_path, vae=vae, prediction="v_prediction", zero_snr=True))
    assert (model.size, model.factor, model.multiple) == (64, 8, 16)
    assert model.prediction == "v_prediction"
    assert model.guidance_rescale == 0.7
    assert model.training_sigmas[-1] == pytest.approx(4096, rel=1e-3)
    z = model.encode(torch.zeros(2, 3, 64, 48))
    assert z.shape == (2, 4, 8, 6) and z.dtype == torch.float32
    assert model.decode(z).shape == (2, 3, 64, 48)
    assert model.encode_prompt("a hat").states.shape == (1, 77, 64)


def test_what_the_autoencoder_gives_is_scaled(folder):
    model = loaded(folder)
    assert model.guidance_rescale == 0.0
    vae = AutoencoderKL.from_pretrained(folder / "vae", low_cpu_mem_usage=False)
    x = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.inference_mode():
        z = vae.encode(x).latent_dist.mode()
        torch.testing.assert_close(model.encode(x), z * 0.18215, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            model.decode(z * 0.18215), vae.decode(z).sample.clamp(-1, 1), rtol=1e-4, atol=1e-4
        )


def networks(channels, *, open_clip):
    """The three networks of a small Stable Diffusion 1 or 2, with CLIP's vocabulary."""
    torch.manual_seed(1)
    kwargs = {"attention_head_dim": [c // 64 for c in channels], "use_linear_projection": True}
    unet = UNet2DConditionModel(
        sample_size=64,
        block_out_channels=channels,
        layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=64,
        **(kwargs if open_clip else {"attention_head_dim": 8}),
    )
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        scaling_factor=0.18215,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=1,
            hidden_act="gelu" if open_clip else "quick_gelu",
            bos_token_id=49406,
            eos_token_id=49407,
        )
    )
    return unet.eval(), vae.eval(), text.eval()


@pytest.mark.parametrize("open_clip", [False, True], ids=["sd1", "sd2"])
def test_a_single_file_is_the_model_it_was_written_from(tmp_path, open_clip):
    unet, vae, text = networks((64, 128, 128) if open_clip else (32, 64, 64), open_clip=open_clip)
    path = ldm.write(tmp_path / "model.ckpt", unet, vae, text, open_clip=open_clip)  # the name tells nothing
    model = loaded(path, "file")
    assert model.prediction == ("v_prediction" if open_clip else "epsilon")
    assert model.training_sigmas[-1] == pytest.approx(14.6146, abs=1e-3)
    ids = torch.tensor([[49406, 320, 1125, 539, 320, 2368, 49407]])
    assert model.tokenizer("a photo of a cat").input_ids == ids[0].tolist()
    x, t, c = torch.randn(2, 4, 16, 16), torch.tensor([300, 300]), torch.randn(2, 77, 64)
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.inference_mode():
        close = {"rtol": 1e-4, "atol": 1e-4}
        torch.testing.assert_close(model.network(x, 300.0, Condition(c)), unet(x, t, c).sample, **close)
        torch.testing.assert_close(
            model.text_encoder(ids).last_hidden_state, text(ids).last_hidden_state, **close
        )
        torch.testing.assert_close(
            model.encode(image), vae.encode(image).latent_dist.mode() * 0.18215, **close
        )
        torch.testing.assert_close(
            model.decode(x[:1]), vae.decode(x[:1] / 0.18215).sample.clamp(-1, 1), **close
        )


def test_notes_of_a_single_file_are_believed(tmp_path):
    parts = networks((32, 64, 64), open_clip=False)
    noted = ldm.write(tmp_path / "v.safetensors", *parts, **{"modelspec.prediction_type": "v"})
    assert loaded(noted, "file").prediction == "v_prediction"


def refusal(path, kind):
    with pytest.raises(VelaturaError) as refused:
        loaded(path, kind)
    assert refused.value.code == "unknown-model"
    return refused.value.message


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_pickles_are_never_opened(tmp_path, folder):
    for name in ("model.ckpt", "model.safetensors"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
        assert "not a .safetensors or .gguf file; choose one" in refusal(tmp_path / name, "file")
    with zipfile.ZipFile(tmp_path / "zip.safetensors", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    assert "not a .safetensors or .gguf file; choose one" in refusal(tmp_path / "zip.safetensors", "file")
    copy = shutil.copytree(folder, tmp_path / "folder")
    (copy / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (copy / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    assert "no .safetensors weights in unet" in refusal(copy, "diffusers")


def test_other_kinds_of_model_are_named(tmp_path, folder):
    copy = shutil.copytree(folder, tmp_path / "folder")
    config = json.loads((copy / "unet" / "config.json").read_text())
    shutil.rmtree(copy / "vae")
    assert "lacks the autoencoder (VAE)" in refusal(copy, "diffusers")
    (copy / "unet" / "config.json").write_text(json.dumps(config | {"_class_name": "UNet3DConditionModel"}))
    assert "of a kind that Velatura does not know" in refusal(copy, "diffusers")


@pytest.mark.parametrize(
    "damage", ["scheduler/scheduler_config.json", "unet/config.json", "tokenizer/vocab.json"]
)
def test_damaged_folders_are_refused(tmp_path, folder, damage):
    copy = shutil.copytree(folder, tmp_path / "folder")
    (copy / damage).write_text("{")
    assert "fetch it again" in refusal(copy, "diffusers")


def test_truncated_weights_are_refused(tmp_path, folder):
    copy = shutil.copytree(folder, tmp_path / "folder")
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert "fetch it again" in refusal(copy, "diffusers")


def test_a_hub_model_that_cannot_be_fetched(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "could not be fetched" in refusal("nobody/no-such-model", "hub")


@pytest.mark.parametrize("length", [0, 1, 10**6, 2**63])
def test_headers_that_lie(tmp_path, length):
    path = tmp_path / "x.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b"{}")
    with pytest.raises(VelaturaError):
        headers.read_header(path)


def test_digests_tell_weights_apart_and_are_remembered(tmp_path, folder):
    entry = ModelEntry("m", "M", "diffusers", str(folder), 64)
    first = ModelStore([entry], memory=tmp_path / "digests.json").get().digest
    moved = shutil.copytree(folder, tmp_path / "moved")
    assert loaded(moved).digest == first
    config = moved / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text() + " ")
    assert loaded(moved).digest != first
    known = json.loads((tmp_path / "digests.json").read_text())
    assert all(str(folder) in key for key in known)
    (tmp_path / "digests.json").write_text(json.dumps(dict.fromkeys(known, "0" * 64)))
    assert ModelStore([entry], memory=tmp_path / "digests.json").get().digest != first  # it was believed


def test_the_store_keeps_one_model(tmp_path):
    entries = [
        ModelEntry(name, name, "diffusers", str(tiny_model(tmp_path / name, seed=i)), 64)
        for i, name in enumerate("ab")
    ]
    store = ModelStore(lambda: entries)
    assert store.loaded() == ""
    a = store.get()
    assert store.get("a") is a and store.loaded() == "a"
    b = store.get("b")
    assert store.loaded() == "b" and b.digest != a.digest
    store.unload()
    assert store.loaded() == ""
    entries.pop(0)
    assert store.get().id == "b"
    with pytest.raises(VelaturaError, match="no model 'a'"):
        store.get("a")


def test_half_precision_that_overflows_is_redone(folder):
    model = loaded(folder)
    model.autoencoder.half()
    with torch.no_grad():
        model.autoencoder.post_quant_conv.weight.fill_(6e4)
    z = torch.ones(1, 4, 8, 8)
    assert np.isfinite(model.decode(z).numpy()).all()
    assert model.autoencoder.dtype == torch.float32


def test_prompts_are_counted_as_the_model_reads_them(folder):
    model = loaded(folder)
    model.check_prompt("x" * 75)
    with pytest.raises(VelaturaError, match="1 word too long") as refused:
        model.check_prompt("x" * 76)
    assert refused.value.code == "prompt-too-long"
    assert model.encode_prompt("a") is model.encode_prompt("a")


def test_the_vocabulary_is_clips(tmp_path):
    write_tokenizer(tmp_path, pad="<|endoftext|>")
    tokenizer = CLIPTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) == 49408
    assert tokenizer("hello world!").input_ids == [49406, 3306, 1002, 256, 49407]


def test_the_catalogue(tmp_path, folder):
    embedded, *_ = catalogue.entries(tmp_path)
    assert embedded.id == "velatura-mini"
    catalogue.add(tmp_path, "mine", str(folder), "Mine")
    catalogue.add(tmp_path, "sd", "stable-diffusion-v1-5/stable-diffusion-v1-5")
    sd, mine, *_ = catalogue.entries(tmp_path)
    assert (mine.kind, mine.size, mine.title) == ("diffusers", 64, "Mine")
    assert (sd.kind, sd.size) == ("hub", 512)
    for id, path, code in [("mine", str(folder), "bad-request"), ("x", "/no/such/place", "unknown-model")]:
        with pytest.raises(VelaturaError) as refused:
            catalogue.add(tmp_path, id, path)
        assert refused.value.code == code
    catalogue.remove(tmp_path, "sd")
    assert [entry.id for entry in catalogue.entries(tmp_path)] == ["mine", *catalogue.EMBEDDED]
    with pytest.raises(VelaturaError):
        catalogue.remove(tmp_path, "velatura-mini")
    (tmp_path / "models.json").write_text("{")
    with pytest.raises(VelaturaError, match="mend or delete"):
        catalogue.entries(tmp_path)


@torch.inference_mode()
def test_a_network_computes_what_it_did_before_its_attention_was_held(folder):
    """Bit for bit: taking the attention in hand changes no edit."""
    model = loaded(folder)
    plain = UNet2DConditionModel.from_pretrained(folder / "unet", low_cpu_mem_usage=False)
    plain.to(memory_format=torch.channels_last)
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    x = x.to(memory_format=torch.channels_last)
    c = torch.randn(2, 9, 64, generator=torch.Generator().manual_seed(2))
    valid = torch.arange(9).expand(2, -1) < torch.tensor([[9], [4]])
    t = torch.full((2,), 300.0)
    assert model.network(x, 300.0, Condition(c)).equal(plain(x, t, c).sample)
    masked = plain(x, t, c, encoder_attention_mask=valid).sample
    assert model.network(x, 300.0, Condition(c, valid)).equal(masked)
    assert not masked.equal(plain(x, t, c).sample)
    with pytest.raises(NotImplementedError, match="mask"):
        model.network(x, 300.0, Condition(c, valid), lambda place, q, k, v: q)


@torch.inference_mode()
@pytest.mark.parametrize("size", [(8, 8), (12, 6), (7, 10)], ids=str)
def test_a_place_says_its_level(folder, size):
    model, seen = loaded(folder), {}

    def look(place, q, k, v):
        seen[place.name, place.kind] = (place.level, q.shape[-2])
        return torch.nn.functional.scaled_dot_product_attention(q, k, v)

    model.network(torch.zeros(1, 4, *size), 300.0, model.encode_prompt("a hat"), look)
    assert {name.split(".")[0] for name, _ in seen} == {"down_blocks", "mid_block", "up_blocks"}
    assert {kind for _, kind in seen} == {"cross", "self"}
    for level, queries in seen.values():
        assert queries == halved(size[0], level) * halved(size[1], level)
    assert {level for (_, kind), (level, _) in seen.items() if kind == "cross"} == set(model.attention_levels)
