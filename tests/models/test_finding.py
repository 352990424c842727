"""Models and their parts are found where other programs keep them, and nothing there is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.models import layouts as real
from tests.tiny import tiny_model
from velatura.models import (
    catalogue,
    finding,
    header_cache,
    model_files,
    other_programs,
    recognition,
    shelves,
    traits,
)
from velatura.models.headers import read_header
from velatura_protocol.errors import VelaturaError

FLUX_PARTS = ("vae", "text_encoder", "text_encoder_2", "tokenizer_2")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """A home without models of other programs."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    for name in (
        "HF_HOME",
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "XDG_CACHE_HOME",
        "XDG_DATA_HOME",
        "APPDATA",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("INVOKEAI_ROOT", raising=False)
    return home


def tokenizer(folder: Path, cls: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": cls}))
    return folder


def comfy(root: Path) -> Path:
    """ComfyUI as its users have it: parts of FLUX.1, Z-Image and Qwen-Image in folders by kind."""
    models = root / "models"
    real.write(models / "checkpoints" / "sdxl" / "sd_xl_base_1.0.safetensors", real.sdxl_checkpoint())
    real.write(models / "checkpoints" / "v1-5.safetensors", real.sd1_checkpoint())
    real.write(models / "diffusion_models" / "flux1-dev.safetensors", real.flux1(), "BF16")
    real.write(models / "diffusion_models" / "z_image_turbo_bf16.safetensors", real.z_image(), "BF16")
    real.write_gguf(
        models / "unet" / "qwen-image-edit-Q4_K_M.gguf",
        real.qwen_image(),
        {"general.architecture": "qwen_image"},
    )
    real.write(models / "vae" / "ae.safetensors", real.vae(16), "F32")
    real.write(models / "vae" / "qwen_image_vae.safetensors", real.vae_qwen(), "BF16")
    real.write(models / "vae" / "wan_2.1_vae.safetensors", real.vae_qwen(), "BF16")
    real.write(models / "text_encoders" / "clip_l.safetensors", real.clip())
    real.write(models / "text_encoders" / "clip_g.safetensors", real.clip(1280, 32))
    real.write(models / "text_encoders" / "t5xxl_fp16.safetensors", real.t5())
    real.write(models / "text_encoders" / "umt5_xxl_fp16.safetensors", real.t5(vocabulary=256384))
    scaled = {**real.t5(), "scaled_fp8": (2,), "encoder.block.0.layer.0.SelfAttention.q.scale_weight": ()}
    real.write(models / "text_encoders" / "a_t5xxl_fp8_e4m3fn_scaled.safetensors", scaled, "F8_E4M3")
    real.write(models / "text_encoders" / "qwen_3_4b.safetensors", real.qwen3(), "BF16")
    real.write(models / "text_encoders" / "qwen_3_8b.safetensors", real.qwen3(4096), "BF16")
    real.write(models / "text_encoders" / "qwen_2.5_vl_7b.safetensors", real.qwen25_vl(), "BF16")
    real.write(models / "loras" / "detail.safetensors", real.lora_kohya())
    tokenizer(root / "comfy" / "text_encoders" / "t5_tokenizer", "T5Tokenizer")
    tokenizer(root / "comfy" / "text_encoders" / "qwen25_tokenizer", "Qwen2Tokenizer")
    return root


def names(path: Path) -> set[str]:
    return {str(one.relative_to(path)) for one in path.rglob("*")}


def test_all_models_of_comfyui_are_found_with_their_parts(tmp_path):
    root = comfy(tmp_path / "ComfyUI")
    before = names(root)
    seen = {one.id: one for one in finding.refresh(tmp_path / "state", [str(root)])}
    assert {id: one.found.family for id, one in seen.items()} == {
        "sd_xl_base_1.0": "sdxl",
        "v1-5": "sd",
        "flux1-dev": "flux1",
        "z_image_turbo_bf16": "z-image",
        "qwen-image-edit-Q4_K_M": "qwen-image",
    }
    assert not any(one.note for one in seen.values())
    assert {name: seen["flux1-dev"].found.parts[name].name for name in FLUX_PARTS} == {
        "vae": "ae.safetensors",
        "text_encoder": "clip_l.safetensors",
        "text_encoder_2": "t5xxl_fp16.safetensors",  # neither the scaled one nor the video models' UMT5
        "tokenizer_2": "t5_tokenizer",
    }
    z_image, qwen = seen["z_image_turbo_bf16"].found.parts, seen["qwen-image-edit-Q4_K_M"].found.parts
    assert (z_image["vae"].name, z_image["text_encoder"].name) == ("ae.safetensors", "qwen_3_4b.safetensors")
    assert (qwen["vae"].name, qwen["text_encoder"].name) == (
        "qwen_image_vae.safetensors",
        "qwen_2.5_vl_7b.safetensors",
    )
    assert names(root) == before

    offered = [entry.id for entry in catalogue.entries(tmp_path / "state")]
    assert offered[: len(catalogue.EMBEDDED)] == list(catalogue.EMBEDDED)  # the default stays what it was
    assert set(offered[len(catalogue.EMBEDDED) :]) == set(seen)


def test_a_model_that_was_found_can_be_chosen_and_is_read_in_its_place(tmp_path):
    folder = tiny_model(tmp_path / "models" / "my model")
    (found,) = finding.refresh(tmp_path / "state", [str(tmp_path / "models")])
    entry = catalogue.entry_of(catalogue.entries(tmp_path / "state"), found.id)
    assert (entry.id, entry.path, entry.size) == ("my-model", str(folder), 64)
    catalogue.add(tmp_path / "state", "mine", str(folder))  # then it is listed once, under the person's name
    assert [e.id for e in catalogue.entries(tmp_path / "state") if e.path == str(folder)] == ["mine"]


def test_folders_stay_known_until_they_are_forgotten(tmp_path):
    real.write(tmp_path / "here" / "v1-5.safetensors", real.sd1_checkpoint())
    state = tmp_path / "state"
    assert len(finding.refresh(state, [str(tmp_path / "here")])) == len(finding.refresh(state)) == 1
    assert finding.refresh(state, forget=True) == []
    with pytest.raises(VelaturaError, match="no folder"):
        finding.refresh(state, [str(tmp_path / "absent")])


def test_paths_of_comfyui_beside_its_own(tmp_path):
    root, other = tmp_path / "ComfyUI", tmp_path / "elsewhere"
    real.write(root / "models" / "diffusion_models" / "flux1-schnell.safetensors", real.flux1(guidance=False))
    real.write(other / "sd" / "v1-5.safetensors", real.sd1_checkpoint())
    real.write(other / "vaes" / "ae.safetensors", real.vae(16))
    (root / "extra_model_paths.yaml").write_text(
        f"comfyui:\n  base_path: {other}\n  checkpoints: sd/\n  vae: |\n    vaes\n    absent\n"
        "empty:\nnumber: 3\nlist:\n  - a\n"
    )
    seen = {one.id: one for one in finding.refresh(tmp_path / "state", [str(root)])}
    assert set(seen) == {"flux1-schnell", "v1-5"}
    assert seen["flux1-schnell"].found.parts["vae"] == other / "vaes" / "ae.safetensors"
    assert (
        "lacks the text encoder CLIP-L and the text encoder T5-XXL and the tokenizer"
        in seen["flux1-schnell"].note
    )
    assert "velatura models find FOLDER" in seen["flux1-schnell"].note
    assert "flux1-schnell" not in {entry.id for entry in catalogue.entries(tmp_path / "state")}


@pytest.mark.parametrize(
    "text", ["", "3", "[1]", "a: [", "!!python/object/apply:os.system ['x']", "a: &a [*a]"]
)
def test_a_list_of_paths_that_makes_no_sense_has_none(tmp_path, text):
    (tmp_path / "extra_model_paths.yaml").write_text(text)
    assert other_programs.extra_paths(tmp_path / "extra_model_paths.yaml") == []


def test_the_places_of_other_programs(nowhere, monkeypatch):
    real.write(nowhere / "ComfyUI" / "models" / "checkpoints" / "a.safetensors", real.sd1_checkpoint())
    real.write(nowhere / "invokeai" / "models" / "0a1b" / "b.safetensors", real.sd1_checkpoint())
    forge = nowhere / "stable-diffusion-webui-forge" / "models"
    real.write(forge / "Stable-diffusion" / "c.safetensors", real.sdxl_checkpoint())
    assert {one.id for one in finding.refresh(nowhere / "state")} == {"a", "b", "c"}
    monkeypatch.setenv("INVOKEAI_ROOT", str(nowhere / "other"))
    real.write(nowhere / "other" / "models" / "d.safetensors", real.sd1_checkpoint())
    assert {one.id for one in finding.refresh(nowhere / "state")} == {"a", "b", "c", "d"}


def test_the_hubs_cache(nowhere):
    repository = nowhere / ".cache" / "huggingface" / "hub" / "models--someone--Tiny-Turbo"
    for revision in ("old", "new"):
        tiny_model(repository / "snapshots" / revision)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("new")
    (one,) = finding.refresh(nowhere / "state")
    assert (one.id, one.found.path) == ("Tiny-Turbo", repository / "snapshots" / "new")
    assert traits.FEW_STEPS in one.found.traits  # its repository says so
    assert recognition.recognise(repository) == one.found


def test_links_are_followed_and_a_circle_ends(tmp_path):
    real.write(tmp_path / "disk" / "v1-5.safetensors", real.sd1_checkpoint())
    (tmp_path / "models").mkdir()
    os.symlink(tmp_path / "disk", tmp_path / "models" / "checkpoints")
    os.symlink(tmp_path / "models", tmp_path / "models" / "again")
    os.symlink(tmp_path / "disk" / "v1-5.safetensors", tmp_path / "models" / "same.safetensors")
    assert len(finding.refresh(tmp_path / "state", [str(tmp_path / "models")])) == 1


def test_a_header_is_read_once_until_the_file_changes(tmp_path, monkeypatch):
    read: list[Path] = []
    monkeypatch.setattr(header_cache, "read_header", lambda path: read.append(path) or read_header(path))
    folder = tmp_path / "checkpoints"
    for i in range(5):
        real.write(folder / f"m{i}.safetensors", real.sdxl_checkpoint())
    for _ in range(3):
        assert len(finding.refresh(tmp_path / "state", [str(folder)])) == 5
        catalogue.entries(tmp_path / "state")
    assert len(read) == 5
    time.sleep(0.01)
    real.write(folder / "m0.safetensors", real.lora_kohya())
    assert len(finding.refresh(tmp_path / "state")) == 4
    assert len(read) == 6


def test_adding_says_what_a_model_is_what_it_costs_and_where_its_parts_are(tmp_path):
    root = comfy(tmp_path / "ComfyUI")
    path = root / "models" / "diffusion_models" / "flux1-dev.safetensors"
    shelved = shelves.Shelves(other_programs.shelves_of(root))
    entry = catalogue.add(tmp_path, "flux", str(path), shelves=shelved)
    assert entry.fault == "" and catalogue.entries(tmp_path)[0] == entry
    general = {name: value for name, value in entry.defaults.items() if "." not in name}
    assert general == {"cross_until": 0.0, "guidance": 3.5, "steps": 28}
    cost = model_files.weights(entry.found)
    for dtype, name in (("BF16", path), ("F32", root / "models" / "vae" / "ae.safetensors")):
        header = read_header(name)
        assert cost[dtype] == header.weights()[dtype]
        assert sum(header.weights().values()) == name.stat().st_size - 8 - len_of_header(name)
    lines = "\n".join(model_files.described(entry.found, cost))
    assert "FLUX.1, 1024 px" in lines and "GiB of memory" in lines
    assert f"takes the autoencoder (VAE) from {root / 'models' / 'vae' / 'ae.safetensors'}" in lines


def len_of_header(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[:8], "little")


def test_what_cannot_edit_never_becomes_the_default(tmp_path):
    path = real.write(tmp_path / "z_image_turbo.safetensors", real.z_image())
    entry = catalogue.add(tmp_path / "state", "z", str(path))
    assert (
        "lacks the autoencoder (VAE) and the text encoder Qwen3-4B and the tokenizer of Qwen" in entry.fault
    )
    assert [e.id for e in catalogue.entries(tmp_path / "state")][-1] == "z"
    with pytest.raises(VelaturaError, match="lacks"):
        catalogue.change(tmp_path / "state", "z", first=True)

    real.write(tmp_path / "vae" / "ae.safetensors", real.vae(16))
    real.write(tmp_path / "text_encoders" / "qwen_3_4b.safetensors", real.qwen3())
    tokenizer(tmp_path / "qwen", "Qwen2TokenizerFast")
    finding.refresh(tmp_path / "state", [str(tmp_path)])  # the sentence's own advice
    first = catalogue.entries(tmp_path / "state")[0]
    assert (first.id, first.fault) == ("z", "")
    general = {name: value for name, value in first.defaults.items() if "." not in name}
    assert general == {"cross_until": 0.0, "guidance": 1.0, "steps": 9}


@pytest.mark.parametrize(
    ("name", "shapes", "sentence"),
    [
        ("detail", real.lora_kohya(), "is an adapter (LoRA), which cannot edit by itself"),
        ("canny", real.controlnet(), "is a ControlNet, which"),
        ("ae", real.vae(16), "is an autoencoder (VAE), which"),
        ("refiner", real.refiner_checkpoint(), "is the refiner of Stable Diffusion XL"),
        ("other", {"a.weight": (3, 3)}, "of a kind that Velatura does not know"),
        (
            "svdq-int4",
            {**real.flux1(), "double_blocks.0.img_attn.proj.qweight": (4, 4)},
            "packed for one kind of card",
        ),
    ],
)
def test_what_is_no_model_is_refused_at_once(tmp_path, name, shapes, sentence):
    path = real.write(tmp_path / f"{name}.safetensors", shapes, "U8" if "svdq" in name else "F16")
    with pytest.raises(VelaturaError) as refused:
        catalogue.add(tmp_path, "x", str(path))
    assert sentence in refused.value.message
    assert not (tmp_path / "models.json").exists()


def test_a_download_that_broke_off_is_refused_at_once(tmp_path):
    path = real.write(tmp_path / "v1-5.safetensors", real.sd1_checkpoint())
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size - 1)
    folder = tiny_model(tmp_path / "folder")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    with weights.open("rb+") as file:
        file.truncate(weights.stat().st_size - 1)
    for place in (path, folder):
        with pytest.raises(VelaturaError, match="a download broke off; fetch it again"):
            catalogue.add(tmp_path, "x", str(place))


def test_choices_of_the_person_are_kept_and_loaded(tmp_path):
    path = real.write(tmp_path / "noob.safetensors", real.sdxl_checkpoint())
    vae = real.write(tmp_path / "vae" / "sdxl_vae.safetensors", real.vae())
    chosen = {"prediction": "v_prediction", "vae": str(vae), "clip_skip": 2, "dtype": "bfloat16"}
    catalogue.add(tmp_path, "noob", str(path), **chosen)
    (item,) = json.loads((tmp_path / "models.json").read_text())
    assert {name: item[name] for name in chosen} == chosen
    entry = catalogue.entries(tmp_path)[0]
    assert entry.dtype == "bfloat16"
    assert (entry.found.prediction, entry.found.clip_skip, entry.found.parts["vae"]) == (
        "v_prediction",
        2,
        vae,
    )
    assert traits.V_PREDICTION in entry.found.traits
    catalogue.change(tmp_path, "noob", prediction="", vae="", dtype="")
    entry = catalogue.entries(tmp_path)[0]
    assert (entry.found.prediction, entry.found.parts["vae"], entry.dtype) == ("epsilon", path, "")


def test_choices_that_a_family_does_not_have(tmp_path):
    path = real.write(tmp_path / "sd3.5_large.safetensors", real.sd35_checkpoint())
    vae = real.write(tmp_path / "flux2-vae.safetensors", real.vae_flux2())
    for chosen in ({"prediction": "epsilon"}, {"clip_skip": 1}, {"vae": str(vae)}, {"vae": str(path)}):
        with pytest.raises(VelaturaError) as refused:
            catalogue.add(tmp_path, "x", str(path), **chosen)
        assert refused.value.code in ("bad-request", "unknown-model")
        assert refused.value.message.endswith(("leave it out.", "choose another --vae."))


@pytest.mark.parametrize(
    "broken",
    [
        {"parts": 3},
        {"parts": {"vae": 3}},
        {"clip_skip": 99},
        {"clip_skip": "2"},
        {"vae": 3},
        {"prediction": "x"},
    ],
)
def test_choices_that_make_no_sense_are_told(tmp_path, broken):
    (tmp_path / "models.json").write_text(json.dumps([{"id": "a", "path": "/", **broken}]))
    with pytest.raises(VelaturaError, match="list of models cannot be read"):
        catalogue.entries(tmp_path)
    (tmp_path / "models.json").rename(tmp_path / "found.json")
    assert [entry.id for entry in catalogue.entries(tmp_path)] == [
        id for id, path in catalogue.EMBEDDED.items() if path.is_dir()
    ]


def listed_by_another_process(state: Path) -> list[str]:
    code = (
        "import sys; from pathlib import Path; from velatura.models import catalogue, finding;"
        "seen = finding.refresh(Path(sys.argv[1])); print(*[one.id for one in seen])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(state)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.timeout(300)
def test_headers_are_read_once_over_all_processes(tmp_path):
    path = real.write(tmp_path / "here" / "v1-5.safetensors", real.sd1_checkpoint())
    state, changed = tmp_path / "state", path.stat().st_mtime_ns
    finding.refresh(state, [str(tmp_path / "here")])
    with path.open("r+b") as file:  # a header that cannot be read any more, in a file that looks unchanged
        file.seek(8)
        file.write(b"no header")
    os.utime(path, ns=(changed, changed))
    assert listed_by_another_process(state) == ["v1-5"]
    kept = (state / header_cache.FILE).read_text()
    stored = json.loads(kept)
    for text in (
        json.dumps(stored | {"rules": "older"}),
        "no JSON",
        json.dumps(stored | {"files": {"x": 1}}),
    ):
        (state / header_cache.FILE).write_text(text)
        assert listed_by_another_process(state) == []
    (state / header_cache.FILE).write_text(kept)
    os.utime(path, ns=(changed + 1, changed + 1))
    assert listed_by_another_process(state) == []


def test_cached_looks_are_those_that_were_made(tmp_path):
    state = tmp_path / "state"
    comfy(tmp_path / "ComfyUI")
    finding.refresh(state, [str(tmp_path / "ComfyUI")])
    files = json.loads((state / header_cache.FILE).read_text())["files"]
    made = {key: seen for key, seen in header_cache._known.items() if key.startswith(str(tmp_path))}
    assert len(made) > 10 and {key: header_cache._look(files[key]) for key in made} == made


def test_the_models_that_ship_are_not_found_in_a_checkout(tmp_path):
    bundles = tmp_path / "src" / "velatura" / "bundles"
    tiny_model(bundles / "velatura-mini")
    seen = finding.refresh(tmp_path / "state", [str(tmp_path / "src")])
    assert [one.id for one in seen] == ["velatura-mini-2"]  # a folder of that name alone is a person's own
    (bundles / "__init__.py").touch()
    assert finding.refresh(tmp_path / "state", [str(tmp_path / "src")]) == []


def test_many_models_of_one_name_get_numbers(tmp_path):
    for i in range(3):
        real.write(tmp_path / "here" / str(i) / "model.safetensors", real.sd1_checkpoint())
    seen = finding.refresh(tmp_path / "state", [str(tmp_path / "here")])
    assert [one.id for one in seen] == ["model", "model-2", "model-3"]
