"""Training of a small CLIPSeg (Lueddecke & Ecker 2022) on the renderer's exact masks.

As in the paper what words mean is CLIP's, and stays. The picture's tower is not kept: the published one has
seen so much that it knows where things are, the small one that ships has not (mean intersection over union
.16). It is trained along, on patches half as wide, and reads every element's share of each patch beside the
masks asked for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, CLIPTokenizer

from velatura.readers.clip import normalise
from velatura.readers.pictures import fit
from velatura.readers.segmenter import decode, features
from velatura.world import KINDS, Caption, elements
from velatura.world.wording import FUNCTION_WORDS

from .augment import balanced, disturb, mirrored, sideless
from .clip import PROJECTION, save_model, text_and_vision, trimmed
from .data import KIND_NAMES, MASKS, Dataset, load_dataset
from .judge import averaged
from .loop import Options, Trainer
from .networks import TOKENS
from .text import Wording
from .tokenizer import load_tokenizer

PATCH = 8  # pixels of a side
PROMPTS = 3  # of each picture, the last of them for something that is not in it
SLACK = 8.0  # pixels of a mask that the dice loss forgives


def make_segmenter(wording: Wording) -> CLIPSegForImageSegmentation:
    """Pictures (3, 128, 128) and prompts -> logits (128, 128)."""
    towers = text_and_vision(wording)
    towers["vision_config"] |= {"patch_size": PATCH}
    segmenter = CLIPSegForImageSegmentation(
        CLIPSegConfig(
            **towers,
            projection_dim=PROJECTION,
            extract_layers=[1, 3],
            reduce_dim=64,
            decoder_num_attention_heads=4,
            decoder_intermediate_size=128,
            use_complex_transposed_convolution=True,
        )
    )
    for module in segmenter.decoder.modules():  # transformers begins with deviations of 1, at logits of 500
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
        elif isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=module.in_channels**-0.5)
    return segmenter


def begin_with_clip(segmenter: CLIPSegForImageSegmentation, state: dict[str, Tensor]) -> None:
    """Copy a trained CLIP's text tower, and of the picture's what does not depend on the size of patches."""
    shapes = {key: value.shape for key, value in segmenter.state_dict().items()}
    own = {
        key: value
        for key, value in state.items()
        if key.startswith("clip.") and (key not in shapes or shapes[key] == value.shape)
    }
    unknown = segmenter.load_state_dict(own, strict=False).unexpected_keys
    if unknown:
        raise ValueError(f"the trained clip does not fit the segmenter: {unknown[0]}")


def phrases(item: Caption) -> dict[str, str]:
    """For each element a caption speaks of, the words about it, without what stands between phrases."""
    found: dict[str, list[str]] = {}
    last, between = "", []
    for word in item.words:
        if word.element:
            if word.element == last:
                found[last] += between
            elif word.element in found:  # spoken of again: the first phrase will do
                last = ""
                continue
            last = word.element
            found.setdefault(last, []).append(word.text)
            between = []
        elif word.text in FUNCTION_WORDS - {"and"}:
            between.append(word.text)
        else:
            last, between = "", []
    return {element: " ".join(words) for element, words in found.items()}


class Prompter:
    """Prompts for what is in a picture and for what is not."""

    def __init__(self, data: Dataset, indices: range, tokenizer: CLIPTokenizer, seed: int) -> None:
        self.data, self.tokenizer = data, tokenizer
        self.seen = {index: data.visible(index) for index in indices}
        self.names = sorted({name for kind in KINDS for name in elements(kind)})
        self.rows: dict[str, list[int]] = {}
        self.pool: dict[str, list[str]] = {name: [name] for name in self.names}
        rng = np.random.default_rng([seed, 78])
        for index in list(indices)[:2000]:
            for name, phrase in phrases(data.caption(index, rng, self.seen[index])).items():
                self.pool[name].append(phrase)

    def present(self, index: int, name: str, rng: np.random.Generator) -> str:
        """The element's name, or what a caption of this picture calls it."""
        if rng.random() < 0.4:
            return self._with_article(name, rng)
        told = phrases(self.data.caption(index, rng, self.seen[index]))
        return self._with_article(told.get(name, name), rng)

    def absent(self, index: int, rng: np.random.Generator) -> str:
        """Something of which nothing at all is in the picture; half of the time of the same kind of scene."""
        kind = KIND_NAMES[int(self.data.kinds[index])]
        own = elements(kind)
        empty = np.asarray(self.data.masks[index][: len(own)]).reshape(len(own), -1).max(1) == 0
        missing = [name for name, none in zip(own, empty, strict=True) if none]
        if not missing or rng.random() < 0.5:
            missing = [name for name in self.names if name not in own]
        name = missing[int(rng.integers(len(missing)))]
        pool = self.pool[name]
        return self._with_article(name if rng.random() < 0.4 else pool[int(rng.integers(len(pool)))], rng)

    def _with_article(self, phrase: str, rng: np.random.Generator) -> str:
        article = ("", "the ", "a ")[int(rng.integers(3))]
        return phrase if phrase.startswith(("a ", "the ")) else article + phrase

    def tokens(self, prompts: list[str]) -> Tensor:
        """(N, TOKENS) ids."""
        for prompt in prompts:
            if prompt not in self.rows:
                self.rows[prompt] = self.tokenizer(
                    prompt, padding="max_length", truncation=True, max_length=TOKENS
                ).input_ids
        return torch.tensor([self.rows[prompt] for prompt in prompts])


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy and dice (Milletari et al. 2016, eq. 2), for (N, S, S) logits and soft masks."""
    crossed = F.binary_cross_entropy_with_logits(logits, masks)
    shown = logits.sigmoid()
    both, either = (shown * masks).sum((1, 2)), (shown**2 + masks**2).sum((1, 2))
    return crossed + 0.5 * (1.0 - (2.0 * both + SLACK) / (either + SLACK)).mean()


def train_segmenter(options: Options, rank: int) -> None:
    """Masks of what prompts name, and every element's share of each patch, which teaches more at a time."""
    profile, device = options.profile, options.device
    data = load_dataset(options.work, options.seed, options.pictures, options.processes, profile.size)
    wording = Wording(load_tokenizer(options.work / "tokenizer"))
    indices = range(rank, len(data), options.processes)
    prompter = Prompter(data, indices, wording.tokenizer, options.seed)
    mirrors = sideless().to(device)
    torch.manual_seed(options.seed)
    network = make_segmenter(wording)
    begin_with_clip(network, averaged(options.work, "clip"))
    network.clip.requires_grad_(False)
    network.clip.vision_model.requires_grad_(True)
    places = nn.Linear(network.config.vision_config.hidden_size, len(KIND_NAMES) * MASKS)
    both = nn.ModuleDict({"network": network, "places": places}).to(device)
    trainer = Trainer("segmenter", both, options, rank, averaged=network, decay=0.998, weight_decay=0.02)
    seen = {index: sorted(names) for index, names in prompter.seen.items() if names}
    usable = np.array(list(seen))
    kinds = np.array(data.kinds)[usable]
    while trainer.progress.running:
        rng = trainer.random()
        chosen = usable[balanced(kinds, rng, options.batch)]
        wanted, prompts = asked(data, prompter, chosen, seen, rng)
        kind = data.kind(chosen).to(device)
        every = torch.cat([wanted, data.shares(chosen)], 1).to(device)
        images, every = mirrored(mirrors[kind], fit(data.images(chosen)), every)
        masks, shares = every[:, :PROMPTS], every[:, PROMPTS:]
        ids = trimmed(prompter.tokens(prompts), wording.end).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            logits, patches = predict(network, disturb(images), ids)
            shown = places(patches)
        masks = F.interpolate(masks, logits.shape[-2:], mode="bilinear").flatten(0, 1)
        asked_for, placed = mask_loss(logits.float(), masks), place_loss(shown.float(), shares, kind)
        trainer.step(asked_for + placed, {"masks": asked_for, "places": placed})
    trainer.save()


def asked(
    data: Dataset,
    prompter: Prompter,
    chosen: np.ndarray,
    seen: dict[int, list[str]],
    rng: np.random.Generator,
) -> tuple[Tensor, list[str]]:
    """(masks (B, PROMPTS, 32, 32), B * PROMPTS prompts) for pictures of a set."""
    shares = data.shares(chosen)
    wanted = torch.zeros(len(chosen), PROMPTS, *shares.shape[-2:])
    prompts = []
    for row, index in enumerate(int(index) for index in chosen):
        own, names = elements(KIND_NAMES[int(data.kinds[index])]), seen[index]
        for place in range(PROMPTS - 1):
            name = names[int(rng.integers(len(names)))]
            prompts.append(prompter.present(index, name, rng))
            wanted[row, place] = shares[row, own.index(name)]
        prompts.append(prompter.absent(index, rng))
    return wanted, prompts


def predict(network: CLIPSegForImageSegmentation, images: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (B * PROMPTS, S, S), and patches (B, P, width) of the picture's tower.

    Pictures (B, 3, 128, 128) pass their tower once for all their prompts.
    """
    with torch.no_grad():
        words = network.clip.text_projection(network.clip.text_model(input_ids=ids).pooler_output)
    hidden = features(network, normalise(images))
    prompts = len(ids) // len(images)
    return decode(network, [rows.repeat_interleave(prompts, 0) for rows in hidden], words), hidden[-1][:, 1:]


def place_loss(shown: Tensor, shares: Tensor, kinds: Tensor) -> Tensor:
    """Cross-entropy of the elements' shares (B, MASKS, 32, 32) at each patch with the logits of each
    picture's own kind, of (B, P, kinds * MASKS)."""
    side = round(shown.shape[1] ** 0.5)
    own = shown.unflatten(2, (-1, MASKS))[torch.arange(len(kinds), device=kinds.device), :, kinds]
    wanted = F.adaptive_avg_pool2d(shares, side).flatten(2).transpose(1, 2)
    return -(wanted * own.log_softmax(-1)).sum(-1).mean()


def export_segmenter(work: Path, folder: Path) -> None:
    """Write averaged weights in half precision, tokenizer and processor, as transformers reads them."""
    segmenter: nn.Module = make_segmenter(Wording(load_tokenizer(work / "tokenizer")))
    segmenter.load_state_dict(averaged(work, "segmenter"), strict=False)
    save_model(segmenter, work, folder)
