"""Real files are recognised by their headers: names and shapes of tensors as in published files."""

from pathlib import Path

import pytest

from tests.models import layouts as real
from velatura.models import recognition, traits
from velatura.models.recognition import FAMILIES, Found, recognise

FLOW, FEW = traits.FLOW, {traits.FEW_STEPS, traits.NO_GUIDANCE}
EMBEDDED, SHOWN = traits.EMBEDDED_GUIDANCE, traits.INSTRUCTS
UNKNOWN_SD2 = real.sd2_checkpoint()

MODELS = {
    "v1-5-pruned-emaonly": (real.sd1_checkpoint(), "sd", 512, set(), "epsilon"),
    "sd-v1-5-inpainting": (real.sd1_checkpoint(9), "sd", 512, {traits.INPAINTING}, "epsilon"),
    "instruct-pix2pix-00-22000": (real.sd1_checkpoint(8), "sd", 512, {SHOWN}, "epsilon"),
    "v2-1_768-ema-pruned": (UNKNOWN_SD2, "sd", 512, set(), ""),
    "wd-1-5-vpred": (UNKNOWN_SD2, "sd", 768, {traits.V_PREDICTION}, "v_prediction"),
    "sd_xl_base_1.0": (real.sdxl_checkpoint(), "sdxl", 1024, set(), "epsilon"),
    "juggernautXL_ragnarok": (real.sdxl_checkpoint(), "sdxl", 1024, set(), "epsilon"),
    "sd_xl_turbo_1.0_fp16": (real.sdxl_checkpoint(), "sdxl", 512, FEW, "epsilon"),
    "dreamshaperXL_lightningDPMSDE": (real.sdxl_checkpoint(), "sdxl", 1024, {traits.FEW_STEPS}, "epsilon"),
    "xl-inpainting-0.1": (real.sdxl_checkpoint(9), "sdxl", 1024, {traits.INPAINTING}, "epsilon"),
    "noobaiXLNAIXL_vPred10Version": (
        real.sdxl_checkpoint() | {"v_pred": (), "ztsnr": ()},
        "sdxl",
        1024,
        {traits.V_PREDICTION, traits.ZERO_SNR},
        "v_prediction",
    ),
    "sd3.5_large": (real.sd35_checkpoint(), "sd3", 1024, {FLOW}, "flow"),
    "flux1-dev-fp8": (real.flux1_checkpoint(), "flux1", 1024, {FLOW, EMBEDDED}, "flow"),
}
ALONE = {
    "flux1-dev": (real.flux1(), "flux1", {FLOW, EMBEDDED}),
    "flux1-krea-dev_fp8_scaled": (real.flux1(diffusers=True), "flux1", {FLOW, EMBEDDED}),
    "flux1-schnell": (real.flux1(guidance=False), "flux1", {FLOW, *FEW}),
    "flux1-fill-dev": (real.flux1(384), "flux1", {FLOW, EMBEDDED, traits.INPAINTING}),
    "flux1-depth-dev": (real.flux1(128), "flux1", {FLOW, EMBEDDED, traits.CONTROL}),
    "flux1-dev-kontext_fp8_scaled": (real.flux1(), "flux1", {FLOW, EMBEDDED, SHOWN}),
    "chroma1-hd": (real.chroma(), "chroma", {FLOW}),
    "chroma1-flash": (real.chroma(diffusers=True), "chroma", {FLOW, *FEW}),
    "sd3.5_medium": (real.sd3(width=1536), "sd3", {FLOW}),
    "sd3.5_large_turbo": (real.sd3(diffusers=True), "sd3", {FLOW, *FEW}),
    "flux-2-klein-4b": (real.flux2(3072, 7680), "flux2", {FLOW, SHOWN, *FEW}),
    "flux-2-klein-base-4b": (real.flux2(3072, 7680), "flux2", {FLOW, SHOWN}),
    "flux-2-klein-9b": (real.flux2(4096, 12288, diffusers=True), "flux2", {FLOW, SHOWN, *FEW}),
    "flux2-dev": (real.flux2(6144, 15360, guidance=True), "flux2", {FLOW, SHOWN, EMBEDDED}),
    "z_image_turbo_bf16": (real.z_image(), "z-image", {FLOW, *FEW}),
    "z_image_bf16": (real.z_image(diffusers=True), "z-image", {FLOW}),
    "qwen_image_bf16": (real.qwen_image(), "qwen-image", {FLOW}),
    "qwen_image_edit_2509_bf16": (real.qwen_image(), "qwen-image", {FLOW, SHOWN}),
    "krea2_raw_bf16": (real.krea2(), "krea2", {FLOW}),
    "krea2_turbo": (real.krea2(diffusers=True), "krea2", {FLOW, *FEW}),
    "sdxl-unet": (real.unet_xl(), "sdxl", set()),
    "sdxl-unet-diffusers": (real.unet_diffusers(2048, 2816), "sdxl", set()),
    "sd15-unet": (real.unet_diffusers(), "sd", set()),
}
NO_MODELS = {
    "detail": (real.lora_kohya(), "an adapter (LoRA)"),
    "flux-realism": (real.lora_diffusers(), "an adapter (LoRA)"),
    "style": (real.lycoris(), "an adapter (LoRA)"),
    "control_v11p_sd15_canny": (real.controlnet(), "a ControlNet"),
    "controlnet-canny": (real.controlnet_diffusers(), "a ControlNet"),
    "sd_xl_refiner_1.0": (real.refiner_checkpoint(), "the refiner of Stable Diffusion XL"),
    "chroma-radiance": (real.chroma(radiance=True), "Chroma Radiance"),
    "z_image_omni": (real.z_image() | {"siglip_pad_token": (1, 3840)}, "Z-Image-Omni"),
    "lumina_2": (real.lumina2(), "Lumina 2"),
    "4x-ultrasharp": (real.upscaler(), "an enlarger (upscaler)"),
    "easynegative": (real.embedding(), "a textual inversion"),
    "ae": (real.vae(16), "an autoencoder (VAE)"),
    "clip_l": (real.clip(), "a text encoder (CLIP)"),
    "t5xxl_fp16": (real.t5(), "a text encoder (T5)"),
    "qwen_3_4b": (real.qwen3(), "a text encoder (Qwen3)"),
    "something": ({"weight": (3, 3)}, "of a kind that Velatura does not know"),
}


def found(path: Path, shelves: tuple[Path, ...] = ()) -> Found:
    model = recognise(path, shelves)
    assert model is not None
    return model


@pytest.mark.parametrize("name", MODELS)
def test_whole_checkpoints(tmp_path, name):
    shapes, family, size, held, prediction = MODELS[name]
    path = real.write(tmp_path / "checkpoints" / f"{name}.safetensors", shapes)
    model = found(path)
    assert (model.family, model.form, model.size, model.traits) == (family, "file", size, held)
    assert model.prediction == prediction
    assert {name: model.parts[name] for name in FAMILIES[family].parts if name in model.parts} == {
        name: path for name in FAMILIES[family].parts if "tokenizer" not in name
    }
    assert all("tokenizer" in name for name in model.missing)


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("name", ALONE)
def test_networks_alone(tmp_path, name, prefix):
    shapes, family, held = ALONE[name]
    path = real.write(tmp_path / "unet" / f"{name}.safetensors", real.prefixed(prefix, shapes), "BF16")
    model = found(path)
    network = next(iter(FAMILIES[family].parts))
    assert (model.family, model.traits, dict(model.parts)) == (family, held, {network: path})
    assert set(model.missing) == set(FAMILIES[family].parts) - {network}
    assert "text encoder" in recognition.named(model)


@pytest.mark.parametrize("name", NO_MODELS)
def test_files_that_are_no_models(tmp_path, name):
    shapes, title = NO_MODELS[name]
    path = real.write(tmp_path / "folder" / f"{name}.safetensors", shapes)
    assert recognise(path) is None
    assert recognition.title(path) == title
