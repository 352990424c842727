"""An example command for each method, and its result with an embedded model."""

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
from typing import Any

from PIL import Image

import velatura
from velatura.files.compare import GAP, PAPER
from velatura.generators.codes import VQ
from velatura.generators.kinds import suits
from velatura.generators.protocol import DIFFUSION, PIXEL_DIFFUSION
from velatura.generators.styles import STYLE
from velatura_protocol.catalogue import PROMPT, MethodInfo

SAMPLES = Path(velatura.__file__).parent / "samples"
SEED = 7
EDIT = "beard"  #: one of the sample's own edits; it also succeeds where the source itself is repainted
WORD = "hair"  #: a thing in the sample, to select
DIAL = "short=>long:60"  #: a change by degrees of which the sample's caption has the one end
TIMEOUT = 900


class NoExample(Exception):
    """An example failed; the message is that of the command line."""


@dataclass(frozen=True)
class Shown:
    """The result of an example.

    picture: the panels before and after, between them the selection; None for a method of texts. output: the
    printed texts.
    """

    picture: Path | None
    output: str


def example(method: MethodInfo) -> list[str]:
    """Return the words after `velatura` that try a method on the sample.

    The demo's entry for the method gives them, or that of `examples.json`; without one, the method's inputs
    and the marks of its schema.
    """
    samples = json.loads((SAMPLES / "samples.json").read_text("utf-8"))
    entries = [
        entry
        for name in ("demo.json", "examples.json")
        for entry in json.loads((SAMPLES / name).read_text("utf-8"))
    ]
    words = ["edit", samples["portrait"]["file"], "--method", method.id]
    entry = next((entry for entry in entries if entry["method"] == method.id), None)
    words += _from_entry(entry) if entry else _from_schema(method, samples)
    if method.kind.insert != "texts":
        words += ["--out", f"{method.id}.png"]
    return words


def _from_entry(entry: dict[str, Any]) -> list[str]:
    words: list[str] = ["--prompt", entry["prompt"]] if entry["prompt"] else []
    words += ["--mask", entry["mask"]] if "mask" in entry else []
    for key, value in entry.get("set", {}).items():
        words += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
    if "dial" in entry:
        dial = entry["dial"]
        words += ["--dial", f"{dial['less']}=>{dial['more']}:{max(entry['shares'])}"]
    for dial in entry.get("dials", ()):
        words += ["--dial", dial]
    for item in entry.get("items", ()):
        words += ["--item", item]
    return [*words, "--seed", str(entry.get("seed", SEED))]


def _from_schema(method: MethodInfo, samples: dict[str, Any]) -> list[str]:
    is_edit = method.kind.is_edit
    caption, edit = samples["portrait"]["caption"], samples["edits"][EDIT]
    words = ["--set", f"{method.caption.key}={caption}"] if method.caption else []
    words += ["--set", f"{method.thing.key}={WORD}"] if method.thing else []
    if method.dials:
        words += ["--dial", DIAL]
    elif method.need(PROMPT) != "none":
        selects = not is_edit and not method.caption
        words += ["--prompt", (caption if method.words else WORD) if selects else edit["prompt"]]
    if method.words and not is_edit:
        words += ["--set", f"{method.words.key}={WORD}"]
    needs_mask = is_edit and not method.caption and not method.thing
    if method.need("mask") == "required" or (needs_mask and method.need("mask") == "optional"):
        words += ["--mask", edit["mask"]]
    return [*words, "--seed", str(SEED)] if is_edit else words


EMBEDDED = (DIFFUSION, PIXEL_DIFFUSION, VQ, STYLE)
"""The kinds of the embedded models."""


def is_possible(method: MethodInfo, generator: str | tuple[str, ...], trait: str = "") -> bool:
    """Return whether a method can be tried with the sample and an embedded model.

    Args:
        method: as the daemon offers it.
        generator: the kind of model that it needs, or several; '' for any.
        trait: of the models that it needs; no embedded model has one.
    """
    needed = any(raster.need == "required" for raster in method.further)
    return not needed and not trait and any(suits(generator, kind) for kind in EMBEDDED)


def as_typed(words: Sequence[str]) -> str:
    """Return the command as lines of a shell, one option per line."""
    lines = [shlex.join(["velatura", *words[:2]])]
    for word in words[2:]:
        if word.startswith("--"):
            lines.append(word)
        else:
            lines[-1] += " " + shlex.quote(word)
    return " \\\n    ".join(lines)


def show(method: MethodInfo, kept: Path, state: Path) -> Shown:
    """Run a method's example, or take its result from the cache. Raises NoExample.

    Args:
        method: as the daemon offers it.
        kept: the folder that caches results.
        state: the state directory of the daemon, which is started where it does not run.
    """
    words = example(method)
    mark = json.dumps([words, method.version, velatura.__version__, _fingerprint()])
    name = f"{method.id}-{hashlib.sha256(mark.encode()).hexdigest()[:16]}"
    text = kept / f"{name}.txt"
    picture = None if method.kind.insert == "texts" else kept / f"{name}.jpg"
    if not text.exists():
        kept.mkdir(parents=True, exist_ok=True)
        panels = (0, 1, 2) if "--mask" in words else (0, 2)
        if method.kind.insert == "selections":
            panels = (0, 1)
        text.write_text(_run(words, kept, picture, panels, state), "utf-8")
    return Shown(picture, text.read_text("utf-8").strip())


def _fingerprint() -> list[int]:
    """Return values that change with the embedded models: the sizes of their files."""
    bundles = SAMPLES.parent / "bundles"
    return [path.stat().st_size for path in sorted(bundles.rglob("*.safetensors"))]


def _run(words: list[str], folder: Path, picture: Path | None, panels: Sequence[int], state: Path) -> str:
    """Run a command and return its output; write `picture`. Raises NoExample.

    Args:
        words: the words after `velatura`.
        folder: the working directory.
        picture: the JPEG to write, or None.
        panels: those of the comparison to show: before, selection, after.
        state: the state directory.
    """
    compared = folder / "compared.png"
    words = [str(SAMPLES / word) if (SAMPLES / word).is_file() else word for word in words]
    if picture is not None:
        words += ["--compare", str(compared)]
    environment = os.environ | {"VELATURA_STATE_DIR": str(state), "PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "velatura", *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise NoExample(f"{as_typed(words)}\ntook longer than {TIMEOUT} s") from error
    if ended.returncode:
        raise NoExample(f"{as_typed(words)}\n{ended.stderr}")
    if picture is not None:
        _chosen(compared, panels).save(picture, quality=88)
        for made in folder.glob("*.png"):
            made.unlink()
    return ended.stdout if picture is None else ""


def _chosen(compared: Path, panels: Sequence[int]) -> Image.Image:
    """Return some panels of a comparison side by side, at half its size."""
    with Image.open(compared) as whole:
        step = (whole.width - GAP) // 3
        paper = Image.new("RGB", (GAP + step * len(panels), whole.height), PAPER)
        for place, panel in enumerate(panels):
            paper.paste(whole.crop((panel * step, 0, (panel + 1) * step, whole.height)), (place * step, 0))
    return paper.resize((paper.width // 2, paper.height // 2), Image.Resampling.LANCZOS)


def stop(state: Path) -> None:
    """Stop the daemon of a state directory."""
    words = [sys.executable, "-m", "velatura", "stop", "--state-dir", str(state)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(words, env=environment, capture_output=True, timeout=TIMEOUT, check=False)
