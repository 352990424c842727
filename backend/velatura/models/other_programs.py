"""The folders in which other programs keep models. Imports no torch; nothing in them is changed.

ComfyUI (with extra_model_paths.yaml), InvokeAI, A1111 and Forge, Stability Matrix, and the hub's cache.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from velatura.weights.json_files import CONFIGURATION, read_file

_COMFY_PATHS = ("extra_model_paths.yaml", "extra_models_config.yaml")
_MOST_PATHS = 200  # of one such file
_NO_FOLDERS = ("base_path", "is_default", "download_model_base", "custom_nodes")


def known() -> list[Path]:
    """The folders of models that are there at the places at which these programs put them."""
    home, data = Path.home(), _data()
    roots = [
        *(home / name for name in ("ComfyUI", "comfyui", "Documents/ComfyUI", "invokeai", "InvokeAI")),
        *(home / name for name in ("stable-diffusion-webui", "stable-diffusion-webui-forge", "forge")),
        *(home / "StabilityMatrix" / "Models", data / "StabilityMatrix" / "Models", data / "ComfyUI"),
        *(data / "krita" / "ai_diffusion" / "server", data / "krita/ai_diffusion/server/ComfyUI"),
    ]
    if os.environ.get("INVOKEAI_ROOT"):
        roots.insert(0, Path(os.environ["INVOKEAI_ROOT"]))
    found = [shelf for root in roots if root.is_dir() for shelf in shelves_of(root)]
    return _once([*found, hub_cache()])


def shelves_of(folder: Path) -> list[Path]:
    """The folders of models of a program that is installed in a folder; for any other folder itself.

    Besides `models` these are the folders in ComfyUI's extra_model_paths.yaml, InvokeAI's `autoimport`, the
    `embeddings` of A1111, and the tokenizers that come with ComfyUI's code.
    """
    inner = [folder / name for name in ("models", "embeddings", "autoimport", "comfy/text_encoders")]
    is_program = (folder / "models").is_dir() and not (folder / "model_index.json").is_file()
    named = [path for name in _COMFY_PATHS for path in extra_paths(folder / name)]
    return _once([*(inner if is_program else [folder]), *named])


def hub_cache() -> Path:
    """The cache of the hub's client, where its own settings put it."""
    if own := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(own).expanduser()
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or Path(caches, "huggingface")).expanduser() / "hub"


def extra_paths(file: Path) -> list[Path]:
    """The folders that a file in the form of ComfyUI's extra_model_paths.yaml names; none where it is no such
    file."""
    import yaml  # only here

    try:
        sections: Any = yaml.safe_load(read_file(file, CONFIGURATION))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return []
    folders: list[Path] = []
    for section in sections.values() if isinstance(sections, dict) else ():
        if not isinstance(section, dict):
            continue
        base = file.parent / _expanded(str(section.get("base_path") or ""))
        for kind, lines in section.items():
            if isinstance(lines, str) and kind not in _NO_FOLDERS:
                folders += [base / _expanded(line.strip()) for line in lines.splitlines() if line.strip()]
    return _once(folders[:_MOST_PATHS])


def _expanded(text: str) -> str:
    return os.path.expanduser(os.path.expandvars(text))


def _data() -> Path:
    """The folder in which programs keep their data."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def _once(folders: Iterable[Path]) -> list[Path]:
    """Those of the folders that are there, each once."""
    there = {os.path.realpath(folder): folder for folder in reversed([*folders]) if folder.is_dir()}
    return [*there.values()][::-1]
