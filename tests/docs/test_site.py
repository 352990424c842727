"""`velatura docs`: the pages are whole, link to what is there and load nothing from elsewhere."""

from __future__ import annotations

import html
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from urllib.request import urlopen

import pytest
import tomllib
import yaml
from docs.generate import examples, methods, reference, site, texts

from tests.more_methods import ENTRY_POINTS, environment
from tests.patience import patience
from velatura.cli import docs as command
from velatura.cli.main import parser_for
from velatura.methods.registry import describe, registry
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.errors import VelaturaError
from velatura_protocol.schema import Field

KNOWN = {name: MethodInfo.from_wire(describe(method)) for name, method in registry().items()}
LOADED = re.compile(
    r"<(?:link|script|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"'> ]+)"
)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The address and the folder of the pages that `velatura docs --strict` shows, without pictures."""
    state = tmp_path_factory.mktemp("docs") / "state"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "BROWSER": "true"}
    words = ["docs", "--no-pictures", "--strict", "--state-dir", str(state)]
    with subprocess.Popen(
        [sys.executable, "-m", "velatura", *words], env=environment, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            lines = [running.stdout.readline(), running.stdout.readline()]
            assert "http://127.0.0.1:" in lines[1], lines
            yield lines[1].split()[0], state / "docs/site"
            running.send_signal(signal.SIGTERM)  # a shell that starts the tests may have them ignore SIGINT
            assert running.wait(patience(30)) == 0
        finally:
            running.kill()


@pytest.mark.timeout(300)
def test_methods_of_another_package_have_their_pages_too(tmp_path):
    build = (
        f"import pathlib; from docs.generate import site; here = pathlib.Path({str(tmp_path)!r}); "
        "site.build(here / 'out', kept=here / 'kept', pictures=False, strict=True)"
    )
    words = [sys.executable, "-c", build]
    env = os.environ | environment()
    subprocess.run(words, check=True, env=env, cwd=site.ROOT, timeout=patience(240))
    pages = tmp_path / "out/pages/methods"
    for name in ENTRY_POINTS["velatura_examples"]["velatura.methods"]:
        page = (pages / f"{name}.md").read_text("utf-8")
        assert "The code: `velatura_examples." in page
        assert ("## An example" in page) == (name not in ("exaggerate", "arrange")), name
    assert "[`velatura.methods.sdedit`][velatura.methods.sdedit]" in (pages / "sdedit.md").read_text("utf-8")


def test_a_failing_example_costs_another_packages_method_its_picture_only(tmp_path, capsys):
    method = replace(KNOWN["describe"], id="no-such-method")
    try:
        assert site._shown(method, tmp_path / "kept", tmp_path / "state", own=False) is None
        with pytest.raises(examples.NoExample):
            site._shown(method, tmp_path / "kept", tmp_path / "state", own=True)
    finally:
        examples.stop(tmp_path / "state")
    assert "no picture of 'Describe the layer'" in capsys.readouterr().err


@pytest.mark.timeout(300)
def test_it_is_shown(shown):
    address, _ = shown
    assert address.startswith("http://127.0.0.1:")
    with urlopen(address, timeout=patience(30)) as answer:
        assert "Where to begin" in answer.read().decode("utf-8")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", KNOWN)
def test_every_method_has_its_page_with_its_whole_form(shown, name):
    page = html.unescape((shown[1] / f"methods/{name}.html").read_text("utf-8"))
    assert KNOWN[name].summary in page
    for field in KNOWN[name].fields:
        for one in (field, *field.fields):
            assert f"<td>{one.title}</td>" in page
            assert f"<code>{one.key}</code>" in page
    for paper in re.findall(r"arXiv:([\d.]+\d)", KNOWN[name].source):
        assert f"https://arxiv.org/abs/{paper}" in page


@pytest.mark.timeout(300)
def test_methods_are_listed_in_their_sections(shown):
    """In the table of all methods, and in the navigation."""
    page = html.unescape((shown[1] / "methods/index.html").read_text("utf-8"))
    headings = [title.strip() for title in re.findall(r"<h2[^>]*>([^<]+)", page)]
    assert headings == list(dict.fromkeys(known.section for known in KNOWN.values()))
    navigation = yaml.safe_load((shown[1].parent / "mkdocs.yml").read_text("utf-8"))["nav"]
    (listed,) = [entry["Methods"] for entry in navigation if "Methods" in entry]
    assert [title for entry in listed for title in entry] == ["All", *headings]
    pages = [page for entry in listed[1:] for section in entry.values() for page in section]
    assert [path for page in pages for path in page.values()] == [f"methods/{name}.md" for name in KNOWN]


@pytest.mark.timeout(300)
def test_decisions_and_the_reference_are_there(shown):
    _, folder = shown
    for place in site.decisions().values():
        assert (folder / place).with_suffix(".html").is_file()
    client = (folder / "reference/velatura_protocol.html").read_text("utf-8")
    assert 'id="velatura_protocol.client.Client.submit"' in client
    protocol = (folder / "decisions/spec.html").read_text("utf-8")
    assert "json message" not in protocol.split("<h2", 2)[2], "a block of the protocol is no block"


@pytest.mark.timeout(300)
def test_nothing_is_loaded_from_elsewhere(shown):
    pages = list(shown[1].rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        canonical = re.sub(r"<link[^>]*rel=[\"']?canonical[^>]*>", "", page.read_text("utf-8"))
        assert not LOADED.findall(canonical), page
    for sheet in shown[1].rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import", sheet.read_text("utf-8")), sheet


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(command.TOOLS, "absent_here.too", "absent-here")
    options = parser_for(["docs"]).parse_args(["docs", "--state-dir", str(tmp_path)])
    with pytest.raises(VelaturaError, match=r"need absent-here; run .* -m pip install absent-here`"):
        command.run(options)


def test_what_may_be_missing_is_the_extra():
    extras = tomllib.loads((site.ROOT / "pyproject.toml").read_text("utf-8"))["project"][
        "optional-dependencies"
    ]
    assert {re.match(r"[\w-]+", need)[0] for need in extras["docs"]} == set(command.TOOLS.values())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", sorted({method.result for method in KNOWN.values()}))
def test_an_example_is_made_on_the_embedded_model_and_kept(kind, tmp_path):
    method = next(method for method in KNOWN.values() if method.result == kind)
    try:
        first = examples.show(method, tmp_path / "kept", tmp_path / "state")
    finally:
        examples.stop(tmp_path / "state")
    page = methods.page(method, "a.module", "It works.", first)
    if kind == "text":
        assert first.output and first.output in page
    else:
        assert first.picture.stat().st_size < 150_000 and first.picture.name in page
    assert examples.show(method, tmp_path / "kept", tmp_path / "nowhere") == first
    assert not (tmp_path / "nowhere").exists()


def test_an_example_that_fails_is_said(tmp_path):
    method = replace(KNOWN["describe"], id="no-such-method")
    try:
        with pytest.raises(examples.NoExample, match="no-such-method"):
            examples.show(method, tmp_path / "kept", tmp_path / "state")
    finally:
        examples.stop(tmp_path / "state")


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/mine.txt").write_text("mine")
    with pytest.raises(site.Failed, match="holds other files"):
        site.build(tmp_path, kept=tmp_path / "kept", pictures=False, strict=True)
    assert (tmp_path / "site/mine.txt").read_text() == "mine"


@pytest.fixture
def links(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/DESIGN.md").write_text("# A")
    (tmp_path / "a/look.png").write_bytes(b"png")
    (tmp_path / "code.py").write_text("")
    out = tmp_path / "out"
    out.mkdir()

    def made(strict=True):
        return texts.Links({tmp_path / "a/DESIGN.md": "decisions/a.md"}, {}, out, strict)

    return made


def test_links_lead_to_pages_pictures_or_nowhere(links, tmp_path):
    text = "[A\nlong](a/DESIGN.md#x) ![p](a/look.png) [code](code.py) [w](https://x.org/a) [here](#b)\n"
    led = links().resolved(text, tmp_path / "README.md", "decisions/readme.md")
    assert led == "[A\nlong](a.md#x) ![p](../pictures/a-look.png) code [w](https://x.org/a) [here](#b)\n"
    assert (tmp_path / "out/pictures/a-look.png").is_file()
    assert links().resolved("`f[a](x)` [`f`](a/DESIGN.md)\n", tmp_path / "README.md", "readme.md") == (
        "`f[a](x)` [`f`](decisions/a.md)\n"
    )
    fenced = "```\n[A](nothing.md)\n```\n\n    [B](nothing.md)\n"
    assert links().resolved(fenced, tmp_path / "README.md", "decisions/readme.md") == fenced


def test_a_link_to_nothing_is_an_error_where_all_is_there(links, tmp_path):
    with pytest.raises(texts.BrokenLink, match=r"README.md: nothing.md"):
        links().resolved("[A](nothing.md)\n", tmp_path / "README.md", "readme.md")
    assert links(strict=False).resolved("[A](nothing.md)\n", tmp_path / "README.md", "readme.md") == "A\n"


def test_texts_are_made_ready_for_python_markdown():
    text = "Words:\n- one\n- two\n\n1. three\n2. four\nrows [a][b] `[c][d]`\n```json message\n{}\n- x\n```\n"
    ready = texts.for_python_markdown(text)
    assert ready == (
        "Words:\n\n- one\n- two\n\n1. three\n2. four\nrows [a]\\[b] `[c][d]`\n```json\n{}\n- x\n```\n"
    )


def test_values_are_said_in_words():
    number = Field("n", "number", "N", "", 0.5, minimum=0.0, maximum=2.0, step=0.25)
    choice = Field("c", "enum", "C", "", "a", choices=(("a", "First"), ("b", "Second")))
    assert (methods.values(number), methods.default(number)) == ("0 to 2, in steps of 0.25", "0.5")
    assert (methods.values(choice), methods.default(choice)) == ("First, Second", "First")
    switch = Field("s", "boolean", "S", "", True)
    assert (methods.values(switch), methods.default(switch)) == ("on or off", "on")


def test_the_reference_leaves_out_what_is_private(tmp_path):
    package = tmp_path / "pack"
    for name, code in {
        "__init__": '"""Pack."""', "one": '"""One."""', "_two": '"""Two."""', "silent": "",
        "inner/__init__": '"""Inner."""', "_hidden/__init__": '"""Hidden."""',
    }.items():  # fmt: skip
        (package / f"{name}.py").parent.mkdir(parents=True, exist_ok=True)
        (package / f"{name}.py").write_text(code)
    pages = dict(reference.pages(package))
    assert set(pages) == {"pack", "pack.inner"}
    assert "::: pack.one" in pages["pack"]
    assert "two" not in pages["pack"] and "silent" not in pages["pack"]
