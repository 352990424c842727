"""Edit pairs: a scene before and after one change, with the exact region in which the pictures differ.

The catalogue of edits follows from the attributes of each kind: a choice can be added, removed or
swapped for another value, a degree can be raised or lowered.  A new attribute thus has its edits
without more work.  The tables here hold only the edits' weights and names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .attributes import NOTHING, Attribute, degree_value
from .render import Picture, render
from .scene import ATTRIBUTES, caption, edit, element_of, is_held_out, sample_scene
from .wording import Caption

#: How often an attribute is edited, relative to the others; 1 by default.
WEIGHTS: dict[tuple[str, str], float] = {
    ("portrait", "skin"): 0.4,
    ("portrait", "hair_style"): 0.6,
    ("portrait", "hair_colour"): 2.0,
    ("portrait", "beard"): 2.0,
    ("portrait", "glasses"): 2.5,
    ("portrait", "smile"): 2.0,
    ("portrait", "hat"): 2.0,
    ("portrait", "hat_colour"): 0.6,
    ("portrait", "style"): 1.5,
    ("landscape", "style"): 1.2,
    ("table", "style"): 1.2,
}
#: Values set before an attribute is edited, so that neither picture is an odd one.
SENSIBLE: dict[tuple[str, str], dict[str, Any]] = {
    ("portrait", "beard"): {"person": "man"},
    ("portrait", "person"): {"beard": False},
}
#: Nouns for added values that do not name their thing themselves.
NOUNS: dict[str, str] = {
    "trees": "{} trees",
    "flowers": "{} flowers",
    "cloth": "{} tablecloth",
    "hair_style": "{} hair",
}
#: Names of attributes in the names of their swaps.
LABELS: dict[str, str] = {
    "hair_colour": "hair",
    "hair_style": "hair",
    "shirt_colour": "shirt",
    "shirt_pattern": "shirt",
    "second": "second thing",
    "cloth_colour": "tablecloth",
}
#: Names for raising and lowering a degree where "more" and "less" do not fit.
RAISED: dict[str, tuple[str, str]] = {
    "age": ("older", "younger"),
    "hair_length": ("longer hair", "shorter hair"),
    "beard_length": ("longer beard", "shorter beard"),
    "glasses_size": ("larger glasses", "smaller glasses"),
    "smile_width": ("broader smile", "slighter smile"),
    "height": ("higher mountains", "lower mountains"),
    "tree_count": ("more trees", "fewer trees"),
    "size": ("bigger", "smaller"),
    "fluff": ("fluffier", "less fluffy"),
    "fullness": ("fuller", "emptier"),
}
#: Attributes whose swaps name the old value too: "river to street".
FROM_TO = ("person", "glasses", "hat", "path", "building", "thing", "style")
#: An edit changes at least LEAST_AREA of the picture by more than LEAST_CHANGE.
LEAST_AREA, LEAST_CHANGE = 0.002, 0.08
#: Two pictures are the same at a pixel where they differ by no more than this.
TOLERANCE = 2.0 / 255.0


@dataclass(frozen=True)
class Edit:
    """One change of one attribute.  `source` is None where any other present value serves."""

    name: str
    attribute: str
    source: Any
    target: Any
    weight: float = 1.0


@dataclass(frozen=True)
class Pair:
    """A scene before and after an edit, and the captions of both; only the edited attribute differs."""

    source: Any
    target: Any
    name: str
    attribute: str
    source_caption: Caption
    target_caption: Caption

    @property
    def source_words(self) -> tuple[str, ...]:
        """The words that only the source's caption has."""
        return self._words(0)

    @property
    def target_words(self) -> tuple[str, ...]:
        """The words that only the target's caption has."""
        return self._words(1)

    def _words(self, side: int) -> tuple[str, ...]:
        texts = [[word.text for word in c.words] for c in (self.source_caption, self.target_caption)]
        words: list[str] = []
        for tag, *spans in SequenceMatcher(None, *texts, autojunk=False).get_opcodes():
            if tag != "equal":
                words += texts[side][spans[2 * side] : spans[2 * side + 1]]
        return tuple(words)

    def pictures(self, size: int) -> tuple[Picture, Picture]:
        """Source and target, size x size."""
        return _rendered(self.source, size), _rendered(self.target, size)

    def region(self, size: int) -> NDArray[np.float32]:
        """Where the two pictures differ, (size, size) in 0..1.

        The value is 1 where the colours differ, elsewhere the largest difference of the masks.
        """
        before, after = self.pictures(size)
        masks = np.abs(after.masks - before.masks).max(0)
        colours = np.abs(after.rgb - before.rgb).max(-1) > TOLERANCE
        return np.maximum(masks, colours).astype(np.float32)


@lru_cache(maxsize=8)
def _rendered(scene: Any, size: int) -> Picture:
    return render(scene, size)


def edits_of(kind: str, name: str, attribute: Attribute) -> tuple[Edit, ...]:
    """Every edit of one attribute; their weights sum to the attribute's."""
    label = LABELS.get(name, name.replace("_", " "))
    absent = "none" if "none" in attribute.values else attribute.absent
    present = tuple(value for value in attribute.values if value != absent)
    edits: list[Edit] = []
    if attribute.degree:
        low = 0.0 if absent == 0.0 else degree_value(attribute, attribute.degree[0])
        high = degree_value(attribute, attribute.degree[-1])
        more, less = RAISED.get(name, (f"more {label}", f"less {label}"))
        edits += [Edit(more, name, low, high), Edit(less, name, high, low)]
    elif set(present) <= {False, True}:
        off = absent if absent is not NOTHING else False
        edits += [Edit(f"add {label}", name, off, True), Edit(f"remove {label}", name, True, off)]
    else:
        if absent is not NOTHING:
            for value in present:
                noun = NOUNS.get(name, "{}").format(value)
                edits += [
                    Edit(f"add {noun}", name, absent, value),
                    Edit(f"remove {noun}", name, value, absent),
                ]
        if name in FROM_TO:
            edits += [Edit(f"{a} to {b}", name, a, b) for a in present for b in present if a != b]
        elif len(present) > 1:
            edits += [Edit(f"{label} to {value}", name, None, value) for value in present]
    # most changes of style begin with a photograph
    often = [5.0 if name == "style" and entry.source == "photo" else 1.0 for entry in edits]
    scale = WEIGHTS.get((kind, name), 1.0) / sum(often)
    return tuple(replace(entry, weight=scale * part) for entry, part in zip(edits, often, strict=True))


#: kind -> all its edits.
CATALOGUE: dict[str, tuple[Edit, ...]] = {
    kind: tuple(entry for name, attribute in attributes.items() for entry in edits_of(kind, name, attribute))
    for kind, attributes in ATTRIBUTES.items()
}


def make_source(scene: Any, change: Edit, rng: np.random.Generator) -> Any:
    """The scene changed so that the edit can be applied to it."""
    attributes = ATTRIBUTES[scene.kind]
    attribute = attributes[change.attribute]
    value = change.source
    if value is None:  # any present value but the target
        value = getattr(scene, change.attribute)
        if value in (attribute.absent, "none", change.target):
            others = [v for v in attribute.values if v not in (attribute.absent, "none", change.target)]
            value = others[int(rng.integers(len(others)))]
    return fulfil(edit(scene, **{change.attribute: value}), change.attribute, rng)


def fulfil(scene: Any, name: str, rng: np.random.Generator) -> Any:
    """The scene with everything that an attribute needs, directly or through another attribute."""
    attributes = ATTRIBUTES[scene.kind]
    scene = edit(scene, **SENSIBLE.get((scene.kind, name), {}))
    for needed, values in attributes[name].needs.items():
        if getattr(scene, needed) not in values:
            scene = edit(scene, **{needed: values[int(rng.integers(len(values)))]})
        scene = fulfil(scene, needed, rng)
    return scene


def make_pair(kind: str, rng: np.random.Generator, held_out: bool = True, change: Edit | None = None) -> Pair:
    """A scene and a visible edit of it.

    Args:
        kind: The kind of scene.
        rng: Draws scene, edit and captions.
        held_out: Whether the source or the target may hold a combination that training never sees.
        change: The edit; by default one of the catalogue, drawn by weight.

    Raises:
        ValueError: No scene shows the edit.
    """
    weights = np.array([entry.weight for entry in CATALOGUE[kind]])
    for _ in range(200):
        chosen = change or CATALOGUE[kind][int(rng.choice(len(weights), p=weights / weights.sum()))]
        source = make_source(sample_scene(rng, kind), chosen, rng)
        target = edit(source, **{chosen.attribute: chosen.target})
        if not held_out and (is_held_out(source) or is_held_out(target)):
            continue
        if (pair := _pair(source, target, chosen, rng)) is not None:
            return pair
    edited = "an edit" if change is None else f"the edit {change.name!r}"
    raise ValueError(f"no scene of kind {kind} shows {edited}")


def _pair(source: Any, target: Any, change: Edit, rng: np.random.Generator) -> Pair | None:
    """None if the edit is hardly visible or the captions do not differ.

    The captions leave out some of the elements that stay alike.
    """
    before, after = render(source, 64), render(target, 64)
    moved = np.abs(after.masks - before.masks)
    difference = np.maximum(moved.max(0), np.abs(after.rgb - before.rgb).max(-1))
    if (difference > LEAST_CHANGE).mean() < LEAST_AREA:
        return None
    concerned = {element_of(scene, change.attribute) for scene in (source, target)}
    concerned |= {name for name, mask in zip(before.elements, moved, strict=True) if mask.max() > 0.5}
    worded = concerned | {name for name in before.elements if rng.random() < 0.7}
    captions = [
        caption(scene, None, lambda name, p=picture: p.shows(name) and name in worded)
        for scene, picture in ((source, before), (target, after))
    ]
    if captions[0].text == captions[1].text:
        return None
    return Pair(source, target, change.name, change.attribute, *captions)


def pairs(kind: str, count: int, seed: int, held_out: bool = True) -> Iterator[Pair]:
    """`count` pairs of a kind.  Pair i depends on seed and i only; none of its scenes is a training scene."""
    for index in range(count):
        yield make_pair(kind, np.random.default_rng([seed, 424242, index]), held_out)
