"""The model cards of the readers and of the VQ model, written from their figures."""

from __future__ import annotations

# ruff: noqa: E501 (lines of Markdown)
from pathlib import Path
from typing import Any

from .card import command, measuring, trained_on

_CARD = """---
license: gpl-3.0
pipeline_tag: {task}
---
# velatura-{part}

{what}

## Data

Drawn pictures at 128 x 128 of three kinds of scene (portraits, landscapes, tables with things on them) in four
styles, with exact masks and captions (`velatura_lab.world`). No photograph, no person's likeness, no downloaded data.
{data}

## Training

```
{command}
{measuring}
```

{how}

{samples:,} pictures in {minutes} minutes{machine}, seed {seed}. One run, one seed. Weights are stored in half
precision, {bytes} in all.{notes}

## Figures

Scenes that no training step saw, seed {measured}.

{figures}

## Limits

{limits}

## Licence

GPL-3.0-or-later, like the rest of Velatura.
"""

_TEXTS = {
    "judge": {
        "task": "image-classification",
        "what": """\
Reads what a picture of Velatura's drawn world shows: kind of scene, style and every attribute; choices with
probabilities, degrees (smile, snow, fullness ...) as numbers from 0 to 1. It checks what models were asked to draw.

```python
from velatura_lab.readers import load_judge

(reading,) = load_judge().read(images)  # images (1, 3, H, W) in 0..1
reading.kind, reading.values, reading.confidence
```""",
        "data": "Attributes that a picture does not show are left out of the loss.",
        "how": """\
Strided convolutions and a residual block; each attribute is read from averages and from an attention of its own.
Cross-entropy; degrees are choices among nine steps whose mean is read (two-hot targets, Farebrother et al. 2024).
Training pictures are blurred, tinted and noisy, so that it reads a decoder's pictures too.""",
        "limits": """\
It reads the drawn world, not photographs. For an attribute that a picture does not show, its answer is a guess of low
confidence.""",
    },
    "clip": {
        "task": "zero-shot-image-classification",
        "what": """\
A small CLIP (Radford et al. 2021) for Velatura's drawn world: pictures and captions as vectors of 128 numbers in one
space. `transformers.CLIPModel` and `CLIPProcessor` load it as it is; the tokenizer is that of velatura-mini.

```python
from velatura_lab.readers import load_clip

load_clip().similarity(images, ["a castle next to a river", "a man with a beard"])  # (N, 2)
```""",
        "data": """\
Pictures come in pairs that differ in one attribute and have one view; a third of them as the embedded autoencoder
reconstructs them. Texts are worded anew each time: everything in view, a few things, a phrase, a single word. Whether
a text is false of a picture is known for all texts and pictures of a batch.""",
        "how": """\
Patches of 8 pixels, 4 layers of width 160; text 3 layers of width 96; both begin with velatura-segmenter's towers.
InfoNCE in both directions among the false texts and pictures, batches often of one kind of scene, and the same within
each pair (hard negatives, Yuksekgonul et al. 2023). Two linear heads, for training only, read the scene from the vectors of pictures and captions and
the elements' places from the patches.""",
        "limits": "It knows the words of the world's captions and nothing else.",
    },
    "segmenter": {
        "task": "image-segmentation",
        "what": """\
A small CLIPSeg (Lueddecke & Ecker 2022) for Velatura's drawn world: masks from words, empty masks for absent things.
`transformers.CLIPSegForImageSegmentation` loads it as it is.

```python
from velatura_lab.readers import load_clipseg

masks = load_clipseg().read(images, ["a red hat", "the sky"])  # (2, H, W) in 0..1, one prompt a picture
```""",
        "data": """\
Prompts are the elements' names and phrases for them from captions; one in three names an absent element.""",
        "how": """\
The towers begin with the weights of a velatura-clip that fit. Both are trained too, with two heads for training only (the element that a prompt names, and every element's share of each patch). Masks: binary
cross-entropy, with more weight on a small mask's pixels, and dice.""",
        "limits": "Masks consist of patches of 8 pixels: outlines are soft; thin and small things are rough or missing.",
    },
    "identity": {
        "task": "image-feature-extraction",
        "what": """\
Says whether two portraits of Velatura's drawn world are of the same person: unit vectors of 64 numbers that stay under
edits of hair, hat, glasses, beard, clothes, smile, light, framing and style.

```python
from velatura_lab.readers import load_identity

load_identity().similarity(before, after)  # cosines
```""",
        "data": "Each person has four portraits, which share sex, skin, age and features only.",
        "how": """\
Strided convolutions that begin with velatura-judge's weights, and one linear map. NT-Xent on pairs of portraits (Chen et al.
2020), half of the batches among people of one sex and skin. A linear head, for training only, reads the numbers of a face from
the vectors.""",
        "limits": """\
It knows drawn faces, seen from the front, that fill most of the picture. Without eyes or mouth it can hardly tell
people apart.""",
    },
    "vq": {
        "task": "image-feature-extraction",
        "what": """\
A small VQ model (van den Oord et al. 2017; as VQGAN, Esser et al. 2021, without the critic) of Velatura's drawn world:
each square of 8 x 8 pixels is one of 1024 codes of 8 numbers. VQGAN-CLIP and Paint by Word lead its codes to words.

```python
from diffusers import VQModel

vq = VQModel.from_pretrained("velatura-vq")
vq.decode(vq.encode(pictures).latents).sample  # pictures (N, 3, 128, 128) in -1..1
```""",
        "data": "Its losses weigh small elements more, by the exact masks.",
        "how": """\
Absolute errors of pixels, edges and colours, and differences of velatura-judge's features. The codes follow the latents by
moving averages (appendix A.1 of van den Oord et al.), commitment 0.25; for the first tenth the decoder reads plain latents,
and for the first seven tenths unused codes are replaced.""",
        "limits": """\
Pictures come back soft: faces and other small things lose their features. It was trained for half an hour, and more
training would still improve it. It knows the drawn world, not photographs.""",
    },
}  # fmt: skip


def write_card(part: str, bundle: Path, figures: dict[str, Any]) -> None:
    """Write `README.md` beside the weights, from a reader's figures (see `export_readers`)."""
    notes, trained = figures.get("notes", ""), figures["training"]
    device = trained_on(trained)
    size = sum(path.stat().st_size for path in bundle.glob("*.safetensors"))
    (bundle / "README.md").write_text(
        _CARD.format(
            part=part,
            seed=trained.get("seed", figures["seed"]),
            measured=figures["seed"],
            command=command(part, figures["seed"], trained),
            measuring=measuring("readers", figures),
            minutes=trained["minutes"],
            samples=trained["samples"],
            machine=f" on {device}" if device else "",
            bytes=f"{size / 1e6:.1f} MB",
            figures=table_of(part, figures["figures"]),
            notes=f"\n\n{notes}" if notes else "",
            **_TEXTS[part],
        )
    )


def _row(name: str, rate: list[float]) -> str:
    share, low, high, n = rate
    return f"| {name} | {share:.3f} | {low:.3f} to {high:.3f} | {int(n)} |"


_RATES = "| {} | share | 95 % interval | n |\n|---|---|---|---|"


def _judge(figures: dict[str, Any]) -> str:
    errors = figures["error of degrees"]
    rows = [_row("all together", figures["all"])]
    for key, rate in figures["attributes"].items():
        name = key.replace(".", ": ").replace("_", " ")
        rows.append(_row(name + (f" (mean error {errors[key]:.2f})" if key in errors else ""), rate))
    head = "Share of right readings of attributes that the picture shows; a degree within a third.\n\n"
    return head + "\n".join([_RATES.format("attribute"), *rows])


def _clip(figures: dict[str, Any]) -> str:
    head = "Share of pictures that the right one of 16 full captions fits best.\n\n"
    names = {
        "any": "the others are of random scenes",
        "alike": "of scenes of the same kind",
        "one thing": "of the same scene with one attribute changed",
        "pair": "only one, of the same scene with one attribute changed",
    }
    rows = [_row(names[key], rate) for key, rate in figures["captions"].items()]
    others = {"source": "the unchanged source", "another value": "the target with another value"}
    near = [_row(others[key], rate) for key, rate in figures["targets"].items()]
    words = [f"| {word} | {area:.3f} |" for word, area in figures["words"].items()]
    return "\n".join(
        [
            head + _RATES.format("the other captions"),
            *rows,
            "",
            "Share of edits whose exact target fits the target's caption better than another picture does.\n",
            _RATES.format("the other picture"),
            *near,
            "",
            "Area under the ROC curve of a single word among portraits.\n",
            "| element: word | area |",
            "|---|---|",
            *words,
        ]
    )


def _segmenter(figures: dict[str, Any]) -> str:
    rows = [f"| {name} | {mean:.3f} | {n} |" for name, (mean, n) in figures["elements"].items()]
    share, low, high, n = figures["empty where there is none"]
    return "\n".join(
        [
            f"Mean intersection over union with the exact mask, over elements: {figures['mean over elements']}.",
            f"Prompts for absent elements give an empty mask (under 1 % of the picture) in {share:.3f}",
            f"of cases ({low:.3f} to {high:.3f}, n = {int(n)}).\n",
            "| element | mean IoU | n |\n|---|---|---|",
            *rows,
        ]
    )


def _identity(figures: dict[str, Any]) -> str:
    share, low, high, n = figures["rank-1 of 50"]
    return "\n".join(
        [
            f"{figures['people']} people, two portraits of each.\n",
            "| measure | value |\n|---|---|",
            f"| verification, area under the curve | {figures['verification']:.4f} |",
            f"| the same, against people of the same sex and skin | {figures['verification, alike']:.4f} |",
            f"| nearest of 50 is the right one | {share:.3f} ({low:.3f} to {high:.3f}, n = {int(n)}) |",
            f"| cosine at equal error | {figures['threshold']:.3f} |",
        ]
    )


def table_of(part: str, figures: dict[str, Any]) -> str:
    """A reader's figures as Markdown."""
    return _TABLES[part](figures)


def _vq(figures: dict[str, Any]) -> str:
    read, drawn = figures["read"], figures["read when drawn"]
    return "\n".join(
        [
            "| measure | value |\n|---|---|",
            f"| PSNR of decoded pictures | {figures['psnr']:.2f} dB |",
            f"| attributes read right in decoded pictures | {read[0]:.3f} ({read[1]:.3f} to {read[2]:.3f}, n = {int(read[3])}) |",
            f"| the same in the drawn pictures | {drawn[0]:.3f} |",
            f"| codes used | {figures['codes used']} of {figures['codes']} |",
            f"| perplexity of the codes | {figures['perplexity']:.0f} |",
        ]
    )


_TABLES = {"judge": _judge, "clip": _clip, "segmenter": _segmenter, "identity": _identity, "vq": _vq}
