"""`velatura models teach`: a generator learns the parts of its pictures from a few labelled ones."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from velatura.generators.styles import STYLE
from velatura.models import catalogue
from velatura.shelf import Shelf
from velatura.shelf.listing import FOLDER
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.models.families.style_generator import Styled
    from velatura.stylespace.teaching import Lesson

LEGEND = "parts.txt"
ABOUT = f"""\
teach a style-based generator the parts of its pictures, so that they can be repainted

FOLDER holds 10 to 30 pictures as the generator makes them: squares with the subject where the generator puts
it. Beside NAME.png or NAME.jpg lies NAME-parts.png, the same picture with each part in one flat colour;
transparent pixels are left out. {LEGEND} names the colours, one part a line, the background first:

  808080 background
  F09030 face
"""
_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
_EVERY = 5  # each fifth picture is left out of a first training, to measure it


class Labelled(NamedTuple):
    """A picture [3, s, s] in [-1, 1], and its labels [s, s]."""

    name: str
    picture: Tensor
    labels: Tensor


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `velatura models teach`."""
    parser.description = ABOUT[0].upper() + ABOUT[1:]
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", metavar="NAME", help="a style-based generator that you have added")
    parser.add_argument("pictures", metavar="FOLDER", help="the labelled pictures")
    parser.add_argument("--steps", type=int, default=600, help="steps of training (%(default)s)")
    parser.add_argument(
        "--refine",
        type=int,
        default=150,
        metavar="N",
        help="steps in which each picture's code is sought beyond the generator's own reading (%(default)s)",
    )
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda:0", help="where it is trained")


def run(options: argparse.Namespace) -> None:
    """Teaches the generator, and prints how well it finds each part."""
    from velatura.models.families.style_files import replace_segmentation
    from velatura.models.families.style_segmentation import Segmentation
    from velatura.stylespace import teaching
    from velatura.weights import device

    state = state_dir(options.state_dir)
    if options.steps < 1 or options.refine < 0:
        raise VelaturaError("bad-request", "--steps is 1 or more, and --refine 0 or more.")
    entry = _entry(state, options.name)
    names, colours = read_legend(Path(options.pictures, LEGEND))
    model = _loaded(entry, device.choose(options.device))
    labelled = read_pictures(Path(options.pictures), colours, model.size)
    lessons: list[Lesson] = []
    for number, one in enumerate(labelled, 1):
        print(f"{number} of {len(labelled)}: {one.name}")
        lessons.append(_lesson(model, one, options.refine))

    def taught(some: list[Lesson]) -> Segmentation:
        import torch

        torch.manual_seed(0)
        channels = [x.shape[1] for x in some[0].features]
        branch = Segmentation(channels, len(names)).to(model.device)
        teaching.teach(branch, some, len(names), options.steps, lambda _: None)
        return branch

    test, rest = lessons[::_EVERY], [one for i, one in enumerate(lessons) if i % _EVERY]
    if len(lessons) >= _EVERY:
        print(f"Measuring on {len(test)} of the pictures, which the branch has not seen")
        shares = teaching.agreement(taught(rest), test, len(names))
        for name, share in zip(names, shares, strict=True):
            print(f"  {name}: " + ("in none of them" if math.isnan(share) else f"{share:.0%}"))
    print(f"Learning all {len(lessons)}")
    before = model.digest
    replace_segmentation(Path(entry.path), taught(lessons), names)
    after = _digest(entry)
    moved = _keep_dials(Shelf(state / FOLDER), before, after)
    print(f"{entry.title} knows {len(names)} parts now." + (f" Its {moved} sliders stay." if moved else ""))


def read_legend(path: Path) -> tuple[tuple[str, ...], list[int]]:
    """The names of the parts, and their colours as 65536 R + 256 G + B. Raises `bad-request`."""
    from velatura.stylespace import palette

    if not path.is_file():
        raise VelaturaError(
            "bad-request", f"{path} is missing; write a line for each part: 808080 background"
        )
    names: list[str] = []
    colours: list[int] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        colour, _, name = line.strip().removeprefix("#").partition(" ")
        if not colour:
            continue
        try:
            colours.append(int(colour, 16) if len(colour) == 6 else -1)
        except ValueError:
            colours.append(-1)
        names.append(" ".join(name.split()))
        if colours[-1] < 0 or not names[-1] or len(names[-1]) > 100:
            raise VelaturaError(
                "bad-request", f"{path}, line {number}: write a colour and a name, as in 808080 background"
            )
    if len(set(names)) < len(names) or len(set(colours)) < len(colours):
        raise VelaturaError("bad-request", f"{path} has a part or a colour twice; leave one of them out.")
    if not 2 <= len(names) <= palette.MOST:
        raise VelaturaError("bad-request", f"{path} names {len(names)} parts; name 2 to {palette.MOST}.")
    return tuple(names), colours


def read_pictures(folder: Path, colours: list[int], size: int) -> list[Labelled]:
    """The labelled pictures of a folder at the generator's size.

    Raises `bad-request` where there are none, where a picture is not square or differs in size from its
    labels, and where labels have no colour of the legend.
    """
    import torch

    from velatura.canvas.resample import nearest, resize
    from velatura.files.reading import read_image

    labelled: list[Labelled] = []
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS)
    for path in files:
        beside = path.with_name(f"{path.stem}-parts.png")
        if path.stem.endswith("-parts") or beside not in files:
            continue
        picture, map = (_rgba(read_image(file)) for file in (path, beside))
        height, width = picture.shape[:2]
        if height != width or map.shape[:2] != (height, width):
            raise VelaturaError(
                "bad-request",
                f"{path} is {width} x {height} and {beside.name} {map.shape[1]} x {map.shape[0]} pixels; both"
                " have to be squares of the same size.",
            )
        seen = resize(picture[..., :3], (size, size)).clip(0.0, 1.0) * 2.0 - 1.0
        labels = _labels(nearest(map, (size, size)), colours)
        if (labels >= 0).mean() < 0.1:
            raise VelaturaError(
                "bad-request", f"{beside} has hardly any of the colours in {LEGEND}; use those colours."
            )
        labelled.append(Labelled(path.name, torch.from_numpy(seen).movedim(-1, 0), torch.from_numpy(labels)))
    if not labelled:
        raise VelaturaError(
            "bad-request",
            f"{folder} has no labelled pictures; put NAME-parts.png beside each NAME.png, with flat colours.",
        )
    return labelled


def _labels(map: np.ndarray, colours: list[int]) -> np.ndarray:
    """The nearest part of each pixel of flat colours [s, s, 4] in [0, 1]; -1 where it is transparent or has
    none of the colours."""
    palette = np.array([[c >> 16 & 255, c >> 8 & 255, c & 255] for c in colours], np.float32) / 255.0
    distances = np.linalg.norm(map[..., None, :3] - palette, axis=-1)
    known = (map[..., 3] >= 0.5) & (distances.min(-1) < 0.1)
    return np.where(known, distances.argmin(-1), -1).astype(np.int64)


def _rgba(image: Any) -> np.ndarray:
    """A picture of a file as [h, w, 4] float32 in [0, 1]."""
    from velatura.canvas.colour import Encoding

    rgb, alpha = Encoding(image.channels, image.dtype, image.space).decode(image.pixels)
    return np.concatenate([rgb.clip(0.0, 1.0), alpha[..., None]], axis=2).astype(np.float32)


def _lesson(model: Styled, one: Labelled, refine: int) -> Lesson:
    from velatura.stylespace import inversion, teaching

    picture = one.picture[None].to(model.device)
    ws = inversion.encoded(model, picture)
    if refine:
        ws = inversion.refined(model, picture, ws, refine, 0.1, [], lambda *_: None)
    return teaching.lesson(model, ws, one.labels[None])


def _entry(state: Path, name: str) -> catalogue.ModelEntry:
    """Raises `unknown-model` for a model that cannot be taught."""
    found = next((entry for entry in catalogue.entries(state) if entry.id == name), None)
    if found is None or found.fault or found.generator != STYLE:
        raise VelaturaError(
            "unknown-model",
            f"There is no style-based generator {name!r}; `velatura models` lists the models, and `velatura"
            " models add` adds one.",
        )
    if name in catalogue.EMBEDDED:
        raise VelaturaError(
            "unknown-model",
            f"{name} comes with Velatura and stays as it is; copy its folder and add the copy.",
            hint=found.path,
        )
    return found


def _loaded(entry: catalogue.ModelEntry, device: str) -> Any:
    import torch

    from velatura.models.store import ModelStore

    return ModelStore([entry], device=device, dtype=torch.float32).get(entry.id)


def _digest(entry: catalogue.ModelEntry) -> str:
    from velatura.weights.digests import Digests, contents

    return Digests().of(*contents(Path(entry.path)))


def _keep_dials(shelf: Shelf, before: str, after: str) -> int:
    """Gives the generator's own dials its new digest, since they hold as before; returns their number."""
    own = [entry for entry in shelf.entries(before) if not entry.shipped]
    for entry in own:
        shelf.keep(replace(shelf.load(entry.id), generator=after))
        shelf.remove(entry.id)
    return len(own)
