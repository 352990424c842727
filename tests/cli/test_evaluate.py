"""`velatura evaluate` as it is typed."""

import argparse
import json
import shlex
import subprocess
import sys

import pytest

from tests.patience import patience
from tests.tiny import register_tiny_model, tiny_model
from velatura.cli import exits
from velatura.cli.main import main, parser_for
from velatura_lab.commands import evaluate


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"), vae="tiny", words=250)


@pytest.fixture
def state(tmp_path, model):
    register_tiny_model(tmp_path / "state", model)
    return str(tmp_path / "state")


def test_help_imports_no_torch():
    code = "import sys; from velatura.cli.main import main; main(['evaluate', '--help']); "
    code += "assert not {'torch', 'numpy', 'transformers'} & sys.modules.keys()"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=patience(60), capture_output=True, text=True
    )
    assert "figures.json" in done.stdout and "PIE-Bench" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--model", "nowhere"], exits.REFUSED, "nowhere"),
        (["--model", "tiny", "--methods", "magic"], exits.REFUSED, "magic"),
        (["--model", "tiny", "--kinds", "cars"], exits.REFUSED, "cars"),
        (["--model", "tiny", "--measures", "beauty"], exits.REFUSED, "ranking-auc"),
        (["--model", "tiny", "--smoke", "--no-baselines"], exits.REFUSED, "baselines"),
        (["--model", "tiny", "--study", "words", "--methods", "k 9"], exits.REFUSED, "k 9"),
        (["--model", "tiny", "--study", "selections", "--methods", "sdedit"], exits.REFUSED, "word-map"),
        (["--model", "tiny", "--study", "sliders", "--methods", "loud"], exits.REFUSED, "loud"),
        (["--model", "tiny", "--study", "words", "--smoke"], exits.REFUSED, "--smoke"),
        (["--model", "tiny", "--smoke", "--dataset", "{tmp}"], exits.REFUSED, "--dataset"),
        (["--model", "tiny", "--masks"], exits.REFUSED, "--dataset"),
        (["--model", "tiny", "--device", "cuda:77"], exits.REFUSED, "cuda:77"),
        (["--model", "tiny", "--dataset", "{tmp}"], exits.REFUSED, "mapping_file.json"),
        (["--compare", "{tmp}/none.json"], exits.FILES, "none.json"),
    ],
)
def test_what_is_refused_is_said_in_one_sentence(tmp_path, state, capsys, arguments, code, word):
    given = [argument.format(tmp=tmp_path) for argument in arguments]
    out = ["--out", str(tmp_path / "out"), "--state-dir", state]
    assert main(["evaluate", *given, *out]) == code
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("velatura: ") and word in said
    assert not (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize("wrong", [["--pairs", "0"], ["--seeds", "-1"], ["--people", "x"]])
def test_what_is_written_wrongly_is_usage(state, wrong, capsys):
    assert main(["evaluate", *wrong, "--state-dir", state]) == exits.USAGE


def test_the_command_that_makes_the_same_figures_is_told_whole():
    given = "--dataset 'PIE bench' --model sd15 --methods sdedit --pairs 2 --seeds 1 --people 0 --seed 0"
    for flags in (
        '--device cuda:0 --set steps=8 --set \'dials=[{"more": "hat"}]\' --smoke --masks --no-baselines',
        "",
    ):
        line = f"velatura evaluate {given} {flags}".strip()
        parser = argparse.ArgumentParser()
        evaluate.configure(parser)
        assert evaluate._command(parser.parse_args(shlex.split(line)[2:])) == line


def test_a_run_writes_report_and_figures_and_compares_them(tmp_path, state, capsys):
    out = tmp_path / "out"
    arguments = ["evaluate", "--model", "tiny", "--methods", "sdedit", "--kinds", "portrait", "--pairs", "1"]
    arguments += ["--seeds", "1", "--people", "0", "--out", str(out), "--state-dir", state, "--json"]
    assert main(arguments) == exits.OK
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] and (out / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert json.loads((out / "figures.json").read_text())["editors"].keys() == {
        "sdedit",
        "same-seed",
        "noise-and-denoise",
    }
    again = [*arguments[:-1], "--compare", str(out / "figures.json")]
    assert main(again) == exits.OK
    assert "No measure has clearly changed." in capsys.readouterr().out
    assert "Against" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("study", "rows"), [("words", "shipped,same noise,k 0.6"), ("selections", "word-map")]
)
def test_a_study_writes_its_report_and_its_table(tmp_path, state, capsys, study, rows):
    out, table = tmp_path / "out", tmp_path / "table.md"
    arguments = ["evaluate", "--model", "tiny", "--study", study, "--methods", rows, "--kinds", "portrait"]
    arguments += ["--pairs", "1", "--table", str(table), "--out", str(out), "--state-dir", state]
    assert main(arguments) == exits.OK
    told = table.read_text(encoding="utf-8").splitlines()
    assert told[0].startswith(f"`velatura evaluate --study {study} --model tiny --methods ")
    assert told[-1] in capsys.readouterr().out
    titles = [
        editor["title"] for editor in json.loads((out / "figures.json").read_text())["editors"].values()
    ]
    for title in titles:
        assert any(line.startswith(f"| {title} |") for line in told)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert all(title in page for title in titles) and told[-1].replace("'", "&#x27;") in page


def test_one_measure_alone_costs_only_the_edits_it_needs(tmp_path, state):
    out = tmp_path / "out"
    arguments = ["evaluate", "--model", "tiny", "--methods", "sdedit", "--kinds", "portrait", "--pairs", "1"]
    arguments += ["--seeds", "2", "--measures", "ranking-auc,ranking-closeness", "--no-baselines"]
    assert main([*arguments, "--out", str(out), "--state-dir", state]) == exits.OK
    found = json.loads((out / "figures.json").read_text())
    assert list(found["measures"]) == ["ranking-auc", "ranking-closeness"]
    assert list(found["editors"]) == ["sdedit"] and found["survey"] == {}
    assert len(list((out / "work").glob("*.npz"))) == 1  # one batch: nothing back, nothing alone, nobody else
    assert "Ranking AUC" in (out / "report.html").read_text(encoding="utf-8")


def test_settings_are_json_or_texts():
    words = ["evaluate", "--set", 'concepts=[{"text": "a"}]', "--set", "start=layer", "--set", "steps=8"]
    options = parser_for(words).parse_args(words)
    assert dict(options.assignments) == {"concepts": [{"text": "a"}], "start": "layer", "steps": 8}
    with pytest.raises(SystemExit):
        parser_for(words).parse_args(["evaluate", "--set", "steps"])
