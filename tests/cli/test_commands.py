"""The other commands as processes."""

import json
import os
import subprocess
import sys

import pytest

from velatura.cli import exits
from velatura.cli.commands import commands
from velatura.cli.main import main
from velatura.models.catalogue import EMBEDDED
from velatura_protocol.errors import CODES

pytestmark = pytest.mark.timeout(120)


def embedded():
    return [id for id, path in EMBEDDED.items() if path.is_dir()]


@pytest.mark.parametrize("command", sorted(set(commands()) - {"bench"}))
def test_every_command_has_help_with_the_exit_codes(command, capsys):
    assert main([command, "--help"]) == 0
    told = capsys.readouterr().out
    assert "exit codes:" in told
    assert "--state-dir" in told


def test_wrong_words_are_a_usage_error(capsys):
    assert main([]) == 2
    assert main(["bogus"]) == 2
    assert main(["install", "photoshop"]) == 2
    assert "usage:" in capsys.readouterr().err


def test_every_error_code_has_an_exit_code():
    assert {exits.exit_code(code) for code in CODES} == {1, 3, 4, 5}


def test_methods_are_the_same_with_and_without_a_daemon(cli, tmp_path):
    online = json.loads(cli("methods", "--json").stdout)
    offline = json.loads(cli("methods", "--json", "--state-dir", tmp_path / "none").stdout)
    assert online["methods"] == offline["methods"]
    assert online["digest"] == offline["digest"]
    assert [model["id"] for model in online["models"]] == ["tiny", *embedded()]


def test_the_options_of_a_method_are_shown(cli):
    told = cli("methods", "blended-latent-diffusion").stdout
    assert "--set steps=… integer from" in told
    assert "Section: Paint into the selection" in told
    listed = cli("methods").stdout.splitlines()
    assert listed[0] == "Change by words:" and listed[1].startswith("  flow-align ")
    at = listed.index("Select:")
    assert {line.split()[0] for line in listed[at + 1 : at + 5]} >= {"word-map", "flow-mask"}
    assert listed[listed.index("Describe:") + 1].startswith("  describe ")
    assert "there are: flow-align" in cli("methods", "bogus", code=1).stderr


def test_models_are_named_and_forgotten(cli, tmp_path, tiny_folder):
    def models(*words, code=0):
        return cli("models", "--state-dir", tmp_path / "state", *words, code=code)

    assert "velatura-mini" in models().stdout
    models("add", "mine", tiny_folder)
    found = json.loads(models("--json").stdout)["models"]
    assert [model["id"] for model in found] == ["mine", *embedded()]
    assert "(default)" in models("list").stdout.splitlines()[0]
    assert "no model at" in models("add", "other", tmp_path / "absent", code=1).stderr
    models("add", "second", tiny_folder)
    assert models("change", "mine", "--default").stdout.startswith("mine ")
    assert models("remove", "second").stdout.startswith("mine ")
    models("remove", "mine")
    assert "mine " not in models().stdout
    models("remove", "mine", code=1)


def test_a_model_is_named_with_its_companions_and_guidance(cli, tmp_path, tiny_folder):
    def models(*words, code=0):
        return cli("models", "--state-dir", tmp_path / "state", *words, code=code)

    plain = models("add", "plain", tiny_folder).stdout.splitlines()
    lacking = ["no CLIP", "no captioner", "no segmenter"]
    assert plain[0].startswith("plain: Stable Diffusion 1 and 2, 64 px")
    assert "its weights take 0.0 GiB of memory" in plain[1]
    assert [line.split(":")[0].strip() for line in plain[3:6]] == lacking
    assert "no captions are proposed" in plain[4]
    named = {"clip": "a/clip", "captioner": "a/blip", "segmenter": "a/clipseg"}
    given = [word for name, path in named.items() for word in (f"--{name}", path)]
    told = models("add", "mine", tiny_folder, *given, "--guidance", "5").stdout.splitlines()
    assert told[3].startswith("plain ")
    found = json.loads(models("--json").stdout)["models"][0]
    assert {name: found[name] for name in named} == named
    assert (found["id"], found["guidance"]) == ("mine", 5.0)
    assert "no model at" in models("add", "other", tiny_folder, "--clip", "/absent", code=1).stderr
    assert "from 1 to 20" in models("add", "other", tiny_folder, "--guidance", "0", code=2).stderr


def test_a_named_model_is_given_a_companion_later_and_all_else_stays(cli, tmp_path, tiny_folder):
    def models(*words, code=0):
        return cli("models", "--state-dir", tmp_path / "state", *words, code=code)

    def found():
        return json.loads(models("--json").stdout)["models"][0]

    models("add", "mine", tiny_folder, "--clip", "a/clip", "--guidance", "5")
    before = found()
    assert (
        "no captioner"
        not in models("change", "mine", "--captioner", "a/blip").stdout.split("velatura-mini")[0]
    )
    assert found() == before | {"captioner": "a/blip"}
    models("change", "mine", "--clip", "", "--guidance", "2.5")
    assert found() == before | {"captioner": "a/blip", "clip": "", "guidance": 2.5}
    assert "no model at" in models("change", "mine", "--clip", "/absent", code=1).stderr
    assert "named no model" in models("change", "velatura-mini", "--clip", "a/clip", code=1).stderr
    assert found() == before | {"captioner": "a/blip", "clip": "", "guidance": 2.5}


@pytest.mark.parametrize("host", ["krita", "gimp"])
def test_install_and_uninstall(cli, tmp_path, host):
    folder = tmp_path / "profile"
    told = cli("install", host, "--profile", folder)
    assert str(folder) in told.stdout
    assert list(folder.rglob("velatura.json"))
    cli("uninstall", host, "--profile", folder)
    assert not list(folder.rglob("*.py"))
    assert "there was no Velatura plugin" in cli("uninstall", host, "--profile", folder).stdout


def test_install_without_a_profile_says_what_to_do(cli):
    assert "start GIMP once" in cli("install", "gimp", code=1).stderr


def test_a_folder_that_cannot_be_written_is_told(cli, tmp_path):
    (tmp_path / "file").touch()
    words = ("install", "gimp", "--profile", tmp_path / "file" / "below")
    assert str(tmp_path / "file") in cli(*words, code=6).stderr


def test_a_connection_file_that_others_can_read_is_refused(cli, tmp_path):
    if os.name != "posix":
        pytest.skip("permissions are POSIX's")
    (tmp_path / "connection.json").write_text("{}")
    (tmp_path / "connection.json").chmod(0o644)
    assert "not yours alone" in cli("stop", "--state-dir", tmp_path, code=3).stderr


def test_a_daemon_that_cannot_start_is_told(cli, tmp_path):
    (tmp_path / "state").touch()
    result = cli("serve", "--state-dir", tmp_path / "state", code=3)
    assert result.stderr.count("\n") == 1


def test_a_second_daemon_is_refused(cli):
    assert "already runs" in cli("serve", code=3).stderr


def test_help_and_lists_import_no_torch(cli, tmp_path):
    code = (
        "import sys; from velatura.cli.commands import commands\nfrom velatura.cli.main import main\n"
        "for name in commands():\n    main([name, '--help'])\n"
        "main(['methods']); main(['models'])\n"
        "assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "VELATURA_STATE_DIR": str(cli.state_dir)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, stdout=subprocess.DEVNULL)


def test_debug_shows_where(cli, tmp_path):
    result = subprocess.run(
        cli.words(["edit", "absent.png", "--method", "m", "--out", tmp_path / "o.png", "--debug"]),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "Traceback" in result.stderr
