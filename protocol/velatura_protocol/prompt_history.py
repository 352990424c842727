"""The prompts that a person has used, in a file of the state directory, for all hosts together."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from .history import folded
from .reading import as_list
from .requests import MAX_PROMPT
from .words import WORD

FILE = "prompts.json"  #: in the state directory
MAX_PROMPTS = 500
MAX_FILE = 4 * 1024**2  #: bytes of the file that are read
MOST = 8  #: words that are offered at once
SHORTEST = 2  #: letters of a word before words are offered


class PromptHistory:
    """The prompts, the newest first, each once.

    Every change reads the file again, so hosts that run beside each other keep each other's prompts. A file
    that cannot be read or written costs the memory of prompts and nothing else, so nothing here raises.
    """

    def __init__(self, state_dir: str | os.PathLike[str]) -> None:
        self.path = Path(state_dir) / FILE

    def prompts(self, text: str = "") -> list[str]:
        """The prompts that have every word of the text, the newest first."""
        wanted = folded(text).split()
        return [prompt for prompt in self._read() if all(word in folded(prompt) for word in wanted)]

    def add(self, prompt: str) -> None:
        """Puts a prompt in front; no-op for an empty one. Call it when an edit is submitted."""
        prompt = prompt.strip()
        if prompt and len(prompt) <= MAX_PROMPT:
            self._write([prompt, *(other for other in self._read() if other != prompt)])

    def remove(self, prompt: str) -> None:
        """Forgets a prompt; no-op where there is none."""
        self._write([other for other in self._read() if other != prompt])

    def clear(self) -> None:
        """Forgets all prompts."""
        self._write([])

    def _read(self) -> list[str]:
        try:
            if not self.path.is_file():  # reading a pipe or a device would block
                return []
            with open(self.path, "rb") as file:
                values = as_list(json.loads(file.read(MAX_FILE).decode("utf-8"))) or []
        except (OSError, ValueError, RecursionError):
            return []
        prompts = (one for one in values if isinstance(one, str) and 0 < len(one) <= MAX_PROMPT)
        return list(dict.fromkeys(prompts))[:MAX_PROMPTS]

    def _write(self, prompts: Sequence[str]) -> None:
        part = self.path.parent / f".{uuid.uuid4().hex}.part"
        with contextlib.suppress(OSError, UnicodeError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                data = json.dumps(list(prompts)[:MAX_PROMPTS], ensure_ascii=True, indent=0).encode("ascii")
                with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(data)
                os.replace(part, self.path)
            finally:
                part.unlink(missing_ok=True)


class Completion(NamedTuple):
    """Words for the one that is being typed.

    Args:
        start: where that word begins in the prompt.
        end: where it ends; the chosen word takes the place between.
        words: the best first; [] where nothing is offered.
    """

    start: int
    end: int
    words: list[str]

    def applied(self, prompt: str, word: str) -> tuple[str, int]:
        """The prompt with the chosen word, and the cursor's place behind it."""
        return prompt[: self.start] + word + prompt[self.end :], self.start + len(word)


def complete(
    prompt: str, cursor: int, prompts: Iterable[str] = (), vocabulary: Iterable[str] = ()
) -> Completion:
    """Words that begin like the one in front of the cursor.

    Words of earlier prompts come first, because they are the person's own; then the model's, in its order.

    Args:
        prompt: as it is typed.
        cursor: its place, in characters.
        prompts: earlier prompts, the newest first.
        vocabulary: the model's words (SPEC section 4, `vocabulary`).
    """
    typed = next((m for m in WORD.finditer(prompt) if m.start() < cursor <= m.end()), None)
    if typed is None or cursor < typed.end() or cursor - typed.start() < SHORTEST:
        return Completion(cursor, cursor, [])
    begin = folded(typed[0])
    words: dict[str, str] = {}
    own = (match[0] for earlier in prompts for match in WORD.finditer(earlier))
    for source in (own, vocabulary):
        for word in source:
            if len(words) >= MOST:
                return Completion(*typed.span(), list(words.values()))
            key = folded(word)
            if key.startswith(begin) and key != begin:
                words.setdefault(key, word)
    return Completion(*typed.span(), list(words.values()))
