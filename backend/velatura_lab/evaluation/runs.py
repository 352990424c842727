"""Makes the edits, one task after another, and stores each result, so that an interrupted run resumes."""

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

#: Packages of the product without influence on a result's pixels.
_BESIDE = {"assistants", "client", "cli", "daemon", "install", "jobs"}
#: Parts of the laboratory with influence on a result.
_ADDED = (
    "readers",
    "world",
    *(
        f"evaluation/{name}.py"
        for name in (
            "blended",
            "faces",
            "dials",
            "editors",
            "flows",
            "given",
            "prompt_to_prompt",
            "rows",
            "selections",
            "sliders",
            "slides",
            "stores",
            "together",
        )
    ),
)
#: Error codes by which a method refuses one case, without ending the run.
_REFUSALS = {"prompt-too-long", "empty-prompt", "empty-mask", "empty-layer", "bad-request"}


@dataclass(frozen=True)
class Task:
    """One edit to make. role: 'edit' (a batch of seeds), 'back' (the first result of the edit, edited to the
    source prompt) or 'alone' (one seed, for its time)."""

    editor: Editor
    case: Case
    seeds: tuple[int, ...]
    role: Literal["edit", "back", "alone"] = "edit"

    def key(self, maker: str) -> str:
        """A name that depends on everything that the result depends on. maker: see `Runner`."""
        parts = [maker, self.editor.id, self.editor.settings, self.case.digest, self.seeds, self.role]
        return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Done:
    """The results of a task.

    Args:
        pictures: as in `Edited`; none after a refusal.
        sources: as in `Edited`.
        scores: as in `Edited`.
        seconds: wall time of the whole batch.
        refusal: the method's reason to refuse the case, or ''.
    """

    pictures: NDArray[np.uint8]
    sources: NDArray[np.uint8] | None
    scores: list[float] | None
    seconds: float
    refusal: str = ""


class Store:
    """Results in a folder, one file for each, written atomically."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """The file of a result."""
        return self.folder / f"{key}.npz"

    def has(self, key: str) -> bool:
        """Whether the result is stored."""
        return self.path(key).exists()

    def get(self, key: str) -> Done | None:
        """The stored result, or None."""
        if not self.has(key):
            return None
        with np.load(self.path(key)) as kept:
            values = json.loads(str(kept["told"]))
            sources = kept["sources"] if "sources" in kept.files else None
            return Done(kept["pictures"], sources, **values)

    def put(self, key: str, done: Done) -> None:
        """Stores a result. Raises OSError."""
        values = json.dumps({"scores": done.scores, "seconds": done.seconds, "refusal": done.refusal})
        told = np.array(values)
        with replacing(self.path(key)) as stream:
            if done.sources is None:
                np.savez(stream, pictures=done.pictures, told=told)
            else:
                np.savez(stream, pictures=done.pictures, told=told, sources=done.sources)


def backwards(case: Case, picture: NDArray[np.uint8]) -> Case:
    """The case of editing a result back: prompts, words and scenes exchanged, in the same place."""
    return replace(
        case,
        source=picture,
        target=case.source,
        source_prompt=case.target_prompt,
        target_prompt=case.source_prompt,
        source_words=case.target_words,
        target_words=case.source_words,
        thing=case.new_thing,
        new_thing=case.thing,
        scenes=None if case.scenes is None else (case.scenes[1], case.scenes[0]),
    )


def plan(
    editors: Sequence[Editor], cases: Sequence[Case], seeds: int, *, cycles: bool = True, alone: int = 0
) -> list[Task]:
    """All edits of a run, case by case, so that an interrupted run has all editors on the same cases.

    The seeds follow from the case's id, so that no lucky seed counts twice, and that more cases do not change
    the others.

    Args:
        editors: in the report's order.
        cases: the edits.
        seeds: variations of each case.
        cycles: whether to edit back.
        alone: number of cases to time one by one as well.
    """
    tasks: list[Task] = []
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
    """Digest of all code between a request and its pixels, and of the libraries' versions."""
    found = hashlib.blake2b(digest_size=16)
    for path in code():
        found.update(f"{path.parent.name}/{path.name}\0".encode() + path.read_bytes())
    for library in ("torch", "diffusers", "transformers"):
        found.update(f"{library} {version(library)}\0".encode())
    return found.hexdigest()


def code() -> list[Path]:
    """The source files of both packages that a result depends on."""
    product, lab = Path(velatura.__file__).parent, Path(velatura_lab.__file__).parent
    own = [path.parent for path in product.glob("*/__init__.py") if path.parent.name not in _BESIDE]
    places = [*own, *(lab / name for name in _ADDED)]
    return sorted(file for place in places for file in (place.rglob("*.py") if place.is_dir() else [place]))


class Results(Mapping[tuple[str, str, str], Done]):
    """(editor, case, role) -> results, read from the store on access, so that thousands of pictures need not
    be in memory at once."""

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
        """Adds a task's result, which the store has under the key."""
        self._keys[task.editor.id, task.case.id, task.role] = key


class Runner:
    """Runs tasks and stores their results. It reuses no result of other weights, machines or code.

    Args:
        store: of the results.
        weights: digests of all weights that the editors use, of the model and its companions.
        machine: in words.
        timed: whether seconds matter. Then each editor makes its first edit twice, and the second one is
            timed: loading and first calls are no part of an edit's time.
    """

    def __init__(self, store: Store, weights: Sequence[str], machine: str, timed: bool = True) -> None:
        self.store, self.timed = store, timed
        self.maker = "\n".join((*weights, machine, code_digest()))
        self._warm: set[str] = set()

    def run(self, tasks: Sequence[Task], label: str, quiet: bool = False) -> Results:
        """The results. Ctrl+C loses only the current task."""
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
        own = [part.sources for part in parts if part.sources is not None]
        scores = [score for part in parts for score in part.scores or ()]
        return Done(
            np.concatenate([part.pictures for part in parts]),
            np.concatenate(own) if own else None,
            scores if parts[0].scores is not None else None,
            seconds,
        )


def _parts(editor: Editor, task: Task) -> Iterator[Edited]:
    """The edit, with as many seeds at once as the editor takes. Where seeds make no difference, one
    batch is enough, for another would repeat the same picture."""
    for first in range(0, len(task.seeds), editor.batch):
        seeds = task.seeds[first : first + editor.batch]
        yield (made := editor.edit(task.case, seeds))
        if len(made.pictures) < len(seeds):
            return


def refusals(results: Iterable[tuple[tuple[str, str, str], Done]]) -> dict[str, list[str]]:
    """Editor -> its reasons, one for each case that it refused."""
    found: dict[str, list[str]] = {}
    for (editor, case, _), done in results:
        if done.refusal:
            found.setdefault(editor, []).append(f"{case}: {done.refusal}")
    return found
