"""The files of families with a UNet: variants of folders, checkpoints, parts in files of their own."""

from __future__ import annotations

import dataclasses
import json
import shutil

import gguf
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models import ldm
from tests.models.test_loading import networks
from tests.models.test_unets import loaded, ours
from tests.tiny import tiny_model
from tests.tiny_sdxl import first_encoder, second_encoder, tiny_sdxl, unet_xl, vae_of_files
from velatura.diffusion import schedule
from velatura.models import variants
from velatura.models.catalogue import ModelEntry
from velatura.models.families import sd, sdxl
from velatura.models.families.measuring import measured_prediction, shown
from velatura.models.recognition import Found
from velatura.models.store import ModelStore
from velatura.models.vocabulary import write_tokenizer
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.timeout(240)
CLOSE = {"rtol": 1e-4, "atol": 1e-4}
CPU = (torch.device("cpu"), torch.float32)


def from_file(path):
    return ModelStore([ModelEntry("m", "M", "file", str(path), 64)]).get("m")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("folder"))


def sharded(part, stem, variant, name):
    """Splits the weights of a part into two files; name: of file i of 2."""
    tensors = load_file(part / f"{stem}.safetensors")
    (part / f"{stem}.safetensors").unlink()
    keys, places = sorted(tensors), {}
    for i, some in enumerate((keys[::2], keys[1::2]), start=1):
        file = name.format(stem=stem, i=f"{i:05d}", variant=variant)
        save_file({key: tensors[key].half() for key in some}, part / file, metadata={"format": "pt"})
        places |= dict.fromkeys(some, file)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (part / f"{stem}.safetensors.index.{variant}.json").write_text(json.dumps(index))


STEMS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}


@pytest.mark.parametrize(
    "name", ["{stem}.{variant}-{i}-of-00002.safetensors", "{stem}-{i}-of-00002.{variant}.safetensors"]
)
def test_a_folder_of_half_precision_in_several_files(tmp_path, folder, name):
    copy = shutil.copytree(folder, tmp_path / "folder")
    for part, stem in STEMS.items():
        sharded(copy / part, stem, "fp16", name)
    torch.testing.assert_close(ours(loaded(copy))[0], ours(loaded(folder))[0], rtol=0.0, atol=0.1)


@pytest.mark.parametrize("variant", ["fp16", "bf16", "non_ema", "ema-only"])
def test_a_folder_of_one_variant(tmp_path, folder, variant):
    copy = shutil.copytree(folder, tmp_path / "folder")
    for part, stem in STEMS.items():
        (copy / part / f"{stem}.safetensors").rename(copy / part / f"{stem}.{variant}.safetensors")
    assert ours(loaded(copy))[0].equal(ours(loaded(folder))[0])


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (["fp16.safetensors", "safetensors"], None),
        (["non_ema.safetensors", "fp16.safetensors"], "fp16"),
        (["fp16.safetensors", "bf16.safetensors"], "bf16"),
        (["non_ema.safetensors", "fp16.bin"], "non_ema"),
        (["safetensors.index.json", "fp16.safetensors"], None),
        (["bin"], None),
    ],
)
def test_the_variant_that_is_read(tmp_path, files, wanted):
    for file in files:
        (tmp_path / f"model.{file}").touch()
    assert variants.variant(tmp_path, "model") == wanted


@pytest.mark.parametrize(
    ("read", "beside"),
    [
        (["model.safetensors"], ["model.fp16.safetensors", "other.safetensors"]),
        (["model.fp32.safetensors"], ["model.fp16.safetensors", "model.bf16.safetensors"]),
        (["model.fp16-00001-of-00002.safetensors", "model.fp16-00002-of-00002.safetensors"], ["other.st"]),
        (["model-00001-of-00001.fp16.safetensors"], ["model-00001-of-00001.non_ema.safetensors"]),
    ],
)
def test_the_weights_that_count_are_those_that_are_read(tmp_path, read, beside):
    for name in [*read, *beside]:
        (tmp_path / name).touch()
        if "-of-" in name:  # with shards a library needs the index, which says the variant
            variant = "non_ema" if "non_ema" in name else "fp16"
            (tmp_path / f"model.safetensors.index.{variant}.json").touch()
    assert [path.name for path in variants.weights(tmp_path)] == read


@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(2)
    unet = unet_xl((64, 128, 128), sample_size=128)
    return [part.eval() for part in (unet, vae_of_files(), first_encoder(49408), second_encoder(49408))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, parts):
    """The same model as a folder."""
    folder = tiny_sdxl(tmp_path_factory.mktemp("whole"))
    unet, vae, first, second = parts
    for part, name in ((unet, "unet"), (vae, "vae"), (first, "text_encoder"), (second, "text_encoder_2")):
        shutil.rmtree(folder / name)
        part.save_pretrained(folder / name)
    for name, pad in (("tokenizer", "<|endoftext|>"), ("tokenizer_2", "!")):
        shutil.rmtree(folder / name)
        write_tokenizer(folder / name, pad)
    return loaded(folder)


@torch.inference_mode()
def same(model, whole):
    """Asserts that two models are of the same networks, and read texts alike."""
    for text in ("a photo of a cat", ""):
        found, expected = model.encode_prompt(text), whole.encode_prompt(text)
        torch.testing.assert_close(found.states, expected.states, **CLOSE)
        torch.testing.assert_close(found.parts["pooled"], expected.parts["pooled"], **CLOSE)
    torch.testing.assert_close(ours(model)[0], ours(whole)[0], **CLOSE)
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    z = whole.encode(image)
    torch.testing.assert_close(model.encode(image), z, **CLOSE)
    torch.testing.assert_close(model.decode(z), whole.decode(z), **CLOSE)


def test_a_checkpoint_of_sdxl_is_the_model_it_was_written_from(tmp_path, parts, whole):
    model = from_file(ldm.write_xl(tmp_path / "model.safetensors", *parts))
    assert isinstance(model, sdxl.StableDiffusionXL)
    assert (model.prediction, model.size, model.guidance_rescale) == ("epsilon", 1024, 0.0)
    same(model, whole)


def test_markers_in_a_checkpoint_are_believed(tmp_path, parts):
    model = from_file(ldm.write_xl(tmp_path / "model.safetensors", *parts, markers=("v_pred", "ztsnr")))
    assert (model.prediction, model.guidance_rescale) == ("v_prediction", 0.7)
    assert model.training_sigmas[-1] == pytest.approx(4096, rel=1e-3)


def test_parts_in_files_of_their_own_are_one_model(tmp_path, parts, whole):
    files = ldm.parts_xl(tmp_path, *parts)
    same(sdxl.load(Found("sdxl", "file", files["unet"], 1024, parts=files), "m", "d", *CPU), whole)
    for part in ("vae", "text_encoder", "text_encoder_2"):
        some = {name: file for name, file in files.items() if name != part}
        with pytest.raises(VelaturaError, match="lacks"):
            sdxl.load(Found("sdxl", "file", files["unet"], 1024, parts=some), "m", "d", *CPU)


def write_gguf(path, tensors, *, quantised):
    """A .gguf file of F32, or with its matrices in Q8_0."""
    writer = gguf.GGUFWriter(str(path), "sdxl")
    for name, tensor in tensors.items():
        array = tensor.detach().float().contiguous().numpy()
        if quantised and array.ndim == 2 and array.shape[1] % 32 == 0:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(("quantised", "most"), [(False, 1e-4), (True, 0.2)])
def test_a_unet_in_gguf_is_the_same(tmp_path, parts, whole, quantised, most):
    files = ldm.parts_xl(tmp_path, *parts)
    files["unet"] = write_gguf(tmp_path / "unet.gguf", load_file(files["unet"]), quantised=quantised)
    model = sdxl.load(Found("sdxl", "gguf", files["unet"], 1024, parts=files), "m", "d", *CPU)
    difference = (ours(model)[0] - ours(whole)[0]).abs().max()
    assert difference < most and bool(difference > 1e-4) == quantised


def test_weights_of_8_bits_are_multiplied_by_the_scales_beside_them(tmp_path):
    value, scale = torch.randn(4, 4).to(torch.float8_e4m3fn), torch.tensor(0.25)
    of = "model.diffusion_model."
    tensors = {f"{of}input_blocks.0.0.weight": torch.ones(2, 2), f"{of}a.weight": value}
    save_file(
        {**tensors, f"{of}a.scale_weight": scale, "scaled_fp8": torch.zeros(2)}, tmp_path / "m.safetensors"
    )
    found = sd.unet_files.ldm.weights(tmp_path / "m.safetensors", "unet", torch.float32)
    assert found.keys() == tensors.keys()
    assert torch.equal(found[f"{of}a.weight"], value.float() * 0.25)


def test_another_autoencoder_replaces_that_of_a_checkpoint(tmp_path, parts, folder):
    path = ldm.write_xl(tmp_path / "model.safetensors", *parts)
    found = Found("sdxl", "file", path, 1024, parts={"vae": folder / "vae"})
    model, other = sdxl.load(found, "m", "d", *CPU), loaded(folder)
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    assert model.encode(image).equal(other.encode(image))


def refusal(found, module=sd):
    with pytest.raises(VelaturaError) as refused:
        module.load(found, "m", "d", *CPU)
    assert refused.value.code == "unknown-model"
    return refused.value.message


def test_files_of_other_networks_are_named(tmp_path):
    def file(**tensors):
        tensors = {key.replace("__", "."): torch.zeros(shape) for key, shape in tensors.items()}
        return refusal(Found("sd", "file", ldm.save(tmp_path / "x.safetensors", tensors), 512))

    conv, out = (f"model__diffusion_model__{name}__weight" for name in ("input_blocks__0__0", "out__2"))
    assert "not a whole" in file(lora_unet_down=[1])
    assert "5 channels" in file(**{conv: [32, 5, 3, 3], out: [4, 32, 3, 3]})
    labels = {"model__diffusion_model__label_emb__0__0__weight": [32, 32]}
    assert "further inputs" in file(**{conv: [32, 4, 3, 3], out: [4, 32, 3, 3], **labels})


@pytest.mark.parametrize(
    ("file", "changed", "said"),
    [
        ("unet/config.json", {"in_channels": 5}, "5 channels"),
        ("unet/config.json", {"_class_name": "UNet3DConditionModel"}, "UNet3DConditionModel"),
        ("unet/config.json", {"class_embed_type": "projection"}, "further inputs"),
        ("vae/config.json", {"_class_name": "AutoencoderDC"}, "AutoencoderDC"),
        ("scheduler/scheduler_config.json", {"_class_name": "EDMEulerScheduler"}, "other noise levels"),
        ("scheduler/scheduler_config.json", {"prediction_type": "flow"}, "predicts 'flow'"),
    ],
)
def test_folders_of_other_networks_are_named(tmp_path, folder, file, changed, said):
    copy = shutil.copytree(folder, tmp_path / "folder")
    config = json.loads((copy / file).read_text())
    (copy / file).write_text(json.dumps(config | changed))
    assert said in refusal(Found("sd", "folder", copy, 64))


def test_a_folder_without_a_part_is_named(tmp_path, folder):
    copy = shutil.copytree(folder, tmp_path / "folder")
    shutil.rmtree(copy / "vae")
    assert "no folder 'vae'" in refusal(Found("sd", "folder", copy, 64))


@torch.inference_mode()
def teach(model, prediction):
    """Fits the UNet's last layer by least squares, so that it predicts this of the photograph."""
    z, n = shown(model)
    x, inputs = (z + n) / 2.0**0.5, []
    hook = model.unet.conv_out.register_forward_pre_hook(lambda layer, args: inputs.append(args[0]))
    model.network(x, schedule.time(model.training_sigmas, 1.0), model.encode_prompt(""))
    hook.remove()
    columns = torch.nn.functional.unfold(inputs[0], 3, padding=1)[0].T
    target = {"epsilon": n, "v_prediction": (n - z) / 2.0**0.5, "sample": z}[prediction]
    weights = torch.linalg.lstsq(columns, target[0].flatten(1).T).solution
    model.unet.conv_out.weight.copy_(weights.T.reshape(model.unet.conv_out.weight.shape))
    model.unet.conv_out.bias.zero_()


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_the_prediction_of_a_network_is_measured(folder, prediction):
    model = loaded(folder)
    own = float(shown(model)[0].std())
    model.autoencoder.register_to_config(scaling_factor=0.18215 / own)  # as latents of a trained one
    assert measured_prediction(model) == ""  # of random weights
    teach(model, prediction)
    assert measured_prediction(model) == prediction and model.prediction == "epsilon"


@pytest.mark.parametrize(("prediction", "side"), [("epsilon", 64), ("v_prediction", 96)])
def test_checkpoints_of_sd2_are_told_apart(tmp_path, prediction, side):
    unet, vae, text = networks((64, 128, 128), open_clip=True)
    path = ldm.write(tmp_path / "model.safetensors", unet, vae, text, open_clip=True)
    found = Found("sd", "file", path, 768)
    model = sd.load(found, "m", "d", *CPU)
    assert model.prediction == "v_prediction"  # of random weights: that of the published ones
    teach(model, prediction)
    ldm.write(path, model.unet, vae, text, open_clip=True)
    taught = sd.load(found, "m", "d", *CPU)
    assert (taught.prediction, taught.latent_size) == (prediction, side)
    asked = dataclasses.replace(found, prediction="sample", chosen=True)
    assert sd.load(asked, "m", "d", *CPU).prediction == "sample"
