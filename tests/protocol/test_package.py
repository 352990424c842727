"""What the hosts ask of the package: standard library, relative imports, Python 3.10, a quick import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import velatura_protocol

FOLDER = Path(velatura_protocol.__file__).parent
FILES = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_only_the_standard_library_by_relative_imports(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"), feature_version=(3, 10))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1, f"{path.name} reaches out of the package"
            names = [] if node.level == 1 else [node.module]
        else:
            continue
        assert all(name.split(".")[0] in sys.stdlib_module_names for name in names), names


def test_it_works_inside_another_package(tmp_path):
    """As `velatura install` copies it into a plugin."""
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "__init__.py").touch()
    (tmp_path / "plugin" / "velatura_protocol").symlink_to(FOLDER, target_is_directory=True)
    modules = ", ".join(f"plugin.velatura_protocol.{path.stem}" for path in FILES)
    subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {modules}"],
        check=True,
    )


def test_an_import_loads_nothing_heavy():
    heavy = {"asyncio", "ssl", "http", "urllib.request", "multiprocessing", "ctypes", "zmq", "numpy"}
    program = "import sys, velatura_protocol.client, velatura_protocol.launch; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(FOLDER.parent)!r}); {program}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert not heavy & set(loaded)
