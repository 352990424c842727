"""The model card, written from the figures, and the parts about training that all cards share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from velatura_lab.training.networks import PROFILES
from velatura_lab.training.parts import MEASURING, SCRATCH, TRAINED
from velatura_lab.world.scene import SHARES

_CARD = """---
license: gpl-3.0
pipeline_tag: text-to-image
---
# velatura-mini

A small latent diffusion model, trained on pictures drawn by `velatura_lab.world`. It lets every feature of Velatura be
tried, shown and tested on any machine without a download. It knows three kinds of picture, portraits, landscapes
and tables with things on them, at {size} x {size}, and only the words of its captions.

![Samples](samples.png)

Masked edits with Blended Latent Diffusion (before, mask, after), none picked:

![Edits](edits.png)

## Words it knows

**Portraits**: a photo, portrait or picture of a young, middle aged or old man or woman, smiling slightly or broadly or
not, with light, tan or dark skin; bald, or with short, long, curly or bob hair in black, brown, blond, red or grey; a
short or long beard; small or large glasses or sunglasses; wearing a red, blue, green, yellow, black or white hat or beanie and a
plain or striped shirt in these colours or purple; before a grey, blue, green, pink, orange or white background, a brick
wall, a bookshelf, a park.

**Landscapes**: a river, a street, a lake, a meadow, a forest or a desert between hills or mountains, low to towering; a
castle or a house; few to many trees or pine trees, in blossom; in spring, summer, autumn or winter, with a little to
deep snow; by day, at sunset, at night, at dawn; with few to many clouds.

**Tables**: an apple, pear, cup, bowl, vase, ball, cube, bear, cake, bottle or basket, small to big, in nine colours, of
ceramic, wood, metal, glass or plastic; a bear more or less fluffy, a basket more or less full, a vase with flowers; a
second thing to the left or the right; a plain, striped or checked tablecloth; a wall.

Each as a photo, a watercolour, an ink drawing or a child's drawing. It does best with whole captions:

> a photo of a smiling young man with dark skin, curly black hair, a black beard and glasses, wearing a blue shirt, orange background

## Parts

| part | class | parameters |
|---|---|---|
{parts}

v-prediction (Salimans & Ho 2022), zero terminal SNR and trailing steps (Lin et al. 2023), 12 % of captions dropped
for guidance (Ho & Salimans 2021), cross-attention maps supervised with the exact masks of the words' elements
(weight 0.1). Weights are stored in half precision.

## Data

{pictures} drawn pictures ({shares}; seven in ten as photos) with exact masks, each with eight captions. No photograph, no person's likeness, no downloaded data. Some combinations of attributes
are kept out of training, to measure whether the model composes words it knows apart.

## Training

```
{commands}
```

{notes}| part | pictures seen | minutes | on |
|---|---|---|---|
{training}

## Figures

Scenes that no training step saw, seed {seed}. One run, one seed.

{figures}

## Limits

{limits}

## Licence

GPL-3.0-or-later, like the rest of Velatura.
"""  # noqa: E501

LIMITS = """Nothing outside these three kinds of scene; no words beyond those above; {size} x {size} pixels.
Fine textures (bricks, grass, hatching) are soft, since a latent holds a sixteenth of a picture's numbers. Not
a picture of how people look: a drawn world with a handful of features."""


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table in Markdown; numbers have three decimals, and None is an empty cell."""

    def cell(value: Any) -> str:
        return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)

    head = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(head + ["| " + " | ".join(map(cell, row)) + " |" for row in rows])


def rates(columns: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Title of a column -> kind -> name -> a share, as one table with a row for each kind and name."""
    names = [
        (kind, name)
        for kind, values in next(iter(columns.values())).items()
        for name in dict.fromkeys([*values, *(n for c in columns.values() for n in c.get(kind, {}))])
    ]
    rows = [
        [kind, name.replace("_", " "), *(column.get(kind, {}).get(name) for column in columns.values())]
        for kind, name in names
    ]
    return table(["kind", "", *columns], rows)


def record(state: Mapping[str, Any]) -> dict[str, Any]:
    """The record of training in a checkpoint: pictures seen and minutes.

    Newer checkpoints also record processes, seed and size of the training set, whether the length was given
    in pictures ("counted") or in minutes, the other options, and the device's name.
    """
    names = ("processes", "seed", "pictures", "counted", "options", "hardware")
    known = {name: state[name] for name in names if name in state}
    return {"samples": state["samples"], "minutes": round(state["seconds"] / 60.0, 1), **known}


def command(part: str, seed: int, trained: Mapping[str, Any], width: int = 0) -> str:
    """The command that trains a part as its `record` tells, without options at their defaults.

    Args:
        part: The part's name.
        seed: The seed where the record has none.
        trained: The part's `record`.
        width: The width to which the part's name is padded.
    """
    end = f"--samples {trained['samples']}" if trained.get("counted") else f"--minutes {trained['minutes']:g}"
    first = {"seed": trained.get("seed", seed), "pictures": trained.get("pictures")}
    words = [f"--{name} {value}" for name, value in first.items() if value] + [end]
    words += [f"--processes {trained['processes']}"] if trained.get("processes") else []
    words += _unusual(trained.get("options", {}), _defaults(part, trained.get("options", {}).get("profile")))
    return f"velatura train {part:{width}} --work DIR {' '.join(words)}"


def measuring(part: str, figures: Mapping[str, Any], width: int = 0) -> str:
    """The command ("readers" or "evaluate") that measured these figures; `width` pads its name."""
    defaults = {flag.removeprefix("--"): keywords.get("default") for flag, keywords in MEASURING[part]}
    used = {name: figures[name] for name in ("count", "steps") if name in figures}
    words = [f"--seed {figures['seed']}", *_unusual(used, defaults)]
    return f"velatura train {part:{width}} --work DIR {' '.join(words)}"


def trained_on(trained: Mapping[str, Any]) -> str:
    """The device's name; its kind for an older record, or ""."""
    kind: str = trained.get("profile", {}).get("device", "")
    hardware: str = trained.get("hardware", "")
    return hardware or {"cpu": "a CPU", "cuda": "a GPU"}.get(kind, kind)


def _defaults(part: str, profile: str | None) -> dict[str, Any]:
    own, name = TRAINED[part], profile if profile in PROFILES else "cpu"
    more = {flag.removeprefix("--"): keywords["default"] for flag, keywords in own.more}
    start = {"from": own.start.partition("/")[0] or SCRATCH}
    device = PROFILES[name].device
    return {"profile": "cpu", "device": device, "batch": own.batch[name], "rate": own.rate} | more | start


def _unusual(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """The options that are not at their defaults, as words of a command."""
    return [
        f"--{name} {options[name]}"
        for name, usual in defaults.items()
        if name in options and options[name] != usual
    ]


def note_of(note: str | None, trained: Any, before: Mapping[str, Any]) -> str:
    """A card's note on its training: `note`, else that of earlier figures `before` of the same training."""
    if note is not None:
        return note
    same = before.get("training") == json.loads(json.dumps(trained))
    return before.get("notes", "") if same else ""


def write_card(bundle: Path, figures: Mapping[str, Any]) -> None:
    """Write `README.md` beside the weights.

    Args:
        bundle: The model's folder.
        figures: "seed" (of measuring), "size", "pictures" (of the training set), "parts" and "training" (rows
            by name), "sections" (pieces of Markdown), and optionally "notes" (Markdown, on the training) and
            "limits".
    """
    seed, trained = figures["seed"], figures["training"]
    commands = [command(part, seed, row, 11) for part, row in trained.items()]
    commands += [
        "velatura train export      --work DIR",
        measuring("evaluate", figures, 11),
    ]
    training = [
        [part, f"{row['samples']:,}", f"{row['minutes']:g}", trained_on(row)] for part, row in trained.items()
    ]
    parts = [
        [f"`{name}`", row["class"], f"{row['parameters'] / 1e6:.1f} M"]
        for name, row in figures["parts"].items()
    ]
    notes = figures.get("notes", "")
    (bundle / "README.md").write_text(
        _CARD.format(
            size=figures["size"],
            seed=seed,
            commands="\n".join(commands),
            pictures=f"{figures['pictures']:,}",
            shares=", ".join(f"{share:.0%} {kind}s" for kind, share in SHARES.items()),
            notes=f"{notes}\n\n" if notes else "",
            parts="\n".join(table(("", "", ""), parts).splitlines()[2:]),
            training="\n".join(table(("", "", "", ""), training).splitlines()[2:]),
            figures="\n\n".join(figures["sections"]),
            limits=figures.get("limits", LIMITS.format(size=figures["size"])),
        )
    )
