"""The report: one self-contained HTML file for screen and print."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from velatura.files.atomic import replacing
from velatura_lab.readers import Reading

from . import pie_bench, plots, tables
from .cases import Case
from .compare import Change
from .figures import batch_of
from .measure import GROUPS
from .pictures import data_uri
from .records import Figures, MeasureRecord
from .session import Session
from .statistics import LEAST

PER_KIND = 5  # rows of pictures for each kind
FAILURES = 16  # pictures


def write_report(
    session: Session,
    path: Path,
    changes: Sequence[Change] = (),
    before: str = "",
    left_out: Sequence[str] = (),
) -> None:
    """Writes the page. Raises OSError.

    Args:
        session: after `session.evaluate`.
        path: of the file.
        changes: against an earlier run.
        before: the earlier run in words, or '' for none.
        left_out: sentences about the measures that could not be compared.
    """
    page = "\n".join(_page(session, _against(session.figures, changes, before, left_out)))
    with replacing(path) as stream:
        stream.write(page.encode("utf-8"))


def _page(session: Session, against: Iterable[str]) -> Iterator[str]:
    f = session.figures
    style = resources.files("velatura_lab.evaluation").joinpath("page.css").read_text(encoding="utf-8")
    title = f"Velatura evaluation: {f['model']['id']}"
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<style>{style}</style></head><body><h1>{escape(title)}</h1>{_about(f)}"
    yield from (f'<p class="note">{escape(sentence)}</p>' for sentence in f["missing"])
    for group, heading in GROUPS.items():
        names = [name for name, measure in f["measures"].items() if measure["group"] == group]
        if found := tables.of_measures(f, f["figures"], names):
            yield f"<h2>{escape(heading)}</h2>{found}"
            if group == "asked":
                yield _legend_of_tables(f)
                yield from _trade(f)
            if group == "pie-bench" and session.encoders.published and not f["missing"]:
                yield "<h3>Published figures, same data and metrics</h3>"
                yield tables.of_published(f, pie_bench.PUBLISHED)
                yield '<p class="note">Only methods that, as the published ones, were not given the mask.</p>'
    yield from (f"<p><b>{escape(sentence)}</b></p>" for sentence in f["conclusions"])
    yield from _by_kind(f)
    yield from _survey(f)
    yield f"<h2>Seconds</h2>{tables.of_seconds(f)}"
    yield (
        f'<p class="note">Medians on {escape(f["machine"])}, from pixels to pixels, the model loaded. The '
        "baseline of the same seed samples two pictures, its source and its result.</p>"
    )
    yield from against
    yield from _pictures(session)
    yield from _failures(session)
    yield "<h2>Definitions</h2><dl>"
    for measure in f["measures"].values():
        yield f"<div><dt>{escape(measure['title'])}</dt><dd>{escape(measure['definition'])}</dd></div>"
    yield "</dl>"
    yield from _settings(f)
    yield "</body></html>"


def _against(f: Figures, changes: Sequence[Change], before: str, left_out: Sequence[str]) -> Iterator[str]:
    if not before:
        return
    yield f"<h2>Against {escape(before)}</h2>"
    yield from (f'<p class="note">{escape(sentence)}</p>' for sentence in left_out)
    if changes:
        yield tables.of_changes(changes, f)
        yield (
            '<p class="note">p: of no difference, from flips of signs where both runs edited the same cases, '
            "from shuffles elsewhere; adjusted for all the questions asked (Holm). Below 0.05 it counts.</p>"
        )


def _about(f: Figures) -> str:
    o = f["options"]
    kinds = ", ".join(o["kinds"])
    many = f"up to {o['seeds']} variations" if o["seeds"] > 1 else "one result"
    about = (
        f"{len(f['cases'])} cases of {f['data']} ({kinds}), {many} each; model {f['model']['id']} at "
        f"{f['model']['size']} px, {f['machine']}; Velatura {f['velatura']}, {f['made']}."
    )
    encoders = ", ".join(dict.fromkeys(f["encoders"].values()))
    seen = f" Read by: {encoders}." if encoders else ""
    return f'<p class="about">{escape(about + seen)}</p>'


def _legend_of_tables(f: Figures) -> str:
    rest = (
        " Rows in italics give the scale: the source as it was, and the exact target as the world draws it."
        if "target" in f["figures"] and f["figures"]["target"]
        else ""
    )
    return (
        '<p class="note">Mean over edits, beneath it its interval of 95 % (of Wilson for rates, by bootstrap '
        "for means; edits are counted, not pictures), with n where a figure is of fewer edits than others of "
        f"the table; n alone where fewer than {LEAST} values, or values all equal, give no interval. "
        f"Bold: the best of its column.{rest}</p>"
    )


def _trade(f: Figures) -> Iterator[str]:
    rows = {id: f["figures"][id] for id in f["editors"] if {"success", "leakage"} <= f["figures"][id].keys()}
    if not rows:
        return
    top = max(plots.ends(row["leakage"])[1] for row in rows.values()) * 1.1
    yield "<h3>What an edit gains and what it costs</h3>"
    yield plots.legend([f["editors"][id]["title"] for id in f["editors"]])
    yield plots.scatter(
        [
            (f["figures"][id]["success"], f["figures"][id]["leakage"]) if id in rows else None
            for id in f["editors"]
        ],
        plots.Axis("Edit success in %", 0.0, 100.0, 0, 100.0),
        plots.Axis("Leakage in levels of 255", 0.0, top or 1.0, 0 if top > 5 else 1),
        "Edit success against leakage of every method; the lower right is best",
    )
    yield '<p class="note">The lower right corner is best: every edit succeeds, nothing else changes.</p>'


def _by_kind(f: Figures) -> Iterator[str]:
    if len(f["kinds"]) > 1:
        yield "<h2>By kind</h2>"
        names = (
            ("success", "leakage", "background-psnr") if "leakage" in f["measures"] else tuple(f["measures"])
        )
        yield tables.of_kinds(f, names[:2])
    if f["types"]:
        measure = f["measures"][f["by_type"]["measure"]]
        yield f"<h2>{escape(measure['title'])} by {escape(f['by_type']['types'])}</h2>"
        yield plots.legend([editor["title"] for editor in f["editors"].values()])
        series = [
            {edit: rates[id] for edit, rates in f["types"].items() if id in rates} for id in f["editors"]
        ]
        if measure["unit"] == "%":
            axis = plots.Axis(f"{measure['title']} in %", 0.0, 100.0, 0, 100.0)
        else:
            axis = plots.Axis(measure["title"], -1.0, 1.0, 1)
        label = f"{measure['title']} of every method by {f['by_type']['types']}"
        yield plots.rows(list(f["types"]), series, axis, label)


def _survey(f: Figures) -> Iterator[str]:
    if not f["survey"]:
        return
    yield "<h2>Two prompts, many persons</h2>"
    yield (
        f"<p>How often an edit is acceptable, over {f['options']['survey']} persons for each prompt, each "
        "with a seed of its own: experiment 1 of Huang &amp; Compton, &ldquo;Semantic Image Editing&rdquo;, "
        "with the judge in place of three voters.</p>"
    )
    rate: MeasureRecord = {
        "title": "",
        "unit": "%",
        "group": "asked",
        "better": "higher",
        "needs": (),
        "rate": True,
        "digits": 0,
        "definition": "",
    }
    heads = "".join(f'<th scope="col">{escape(prompt)}<small>%</small></th>' for prompt in f["survey"])
    lines = [
        f'<tr class="{"baseline" if editor["baseline"] else "method"}"><td>{escape(editor["title"])}</td>'
        + "".join(tables.cell(rates.get(id), rate) for rates in f["survey"].values())
        + "</tr>"
        for id, editor in f["editors"].items()
    ]
    yield tables.table(heads, lines)


def _pictures(session: Session) -> Iterator[str]:
    yield "<h2>Pictures</h2>"
    judged = " Framed: not what was asked for." if session.encoders.judge else ""
    yield (
        f"<p>The first {PER_KIND} cases of each kind and the first seed of each, none picked.{judged} In the "
        "selection, the line is the exact region.</p>"
    )
    for kind in dict.fromkeys(case.kind for case in session.cases):
        cases = [case for case in session.cases if case.kind == kind][:PER_KIND]
        heads, rows = _heads(session, cases), [_row(session, case) for case in cases]
        yield f"<h3>{escape(kind.capitalize())}</h3>{_grid(len(heads))}"
        yield "".join(f"<b>{escape(head)}</b>" for head in heads)
        for case, row in zip(cases, rows, strict=True):
            yield f'<p class="prompt"><em>{escape(case.edit)}</em> &middot; {escape(case.target_prompt)}</p>'
            yield "".join(row.get(head, "<span></span>") for head in heads)
        yield "</div>"


def _grid(columns: int) -> str:
    return f'<div class="grid" style="grid-template-columns:repeat({columns},1fr)">'


def _heads(session: Session, cases: Sequence[Case]) -> list[str]:
    """The columns of all rows, in their first order."""
    return list(dict.fromkeys(head for case in cases for head in _row(session, case)))


def _row(session: Session, case: Case) -> dict[str, str]:
    """Column -> picture."""
    found = {title: _figure(picture, title.lower()) for title, picture in case.shown()}
    for editor in session.editors:
        batch = session.batch_of(editor.id, case, session.results, session.encoders)
        if batch is None:
            if session.takes(editor, case):
                found[editor.title] = "<figure><figcaption>refused</figcaption></figure>"
            continue
        for part, picture, wrong in batch.shown():
            title = f"{editor.title}: {part}" if part else editor.title
            found[title] = _figure(picture, f"{title}: {case.edit}", wrong)
    return found


def _failures(session: Session) -> Iterator[str]:
    if session.encoders.judge is None or "success" not in session.figures["measures"]:
        return
    found: list[str] = []
    for editor in session.editors:
        if editor.baseline:
            continue
        for case in session.cases:
            batch = batch_of(editor.id, case, session.results, session.encoders)
            if batch is not None and len(found) < FAILURES and not all(batch.right):
                which = batch.right.index(False)
                caption = f"{editor.title}: {case.edit}, {_read_as(batch.readings[which], case)}"
                found.append(_figure(batch.pictures[which], caption, caption=caption))
    if found:
        yield f"<h2>Failures</h2><p>Up to {FAILURES} results in which the judge does not read the edit.</p>"
        yield f"{_grid(8)}{''.join(found)}</div>"


def _read_as(reading: Reading, case: Case) -> str:
    if reading.kind != case.kind:
        return f"read as a {reading.kind}"
    value = reading.values[case.attribute]
    shown = f"{value:.2f}" if isinstance(value, float) else str(value)
    return f"read as {case.attribute.replace('_', ' ')}: {shown}"


def _figure(picture: NDArray[np.uint8], alt: str, wrong: bool = False, caption: str = "") -> str:
    mark = ' class="wrong"' if wrong else ""
    text = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure{mark}><img src="{data_uri(picture)}" alt="{escape(alt, quote=True)}">{text}</figure>'


def _settings(f: Figures) -> Iterator[str]:
    yield "<h2>How it was run</h2><dl>"
    for editor in f["editors"].values():
        yield f"<div><dt>{escape(editor['title'])}</dt><dd>{escape(editor['source'])}</dd></div>"
    yield "</dl>"
    for editor, sentences in f["refused"].items():
        title = f["editors"][editor]["title"]
        yield f"<h3>Refused by {escape(title)}</h3><p>{escape('; '.join(sentences))}</p>"
    kept = {
        "model": f["model"],
        "options": f["options"],
        "settings": {id: editor["settings"] for id, editor in f["editors"].items()},
    }
    yield f"<pre>{escape(json.dumps(kept, indent=1))}</pre>"
