"""Guides are found in folders of other programs, by names and shapes of their tensors."""

from __future__ import annotations

import json

import pytest

from tests.models import layouts as real
from velatura.models import finding
from velatura.models.control import listing, vision
from velatura.models.control.listing import CONTROL, LOOK
from velatura.models.headers import read_header


def union(kinds):
    return real.unet_diffusers(2048, 2816) | {
        "controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3),
        "task_embedding": (kinds, 320),
    }


FLUX = {
    "controlnet_x_embedder.weight": (3072, 64),
    "time_text_embed.timestep_embedder.linear_1.weight": (3072, 256),
}
CONTROLS = {
    "control_v11p_sd15_canny": (real.controlnet(), "sd", 0),
    "sd15_depth_diffusers": (real.controlnet_diffusers(), "sd", 0),
    "union-sdxl-1.0": (union(6), "sdxl", 6),
    "union-sdxl-promax": (union(8), "sdxl", 8),
    "sd3.5_canny": ({"controlnet_blocks.0.weight": (1, 1), "pos_embed_input.proj.weight": (1, 16)}, "sd3", 0),
    "flux-canny": (FLUX, "flux1", 0),
    "flux-union-pro": (FLUX | {"controlnet_mode_embedder.weight": (7, 3072)}, "flux1", 7),
    "qwen-union": (
        {"controlnet_x_embedder.weight": (3072, 64), "txt_norm.weight": (3584,)},
        "qwen-image",
        0,
    ),
    "z-image-fun": ({"control_all_x_embedder.2-1.weight": (3840, 132)}, "z-image", 0),
}


def look(width, cross, *, plus=False, xlabs=False):
    if xlabs:
        return {
            "ip_adapter_proj_model.proj.weight": (4 * cross, width),
            "double_blocks.0.processor.ip_adapter_double_stream_k_proj.weight": (3072, cross),
        }
    own = {"latents": (1, 16, 768), "proj_in.weight": (768, width)} if plus else {}
    own = own or {"proj.weight": (4 * cross, width)}
    return {
        **{f"image_proj.{name}": shape for name, shape in own.items()},
        "ip_adapter.1.to_k_ip.weight": (320, cross),
    }


def encoder(projected, hidden):
    return {
        "visual_projection.weight": (projected, hidden),
        "vision_model.embeddings.patch_embedding.weight": (hidden, 3, 14, 14),
    }


@pytest.mark.parametrize("name", CONTROLS)
def test_controlnets_are_told_by_their_tensors(tmp_path, name):
    shapes, family, kinds = CONTROLS[name]
    path = real.write(tmp_path / "controlnet" / f"{name}.safetensors", shapes)
    (one,) = listing.refresh(tmp_path, [tmp_path]).guides
    assert (one.title, one.family, one.kind, one.kinds) == (name, family, CONTROL, kinds)
    assert listing.listed(tmp_path).guides == [one] and one.path == path
    path.unlink()
    assert listing.listed(tmp_path).guides == []


def test_looks_get_the_image_encoder_that_they_were_trained_with(tmp_path):
    folder = tmp_path / "models"
    real.write(folder / "clip_vision" / "vit-h.safetensors", encoder(1024, 1280))
    real.write(folder / "clip_vision" / "vit-l.safetensors", encoder(768, 1024))
    looks = {
        "ip-adapter_sd15": (look(1024, 768), "sd", "vit-h"),
        "ip-adapter-plus_sdxl_vit-h": (look(1280, 2048, plus=True), "sdxl", "vit-h"),
        "flux-ip-adapter": (look(768, 4096, xlabs=True), "flux1", "vit-l"),
        "ip-adapter_sdxl": (look(1280, 2048), "sdxl", None),  # of ViT-bigG, which is not here
    }
    for name, (shapes, _, _) in looks.items():
        real.write(folder / "ipadapter" / f"{name}.safetensors", shapes)
    faces = {"image_proj.proj.0.weight": (1024, 512), "ip_adapter.1.to_k_ip.weight": (320, 768)}
    real.write(folder / "ipadapter" / "ip-adapter-faceid.safetensors", faces)  # it needs another network
    found = {one.title: one for one in listing.refresh(tmp_path, [folder]).guides}
    assert {one.kind for one in found.values()} == {LOOK}
    told = {name: (one.family, one.encoder and one.encoder.stem) for name, one in found.items()}
    assert told == {name: (family, encoder) for name, (_, family, encoder) in looks.items()}


def test_the_nearest_encoder_is_taken(tmp_path):
    for place in ("models", "sdxl_models"):
        told = {
            "architectures": ["CLIPVisionModelWithProjection"],
            "projection_dim": 1024,
            "hidden_size": 1280,
        }
        (tmp_path / place / "image_encoder").mkdir(parents=True)
        (tmp_path / place / "image_encoder" / "config.json").write_text(json.dumps(told))
    path = real.write(tmp_path / "sdxl_models" / "ip-adapter.safetensors", look(1280, 2048, plus=True))
    found = vision.fitting(read_header(path), path, vision.encoders([tmp_path]))
    assert found == tmp_path / "sdxl_models" / "image_encoder"


def test_guides_in_the_hubs_cache_are_called_like_their_repository(tmp_path):
    folder = tmp_path / "hub" / "models--me--controlnet-depth" / "snapshots" / "abc"
    shapes = real.controlnet_diffusers()
    real.write(folder / "diffusion_pytorch_model.safetensors", shapes)
    real.write(folder / "diffusion_pytorch_model.fp16.safetensors", shapes | {"a": (1,)})
    real.write(folder / "diffusion_pytorch_model-00001-of-00002.safetensors", shapes | {"b": (1,)})
    (folder / "config.json").write_text(json.dumps({"_class_name": "ControlNetModel"}))
    depth = tmp_path / "hub" / "models--me--depth" / "snapshots" / "abc"
    depth.mkdir(parents=True)
    (depth / "config.json").write_text(json.dumps({"architectures": ["DepthAnythingForDepthEstimation"]}))
    found = listing.refresh(tmp_path, [tmp_path / "hub"])
    assert [(one.title, ".fp16" in one.path.name) for one in found.guides] == [("controlnet-depth", True)]
    assert found.depth == depth == listing.listed(tmp_path).depth


def test_a_union_and_its_later_version_in_one_folder_have_names_of_their_own(tmp_path):
    folder = tmp_path / "union-sdxl"
    real.write(folder / "diffusion_pytorch_model.safetensors", union(6))
    real.write(folder / "diffusion_pytorch_model_promax.safetensors", union(8))
    (folder / "config.json").write_text(json.dumps({"_class_name": "ControlNetModel_Union"}))
    found = {one.title: one.kinds for one in listing.refresh(tmp_path / "state", [tmp_path]).guides}
    assert found == {"union-sdxl": 6, "union-sdxl promax": 8}


def test_models_find_lists_guides_and_no_guide_is_a_model(tmp_path, capsys, monkeypatch):
    from velatura.cli import main

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    real.write(tmp_path / "shelf" / "controlnet" / "canny.safetensors", real.controlnet())
    real.write(tmp_path / "shelf" / "ipadapter" / "ip-adapter.safetensors", look(1024, 768))
    assert finding.refresh(tmp_path / "state", [str(tmp_path / "shelf")]) == []
    code = main.main(["models", "--state-dir", str(tmp_path / "state"), "find"])
    told = capsys.readouterr().out
    assert code == 0 and "guide (ControlNet) for Stable Diffusion 1 and 2" in told
    assert "look (IP-Adapter) for Stable Diffusion 1 and 2; its image encoder is missing" in told


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"guides": [1, {}], "depth": 3}', "not json"])
def test_a_damaged_list_is_an_empty_one(tmp_path, text):
    (tmp_path / listing.FILE).write_text(text)
    assert listing.listed(tmp_path) == listing.Listed([])
