"""Doing the edits, one task after another; each result is kept, so that a run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import velatura
import velatura_lab
from velatura.files.atomic import replacing
from velatura_protocol.errors import VelaturaError

from .cases import Case
from .editors import Edited, Editor

#: Whose source stands between a request and its pixels.
#: Packages of the product with no part in a result's pixels.
_BESIDE = {"cli", "daemon", "files", "install", "jobs"}
#: What the laboratory adds to a result.
_ADDED = (
    "readers",
    "world",
    *(
        f"evaluation/{name}.py"
        for name in ("dials", "editors", "flows", "prompt_to_prompt", "selections", "sliders")
    ),
)
#: What a method may say of one case without the run being over.
_REFUSALS = {"prompt-too-long", "empty-mask", "empty-layer", "bad-request"}


@dataclass(frozen=True)
class Task:
    """role: 'edit' (a batch of seeds), 'back' (the first result of the edit, edited to the source prompt) or
    'alone' (one seed, for its time)."""

    editor: Editor
    case: Case
    seeds: tuple[int, ...]
    role: Literal["edit", "back", "alone"] = "edit"

    def key(self, maker: str) -> str:
        """A name that changes with everything the result depends on. maker: see `Runner`."""
        parts = [maker, self.editor.id, self.editor.settings, self.case.digest, self.seeds, self.role]
        return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Done:
    """pictures, sources, scores: as `Edited`. seconds: wall time of the whole batch. refusal: why the method
    made nothing of the case, or ''; there are no pictures then."""

    pictures: NDArray[np.uint8]
    sources: NDArray[np.uint8] | None
    scores: list[float] | None
    seconds: float
    refusal: str = ""


class Store:
    """Results in a folder, one file each, whole or not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def has(self, key: str) -> bool:
        return self.path(key).exists()

    def get(self, key: str) -> Done | None:
        """What was kept, or None."""
        if not self.has(key):
            return None
        with np.load(self.path(key)) as kept:
            told = json.loads(str(kept["told"]))
            sources = kept["sources"] if "sources" in kept.files else None
            return Done(kept["pictures"], sources, **told)

    def put(self, key: str, done: Done) -> None:
        """Raises OSError."""
        told = {"scores": done.scores, "seconds": done.seconds, "refusal": done.refusal}
        arrays = {"pictures": done.pictures, "told": np.array(json.dumps(told))}
        if done.sources is not None:
            arrays["sources"] = done.sources
        with replacing(self.path(key)) as stream:
            np.savez(stream, **arrays)


def backwards(case: Case, picture: NDArray[np.uint8]) -> Case:
    """The case of editing a result back: prompts, words and scenes exchanged, the same place."""
    return replace(
        case,
        source=picture,
        target=case.source,
        source_prompt=case.target_prompt,
        target_prompt=case.source_prompt,
        source_words=case.target_words,
        target_words=case.source_words,
        scenes=None if case.scenes is None else case.scenes[::-1],
    )


def plan(
    editors: Sequence[Editor], cases: Sequence[Case], seeds: int, *, cycles: bool = True, alone: int = 0
) -> list[Task]:
    """Every edit of a run, case by case so that an interrupted one has all editors on the same cases.

    seeds: variations a case; which follows from the case's id, so that no lucky seed counts twice, and that
    more cases leave the others as they were. cycles:
    whether to edit back. alone: how many cases of all to time one by one as well.
    """
    tasks = []
    for number, case in enumerate(cases):
        first = zlib.crc32(case.id.encode()) % 2**30
        drawn = tuple(range(first, first + seeds))
        for editor in editors:
            tasks.append(Task(editor, case, drawn))
            if cycles and editor.cycles:
                tasks.append(Task(editor, case, drawn[:1], "back"))
            if number < alone:
                tasks.append(Task(editor, case, drawn[:1], "alone"))
    return tasks


def code_digest() -> str:
    """Of all source between a request and its pixels, and of the libraries' versions."""
    found = hashlib.blake2b(digest_size=16)
    for path in code():
        found.update(f"{path.parent.name}/{path.name}\0".encode() + path.read_bytes())
    for library in ("torch", "diffusers", "transformers"):
        found.update(f"{library} {version(library)}\0".encode())
    return found.hexdigest()


def code() -> list[Path]:
    """The files of both packages that a result depends on."""
    product, lab = Path(velatura.__file__).parent, Path(velatura_lab.__file__).parent
    own = [path.parent for path in product.glob("*/__init__.py") if path.parent.name not in _BESIDE]
    places = [*own, *(lab / name for name in _ADDED)]
    return sorted(file for place in places for file in (place.rglob("*.py") if place.is_dir() else [place]))


class Results(Mapping[tuple[str, str, str], Done]):
    """(editor, case, role) -> what was done, read from the store when it is asked for: thousands of pictures
    need not be in memory at once."""

    def __init__(self, store: Store, keys: Mapping[tuple[str, str, str], str] | None = None) -> None:
        self._store, self._keys = store, dict(keys or {})

    def __getitem__(self, name: tuple[str, str, str]) -> Done:
        done = self._store.get(self._keys[name])
        if done is None:
            raise KeyError(name)
        return done

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __or__(self, other: Results) -> Results:
        return Results(self._store, self._keys | other._keys)

    def note(self, task: Task, key: str) -> None:
        """Remembers under which key a task's result lies."""
        self._keys[task.editor.id, task.case.id, task.role] = key


class Runner:
    """Does tasks, and remembers what was done.

    weights: digests of all the weights that the editors use, the model's and its companions'. machine: what
    they run on, in words. A result made with other weights, on another machine or by other code is not taken
    for this one's. timed: whether seconds matter, so that an editor's first edit is made once more before it
    is timed: loading and first calls are no part of an edit's time.
    """

    def __init__(self, store: Store, weights: Sequence[str], machine: str, timed: bool = True) -> None:
        self.store, self.timed = store, timed
        self.maker = "\n".join((*weights, machine, code_digest()))
        self._warm: set[str] = set()

    def run(self, tasks: Sequence[Task], label: str, quiet: bool = False) -> Results:
        """What was done. Ctrl+C loses only the task under way."""
        results = Results(self.store)
        bar = tqdm(tasks, label, unit="edit", disable=quiet, dynamic_ncols=True, leave=True)
        for task in bar:
            bar.set_postfix_str(f"{task.editor.id} on {task.case.id}", refresh=False)
            self._task(task, results)
        return results

    def _task(self, task: Task, results: Results) -> None:
        if task.role == "back":
            there = results[task.editor.id, task.case.id, "edit"]
            if there.refusal:
                return
            task = replace(task, case=backwards(task.case, there.pictures[0]))
        key = task.key(self.maker)
        if not self.store.has(key):
            self.store.put(key, self._do(task))
        results.note(task, key)

    def _do(self, task: Task) -> Done:
        editor = task.editor
        try:
            if self.timed and editor.id not in self._warm:
                editor.edit(task.case, task.seeds[:1])
                self._warm.add(editor.id)
            start = time.perf_counter()
            parts = list(_parts(editor, task))
            seconds = time.perf_counter() - start
        except VelaturaError as error:
            if error.code not in _REFUSALS:
                raise
            return Done(np.empty((0, *task.case.source.shape), np.uint8), None, None, 0.0, error.message)
        own = None if parts[0].sources is None else np.concatenate([part.sources for part in parts])
        scores = None if parts[0].scores is None else [s for part in parts for s in part.scores]
        return Done(np.concatenate([part.pictures for part in parts]), own, scores, seconds)


def _parts(editor: Editor, task: Task) -> Iterator[Edited]:
    """The edit, as many seeds at once as the editor can; where seeds make no difference only the first of
    them, for more would be the same picture again."""
    for first in range(0, len(task.seeds), editor.batch):
        seeds = task.seeds[first : first + editor.batch]
        yield (made := editor.edit(task.case, seeds))
        if len(made.pictures) < len(seeds):
            return


def refusals(results: Iterable[tuple[tuple[str, str, str], Done]]) -> dict[str, list[str]]:
    """Editor -> what it said of the cases that it refused."""
    found: dict[str, list[str]] = {}
    for (editor, case, _), done in results:
        if done.refusal:
            found.setdefault(editor, []).append(f"{case}: {done.refusal}")
    return found
