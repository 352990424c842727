"""An entry of a document's history, and the line of the file that holds it."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from dataclasses import dataclass
from typing import Literal

from .candidates import Candidate
from .reading import JsonObject, as_integer, as_list, as_object, is_number, text_of

_MAX_ENTRY = 1024**2  # bytes of one entry's JSON

Key = tuple[str, int]  #: a job's id and the index of a variation
Fate = Literal["candidate", "kept", "dropped"]
Relation = Literal["", "again", "changed", "more"]

RELATIONS: dict[str, str] = {
    "again": "run again",
    "changed": "edited again",
    "more": "more like this",
}
"""How a result came of another one, for the person."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A result in the history.

    Attributes:
        job: the run's id.
        variation: its index in the run, from 0.
        at: when it was made, seconds since the epoch.
        title: of the run, for the person.
        recipe: SPEC section 5, with which it is made again to the byte.
        prompt: of the recipe.
        method: the method's title.
        seed: of the variation.
        thumbnail: a JPEG; empty where there is none, or where it had to go for room.
        score: in [0, 1]; None where the run was not ranked.
        fate: what the person has done with it.
        starred: whether the person wants to find it again; it is never let go for room.
        parent: the result that it came of.
        relation: how it came of its parent.
        layer: a host's own mark of the inserted layer, or ''.
    """

    job: str
    variation: int
    at: float
    title: str
    recipe: JsonObject
    prompt: str = ""
    method: str = ""
    seed: int = 0
    thumbnail: bytes = b""
    score: float | None = None
    fate: Fate = "candidate"
    starred: bool = False
    parent: Key | None = None
    relation: Relation = ""
    layer: str = ""

    @property
    def key(self) -> Key:
        """Its name in the history."""
        return self.job, self.variation

    @classmethod
    def of(
        cls,
        candidate: Candidate,
        *,
        at: float,
        title: str,
        method: str,
        thumbnail: bytes = b"",
        parent: Key | None = None,
        relation: Relation = "",
    ) -> Entry:
        """The entry of a candidate.

        Args:
            at: seconds since the epoch.
            title: of the run.
            method: the method's title.
            thumbnail: the bytes of `Candidate.thumbnail`.
            parent: the result whose recipe was run again, or to which more like it were asked for.
            relation: how it came of that.
        """
        return cls(
            job=candidate.job,
            variation=candidate.index,
            at=at,
            title=title,
            recipe=candidate.recipe,
            prompt=text_of(candidate.recipe, "prompt"),
            method=method,
            seed=candidate.seed,
            thumbnail=thumbnail,
            score=candidate.score,
            parent=parent,
            relation=relation,
        )


def words(entry: Entry) -> str:
    """The entry without its picture, as a word of the file."""
    value = {
        "job": entry.job,
        "variation": entry.variation,
        "at": entry.at,
        "title": entry.title,
        "recipe": entry.recipe,
        "prompt": entry.prompt,
        "method": entry.method,
        "seed": entry.seed,
        "score": entry.score,
        "fate": entry.fate,
        "starred": entry.starred,
        "parent": list(entry.parent) if entry.parent else None,
        "relation": entry.relation,
        "layer": entry.layer,
    }
    raw = json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    return base64.b64encode(zlib.compress(raw, 6)).decode("ascii")


def picture(entry: Entry) -> str:
    """The entry's picture, as a word of the file."""
    return base64.b64encode(entry.thumbnail).decode("ascii") or "-"


def read(line: str) -> Entry | None:
    """The entry of a line; None for a damaged one."""
    try:
        words, picture = line.split(" ")
        unpacking = zlib.decompressobj()
        raw = unpacking.decompress(base64.b64decode(words, validate=True), _MAX_ENTRY)
        if unpacking.unconsumed_tail or not unpacking.eof:
            return None
        thumbnail = b"" if picture == "-" else base64.b64decode(picture, validate=True)
        return _entry(as_object(json.loads(raw)) or {}, thumbnail)
    except (ValueError, RecursionError, binascii.Error, zlib.error):
        return None


def _entry(d: dict[str, object], thumbnail: bytes) -> Entry | None:
    key, at, recipe = _key([d.get("job"), d.get("variation")]), d.get("at"), as_object(d.get("recipe"))
    score, fate, relation = d.get("score"), text_of(d, "fate"), text_of(d, "relation")
    if key is None or recipe is None or not is_number(at) or at - at != 0.0:
        return None
    return Entry(
        job=key[0],
        variation=key[1],
        at=float(at),
        title=text_of(d, "title"),
        recipe=recipe,
        prompt=text_of(d, "prompt"),
        method=text_of(d, "method"),
        seed=as_integer(d.get("seed"), 0, 2**53) or 0,
        thumbnail=thumbnail,
        score=float(score) if is_number(score) and 0.0 <= score <= 1.0 else None,
        fate="kept" if fate == "kept" else "dropped" if fate == "dropped" else "candidate",
        starred=d.get("starred") is True,
        parent=_key(d.get("parent")),
        relation=_relation(relation),
        layer=text_of(d, "layer"),
    )


def _relation(text: str) -> Relation:
    return (
        "again" if text == "again" else "changed" if text == "changed" else "more" if text == "more" else ""
    )


def _key(value: object) -> Key | None:
    """A key as JSON has it, [job, variation]."""
    pair = as_list(value)
    if pair is None or len(pair) != 2:
        return None
    job, variation = pair[0], as_integer(pair[1], 0, 2**31)
    return (job, variation) if isinstance(job, str) and job and variation is not None else None
