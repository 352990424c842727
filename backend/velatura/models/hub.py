"""Models at a hub: the files of one variant, fetched into the hub's own cache. Imports no torch.

The cache is shared with all programs that use the hub's client. A download that broke off goes on where it
stopped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from velatura.weights.json_files import VOCABULARY, read_object
from velatura_protocol.errors import VelaturaError

from . import other_programs
from .recognition import recognise, resolved

_TEXTS = re.compile(r"(model_index\.json|[^/]+/[^/]+\.(json|txt|model|jinja))")
_WEIGHTS = re.compile(
    r"(?P<folder>[^/]+)/(?P<stem>[^/.]+)(\.(?P<variant>[^/.-]+))?(-\d+-of-\d+)?\.safetensors"
)
_VARIANTS = ("fp16", "bf16", "", "fp32", "non_ema")  # in the order in which they are preferred
_UNUSED = ("safety_checker", "feature_extractor", "image_encoder", "prior")
_WHOLE = "model_index.json"


@dataclass(frozen=True)
class Plan:
    """What a download fetches.

    Args:
        name: owner/name.
        revision: the commit.
        files: their sizes in bytes, by their names in the repository.
        here: bytes of them that are in the cache already.
    """

    name: str
    revision: str
    files: Mapping[str, int]
    here: int

    @property
    def size(self) -> int:
        """Bytes to fetch."""
        return sum(self.files.values()) - self.here


def local(name: str) -> Path | None:
    """The folder of a repository in the cache; None if it is not there."""
    folder = other_programs.hub_cache() / f"models--{name.replace('/', '--')}"
    snapshot = resolved(folder)
    return snapshot if snapshot != folder and (snapshot / _WHOLE).is_file() else None


def whole(name: str) -> Path | None:
    """As `local`, but None also where a download broke off: a part or a piece of its weights is not there."""
    folder = local(name)
    if folder is None:
        return None
    try:
        seen = recognise(folder)
        pieces = [piece for index in folder.glob("*/*.safetensors.index.json") for piece in _pieces(index)]
    except (OSError, ValueError):
        return None
    return folder if seen and not seen.missing and all(piece.exists() for piece in pieces) else None


def _pieces(index: Path) -> list[Path]:
    """The files that an index of weights in several pieces names. Raises OSError or ValueError."""
    places = read_object(index, VOCABULARY).get("weight_map")
    return [index.parent / str(name) for name in set(places.values())] if isinstance(places, dict) else []


def chosen(names: Iterable[str]) -> list[str]:
    """The files of one variant: configurations, vocabularies, and the weights that loading reads.

    Each part has its own variant, the smallest that is no loss: fp16 or bf16 where there is one.
    """
    names = list(names)
    texts = [name for name in names if _TEXTS.fullmatch(name)]
    weights: dict[str, dict[str, list[str]]] = {}
    for name in names:
        match = _WEIGHTS.fullmatch(name)
        if match and match["folder"] not in _UNUSED:
            variants = weights.setdefault(match["folder"], {})
            variants.setdefault(match["variant"] or "", []).append(name)
    kept: list[str] = []
    for variants in weights.values():
        first = next((one for one in _VARIANTS if one in variants), next(iter(variants)))
        kept += variants[first]
    unused = {name for name in texts if name.split("/")[0] in _UNUSED}
    return [name for name in names if name in {*texts, *kept} - unused]


def plan(name: str) -> Plan:
    """What to fetch of a repository.

    Raises `unknown-model` where it cannot be asked, or has no such files."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    try:
        info = HfApi().model_info(name, files_metadata=True)
    except Exception as error:  # the hub's client raises many kinds, of several libraries
        raise _unreachable(name, error) from error
    sizes = {one.rfilename: one.size or 0 for one in info.siblings or []}
    files = {one: sizes[one] for one in chosen(sizes)}
    if _WHOLE not in files or not any(one.endswith(".safetensors") for one in files):
        raise VelaturaError(
            "unknown-model",
            f"{name} has no .safetensors files in diffusers' form; fetch its file with the hub's own program,"
            " and add that file.",
        )
    revision = str(info.sha)
    there = [one for one in files if isinstance(try_to_load_from_cache(name, one, revision=revision), str)]
    return Plan(name, revision, files, sum(files[one] for one in there))


def fetch(plan: Plan) -> Path:
    """Downloads a plan's files with the hub's own bars of progress, and returns their folder.

    Raises `unknown-model`, retryable, if the connection broke; the next call goes on there.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(plan.name, revision=plan.revision, allow_patterns=[*plan.files]))
    except Exception as error:  # as above
        raise _unreachable(plan.name, error) from error


def folder_of(name: str) -> Path:
    """The folder of a repository, from the cache if all is there, else fetched. Raises as `plan`."""
    return whole(name) or fetch(plan(name))


def _unreachable(name: str, error: Exception) -> VelaturaError:
    return VelaturaError(
        "unknown-model",
        f"The model {name} could not be fetched; check name and connection, or give a local folder.",
        retryable=True,
        detail=f"{type(error).__name__}: {error}",
    )
