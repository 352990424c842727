"""The model card, written from the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_CARD = """---
license: gpl-3.0
pipeline_tag: text-to-image
---
# velatura-mini

A small latent diffusion model of portraits, trained from nothing on pictures drawn by `velatura.world`. It lets
every feature of Velatura be tried, shown and tested on any machine without a download. It knows one kind of
picture, a portrait at 128 x 128, and only the words of its captions.

![Samples](samples.png)

Masked edits with Blended Latent Diffusion (before, mask, after): the first three held-out portraits for each of
glasses, beard and hat, none picked.

![Edits](edits.png)

## Words it knows

A photo, portrait or picture of a man (guy, gentleman) or woman (lady, girl), smiling (happy, laughing) or not, with
light, tan or dark skin; short, long, curly or bob hair in black, brown, blond, red or grey; a beard; glasses
(eyeglasses, spectacles) or sunglasses (shades); wearing a red, blue, green, yellow, black or white hat (with a brim)
or beanie (cap) and a shirt (top, sweater) in these colours or purple; on a grey, blue, green, pink, orange or white
background. It does best with whole captions:

> a photo of a smiling man with dark skin, curly black hair, a black beard and glasses, wearing a blue shirt, orange background

## Parts

| part | class | parameters |
|---|---|---|
| `unet` | UNet2DConditionModel, (96, 192) channels, cross-attention at 16x16 and 8x8 | 9.5 M |
| `vae` | AutoencoderTiny, factor 8, 8 latent channels | 0.9 M |
| `text_encoder` | CLIPTextModel, 2 layers, 128 wide, 40 tokens | 0.5 M |

v-prediction (Salimans & Ho 2022), zero terminal SNR and trailing steps (Lin et al. 2023), 12 % of captions dropped
for guidance (Ho & Salimans 2021), cross-attention maps supervised with the exact masks of what the words are about
(weight 0.1). Weights are stored in half precision; samples differ from those of the float32 weights by 0.015 of 255 on
average (n = 16).

## Data

{pictures} drawn portraits with exact masks (`velatura.world`), captions worded anew each time. No photograph, no
person's likeness, no downloaded data. Attributes are drawn independently of each other, except that beards are on half of the
men and no women, and that short hair is commoner on men, long hair and bobs on women.

## Training

```
python -m velatura.training judge       --work DIR --seed {seed} --minutes {judge_minutes}
python -m velatura.training autoencoder --work DIR --seed {seed} --minutes {autoencoder_minutes}
python -m velatura.training decoder     --work DIR --seed {seed} --minutes {decoder_minutes}
python -m velatura.training diffusion   --work DIR --seed {seed} --minutes {diffusion_minutes}
python -m velatura.training export      --work DIR
python -m velatura.training evaluate    --work DIR --seed {seed}
```

On two cores of an AMD EPYC (bf16, no GPU) that other programs were using too. The autoencoder ran with `--batch 8`
and edges weighted 1 up to 15.7 k pictures, with `--batch 4` and edges weighted 0.5 (as in the code) after that; the
judge's first 39 k pictures counted elements under 0.6 % of a picture as out of view, since then 0.2 %.

| part | pictures seen | minutes |
|---|---|---|
{training}

## Figures

Scenes that no training step saw, seed {seed}. A small network (`velatura-judge`), trained on renders of the same
world, reads the attributes; its own accuracy on renders is the ceiling. One run, one seed.

Autoencoder: {psnr} dB PSNR. {seconds} s a picture at {steps} steps ({machine}).

| attribute | judge on renders | on reconstructions | samples as prompted |
|---|---|---|---|
{attributes}

Samples: n = {count}, full captions, guidance {guidance}, {steps} steps.

| element | its word points into its mask (t = 400) | masked edits read as asked |
|---|---|---|
{elements}

## Limits

Nothing outside portraits; nothing in degrees; no words beyond those above; 128 x 128 pixels. A grey beard sometimes
gets a green patch, red beards are too crimson, the edges of hats and hair are soft, and glasses now and then blur
an eye. Not a picture of how people look: a drawn world with a handful of features.

## Licence

GPL-3.0-or-later, like the rest of Velatura.
"""  # noqa: E501


def write_card(bundle: Path, figures: dict[str, Any]) -> None:
    """Write `README.md` beside the weights."""
    training = figures["training"]
    rows = [f"| {part} | {row['samples']:,} | {row['minutes']} |" for part, row in training.items()]
    columns = [
        figures[key] for key in ("judge_on_renders", "judge_on_reconstructions", "attributes_as_prompted")
    ]
    attributes = [
        "| " + name.replace("_", " ") + " | " + " | ".join(f"{column[name]:.3f}" for column in columns) + " |"
        for name in columns[0]
    ]
    elements = [
        f"| {name} | {share:.3f} | {figures['masked_edits'].get(name, '')} |"
        for name, share in figures["pointing_t400"].items()
    ]
    minutes = {f"{part}_minutes": row["minutes"] for part, row in training.items()}
    (bundle / "README.md").write_text(
        _CARD.format(
            pictures="14,000",
            seed=figures["seed"],
            training="\n".join(rows),
            psnr=figures["autoencoder_psnr_db"],
            seconds=figures["seconds_a_picture"],
            steps=figures["steps"],
            machine=figures["machine"],
            attributes="\n".join(attributes),
            elements="\n".join(elements),
            count=figures["pictures"],
            guidance=", ".join(map(str, figures["guidance"])),
            **minutes,
        )
    )
