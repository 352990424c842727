"""The words of a prompt, and the entries of a group that is about them (SPEC section 6, `x-words`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


@dataclass(frozen=True)
class Word:
    """A word, or a run of neighbouring ones, of a prompt.

    text: as it stands there, prompt[start:end]. which: it is the which-th of its equals, without regard to
    case, counted from the left, from 1.
    """

    text: str
    start: int
    end: int
    which: int


def words(prompt: str) -> list[Word]:
    """The words from left to right: runs of letters and digits, with apostrophes and hyphens inside."""
    seen: dict[str, int] = {}
    found = []
    for match in WORD.finditer(prompt):
        key = match.group().casefold()
        seen[key] = seen.get(key, 0) + 1
        found.append(Word(match.group(), match.start(), match.end(), seen[key]))
    return found


def find(prompt: str, text: str, which: int = 1) -> Word | None:
    """The which-th place where the words of `text` follow each other in the prompt; None if there is none.

    Compared word by word without regard to case, so that "cat," finds "Cat". Places of a text of several
    words do not overlap.
    """
    wanted = [word.text.casefold() for word in words(text)]
    there = words(prompt)
    keys = [word.text.casefold() for word in there]
    i, seen = 0, 0
    while wanted and i + len(wanted) <= len(keys):
        if keys[i : i + len(wanted)] != wanted:
            i += 1
            continue
        seen += 1
        if seen == which:
            start, end = there[i].start, there[i + len(wanted) - 1].end
            return Word(prompt[start:end], start, end, which)
        i += len(wanted)
    return None


def replace(prompt: str, word: Word, new: str) -> str:
    """The prompt with `new` where `word`, one of its own, stands."""
    return prompt[: word.start] + new + prompt[word.end :]


def settle(entries: Iterable[dict], prompt: str) -> list[dict]:
    """The entries whose word the prompt still has, each as it is, in their order."""
    return [entry for entry in entries if find(prompt, entry.get("text", ""), entry.get("which", 1))]
