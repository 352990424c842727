"""The page of a method: its form as an artist sees it, its paper, an example and its result."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from docs.generate.examples import Shown, as_typed, example

from velatura_protocol.catalogue import MethodInfo, in_sections
from velatura_protocol.inputs import RasterInput
from velatura_protocol.kinds import RASTERS
from velatura_protocol.schema import Field

NEEDS = ("required", "optional", "none")
NAMES = {"source": "a layer", "mask": "a selection", "prompt": "a prompt"}


def page(
    method: MethodInfo,
    module: str,
    explanation: str,
    shown: Shown | None,
    *,
    has_example: bool = True,
    has_reference: bool = True,
) -> str:
    """Return the page of a method.

    Args:
        method: as the daemon offers it.
        module: its module.
        explanation: its docstring.
        shown: the result of its example; None leaves the result out.
        has_example: whether the sample and an embedded model can try it.
        has_reference: whether the Python reference has its module.
    """
    parts = [
        f"# {method.title}",
        method.summary,
        _facts(method),
    ]
    if has_example:
        parts += ["## An example", _example(method, shown)]
    usual, advanced = ([f for f in method.fields if f.advanced is more] for more in (False, True))
    if method.further:
        parts += ["## Further pictures", _rasters(method.further)]
    parts += ["## The form", _form(usual) if usual else "There is nothing to set."]
    if advanced:
        parts += ["### Advanced", _form(advanced)]
    for group in (field for field in method.fields if field.kind == "group"):
        parts += [f"### {group.title}: each entry", _form(group.fields)]
    code = f"[`{module}`][{module}]" if has_reference else f"`{module}`"
    parts += ["## How it works", explanation, f"The code: {code}."]
    return "\n\n".join(part for part in parts if part) + "\n"


def index(methods: Iterable[MethodInfo]) -> str:
    """Return the list of all methods, with a table for each section."""
    about = "Each way to edit, to select or to describe, in the order of the list to choose from."
    parts = ["# Methods", about]
    for title, inner in in_sections(methods):
        rows = [f"| [{_cell(m.title)}]({m.id}.md) | {_cell(m.summary)} | {m.kind.gives} |" for m in inner]
        table = "\n".join(["| method | what it does | gives |", "|---|---|---|", *rows])
        parts += [f"## {title}", table] if title else [table]
    return "\n\n".join(parts) + "\n"


def _facts(method: MethodInfo) -> str:
    wants = {need: [NAMES.get(n, n) for n, has in method.inputs.items() if has == need] for need in NEEDS}
    takes = " and ".join(wants["required"])
    takes += f"; {' and '.join(wants['optional'])}, if you like" if wants["optional"] else ""
    gives = method.kind.gives
    gives += f" (up to {method.max_variations})" if method.max_variations > 1 else ""
    papers = re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", method.source)
    facts = {
        "Section": method.section,
        "Takes": takes,
        "Gives": gives,
        "After": papers,
        "Id": f"`{method.id}`, version {method.version}",
    }
    return "\n".join(f"- **{name}:** {text}" for name, text in facts.items() if text)


def _example(method: MethodInfo, shown: Shown | None) -> str:
    typed = f"```sh\n{as_typed(example(method))}\n```"
    if shown is None:
        return typed
    if shown.picture is None:
        return f"{typed}\n\nIt prints:\n\n```text\n{shown.output}\n```"
    caption = "Before, the selection, and after." if "--mask" in example(method) else "Before and after."
    if method.kind.insert == "selections":
        caption = "Before, and the selection it finds."
    picture = f"![{caption}](../pictures/{shown.picture.name})"
    return f"{typed}\n\n{picture}\n\n*{caption}* Made with an embedded model."


def _rasters(rasters: Sequence[RasterInput]) -> str:
    head = ["| picture | from | what it is for | `--input` |", "|---|---|---|---|"]
    cells = [
        (
            r.title,
            f"{_from(r.kind)}{'' if r.need == 'required' else ', if you like'}",
            r.description,
            f"`{r.name}`",
        )
        for r in rasters
    ]
    return "\n".join([*head, *(f"| {' | '.join(map(_cell, row))} |" for row in cells)])


def _from(kind: str) -> str:
    return "a layer" if RASTERS[kind].colours else "a layer or the selection"


def _form(fields: Sequence[Field]) -> str:
    head = ["| setting | values | at first | what it does | `--set` |", "|---|---|---|---|---|"]
    cells = [(f.title, values(f), default(f), f.description, f"`{f.key}`") for f in fields]
    return "\n".join([*head, *(f"| {' | '.join(map(_cell, row))} |" for row in cells)])


def values(field: Field) -> str:
    """Return the values that a field may have, in words."""
    if field.kind in ("integer", "number"):
        step = f", in steps of {field.step:g}" if field.step and field.step != 1 else ""
        return f"{field.minimum:g} to {field.maximum:g}{step}"
    if field.kind == "boolean":
        return "on or off"
    if field.kind == "enum":
        return ", ".join(title for _, title in field.choices)
    if field.kind == "group":
        return f"a list of up to {field.max_items}"
    if field.kind == "raster":
        return _from(field.raster)
    return "text"


def default(field: Field) -> str:
    """Return a field's default, in words."""
    if field.kind == "boolean":
        return "on" if field.default else "off"
    if field.kind == "enum":
        return dict(field.choices)[field.default]
    if field.kind == "group":
        return f"{len(field.default)} entries" if field.default else "empty"
    if field.kind == "raster":
        return "nothing"
    if field.kind == "string":
        return field.default or "empty"
    return f"{field.default:g}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
