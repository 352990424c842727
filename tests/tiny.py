"""A random model with the parts and files of Stable Diffusion, small enough for a test.

The networks are real: what a test learns from them holds for every model of the same classes. Its prompts
are read letter by letter, 75 of them at most.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel, VQModel
from safetensors.torch import load_file, save_file
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    CLIPConfig,
    CLIPModel,
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    Sam3Config,
    Sam3Model,
)

SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "rescale_betas_zero_snr": False,
    "timestep_spacing": "trailing",
}


def tiny_model(
    folder: Path,
    vae: str = "kl",
    size: int = 64,
    *,
    prediction: str = "epsilon",
    zero_snr: bool = False,
    seed: int = 0,
    words: int = 77,
) -> Path:
    """Writes a diffusers folder and returns it.

    vae: 'kl' (AutoencoderKL) or 'tiny' (AutoencoderTiny), both with 4 channels and factor 8. size: pixels, a
    multiple of 16. prediction: 'epsilon', 'v_prediction' or 'sample'. zero_snr: a schedule whose last noise
    level has no signal. words: tokens, one a letter, that it reads. The same seed writes the same weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _unet(size).save_pretrained(folder / "unet")
        _autoencoder(vae).save_pretrained(folder / "vae")
        _text_encoder(words).save_pretrained(folder / "text_encoder")
    tiny_tokenizer(folder / "tokenizer", words)
    scheduler = SCHEDULER | {"prediction_type": prediction, "rescale_betas_zero_snr": zero_snr}
    _write(folder / "scheduler" / "scheduler_config.json", scheduler)
    _write(
        folder / "model_index.json",
        {
            "_class_name": "StableDiffusionPipeline",
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL" if vae == "kl" else "AutoencoderTiny"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "scheduler": ["diffusers", "DDIMScheduler"],
        },
    )
    return folder


def tiny_pixel_model(folder: Path, size: int = 32, *, patch: int = 1, learned: bool = False) -> Path:
    """Writes a diffusers folder of a diffusion model of pixel space and returns it.

    size: of its pictures. patch: side of the square of pixels that it sees as one place. learned: whether it
    gives variances beside its prediction.
    """
    from diffusers import UNet2DModel

    channels = 3 * patch**2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        UNet2DModel(
            sample_size=size // patch,
            in_channels=channels,
            out_channels=channels * (2 if learned else 1),
            layers_per_block=1,
            block_out_channels=(8, 16),
            norm_num_groups=4,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=8,
        ).save_pretrained(folder / "unet")
    _write(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    _write(
        folder / "model_index.json",
        {
            "_class_name": "DDPMPipeline",
            "unet": ["diffusers", "UNet2DModel"],
            "scheduler": ["diffusers", "DDIMScheduler"],
        },
    )
    return folder


def register_tiny_model(state_dir: Path, folder: Path, id: str = "tiny", **more: object) -> None:
    """Makes the folder a model of the daemon whose state directory this is. more: of its entry (clip)."""
    state_dir.mkdir(parents=True, exist_ok=True)
    _write(state_dir / "models.json", [{"id": id, "title": "Tiny", "path": str(folder), **more}])


def tiny_clip(folder: Path, *, seed: int = 0, words: int = 77) -> Path:
    """Writes a random CLIP of 32 pixels a side that reads so many tokens; its folder."""
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "projection_dim": 16,
    }
    marks = {"vocab_size": 514, "bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}
    text = CLIPTextConfig(**sizes, **marks, max_position_embeddings=words)
    vision = CLIPVisionConfig(**sizes, image_size=32, patch_size=8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=16)
        CLIPModel(config).save_pretrained(folder)
    return tiny_tokenizer(folder, words)


def tiny_clipseg(folder: Path, *, seed: int = 0, words: int = 77, side: int = 32) -> Path:
    """Writes a random CLIPSeg that takes pictures of `side` pixels, its places being for 16; its folder."""
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "projection_dim": 16,
    }
    marks = {"vocab_size": 514, "bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}
    config = CLIPSegConfig(
        text_config={**sizes, **marks, "max_position_embeddings": words},
        vision_config={**sizes, "image_size": 16, "patch_size": 4},
        projection_dim=16,
        extract_layers=[0, 1, 2],
        reduce_dim=16,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=32,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        CLIPSegForImageSegmentation(config).save_pretrained(folder)
    said = {
        "size": {"height": side, "width": side},
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.3, 0.2, 0.1],
    }
    _write(folder / "preprocessor_config.json", said)
    return tiny_tokenizer(folder, words)


def tiny_sam3(folder: Path, *, seed: int = 0, with_tracker: bool = False) -> Path:
    """Writes a random SAM 3 that takes pictures of 56 pixels and reads 32 tokens; its folder.

    with_tracker: in the form in which it is published, within the network for films.
    """
    vision = {
        "model_type": "sam3_vit_model",
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 56,
        "window_size": 2,
        "global_attn_indexes": [1],
        "pretrain_image_size": 28,
    }
    marks = {"vocab_size": 514, "bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {"model_type": "clip_text_model", **sizes, **marks, "max_position_embeddings": 32}
    part = {"hidden_size": 16, "num_attention_heads": 2}
    layers = {**part, "intermediate_size": 32, "num_layers": 1}
    config = Sam3Config(
        vision_config={
            "backbone_config": vision,
            "fpn_hidden_size": 16,
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        text_config={**text, "projection_dim": 16},
        geometry_encoder_config=layers,
        detr_encoder_config=layers,
        detr_decoder_config={**layers, "num_queries": 6},
        mask_decoder_config=part,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Sam3Model(config)
        for name, weights in network.named_parameters():
            if weights.ndim > 1 and not name.startswith("vision"):
                weights.data *= 8.0  # random attention is near-uniform: all instances would be alike
        network.save_pretrained(folder)
    if with_tracker:
        whole = {"model_type": "sam3_video", "detector_config": config.to_dict()}
        _write(folder / "config.json", whole)
        weights = load_file(folder / "model.safetensors")
        inner = {f"detector_model.{name}": x for name, x in weights.items()}
        save_file(
            {**inner, "tracker_model.x": torch.zeros(1)},
            folder / "model.safetensors",
            metadata={"format": "pt"},
        )
    said = {"image_processor": {"size": {"height": 56, "width": 56}, "image_std": [0.5, 0.4, 0.3]}}
    _write(folder / "processor_config.json", said)
    return tiny_tokenizer(folder, 32)


_BLIP_WORDS = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]"),
    *("a", "the", "cat", "dog", "hat", "red", "blue", "of", "on", "##s"),
)


def tiny_blip(folder: Path, *, seed: int = 0) -> Path:
    """Writes a random BLIP for captions of a few words, with a processor for pictures of 24 pixels; its
    folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(_BLIP_WORDS), encoding="utf-8")
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "projection_dim": 8,
    }
    marks = {"bos_token_id": 5, "eos_token_id": 2, "pad_token_id": 0, "sep_token_id": 3}
    text = {**sizes, **marks, "encoder_hidden_size": 16, "vocab_size": len(_BLIP_WORDS)}
    config = BlipConfig(
        text_config={**text, "max_position_embeddings": 64},
        vision_config={**sizes, "image_size": 24, "patch_size": 8},
        projection_dim=8,
        image_text_hidden_size=8,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BlipForConditionalGeneration(config).save_pretrained(folder)
    special = {"additional_special_tokens": ["[DEC]"]}
    BertTokenizer(str(folder / "vocab.txt"), **special).save_pretrained(folder)
    _write(
        folder / "preprocessor_config.json", {"size": {"height": 24, "width": 24}, "image_mean": [0.5] * 3}
    )
    return folder


def tiny_tokenizer(folder: Path, words: int = 77) -> Path:
    """A CLIP vocabulary of the 256 bytes, each inside and at the end of a word, without merges."""
    letters = byte_letters()
    tokens = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    _write(folder / "vocab.json", {token: i for i, token in enumerate(tokens)})
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    special |= {"unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    _write(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "CLIPTokenizer", "model_max_length": words} | special,
    )
    _write(folder / "special_tokens_map.json", special)
    return folder


def _unet(size: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=size // 8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=64,
        attention_head_dim=8,
        norm_num_groups=32,
    )


def _autoencoder(vae: str) -> AutoencoderKL | AutoencoderTiny:
    if vae == "tiny":
        channels = (16, 16, 16, 16)
        return AutoencoderTiny(
            encoder_block_out_channels=channels,
            decoder_block_out_channels=channels,
            num_encoder_blocks=(1, 1, 1, 1),
            num_decoder_blocks=(1, 1, 1, 1),
            latent_channels=4,
        )
    return AutoencoderKL(
        block_out_channels=(32, 32, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=32,
        scaling_factor=0.18215,
    )


def _text_encoder(words: int) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=514,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=1,
            num_attention_heads=1,
            max_position_embeddings=words,
            bos_token_id=512,
            eos_token_id=513,
            pad_token_id=513,
        )
    )


def byte_letters() -> list[str]:
    """The printable stand-ins for bytes of GPT-2's BPE, in byte order of its table."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(len(rest))]


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def tiny_vq(folder: Path, *, seed: int = 0, size: int = 32) -> Path:
    """Writes a random VQ model of 8 codes, whose places have 4 pixels a side; its folder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = VQModel(
            block_out_channels=(8, 8, 16),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            latent_channels=4,
            sample_size=size,
            num_vq_embeddings=8,
            norm_num_groups=4,
            mid_block_add_attention=False,
        )
        torch.nn.init.normal_(network.quantize.embedding.weight, std=0.5)
    network.save_pretrained(folder)
    return folder
