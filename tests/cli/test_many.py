"""`velatura edit` of many pictures and of streams, and `velatura jobs`, against a real daemon."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import zipfile

import imagecodecs
import numpy as np
import pytest

from tests.cli.pictures import gradient, load, save, soft_mask
from tests.daemon_fixture import wait_for
from tests.more_methods import LET_END, let_end
from tests.patience import patience
from velatura.cli.main import main
from velatura.cli.methods import method_named
from velatura.client import running
from velatura.client.connection import connected
from velatura.client.requests import inputs_of
from velatura.files.reading import read_image
from velatura.files.recipes import read_recipes
from velatura_protocol.catalogue import Catalogue

pytestmark = pytest.mark.timeout(240)
EDIT = ("--method", "blended-latent-diffusion", "--prompt", "a hat", "--set", "steps=4", "--seed", "5")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The present folder, with pictures of two depths and their masks in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "masks").mkdir()
    for name, dtype in (("a.png", np.uint8), ("b.png", np.uint16), ("c.png", np.uint8)):
        save(tmp_path / name, gradient(3, dtype))
        save(tmp_path / "masks" / name, soft_mask()[..., None])
    return tmp_path


@pytest.fixture
def endless(cli):
    """`endless(...)` starts an edit that ends when it is told, and waits for its job's start."""
    processes = []

    def start(*words):
        words = ("edit", *words, "--method", "until-told", "--prompt", "a hat")
        process = cli.start(*words, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        processes.append(process)
        wait_for(lambda: any(job["state"] == "started" for job in waiting(cli)), 60, "no job starts")
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()
    (cli.state_dir / LET_END).unlink(missing_ok=True)


def waiting(cli):
    """The jobs that `velatura jobs` lists."""
    return json.loads(cli("jobs", "--json").stdout)["jobs"]


def not_fetched(state_dir, picture):
    """The id of a job whose result nobody has fetched."""
    inputs = inputs_of(read_image(picture), None)
    with connected(state_dir, start=False) as client:
        method = method_named(Catalogue.from_wire(client.methods()), "sdedit")
        edit = method.edit("a hat", {"steps": 4})
        return running.run(client, edit.on(inputs, (64, 48)), inputs)["job"]


def merged(path):
    """The merged picture of an ORA."""
    with zipfile.ZipFile(path) as archive:
        return imagecodecs.png_decode(archive.read("mergedimage.png"))


def test_many_pictures_are_edited_and_only_the_missing_ones_the_next_time(cli, folder):
    (folder / "b.png").rename(folder / "kept.png")
    (folder / "b.png").write_bytes(b"no picture")
    words = ("edit", "a.png", "b.png", "c.png", "--mask", "masks", *EDIT, "--out-dir", "new/results")
    told = cli(*words, code=1)
    assert told.stdout.count("1 variation in") == 2 and "velatura: b.png is not a picture" in told.stderr
    assert "2 of 3 pictures done, 1 not done.\nNot done: b.png.\n" in told.stderr
    results = folder / "new" / "results"
    assert sorted(path.name for path in results.iterdir()) == ["a.png", "c.png"]
    outside = soft_mask() == 0
    assert np.array_equal(load(results / "a.png")[outside], load(folder / "a.png")[outside])
    made = {path.name: path.stat().st_mtime_ns for path in results.iterdir()}

    (folder / "kept.png").replace(folder / "b.png")
    lines = cli(*words, "--json").stdout.splitlines()
    answers = [json.loads(line) for line in lines]
    assert {answer["picture"]: answer.get("skipped", False) for answer in answers[:-1]} == {
        "a.png": True,
        "b.png": False,
        "c.png": True,
    }
    assert answers[-1] == {"ok": True, "exit": 0, "made": 1, "skipped": 2, "failed": 0, "left": 0}
    assert all((results / name).stat().st_mtime_ns == time for name, time in made.items())
    assert load(results / "b.png").dtype == np.uint16

    os.utime(folder / "c.png", ns=(made["c.png"] + 10**9,) * 2)  # changed after its result was made
    told = cli(*words)
    assert "1 of 3 pictures done, 2 were there already" in told.stderr and "c.png: " in told.stdout
    quiet = cli(*words, "-q")
    assert quiet.stdout == quiet.stderr == ""


def test_nothing_is_begun_that_could_not_be_written(cli, folder):
    (folder / "out").mkdir()
    (folder / "other").mkdir()
    save(folder / "other" / "a.png", gradient(3, np.uint8))
    save(folder / "out" / "c.png", gradient(3, np.uint8))

    def refused(*words):
        told = cli("edit", *words, *EDIT, code=1).stderr
        assert told.count("\n") == 1, told
        return told

    assert "out/c.png is there already, and is not the result" in refused(
        "a.png", "c.png", "--out-dir", "out"
    )
    assert "a.png and other/a.png would both become" in refused("a.png", "other/a.png", "--out-dir", "out")
    assert "is also a picture to read" in refused("a.png", "c.png", "--out-dir", ".")
    assert "--out is for one picture" in refused("a.png", "b.png", "--out", "x.png")
    assert "name a file for it with --out" in refused("a.png", "b.png")
    assert "no option 'stepps'" in refused("a.png", "b.png", "--out-dir", "out", "--set", "stepps=3")
    assert "one file; name two" in refused("a.png", "--out", "x.png", "--compare", "x.png")
    assert "masks/a.png is also" in refused("a.png", "--mask", "masks/a.png", "--out", "masks/a.png")
    os.link(folder / "a.png", folder / "hard.png")
    assert "hard.png is also" in refused("a.png", "--out", "hard.png")
    assert "c.png is there already; --force" in refused("a.png", "--out", "out/c.png")
    assert "cannot be written" in refused("a.png", "--out", "n" * 252 + ".png")
    assert "/proc/x.png cannot be written" in refused("a.png", "--out", "/proc/x.png")
    told = cli("edit", "a.png", *EDIT, "--out", "x.png", "--compare", "c.jpg", code=2).stderr
    assert "must end in .png" in told
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["c.png"]
    assert not waiting(cli)


def test_a_name_of_255_bytes_and_a_link_are_written(cli, folder):
    (folder / "real").mkdir()
    (folder / "link.png").symlink_to("real/target.png")
    name = "n" * 251 + ".png"
    for out in (name, "link.png"):
        cli("edit", "a.png", "--mask", "masks/a.png", *EDIT, "--out", out)
    cli("edit", "a.png", "--mask", "masks/a.png", *EDIT, "--out", "link.png", "--force")
    assert (folder / "link.png").is_symlink() and not (folder / "real" / "target.png").is_symlink()
    assert np.array_equal(load(folder / name), load(folder / "real" / "target.png"))
    assert {path.name for path in (folder / "real").iterdir()} == {"target.png"}


def test_a_picture_flows_from_standard_input_to_standard_output(cli, folder):
    def piped(content, *words, code=0):
        words = cli.words(("edit", "-", *EDIT, *words))
        env = cli.environment | {"PYTHONIOENCODING": "ascii"}
        ran = subprocess.run(words, env=env, input=content, capture_output=True, timeout=patience(120))
        assert ran.returncode == code, ran.stderr
        return ran

    picture = (folder / "a.png").read_bytes()
    ran = piped(picture, "--mask", "masks/a.png", "--out", "-")
    (folder / "out.png").write_bytes(ran.stdout)
    outside = soft_mask() == 0
    assert np.array_equal(load(folder / "out.png")[outside], load(folder / "a.png")[outside])
    assert read_recipes(folder / "out.png")[0].recipe["inputs"]["source"]["layer"] == "standard input"
    told = piped(b"none", "--out", "-", code=1).stderr.decode()
    assert "velatura: standard input is not a picture" in told
    assert b"Nothing came" in piped(b"", "--out", "-", code=1).stderr
    # a prompt that standard output cannot show is no failure
    assert b"\\u732b" in piped(picture, "--prompt", "猫", "--out", "cat.png").stdout


def test_a_result_that_cannot_be_written_is_kept_and_fetched(cli, folder, endless):
    """A folder that is deleted while the edit runs."""
    (folder / "gone").mkdir()
    process = endless("a.png", "--out", "gone/a.png")
    (folder / "gone").rmdir()
    let_end(cli.state_dir)
    _, told = process.communicate(timeout=patience(60))
    assert process.returncode == 6, told
    short = told.split("velatura jobs fetch ")[1].split()[0]
    assert "gone/a.png: " in told and ".part" not in told
    (job,) = waiting(cli)
    assert job["job"].startswith(short)
    listed = cli("jobs").stdout
    assert f"{short}  " in listed and "done, not fetched" in listed and "a hat" in listed
    assert "a hat" in cli("jobs", "show", short).stdout
    assert "no edit 'ffff'" in cli("jobs", "show", "ffff", code=1).stderr
    (folder / "a.png").rename(folder / "z.png")  # found by its pixels
    cli("jobs", "fetch", short, "--out", "a.png")
    assert read_recipes(folder / "a.png")[0].recipe["job"] == job["job"]
    assert "is there already" in cli("jobs", "fetch", short, "--out", "a.png", code=1).stderr
    (folder / "z.png").unlink()
    cli("jobs", "fetch", short, "--out-dir", "masks")  # from the pixels that the daemon keeps
    assert np.array_equal(merged(folder / "masks" / f"a-{short}.ora")[..., :3], load(folder / "a.png"))
    assert not waiting(cli) and "every result was fetched" in cli("jobs").stdout


def test_jobs_are_cancelled_and_cleared(cli, folder, endless):
    process = endless("a.png", "--out", "out.png")
    assert "is being cancelled" in cli("jobs", "cancel", "--all").stdout
    assert process.wait(patience(60)) == 5
    assert "Name a JOB" in cli("jobs", "cancel", code=1).stderr
    left = not_fetched(cli.state_dir, folder / "a.png")
    assert [job["job"] for job in waiting(cli)] == [left]
    assert cli("jobs", "clear").stdout.startswith("1 result was let go")
    assert not waiting(cli)
    assert left[:8] in cli("jobs", "list", "--all").stdout


def test_ctrl_c_ends_the_whole_and_says_what_is_left(cli, folder, endless):
    process = endless("a.png", "b.png", "--out-dir", "out")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=patience(60))
    assert process.returncode == 5
    assert "0 of 2 pictures done, 1 not done, 1 not begun." in told
    assert list((folder / "out").iterdir()) == []


def test_the_state_directory_stands_before_or_after_the_command(tmp_path, capsys):
    named = ["--state-dir", str(tmp_path)]
    for words in ([*named, "logs", "--path"], ["logs", "--path", *named]):
        assert main(words) == 0
        assert capsys.readouterr().out == f"{tmp_path / 'daemon.log'}\n"
    assert main([*named, "logs"]) == 1
    assert "has not run" in capsys.readouterr().err


def test_help_logs_and_completion(cli, capsys):
    assert main(["help", "edit"]) == main(["edit", "--help"]) == main(["help"]) == 0
    told = capsys.readouterr().out
    assert told.count("--out-dir DIR") >= 2 and "COMMAND" in told
    assert main(["help", "bogus"]) == 2
    lines = cli("logs", "-n", "3").stdout.splitlines()
    assert 1 <= len(lines) <= 3 and "INFO" in lines[-1]
    script = cli("completion", "bash").stdout
    assert "edit___method_COMPGEN=_velatura_methods" in script and "layer_COMPGEN" not in script

    def completed(words):
        asked = (
            f"{script}\nCOMP_WORDS=(velatura {words}); COMP_CWORD={len(words.split())}; "
            "_shtab_velatura velatura; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        ran = subprocess.run(["bash"], input=asked, capture_output=True, text=True, timeout=patience(30))
        return ran.stdout.split()

    assert "edit" in completed("ed") and "--out-dir" in completed("edit --out")
    assert "flow-align" in completed("edit --method flow-")
