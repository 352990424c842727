"""The edits to make, from the world's exact pairs: a picture, both captions, and the place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from velatura_lab.world.pairs import CATALOGUE, Pair, make_pair, pairs
from velatura_lab.world.scene import ATTRIBUTES, element_of
from velatura_lab.world.wording import Caption

from .pictures import selected

C = TypeVar("C", bound="Case")
#: The two prompts of the survey in Huang & Compton, "Semantic Image Editing" -> the edits they stand for.
SURVEY = {"person with beard": "add beard", "person with glasses": "add glasses"}


@dataclass(frozen=True)
class Case:
    """One edit to make.

    Args:
        id: unique in a run.
        kind: of scene.
        edit: name of the edit, such as "add beard".
        source: uint8 [h, w, 3].
        target: as `source`, or None where the exact result is unknown.
        source_prompt: caption of the source.
        target_prompt: caption of the target.
        source_words: words that only the source's caption has.
        target_words: words that only the target's caption has.
        region: float32 [h, w] in 0..1, exactly the part that changes.
        mask: uint8 [h, w], 255 in the selection that a person would draw.
        attribute: name of the edited attribute.
        type: see `type_of`.
        kept: names of the readable attributes that the edit should leave alone.
        scenes: source and target in the world, None for a photograph.
        thing: the source's words for the thing that the edit changes; '' where it has none.
        new_thing: the target's words for it.
    """

    id: str
    kind: str
    edit: str
    source: NDArray[np.uint8]
    target: NDArray[np.uint8] | None
    source_prompt: str
    target_prompt: str
    source_words: str
    target_words: str
    region: NDArray[np.float32]
    mask: NDArray[np.uint8]
    attribute: str = ""
    type: str = ""
    kept: tuple[str, ...] = ()
    scenes: tuple[Any, Any] | None = None
    thing: str = ""
    new_thing: str = ""

    @property
    def trial(self) -> str:
        """Name of the trial. Cases of one trial are not independent; see `figures.estimates`."""
        return self.id

    @property
    def digest(self) -> str:
        """Digest of all that a method can be given of the case."""
        return self._input_digest

    @cached_property
    def _input_digest(self) -> str:
        words = (
            self.source_prompt,
            self.target_prompt,
            self.source_words,
            self.target_words,
            self.thing,
        )
        parts = [self.source.tobytes(), self.mask.tobytes(), "\0".join(words).encode()]
        return hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()

    def shown(self) -> list[tuple[str, NDArray[np.uint8]]]:
        """Titles and pictures of the case itself, for the report."""
        found = [("Source", self.source), ("Selection", selected(self.source, self.mask, self.region))]
        return found if self.target is None else [*found, ("Exact target", self.target)]

    @property
    def source_image(self) -> torch.Tensor:
        """(1, 3, H, W) in 0..1."""
        return to_images(self.source[None])

    @property
    def target_image(self) -> torch.Tensor | None:
        """(1, 3, H, W) in 0..1."""
        return None if self.target is None else to_images(self.target[None])

    @property
    def region_weight(self) -> torch.Tensor:
        """(1, 1, H, W) in 0..1."""
        return torch.from_numpy(self.region)[None, None]

    @property
    def mask_weight(self) -> torch.Tensor:
        """(1, 1, H, W) in 0..1."""
        return torch.from_numpy(self.mask.astype(np.float32) / 255.0)[None, None]


def of_study(case: Case, kind: type[C]) -> C:
    """The case as one of a study's own. Raises TypeError for a case of another study."""
    if not isinstance(case, kind):
        raise TypeError(f"{case.id} is no {kind.__name__}")
    return case


def to_images(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Pictures uint8 [N, h, w, 3] -> (N, 3, H, W) in 0..1."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 255.0


def generous(region: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A selection as a hand draws it: the region grown by a twenty-fifth of the picture, with a soft edge."""
    reach = max(2, round(region.shape[0] / 25))
    grown = F.max_pool2d((torch.from_numpy(region)[None, None] > 0.3).float(), 2 * reach + 1, 1, reach)
    soft = max(1, reach // 2)
    blurred = F.avg_pool2d(F.pad(grown, (soft,) * 4, mode="replicate"), 2 * soft + 1, 1)
    return (blurred[0, 0] * 255.0).round().byte().numpy()


def of_pair(pair: Pair, id: str, size: int) -> Case:
    """A pair of the world as a case with pictures of size x size."""
    before, after = pair.pictures(size)
    region = pair.region(size)
    return Case(
        id=id,
        kind=pair.source.kind,
        edit=pair.name,
        source=before.to_bytes(),
        target=after.to_bytes(),
        source_prompt=pair.source_caption.text,
        target_prompt=pair.target_caption.text,
        source_words=" ".join(pair.source_words),
        target_words=" ".join(pair.target_words),
        region=region,
        mask=generous(region),
        attribute=pair.attribute,
        type=type_of(pair),
        kept=tuple(_kept(pair, before.shows, after.shows)),
        scenes=(pair.source, pair.target),
        thing=phrases(pair.source_caption).get(element_of(pair.source, pair.attribute), ""),
        new_thing=phrases(pair.target_caption).get(element_of(pair.target, pair.attribute), ""),
    )


def type_of(pair: Pair) -> str:
    """'add', 'remove', 'more or less' (a degree), 'style', or 'swap' (one value for another)."""
    if pair.attribute == "style":
        return "style"
    if ATTRIBUTES[pair.source.kind][pair.attribute].degree:
        return "more or less"
    first = pair.name.split()[0]
    return first if first in ("add", "remove") else "swap"


def _kept(pair: Pair, *shown: Any) -> Iterator[str]:
    """Attributes that the edit leaves alone and that can be read before and after."""
    for name, attribute in ATTRIBUTES[pair.source.kind].items():
        if name == pair.attribute or not all(attribute.applies(s) for s in (pair.source, pair.target)):
            continue
        absent = getattr(pair.source, name) == attribute.absent
        if absent or all(shows(attribute.element) for shows in shown):
            yield name


def phrases(caption: Caption) -> dict[str, str]:
    """element -> the first words in a row about it, such as "short black hair". Phrases whose last word, the
    noun, stands more than once in the caption are left out."""
    found: dict[str, str] = {}
    words = caption.words
    run: list[str] = []
    for word, after in zip(words, (*words[1:], None), strict=True):
        run = [*run, word.text] if word.element else []
        if after is not None and after.element == word.element:
            continue
        if run and sum(other.text == word.text for other in words) == 1:
            found.setdefault(word.element, " ".join(run))
        run = []
    return found


def world_cases(kinds: Iterable[str], count: int, seed: int, size: int) -> list[Case]:
    """`count` pairs of each kind that no training step saw, size x size; the same for the same seed."""
    return [
        of_pair(pair, f"{kind}-{index:04d}", size)
        for kind in kinds
        for index, pair in enumerate(pairs(kind, count, seed))
    ]


def named_cases(names: Iterable[tuple[str, str]], seed: int, size: int) -> list[Case]:
    """One pair of photographs for each (kind, edit's name), size x size."""
    drawn = ((kind, name, _photo(kind, name, [seed, 626_262])) for kind, name in names)
    return [of_pair(pair, f"{kind}-{name}", size) for kind, name, pair in drawn]


def survey_cases(count: int, seed: int, size: int) -> dict[str, list[Case]]:
    """`count` people to be given a beard, and as many to be given glasses."""
    found: dict[str, list[Case]] = {}
    for number, (prompt, name) in enumerate(SURVEY.items()):
        drawn = (_photo("portrait", name, [seed, 515_151, number, index]) for index in range(count))
        found[prompt] = [of_pair(pair, f"{name}-{index:04d}", size) for index, pair in enumerate(drawn)]
    return found


def _photo(kind: str, name: str, seed: list[int]) -> Pair:
    change = next(edit for edit in CATALOGUE[kind] if edit.name == name)
    rng = np.random.default_rng(seed)
    while (pair := make_pair(kind, rng, change=change)).source.style != "photo":
        pass
    return pair
