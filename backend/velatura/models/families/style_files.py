"""The folder of a style-based generator: a configuration, and weights in safetensors.

- config.json: the shape of the networks, `size`, the names of the labels, of the parts, and so on.
- generator.safetensors: mapping and synthesis.
- decoder/: the autoencoder of a generator of latents, as diffusers stores it.
- encoder.safetensors, segmentation.safetensors: where the generator has them.
- labels.safetensors: the labels that random pictures are made of.

A folder may come from anyone. Its configuration is checked before a network is made, and the header of a file
of weights before they are read.
"""

from __future__ import annotations

import json
import stat
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from velatura.files.atomic import replacing
from velatura.weights.json_files import check_files, check_sizes, read_object
from velatura_protocol.rasters import MAX_SIDE
from velatura_protocol.reading import as_list, as_object

from .style_encoder import Encoder
from .style_segmentation import Segmentation
from .stylegan2 import Shape, StyleGAN2

CLASS = "StyleGAN2"
_MOST_BLOCKS = 10  # sides 4 to 2048
_MOST_LAYERS = 32  # of a mapping; published ones have 8 or 2
_WIDEST = 8192  # of a layer; published ones have 512
_MOST_LABELS = 2**17  # in a bank
_MOST_PARTS = 256


@dataclass
class Parts:
    """What a folder holds, on the CPU.

    Args:
        shape: of the generator.
        size: side of the pictures in pixels.
        generator: mapping and synthesis. Its `w_avg` must be the mean of w.
        labels: [K, c_dim], the labels that random pictures are made of; None: one of c_dim classes each.
        label_names: of the c_dim numbers of a label, or none.
        mean, std: [img_channels] of the latents that the synthesis makes standardised; None for a synthesis
            that makes pictures.
        decoder: of these latents.
        encoder: of pictures to W+.
        segmentation: the branch that finds the parts.
        parts: their names, in a painter's words.
    """

    shape: Shape
    size: int
    generator: StyleGAN2
    labels: Tensor | None = None
    label_names: tuple[str, ...] = ()
    mean: Tensor | None = None
    std: Tensor | None = None
    decoder: AutoencoderTiny | None = None
    encoder: Encoder | None = None
    segmentation: Segmentation | None = None
    parts: tuple[str, ...] = ()


def write(folder: Path, parts: Parts, dtype: torch.dtype | None = None) -> None:
    """Writes a folder, and makes it if there is none.

    Args:
        folder: an older model in it is replaced.
        parts: what it holds.
        dtype: of the numbers in the files; None: as they are. Labels are float16.

    Raises ValueError for parts that do not fit together, which `read` would refuse.
    """
    encoder, segmentation = parts.encoder, parts.segmentation
    latents = None
    if parts.mean is not None and parts.std is not None:
        latents = {"mean": parts.mean.flatten().tolist(), "std": parts.std.flatten().tolist()}
    config = {
        "_class_name": CLASS,
        "size": parts.size,
        **asdict(parts.shape),
        "channels": list(parts.shape.channels),
        "labels": list(parts.label_names),
        "latents": latents,
        "encoder": None if encoder is None else {"channels": list(encoder.channels)},
        "segmentation": None if segmentation is None else {"width": segmentation.coarse.out_channels},
        "parts": list(parts.parts),
    }
    _check(config)
    _check_decoder(parts.decoder, config)
    folder.mkdir(parents=True, exist_ok=True)
    networks = {"generator": parts.generator, "encoder": encoder, "segmentation": segmentation}
    for name, network in networks.items():
        path = folder / f"{name}.safetensors"
        path.unlink(missing_ok=True)
        if network is not None:
            _save({key: _stored(value, dtype) for key, value in network.state_dict().items()}, path)
    (folder / "labels.safetensors").unlink(missing_ok=True)
    if parts.labels is not None:
        _save({"labels": _stored(parts.labels, torch.float16)}, folder / "labels.safetensors")
    if parts.decoder is not None:
        parts.decoder.save_pretrained(folder / "decoder", safe_serialization=True)
        for path in (folder / "decoder").glob("*.safetensors"):
            path.chmod(0o644)
        # diffusers writes this key into an AutoencoderTiny's configuration and warns on reading it
        decoder = json.loads((folder / "decoder" / "config.json").read_text())
        decoder.pop("block_out_channels", None)
        (folder / "decoder" / "config.json").write_text(json.dumps(decoder, indent=2) + "\n")
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def replace_segmentation(folder: Path, segmentation: Segmentation, parts: tuple[str, ...]) -> None:
    """Gives the generator in a folder another segmentation branch, and the names of its parts. All else stays
    as it is. Raises OSError, and ValueError where the branch does not fit."""
    config = read_object(folder / "config.json")
    config |= {"segmentation": {"width": segmentation.coarse.out_channels}, "parts": list(parts)}
    shape = _check(config)
    if segmentation.channels != shape.channels:
        raise ValueError("the segmentation reads other features than the generator has")
    _save({key: _stored(value, None) for key, value in segmentation.state_dict().items()}, folder / "new")
    (folder / "new").replace(folder / "segmentation.safetensors")
    with replacing(folder / "config.json") as stream:
        stream.write((json.dumps(config, indent=1) + "\n").encode())


def read(folder: Path) -> Parts:
    """Reads a folder; networks are on the CPU, in float32, ready to be used and without gradients.

    Raises OSError where a file is missing, and ValueError where one is not what it should be.
    """
    check_files(folder)
    config = read_object(folder / "config.json")
    shape = _check(config)
    names, parts = _texts(config, "labels", shape.c_dim), _texts(config, "parts", _MOST_PARTS)
    encoder, segmentation, decoder = _object(config, "encoder"), _object(config, "segmentation"), None
    latents = _object(config, "latents")
    if latents is not None:
        decoder = _decoder(folder / "decoder")
        _check_decoder(decoder, config)
    with torch.device("meta"):  # no memory is taken before the sizes of the files are known to agree
        generator = StyleGAN2(shape)
        inverse = mask = None
        if encoder is not None:
            channels = tuple(_widths(encoder, "channels"))
            inverse = Encoder(config["size"], shape.num_ws, shape.w_dim, channels)
        if segmentation is not None:
            mask = Segmentation(shape.channels, len(parts), _whole(segmentation, "width", 1, _WIDEST))
    for name, network in (("generator", generator), ("encoder", inverse), ("segmentation", mask)):
        if network is not None:
            _load(network, folder / f"{name}.safetensors")
    return Parts(
        shape=shape,
        size=config["size"],
        generator=generator,
        labels=_bank(folder / "labels.safetensors", shape.c_dim),
        label_names=names,
        mean=None if latents is None else torch.tensor(_numbers(latents, "mean", shape.img_channels)),
        std=None if latents is None else torch.tensor(_numbers(latents, "std", shape.img_channels)),
        decoder=decoder,
        encoder=inverse,
        segmentation=mask,
        parts=parts,
    )


def _check(config: dict[str, Any]) -> Shape:
    """The shape in a configuration. Raises ValueError where any of it is not what it should be."""
    expected = {"_class_name", "size", "labels", "latents", "encoder", "segmentation", "parts"}
    expected |= {field.name for field in fields(Shape)}
    if set(config) != expected or config["_class_name"] != CLASS:
        raise ValueError("config.json has other entries than those of a style-based generator")
    size = _whole(config, "size", 4, MAX_SIDE)
    channels = _widths(config, "channels")
    if not 1 <= len(channels) <= _MOST_BLOCKS:
        raise ValueError(f"channels has {len(channels)} entries")
    z_dim, c_dim = (_whole(config, name, 0, _WIDEST) for name in ("z_dim", "c_dim"))
    if not z_dim and not c_dim:
        raise ValueError("z_dim and c_dim are 0")
    clamp = config["clamp"]
    shape = Shape(
        z_dim=z_dim,
        c_dim=c_dim,
        w_dim=_whole(config, "w_dim", 1, _WIDEST),
        channels=tuple(channels),
        img_channels=_whole(config, "img_channels", 1, _WIDEST),
        mapping_layers=_whole(config, "mapping_layers", 1, _MOST_LAYERS),
        lr_multiplier=_number(config, "lr_multiplier", 1e-6),
        clamp=None if clamp is None else _number(config, "clamp", 1e-3),
    )
    latents = _object(config, "latents")
    if latents is None:
        if shape.img_channels != 3 or shape.resolution != size:
            raise ValueError("its pictures have other than three colours, or another size than its networks")
    else:
        _numbers(latents, "mean", shape.img_channels)
        _numbers(latents, "std", shape.img_channels)
    labels, parts = _texts(config, "labels", c_dim), _texts(config, "parts", _MOST_PARTS)
    if labels and len(labels) != c_dim:
        raise ValueError(f"{len(labels)} labels have names, not {c_dim}")
    encoder, segmentation = _object(config, "encoder"), _object(config, "segmentation")
    if encoder is not None:
        levels = _widths(encoder, "channels")
        if len(levels) < 2 or 2 ** len(levels) > size:
            raise ValueError(f"an encoder of pictures of {size} pixels has no {len(levels)} levels")
    if (segmentation is None) != (not parts):
        raise ValueError("a segmentation and the names of its parts go together")
    if segmentation is not None:
        _whole(segmentation, "width", 1, _WIDEST)
    return shape


def _check_decoder(decoder: AutoencoderTiny | None, config: dict[str, Any]) -> None:
    """Raises ValueError unless a decoder makes pictures of the configuration's latents."""
    if (decoder is None) != (config["latents"] is None):
        raise ValueError("a decoder and the mean and deviation of its latents go together")
    if decoder is None:
        return
    side = (
        4 * 2 ** (len(config["channels"]) - 1) * 2 ** (len(decoder.config["decoder_block_out_channels"]) - 1)
    )
    if decoder.config["latent_channels"] != config["img_channels"] or side != config["size"]:
        raise ValueError("the decoder takes other latents than the generator makes")
    if decoder.config["out_channels"] != 3:
        raise ValueError("its pictures have other than three colours")


def _decoder(folder: Path) -> AutoencoderTiny:
    config = read_object(folder / "config.json")
    if config.get("_class_name") != "AutoencoderTiny":
        raise ValueError("its decoder is no AutoencoderTiny")
    check_files(folder)
    check_sizes(config)
    decoder = AutoencoderTiny.from_pretrained(
        folder,
        local_files_only=True,
        low_cpu_mem_usage=False,
        use_safetensors=True,
        torch_dtype=torch.float32,
    )
    nn.Module.requires_grad_(decoder.eval(), False)
    return decoder


def _stored(value: Tensor, dtype: torch.dtype | None) -> Tensor:
    value = value.detach().cpu().contiguous().clone()
    return value if dtype is None or not value.is_floating_point() else value.to(dtype)


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    save_file(tensors, path)
    path.chmod(0o644)


def _load(network: nn.Module, path: Path) -> None:
    """Gives a network on the meta device its weights. Raises OSError or ValueError."""
    expected: dict[str, Tensor] = network.state_dict()
    network.load_state_dict(_tensors(path, expected), assign=True)
    network.eval().requires_grad_(False)


def _bank(path: Path, c_dim: int) -> Tensor | None:
    """The bank of labels [K, c_dim], float32; None where there is no file."""
    if not path.exists():
        return None
    with safe_open(_regular(path), "pt") as file:
        shape = file.get_slice("labels").get_shape() if list(file.keys()) == ["labels"] else []
    if len(shape) != 2 or not 1 <= shape[0] <= _MOST_LABELS or shape[1] != c_dim:
        raise ValueError(f"{path.name} has no labels of {c_dim} numbers")
    return _tensors(path, {"labels": torch.empty(shape, device="meta")})["labels"]


def _tensors(path: Path, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file in the dtypes of those expected; ValueError for other names or shapes."""
    found: dict[str, Tensor] = {}
    with safe_open(_regular(path), "pt") as file:
        if set(file.keys()) != set(expected):
            raise ValueError(f"{path.name} has other weights than config.json says")
        for name, value in expected.items():
            if file.get_slice(name).get_shape() != list(value.shape):
                raise ValueError(f"{path.name}: {name} has another shape than config.json says")
            tensor = file.get_tensor(name)
            if tensor.is_floating_point() != value.is_floating_point():
                raise ValueError(f"{path.name}: {name} has numbers of another kind")
            found[name] = tensor.to(value.dtype, copy=True)  # a mapped file could change under the network
    return found


def _regular(path: Path) -> Path:
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path.name} is no regular file")
    return path


def _object(config: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = config[name]
    if value is not None and (value := as_object(value)) is None:
        raise ValueError(f"{name} is no object")
    return value


def _whole(config: dict[str, Any], name: str, least: int, most: int) -> int:
    value = config.get(name)
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} is {value!r:.40}")
    return value


def _number(config: dict[str, Any], name: str, least: float) -> float:
    value = config.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= 1e6:
        raise ValueError(f"{name} is {value!r:.40}")
    return float(value)


def _list(config: dict[str, Any], name: str, most: int) -> list[Any]:
    values = as_list(config.get(name))
    if values is None or len(values) > most:
        raise ValueError(f"{name} is no list of at most {most}")
    return values


def _widths(config: dict[str, Any], name: str) -> list[int]:
    values = _list(config, name, _MOST_BLOCKS)
    return [_whole({name: value}, name, 1, _WIDEST) for value in values]


def _numbers(config: dict[str, Any], name: str, count: int) -> list[float]:
    values = _list(config, name, count)
    if len(values) != count or not all(type(value) in (int, float) for value in values):
        raise ValueError(f"{name} has not {count} numbers")
    return [float(value) for value in values]


def _texts(config: dict[str, Any], name: str, most: int) -> tuple[str, ...]:
    values = _list(config, name, most)
    if not all(isinstance(value, str) and 0 < len(value) <= 100 for value in values):
        raise ValueError(f"{name} has entries that are no names")
    return tuple(values)
