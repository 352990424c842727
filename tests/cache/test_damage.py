"""Files that are not what was written, folders that are none, a disk that is full, a kill in the middle."""

import os
import signal
import subprocess
import sys

import pytest

from tests.cache.kept import cache, found, put, same, trajectory
from tests.patience import patience


def whole_file(folder):
    put(cache(folder), "k", trajectory())
    (file,) = folder.iterdir()
    return file, file.read_bytes()


def test_every_truncation_is_found_and_removed(tmp_path):
    file, data = whole_file(tmp_path)
    for length in [*range(0, len(data), 97), len(data) - 1]:
        file.write_bytes(data[:length])
        assert found(cache(tmp_path), "k") is None
        assert not file.exists()


def test_every_changed_byte_is_found_or_does_no_harm(tmp_path):
    file, data = whole_file(tmp_path)
    for at in range(0, len(data), 31):
        file.write_bytes(data[:at] + bytes([data[at] ^ 0x11]) + data[at + 1 :])
        value = found(cache(tmp_path), "k")
        assert value is None or same(value, trajectory())
        assert file.exists() == (value is not None)


def test_a_file_of_another_key_is_removed(tmp_path):
    file, data = whole_file(tmp_path)
    put(cache(tmp_path), "other", trajectory(1))
    (other,) = set(tmp_path.iterdir()) - {file}
    other.write_bytes(data)
    assert found(cache(tmp_path), "other") is None
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("data", [b"\0" * 4096, b"\xff" * 64, b"PK\3\4", b'{"a": 1}'])
def test_what_is_no_trajectory_is_removed(tmp_path, data):
    file, _ = whole_file(tmp_path)
    file.write_bytes(data)
    kept = cache(tmp_path)
    assert found(kept, "k") is None
    put(kept, "k", trajectory())
    assert same(found(cache(tmp_path), "k"), trajectory())


def test_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    kept = cache(tmp_path, disk=1)
    put(kept, "k", trajectory())
    kept.clear()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    kept, it = cache(tmp_path / "file"), trajectory()
    put(kept, "k", it)
    assert found(kept, "k") is it
    assert found(kept, "other") is None
    kept.clear()


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_full_disk_keeps_what_it_had(tmp_path):
    whole_file(tmp_path)
    run(
        tmp_path,
        """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        kept = cache(folder)
        large = trajectory(1, values=4096)
        put(kept, "large", large)
        assert found(kept, "large") is large
        assert same(found(kept, "k"), trajectory())
        """,
    )
    assert found(cache(tmp_path), "large") is None
    assert found(cache(tmp_path), "k") is not None
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such kill here")
def test_killed_between_writing_and_renaming(tmp_path):
    file, data = whole_file(tmp_path)
    run(
        tmp_path,
        """
        import os, signal
        os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        cache(folder).keep("k", trajectory(1), on_disk=True)
        """,
        ends=-signal.SIGKILL,
    )
    assert len(list(tmp_path.iterdir())) == 2
    assert same(found(cache(tmp_path), "k"), trajectory())
    assert list(tmp_path.iterdir()) == [file]
    assert file.read_bytes() == data


def run(folder, code, ends=0):
    """Runs lines in a process of their own, with the functions of `kept`."""
    lines = "\n".join(line.removeprefix(" " * 8) for line in code.splitlines())
    head = "import pathlib, sys\nfrom tests.cache.kept import cache, found, put, same, trajectory\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{head}folder = pathlib.Path(sys.argv[1])\n{lines}", folder],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=patience(120),
        check=False,
    )
    assert done.returncode == ends, done.stderr
