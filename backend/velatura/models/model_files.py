"""A listed model's files: their family, the person's choices, and what their weights cost in memory.

Imports no torch; reads headers and configurations only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from velatura_protocol.errors import VelaturaError

from . import needs, recognition
from .model_list import Item
from .recognition import FAMILIES, Found
from .traits import CONTROL, FEW_STEPS, INPAINTING, INSTRUCTS, NO_GUIDANCE, PACKED, V_PREDICTION

GiB = 1024**3
_UNETS = (
    "sd",
    "sdxl",
)  # families that were trained for several predictions, and whose CLIP layers may be left out
_SHOWN = {  # traits that matter to a person
    INPAINTING: "fills a selection",
    INSTRUCTS: "follows instructions",
    FEW_STEPS: "needs few steps",
    NO_GUIDANCE: "has no negative prompt",
    V_PREDICTION: "predicts v",
}


def found(item: Item, path: Path, shelves: Sequence[Path] = ()) -> Found:
    """The files of a listed model.

    Args:
        item: its entry of models.json, whose `parts`, `vae`, `prediction` and `clip_skip` count.
        path: its folder or file.
        shelves: see `recognition.recognise`.

    Raises:
        VelaturaError: `unknown-model`, with a sentence, where the path has no model that can edit, and
            `bad-request` for choices that its family does not have.
        ValueError: see `recognition.recognise`.
    """
    seen = recognition.recognise(path, shelves)
    if seen is None:
        raise VelaturaError("unknown-model", _no_model(path))
    if sentence := unusable(seen):
        raise VelaturaError("unknown-model", sentence)
    own: dict[str, str] = item.get("parts") or {}
    parts = {**seen.parts, **{name: Path(place) for name, place in own.items() if Path(place).exists()}}
    if item.get("vae"):
        parts["vae"] = Path(item["vae"])
    family = FAMILIES[seen.family]
    missing = tuple(name for name in family.parts if name not in parts)
    unread = [name for name in missing if (path / name).is_dir()]
    if unread:
        raise VelaturaError("unknown-model", _UNREAD.format(path, unread[0]))
    prediction, skip, traits = item.get("prediction"), item.get("clip_skip"), seen.traits
    if (prediction or skip is not None) and seen.family not in _UNETS:
        what = "--prediction" if prediction else "--clip-skip"
        raise VelaturaError("bad-request", f"{family.title} has no {what}; leave it out.")
    if prediction:
        traits = traits - {V_PREDICTION} | ({V_PREDICTION} if prediction == "v_prediction" else set())
    return replace(
        seen,
        parts=MappingProxyType(parts),
        missing=missing,
        prediction=prediction or seen.prediction,
        chosen=bool(prediction),
        traits=traits,
        clip_skip=skip,
    )


_UNREAD = "{} has no .safetensors weights in {}; only those are read, so fetch them."


def _no_model(path: Path) -> str:
    name = f"{path.parent.name}/{path.name}" if path.is_dir() else path.name
    title = recognition.title(path)
    if title.endswith("."):  # a whole sentence, about a file that cannot be read
        return title
    unfit = "" if title == recognition.UNKNOWN else ", which cannot edit by itself"
    return f"{name} is {title}{unfit}; choose a model's file or folder."


def check_vae(place: str, family: str) -> None:
    """Raises `bad-request` unless an autoencoder for this family is at a place."""
    want = _AUTOENCODER[family]
    vaes = [part for part in recognition.parts_at(Path(place)) if part.kind == "vae"]
    if not any(part.of in ("", *want) for part in vaes):
        raise VelaturaError(
            "bad-request",
            f"{place} is no autoencoder (VAE) for {FAMILIES[family].title}; choose another --vae.",
        )


_AUTOENCODER = {  # families whose autoencoders have the same shape, so that a name alone does not decide
    **dict.fromkeys(("sd", "sdxl"), ("sd", "sdxl")),
    **dict.fromkeys(("sd3", "flux1", "chroma", "z-image"), ("sd3", "flux1")),
    **{family: (family,) for family in ("flux2", "qwen-image")},
    "krea2": ("qwen-image",),
    "kandinsky2": (),  # its MoVQ is no part that a person names
}


def lacking(found: Found, title: str) -> str:
    """The sentence on the parts that are nowhere; '' where nothing is missing."""
    if not found.missing:
        return ""
    way = ", or name it with --vae" if found.missing == ("vae",) else ""
    return (
        f"The model {title!r} lacks {recognition.named(found)}; put the files into a folder of models and run"
        f" `velatura models find FOLDER`{way}."
    )


def unusable(found: Found) -> str:
    """The sentence on a model that cannot be loaded: its weights are packed, or its network needs a map; ''
    for others."""
    name = found.path.name
    if PACKED in found.traits:
        return f"{name} is packed for one kind of card; fetch the same model as bf16, fp8 or GGUF."
    if CONTROL in found.traits:
        title = FAMILIES[found.family].title
        return f"{name} draws after maps of depth or edges; choose {title} dev, Fill or Kontext."
    return ""


def weights(found: Found) -> dict[str, int]:
    """Bytes of all weights that loading reads, by dtype.

    Raises `unknown-model` for a file that is cut off."""
    sums: dict[str, int] = {}
    for path in dict.fromkeys(found.parts.values()):
        for dtype, size in needs.weights(path).items():
            sums[dtype] = sums.get(dtype, 0) + size
    return sums


def described(found: Found, weights: Mapping[str, int]) -> list[str]:
    """What a model is, what it costs and where its parts are, in lines for the person."""
    family = FAMILIES[found.family]
    own = [words for trait, words in _SHOWN.items() if trait in found.traits]
    lines = [f"{family.title}, {found.size} px" + (f": {', '.join(own)}" if own else "")]
    total = sum(weights.values())
    by = ", ".join(
        f"{dtype} {size / GiB:.1f}" for dtype, size in sorted(weights.items(), key=lambda one: -one[1])
    )
    lines.append(f"its weights take {total / GiB:.1f} GiB of memory ({by})")
    titles = {**family.parts, **family.optional}
    for name, path in found.parts.items():
        if path != found.path and found.path not in path.parents and name in titles:
            lines.append(f"takes {titles[name]} from {path}")
    if not found.prediction:
        lines.append(
            "does not say what it predicts; if its pictures are wrong, add it again with --prediction"
        )
    return lines
