"""Methods and kinds of models of a package that is installed beside Velatura."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.methods.requests import Edit, picture, pixels
from tests.more_methods import ENTRY_POINTS, environment, installed
from tests.more_methods.velatura_examples import eigenpictures
from tests.patience import patience
from tests.tiny import tiny_model
from velatura.cli import commands
from velatura.cli.main import main
from velatura.companions import captioners
from velatura.install.doctor import examine
from velatura.install.profiles import Machine
from velatura.methods.checks import lacking
from velatura.methods.registry import describe, offer, refused, registry
from velatura.models import catalogue
from velatura.models.store import ModelStore
from velatura_protocol.catalogue import Catalogue
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import canonical

SIDE = 32


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two models: one of eigenpictures, one that diffuses."""
    folder = tmp_path_factory.mktemp("kinds")
    return eigenpictures.write(folder / "eigen", SIDE), tiny_model(folder / "tiny", vae="tiny")


@pytest.fixture
def state_dir(folders, tmp_path):
    """Names both, the one of eigenpictures first."""
    catalogue.add(tmp_path, "tiny", str(folders[1]))
    with installed():
        catalogue.add(tmp_path, "eigen", str(folders[0]))
    return tmp_path


@pytest.fixture
def beside():
    with installed():
        yield


def store(state_dir):
    return ModelStore(lambda: catalogue.entries(state_dir))


def exaggerated(**fields):
    return Edit(
        picture(SIDE, SIDE, dtype="f32"), method="exaggerate", **{"parameters": {}, "prompt": "", **fields}
    )


def test_the_methods_of_the_package_are_there_as_long_as_it_is():
    own = set(registry())
    with installed():
        assert set(registry()) - own == set(ENTRY_POINTS["velatura_examples"]["velatura.methods"])
        assert next(iter(registry())) == "flow-align" and not refused()
    assert set(registry()) == own


def test_a_model_says_what_kind_it_is_without_torch(state_dir):
    code = (
        "import sys; from velatura.models.catalogue import entries; "
        f"found = entries({str(state_dir)!r}); "
        "assert [(e.id, e.kind, e.generator, e.size) for e in found[:2]] == "
        f"[('eigen', 'eigenpictures', 'eigenpictures', {SIDE}), ('tiny', 'diffusers', 'diffusion', 64)]; "
        "from velatura.methods.registry import registry; assert 'exaggerate' in registry(); "
        "assert not {'torch', 'diffusers', 'transformers', 'safetensors'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=patience(60), env=dict(environment()))


def test_a_generator_that_is_no_diffusion_model_edits(state_dir, beside):
    models, edit = store(state_dir), exaggerated(variations=2)
    first, second = edit.run(models)
    network = models.get("eigen")
    assert (network.kind, network.size, network.digest[:8]) == ("eigenpictures", SIDE, "blake2b:")
    assert first.recipe["model"] == {"id": "eigen", "digest": network.digest}
    assert first.data != second.data and np.isfinite(pixels(first)).all()
    assert first.data == exaggerated().run(models)[0].data  # its batch does not matter
    assert first.place is None and "the model reads none" in first.note  # and nothing was selected
    assert exaggerated(parameters={"amount": 3.0}).run(models)[0].data != first.data


def test_what_it_does_not_change_keeps_its_pixels(state_dir, beside):
    """The same detail comes back as in an edit by a diffusion model: what the generator loses is not lost."""
    source = picture(SIDE, SIDE)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[8:20, 8:20] = 255
    edit = Edit(source, mask, method="exaggerate", parameters={}, prompt="")
    (result,) = edit.run(store(state_dir))
    x, y, width, height = result.raster["rect"]
    assert x >= 8 and y >= 8 and x + width <= 20 and y + height <= 20


def test_a_method_with_the_wrong_kind_of_model_is_refused_before_work_begins(state_dir, beside):
    models = store(state_dir)
    wrong = Edit(picture(SIDE, SIDE), model={"id": "eigen", "digest": ""})
    with pytest.raises(
        VelaturaError, match="colours' needs a diffusion model, and 'eigen' is a model of eigen"
    ):
        wrong.run(models)
    reverse = exaggerated(model={"id": "tiny", "digest": ""})
    with pytest.raises(
        VelaturaError, match="needs a model of eigenpictures, and 'tiny' is a diffusion model"
    ):
        reverse.run(models)
    assert models.loaded() == ""


def test_the_offer_says_which_methods_a_model_cannot_run(state_dir, beside):
    known = [describe(method) for method in registry().values()]
    offered = offer(known, catalogue.entries(state_dir))["models"]
    eigen, tiny, embedded, of_pixels, of_codes, of_faces = offered
    assert "exaggerate" not in eigen["lacks"] and "exaggerate" in tiny["lacks"]
    assert {"sdedit", "prompt-to-prompt", "flow-align", "word-map"} <= set(eigen["lacks"])
    codes = {"vqgan-clip", "paint-by-word"}
    styles = {"face-dials", "face-discover", "face-parts", "editgan"}
    styles |= {"styleclip-optimize", "styleclip-direction", "styleclip-mapper"}
    assert set(embedded["lacks"]) == {
        "exaggerate",
        "blended-diffusion",
        "instruct",
        "fluxspace",
        *codes,
        *styles,
    }
    assert "blended-diffusion" not in of_pixels["lacks"] and codes <= set(of_pixels["lacks"])
    assert not codes & set(of_codes["lacks"]) and {"sdedit", "blended-diffusion"} <= set(of_codes["lacks"])
    assert not styles & set(of_faces["lacks"]) and {"sdedit", *codes} <= set(of_faces["lacks"])
    # what a companion does is refused for want of the companion, whatever the model's kind
    (model, *_) = catalogue.entries(state_dir)
    assert "has no captioner" in lacking(registry()["describe"], model).message


def test_only_a_diffusion_model_is_given_where_one_is_asked_for(state_dir, beside):
    models = store(state_dir)
    assert models.diffusion("tiny").latent_channels == 4
    with pytest.raises(VelaturaError, match="'eigen' is a model of eigenpictures"):
        models.diffusion("eigen")


def test_a_damaged_model_of_the_package_is_refused_in_a_sentence(state_dir, folders, beside, tmp_path):
    broken = shutil.copytree(folders[0], tmp_path / "broken")
    (broken / "eigenpictures.safetensors").write_bytes(b"no weights")
    catalogue.add(state_dir, "broken", str(broken))
    with pytest.raises(VelaturaError, match="'broken' cannot be read from"):
        exaggerated().run(store(state_dir))


def test_without_its_package_such_a_model_is_no_model(state_dir):
    with pytest.raises(VelaturaError, match="of a kind that Velatura does not know; choose a model"):
        store(state_dir).get("eigen")


FAULTS = {
    "The method 'gone'": "ModuleNotFoundError",
    "The method 'number'": "is no method",
    "The method 'empty'": "has no method",
    "The method 'sdedit'": "another method of this name, 'Repaint from its colours'",
    "The kind of model 'nothing'": "no TITLE",
    "The kind of model 'diffusers'": "a form of Velatura's own",
    "The method 'base'": "is no method",
    "The method 'ends'": "SystemExit: 3",
    "The method 'version-zero'": "version of version-zero",
    "The method 'version-text'": "version of version-text",
    "The method 'no-title'": "title of no-title",
    "The method 'number-summary'": "the summary of number-summary is no text",
    "The method 'too-many'": "max_variations of too-many",
    "The method 'number-drafts'": "drafts or from_nothing of number-drafts",
    "The method 'text-place'": "the place of text-place is no whole number",
    "The method 'unknown-need'": "an input of an unknown need",
    "The kind of model 'silent'": "its TITLE is no text, or an empty one",
    "The command 'silent'": "its SUMMARY is no text, or an empty one",
    "The command 'ends'": "SystemExit: 3",
    "The command 'incomplete'": "no SUMMARY and no configure and no run",
    "The command 'edit'": "another command of this name",
    "The command 'two words'": "cannot be typed",
    "The captioner 'silent'": "its reads is no function",
    "The captioner 'ends'": "SystemExit: 3",
}


def left_out(tmp_path):
    machine = Machine("linux", {}, tmp_path, lambda _: None)
    found = examine(tmp_path, machine, commands=commands.refused())
    return [finding for finding in found if "left out" in finding.sentence]


def test_a_package_that_cannot_be_used_costs_itself_only_and_is_told(caplog, tmp_path, monkeypatch):
    own = list(registry())
    # torch is not at issue; the captioners are read in another process
    monkeypatch.setattr(
        "velatura.install.doctor.PROBE", (sys.executable, "-c", 'print(\'["2", "cpu", ""]\')')
    )
    monkeypatch.setenv("PYTHONPATH", environment("velatura_faulty")["PYTHONPATH"])
    with installed("velatura_faulty"), caplog.at_level(logging.WARNING):
        assert list(registry()) == own and type(registry()["sdedit"]).__name__ == "SDEdit"
        answer = offer([describe(method) for method in registry().values()], catalogue.entries(tmp_path))
        assert [method.id for method in Catalogue.from_wire(json.loads(canonical(answer))).methods] == own
        captioners.offered()  # to be in this process's log
        said = left_out(tmp_path)
    assert sorted(f.sentence.partition(" of the package")[0] for f in said) == sorted(FAULTS)
    for what, why in FAULTS.items():
        (finding,) = (f for f in said if f.sentence.startswith(what + " of the package 'velatura-faulty'"))
        assert why in finding.sentence and finding.level == "fault"
        assert "pip uninstall velatura-faulty" in finding.mend
        assert finding.sentence in caplog.text
    monkeypatch.delenv("PYTHONPATH")
    assert not left_out(tmp_path)


def test_a_size_that_is_none_costs_no_other_model(caplog, tmp_path):
    with installed("velatura_faulty"), caplog.at_level(logging.WARNING):
        for name in ("text", "numpy", "number", "zero", "huge", "boolean", "ends"):
            (tmp_path / name).mkdir()
            with pytest.raises(VelaturaError, match="does not know"):
                catalogue.add(tmp_path, name, str(tmp_path / name))
        found = catalogue.entries(tmp_path)
        answer = offer([describe(method) for method in registry().values()], found)
    assert {model.kind for model in found} == {"diffusers", "pixels", "vq", "style"}  # none is the package's
    assert len(Catalogue.from_wire(json.loads(canonical(answer))).models) == len(catalogue.EMBEDDED)
    assert caplog.text.count("which is no side") and "cannot say whether" in caplog.text


def test_a_captioner_that_fails_when_asked_costs_no_other(caplog):
    with installed("velatura_faulty"), caplog.at_level(logging.WARNING):
        assert captioners.loader({"model_type": "blip"}) is None
        assert captioners.loader({"questions": []}).__name__ == "velatura_lab.readers.captioner"
    assert "velatura-faulty cannot say whether" in caplog.text


def test_the_help_of_all_commands_is_shown_beside_faulty_ones(capsys):
    with installed("velatura_faulty"):
        assert main(["--help"]) == 0
        told = capsys.readouterr().out
        assert "make it 100% brighter" in told and "silent" not in told
        assert main(["brighten"]) == 0
