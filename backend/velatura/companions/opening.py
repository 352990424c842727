"""How a companion of a model is opened: its folder found, its kind looked at, faults told in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from velatura.weights.json_files import check_files, check_sizes, read_object
from velatura.weights.out_of_memory import is_out_of_memory
from velatura_protocol.errors import VelaturaError

_HUB_FILES = ["*.json", "*.txt", "*.safetensors"]  # no pickled weights: they could run code


@contextmanager
def opened(what: str, path: str | Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The folder at a path, or fetched by a hub id, and its config.json, to be loaded from inside the block.

    what: its name for the person. Whatever is raised there means `unknown-model`, except that memory is out.
    """
    from huggingface_hub import snapshot_download  # slow to import

    try:
        local = Path(path).is_dir()
        folder = Path(path if local else snapshot_download(str(path), allow_patterns=_HUB_FILES))
        check_files(folder)
        config = read_object(folder / "config.json")
        check_sizes(config)
        yield folder, config
    except Exception as error:  # the libraries that read these files raise every kind, as for models
        if is_out_of_memory(error):
            raise
        raise VelaturaError(
            "unknown-model",
            f"The {what} at {path} cannot be read; fetch it again or name another one.",
            detail=f"{type(error).__name__}: {error}",
        ) from error


def check_kind(config: dict[str, Any], kind: str) -> None:
    """Raises ValueError unless a config.json is of this kind, as transformers names it."""
    if config.get("model_type") != kind:
        raise ValueError(f"a model of the type {config.get('model_type')!r}")
