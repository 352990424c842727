"""An example of each method, as somebody would type it, and the picture it gives on the embedded model."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

import velatura
from velatura.files.compare import GAP, PAPER
from velatura_protocol.kinds import RESULTS
from velatura_protocol.schema import fields_from_schema

SAMPLES = Path(velatura.__file__).parent / "samples"
SEED = 7
EDIT = "beard"  #: of the sample's own edits; repainting from what is there already leads to it, too
WORD = "hair"  #: something that the sample shows, to be selected or turned
TIMEOUT = 900


class NoExample(Exception):
    """An example could not be made; the message is the command line's."""


@dataclass(frozen=True)
class Shown:
    """What an example gave. picture: before and after, between them what was selected; None of a method that
    answers in words."""

    picture: Path | None
    said: str


def example(method: dict) -> list[str]:
    """Return the words after `velatura` that try a method, as the protocol describes it, on the sample.

    An entry of the demo is taken where there is one; else the method's inputs and the marks of its schema say
    what it wants.
    """
    samples = json.loads((SAMPLES / "samples.json").read_text("utf-8"))
    entries = json.loads((SAMPLES / "demo.json").read_text("utf-8"))
    words = ["edit", samples["portrait"]["file"], "--method", method["id"]]
    entry = next((entry for entry in entries if entry["method"] == method["id"]), None)
    words += _from_demo(entry) if entry else _from_schema(method, samples)
    if RESULTS[method["result"]].insert != "texts":
        words += ["--out", f"{method['id']}.png"]
    return words


def _from_demo(entry: dict) -> list[str]:
    words = ["--prompt", entry["prompt"]] if entry["prompt"] else []
    words += ["--mask", entry["mask"]] if "mask" in entry else []
    for key, value in entry.get("set", {}).items():
        words += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
    if "dial" in entry:
        dial = entry["dial"]
        words += ["--dial", f"{dial['less']}=>{dial['more']}:{max(entry['shares'])}"]
    return [*words, "--seed", str(entry.get("seed", SEED))]


def _from_schema(method: dict, samples: dict) -> list[str]:
    fields = fields_from_schema(method["parameters"])
    captioned = next((field.key for field in fields if field.source_prompt), "")
    worded = next((field.key for field in fields if field.words), "")
    is_layer = RESULTS[method["result"]].is_edit
    caption, edit = samples["portrait"]["caption"], samples["edits"][EDIT]
    words = ["--set", f"{captioned}={caption}"] if captioned else []
    if any(field.dials for field in fields):
        words += ["--dial", f"{WORD}:60"]
    elif method["inputs"]["prompt"] != "none":
        finds = not is_layer and not captioned
        words += ["--prompt", (caption if worded else WORD) if finds else edit["prompt"]]
    if worded and not is_layer:
        words += ["--set", f"{worded}={WORD}"]
    needs_mask = is_layer and not captioned
    if method["inputs"]["mask"] == "required" or (needs_mask and method["inputs"]["mask"] == "optional"):
        words += ["--mask", edit["mask"]]
    return [*words, "--seed", str(SEED)] if is_layer else words


def as_typed(words: Sequence[str]) -> str:
    """Return the command as lines of a shell, an option a line."""
    lines = [shlex.join(["velatura", *words[:2]])]
    for word in words[2:]:
        if word.startswith("--"):
            lines.append(word)
        else:
            lines[-1] += " " + shlex.quote(word)
    return " \\\n    ".join(lines)


def show(method: dict, kept: Path, state: Path) -> Shown:
    """Run a method's example, or take it from where an earlier one was kept. Raises NoExample.

    Args:
        method: as the protocol describes it.
        kept: the folder of what earlier examples gave.
        state: the state directory of the daemon to use; it is started where it does not run.
    """
    words = example(method)
    mark = json.dumps([words, method["version"], velatura.__version__, _fingerprint()])
    name = f"{method['id']}-{hashlib.sha256(mark.encode()).hexdigest()[:16]}"
    picture, text = kept / f"{name}.jpg", kept / f"{name}.txt"
    if not text.exists():
        kept.mkdir(parents=True, exist_ok=True)
        shows = (
            (0, 1)
            if RESULTS[method["result"]].insert == "selections"
            else (0, 1, 2)
            if "--mask" in words
            else (0, 2)
        )
        said = _run(
            words, kept, picture if RESULTS[method["result"]].insert != "texts" else None, shows, state
        )
        text.write_text(said, "utf-8")
    return Shown(
        picture if RESULTS[method["result"]].insert != "texts" else None, text.read_text("utf-8").strip()
    )


def _fingerprint() -> list[int]:
    """Return what changes when the embedded model does."""
    bundles = SAMPLES.parent / "bundles"
    return [path.stat().st_size for path in sorted(bundles.rglob("*.safetensors"))]


def _run(words: list[str], folder: Path, picture: Path | None, shows: Sequence[int], state: Path) -> str:
    """Return what the command prints. shows: the panels of before, selection and after that `picture` has."""
    compared = folder / "compared.png"
    words = [str(SAMPLES / word) if (SAMPLES / word).is_file() else word for word in words]
    if picture is not None:
        words += ["--compare", str(compared)]
    environment = os.environ | {"VELATURA_STATE_DIR": str(state), "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-m", "velatura", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=TIMEOUT,
    )
    if ended.returncode:
        raise NoExample(f"{as_typed(words)}\n{ended.stderr}")
    if picture is not None:
        _chosen(compared, shows).save(picture, quality=88)
        for made in folder.glob("*.png"):
            made.unlink()
    return ended.stdout if picture is None else ""


def _chosen(compared: Path, shows: Sequence[int]) -> Image.Image:
    """Return some panels of a comparison beside each other, at half its size."""
    with Image.open(compared) as panels:
        step = (panels.width - GAP) // 3
        paper = Image.new("RGB", (GAP + step * len(shows), panels.height), PAPER)
        for place, panel in enumerate(shows):
            paper.paste(panels.crop((panel * step, 0, (panel + 1) * step, panels.height)), (place * step, 0))
    return paper.resize((paper.width // 2, paper.height // 2), Image.Resampling.LANCZOS)


def stop(state: Path) -> None:
    """Stop the daemon of a state directory."""
    words = [sys.executable, "-m", "velatura", "stop", "--state-dir", str(state)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(words, env=environment, capture_output=True, timeout=TIMEOUT, check=False)
