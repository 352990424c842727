"""Names and shapes of tensors in published files, as model cards and conversion code show them.

Each table has the tensors by which the file can be told, in the real sizes, and some others.
The files are sparse: they take no room on the disk.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

Shapes = dict[str, tuple[int, ...]]

_BITS = {"F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "U8": 8}
_GGML = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q8_0": (8, 32, 34), "Q4_K": (12, 256, 144)}


def write(path: Path, shapes: Shapes, dtype: str = "F16", metadata: dict[str, str] | None = None) -> Path:
    """A .safetensors file with these tensors, all zero."""
    entries: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, shape in shapes.items():
        size = math.prod(shape) * _BITS[dtype] // 8
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    header = json.dumps(entries).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + end)
    return path


def write_gguf(path: Path, shapes: Shapes, notes: dict[str, object], dtype: str = "Q4_K") -> Path:
    """A GGUF file with these tensors, all zero; tensors of one dimension are F32."""
    out = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(notes)))
    for key, value in notes.items():
        out += _text(key) + _note(value)
    begin = end = 0
    for name, shape in shapes.items():
        number, block, size = _GGML["F32" if len(shape) < 2 or math.prod(shape) % 256 else dtype]
        out += _text(name) + struct.pack("<I", len(shape))
        out += struct.pack(f"<{len(shape)}Q", *reversed(shape)) + struct.pack("<IQ", number, begin)
        end = begin + math.prod(shape) // block * size
        begin = end + -end % 32
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(out)
        file.truncate(len(out) + -len(out) % 32 + end)
    return path


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _note(value: object) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value, list):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
    assert isinstance(value, int)
    return struct.pack("<II", 4, value)


def prefixed(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


# The networks ----------------------------------------------------------------------


def unet(channels: int = 4, context: int = 768, *, linear: bool = False) -> Shapes:
    """Stable Diffusion 1 (context 768), 2 (1024, linear)."""
    shapes: Shapes = {"time_embed.0.weight": (1280, 320), "input_blocks.0.0.weight": (320, channels, 3, 3)}
    for block, width in ((1, 320), (2, 320), (4, 640), (5, 640), (7, 1280), (8, 1280)):
        inner = f"input_blocks.{block}.1."
        shapes[f"input_blocks.{block}.0.out_layers.3.weight"] = (width, width, 3, 3)
        shapes[inner + "norm.weight"] = (width,)
        shapes[inner + "proj_in.weight"] = (width, width) if linear else (width, width, 1, 1)
        shapes[inner + "transformer_blocks.0.attn2.to_k.weight"] = (width, context)
    for block, width in ((3, 320), (6, 640), (9, 1280)):
        shapes[f"input_blocks.{block}.0.op.weight"] = (width, width, 3, 3)
    for block in (10, 11):
        shapes[f"input_blocks.{block}.0.out_layers.3.weight"] = (1280, 1280, 3, 3)
    return shapes | {"out.2.weight": (4, 320, 3, 3)}


def unet_xl(channels: int = 4, *, added: int = 2816, context: int = 2048, base: int = 320) -> Shapes:
    shapes: Shapes = {
        "input_blocks.0.0.weight": (base, channels, 3, 3),
        "label_emb.0.0.weight": (4 * base, added),
        "label_emb.0.2.weight": (4 * base, 4 * base),
        "input_blocks.1.0.out_layers.3.weight": (base, base, 3, 3),
        "input_blocks.3.0.op.weight": (base, base, 3, 3),
        "out.2.weight": (4, base, 3, 3),
    }
    for block, width, depth in ((4, 2 * base, 2), (5, 2 * base, 2), (7, 4 * base, 10), (8, 4 * base, 10)):
        for i in range(depth):
            inner = f"input_blocks.{block}.1.transformer_blocks.{i}."
            shapes[inner + "attn2.to_k.weight"] = (width, context)
    return shapes


def unet_diffusers(context: int = 768, added: int = 0) -> Shapes:
    shapes: Shapes = {
        "conv_in.weight": (320, 4, 3, 3),
        "conv_out.weight": (4, 320, 3, 3),
        "down_blocks.0.resnets.0.time_emb_proj.weight": (320, 1280),
        "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight": (640, context),
    }
    return shapes | ({"add_embedding.linear_1.weight": (1280, added)} if added else {})


def sd3(*, diffusers: bool = False, width: int = 2432) -> Shapes:
    if diffusers:
        return {
            "pos_embed.proj.weight": (width, 16, 2, 2),
            "context_embedder.weight": (width, 4096),
            "time_text_embed.text_embedder.linear_1.weight": (width, 2048),
            "transformer_blocks.0.attn.add_q_proj.weight": (width, width),
            "proj_out.weight": (64, width),
        }
    return {
        "pos_embed": (1, 36864, width),
        "x_embedder.proj.weight": (width, 16, 2, 2),
        "context_embedder.weight": (width, 4096),
        "y_embedder.mlp.0.weight": (width, 2048),
        "joint_blocks.0.context_block.adaLN_modulation.1.bias": (6 * width,),
        "joint_blocks.0.x_block.attn.ln_q.weight": (64,),
        "joint_blocks.37.x_block.mlp.fc1.weight": (4 * width, width),
        "final_layer.linear.weight": (64, width),
    }


def flux1(channels: int = 64, *, guidance: bool = True, diffusers: bool = False) -> Shapes:
    if diffusers:
        shapes: Shapes = {
            "x_embedder.weight": (3072, channels),
            "context_embedder.weight": (3072, 4096),
            "time_text_embed.text_embedder.linear_1.weight": (3072, 768),
            "transformer_blocks.0.attn.add_q_proj.weight": (3072, 3072),
            "single_transformer_blocks.0.proj_mlp.weight": (12288, 3072),
            "proj_out.weight": (64, 3072),
        }
        own = "time_text_embed.guidance_embedder.linear_1.weight"
        return shapes | ({own: (3072, 256)} if guidance else {})
    shapes = {
        "img_in.weight": (3072, channels),
        "txt_in.weight": (3072, 4096),
        "time_in.in_layer.weight": (3072, 256),
        "vector_in.in_layer.weight": (3072, 768),
        "double_blocks.0.img_attn.norm.key_norm.scale": (128,),
        "double_blocks.0.img_attn.qkv.weight": (9216, 3072),
        "double_blocks.18.txt_mlp.0.weight": (12288, 3072),
        "single_blocks.37.linear1.weight": (21504, 3072),
        "final_layer.linear.weight": (64, 3072),
    }
    own = {"guidance_in.in_layer.weight": (3072, 256), "guidance_in.in_layer.bias": (3072,)}
    return shapes | (own if guidance else {})


def chroma(*, diffusers: bool = False, radiance: bool = False) -> Shapes:
    """radiance: with patches of pixels in place of latents."""
    of_flux1 = flux1(guidance=False, diffusers=diffusers)
    shapes = {name: shape for name, shape in of_flux1.items() if "vector_in" not in name}
    shapes = {name: shape for name, shape in shapes.items() if "time_text_embed" not in name}
    if radiance:
        del shapes["img_in.weight"]
    return shapes | {"distilled_guidance_layer.in_proj.bias": (5120,)}


def flux2(width: int, text: int, *, guidance: bool = False, diffusers: bool = False) -> Shapes:
    """klein 4B: 3072, 7680; klein 9B: 4096, 12288; dev: 6144, 15360 with guidance."""
    if diffusers:
        shapes: Shapes = {
            "x_embedder.weight": (width, 128),
            "context_embedder.weight": (width, text),
            "double_stream_modulation_img.linear.weight": (6 * width, width),
            "single_stream_modulation.linear.weight": (3 * width, width),
            "single_transformer_blocks.0.attn.to_qkv_mlp_proj.weight": (9 * width, width),
            "proj_out.weight": (128, width),
        }
        own = "time_guidance_embed.guidance_embedder.linear_1.weight"
        return shapes | ({own: (width, 256)} if guidance else {})
    shapes = {
        "img_in.weight": (width, 128),
        "txt_in.weight": (width, text),
        "time_in.in_layer.weight": (width, 256),
        "double_blocks.0.img_attn.norm.key_norm.scale": (128,),
        "double_stream_modulation_img.lin.weight": (6 * width, width),
        "single_stream_modulation.lin.weight": (3 * width, width),
        "final_layer.linear.weight": (128, width),
    }
    return shapes | ({"guidance_in.in_layer.weight": (width, 256)} if guidance else {})


def z_image(*, diffusers: bool = False) -> Shapes:
    shapes: Shapes = {
        "cap_embedder.0.weight": (2560,),
        "cap_embedder.1.weight": (3840, 2560),
        "cap_pad_token": (1, 3840),
        "layers.0.adaLN_modulation.0.weight": (15360, 256),
        "noise_refiner.0.adaLN_modulation.0.weight": (15360, 256),
        "context_refiner.1.attention_norm1.weight": (3840,),
        "t_embedder.mlp.0.weight": (1024, 256),
    }
    if diffusers:
        return shapes | {
            "all_x_embedder.2-1.weight": (3840, 64),
            "layers.0.attention.to_q.weight": (3840, 3840),
        }
    return shapes | {"x_embedder.weight": (3840, 64), "layers.0.attention.qkv.weight": (11520, 3840)}


def lumina2() -> Shapes:
    return {
        "cap_embedder.0.weight": (2304,),
        "cap_embedder.1.weight": (2304, 2304),
        "layers.0.adaLN_modulation.1.weight": (9216, 1024),
        "x_embedder.weight": (2304, 64),
    }


def qwen_image() -> Shapes:
    return {
        "img_in.weight": (3072, 64),
        "txt_in.weight": (3072, 3584),
        "txt_norm.weight": (3584,),
        "time_text_embed.timestep_embedder.linear_1.weight": (3072, 256),
        "transformer_blocks.0.attn.add_q_proj.weight": (3072, 3072),
        "transformer_blocks.0.img_mod.1.weight": (18432, 3072),
        "transformer_blocks.59.txt_mlp.net.2.weight": (3072, 12288),
        "norm_out.linear.weight": (6144, 3072),
        "proj_out.weight": (64, 3072),
    }


# Parts ----------------------------------------------------------------------


def krea2(*, diffusers: bool = False) -> Shapes:
    if diffusers:
        return {
            "img_in.weight": (6144, 64),
            "text_fusion.projector.weight": (1, 12),
            "text_fusion.layerwise_blocks.0.attn.to_q.weight": (2560, 2560),
            "transformer_blocks.0.attn.to_k.weight": (1536, 6144),
            "transformer_blocks.0.attn.norm_q.weight": (128,),
        }
    return {
        "first.weight": (6144, 64),
        "txtfusion.projector.weight": (1, 12),
        "txtfusion.layerwise_blocks.0.attn.wq.weight": (2560, 2560),
        "blocks.0.attn.wk.weight": (1536, 6144),
        "blocks.0.attn.qknorm.qnorm.scale": (128,),
    }


def clip(width: int = 768, layers: int = 12) -> Shapes:
    shapes: Shapes = {
        "text_model.embeddings.token_embedding.weight": (49408, width),
        "text_model.embeddings.position_embedding.weight": (77, width),
        "text_model.final_layer_norm.weight": (width,),
    }
    for i in range(layers):
        shapes[f"text_model.encoder.layers.{i}.mlp.fc1.weight"] = (4 * width, width)
    return shapes


def open_clip(width: int = 1280, layers: int = 32) -> Shapes:
    shapes: Shapes = {"positional_embedding": (77, width), "token_embedding.weight": (49408, width)}
    for i in range(layers):
        shapes[f"transformer.resblocks.{i}.mlp.c_fc.weight"] = (4 * width, width)
    return shapes | {"text_projection": (width, width)}


def t5(width: int = 4096, vocabulary: int = 32128) -> Shapes:
    return {
        "shared.weight": (vocabulary, width),
        "encoder.block.0.layer.0.SelfAttention.q.weight": (width, width),
        "encoder.block.0.layer.0.layer_norm.weight": (width,),
        "encoder.block.23.layer.1.DenseReluDense.wi_1.weight": (10240, width),
        "encoder.final_layer_norm.weight": (width,),
    }


def qwen3(width: int = 2560) -> Shapes:
    return {
        "model.embed_tokens.weight": (151936, width),
        "model.layers.0.self_attn.q_proj.weight": (4096, width),
        "model.layers.0.self_attn.q_norm.weight": (128,),
        "model.layers.35.mlp.up_proj.weight": (9728, width),
        "model.norm.weight": (width,),
    }


def qwen25_vl(*, inner: str = "model.", visual: str = "visual.") -> Shapes:
    return {
        f"{inner}embed_tokens.weight": (152064, 3584),
        f"{inner}layers.0.self_attn.q_proj.weight": (3584, 3584),
        f"{inner}layers.0.self_attn.q_proj.bias": (3584,),
        f"{visual}blocks.0.attn.qkv.weight": (3840, 1280),
        "lm_head.weight": (152064, 3584),
    }


def vae(channels: int = 4, *, diffusers: bool = False) -> Shapes:
    middle = "mid_block.resnets.0.conv1" if diffusers else "mid.block_1.conv1"
    shapes: Shapes = {
        "encoder.conv_in.weight": (128, 3, 3, 3),
        "decoder.conv_in.weight": (512, channels, 3, 3),
        f"decoder.{middle}.weight": (512, 512, 3, 3),
        "decoder.conv_out.weight": (3, 128, 3, 3),
    }
    quant = {"quant_conv.weight": (8, 8, 1, 1), "post_quant_conv.weight": (4, 4, 1, 1)}
    return shapes | (quant if channels == 4 else {})


def vae_flux2() -> Shapes:
    return vae(32) | {"bn.running_mean": (128,), "bn.running_var": (128,)}


def vae_qwen() -> Shapes:
    return {
        "conv1.weight": (32, 32, 1, 1, 1),
        "decoder.conv1.weight": (384, 16, 3, 3, 3),
        "decoder.middle.0.residual.0.gamma": (384, 1, 1, 1),
        "encoder.conv1.weight": (96, 3, 3, 3, 3),
    }


# Whole checkpoints, and files of other kinds -----------------------------------------------


def sd1_checkpoint(channels: int = 4) -> Shapes:
    return (
        prefixed("model.diffusion_model.", unet(channels))
        | prefixed("first_stage_model.", vae())
        | prefixed("cond_stage_model.transformer.", clip())
    )


def sd2_checkpoint() -> Shapes:
    return (
        prefixed("model.diffusion_model.", unet(context=1024, linear=True))
        | prefixed("first_stage_model.", vae())
        | prefixed("cond_stage_model.model.", open_clip(1024, 24))
    )


def sdxl_checkpoint(channels: int = 4) -> Shapes:
    return (
        prefixed("model.diffusion_model.", unet_xl(channels))
        | prefixed("first_stage_model.", vae())
        | prefixed("conditioner.embedders.0.transformer.", clip())
        | prefixed("conditioner.embedders.1.model.", open_clip())
    )


def refiner_checkpoint() -> Shapes:
    return (
        prefixed("model.diffusion_model.", unet_xl(added=2560, context=1280, base=384))
        | prefixed("first_stage_model.", vae())
        | prefixed("conditioner.embedders.0.model.", open_clip())
    )


def sd35_checkpoint() -> Shapes:
    return (
        prefixed("model.diffusion_model.", sd3())
        | prefixed("first_stage_model.", vae(16))
        | prefixed("text_encoders.clip_l.transformer.", clip())
        | prefixed("text_encoders.clip_g.transformer.", clip(1280, 32))
        | prefixed("text_encoders.t5xxl.transformer.", t5())
    )


def flux1_checkpoint() -> Shapes:
    return (
        prefixed("model.diffusion_model.", flux1())
        | prefixed("vae.", vae(16))
        | prefixed("text_encoders.clip_l.transformer.", clip())
        | prefixed("text_encoders.t5xxl.transformer.", t5())
    )


def lora_kohya() -> Shapes:
    inner = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k."
    return {inner + "alpha": (), inner + "lora_down.weight": (16, 2048), inner + "lora_up.weight": (640, 16)}


def lora_diffusers() -> Shapes:
    inner = "transformer.single_transformer_blocks.0.attn.to_q."
    return {inner + "lora_A.weight": (16, 3072), inner + "lora_B.weight": (3072, 16)}


def lycoris() -> Shapes:
    inner = "lycoris_transformer_blocks_0_attn_to_q."
    return {inner + "lokr_w1": (16, 16), inner + "lokr_w2": (192, 192)}


def controlnet() -> Shapes:
    return prefixed("control_model.", unet()) | {"control_model.input_hint_block.0.weight": (16, 3, 3, 3)}


def controlnet_diffusers() -> Shapes:
    return unet_diffusers() | {
        "controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3),
        "controlnet_down_blocks.0.weight": (320, 320, 1, 1),
    }


def upscaler() -> Shapes:
    return {"conv_first.weight": (64, 3, 3, 3), "body.0.rdb1.conv1.weight": (32, 64, 3, 3)}


def embedding() -> Shapes:
    return {"clip_l": (8, 768), "clip_g": (8, 1280)}
