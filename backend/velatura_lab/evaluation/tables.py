"""Tables of the report as HTML: right-aligned numbers with their intervals beneath."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from .compare import Change
from .figures import REFERENCES
from .records import EditorRecord, Figures, Interval, MeasureRecord, Row

DASH, MINUS, UP, DOWN = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{UPWARDS ARROW}", "\N{DOWNWARDS ARROW}"


def number(value: float, measure: MeasureRecord) -> str:
    """A value in its measure's unit and digits."""
    scale = 100.0 if measure["unit"] == "%" else 1.0
    rounded = round(value * scale, measure["digits"]) + 0.0  # no minus before a zero
    return f"{rounded:.{measure['digits']}f}".replace("-", MINUS)


def spread(estimate: Interval, measure: MeasureRecord, most: int = 0) -> str:
    """The interval, with n where it is below `most`; n alone where there is no interval."""
    n = f"n = {estimate['n']}"
    if estimate["low"] is None or estimate["high"] is None:
        return n
    low, high = (number(end, measure) for end in (estimate["low"], estimate["high"]))
    return f"{low} to {high}" if most in (0, estimate["n"]) else f"{low} to {high}, {n}"


def usual(rows: Mapping[str, Row]) -> int:
    """The largest n of a table's figures; figures of a smaller n say so."""
    return max((estimate["n"] for row in rows.values() for estimate in row.values()), default=0)


def cell(estimate: Interval | None, measure: MeasureRecord, best: bool = False, most: int = 0) -> str:
    """Mean and `spread`, or a dash where there is no figure."""
    if estimate is None:
        return f'<td class="none">{DASH}</td>'
    mark = ' class="best"' if best else ""
    return (
        f'<td{mark} title="n = {estimate["n"]}">{number(estimate["mean"], measure)}'
        f"<small>{spread(estimate, measure, most)}</small></td>"
    )


def head(measure: MeasureRecord) -> str:
    """A column's title, its unit and an arrow to the better values."""
    arrow = UP if measure["better"] == "higher" else DOWN
    unit = f"{escape(measure['unit'])} " if measure["unit"] else ""
    return f'<th scope="col">{escape(measure["title"])}<small>{unit}{arrow}</small></th>'


def of_measures(
    figures: Figures, rows: Mapping[str, Row], names: Sequence[str], references: bool = True
) -> str:
    """Editors down, measures across, with the best figure of each measure in bold."""
    measures, editors = figures["measures"], figures["editors"]
    shown = [name for name in names if any(name in row for row in rows.values())]
    if not shown:
        return ""
    best = {name: _best(rows, editors, name, measures[name]["better"]) for name in shown}
    lines, most = list[str](), usual(rows)
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


def _best(rows: Mapping[str, Row], editors: Mapping[str, EditorRecord], name: str, better: str) -> str | None:
    means = {id: row[name]["mean"] for id, row in rows.items() if name in row and id in editors}
    if len(means) < 2 or len(set(means.values())) == 1:
        return None
    return (max if better == "higher" else min)(means, key=means.__getitem__)


def of_kinds(figures: Figures, names: Sequence[str]) -> str:
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


def of_seconds(figures: Figures) -> str:
    """One picture, a batch, and one picture of a batch."""
    columns = ("One picture", "A batch", "Each in a batch", "Batch size")
    heads = "".join(f'<th scope="col">{title}</th>' for title in columns)
    lines: list[str] = []
    for id, row in figures["seconds"].items():
        shown = [f"{row['single']:.2f} s" if "single" in row else DASH]
        shown += [f"{row['batch']:.2f} s", f"{row['each']:.2f} s", str(row["size"])]
        cells = "".join(f"<td>{text}</td>" for text in shown)
        lines.append(f"<tr><td>{escape(figures['editors'][id]['title'])}</td>{cells}</tr>")
    return table(heads, lines)


def of_changes(found: Sequence[Change], figures: Figures) -> str:
    """Old, new, difference, p and verdict of every measure of every editor."""
    columns = ("Measure", "Before", "Now", "Difference", "p", "")
    lines: list[str] = []
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


def of_published(figures: Figures, published: Mapping[str, Mapping[str, float]]) -> str:
    """Published figures in the columns of their measures, below Velatura's methods that, as the published
    ones, did not get the dataset's masks."""
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
