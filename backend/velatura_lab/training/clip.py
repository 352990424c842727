"""Training of a small CLIP (Radford et al. 2021) on the world's pictures and captions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, PreTrainedModel

from velatura.companions.processing import DEVIATION, MEAN
from velatura_lab.readers.clip import BUNDLE, normalise
from velatura_lab.readers.pictures import SIDE, fit
from velatura_lab.world import Caption

from .augment import disturb, mirrored, sideless
from .data import KIND_NAMES, MASKS, Dataset, load_dataset
from .judge import averaged
from .labels import Labels
from .loop import Trainer
from .negatives import changed, wrong_caption
from .networks import TOKENS
from .options import Options
from .precision import mixed
from .text import Wording
from .tokenizer import load_tokenizer

PATCH = 16
GRID = SIDE // PATCH
PROJECTION = 128
VISION = {"hidden_size": 160, "intermediate_size": 320, "num_hidden_layers": 4, "num_attention_heads": 4}
TEXT = {"hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 3}
ALIKE = 0.6  # share of batches of one kind of scene, whose captions are harder to tell apart
STEEPEST = 100.0  # largest inverse temperature, as in CLIP


def text_and_vision(wording: Wording) -> tuple[dict[str, int], dict[str, int]]:
    """The configurations of the text tower and the vision tower, shared with the segmenter."""
    text = {
        **TEXT,
        "vocab_size": len(wording.tokenizer),
        "max_position_embeddings": TOKENS,
        "projection_dim": PROJECTION,
        "bos_token_id": wording.start,
        "eos_token_id": wording.end,
        "pad_token_id": wording.end,
    }
    vision = {**VISION, "image_size": SIDE, "patch_size": PATCH, "projection_dim": PROJECTION}
    return text, vision


def make_clip(wording: Wording) -> CLIPModel:
    """A CLIP that embeds pictures (3, 128, 128) and captions of up to TOKENS tokens as PROJECTION numbers."""
    text, vision = text_and_vision(wording)
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=PROJECTION))


class Schooled(nn.Module):
    """CLIP with two heads for training only.

    `answers` reads all attributes of a scene from the embedding of its picture and, with the same weights, of
    its caption.  Both towers thus learn the meaning of words sooner than from contrast alone.  `places`
    reads the elements' shares from the picture's patches.
    """

    def __init__(self, clip: CLIPModel, answers: int) -> None:
        super().__init__()
        self.clip = clip
        self.answers = nn.Linear(PROJECTION, answers)
        self.places = nn.Linear(VISION["hidden_size"], len(KIND_NAMES) * MASKS)

    def picture(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, 128, 128) -> embeddings (N, 128), patches (N, GRID^2, width)."""
        out = self.clip.vision_model(pixel_values=pixels)
        return self.clip.visual_projection(out.pooler_output), out.last_hidden_state[:, 1:]

    def words(self, ids: Tensor) -> Tensor:
        """Token ids (N, T) -> embeddings (N, PROJECTION)."""
        return self.clip.text_projection(self.clip.text_model(input_ids=ids).pooler_output)

    def place_loss(self, patches: Tensor, shares: Tensor, kinds: Tensor) -> Tensor:
        """Cross-entropy of the elements' shares (N, 16, 32, 32) at each patch, among those of its kind."""
        target = F.adaptive_avg_pool2d(shares, GRID).flatten(2).transpose(1, 2)  # (N, P, 16)
        logits = self.places(patches).unflatten(2, (len(KIND_NAMES), MASKS))
        own = logits[torch.arange(len(kinds), device=kinds.device), :, kinds]
        return -(target * own.float().log_softmax(-1)).sum(-1).mean()


def contrastive_loss(pictures: Tensor, right: Tensor, wrong: Tensor, same: Tensor, factor: Tensor) -> Tensor:
    """InfoNCE in both directions.  Wrong captions are further choices for the pictures only.

    Args:
        pictures: Unit vectors (N, d).
        right: Unit vectors (N, d) of the pictures' captions.
        wrong: Unit vectors (N, d) of hard negatives.
        same: (N, 2N), True where a caption other than the picture's own may be true of the picture; it is
            then no choice.
        factor: Inverse temperature.
    """
    logits = factor * pictures @ torch.cat([right, wrong]).T
    logits = logits.masked_fill(same, -1e4)
    own = torch.arange(len(pictures), device=pictures.device)
    return 0.5 * (F.cross_entropy(logits, own) + F.cross_entropy(logits[:, : len(own)].T, own))


class Captioner:
    """For each picture of a set a right caption, and one that is wrong in one attribute."""

    def __init__(self, data: Dataset, indices: range) -> None:
        self.scenes = {index: data.scene(index) for index in indices}
        self.seen = {index: data.visible(index) for index in indices}

    def __call__(self, index: int, rng: np.random.Generator) -> tuple[Caption, Caption | None]:
        """(right, wrong); a quarter of them in the full canonical wording.  See `wrong_caption`."""
        scene, seen = self.scenes[index], self.seen[index]
        seed = None if rng.random() < 0.25 else int(rng.integers(2**31))
        _, other = changed(scene, seen, rng)

        def draw() -> np.random.Generator | None:
            return None if seed is None else np.random.default_rng(seed)

        return wrong_caption(scene, other, seen, draw)


def trimmed(ids: Tensor, end: int) -> Tensor:
    """Token ids (N, TOKENS) cut after the end of the longest; a causal tower does not need the rest."""
    return ids[:, : int((ids == end).int().argmax(1).max()) + 1]


def pick_batch(kinds: NDArray[np.uint8], rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    """`size` indices into `kinds` (n,), all equally likely; the share ALIKE of batches is of one kind."""
    if rng.random() >= ALIKE:
        return rng.integers(len(kinds), size=size)
    return rng.choice(np.flatnonzero(kinds == rng.choice(kinds)), size)


def train_clip(options: Options, rank: int) -> None:
    """Contrastive loss with hard negatives, and the losses of the two heads."""
    profile, device = options.profile, options.device
    data = load_dataset(options.work, options.seed, options.pictures, options.processes, profile.size)
    wording = Wording(load_tokenizer(options.work / "tokenizer"))
    labels = Labels(data, rank, options.processes)
    captioner, kinds = Captioner(data, labels.indices), np.array(data.kinds)[labels.indices]
    data, targets, mirrors = data.resident(device), labels.matrix.to(device), sideless().to(device)
    torch.manual_seed(options.seed)
    network = Schooled(make_clip(wording), targets.shape[1]).to(device)
    trainer = Trainer("clip", network, options, rank, decay=0.998, weight_decay=0.05)
    while trainer.progress.running:
        rng = trainer.random()
        pick = pick_batch(kinds, rng, options.batch)
        chosen = pick * options.processes + rank
        captions = [captioner(int(index), rng) for index in chosen]
        right = wording.tokens([first for first, _ in captions])
        wrong = wording.tokens([first if other is None else other for first, other in captions])
        same = (right[:, None] == torch.cat([right, wrong])[None]).all(2)
        same[:, : len(pick)].fill_diagonal_(False)
        kind = data.kind(chosen).to(device)
        images, shares = mirrored(mirrors[kind], fit(data.images(chosen)), data.shares(chosen))
        with mixed(device):
            pictures, patches = network.picture(normalise(disturb(images)))
            words = network.words(trimmed(torch.cat([right, wrong]), wording.end).to(device))
        pictures, words = pictures.float(), words.float()
        fitting, failing = F.normalize(words, dim=-1).chunk(2)
        factor = network.clip.logit_scale.exp().clamp(max=STEEPEST)
        contrast = contrastive_loss(F.normalize(pictures, dim=-1), fitting, failing, same.to(device), factor)
        pictured = labels.loss(network.answers(pictures), targets[pick])
        worded = labels.loss(network.answers(words[: len(pick)]), targets[pick])
        placed = network.place_loss(patches, shares, kind)
        loss = contrast + 0.1 * pictured + 0.03 * worded + 0.3 * placed
        losses = {"contrast": contrast, "pictures": pictured, "captions": worded, "places": placed}
        trainer.step(loss, losses)
    trainer.save()


def export_clip(work: Path, folder: Path = BUNDLE) -> None:
    """Write averaged weights in half precision, tokenizer and processor in transformers' format."""
    state = averaged(work, "clip")
    clip = make_clip(Wording(load_tokenizer(work / "tokenizer")))
    own = {key.removeprefix("clip."): value for key, value in state.items() if key.startswith("clip.")}
    clip.load_state_dict(own, strict=False)
    save_model(clip, work, folder)


def save_model(model: PreTrainedModel, work: Path, folder: Path) -> None:
    """Write a transformers model of pictures and words, with its tokenizer, for `from_pretrained`."""
    model.half().save_pretrained(folder, safe_serialization=True)
    (folder / "model.safetensors").chmod(0o644)
    # Half precision is for storage only; float32 is the default at loading.
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "float32"}, indent=2) + "\n")
    for file in (work / "tokenizer").iterdir():
        shutil.copy(file, folder)
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "CLIPProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "resample": 2,
        "do_center_crop": False,
        "do_rescale": True,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": True,
        "image_mean": list(MEAN),
        "image_std": list(DEVIATION),
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")
