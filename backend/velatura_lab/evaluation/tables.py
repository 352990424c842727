"""Tables of the report as HTML: numbers right-aligned, their intervals beneath them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from .compare import Change
from .figures import REFERENCES

DASH, MINUS, UP, DOWN = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{UPWARDS ARROW}", "\N{DOWNWARDS ARROW}"


def number(value: float, measure: Mapping) -> str:
    """A value as its measure is shown."""
    scale = 100.0 if measure["unit"] == "%" else 1.0
    rounded = round(value * scale, measure["digits"]) + 0.0  # no minus before a zero
    return f"{rounded:.{measure['digits']}f}".replace("-", MINUS)


def spread(estimate: Mapping, measure: Mapping, most: int = 0) -> str:
    """The interval; and n, where it is fewer than elsewhere or where there is no interval."""
    told = f"n = {estimate['n']}"
    if estimate["low"] is None:
        return told
    low, high = (number(estimate[end], measure) for end in ("low", "high"))
    return f"{low} to {high}" if most in (0, estimate["n"]) else f"{low} to {high}, {told}"


def usual(rows: Mapping[str, Mapping]) -> int:
    """The most values behind any figure of a table; figures of fewer say so."""
    return max((estimate["n"] for row in rows.values() for estimate in row.values()), default=0)


def cell(estimate: Mapping | None, measure: Mapping, best: bool = False, most: int = 0) -> str:
    """Mean and `spread`; a dash where there was nothing to measure."""
    if estimate is None:
        return f'<td class="none">{DASH}</td>'
    mark = ' class="best"' if best else ""
    return (
        f'<td{mark} title="n = {estimate["n"]}">{number(estimate["mean"], measure)}'
        f"<small>{spread(estimate, measure, most)}</small></td>"
    )


def head(measure: Mapping) -> str:
    """A column's title, its unit and which way is better."""
    arrow = UP if measure["better"] == "higher" else DOWN
    unit = f"{escape(measure['unit'])} " if measure["unit"] else ""
    return f'<th scope="col">{escape(measure["title"])}<small>{unit}{arrow}</small></th>'


def of_measures(
    figures: Mapping, rows: Mapping[str, Mapping], names: Sequence[str], references: bool = True
) -> str:
    """Editors down, measures across; the best figure of each measure is bold."""
    measures, editors = figures["measures"], figures["editors"]
    shown = [name for name in names if any(name in row for row in rows.values())]
    if not shown:
        return ""
    best = {name: _best(rows, editors, name, measures[name]["better"]) for name in shown}
    lines, most = [], usual(rows)
    for id, row in rows.items():
        if id in REFERENCES and (not references or not any(name in row for name in shown)):
            continue
        title = REFERENCES[id] if id in REFERENCES else editors[id]["title"]
        kind = "reference" if id in REFERENCES else "baseline" if editors[id]["baseline"] else "method"
        cells = "".join(cell(row.get(name), measures[name], id == best[name], most) for name in shown)
        lines.append(f'<tr class="{kind}"><td>{escape(title)}</td>{cells}</tr>')
    return table("".join(head(measures[name]) for name in shown), lines)


def table(heads: str, lines: Sequence[str], first: str = "") -> str:
    """A table whose first column holds names."""
    return (
        f'<div class="scroll"><table><thead><tr><th scope="col">{first}</th>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _best(rows: Mapping[str, Mapping], editors: Mapping, name: str, better: str) -> str | None:
    means = {id: row[name]["mean"] for id, row in rows.items() if name in row and id in editors}
    if len(means) < 2 or len(set(means.values())) == 1:
        return None
    return (max if better == "higher" else min)(means, key=means.__getitem__)


def of_kinds(figures: Mapping, names: Sequence[str]) -> str:
    """Editors down; for each kind of scene a few measures across."""
    measures, kinds = figures["measures"], figures["kinds"]
    names = [name for name in names if name in measures]
    heads = "".join(
        f'<th scope="col">{escape(kind)}<small>{escape(measures[name]["title"])}</small></th>'
        for kind in kinds
        for name in names
    )
    lines = [
        f"<tr><td>{escape(editor['title'])}</td>"
        + "".join(cell(kinds[kind].get(id, {}).get(name), measures[name]) for kind in kinds for name in names)
        + "</tr>"
        for id, editor in figures["editors"].items()
    ]
    return table(heads, lines)


def of_seconds(figures: Mapping) -> str:
    """One picture, a batch, and one picture of a batch."""
    columns = {"single": "One picture", "batch": "A batch", "each": "Each in a batch", "size": "Batch size"}
    heads = "".join(f'<th scope="col">{title}</th>' for title in columns.values())
    lines = []
    for id, row in figures["seconds"].items():
        shown = {key: f"{row[key]:.2f} s" if key in row else DASH for key in columns}
        cells = "".join(f"<td>{text}</td>" for text in (shown | {"size": str(row["size"])}).values())
        lines.append(f"<tr><td>{escape(figures['editors'][id]['title'])}</td>{cells}</tr>")
    return table(heads, lines)


def of_changes(found: Sequence[Change], figures: Mapping) -> str:
    """Old, new, difference, p and verdict of every measure of every editor."""
    columns = ("Measure", "Before", "Now", "Difference", "p", "")
    lines = []
    for c in found:
        measure = figures["measures"][c.measure]
        title = figures["editors"][c.editor]["title"]
        gap = number(c.new - c.old, measure)
        p = "< 0.001" if c.adjusted < 0.001 else f"{c.adjusted:.3f}"
        lines.append(
            f'<tr><td>{escape(title)}</td><td class="name">{escape(measure["title"])}</td>'
            f"<td>{number(c.old, measure)}</td><td>{number(c.new, measure)}</td><td>{gap}</td>"
            f'<td>{p}</td><td class="{c.verdict}">{c.verdict}</td></tr>'
        )
    return table("".join(f'<th scope="col">{name}</th>' for name in columns), lines)


def of_published(figures: Mapping, published: Mapping[str, Mapping[str, float]]) -> str:
    """Published figures in the columns of the measures they were taken with, below those methods of ours that
    were told as much as the published ones: without the dataset's masks."""
    measures, editors = figures["measures"], figures["editors"]
    lines = [
        f'<tr class="method"><td>{escape(editor["title"])}</td>'
        + "".join(cell(figures["figures"][id].get(key), measures[key]) for key in measures)
        + "</tr>"
        for id, editor in editors.items()
        if figures["figures"].get(id) and not editor["baseline"] and not editor["settings"].get("masked")
    ]
    lines += [
        f"<tr><td>{escape(name)}</td>"
        + "".join(
            f"<td>{DASH if math.isnan(row[key]) else number(row[key], measures[key])}</td>"
            for key in measures
        )
        + "</tr>"
        for name, row in published.items()
    ]
    return table("".join(head(measure) for measure in measures.values()), lines)
