"""Training of a small CLIPSeg (Lueddecke & Ecker 2022) on the renderer's exact masks.

Unlike in the paper, the towers of CLIP are trained too.  The published towers know phrases and places from
their large training set.  The package's small CLIP was trained on whole captions and whole pictures only:
mean intersection over union is .16 with both towers fixed, .22 with the text tower fixed.  Two heads for
training only teach the towers sooner than the requested masks do: the element that a phrase names, and every
element's share of each patch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, CLIPTokenizer

from velatura.companions.clipseg import decode, features
from velatura_lab.readers.clip import normalise
from velatura_lab.readers.pictures import fit
from velatura_lab.world import KINDS, Caption, elements
from velatura_lab.world.wording import FUNCTION_WORDS

from .augment import disturb, mirrored, sideless
from .clip import PROJECTION, VISION, save_model, text_and_vision, trimmed
from .data import KIND_NAMES, MASKS, Dataset, load_dataset
from .judge import averaged
from .loop import Trainer
from .networks import TOKENS
from .options import Options
from .precision import mixed
from .text import Wording
from .tokenizer import load_tokenizer

PROMPTS = 3  # prompts for each picture, the last of them for an absent element
SLACK = 8.0  # pixels, smooths the dice loss of small masks
HEAVIEST = 6.0  # largest weight of a mask's pixels; other pixels have 1
TEXT_RATE = 0.3  # learning rate of the text tower, relative to all other parts
NAMES = tuple(sorted({name for kind in KINDS for name in elements(kind)}))


def make_segmenter(wording: Wording) -> CLIPSegForImageSegmentation:
    """A CLIPSeg that maps a picture (3, 128, 128) and a prompt to logits (128, 128)."""
    text, vision = text_and_vision(wording)
    segmenter = CLIPSegForImageSegmentation(
        CLIPSegConfig(
            text_config=text,
            vision_config=vision,
            projection_dim=PROJECTION,
            extract_layers=[1, 3],
            reduce_dim=64,
            decoder_num_attention_heads=4,
            decoder_intermediate_size=128,
            use_complex_transposed_convolution=True,
        )
    )
    decoder = segmenter.decoder
    for module in decoder.modules():  # transformers' deviations of 1 give logits of 500
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
        elif isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=module.in_channels**-0.5)
    # The decoder's first attention has no norm before it, and words multiply patches there.  At full scale
    # its logits reach ten thousand, and gradients in half precision are noise.
    with torch.no_grad():
        for reduce in decoder.reduces:
            reduce.get_parameter("weight").mul_(0.25)
        decoder.film_mul.weight.mul_(0.1)
        decoder.film_add.weight.mul_(0.1)
        decoder.film_mul.bias.fill_(1.0)
    return segmenter


def begin_with_clip(segmenter: CLIPSegForImageSegmentation, state: dict[str, Tensor]) -> None:
    """Copy a trained CLIP's towers."""
    own = {key: value for key, value in state.items() if key.startswith("clip.")}
    unknown = segmenter.load_state_dict(own, strict=False).unexpected_keys
    if unknown:
        raise ValueError(
            f"the trained clip does not fit the segmenter (it has {unknown[0]}); "
            "train both anew with another --work"
        )


def phrases(item: Caption) -> dict[str, str]:
    """Element -> the words about it in a caption, without the words between phrases."""
    by_element: dict[str, list[str]] = {}
    last, between = "", list[str]()
    for word in item.words:
        if word.element:
            if word.element == last:
                by_element[last] += between
            elif word.element in by_element:  # a second phrase about it is left out
                last = ""
                continue
            last = word.element
            by_element.setdefault(last, []).append(word.text)
            between = []
        elif word.text in FUNCTION_WORDS - {"and"}:
            between.append(word.text)
        else:
            last, between = "", []
    return {element: " ".join(words) for element, words in by_element.items()}


class Prompter:
    """Prompts for elements in view of a picture, and for absent ones."""

    def __init__(self, data: Dataset, indices: range, tokenizer: CLIPTokenizer, seed: int) -> None:
        self.data, self.tokenizer = data, tokenizer
        self.seen = {index: data.visible(index) for index in indices}
        self.rows: dict[str, list[int]] = {}
        self.pool: dict[str, list[str]] = {name: [name] for name in NAMES}
        rng = np.random.default_rng([seed, 78])
        for index in list(indices)[:2000]:
            for name, phrase in phrases(data.caption(index, rng, self.seen[index])).items():
                self.pool[name].append(phrase)

    def present(self, index: int, name: str, rng: np.random.Generator) -> str:
        """The element's name, or a phrase for it from a caption of this picture."""
        if rng.random() < 0.4:
            return self._with_article(name, rng)
        by_element = phrases(self.data.caption(index, rng, self.seen[index]))
        return self._with_article(by_element.get(name, name), rng)

    def absent(self, index: int, rng: np.random.Generator) -> tuple[str, str]:
        """(prompt, element) for an element with an empty mask; half of them of the same kind of scene."""
        kind = KIND_NAMES[int(self.data.kinds[index])]
        own = elements(kind)
        empty = np.asarray(self.data.masks[index][: len(own)]).reshape(len(own), -1).max(1) == 0
        missing = [name for name, none in zip(own, empty, strict=True) if none]
        if not missing or rng.random() < 0.5:
            missing = [name for name in NAMES if name not in own]
        name = missing[int(rng.integers(len(missing)))]
        pool = self.pool[name]
        phrase = name if rng.random() < 0.4 else pool[int(rng.integers(len(pool)))]
        return self._with_article(phrase, rng), name

    def _with_article(self, phrase: str, rng: np.random.Generator) -> str:
        article = ("", "the ", "a ")[int(rng.integers(3))]
        return phrase if phrase.startswith(("a ", "the ")) else article + phrase

    def tokens(self, prompts: list[str]) -> Tensor:
        """Token ids (N, TOKENS)."""
        for prompt in prompts:
            if prompt not in self.rows:
                self.rows[prompt] = self.tokenizer(
                    prompt, padding="max_length", truncation=True, max_length=TOKENS
                ).input_ids
        return torch.tensor([self.rows[prompt] for prompt in prompts])


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy and dice (Milletari et al. 2016, eq. 2), for (N, S, S) logits and soft masks.

    The weight of a mask's pixels is the square root of the ratio of other pixels to them, between 1 and
    HEAVIEST. Without it, the loss of a thing of twenty pixels is negligible.
    """
    share = masks.mean((1, 2), keepdim=True)
    heavier = ((1.0 - share) / share.clamp_min(1e-3)).sqrt().clamp(1.0, HEAVIEST)
    weight = torch.lerp(torch.ones_like(masks), heavier, masks)
    crossed = F.binary_cross_entropy_with_logits(logits, masks, weight)
    shown = logits.sigmoid()
    both, either = (shown * masks).sum((1, 2)), (shown**2 + masks**2).sum((1, 2))
    return crossed + 0.5 * (1.0 - (2.0 * both + SLACK) / (either + SLACK)).mean()


def train_segmenter(options: Options, rank: int) -> None:
    """Losses of the prompted masks, of the prompts' elements, and of elements' shares of patches."""
    profile, device = options.profile, options.device
    data = load_dataset(options.work, options.seed, options.pictures, options.processes, profile.size)
    wording = Wording(load_tokenizer(options.work / "tokenizer"))
    indices = range(rank, len(data), options.processes)
    prompter = Prompter(data, indices, wording.tokenizer, options.seed)
    mirrors = sideless().to(device)
    torch.manual_seed(options.seed)
    network = make_segmenter(wording)
    begin_with_clip(network, averaged(options.work, "clip"))
    places = nn.Linear(VISION["hidden_size"], len(KIND_NAMES) * MASKS)
    naming = nn.Linear(PROJECTION, len(NAMES))
    trained = nn.ModuleDict({"network": network, "places": places, "names": naming}).to(device)
    text = [*network.clip.text_model.parameters(), *network.clip.text_projection.parameters()]
    is_text = {id(parameter) for parameter in text}
    others = [parameter for parameter in trained.parameters() if id(parameter) not in is_text]
    groups = [{"params": others, "scale": 1.0}, {"params": text, "scale": TEXT_RATE}]
    trainer = Trainer(
        "segmenter", trained, options, rank, averaged=network, groups=groups, decay=0.998, weight_decay=0.02
    )
    seen = {index: sorted(names) for index, names in prompter.seen.items() if names}
    usable = np.array(list(seen))
    while trainer.progress.running:
        rng = trainer.random()
        chosen = rng.choice(usable, options.batch)
        targets, prompts, named = prompted(data, prompter, chosen, seen, rng)
        kind = data.kind(chosen).to(device)
        every = torch.cat([targets, data.shares(chosen)], 1).to(device)
        images, every = mirrored(mirrors[kind], fit(data.images(chosen)), every)
        masks, shares = every[:, :PROMPTS], every[:, PROMPTS:]
        ids = trimmed(prompter.tokens(prompts), wording.end).to(device)
        with mixed(device):
            logits, patches, words = predict(network, disturb(images), ids)
            placed, name_logits = places(patches), naming(words)
        masks = F.interpolate(masks, logits.shape[-2:], mode="bilinear").flatten(0, 1)
        losses = {
            "masks": mask_loss(logits.float(), masks),
            "places": place_loss(placed.float(), shares, kind),
            "names": F.cross_entropy(name_logits.float(), named.to(device)),
        }
        trainer.step(losses["masks"] + losses["places"] + losses["names"], losses)
    trainer.save()


def prompted(
    data: Dataset,
    prompter: Prompter,
    chosen: NDArray[np.int64],
    seen: dict[int, list[str]],
    rng: np.random.Generator,
) -> tuple[Tensor, list[str], Tensor]:
    """Masks (B, PROMPTS, 32, 32), B * PROMPTS prompts, and the indices in NAMES of their elements.

    Args:
        data: The training set.
        prompter: Gives the prompts.
        chosen: Indices (B,) of pictures.
        seen: The elements in view of each picture.
        rng: Draws the elements and prompts.
    """
    shares = data.shares(chosen)
    targets = torch.zeros(len(chosen), PROMPTS, *shares.shape[-2:])
    prompts: list[str] = []
    named: list[int] = []
    for row, index in enumerate(int(index) for index in chosen):
        own, names = elements(KIND_NAMES[int(data.kinds[index])]), seen[index]
        for place in range(PROMPTS - 1):
            name = names[int(rng.integers(len(names)))]
            prompts.append(prompter.present(index, name, rng))
            named.append(NAMES.index(name))
            targets[row, place] = shares[row, own.index(name)]
        prompt, name = prompter.absent(index, rng)
        prompts.append(prompt)
        named.append(NAMES.index(name))
    return targets, prompts, torch.tensor(named)


def predict(
    network: CLIPSegForImageSegmentation, images: Tensor, ids: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (B * PROMPTS, S, S), patches (B, P, width) and projected prompts (B * PROMPTS, PROJECTION).

    Each of the pictures (B, 3, 128, 128) passes the vision tower once for all its prompts.
    """
    words = network.clip.text_projection(network.clip.text_model(input_ids=ids).pooler_output)
    hidden = features(network, normalise(images))
    prompts = len(ids) // len(images)
    logits = decode(network, [rows.repeat_interleave(prompts, 0) for rows in hidden], words)
    return logits, hidden[-1][:, 1:], words


def place_loss(logits: Tensor, shares: Tensor, kinds: Tensor) -> Tensor:
    """Cross-entropy of masks (B, MASKS, 32, 32) at each patch with the logits of each picture's kind.

    `logits` is (B, P, kinds * MASKS).
    """
    side = round(logits.shape[1] ** 0.5)
    own = logits.unflatten(2, (-1, MASKS))[torch.arange(len(kinds), device=kinds.device), :, kinds]
    target = F.adaptive_avg_pool2d(shares, side).flatten(2).transpose(1, 2)
    return -(target * own.log_softmax(-1)).sum(-1).mean()


def export_segmenter(work: Path, folder: Path) -> None:
    """Write averaged weights in half precision, tokenizer and processor in transformers' format."""
    segmenter = make_segmenter(Wording(load_tokenizer(work / "tokenizer")))
    segmenter.load_state_dict(averaged(work, "segmenter"), strict=False)
    save_model(segmenter, work, folder)
