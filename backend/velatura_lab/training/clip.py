"""Training of a small CLIP (Radford et al. 2021) on the world's pictures and captions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AttentionInterface, CLIPConfig, CLIPModel, PreTrainedModel

from velatura.companions.processing import DEVIATION, MEAN
from velatura_lab.readers.clip import BUNDLE, normalise
from velatura_lab.readers.pictures import SIDE

from .augment import disturb, mirrored, shifted, sideless
from .data import KIND_NAMES, MASKS
from .judge import averaged
from .labels import Answers
from .loop import Trainer
from .near import Pairs, open_pairs
from .networks import TOKENS
from .options import Options
from .precision import mixed
from .text import Wording
from .tokenizer import load_tokenizer
from .truth import Text, Told, changed_elements, falsehoods
from .warm import warm_start_clip

PATCH = 8
GRID = SIDE // PATCH
PROJECTION = 128
VISION = {"hidden_size": 160, "intermediate_size": 320, "num_hidden_layers": 4, "num_attention_heads": 4}
TEXT = {"hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 3}
ALIKE = 0.6  # share of batches of one kind of scene, whose captions are harder to tell apart
STEEPEST = 100.0  # largest inverse temperature, as in CLIP
TEXTS = 2  # texts about each picture of a batch
WEIGHTS = {"contrast": 1.0, "pair": 1.0, "pictures": 0.1, "captions": 0.03, "places": 0.3}


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


def plain_attention(
    module: nn.Module,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention without a mask, for queries, keys and values (N, heads, L, d), by two matrix products.

    On a processor a training step of the vision tower, in bfloat16 and with 257 places, takes .63 s with it
    instead of 1.0 s with torch's fused attention, whose backward pass is slow there.
    """
    weights = torch.bmm((q * scaling).flatten(0, 1), k.flatten(0, 1).transpose(1, 2)).softmax(-1)
    return torch.bmm(weights, v.flatten(0, 1)).view_as(q).transpose(1, 2).contiguous(), None


AttentionInterface.register("plain", plain_attention)


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


def contrastive_loss(logits: Tensor, owner: Tensor, false: Tensor) -> Tensor:
    """InfoNCE in both directions with all of a picture's texts, among the pairs that are known to be false.

    For each text t of picture i: log(1 + sum over texts u false of i of exp(l_iu - l_it)), and the same over
    the pictures j of which t is false.

    Args:
        logits: l (N, T), cosines times the inverse temperature.
        owner: (T,), the picture that each text is about.
        false: (N, T), whether a text is false of a picture.
    """
    own = logits.gather(0, owner[None])[0]
    others = logits.masked_fill(~false, -1e4)
    by_picture, by_text = others.logsumexp(1)[owner], others.logsumexp(0)
    return 0.5 * (F.softplus(by_picture - own) + F.softplus(by_text - own)).mean()


def pair_loss(logits: Tensor, owner: Tensor, false: Tensor) -> Tensor:
    """As `contrastive_loss` between the two pictures of each pair only, where a text is false of the other.

    Picture i's other picture is i XOR 1.
    """
    here, there = logits.gather(0, owner[None])[0], logits.gather(0, (owner ^ 1)[None])[0]
    tells = false.gather(0, (owner ^ 1)[None])[0].float()
    return (tells * F.softplus(there - here)).sum() / tells.sum().clamp(min=1.0)


class Known:
    """All that can be said of the pictures of a set, and their labels; each is found when it is first asked
    for."""

    def __init__(self, pairs: Pairs, labels: Answers) -> None:
        self._pairs, self._labels = pairs, labels
        self._told: dict[int, tuple[Told, Told]] = {}
        self._rows: dict[int, Tensor] = {}
        self._kinds: dict[int, int] = {}

    def kinds(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The kinds (n,) of pairs, as indices into KIND_NAMES."""
        for index in indices:
            if index not in self._kinds:
                self._kinds[index] = KIND_NAMES.index(self._pairs.kind(index))
        return np.array([self._kinds[index] for index in indices])

    def told(self, index: int) -> tuple[Told, Told]:
        """The two pictures of a pair."""
        if index not in self._told:
            scenes = self._pairs.scenes(index)
            first, second = (
                Told(scene, self._pairs.visible(index, which, scene.kind), (index, which))
                for which, scene in enumerate(scenes)
            )
            self._told[index] = first, second
            self._rows[index] = torch.stack([self._labels.row(p.scene, p.seen) for p in (first, second)])
        return self._told[index]

    def rows(self, indices: NDArray[np.int64]) -> Tensor:
        """The labels (2 B, sum of sizes) of pairs."""
        return torch.cat([self._rows[int(index)] for index in indices])


def trimmed(ids: Tensor, end: int) -> Tensor:
    """Token ids (N, TOKENS) cut after the end of the longest; a causal tower does not need the rest."""
    return ids[:, : int((ids == end).int().argmax(1).max()) + 1]


def pick_batch(kinds: NDArray[np.int64], rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    """`size` indices into `kinds` (n,), all equally likely; the share ALIKE of batches is of one kind."""
    if rng.random() >= ALIKE:
        return rng.integers(len(kinds), size=size)
    return rng.choice(np.flatnonzero(kinds == rng.choice(kinds)), size)


def train_clip(options: Options, rank: int) -> None:
    """Contrastive loss over pairs of near pictures, the pairs' own, and the losses of the two heads."""
    device = options.device
    pairs = open_pairs(options.work, options.seed, options.pictures)
    wording = Wording(load_tokenizer(options.work / "tokenizer"))
    answers = Answers()
    known = Known(pairs, answers)
    mirrors = sideless().to(device)
    torch.manual_seed(options.seed)
    clip = make_clip(wording)
    warm_start_clip(clip, wording.tokenizer.get_vocab(), options.start)
    if device.type == "cpu":
        clip.vision_model.set_attn_implementation("plain")
    network = Schooled(clip, sum(answers.sizes)).to(device)
    trainer = Trainer("clip", network, options, rank, decay=0.999, weight_decay=0.05)
    while trainer.progress.running:
        rng = trainer.random()
        drawn = pairs.available()[rank :: options.processes]
        chosen = np.sort(drawn[pick_batch(known.kinds(drawn), rng, options.batch // 2)])
        pictures, texts, owner = worded(known, chosen, rng)
        false = falsehoods(texts, pictures).to(device)
        kind = torch.tensor([KIND_NAMES.index(p.scene.kind) for p in pictures], device=device)
        images, shares = mirrored(
            mirrors[kind], pairs.images(chosen).to(device), pairs.shares(chosen).to(device)
        )
        ids = trimmed(wording.tokens([text.item for text in texts]), wording.end).to(device)
        with mixed(device):
            seen, patches = network.picture(normalise(shifted(disturb(images))))
            words = network.words(ids)
        seen, words = seen.float(), words.float()
        factor = network.clip.logit_scale.exp().clamp(max=STEEPEST)
        logits = factor * F.normalize(seen, dim=-1) @ F.normalize(words, dim=-1).T
        targets = known.rows(chosen).to(device)
        whole = torch.tensor([text.whole for text in texts], device=device)
        losses = {
            "contrast": contrastive_loss(logits, owner, false),
            "pair": pair_loss(logits, owner, false),
            "pictures": answers.loss(network.answers(seen), targets),
            "captions": answers.loss(network.answers(words), targets[owner] * whole[:, None]),
            "places": network.place_loss(patches, shares, kind),
        }
        trainer.step(torch.stack([WEIGHTS[name] * loss for name, loss in losses.items()]).sum(), losses)
    trainer.save()


def worded(
    known: Known, chosen: NDArray[np.int64], rng: np.random.Generator
) -> tuple[list[Told], list[Text], Tensor]:
    """The 2 B pictures of pairs, TEXTS texts about each, and the number of the picture of each text. The last
    of a picture's texts is about the elements that differ in its pair."""
    pictures = [told for index in chosen for told in known.told(int(index))]
    texts: list[Text] = []
    for place, told in enumerate(pictures):
        differing = changed_elements(told, pictures[place ^ 1])
        texts += [told.text(rng, differing if k == TEXTS - 1 else frozenset()) for k in range(TEXTS)]
    return pictures, texts, torch.arange(len(pictures)).repeat_interleave(TEXTS)


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
