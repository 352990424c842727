"""Opens the folder of a model's companion: checks its files and kind, and reports faults in a sentence."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from velatura.weights.json_files import check_files, check_sizes, read_object
from velatura.weights.out_of_memory import is_out_of_memory
from velatura_protocol.errors import VelaturaError

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig

_HUB_FILES = ["*.json", "*.txt", "*.safetensors"]  # no pickled weights: they could run code


@contextmanager
def opened(title: str, path: str | Path) -> Generator[tuple[Path, dict[str, Any]]]:
    """The folder of a companion and its config.json; the block loads it.

    title: its name for a person. path: a folder, or a hub id to fetch. Every exception within the block
    becomes `unknown-model`, except a lack of memory.
    """
    from huggingface_hub import snapshot_download  # slow to import

    try:
        local = Path(path).is_dir()
        folder = Path(path if local else snapshot_download(str(path), allow_patterns=_HUB_FILES))
        check_files(folder)
        config = read_object(folder / "config.json")
        check_sizes(config)
        yield folder, config
    except Exception as error:  # the libraries that read these files raise exceptions of any class
        if is_out_of_memory(error):
            raise
        raise VelaturaError(
            "unknown-model",
            f"The {title} at {path} cannot be read; fetch it again or name another one.",
            detail=f"{type(error).__name__}: {error}",
        ) from error


def check_kind(config: dict[str, Any], kind: str) -> None:
    """Raises ValueError unless a config.json has this `model_type` of transformers."""
    if config.get("model_type") != kind:
        raise ValueError(f"a model of the type {config.get('model_type')!r}")


def section(config: Any, name: str) -> PretrainedConfig:
    """The configuration of a part of a network, such as `text_config`.

    transformers declares it as an optional dictionary, which it never is after loading.
    """
    return getattr(config, name)


def place(
    network: torch.nn.Module, device: torch.device | str, title: str = "", *, repeat: bool = True
) -> None:
    """Moves a network to its device, to be used and not trained; its results are checked for overflow.

    title, repeat: see `velatura.weights.precision.watch`.
    """
    from velatura.weights.precision import watch  # imports torch

    network.to(device).eval().requires_grad_(False)
    watch(network, f"the {title or 'network beside the model'}", repeat=repeat)
