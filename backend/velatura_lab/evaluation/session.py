"""One evaluation from beginning to end: cases, edits, figures, report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from velatura import __version__
from velatura.files.atomic import replacing
from velatura.models.catalogue import EMBEDDED_PATH, ModelEntry, entries
from velatura.models.store import ModelStore
from velatura.weights.device import choose, name
from velatura_lab.world.scene import KINDS
from velatura_protocol.errors import VelaturaError

from . import figures, pie_bench, weights
from .cases import Case, named_cases, survey_cases, world_cases
from .editors import Editor, editors, methods_left_out
from .encoders import Encoders, home_made
from .measure import Measure, chosen_measures
from .measures import MEASURES
from .published import load_published
from .records import EditorRecord, Figures, MeasureRecord
from .runs import Results, Runner, Store, plan, refusals

FORMAT = 2


@dataclass(frozen=True)
class Options:
    """The options of an evaluation.

    Args:
        model: id; the default model where empty.
        methods: ids; all where empty.
        kinds: of scene, or of edit for a dataset; all where empty.
        pairs: number of each kind; None for all of a dataset.
        seeds: variations of each edit.
        survey: people for each of the two prompts of the survey.
        seed: from which the pairs are drawn.
        dataset: a PIE-Bench folder, or None for the world.
        edits: (kind, name) of edits, one pair for each, in place of `pairs`.
        edits_of_slow: those of `edits` that methods without drafts make, for these take many times as long;
            all where empty.
        quiet: whether to hide progress bars.
        cycles: whether to edit back for the measures that need it.
        timed: whether to warm up and to time single pictures.
        measures: ids; all where empty.
        baselines: whether the baselines edit too.
        masked: whether methods that do not require a selection get a dataset's; they always get the world's.
    """

    model: str = ""
    methods: Sequence[str] = ()
    kinds: Sequence[str] = ()
    pairs: int | None = 16
    seeds: int = 4
    survey: int = 50
    seed: int = 7
    dataset: Path | None = None
    edits: Sequence[tuple[str, str]] = ()
    edits_of_slow: Sequence[tuple[str, str]] = ()
    quiet: bool = False
    cycles: bool = True
    timed: bool = True
    measures: Sequence[str] = ()
    baselines: bool = True
    masked: bool = False

    @property
    def per_kind(self) -> int:
        """`pairs` for the world. Raises ValueError where they are None, which only a dataset allows."""
        if self.pairs is None:
            raise ValueError("the world needs a number of pairs")
        return self.pairs


#: A few pairs of plain edits for every method. SDEdit, which only repaints, can do most of them too; see
#: `smoke`.
SMOKE = Options(
    seeds=1,
    survey=0,
    edits=(
        ("portrait", "add glasses"),
        ("portrait", "add beard"),
        ("portrait", "hair to blond"),
        ("landscape", "more snow"),
        ("table", "colour to red"),
    ),
    edits_of_slow=(("portrait", "hair to blond"),),
    cycles=False,
    timed=False,
)
#: In `SMOKE` the methods without drafts work for some seconds only: they learn a layer (Imagic, Text2LIVE) or
#: take CLIP's gradient at each step. `smoke` holds them to their leakage and to the selection.
SMOKE_DEFAULTS: dict[str, Any] = {
    "text_steps": 20,
    "layer_steps": 20,
    "text2live.steps": 20,
    "vqgan-clip.steps": 20,
    "paint-by-word.steps": 20,
    "blended-diffusion.steps": 40,
    "clip-guided-diffusion.steps": 25,
}


@dataclass
class Session:
    """The inputs of one evaluation, and its results and figures once `evaluate` has run.

    Args:
        options: of the evaluation.
        cases: the edits.
        survey: prompt -> cases of the survey.
        editors: in the report's order.
        encoders: the available networks.
        measures: by id.
        batch_of: makes the argument of the measures; see `figures.batch_of`.
        by_type: id of the measure that is shown for each type of case, and the name of these types.
        takes: whether an editor is given a case.
        conclude: gives the conclusions from the figures, in sentences; may add figures.
        left_out: a sentence for each method that does not edit.

    Attributes:
        results: the edits.
        figures: plain numbers, for the JSON.
    """

    options: Options
    cases: Sequence[Case]
    survey: dict[str, list[Case]]
    editors: Sequence[Editor]
    encoders: Encoders
    measures: Mapping[str, Measure]
    batch_of: Callable[..., Any] = figures.batch_of
    by_type: tuple[str, str] = ("success", "type of edit")
    takes: Callable[[Editor, Case], bool] = lambda editor, case: True
    conclude: Callable[[Figures], list[str]] = lambda found: []
    left_out: Sequence[str] = ()
    results: Results = field(init=False, repr=False)
    figures: Figures = field(init=False, repr=False)

    @property
    def rows(self) -> list[str]:
        """The ids of the editors, in the report's order, then those of the references."""
        return [editor.id for editor in self.editors] + list(figures.REFERENCES)


def store(entry: ModelEntry, device: str) -> ModelStore:
    """One model on a device: 'auto', 'cpu', 'cuda:0' … Raises `bad-request` for an unknown device.

    velatura-mini has the embedded models of other kinds beside it. Others have none: pictures of models of
    different worlds or sizes are not compared.
    """
    embedded = entries(Path("/nonexistent")) if entry.path == str(EMBEDDED_PATH) else []
    return ModelStore([entry, *(other for other in embedded if other.path != entry.path)], choose(device))


def prepare(
    options: Options,
    models: ModelStore,
    make_editors: Callable[..., list[Editor]] = editors,
    encoders: Encoders | None = None,
    defaults: Mapping[str, Any] | None = None,
    conclude: Callable[[Figures], list[str]] = lambda found: [],
) -> Session:
    """Loads the networks and draws the cases.

    Args:
        options: of the evaluation.
        models: the model and its companions.
        make_editors: gives the editors; see `editors.editors`.
        encoders: by default Velatura's readers, or the published networks for a dataset.
        defaults: values that replace the methods' defaults, for the parameters that they have.
        conclude: see `Session`.

    Raises:
        VelaturaError: `unknown-model`, `unknown-method`, or `bad-request` for an unknown kind or measure or a
            folder that is no PIE-Bench.
    """
    measures = chosen_measures(options.measures, MEASURES if options.dataset is None else pie_bench.MEASURES)
    model = models.get(options.model)
    made = make_editors(models, options.model, options.methods, defaults or {})
    made = [editor for editor in made if options.baselines or not editor.baseline]
    if options.dataset is not None:
        cases = pie_bench.read_cases(options.dataset, options.kinds, options.pairs)
        found = encoders or load_published(models.device)
        made = pie_bench.editors_of(made, options.masked)
        return Session(options, cases, {}, made, found, measures, conclude=conclude)
    kinds = kinds_of(options)
    if options.edits:
        cases = named_cases(options.edits, options.seed, model.size)
    else:
        cases = world_cases(kinds, options.per_kind, options.seed, model.size)
    people = "portrait" in kinds and options.survey
    survey = survey_cases(options.survey, options.seed, model.size) if people else {}
    few = set(options.edits_of_slow)

    def takes(editor: Editor, case: Case) -> bool:
        return not few or not editor.slow or (case.kind, case.edit) in few

    all_methods = make_editors is editors and not options.methods
    return Session(
        options,
        cases,
        survey,
        made,
        encoders or home_made(),
        measures,
        takes=takes,
        conclude=conclude,
        left_out=methods_left_out(models, options.model) if all_methods else [],
    )


def kinds_of(options: Options) -> Sequence[str]:
    """The wanted kinds of scene. Raises `bad-request` for an unknown kind."""
    kinds = options.kinds or tuple(KINDS)
    for kind in kinds:
        if kind not in KINDS:
            raise VelaturaError("bad-request", f"There is no kind {kind!r}; there are: {', '.join(KINDS)}.")
    return kinds


def evaluate(session: Session, models: ModelStore, work: Path) -> Figures:
    """Makes the edits that the folder `work` does not hold yet, and the figures.

    An interrupted run resumes if it is started with the same options. Raises VelaturaError, OSError.
    """
    options, model = session.options, models.get(session.options.model)
    beside = weights.of_companions(models.entry(options.model))
    used = [model.digest, *(f"{name} {digest}" for name, digest in beside.items())]
    runner = Runner(Store(work), used, machine(models.device), options.timed)
    wanted = any(measure.group == "back" for measure in session.measures.values())
    cycles = options.cycles and wanted and options.dataset is None
    shown = session.by_type[0]
    alone = 6 if options.timed and options.seeds > 1 else 0
    tasks = plan(session.editors, session.cases, options.seeds, cycles=cycles, alone=alone)
    tasks = [task for task in tasks if session.takes(task.editor, task.case)]
    session.results = runner.run(tasks, "edits", options.quiet)
    for prompt, cases in session.survey.items():
        session.results |= runner.run(plan(session.editors, cases, 1, cycles=False), prompt, options.quiet)

    def looked(items: Sequence[Case]) -> Any:
        return tqdm(items, "measures", unit="case", disable=options.quiet, dynamic_ncols=True)

    values = figures.table(
        session.rows,
        session.cases,
        session.results,
        session.encoders,
        session.measures,
        looked,
        session.batch_of,
    )
    kinds = list(dict.fromkeys(case.kind for case in session.cases))
    judged = session.encoders.judge is not None
    usable = {name: m for name, m in session.measures.items() if session.encoders.has(m.needs)}
    session.figures = {
        "format": FORMAT,
        "velatura": __version__,
        "made": time.strftime("%Y-%m-%d %H:%M:%S"),
        "data": "PIE-Bench" if options.dataset else "velatura_lab.world",
        "model": {"id": model.id, "digest": model.digest, "size": model.size, "companions": beside},
        "machine": machine(models.device),
        "options": {
            "kinds": kinds,
            "edits": len(session.cases),
            "seeds": options.seeds,
            "survey": len(next(iter(session.survey.values()), ())),
            "seed": options.seed,
            "masked": options.masked,
        },
        "encoders": session.encoders.names,
        "weights": session.encoders.weights(),
        "missing": [*session.encoders.missing, *session.left_out],
        "editors": {editor.id: _described(editor) for editor in session.editors},
        "measures": {name: _record(m) for name, m in usable.items()},
        "cases": {
            case.id: {"kind": case.kind, "edit": case.edit, "type": case.type, "digest": case.digest}
            for case in session.cases
        },
        "values": values,
        "figures": figures.estimates(values, session.cases, session.measures),
        "kinds": {
            kind: figures.estimates(
                values, [case for case in session.cases if case.kind == kind], session.measures
            )
            for kind in kinds
        },
        "by_type": {"measure": shown, "types": session.by_type[1]},
        "types": figures.by_type(values, session.cases, usable[shown])
        if shown in usable and not options.dataset
        else {},
        "survey": figures.survey(
            [editor.id for editor in session.editors], session.survey, session.results, session.encoders
        )
        if judged
        else {},
        "seconds": figures.seconds(session.editors, session.results),
        "refused": refusals(session.results.items()),
        "conclusions": [],
    }
    session.figures["conclusions"] = session.conclude(session.figures)
    return session.figures


def _described(editor: Editor) -> EditorRecord:
    return {
        "title": editor.title,
        "source": editor.source,
        "baseline": editor.baseline,
        "settings": editor.settings,
    }


def _record(measure: Measure) -> MeasureRecord:
    return {
        "title": measure.title,
        "unit": measure.unit,
        "group": measure.group,
        "better": measure.better,
        "needs": measure.needs,
        "rate": measure.rate,
        "digits": measure.digits,
        "definition": measure.definition,
    }


def machine(device: torch.device) -> str:
    """The machine of the edits, in words."""
    if device.type != "cpu":
        return name(device)
    threads = torch.get_num_threads()
    return f"{name(device)}, {threads} thread{'s' if threads > 1 else ''}"


def write_json(found: Figures, path: Path) -> None:
    """The figures as JSON without NaN, whole or not at all. Raises OSError."""
    with replacing(path) as stream:
        stream.write((json.dumps(found, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Figures:
    """The figures of another run. Raises OSError, or VelaturaError `bad-request` for any other file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] == FORMAT and found["values"] and found["measures"]:
            return found
    except (ValueError, KeyError, TypeError) as error:
        raise VelaturaError(
            "bad-request", f"{path} holds no figures of `velatura evaluate`.", detail=str(error)
        ) from error
    raise VelaturaError("bad-request", f"{path} was written by another version of `velatura evaluate`.")
