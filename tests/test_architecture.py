"""What the import contracts cannot see: the plugins, which no interpreter here can import."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from velatura.methods.registry import registry

ROOT = Path(__file__).resolve().parents[1]
HOSTS = {"krita", "pykrita", "PyQt5", "PyQt6", "gi"}
OURS = {"velatura_protocol", "velatura_krita", "velatura_plugin"}
FILES = sorted([*ROOT.glob("plugin_krita/**/*.py"), *ROOT.glob("plugin_gimp/**/*.py")])


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_are_plugins():
    assert len(FILES) > 10


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_plugin_imports_the_standard_library_its_host_and_the_protocol(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
    assert found <= set(sys.stdlib_module_names) | HOSTS | OURS


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_plugin_names_no_method(path):
    text = path.read_text(encoding="utf-8")
    strings = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
    for method in registry().values():
        assert method.id not in strings  # an id may be a word like any other
        assert "-" not in method.id or method.id not in text.lower()
        assert method.title.lower() not in text.lower()
