"""Code in README, guides, decisions and model cards: commands are ones that there are, Python runs."""

from __future__ import annotations

import ast
import re
import shutil

import pytest
from docs.generate import examples, site
from installer import run

from tests.docs.blocks import blocks, commands
from velatura.cli.main import parser_for
from velatura.cli.values import parse_dial, parse_values
from velatura.methods.registry import describe, registry
from velatura.models.catalogue import EMBEDDED
from velatura.models.recognition import FAMILIES
from velatura_protocol.catalogue import MethodInfo

METHODS = {name: MethodInfo.from_wire(describe(method)) for name, method in registry().items()}
GUIDES = [site.ROOT / "docs" / f"{name}.md" for name in site.GUIDES]
TEXTS = [*GUIDES, *site.decisions()]


def names(path):
    return str(path.relative_to(site.ROOT))


def check(words: list[str]) -> None:
    """Fail unless the command line takes these words, and the method these parameters."""
    try:
        options = parser_for(words).parse_args(words)
    except SystemExit as stop:
        assert stop.code == 0, words
        return
    if options.command == "edit" and options.method:
        parse_values(METHODS[options.method], options.assignments, list(map(parse_dial, options.turned)))
    if options.command == "methods" and options.method:
        assert options.method in METHODS


@pytest.mark.parametrize("path", TEXTS, ids=names)
def test_commands_are_ones_that_there_are(path):
    for words in commands(path.read_text("utf-8"), "velatura"):
        check(words)


def test_the_texts_have_commands():
    assert sum(len(commands(path.read_text("utf-8"), "velatura")) for path in TEXTS) > 30


@pytest.mark.parametrize("path", TEXTS, ids=names)
def test_the_installers_commands_are_ones_that_there_are(path):
    for words in commands(path.read_text("utf-8"), "python3 installer/run.py"):
        with pytest.raises(SystemExit) as stop:
            run.main([*words, "--help"])
        assert stop.value.code == 0, words


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_methods_example_is_a_command_that_there_is(method):
    check(examples.example(method))


def test_the_readme_lists_every_method_in_the_order_of_the_list():
    text = (site.ROOT / "README.md").read_text("utf-8")
    table = text.partition("\n## Methods\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == list(METHODS)


@pytest.mark.parametrize("model", EMBEDDED)
def test_the_readme_links_to_the_card_of_every_embedded_model(model):
    text = (site.ROOT / "README.md").read_text("utf-8")
    assert f"`{model}`" in text and f"](backend/velatura/bundles/{model}/README.md)" in text


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_the_page_of_models_names_every_family_and_its_parts(family):
    parts = [title for name, title in family.parts.items() if name not in ("unet", "transformer")]
    parts += [f"{title} (if it is there)" for title in family.optional.values()]
    page = (site.ROOT / "docs" / "models.md").read_text("utf-8")
    assert f"\n| {family.title} | {', '.join(parts)} |\n" in page


@pytest.mark.parametrize("path", [p for p in TEXTS if p not in GUIDES], ids=names)
def test_python_in_texts_is_python(path):
    for block in blocks(path.read_text("utf-8")):
        if block.language == "python":
            compile(block.code, str(path), "exec")


@pytest.mark.parametrize("path", GUIDES, ids=names)
def test_guides_write_nothing_of_the_wire_by_hand(path):
    """The package has one builder for each of its objects; a guide that writes one itself ages unseen."""
    for block in blocks(path.read_text("utf-8")):
        if block.language == "python":
            dicts = [node for node in ast.walk(ast.parse(block.code)) if isinstance(node, ast.Dict)]
            keys = {key.value for node in dicts for key in node.keys if isinstance(key, ast.Constant)}
            assert not keys & {"velatura", "method", "digest", "channels", "rect"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", GUIDES, ids=names)
def test_python_in_guides_runs(path, request, tmp_path, monkeypatch):
    code = [block.code for block in blocks(path.read_text("utf-8")) if block.language == "python"]
    if not code:
        return
    daemon = request.getfixturevalue("daemon")
    monkeypatch.setenv("VELATURA_STATE_DIR", str(daemon.state_dir))
    monkeypatch.chdir(tmp_path)
    shutil.copy(examples.SAMPLES / "portrait.png", tmp_path)
    names: dict = {}
    for number, block in enumerate(code, 1):
        exec(compile(block, f"{path.name}, block {number}", "exec"), names)
    assert (tmp_path / "edited.png").exists()
