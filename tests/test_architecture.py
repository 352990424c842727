"""What the import contracts cannot see.

They know nothing of the plugins, which no interpreter here can import, and take an import for a type checker
for one like any other.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest
import tomllib

from velatura.methods.registry import registry

ROOT = Path(__file__).resolve().parents[1]
HOSTS = {"krita", "pykrita", "PyQt5", "PyQt6", "gi"}
OURS = {"velatura_protocol", "velatura_krita", "velatura_plugin"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
(NO_TORCH,) = (
    contract
    for contract in PROJECT["tool"]["importlinter"]["contracts"]
    if contract["name"] == "The broker imports no torch"
)
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


def imports(tree: ast.Module, package: str) -> Iterator[tuple[str, bool]]:
    """The modules that a module of this package imports, each with whether only a type checker sees it.

    `from a import b` gives `a` and `a.b`, because `b` may be a module.
    """
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, unseen = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            waiting += [(child, True) for child in node.body] + [(child, unseen) for child in node.orelse]
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, unseen) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield module, unseen
            yield from ((f"{module}.{alias.name}", unseen) for alias in node.names)
        waiting += [(child, unseen) for child in ast.iter_child_nodes(node)]


def edges(text: str, package: str, target: str) -> list[bool]:
    """Whether only a type checker sees it, for each import of the target or of what it holds."""
    found = imports(ast.parse(text), package)
    return [unseen for name, unseen in found if f"{name}.".startswith(f"{target}.")]


@pytest.mark.parametrize("edge", NO_TORCH["ignore_imports"])
def test_what_the_contract_of_the_broker_ignores_is_for_type_checkers_only(edge):
    module, target = edge.split(" -> ")
    path = ROOT / "backend" / Path(*module.split(".")).with_suffix(".py")
    seen = edges(path.read_text("utf-8"), module.rpartition(".")[0], target)
    assert seen and all(seen)


@pytest.mark.parametrize(
    "text",
    [
        "import torch",
        "from torch.nn import Module",
        "def f():\n    import torch.nn",
        "if TYPE_CHECKING:\n    import torch\nelse:\n    from torch import nn",
        "if not TYPE_CHECKING:\n    import torch",
        "try:\n    from . import b\nexcept ImportError:\n    pass",
        "from .b import c",
    ],
)
def test_an_import_that_runs_is_found(text):
    target = "torch" if "torch" in text else "a.b"
    assert not all(edges(text, "a", target))


def test_an_import_for_type_checkers_is_told_from_one_that_runs():
    text = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from torch import nn\n    import torch as t"
    )
    assert edges(text, "a", "torch") == [True] * 3
    assert edges("import torchvision", "a", "torch") == []
