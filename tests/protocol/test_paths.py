"""Where the daemon is found, and who may know."""

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import (
    CONNECTION_FILE,
    Connection,
    host_config,
    read_connection,
    state_dir,
    write_connection,
)

CONNECTION = Connection(
    wire="1.5",
    control="ipc://control.sock",
    blob="tcp://127.0.0.1:40002",
    token="secret",
    pid=4711,
    instance="0b9c",
    version="0.1.0",
)
FLATPAK = {
    "HOME": "/home/anna",
    "FLATPAK_ID": "org.kde.krita",
    "XDG_STATE_HOME": "/home/anna/.var/app/x/state",
}


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {"HOME": "/home/anna"}, "/home/anna/.local/state/velatura"),
        ("linux", FLATPAK, "/home/anna/.local/state/velatura"),
        ("darwin", {"HOME": "/Users/anna"}, "/Users/anna/Library/Application Support/velatura"),
        ("win32", {"LOCALAPPDATA": "/c/AppData"}, "/c/AppData/velatura"),
        ("win32", {"USERPROFILE": "/c/anna"}, "/c/anna/AppData/Local/velatura"),
        ("linux", {"HOME": "/home/anna", "VELATURA_STATE_DIR": "/elsewhere"}, "/elsewhere"),
        ("win32", {"LOCALAPPDATA": "/c/AppData", "VELATURA_STATE_DIR": "/elsewhere"}, "/elsewhere"),
    ],
)
def test_state_dir(platform, environ, expected):
    assert state_dir(environ=environ, platform=platform) == Path(expected)


def test_the_callers_choice_comes_first(tmp_path):
    assert state_dir(tmp_path, environ={"VELATURA_STATE_DIR": "/elsewhere"}) == tmp_path
    assert state_dir("relative").is_absolute()


def test_the_connection_file_is_read_as_it_was_written(tmp_path):
    write_connection(tmp_path / "new", CONNECTION)
    assert read_connection(tmp_path / "new") == CONNECTION
    assert os.listdir(tmp_path / "new") == [CONNECTION_FILE]


def test_it_is_its_owners_alone(tmp_path):
    before = os.umask(0)
    try:
        write_connection(tmp_path / "new", CONNECTION)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new" / CONNECTION_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_may_read_is_refused(tmp_path, mode):
    write_connection(tmp_path, CONNECTION)
    (tmp_path / CONNECTION_FILE).chmod(mode)
    with pytest.raises(VelaturaError, match="delete the file") as caught:
        read_connection(tmp_path)
    assert caught.value.code == "unavailable"


@pytest.mark.skipif(os.name != "posix", reason="there are no such files")
@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, kind):
    """A pipe that nobody writes to would hold a host for ever."""
    write_connection(tmp_path / "elsewhere", CONNECTION)
    path = tmp_path / CONNECTION_FILE
    make = {
        "link": lambda: path.symlink_to(tmp_path / "elsewhere" / CONNECTION_FILE),
        "folder": lambda: path.mkdir(0o700),
        "pipe": lambda: os.mkfifo(path, 0o600),
    }
    make[kind]()
    with pytest.raises(VelaturaError, match="delete the file") as caught:
        read_connection(tmp_path)
    assert caught.value.code == "unavailable"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_somebody_else_is_refused(tmp_path):
    write_connection(tmp_path, CONNECTION)
    os.chown(tmp_path / CONNECTION_FILE, 12345, 12345)
    with pytest.raises(VelaturaError, match="delete the file"):
        read_connection(tmp_path)


def test_the_token_is_in_no_log():
    assert "secret" not in repr(CONNECTION)


def test_no_file(tmp_path):
    with pytest.raises(VelaturaError) as caught:
        read_connection(tmp_path)
    assert caught.value.code == "not-running"


@pytest.mark.parametrize(
    "change",
    [
        {"token": None},
        {"control": None},
        {"control": "tcp://127.0.0.1:0"},
        {"control": "tcp://127.0.0.1:70000"},
        {"control": "tcp://127.0.0.1"},
        {"blob": "tcp://192.0.2.1:40002"},
        {"blob": "tcp://localhost:40002"},
        {"blob": "tcp://[::1]:40002"},
        {"blob": "ipc:///tmp/blob.sock"},
        {"blob": "ipc://../blob.sock"},
        {"blob": "ipc://"},
        {"blob": "inproc://blob"},
        {"pid": True},
        {"version": []},
    ],
    ids=str,
)
def test_a_damaged_file(tmp_path, change):
    write_connection(tmp_path, replace(CONNECTION, **change))
    with pytest.raises(VelaturaError) as caught:
        read_connection(tmp_path)
    assert caught.value.code == "not-running"


def test_an_older_daemons_file_is_told_from_damage(tmp_path):
    """It has sent no proof, so nothing is sent to it."""
    write_connection(tmp_path, CONNECTION)
    older = {
        "protocol": "1.3",
        "host": "127.0.0.1",
        "control_port": 1,
        "blob_port": 1,
        "token": "t",
        "pid": 7,
    }
    (tmp_path / CONNECTION_FILE).write_text(json.dumps(older))
    with pytest.raises(VelaturaError, match="an older Velatura's") as caught:
        read_connection(tmp_path)
    assert caught.value.code == "not-running"


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"\xff", b"[" * 60000, b"null"], ids=lambda text: repr(text[:5])
)
def test_a_file_of_something_else(tmp_path, text):
    write_connection(tmp_path, CONNECTION)
    (tmp_path / CONNECTION_FILE).write_bytes(text)
    with pytest.raises(VelaturaError) as caught:
        read_connection(tmp_path)
    assert caught.value.code == "not-running"
    assert host_config(tmp_path) == {}


def test_what_the_installer_left(tmp_path):
    config = {"serve": ["/usr/bin/python3", "-m", "velatura", "serve"], "state_dir": "", "version": "0.1.0"}
    (tmp_path / "velatura.json").write_text(json.dumps(config))
    assert host_config(tmp_path) == config


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b"[" * 60000])
def test_a_damaged_host_config(tmp_path, text):
    (tmp_path / "velatura.json").write_bytes(text)
    assert host_config(tmp_path) == {}
