"""The bundle of the style-based generator of portraits: weights, figures, samples and its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from velatura.bundles import BUNDLES
from velatura.models.families import style_files
from velatura.models.families.style_generator import Styled
from velatura.shelf.listing import SHIPPED
from velatura_lab.exam import faces as exam
from velatura_lab.exam.grids import save_small, sheet
from velatura_lab.readers import load_judge
from velatura_lab.training.described_dials import DIALS, write_dials
from velatura_lab.training.encoder import load_encoder
from velatura_lab.training.faces import bank, load_faces
from velatura_lab.training.loop import load_checkpoint
from velatura_lab.training.portraits import SIZE
from velatura_lab.training.segmentation import load_segmentation
from velatura_lab.world.portrait.description import names
from velatura_lab.world.portrait.scene import ELEMENTS

from .card import command, note_of, record, table, trained_on

BUNDLE = BUNDLES / "velatura-face"
TRAINED = ("generator", "encoder", "segmentation")
FEW = 8  # portraits that are inverted by the slower ways, and shown
#: Colours of the parts in the sheet of samples, in the order of ELEMENTS.
COLOURS = torch.tensor(
    [
        (214, 214, 208),
        (70, 110, 180),
        (236, 188, 150),
        (200, 60, 80),
        (110, 70, 40),
        (60, 40, 30),
        (30, 30, 36),
        (220, 160, 50),
    ]
)

_CARD = """---
license: gpl-3.0
pipeline_tag: image-to-image
---
# velatura-face

A small style-based generator of portraits, {size} x {size} pixels: a conditional StyleGAN2 (Karras et al. 2020) that
synthesises the latents of velatura-mini's autoencoder, whose decoder makes the picture. With its encoder and its
segmentation branch it lets the methods that edit a face be tried, shown and tested on any machine without a
download.

![Samples](samples.png)

Rows: portraits as drawn; generated from their descriptions; found by the encoder and generated again; the same after {steps}
steps of refinement; the parts that the branch finds.

## Parts

| part | class | parameters |
|---|---|---|
{parts}

A label has {labels} numbers, which describe a portrait of the drawn world: its attributes, the geometry of the face, framing and
light. There is no z: a picture follows from its label. Random pictures have labels from a bank of {bank:,}.

Sliders that come with it, in `dials`: {dials}.

## Data

{pictures:,} portraits drawn by `velatura_lab.world` as photographs, with exact descriptions and masks. No photograph, no
person's likeness, no downloaded data.

## Training

```
{commands}
velatura train export-face  --work DIR --seed {seed} --count {count}
```

The generator learns the renderer instead of playing against a critic: descriptions to standardised latents by least squares in
which small parts of the face count more, late also decoded pictures and the judge's features of them. The encoder learns the exact code of each portrait, and through the
frozen synthesis its latents. The branch learns the exact masks. Weights are averaged over the training and stored in half
precision. One run, one seed.{notes}

| part | pictures seen | minutes | on |
|---|---|---|---|
{training}

## Figures

{count} portraits that no training step saw, seed {measured}, read by velatura-judge. Shares have the attributes of all portraits
as their base; an attribute counts where the picture shows it.

{figures}

## Limits

One head, from the front, at one place in the picture: a drawn world, not a picture of how people look. All portraits have the
same fine texture, so an inverted picture loses its own. Combinations that the training never saw are guesses.

## Licence

GPL-3.0-or-later, like the rest of Velatura.
"""  # noqa: E501


def export(
    work: Path, folder: Path = BUNDLE, seed: int = 8, count: int = 200, note: str | None = None
) -> None:
    """Write the bundle of the generator that was trained in `work`.

    Args:
        work: folder of the training.
        folder: the bundle.
        seed: of the held-out portraits; another one than the training's.
        count: their number.
        note: the card's note on the training; None keeps the earlier one.

    Raises FileNotFoundError where `work` lacks a trained part.
    """
    write(work, folder)
    states = {part: load_checkpoint(work / f"{part}.pt") for part in TRAINED}
    trained = {part: record(state) for part, state in states.items() if state is not None}
    parts = style_files.read(folder)
    model = Styled(folder.name, "", parts, torch.device("cpu"))
    judge = load_judge()
    held = exam.held_out(seed, count)
    textured = exam.held_out(seed, count, textured=True)
    mapping = parts.generator.mapping
    path = folder / "figures.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    figures: dict[str, Any] = {
        "training": trained,
        "notes": note_of(note, trained, before),
        "seed": seed,
        "count": count,
        "size": SIZE,
        "parts": _sizes(parts),
        "figures": {
            "generated": exam.assess_generated(model, mapping, judge, held),
            "inversion": exam.assess_inversion(model, judge, held),
            "inversion of textured portraits": exam.assess_inversion(model, judge, textured, FEW),
            "segmentation": exam.assess_segmentation(model, mapping, held),
        },
    }
    path.write_text(json.dumps(figures, indent=1) + "\n")
    save_small(sheet(_samples(model, parts, held.first(FEW))), folder / "samples.png")
    write_card(folder, figures)


def write(work: Path, folder: Path) -> None:
    """Write averaged weights in half precision, in the layout of `velatura.models.families.style_files`.

    Raises FileNotFoundError where `work` lacks a trained part.
    """
    faces = load_faces(work, torch.device("cpu"))
    generator = faces.latent.generator
    generator.mapping.w_avg.copy_(faces.w_avg)
    parts = style_files.Parts(
        shape=generator.shape,
        size=SIZE,
        generator=generator,
        labels=bank(),
        label_names=names(),
        mean=faces.latent.mean,
        std=faces.latent.std,
        decoder=faces.vae.half(),
        encoder=load_encoder(work, faces),
        segmentation=load_segmentation(work, faces),
        parts=ELEMENTS,
    )
    style_files.write(folder, parts, torch.float16)
    write_dials(generator, folder / SHIPPED)


def _sizes(parts: style_files.Parts) -> dict[str, Any]:
    """The name of each network and its number of parameters."""
    assert parts.decoder is not None and parts.encoder is not None and parts.segmentation is not None
    networks: dict[str, nn.Module] = {
        "generator": parts.generator,
        "decoder": parts.decoder.decoder,
        "encoder": parts.encoder,
        "segmentation": parts.segmentation,
    }
    return {
        name: {"class": type(network).__name__, "parameters": sum(p.numel() for p in network.parameters())}
        for name, network in networks.items()
    }


def _samples(model: Styled, parts: style_files.Parts, held: exam.Held) -> list[list[Any]]:
    """Rows of pictures (3, S, S) in 0..1: see the card."""
    exact = exam.described(model, parts.generator.mapping, held)
    codes = model.encode(held.pictures)
    refined = exam.refined(model, held.pictures, codes, exam.REFINEMENTS[0])
    flat = COLOURS[torch.from_numpy(exam.segmented(model, codes))].permute(0, 3, 1, 2) / 255.0
    pictures = [held.pictures, *(exam.pictures_of(model, ws) for ws in (exact, codes, refined))]
    rows: list[Tensor] = [*((x.clamp(-1.0, 1.0) * 0.5 + 0.5) for x in pictures), flat]
    return [list(row.numpy()) for row in rows]


def write_card(folder: Path, figures: dict[str, Any]) -> None:
    """Write `README.md` beside the weights from the figures of `export`."""
    trained = figures["training"]
    notes = f"\n\n{figures['notes']}" if figures["notes"] else ""
    training = [
        [part, f"{row['samples']:,}", f"{row['minutes']:g}", trained_on(row)] for part, row in trained.items()
    ]
    parts = [
        [f"`{name}`", row["class"], f"{row['parameters'] / 1e6:.2f} M"]
        for name, row in figures["parts"].items()
    ]
    (folder / "README.md").write_text(
        _CARD.format(
            size=figures["size"],
            steps=exam.REFINEMENTS[0],
            labels=len(names()),
            bank=len(bank()),
            dials=", ".join(title[0].lower() + title[1:] for title in DIALS),
            parts=_body(parts),
            pictures=trained["generator"]["pictures"],
            commands="\n".join(command(part, 7, trained[part], 12) for part in TRAINED),
            notes=notes,
            training=_body(training),
            seed=figures["seed"] - 1,
            measured=figures["seed"],
            count=figures["count"],
            figures=_figures(figures["figures"]),
        )
    )


def _body(rows: list[list[Any]]) -> str:
    """The rows of a table whose head the card has."""
    return "\n".join(table([""] * len(rows[0]), rows).splitlines()[2:])


def _figures(figures: dict[str, Any]) -> str:
    made, masks = figures["generated"], figures["segmentation"]
    attributes = [
        [name.replace("_", " "), share[0], made["exact"]["attributes"][name][0], share[3]]
        for name, share in made["generated"]["attributes"].items()
    ]
    whole = ["all", made["generated"]["all"][0], made["exact"]["all"][0], made["generated"]["all"][3]]
    ways = [
        [title if way == "encoder" else "", way, row["psnr"], row["kept"][0], row["kept"][3]]
        for title, key in (("as described", "inversion"), ("textured", "inversion of textured portraits"))
        for way, row in figures[key].items()
    ]
    parts = [
        [name, masks["generated"]["parts"].get(name), masks["inverted"]["parts"].get(name)]
        for name in ELEMENTS
    ]
    means = ["mean", masks["generated"]["mean"], masks["inverted"]["mean"]]
    return "\n\n".join(
        [
            f"Generated from descriptions: {made['psnr']} dB against the exact pictures. Attributes read as described, and the"  # noqa: E501
            " judge's own readings of the exact pictures:",
            table(["", "generated", "exact", "portraits"], [whole, *attributes]),
            "Inversion: the attributes kept are those that are read right in the picture and in its reconstruction.",  # noqa: E501
            table(["portraits", "way", "PSNR, dB", "attributes kept", "number"], ways),
            "Segmentation: intersection over union with the exact masks, over all pixels.",
            table(["", "generated", "inverted"], [means, *parts]),
        ]
    )
