"""The choice among a result's variations: one is visible at a time, and that one can be kept."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from .capture import SELECTING
from .copies import evidence_of
from .covers import hide
from .places import is_shown, node_by_id
from .recipes import Recipe, bare, bind, recipes
from .rest import Tell, idle, unheard
from .results import Result, groups, overlapping, result_of
from .velatura_protocol.errors import VelaturaError

NONE = "There are no variations here; run an edit, or select the group of one."
NOT_KEPT = VelaturaError(
    "empty-layer", "Something else came in front meanwhile; select the group, then keep again."
)


def meant(document: Any | None) -> tuple[Result, Any] | None:
    """The selected group or the group of the selected layer, else the newest one made from the selected
    layer, else the newest of all; with its parent.
    """
    if document is None:
        return None
    found = list(groups(document))  # the newest lies on top
    active, above = document.activeNode(), []
    wanted = bare(active.uniqueId()) if active is not None else ""
    while active is not None:
        above.append(bare(active.uniqueId()))
        active = active.parentNode()
    by_id = {bare(result.node.uniqueId()): (result, parent) for result, parent in found}
    holder = next((by_id[name] for name in above if name in by_id), None)
    of_source = next((pair for pair in found if pair[0].source == wanted), None)
    return holder or of_source or next(iter(found), None)


def step(document: Any | None, by: int) -> str:
    """Shows the next (1) or the previous (-1) variation; returns a sentence for the person.

    A hidden group becomes visible, and hides the other results of its source in the same place.
    Raises VelaturaError where there is no variation.
    """
    found = meant(document)
    if found is None:
        raise VelaturaError("empty-layer", NONE)
    result, parent = found
    variations, shown = result.variations, result.shown
    ids = [bare(variation.uniqueId()) for variation in variations]
    now = ids.index(bare(shown.uniqueId())) if shown is not None else -1 if by > 0 else 0
    at = (now + by) % len(ids) if result.node.visible() else max(now, 0)
    return show(document, result, parent, at)


def of_job(host: Any, job: str, index: int) -> tuple[Any, Result, Any, int] | None:
    """The layer of this variation of a run: its document, its group, the group's parent, and its place in the
    group from the top. None where it is in no open document.
    """
    for document in host.documents():
        if document.rootNode() is None:
            continue
        known = recipes(document)
        for result, parent in groups(document):
            for at, variation in enumerate(result.variations):
                recipe = known[bare(variation.uniqueId())]
                if recipe.job == job and recipe.request.get("variation") == index:
                    return document, result, parent, at
    return None


def show(document: Any, result: Result, parent: Any, at: int) -> str:
    """Shows the variation at this place, from the top of the group, and hides the others; see `step`."""
    variations = result.variations
    ids = [bare(variation.uniqueId()) for variation in variations]
    others = [v for i, v in enumerate(variations) if i != at]
    if not result.node.visible():
        others += overlapping(document, parent, result.source, variations[at].bounds())
    within = results_within(document, result)  # results made from a variation come and go with it
    others += [other.node for other in within]
    newest = [other.node for other in within if other.source == ids[at]][-1:]
    hide(document, [node for node in others if node.visible()])
    hide(document, [variations[at], result.node, *newest], hidden=False)
    active = document.activeNode()
    if active is not None and bare(active.uniqueId()) in ids:
        document.setActiveNode(variations[at])
    return f"{at + 1} of {len(ids)}: '{variations[at].name()}'."


def results_within(document: Any, group: Result) -> list[Result]:
    """Results within `group` that were made from one of its variations, the lowest first."""
    known, ids = recipes(document), [bare(variation.uniqueId()) for variation in group.variations]
    others = [node for node in group.node.childNodes() if bare(node.uniqueId()) not in ids]
    found = [result_of(node, known) for node in others]
    return [result for result in found if result is not None and result.source in ids]


def keep(host: Any, replaced: Callable[[str, str], None], tell: Tell = unheard) -> Generator[int, None, str]:
    """Replaces the group by its visible variation, in one undo step; see `steps.Steps`.

    Krita's own *Flatten Layer* does it and leaves the pixels unchanged. replaced: called with the ids of the
    group and of the layer. Returns a sentence for the person. Raises VelaturaError.
    """
    document = host.activeDocument()
    found = meant(document)
    if found is None:
        raise VelaturaError("empty-layer", NONE)
    result, parent = found
    check(document, result)
    group, name = bare(result.node.uniqueId()), result.node.name()
    yield from idle(document, tell)
    if node_by_id(document, group) is None:
        raise NOT_KEPT
    document.setActiveNode(result.node)
    yield 0
    yield from idle(document, tell)
    active = document.activeNode()
    if not is_shown(host, document) or active is None or bare(active.uniqueId()) != group:
        raise NOT_KEPT  # the action would be another layer's
    check(document, result)
    recipe = recipes(document)[bare(result.shown.uniqueId())]
    before = {bare(child.uniqueId()) for child in parent.childNodes()}
    host.action("flatten_layer").trigger()
    yield 0
    yield from idle(document, tell)
    made = [child for child in parent.childNodes() if bare(child.uniqueId()) not in before]
    if len(made) != 1 or node_by_id(document, group) is not None:
        raise NOT_KEPT
    kept = made[0]
    kept.setName(name)
    proof = yield from evidence_of(kept)
    bind(document, kept, Recipe(recipe.request, recipe.source, kept=True, evidence=proof, sees=recipe.sees))
    replaced(group, bare(kept.uniqueId()))
    return f"'{name}' is kept as one layer; undo brings the other variations back."


def keep_copy(document: Any, result: Result, parent: Any, at: int) -> Generator[int, None, str]:
    """Puts a copy of the variation at this place right below the group, in one undo step; returns its name.

    The group stays on top, so that the other variations can be seen and kept too. The document is idle.
    """
    node = result.variations[at]
    recipe, name = recipes(document)[bare(node.uniqueId())], f"{result.node.name()} · {node.name()}"
    copy = node.clone()
    copy.setName(name)
    copy.setVisible(True)
    siblings = parent.childNodes()
    place = [bare(one.uniqueId()) for one in siblings].index(bare(result.node.uniqueId()))
    active = document.activeNode()
    below = siblings[place - 1] if place else None
    parent.addChildNode(copy, result.node if below is None or below.type() == SELECTING else below)
    bind(document, copy, replace(recipe, kept=True))
    yield 0  # Krita makes the new layer active in its own time
    if active is not None:
        document.setActiveNode(active)
    yield 0
    return name


def check(document: Any, result: Result) -> None:
    """Raises VelaturaError where a hidden layer of the person's would be lost."""
    if not result.node.visible() or result.shown is None:
        raise VelaturaError("empty-layer", f"'{result.node.name()}' is hidden; show it, then keep it.")
    made = [*result.variations, *(other.node for other in results_within(document, result))]
    ours = {bare(node.uniqueId()) for node in made}
    for child in result.node.childNodes():
        if bare(child.uniqueId()) not in ours and not child.visible():
            name = child.name()
            raise VelaturaError("empty-layer", f"'{name}' is hidden in the group; move it out, then keep.")
