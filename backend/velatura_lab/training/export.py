"""The bundle: trained weights as a Stable Diffusion folder for diffusers and Velatura."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from velatura.bundles import BUNDLES

from .latents import load_autoencoder
from .loop import load_checkpoint
from .networks import SCHEDULER, Profile, make_unet
from .text import make_text

BUNDLE = BUNDLES / "velatura-mini"

_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.30.0",
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderTiny"],
}


def export_bundle(work: Path, folder: Path = BUNDLE) -> None:
    """Write averaged weights in half precision, configurations, tokenizer and scheduler.

    Raises:
        FileNotFoundError: `work` has no trained autoencoder or denoising network.
    """
    state = load_checkpoint(work / "diffusion.pt")
    if state is None:
        raise FileNotFoundError(f"no trained network in {work}; run `velatura train diffusion` first")
    vae = load_autoencoder(work)
    _, text, _ = make_text(work)
    unet = make_unet(Profile(**state["profile"]))
    unet.load_state_dict(_part(state["ema"], "unet."))
    text.load_state_dict(_part(state["ema"], "text."), strict=False)
    vae.register_to_config(scaling_factor=round(state["scaling"], 5))
    for name, network in (("unet", unet), ("vae", vae), ("text_encoder", text)):
        network.half().save_pretrained(folder / name, safe_serialization=True)
    for path in folder.glob("*/*.safetensors"):
        path.chmod(0o644)
    # Half precision is for storage only; pipelines compute in float32 by default.
    _amend(folder / "text_encoder" / "config.json", dtype="float32")
    # diffusers writes this key into an AutoencoderTiny's configuration and warns on reading it.
    _amend(folder / "vae" / "config.json", block_out_channels=None)
    shutil.copytree(work / "tokenizer", folder / "tokenizer", dirs_exist_ok=True)
    (folder / "scheduler").mkdir(exist_ok=True)
    scheduler = {"_class_name": "DDIMScheduler", "_diffusers_version": "0.30.0", **SCHEDULER}
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler, indent=2) + "\n")
    (folder / "model_index.json").write_text(json.dumps(_INDEX, indent=2) + "\n")


def _amend(path: Path, **changes: str | None) -> None:
    """Set keys of a JSON file; None removes a key."""
    content = {**json.loads(path.read_text()), **changes}
    kept = {key: value for key, value in content.items() if key not in changes or changes[key] is not None}
    path.write_text(json.dumps(kept, indent=2) + "\n")


def _part(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
