"""`velatura edit` of many pictures: resumable, with a bar for the whole, a summary, the worst exit code."""

from __future__ import annotations

import argparse
import contextlib
import glob
import io
import json
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from velatura.cli import exits
from velatura.cli.interrupt import Interrupt
from velatura.cli.refusals import refusal, sentence
from velatura.cli.values import STANDARD
from velatura.client.connection import connected
from velatura.client.outputs import check_out
from velatura.files.images import Image
from velatura.files.recipes import read_recipes
from velatura_protocol.catalogue import Catalogue, MethodInfo
from velatura_protocol.choices import Wanted
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir
from velatura_protocol.rasters import MAX_NAME
from velatura_protocol.requests import Edit, Recipe

_KEPT = (".png", ".tif", ".tiff", ".exr", ".webp", ".psd", ".ora")  # without loss of the picture's format
_MASKS = (".png", ".ora", ".psd")
_NAMED = 10  # pictures that the summary names


@dataclass(frozen=True)
class Asked:
    """An edit without its picture. wanted: the files of the method's further pictures."""

    known: Catalogue
    method: MethodInfo
    edit: Edit
    wanted: Sequence[Wanted]


Pictures = tuple[Image, Image | None]


@dataclass(frozen=True)
class Steps:
    """The steps of an edit, which one picture and many have in common.

    Args:
        asked: the edit that the options ask for.
        read: the picture and its mask.
        edit: edits, writes and prints; returns an exit code.
    """

    asked: Callable[[argparse.Namespace, Catalogue], Asked]
    read: Callable[[argparse.Namespace], Pictures]
    edit: Callable[[argparse.Namespace, Asked, Pictures, Client, Interrupt], int]


@dataclass
class _Run:
    """Counts of what came of the pictures, the worst exit code, and the pictures that were not done."""

    counts: Counter[str] = field(default_factory=Counter[str])
    code: int = exits.OK
    failed: list[Path] = field(default_factory=list[Path])


def edit_many(options: argparse.Namespace, pictures: Sequence[Path], steps: Steps) -> int:
    """Edit the pictures one after another; return the worst exit code.

    Raises VelaturaError before any work: for options that do not suit many pictures, values that the method
    refuses, results that would have one name, and files that are there and were not made by this command.
    """
    _check_options(options, pictures)
    with (
        Interrupt(options.timeout) as interrupt,
        connected(state_dir(options.state_dir), start=True) as client,
    ):
        asked = steps.asked(
            argparse.Namespace(**vars(options) | {"out": options.out_dir}),
            Catalogue.from_wire(client.methods()),
        )
        work = [_one(options, picture, asked) for picture in pictures]
        done = _check(work, options, asked)
        ran = _Run(Counter(skipped=len(done)))
        bar = tqdm(
            total=len(work) - len(done),
            desc=f"{len(work) - len(done)} pictures",
            file=sys.stderr,
            disable=options.quiet or not sys.stderr.isatty(),
            bar_format="{desc:24} {n}/{total} |{bar}| {elapsed}",
            leave=False,
        )
        with bar:
            for one in work:
                if one.picture in done:
                    _say_skipped(one)
                    continue
                interrupt.begin_again()
                if not _edited(one, asked, steps, client, interrupt, ran):
                    break
                bar.update()
    _sum_up(options, ran, len(work))
    return ran.code


def _check_options(options: argparse.Namespace, pictures: Sequence[Path]) -> None:
    wrong = [name for name in ("out", "compare") if getattr(options, name)]
    if wrong:
        sentence = f"--{wrong[0]} is for one picture; give --out-dir DIR for many, without --{wrong[0]}."
        raise VelaturaError("bad-request", sentence)
    if Path(STANDARD) in (*pictures, options.mask):
        raise VelaturaError("bad-request", "From standard input comes one picture alone; give it to --out.")


def _one(options: argparse.Namespace, picture: Path, asked: Asked) -> argparse.Namespace:
    """The options for one picture."""
    out, mask = None, options.mask
    if options.out_dir is not None:
        own = picture.suffix.lower()
        ending = options.out_ending or (own if own in _KEPT else ".png")
        if asked.method.kind.insert == "selections" and not options.out_ending and ending not in _MASKS:
            ending = ".png"
        out = options.out_dir / f"{picture.stem}{ending}"
    if mask is not None and mask.is_dir():
        there = sorted(mask.glob(f"{glob.escape(picture.stem)}.*"))
        mask = there[0] if there else mask / picture.name
    return argparse.Namespace(
        **vars(options) | {"picture": picture, "mask": mask, "out": out, "standard": False}
    )


def _check(work: Sequence[argparse.Namespace], options: argparse.Namespace, asked: Asked) -> set[Path]:
    """The pictures whose results are there. Raises `bad-request` for results that cannot be written."""
    if options.out_dir is None:
        return set()
    options.out_dir.mkdir(parents=True, exist_ok=True)
    read = [path for one in work for path in (one.picture, one.mask)]
    owners: dict[str, Path] = {}
    done: set[Path] = set()
    check_out(options.out_dir / "velatura", ())
    inputs = {path.resolve() for path in read if path is not None}
    for one in work:
        other = owners.setdefault(one.out.name.casefold(), one.picture)
        if other is not one.picture:
            told = f"{other} and {one.picture} would both become {one.out}; edit them into two folders."
            raise VelaturaError("bad-request", told)
        check_out(one.out, [one.out] if one.out.resolve() in inputs else ())
        there = _there(one.out)
        if there is None or options.force:
            continue
        if not _is_made(there, one, asked):
            told = f"{there} is there already, and is not the result of this command; --force replaces it."
            raise VelaturaError("bad-request", told)
        if not _is_older(there, one):
            done.add(one.picture)
        one.force = True
    return done


def _there(out: Path) -> Path | None:
    """The result's file, or the first of its masks' files, where there is one."""
    masks = sorted(out.parent.glob(f"{glob.escape(out.stem)}-*{out.suffix}"))
    return next((path for path in (out, *masks) if path.exists()), None)


def _is_made(there: Path, one: argparse.Namespace, asked: Asked) -> bool:
    """Whether a file is a result of this edit, by its recipe."""
    try:
        request = Recipe.from_wire(read_recipes(there)[0].recipe).request
    except (VelaturaError, IndexError):
        return False
    edit, source = asked.edit, request.inputs.get("source")
    caption = asked.method.caption
    return (
        source is not None
        and source.layer == one.picture.name[:MAX_NAME]
        and (request.method, request.prompt, request.variations)
        == (edit.method, edit.prompt, edit.variations)
        and edit.seed in (-1, request.seed)
        and edit.model in ("", request.model)
        and all(
            request.parameters.get(key) == value
            for key, value in edit.parameters.items()
            if not (caption and key == caption.key and not value)  # it was proposed
        )
    )


def _is_older(there: Path, one: argparse.Namespace) -> bool:
    """Whether the picture or its mask has changed after the result was written."""
    made = there.stat().st_mtime
    return any(path and path.exists() and path.stat().st_mtime > made for path in (one.picture, one.mask))


def _say_skipped(one: argparse.Namespace) -> None:
    if one.json:
        told = {"ok": True, "exit": exits.OK, "picture": str(one.picture), "out": str(one.out)}
        print(json.dumps({**told, "skipped": True}))


def _edited(
    one: argparse.Namespace, asked: Asked, steps: Steps, client: Client, interrupt: Interrupt, ran: _Run
) -> bool:
    """Edit one picture and print what came of it. Whether to go on."""
    told = io.StringIO()
    try:
        with contextlib.redirect_stdout(told):
            steps.edit(one, asked, steps.read(one), client, interrupt)
    except (Exception, KeyboardInterrupt) as error:
        refused, code = refusal(error)
        ran.code = max(ran.code, code)
        ran.failed.append(one.picture)
        if one.debug:
            traceback.print_exception(error)
        where = "" if str(one.picture) in refused.message else f"{one.picture}: "
        tqdm.write(f"velatura: {where}{sentence(refused)}", file=sys.stderr)
        if one.json:
            answer = {"ok": False, "exit": code, "picture": str(one.picture), "error": refused.to_wire()}
            tqdm.write(json.dumps(answer), file=sys.stdout)
        is_over = interrupt.signalled or isinstance(error, KeyboardInterrupt)
        return not (is_over or code == exits.UNREACHABLE or refused.code == "disk-full")
    ran.counts["made"] += 1
    text = told.getvalue()
    if one.json:
        text = json.dumps({"picture": str(one.picture), **json.loads(text)}) + "\n"
    elif asked.method.kind.insert == "texts":
        text = "".join(f"{one.picture}: {line}\n" for line in text.splitlines())
    if text:
        tqdm.write(text, file=sys.stdout, end="")
    return True


def _sum_up(options: argparse.Namespace, ran: _Run, count: int) -> None:
    """Print the counts: to standard error, so that texts and JSON can be read by programs."""
    made, skipped, failed = ran.counts["made"], ran.counts["skipped"], len(ran.failed)
    left = count - made - skipped - failed
    if options.json:
        counts = {"made": made, "skipped": skipped, "failed": failed, "left": left}
        print(json.dumps({"ok": ran.code == exits.OK, "exit": ran.code, **counts}))
    if options.quiet:
        return
    parts = [f"{made} of {count} pictures done"]
    parts += [f"{skipped} were there already"] if skipped else []
    parts += [f"{failed} not done"] if failed else []
    parts += [f"{left} not begun"] if left else []
    print(f"{', '.join(parts)}.", file=sys.stderr)
    if failed:
        names = ", ".join(map(str, ran.failed[:_NAMED]))
        print(f"Not done: {names}{', …' if failed > _NAMED else ''}.", file=sys.stderr)
    if failed or left:
        print("Give the command again to make the rest.", file=sys.stderr)
