"""Runs on a tiny random model: what methods are given, what is kept, and going on after an interruption."""

import math
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import velatura
from tests.more_methods.velatura_examples.arrange import Arrange
from tests.tiny import tiny_clip
from velatura.generators.styles import STYLE
from velatura.methods import fields
from velatura.methods.base import Inputs, Method, Parameters
from velatura.methods.registry import registry
from velatura.models.catalogue import entries
from velatura.models.store import ModelStore
from velatura_lab.evaluation import session, weights
from velatura_lab.evaluation.editors import (
    BY_HAND,
    Edited,
    MethodEditor,
    SameSeed,
    editors,
    methods_left_out,
    noise_and_denoise,
)
from velatura_lab.evaluation.encoders import Encoders
from velatura_lab.evaluation.figures import batch_of, seconds
from velatura_lab.evaluation.measures import MEASURES
from velatura_lab.evaluation.runs import Runner, Store, backwards, code, plan, refusals
from velatura_lab.evaluation.session import Options, Session, evaluate
from velatura_protocol.errors import VelaturaError

EDITING = [
    id
    for id, m in registry().items()
    if m.result == "layer" and type(m).legend is Method.legend and id not in BY_HAND and not m.trait
]
WITH_TRAITS = {id for id, method in registry().items() if method.trait}  # no embedded model has one
ON_FACES = {id for id in EDITING if registry()[id].generator == STYLE}
OTHER_KINDS = {"blended-diffusion", "vqgan-clip", "paint-by-word", *ON_FACES}


def declaring(mask="optional"):
    """A method as far as a request needs one, with a parameter that asks for the source's prompt."""

    class Given(Parameters):
        source_prompt: str = fields.source_prompt()
        steps: int = fields.steps(4)

    return SimpleNamespace(
        id="new",
        version=3,
        title="New",
        source="",
        max_variations=8,
        drafts=True,
        inputs=Inputs(mask=mask),
        Parameters=Given,
        varies=lambda params: True,
    )


def test_every_method_and_two_baselines_edit(models):
    found = editors(models)
    assert [editor.id for editor in found] == [*EDITING, "same-seed", "noise-and-denoise"]
    assert [editor.baseline for editor in found[-2:]] == [True, True]
    with pytest.raises(VelaturaError, match="no method 'magic'"):
        editors(models, methods=["magic"])


def test_methods_for_other_kinds_of_models_edit_with_one_of_theirs_or_are_left_out(models):
    entry = models.entry()
    found = {editor.id: editor for editor in editors(models) if not editor.baseline}
    others = {id: editor for id, editor in found.items() if editor.models is not models}
    assert others.keys() == OTHER_KINDS and ON_FACES
    assert {editor.models.entry().id for editor in others.values()} == {"pixels", "vq", "styles"}
    assert others["vqgan-clip"].models is others["paint-by-word"].models
    digest = others["vqgan-clip"].models.get().digest
    assert others["vqgan-clip"].settings["model"] == f"vq {digest}"
    assert all("model" not in found[id].settings for id in found.keys() - others.keys())
    alone = ModelStore([entry])
    assert [editor.id for editor in editors(alone)][:-2] == [id for id in EDITING if id not in others]
    assert len(methods_left_out(alone)) == len(OTHER_KINDS) + len(WITH_TRAITS)
    assert len(methods_left_out(models)) == len(WITH_TRAITS)
    assert "“Follow an instruction” needs a model that follows instructions" in methods_left_out(models)[0]
    with pytest.raises(VelaturaError, match="“Fill by a critic's eye” needs a diffusion model of pixels"):
        editors(alone, methods=["sdedit", "blended-diffusion"])


def test_velatura_mini_has_the_embedded_models_of_other_kinds_beside_it(models, tmp_path):
    mini = entries(tmp_path)[0]
    assert len(methods_left_out(session.store(mini, "cpu"))) == len(WITH_TRAITS)
    assert len(methods_left_out(session.store(models.entry(), "cpu"))) == len(OTHER_KINDS) + len(WITH_TRAITS)


def test_a_default_may_be_for_one_method(models):
    given = {"sdedit.steps": 8, "steps": 12, "imagic.steps": 4}
    steps = {
        id: MethodEditor(registry()[id], models, defaults=given).settings["parameters"]["steps"]
        for id in ("sdedit", "imagic", "magicmix")
    }
    assert steps == {"sdedit": 8, "imagic": 4, "magicmix": 12}


def test_slow_methods_make_the_few_edits_that_are_named(models, tmp_path):
    photos = (("portrait", "add glasses"), ("table", "colour to red"))
    options = Options(
        seeds=1, survey=0, edits=photos, edits_of_slow=photos[1:], methods=("sdedit", "imagic"), quiet=True
    )
    made = session.prepare(options, models, encoders=Encoders())
    taken = [
        (editor.id, case.edit) for editor in made.editors for case in made.cases if made.takes(editor, case)
    ]
    slow = next(editor for editor in made.editors if editor.id == "imagic")
    empty = Runner(Store(tmp_path), ["tiny"], "here").run([], "edits", quiet=True)
    assert batch_of(slow.id, made.cases[0], empty, Encoders()) is None
    assert ("imagic", "colour to red") in taken and ("imagic", "add glasses") not in taken
    assert ("sdedit", "colour to red") in taken and ("sdedit", "add glasses") in taken


def test_a_method_gets_what_it_declares(models, cases):
    case = cases[0]
    request, blobs = MethodEditor(declaring(), models).request(case, [5, 6])
    assert request["parameters"] == {"source_prompt": case.source_prompt, "steps": 4}
    assert (request["prompt"], request["seed"], request["variations"]) == (case.target_prompt, 5, 2)
    assert blobs[request["inputs"]["mask"]["digest"]] == case.mask.tobytes()
    request, blobs = MethodEditor(declaring(mask="none"), models).request(case, [5])
    assert request["inputs"]["mask"] is None and len(blobs) == 1


def test_a_group_and_rasters_are_filled_with_what_the_case_has(models, cases):
    case = cases[0]
    request, blobs = MethodEditor(Arrange(), models).request(case, [5])
    (entry,) = request["parameters"]["concepts"]
    assert entry == {"text": case.new_thing or case.target_words, "amount": 1.0, "where": "concepts.1.where"}
    inputs = request["inputs"]
    assert blobs[inputs["concepts.1.where"]["digest"]] == case.mask.tobytes()
    labels = np.frombuffer(blobs[inputs["segments"]["digest"]], np.uint8).reshape(*case.mask.shape, 3)
    assert {tuple(colour) for colour in labels[case.mask == 255]} == {(255, 0, 0)}
    assert "style" not in inputs and "input.segments" not in request["parameters"]
    two = [{"text": "a", "amount": -1.0}, {"text": "b", "where": "it"}]
    request, _ = MethodEditor(Arrange(), models, defaults={"concepts": two}).request(case, [5])
    assert [e.get("where") for e in request["parameters"]["concepts"]] == [None, "concepts.2.where"]
    assert "concepts.2.where" in request["inputs"]


def test_concepts_say_the_change_in_place_of_the_prompt(models, cases):
    def asked(id, case, **values):
        return MethodEditor(registry()[id], models, defaults=values).request(case, [5])[0]

    case = cases[0]
    for id, group in (("sega", "concepts"), ("flow-slider", "dials")):
        request = asked(id, case)
        (entry,) = request["parameters"][group]
        assert (entry["less"], entry["more"], request["prompt"]) == ("", case.target_prompt, "")
        assert entry["strength"] == 60.0
    request = asked("compose", case)
    assert request["prompt"] == case.target_prompt == request["parameters"]["concepts"][0]["more"]
    added = replace(case, thing="", new_thing="a hat", target_words="wearing a")
    added = replace(added, source_words="")
    taken = replace(case, thing="a hat", new_thing="", target_words="")
    for one, scale in ((added, 4.0), (taken, -4.0)):
        request = asked("ledits", one)
        (entry,) = request["parameters"]["concepts"]
        assert (entry["text"], entry["scale"], request["prompt"]) == ("a hat", scale, "")
    swap = asked("ledits", replace(case, thing="a hat", new_thing="a cap"))["parameters"]["concepts"]
    assert [(entry["text"], entry["scale"]) for entry in swap] == [("a cap", 4.0), ("a hat", -4.0)]
    own = {"less": "", "more": "a hat", "strength": -30.0}
    request = asked("sega", case, concepts=[own])
    assert [entry["more"] for entry in request["parameters"]["concepts"]] == ["a hat"]
    assert asked("sdedit", case)["prompt"] == case.target_prompt


def test_a_method_with_further_rasters_edits(models, cases, monkeypatch):
    monkeypatch.setattr("velatura.methods.execute.registry", lambda: {"arrange": Arrange()})
    case = cases[0]
    made = MethodEditor(Arrange(), models).edit(case, [1])
    inside, outside = case.mask == 255, case.mask == 0
    assert made.pictures[0][inside].mean() > case.source[inside].mean() + 5
    assert (made.pictures[0][outside] == case.source[outside]).all()


def test_the_models_defaults_take_the_place_of_the_methods(models):
    editor = MethodEditor(registry()["sdedit"], models, "", {"guidance": 7.5, "other": 1})
    assert editor.settings["parameters"]["guidance"] == 7.5
    assert "other" not in editor.settings["parameters"]


@pytest.mark.parametrize("id", EDITING)
def test_a_selection_holds_a_method_in_and_the_baseline_changes_all(models, cases, id):
    case = cases[0]
    # of methods that would else show nothing of what a random model does, and quick
    far = {"only_changes": False, "steps": 4, "text_steps": 2, "layer_steps": 2}
    far |= {"styleclip-optimize.steps": 5, "styleclip-mapper.steps": 5}
    masked = MethodEditor(registry()[id], models, defaults=far).edit(case, [1, 2])
    varies = registry()[id].varies(registry()[id].Parameters())
    assert masked.pictures.shape == (2 if varies else 1, *case.source.shape)
    assert (masked.pictures[:, case.mask == 0] == case.source[case.mask == 0]).all()
    assert (masked.pictures[:, case.mask == 255] != case.source[case.mask == 255]).any()
    whole = noise_and_denoise(models).edit(case, [1])
    assert (whole.pictures[0][case.mask == 0] != case.source[case.mask == 0]).any()


def test_the_same_seed_makes_its_own_source(models, cases):
    case = cases[0]
    alike = SameSeed(models).edit(replace(case, target_prompt=case.source_prompt), [3])
    assert (alike.pictures == alike.sources).all()
    assert SameSeed(models).edit(case, [3]).sources.tobytes() == alike.sources.tobytes()
    assert (SameSeed(models).edit(case, [3]).pictures != alike.pictures).any()


@dataclass
class Counting:
    """An editor that counts, and is interrupted before its third edit."""

    id: str = "counting"
    title: str = "Counting"
    source: str = ""
    baseline: bool = False
    cycles: bool = True
    batch: int = 2
    settings: dict = field(default_factory=dict)
    seen: list = field(default_factory=list)
    stop_at: int | None = None

    def edit(self, case, seeds):
        if self.stop_at is not None and len(self.seen) >= self.stop_at:
            raise KeyboardInterrupt
        self.seen.append((case.id, tuple(seeds)))
        return Edited(np.stack([case.source] * len(seeds)), scores=[float(seed) for seed in seeds])


def run(tmp_path, editor, tasks, machine="here", weights=("model",)):
    return Runner(Store(tmp_path), weights, machine).run(tasks, "edits", quiet=True)


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path, cases):
    editor = Counting(stop_at=4)
    tasks = plan([editor], cases, 3)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, editor, tasks)
    assert len(list(tmp_path.glob("*.npz"))) == 2 and not list(tmp_path.glob(".*"))
    editor.stop_at, first = None, len(editor.seen)
    results = run(tmp_path, editor, tasks)
    assert {(case, role) for _, case, role in results} == {(c.id, r) for c in cases for r in ("edit", "back")}
    again = len(editor.seen)
    assert again > first
    assert run(tmp_path, editor, tasks).keys() == results.keys() and len(editor.seen) == again
    done = results["counting", cases[0].id, "edit"]
    assert len(done.pictures) == len(done.scores) == 3 and done.seconds > 0


class Same(Counting):
    """Its seeds make no difference."""

    def edit(self, case, seeds):
        super().edit(case, seeds)
        return Edited(case.source[None])


def test_a_picture_that_is_the_same_for_all_seeds_is_made_and_counted_once(tmp_path, cases, encoders):
    editor = Same()
    results = run(tmp_path, editor, plan([editor], cases[:1], 5, cycles=False))
    assert editor.seen == [(cases[0].id, seeds) for seeds in ((editor.seen[-1][1][0],), editor.seen[-1][1])]
    found = seconds([editor], results)["counting"]
    assert found["size"] == 1 and found["batch"] == found["each"] == found["single"]
    batch = batch_of("counting", cases[0], results, encoders)
    batch.right = batch.inside = [True]
    many = [measure for measure in MEASURES.values() if measure.group == "many"]
    assert many and all(math.isnan(measure.of(batch)) for measure in many)


def test_what_a_result_depends_on_is_part_of_its_name(tmp_path, cases):
    editor = Counting()
    tasks = plan([editor], cases[:1], 1, cycles=False)
    run(tmp_path, editor, tasks)
    count = len(editor.seen)
    changed = replace(cases[0], target_prompt="another")
    for other, machine in ((tasks, "there"), (plan([editor], [changed], 1, cycles=False), "here")):
        run(tmp_path, editor, other, machine)
        assert len(editor.seen) > count
        count = len(editor.seen)
    run(tmp_path, editor, tasks, weights=("model", "another CLIP"))
    assert len(editor.seen) > count
    count = len(editor.seen)
    editor.settings = {"strength": 0.5}
    run(tmp_path, editor, tasks)
    assert len(editor.seen) > count


def test_a_companion_that_is_replaced_makes_other_results(tmp_path, models):
    folder = tiny_clip(tmp_path / "clip")
    entry = replace(models.entry(), companions={"clip": str(folder), "segmenter": "nobody/never-fetched"})
    before = weights.of_companions(entry)
    assert before == weights.of_companions(entry) and before["clip"].startswith("blake2b:")
    assert before["captioner"] == "" and before["segmenter"] == "not here: nobody/never-fetched"
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    after = weights.of_companions(entry)
    assert after["clip"] != before["clip"] and after | {"clip": ""} == before | {"clip": ""}


def test_results_go_with_the_networks_beside_the_model(tmp_path, models, cases, encoders):
    folder, editor = tiny_clip(tmp_path / "clip"), Counting()
    beside = ModelStore([replace(models.entry(), companions={"clip": str(folder)})])
    made = Session(Options(quiet=True, seeds=1), cases[:1], {}, [editor], encoders, MEASURES)
    evaluate(made, beside, tmp_path / "work")
    count = len(editor.seen)
    evaluate(made, beside, tmp_path / "work")
    assert len(editor.seen) == count
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    evaluate(made, beside, tmp_path / "work")
    assert len(editor.seen) > count


def test_all_source_that_edits_import_names_their_results():
    """Every package of the product that these files import has a part in `code_digest`."""
    root, found = Path(velatura.__file__).parent, set()
    for path in code():
        found |= set(re.findall(r"(?:from|import) velatura\.(\w+)", path.read_text(encoding="utf-8")))
    assert found <= {path.relative_to(root).parts[0] for path in code() if path.is_relative_to(root)}


def test_all_of_the_laboratory_that_makes_requests_names_their_results():
    """What only reads results has no part in `code_digest`."""
    reads = {"batch", "encoders", "figures", "measure", "measures", "metrics", "pictures", "records", "rule"}
    reads |= {"runs", "session", "statistics", "study"}
    own = [path for path in code() if path.parent.name == "evaluation"]
    found = {
        one for path in own for one in re.findall(r"^from \.(\w+) import", path.read_text(), re.MULTILINE)
    }
    assert found - reads - {"cases"} <= {path.stem for path in own}  # a case has a digest of its own


@pytest.mark.parametrize(
    "name",
    [
        "source_prompt",
        "target_prompt",
        "source_words",
        "target_words",
        "thing",
        "new_thing",
        "source",
        "mask",
    ],
)
def test_whatever_a_method_can_be_given_of_a_case_names_its_result(cases, name):
    value = getattr(cases[0], name)
    other = replace(cases[0], **{name: f"{value} more" if isinstance(value, str) else value ^ 1})
    assert other.digest != cases[0].digest


def test_more_cases_leave_the_seeds_of_the_others(cases):
    few, many = (plan([Counting()], chosen, 2) for chosen in (cases[1:], cases))
    assert {t.case.id: t.seeds for t in few}.items() <= {t.case.id: t.seeds for t in many}.items()


def test_a_refused_case_is_told_and_the_run_goes_on(tmp_path, models, cases):
    long = replace(cases[0], target_prompt="a very long prompt " * 20)
    tasks = plan([MethodEditor(registry()["sdedit"], models)], [long, cases[1]], 1, cycles=True)
    results = Runner(Store(tmp_path), ["tiny"], "here").run(tasks, "edits", quiet=True)
    assert len(results["sdedit", long.id, "edit"].pictures) == 0
    assert ("sdedit", long.id, "back") not in results
    assert len(results["sdedit", cases[1].id, "back"].pictures) == 1
    (sentence,) = refusals(results.items())["sdedit"]
    assert "too long" in sentence


def test_backwards_exchanges_what_is_asked(cases):
    case = cases[0]
    back = backwards(case, case.target)
    assert (back.source_prompt, back.target_prompt) == (case.target_prompt, case.source_prompt)
    assert back.scenes == case.scenes[::-1] and (back.thing, back.new_thing) == ("a hat", "a face")
    assert (back.mask == case.mask).all() and (back.source == case.target).all()
